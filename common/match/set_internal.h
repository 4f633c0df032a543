/* What a built set is made of, and what one run of an event needs. */
#ifndef PARAPET_MATCH_SET_INTERNAL_H
#define PARAPET_MATCH_SET_INTERNAL_H

#include <string.h>

#include "match/match_internal.h"

/* ---- the paths that the set uses: a tree of keys (build.c, tree.c) ---- */

#define MATCH_WORDS 4
#define MATCH_MARK 4 /* bytes */

/* What scanners look for in front of a quote.  Most of what is no word shows it in two bytes, `mark` before the quote:
 * there keys differ more than at their end. */
struct match_words {
  uint32_t count;
  uint32_t mark; /* MATCH_MARK, or the length of the shortest if that is less; two at least */
  struct match_piece list[MATCH_WORDS];
};

/* Paths that have come, and whether one can come again in what is left of an event (watch.c).  It cannot when none of
 * the words stands there: the paths' last keys, in front of their closing quote. */
struct match_watch {
  const struct match_node **nodes; /* on the way to the paths, their ends included */
  uint32_t node_count;
  struct match_words words; /* none: too many, or one that JSON may spell in other ways than with \u */
};

struct match_leaf {
  uint32_t number;           /* into match_scratch.notes_of */
  bool noted;                /* values of this path are looked at after the walk */
  bool is_key;               /* some rule's key field ends here */
  struct match_index *index; /* of the fields that end here; NULL: none */
  const struct match_node *node;
  const struct match_watch
      *needed; /* of this path, where every rule needs a value here; NULL: some rule does without */
};

struct match_node {
  struct match_key *keys; /* open addressing, key_mask + 1 slots; NULL: no path goes on from here */
  uint32_t key_mask;
  const struct match_node *parent; /* NULL: the root */
  bool shared;                     /* some rule has two fields from here on: elements of arrays here need places */
  struct match_leaf *leaf;         /* NULL: no path ends here */
};

struct match_key {
  const char *text; /* NULL: a free slot */
  uint32_t length;
  struct match_node *node;
};

/* The child for one step of a path, or NULL. */
const struct match_node *match_node_child(const struct match_node *node, const char *key, size_t length);

/* ---- rules ---- */

#define MATCH_QUICK 3

struct match_plan {
  uint32_t id;                 /* index into match_set.ids */
  uint32_t quick[MATCH_QUICK]; /* fields that an index finds, looked at first; the key again where there are fewer */
  uint16_t count;
  bool joined;            /* two of its fields may lie in one array */
  bool keyed;             /* its first field is in an index; if not, it is a candidate always */
  const uint32_t *fields; /* indexes into match_set.fields, the least likely first */
};

/* The plans whose key field it is: plans[first … first + count). */
struct match_keyed {
  uint32_t first, count;
};

struct match_set {
  struct match_arena arena;
  struct match_node *root;
  uint32_t leaf_count;
  struct match_plan *plans;
  uint32_t plan_count;
  struct match_field *fields; /* distinct; path_index is a leaf's number */
  struct match_keyed *keyed;  /* by field */
  bool *indexed;              /* by field: its path's index finds it */
  uint32_t field_count;
  uint32_t *ids; /* distinct, ascending */
  uint32_t id_count;
  uint32_t *always; /* plans without a key */
  uint32_t always_count;
  uint32_t mark_count;             /* size of match_scratch.marks */
  const struct match_watch *keys;  /* of the paths of all rules' keys; NULL: some rule has none, or they are too many */
  uint32_t key_count;              /* how many paths that are */
  const struct match_watch *all;   /* of all paths; NULL: they are too many */
  const struct match_sieve *sieve; /* NULL: some rule could be met by any event */
  const struct match_scan *scan;
  uint64_t serial; /* no two sets of one process have the same */
};

/* ---- the index of one path (index.c) ---- */

struct match_entry {
  const struct match_predicate *predicate;
  uint32_t field;
};

struct match_index;
struct match_scratch;

/* NULL with *error.  The index lives in the arena; so must the predicates.  *marks is
 * raised by the marks that searches of it use (match_scratch.marks). */
struct match_index *match_index_build(struct match_arena *arena, const struct match_entry *entries, size_t count,
                                      uint32_t *marks, struct error *error);
/* Calls found() with every field that one of the entries leads to; a field may come more than once. */
typedef void match_found(void *context, uint32_t field);
void match_index_search(const struct match_index *index, const struct match_value *value, struct match_scratch *scratch,
                        match_found *found, void *context);

/* ---- scanning (scan.c; scan_sse2.c, scan_avx2.c, scan_avx512.c) ---- */

/* One of the words ends in front of the quote before `at`: does it count? */
typedef bool match_word_counts(const void *context, const char *at, const char *end);

