#include "engine/join.h"

#include <stdlib.h>
#include <string.h>

#include "uthash.h"

struct joined {
  char *id;
  json_t *items;
  UT_hash_handle hh;
};

static void add_item(struct joined **table, const char *id, json_t *item) {
  struct joined *entry;
  HASH_FIND_STR(*table, id, entry);
  if (!entry) {
    entry = calloc(1, sizeof *entry);
    if (!entry || !(entry->id = strdup(id)) || !(entry->items = json_array())) abort();
    HASH_ADD_KEYPTR(hh, *table, entry->id, strlen(entry->id), entry);
  }
  size_t count = json_array_size(entry->items);
  if (count > 0 && json_array_get(entry->items, count - 1) == item) return; /* `by` found the id in it twice */
  if (json_array_append(entry->items, item) != 0) abort();
}

int joined_add(struct joined **table, const struct jmes *by, json_t *items, struct error *error) {
  size_t index, k;
  json_t *item, *one;
  json_array_foreach(items, index, item) {
    json_t *ids = jmes_search(by, item, NULL, error);
    if (!ids) return -1;
    if (json_is_string(ids)) add_item(table, json_string_value(ids), item);
    json_array_foreach(ids, k, one) if (json_is_string(one)) add_item(table, json_string_value(one), item);
    json_decref(ids);
  }
  return 0;
}

void joined_free(struct joined *table) {
  struct joined *entry = table, *next;
  HASH_CLEAR(hh, table); /* the hash's own memory; the entries keep their order */
  for (; entry; entry = next) {
    next = entry->hh.next;
    free(entry->id);
    json_decref(entry->items);
    free(entry);
  }
}

json_t *joined_items(struct joined *table, const char *id) {
  struct joined *entry;
  HASH_FIND_STR(table, id, entry);
  return entry ? json_incref(entry->items) : json_array();
}
