/* EventBridge event patterns, matched on the raw bytes of an event.
 * (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html)
 *
 * match_add() validates one pattern; match_build() makes one immutable set of all of them; match_run() answers, for
 * the raw JSON text of one event, which patterns match.  A set is read by any number of threads; each thread brings
 * its own match_scratch.  Replacing a set (playbooks changed) is the caller's atomic swap. */
#ifndef PARAPET_MATCH_MATCH_H
#define PARAPET_MATCH_MATCH_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct match_builder;
struct match_set;
struct match_scratch;

struct match_builder *match_builder_open(void); /* NULL: out of memory */
/* Adds a pattern (JSON text) under `id`; one id may have several patterns (any of them matches).  0, or -1 with *error
 * (ERROR_INVALID; the message names the path inside the pattern, what is wrong, and line and column where the text
 * itself is broken).  A refused pattern leaves the builder as it was. */
int match_add(struct match_builder *builder, uint32_t id, const char *pattern, size_t length, struct error *error);
/* NULL with *error when the set would be too complex (ERROR_INVALID) or memory ran out.  Frees the builder. */
struct match_set *match_build(struct match_builder *builder, struct error *error);
void match_builder_free(struct match_builder *builder);
void match_set_free(struct match_set *set);
size_t match_set_memory(const struct match_set *set); /* bytes */

struct match_scratch *match_scratch_open(void);
void match_scratch_free(struct match_scratch *scratch);

/* Runs one event.  Returns the number of distinct ids that match, with *ids pointing into scratch (ascending, valid
 * until its next use); or -1 with *error when the bytes are not JSON (checked as far as they are read) or the event is
 * deeper than 256. */
int match_run(const struct match_set *set, struct match_scratch *scratch, const char *event, size_t length,
              const uint32_t **ids, struct error *error);

#endif
