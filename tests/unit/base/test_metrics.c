#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <math.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/metrics.h"

static const double three[] = {1, 2, 5, 0};

/* Each test has its own metrics: a table stays registered for the program's life. */
static char *printed(void) {
  char *text = NULL;
  size_t length = 0;
  FILE *out = open_memstream(&text, &length);
  assert_non_null(out);
  metrics_print(out);
  fclose(out);
  char *copy = strdup(text); /* gcc takes the stream's buffer for a local variable that is left behind */
  free(text);
  assert_non_null(copy);
  return copy;
}

static void assert_printed(const char *wanted) {
  char *text = printed();
  if (!strstr(text, wanted)) fail_msg("not there: %s\nin: %.3000s", wanted, text);
  free(text);
}

static void test_what_does_not_fit_changes_nothing(void **state) {
  (void)state;
  static struct metric table[] = {{"misfit_total", METRIC_COUNTER, "h"},
                                  {"misfit_level", METRIC_GAUGE, "h"},
                                  {"misfit_seconds", METRIC_HISTOGRAM, "h"},
                                  {0}};
  metric_add(&table[0], 2);
  metric_add(&table[0], -1);
  metric_add(&table[0], NAN);
  metric_add(&table[0], INFINITY);
  metric_set(&table[0], 77);
  metric_observe(&table[0], 77);
  assert_true(metric_value(&table[0]) == 2);
  metric_set(&table[1], 5);
  metric_add(&table[1], -7);
  metric_add(&table[1], NAN);
  metric_observe(&table[1], 1);
  assert_true(metric_value(&table[1]) == -2);
  metric_observe(&table[2], 1);
  metric_observe(&table[2], NAN);
  metric_add(&table[2], 1);
  metric_set(&table[2], 1);
  assert_true(metric_value(&table[2]) == 1);
}

static void test_a_series_that_does_not_exist_is_zero_and_stays_away(void **state) {
  (void)state;
  static struct metric table[] = {{"absent_total", METRIC_COUNTER, "h", {"a"}}, {0}};
  assert_true(metric_value(&table[0], "x") == 0); /* not even registered */
  metrics_register(table);
  assert_true(metric_value(&table[0], "x") == 0);
  char *text = printed();
  assert_null(strstr(text, "absent_total{"));
  free(text);
}

static void test_without_labels_it_shows_from_the_beginning(void **state) {
  (void)state;
  static struct metric table[] = {{"early_total", METRIC_COUNTER, "Counts\nthings \\ \"so\".", {NULL}}, {0}};
  metrics_register(table);
  metrics_register(table); /* once is enough */
  char *text = printed();
  const char *first =
      strstr(text, "# HELP early_total Counts\\nthings \\\\ \"so\".\n# TYPE early_total counter\nearly_total 0\n");
  assert_non_null(first);
  assert_null(strstr(first + 1, "# HELP early_total"));
  free(text);
}

static void test_labels_are_kept_apart_and_escaped(void **state) {
  (void)state;
  static struct metric table[] = {{"label_total", METRIC_COUNTER, "h", {"a", "b"}}, {0}};
  metrics_register(table);
  metric_add(&table[0], 1, "x", "yz");
  metric_add(&table[0], 2, "xy", "z"); /* the same letters, another split */
  metric_add(&table[0], 4, (const char *)NULL, "q\"\\\n");
  metric_add(&table[0], 8, "", "q\"\\\n"); /* NULL is "" */
  assert_true(metric_value(&table[0], "x", "yz") == 1);
  assert_true(metric_value(&table[0], "xy", "z") == 2);
  assert_printed("label_total{a=\"\",b=\"q\\\"\\\\\\n\"} 12\n");
}

static void test_long_label_values_are_cut_between_characters(void **state) {
  (void)state;
  static struct metric table[] = {{"long_total", METRIC_COUNTER, "h", {"a"}}, {0}};
  char value[300];
  for (size_t i = 0; i + 2 < sizeof value; i += 2) memcpy(value + i, "\xC3\xA9", 3);
  memmove(value + 1, value, 200);
  value[0] = 'x';
  value[201] = '\0'; /* 128 bytes would end inside a character */
  metric_add(&table[0], 1, value);
  value[127] = '\0';
  assert_true(metric_value(&table[0], value) == 1);
}

