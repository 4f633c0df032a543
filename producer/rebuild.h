/* Joining the life of the data in Redis, which only the schedule needs.  Where there is none (Redis is new, or was
 * emptied), whoever comes first puts back what the topic parapet.state holds. */
#ifndef PARAPET_PRODUCER_REBUILD_H
#define PARAPET_PRODUCER_REBUILD_H

#include "bus/bus.h"
#include "state/state.h"

/* 0 when joined; -1 with *error: try again later. */
int collector_join(struct state *state, const struct bus_options *bus, struct error *error);

#endif
