/* Scalars as text and back: what queries, URIs, headers and XML have in common. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/protocol_internal.h"

/* ---- to text ---- */

int aws_set_header(struct aws_serializing *serializing, const char *name, const char *text, size_t length) {
  for (size_t i = 0; i < length; i++)
    if ((unsigned char)text[i] < ' ' && text[i] != '\t')
      return error_set(serializing->error, ERROR_INVALID, "InvalidHeader", "a control character in the header %s",
                       name);
  for (const char *byte = name; *byte; byte++)
    if ((unsigned char)*byte <= ' ' || *byte == ':')
      return error_set(serializing->error, ERROR_INVALID, "InvalidHeader", "not the name of a header: %s", name);
  if (json_object_set_new(serializing->headers, name, json_stringn(text, length)) != 0)
    return error_set(serializing->error, ERROR_FATAL, "OutOfMemory", "out of memory");
  return 0;
}

int aws_add_blob(struct aws_serializing *serializing, const json_t *value, int base64, struct buffer *to) {
  const char *text = json_string_value(value);
  size_t length = json_string_length(value);
  if (serializing->options.blobs_as_text) {
    if (base64)
      aws_base64_encode(to, text, length);
    else
      buffer_add(to, text, length);
    return 0;
  }
  struct buffer bytes = {.ceiling = AWS_REQUEST_CEILING};
  int wrong = aws_base64_decode(&bytes, text, length);
  if (wrong)
    error_set(serializing->error, ERROR_INVALID, "WrongType", "binary parameters are given as base64");
  else if (base64)
    aws_base64_encode(to, buffer_text(&bytes), bytes.length);
  else
    buffer_add(to, buffer_text(&bytes), bytes.length);
  buffer_free(&bytes);
  return wrong;
}

/* In headers (where RFC 822 is the form unless said) times are whole seconds, whatever the form. */
static int add_time(const struct aws_serializing *serializing, const struct aws_reference *reference,
                    const json_t *value, enum aws_time_format otherwise, struct buffer *to) {
  int64_t microseconds;
  char text[AWS_TIME_SIZE];
  if (aws_time_from_json(value, &microseconds) != 0) return -1;
  enum aws_time_format format = reference->traits.time_format;
  if (format == AWS_TIME_DEFAULT) format = otherwise;
  if (serializing->milliseconds && format != AWS_TIME_RFC822)
    format = format == AWS_TIME_UNIX ? AWS_TIME_UNIX_MS : AWS_TIME_ISO8601_MS;
  if (otherwise == AWS_TIME_RFC822) microseconds -= ((microseconds % 1000000) + 1000000) % 1000000;
  aws_time_text(microseconds, format, text);
  buffer_add_text(to, text);
  return 0;
}

