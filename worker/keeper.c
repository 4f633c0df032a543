/* The keeper: a thread beside the verbs.
 * It watches Redis (gates close when it does not answer, or is not the Redis that was joined), sends the heartbeat,
 * reloads playbooks that changed and brings parked work back. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "pipeline.h"

enum {
  TURN_MS = 100,
  CHECK_MS = 1000,
  HEARTBEAT_MS = 5000,
  HEARTBEAT_TTL_MS = 20000,
  WARNING_MS = 10000,
  PARKED_BATCH = 64,
  PARKED_ROOM = 256
};

struct keeper {
  struct worker *worker;
  pthread_t watch;
  int64_t next_check, next_heartbeat, next_reload, next_intents, next_warning, next_cooling;
  int joined;
  int64_t announced;  /* the longest window that is known to whoever rebuilds */
  uint64_t signature; /* of the playbook directory */
  double counted[8];  /* what went to Redis's counters so far */
};

/* ---- Redis ---- */
/* As far back as any breaker counts. */
static int64_t longest_window(struct worker *worker) {
  int64_t longest = config_ms(worker->config, "breaker.window");
  struct bundle *bundle = worker_bundle(worker);
  for (size_t i = 0; i < bundle->guardrail_count; i++) {
    struct scopes scopes = {0};
    worker_scopes(worker, bundle->guardrails[i], "", &scopes);
    for (size_t k = 0; k < scopes.count; k++)
      if (scopes.limits[k].window_ms > longest) longest = scopes.limits[k].window_ms;
  }
  bundle_drop(bundle);
  return longest;
}

static int join(struct keeper *keeper, struct error *error) {
  struct bus_options options = settings_bus(keeper->worker->config, keeper->worker->owner);
  return mirror_join(&options, keeper->worker->state, error);
}

/* Before anything is granted: whoever rebuilds reads the journal as far back as any breaker counts. */
static int announce_window(struct keeper *keeper, struct error *error) {
  int64_t longest = longest_window(keeper->worker);
  if (longest <= keeper->announced) return 0;
  if (mirror_put_window(keeper->worker->producer, longest, error) != 0) return -1;
  keeper->announced = longest;
  return 0;
}

static void set_ready(struct keeper *keeper, int ready, const struct error *error) {
  struct worker *worker = keeper->worker;
  int was = atomic_exchange(&worker->state_ready, ready);
  if (was == ready) return;
  worker_pause(worker, !ready);
  if (ready)
    log_info("gates open: Redis answers", LOG_TEXT("bundle", worker->bundle->hash));
  else
    log_warn("gates closed: nothing is changed in any account", LOG_ERROR(error));
}

/* Before the first list of its organization a worker would take every event for a stranger's. */
static int accounts_known(struct worker *worker, struct error *error) {
  struct roster_status status;
  struct accounts *accounts = roster_accounts(worker->roster);
  int known = accounts_are_known(accounts);
  accounts_drop(accounts);
  roster_status(worker->roster, &status);
  metric_set(&worker_metrics[M_ACCOUNTS], (double)status.accounts);
  metric_set(&worker_metrics[M_ACCOUNTS_AGE],
             status.listed_ms ? (double)(clock_wall_ms() - status.listed_ms) / 1000 : 0);
  metric_set(&worker_metrics[M_ACCOUNTS_TROUBLE], status.trouble[0] != '\0');
  if (!known)
    error_set(error, ERROR_RETRYABLE, "Accounts", "the organization's accounts are not known yet%s%s",
              status.trouble[0] ? ": " : "", status.trouble);
  return known;
}

static void check_state(struct keeper *keeper) {
  struct error error = {0};
  json_t *stop = NULL;
  int ok = state_check(keeper->worker->state, &error) == 0;
  if (ok && keeper->joined &&
      state_stop_get(keeper->worker->state, &stop, &error) != 0) { /* any call tells a changed epoch */
    ok = 0;
    if (strcmp(error.code, "epoch") == 0) keeper->joined = 0;
  }
  json_decref(stop);
  if (!ok && strcmp(error.code, "epoch") != 0) keeper->joined = keeper->joined && error_is_transient(&error);
  if (!keeper->joined && (ok || strcmp(error.code, "epoch") == 0)) {
    set_ready(keeper, 0, &error);
    error_clear(&error);
    ok = join(keeper, &error) == 0;
    keeper->joined = ok;
  }
  if (ok && !accounts_known(keeper->worker, &error)) ok = 0;
  if (ok) ok = announce_window(keeper, &error) == 0;
  set_ready(keeper, ok, &error);
}

