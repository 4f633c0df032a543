#include "json/value.h"

#include <math.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "json/value_internal.h"

static json_t *walk(const json_t *value, va_list keys) {
  json_t *at = (json_t *)value;
  for (const char *key = va_arg(keys, const char *); at && key; key = va_arg(keys, const char *))
    at = json_object_get(at, key);
  return at;
}

json_t *json_at(const json_t *value, ...) {
  va_list keys;
  va_start(keys, value);
  json_t *at = walk(value, keys);
  va_end(keys);
  return at;
}

const char *json_text_at(const json_t *value, ...) {
  va_list keys;
  va_start(keys, value);
  const char *text = json_string_value(walk(value, keys));
  va_end(keys);
  return text ? text : "";
}

int json_is_empty(const json_t *value) {
  if (!value) return 1;
  switch (json_typeof(value)) {
    case JSON_NULL:
    case JSON_FALSE:
      return 1;
    case JSON_STRING:
      return json_string_length(value) == 0;
    case JSON_ARRAY:
      return json_array_size(value) == 0;
    case JSON_OBJECT:
      return json_object_size(value) == 0;
    default:
      return 0;
  }
}

void json_hash(const json_t *value, char hash[65]) {
  struct buffer text = {.ceiling = SIZE_MAX / 4};
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  hash[0] = '\0'; /* what is left when memory ran out: equal to no hash of a value */
  if (json_add_text(&text, value) == 0 &&
      EVP_Digest(buffer_text(&text), text.length, digest, &length, EVP_sha256(), NULL) == 1 && length == 32)
    for (unsigned int i = 0; i < length; i++) snprintf(hash + (size_t)2 * i, 3, "%02x", digest[i]);
  buffer_free(&text);
}

static int sign(double number) { return (number > 0) - (number < 0); }

/* A 64-bit integer does not fit a double: compare with the whole part first, then with the fraction. */
static int compare_integer_real(json_int_t integer, double real) {
  if (real >= 9223372036854775808.0) return -1;
  if (real < -9223372036854775808.0) return 1;
  double whole = trunc(real);
  json_int_t other = (json_int_t)whole;
  if (integer != other) return integer < other ? -1 : 1;
  return -sign(real - whole);
}

int json_compare_numbers(const json_t *left, const json_t *right) {
  if (json_is_integer(left) && json_is_integer(right)) {
    json_int_t a = json_integer_value(left), b = json_integer_value(right);
    return (a > b) - (a < b);
  }
  if (json_is_integer(left)) return compare_integer_real(json_integer_value(left), json_real_value(right));
  if (json_is_integer(right)) return -compare_integer_real(json_integer_value(right), json_real_value(left));
  return sign(json_real_value(left) - json_real_value(right));
}

int json_compare_strings(const json_t *left, const json_t *right) {
  size_t a = json_string_length(left), b = json_string_length(right);
  int order = memcmp(json_string_value(left), json_string_value(right), a < b ? a : b);
  if (order != 0) return order < 0 ? -1 : 1;
  return (a > b) - (a < b);
}

static int same_arrays(const json_t *left, const json_t *right, uint64_t *budget) {
  size_t size = json_array_size(left);
  if (size != json_array_size(right)) return 0;
  int same = 1;
  for (size_t i = 0; same == 1 && i < size; i++)
    same = json_same_within(json_array_get(left, i), json_array_get(right, i), budget);
  return same;
}

static int same_objects(const json_t *left, const json_t *right, uint64_t *budget) {
  if (json_object_size(left) != json_object_size(right)) return 0;
  int same = 1;
  json_t *object = (json_t *)left; /* jansson's iterators want it mutable and leave it alone */
  for (void *at = json_object_iter(object); same == 1 && at; at = json_object_iter_next(object, at)) {
    json_t *other = json_object_getn(right, json_object_iter_key(at), json_object_iter_key_len(at));
    same = other ? json_same_within(json_object_iter_value(at), other, budget) : 0;
  }
  return same;
}

int json_same_within(const json_t *left, const json_t *right, uint64_t *budget) {
  if (left == right) return 1;
  if (!left || !right) return 0;
  if (*budget == 0) return -1;
  --*budget;
  if (json_is_number(left) && json_is_number(right)) return json_compare_numbers(left, right) == 0;
  if (json_typeof(left) != json_typeof(right)) return 0;
  switch (json_typeof(left)) {
    case JSON_STRING:
      return json_compare_strings(left, right) == 0;
    case JSON_ARRAY:
      return same_arrays(left, right, budget);
    case JSON_OBJECT:
      return same_objects(left, right, budget);
    default:
      return 1; /* true, false and null are what their type says */
  }
}

int json_same(const json_t *left, const json_t *right) {
  uint64_t budget = UINT64_MAX;
  return json_same_within(left, right, &budget) == 1;
}

json_t *json_number_new(double number) {
  if (!isfinite(number)) return NULL;
  if (number == trunc(number) && fabs(number) <= 9007199254740992.0) return json_integer((json_int_t)number);
  return json_real(number);
}
