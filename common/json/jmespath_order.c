/* sort, min and max, of values and by an &expression.  All of them first make a list of keys, check that they are all
 * numbers or all strings, and then order positions; equal keys keep their order. */
#include <stdlib.h>

#include "json/jmespath_internal.h"

struct keyed {
  json_t *key; /* owned */
  size_t position;
};

static int compare_keys(const json_t *left, const json_t *right) {
  return json_is_string(left) ? json_compare_strings(left, right) : json_compare_numbers(left, right);
}

static int compare_keyed(const void *left, const void *right) {
  const struct keyed *a = left, *b = right;
  int order = compare_keys(a->key, b->key);
  return order != 0 ? order : (a->position > b->position) - (a->position < b->position);
}

static void free_keys(struct keyed *keys, size_t size) {
  for (size_t i = 0; keys && i < size; i++) json_decref(keys[i].key);
  free(keys);
}

static int check_key(struct jmes_call *call, const json_t *key, const json_t *first) {
  if (json_is_number(key) && json_is_number(first)) return 0;
  if (json_is_string(key) && json_is_string(first)) return 0;
  jmes_fail(call->evaluation, call->node, "invalid-type", "keys must be all numbers or all strings; one is of type %s",
            jmes_type_name(json_is_number(first) || json_is_string(first) ? key : first));
  return -1;
}

/* The key of each element; freed by free_keys.  NULL with the error. */
static struct keyed *make_keys(struct jmes_call *call, json_t *array) {
  size_t size = json_array_size(array);
  struct keyed *keys = calloc(size + 1, sizeof *keys);
  if (!keys) return jmes_fail_memory(call->evaluation), NULL;
  for (size_t i = 0; i < size; i++) {
    json_t *element = json_array_get(array, i);
    keys[i].position = i;
    keys[i].key =
        call->reference == JMES_NONE ? json_incref(element) : jmes_evaluate(call->evaluation, call->reference, element);
    if (!keys[i].key || check_key(call, keys[i].key, keys[0].key) != 0) {
      free_keys(keys, size);
      return NULL;
    }
  }
  return keys;
}

static json_t *in_order(struct jmes_call *call, json_t *array, const struct keyed *keys) {
  json_t *sorted = json_array();
  if (!sorted) return jmes_fail_memory(call->evaluation);
  for (size_t i = 0; i < json_array_size(array); i++)
    if (jmes_append(call->evaluation, sorted, json_incref(json_array_get(array, keys[i].position))) != 0) {
      json_decref(sorted);
      return NULL;
    }
  return sorted;
}

static json_t *sort(struct jmes_call *call) {
  json_t *array = call->arguments[0];
  struct keyed *keys = make_keys(call, array);
  if (!keys) return NULL;
  qsort(keys, json_array_size(array), sizeof *keys, compare_keyed);
  json_t *sorted = in_order(call, array, keys);
  free_keys(keys, json_array_size(array));
  return sorted;
}

/* direction: 1 for the largest, -1 for the smallest; the first of equals; null of an empty list. */
static json_t *extreme(struct jmes_call *call, int direction) {
  json_t *array = call->arguments[0];
  size_t size = json_array_size(array), best = 0;
  struct keyed *keys = make_keys(call, array);
  if (!keys) return NULL;
  for (size_t i = 1; i < size; i++)
    if (compare_keys(keys[i].key, keys[best].key) * direction > 0) best = i;
  free_keys(keys, size);
  return size ? json_incref(json_array_get(array, best)) : json_null();
}

json_t *jmes_call_sort(struct jmes_call *call) { return sort(call); }
json_t *jmes_call_sort_by(struct jmes_call *call) { return sort(call); }
json_t *jmes_call_max(struct jmes_call *call) { return extreme(call, 1); }
json_t *jmes_call_min(struct jmes_call *call) { return extreme(call, -1); }
json_t *jmes_call_max_by(struct jmes_call *call) { return extreme(call, 1); }
json_t *jmes_call_min_by(struct jmes_call *call) { return extreme(call, -1); }
