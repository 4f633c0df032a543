/* What a guardrail that reverts changes remembers of one resource: which state it accepts, and which changes nobody
 * accepted.
 *
 * The accepted state is kept item by item with its time, so that the state before any event can still be told when that
 * event comes late: {items: {KEY: [{at, value}, …]}} with the oldest first, value null for "there is none".  What is
 * accepted later than an event never stands in for what was there before it.  So a sweep between a change and its event
 * can launder nothing, and neither can an accepted change that is read together with a later one that is not: what is
 * adopted is what the event made of the item, and the live item only where it shows just that.
 *
 * A difference that a sweep sees ({seen: {KEY: {at, hash}}}) is accepted when it has stood for a while, as of the time
 * it was first seen, unless an unaccepted change is recorded for it.
 *
 * A change that was not accepted ({changes: [{at, event, actor, change}]}) stays until its violation is gone: parked
 * work, sweeps and whoever takes over see it as the event's own unit did.
 *
 * Pure; times are wall ms.  The record is the caller's own. */
#ifndef PARAPET_BASELINES_BASELINE_H
#define PARAPET_BASELINES_BASELINE_H

#include "engine/live.h"

/* The items accepted at a time: new array, or json_null() when nothing is known of that time (record may be NULL). */
json_t *baseline_at(const json_t *record, int64_t at);

/* An accepted event's changes (as the guardrail's `changes` makes them); live: the items now, or NULL. */
void baseline_accept(const struct guardrail *guardrail, json_t *record, const json_t *changes, const json_t *live,
                     int64_t at);

/* Records an event's changes as not accepted.  1 = they were new. */
int baseline_note(json_t *record, const json_t *changes, const char *event, const char *actor, int64_t at);

/* What `$changes` is: each recorded change with {at, event, actor} added; new array. */
json_t *baseline_changes(const json_t *record);

/* Does an expression tell all changes' keys?  (Otherwise live items are needed to accept them.) */
int baseline_keys_known(const json_t *changes);

/* A sweep has seen these items: accepts all of them in an empty record ({}), then what differs for `patience` ms
 * already.  1 = the record changed. */
int baseline_see(const struct guardrail *guardrail, json_t *record, const json_t *items, int64_t now, int64_t patience);

/* The recorded changes that are in `done` (as baseline_changes gave them) are over.  items: the verified state after
 * our own remediation, accepted as of now; NULL: there was none.  1 = the record changed. */
int baseline_settle(const struct guardrail *guardrail, json_t *record, const json_t *done, const json_t *items,
                    int64_t now);

/* ---- the guardrail's expressions over an event ---- */
/* Is who did it allowed to?  1, 0, or -1 with *error. */
int baseline_accepts(const struct guardrail *guardrail, const struct place *place, const char *id,
                     const struct occasion *occasion, struct error *error);
/* What the event changed; occasion->baseline: what was accepted before it; live NULL: not read.  New array; NULL with
 * *error. */
json_t *baseline_read_event(const struct guardrail *guardrail, const struct place *place, const char *id,
                            const struct live *live, const struct occasion *occasion, struct error *error);

#endif
