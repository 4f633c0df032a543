#include "aws/protocol.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/protocol_internal.h"

static const struct {
  int (*serialize)(struct aws_serializing *serializing);
  json_t *(*parse)(struct aws_parsing *parsing);
} protocols[AWS_PROTOCOL_COUNT] = {
    [AWS_PROTOCOL_JSON] = {aws_serialize_json, aws_parse_json},
    [AWS_PROTOCOL_REST_JSON] = {aws_serialize_rest, aws_parse_rest},
    [AWS_PROTOCOL_QUERY] = {aws_serialize_query, aws_parse_query},
    [AWS_PROTOCOL_EC2] = {aws_serialize_query, aws_parse_query},
    [AWS_PROTOCOL_REST_XML] = {aws_serialize_rest, aws_parse_rest},
};

static int no_protocol(const struct aws_service *service, struct error *error) {
  return error_set(error, ERROR_INVALID, "NoProtocol", "%s speaks no protocol that is supported",
                   aws_service_name(service));
}

static int out_of_memory(struct error *error) { return error_set(error, ERROR_FATAL, "OutOfMemory", "out of memory"); }

/* ---- requests ---- */

/* RFC 9562, version 4. */
static int random_uuid(char text[37]) {
  unsigned char bytes[16];
  if (RAND_bytes(bytes, sizeof bytes) != 1) return -1;
  bytes[6] = (unsigned char)((bytes[6] & 0x0F) | 0x40);
  bytes[8] = (unsigned char)((bytes[8] & 0x3F) | 0x80);
  for (int i = 0, at = 0; i < 16; i++) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text[at++] = '-';
    at += snprintf(text + at, 37 - (size_t)at, "%02x", bytes[i]);
  }
  return 0;
}

/* Absent idempotency tokens, at the top level, as botocore does. */
static int fill_tokens(struct aws_serializing *serializing) {
  const struct aws_shape *shape = aws_resolve(serializing->service, serializing->input, serializing->error);
  if (!shape) return -1;
  for (int i = 0; i < shape->member_count; i++) {
    const struct aws_reference *member = &shape->members[i];
    const json_t *given = json_object_get(serializing->params, member->name);
    if (!aws_has(member, AWS_IDEMPOTENCY_TOKEN) || (given && !json_is_null(given))) continue;
    char token[37];
    const char *wanted = serializing->options.idempotency_token;
    if (!wanted && random_uuid(token) != 0)
      return error_set(serializing->error, ERROR_FATAL, "NoRandomness", "the random number generator failed");
    if (json_object_set_new(serializing->params, member->name, json_string(wanted ? wanted : token)) != 0)
      return out_of_memory(serializing->error);
  }
  return 0;
}

/* Parameters ready to be written: a copy (its top level), without nulls, quirks applied, tokens filled in, checked. */
static int prepare(struct aws_serializing *serializing, json_t *params) {
  if (params && !json_is_object(params) && !json_is_null(params))
    return error_set(serializing->error, ERROR_INVALID, "WrongType", "the parameters of an operation are an object");
  serializing->params = json_is_object(params) ? json_copy(params) : json_object();
  serializing->headers = json_object();
  if (!serializing->params || !serializing->headers) return out_of_memory(serializing->error);
  const char *name;
  json_t *value;
  void *next;
  json_object_foreach_safe(serializing->params, next, name, value) {
    if (json_is_null(value)) json_object_del(serializing->params, name);
  }
  if (serializing->input && fill_tokens(serializing) != 0) return -1;
  if (aws_quirks_names(serializing) != 0 || aws_quirks_before(serializing) != 0) return -1;
  return aws_check_params(serializing->service, serializing->input, serializing->params, 0, serializing->error);
}

static int is_host_label(const char *text) {
  size_t length = strlen(text);
  return length > 0 && strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") == length;
}

