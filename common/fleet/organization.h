/* AWS Organizations: which accounts there are, in which units, with which tags.  In the accounts file:
 *
 *   organization:
 *     account: "999999999999"     # the management account, or a delegated administrator of Organizations
 *     role: parapet-organization  # assumed there (role and external_id of its own); none: the base credentials
 *     region: us-east-1           # where Organizations answers
 *     refresh: 10m                # how often it is asked; an event of an account that nobody knows hastens it
 *     environment: environment    # the account's tag that names its environment …
 *     units: {workloads/prod: prod, sandbox: dev}  # … else what the nearest unit above it is mapped to …
 *     default: dev                # … else this; none: "", for which playbooks' `default` mode holds
 *     include: [workloads]        # ids or units that are looked after; none: every active member
 *     exclude: ["111111111111", sandbox]
 *
 * A unit is the path of names below the root ("workloads/prod"); globs, and a unit means those below it as well. */
#ifndef PARAPET_FLEET_ORGANIZATION_H
#define PARAPET_FLEET_ORGANIZATION_H

#include <stdint.h>

#include "aws/aws.h"
#include "json/value.h"

/* Checks what the file says.  0, or -1 with *error; *key: the key that is wrong ("" the whole). */
int organization_check(const json_t *settings, const char **key, struct error *error);
int64_t organization_refresh_ms(const json_t *settings);

struct organization_patience { /* asked between calls: 0 to go on, anything else ends the listing (RETRYABLE) */
  int (*go_on)(void *argument);
  void *argument;
};
/* Asks AWS for all members: new {id: {name, unit, tags, status, joined, tagged}}, or NULL with *error: a list that is
 * not whole is none.  ListAccounts says who is a member, a walk down the units where each is; tags cost a call an
 * account, so of those that `before` (an earlier list; may be NULL) has tags of, only the TAGS_AT_ONCE read longest ago
 * are read again. */
json_t *organization_list(struct aws_client *client, const json_t *settings, const json_t *before,
                          const struct organization_patience *patience, struct error *error);

/* A member's environment: by its tag, its unit, or the default; "" when none says anything. */
const char *organization_environment(const json_t *settings, const char *unit, const json_t *tags);
/* Is the member looked after? */
int organization_includes(const json_t *settings, const char *id, const char *unit);
/* Does the glob match the unit's path, or that of one above it? */
int unit_matches(const char *glob, const char *unit);

#endif
