/* JSON both ways (json 1.0 and 1.1 whole; the bodies of rest-json). */
#include <stdio.h>
#include <string.h>

#include "aws/protocol_internal.h"

/* ---- to JSON ---- */

static void add_key(struct buffer *to, const char *key, int *first) {
  if (!*first) buffer_add_char(to, ',');
  *first = 0;
  buffer_add_char(to, '"');
  buffer_add_json_escaped(to, key, strlen(key));
  buffer_add_text(to, "\":");
}

static int add_structure(struct aws_serializing *serializing, const struct aws_shape *shape, const json_t *value) {
  const char *key;
  json_t *inner;
  int first = 1;
  buffer_add_char(&serializing->body, '{');
  json_object_foreach((json_t *)value, key, inner) {
    const struct aws_reference *member = aws_shape_member(shape, key, strlen(key));
    if (!member || json_is_null(inner)) continue;
    add_key(&serializing->body, aws_wire(member, key), &first);
    if (aws_add_json(serializing, member, inner) != 0) return -1;
  }
  buffer_add_char(&serializing->body, '}');
  return 0;
}

static int add_map(struct aws_serializing *serializing, const struct aws_shape *shape, const json_t *value) {
  const char *key;
  json_t *inner;
  int first = 1;
  buffer_add_char(&serializing->body, '{');
  json_object_foreach((json_t *)value, key, inner) {
    add_key(&serializing->body, key, &first);
    if (aws_add_json(serializing, &shape->members[1], inner) != 0) return -1;
  }
  buffer_add_char(&serializing->body, '}');
  return 0;
}

static int add_list(struct aws_serializing *serializing, const struct aws_shape *shape, const json_t *value) {
  size_t i;
  json_t *inner;
  buffer_add_char(&serializing->body, '[');
  json_array_foreach((json_t *)value, i, inner) {
    if (i > 0) buffer_add_char(&serializing->body, ',');
    if (aws_add_json(serializing, &shape->members[0], inner) != 0) return -1;
  }
  buffer_add_char(&serializing->body, ']');
  return 0;
}

static int is_quoted(const struct aws_reference *reference, const struct aws_shape *shape, const json_t *value) {
  if (shape->type == AWS_TYPE_TIMESTAMP) {
    enum aws_time_format format = reference->traits.time_format;
    return format == AWS_TIME_ISO8601 || format == AWS_TIME_RFC822;
  }
  return shape->type == AWS_TYPE_BLOB || json_is_string(value);
}

static int add_scalar(struct aws_serializing *serializing, const struct aws_reference *reference,
                      const struct aws_shape *shape, const json_t *value) {
  struct buffer *body = &serializing->body;
  if (shape->type == AWS_TYPE_STRING) {
    aws_json_add(body, value);
    return 0;
  }
  const char *quote = is_quoted(reference, shape, value) ? "\"" : "";
  buffer_add_text(body, quote);
  if (aws_add_scalar(serializing, reference, shape, value, AWS_TIME_UNIX, body) != 0) return -1;
  buffer_add_text(body, quote);
  return 0;
}

int aws_add_json(struct aws_serializing *serializing, const struct aws_reference *reference, const json_t *value) {
  const struct aws_shape *shape = aws_resolve(serializing->service, reference, serializing->error);
  if (!shape) return -1;
  if (json_is_null(value) || (shape->type == AWS_TYPE_STRUCTURE && aws_has(reference, AWS_DOCUMENT))) {
    aws_json_add(&serializing->body, value);
    return 0;
  }
  switch (shape->type) {
    case AWS_TYPE_STRUCTURE:
      return add_structure(serializing, shape, value);
    case AWS_TYPE_LIST:
      return add_list(serializing, shape, value);
    case AWS_TYPE_MAP:
      return add_map(serializing, shape, value);
    default:
      return add_scalar(serializing, reference, shape, value);
  }
}

static int set_json_headers(struct aws_serializing *serializing) {
  const char *version = aws_metadata_text(serializing->service, "jsonVersion");
  char target[256], type[64];
  int length = snprintf(target, sizeof target, "%s.%s", aws_metadata_text(serializing->service, "targetPrefix"),
                        aws_operation_name(serializing->operation));
  if (length < 0 || (size_t)length >= sizeof target)
    return error_set(serializing->error, ERROR_INVALID, "Models", "the operation's name is too long");
  if (aws_set_header(serializing, "X-Amz-Target", target, (size_t)length) != 0) return -1;
  snprintf(type, sizeof type, "application/x-amz-json-%s", *version ? version : "1.0");
  if (aws_set_header(serializing, "Content-Type", type, strlen(type)) != 0) return -1;
  if (!json_object_get(serializing->service->metadata, "awsQueryCompatible")) return 0;
  return aws_set_header(serializing, "x-amzn-query-mode", "true", 4);
}

int aws_serialize_json(struct aws_serializing *serializing) {
  serializing->has_body = 1;
  buffer_add_text(&serializing->uri, "/");
  if (set_json_headers(serializing) != 0) return -1;
  if (serializing->input) return aws_add_json(serializing, serializing->input, serializing->params);
  return buffer_add_text(&serializing->body, "{}");
}

/* ---- from JSON ---- */

static json_t *wrong_type(struct aws_parsing *parsing, const struct aws_reference *reference) {
  return aws_not_an_answer(parsing, "an unexpected type in",
                           reference->name[0] ? reference->name : reference->shape_name);
}

