/* act: the playbook's steps, journaled ahead.
 *
 * For each mutating call: stop and lease are checked (unit_may_mutate), the *intent* is made durable (topic
 * parapet.actions, acks=all, and indexed in Redis while the action is open), the call is made, its *outcome* follows
 * with the request id and the exact inverse.  A worker killed in between leaves an open intent; whoever gets the
 * resource next resolves it from live state (unit_resolve) before it does anything.  The index in Redis forgets an
 * action only when its effect was verified and recorded: otherwise a worker killed right after its last call would
 * leave a fix that nobody verified, and a violation that is gone when the event comes again looks like one that never
 * was.
 *
 * A call whose answer was lost may have had its effect.  If the repetition then says "exists already" the effect is
 * ours: it is looked up by its tag, so that it gets its inverse. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "journal.h"

enum {
  LEASE_MARGIN_MS = 2000,
  STALE_MS = 100
}; /* STALE_MS: an answer about stop and lease older than this is asked anew */
enum { ATTEMPTS = 4, OWN_REQUEST_MS = 24 * 3600 * 1000, RUN_TAG_ATTEMPT = 16 };
static const char run_tag[] = "parapet:run";

/* ---- records ---- */
static json_t *record_head(struct unit *unit, struct unit_case *one, const char *kind) {
  char now[32];
  return json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "kind", kind, "time",
                   clock_format(clock_wall_ms(), now, sizeof now), "action", one->action, "guardrail",
                   one->guardrail->name, "version", (json_int_t)one->guardrail->version, "bundle", unit->bundle->hash,
                   "account", unit->account->id, "region", unit->region, "environment", unit->place.environment,
                   "resource", unit->id, "arn", unit->arn, "owner", unit->worker->owner);
}

static json_t *journal_head(const struct journal *journal, const char *kind) {
  json_t *record = record_head(journal->unit, journal->one, kind);
  if (journal->undoes[0]) json_object_set_new(record, "undoes", json_string(journal->undoes));
  return record;
}

json_t *journal_image(const struct live *live, const struct guardrail *guardrail) {
  if (!live) return json_null();
  json_t *contexts = json_object();
  for (size_t i = 0; i < guardrail->use_count; i++) {
    json_t *context = live->contexts[guardrail->uses[i] - guardrail->resource->contexts];
    if (context) json_object_set(contexts, guardrail->uses[i]->name, context);
  }
  return json_pack("{s:O, s:o}", "resource", live->item, "context", contexts);
}

/* What Redis' index of the action is made of again when it is lost: all but its calls, and what the record has. */
static json_t *opening(const json_t *intent) {
  json_t *open = json_copy((json_t *)intent);
  json_object_del(open, "calls");
  json_object_del(open, "finding");
  return open;
}

/* Only who has the lease may write: its token fences what a successor began. */
static int index_intent(struct journal *journal, struct error *error) {
  struct unit *unit = journal->unit;
  struct error problem = {0};
  int result = state_intent_put(unit->worker->state, journal->subject, journal->intent, &unit->lease, &problem);
  if (result != 0 && strcmp(problem.code, "LEASE") == 0) unit->leased = 0;
  if (result != 0 && error) *error = problem;
  return result;
}

/* First to the index, where whoever comes after a dead worker finds it and ends it, then to the topic, where it would
 * stay open until a rebuild; the call goes out after both.  When the topic cannot have it, it does not. */
static int journal_intent(struct journal *journal, const struct step_call *call, struct error *error) {
  json_t *calls = json_object_get(journal->intent, "calls");
  int first = json_array_size(calls) == 0;
  journal->call = json_pack("{s:i, s:s, s:s, s:s, s:O, s:o}", "sequence", call->sequence, "path", call->step->path,
                            "operation", call->step->operation, "run", call->run, "parameters", call->params,
                            "variables", json_deep_copy(call->variables));
  json_array_append_new(calls, journal->call);
  json_t *record = journal_head(journal, "intent");
  json_object_set(record, "call", journal->call);
  if (first) {
    json_object_set_new(record, "before", journal_image(journal->live, journal->one->guardrail));
    json_object_set(record, "finding", journal->one->finding_value);
    if (journal->unit->delivery->actor) json_object_set(record, "actor", journal->unit->delivery->actor);
    json_object_set_new(record, "trigger", json_string(journal->unit->delivery->id));
    json_object_set_new(record, "open", opening(journal->intent));
  }
  int result = index_intent(journal, error);
  if (result == 0 && (result = record_action(journal->unit, journal->one, record, 1, error)) != 0) {
    json_object_set_new(journal->call, "outcome", json_string("none"));
    if (index_intent(journal, NULL) != 0)
      log_debug("resolved at the next try", LOG_TEXT("action", journal->one->action));
  }
  json_decref(record);
  return result;
}

