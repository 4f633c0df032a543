/* The tree of paths. */
#include <stdlib.h>
#include <string.h>

#include "match/build_internal.h"

/* A node while the tree is being built. */
struct match_draft {
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

static uint32_t add_draft(struct match_build *build, uint32_t parent, const char *text, size_t length) {
  if (build->draft_count == build->draft_capacity) {
    size_t capacity = build->draft_capacity ? build->draft_capacity * 2 : 64;
    struct match_draft *drafts = realloc(build->drafts, capacity * sizeof *drafts);
    if (!drafts) return MATCH_NONE;
    build->drafts = drafts;
    build->draft_capacity = capacity;
  }
  uint32_t number = (uint32_t)build->draft_count++;
  build->drafts[number] = (struct match_draft){.parent = parent,
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
  struct match_build *build;
  uint32_t parent;
  const char *text;
  size_t length;
};

static bool is_step(const void *context, uint32_t number) {
  const struct step *step = context;
  const struct match_draft *draft = &step->build->drafts[number];
  return draft->parent == step->parent && draft->length == step->length &&
         memcmp(draft->text, step->text, step->length) == 0;
}

static uint32_t child_of(struct match_build *build, uint32_t parent, const char *text, size_t length) {
  struct step step = {build, parent, text, length};
  uint64_t hash = match_hash_bytes(text, length, parent);
  uint32_t found = match_hash_find(&build->children, hash, is_step, &step);
  if (found != MATCH_NONE) return found;
  found = add_draft(build, parent, text, length);
  if (found == MATCH_NONE || match_hash_add(&build->children, hash, found) != 0) return MATCH_NONE;
  return found;
}

/* Marks the nodes that two fields of one rule pass. */
static void pass(struct match_build *build, uint32_t number, uint32_t rule, uint32_t field) {
  struct match_draft *draft = &build->drafts[number];
  if (draft->rule == rule && draft->field != field) draft->shared = true;
  draft->rule = rule;
  draft->field = field;
}

/* Splits the path at its dots, as an event's keys will be. */
static int add_path(struct match_build *build, struct match_field *field, uint32_t rule, uint32_t number) {
  const char *at = field->path, *end = at + field->path_length;
  uint32_t node = 0;
  for (;;) {
    const char *dot = memchr(at, '.', (size_t)(end - at));
    node = child_of(build, node, at, (size_t)((dot ? dot : end) - at));
    if (node == MATCH_NONE) return match_build_no_memory(build);
    pass(build, node, rule, number);
    if (!dot) break;
    at = dot + 1;
  }
  if (build->drafts[node].leaf == MATCH_NONE) build->drafts[node].leaf = build->set->leaf_count++;
  field->path_index = build->drafts[node].leaf;
  return 0;
}

static int add_paths(struct match_build *build) {
  if (add_draft(build, MATCH_NONE, "", 0) == MATCH_NONE) return match_build_no_memory(build);
  for (size_t r = 0; r < build->count; r++)
    for (size_t f = 0; f < build->rules[r].count; f++)
      if (add_path(build, (struct match_field *)&build->rules[r].fields[f], (uint32_t)r, (uint32_t)f) != 0) return -1;
  return 0;
}

/* The text moves into the set's arena: the builder's goes away. */
static int put_key(struct match_arena *arena, struct match_node *node, const struct match_draft *child) {
  child->node->parent = node;
  const char *text = match_arena_copy(arena, child->text, child->length);
  if (!text) return -1;
  uint32_t slot = (uint32_t)match_hash_key(child->text, child->length) & node->key_mask;
  while (node->keys[slot].text) slot = (slot + 1) & node->key_mask;
  node->keys[slot] = (struct match_key){text, (uint32_t)child->length, child->node};
  return 0;
}

/* Children have larger numbers than their parents: from the back, each is finished before it is put into one. */
int match_build_nodes(struct match_build *build) {
  struct match_arena *arena = &build->set->arena;
  for (size_t i = build->draft_count; i-- > 0;) {
    struct match_draft *draft = &build->drafts[i];
    struct match_node *node = draft->node = match_arena_take(arena, sizeof *node);
    if (!node) return match_build_no_memory(build);
    node->shared = draft->shared;
    if (draft->leaf != MATCH_NONE) {
      node->leaf = build->leaves[draft->leaf];
      node->leaf->node = node;
    }
    if (draft->children == 0) continue;
    uint32_t slots = 4;
    while (slots < draft->children * 2) slots *= 2;
    node->key_mask = slots - 1;
    node->keys = match_arena_array(arena, slots, sizeof *node->keys);
    if (!node->keys) return match_build_no_memory(build);
    for (uint32_t c = draft->child; c != MATCH_NONE; c = build->drafts[c].sibling)
      if (put_key(arena, node, &build->drafts[c]) != 0) return match_build_no_memory(build);
  }
  build->set->root = build->drafts[0].node;
  return 0;
}

static int add_leaves(struct match_build *build) {
  struct match_arena *arena = &build->set->arena;
  size_t count = build->set->leaf_count;
  build->leaves = match_arena_array(arena, count, sizeof *build->leaves);
  if (!build->leaves) return match_build_no_memory(build);
  for (size_t i = 0; i < count; i++) {
    build->leaves[i] = match_arena_take(arena, sizeof **build->leaves);
    if (!build->leaves[i]) return match_build_no_memory(build);
    build->leaves[i]->number = (uint32_t)i;
  }
  return 0;
}

int match_build_tree(struct match_build *build) { return add_paths(build) != 0 ? -1 : add_leaves(build); }
