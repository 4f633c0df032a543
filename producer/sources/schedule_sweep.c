#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "bus/topics.h"
#include "metrics_table.h"
#include "schedule_internal.h"

enum {
  FAR_MS = 10 * 60000, /* a next tick that is further away than this is too far to be skipped for */
  OWED_MS = 5000,
  OWED_BATCH = 200,
};

/* A sweep on its way to Kafka. */
struct passage {
  struct schedule *schedule;
  json_t *sweep;
};

static void subject_of(const json_t *sweep, char *text, size_t size) {
  snprintf(text, size, "%s|%s|%s", json_text_at(sweep, "account", NULL), json_text_at(sweep, "region", NULL),
           json_text_at(sweep, "resource", NULL));
}

static void count_sweep(const json_t *sweep, const char *outcome) {
  metric_add(&collector_metrics[COLLECTOR_SWEEPS], 1, json_text_at(sweep, "resource", NULL), outcome);
}

json_t *schedule_sweep(int64_t tick_ms, const char *resource, const char *account, const char *region, json_t *names) {
  char tick[32], id[512];
  clock_format(tick_ms, tick, sizeof tick);
  snprintf(id, sizeof id, "sweep/%s/%s/%s/%s", tick, resource, account, region);
  return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:O}", "kind", "sweep", "id", id, "tick", tick, "resource", resource,
                   "account", account, "region", region, "guardrails", names);
}

static void owe(struct schedule *schedule, const json_t *sweep) {
  char subject[512];
  size_t i;
  json_t *name;
  subject_of(sweep, subject, sizeof subject);
  json_t *owed = json_object_get(schedule->owed, subject);
  if (!owed) {
    owed = json_pack("{s:{}, s:O, s:O, s:O}", "names", "account", json_object_get(sweep, "account"), "region",
                     json_object_get(sweep, "region"), "resource", json_object_get(sweep, "resource"));
    if (json_object_set_new(schedule->owed, subject, owed) != 0) return; /* out of memory: the next tick comes */
  }
  json_array_foreach(json_object_get(sweep, "guardrails"), i, name)
      json_object_set_new(json_object_get(owed, "names"), json_string_value(name), json_true());
}

static void delivered(void *argument, const struct error *error) {
  struct passage *passage = argument;
  struct schedule *schedule = passage->schedule;
  count_sweep(passage->sweep, error ? "undelivered" : "sent");
  pthread_mutex_lock(&schedule->lock);
  schedule->in_flight--;
  if (error) json_array_append(schedule->undelivered, passage->sweep);
  pthread_mutex_unlock(&schedule->lock);
  json_decref(passage->sweep);
  free(passage);
}

/* 0, or -1: Kafka takes nothing. */
static int send_sweep(struct schedule *schedule, json_t *sweep) {
  char key[128];
  struct error error = {0};
  struct passage *passage = malloc(sizeof *passage);
  char *text = json_text(sweep);
  if (!passage || !text) {
    free(passage);
    free(text);
    return -1;
  }
  *passage = (struct passage){schedule, json_incref(sweep)};
  snprintf(key, sizeof key, "%s/%s", json_text_at(sweep, "account", NULL), json_text_at(sweep, "region", NULL));
  pthread_mutex_lock(&schedule->lock);
  schedule->in_flight++;
  pthread_mutex_unlock(&schedule->lock);
  int result = publish_message(schedule->publisher, "schedule", BUS_TOPIC_SWEEPS, key, text, strlen(text), delivered,
                               passage, &error);
  if (result != 0) {
    log_warn("a sweep was not sent", LOG_TEXT("id", json_text_at(sweep, "id", NULL)), LOG_ERROR(&error));
    pthread_mutex_lock(&schedule->lock);
    schedule->in_flight--;
    pthread_mutex_unlock(&schedule->lock);
    json_decref(sweep);
    free(passage);
  }
  free(text);
  return result;
}

enum emission { EMITTED, PENDING, FAILED };

/* Sends the sweep, unless an earlier one of its subject has not ended. */
static enum emission emit(struct schedule *schedule, json_t *sweep) {
  char subject[512];
  struct error error = {0};
  subject_of(sweep, subject, sizeof subject);
  int begun = state_sweep_begin(schedule->state, subject, schedule->sweep_ttl_ms, &error);
  if (begun == 0) return PENDING;
  if (begun > 0 && send_sweep(schedule, sweep) == 0) return EMITTED;
  if (begun > 0) state_sweep_end(schedule->state, subject, NULL); /* if that fails, its time ends it */
  if (begun < 0) schedule_redis_failed(schedule, &error);
  return FAILED;
}