/* Not waited for: the next durable record follows in order. */
void journal_outcome(struct journal *journal, const char *outcome, const char *request_id, json_t *result,
                     json_t *inverse, const struct error *problem) {
  json_object_set_new(journal->call, "outcome", json_string(outcome));
  if (inverse) json_object_set(journal->call, "inverse", inverse);
  if (request_id && *request_id) json_object_set_new(journal->call, "request_id", json_string(request_id));
  json_t *record = journal_head(journal, "outcome");
  json_object_set(record, "call", journal->call);
  if (result) json_object_set(record, "result", result);
  if (problem)
    json_object_set_new(record, "error",
                        json_pack("{s:s, s:s, s:s}", "class", error_class_name(problem->class), "code", problem->code,
                                  "message", problem->message));
  struct error error = {0};
  if (record_action(journal->unit, journal->one, record, 0, &error) != 0)
    log_warn("an outcome waits for the next record", LOG_TEXT("action", journal->one->action), LOG_ERROR(&error));
  json_decref(record);
}

/* It stays indexed, now with its status, until unit_close. */
int journal_end(struct journal *journal, const char *status, const struct error *problem, struct error *error) {
  json_t *record = journal_head(journal, "result");
  json_object_set_new(record, "status", json_string(status));
  json_object_set(record, "calls", json_object_get(journal->intent, "calls"));
  if (problem) json_object_set_new(record, "reason", json_string(problem->message));
  int result = record_action(journal->unit, journal->one, record, 1, error);
  json_decref(record);
  json_object_set_new(journal->intent, "status", json_string(status));
  if (result == 0) result = index_intent(journal, error);
  metric_add(&worker_metrics[M_ACTIONS], 1, journal->one->guardrail->name, status);
  return result;
}

/* ---- what the action left behind ---- */
/* The newest knowledge of a call replaces the older. */
static void remember_call(json_t *calls, json_t *call) {
  size_t index;
  json_t *known;
  json_array_foreach(calls, index, known) {
    if (!json_equal(json_object_get(known, "run"), json_object_get(call, "run"))) continue;
    json_array_set(calls, index, call);
    return;
  }
  json_array_append(calls, call);
}

/* What is needed to take the action back, as far as this process knows it (else the topic does): the calls of all its
 * tries, and what stood there before the first. */
static void remember_begun(struct unit_case *one, json_t *before, json_t *calls) {
  size_t index;
  json_t *call;
  if (!one->begun) {
    one->begun = json_pack("{s:[]}", "calls");
    if (before) json_object_set(one->begun, "before", before);
  }
  json_t *known = json_object_get(one->begun, "calls");
  json_array_foreach(calls, index, call) remember_call(known, call);
}

/* Names of the operations that had an effect, once each; NULL: nothing is known of them. */
static json_t *applied_operations(const json_t *calls) {
  json_t *operations = json_array(), *call;
  size_t index;
  json_array_foreach(calls, index, call) {
    json_t *operation = json_object_get(call, "operation"), *known;
    size_t k, twice = 0;
    if (strcmp(json_text_at(call, "outcome", NULL), "applied") != 0) continue;
    json_array_foreach(operations, k, known) twice |= (size_t)json_equal(known, operation);
    if (!twice) json_array_append(operations, operation);
  }
  return operations;
}

static int index_action(struct unit *unit, struct unit_case *one, const char *status, json_t *after,
                        struct error *error) {
  char now[32];
  json_t *calls = json_object_get(one->begun, "calls"), *before = json_object_get(one->begun, "before");
  json_t *action =
      json_pack("{s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "action", one->action, "guardrail",
                one->guardrail->name, "version", (json_int_t)one->guardrail->version, "account", unit->account->id,
                "region", unit->region, "environment", unit->place.environment, "resource", unit->id, "arn", unit->arn,
                "type", unit->resource->name, "time", clock_format(clock_wall_ms(), now, sizeof now), "status", status,
                "operations", applied_operations(calls));
  json_t *images =
      before && calls ? json_pack("{s:O, s:O, s:O}", "before", before, "after", after, "calls", calls) : NULL;
  json_t *undoes = json_object_get(one->begun, "undoes");
  if (undoes) json_object_set(action, "undoes", undoes);
  int result = state_action_put(unit->worker->state, action, images, error);
  json_decref(images);
  json_decref(action);
  return result;
}