static int add_host_label(struct aws_serializing *serializing, const char *name, size_t length, struct buffer *to) {
  char member[128];
  snprintf(member, sizeof member, "%.*s", (int)length, name);
  const char *text = json_string_value(json_object_get(serializing->params, member));
  if (text && is_host_label(text)) return buffer_add_text(to, text);
  error_set(serializing->error, ERROR_INVALID, "InvalidHostLabel",
            "\"%s\" becomes part of a host name: letters, digits, '-' and '.' only", member);
  return error_where(serializing->error, "/%s", member);
}

/* endpoint.hostPrefix with its {Members}. */
static int render_host_prefix(struct aws_serializing *serializing, struct aws_request *request) {
  const json_t *definition = aws_operation_definition(serializing->operation);
  const char *prefix = json_string_value(json_object_get(json_object_get(definition, "endpoint"), "hostPrefix"));
  struct buffer text = {.ceiling = 1024};
  if (!prefix) return 0;
  while (*prefix) {
    const char *close = *prefix == '{' ? strchr(prefix, '}') : NULL;
    int wrong = close ? add_host_label(serializing, prefix + 1, (size_t)(close - prefix) - 1, &text)
                      : buffer_add_char(&text, *prefix);
    if (wrong) {
      buffer_free(&text);
      if (!serializing->error || serializing->error->class == ERROR_NONE) out_of_memory(serializing->error);
      return -1;
    }
    prefix = close ? close + 1 : prefix + 1;
  }
  request->host_prefix = buffer_take(&text);
  return request->host_prefix ? 0 : out_of_memory(serializing->error);
}

static int take_headers(struct aws_serializing *serializing, struct aws_request *request) {
  request->headers = calloc(json_object_size(serializing->headers) + 1, sizeof *request->headers);
  if (!request->headers) return -1;
  const char *name;
  json_t *text;
  json_object_foreach(serializing->headers, name, text) {
    struct aws_http_header *header = &request->headers[request->header_count++];
    header->name = strdup(name);
    header->value = strdup(json_string_value(text));
    if (!header->name || !header->value) return -1;
  }
  return 0;
}

/* Hands over what was written. */
static int take_request(struct aws_serializing *serializing, struct aws_request *request) {
  const json_t *http = json_object_get(aws_operation_definition(serializing->operation), "http");
  const char *method = json_string_value(json_object_get(http, "method"));
  request->method = serializing->method ? serializing->method : method ? method : "POST";
  if (serializing->uri.failed || serializing->body.failed)
    return error_set(serializing->error, ERROR_INVALID, "TooLarge", "the request is too large");
  if (take_headers(serializing, request) != 0) return out_of_memory(serializing->error);
  request->uri = buffer_take(&serializing->uri);
  if (!request->uri) return out_of_memory(serializing->error);
  if (serializing->has_body) {
    request->body_length = serializing->body.length;
    request->body = buffer_take(&serializing->body);
    if (!request->body) return out_of_memory(serializing->error);
  }
  return 0;
}

static int serialize(struct aws_serializing *serializing, json_t *params, struct aws_request *request) {
  enum aws_protocol protocol = serializing->service->protocol;
  if (protocol == AWS_PROTOCOL_NONE) return no_protocol(serializing->service, serializing->error);
  if (prepare(serializing, params) != 0) return -1;
  if (protocols[protocol].serialize(serializing) != 0) return -1;
  if (aws_quirks_request(serializing) != 0) return -1;
  if (render_host_prefix(serializing, request) != 0) return -1;
  return take_request(serializing, request);
}

int aws_serialize_as(const struct aws_service *service, const struct aws_operation *operation, json_t *params,
                     const struct aws_serialize_options *options, struct aws_request *request, struct error *error) {
  struct error ignored = {0};
  struct aws_serializing serializing = {
      .service = service,
      .operation = operation,
      .input = aws_operation_input(operation),
      .options = *options,
      .uri = {.ceiling = 1 << 16},
      .body = {.ceiling = AWS_REQUEST_CEILING},
      .error = error ? error : &ignored,
  };
  memset(request, 0, sizeof *request);
  error_clear(error);
  int result = serialize(&serializing, params, request);
  if (result != 0) aws_request_free(request);
  json_decref(serializing.params);
  json_decref(serializing.headers);
  buffer_free(&serializing.uri);
  buffer_free(&serializing.body);
  return result;
}

