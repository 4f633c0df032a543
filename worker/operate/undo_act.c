/* One action on its way back; see undo.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "operate/history.h"
#include "operate/image.h"
#include "operate/undo_job.h"

enum { DIFFERENCES_SHOWN = 20 };
static const int64_t default_exception_ms = 24 * 3600 * 1000;

enum verdict undo_outcome(struct undo *undo, const char *outcome, json_t *differences, const char *format, ...) {
  char reason[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(reason, sizeof reason, format, arguments);
  va_end(arguments);
  while (json_array_size(differences) > DIFFERENCES_SHOWN)
    json_array_remove(differences, json_array_size(differences) - 1);
  json_decref(undo->outcome);
  undo->outcome = json_pack("{s:O, s:s, s:s, s:s}", "action", json_object_get(undo->action, "action"), "resource",
                            json_text_at(undo->action, "resource", NULL), "outcome", outcome, "reason", reason);
  if (differences) json_object_set_new(undo->outcome, "differences", differences);
  return VERDICT_DONE;
}

void undo_free(struct undo *undo) {
  if (!undo) return;
  unit_free(undo->unit);
  aws_policies_free(undo->guardrail.write_policies);
  json_t *values[] = {undo->action, undo->images, undo->renames, undo->inverses, undo->journal.intent, undo->outcome};
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) json_decref(values[i]);
  free(undo);
}

/* ---- what is to be done ---- */

/* The inverses in reverse order.  NULL with *why: there is a call that cannot be taken back. */
static json_t *inverses_of(const json_t *calls, const json_t *renames, char *why, size_t size) {
  json_t *inverses = json_array(), *inverse;
  for (size_t i = json_array_size(calls); i-- > 0;) {
    const json_t *call = json_array_get(calls, i), *own = json_object_get(call, "inverse");
    const char *outcome = json_text_at(call, "outcome", NULL), *operation = json_text_at(call, "operation", NULL);
    size_t index;
    if (strcmp(outcome, "ignored") == 0 || strcmp(outcome, "none") == 0) continue;
    if (strcmp(outcome, "applied") != 0 || !own) {
      snprintf(why, size,
               strcmp(outcome, "applied") != 0 ? "it is not known whether %s had its effect"
                                               : "its playbook names no undo for %s",
               operation);
      json_decref(inverses);
      return NULL;
    }
    json_array_foreach(own, index, inverse) {
      char path[400];
      snprintf(path, sizeof path, "%s/undo/%zu", json_text_at(call, "path", NULL), index);
      json_array_append_new(inverses, json_pack("{s:O, s:o, s:s, s:O*}", "call", json_object_get(inverse, "call"),
                                                "with", image_renamed(json_object_get(inverse, "with"), renames),
                                                "path", path, "role", json_object_get(inverse, "role")));
    }
  }
  return inverses;
}

/* Just what the inverses call. */
static struct aws_policies *policies_of(const json_t *inverses, struct error *error) {
  json_t *operations = json_array(), *inverse;
  size_t index;
  json_array_foreach(inverses, index, inverse) {
    const char *operation = json_text_at(inverse, "call", NULL), *dependent = aws_iam_dependent(operation);
    json_array_append(operations, json_object_get(inverse, "call"));
    if (dependent) json_array_append_new(operations, json_string(dependent));
    if (json_object_get(json_object_get(inverse, "with"), "TagSpecifications"))
      json_array_append_new(operations, json_string("ec2.CreateTags"));
  }
  json_t *groups = json_pack("[o]", operations);
  struct aws_policies *policies = aws_policies_make(groups, error);
  json_decref(groups);
  return policies;
}

/* The guardrail as far as an undo needs it: what it looked at, and what the inverses may call. */
static void stand_in(struct undo *undo, const struct resource *resource) {
  const char *name = json_text_at(undo->action, "guardrail", NULL);
  const struct guardrail *loaded = bundle_guardrail(undo->job->bundle, name);
  json_t *contexts = json_object_get(json_object_get(undo->images, "after"), "context");
  struct guardrail *guardrail = &undo->guardrail;
  guardrail->name = (char *)name;
  guardrail->title = loaded ? loaded->title : (char *)name;
  guardrail->severity = loaded ? loaded->severity : (char *)"medium";
  guardrail->version = json_integer_value(json_object_get(undo->action, "version"));
  guardrail->resource = resource;
  guardrail->uses = undo->uses;
  for (size_t i = 0; i < resource->context_count && guardrail->use_count < 64; i++)
    if (json_object_get(contexts, resource->contexts[i].name))
      undo->uses[guardrail->use_count++] = &resource->contexts[i];
}

