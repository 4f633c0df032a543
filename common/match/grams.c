/* Finds, among many wildcards, the few that a value may match: each is filed under one piece of its literal text of up
 * to four bytes (a gram), the one that the fewest others are filed under.  The value's grams are looked up; a wildcard
 * whose gram is there is compared in full, once a value.  Memory and building are linear in the patterns' text. */
#include <stdlib.h>
#include <string.h>

#include "match/index_internal.h"

static uint32_t read_gram(const char *text, size_t length) {
  uint32_t gram = 0;
  memcpy(&gram, text, length);
  return gram;
}

static uint32_t hash_gram(uint32_t gram) { return gram * 0x9E3779B1u; }

static struct gram_slot *slot_of(const struct grams *grams, uint32_t gram) {
  uint32_t at = hash_gram(gram) >> 8 & grams->mask;
  while (grams->slots[at].count > 0 && grams->slots[at].gram != gram) at = (at + 1) & grams->mask;
  return &grams->slots[at];
}

static void set_filter(struct grams *grams, uint32_t gram) {
  uint32_t bit = hash_gram(gram) >> 20;
  grams->filter[bit / 64] |= 1ull << bit % 64;
}

static bool may_hold(const struct grams *grams, uint32_t gram) {
  uint32_t bit = hash_gram(gram) >> 20;
  return grams->filter[bit / 64] >> bit % 64 & 1;
}

struct choice {
  uint32_t gram;
  uint32_t length;
};

/* The length of the grams that a wildcard offers: four, or less when all its literals are shorter. */
static size_t gram_length(const struct match_predicate *p) {
  size_t longest = 0;
  for (size_t i = 0; i < p->piece_count; i++)
    if (p->pieces[i].length > longest) longest = p->pieces[i].length;
  return longest < GRAM_MOST ? longest : GRAM_MOST;
}

/* How many wildcards offer each gram (hashed: a rough count is good enough). */
#define COUNTERS 65536

static struct choice choose(const struct match_predicate *p, const uint32_t *counters) {
  struct choice best = {0, (uint32_t)gram_length(p)};
  uint32_t least = UINT32_MAX;
  for (size_t i = 0; i < p->piece_count; i++)
    for (size_t at = 0; at + best.length <= p->pieces[i].length; at++) {
      uint32_t gram = read_gram(p->pieces[i].text + at, best.length), count = counters[hash_gram(gram) >> 16];
      if (count >= least) continue;
      least = count;
      best.gram = gram;
    }
  return best;
}

static void count_grams(const struct match_predicate *p, uint32_t *counters) {
  size_t length = gram_length(p);
  for (size_t i = 0; i < p->piece_count; i++)
    for (size_t at = 0; at + length <= p->pieces[i].length; at++)
      counters[hash_gram(read_gram(p->pieces[i].text + at, length)) >> 16]++;
}

/* As match_table_build: count, divide, fill. */
static int fill(struct match_arena *arena, struct grams *grams, const struct match_entry *entries,
                const struct choice *choices, size_t count, uint32_t length, uint32_t *marks) {
  size_t here = 0, size = 4;
  for (size_t i = 0; i < count; i++) here += choices[i].length == length;
  if (here == 0) return 0;
  while (size < here * 2) size *= 2;
  grams->mask = (uint32_t)size - 1;
  grams->slots = match_arena_array(arena, size, sizeof *grams->slots);
  struct match_entry *filed = match_arena_array(arena, here, sizeof *filed);
  if (!grams->slots || !filed) return -1;
  for (size_t i = 0; i < count; i++) {
    if (choices[i].length != length) continue;
    struct gram_slot *slot = slot_of(grams, choices[i].gram);
    if (slot->count++ == 0) slot->mark = (*marks)++;
    slot->gram = choices[i].gram;
    set_filter(grams, slot->gram);
  }
  for (size_t i = 0; i < size; i++) {
    filed += grams->slots[i].count;
    grams->slots[i].entries = filed;
  }
  for (size_t i = count; i-- > 0;) {
    if (choices[i].length != length) continue;
    struct gram_slot *slot = slot_of(grams, choices[i].gram);
    struct match_entry *next = (struct match_entry *)slot->entries - 1;
    *next = entries[i];
    slot->entries = next;
  }
  return 0;
}

int match_wildcards_build(struct match_arena *arena, struct wildcards *wildcards, const struct match_entry *entries,
                          size_t count, uint32_t *marks) {
  if (count == 0) return 0;
  int result = -1;
  uint32_t *counters = calloc(COUNTERS, sizeof *counters);
  struct choice *choices = calloc(count, sizeof *choices);
  if (counters && choices) {
    result = 0;
    for (size_t i = 0; i < count; i++) count_grams(entries[i].predicate, counters);
    for (size_t i = 0; i < count; i++) choices[i] = choose(entries[i].predicate, counters);
    for (uint32_t length = 1; result == 0 && length <= GRAM_MOST; length++)
      result = fill(arena, &wildcards->of_length[length], entries, choices, count, length, marks);
  }
  free(counters);
  free(choices);
  return result;
}

static void compare_slot(const struct gram_slot *slot, const struct match_search *search) {
  struct match_scratch *scratch = search->scratch;
  if (slot->count == 0 || scratch->marks[slot->mark] == scratch->mark) return;
  scratch->marks[slot->mark] = scratch->mark;
  for (uint32_t i = 0; i < slot->count; i++)
    if (match_predicate_holds(slot->entries[i].predicate, search->value))
      search->found(search->context, slot->entries[i].field);
}

static inline void search_length(const struct grams *grams, const struct match_search *search, size_t length) {
  const char *at = search->value->text, *end = at + search->value->length;
  for (; at + length <= end; at++) {
    uint32_t gram = read_gram(at, length);
    if (may_hold(grams, gram)) compare_slot(slot_of(grams, gram), search);
  }
}

void match_wildcards_search(const struct wildcards *wildcards, const struct match_search *search) {
  match_scratch_next_mark(search->scratch);
  if (wildcards->of_length[4].slots) search_length(&wildcards->of_length[4], search, 4);
  if (wildcards->of_length[3].slots) search_length(&wildcards->of_length[3], search, 3);
  if (wildcards->of_length[2].slots) search_length(&wildcards->of_length[2], search, 2);
  if (wildcards->of_length[1].slots) search_length(&wildcards->of_length[1], search, 1);
}