static void test_a_full_metric_counts_as_other(void **state) {
  (void)state;
  static struct metric table[] = {{"full_total", METRIC_COUNTER, "h", {"a", "b"}}, {0}};
  metrics_register(table);
  char value[16];
  for (int round = 0; round < 2; round++)
    for (int i = 0; i < 3000; i++) {
      snprintf(value, sizeof value, "v%d", i);
      metric_add(&table[0], 1, value, value);
    }
  assert_true(metric_value(&table[0], "v0", "v0") == 2);
  assert_true(metric_value(&table[0], "v1998", "v1998") == 2);
  assert_true(metric_value(&table[0], "v1999", "v1999") == 0);
  assert_true(metric_value(&table[0], "other", "other") == 2 * 1001);
  char *text = printed();
  int lines = 0;
  for (const char *at = strstr(text, "full_total{"); at; at = strstr(at + 1, "full_total{")) lines++;
  assert_int_equal(lines, 2000);
  free(text);
}

static void test_histogram_buckets_are_cumulative(void **state) {
  (void)state;
  static struct metric table[] = {{"took_seconds", METRIC_HISTOGRAM, "h", {"call"}, three}, {0}};
  metrics_register(table);
  static const double values[] = {0.5, 1, 1.5, 5, 6, -1, INFINITY};
  for (size_t i = 0; i < 6; i++) metric_observe(&table[0], values[i], "x");
  assert_true(metric_value(&table[0], "x") == 6);
  assert_printed(
      "took_seconds_bucket{call=\"x\",le=\"1\"} 3\n" /* a bound belongs to its bucket */
      "took_seconds_bucket{call=\"x\",le=\"2\"} 4\n"
      "took_seconds_bucket{call=\"x\",le=\"5\"} 5\n"
      "took_seconds_bucket{call=\"x\",le=\"+Inf\"} 6\n"
      "took_seconds_sum{call=\"x\"} 13\n"
      "took_seconds_count{call=\"x\"} 6\n");
}

static void test_default_buckets_reach_from_5_ms_to_5_minutes(void **state) {
  (void)state;
  static struct metric table[] = {{"plain_seconds", METRIC_HISTOGRAM, "h"}, {0}};
  metrics_register(table);
  metric_observe(&table[0], 0.001);
  assert_printed("plain_seconds_bucket{le=\"0.005\"} 1\n");
  assert_printed("plain_seconds_bucket{le=\"300\"} 1\nplain_seconds_bucket{le=\"+Inf\"} 1\n");
}

static void test_numbers_are_written_exactly(void **state) {
  (void)state;
  static struct metric table[] = {{"number", METRIC_GAUGE, "h", {"n"}}, {0}};
  metrics_register(table);
  static const struct {
    double value;
    const char *text;
  } cases[] = {{0.1, "0.1"},       {1.0 / 3, "0.33333333333333331"},
               {1e300, "1e+300"},  {123456789012345, "123456789012345"},
               {-0.5, "-0.5"},     {NAN, "NaN"},
               {INFINITY, "+Inf"}, {-INFINITY, "-Inf"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char line[64];
    metric_set(&table[0], cases[i].value, cases[i].text);
    snprintf(line, sizeof line, "number{n=\"%s\"} %s\n", cases[i].text, cases[i].text);
    assert_printed(line);
  }
}

static struct metric shared[] = {
    {"shared_total", METRIC_COUNTER, "h", {"a"}}, {"shared_seconds", METRIC_HISTOGRAM, "h", {"a"}, three}, {0}};

static void *update_shared(void *argument) {
  (void)argument;
  char value[16];
  for (int i = 0; i < 2000; i++) {
    snprintf(value, sizeof value, "%d", i % 50);
    metric_add(&shared[0], 0.5, value);
    metric_observe(&shared[1], 1.5, value);
    if (i % 500 == 0) free(printed());
  }
  return NULL;
}

static void test_threads_lose_no_update(void **state) {
  (void)state;
  pthread_t threads[4];
  metrics_register(shared);
  for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, update_shared, NULL), 0);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  for (int i = 0; i < 50; i++) {
    char value[16];
    snprintf(value, sizeof value, "%d", i);
    assert_true(metric_value(&shared[0], value) == 80);
    assert_true(metric_value(&shared[1], value) == 160);
  }
}

/* ---- the server ---- */

static atomic_int is_ready;

static int alive(char *reason, size_t size, void *argument) {
  snprintf(reason, size, "%s", (const char *)argument);
  return 1;
}

