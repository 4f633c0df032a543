/* A command's actions: chosen, taken back a few at a time, counted. */
#include "operate/undo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "operate/history.h"
#include "operate/undo_job.h"

enum {
  AT_ONCE = 8,           /* of one command: events and sweeps want their threads, too */
  MOST = 5000,           /* actions a command */
  GIVE_UP_MS = 120000,   /* an action that cannot go on for so long is reported as failed */
  ANSWER_BYTES = 700000, /* of the outcomes */
};

static void job_free(struct undo_job *job) {
  if (job->bundle) bundle_drop(job->bundle);
  json_decref(job->arguments);
  json_decref(job->actions);
  json_decref(job->outcomes);
  json_decref(job->counts);
  pthread_mutex_destroy(&job->lock);
  free(job);
}

static void job_end(struct undo_job *job) {
  if (job->abandoned)
    job->report.abandon(job->report.context);
  else
    job->report.end(job->report.context, json_pack("{s:O, s:O}", "counts", job->counts, "actions", job->outcomes),
                    NULL);
  job_free(job);
}

/* Whoever may still start something is counted in `running`, so the last to let go finds nothing left. */
static void let_go(struct undo_job *job) {
  pthread_mutex_lock(&job->lock);
  int over = --job->running == 0;
  pthread_mutex_unlock(&job->lock);
  if (over) job_end(job);
}

static void undo_abandon(void *argument) {
  struct undo *undo = argument;
  struct undo_job *job = undo->job;
  undo_free(undo);
  pthread_mutex_lock(&job->lock);
  job->abandoned = 1;
  pthread_mutex_unlock(&job->lock);
  let_go(job);
}

static struct undo *next_undo(struct undo_job *job) {
  struct undo *undo = NULL;
  pthread_mutex_lock(&job->lock);
  int room = !job->abandoned && job->running <= AT_ONCE && job->next < json_array_size(job->actions);
  if (room && (undo = calloc(1, sizeof *undo))) {
    undo->task.abandon = undo_abandon;
    undo->job = job;
    undo->action = json_incref(json_array_get(job->actions, job->next++));
    undo->begun_ms = clock_monotonic_ms();
    job->running++;
  }
  pthread_mutex_unlock(&job->lock);
  return undo;
}

static void undo_task(void *argument);

static void wait_for(struct undo *undo, int64_t wait_ms) {
  if (pool_submit(undo->job->worker->pool, POOL_LANE_COMMAND, json_text_at(undo->action, "arn", NULL), wait_ms,
                  undo_task, undo) != 0)
    undo_abandon(undo);
}

/* The caller is counted in `running`. */
static void start_some(struct undo_job *job) {
  struct undo *undo;
  while ((undo = next_undo(job))) wait_for(undo, 0);
}

/* The answer has a ceiling: beyond it outcomes are told without their differences, and then only counted. */
static void list_outcome(struct undo_job *job, json_t *outcome) {
  for (int tries = 0; tries < 2; tries++) {
    char *text = json_text(outcome);
    size_t length = text ? strlen(text) : ANSWER_BYTES;
    free(text);
    if (job->bytes + length <= ANSWER_BYTES) {
      job->bytes += length;
      json_array_append(job->outcomes, outcome);
      return;
    }
    json_object_del(outcome, "differences");
    json_object_del(outcome, "calls");
  }
}

static void job_count(struct undo_job *job, struct undo *undo) {
  const char *outcome = json_text_at(undo->outcome, "outcome", NULL);
  pthread_mutex_lock(&job->lock);
  json_int_t count = json_integer_value(json_object_get(job->counts, outcome));
  json_object_set_new(job->counts, outcome, json_integer(count + 1));
  list_outcome(job, undo->outcome);
  int64_t done = ++job->done, total = (int64_t)json_array_size(job->actions);
  pthread_mutex_unlock(&job->lock);
  job->report.progress(job->report.context, done, total);
}

static void undo_ended(struct undo *undo) {
  struct undo_job *job = undo->job;
  log_info("undo", LOG_TEXT("action", json_text_at(undo->action, "action", NULL)),
           LOG_TEXT("outcome", json_text_at(undo->outcome, "outcome", NULL)),
           LOG_TEXT("reason", json_text_at(undo->outcome, "reason", NULL)), LOG_TEXT("by", job->principal));
  job_count(job, undo);
  undo_free(undo);
  start_some(job);
  let_go(job);
}

