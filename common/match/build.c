/* Turns a builder's rules into a set: the tree of paths, each rule's key field, the index of every path. */
#include "match/build_internal.h"

#include <stdlib.h>
#include <string.h>

#include "match/hash_internal.h"

/* A node while the tree is being built. */
struct draft {
  uint32_t parent, child, sibling; /* MATCH_NONE: none; `child` is the newest */
  uint32_t leaf;                   /* MATCH_NONE: no path ends here */
  uint32_t children;
  uint32_t rule;  /* the rule that came by last */
  uint32_t field; /* and the field */
  bool shared;
  const char *text;
  size_t length;
  struct match_node *node;
};

struct build {
  struct match_set *set;
  struct match_rule *rules;
  size_t count;
  struct error *error;
  struct draft *drafts;
  size_t draft_count, draft_capacity;
  struct match_hash children; /* (parent, step) to draft */
  struct match_hash values;   /* (leaf, exact value) seen */
  uint32_t *distinct;         /* by leaf: different values that rules ask for */
  struct match_leaf **leaves;
  struct match_entry *entries; /* sorted by leaf: those of leaf l are [starts[l], starts[l + 1]) */
  size_t *starts;
};

static int no_memory(struct build *build) {
  return error_set(build->error, ERROR_FATAL, "Memory", "no memory left for the set of patterns");
}

/* ---- the tree of paths ---- */

static uint32_t add_draft(struct build *build, uint32_t parent, const char *text, size_t length) {
  if (build->draft_count == build->draft_capacity) {
    size_t capacity = build->draft_capacity ? build->draft_capacity * 2 : 64;
    struct draft *drafts = realloc(build->drafts, capacity * sizeof *drafts);
    if (!drafts) return MATCH_NONE;
    build->drafts = drafts;
    build->draft_capacity = capacity;
  }
  uint32_t number = (uint32_t)build->draft_count++;
  build->drafts[number] = (struct draft){.parent = parent,
                                         .child = MATCH_NONE,
                                         .sibling = MATCH_NONE,
                                         .leaf = MATCH_NONE,
                                         .rule = MATCH_NONE,
                                         .text = text,
                                         .length = length};
  if (parent == MATCH_NONE) return number;
  build->drafts[number].sibling = build->drafts[parent].child;
  build->drafts[parent].child = number;
  build->drafts[parent].children++;
  return number;
}

struct step {
  struct build *build;
  uint32_t parent;
  const char *text;
  size_t length;
};

static bool is_step(const void *context, uint32_t number) {
  const struct step *step = context;
  const struct draft *draft = &step->build->drafts[number];
  return draft->parent == step->parent && draft->length == step->length &&
         memcmp(draft->text, step->text, step->length) == 0;
}

static uint32_t child_of(struct build *build, uint32_t parent, const char *text, size_t length) {
  struct step step = {build, parent, text, length};
  uint64_t hash = match_hash_bytes(text, length, parent);
  uint32_t found = match_hash_find(&build->children, hash, is_step, &step);
  if (found != MATCH_NONE) return found;
  found = add_draft(build, parent, text, length);
  if (found == MATCH_NONE || match_hash_add(&build->children, hash, found) != 0) return MATCH_NONE;
  return found;
}

/* Marks the nodes that two fields of one rule pass. */
static void pass(struct build *build, uint32_t number, uint32_t rule, uint32_t field) {
  struct draft *draft = &build->drafts[number];
  if (draft->rule == rule && draft->field != field) draft->shared = true;
  draft->rule = rule;
  draft->field = field;
}

/* Splits the path at its dots, as an event's keys will be. */
static int add_path(struct build *build, struct match_field *field, uint32_t rule, uint32_t number) {
  const char *at = field->path, *end = at + field->path_length;
  uint32_t node = 0;
  for (;;) {
    const char *dot = memchr(at, '.', (size_t)(end - at));
    node = child_of(build, node, at, (size_t)((dot ? dot : end) - at));
    if (node == MATCH_NONE) return no_memory(build);
    pass(build, node, rule, number);
    if (!dot) break;
    at = dot + 1;
  }
  if (build->drafts[node].leaf == MATCH_NONE) build->drafts[node].leaf = build->set->leaf_count++;
  field->path_index = build->drafts[node].leaf;
  return 0;
}

static int add_paths(struct build *build) {
  if (add_draft(build, MATCH_NONE, "", 0) == MATCH_NONE) return no_memory(build);
  for (size_t r = 0; r < build->count; r++)
    for (size_t f = 0; f < build->rules[r].count; f++)
      if (add_path(build, (struct match_field *)&build->rules[r].fields[f], (uint32_t)r, (uint32_t)f) != 0) return -1;
  return 0;
}

