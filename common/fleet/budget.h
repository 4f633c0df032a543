/* The fleet's budget of AWS calls: one bucket an account, Region and class (common/aws/budget.c) for all workers
 * together, kept in Redis, so that ten workers burst no higher than one.
 *
 * A worker leases a few tokens at a time, not one Redis call an AWS call.  What it leased and did not use within
 * LEASE_MS is lost, and the shared bucket's burst is smaller by what refills in that time: so in any span of time the
 * fleet sends at most burst + rate × span, as the bucket that AWS publishes allows.
 *
 * Lanes (base/pool.h): commands, behind which a person waits (an undo, say), may empty the bucket, events leave a tenth
 * of it, sweeps half; so a sweep never makes an event wait for longer than one refill.  Where AWS throttles all the
 * same (others call there, too) the bucket's rate halves for everybody, and comes back over five minutes.
 *
 * Redis slow or gone: reads go on with this worker's share of the bucket; what changes something is refused (its gates
 * need Redis anyway). */
#ifndef PARAPET_FLEET_BUDGET_H
#define PARAPET_FLEET_BUDGET_H

#include "aws/aws.h"
#include "state/state.h"

struct fleet_budget;
/* `state` must outlive it.  NULL: out of memory. */
struct fleet_budget *fleet_budget_open(struct state *state);
void fleet_budget_close(struct fleet_budget *budget); /* NULL accepted; no call may be running */
/* For aws_options.budget. */
struct aws_budget fleet_budget_hook(struct fleet_budget *budget);
/* How many workers share the buckets while Redis is gone; 10 until it is told. */
void fleet_budget_workers(struct fleet_budget *budget, int workers);

#endif
