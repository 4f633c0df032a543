/* The fleet's durable memory: the compacted topic parapet.state, key "kind|id".  It survives Redis. */
#ifndef PARAPET_FLEET_MIRROR_H
#define PARAPET_FLEET_MIRROR_H

#include "bus/bus.h"
#include "state/state.h"

/* Writes one record (NULL value: forget it); durable when 0 comes back.  -1 with *error.  Thread-safe. */
int mirror_put(struct bus_producer *producer, const char *kind, const char *id, json_t *value, struct error *error);

/* Joins Redis's epoch; an empty Redis is filled from the topic first, under the rebuild lock.  0 = joined; -1 with
 * *error (RETRYABLE: try again: Redis or Kafka does not answer, or another process is rebuilding). */
int mirror_join(const struct bus_options *options, struct state *state, struct error *error);

#endif
