/* Finds all prefixes (or suffixes) of a value among many: a hash that grows byte by byte is looked up at each length
 * that some pattern has. */
#include <stdlib.h>
#include <string.h>

#include "match/index_internal.h"

static uint64_t grow_hash(uint64_t hash, char byte) { return (hash + (unsigned char)byte + 1) * 0x9E3779B97F4A7C15ull; }

static int compare_lengths(const void *left, const void *right) {
  uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
  return (a > b) - (a < b);
}

static int collect_lengths(struct match_arena *arena, struct affixes *affixes, const struct match_entry *entries,
                           size_t count) {
  uint32_t *lengths = affixes->lengths = match_arena_array(arena, count, sizeof *lengths);
  if (!lengths) return -1;
  for (size_t i = 0; i < count; i++) lengths[i] = (uint32_t)entries[i].predicate->length;
  qsort(lengths, count, sizeof *lengths, compare_lengths);
  for (size_t i = 0; i < count; i++)
    if (i == 0 || lengths[i] != lengths[affixes->count - 1]) lengths[affixes->count++] = lengths[i];
  return 0;
}

static int fill_key(struct match_arena *arena, const struct affixes *affixes, const struct match_entry *entry,
                    struct table_key *key) {
  const struct match_predicate *p = entry->predicate;
  char *text = match_arena_copy(arena, p->text, p->length);
  if (!text) return -1;
  *key = (struct table_key){.text = text, .length = (uint32_t)p->length, .field = entry->field};
  for (size_t i = 0; i < p->length; i++) {
    if (affixes->fold) text[i] = match_ascii_lower(text[i]);
  }
  for (size_t i = 0; i < p->length; i++)
    key->hash = grow_hash(key->hash, text[affixes->from_end ? p->length - 1 - i : i]);
  return 0;
}

int match_affixes_build(struct match_arena *arena, struct affixes *affixes, const struct match_entry *entries,
                        size_t count) {
  if (count == 0) return 0;
  struct table_key *keys = calloc(count, sizeof *keys);
  int result = keys ? collect_lengths(arena, affixes, entries, count) : -1;
  for (size_t i = 0; result == 0 && i < count; i++) result = fill_key(arena, affixes, &entries[i], &keys[i]);
  if (result == 0) result = match_table_build(arena, &affixes->table, keys, count);
  free(keys);
  return result;
}

void match_affixes_search(const struct affixes *affixes, const struct match_search *search) {
  const char *text = search->value->text;
  size_t length = search->value->length, done = 0;
  uint64_t hash = 0;
  for (uint32_t i = 0; i < affixes->count && affixes->lengths[i] <= length; i++) {
    size_t wanted = affixes->lengths[i];
    for (; done < wanted; done++) {
      char byte = affixes->from_end ? text[length - 1 - done] : text[done];
      hash = grow_hash(hash, affixes->fold ? match_ascii_lower(byte) : byte);
    }
    const char *start = affixes->from_end ? text + length - wanted : text;
    match_report(search, match_table_find(&affixes->table, hash, start, wanted, affixes->fold));
  }
}
