#include <string.h>

#include "match/index_internal.h"

static bool same_text(const char *key, const char *text, size_t length, bool fold) {
  if (!fold) return memcmp(key, text, length) == 0;
  for (size_t i = 0; i < length; i++)
    if (key[i] != match_ascii_lower(text[i])) return false;
  return true;
}

static struct table_slot *slot_of(const struct table *table, uint64_t hash, const char *text, size_t length,
                                  bool fold) {
  size_t at = (size_t)(hash >> 32 ^ hash) & table->mask;
  for (;; at = (at + 1) & table->mask) {
    struct table_slot *slot = &table->slots[at];
    if (slot->fields.count == 0) return slot;
    if (slot->hash == hash && slot->length == length && same_text(slot->text, text, length, fold)) return slot;
  }
}

/* Counts first, so that each slot's fields lie in one piece. */
int match_table_build(struct match_arena *arena, struct table *table, const struct table_key *keys, size_t count) {
  size_t size = 4;
  if (count == 0) return 0;
  while (size < count * 2) size *= 2;
  table->mask = size - 1;
  table->slots = match_arena_array(arena, size, sizeof *table->slots);
  uint32_t *fields = match_arena_array(arena, count, sizeof *fields);
  if (!table->slots || !fields) return -1;
  for (size_t i = 0; i < count; i++) {
    struct table_slot *slot = slot_of(table, keys[i].hash, keys[i].text, keys[i].length, false);
    slot->hash = keys[i].hash;
    slot->text = keys[i].text;
    slot->length = keys[i].length;
    slot->fields.count++;
  }
  for (size_t i = 0; i < size; i++) {
    fields += table->slots[i].fields.count;
    table->slots[i].fields.items = fields; /* the end of its piece, which is filled from there */
  }
  for (size_t i = count; i-- > 0;) {
    struct table_slot *slot = slot_of(table, keys[i].hash, keys[i].text, keys[i].length, false);
    uint32_t *next = (uint32_t *)slot->fields.items - 1;
    *next = keys[i].field;
    slot->fields.items = next;
  }
  return 0;
}

struct fields match_table_find(const struct table *table, uint64_t hash, const char *text, size_t length, bool fold) {
  if (!table->slots) return (struct fields){NULL, 0};
  return slot_of(table, hash, text, length, fold)->fields;
}
