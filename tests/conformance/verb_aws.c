/* {"do": "serialize", "metadata", "shapes", "given", "params", "endpoint"} → {"method", "uri", "headers", "body",
 * "body_base64", "host"}, and {"do": "parse", "metadata", "shapes", "given", "response"} → {"result"} or {"error"}.
 *
 * As in botocore's protocol cases: blobs are plain text, timestamps epoch seconds, an idempotency token that is filled
 * in is 00000000-0000-4000-8000-000000000000, and the body of an event stream is given as base64.  Instead of metadata,
 * shapes and given, {"service", "operation"} takes them from the compiled models (PARAPET_MODELS, or the directory
 * "models" beside this program). */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/model.h"
#include "aws/protocol.h"
#include "models.h"
#include "verbs.h"

/* The operation that a request is about. */
struct subject {
  struct aws_service *made; /* owned; NULL when it is the models' */
  const struct aws_service *service;
  const struct aws_operation *operation;
};

/* ---- which operation ---- */

static int find_subject(struct subject *subject, json_t *request, struct error *error) {
  struct aws_models *all = conformance_models(error);
  subject->service = all ? aws_models_service(all, json_text_at(request, "service", NULL), error) : NULL;
  if (!subject->service) return -1;
  subject->operation = aws_service_operation(subject->service, json_text_at(request, "operation", NULL), error);
  return subject->operation ? 0 : -1;
}

static int make_subject(struct subject *subject, json_t *request, struct error *error) {
  json_t *given = json_at(request, "given", NULL), *name = json_at(given, "name", NULL);
  const char *operation = json_is_string(name) ? json_string_value(name) : "OperationName";
  json_t *metadata = json_at(request, "metadata", NULL), *shapes = json_at(request, "shapes", NULL);
  if (!json_is_object(given) || !json_is_object(metadata) || !json_is_object(shapes))
    return error_set(error, ERROR_INVALID, "request",
                     "\"metadata\", \"shapes\" and \"given\" (or \"service\") must be objects");
  json_t *operations = json_pack("{s:O}", operation, given);
  if (!operations) return error_set(error, ERROR_FATAL, "memory", "out of memory");
  subject->service = subject->made = aws_service_make(metadata, shapes, operations, error);
  json_decref(operations);
  if (subject->made) subject->operation = aws_service_operation(subject->made, operation, error);
  return subject->operation ? 0 : -1;
}

static int open_subject(struct subject *subject, json_t *request, struct error *error) {
  return json_at(request, "service", NULL) ? find_subject(subject, request, error)
                                           : make_subject(subject, request, error);
}

/* ---- base64 ---- */

static json_t *base64(const char *bytes, size_t length) {
  char *text = malloc(4 * (length / 3 + 1) + 1);
  if (!text) return NULL;
  int size = EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)bytes, (int)length);
  json_t *value = json_stringn(text, (size_t)size);
  free(text);
  return value;
}

/* The bytes (caller frees), or NULL when it is no base64. */
static char *unbase64(const json_t *text, size_t *length) {
  size_t size = json_string_length(text);
  const char *from = json_string_value(text);
  char *bytes = malloc(size + 1);
  int decoded = bytes ? EVP_DecodeBlock((unsigned char *)bytes, (const unsigned char *)from, (int)size) : -1;
  if (decoded < 0) {
    free(bytes);
    return NULL;
  }
  while (decoded > 0 && size > 0 && from[size - 1] == '=') size--, decoded--;
  *length = (size_t)decoded;
  bytes[decoded] = '\0'; /* as every transport's body ends */
  return bytes;
}

/* ---- serialize ---- */

static json_t *headers_of(const struct aws_request *request) {
  json_t *headers = json_object();
  for (size_t i = 0; i < request->header_count; i++)
    json_object_set_new(headers, request->headers[i].name, json_string(request->headers[i].value));
  return headers;
}

/* The prefix and the endpoint's host; null where neither is known. */
static json_t *host_of(const struct aws_request *request, const char *endpoint) {
  const char *scheme = strstr(endpoint, "://"), *host = scheme ? scheme + 3 : endpoint;
  const char *prefix = request->host_prefix ? request->host_prefix : "";
  if (!*host && !*prefix) return json_null();
  return json_sprintf("%s%.*s", prefix, (int)strcspn(host, "/?"), host);
}

