/* What JMESPath lacks to put two lists together: in a filter the element at hand cannot be named inside another one. */
#include "functions/functions.h"

/* lookup(list, field, value): the first element whose field has this value. */
json_t *function_lookup(json_t *const *arguments, size_t count, const struct jmes_scope *scope, struct error *error) {
  (void)count, (void)scope, (void)error;
  size_t index;
  json_t *element, *value;
  if (!json_is_string(arguments[1]) || json_is_null(arguments[2])) return json_null();
  json_array_foreach(arguments[0], index,
                     element) if ((value = json_object_get(element, json_string_value(arguments[1]))) &&
                                  json_same(value, arguments[2])) return json_incref(element);
  return json_null();
}

/* One element of a nested list, with the outer element's key; what is no mapping becomes its `value`. */
static json_t *with_key(json_t *element, const char *key, json_t *value) {
  json_t *made = json_is_object(element) ? json_copy(element) : json_object();
  if (!json_is_object(element)) json_object_set(made, "value", element);
  json_object_set(made, key, value);
  return made;
}

/* with_parent(list, key, field): the elements of all `field` lists, each with its owner's `key`. */
json_t *function_with_parent(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                             struct error *error) {
  (void)count, (void)scope, (void)error;
  const char *key = json_string_value(arguments[1]), *field = json_string_value(arguments[2]);
  json_t *all = json_array(), *owner, *element;
  size_t i, k;
  if (key && field) json_array_foreach(arguments[0], i, owner) {
      json_t *value = json_object_get(owner, key);
      json_array_foreach(json_object_get(owner, field), k, element)
          json_array_append_new(all, with_key(element, key, value ? value : json_null()));
    }
  return all;
}
