/* What was done, for whoever wants to take it back: from the index in Redis, and from the topic parapet.actions where
 * the index does not reach (older than 30 days, or Redis was emptied). */
#ifndef PARAPET_OPERATE_HISTORY_H
#define PARAPET_OPERATE_HISTORY_H

#include "bus/bus.h"
#include "state/state.h"

struct history_filter { /* NULL or "": any */
  const char *action, *guardrail, *account, *region, *resource;
  int64_t since_ms, until_ms; /* wall; of the action's end */
};

/* One action: *action {action, guardrail, …} and *images {before, after, calls}; both new.  0; -1 with *error (MISSING:
 * nobody knows it). */
int history_action(struct state *state, const struct bus_options *bus, const char *id, json_t **action, json_t **images,
                   struct error *error);
/* Actions (not undos) that fit, the latest first; at most `limit`.  0, or -1 with *error (INVALID "TooMany"). */
int history_list(struct state *state, const struct bus_options *bus, const struct history_filter *filter, size_t limit,
                 json_t **list /* new array */, struct error *error);

#endif
