#include "approve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/steps.h"
#include "journal.h"
#include "operate/image.h"

static int has_approve(const struct step *steps, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (steps[i].kind == STEP_APPROVE || has_approve(steps[i].body, steps[i].body_count)) return 1;
  return 0;
}

/* Most cases can have none, and cost no call. */
static int may_ask(const struct unit *unit, const struct guardrail *guardrail) {
  return guardrail_mode(guardrail, unit->place.environment) == MODE_APPROVE ||
         has_approve(guardrail->remediate, guardrail->remediate_count);
}

/* ---- the plan ---- */

/* The calls as they would be made now, and what the playbook says to whoever is asked. */
static json_t *plan_of(struct unit *unit, struct unit_case *one, const struct live *live, json_t *finding,
                       struct error *error) {
  struct view view;
  struct occasion occasion = unit_occasion(unit, one);
  view_open(&view, one->guardrail, &unit->place, live, &occasion);
  view_add(&view, "finding", finding);
  json_t *plan =
      steps_plan(one->guardrail->remediate, one->guardrail->remediate_count, view_scope(&view), "RUN", error);
  view_close(&view);
  return plan;
}

/* Takes the messages of `approve` steps out of the plan: one text, NULL when it has none.  Caller frees. */
static char *take_message(json_t *plan) {
  struct buffer text = {.ceiling = 4000};
  int asked = 0;
  for (size_t i = 0; i < json_array_size(plan);) {
    const json_t *message = json_object_get(json_array_get(plan, i), "approve");
    if (!message) {
      i++;
      continue;
    }
    if (asked++) buffer_add_text(&text, "; ");
    if (json_is_string(message)) buffer_add_text(&text, json_string_value(message));
    json_array_remove(plan, i);
  }
  if (asked) return buffer_take(&text);
  buffer_free(&text);
  return NULL;
}

/* ---- requests ---- */
static json_t *request_of(struct unit *unit, struct unit_case *one, json_t *plan, const char *hash, json_t *finding,
                          const char *message) {
  const struct guardrail *guardrail = one->guardrail;
  char id[65], seed[128], created[32], expires[32];
  int64_t now = clock_wall_ms();
  snprintf(seed, sizeof seed, "%s%lld", hash, (long long)now);
  json_t *text = json_string(seed);
  json_hash(text, id);
  json_decref(text);
  memcpy(id, "p-", 2);
  id[14] = '\0';
  json_t *request =
      json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:O, s:s, s:O, s:s, s:s, s:s, s:o, s:s}",
                "id", id, "status", "waiting", "subject", one->subject, "guardrail", guardrail->name, "version",
                (json_int_t)guardrail->version, "title", guardrail->title, "severity", guardrail->severity, "account",
                unit->account->id, "region", unit->region, "environment", unit->place.environment, "resource", unit->id,
                "arn", unit->arn, "plan", plan, "hash", hash, "finding", finding, "message", message ? message : "",
                "created", clock_format(now, created, sizeof created), "expires",
                clock_format(now + config_ms(unit->worker->config, "approval.expires"), expires, sizeof expires),
                "unit", unit_pack(unit, one), "finding_id", one->finding);
  if (unit->delivery->actor) json_object_set(request, "actor", unit->delivery->actor);
  return request;
}

/* Over the plan and what the resource is: what an approval is bound to. */
static void hash_of(struct unit_case *one, const struct live *live, json_t *plan, char hash[65]) {
  char state[65];
  json_t *image = journal_image(live, one->guardrail);
  image_hash(image, state);
  json_decref(image);
  json_t *both = json_pack("{s:s, s:s, s:O}", "guardrail", one->guardrail->name, "state", state, "plan", plan);
  json_hash(both, hash);
  json_decref(both);
}

static int expired(const json_t *request) {
  int64_t expires;
  return clock_parse(json_text_at(request, "expires", NULL), &expires) != 0 || expires <= clock_wall_ms();
}

/* Durable first: an approval that Redis forgets comes back from the topic. */
static int put(struct unit *unit, struct unit_case *one, json_t *request, struct error *error) {
  if (mirror_put(unit->worker->producer, "approval", one->finding, request, error) != 0) return -1;
  return state_approval_put(unit->worker->state, one->finding, request, NULL, error) < 0 ? -1 : 0;
}