static enum verdict open_unit_of(struct undo *undo, struct accounts *accounts, struct error *error) {
  struct worker *worker = undo->job->worker;
  const struct account *account = accounts_find(accounts, json_text_at(undo->action, "account", NULL));
  const struct resource *resource = bundle_resource(undo->job->bundle, json_text_at(undo->action, "type", NULL));
  if (!account) return undo_outcome(undo, "refused", NULL, "its account is none of ours any more");
  if (!resource)
    return undo_outcome(undo, "refused", NULL, "no playbook describes the resource type \"%s\" any more",
                        json_text_at(undo->action, "type", NULL));
  stand_in(undo, resource);
  struct delivery *delivery = delivery_open(worker, DELIVERY_PARKED);
  if (!delivery) return VERDICT_LATER;
  snprintf(delivery->id, sizeof delivery->id, "%s", undo->job->command);
  undo->unit = unit_open(delivery, undo->job->bundle, accounts, account, resource,
                         json_text_at(undo->action, "region", NULL), json_text_at(undo->action, "resource", NULL), 1);
  delivery_drop(delivery);
  if (!undo->unit) return VERDICT_LATER;
  unit_add(undo->unit, &undo->guardrail);
  struct unit_case *one = &undo->unit->cases[0];
  struct journal *journal = &undo->journal;
  snprintf(one->action, sizeof one->action, "u-%.60s", json_text_at(undo->action, "action", NULL));
  one->begun = json_pack("{s:O}", "undoes", json_object_get(undo->action, "action"));
  *journal = (struct journal){.unit = undo->unit, .one = one};
  snprintf(journal->run, sizeof journal->run, "%s", one->action);
  snprintf(journal->subject, sizeof journal->subject, "undo|%s", undo->unit->arn);
  snprintf(journal->undoes, sizeof journal->undoes, "%s", json_text_at(undo->action, "action", NULL));
  undo->guardrail.write_policies = policies_of(undo->inverses, error);
  return undo->guardrail.write_policies ? VERDICT_GO : undo_outcome(undo, "refused", NULL, "%s", error->message);
}

static enum verdict open_unit(struct undo *undo, struct error *error) {
  struct accounts *accounts = roster_accounts(undo->job->worker->roster);
  enum verdict verdict = open_unit_of(undo, accounts, error);
  accounts_drop(accounts);
  return verdict;
}

static enum verdict prepare(struct undo *undo, struct error *error) {
  struct worker *worker = undo->job->worker;
  struct bus_options bus = settings_bus(worker->config, worker->owner);
  json_t *action = NULL;
  char why[256] = "";
  json_t **const parts[] = {&undo->images, &undo->renames, &undo->inverses}; /* of a try that failed */
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    json_decref(*parts[i]);
    *parts[i] = NULL;
  }
  if (history_action(worker->state, &bus, json_text_at(undo->action, "action", NULL), &action, &undo->images, error) !=
      0)
    return error->class == ERROR_MISSING ? undo_outcome(undo, "refused", NULL, "%s", error->message) : VERDICT_LATER;
  json_decref(undo->action);
  undo->action = action;
  const json_t *undone = json_object_get(action, "undone");
  if (undone)
    return undo_outcome(undo, "refused", NULL, "it was undone at %s%s%s",
                        json_is_string(undone) ? json_string_value(undone) : json_text_at(undone, "at", NULL),
                        json_is_object(undone) ? " by " : "", json_text_at(undone, "by", NULL));
  if (!json_object_get(undo->images, "after") || !json_object_get(undo->images, "before"))
    return undo_outcome(undo, "refused", NULL, "what it left behind was not recorded");
  /* The index in Redis has the resource's type; a record of the topic has it in "verified", like the post-image. */
  if (state_renames_get(worker->state, json_text_at(action, "arn", NULL), &undo->renames, error) != 0)
    return VERDICT_LATER;
  undo->inverses = inverses_of(json_object_get(undo->images, "calls"), undo->renames, why, sizeof why);
  if (!undo->inverses) return undo_outcome(undo, "refused", NULL, "%s", why);
  if (json_array_size(undo->inverses) == 0) return undo_outcome(undo, "refused", NULL, "it changed nothing");
  return open_unit(undo, error);
}

/* ---- the gates ---- */

