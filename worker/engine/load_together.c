/* `together`: a read that may ask for many resources in one call.  Its `with` is made anew with the one list
 * ["${$id}"] as a list of ids; nothing else in it may differ from one resource to the next. */
#include <string.h>

#include "engine/load_internal.h"

enum { TOGETHER_MOST = 1000 }; /* ids in one call: AWS takes no more anywhere */
static const char of_one[] = "${$id}", of_many[] = "${$ids}";

static int is_id_list(const json_t *value) {
  const char *text = json_array_size(value) == 1 ? json_string_value(json_array_get(value, 0)) : NULL;
  return text && strcmp(text, of_one) == 0;
}

/* Puts the list of ids in the place of each ["${$id}"] within.  Returns how many. */
static int put_ids(json_t *value) {
  int count = 0;
  const char *key;
  json_t *inner;
  size_t index;
  json_object_foreach(value, key, inner) {
    if (is_id_list(inner) && ++count)
      json_object_set_new(value, key, json_string(of_many));
    else
      count += put_ids(inner);
  }
  json_array_foreach(value, index, inner) {
    if (is_id_list(inner) && ++count)
      json_array_set_new(value, index, json_string(of_many));
    else
      count += put_ids(inner);
  }
  return count;
}

struct others { /* what else is read besides the ids */
  struct loader *loader;
  const char *pointer;
  int told;
};

static void check_other(const char *name, const char *const *path, void *argument) {
  static const char *const of_place[] = {"", "account", "region", "partition", "environment", "unit", "ids"};
  struct others *others = argument;
  (void)path;
  for (size_t i = 0; i < sizeof of_place / sizeof *of_place; i++)
    if (strcmp(of_place[i], name) == 0) return;
  if (others->told++ == 0)
    complain(others->loader, others->pointer,
             "$%s is another one for each resource: what is read \"together\" has [\"${$id}\"] in it once, and else "
             "only what is the same for all of an account and Region",
             name);
}

static void check_others(struct loader *loader, const struct read_call *read, const char *pointer) {
  struct others others = {.loader = loader, .pointer = pointer};
  template_variables(read->with_ids, check_other, &others);
  jmes_variables(read->items, check_other, &others);
}

void load_together(struct loader *loader, const json_t *object, const char *pointer, struct read_call *read) {
  const json_t *most = json_object_get(object, "together");
  const char *here = pointer_key(pointer, "together");
  json_int_t count = json_integer_value(most);
  if (!json_is_integer(most) || count < 2 || count > TOGETHER_MOST) {
    complain(loader, here, "\"together\" must be a whole number from 2 to %d", TOGETHER_MOST);
    return;
  }
  json_t *with = json_deep_copy(json_object_get(object, "with"));
  if (put_ids(with) != 1)
    complain(loader, here, "what is read \"together\" has exactly one list [\"${$id}\"] in its \"with\"");
  else if (read->with && read->items && (read->with_ids = template_compile(with, engine_functions, NULL)))
    check_others(loader, read, here);
  read->together = read->with_ids ? (size_t)count : 0;
  json_decref(with);
}
