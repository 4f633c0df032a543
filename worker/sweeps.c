/* Sweeps: what no event told.  One task lists an account × Region × resource type once for all guardrails that are due,
 * and makes a unit of each resource in which one of them finds something. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "pipeline.h"
#include "site/place.h"
#include "unit.h"

enum { SWEEP_TRIES = 4, CALL_MS = 60000 };

struct sweep {
  struct task task;
  struct delivery *delivery;
  struct bundle *bundle;
  json_t *request;
  struct accounts *accounts; /* held */
  const struct account *account;
  const struct resource *resource;
  char region[40];
  struct place place;
  const struct guardrail *guardrails[64];
  json_t *kept[64];    /* by guardrail, ids of the findings that stay open: seen again, or not judged */
  size_t unjudged[64]; /* resources, by guardrail */
  size_t count;
  int tries;
  size_t resources, found;
};

static void sweep_free(struct sweep *sweep) {
  for (size_t i = 0; i < sweep->count; i++) json_decref(sweep->kept[i]);
  json_decref(sweep->request);
  delivery_drop(sweep->delivery);
  accounts_drop(sweep->accounts);
  bundle_drop(sweep->bundle);
  free(sweep);
}

static void sweep_abandon(void *argument) {
  struct sweep *sweep = argument;
  sweep->delivery->abandoned = 1;
  sweep_free(sweep);
}

/* New finding, or NULL with *error. */
static json_t *sweep_judge(const struct sweep *sweep, const struct guardrail *guardrail, const struct live *live,
                           struct error *error) {
  struct occasion occasion = {0};
  char subject[640];
  snprintf(subject, sizeof subject, "%s|%s", guardrail->name, json_string_value(live->arn));
  if (guardrail->baseline && !live_unread(live, guardrail) &&
      baseline_sweep(sweep->delivery->worker, guardrail, subject, live, &occasion, error) != 0)
    return NULL;
  json_t *finding = guardrail_judge(guardrail, &sweep->place, live, &occasion, error);
  json_decref(occasion.baseline);
  json_decref(occasion.changes);
  return finding;
}

/* What was found there before stays open.  Said once a sweep. */
static void not_judged(struct sweep *sweep, size_t i, const struct live *live, const struct error *error) {
  const struct guardrail *guardrail = sweep->guardrails[i];
  char subject[640], id[33];
  snprintf(subject, sizeof subject, "%s|%s", guardrail->name, json_string_value(live->arn));
  finding_id(subject, id);
  json_array_append_new(sweep->kept[i], json_string(id));
  if (sweep->unjudged[i]++ == 0)
    log_warn("a resource could not be judged", LOG_TEXT("guardrail", guardrail->name),
             LOG_TEXT("resource", json_string_value(live->id)), LOG_ERROR(error));
}

/* Judges one listed resource; a finding makes (or joins) its unit. */
static int sweep_one(struct live *live, void *argument) {
  struct sweep *sweep = argument;
  struct unit *unit = NULL;
  sweep->resources++;
  for (size_t i = 0; i < sweep->count; i++) {
    struct error error = {0};
    json_t *finding = sweep_judge(sweep, sweep->guardrails[i], live, &error);
    if (!finding) {
      not_judged(sweep, i, live, &error);
    } else if (!json_is_empty(finding)) {
      if (!unit)
        unit = unit_open(sweep->delivery, sweep->bundle, sweep->accounts, sweep->account, sweep->resource,
                         sweep->region, json_string_value(live->id), sweep->count);
      if (unit) {
        const struct unit_case *one = unit_add(unit, sweep->guardrails[i]);
        json_array_append_new(sweep->kept[i], json_string(one->finding));
      }
    }
    json_decref(finding);
  }
  if (!unit) {
    live_free(live);
    return sweep->delivery->worker->stopping;
  }
  sweep->found++;
  unit->listed = live;
  unit_submit(unit);
  return sweep->delivery->worker->stopping;
}

/* Findings that this sweep did not see again are closed; a list that failed or was denied never gets here. */
static void close_absent(struct sweep *sweep) {
  for (size_t i = 0; i < sweep->count; i++) {
    struct worker *worker = sweep->delivery->worker;
    struct error error = {0};
    json_t *closed = json_array(), *record;
    size_t index;
    if (state_findings_close_absent(worker->state, sweep->guardrails[i]->name, sweep->account->id, sweep->region,
                                    sweep->kept[i], closed, &error) != 0)
      log_warn("findings could not be closed", LOG_TEXT("guardrail", sweep->guardrails[i]->name), LOG_ERROR(&error));
    json_array_foreach(closed, index, record) record_closed(worker, record);
    json_decref(closed);
  }
}

