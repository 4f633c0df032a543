/* What became of a value: for explanations, and for guardrails that compare with what should be. */
#include <stdint.h>

#include "functions/functions.h"

static int holds(const json_t *list, const json_t *value) {
  for (size_t i = 0; i < json_array_size(list); i++)
    if (json_same(json_array_get(list, i), value)) return 1;
  return 0;
}

/* Adds under the name what there is; an empty part is left out. */
static void add_part(json_t *answer, const char *name, json_t *value /* taken */) {
  if (json_is_empty(value))
    json_decref(value);
  else
    json_object_set_new(answer, name, value);
}

static json_t *missing_in(const json_t *list, const json_t *other) {
  json_t *found = json_array();
  for (size_t i = 0; i < json_array_size(list); i++)
    if (!holds(other, json_array_get(list, i))) json_array_append(found, json_array_get(list, i));
  return found;
}

static void diff_mappings(json_t *answer, const json_t *before, const json_t *after) {
  json_t *added = json_object(), *removed = json_object(), *changed = json_object(), *value;
  const char *key;
  json_object_foreach((json_t *)after, key, value) {
    json_t *was = json_object_get(before, key);
    if (!was)
      json_object_set(added, key, value);
    else if (!json_same(was, value))
      json_object_set_new(changed, key, json_pack("{s:O, s:O}", "from", was, "to", value));
  }
  json_object_foreach((json_t *)before, key, value) if (!json_object_get(after, key))
      json_object_set(removed, key, value);
  add_part(answer, "added", added);
  add_part(answer, "removed", removed);
  add_part(answer, "changed", changed);
}

enum { ELEMENTS = 4000 /* of both lists: comparing is quadratic */ };

json_t *function_diff(json_t *const *arguments, size_t count, const struct jmes_scope *scope, struct error *error) {
  (void)count, (void)scope;
  json_t *before = arguments[0], *after = arguments[1], *answer = json_object();
  if (json_array_size(before) + json_array_size(after) > ELEMENTS) {
    json_decref(answer);
    error_set(error, ERROR_INVALID, "limit", "diff() compares at most %d elements", ELEMENTS);
    return NULL;
  }
  if ((json_is_array(before) || json_is_null(before)) && (json_is_array(after) || json_is_null(after))) {
    add_part(answer, "added", missing_in(after, before));
    add_part(answer, "removed", missing_in(before, after));
  } else if ((json_is_object(before) || json_is_null(before)) && (json_is_object(after) || json_is_null(after))) {
    diff_mappings(answer, before, after);
  } else if (!json_same(before, after)) {
    json_object_set(answer, "from", before);
    json_object_set(answer, "to", after);
  }
  return answer;
}
