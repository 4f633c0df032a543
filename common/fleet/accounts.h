/* The accounts that Parapet looks after, and which environment each is: from a YAML file, and from AWS Organizations
 * where that file says so.
 *
 *   role: parapet-worker            # assumed in every account; empty: the base credentials as they are
 *   external_id: …                  # optional
 *   regions: [eu-west-1, us-east-1] # the default list
 *   organization: {…}               # optional: its members come and go by themselves; see fleet/organization.h
 *   accounts:                       # by hand; what is said here of a member wins over the organization
 *     - {id: "111111111111", name: payments-prod, environment: prod, unit: workloads/prod, regions: […], tags: {…}}
 *
 * What was loaded is immutable and reference-counted: whoever works with an account holds the accounts it is of; a new
 * list swaps the current ones (fleet/roster.h). */
#ifndef PARAPET_FLEET_ACCOUNTS_H
#define PARAPET_FLEET_ACCOUNTS_H

#include <stdint.h>

#include "base/error.h"
#include "json/value.h"

struct account {
  char id[13];
  const char *name, *environment, *unit; /* environment "" when unknown: playbooks' `default` mode holds */
  json_t *regions;                       /* array of texts */
  json_t *tags;                          /* {key: value} */
  const char *source;                    /* "organization" or "file" */
  int64_t joined_ms;                     /* wall; when it joined the organization; 0: not known */
};

struct accounts; /* any thread may read */
/* The file.  NULL with *error (where = file:line) for the first mistake in it.  Where it has an `organization`, its
 * members are not known yet: accounts_with. */
struct accounts *accounts_load(const char *path, struct error *error);
/* The file's accounts and these members ({id: {name, unit, tags, status, joined}}, as organization_list gives them;
 * both borrowed).  NULL only when memory ran out. */
struct accounts *accounts_with(const struct accounts *file, json_t *members);
struct accounts *accounts_hold(struct accounts *accounts);
void accounts_drop(struct accounts *accounts); /* NULL accepted */

/* Are all known that the file means?  0: it names an organization whose members are not known yet. */
int accounts_are_known(const struct accounts *accounts);
const struct account *accounts_find(const struct accounts *accounts, const char *id); /* NULL: unknown */
size_t accounts_count(const struct accounts *accounts);
const struct account *accounts_at(const struct accounts *accounts, size_t index); /* the file's first, then by id */
const char *accounts_role(const struct accounts *accounts);                       /* "" when none */
const char *accounts_external_id(const struct accounts *accounts);                /* NULL when none */
/* What the file says under `organization`; borrowed, NULL when nothing. */
const json_t *accounts_organization(const struct accounts *accounts);
/* Everybody who belongs to us, looked after or not: {id: {name, unit, environment}}; borrowed.  NULL: not known yet. */
json_t *accounts_ours(const struct accounts *accounts);
/* Their ids; a list, borrowed.  NULL: not known yet. */
json_t *accounts_ids(const struct accounts *accounts);

#endif