/* ---- what is owed ---- */
static int is_far(const struct schedule *schedule, const char *name) {
  for (size_t i = 0; i < schedule->plan->count; i++) {
    const struct plan_guardrail *guardrail = &schedule->plan->guardrails[i];
    if (strcmp(guardrail->name, name) != 0) continue;
    int64_t now = clock_wall_ms(), next = cron_next(&guardrail->cron, now);
    return next < 0 || next - now > FAR_MS;
  }
  return 0;
}

/* The sweep's guardrails whose next tick is far, or NULL. */
static json_t *far_ones(const struct schedule *schedule, json_t *sweep) {
  json_t *names = json_array(), *name;
  size_t i;
  json_array_foreach(json_object_get(sweep, "guardrails"), i, name) if (is_far(schedule, json_string_value(name)))
      json_array_append(names, name);
  json_t *owed = json_array_size(names) > 0 ? json_copy(sweep) : NULL;
  if (owed) json_object_set(owed, "guardrails", names);
  json_decref(names);
  return owed;
}

void schedule_emit(struct schedule *schedule, int64_t tick_ms, const char *resource, const json_t *place,
                   json_t *names) {
  json_t *sweep = schedule_sweep(tick_ms, resource, json_text_at(place, "account", NULL),
                                 json_text_at(place, "region", NULL), names);
  if (!sweep) return;
  enum emission result = emit(schedule, sweep);
  if (result == PENDING) {
    json_t *owed = far_ones(schedule, sweep);
    if (owed) owe(schedule, owed);
    json_decref(owed);
    count_sweep(sweep, "coalesced");
  } else if (result == FAILED) {
    owe(schedule, sweep);
  }
  json_decref(sweep);
}

static void take_undelivered(struct schedule *schedule) {
  pthread_mutex_lock(&schedule->lock);
  json_t *undelivered = schedule->undelivered;
  if (json_array_size(undelivered) > 0) schedule->undelivered = json_array();
  pthread_mutex_unlock(&schedule->lock);
  if (json_array_size(undelivered) == 0) return;
  size_t i;
  json_t *sweep;
  json_array_foreach(undelivered, i, sweep) {
    char subject[512];
    subject_of(sweep, subject, sizeof subject);
    state_sweep_end(schedule->state, subject, NULL); /* if that fails, its time ends it */
    owe(schedule, sweep);
  }
  json_decref(undelivered);
}

static json_t *names_of(json_t *owed) {
  json_t *names = json_array(), *ignored;
  const char *name;
  json_object_foreach(json_object_get(owed, "names"), name, ignored) json_array_append_new(names, json_string(name));
  return names;
}

/* Out of the list, or, when its place is not free yet, to the end of it. */
static void paid(struct schedule *schedule, const char *subject, json_t *still_owed) {
  char *name = strdup(subject); /* the key goes with its entry */
  if (!name) return;
  json_incref(still_owed);
  json_object_del(schedule->owed, name);
  if (still_owed) json_object_set_new(schedule->owed, name, still_owed);
  free(name);
}

void schedule_pay(struct schedule *schedule) {
  take_undelivered(schedule);
  int64_t now = clock_monotonic_ms();
  if (now - schedule->owed_ms < OWED_MS) return;
  schedule->owed_ms = now;
  int count = 0;
  const char *subject;
  json_t *owed;
  void *following;
  json_object_foreach_safe(schedule->owed, following, subject, owed) {
    if (count++ >= OWED_BATCH) return;
    json_t *names = names_of(owed);
    json_t *sweep = schedule_sweep(clock_wall_ms(), json_text_at(owed, "resource", NULL),
                                   json_text_at(owed, "account", NULL), json_text_at(owed, "region", NULL), names);
    enum emission result = sweep ? emit(schedule, sweep) : FAILED;
    json_decref(names);
    json_decref(sweep);
    if (result == FAILED) return; /* the next would fail as well */
    paid(schedule, subject, result == PENDING ? owed : NULL);
  }
}
