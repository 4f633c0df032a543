/* What the parts of a worker share.  Private to the C files of this folder. */
#ifndef PARAPET_WORKER_WORKER_H
#define PARAPET_WORKER_WORKER_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/metrics.h"
#include "base/pool.h"
#include "bus/bus.h"
#include "engine/gather.h"
#include "engine/playbook.h"
#include "fleet/budget.h"
#include "fleet/mirror.h"
#include "fleet/roster.h"
#include "notices/notices.h"
#include "settings.h"
#include "state/state.h"

enum { PATIENCE_LIMIT = 8, CONSUMER_LIMIT = 16 };

struct worker {
  const struct config *config;
  struct aws_client *aws;
  struct gather *gather; /* of the reads of all units */
  struct state *state;
  struct fleet_budget *budget; /* of AWS calls; NULL: none (aws.budget 0) */
  struct bus_producer *producer;
  struct bus_consumer *events[CONSUMER_LIMIT], *sweeps, *commands; /* one thread each */
  int consumers;                                                   /* how many of `events` */
  struct pool *pool;
  struct roster *roster;
  struct notices *notices; /* channels and routes */
  char owner[192];
  int64_t started_ms;                  /* wall */
  int64_t patience_ms[PATIENCE_LIMIT]; /* waits before each further look */
  int patience_count;

  pthread_mutex_t bundle_lock; /* guards the pointer, not what it points to */
  struct bundle *bundle;

  atomic_int state_ready; /* written by the keeper: Redis answers and its epoch is joined */
  atomic_int stopping;
  atomic_long units; /* units alive in this process */
};

/* What is handed to the pool begins with this, so that the end of the process can give back whatever was waiting. */
struct task {
  pool_task *abandon;
};
void task_abandon(void *task);

/* The bundle in force, held; bundle_drop it. */
struct bundle *worker_bundle(struct worker *worker);

/* All consumers. */
void worker_pause(struct worker *worker, int paused);
struct bus_lag worker_lag(struct worker *worker); /* of events; last_poll_ms: the oldest, of the others, too */

/* Limits that an action of this guardrail in this account must pass; `limits` holds 4.  Returns how many. */
struct scopes {
  char text[4][160], type[128];
  struct state_limit limits[4];
  size_t count;
};
void worker_scopes(const struct worker *worker, const struct guardrail *guardrail, const char *account,
                   struct scopes *scopes);
/* limits.c: breakers that were opened by a limit or by failures long enough ago get their probes. */
void limits_cool(struct worker *worker);
/* warnings.c */
void exceptions_warn(struct worker *worker);

/* keeper.c: Redis's health and epoch, heartbeat, reload of playbooks, parked work. */
struct keeper;
struct keeper *keeper_start(struct worker *worker, struct error *error);
void keeper_stop(struct keeper *keeper);

/* Metrics of the worker; one row each, handles by name. */
enum worker_metric {
  M_EVENTS,
  M_UNITS,
  M_IN_HAND,
  M_ACTIONS,
  M_FINDINGS,
  M_GATES,
  M_OWN,
  M_SWEEPS,
  M_SECONDS,
  M_PARKED,
  M_READY,
  M_LAG,
  M_ACCOUNTS,
  M_ACCOUNTS_AGE,
  M_ACCOUNTS_TROUBLE,
  M_NOTICES,
  M_READS,
  M_ERRORS,
  M_END
};
extern struct metric worker_metrics[];

#endif