static void wait_again(struct undo *undo) {
  const int64_t *patience = undo->job->worker->patience_ms;
  int64_t before = undo->looks > 0 ? patience[undo->looks - 1] : 0, wait = patience[undo->looks] - before;
  undo->looks++;
  wait_for(undo, wait > 0 ? wait : 50);
}

static void undo_task(void *argument) {
  struct undo *undo = argument;
  struct error error = {0};
  enum verdict verdict = VERDICT_LATER;
  if (undo->job->worker->state_ready) {
    verdict = undo->stage == UNDO_LOOK ? undo_look(undo, &error) : undo_verify(undo, &error);
    if (verdict == VERDICT_GO) {
      undo->stage = UNDO_VERIFY;
      verdict = undo_verify(undo, &error);
    }
  }
  if (verdict == VERDICT_LATER && clock_monotonic_ms() - undo->begun_ms > GIVE_UP_MS)
    verdict = undo_outcome(undo, "failed", NULL, "%s; the same undo goes on from here",
                           error.class == ERROR_NONE ? "Redis does not answer" : error.message);
  if (verdict == VERDICT_DONE) {
    undo_ended(undo);
  } else if (verdict == VERDICT_AGAIN) {
    wait_again(undo);
  } else {
    log_debug("undo: later", LOG_TEXT("action", json_text_at(undo->action, "action", NULL)), LOG_ERROR(&error));
    wait_for(undo, 250LL << (undo->tries < 4 ? undo->tries : 4));
    undo->tries++;
  }
}

/* ---- which ones ---- */
static int time_argument(const json_t *arguments, const char *name, int64_t *wall_ms, struct error *error) {
  const char *text = json_text_at(arguments, name, NULL);
  if (!*text || clock_parse(text, wall_ms) == 0) return 0;
  return error_set(error, ERROR_INVALID, "Argument", "%s is no time: %.40s", name, text);
}

static int choose(struct undo_job *job, struct error *error) {
  struct worker *worker = job->worker;
  struct bus_options bus = settings_bus(worker->config, worker->owner);
  const char *one = json_text_at(job->arguments, "action", NULL);
  struct history_filter filter = {.guardrail = json_text_at(job->arguments, "guardrail", NULL),
                                  .account = json_text_at(job->arguments, "account", NULL),
                                  .region = json_text_at(job->arguments, "region", NULL)};
  if (*one) {
    job->actions = json_pack("[{s:s}]", "action", one);
    return 0;
  }
  if (!*filter.guardrail && !*filter.account)
    return error_set(error, ERROR_INVALID, "Argument", "which actions? One by its id, or a guardrail's, an account's");
  if (time_argument(job->arguments, "since", &filter.since_ms, error) != 0 ||
      time_argument(job->arguments, "until", &filter.until_ms, error) != 0)
    return -1;
  if (!filter.since_ms) return error_set(error, ERROR_INVALID, "Argument", "since when?");
  json_t *all = NULL, *action;
  size_t index;
  if (history_list(worker->state, &bus, &filter, MOST, &all, error) != 0) return -1;
  job->actions = json_array();
  json_array_foreach(all, index, action) { /* those undone by this very command: it goes on after a crash */
    const json_t *undone = json_object_get(action, "undone");
    if (!undone && json_array_size(json_object_get(action, "operations")) > 0) json_array_append(job->actions, action);
  }
  json_decref(all);
  return 0;
}

void undo_start(struct worker *worker, json_t *arguments, const char *principal, const char *command,
                const struct undo_report *report) {
  struct error error = {0};
  struct undo_job *job = calloc(1, sizeof *job);
  if (!job) {
    report->abandon(report->context);
    return;
  }
  pthread_mutex_init(&job->lock, NULL);
  job->worker = worker;
  job->bundle = worker_bundle(worker);
  job->report = *report;
  job->arguments = json_incref(arguments);
  snprintf(job->principal, sizeof job->principal, "%s", principal);
  snprintf(job->command, sizeof job->command, "%s", command);
  job->outcomes = json_array();
  job->counts = json_object();
  if (choose(job, &error) != 0) {
    report->end(report->context, NULL, &error);
    job_free(job);
    return;
  }
  job->running = 1;
  start_some(job);
  let_go(job);
}