/* The record is not waited for: without it an undo refuses, and the index has it as well. */
enum verdict journal_verified(struct unit *unit, struct unit_case *one, const struct live *live, const char *status,
                              struct error *error) {
  char hash[65];
  struct error problem = {0};
  json_t *after = journal_image(live, one->guardrail), *record = record_head(unit, one, "verified");
  json_hash(after, hash);
  json_object_set_new(record, "type", json_string(unit->resource->name));
  json_object_set_new(record, "status", json_string(status));
  json_object_set(record, "after", after);
  json_object_set_new(record, "hash", json_string(hash));
  if (json_object_get(one->begun, "undoes")) json_object_set(record, "undoes", json_object_get(one->begun, "undoes"));
  int result = record_action(unit, one, record, 0, &problem);
  if (result != 0)
    log_warn("what an action left was not recorded", LOG_TEXT("action", one->action), LOG_ERROR(&problem));
  result = index_action(unit, one, status, after, error);
  json_decref(after);
  json_decref(record);
  return result == 0 ? VERDICT_GO : VERDICT_LATER;
}

/* ---- what a lost answer did: the context's items that carry the call's own tag ---- */
static int has_run_tag(const json_t *item, const char *run) {
  const json_t *tags = json_object_get(item, "Tags");
  for (size_t i = 0; i < json_array_size(tags); i++) {
    const json_t *tag = json_array_get(tags, i);
    if (strcmp(json_text_at(tag, "Key", NULL), run_tag) == 0 && strcmp(json_text_at(tag, "Value", NULL), run) == 0)
      return 1;
  }
  return 0;
}

/* {SecurityGroupRules: [those tagged]}: what the operation would have answered.  New, or NULL when nothing is tagged.
 */
static json_t *created_by(const struct live *live, const char *run) {
  json_t *result = NULL;
  for (size_t i = 0; live && i < live->resource->context_count; i++) {
    json_t *created = json_array(), *item;
    size_t index;
    json_array_foreach(live->contexts[i], index, item) if (has_run_tag(item, run)) json_array_append(created, item);
    if (json_array_size(created) > 0) {
      if (!result) result = json_object();
      json_object_set(result, live->resource->contexts[i].read.items_name, created);
    }
    json_decref(created);
  }
  return result;
}

/* ---- calls ---- */
static struct aws_role write_role(const struct journal *journal, const struct step *step) {
  const struct accounts *accounts = journal->unit->accounts;
  return (struct aws_role){.name = step->role ? step->role : accounts_role(accounts),
                           .external_id = accounts_external_id(accounts),
                           .session_name = "parapet",
                           .source_identity = "parapet",
                           .policies = journal->one->guardrail->write_policies};
}

static int may_mutate(struct journal *journal, struct error *error) {
  journal->asked_ms = clock_monotonic_ms(); /* the lease is prolonged from no earlier than now */
  return unit_may_mutate(journal->unit, error);
}

/* The last thing before a call goes out: what came since (the intent, credentials, the budget) may have taken long. */
static int still_may(void *context, struct error *error) {
  struct journal *journal = context;
  journal->held_back = clock_monotonic_ms() - journal->asked_ms > STALE_MS && may_mutate(journal, error) != 0;
  return journal->held_back ? -1 : 0;
}

static json_t *aws_now(struct journal *journal, const struct step_call *call, const struct aws_role *role,
                       char *request_id, struct error *error) {
  struct unit *unit = journal->unit;
  struct aws_target target = {.account = unit->account->id, .region = unit->region, .role = *role->name ? role : NULL};
  int64_t now = clock_monotonic_ms(), timeout = config_ms(unit->worker->config, "aws.call_timeout"),
          lease_ends = journal->asked_ms + config_ms(unit->worker->config, "lease") - LEASE_MARGIN_MS;
  /* A call's deadline ends before the lease does. */
  struct aws_call_options options = {.deadline_ms = now + timeout < lease_ends ? now + timeout : lease_ends,
                                     .one_attempt = 1,
                                     .request_id = request_id,
                                     .before_send = still_may,
                                     .argument = journal};
  return aws_call(unit->worker->aws, &target, call->step->operation, call->params, &options, error);
}

