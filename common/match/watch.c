/* Where the walk over an event may stop before its end: which paths must have come, and how to tell that none of them
 * can come again. */
#include <string.h>

#include "match/build_internal.h"

#define WATCHED 32 /* nodes of one watch; with more paths an event hardly ever has them all */

struct match_piece match_last_key(const struct match_node *node) {
  const struct match_node *parent = node->parent;
  uint32_t slot = 0;
  while (parent->keys[slot].node != node) slot++;
  return (struct match_piece){parent->keys[slot].text, parent->keys[slot].length};
}

/* Of two bytes at least, and spelt as it is, or with a \u: no quote, backslash, slash or control character. */
static bool is_word(const struct match_piece *key) {
  for (size_t i = 0; i < key->length; i++)
    if ((unsigned char)key->text[i] < 0x20 || strchr("\"\\/", key->text[i])) return false;
  return key->length >= 2;
}

int match_add_word(struct match_words *words, struct match_piece key) {
  for (uint32_t i = 0; i < words->count; i++)
    if (words->list[i].length == key.length && memcmp(words->list[i].text, key.text, key.length) == 0) return 0;
  if (words->count == MATCH_WORDS || !is_word(&key)) return -1;
  if (words->count == 0) words->mark = MATCH_MARK;
  if (key.length < words->mark) words->mark = (uint32_t)key.length;
  words->list[words->count++] = key;
  return 0;
}

static int add_node(struct match_watch *watch, const struct match_node *node) {
  for (uint32_t i = 0; i < watch->node_count; i++)
    if (watch->nodes[i] == node) return 0;
  if (watch->node_count == WATCHED) return -1;
  watch->nodes[watch->node_count++] = node;
  return 0;
}

/* -1: too many nodes. */
static int add_path(struct match_watch *watch, const struct match_leaf *leaf) {
  for (const struct match_node *node = leaf->node; node->parent; node = node->parent)
    if (add_node(watch, node) != 0) return -1;
  return 0;
}

static const struct match_watch *keep(struct match_build *build, const struct match_watch *watch) {
  struct match_watch *kept = match_arena_take(&build->set->arena, sizeof *kept);
  const struct match_node **nodes = match_arena_array(&build->set->arena, watch->node_count, sizeof *nodes);
  if (!kept || !nodes) return NULL;
  memcpy(nodes, watch->nodes, watch->node_count * sizeof *nodes);
  *kept = *watch;
  kept->nodes = nodes;
  return kept;
}

/* Of the paths of leaves [first, end), or only of those where rules have their keys.  NULL: they are too many. */
static const struct match_watch *watch_leaves(struct match_build *build, uint32_t first, uint32_t end, bool keys_only) {
  const struct match_node *nodes[WATCHED];
  struct match_watch watch = {.nodes = nodes};
  bool words = true;
  for (uint32_t i = first; i < end; i++) {
    const struct match_leaf *leaf = build->leaves[i];
    if (keys_only && !leaf->is_key) continue;
    if (add_path(&watch, leaf) != 0) return NULL;
    words = words && match_add_word(&watch.words, match_last_key(leaf->node)) == 0;
  }
  if (!words) watch.words.count = 0;
  return keep(build, &watch);
}

static void find_keys(struct match_build *build) {
  struct match_set *set = build->set;
  for (uint32_t i = 0; i < set->field_count; i++) {
    struct match_leaf *leaf = build->leaves[set->fields[i].path_index];
    if (set->keyed[i].count == 0 || leaf->is_key) continue;
    leaf->is_key = true;
    set->key_count++;
  }
}

/* No watch is an error: the walk goes to the end then. */
int match_build_watches(struct match_build *build) {
  struct match_set *set = build->set;
  if (set->plan_count == 0) return 0;
  find_keys(build);
  if (set->always_count == 0) set->keys = watch_leaves(build, 0, set->leaf_count, true);
  set->all = watch_leaves(build, 0, set->leaf_count, false);
  if (set->all && set->all->words.count == 0) set->all = NULL;
  for (uint32_t i = 0; i < set->leaf_count; i++)
    if (build->needed_by[i] == set->plan_count) build->leaves[i]->needed = watch_leaves(build, i, i + 1, false);
  return 0;
}