static json_t *describe(const struct aws_request *request, const char *endpoint) {
  json_t *answer = json_object(), *text = NULL;
  json_object_set_new(answer, "method", json_string(request->method));
  json_object_set_new(answer, "uri", json_string(request->uri));
  json_object_set_new(answer, "headers", headers_of(request));
  json_object_set_new(answer, "host", host_of(request, endpoint));
  if (request->body) text = json_stringn(request->body, request->body_length); /* NULL when it is no UTF-8 */
  json_object_set_new(answer, "body", text ? text : json_null());
  json_object_set_new(answer, "body_base64",
                      request->body ? base64(request->body, request->body_length) : json_string(""));
  return answer;
}

json_t *verb_serialize(json_t *request, struct error *error) {
  static const struct aws_serialize_options options = {.blobs_as_text = 1,
                                                       .idempotency_token = "00000000-0000-4000-8000-000000000000"};
  struct subject subject = {0};
  struct aws_request serialized;
  json_t *answer = NULL, *params = json_at(request, "params", NULL);
  if (open_subject(&subject, request, error) == 0 &&
      aws_serialize_as(subject.service, subject.operation, params, &options, &serialized, error) == 0) {
    answer = describe(&serialized, json_text_at(request, "endpoint", NULL));
    aws_request_free(&serialized);
  }
  aws_service_free(subject.made);
  return answer;
}

/* ---- parse ---- */

/* Has the operation's output a member that is an event stream? */
static int answers_with_events(const struct subject *subject) {
  const char *output = json_text_at(aws_operation_definition(subject->operation), "output", "shape", NULL);
  json_t *members = json_at(aws_service_shape(subject->service, output), "members", NULL);
  for (void *at = json_object_iter(members); at; at = json_object_iter_next(members, at)) {
    const char *shape = json_text_at(json_object_iter_value(at), "shape", NULL);
    if (json_is_true(json_at(aws_service_shape(subject->service, shape), "eventstream", NULL))) return 1;
  }
  return 0;
}

static void take_headers(struct aws_http_response *response, json_t *headers) {
  response->headers = calloc(json_object_size(headers) + 1, sizeof *response->headers);
  if (!response->headers) return;
  for (void *at = json_object_iter(headers); at; at = json_object_iter_next(headers, at))
    response->headers[response->header_count++] = (struct aws_http_header){
        .name = json_object_iter_key(at), .value = json_text_at(json_object_iter_value(at), NULL)};
}

/* The body's bytes (caller frees): "body" as text, or as base64 where it is an event stream; or "body_base64". */
static char *take_body(const struct subject *subject, json_t *response, size_t *length) {
  json_t *body = json_at(response, "body", NULL), *encoded = json_at(response, "body_base64", NULL);
  if (!encoded && answers_with_events(subject)) encoded = body;
  if (encoded) return unbase64(encoded, length);
  *length = json_string_length(body);
  char *copy = malloc(*length + 1);
  if (copy) memcpy(copy, json_is_string(body) ? json_string_value(body) : "", *length + 1);
  return copy;
}

static json_t *parse_response(const struct subject *subject, json_t *given, struct error *error) {
  struct aws_http_response response = {.status = (int)json_integer_value(json_at(given, "status_code", NULL))};
  char request_id[96] = "";
  response.body = take_body(subject, given, &response.body_length);
  if (!response.body) {
    error_set(error, ERROR_INVALID, "request", "the body is no base64");
    return NULL;
  }
  take_headers(&response, json_at(given, "headers", NULL));
  json_t *result =
      aws_parse_as(subject->service, subject->operation, &response, AWS_TIMESTAMPS_EPOCH, 1, request_id, error);
  free(response.headers);
  free(response.body);
  if (result) return json_pack("{s:o}", "result", result);
  return json_pack("{s:{s:s, s:s, s:s}}", "error", "code", error->code, "message", error->message, "request_id",
                   request_id);
}

json_t *verb_parse(json_t *request, struct error *error) {
  struct subject subject = {0};
  json_t *response = json_at(request, "response", NULL), *answer = NULL;
  if (!json_is_object(response))
    error_set(error, ERROR_INVALID, "request", "\"response\" must be an object");
  else if (open_subject(&subject, request, error) == 0)
    answer = parse_response(&subject, response, error);
  aws_service_free(subject.made);
  return answer;
}
