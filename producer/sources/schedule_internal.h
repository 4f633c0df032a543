/* The schedule source's files: schedule.c (ticks, threads), schedule_sweep.c (one sweep: coalesced, sent, owed),
 * schedule_plan.c (what there is to sweep), cron.c (when). */
#ifndef PARAPET_PRODUCER_SOURCES_SCHEDULE_INTERNAL_H
#define PARAPET_PRODUCER_SOURCES_SCHEDULE_INTERNAL_H

#include <pthread.h>

#include "fleet/roster.h"
#include "publish.h"
#include "schedule_plan.h"
#include "state/state.h"

struct schedule {
  struct publisher *publisher;
  struct state *state;
  const struct bus_options *bus;
  char playbooks[4096];
  struct roster *roster; /* it only reads what the workers listed */
  int64_t late_ms, sweep_ttl_ms;
  pthread_t thread;

  /* the schedule's own thread only */
  struct schedule_plan *plan;
  struct accounts *accounts; /* those that the plan was made of; held */
  uint64_t signature;
  int64_t reloaded_ms, owed_ms;
  int at_start, joined;
  json_t *owed; /* "account|region|resource" → {account, region, resource, names: {name: true}} */

  pthread_mutex_t lock; /* guards what follows */
  pthread_cond_t changed;
  int stopping;
  int64_t in_flight;
  json_t *undelivered; /* array of sweeps that Kafka did not take */
  struct error trouble;
};

/* The message: schemas/topics.md.  New; NULL when out of memory. */
json_t *schedule_sweep(int64_t tick_ms, const char *resource, const char *account, const char *region, json_t *names);
/* Sends the sweep of one place, unless an earlier one has not ended. */
void schedule_emit(struct schedule *schedule, int64_t tick_ms, const char *resource, const json_t *place,
                   json_t *names);
/* Takes back what Kafka did not take, and tries again what is owed. */
void schedule_pay(struct schedule *schedule);
/* Redis answered a call with an error: notes it, and whether its epoch has to be joined anew. */
void schedule_redis_failed(struct schedule *schedule, const struct error *error);

#endif
