/* rest-json and rest-xml going out: members land in the path, the query, headers or the body, as the model says. */
#include <stdio.h>
#include <string.h>

#include "aws/protocol_internal.h"

/* The parameters, sorted by where they go. */
struct parts {
  json_t *labels; /* path label → text */
  json_t *query;  /* name → text or list of texts */
  json_t *body;   /* members that are left */
};

/* New JSON string of a scalar; NULL with the error set. */
static json_t *scalar_text(struct aws_serializing *serializing, const struct aws_reference *reference,
                           const json_t *value, enum aws_time_format otherwise) {
  const struct aws_shape *shape = aws_resolve(serializing->service, reference, serializing->error);
  struct buffer text = {.ceiling = AWS_REQUEST_CEILING};
  json_t *result = NULL;
  if (shape && aws_add_scalar(serializing, reference, shape, value, otherwise, &text) == 0)
    result = json_stringn(buffer_text(&text), text.length);
  buffer_free(&text);
  return result;
}

static int put_label(struct aws_serializing *serializing, struct parts *parts, const struct aws_reference *member,
                     const json_t *value) {
  json_t *text = scalar_text(serializing, member, value, AWS_TIME_ISO8601);
  if (text && json_string_length(text) == 0) { /* it would name another resource: the collection */
    json_decref(text);
    error_set(serializing->error, ERROR_INVALID, "EmptyLabel", "\"%s\" is part of the path: it cannot be empty",
              member->name);
    return error_where(serializing->error, "/%s", member->name);
  }
  return json_object_set_new(parts->labels, aws_wire(member, member->name), text);
}

static int put_query_list(struct aws_serializing *serializing, struct parts *parts, const struct aws_reference *member,
                          const struct aws_shape *shape, const json_t *value) {
  json_t *texts = json_array(), *inner;
  size_t i;
  json_array_foreach((json_t *)value, i, inner) {
    if (json_is_null(inner)) continue;
    if (json_array_append_new(texts, scalar_text(serializing, &shape->members[0], inner, AWS_TIME_ISO8601)) != 0) {
      json_decref(texts);
      return -1;
    }
  }
  return json_object_set_new(parts->query, aws_wire(member, member->name), texts);
}

/* A map in the query: each entry is a parameter of its own. */
static int put_query_map(struct aws_serializing *serializing, struct parts *parts, const struct aws_shape *shape,
                         const json_t *value) {
  const struct aws_reference *reference = &shape->members[1];
  const struct aws_shape *values = aws_resolve(serializing->service, reference, serializing->error);
  const char *name;
  json_t *inner;
  if (!values) return -1;
  json_object_foreach((json_t *)value, name, inner) {
    int fine =
        json_is_null(inner) || json_is_array(inner)
            ? json_object_set(parts->query, name, inner)
            : json_object_set_new(parts->query, name, scalar_text(serializing, reference, inner, AWS_TIME_ISO8601));
    if (fine != 0) return -1;
  }
  return 0;
}

static int put_query(struct aws_serializing *serializing, struct parts *parts, const struct aws_reference *member,
                     const struct aws_shape *shape, const json_t *value) {
  if (shape->type == AWS_TYPE_MAP) return put_query_map(serializing, parts, shape, value);
  if (shape->type == AWS_TYPE_LIST) return put_query_list(serializing, parts, member, shape, value);
  return json_object_set_new(parts->query, aws_wire(member, member->name),
                             scalar_text(serializing, member, value, AWS_TIME_ISO8601));
}

/* One element of a list in a header: quoted when it has what would end it. */
static void add_list_element(struct buffer *to, const json_t *text, int is_string) {
  const char *bytes = json_string_value(text);
  if (!is_string || !strpbrk(bytes, "\",")) {
    buffer_add_text(to, bytes);
    return;
  }
  buffer_add_char(to, '"');
  for (; *bytes; bytes++) {
    if (*bytes == '"') buffer_add_char(to, '\\');
    buffer_add_char(to, *bytes);
  }
  buffer_add_char(to, '"');
}

static int add_header_list(struct aws_serializing *serializing, const struct aws_shape *shape, const json_t *value,
                           struct buffer *to) {
  const struct aws_reference *element = &shape->members[0];
  const struct aws_shape *elements = aws_resolve(serializing->service, element, serializing->error);
  size_t i;
  json_t *inner;
  if (!elements) return -1;
  json_array_foreach((json_t *)value, i, inner) {
    if (json_is_null(inner)) continue;
    json_t *text = scalar_text(serializing, element, inner, AWS_TIME_RFC822);
    if (!text) return -1;
    if (to->length > 0) buffer_add_char(to, ',');
    add_list_element(to, text, elements->type == AWS_TYPE_STRING);
    json_decref(text);
  }
  return 0;
}

