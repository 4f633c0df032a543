/* A value as XML (the bodies of rest-xml), laid out as ElementTree writes it: botocore's bytes. */
#include <string.h>

#include "aws/protocol_internal.h"

static void add_escaped(struct buffer *to, const char *text, size_t length, int attribute) {
  for (size_t i = 0; i < length; i++) {
    switch (text[i]) {
      case '&':
        buffer_add_text(to, "&amp;");
        break;
      case '<':
        buffer_add_text(to, "&lt;");
        break;
      case '>':
        buffer_add_text(to, "&gt;");
        break;
      case '\r': /* a reader would turn a bare one into a line feed: keys of S3 objects may have it */
        buffer_add_text(to, "&#xD;");
        break;
      case '"':
        buffer_add_text(to, attribute ? "&quot;" : "\"");
        break;
      case '\n':
        buffer_add_text(to, attribute ? "&#xA;" : "\n");
        break;
      default:
        buffer_add_char(to, text[i]);
    }
  }
}

static void add_attribute(struct buffer *to, const char *name, const char *value, size_t length) {
  buffer_addf(to, " %s=\"", name);
  add_escaped(to, value, length, 1);
  buffer_add_char(to, '"');
}

/* "<name xmlns…", still open for attributes. */
static void open_element(struct buffer *to, const struct aws_reference *reference, const char *name) {
  const struct aws_traits *traits = &reference->traits;
  buffer_addf(to, "<%s", name);
  if (!traits->xml_uri) return;
  char space[64] = "xmlns";
  if (traits->xml_prefix && strlen(traits->xml_prefix) < 48) {
    snprintf(space, sizeof space, "xmlns:%s", traits->xml_prefix);
  }
  add_attribute(to, space, traits->xml_uri, strlen(traits->xml_uri));
}

/* Ends an element; one that got no content since `start` becomes "<name />". */
static void close_element(struct buffer *to, const char *name, size_t start) {
  if (to->length == start && start > 0 && !to->failed) {
    to->length--; /* the '>' */
    buffer_add_text(to, " />");
  } else {
    buffer_addf(to, "</%s>", name);
  }
}

static void add_attributes(struct buffer *to, const struct aws_shape *shape, const json_t *value) {
  const char *key;
  json_t *inner;
  json_object_foreach((json_t *)value, key, inner) {
    const struct aws_reference *member = aws_shape_member(shape, key, strlen(key));
    if (member && aws_has(member, AWS_XML_ATTRIBUTE) && json_is_string(inner))
      add_attribute(to, aws_wire(member, key), json_string_value(inner), json_string_length(inner));
  }
}

static int add_structure(struct aws_serializing *serializing, const struct aws_reference *reference,
                         const struct aws_shape *shape, const json_t *value, const char *name) {
  struct buffer *body = &serializing->body;
  open_element(body, reference, name);
  add_attributes(body, shape, value);
  buffer_add_char(body, '>');
  size_t start = body->length;
  const char *key;
  json_t *inner;
  json_object_foreach((json_t *)value, key, inner) {
    const struct aws_reference *member = aws_shape_member(shape, key, strlen(key));
    if (!member || json_is_null(inner) || aws_has(member, AWS_XML_ATTRIBUTE)) continue;
    if (aws_add_xml(serializing, member, inner, aws_wire(member, key)) != 0) return -1;
  }
  close_element(body, name, start);
  return 0;
}

static int add_list(struct aws_serializing *serializing, const struct aws_reference *reference,
                    const struct aws_shape *shape, const json_t *value, const char *name) {
  struct buffer *body = &serializing->body;
  int flattened = aws_has(reference, AWS_FLATTENED);
  const char *element = flattened ? name : aws_wire(&shape->members[0], "member");
  size_t i, start = 0;
  json_t *inner;
  if (!flattened) {
    open_element(body, reference, name);
    buffer_add_char(body, '>');
    start = body->length;
  }
  json_array_foreach((json_t *)value, i, inner) {
    if (!json_is_null(inner) && aws_add_xml(serializing, &shape->members[0], inner, element) != 0) return -1;
  }
  if (!flattened) close_element(body, name, start);
  return 0;
}

static int add_entry(struct aws_serializing *serializing, const struct aws_shape *shape, const char *key,
                     const json_t *value, const char *name) {
  struct buffer *body = &serializing->body;
  const char *key_name = aws_wire(&shape->members[0], "key");
  buffer_addf(body, "<%s>", name);
  open_element(body, &shape->members[0], key_name);
  buffer_add_char(body, '>');
  size_t start = body->length;
  add_escaped(body, key, strlen(key), 0);
  close_element(body, key_name, start);
  if (aws_add_xml(serializing, &shape->members[1], value, aws_wire(&shape->members[1], "value")) != 0) return -1;
  buffer_addf(body, "</%s>", name);
  return 0;
}

static int add_map(struct aws_serializing *serializing, const struct aws_reference *reference,
                   const struct aws_shape *shape, const json_t *value, const char *name) {
  struct buffer *body = &serializing->body;
  int flattened = aws_has(reference, AWS_FLATTENED);
  size_t start = 0;
  const char *key;
  json_t *inner;
  if (!flattened) {
    open_element(body, reference, name);
    buffer_add_char(body, '>');
    start = body->length;
  }
  json_object_foreach((json_t *)value, key, inner) {
    if (!json_is_null(inner) && add_entry(serializing, shape, key, inner, flattened ? name : "entry") != 0) return -1;
  }
  if (!flattened) close_element(body, name, start);
  return 0;
}

static int add_scalar(struct aws_serializing *serializing, const struct aws_reference *reference,
                      const struct aws_shape *shape, const json_t *value, const char *name) {
  struct buffer text = {.ceiling = AWS_REQUEST_CEILING};
  int result = aws_add_scalar(serializing, reference, shape, value, AWS_TIME_ISO8601, &text);
  if (result == 0) {
    struct buffer *body = &serializing->body;
    open_element(body, reference, name);
    buffer_add_char(body, '>');
    size_t start = body->length;
    add_escaped(body, buffer_text(&text), text.length, 0);
    close_element(body, name, start);
  }
  buffer_free(&text);
  return result;
}

int aws_add_xml(struct aws_serializing *serializing, const struct aws_reference *reference, const json_t *value,
                const char *name) {
  const struct aws_shape *shape = aws_resolve(serializing->service, reference, serializing->error);
  if (!shape) return -1;
  switch (shape->type) {
    case AWS_TYPE_STRUCTURE:
      return add_structure(serializing, reference, shape, value, name);
    case AWS_TYPE_LIST:
      return add_list(serializing, reference, shape, value, name);
    case AWS_TYPE_MAP:
      return add_map(serializing, reference, shape, value, name);
    default:
      return add_scalar(serializing, reference, shape, value, name);
  }
}