/* ---- `retry`: errors that pass with time, as those of an IAM role that is not known everywhere yet ---- */
struct patience {
  int64_t began_ms;
  int waits;
};

/* Waits, and says whether to try again.  The lease is prolonged before each try; a worker that ends waits no longer. */
static int passes_with_time(const struct journal *journal, const struct step *step, const struct error *problem,
                            struct patience *patience) {
  int listed = 0;
  for (size_t i = 0; i < json_array_size(step->retry_on); i++)
    listed |= strcmp(json_string_value(json_array_get(step->retry_on, i)), problem->code) == 0;
  int64_t wait = 500LL << (patience->waits < 4 ? patience->waits : 4);
  int64_t left = patience->began_ms + step->retry_ms - clock_monotonic_ms();
  if (!listed || left <= 0 || journal->unit->worker->stopping) return 0;
  patience->waits++;
  clock_sleep_ms(wait < left ? wait : left);
  return 1;
}

static json_t *read_call(struct journal *journal, const struct step_call *call, struct error *error) {
  struct aws_role role;
  struct reader reader = unit_reader(journal->unit, &role);
  struct patience patience = {.began_ms = clock_monotonic_ms()};
  if (call->step->role) role.name = call->step->role;
  struct aws_target target = {.account = journal->unit->account->id,
                              .region = journal->unit->region,
                              .role = call->step->role ? &role : reader.role};
  for (;;) {
    struct error problem = {0};
    json_t *result = aws_call(journal->unit->worker->aws, &target, call->step->operation, call->params, NULL, &problem);
    if (result) return result;
    if (passes_with_time(journal, call->step, &problem, &patience)) continue;
    if (error) *error = problem;
    return NULL;
  }
}

/* The answer to an ambiguous attempt: our effect under its tag, or none. */
static json_t *found_effect(struct journal *journal, const struct step_call *call) {
  struct live *now = NULL;
  struct error error = {0};
  if (unit_read(journal->unit, journal->one, &now, &error) != VERDICT_GO) return NULL;
  json_t *result = created_by(now, call->run);
  live_free(now);
  return result;
}

json_t *journal_mutate(struct journal *journal, const struct step_call *call, int *ignored, struct error *error) {
  struct aws_role role = write_role(journal, call->step);
  struct patience patience = {.began_ms = clock_monotonic_ms()};
  journal->call = NULL; /* every call has an intent of its own */
  journal->ambiguous = journal->held_back = 0;
  for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
    char request_id[96] = "";
    struct error problem = {0};
    if (attempt > 0) clock_sleep_ms(200LL << attempt);
    if (may_mutate(journal, error) != 0) return NULL;
    if (!journal->call && journal_intent(journal, call, error) != 0) return NULL;
    json_t *result = aws_now(journal, call, &role, request_id, &problem);
    if (journal->held_back) {
      if (error) *error = problem;
      return NULL;
    }
    if (request_id[0] && state_own_request_mark(journal->unit->worker->state, request_id, OWN_REQUEST_MS, NULL) != 0)
      log_debug("a request id could not be marked; the role's ARN tells as well", LOG_TEXT("request_id", request_id));
    if (result) {
      json_object_set_new(journal->call, "request_id", json_string(request_id));
      return result;
    }
    if (step_ignores(call->step, problem.code)) {
      if (journal->ambiguous && (result = found_effect(journal, call))) return result;
      journal_outcome(journal, journal->ambiguous ? "unknown" : "ignored", request_id, NULL, NULL, &problem);
      *ignored = 1;
      return NULL;
    }
    if (error) *error = problem;
    if (passes_with_time(journal, call->step, &problem, &patience)) {
      attempt = -1; /* each of its tries has those of every call */
      continue;
    }
    if (!error_is_transient(&problem)) {
      journal_outcome(journal, journal->ambiguous ? "unknown" : "none", request_id, NULL, NULL, &problem);
      return NULL;
    }
    if (problem.class == ERROR_RETRYABLE) journal->ambiguous = 1;
  }
  return NULL;
}

