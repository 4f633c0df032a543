/* The accounts that Parapet looks after, and which environment each is: from a YAML file.
 *
 *   role: parapet-worker            # assumed in every account; empty: the base credentials as they are
 *   external_id: …                  # optional
 *   regions: [eu-west-1, us-east-1] # the default list
 *   accounts:
 *     - {id: "111111111111", name: payments-prod, environment: prod, unit: workloads/prod, regions: […], tags: {…}} */
#ifndef PARAPET_FLEET_ACCOUNTS_H
#define PARAPET_FLEET_ACCOUNTS_H

#include "base/error.h"
#include "json/value.h"

struct account {
  char id[13];
  char *name, *environment, *unit; /* environment "" when unknown: playbooks' `default` mode holds */
  json_t *regions;                 /* array of texts */
};

struct accounts; /* immutable; any thread may read */
/* NULL with *error (where = file:line) for the first mistake in the file. */
struct accounts *accounts_load(const char *path, struct error *error);
void accounts_free(struct accounts *accounts);
const struct account *accounts_find(const struct accounts *accounts, const char *id); /* NULL: unknown */
size_t accounts_count(const struct accounts *accounts);
json_t *accounts_ids(const struct accounts *accounts); /* of all; a list, borrowed */
const struct account *accounts_at(const struct accounts *accounts, size_t index);
const char *accounts_role(const struct accounts *accounts);        /* "" when none */
const char *accounts_external_id(const struct accounts *accounts); /* NULL when none */

#endif