/* Is the resource what the action left? */
static enum verdict compare(struct undo *undo, const struct live *live) {
  json_t *after = image_renamed(json_object_get(undo->images, "after"), undo->renames);
  json_t *now = journal_image(live, &undo->guardrail), *differences = image_differences(after, now, NULL, NULL);
  json_decref(after);
  json_decref(now);
  if (json_array_size(differences) == 0) {
    json_decref(differences);
    return VERDICT_GO;
  }
  return undo_outcome(undo, "refused", differences, "the resource was changed since");
}

static void trip_is_remembered(struct worker *worker, const char *scope) {
  struct error error = {0};
  json_t *record = json_pack("{s:s, s:s, s:s, s:I}", "state", "open", "by", "limit", "reason",
                             "as many undone actions as its limit allows", "opened", (json_int_t)clock_wall_ms());
  log_warn("breaker tripped", LOG_TEXT("scope", scope));
  if (mirror_put(worker->producer, "breaker", scope, record, &error) != 0)
    log_warn("a trip could not be mirrored", LOG_TEXT("scope", scope), LOG_ERROR(&error));
  json_decref(record);
}

static enum verdict grant(struct undo *undo, struct error *error) {
  static const char *const words[] = {[STATE_GRANTED] = "",
                                      [STATE_REFUSED_STOP] = "the organization is stopped (parapet resume)",
                                      [STATE_REFUSED_HELD] = "the breaker \"undo\" is held",
                                      [STATE_REFUSED_OPEN] = "the breaker \"undo\" is open"};
  struct worker *worker = undo->job->worker;
  struct state_limit limit = {.scope = "undo",
                              .actions = config_number(worker->config, "breaker.undo_actions"),
                              .window_ms = config_ms(worker->config, "breaker.window")};
  enum state_grant answer;
  char scope[160] = "";
  int tripped = 0;
  if (state_breaker_grant(worker->state, &limit, 1, undo->unit->cases[0].action, 0, &answer, scope, &tripped, error) !=
      0)
    return VERDICT_LATER;
  if (tripped) trip_is_remembered(worker, scope);
  return answer == STATE_GRANTED ? VERDICT_GO : undo_outcome(undo, "refused", NULL, "%s", words[answer]);
}

/* Its id is made from the action's: going on after a crash writes the same one again. */
static enum verdict except(struct undo *undo, struct error *error) {
  const struct undo_job *job = undo->job;
  struct worker *worker = job->worker;
  char id[80], created[32], expires[32];
  int64_t now = clock_wall_ms(), lasts = json_integer_value(json_object_get(job->arguments, "for_ms"));
  const char *owner = json_text_at(job->arguments, "owner", NULL),
             *reason = json_text_at(job->arguments, "reason", NULL);
  snprintf(id, sizeof id, "x-%s", undo->unit->cases[0].action);
  json_t *exception =
      json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "id", id, "guardrail", undo->guardrail.name, "account",
                undo->unit->account->id, "region", undo->unit->region, "resource", undo->unit->arn, "owner",
                *owner ? owner : job->principal, "reason", *reason ? reason : "an operator took the action back",
                "created", clock_format(now, created, sizeof created), "expires",
                clock_format(now + (lasts > 0 ? lasts : default_exception_ms), expires, sizeof expires));
  int failed = mirror_put(worker->producer, "exception", id, exception, error) != 0 ||
               state_exception_put(worker->state, exception, error) != 0;
  json_decref(exception);
  return failed ? VERDICT_LATER : VERDICT_GO;
}

/* ---- the calls ---- */

/* Goes on where a worker that died left off.  1 = so it is, 0 = a new one, -1 with *error. */
static int resume(struct undo *undo, struct error *error) {
  struct journal *journal = &undo->journal;
  json_decref(journal->intent);
  journal->intent = NULL;
  if (state_intent_get(undo->job->worker->state, journal->subject, &journal->intent, error) != 0) return -1;
  if (journal->intent && strcmp(json_text_at(journal->intent, "action", NULL), journal->one->action) == 0) return 1;
  if (journal->intent)
    log_warn("an earlier undo of this resource was never finished", LOG_TEXT("arn", undo->unit->arn),
             LOG_TEXT("action", json_text_at(journal->intent, "action", NULL)));
  json_decref(journal->intent);
  journal->intent = json_pack("{s:s, s:s, s:s, s:I, s:[]}", "action", journal->one->action, "undoes", journal->undoes,
                              "arn", undo->unit->arn, "begun_ms", (json_int_t)clock_wall_ms(), "calls");
  return 0;
}

