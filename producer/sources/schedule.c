/* The schedule source: ticks become sweeps.
 *
 * Each guardrail with a schedule has a tick that comes next.  When it is due, the collectors of the fleet ask Redis who
 * emits it (one does).  The guardrails that were won for the same moment are put together by resource type, and each
 * account × Region gets one message that names them all: the worker lists the resources once for all of them.
 *
 * Coalescing: while an earlier sweep of the same account, Region and resource type has not ended, a new one is skipped;
 * its guardrails come again with their next tick.  Those whose next tick is far (a daily one) are owed: tried again
 * every few seconds until their sweep could be sent.  So is what Kafka did not take.
 *
 * Redis gone: the tick stays due and is tried again, until it is `late` old. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "collector_settings.h"
#include "fleet/mirror.h"
#include "metrics_table.h"
#include "schedule_internal.h"
#include "source.h"

enum { PASS_MS = 500, RELOAD_MS = 5000, CLAIM_MS = 120000, DRAIN_MS = 30000 };

static int is_stopping(struct schedule *schedule) {
  pthread_mutex_lock(&schedule->lock);
  int stopping = schedule->stopping;
  pthread_mutex_unlock(&schedule->lock);
  return stopping;
}

static void set_trouble(struct schedule *schedule, const struct error *error) {
  pthread_mutex_lock(&schedule->lock);
  schedule->trouble = error ? *error : (struct error){0};
  pthread_mutex_unlock(&schedule->lock);
}

void schedule_redis_failed(struct schedule *schedule, const struct error *error) {
  set_trouble(schedule, error);
  log_warn("the schedule waits for Redis", LOG_ERROR(error));
  if (strcmp(error->code, "epoch") == 0) schedule->joined = 0;
}

/* ---- a tick ---- */

static void emit_resource(struct schedule *schedule, int64_t tick_ms, const char *resource, json_t *names) {
  const json_t *places = schedule_plan_places(schedule->plan, resource);
  size_t i;
  json_t *place;
  json_array_foreach(places, i, place) {
    if (is_stopping(schedule)) return;
    schedule_emit(schedule, tick_ms, resource, place, names);
  }
  log_info("sweeps", LOG_TEXT("resource", resource), LOG_INT("places", json_array_size(places)),
           LOG_INT("guardrails", json_array_size(names)));
}

/* Asks for the tick.  1 ours, 0 somebody else's, -1 Redis does not say. */
static int claim(struct schedule *schedule, const struct plan_guardrail *guardrail) {
  struct error error = {0};
  int claimed = state_tick_claim(schedule->state, guardrail->name, guardrail->next_ms, CLAIM_MS, &error);
  if (claimed >= 0) {
    metric_add(&collector_metrics[COLLECTOR_TICKS], 1, guardrail->resource, claimed ? "emitted" : "elsewhere");
    return claimed;
  }
  schedule_redis_failed(schedule, &error);
  return -1;
}

/* The earliest tick that is due; -1: none. */
static int64_t earliest(const struct schedule_plan *plan, int64_t now) {
  int64_t found = -1;
  for (size_t i = 0; i < plan->count; i++) {
    int64_t next = plan->guardrails[i].next_ms;
    if (next >= 0 && next <= now && (found < 0 || next < found)) found = next;
  }
  return found;
}

static void add_name(json_t *due, const struct plan_guardrail *guardrail) {
  json_t *names = json_object_get(due, guardrail->resource);
  if (!names) {
    names = json_array();
    if (json_object_set_new(due, guardrail->resource, names) != 0) return;
  }
  json_array_append_new(names, json_string(guardrail->name));
}

static void tick_done(struct schedule *schedule, json_t *due, int64_t tick_ms) {
  const char *resource;
  json_t *names, *name;
  size_t i;
  json_object_foreach(due, resource, names) json_array_foreach(names, i, name) {
    struct error error = {0};
    if (state_tick_done(schedule->state, json_string_value(name), tick_ms, &error) != 0)
      log_warn("a tick could not be marked; it may be emitted twice", LOG_ERROR(&error));
  }
}

