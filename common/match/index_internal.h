/* The parts of one path's index.  Each is built from the entries of the kinds that it knows, lives in the set's arena,
 * and is searched with one value. */
#ifndef PARAPET_MATCH_INDEX_INTERNAL_H
#define PARAPET_MATCH_INDEX_INTERNAL_H

#include "match/set_internal.h"

struct fields {
  const uint32_t *items;
  uint32_t count;
};

/* What a search carries along. */
struct match_search {
  const struct match_value *value;
  struct match_scratch *scratch;
  match_found *found;
  void *context;
};

static inline void match_report(const struct match_search *search, struct fields fields) {
  for (uint32_t i = 0; i < fields.count; i++) search->found(search->context, fields.items[i]);
}

/* ---- texts to fields (table.c) ---- */

struct table_key {
  uint64_t hash;
  const char *text;
  uint32_t length;
  uint32_t field;
};

struct table_slot {
  uint64_t hash;
  const char *text;
  uint32_t length;
  struct fields fields; /* count 0: a free slot */
};

struct table {
  struct table_slot *slots; /* NULL: empty */
  size_t mask;
};

/* 0, or -1: out of memory. */
int match_table_build(struct match_arena *arena, struct table *table, const struct table_key *keys, size_t count);
/* `fold`: the table's texts are lower case, `text` need not be. */
struct fields match_table_find(const struct table *table, uint64_t hash, const char *text, size_t length, bool fold);

/* ---- starts and ends of texts (affix.c) ---- */

struct affixes {
  struct table table;
  uint32_t *lengths; /* distinct, ascending */
  uint32_t count;
  bool from_end, fold;
};

int match_affixes_build(struct match_arena *arena, struct affixes *affixes, const struct match_entry *entries,
                        size_t count);
void match_affixes_search(const struct affixes *affixes, const struct match_search *search);

/* ---- ranges of numbers (ranges.c) ---- */

struct ranges {
  struct match_number *points; /* distinct, ascending: where a range begins or ends */
  uint32_t count;
  uint32_t *starts; /* by node of the segment tree: its fields are fields[starts[n] … starts[n + 1]) */
  uint32_t *fields;
};

int match_ranges_build(struct match_arena *arena, struct ranges *ranges, const struct match_entry *entries,
                       size_t count);
void match_ranges_search(const struct ranges *ranges, const struct match_search *search);

/* ---- wildcards (grams.c) ---- */

#define GRAM_MOST 4

struct gram_slot {
  uint32_t gram;
  uint32_t count; /* 0: a free slot */
  uint32_t mark;  /* number of the slot among all of the set, into match_scratch.marks */
  const struct match_entry *entries;
};

struct grams {
  struct gram_slot *slots; /* NULL: none of this length */
  uint32_t mask;
  uint64_t filter[64]; /* a gram whose bit is not set is in no slot */
};

struct wildcards {
  struct grams of_length[GRAM_MOST + 1];
};

int match_wildcards_build(struct match_arena *arena, struct wildcards *wildcards, const struct match_entry *entries,
                          size_t count, uint32_t *marks);
void match_wildcards_search(const struct wildcards *wildcards, const struct match_search *search);

/* ---- networks (networks.c) ---- */

struct networks {
  struct table table;
  unsigned char bits[129]; /* the lengths in use, for one kind of address */
  uint32_t count;
  unsigned char address_length;
};

int match_networks_build(struct match_arena *arena, struct networks *networks, unsigned address_length,
                         const struct match_entry *entries, size_t count);
void match_networks_search(const struct networks *networks, const struct match_network *address,
                           const struct match_search *search);

#endif
