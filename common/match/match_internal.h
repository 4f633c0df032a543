/* Inside common/match.  The idea, and where its limits are:
 *
 * A pattern is rewritten into *rules*: `$or` is multiplied out, so that each rule is a plain conjunction of fields, and
 * a field is a dotted path with alternatives (*predicates*).  A set keeps equal fields once.  Of each rule one field,
 * the one least likely to be met by chance, is its *key*.  Key fields, and all fields of paths where many rules ask for
 * this or that value, are in the index of their path (index.c).  An event is walked once (run.c); at a path that the
 * set uses, the value is looked up in the path's index, which marks the fields that it meets.  Rules whose key field is
 * marked are *candidates*: most fall at a look at the marks of their other fields, the rest are checked in full
 * (resolve.c) against the values that the walk noted down.  So the work for an event depends on how many rules are
 * nearly met, not on how many there are.  Where no rule can match any more, or nothing new can come, the walk stops
 * (watch.c).
 *
 * Fields of one array of objects must be met inside the same element.  The walk gives each element a *place* (a node
 * of a tree; the root is place 0); two values agree unless their places lie in different elements of one array.  Where
 * a rule's fields share no array, that is a look at each field on its own; otherwise it is a search that jumps back
 * over choices that did not cause a failure.  Events that repeat keys can make such a search exponential: a budget
 * ends it with an error, never with a wrong answer.
 *
 * Nothing here blows up with the number of patterns: wildcards are found through a piece of their literal text and
 * then compared one by one, ranges through a segment tree (n log n), networks by prefix length; all else is linear in
 * memory.  What stays linear in time: anything-but and exists as a rule's only condition (each is a match, nearly
 * always), and wildcards whose only literals are as short as everybody's.  What has a ceiling: MATCH_* below.  A set is
 * immutable once built; all that changes lives in match_scratch. */
#ifndef PARAPET_MATCH_INTERNAL_H
#define PARAPET_MATCH_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "match/match.h"

#define MATCH_PATTERN_BYTES ((size_t)8 << 20)  /* text of one pattern */
#define MATCH_PATTERN_DEPTH 128                /* nesting of one pattern */
#define MATCH_PATTERN_RULES 10000u             /* rules that one pattern's $or may multiply out to */
#define MATCH_PATTERN_FIELDS ((size_t)1 << 20) /* fields in all rules of one pattern */
#define MATCH_RULE_FIELDS 1024u                /* fields of one rule */
#define MATCH_WILDCARD_STARS 256u              /* asterisks in one wildcard */
#define MATCH_PATH_WILDCARD_BYTES                                                                               \
  ((size_t)16 << 20)                            /* literal text of all wildcards that are looked up at one path \
                                                 */
#define MATCH_SET_BYTES ((size_t)1 << 30)       /* memory of one set */
#define MATCH_EVENT_BYTES ((size_t)1 << 30)     /* text of one event */
#define MATCH_EVENT_DEPTH 256                   /* nesting of one event */
#define MATCH_SCRATCH_BYTES ((size_t)512 << 20) /* memory of one scratch */
#define MATCH_SEARCH_STEPS 20000000u            /* comparisons that one event's array search may take */

/* ---- memory: an arena that is freed as one (arena.c) ---- */

struct match_chunk;

struct match_arena {
  struct match_chunk *chunks; /* newest first */
  size_t total;               /* bytes taken from the system */
  size_t ceiling;
};

struct match_mark {
  struct match_chunk *chunk;
  size_t used;
};

/* Zeroed, aligned for anything; NULL when the ceiling or memory is reached. */
void *match_arena_take(struct match_arena *arena, size_t bytes);
void *match_arena_array(struct match_arena *arena, size_t count, size_t size);       /* NULL on overflow too */
char *match_arena_copy(struct match_arena *arena, const char *bytes, size_t length); /* NUL-terminated */
struct match_mark match_arena_mark(const struct match_arena *arena);
void match_arena_rewind(struct match_arena *arena, struct match_mark mark); /* gives back what was taken since */
void match_arena_free(struct match_arena *arena);

/* ---- numbers: exact decimal values (number.c) ---- */

/* sign * 0.DDD… * 10^exponent: `mantissa` holds the first 19 digits (first one not 0), what follows is in `tail`. */
struct match_number {
  int sign; /* -1, 0, 1; 0 is the number zero, all else is 0 then */
  int64_t exponent;
  uint64_t mantissa;
  const char *tail; /* the rest of the digits as written (a '.' may be among them), NULL when they are all 0 */
  size_t tail_length;
};

/* Reads `text` (all of it) by JSON's grammar.  0, or -1 when it is no JSON number.  `tail` points into the text. */
int match_number_parse(const char *text, size_t length, struct match_number *number);
int match_number_compare(const struct match_number *a, const struct match_number *b); /* <0, 0, >0 */
bool match_number_is_binary64(const struct match_number *number); /* neither infinite nor, unless zero, rounded to 0 */

/* ---- text (text.c, fold.c) ---- */

/* Decodes the inside of a JSON string into `out` (at least `length` bytes); bytes written, or -1: broken escape.
 * A lone surrogate becomes its three-byte form, so that equal texts stay equal. */
ptrdiff_t match_text_decode(const char *raw, size_t length, char *out);