static int add_header_text(struct aws_serializing *serializing, const struct aws_reference *member,
                           const struct aws_shape *shape, const json_t *value, struct buffer *to) {
  if (aws_has(member, AWS_JSON_VALUE)) {
    struct buffer json = {.ceiling = AWS_REQUEST_CEILING};
    aws_json_add(&json, value);
    aws_base64_encode(to, buffer_text(&json), json.length);
    buffer_free(&json);
    return 0;
  }
  if (shape->type == AWS_TYPE_LIST) return add_header_list(serializing, shape, value, to);
  return aws_add_scalar(serializing, member, shape, value, AWS_TIME_RFC822, to);
}

static int put_header(struct aws_serializing *serializing, const struct aws_reference *member,
                      const struct aws_shape *shape, const json_t *value) {
  if (shape->type == AWS_TYPE_LIST && json_array_size(value) == 0) return 0;
  struct buffer text = {.ceiling = (size_t)1 << 20};
  int result = add_header_text(serializing, member, shape, value, &text);
  if (result == 0)
    result = aws_set_header(serializing, aws_wire(member, member->name), buffer_text(&text), text.length);
  buffer_free(&text);
  return result;
}

/* A map in the headers: the member's name is the prefix. */
static int put_headers(struct aws_serializing *serializing, const struct aws_reference *member, const json_t *value) {
  const char *key;
  json_t *inner;
  json_object_foreach((json_t *)value, key, inner) {
    char name[512];
    int length = snprintf(name, sizeof name, "%s%s", aws_wire(member, ""), key);
    if (!json_is_string(inner)) continue;
    if (length < 0 || (size_t)length >= sizeof name)
      return error_set(serializing->error, ERROR_INVALID, "InvalidHeader", "the name of a header is too long");
    if (aws_set_header(serializing, name, json_string_value(inner), json_string_length(inner)) != 0) return -1;
  }
  return 0;
}

static int put_member(struct aws_serializing *serializing, struct parts *parts, const struct aws_reference *member,
                      json_t *value) {
  const struct aws_shape *shape = aws_resolve(serializing->service, member, serializing->error);
  if (!shape) return -1;
  switch (member->traits.location) {
    case AWS_IN_URI:
      return put_label(serializing, parts, member, value);
    case AWS_IN_QUERY:
      return put_query(serializing, parts, member, shape, value);
    case AWS_IN_HEADER:
      return put_header(serializing, member, shape, value);
    case AWS_IN_HEADERS:
      return put_headers(serializing, member, value);
    default:
      return json_object_set(parts->body, member->name, value);
  }
}

static int sort_members(struct aws_serializing *serializing, struct parts *parts) {
  const struct aws_shape *shape =
      serializing->input ? aws_resolve(serializing->service, serializing->input, serializing->error) : NULL;
  if (serializing->input && !shape) return -1;
  const char *name;
  json_t *value;
  json_object_foreach(serializing->params, name, value) {
    const struct aws_reference *member = shape ? aws_shape_member(shape, name, strlen(name)) : NULL;
    if (member && put_member(serializing, parts, member, value) != 0) return -1;
  }
  return 0;
}

/* "{Name}" or "{Name+}": the latter keeps its slashes. */
static int add_label(struct aws_serializing *serializing, const struct parts *parts, const char *name, size_t length) {
  char label[128];
  int greedy = length > 0 && name[length - 1] == '+';
  snprintf(label, sizeof label, "%.*s", (int)(length - (size_t)greedy), name);
  const json_t *text = json_object_get(parts->labels, label);
  if (!text)
    return error_set(serializing->error, ERROR_INVALID, "MissingParameter", "\"%s\" is needed for the path", label);
  aws_percent_encode(&serializing->uri, json_string_value(text), json_string_length(text), greedy ? "/" : "");
  return 0;
}

static int add_path(struct aws_serializing *serializing, const struct parts *parts) {
  const json_t *http = json_object_get(aws_operation_definition(serializing->operation), "http");
  const char *template = json_string_value(json_object_get(http, "requestUri"));
  if (!template || !*template) template = "/";
  while (*template) {
    const char *close = *template == '{' ? strchr(template, '}') : NULL;
    if (!close) {
      buffer_add_char(&serializing->uri, *template ++);
      continue;
    }
    if (add_label(serializing, parts, template + 1, (size_t)(close - template) - 1) != 0) return -1;
    template = close + 1;
  }
  return 0;
}

static void add_pair(struct buffer *uri, const char *name, const json_t *text) {
  buffer_add_char(uri, memchr(buffer_text(uri), '?', uri->length) ? '&' : '?');
  aws_percent_encode(uri, name, strlen(name), "");
  buffer_add_char(uri, '=');
  if (json_is_string(text)) aws_percent_encode(uri, json_string_value(text), json_string_length(text), "");
}