static int ready(char *reason, size_t size, void *argument) {
  (void)argument;
  if (!atomic_load(&is_ready)) snprintf(reason, size, "redis://:hunter22@host does not answer");
  return atomic_load(&is_ready);
}

/* Sends the text, returns everything that came back until the server closed. */
static char *exchange(unsigned port, const char *request) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof address), 0);
  struct timeval patience = {.tv_sec = 30};
  setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  assert_int_equal(send(client, request, strlen(request), MSG_NOSIGNAL), strlen(request));
  shutdown(client, SHUT_WR); /* a request without an end is over, too */
  enum { SIZE = 1 << 20 };
  char *answer = calloc(1, SIZE);
  assert_non_null(answer);
  size_t length = 0;
  ssize_t got;
  while (length < SIZE - 1 && (got = recv(client, answer + length, SIZE - 1 - length, 0)) > 0) length += (size_t)got;
  close(client);
  return answer;
}

static void assert_answer(unsigned port, const char *first_line, const char *status, const char *body) {
  char request[256];
  snprintf(request, sizeof request, "%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", first_line);
  char *answer = exchange(port, request);
  if (strncmp(answer, status, strlen(status)) != 0) fail_msg("%s answered %.80s", first_line, answer);
  const char *found = strstr(answer, "\r\n\r\n");
  assert_non_null(found);
  if (!strstr(found + 4, body)) fail_msg("%s answered %.2000s", first_line, answer);
  if (!*body) assert_string_equal(found + 4, "");
  free(answer);
}

static void test_addresses_that_are_none_are_refused(void **state) {
  (void)state;
  static const char *const addresses[] = {"",    "x",    "host",   ":",     "1.2.3.4:",       ":70000",
                                          ":-1", ":12x", "::1:80", "[::1]", "no such host:80"};
  for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
    struct error error = {0};
    unsigned port;
    if (metrics_serve(addresses[i], NULL, NULL, NULL, &port, &error)) fail_msg("taken: %s", addresses[i]);
    assert_int_equal(error.class, ERROR_INVALID);
  }
  metrics_server_close(NULL);
}

static void test_a_port_in_use_is_an_error(void **state) {
  (void)state;
  struct error error = {0};
  unsigned port;
  char address[32];
  struct metrics_server *first = metrics_serve("127.0.0.1:0", NULL, NULL, NULL, &port, &error);
  assert_non_null(first);
  snprintf(address, sizeof address, "127.0.0.1:%u", port);
  assert_null(metrics_serve(address, NULL, NULL, NULL, NULL, &error));
  assert_non_null(strstr(error.message, "in use"));
  metrics_server_close(first);
}

static void test_paths_methods_and_health(void **state) {
  (void)state;
  static struct metric table[] = {{"served_total", METRIC_COUNTER, "h"}, {0}};
  metrics_register(table);
  struct error error = {0};
  unsigned port = 0;
  struct metrics_server *server = metrics_serve(":0", alive, ready, (void *)"fine", &port, &error);
  if (!server) fail_msg("%s", error.message);
  assert_in_range(port, 1, 65535);
  assert_answer(port, "GET /nowhere", "HTTP/1.1 404", "/metrics");
  assert_answer(port, "DELETE /metrics", "HTTP/1.1 405", "only GET and HEAD");
  assert_answer(port, "GET /healthz", "HTTP/1.1 200", "ok\n");
  atomic_store(&is_ready, 0);
  assert_answer(port, "GET /readyz", "HTTP/1.1 503", "redis://:***@host does not answer\n"); /* no secret in a reason */
  atomic_store(&is_ready, 1);
  assert_answer(port, "GET /readyz?x=1", "HTTP/1.1 200", "ok\n");
  assert_answer(port, "GET /metrics", "HTTP/1.1 200", "\nserved_total 0\n");
  assert_answer(port, "HEAD /healthz", "HTTP/1.1 200", "");
  metrics_server_close(server);
}

static void test_broken_requests_do_not_end_the_server(void **state) {
  (void)state;
  static const char *const requests[] = {
      "\r\n\r\n", "GET\r\n\r\n", "NONSENSE\x01\x02\r\n\r\n",
      "POST /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"};
  struct error error = {0};
  unsigned port = 0;
  struct metrics_server *server = metrics_serve("127.0.0.1:0", NULL, NULL, NULL, &port, &error);
  assert_non_null(server);
  for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) free(exchange(port, requests[i]));
  assert_answer(port, "GET /readyz", "HTTP/1.1 200", "ok\n");
  metrics_server_close(server);
}
