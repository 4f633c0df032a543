/* Between the files that build a set: builder.c, build.c, tree.c, rank.c, intern.c. */
#ifndef PARAPET_MATCH_BUILD_INTERNAL_H
#define PARAPET_MATCH_BUILD_INTERNAL_H

#include "match/hash_internal.h"
#include "match/set_internal.h"

struct match_builder {
  struct match_arena arena;
  struct match_rule *rules;
  size_t count, capacity;
};

struct match_draft; /* a node while the tree is being built (tree.c) */

struct match_build {
  struct match_set *set;
  struct match_rule *rules; /* of the builder; their fields are in its arena and may be changed */
  size_t count;
  struct error *error;
  struct match_draft *drafts;
  size_t draft_count, draft_capacity;
  struct match_hash children; /* (parent, step) to draft */
  struct match_hash values;   /* (leaf, exact value) seen */
  struct match_hash fields;   /* fields of the set */
  uint32_t *distinct;         /* by leaf: different values that rules ask for */
  struct match_leaf **leaves;
  struct match_entry *entries; /* sorted by leaf: those of leaf l are [starts[l], starts[l + 1]) */
  size_t *starts;
  uint32_t *needed_by; /* by leaf: how many rules need a value there */
};

/* All return 0, or -1 with build->error. */
int match_build_no_memory(struct match_build *build);
/* Makes the tree and the leaves; sets every field's path_index. */
int match_build_tree(struct match_build *build);
/* Makes the nodes that the walk uses; after this the drafts are of no use. */
int match_build_nodes(struct match_build *build);
/* Finds out where the walk over an event may stop early. */
int match_build_watches(struct match_build *build);
struct match_piece match_last_key(const struct match_node *node); /* the last step of its path */
/* Adds the key to the words unless it is there.  -1: they are too many, or the key is no word for match_scan. */
int match_add_word(struct match_words *words, struct match_piece key);
/* Finds out what an event must have; a set that has no sieve walks all events. */
void match_build_sieve(struct match_build *build);
/* Puts each rule's fields into order: the least likely to be met first, those that may be absent last. */
int match_build_rank(struct match_build *build);

/* One of those that some values meet and most do not. */
bool match_predicate_is_selective(const struct match_predicate *predicate);

/* Equal fields of many rules are one field of the set. */
uint64_t match_field_hash(const struct match_field *field);
bool match_field_same(const struct match_field *a, const struct match_field *b);
int match_field_copy(struct match_arena *arena, const struct match_field *from, struct match_field *to);

#endif
