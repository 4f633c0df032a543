/* Turns a builder's rules into a set.  The set has an arena of its own, into which only what a run needs is copied,
 * equal fields once: what stays is small, and what is looked at together lies together. */
#include "match/build_internal.h"

#include <stdlib.h>
#include <string.h>

int match_build_no_memory(struct match_build *build) {
  return error_set(build->error, ERROR_FATAL, "Memory",
                   "the set of patterns needs more memory than there is or than a set may have");
}

/* ---- plans ---- */

/* The length of the first step of a path. */
static size_t first_step(const struct match_field *field) {
  const char *dot = memchr(field->path, '.', field->path_length);
  return dot ? (size_t)(dot - field->path) : field->path_length;
}

static bool is_joined(const struct match_rule *rule) {
  for (size_t i = 0; i < rule->count; i++)
    for (size_t j = 0; j < i; j++) {
      size_t length = first_step(&rule->fields[i]);
      if (first_step(&rule->fields[j]) != length) continue;
      if (memcmp(rule->fields[i].path, rule->fields[j].path, length) == 0) return true;
    }
  return false;
}

static int compare_ids(const void *left, const void *right) {
  uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
  return (a > b) - (a < b);
}

static int add_ids(struct match_build *build) {
  struct match_set *set = build->set;
  set->ids = match_arena_array(&set->arena, build->count, sizeof *set->ids);
  if (!set->ids) return match_build_no_memory(build);
  for (size_t r = 0; r < build->count; r++) set->ids[r] = build->rules[r].id;
  if (build->count > 1) qsort(set->ids, build->count, sizeof *set->ids, compare_ids);
  for (size_t r = 0; r < build->count; r++)
    if (r == 0 || set->ids[r] != set->ids[r - 1]) set->ids[set->id_count++] = set->ids[r];
  return 0;
}

/* Rules whose keys are alike come one after another: an event that makes one a candidate makes the others, too. */
static int compare_rules(const void *left, const void *right) {
  const struct match_rule *a = left, *b = right;
  const struct match_field *x = &a->fields[0], *y = &b->fields[0];
  if (x->path_index != y->path_index) return x->path_index < y->path_index ? -1 : 1;
  if (x->strings > 0 && y->strings > 0) {
    const struct match_predicate *p = &x->predicates[0], *q = &y->predicates[0];
    int order = match_string_order(p->text, p->length, q->text, q->length);
    if (order != 0) return order;
  }
  return (a->id > b->id) - (a->id < b->id);
}

struct wanted {
  const struct match_set *set;
  const struct match_field *field;
};

static bool is_wanted(const void *context, uint32_t number) {
  const struct wanted *wanted = context;
  return match_field_same(&wanted->set->fields[number], wanted->field);
}

/* The number of the set's field that equals `field`; MATCH_NONE: out of memory. */
static uint32_t intern(struct match_build *build, const struct match_field *field) {
  struct match_set *set = build->set;
  struct wanted wanted = {set, field};
  uint64_t hash = match_field_hash(field);
  uint32_t number = match_hash_find(&build->fields, hash, is_wanted, &wanted);
  if (number != MATCH_NONE) return number;
  if (match_field_copy(&set->arena, field, &set->fields[set->field_count]) != 0) return MATCH_NONE;
  if (match_hash_add(&build->fields, hash, set->field_count) != 0) return MATCH_NONE;
  return set->field_count++;
}

static bool is_keyed(const struct match_rule *rule) { return !rule->fields[0].absent_allowed; }

static int add_plan(struct match_build *build, const struct match_rule *rule, uint32_t *fields) {
  struct match_set *set = build->set;
  const uint32_t *id = bsearch(&rule->id, set->ids, set->id_count, sizeof *set->ids, compare_ids);
  struct match_plan *plan = &set->plans[set->plan_count];
  *plan = (struct match_plan){.id = (uint32_t)(id - set->ids), .fields = fields, .count = (uint16_t)rule->count};
  plan->joined = is_joined(rule);
  for (uint32_t i = 0; i < plan->count; i++) {
    fields[i] = intern(build, &rule->fields[i]);
    if (fields[i] == MATCH_NONE) return match_build_no_memory(build);
  }
  if (is_keyed(rule)) {
    struct match_keyed *keyed = &set->keyed[fields[0]];
    if (keyed->count++ == 0) keyed->first = set->plan_count;
  } else {
    set->always[set->always_count++] = set->plan_count;
  }
  set->plan_count++;
  return 0;
}

