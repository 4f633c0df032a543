/* What goes over the wire to a webhook, and what its answers mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "notices/notices.h"

#include <cmocka.h>

struct receiver { /* the network, as a test sees it */
  int status, broken;
  char method[8], url[128], body[256], headers[512];
  int64_t left_ms;
};

static int receive(void *context, const struct aws_http_request *request, struct aws_http_response *response,
                   struct error *error) {
  struct receiver *receiver = context;
  snprintf(receiver->method, sizeof receiver->method, "%s", request->method);
  snprintf(receiver->url, sizeof receiver->url, "%s", request->url);
  snprintf(receiver->body, sizeof receiver->body, "%.*s", (int)request->body_length, request->body);
  receiver->headers[0] = '\0';
  for (size_t i = 0; i < request->header_count; i++) {
    size_t length = strlen(receiver->headers);
    snprintf(receiver->headers + length, sizeof receiver->headers - length, "%s: %s\n", request->headers[i].name,
             request->headers[i].value);
  }
  receiver->left_ms = request->deadline_ms - clock_monotonic_ms();
  if (receiver->broken) return error_set(error, ERROR_RETRYABLE, "ConnectionFailed", "nobody there");
  response->status = receiver->status;
  return 0;
}

static char secret[] = "It's a Secret to Everybody", url[] = "https://hooks.example.com/x?token=hidden";

static void test_a_body_is_signed_with_its_time(void **state) {
  (void)state;
  struct receiver receiver = {.status = 204};
  struct aws_transport transport = {.perform = receive, .context = &receiver};
  struct channel channel = {.url = url, .secret = secret, .timeout_ms = 3000};
  struct error error = {0};
  assert_int_equal(webhook_post(&transport, &channel, "ssh|1|7", "Hello, World!", 1700000000999, &error), 0);
  assert_string_equal(receiver.method, "POST");
  assert_string_equal(receiver.url, url);
  assert_string_equal(receiver.body, "Hello, World!");
  assert_in_range(receiver.left_ms, 2000, 3000);
  /* printf '1700000000.Hello, World!' | openssl dgst -sha256 -hmac "It's a Secret to Everybody" */
  static const char *const headers[] = {
      "Content-Type: application/json\n", "X-Parapet-Timestamp: 1700000000\n", "X-Parapet-Delivery: ssh|1|7\n",
      "X-Parapet-Signature: v1=76c83fd0acdf22faed320674fe8e04d528cfe8a17905e720a9611e40677c03b7\n"};
  for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
    if (!strstr(receiver.headers, headers[i])) fail_msg("%snot in\n%s", headers[i], receiver.headers);
  assert_null(strstr(receiver.headers, "Everybody"));
}

static void test_without_a_secret_there_is_no_signature(void **state) {
  (void)state;
  struct receiver receiver = {.status = 200};
  struct aws_transport transport = {.perform = receive, .context = &receiver};
  struct channel channel = {.url = url, .timeout_ms = 3000};
  assert_int_equal(webhook_post(&transport, &channel, "d", "{}", 1700000000000, NULL), 0);
  assert_null(strstr(receiver.headers, "Signature"));
}

static void test_answers(void **state) {
  (void)state;
  static const struct {
    int status;
    enum error_class class;
  } rows[] = {
      {200, ERROR_NONE},      {299, ERROR_NONE},      {302, ERROR_DENIED}, /* nobody is followed anywhere */
      {400, ERROR_INVALID},                                                /* never this body */
      {413, ERROR_INVALID},   {422, ERROR_INVALID},   {401, ERROR_DENIED}, /* the channel is set up wrongly: a person
                                                                              mends it, the digest waits */
      {404, ERROR_DENIED},    {410, ERROR_DENIED},    {408, ERROR_RETRYABLE}, {429, ERROR_THROTTLED},
      {500, ERROR_RETRYABLE}, {503, ERROR_RETRYABLE},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct receiver receiver = {.status = rows[i].status};
    struct aws_transport transport = {.perform = receive, .context = &receiver};
    struct channel channel = {.url = url, .secret = secret, .timeout_ms = 1000};
    struct error error = {0};
    int result = webhook_post(&transport, &channel, "d", "{}", 0, &error);
    assert_int_equal(result, rows[i].class == ERROR_NONE ? 0 : -1);
    assert_int_equal(error.class, rows[i].class);
    assert_null(strstr(error.message, "hidden"));
    assert_null(strstr(error.where, "hidden"));
  }
}

static void test_a_dead_receiver_is_an_error_without_its_address(void **state) {
  (void)state;
  struct receiver receiver = {.broken = 1};
  struct aws_transport transport = {.perform = receive, .context = &receiver};
  struct channel channel = {.url = url, .secret = secret, .timeout_ms = 1000};
  struct error error = {0};
  assert_int_equal(webhook_post(&transport, &channel, "d", "{}", 0, &error), -1);
  assert_int_equal(error.class, ERROR_RETRYABLE);
  assert_null(strstr(error.message, "hidden"));
}
