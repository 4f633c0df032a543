#include <stdlib.h>
#include <string.h>

#include "match/build_internal.h"

struct match_builder *match_builder_open(void) {
  struct match_builder *builder = calloc(1, sizeof *builder);
  if (builder) builder->arena.ceiling = MATCH_SET_BYTES;
  return builder;
}

static int reserve_rules(struct match_builder *builder, size_t more) {
  size_t need = builder->count + more;
  if (need > UINT32_MAX / 2) return -1;
  if (need <= builder->capacity) return 0;
  size_t capacity = builder->capacity ? builder->capacity : 16;
  while (capacity < need) capacity *= 2;
  struct match_rule *rules = realloc(builder->rules, capacity * sizeof *rules);
  if (!rules) return -1;
  builder->rules = rules;
  builder->capacity = capacity;
  return 0;
}

int match_add(struct match_builder *builder, uint32_t id, const char *pattern, size_t length, struct error *error) {
  struct match_rules compiled = {0};
  struct match_mark mark = match_arena_mark(&builder->arena);
  if (match_pattern_compile(&builder->arena, pattern, length, &compiled, error) != 0) {
    match_arena_rewind(&builder->arena, mark);
    return -1;
  }
  if (reserve_rules(builder, compiled.count) != 0) {
    match_arena_rewind(&builder->arena, mark);
    return error_set(error, ERROR_FATAL, "Memory", "no memory left for the patterns");
  }
  for (size_t i = 0; i < compiled.count; i++) {
    builder->rules[builder->count] = compiled.rules[i];
    builder->rules[builder->count++].id = id;
  }
  return 0;
}

void match_builder_free(struct match_builder *builder) {
  if (!builder) return;
  match_arena_free(&builder->arena);
  free(builder->rules);
  free(builder);
}

void match_set_free(struct match_set *set) {
  if (!set) return;
  struct match_arena arena = set->arena; /* the set itself lives in it */
  match_arena_free(&arena);
}

size_t match_set_memory(const struct match_set *set) { return set->arena.total; }
