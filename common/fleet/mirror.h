/* The fleet's durable memory: the compacted topic parapet.state, key "kind|id", and the journal of actions.  They
 * survive Redis. */
#ifndef PARAPET_FLEET_MIRROR_H
#define PARAPET_FLEET_MIRROR_H

#include "bus/bus.h"
#include "state/state.h"

/* Writes one record (NULL value: forget it); durable when 0 comes back.  -1 with *error.  Thread-safe. */
int mirror_put(struct bus_producer *producer, const char *kind, const char *id, json_t *value, struct error *error);

/* Joins Redis's epoch; where there is none (Redis was emptied, restarted, failed over) it is filled from the topics
 * first, under the rebuild lock: exceptions, stop, breakers, parked work and whatever else parapet.state holds, then
 * what the journal of the longest window tells: which actions were granted (they count in the breakers' windows again:
 * more of them than before, never fewer) and which are open.  0 = joined; -1 with *error (RETRYABLE: try again: Redis
 * or Kafka does not answer, or another process is rebuilding). */
int mirror_join(const struct bus_options *options, struct state *state, struct error *error);

/* Makes known how far back the journal counts: the longest window of any breaker.  A worker says so before it grants
 * anything; who never heard of it reads 31 days.  0, or -1 with *error. */
int mirror_put_window(struct bus_producer *producer, int64_t window_ms, struct error *error);

#endif