static void add_query(struct aws_serializing *serializing, const struct parts *parts) {
  const char *name;
  json_t *text, *inner;
  size_t i;
  json_object_foreach(parts->query, name, text) {
    if (!json_is_array(text)) add_pair(&serializing->uri, name, text);
    json_array_foreach(text, i, inner) { add_pair(&serializing->uri, name, inner); }
  }
}

/* Writes a structure as the body. */
static int add_body(struct aws_serializing *serializing, const struct aws_reference *reference, const json_t *value) {
  serializing->has_body = 1;
  if (serializing->service->protocol == AWS_PROTOCOL_REST_JSON) return aws_add_json(serializing, reference, value);
  return aws_add_xml(serializing, reference, value, aws_wire(reference, reference->shape_name));
}

/* The model names one member that is the body: bytes or text as they are, a structure in the protocol's form. */
static int add_payload(struct aws_serializing *serializing, const struct aws_reference *member,
                       const struct aws_shape *shape) {
  const json_t *value = json_object_get(serializing->params, member->name);
  int streams = shape->type == AWS_TYPE_BLOB || shape->type == AWS_TYPE_STRING;
  if (aws_has(member, AWS_EVENT_STREAM))
    return error_set(serializing->error, ERROR_INVALID, "EventStream",
                     "operations with event streams are not supported");
  if (!value) {
    int is_json = serializing->service->protocol == AWS_PROTOCOL_REST_JSON;
    serializing->has_body = is_json && !streams;
    return serializing->has_body ? buffer_add_text(&serializing->body, "{}") : 0;
  }
  if (!streams) return add_body(serializing, member, value);
  serializing->has_body = 1;
  if (shape->type == AWS_TYPE_BLOB) return aws_add_blob(serializing, value, 0, &serializing->body);
  return buffer_add(&serializing->body, json_string_value(value), json_string_length(value));
}

/* rest-json sends "{}" rather than nothing when the shape has members for the body, even if none is given. */
static int wants_empty_body(const struct aws_shape *shape) {
  for (int i = 0; i < shape->member_count; i++)
    if (shape->members[i].traits.location == AWS_IN_BODY) return 1;
  return 0;
}

static int set_content_type(struct aws_serializing *serializing, const char *type) {
  const char *name;
  json_t *text;
  json_object_foreach(serializing->headers, name, text) {
    if (strcasecmp(name, "Content-Type") == 0) return 0;
  }
  return aws_set_header(serializing, "Content-Type", type, strlen(type));
}

static int write_body(struct aws_serializing *serializing, const struct parts *parts, const struct aws_shape *shape) {
  int is_json = serializing->service->protocol == AWS_PROTOCOL_REST_JSON, result = 0;
  enum aws_type type = AWS_TYPE_STRUCTURE;
  const char *payload = serializing->input->traits.payload;
  if (payload) {
    const struct aws_reference *member = aws_shape_member(shape, payload, strlen(payload));
    const struct aws_shape *inner = member ? aws_resolve(serializing->service, member, serializing->error) : NULL;
    if (!inner)
      return error_set(serializing->error, ERROR_FATAL, "Models", "%s has no member %s", shape->name, payload);
    type = inner->type;
    result = add_payload(serializing, member, inner);
  } else if (json_object_size(parts->body) > 0) {
    result = add_body(serializing, serializing->input, parts->body);
  } else if (is_json && wants_empty_body(shape)) {
    serializing->has_body = 1;
    buffer_add_text(&serializing->body, "{}");
  }
  if (result != 0 || !is_json || type == AWS_TYPE_STRING) return result;
  if (type == AWS_TYPE_BLOB) return set_content_type(serializing, "application/octet-stream");
  return serializing->body.length > 0 ? set_content_type(serializing, "application/json") : 0;
}

static int serialize(struct aws_serializing *serializing, struct parts *parts) {
  if (!parts->labels || !parts->query || !parts->body || sort_members(serializing, parts) != 0) return -1;
  if (add_path(serializing, parts) != 0) return -1;
  add_query(serializing, parts);
  if (!serializing->input) return 0;
  return write_body(serializing, parts, aws_resolve(serializing->service, serializing->input, serializing->error));
}

int aws_serialize_rest(struct aws_serializing *serializing) {
  struct parts parts = {.labels = json_object(), .query = json_object(), .body = json_object()};
  int result = serialize(serializing, &parts);
  json_decref(parts.labels);
  json_decref(parts.query);
  json_decref(parts.body);
  if (result != 0 && serializing->error->class == ERROR_NONE)
    error_set(serializing->error, ERROR_FATAL, "OutOfMemory", "out of memory");
  return result;
}
