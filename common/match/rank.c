/* Which field of a rule is its key: the one that the fewest events will meet. */
#include <stdlib.h>
#include <string.h>

#include "match/build_internal.h"

struct known {
  const struct match_predicate **predicates;
  const struct match_predicate *asked;
};

static bool is_known(const void *context, uint32_t number) {
  const struct known *known = context;
  const struct match_predicate *a = known->predicates[number], *b = known->asked;
  if (a->kind != b->kind) return false;
  if (a->kind == MATCH_IS_NUMBER) return match_number_compare(&a->low, &b->low) == 0;
  if (a->kind == MATCH_IS_NETWORK) return memcmp(&a->network, &b->network, sizeof a->network) == 0;
  return a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
}

static uint64_t hash_predicate(const struct match_predicate *p, uint64_t seed) {
  if (p->kind == MATCH_IS_NUMBER) return match_hash_mix(seed, p->low.mantissa);
  if (p->kind == MATCH_IS_NETWORK) return match_hash_bytes((const char *)p->network.address, 16, seed);
  return match_hash_bytes(p->text, p->length, seed);
}

bool match_predicate_is_selective(const struct match_predicate *p) {
  return p->kind <= MATCH_IS_NUMBER || p->kind == MATCH_IS_NETWORK;
}

static int count_field(struct match_build *build, const struct match_field *field,
                       const struct match_predicate **predicates, size_t *count) {
  for (size_t i = 0; i < field->count; i++) {
    const struct match_predicate *p = &field->predicates[i];
    if (!match_predicate_is_selective(p)) continue;
    struct known known = {predicates, p};
    uint64_t hash = hash_predicate(p, (uint64_t)field->path_index * MATCH_KINDS + p->kind);
    if (match_hash_find(&build->values, hash, is_known, &known) != MATCH_NONE) continue;
    predicates[*count] = p;
    if (match_hash_add(&build->values, hash, (uint32_t)(*count)++) != 0) return match_build_no_memory(build);
    build->distinct[field->path_index]++;
  }
  return 0;
}

static int count_values(struct match_build *build) {
  size_t total = 0, count = 0;
  int result = 0;
  for (size_t r = 0; r < build->count; r++)
    for (size_t f = 0; f < build->rules[r].count; f++) total += build->rules[r].fields[f].count;
  const struct match_predicate **predicates = calloc(total + 1, sizeof *predicates);
  build->distinct = calloc(build->set->leaf_count + 1, sizeof *build->distinct);
  if (!predicates || !build->distinct) {
    free(predicates);
    return match_build_no_memory(build);
  }
  for (size_t r = 0; result == 0 && r < build->count; r++)
    for (size_t f = 0; result == 0 && f < build->rules[r].count; f++)
      result = count_field(build, &build->rules[r].fields[f], predicates, &count);
  free(predicates);
  return result;
}

/* How likely a value meets the field, as far as the rules tell: many different values asked for at a path mean that
 * the path has many different values. */
static double likelihood(const struct match_build *build, const struct match_field *field) {
  static const double weights[MATCH_KINDS] = {
      [MATCH_IS_STRING] = 1,        [MATCH_IS_PREFIX] = 2,      [MATCH_IS_SUFFIX] = 2,
      [MATCH_IS_STRING_FOLD] = 1.1, [MATCH_IS_PREFIX_FOLD] = 2, [MATCH_IS_SUFFIX_FOLD] = 2,
      [MATCH_IS_WILDCARD] = 3,      [MATCH_IS_NUMBER] = 1,      [MATCH_IS_NETWORK] = 2};
  static const double fixed[MATCH_KINDS] = {[MATCH_IS_RANGE] = 0.5, [MATCH_IS_TRUE] = 0.4,    [MATCH_IS_FALSE] = 0.6,
                                            [MATCH_IS_NULL] = 0.3,  [MATCH_IS_PRESENT] = 0.9, [MATCH_IS_EXCEPT] = 0.95};
  double sum = 0;
  for (size_t i = 0; i < field->count; i++) {
    enum match_predicate_kind kind = field->predicates[i].kind;
    sum += fixed[kind] > 0 ? fixed[kind] : weights[kind] / (1 + build->distinct[field->path_index]);
  }
  return field->absent_allowed ? sum + 1e9 : sum; /* absence is no event to wait for */
}

struct ranked {
  struct match_field field;
  double likelihood;
  size_t order;
};

static int compare_ranked(const void *left, const void *right) {
  const struct ranked *a = left, *b = right;
  if (a->likelihood != b->likelihood) return a->likelihood < b->likelihood ? -1 : 1;
  return (a->order > b->order) - (a->order < b->order);
}

static int rank_fields(struct match_build *build, const struct match_rule *rule) {
  struct match_field *fields = (struct match_field *)rule->fields;
  struct ranked *ranked = malloc(rule->count * sizeof *ranked);
  if (!ranked) return match_build_no_memory(build);
  for (size_t i = 0; i < rule->count; i++) ranked[i] = (struct ranked){fields[i], likelihood(build, &fields[i]), i};
  qsort(ranked, rule->count, sizeof *ranked, compare_ranked);
  for (size_t i = 0; i < rule->count; i++) fields[i] = ranked[i].field;
  free(ranked);
  return 0;
}

int match_build_rank(struct match_build *build) {
  if (count_values(build) != 0) return -1;
  for (size_t r = 0; r < build->count; r++)
    if (rank_fields(build, &build->rules[r]) != 0) return -1;
  return 0;
}