int aws_serialize(const struct aws_service *service, const struct aws_operation *operation, json_t *params,
                  struct aws_request *request, struct error *error) {
  struct aws_serialize_options options = {0};
  return aws_serialize_as(service, operation, params, &options, request, error);
}

void aws_request_free(struct aws_request *request) {
  for (size_t i = 0; i < request->header_count; i++) {
    free((char *)request->headers[i].name);
    free((char *)request->headers[i].value);
  }
  free(request->headers);
  free(request->uri);
  free(request->host_prefix);
  free(request->body);
  memset(request, 0, sizeof *request);
}

/* ---- answers ---- */

const char *aws_response_header(const struct aws_http_response *response, const char *name) {
  for (size_t i = 0; i < response->header_count; i++)
    if (strcasecmp(response->headers[i].name, name) == 0) return response->headers[i].value;
  return NULL;
}

void aws_set_request_id(struct aws_parsing *parsing, const char *text) {
  if (text && parsing->request_id[0] == '\0') snprintf(parsing->request_id, 96, "%s", text);
}

void *aws_not_an_answer(struct aws_parsing *parsing, const char *what, const char *where) {
  error_set(parsing->error, ERROR_FATAL, "NotAnAnswer", "the answer (HTTP %d) is none of %s.%s: %s%s%s",
            parsing->response->status, aws_service_name(parsing->service), aws_operation_name(parsing->operation), what,
            *where ? " " : "", where);
  return NULL;
}

static json_t *parse(struct aws_parsing *parsing) {
  static const char *const id_headers[] = {"x-amzn-requestid", "x-amz-request-id", "x-amzn-request-id"};
  for (size_t i = 0; i < sizeof id_headers / sizeof *id_headers; i++)
    aws_set_request_id(parsing, aws_response_header(parsing->response, id_headers[i]));
  if (parsing->service->protocol == AWS_PROTOCOL_NONE) {
    no_protocol(parsing->service, parsing->error);
    return NULL;
  }
  if (parsing->response->status >= 301) return aws_parse_fault(parsing, parsing->response->status);
  if (aws_quirks_hidden_fault(parsing)) return aws_parse_fault(parsing, 500);
  json_t *result = protocols[parsing->service->protocol].parse(parsing);
  if (result && aws_quirks_after(parsing, result) != 0) {
    json_decref(result);
    result = NULL;
  }
  return result;
}

json_t *aws_parse_as(const struct aws_service *service, const struct aws_operation *operation,
                     const struct aws_http_response *response, enum aws_timestamps timestamps, int blobs_as_text,
                     char *request_id, struct error *error) {
  char own_id[96];
  struct error ignored = {0};
  struct aws_parsing parsing = {
      .service = service,
      .operation = operation,
      .output = aws_operation_output(operation),
      .response = response,
      .timestamps = timestamps,
      .blobs_as_text = blobs_as_text,
      .request_id = request_id ? request_id : own_id,
      .error = error ? error : &ignored,
  };
  parsing.request_id[0] = '\0';
  error_clear(error);
  json_t *result = parse(&parsing);
  if (result) return result;
  if (parsing.error->class == ERROR_NONE) out_of_memory(parsing.error);
  snprintf(parsing.error->request_id, sizeof parsing.error->request_id, "%s", parsing.request_id);
  error_where(parsing.error, "%s.%s", aws_service_name(service), aws_operation_name(operation));
  return NULL;
}

json_t *aws_parse(const struct aws_service *service, const struct aws_operation *operation,
                  const struct aws_http_response *response, char *request_id, struct error *error) {
  return aws_parse_as(service, operation, response, AWS_TIMESTAMPS_TEXT, 0, request_id, error);
}