/* Emits all guardrails of one moment.  0, or -1: Redis is away, what was not claimed stays due. */
static int emit_tick(struct schedule *schedule, int64_t tick_ms) {
  json_t *due = json_object(), *names;
  const char *resource;
  int result = 0;
  for (size_t i = 0; i < schedule->plan->count && result == 0; i++) {
    struct plan_guardrail *guardrail = &schedule->plan->guardrails[i];
    if (guardrail->next_ms != tick_ms) continue;
    int claimed = claim(schedule, guardrail);
    if (claimed < 0) {
      result = -1;
      break;
    }
    guardrail->next_ms = cron_next(&guardrail->cron, tick_ms);
    if (claimed) add_name(due, guardrail);
  }
  json_object_foreach(due, resource, names) emit_resource(schedule, tick_ms, resource, names);
  tick_done(schedule, due, tick_ms);
  json_decref(due);
  return result;
}

/* Of several ticks that are due only the newest counts; one that is too old counts no more. */
static void drop_old(struct schedule *schedule, int64_t now) {
  for (size_t i = 0; i < schedule->plan->count; i++) {
    struct plan_guardrail *guardrail = &schedule->plan->guardrails[i];
    int64_t next;
    while (guardrail->next_ms >= 0 && guardrail->next_ms <= now &&
           (next = cron_next(&guardrail->cron, guardrail->next_ms)) >= 0 && next <= now)
      guardrail->next_ms = next;
    if (guardrail->next_ms < 0 || now - guardrail->next_ms <= schedule->late_ms) continue;
    log_error("a tick was given up: it is too old", LOG_TEXT("guardrail", guardrail->name),
              LOG_INT("seconds", (now - guardrail->next_ms) / 1000));
    metric_add(&collector_metrics[COLLECTOR_TICKS], 1, guardrail->resource, "given up");
    guardrail->next_ms = cron_next(&guardrail->cron, now);
  }
}

/* Once, at the start: everything, whatever the time.  Coalescing keeps several collectors from doing it twice. */
static void emit_at_start(struct schedule *schedule) {
  json_t *due = json_object(), *names;
  const char *resource;
  schedule->at_start = 0;
  for (size_t i = 0; i < schedule->plan->count; i++) add_name(due, &schedule->plan->guardrails[i]);
  json_object_foreach(due, resource, names) emit_resource(schedule, clock_wall_ms(), resource, names);
  json_decref(due);
}

/* ---- the loop ---- */
/* Its ticks begin `late` ago: one that nobody emitted while the collectors were away is still good. */
static void replace_plan(struct schedule *schedule, struct schedule_plan *plan) {
  for (size_t i = 0; i < plan->count; i++)
    plan->guardrails[i].next_ms = cron_next(&plan->guardrails[i].cron, clock_wall_ms() - schedule->late_ms);
  schedule_plan_free(schedule->plan);
  schedule->plan = plan;
  log_info("schedule", LOG_INT("guardrails", plan->count), LOG_INT("places", json_array_size(plan->places)));
}

/* Playbooks and accounts as they are now: 1 when they are others than the plan's. */
static int has_changed(struct schedule *schedule, struct accounts *accounts) {
  uint64_t signature = schedule_plan_signature(schedule->playbooks);
  int changed = !schedule->plan || signature != schedule->signature || accounts != schedule->accounts;
  schedule->signature = signature;
  return changed;
}

static void reload(struct schedule *schedule) {
  int64_t now = clock_monotonic_ms();
  struct error error = {0};
  if (schedule->plan && now - schedule->reloaded_ms < RELOAD_MS) return;
  schedule->reloaded_ms = now;
  struct accounts *accounts = roster_accounts(schedule->roster);
  if (!accounts_are_known(accounts)) {
    error_set(&error, ERROR_RETRYABLE, "Accounts", "no worker has listed the organization's accounts yet");
    set_trouble(schedule, &error);
  } else if (has_changed(schedule, accounts)) {
    struct schedule_plan *plan = schedule_plan_load(schedule->playbooks, accounts, &error);
    if (plan)
      replace_plan(schedule, plan);
    else
      log_error("the schedule was not read again", LOG_ERROR(&error));
    if (!plan) set_trouble(schedule, &error);
    accounts_drop(schedule->accounts);
    schedule->accounts = accounts_hold(accounts);
  }
  accounts_drop(accounts);
}

static void join(struct schedule *schedule) {
  struct error error = {0};
  schedule->joined = mirror_join(schedule->bus, schedule->state, &error) == 0;
  set_trouble(schedule, schedule->joined ? NULL : &error);
  if (!schedule->joined) log_warn("the schedule waits for Redis", LOG_ERROR(&error));
}