/* {"SDK_UNKNOWN_MEMBER": {"name": …}} for a union's member that the model does not know, as botocore has it. */
static json_t *unknown_union(const char *name) { return json_pack("{s:{s:s}}", "SDK_UNKNOWN_MEMBER", "name", name); }

static int check_union(struct aws_parsing *parsing, const struct aws_reference *reference,
                       const struct aws_shape *shape, json_t *value, json_t **unknown) {
  const char *key, *name = NULL;
  json_t *inner;
  int count = 0;
  json_object_foreach(value, key, inner) {
    if (json_is_null(inner) || strcmp(key, "__type") == 0) continue;
    count++;
    name = key;
  }
  if (count != 1) return wrong_type(parsing, reference) ? 0 : -1;
  if (!aws_shape_wire_member(shape, name)) *unknown = unknown_union(name);
  return 0;
}

static json_t *structure_value(struct aws_parsing *parsing, const struct aws_reference *reference,
                               const struct aws_shape *shape, json_t *value, int depth) {
  const char *key;
  json_t *inner, *unknown = NULL;
  if (!json_is_object(value)) return wrong_type(parsing, reference);
  if ((aws_has(reference, AWS_UNION)) && check_union(parsing, reference, shape, value, &unknown) != 0) return NULL;
  if (unknown) return unknown;
  json_t *result = json_object();
  json_object_foreach(value, key, inner) {
    const struct aws_reference *member = json_is_null(inner) ? NULL : aws_shape_wire_member(shape, key);
    for (; member; member = member->same_wire >= 0 ? &shape->members[member->same_wire] : NULL)
      if (json_object_set_new_nocheck(result, member->name, aws_json_value(parsing, member, inner, depth + 1)) != 0) {
        json_decref(result);
        return NULL;
      }
  }
  return result;
}

static json_t *list_value(struct aws_parsing *parsing, const struct aws_reference *reference,
                          const struct aws_shape *shape, json_t *value, int depth) {
  size_t i;
  json_t *inner;
  if (!json_is_array(value)) return wrong_type(parsing, reference);
  json_t *result = json_array();
  json_array_foreach(value, i, inner) {
    if (json_array_append_new(result, aws_json_value(parsing, &shape->members[0], inner, depth + 1)) != 0) {
      json_decref(result);
      return NULL;
    }
  }
  return result;
}

static json_t *map_value(struct aws_parsing *parsing, const struct aws_reference *reference,
                         const struct aws_shape *shape, json_t *value, int depth) {
  const char *key;
  json_t *inner;
  if (!json_is_object(value)) return wrong_type(parsing, reference);
  json_t *result = json_object();
  json_object_foreach(value, key, inner) {
    if (json_object_set_new_nocheck(result, key, aws_json_value(parsing, &shape->members[1], inner, depth + 1)) != 0) {
      json_decref(result);
      return NULL;
    }
  }
  return result;
}

/* rest-json is lenient about scalars that come as text; json takes them as they are. */
static json_t *scalar_value(struct aws_parsing *parsing, const struct aws_reference *reference,
                            const struct aws_shape *shape, json_t *value) {
  int64_t microseconds;
  const char *text = json_string_value(value);
  switch (shape->type) {
    case AWS_TYPE_TIMESTAMP:
      if (aws_time_from_json(value, &microseconds) != 0) return wrong_type(parsing, reference);
      return aws_time_value(parsing, reference, microseconds);
    case AWS_TYPE_BLOB:
      if (!text) return wrong_type(parsing, reference);
      return aws_blob_value(parsing, reference, text, json_string_length(value));
    case AWS_TYPE_STRING:
      return json_incref(value);
    default:
      if (!text || parsing->service->protocol == AWS_PROTOCOL_JSON) return json_incref(value);
      if (shape->type == AWS_TYPE_BOOLEAN) return json_boolean(strcasecmp(text, "true") == 0);
      return aws_scalar_value(parsing, reference, shape, text, json_string_length(value));
  }
}

json_t *aws_json_value(struct aws_parsing *parsing, const struct aws_reference *reference, json_t *value, int depth) {
  const struct aws_shape *shape = aws_resolve(parsing->service, reference, parsing->error);
  if (!shape) return NULL;
  if (depth > AWS_DEPTH_CEILING) return wrong_type(parsing, reference);
  if (json_is_null(value) || (shape->type == AWS_TYPE_STRUCTURE && aws_has(reference, AWS_DOCUMENT)))
    return json_incref(value);
  switch (shape->type) {
    case AWS_TYPE_STRUCTURE:
      return structure_value(parsing, reference, shape, value, depth);
    case AWS_TYPE_LIST:
      return list_value(parsing, reference, shape, value, depth);
    case AWS_TYPE_MAP:
      return map_value(parsing, reference, shape, value, depth);
    default:
      return scalar_value(parsing, reference, shape, value);
  }
}

static json_t *parse_stream(struct aws_parsing *parsing, const struct aws_reference *member) {
  json_t *result = json_object();
  if (result && aws_parse_events(parsing, member, result) == 0) return result;
  json_decref(result);
  return NULL;
}

json_t *aws_parse_json(struct aws_parsing *parsing) {
  const struct aws_http_response *response = parsing->response;
  if (!parsing->output) return json_object();
  if (!aws_resolve(parsing->service, parsing->output, parsing->error)) return NULL;
  const struct aws_reference *stream = aws_event_member(parsing);
  if (stream) return parse_stream(parsing, stream);
  if (response->body_length == 0) return json_object();
  json_t *result = aws_body_value(parsing, parsing->output, response->body, response->body_length);
  if (!json_is_null(result)) return result;
  json_decref(result);
  return json_object();
}
