/* Between pattern.c (objects, $or) and operator.c (the match expressions). */
#ifndef PARAPET_MATCH_PATTERN_INTERNAL_H
#define PARAPET_MATCH_PATTERN_INTERNAL_H

#include "base/buffer.h"
#include "match/match_internal.h"

struct numbers {
  uint32_t *items;
  size_t count;
};

struct drafts {
  struct numbers *rules; /* each a list of indexes into match_compiler.fields */
  size_t count;
};

struct match_compiler {
  struct match_arena *arena;
  struct error *error;
  const char *text;     /* the pattern's */
  struct buffer path;   /* where we are, for messages: detail.$or[1].state[0].prefix */
  struct buffer joined; /* the field's path: detail.state */
  struct match_field *fields;
  size_t field_count;
  size_t entries; /* fields in all rules */
  int depth;
};

/* Both set the error and return -1; the first names the path and the position of `node`. */
int match_compiler_fail(struct match_compiler *compiler, const struct match_json *node, const char *what);
int match_compiler_no_memory(struct match_compiler *compiler);

static inline void match_path_cut(struct match_compiler *compiler, size_t length) {
  compiler->path.length = length;
  if (compiler->path.data) compiler->path.data[length] = '\0';
}

/* One element of a field's list: a scalar or a match expression.  0 or -1. */
int match_operator_compile(struct match_compiler *compiler, const struct match_json *value,
                           struct match_predicate *predicate);
/* Is the member's key a word that event-ruler reserves? */
bool match_operator_is_reserved(const struct match_json *member);

#endif
