/* Answers: botocore's own output cases for every protocol, and what they leave out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/protocol_internal.h"
#include "aws/reference.h"

/* An answer from a case's "response"; strings are borrowed from it. */
static void make_response(json_t *from, struct aws_http_response *response) {
  const char *name;
  json_t *value, *body = json_object_get(from, "body");
  json_t *headers = json_object_get(from, "headers");
  memset(response, 0, sizeof *response);
  response->status = (int)json_integer_value(json_object_get(from, "status_code"));
  response->headers = calloc(json_object_size(headers) + 1, sizeof *response->headers);
  json_object_foreach(headers, name, value) {
    response->headers[response->header_count++] =
        (struct aws_http_header){.name = name, .value = json_string_value(value)};
  }
  response->body = (char *)json_string_value(body);
  response->body_length = json_string_length(body);
}

static int check_fault(const json_t *one, const struct error *error, const char *title) {
  const char *code = json_string_value(json_object_get(one, "errorCode"));
  const char *message = json_string_value(json_object_get(one, "errorMessage"));
  if (code && strcmp(code, error->code) == 0 && (!message || strcmp(message, error->message) == 0)) return 0;
  return printf("%s: error %s: %s, due %s: %s\n", title, error->code, error->message, code, message) > 0;
}

static int check_result(json_t *one, json_t *result, const struct error *error, const char *title) {
  json_t *due = json_object_get(one, "result");
  json_object_del(due, "ResponseMetadata");
  if (result && json_equal(result, due)) return 0;
  char *is = result ? json_dumps(result, 0) : NULL, *text = json_dumps(due, 0);
  printf("%s: %s (%s: %s), due %s\n", title, is, error->code, error->message, text);
  free(is);
  free(text);
  return 1;
}

static int run_case(json_t *suite, json_t *one) {
  struct error error;
  struct aws_http_response response;
  char request_id[96];
  json_t *given = json_object_get(one, "given");
  const char *name = json_string_value(json_object_get(given, "name"));
  const char *title = json_string_value(json_object_get(suite, "description"));
  json_t *operations = json_pack("{s:O}", name, given);
  struct aws_service *service =
      aws_service_make(json_object_get(suite, "metadata"), json_object_get(suite, "shapes"), operations, &error);
  assert_non_null(service);
  const struct aws_operation *operation = aws_service_operation(service, name, &error);
  assert_non_null(operation);
  make_response(json_object_get(one, "response"), &response);
  struct buffer events = {0};
  if (strstr(title, "Event Stream")) { /* binary: the case has it as base64 */
    assert_int_equal(aws_base64_decode(&events, response.body, response.body_length), 0);
    response.body = events.data;
    response.body_length = events.length;
  }
  json_t *result = aws_parse_as(service, operation, &response, AWS_TIMESTAMPS_EPOCH, 1, request_id, &error);
  int is_fault = json_object_get(one, "errorCode") != NULL;
  int wrong = is_fault ? result != NULL || check_fault(one, &error, title) : check_result(one, result, &error, title);
  json_decref(result);
  buffer_free(&events);
  free(response.headers);
  aws_service_free(service);
  json_decref(operations);
  return wrong;
}

static void run_protocol(const char *protocol) {
  char name[64];
  snprintf(name, sizeof name, "aws-protocols/output/%s.json", protocol);
  json_t *suites = reference_json(name), *suite, *one;
  size_t i, j;
  int failed = 0, count = 0;
  if (!suites) skip();
  json_array_foreach(suites, i, suite) {
    json_array_foreach(json_object_get(suite, "cases"), j, one) {
      failed += run_case(suite, one);
      count++;
    }
  }
  printf("%s: %d of %d output cases\n", protocol, count - failed, count);
  json_decref(suites);
  assert_int_equal(failed, 0);
}

static void test_query_cases(void **state) {
  (void)state;
  run_protocol("query");
}
static void test_ec2_cases(void **state) {
  (void)state;
  run_protocol("ec2");
}
static void test_json_cases(void **state) {
  (void)state;
  run_protocol("json");
}
static void test_rest_json_cases(void **state) {
  (void)state;
  run_protocol("rest-json");
}
static void test_rest_xml_cases(void **state) {
  (void)state;
  run_protocol("rest-xml");
}
