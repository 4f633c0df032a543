/* Progressive enforcement: a playbook's version acts first nowhere (shadow), then in canary accounts, in units, and
 * everywhere (all).  Where it does not act yet it judges and records what it would have done. */
#ifndef PARAPET_WORKER_ROLLOUT_H
#define PARAPET_WORKER_ROLLOUT_H

#include "unit.h"

extern const char *const rollout_stages[]; /* shadow, canary, units, all; ends with NULL */

/* Does version `version` act in this account, of this organizational unit?  `rollout` is an operator's record
 * {version, stage, accounts, units}; NULL: there is none, it acts.  An older version than the record's acts as before;
 * a newer one waits for its own. */
int rollout_acts(const json_t *rollout, int64_t version, const char *account, const char *unit);

/* The gate: GO; DONE when the case was recorded as a shadow, with the calls that it would have made; LATER. */
enum verdict gate_rollout(struct unit *unit, struct unit_case *one, const struct live *live, json_t *finding,
                          struct error *error);

#endif