static void put_key(struct match_node *node, const struct draft *child) {
  uint32_t slot = (uint32_t)match_hash_key(child->text, child->length) & node->key_mask;
  while (node->keys[slot].text) slot = (slot + 1) & node->key_mask;
  node->keys[slot] = (struct match_key){child->text, (uint32_t)child->length, child->node};
}

/* Children have larger numbers than their parents: from the back, each is finished before it is put into one. */
static int finish_tree(struct build *build) {
  struct match_arena *arena = &build->set->arena;
  for (size_t i = build->draft_count; i-- > 0;) {
    struct draft *draft = &build->drafts[i];
    struct match_node *node = draft->node = match_arena_take(arena, sizeof *node);
    if (!node) return no_memory(build);
    node->shared = draft->shared;
    if (draft->leaf != MATCH_NONE) node->leaf = build->leaves[draft->leaf];
    if (draft->children == 0) continue;
    uint32_t slots = 4;
    while (slots < draft->children * 2) slots *= 2;
    node->key_mask = slots - 1;
    node->keys = match_arena_array(arena, slots, sizeof *node->keys);
    if (!node->keys) return no_memory(build);
    for (uint32_t c = draft->child; c != MATCH_NONE; c = build->drafts[c].sibling) put_key(node, &build->drafts[c]);
  }
  build->set->root = build->drafts[0].node;
  return 0;
}

static int add_leaves(struct build *build) {
  struct match_arena *arena = &build->set->arena;
  size_t count = build->set->leaf_count;
  build->leaves = match_arena_array(arena, count, sizeof *build->leaves);
  if (!build->leaves) return no_memory(build);
  for (size_t i = 0; i < count; i++) {
    build->leaves[i] = match_arena_take(arena, sizeof **build->leaves);
    if (!build->leaves[i]) return no_memory(build);
    build->leaves[i]->number = (uint32_t)i;
  }
  return 0;
}

/* ---- which field of a rule is its key ---- */

struct known {
  const struct match_predicate **predicates;
  const struct match_predicate *asked;
};

static bool is_known(const void *context, uint32_t number) {
  const struct known *known = context;
  const struct match_predicate *a = known->predicates[number], *b = known->asked;
  return a->kind == b->kind && a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
}

static bool has_text(const struct match_predicate *p) { return p->kind <= MATCH_IS_WILDCARD; }

static int count_field(struct build *build, const struct match_field *field, const struct match_predicate **predicates,
                       size_t *count) {
  for (size_t i = 0; i < field->count; i++) {
    const struct match_predicate *p = &field->predicates[i];
    if (!has_text(p)) {
      build->distinct[field->path_index] += p->kind == MATCH_IS_NUMBER || p->kind == MATCH_IS_NETWORK;
      continue;
    }
    struct known known = {predicates, p};
    uint64_t hash = match_hash_bytes(p->text, p->length, (uint64_t)field->path_index * MATCH_KINDS + p->kind);
    if (match_hash_find(&build->values, hash, is_known, &known) != MATCH_NONE) continue;
    predicates[*count] = p;
    if (match_hash_add(&build->values, hash, (uint32_t)(*count)++) != 0) return no_memory(build);
    build->distinct[field->path_index]++;
  }
  return 0;
}

static int count_values(struct build *build) {
  size_t total = 0, count = 0;
  int result = 0;
  for (size_t r = 0; r < build->count; r++)
    for (size_t f = 0; f < build->rules[r].count; f++) total += build->rules[r].fields[f].count;
  const struct match_predicate **predicates = calloc(total + 1, sizeof *predicates);
  build->distinct = calloc(build->set->leaf_count + 1, sizeof *build->distinct);
  if (!predicates || !build->distinct) result = no_memory(build);
  for (size_t r = 0; result == 0 && r < build->count; r++)
    for (size_t f = 0; result == 0 && f < build->rules[r].count; f++)
      result = count_field(build, &build->rules[r].fields[f], predicates, &count);
  free(predicates);
  return result;
}

/* How likely a value meets the field, as far as the rules tell: many different values asked for at a path mean that
 * the path has many different values. */