static json_t *host_call(void *context, const struct step_call *call, int *ignored, struct error *error) {
  struct journal *journal = context;
  journal->call = NULL;
  if (aws_operation_reads(call->step->operation)) return read_call(journal, call, error);
  return journal_mutate(journal, call, ignored, error);
}

static int host_effect(void *context, const struct step_call *call, json_t *result, json_t *inverse,
                       struct error *error) {
  struct journal *journal = context;
  (void)call, (void)error;
  if (!journal->call) return 0; /* a read */
  journal->effects++;
  journal_outcome(journal, "applied", NULL, result, inverse, NULL);
  return 0;
}

static void host_notify(void *context, json_t *message) {
  struct journal *journal = context;
  notice_case(journal->unit, journal->one, "message", NULL, json_is_string(message) ? json_string_value(message) : "");
}

/* What an action that ended early has done can be taken back as well; a resource that cannot be read cannot. */
static enum verdict left_half_done(struct journal *journal, struct error *error) {
  struct live *live = NULL;
  struct error problem = {0};
  if (journal->effects == 0) return VERDICT_GO;
  enum verdict verdict = unit_read(journal->unit, journal->one, &live, &problem);
  if (verdict == VERDICT_GO) verdict = journal_verified(journal->unit, journal->one, live, "failed", error);
  live_free(live);
  return problem.class == ERROR_NONE ? verdict : VERDICT_GO;
}

enum verdict unit_act(struct unit *unit, struct unit_case *one, struct live *live, json_t *finding,
                      struct error *error) {
  struct journal journal = {.unit = unit, .one = one, .live = live};
  snprintf(journal.subject, sizeof journal.subject, "%s", one->subject);
  struct step_host host = {.call = host_call, .effect = host_effect, .notify = host_notify, .context = &journal};
  struct error problem = {0};
  struct view view;
  json_t *reason = NULL;
  snprintf(journal.run, sizeof journal.run, "%s.%x", one->action, (unsigned)(clock_wall_ms() & 0xFFFF));
  journal.intent = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:o, s:O, s:[]}", "subject", one->subject,
                             "action", one->action, "run", journal.run, "guardrail", one->guardrail->name, "hash",
                             one->guardrail->hash, "account", unit->account->id, "region", unit->region, "begun_ms",
                             (json_int_t)clock_wall_ms(), "unit", unit_pack(unit, one), "finding", finding, "calls");
  struct occasion occasion = unit_occasion(unit, one);
  view_open(&view, one->guardrail, &unit->place, live, &occasion);
  view_add(&view, "finding", finding);
  enum steps_end end = steps_run(one->guardrail->remediate, one->guardrail->remediate_count, view_scope(&view),
                                 journal.run, &host, &reason, &problem);
  view_close(&view);
  one->acted_ms = clock_wall_ms();
  json_t *before = journal_image(live, one->guardrail);
  remember_begun(one, before, json_object_get(journal.intent, "calls"));
  json_decref(before);
  enum verdict verdict = VERDICT_GO;
  if (end == STEPS_FAILED && error_is_transient(&problem)) {
    if (error) *error = problem; /* the intent stays open: the next try resolves it first */
    verdict = VERDICT_LATER;
  } else if (journal_end(&journal,
                         end == STEPS_DONE      ? "acted"
                         : end == STEPS_STOPPED ? "stopped"
                                                : "failed",
                         end == STEPS_FAILED ? &problem : NULL, error) != 0) {
    verdict = VERDICT_LATER;
  } else if (end != STEPS_DONE) {
    const char *note = end == STEPS_FAILED      ? problem.message
                       : json_is_string(reason) ? json_string_value(reason)
                                                : "stopped";
    log_warn("an action ended early", LOG_TEXT("action", one->action), LOG_TEXT("subject", one->subject),
             LOG_ERROR(&problem));
    one->outcome = end == STEPS_FAILED ? OUTCOME_FAILED : OUTCOME_NONE;
    verdict = left_half_done(&journal, error);
    if (verdict == VERDICT_GO) verdict = record_finding(unit, one, "failed", finding, note, error);
    verdict = verdict == VERDICT_GO ? unit_close(unit, one, error) : VERDICT_LATER;
  }
  json_decref(reason);
  json_decref(journal.intent);
  return verdict;
}

/* ---- resolving what another worker, or an earlier try, left open ---- */