static void add_number(const struct aws_shape *shape, const json_t *value, struct buffer *to) {
  char text[AWS_NUMBER_SIZE];
  int whole = shape->type == AWS_TYPE_INTEGER || shape->type == AWS_TYPE_LONG;
  if (json_is_integer(value)) {
    buffer_addf(to, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
  } else if (whole) {
    buffer_addf(to, "%.0f", json_real_value(value));
  } else if (json_is_real(value)) {
    aws_number_text(json_real_value(value), text);
    buffer_add_text(to, text);
  } else {
    buffer_add_text(to, json_string_value(value)); /* NaN and the infinities */
  }
}

int aws_add_scalar(struct aws_serializing *serializing, const struct aws_reference *reference,
                   const struct aws_shape *shape, const json_t *value, enum aws_time_format otherwise,
                   struct buffer *to) {
  switch (shape->type) {
    case AWS_TYPE_STRING:
      if (!json_is_string(value)) break;
      buffer_add(to, json_string_value(value), json_string_length(value));
      return 0;
    case AWS_TYPE_BOOLEAN:
      buffer_add_text(to, json_is_true(value) ? "true" : "false");
      return 0;
    case AWS_TYPE_TIMESTAMP:
      if (add_time(serializing, reference, value, otherwise, to) != 0) break;
      return 0;
    case AWS_TYPE_BLOB:
      if (!json_is_string(value)) break;
      return aws_add_blob(serializing, value, 1, to);
    case AWS_TYPE_INTEGER:
    case AWS_TYPE_LONG:
    case AWS_TYPE_FLOAT:
    case AWS_TYPE_DOUBLE:
      if (!json_is_number(value) && !json_is_string(value)) break;
      add_number(shape, value, to);
      return 0;
    default:
      break;
  }
  return error_set(serializing->error, ERROR_INVALID, "WrongType", "\"%s\" cannot be written as text", reference->name);
}

/* ---- from text ---- */

static json_t *unreadable(struct aws_parsing *parsing, const struct aws_reference *reference, const char *what) {
  return aws_not_an_answer(parsing, what, reference->name[0] ? reference->name : reference->shape_name);
}

json_t *aws_time_value(struct aws_parsing *parsing, const struct aws_reference *reference, int64_t microseconds) {
  (void)reference;
  if (parsing->timestamps == AWS_TIMESTAMPS_EPOCH)
    return microseconds % 1000000 ? json_real((double)microseconds / 1e6) : json_integer(microseconds / 1000000);
  char text[AWS_TIME_SIZE];
  aws_time_text(microseconds, AWS_TIME_ISO8601, text);
  return json_string(text);
}

json_t *aws_bytes_value(struct aws_parsing *parsing, const char *bytes, size_t length) {
  json_t *value = parsing->blobs_as_text ? json_stringn(bytes, length) : NULL;
  if (value) return value;
  struct buffer text = {0};
  aws_base64_encode(&text, bytes, length);
  value = text.failed ? NULL : json_stringn(buffer_text(&text), text.length);
  buffer_free(&text);
  return value;
}

json_t *aws_blob_value(struct aws_parsing *parsing, const struct aws_reference *reference, const char *text,
                       size_t length) {
  struct buffer bytes = {0};
  json_t *value = NULL;
  if (aws_base64_decode(&bytes, text, length) == 0)
    value = aws_bytes_value(parsing, buffer_text(&bytes), bytes.length);
  else
    unreadable(parsing, reference, "no base64 in");
  buffer_free(&bytes);
  return value;
}

static json_t *float_value(struct aws_parsing *parsing, const struct aws_reference *reference, const char *text) {
  double number;
  if (aws_number_parse(text, &number) != 0) return unreadable(parsing, reference, "no number in");
  json_t *value = json_real(number); /* JSON has no NaN and no infinity: they stay text */
  return value ? value : json_string(text);
}

json_t *aws_scalar_value(struct aws_parsing *parsing, const struct aws_reference *reference,
                         const struct aws_shape *shape, const char *text, size_t length) {
  json_int_t integer;
  int64_t microseconds;
  switch (shape->type) {
    case AWS_TYPE_STRING:
      return aws_json_text(text, length);
    case AWS_TYPE_BOOLEAN:
      return json_boolean(strcmp(text, "true") == 0);
    case AWS_TYPE_INTEGER:
    case AWS_TYPE_LONG:
      if (aws_integer_parse(text, &integer) == 0) return json_integer(integer);
      return unreadable(parsing, reference, "no whole number in");
    case AWS_TYPE_FLOAT:
    case AWS_TYPE_DOUBLE:
      return float_value(parsing, reference, text);
    case AWS_TYPE_TIMESTAMP:
      if (aws_time_parse(text, &microseconds) == 0) return aws_time_value(parsing, reference, microseconds);
      return unreadable(parsing, reference, "no timestamp in");
    case AWS_TYPE_BLOB:
      return aws_blob_value(parsing, reference, text, length);
    default:
      return unreadable(parsing, reference, "text instead of a structure in");
  }
}