/* How many inverses are done; *open: the next one was begun, and nobody knows whether it had its effect. */
static size_t done_before(const struct undo *undo, int *open) {
  size_t index, done = 0;
  json_t *call;
  *open = 0;
  json_array_foreach(json_object_get(undo->journal.intent, "calls"), index, call) {
    size_t sequence = (size_t)json_integer_value(json_object_get(call, "sequence"));
    const char *outcome = json_text_at(call, "outcome", NULL);
    if (strcmp(outcome, "applied") == 0 || strcmp(outcome, "unknown") == 0) {
      if (sequence > done) done = sequence;
      *open = 0;
    } else if (!*outcome) {
      *open = 1;
    }
  }
  return done;
}

/* A call that may have been made already, and is refused now, was made: the comparison at the end decides. */
static int was_made(const struct undo *undo, int open, const struct error *problem) {
  return (open || undo->journal.ambiguous) && (problem->class == ERROR_MISSING || problem->class == ERROR_INVALID);
}

static enum verdict make_calls(struct undo *undo, struct error *error) {
  struct journal *journal = &undo->journal;
  int open;
  for (size_t i = done_before(undo, &open); i < json_array_size(undo->inverses); i++, open = 0) {
    const json_t *inverse = json_array_get(undo->inverses, i);
    char run[96];
    struct error problem = {0};
    struct step step = {.kind = STEP_CALL,
                        .path = (char *)json_text_at(inverse, "path", NULL),
                        .operation = (char *)json_text_at(inverse, "call", NULL),
                        .role = (char *)json_string_value(json_object_get(inverse, "role"))};
    json_t *variables = json_object();
    struct step_call call = {.step = &step,
                             .sequence = (int)i + 1,
                             .run = run,
                             .params = json_object_get(inverse, "with"),
                             .variables = variables};
    int ignored = 0;
    snprintf(run, sizeof run, "%.80s-%zu", journal->run, i + 1);
    journal->call = NULL; /* each inverse has an intent of its own */
    json_t *result = journal_mutate(journal, &call, &ignored, &problem);
    json_decref(variables);
    if (result) {
      json_object_set(journal->call, "result", result);
      journal_outcome(journal, "applied", NULL, NULL, NULL, NULL);
      json_decref(result);
    } else if (was_made(undo, open, &problem)) {
      json_object_set_new(journal->call, "outcome", json_string("unknown"));
    } else {
      *error = problem;
      return error_is_transient(&problem) ? VERDICT_LATER : VERDICT_DONE;
    }
  }
  return VERDICT_GO;
}

static enum verdict run_calls(struct undo *undo, struct error *error) {
  struct error problem = {0};
  enum verdict verdict = make_calls(undo, &problem);
  undo->unit->cases[0].acted_ms = clock_wall_ms();
  if (verdict == VERDICT_LATER) {
    *error = problem;
    return verdict;
  }
  if (journal_end(&undo->journal, verdict == VERDICT_GO ? "acted" : "failed", verdict == VERDICT_GO ? NULL : &problem,
                  error) != 0)
    return VERDICT_LATER;
  if (verdict == VERDICT_GO) return VERDICT_GO;
  if (state_intent_drop(undo->job->worker->state, undo->journal.subject, undo->journal.one->action, error) != 0)
    return VERDICT_LATER;
  return undo_outcome(undo, "failed", NULL, "%s: %s; what was taken back so far stays so", problem.where,
                      problem.message);
}

static enum verdict plan(struct undo *undo) {
  enum verdict verdict = undo_outcome(undo, "planned", NULL, "%zu calls", json_array_size(undo->inverses));
  json_object_set(undo->outcome, "calls", undo->inverses);
  return verdict;
}

enum verdict undo_look(struct undo *undo, struct error *error) {
  struct live *live = NULL;
  enum verdict verdict = undo->unit ? VERDICT_GO : prepare(undo, error);
  if (verdict != VERDICT_GO) return verdict;
  if ((verdict = unit_lease(undo->unit, &undo->unit->cases[0], error)) != VERDICT_GO) return verdict;
  int resumed = resume(undo, error);
  if (resumed < 0) return VERDICT_LATER;
  if ((verdict = unit_read(undo->unit, undo->journal.one, &live, error)) != VERDICT_GO) return verdict;
  undo->journal.live = live;
  if (!resumed) verdict = compare(undo, live);
  if (verdict == VERDICT_GO && json_is_true(json_object_get(undo->job->arguments, "dry_run"))) verdict = plan(undo);
  if (verdict == VERDICT_GO && !resumed) verdict = grant(undo, error);
  if (verdict == VERDICT_GO) verdict = except(undo, error);
  if (verdict == VERDICT_GO) verdict = run_calls(undo, error);
  undo->journal.live = NULL;
  live_free(live);
  return verdict;
}