#define MATCH_FOLD_BYTES 12
struct match_variant {
  unsigned char length;
  char bytes[MATCH_FOLD_BYTES];
};
/* The spellings that `code` accepts when case is ignored: itself, its lower case, its upper case.  1 to 3. */
size_t match_fold_variants(uint32_t code, struct match_variant variants[3]);
/* Compares the start (or the end) of `text` with `pattern`, ignoring case.  The bytes of text used up, or -1. */
ptrdiff_t match_fold_start(const char *pattern, size_t pattern_length, const char *text, size_t length);
ptrdiff_t match_fold_end(const char *pattern, size_t pattern_length, const char *text, size_t length);

static inline char match_ascii_lower(char byte) { return byte >= 'A' && byte <= 'Z' ? (char)(byte + 32) : byte; }

/* ---- addresses (address.c) ---- */

struct match_network {
  unsigned char address[16];
  unsigned char length; /* 4 or 16 */
  unsigned char bits;   /* 0 … 32 or 128; the bits behind are 0 */
};

int match_address_parse(const char *text, size_t length, struct match_network *address); /* 0 or -1; bits = all */
/* NULL, or what is wrong with it. */
const char *match_network_parse(const char *text, size_t length, struct match_network *network);
void match_network_mask(struct match_network *network, unsigned bits);
bool match_network_holds(const struct match_network *network, const struct match_network *address);

/* ---- predicates (predicate.c) ---- */

enum match_value_kind { MATCH_STRING, MATCH_NUMBER, MATCH_TRUE, MATCH_FALSE, MATCH_NULL };

/* One leaf of an event; strings are decoded. */
struct match_value {
  enum match_value_kind kind;
  const char *text;
  size_t length;
  struct match_number number; /* MATCH_NUMBER: what the text says */
};

enum match_predicate_kind {
  MATCH_IS_STRING,
  MATCH_IS_PREFIX,
  MATCH_IS_SUFFIX,
  MATCH_IS_STRING_FOLD,
  MATCH_IS_PREFIX_FOLD,
  MATCH_IS_SUFFIX_FOLD,
  MATCH_IS_WILDCARD,
  MATCH_IS_NUMBER,
  MATCH_IS_RANGE,
  MATCH_IS_TRUE,
  MATCH_IS_FALSE,
  MATCH_IS_NULL,
  MATCH_IS_PRESENT,
  MATCH_IS_ABSENT,
  MATCH_IS_NETWORK,
  MATCH_IS_EXCEPT, /* anything-but */
  MATCH_KINDS
};

struct match_piece {
  const char *text;
  size_t length;
};

struct match_predicate {
  enum match_predicate_kind kind;
  bool ascii;               /* the *_FOLD kinds: text has ASCII only */
  bool has_low, has_high;   /* RANGE */
  bool low_open, high_open; /* RANGE: the bound itself is outside */
  union {
    struct {            /* string kinds */
      const char *text; /* decoded */
      size_t length;
      const struct match_piece *pieces; /* WILDCARD: the literals between the asterisks, at least two; may be "" */
      size_t piece_count;
    };
    struct { /* RANGE; NUMBER uses low */
      struct match_number low, high;
    };
    struct match_network network; /* NETWORK */
    struct {                      /* EXCEPT: none of these may hold */
      const struct match_predicate *except;
      size_t except_count;
    };
  };
};

bool match_predicate_holds(const struct match_predicate *predicate, const struct match_value *value);

/* ---- a pattern's text as a tree (reader.c) ---- */

enum match_json_kind {
  MATCH_JSON_OBJECT,
  MATCH_JSON_ARRAY,
  MATCH_JSON_STRING,
  MATCH_JSON_NUMBER,
  MATCH_JSON_TRUE,
  MATCH_JSON_FALSE,
  MATCH_JSON_NULL
};

struct match_json {
  enum match_json_kind kind;
  unsigned line, column;
  const char *raw; /* as written, inside the text that was read */
  size_t raw_length;
  const char *key; /* decoded; NULL outside objects */
  size_t key_length;
  const char *text; /* string: decoded; number: as written */
  size_t length;
  struct match_json *first, *next; /* repeated keys are kept, in order */
  size_t count;
};

/* NULL with *error.  The tree lives in the arena. */
struct match_json *match_json_read(struct match_arena *arena, const char *text, size_t length, struct error *error);

/* ---- rules (pattern.c) ---- */

struct match_field {
  const char *path;
  size_t path_length;
  uint32_t path_index;                      /* set when the rule joins the builder */
  bool absent_allowed;                      /* one alternative is {"exists": false} */
  const struct match_predicate *predicates; /* without ABSENT; exact strings first, sorted */
  size_t count;
  size_t strings;                   /* how many exact strings there are */
  uint32_t written, written_length; /* the list of values, as bytes of the pattern's text */
};

struct match_rule {
  uint32_t id;
  const struct match_field *fields;
  size_t count;
};

struct match_rules {
  struct match_rule *rules;
  size_t count;
};

/* Compiles one pattern into rules that live in the arena.  0 or -1 with *error. */
int match_pattern_compile(struct match_arena *arena, const char *pattern, size_t length, struct match_rules *rules,
                          struct error *error);
/* The order of exact strings inside a field: by length, then bytes. */
int match_string_order(const char *a, size_t a_length, const char *b, size_t b_length);
/* Does one of the field's predicates hold for the value? */
bool match_field_holds(const struct match_field *field, const struct match_value *value);

#endif
