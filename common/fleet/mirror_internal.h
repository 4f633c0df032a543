/* Private to mirror*.c. */
#ifndef PARAPET_FLEET_MIRROR_INTERNAL_H
#define PARAPET_FLEET_MIRROR_INTERNAL_H

#include "fleet/mirror.h"

/* Under the rebuild lock: puts back what parapet.actions tells of the last window_ms. */
int mirror_actions(const struct bus_options *bus, struct state *state, int64_t window_ms, struct error *error);

/* One record of the journal, into {action: {at, scopes, subject, intent, ended}}; 0, or -1 when there are too many. */
int mirror_note_action(json_t *actions, const json_t *record);

#endif