static double likelihood(const struct build *build, const struct match_field *field) {
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

static int rank_fields(struct build *build, const struct match_rule *rule) {
  struct match_field *fields = (struct match_field *)rule->fields;
  struct ranked *ranked = malloc(rule->count * sizeof *ranked);
  if (!ranked) return no_memory(build);
  for (size_t i = 0; i < rule->count; i++) ranked[i] = (struct ranked){fields[i], likelihood(build, &fields[i]), i};
  qsort(ranked, rule->count, sizeof *ranked, compare_ranked);
  for (size_t i = 0; i < rule->count; i++) fields[i] = ranked[i].field;
  free(ranked);
  return 0;
}

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

static int add_ids(struct build *build) {
  struct match_set *set = build->set;
  set->ids = match_arena_array(&set->arena, build->count, sizeof *set->ids);
  if (!set->ids) return no_memory(build);
  for (size_t r = 0; r < build->count; r++) set->ids[r] = build->rules[r].id;
  if (build->count > 1) qsort(set->ids, build->count, sizeof *set->ids, compare_ids);
  for (size_t r = 0; r < build->count; r++)
    if (r == 0 || set->ids[r] != set->ids[r - 1]) set->ids[set->id_count++] = set->ids[r];
  return 0;
}

static void add_plan(struct build *build, const struct match_rule *rule) {
  struct match_set *set = build->set;
  const uint32_t *id = bsearch(&rule->id, set->ids, set->id_count, sizeof *set->ids, compare_ids);
  struct match_plan *plan = &set->plans[set->plan_count];
  *plan = (struct match_plan){.id = (uint32_t)(id - set->ids), .fields = rule->fields, .count = (uint32_t)rule->count};
  plan->joined = is_joined(rule);
  plan->key = rule->fields[0].absent_allowed ? plan->count : 0;
  if (plan->key == plan->count) set->always[set->always_count++] = set->plan_count;
  for (uint32_t i = 0; i < plan->count; i++)
    if (i != plan->key || plan->joined) build->leaves[plan->fields[i].path_index]->noted = true;
  set->plan_count++;
}

static int add_plans(struct build *build) {
  struct match_set *set = build->set;
  set->plans = match_arena_array(&set->arena, build->count, sizeof *set->plans);
  set->always = match_arena_array(&set->arena, build->count, sizeof *set->always);
  if (!set->plans || !set->always || add_ids(build) != 0) return no_memory(build);
  for (size_t r = 0; r < build->count; r++) {
    if (rank_fields(build, &build->rules[r]) != 0) return -1;
    add_plan(build, &build->rules[r]);
  }
  return 0;
}

/* ---- the indexes ---- */

static const struct match_field *key_of(const struct match_plan *plan) {
  return plan->key < plan->count ? &plan->fields[plan->key] : NULL;
}

/* Sorts all keys' predicates by leaf, counting first. */
static int sort_entries(struct build *build) {
  struct match_set *set = build->set;
  size_t leaves = set->leaf_count, total = 0;
  build->starts = calloc(leaves + 2, sizeof *build->starts);
  if (!build->starts) return no_memory(build);
  for (uint32_t i = 0; i < set->plan_count; i++) {
    const struct match_field *key = key_of(&set->plans[i]);
    if (!key) continue;
    build->starts[key->path_index + 2] += key->count;
    total += key->count;
  }
  for (size_t i = 2; i < leaves + 2; i++) build->starts[i] += build->starts[i - 1];
  build->entries = calloc(total + 1, sizeof *build->entries);
  if (!build->entries) return no_memory(build);
  for (uint32_t i = 0; i < set->plan_count; i++) {
    const struct match_field *key = key_of(&set->plans[i]);
    for (size_t p = 0; key && p < key->count; p++)
      build->entries[build->starts[key->path_index + 1]++] = (struct match_entry){&key->predicates[p], i};
  }
  return 0;
}

static int add_indexes(struct build *build) {
  if (sort_entries(build) != 0) return -1;
  for (size_t i = 0; i < build->set->leaf_count; i++) {
    size_t count = build->starts[i + 1] - build->starts[i];
    if (count == 0) continue;
    build->leaves[i]->index =
        match_index_build(&build->set->arena, &build->entries[build->starts[i]], count, build->error);
    if (!build->leaves[i]->index) return -1;
  }
  return 0;
}

static int build_set(struct build *build) {
  if (add_paths(build) != 0 || add_leaves(build) != 0 || count_values(build) != 0) return -1;
  if (add_plans(build) != 0 || add_indexes(build) != 0) return -1;
  return finish_tree(build);
}

static void release(struct build *build) {
  match_hash_free(&build->children);
  match_hash_free(&build->values);
  free(build->drafts);
  free(build->distinct);
  free(build->entries);
  free(build->starts);
}

struct match_set *match_build(struct match_builder *builder, struct error *error) {
  static uint64_t serial;
  struct match_arena arena = builder->arena;
  struct match_rule *rules = builder->rules;
  struct build build = {.rules = rules, .count = builder->count, .error = error};
  free(builder);
  struct match_set *set = match_arena_take(&arena, sizeof *set);
  int result = -1;
  if (set) {
    set->arena = arena;
    set->scan = match_scan_best();
    set->serial = __atomic_add_fetch(&serial, 1, __ATOMIC_RELAXED);
    build.set = set;
    result = build_set(&build);
    arena = set->arena;
  } else {
    no_memory(&build);
  }
  release(&build);
  free(rules);
  if (result == 0) return set;
  match_arena_free(&arena);
  return NULL;
}