static enum verdict wait_for(struct unit_case *one, const json_t *request, struct error *error) {
  const char *id = json_text_at(request, "id", NULL);
  if (clock_parse(json_text_at(request, "expires", NULL), &one->parked_until_ms) != 0) one->parked_until_ms = 0;
  metric_add(&worker_metrics[M_GATES], 1, one->guardrail->name, "approval");
  error_set(error, ERROR_DENIED, "Approval", "%s waits for somebody to approve it: parapet approvals show %s", id, id);
  return VERDICT_WAIT;
}

static enum verdict ask(struct unit *unit, struct unit_case *one, json_t *request, int changed, struct error *error) {
  char note[600];
  const char *id = json_text_at(request, "id", NULL), *message = json_text_at(request, "message", NULL);
  if (put(unit, one, request, error) != 0) return VERDICT_LATER;
  snprintf(note, sizeof note,
           "%s%s%swaits for approval until %s: parapet approvals show %s; parapet approvals approve %s", message,
           *message ? "; " : "", changed ? "it changed since it was shown; " : "",
           json_text_at(request, "expires", NULL), id, id);
  notice_case(unit, one, "waiting", NULL, note);
  log_info("approval asked for", LOG_TEXT("id", id), LOG_TEXT("subject", one->subject));
  return wait_for(one, request, error);
}

/* What a request that is there says of this plan and state. */
static enum verdict decide(struct unit *unit, struct unit_case *one, json_t *known, json_t *request,
                           struct error *error) {
  const char *status = json_text_at(known, "status", NULL);
  int same = strcmp(json_text_at(known, "hash", NULL), json_text_at(request, "hash", NULL)) == 0;
  int used = strcmp(status, "used") == 0;
  if (same && used && one->action[0] && strcmp(json_text_at(known, "action", NULL), one->action) == 0)
    return VERDICT_GO; /* this very action goes on */
  if (!known || !same || used || expired(known)) return ask(unit, one, request, known && !same && !used, error);
  if (strcmp(status, "approved") != 0) return wait_for(one, known, error);
  json_decref(one->approval);
  one->approval = json_incref(known);
  return VERDICT_GO;
}

enum verdict approve_gate(struct unit *unit, struct unit_case *one, const struct live *live, json_t *finding,
                          struct error *error) {
  char hash[65];
  if (!may_ask(unit, one->guardrail)) return VERDICT_GO;
  json_t *plan = plan_of(unit, one, live, finding, error), *known = NULL;
  if (!plan) return VERDICT_LATER;
  char *message = take_message(plan);
  enum verdict verdict = VERDICT_GO;
  if (message || guardrail_mode(one->guardrail, unit->place.environment) == MODE_APPROVE) {
    hash_of(one, live, plan, hash);
    json_t *request = request_of(unit, one, plan, hash, finding, message);
    if (state_approval_get(unit->worker->state, one->finding, &known, error) != 0)
      verdict = VERDICT_LATER;
    else
      verdict = decide(unit, one, known, request, error);
    json_decref(request);
  }
  json_decref(known);
  json_decref(plan);
  free(message);
  return verdict;
}

enum verdict approve_use(struct unit *unit, struct unit_case *one, struct error *error) {
  char now[32];
  if (!one->approval) return VERDICT_GO;
  json_t *used = json_copy(one->approval);
  json_object_set_new(used, "status", json_string("used"));
  json_object_set_new(used, "action", json_string(one->action));
  json_object_set_new(used, "used", json_string(clock_format(clock_wall_ms(), now, sizeof now)));
  int result = mirror_put(unit->worker->producer, "approval", one->finding, used, error);
  if (result == 0)
    result = state_approval_put(unit->worker->state, one->finding, used, one->approval, error) == 1 ? 0 : -1;
  json_decref(used);
  if (result == 0) {
    json_decref(one->approval);
    one->approval = NULL;
    one->approved = 1;
    return VERDICT_GO;
  }
  if (error && error->class == ERROR_NONE)
    error_set(error, ERROR_RETRYABLE, "Approval", "the approval was withdrawn meanwhile");
  return VERDICT_LATER;
}

enum verdict approve_forget(struct unit *unit, struct unit_case *one, struct error *error) {
  json_t *known = NULL;
  if (!one->approved && !may_ask(unit, one->guardrail)) return VERDICT_GO;
  if (state_approval_get(unit->worker->state, one->finding, &known, error) != 0) return VERDICT_LATER;
  int failed = known && (mirror_put(unit->worker->producer, "approval", one->finding, NULL, error) != 0 ||
                         state_approval_put(unit->worker->state, one->finding, NULL, known, error) < 0);
  json_decref(known);
  return failed ? VERDICT_LATER : VERDICT_GO;
}
