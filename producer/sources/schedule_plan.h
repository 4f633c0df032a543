/* What there is to sweep, and when: from the playbooks' `resource` and `trigger.schedule`, the resources' `scope` and
 * the accounts.  Not thread-safe: the schedule's thread owns it. */
#ifndef PARAPET_PRODUCER_SOURCES_SCHEDULE_PLAN_H
#define PARAPET_PRODUCER_SOURCES_SCHEDULE_PLAN_H

#include <stddef.h>

#include "base/cron.h"
#include "fleet/accounts.h"
#include "json/value.h"

struct plan_guardrail {
  char *name, *resource;
  struct cron cron;
  int64_t next_ms; /* the tick that comes next (or is overdue); -1: none any more */
};

struct schedule_plan {
  struct plan_guardrail *guardrails;
  size_t count;
  json_t *places; /* array of {account, region} */
  json_t *hubs;   /* the same, once an account: what is global or an account's own */
  json_t *scopes; /* resource type → "region", "global", "account" */
};

/* Reads guardrails/ and resources/ under `playbooks`.  A playbook that cannot be read is left out with a complaint in
 * the log (`parapet playbooks validate` tells more).  NULL with *error when memory ran out. */
struct schedule_plan *schedule_plan_load(const char *playbooks, const struct accounts *accounts, struct error *error);
void schedule_plan_free(struct schedule_plan *plan); /* NULL accepted */
/* Where a resource type is swept: borrowed array of {account, region}. */
const json_t *schedule_plan_places(const struct schedule_plan *plan, const char *resource);
/* Changes when a file was added, removed or written. */
uint64_t schedule_plan_signature(const char *playbooks);

#endif
