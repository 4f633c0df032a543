/* The index of one path: from a value to the fields whose key field it meets.  Each kind of predicate has its own
 * structure; what fits none of them (anything-but, case ignored outside ASCII, numbers of more than 19 digits) is
 * compared one by one. */
#include <stdlib.h>
#include <string.h>

#include "match/hash_internal.h"
#include "match/index_internal.h"

enum affix { PREFIX, PREFIX_FOLD, SUFFIX, SUFFIX_FOLD, AFFIXES };

struct match_index {
  struct table strings, folded, numbers;
  struct affixes affixes[AFFIXES];
  struct wildcards *wildcards; /* NULL: none */
  struct ranges ranges;
  struct networks *networks[2]; /* IPv4, IPv6 */
  struct fields words[MATCH_NULL + 1];
  struct fields present;
  struct match_entry *others;
  size_t other_count;
};

/* Into which part an entry goes. */
enum part {
  PART_STRINGS,
  PART_FOLDED,
  PART_AFFIXES,
  PART_WILDCARDS = PART_AFFIXES + AFFIXES,
  PART_NUMBERS,
  PART_RANGES,
  PART_NETWORKS,
  PART_TRUE,
  PART_FALSE,
  PART_NULL,
  PART_PRESENT,
  PART_OTHERS,
  PARTS
};

static enum part part_of(const struct match_predicate *p) {
  static const enum part parts[MATCH_KINDS] = {[MATCH_IS_STRING] = PART_STRINGS,
                                               [MATCH_IS_PREFIX] = PART_AFFIXES + PREFIX,
                                               [MATCH_IS_SUFFIX] = PART_AFFIXES + SUFFIX,
                                               [MATCH_IS_STRING_FOLD] = PART_FOLDED,
                                               [MATCH_IS_PREFIX_FOLD] = PART_AFFIXES + PREFIX_FOLD,
                                               [MATCH_IS_SUFFIX_FOLD] = PART_AFFIXES + SUFFIX_FOLD,
                                               [MATCH_IS_WILDCARD] = PART_WILDCARDS,
                                               [MATCH_IS_NUMBER] = PART_NUMBERS,
                                               [MATCH_IS_RANGE] = PART_RANGES,
                                               [MATCH_IS_TRUE] = PART_TRUE,
                                               [MATCH_IS_FALSE] = PART_FALSE,
                                               [MATCH_IS_NULL] = PART_NULL,
                                               [MATCH_IS_PRESENT] = PART_PRESENT,
                                               [MATCH_IS_ABSENT] = PART_OTHERS,
                                               [MATCH_IS_NETWORK] = PART_NETWORKS,
                                               [MATCH_IS_EXCEPT] = PART_OTHERS};
  bool folds = p->kind == MATCH_IS_STRING_FOLD || p->kind == MATCH_IS_PREFIX_FOLD || p->kind == MATCH_IS_SUFFIX_FOLD;
  if ((folds && !p->ascii) || (p->kind == MATCH_IS_NUMBER && p->low.tail)) return PART_OTHERS;
  return parts[p->kind];
}

struct sorted {
  struct match_entry *entries;
  size_t starts[PARTS + 2]; /* part p is entries[starts[p] … starts[p + 1]) */
};

static size_t count_of(const struct sorted *sorted, enum part part) {
  return sorted->starts[part + 1] - sorted->starts[part];
}

static const struct match_entry *entries_of(const struct sorted *sorted, enum part part) {
  return sorted->entries + sorted->starts[part];
}

static int sort_entries(struct sorted *sorted, const struct match_entry *entries, size_t count) {
  sorted->entries = calloc(count + 1, sizeof *sorted->entries);
  if (!sorted->entries) return -1;
  for (size_t i = 0; i < count; i++) sorted->starts[part_of(entries[i].predicate) + 2]++;
  for (size_t p = 2; p < PARTS + 2; p++) sorted->starts[p] += sorted->starts[p - 1];
  for (size_t i = 0; i < count; i++) sorted->entries[sorted->starts[part_of(entries[i].predicate) + 1]++] = entries[i];
  return 0;
}

/* ---- building ---- */

static uint64_t hash_string(const char *text, size_t length) { return match_hash_bytes(text, length, 0); }

/* Up to this length texts are folded on the stack; longer ones are hashed by their length alone. */
#define FOLDED_BYTES 256

static uint64_t hash_folded(const char *text, size_t length) {
  char lower[FOLDED_BYTES];
  if (length > sizeof lower) return length;
  for (size_t i = 0; i < length; i++) lower[i] = match_ascii_lower(text[i]);
  return match_hash_bytes(lower, length, 0);
}