/* Every resource was given, if not everything about it. */
static void seen_whole(struct sweep *sweep) {
  struct error error = {0};
  close_absent(sweep);
  if (state_population(sweep->delivery->worker->state, sweep->account->id, sweep->region, sweep->resource->name,
                       (int64_t)sweep->resources, &error) != 0)
    log_debug("the number of resources could not be kept", LOG_ERROR(&error));
}

static void sweep_task(void *argument);

static void sweep_later(struct sweep *sweep) {
  int64_t wait = sweep->delivery->worker->state_ready ? 1000LL << (sweep->tries < 5 ? sweep->tries : 5) : 500;
  if (pool_submit(sweep->delivery->worker->pool, POOL_LANE_SWEEP, NULL, wait, sweep_task, sweep) != 0)
    sweep_abandon(sweep);
}

static void sweep_done(struct sweep *sweep, const char *outcome) {
  metric_add(&worker_metrics[M_SWEEPS], 1, sweep->resource->name, outcome);
  metric_add(&worker_metrics[M_UNITS], (double)sweep->found, "sweep");
  log_info("swept", LOG_TEXT("outcome", outcome), LOG_TEXT("account", sweep->account->id),
           LOG_TEXT("region", sweep->region), LOG_TEXT("resource", sweep->resource->name),
           LOG_INT("resources", sweep->resources), LOG_INT("found", sweep->found));
  sweep_free(sweep);
}

/* A sweep that had ended stands behind an unfinished one of its partition when that partition goes to another worker,
 * and comes again there. */
static int was_swept(const struct sweep *sweep) {
  struct error error = {0};
  int seen = 0;
  return sweep->tries == 0 && sweep->delivery->id[0] &&
         state_seen(sweep->delivery->worker->state, sweep->delivery->id, &seen, &error) == 0 && seen;
}

static void sweep_task(void *argument) {
  struct sweep *sweep = argument;
  struct worker *worker = sweep->delivery->worker;
  const char *name = accounts_role(sweep->accounts);
  struct aws_role role = {.name = name,
                          .external_id = accounts_external_id(sweep->accounts),
                          .session_name = "parapet",
                          .source_identity = "parapet",
                          .policies = sweep->bundle->read_policies};
  struct reader reader = {
      .client = worker->aws, .role = *name ? &role : NULL, .deadline_ms = clock_monotonic_ms() + CALL_MS};
  unsigned char wanted[64] = {0};
  struct error error = {0};
  if (!worker->state_ready) return sweep_later(sweep);
  if (was_swept(sweep)) return sweep_done(sweep, "repeated");
  for (size_t i = 0; i < sweep->count; i++) {
    guardrail_wants(sweep->guardrails[i], wanted);
    json_array_clear(sweep->kept[i]);
    sweep->unjudged[i] = 0;
  }
  sweep->resources = sweep->found = 0;
  int listed = live_list(&reader, &sweep->place, sweep->resource, wanted, sweep_one, sweep, &error);
  /* A worker that ends has seen a part: what it did not see is not gone.  Another one sweeps anew. */
  if (worker->stopping) return sweep_abandon(sweep);
  if (listed >= 0) seen_whole(sweep);
  if (listed == 0) {
    record_reach(worker, sweep->account, sweep->region, NULL);
    return sweep_done(sweep, "done");
  }
  metric_add(&worker_metrics[M_ERRORS], 1, "sweep", error_class_name(error.class));
  record_reach(worker, sweep->account, sweep->region, &error);
  if (error.class != ERROR_DENIED && ++sweep->tries < SWEEP_TRIES) return sweep_later(sweep);
  log_warn("a sweep failed; the next tick tries again", LOG_TEXT("account", sweep->account->id),
           LOG_TEXT("region", sweep->region), LOG_ERROR(&error));
  sweep_done(sweep, error.class == ERROR_DENIED ? "denied" : "failed");
}