struct order {
  uint32_t key; /* number of the key field; MATCH_NONE: no key */
  uint32_t rule;
};

static int compare_orders(const void *left, const void *right) {
  const struct order *a = left, *b = right;
  if (a->key != b->key) return a->key < b->key ? -1 : 1;
  return (a->rule > b->rule) - (a->rule < b->rule);
}

/* The order of plans: those with one key field in one piece, those with like key fields near each other. */
static struct order *order_rules(struct match_build *build) {
  struct order *orders = calloc(build->count + 1, sizeof *orders);
  if (!orders) return NULL;
  if (build->count > 1) qsort(build->rules, build->count, sizeof *build->rules, compare_rules);
  for (size_t r = 0; r < build->count; r++) {
    orders[r] = (struct order){MATCH_NONE, (uint32_t)r};
    if (!is_keyed(&build->rules[r])) continue;
    orders[r].key = intern(build, &build->rules[r].fields[0]);
    if (orders[r].key == MATCH_NONE) {
      free(orders);
      return NULL;
    }
  }
  if (build->count > 1) qsort(orders, build->count, sizeof *orders, compare_orders);
  return orders;
}

static int add_plans(struct match_build *build) {
  struct match_set *set = build->set;
  size_t total = 0;
  for (size_t r = 0; r < build->count; r++) total += build->rules[r].count;
  set->plans = match_arena_array(&set->arena, build->count, sizeof *set->plans);
  set->always = match_arena_array(&set->arena, build->count, sizeof *set->always);
  set->fields = match_arena_array(&set->arena, total, sizeof *set->fields);
  set->keyed = match_arena_array(&set->arena, total, sizeof *set->keyed);
  uint32_t *fields = match_arena_array(&set->arena, total, sizeof *fields);
  if (!set->plans || !set->always || !set->fields || !set->keyed || !fields) return match_build_no_memory(build);
  if (add_ids(build) != 0) return -1;
  struct order *orders = order_rules(build);
  if (!orders) return match_build_no_memory(build);
  int result = 0;
  for (size_t r = 0; result == 0 && r < build->count; r++) {
    const struct match_rule *rule = &build->rules[orders[r].rule];
    result = add_plan(build, rule, fields);
    fields += rule->count;
  }
  free(orders);
  return result;
}

/* ---- the indexes ---- */

/* Paths with more selective fields than this have all of them in the index, not only the keys. */
#define FEW_FIELDS 8

static bool is_selective(const struct match_field *field) {
  for (size_t i = 0; i < field->count; i++)
    if (!match_predicate_is_selective(&field->predicates[i])) return false;
  return !field->absent_allowed;
}

static int count_needs(struct match_build *build) {
  const struct match_set *set = build->set;
  build->needed_by = calloc(set->leaf_count + 1, sizeof *build->needed_by);
  if (!build->needed_by) return match_build_no_memory(build);
  for (uint32_t i = 0; i < set->plan_count; i++)
    for (uint32_t f = 0; f < set->plans[i].count; f++) {
      const struct match_field *field = &set->fields[set->plans[i].fields[f]];
      if (!field->absent_allowed) build->needed_by[field->path_index]++;
    }
  return 0;
}

static int choose_indexed(struct match_build *build) {
  struct match_set *set = build->set;
  uint32_t *selective = calloc(set->leaf_count + 1, sizeof *selective);
  set->indexed = match_arena_array(&set->arena, set->field_count, sizeof *set->indexed);
  if (!selective || !set->indexed) {
    free(selective);
    return match_build_no_memory(build);
  }
  for (uint32_t i = 0; i < set->field_count; i++) selective[set->fields[i].path_index] += is_selective(&set->fields[i]);
  for (uint32_t i = 0; i < set->field_count; i++) {
    const struct match_field *field = &set->fields[i];
    bool needed = build->needed_by[field->path_index] == set->plan_count;
    set->indexed[i] =
        needed || set->keyed[i].count > 0 || (selective[field->path_index] > FEW_FIELDS && is_selective(field));
  }
  free(selective);
  return 0;
}

