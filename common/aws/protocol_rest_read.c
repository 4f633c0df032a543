/* rest-json and rest-xml coming back: members out of the status, the headers and the body. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/protocol_internal.h"

/* "a, b": the list of a header. */
static json_t *header_list(struct aws_parsing *parsing, const struct aws_shape *shape, const char *text) {
  const struct aws_reference *element = &shape->members[0];
  const struct aws_shape *elements = aws_resolve(parsing->service, element, parsing->error);
  json_t *list = elements ? json_array() : NULL;
  while (list && text) {
    const char *comma = strchr(text, ',');
    size_t length = comma ? (size_t)(comma - text) : strlen(text);
    while (length > 0 && (*text == ' ' || *text == '\t')) text++, length--;
    while (length > 0 && (text[length - 1] == ' ' || text[length - 1] == '\t')) length--;
    char *one = strndup(text, length);
    json_t *value = one ? aws_scalar_value(parsing, element, elements, one, length) : NULL;
    free(one);
    if (json_array_append_new(list, value) != 0) {
      json_decref(list);
      return NULL;
    }
    text = comma ? comma + 1 : NULL;
  }
  return list;
}

static json_t *header_json(struct aws_parsing *parsing, const struct aws_reference *member, const char *text) {
  struct buffer json = {.ceiling = (size_t)1 << 20};
  json_t *value = NULL;
  if (aws_base64_decode(&json, text, strlen(text)) == 0) value = json_parse(buffer_text(&json), json.length, NULL);
  buffer_free(&json);
  return value ? value : aws_not_an_answer(parsing, "no base64 of JSON in", member->name);
}

static json_t *header_value(struct aws_parsing *parsing, const struct aws_reference *member, const char *text) {
  const struct aws_shape *shape = aws_resolve(parsing->service, member, parsing->error);
  if (!shape) return NULL;
  if (aws_has(member, AWS_JSON_VALUE)) return header_json(parsing, member, text);
  if (shape->type == AWS_TYPE_LIST) return header_list(parsing, shape, text);
  if (shape->type == AWS_TYPE_BOOLEAN) return json_boolean(strcasecmp(text, "true") == 0);
  return aws_scalar_value(parsing, member, shape, text, strlen(text));
}

/* All headers whose names begin with the member's, as a map without that prefix. */
static json_t *header_map(struct aws_parsing *parsing, const struct aws_reference *member) {
  const char *prefix = aws_wire(member, "");
  size_t length = strlen(prefix);
  json_t *map = json_object();
  for (size_t i = 0; map && i < parsing->response->header_count; i++) {
    const struct aws_http_header *header = &parsing->response->headers[i];
    if (strncasecmp(header->name, prefix, length) != 0) continue;
    json_object_set_new(map, header->name + length, aws_json_text(header->value, strlen(header->value)));
  }
  return map;
}

/* 0 when the member is not in the headers or the status, or not there; 1 with *value (NULL: the error is set). */
static int take_located(struct aws_parsing *parsing, const struct aws_reference *member, json_t **value) {
  const char *text;
  switch (member->traits.location) {
    case AWS_IN_STATUS:
      *value = json_integer(parsing->response->status);
      return 1;
    case AWS_IN_HEADERS:
      *value = header_map(parsing, member);
      return 1;
    case AWS_IN_HEADER:
      text = aws_response_header(parsing->response, aws_wire(member, member->name));
      if (!text || aws_quirks_drops_header(parsing, member, text)) return 0;
      *value = header_value(parsing, member, text);
      return 1;
    default:
      return 0;
  }
}

static int read_located(struct aws_parsing *parsing, const struct aws_shape *shape, json_t *into) {
  for (int i = 0; i < shape->member_count; i++) {
    json_t *value;
    if (!take_located(parsing, &shape->members[i], &value)) continue;
    if (json_object_set_new(into, shape->members[i].name, value) != 0) return -1;
  }
  return 0;
}

json_t *aws_body_value(struct aws_parsing *parsing, const struct aws_reference *reference, const char *bytes,
                       size_t length) {
  enum aws_protocol protocol = parsing->service->protocol;
  if (protocol == AWS_PROTOCOL_REST_JSON || protocol == AWS_PROTOCOL_JSON) {
    struct error wrong = {0};
    json_t *body = json_parse(bytes, length, &wrong);
    if (!body) return aws_not_an_answer(parsing, wrong.message, "");
    json_t *value = aws_json_value(parsing, reference, body, 0);
    json_decref(body);
    return value;
  }
  struct aws_xml *xml = aws_xml_parse(bytes, length, parsing->error);
  json_t *value = xml ? aws_xml_value(parsing, reference, aws_xml_root(xml), 0) : NULL;
  aws_xml_free(xml);
  return value;
}

static json_t *payload_value(struct aws_parsing *parsing, const struct aws_reference *member) {
  const struct aws_shape *shape = aws_resolve(parsing->service, member, parsing->error);
  const char *body = parsing->response->body ? parsing->response->body : "";
  if (!shape) return NULL;
  if (shape->type == AWS_TYPE_BLOB) return aws_bytes_value(parsing, body, parsing->response->body_length);
  if (shape->type == AWS_TYPE_STRING) return aws_json_text(body, parsing->response->body_length);
  return parsing->response->body_length > 0 ? aws_body_value(parsing, member, body, parsing->response->body_length)
                                            : json_object();
}

static int read_body(struct aws_parsing *parsing, const struct aws_shape *shape, json_t *into) {
  const char *payload = parsing->output->traits.payload;
  if (payload) {
    const struct aws_reference *member = aws_shape_member(shape, payload, strlen(payload));
    if (!member) return 0;
    if (aws_has(member, AWS_EVENT_STREAM)) return aws_parse_events(parsing, member, into);
    return json_object_set_new(into, member->name, payload_value(parsing, member));
  }
  if (parsing->response->body_length == 0) return 0;
  json_t *value = aws_body_value(parsing, parsing->output, parsing->response->body, parsing->response->body_length);
  int result = !value ? -1 : json_is_object(value) ? json_object_update(into, value) : 0;
  json_decref(value);
  return result;
}

json_t *aws_parse_rest(struct aws_parsing *parsing) {
  json_t *result = json_object();
  if (!parsing->output || !result) return result;
  const struct aws_shape *shape = aws_resolve(parsing->service, parsing->output, parsing->error);
  if (shape && read_located(parsing, shape, result) == 0 && read_body(parsing, shape, result) == 0) return result;
  json_decref(result);
  return NULL;
}