/* Several implementations, one answer. */
struct match_scan {
  const char *name;
  /* The first '"', '\\' or byte below 0x20 in [at, end); end when there is none. */
  const char *(*string_stop)(const char *at, const char *end);
  /* `at` is behind an opening bracket: the byte behind its closing one, or NULL when there is none or more than
   * `depth` brackets are open at once (this one not counted).  Brackets of both kinds count alike. */
  const char *(*skip_container)(const char *at, const char *end, int depth);
  /* Does one of the words, with a quote behind it, or a \u stand in [at, end)? */
  bool (*has_word)(const char *at, const char *end, const struct match_words *words);
  /* `event` is an opening bracket.  Is there nothing to be seen: its closing one is the byte before `end`, with no more
   * than `depth` others open at once, no word counts, and there is no \u? */
  bool (*passes_over)(const char *event, const char *end, int depth, const struct match_words *words,
                      match_word_counts *counts, const void *context);
};

/* Does one of the words end in front of the quote, no part of it before `start`? */
static inline bool match_word_ends(const char *start, const char *quote, const struct match_words *words) {
  for (uint32_t i = 0; i < words->count; i++) {
    const struct match_piece *word = &words->list[i];
    if ((size_t)(quote - start) >= word->length && quote[-2] == word->text[word->length - 2] &&
        memcmp(quote - word->length, word->text, word->length) == 0)
      return true;
  }
  return false;
}

extern const struct match_scan match_scan_portable;
#if defined(__x86_64__)
extern const struct match_scan match_scan_sse2, match_scan_avx2, match_scan_avx512;
#endif
const struct match_scan *match_scan_best(void);   /* for this processor */
const struct match_scan *match_scan_at(size_t i); /* every one that this processor can run; NULL behind the last */

/* ---- one event (run.c, resolve.c) ---- */

#define MATCH_NONE UINT32_MAX

/* A value that the walk met at a noted path. */
struct match_note {
  const char *text;
  uint32_t length;
  uint32_t kind;
  uint32_t place;
  uint32_t next; /* of the same leaf; MATCH_NONE: the last */
};

struct match_notes_of {
  uint32_t event; /* match_scratch.event when `first` and `last` are of this event */
  uint32_t first, last;
};

/* An element of an array; place 0 is the event itself. */
struct match_place {
  uint32_t parent;
  uint32_t array; /* number of the array inside the event */
  uint32_t depth;
};

/* A vector that is kept from event to event. */
struct match_vector {
  void *items;
  size_t count, capacity; /* in items */
};

/* What is known of a field in this event: noted by the index, or found out when first asked for. */
enum match_state {
  MATCH_MISSED,    /* no value meets it, and it may not be absent */
  MATCH_MET,       /* whatever the other fields choose: by a value at place 0, or absent */
  MATCH_HIT,       /* by values in arrays: they must agree with the others' */
  MATCH_ELSEWHERE, /* by no value; it may be absent, and all its values are in arrays */
};

/* A memo is the number of the event and the state; of another event, it says nothing. */
#define MATCH_EVENTS (1u << 30)

static inline uint32_t match_memo(uint32_t event, enum match_state state) { return event << 2 | state; }
static inline bool match_memo_is_of(uint32_t memo, uint32_t event) { return memo >> 2 == event; }

struct match_level {
  uint32_t hits, hit_count;           /* places where the field is met: match_scratch.hits[hits …] */
  uint32_t presences, presence_count; /* places where the field has any value; only when it may be absent */
  bool absent_allowed;
  uint32_t chosen; /* a place; MATCH_NONE: absent */
};

struct match_scratch {
  const struct match_set *set;
  uint64_t set_serial; /* the set that the arrays below are sized for */
  size_t bytes;        /* held */
  uint32_t event;      /* number of the event; marks in the arrays below are of this event or stale */
  uint32_t *id_seen;
  struct match_notes_of *notes_of;
  uint32_t *memos;      /* by field: match_memo() */
  uint32_t *met;        /* by leaf: the event in which its index found a field */
  uint32_t *came;       /* by leaf: the event in which its path came, outside arrays */
  uint32_t *marks;      /* places in indexes that were looked at; fresh when equal to `mark` */
  uint32_t mark;        /* number of the search */
  uint32_t *candidates; /* plans to check */
  uint32_t candidate_count;
  uint32_t *matched; /* indexes into match_set.ids, then the ids */
  uint32_t matched_count;
  struct match_vector notes;     /* struct match_note */
  struct match_vector places;    /* struct match_place */
  struct match_vector decoded;   /* char: strings that had escapes */
  struct match_vector hits;      /* uint32_t */
  struct match_vector levels;    /* struct match_level */
  struct match_vector conflicts; /* uint64_t */
  uint32_t steps;                /* left for the array search */
};

/* Sizes the scratch for the set and starts a new event.  0 or -1: out of memory. */
int match_scratch_prepare(struct match_scratch *scratch, const struct match_set *set);

/* Makes all marks stale: a new search. */
void match_scratch_next_mark(struct match_scratch *scratch);

/* Room for `count` items in all; 0, or -1 when the ceiling or memory is reached. */
int match_vector_reserve(struct match_scratch *scratch, struct match_vector *vector, size_t count, size_t size);

/* Does the plan match the noted values?  1, 0, or -1: out of memory or steps (scratch->steps is 0 then). */
int match_resolve(struct match_scratch *scratch, const struct match_plan *plan);

#endif