struct number_key {
  int64_t sign, exponent;
  uint64_t mantissa;
};

static uint64_t hash_number(const struct number_key *key) {
  return match_hash_bytes((const char *)key, sizeof *key, 0);
}

static int string_key(struct match_arena *arena, const struct match_predicate *p, struct table_key *key) {
  (void)arena;
  *key = (struct table_key){.hash = hash_string(p->text, p->length), .text = p->text, .length = (uint32_t)p->length};
  return 0;
}

static int folded_key(struct match_arena *arena, const struct match_predicate *p, struct table_key *key) {
  char *lower = match_arena_copy(arena, p->text, p->length);
  if (!lower) return -1;
  for (size_t i = 0; i < p->length; i++) lower[i] = match_ascii_lower(lower[i]);
  *key = (struct table_key){.hash = hash_folded(lower, p->length), .text = lower, .length = (uint32_t)p->length};
  return 0;
}

static int number_key(struct match_arena *arena, const struct match_predicate *p, struct table_key *key) {
  struct number_key *number = match_arena_take(arena, sizeof *number);
  if (!number) return -1;
  *number = (struct number_key){p->low.sign, p->low.exponent, p->low.mantissa};
  *key = (struct table_key){.hash = hash_number(number), .text = (const char *)number, .length = sizeof *number};
  return 0;
}

typedef int make_key(struct match_arena *, const struct match_predicate *, struct table_key *);

static int build_table(struct match_arena *arena, const struct sorted *sorted, enum part part, make_key *make,
                       struct table *table) {
  size_t count = count_of(sorted, part);
  const struct match_entry *entries = entries_of(sorted, part);
  struct table_key *keys = calloc(count + 1, sizeof *keys);
  int result = keys ? 0 : -1;
  for (size_t i = 0; result == 0 && i < count; i++) {
    result = make(arena, entries[i].predicate, &keys[i]);
    keys[i].field = entries[i].field;
  }
  if (result == 0) result = match_table_build(arena, table, keys, count);
  free(keys);
  return result;
}

static int build_fields(struct match_arena *arena, const struct sorted *sorted, enum part part, struct fields *fields) {
  size_t count = count_of(sorted, part);
  uint32_t *items = match_arena_array(arena, count, sizeof *items);
  if (!items) return -1;
  for (size_t i = 0; i < count; i++) items[i] = entries_of(sorted, part)[i].field;
  *fields = (struct fields){items, (uint32_t)count};
  return 0;
}

static int build_affixes(struct match_arena *arena, const struct sorted *sorted, struct match_index *index) {
  for (int a = 0; a < AFFIXES; a++) {
    struct affixes *affixes = &index->affixes[a];
    affixes->from_end = a == SUFFIX || a == SUFFIX_FOLD;
    affixes->fold = a == PREFIX_FOLD || a == SUFFIX_FOLD;
    enum part part = (enum part)(PART_AFFIXES + a);
    if (match_affixes_build(arena, affixes, entries_of(sorted, part), count_of(sorted, part)) != 0) return -1;
  }
  return 0;
}

static int build_networks(struct match_arena *arena, const struct sorted *sorted, struct match_index *index) {
  size_t count = count_of(sorted, PART_NETWORKS);
  for (unsigned i = 0; count > 0 && i < 2; i++) {
    index->networks[i] = match_arena_take(arena, sizeof *index->networks[i]);
    if (!index->networks[i]) return -1;
    const struct match_entry *entries = entries_of(sorted, PART_NETWORKS);
    if (match_networks_build(arena, index->networks[i], i ? 16 : 4, entries, count) != 0) return -1;
  }
  return 0;
}

static int build_wildcards(struct match_arena *arena, const struct sorted *sorted, struct match_index *index,
                           uint32_t *marks) {
  size_t count = count_of(sorted, PART_WILDCARDS);
  if (count == 0) return 0;
  index->wildcards = match_arena_take(arena, sizeof *index->wildcards);
  if (!index->wildcards) return -1;
  return match_wildcards_build(arena, index->wildcards, entries_of(sorted, PART_WILDCARDS), count, marks);
}

static int build_others(struct match_arena *arena, const struct sorted *sorted, struct match_index *index) {
  size_t count = index->other_count = count_of(sorted, PART_OTHERS);
  index->others = match_arena_array(arena, count, sizeof *index->others);
  if (!index->others) return -1;
  if (count > 0) memcpy(index->others, entries_of(sorted, PART_OTHERS), count * sizeof *index->others);
  return 0;
}