/* The inverse of a call that did have its effect: the step's undo over the frozen variables and the result. */
static json_t *late_inverse(struct unit *unit, struct unit_case *one, const struct live *live, const json_t *call,
                            json_t *result) {
  const struct guardrail *guardrail = one->guardrail;
  const struct step *step =
      steps_find(guardrail->remediate, guardrail->remediate_count, json_text_at(call, "path", NULL));
  if (!step || !step->undo || !live) return NULL;
  struct view view;
  const char *name;
  json_t *value;
  view_open(&view, guardrail, &unit->place, live, NULL);
  json_object_foreach(json_object_get(call, "variables"), name, value) view_add(&view, name, value);
  view_add(&view, "result", result);
  json_t *inverse = steps_plan(step->undo, step->undo_count, view_scope(&view), json_text_at(call, "run", NULL), NULL);
  view_close(&view);
  return inverse;
}

/* Did the call happen?  A call that tags what it makes is found by its tag; of another one it is asked whether what it
 * was to change is still in what `find` says: if not, it did. */
static const char *effect_of(struct unit *unit, struct unit_case *one, const struct live *live, const json_t *call,
                             json_t **result) {
  const struct guardrail *guardrail = one->guardrail;
  const struct step *step =
      steps_find(guardrail->remediate, guardrail->remediate_count, json_text_at(call, "path", NULL));
  *result = created_by(live, json_text_at(call, "run", NULL));
  if (*result) return "applied";
  if (!step || !live) return "unknown";
  if (step->creates_tags) return "none";
  struct occasion occasion = {.baseline = one->baseline, .changes = one->changes};
  json_t *finding = guardrail_judge(guardrail, &unit->place, live, &occasion, NULL), *element;
  const char *name, *effect = "applied";
  size_t index;
  json_t *value;
  json_object_foreach(json_object_get(call, "variables"), name, value)
      json_array_foreach(finding, index, element) if (json_same(element, value)) effect = "none";
  json_decref(finding);
  return effect;
}

static void resolve_calls(struct journal *journal, const struct live *live, int same_playbook) {
  size_t index;
  json_t *call;
  json_array_foreach(json_object_get(journal->intent, "calls"), index, call) {
    json_t *result = NULL;
    if (json_object_get(call, "outcome")) continue;
    const char *effect = same_playbook ? effect_of(journal->unit, journal->one, live, call, &result) : "unknown";
    json_t *inverse =
        strcmp(effect, "applied") == 0 ? late_inverse(journal->unit, journal->one, live, call, result) : NULL;
    journal->call = call;
    journal_outcome(journal, effect, NULL, result, inverse, NULL);
    json_decref(inverse);
    json_decref(result);
  }
}

enum verdict unit_resolve(struct unit *unit, struct unit_case *one, const struct live *live, struct error *error) {
  struct journal journal = {.unit = unit, .one = one};
  snprintf(journal.subject, sizeof journal.subject, "%s", one->subject);
  if (state_intent_get(unit->worker->state, one->subject, &journal.intent, error) != 0) return VERDICT_LATER;
  if (!journal.intent) return VERDICT_GO;
  snprintf(one->action, sizeof one->action, "%s", json_text_at(journal.intent, "action", NULL));
  one->resolved = 1;
  if (!one->finding_value) one->finding_value = json_incref(json_object_get(journal.intent, "finding"));
  int result = 0, ended = json_object_get(journal.intent, "status") != NULL;
  if (!ended) {
    resolve_calls(&journal, live, strcmp(one->guardrail->hash, json_text_at(journal.intent, "hash", NULL)) == 0);
    result = journal_end(&journal, "resolved", NULL, error);
  }
  remember_begun(one, NULL, json_object_get(journal.intent, "calls"));
  json_decref(journal.intent);
  if (result != 0) return VERDICT_LATER;
  if (!ended)
    log_info("an open intent was resolved from live state", LOG_TEXT("action", one->action),
             LOG_TEXT("subject", one->subject));
  return VERDICT_GO;
}

enum verdict unit_close(struct unit *unit, struct unit_case *one, struct error *error) {
  if (one->outcome != OUTCOME_NONE && limits_outcome(unit, one, one->outcome == OUTCOME_FAILED, error) != 0)
    return VERDICT_LATER;
  if (one->outcome == OUTCOME_FIXED && fight_round(unit, one, error) != 0) return VERDICT_LATER;
  return state_intent_drop(unit->worker->state, one->subject, one->action, error) == 0 ? VERDICT_DONE : VERDICT_LATER;
}