/* Values are noted where they are looked at after the walk: for fields outside the indexes, and to compare places. */
static void choose_noted(struct match_build *build) {
  const struct match_set *set = build->set;
  for (uint32_t i = 0; i < set->plan_count; i++) {
    const struct match_plan *plan = &set->plans[i];
    for (uint32_t f = 0; f < plan->count; f++) {
      uint32_t number = plan->fields[f];
      if (plan->joined || !set->indexed[number]) build->leaves[set->fields[number].path_index]->noted = true;
    }
  }
}

static void choose_quick(struct match_set *set) {
  for (uint32_t i = 0; i < set->plan_count; i++) {
    struct match_plan *plan = &set->plans[i];
    uint32_t found = 0;
    for (uint32_t f = 1; f < plan->count && found < MATCH_QUICK; f++)
      if (set->indexed[plan->fields[f]]) plan->quick[found++] = plan->fields[f];
    while (found < MATCH_QUICK) plan->quick[found++] = plan->fields[0];
  }
}

/* Sorts the predicates of all indexed fields by leaf, counting first. */
static int sort_entries(struct match_build *build) {
  const struct match_set *set = build->set;
  size_t leaves = set->leaf_count, total = 0;
  build->starts = calloc(leaves + 2, sizeof *build->starts);
  if (!build->starts) return match_build_no_memory(build);
  for (uint32_t i = 0; i < set->field_count; i++) {
    size_t count = set->indexed[i] ? set->fields[i].count : 0;
    build->starts[set->fields[i].path_index + 2] += count;
    total += count;
  }
  for (size_t i = 2; i < leaves + 2; i++) build->starts[i] += build->starts[i - 1];
  build->entries = calloc(total + 1, sizeof *build->entries);
  if (!build->entries) return match_build_no_memory(build);
  for (uint32_t i = 0; i < set->field_count; i++) {
    const struct match_field *field = &set->fields[i];
    for (size_t p = 0; set->indexed[i] && p < field->count; p++)
      build->entries[build->starts[field->path_index + 1]++] = (struct match_entry){&field->predicates[p], i};
  }
  return 0;
}

static int add_indexes(struct match_build *build) {
  if (count_needs(build) != 0 || choose_indexed(build) != 0 || sort_entries(build) != 0) return -1;
  choose_noted(build);
  choose_quick(build->set);
  for (size_t i = 0; i < build->set->leaf_count; i++) {
    size_t count = build->starts[i + 1] - build->starts[i];
    if (count == 0) continue;
    build->leaves[i]->index = match_index_build(&build->set->arena, &build->entries[build->starts[i]], count,
                                                &build->set->mark_count, build->error);
    if (!build->leaves[i]->index) return -1;
  }
  return 0;
}

static int build_set(struct match_build *build) {
  if (match_build_tree(build) != 0 || match_build_rank(build) != 0) return -1;
  if (add_plans(build) != 0 || add_indexes(build) != 0) return -1;
  if (match_build_nodes(build) != 0 || match_build_watches(build) != 0) return -1;
  match_build_sieve(build);
  return 0;
}

static void release(struct match_build *build) {
  match_hash_free(&build->children);
  match_hash_free(&build->values);
  match_hash_free(&build->fields);
  free(build->drafts);
  free(build->distinct);
  free(build->entries);
  free(build->starts);
  free(build->needed_by);
}

static struct match_set *open_set(void) {
  static uint64_t serial;
  struct match_arena arena = {.ceiling = MATCH_SET_BYTES};
  struct match_set *set = match_arena_take(&arena, sizeof *set);
  if (!set) return NULL;
  set->arena = arena;
  set->scan = match_scan_best();
  set->serial = __atomic_add_fetch(&serial, 1, __ATOMIC_RELAXED);
  return set;
}

struct match_set *match_build(struct match_builder *builder, struct error *error) {
  struct match_build build = {.rules = builder->rules, .count = builder->count, .error = error, .set = open_set()};
  int result = build.set ? build_set(&build) : match_build_no_memory(&build);
  release(&build);
  match_builder_free(builder);
  if (result == 0) return build.set;
  match_set_free(build.set);
  return NULL;
}