static int build_parts(struct match_arena *arena, const struct sorted *sorted, struct match_index *index,
                       uint32_t *marks) {
  if (build_table(arena, sorted, PART_STRINGS, string_key, &index->strings) != 0) return -1;
  if (build_table(arena, sorted, PART_FOLDED, folded_key, &index->folded) != 0) return -1;
  if (build_table(arena, sorted, PART_NUMBERS, number_key, &index->numbers) != 0) return -1;
  if (build_fields(arena, sorted, PART_TRUE, &index->words[MATCH_TRUE]) != 0) return -1;
  if (build_fields(arena, sorted, PART_FALSE, &index->words[MATCH_FALSE]) != 0) return -1;
  if (build_fields(arena, sorted, PART_NULL, &index->words[MATCH_NULL]) != 0) return -1;
  if (build_fields(arena, sorted, PART_PRESENT, &index->present) != 0) return -1;
  if (match_ranges_build(arena, &index->ranges, entries_of(sorted, PART_RANGES), count_of(sorted, PART_RANGES)) != 0)
    return -1;
  if (build_affixes(arena, sorted, index) != 0 || build_networks(arena, sorted, index) != 0) return -1;
  return build_wildcards(arena, sorted, index, marks) != 0 ? -1 : build_others(arena, sorted, index);
}

static bool has_too_many_wildcards(const struct match_entry *entries, size_t count) {
  size_t bytes = 0;
  for (size_t i = 0; i < count; i++)
    if (entries[i].predicate->kind == MATCH_IS_WILDCARD) bytes += entries[i].predicate->length;
  return bytes > MATCH_PATH_WILDCARD_BYTES;
}

struct match_index *match_index_build(struct match_arena *arena, const struct match_entry *entries, size_t count,
                                      uint32_t *marks, struct error *error) {
  struct sorted sorted = {0};
  struct match_index *index = match_arena_take(arena, sizeof *index);
  if (has_too_many_wildcards(entries, count)) {
    error_set(error, ERROR_INVALID, "Pattern", "the wildcards of one path have more than %zu bytes of text",
              MATCH_PATH_WILDCARD_BYTES);
    return NULL;
  }
  bool built = index && sort_entries(&sorted, entries, count) == 0 && build_parts(arena, &sorted, index, marks) == 0;
  free(sorted.entries);
  if (built) return index;
  error_set(error, ERROR_FATAL, "Memory", "the set of patterns needs more memory than there is or than a set may have");
  return NULL;
}

/* ---- searching ---- */

static void search_networks(const struct match_index *index, const struct match_search *search) {
  struct match_network address;
  if (match_address_parse(search->value->text, search->value->length, &address) != 0) return;
  for (int i = 0; i < 2; i++) match_networks_search(index->networks[i], &address, search);
}

static void search_string(const struct match_index *index, const struct match_search *search) {
  const char *text = search->value->text;
  size_t length = search->value->length;
  if (index->strings.slots)
    match_report(search, match_table_find(&index->strings, hash_string(text, length), text, length, false));
  if (index->folded.slots)
    match_report(search, match_table_find(&index->folded, hash_folded(text, length), text, length, true));
  for (int a = 0; a < AFFIXES; a++)
    if (index->affixes[a].count > 0) match_affixes_search(&index->affixes[a], search);
  if (index->wildcards) match_wildcards_search(index->wildcards, search);
  if (index->networks[0]) search_networks(index, search);
}

static void search_number(const struct match_index *index, const struct match_search *search) {
  const struct match_number *number = &search->value->number;
  if (index->numbers.slots && !number->tail) {
    struct number_key key = {number->sign, number->exponent, number->mantissa};
    match_report(search, match_table_find(&index->numbers, hash_number(&key), (const char *)&key, sizeof key, false));
  }
  match_ranges_search(&index->ranges, search);
}

void match_index_search(const struct match_index *index, const struct match_value *value, struct match_scratch *scratch,
                        match_found *found, void *context) {
  struct match_search search = {value, scratch, found, context};
  if (value->kind == MATCH_STRING)
    search_string(index, &search);
  else if (value->kind == MATCH_NUMBER)
    search_number(index, &search);
  else
    match_report(&search, index->words[value->kind]);
  match_report(&search, index->present);
  for (size_t i = 0; i < index->other_count; i++)
    if (match_predicate_holds(index->others[i].predicate, value)) found(context, index->others[i].field);
}
