/* The local copy of all exceptions, arranged so that a decision among 100,000 costs microseconds.
 *
 * An exception names a guardrail or "*", an account or all, and a resource glob or all.  It is filed under a hash of
 * (guardrail, account, kind, key): key is the whole resource when the glob has no wildcard, else the glob's literal
 * beginning (at most 63 bytes); of one for all resources it is its tag, or its unit.  A lookup asks the 4 combinations
 * of guardrail and account with the exact resource, with each beginning whose length occurs at all, with each of the
 * resource's tags, and with the unit.  A hash hit is only a candidate: every member is compared then, so
 * colliding hashes cost time, never a wrong answer.  Globs that begin with a wildcard, and globs over
 * units, share one list per guardrail and account: thousands of those are slow, and nobody needs them.
 *
 * Not thread-safe: the owner locks. */
#ifndef PARAPET_STATE_EXCEPTION_INDEX_H
#define PARAPET_STATE_EXCEPTION_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "state/state.h"

struct exception_index;
struct exception_index *exception_index_open(void); /* NULL: out of memory */
void exception_index_close(struct exception_index *index);
/* Files (or files anew) the exception whose JSON text is given.  0, or -1 with *error. */
int exception_index_put(struct exception_index *index, const char *id, const char *text, size_t length,
                        struct error *error);
void exception_index_remove(struct exception_index *index, const char *id); /* absent: nothing happens */
size_t exception_index_count(const struct exception_index *index);
/* The JSON text of the exception that covers the subject at `now` (wall ms), or did so less than subject->grace_ms ago;
 * of several the one that lasts longest.
 * Borrowed until the next change; NULL: none. */
const char *exception_index_find(const struct exception_index *index, const struct state_subject *subject, int64_t now);

#endif
