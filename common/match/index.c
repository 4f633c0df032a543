#include "match/set_internal.h"

struct match_index {
  const struct match_entry *entries;
  size_t count;
};

struct match_index *match_index_build(struct match_arena *arena, const struct match_entry *entries, size_t count,
                                      struct error *error) {
  struct match_index *index = match_arena_take(arena, sizeof *index);
  struct match_entry *copy = match_arena_array(arena, count, sizeof *copy);
  if (!index || !copy) {
    error_set(error, ERROR_FATAL, "Memory", "no memory left for the set of patterns");
    return NULL;
  }
  for (size_t i = 0; i < count; i++) copy[i] = entries[i];
  index->entries = copy;
  index->count = count;
  return index;
}

void match_index_search(const struct match_index *index, const struct match_value *value, match_found *found,
                        void *context) {
  for (size_t i = 0; i < index->count; i++)
    if (match_predicate_holds(index->entries[i].predicate, value)) found(context, index->entries[i].plan);
}