/* ---- requests ---- */
static const char *open_sweep(struct sweep *sweep) {
  struct worker *worker = sweep->delivery->worker;
  size_t index;
  json_t *name;
  sweep->account = accounts_find(sweep->accounts, json_text_at(sweep->request, "account", NULL));
  if (!sweep->account) return "unknown account";
  snprintf(sweep->region, sizeof sweep->region, "%s", json_text_at(sweep->request, "region", NULL));
  if (!sweep->region[0]) return "no Region";
  sweep->resource = bundle_resource(sweep->bundle, json_text_at(sweep->request, "resource", NULL));
  if (!sweep->resource) return "unknown resource";
  sweep->place = site_place(sweep->accounts, sweep->account, sweep->region, aws_partition(worker->aws, sweep->region));
  json_array_foreach(json_object_get(sweep->request, "guardrails"), index, name) {
    const struct guardrail *guardrail =
        bundle_guardrail(sweep->bundle, json_is_string(name) ? json_string_value(name) : "");
    if (!guardrail || guardrail->resource != sweep->resource || sweep->count >= 64) continue;
    if (!guardrail_in_scope(guardrail, &sweep->place)) continue;
    sweep->kept[sweep->count] = json_array();
    sweep->guardrails[sweep->count++] = guardrail;
  }
  snprintf(sweep->delivery->sweep, sizeof sweep->delivery->sweep, "%s|%s|%s", sweep->account->id, sweep->region,
           sweep->resource->name);
  const char *id = json_text_at(sweep->request, "id", NULL);
  if (strlen(id) < sizeof sweep->delivery->id) snprintf(sweep->delivery->id, sizeof sweep->delivery->id, "%s", id);
  return NULL;
}

static void on_request(struct worker *worker, struct bus_message *message) {
  struct sweep *sweep = calloc(1, sizeof *sweep);
  struct delivery *delivery = sweep ? delivery_open(worker, DELIVERY_SWEEP) : NULL;
  if (!delivery) {
    free(sweep);
    bus_abandon(worker->sweeps, message);
    return;
  }
  size_t length;
  const char *value = bus_message_value(message, &length);
  struct error error = {0};
  sweep->task.abandon = sweep_abandon;
  delivery->consumer = worker->sweeps;
  delivery->message = message;
  sweep->delivery = delivery;
  sweep->bundle = worker_bundle(worker);
  sweep->accounts = roster_accounts(worker->roster);
  sweep->request = value ? json_parse(value, length, &error) : NULL;
  const char *reason = sweep->request ? open_sweep(sweep) : "not JSON";
  if (reason) {
    delivery->message = NULL;
    dead_letter(worker, worker->sweeps, message, reason);
    sweep_free(sweep);
  } else if (sweep->count == 0) {
    sweep_free(sweep);
  } else if (pool_submit(worker->pool, POOL_LANE_SWEEP, delivery->sweep, 0, sweep_task, sweep) != 0) {
    sweep_abandon(sweep);
  }
}

void *sweeps_thread(void *argument) {
  struct worker *worker = argument;
  while (!worker->stopping) {
    struct error error = {0};
    struct bus_message *message = bus_poll(worker->sweeps, 100, &error);
    if (message) on_request(worker, message);
  }
  return NULL;
}

/* ---- parked work ---- */
static void forget_parked(struct worker *worker, const char *subject, const struct error *why) {
  struct error error = {0};
  log_warn("parked work was dropped", LOG_TEXT("subject", subject), LOG_ERROR(why));
  if (state_unpark(worker->state, subject, &error) != 0 ||
      mirror_put(worker->producer, "parked", subject, NULL, &error) != 0)
    log_warn("it comes back once more", LOG_TEXT("subject", subject), LOG_ERROR(&error));
}

int parked_resume(struct worker *worker, size_t limit, struct error *error) {
  json_t *entries = NULL, *entry;
  size_t index;
  if (state_parked_take(worker->state, limit, config_ms(worker->config, "park.after") * 2, &entries, error) != 0)
    return -1;
  struct bundle *bundle = worker_bundle(worker);
  json_array_foreach(entries, index, entry) {
    struct error problem = {0};
    struct unit *unit = unit_unpack(worker, bundle, json_object_get(entry, "unit"), &problem);
    if (!unit) {
      forget_parked(worker, json_text_at(entry, "subject", NULL), &problem);
      continue;
    }
    unit->released = json_is_true(json_object_get(entry, "released"));
    metric_add(&worker_metrics[M_UNITS], 1, "parked");
    unit_submit(unit);
  }
  int count = (int)json_array_size(entries);
  bundle_drop(bundle);
  json_decref(entries);
  return count;
}