/* ---- heartbeat and counters ---- */
static void count_deltas(struct keeper *keeper) {
  static const struct {
    enum worker_metric metric;
    const char *label, *name;
  } rows[] = {{M_EVENTS, "matched", "events.matched"},
              {M_EVENTS, "unmatched", "events.unmatched"},
              {M_EVENTS, "deadletter", "events.deadletter"},
              {M_EVENTS, "duplicate", "events.duplicate"}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    double now = metric_value(&worker_metrics[rows[i].metric], rows[i].label);
    int64_t delta = (int64_t)(now - keeper->counted[i]);
    if (delta > 0 && state_count(keeper->worker->state, rows[i].name, delta, NULL) == 0)
      keeper->counted[i] += (double)delta;
  }
}

/* What Redis is gone for is shared by as many workers as there were. */
static void share_budget(struct worker *worker) {
  json_t *list = NULL;
  if (worker->budget && state_workers(worker->state, &list, NULL) == 0)
    fleet_budget_workers(worker->budget, (int)json_array_size(list));
  json_decref(list);
}

static void heartbeat(struct keeper *keeper) {
  struct worker *worker = keeper->worker;
  struct bundle *bundle = worker_bundle(worker);
  struct bus_lag lag = worker_lag(worker);
  char started[32];
  json_t *sign =
      json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:I, s:I, s:i}", "owner", worker->owner, "version", PARAPET_VERSION,
                "started", clock_format(worker->started_ms, started, sizeof started), "bundle", bundle->hash,
                "guardrails", (int)bundle->guardrail_count, "refused", (int)json_array_size(bundle->refused), "lag",
                (json_int_t)lag.lag, "units", (json_int_t)worker->units, "ready", worker->state_ready);
  struct error error = {0};
  if (state_heartbeat(worker->state, sign, HEARTBEAT_TTL_MS, &error) != 0) log_debug("no heartbeat", LOG_ERROR(&error));
  metric_set(&worker_metrics[M_LAG], (double)lag.lag);
  share_budget(worker);
  json_decref(sign);
  bundle_drop(bundle);
  count_deltas(keeper);
}

/* ---- playbooks that changed ---- */
static uint64_t directory_signature(const char *path, int depth) {
  uint64_t signature = 1469598103934665603ULL;
  struct dirent **entries;
  int count = scandir(path, &entries, NULL, alphasort);
  for (int i = 0; i < count; i++) {
    char name[4096];
    struct stat status;
    snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
    if (entries[i]->d_name[0] != '.' && stat(name, &status) == 0) {
      uint64_t parts[] = {(uint64_t)status.st_mtim.tv_sec, (uint64_t)status.st_mtim.tv_nsec, (uint64_t)status.st_size,
                          (uint64_t)status.st_ino};
      for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) signature = (signature ^ parts[k]) * 1099511628211ULL;
      if (S_ISDIR(status.st_mode) && depth < 8) signature ^= directory_signature(name, depth + 1) * 31;
    }
    free(entries[i]);
  }
  if (count >= 0) free(entries);
  return signature;
}

static void log_refused(const struct bundle *bundle) {
  size_t index;
  json_t *line;
  json_array_foreach(bundle->refused, index, line)
      log_error("playbook refused", LOG_TEXT("reason", json_string_value(line)));
}

