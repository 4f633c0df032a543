/* Approvals: an action that a person must agree to (mode `approve`, or a step `approve` that would be reached).
 *
 * A request is bound to the plan, every call rendered, and to a hash of what the resource is.  It is asked for once,
 * and told; the unit waits, parked, and comes back when somebody has decided, or when the request expires.  An approval
 * holds for exactly what was shown: another plan or another state of the resource is another request.  It is used up
 * before the first call. */
#ifndef PARAPET_WORKER_APPROVE_H
#define PARAPET_WORKER_APPROVE_H

#include "unit.h"

/* GO: nobody needs to be asked, or somebody agreed (one->approval is it); WAIT: asked, and not decided; LATER. */
enum verdict approve_gate(struct unit *unit, struct unit_case *one, const struct live *live, json_t *finding,
                          struct error *error);
/* Before the first call: the approval is used up by one->action.  GO, or LATER. */
enum verdict approve_use(struct unit *unit, struct unit_case *one, struct error *error);
/* The violation is gone, or the action is at its end: nobody needs to decide any more.  GO, or LATER. */
enum verdict approve_forget(struct unit *unit, struct unit_case *one, struct error *error);

#endif
