/* The canonical text: compact, keys sorted by bytes, and one spelling for each number, so that values that json_same()
 * calls equal have the same text (jansson's own dump writes 1.1 as 1.1000000000000001 in some versions, and 1.0 other
 * than 1: hashes would depend on the library's version). */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "json/value_internal.h"

static int add_value(struct buffer *buffer, const json_t *value, int depth);

/* The shortest of the three precisions that reads back as the same double. */
static int add_real(struct buffer *buffer, double real) {
  if (real == trunc(real) && real >= -9223372036854775808.0 && real < 9223372036854775808.0)
    return buffer_addf(buffer, "%" PRId64, (int64_t)real);
  char text[40];
  for (int digits = 15; digits <= 17; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, real);
    if (strtod(text, NULL) == real) break;
  }
  return buffer_add_text(buffer, text);
}

static int add_string(struct buffer *buffer, const char *text, size_t length) {
  buffer_add_char(buffer, '"');
  buffer_add_json_escaped(buffer, text, length);
  return buffer_add_char(buffer, '"');
}

static int add_array(struct buffer *buffer, const json_t *array, int depth) {
  size_t index;
  json_t *item;
  buffer_add_char(buffer, '[');
  json_array_foreach(array, index, item) {
    if (index > 0) buffer_add_char(buffer, ',');
    if (add_value(buffer, item, depth) != 0) return -1;
  }
  return buffer_add_char(buffer, ']');
}

struct member {
  const char *key;
  size_t length;
  json_t *value;
};

static int compare_members(const void *left, const void *right) {
  const struct member *a = left, *b = right;
  int order = memcmp(a->key, b->key, a->length < b->length ? a->length : b->length);
  return order != 0 ? order : (a->length > b->length) - (a->length < b->length);
}

static struct member *sorted_members(json_t *object, size_t size) {
  struct member *members = calloc(size + 1, sizeof *members);
  if (!members) return NULL;
  size_t count = 0;
  for (void *at = json_object_iter(object); at && count < size; at = json_object_iter_next(object, at))
    members[count++] =
        (struct member){json_object_iter_key(at), json_object_iter_key_len(at), json_object_iter_value(at)};
  qsort(members, count, sizeof *members, compare_members);
  return members;
}

static int add_object(struct buffer *buffer, const json_t *object, int depth) {
  size_t size = json_object_size(object);
  struct member *members = sorted_members((json_t *)object, size);
  if (!members) return -1;
  int result = 0;
  buffer_add_char(buffer, '{');
  for (size_t i = 0; result == 0 && i < size; i++) {
    if (i > 0) buffer_add_char(buffer, ',');
    add_string(buffer, members[i].key, members[i].length);
    buffer_add_char(buffer, ':');
    result = add_value(buffer, members[i].value, depth);
  }
  buffer_add_char(buffer, '}');
  free(members);
  return result;
}

static int add_value(struct buffer *buffer, const json_t *value, int depth) {
  if (depth > 2 * JSON_DEPTH || buffer->failed) return -1;
  if (!value) return buffer_add_text(buffer, "null");
  switch (json_typeof(value)) {
    case JSON_OBJECT:
      return add_object(buffer, value, depth + 1);
    case JSON_ARRAY:
      return add_array(buffer, value, depth + 1);
    case JSON_STRING:
      return add_string(buffer, json_string_value(value), json_string_length(value));
    case JSON_INTEGER:
      return buffer_addf(buffer, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    case JSON_REAL:
      return add_real(buffer, json_real_value(value));
    case JSON_TRUE:
      return buffer_add_text(buffer, "true");
    case JSON_FALSE:
      return buffer_add_text(buffer, "false");
    default:
      return buffer_add_text(buffer, "null");
  }
}

int json_add_text(struct buffer *buffer, const json_t *value) {
  int result = add_value(buffer, value, 0);
  return buffer->failed ? -1 : result;
}

char *json_text(const json_t *value) {
  struct buffer buffer = {.ceiling = SIZE_MAX / 4};
  if (json_add_text(&buffer, value) == 0) return buffer_take(&buffer);
  buffer_free(&buffer);
  return NULL;
}

static int on_written(const char *bytes, size_t length, void *buffer) { return buffer_add(buffer, bytes, length); }

char *json_written(const json_t *value) {
  struct buffer buffer = {0};
  if (value && json_dump_callback(value, on_written, &buffer, JSON_COMPACT | JSON_ENCODE_ANY) == 0)
    return buffer_take(&buffer);
  buffer_free(&buffer);
  return NULL;
}
