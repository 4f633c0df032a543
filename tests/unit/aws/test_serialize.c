/* Requests: botocore's own input cases for every protocol, and what they leave out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/protocol_internal.h"
#include "aws/reference.h"

static const char token[] = "00000000-0000-4000-8000-000000000000";

/* ---- comparing ---- */

static int same_node(const struct aws_xml_node *left, const struct aws_xml_node *right) {
  if (!left || !right) return left == right;
  if (strcmp(left->name, right->name) != 0 || strcmp(left->text, right->text) != 0) return 0;
  for (const struct aws_xml_attribute *one = left->attributes; one; one = one->next) {
    const struct aws_xml_attribute *other = right->attributes;
    while (other && (strcmp(one->name, other->name) != 0 || strcmp(one->value, other->value) != 0)) other = other->next;
    if (!other) return 0;
  }
  return same_node(left->first, right->first) && same_node(left->next, right->next);
}

static int same_xml(const char *left, const char *right) {
  struct aws_xml *one = aws_xml_parse(left, strlen(left), NULL), *other = aws_xml_parse(right, strlen(right), NULL);
  int same = one && other && same_node(aws_xml_root(one), aws_xml_root(other));
  aws_xml_free(one);
  aws_xml_free(other);
  return same;
}

static int same_json(const char *left, const char *right) {
  json_t *one = json_loads(left, JSON_DECODE_ANY, NULL), *other = json_loads(right, JSON_DECODE_ANY, NULL);
  int same = one && other && json_equal(one, other);
  json_decref(one);
  json_decref(other);
  return same;
}

/* Forms are the same when they have the same pairs. */
static int same_form(const char *left, const char *right) {
  if (strlen(left) != strlen(right)) return 0;
  char *copy = strdup(left), *rest = copy;
  int same = 1;
  for (char *pair; same && (pair = strsep(&rest, "&")) != NULL;) {
    const char *there = right;
    size_t length = strlen(pair);
    while ((there = strstr(there, pair)) != NULL) {
      if ((there == right || there[-1] == '&') && (there[length] == '&' || there[length] == '\0')) break;
      there++;
    }
    same = there != NULL;
  }
  free(copy);
  return same;
}

static int same_body(const char *protocol, const char *is, const char *due) {
  if (strcmp(is, due) == 0) return 1;
  if (strcmp(protocol, "query") == 0 || strcmp(protocol, "ec2") == 0) return same_form(is, due);
  if (strstr(protocol, "json")) return same_json(is, due);
  return same_xml(is, due);
}

static const char *header_of(const struct aws_request *request, const char *name) {
  for (size_t i = 0; i < request->header_count; i++)
    if (strcasecmp(request->headers[i].name, name) == 0) return request->headers[i].value;
  return NULL;
}

/* Prints and counts what differs from a case's "serialized". */
static int differences(const struct aws_request *request, const json_t *due, const char *protocol, const char *title,
                       const char *endpoint) {
  int wrong = 0;
  const char *uri = json_string_value(json_object_get(due, "uri")), *name;
  const char *method = json_string_value(json_object_get(due, "method"));
  const char *body = json_string_value(json_object_get(due, "body"));
  const char *host = json_string_value(json_object_get(due, "host"));
  json_t *value;
  size_t i;
  if (uri && strcmp(uri, request->uri) != 0) wrong += printf("%s: uri %s, due %s\n", title, request->uri, uri) > 0;
  if (method && strcmp(method, request->method) != 0) wrong += printf("%s: method %s\n", title, request->method) > 0;
  if (body && !same_body(protocol, request->body ? request->body : "", body))
    wrong += printf("%s: body %s, due %s\n", title, request->body, body) > 0;
  const char *prefix = request->host_prefix ? request->host_prefix : "";
  if (host && endpoint && (strncmp(host, prefix, strlen(prefix)) != 0 || !strstr(endpoint, host + strlen(prefix))))
    wrong += printf("%s: host prefix %s, due %s\n", title, prefix, host) > 0;
  json_object_foreach(json_object_get(due, "headers"), name, value) {
    const char *text = header_of(request, name);
    if (!text || strcmp(text, json_string_value(value)) != 0)
      wrong += printf("%s: header %s is %s, due %s\n", title, name, text, json_string_value(value)) > 0;
  }
  json_array_foreach(json_object_get(due, "forbidHeaders"), i, value) {
    if (header_of(request, json_string_value(value)))
      wrong += printf("%s: header %s must not be there\n", title, json_string_value(value)) > 0;
  }
  return wrong;
}

static int run_case(json_t *suite, json_t *one) {
  struct error error;
  struct aws_request request;
  json_t *given = json_object_get(one, "given"), *metadata = json_object_get(suite, "metadata");
  const char *name = json_string_value(json_object_get(given, "name"));
  const char *title = json_string_value(json_object_get(suite, "description"));
  json_t *operations = json_pack("{s:O}", name, given);
  struct aws_service *service = aws_service_make(metadata, json_object_get(suite, "shapes"), operations, &error);
  assert_non_null(service);
  const struct aws_operation *operation = aws_service_operation(service, name, &error);
  assert_non_null(operation);
  struct aws_serialize_options options = {.blobs_as_text = 1, .idempotency_token = token};
  int wrong;
  if (aws_serialize_as(service, operation, json_object_get(one, "params"), &options, &request, &error) == 0)
    wrong = differences(&request, json_object_get(one, "serialized"),
                        json_string_value(json_object_get(metadata, "protocol")), title,
                        json_string_value(json_object_get(suite, "clientEndpoint")));
  else
    wrong = printf("%s: %s: %s (%s)\n", title, error.code, error.message, error.where) > 0;
  aws_request_free(&request);
  aws_service_free(service);
  json_decref(operations);
  return wrong > 0;
}

static void run_protocol(const char *protocol) {
  char name[64];
  snprintf(name, sizeof name, "aws-protocols/input/%s.json", protocol);
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
  printf("%s: %d of %d input cases\n", protocol, count - failed, count);
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