/* ---- what came of it ---- */
static json_t *fresh_names(const struct undo *undo) {
  json_t *results = json_array(), *known = json_pack("[O, O]", undo->images, undo->inverses), *call;
  size_t index;
  json_array_foreach(json_object_get(undo->journal.intent, "calls"), index, call) if (json_object_get(call, "result"))
      json_array_append(results, json_object_get(call, "result"));
  json_t *fresh = image_fresh(results, known);
  json_decref(results);
  json_decref(known);
  return fresh;
}

/* Names of names follow: a → b and then b → c is a → c. */
static int put_renames(struct undo *undo, json_t *fresh, struct error *error) {
  json_t *all = undo->renames ? json_deep_copy(undo->renames) : json_object(), *value;
  const char *name;
  void *next;
  json_object_foreach_safe(all, next, name, value) {
    json_t *newer = json_is_string(value) ? json_object_get(fresh, json_string_value(value)) : NULL;
    if (newer) json_object_set(all, name, newer);
  }
  json_object_update(all, fresh);
  int result =
      json_object_size(fresh) > 0 ? state_renames_put(undo->job->worker->state, undo->unit->arn, all, error) : 0;
  json_decref(all);
  return result;
}

static int mark_undone(struct undo *undo, struct error *error) {
  char now[32];
  const struct unit_case *one = &undo->unit->cases[0];
  json_object_set_new(undo->action, "undone",
                      json_pack("{s:s, s:s, s:s}", "at", clock_format(clock_wall_ms(), now, sizeof now), "by",
                                undo->job->principal, "action", one->action));
  return state_action_put(undo->job->worker->state, undo->action, undo->images, error);
}

static enum verdict excepted(struct undo *undo, struct error *error) {
  char note[300];
  json_t *finding = NULL;
  if (state_finding_get(undo->job->worker->state, undo->unit->cases[0].finding, &finding, error) != 0)
    return VERDICT_LATER;
  snprintf(note, sizeof note, "undone by %s; exception x-%s", undo->job->principal, undo->unit->cases[0].action);
  enum verdict verdict =
      record_finding(undo->unit, &undo->unit->cases[0], "excepted", json_object_get(finding, "evidence"), note, error);
  json_decref(finding);
  return verdict;
}

static enum verdict finish(struct undo *undo, const struct live *live, json_t *differences, json_t *renames,
                           struct error *error) {
  int whole = json_array_size(differences) == 0;
  struct unit_case *one = &undo->unit->cases[0];
  if (put_renames(undo, renames, error) != 0 ||
      journal_verified(undo->unit, one, live, whole ? "restored" : "differs", error) != VERDICT_GO ||
      mark_undone(undo, error) != 0 || excepted(undo, error) != VERDICT_GO ||
      state_intent_drop(undo->job->worker->state, undo->journal.subject, undo->journal.one->action, error) != 0)
    return VERDICT_LATER;
  return whole ? undo_outcome(undo, "undone", NULL, "exception x-%s", one->action)
               : undo_outcome(undo, "differs", json_incref(differences),
                              "its calls were taken back, but the resource is not what it was; exception x-%s",
                              one->action);
}

enum verdict undo_verify(struct undo *undo, struct error *error) {
  struct live *live = NULL;
  enum verdict verdict = unit_read(undo->unit, undo->journal.one, &live, error);
  if (verdict != VERDICT_GO) return verdict;
  json_t *before = image_renamed(json_object_get(undo->images, "before"), undo->renames);
  json_t *now = journal_image(live, &undo->guardrail), *fresh = fresh_names(undo), *renames = json_object();
  json_t *differences = image_differences(before, now, fresh, renames);
  if (json_array_size(differences) > 0 && undo->looks < undo->job->worker->patience_count)
    verdict = VERDICT_AGAIN;
  else
    verdict = finish(undo, live, differences, renames, error);
  json_t *values[] = {before, now, fresh, renames, differences};
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) json_decref(values[i]);
  live_free(live);
  return verdict;
}