static void pass(struct schedule *schedule) {
  reload(schedule);
  if (!schedule->joined) join(schedule);
  if (!schedule->plan) return;
  int64_t now = clock_wall_ms(), tick;
  drop_old(schedule, now);
  if (!schedule->joined) return;
  if (schedule->at_start) emit_at_start(schedule);
  while (!is_stopping(schedule) && (tick = earliest(schedule->plan, now)) >= 0)
    if (emit_tick(schedule, tick) != 0) return;
  schedule_pay(schedule);
  if (schedule->joined) set_trouble(schedule, NULL);
}

static void wait_ms(struct schedule *schedule, int64_t milliseconds) {
  int64_t until = clock_monotonic_ms() + milliseconds;
  pthread_mutex_lock(&schedule->lock);
  if (!schedule->stopping) clock_condition_wait(&schedule->changed, &schedule->lock, until);
  pthread_mutex_unlock(&schedule->lock);
}

static void *run(void *argument) {
  struct schedule *schedule = argument;
  while (!is_stopping(schedule)) {
    pass(schedule);
    wait_ms(schedule, PASS_MS);
  }
  return NULL;
}

/* ---- the source ---- */
static int wanted(const struct config *config, struct error *error) {
  (void)error;
  return config_bool(config, "schedule.enabled");
}

static void release(void *running) {
  struct schedule *schedule = running;
  schedule_plan_free(schedule->plan);
  roster_close(schedule->roster);
  accounts_drop(schedule->accounts);
  json_decref(schedule->owed);
  json_decref(schedule->undelivered);
  pthread_cond_destroy(&schedule->changed);
  pthread_mutex_destroy(&schedule->lock);
  free(schedule);
}

static void init(struct schedule *schedule, const struct source_context *context) {
  const struct config *config = context->config;
  schedule->publisher = context->publisher;
  schedule->state = context->state;
  schedule->bus = context->bus;
  snprintf(schedule->playbooks, sizeof schedule->playbooks, "%s", config_path(config, "playbooks", "playbooks"));
  schedule->late_ms = config_ms(config, "schedule.late");
  schedule->sweep_ttl_ms = config_ms(config, "schedule.sweep_ttl");
  schedule->at_start = config_bool(config, "schedule.at_start");
  schedule->owed = json_object();
  schedule->undelivered = json_array();
  pthread_mutex_init(&schedule->lock, NULL);
  clock_condition_init(&schedule->changed);
}

static void *start(const struct source_context *context, struct error *error) {
  struct schedule *schedule = calloc(1, sizeof *schedule);
  if (!schedule) {
    error_set(error, ERROR_FATAL, "OutOfMemory", "out of memory");
    return NULL;
  }
  init(schedule, context);
  struct roster_options roster = {.file = config_text(context->config, "accounts"), .state = context->state};
  schedule->roster = roster_open(&roster, error);
  if (!schedule->roster) {
    release(schedule);
    return NULL;
  }
  if (pthread_create(&schedule->thread, NULL, run, schedule) == 0) return schedule;
  error_set(error, ERROR_FATAL, "Thread", "the schedule's thread could not be started");
  release(schedule);
  return NULL;
}

static int ready(void *running, char *reason, size_t size) {
  struct schedule *schedule = running;
  pthread_mutex_lock(&schedule->lock);
  int ready = schedule->trouble.class == ERROR_NONE;
  if (!ready) snprintf(reason, size, "schedule: %s", schedule->trouble.message);
  pthread_mutex_unlock(&schedule->lock);
  return ready;
}

static int finished(void *running, int *failed) {
  (void)running;
  *failed = 0;
  return 0;
}

static int64_t in_flight(struct schedule *schedule) {
  pthread_mutex_lock(&schedule->lock);
  int64_t count = schedule->in_flight;
  pthread_mutex_unlock(&schedule->lock);
  return count;
}

static void stop(void *running) {
  struct schedule *schedule = running;
  pthread_mutex_lock(&schedule->lock);
  schedule->stopping = 1;
  pthread_cond_broadcast(&schedule->changed);
  pthread_mutex_unlock(&schedule->lock);
  pthread_join(schedule->thread, NULL);
  int64_t deadline = clock_monotonic_ms() + DRAIN_MS;
  while (in_flight(schedule) > 0 && clock_monotonic_ms() < deadline) clock_sleep_ms(20);
}

const struct source source_schedule = {"schedule", 0, 1, wanted, start, ready, finished, stop, release};
