/* A playbook's own tests, run without AWS: `tests:` holds what the resource and its contexts look like, and what is
 * expected.
 *
 *   - name: …
 *     resource: {…}            # the resource as `get` would return it
 *     rules: [{…}]             # a context by its name; those not given are empty lists
 *     environment: prod        # optional: also account, region, event, params (override), baseline (what was
 * accepted), # parent (the item that a nested resource was listed for) expect: nothing | finding | {calls: [{call:
 * ec2.X, with: {…}}, …]}
 *
 * The calls must be these, in this order; `with` names only what matters (a subset: mappings by key, lists by
 * position). */
#ifndef PARAPET_CHECK_OFFLINE_H
#define PARAPET_CHECK_OFFLINE_H

#include "engine/playbook.h"

/* A workflow's test: {name, with: {INPUT: …}, expect: nothing | {calls: […]}}.  As offline_test. */
int offline_test_workflow(const struct workflow *workflow, size_t index, char **why);

/* Runs test number `index`.  1 = passed; 0 = failed, *why (new text) says how; -1 = not a test, *why says why. */
int offline_test(const struct guardrail *guardrail, size_t index, char **why);

#endif