static void reload(struct keeper *keeper) {
  struct worker *worker = keeper->worker;
  const char *directory = config_path(worker->config, "playbooks", "playbooks");
  uint64_t signature = directory_signature(directory, 0);
  if (signature == keeper->signature) return;
  keeper->signature = signature;
  struct error error = {0};
  struct bundle *fresh = bundle_load(directory, worker->aws, &error);
  if (!fresh) {
    log_error("playbooks could not be reloaded; the old ones stay in force", LOG_ERROR(&error));
    return;
  }
  log_refused(fresh);
  pthread_mutex_lock(&worker->bundle_lock);
  struct bundle *old = worker->bundle;
  worker->bundle = fresh;
  pthread_mutex_unlock(&worker->bundle_lock);
  if (strcmp(old->hash, fresh->hash) != 0) log_info("playbooks reloaded", LOG_TEXT("bundle", fresh->hash));
  bundle_drop(old);
}

/* ---- threads ---- */
static void resume_parked(struct keeper *keeper) {
  struct error error = {0};
  if (atomic_load(&keeper->worker->units) > PARKED_ROOM) return;
  if (parked_resume(keeper->worker, PARKED_BATCH, &error) < 0)
    log_debug("parked work cannot be asked for", LOG_ERROR(&error));
}

/* What a dead worker left open and no message tells of any more (a sweep that comes again no longer finds what was
 * fixed) goes the way of parked work: one worker takes it, resolves it and verifies the effect.  An action that is at
 * work has the lease; its age keeps it from being asked for at all. */
static void adopt_intents(struct keeper *keeper) {
  struct worker *worker = keeper->worker;
  struct error error = {0};
  json_t *list = NULL, *row;
  size_t index;
  int64_t now = clock_wall_ms(), old = now - 2 * config_ms(worker->config, "lease");
  if (state_intents(worker->state, &list, &error) != 0)
    log_debug("open intents cannot be asked for", LOG_ERROR(&error));
  json_array_foreach(list, index, row) {
    json_t *intent = json_object_get(row, "intent"), *packed = json_object_get(intent, "unit");
    if (!packed || json_integer_value(json_object_get(intent, "begun_ms")) > old) continue;
    log_info("an action was left open", LOG_TEXT("subject", json_text_at(row, "subject", NULL)));
    if (state_park_begun(worker->state, json_text_at(row, "subject", NULL), packed, now, &error) != 0)
      log_debug("it stays open for now", LOG_ERROR(&error));
  }
  json_decref(list);
}

static int due(int64_t *next, int64_t every) {
  int64_t now = clock_monotonic_ms();
  if (now < *next) return 0;
  *next = now + every;
  return 1;
}

static void *watch_thread(void *argument) {
  struct keeper *keeper = argument;
  struct worker *worker = keeper->worker;
  while (!worker->stopping) {
    if (due(&keeper->next_check, CHECK_MS)) check_state(keeper);
    if (due(&keeper->next_reload, config_ms(worker->config, "playbooks.reload"))) reload(keeper);
    if (worker->state_ready) {
      if (due(&keeper->next_heartbeat, HEARTBEAT_MS)) heartbeat(keeper);
      resume_parked(keeper);
      if (due(&keeper->next_warning, WARNING_MS)) exceptions_warn(worker);
      if (due(&keeper->next_cooling, CHECK_MS)) limits_cool(worker);
      if (due(&keeper->next_intents, config_ms(worker->config, "lease"))) adopt_intents(keeper);
    }
    metric_set(&worker_metrics[M_READY], worker->state_ready);
    metric_set(&worker_metrics[M_IN_HAND], (double)atomic_load(&worker->units));
    clock_sleep_ms(TURN_MS);
  }
  if (worker->state_ready) count_deltas(keeper);
  return NULL;
}

struct keeper *keeper_start(struct worker *worker, struct error *error) {
  struct keeper *keeper = calloc(1, sizeof *keeper);
  if (!keeper) return NULL;
  keeper->worker = worker;
  keeper->signature = directory_signature(config_path(worker->config, "playbooks", "playbooks"), 0);
  keeper->next_reload = clock_monotonic_ms() + config_ms(worker->config, "playbooks.reload");
  log_refused(worker->bundle);
  if (pthread_create(&keeper->watch, NULL, watch_thread, keeper) == 0) return keeper;
  error_set(error, ERROR_FATAL, "Thread", "cannot start a thread");
  free(keeper);
  return NULL;
}

void keeper_stop(struct keeper *keeper) {
  if (!keeper) return;
  pthread_join(keeper->watch, NULL);
  free(keeper);
}
