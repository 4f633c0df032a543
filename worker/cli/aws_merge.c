/* As botocore's build_full_result: the paginator's result keys are lists that are put behind one another (numbers are
 * added up); what else a page holds is taken from the first. */
#include "aws_merge.h"

#include <stdlib.h>
#include <string.h>

#define COLUMNS_MOST 10

/* The value at "A.B", or NULL.  Result keys are plain paths in every model but a few, whose pages are kept as they are.
 */
static json_t *at_path(const json_t *value, const char *path) {
  while (value && *path) {
    size_t length = strcspn(path, ".");
    char name[128];
    if (length == 0 || length >= sizeof name) return NULL;
    memcpy(name, path, length);
    name[length] = '\0';
    value = json_object_get(value, name);
    path += length + (path[length] == '.');
  }
  return (json_t *)value;
}

static const char *first_key(const struct merge *merge) {
  const char *key = json_string_value(json_array_get(json_object_get(merge->description, "result_keys"), 0));
  return key ? key : "";
}

static void append(json_t *whole, const json_t *part) {
  if (json_is_array(whole) && json_is_array(part)) json_array_extend(whole, (json_t *)part);
  if (json_is_integer(whole) && json_is_integer(part))
    json_integer_set(whole, json_integer_value(whole) + json_integer_value(part));
}

/* The last item of `path`'s object becomes `value`; makes the objects on the way. */
static void set_path(json_t *whole, const char *path, json_t *value) {
  const char *dot = strchr(path, '.');
  char name[128];
  snprintf(name, sizeof name, "%.*s", dot ? (int)(dot - path) : (int)strlen(path), path);
  if (!dot) {
    json_object_set(whole, name, value);
    return;
  }
  if (!json_is_object(json_object_get(whole, name))) json_object_set_new(whole, name, json_object());
  set_path(json_object_get(whole, name), dot + 1, value);
}

static void add_page(struct merge *merge, const json_t *page) {
  size_t index;
  json_t *key;
  json_array_foreach(json_object_get(merge->description, "result_keys"), index, key) {
    const char *path = json_string_value(key);
    json_t *whole = path ? at_path(merge->result, path) : NULL, *part = path ? at_path(page, path) : NULL;
    if (whole)
      append(whole, part);
    else if (part)
      set_path(merge->result, path, part);
  }
}

static int is_enough(struct merge *merge) {
  json_t *items = at_path(merge->result, first_key(merge));
  if (!merge->most || !json_is_array(items) || json_array_size(items) < merge->most) return 0;
  merge->more = json_array_size(items) > merge->most;
  while (json_array_size(items) > merge->most) json_array_remove(items, json_array_size(items) - 1);
  return 1;
}

static int has_token(const struct merge *merge, const json_t *page) {
  size_t index;
  json_t *key;
  json_array_foreach(json_object_get(merge->description, "token_keys"), index, key) {
    if (!json_is_empty(at_path(page, json_string_value(key) ?: ""))) return 1;
  }
  return 0;
}

int merge_page(json_t *page, void *argument) {
  struct merge *merge = argument;
  if (merge->result)
    add_page(merge, page);
  else
    merge->result = json_deep_copy(page);
  if (!is_enough(merge)) return 0;
  merge->more |= has_token(merge, page);
  return 1;
}

static int is_plain(const char *path) { return *path && !strpbrk(path, "[|(*@"); }

/* Copies the members that the list of paths names; 0, or -1 when one of them is no plain path. */
static int keep(json_t *kept, const json_t *result, const json_t *paths) {
  size_t index;
  json_t *path;
  json_array_foreach(paths, index, path) {
    const char *text = json_string_value(path) ?: "";
    if (!is_plain(text)) return -1;
    json_t *value = at_path(result, text);
    if (value) set_path(kept, text, value);
  }
  return 0;
}

void merge_end(struct merge *merge) {
  const json_t *description = merge->description;
  if (json_array_size(json_object_get(description, "result_keys")) == 0) return;
  json_t *kept = json_object();
  if (kept && keep(kept, merge->result, json_object_get(description, "result_keys")) == 0 &&
      keep(kept, merge->result, json_object_get(description, "other_keys")) == 0) {
    json_decref(merge->result);
    merge->result = json_incref(kept);
  }
  json_decref(kept);
}

/* ---- tables ---- */

static int is_simple(const json_t *value) { return value && !json_is_object(value) && !json_is_array(value); }

static int is_list_of_objects(const json_t *value) { return json_is_object(json_array_get(value, 0)); }

/* The columns are the first rows' simple members, in the order in which they come. */
static void print_objects(const struct cli *cli, const json_t *rows) {
  struct column columns[COLUMNS_MOST + 1] = {{0}};
  size_t count = 0, index;
  json_t *row, *value, *seen = json_object();
  const char *name;
  json_array_foreach(rows, index, row) {
    json_object_foreach(row, name, value) {
      if (!is_simple(value) || json_object_get(seen, name) || count == COLUMNS_MOST) continue;
      json_object_set_new(seen, name, json_true());
      columns[count++] = (struct column){name, name, 48};
    }
  }
  print_rows(cli, rows, columns);
  json_decref(seen);
}

static void print_members(const struct cli *cli, const json_t *result) {
  static const struct column columns[] = {{"NAME", "name", 0}, {"VALUE", "value", 120}, {0}};
  json_t *rows = json_array(), *value;
  const char *name;
  json_object_foreach((json_t *)result, name, value)
      json_array_append_new(rows, json_pack("{s:s, s:O}", "name", name, "value", value));
  print_rows(cli, rows, columns);
  json_decref(rows);
}

void print_result(const struct cli *cli, const json_t *result, const json_t *description) {
  const char *key = json_string_value(json_array_get(json_object_get(description, "result_keys"), 0)), *name;
  const json_t *list = key ? at_path(result, key) : NULL;
  json_t *value;
  if (cli->json) {
    print_json(result);
    return;
  }
  if (!list) json_object_foreach((json_t *)result, name, value) {
      if (!list && is_list_of_objects(value)) list = value;
    }
  if (is_list_of_objects(list))
    print_objects(cli, list);
  else
    print_members(cli, result);
}
