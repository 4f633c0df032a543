/* recognise, peek, read and gate: what has to be true before anything is read, and before anything is changed.
 *
 * Order of the gates: own change → exception → exempt by tag → environment's mode → fight → lease → read and judge
 * again under the lease → the version's rollout → approval, if somebody must agree → breaker's grant, last, so that no
 * grant is spent on work that does not happen.  (Stop and lease are checked once more before every mutation, in act.c.)
 * Every refusal is recorded with its reason. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "approve.h"
#include "base/clock.h"
#include "base/log.h"
#include "event/envelope.h"
#include "rollout.h"
#include "site/breaker.h"
#include "unit.h"

struct reader unit_reader(const struct unit *unit, struct aws_role *role) {
  const char *name = accounts_role(unit->accounts);
  *role = (struct aws_role){.name = name,
                            .external_id = accounts_external_id(unit->accounts),
                            .session_name = "parapet",
                            .source_identity = "parapet",
                            .policies = unit->bundle->read_policies};
  return (struct reader){.client = unit->worker->aws, .role = *name ? role : NULL, .gather = unit->worker->gather};
}

/* ---- peek ---- */

static int is_role(const struct unit *unit, const char *name, const char *issuer) {
  struct aws_role role = {.name = name};
  struct aws_target target = {.account = event_account(unit->delivery->event), .region = unit->region, .role = &role};
  char arn[256];
  aws_role_arn(&target, arn, sizeof arn);
  return *name && strcmp(arn, issuer) == 0;
}

/* Ours only if the session's issuer is a role that we assume in that account, or the request is in our journal. */
static int is_own_change(struct unit *unit) {
  const struct delivery *delivery = unit->delivery;
  if (delivery->kind != DELIVERY_EVENT || unit->foreign) return 0;
  if (delivery->own_request) return 1;
  const char *issuer = json_text_at(delivery->actor, "role", NULL);
  int own = is_role(unit, accounts_role(unit->accounts), issuer);
  for (size_t i = 0; i < json_array_size(unit->bundle->roles) && !own; i++)
    own = is_role(unit, json_string_value(json_array_get(unit->bundle->roles, i)), issuer);
  unit->foreign = !own;
  return own;
}

static void refuse(struct unit_case *one, const char *gate) {
  metric_add(&worker_metrics[M_GATES], 1, one->guardrail->name, gate);
}

static enum verdict refused(struct unit_case *one, enum state_grant answer, const char *scope, struct error *error) {
  static const char *const words[] = {[STATE_GRANTED] = "granted",
                                      [STATE_REFUSED_STOP] = "the organization is stopped",
                                      [STATE_REFUSED_HELD] = "breaker held by an operator",
                                      [STATE_REFUSED_OPEN] = "breaker open"};
  static const char *const gates[] = {"granted", "stop", "held", "breaker"};
  refuse(one, gates[answer]);
  error_set(error, ERROR_THROTTLED, "Breaker", "%s: %s", words[answer], scope);
  return VERDICT_PARK;
}

/* ---- events that come again ---- */
enum { ANSWERED_MS = 24 * 3600 * 1000 };

const char *unit_answer(const struct unit *unit, const struct unit_case *one, char key[ANSWER_KEY_BYTES]) {
  const struct delivery *delivery = unit->delivery;
  key[0] = '\0';
  if (delivery->kind != DELIVERY_SWEEP && delivery->id[0])
    snprintf(key, ANSWER_KEY_BYTES, "%s|%s", delivery->id, one->subject);
  return key;
}

enum verdict unit_mark_answered(struct unit *unit, struct unit_case *one, struct error *error) {
  char key[ANSWER_KEY_BYTES];
  if (!*unit_answer(unit, one, key)) return VERDICT_GO;
  return state_seen_mark(unit->worker->state, key, ANSWERED_MS, error) == 0 ? VERDICT_GO : VERDICT_LATER;
}

static int was_answered(struct unit *unit, struct unit_case *one, int *answered, struct error *error) {
  char key[ANSWER_KEY_BYTES];
  *answered = 0;
  return *unit_answer(unit, one, key) ? state_seen(unit->worker->state, key, answered, error) : 0;
}

enum verdict unit_recognise(struct unit *unit, struct unit_case *one, struct error *error) {
  int own = is_own_change(unit);
  if (one->guardrail->baseline) {
    enum verdict verdict = unit_note(unit, one, own, error);
    if (verdict != VERDICT_GO && !(own && verdict == VERDICT_DONE)) return verdict;
  }
  if (!own) return VERDICT_GO;
  metric_add(&worker_metrics[M_OWN], 1, one->guardrail->name);
  refuse(one, "own");
  return VERDICT_DONE;
}

void unit_question(const struct unit *unit, const struct unit_case *one, struct question *question) {
  int remediates = guardrail_mode(one->guardrail, unit->place.environment) == MODE_REMEDIATE,
      may_be_parked = (remediates || one->guardrail->settle_ms) && unit->delivery->kind != DELIVERY_PARKED;
  question->peek = (struct state_peek){.subject = may_be_parked ? one->subject : NULL};
  if (!remediates) return;
  worker_scopes(unit->worker, one->guardrail, unit->account->id, &question->scopes);
  question->peek.limits = question->scopes.limits;
  question->peek.limit_count = question->scopes.count;
}

enum verdict unit_peek(struct unit *unit, struct unit_case *one, const struct state_peek *peek, struct error *error) {
  if (peek->parked) { /* the parked one will look for both */
    refuse(one, "parked");
    return VERDICT_DONE;
  }
  if (peek->answer == STATE_GRANTED) return VERDICT_GO;
  /* What has its grant, or was begun, is not left half done because its breaker opened meanwhile: the grant decides. */
  struct state_known known = {.subject = one->subject, .finding = one->finding, .begun = one->action[0] != '\0'};
  int answered = 0;
  if (peek->answer == STATE_REFUSED_OPEN && !known.begun && state_known(unit->worker->state, &known, 1, error) != 0)
    return VERDICT_LATER;
  if (peek->answer == STATE_REFUSED_OPEN && known.begun) return VERDICT_GO;
  if (was_answered(unit, one, &answered, error) != 0) return VERDICT_LATER;
  if (!answered) return refused(one, peek->answer, peek->refusing, error);
  if (unit->delivery->kind == DELIVERY_PARKED) return VERDICT_GO; /* another event may have joined it: look */
  refuse(one, "answered");
  return VERDICT_DONE;
}

/* ---- read ---- */
enum verdict unit_read(struct unit *unit, const struct unit_case *one, struct live **live, struct error *error) {
  unsigned char wanted[64] = {0};
  struct aws_role role;
  struct reader reader = unit_reader(unit, &role);
  int found;
  if (one) guardrail_wants(one->guardrail, wanted);
  for (size_t i = 0; !one && i < unit->case_count; i++)
    if (unit->cases[i].stage != STAGE_DONE) guardrail_wants(unit->cases[i].guardrail, wanted);
  *live = live_get(&reader, &unit->place, unit->resource, unit->id, wanted, &found, error);
  const struct error *unread = *live ? live_unread(*live, NULL) : found < 0 ? error : NULL;
  if (!unread) return VERDICT_GO;
  metric_add(&worker_metrics[M_ERRORS], 1, "read", error_class_name(unread->class));
  record_reach(unit->worker, unit->account, unit->region, unread);
  if (*live && !one) return VERDICT_GO;
  if (*live) *error = *unread;
  live_free(*live);
  *live = NULL;
  return VERDICT_LATER;
}

/* ---- gate ---- */
/* The exception's id, owner, end and reason, and what follows. */
static void exception_note(const struct unit *unit, const json_t *exception, int expired, char *note, size_t size) {
  const char *id = json_text_at(exception, "id", NULL), *owner = json_text_at(exception, "owner", NULL),
             *expires = json_text_at(exception, "expires", NULL);
  int64_t grace = config_ms(unit->worker->config, "exception.grace") / 60000;
  if (expired)
    snprintf(note, size, "exception %s by %s ended at %s: told for %lld minutes, then put right, unless it is renewed",
             id, owner, expires, (long long)grace);
  else
    snprintf(note, size, "exception %s by %s until %s: %s", id, owner, expires,
             json_text_at(exception, "reason", NULL));
}

/* One that covers it: excepted.  One that ended a short while ago: told, but not put right yet. */
static enum verdict gate_exception(struct unit *unit, struct unit_case *one, const struct live *seen, json_t *finding,
                                   struct error *error) {
  json_t *tags = seen ? site_tags(unit->resource, seen->item) : NULL, *exception = NULL;
  struct state_subject subject = {.guardrail = one->guardrail->name,
                                  .account = unit->account->id,
                                  .unit = unit->place.unit,
                                  .region = unit->region,
                                  .environment = unit->place.environment,
                                  .resource = unit->id,
                                  .arn = unit->arn,
                                  .tags = tags,
                                  .grace_ms = config_ms(unit->worker->config, "exception.grace")};
  int result = state_exception_find(unit->worker->state, &subject, &exception, error);
  json_decref(tags);
  if (result != 0) return VERDICT_LATER;
  if (!exception) return VERDICT_GO;
  char note[400];
  int expired = json_is_true(json_object_get(exception, "expired"));
  exception_note(unit, exception, expired, note, sizeof note);
  json_decref(exception);
  refuse(one, expired ? "grace" : "exception");
  return record_finding(unit, one, expired ? "open" : "excepted", finding, note, error) == VERDICT_GO ? VERDICT_DONE
                                                                                                      : VERDICT_LATER;
}

/* A tag that the playbook exempts is an exception, too. */
static enum verdict gate_exempt(struct unit *unit, struct unit_case *one, const struct live *seen, json_t *finding,
                                struct error *error) {
  char tag[400], note[480];
  if (!seen || !site_exempts(one->guardrail, seen->item, tag, sizeof tag)) return VERDICT_GO;
  if (state_count(unit->worker->state, "exceptions.by_tag", 1, error) != 0) return VERDICT_LATER;
  snprintf(note, sizeof note, "its tag %s exempts it", tag);
  refuse(one, "exempt");
  return record_finding(unit, one, "excepted", finding, note, error) == VERDICT_GO ? VERDICT_DONE : VERDICT_LATER;
}

static enum verdict gate_mode(struct unit *unit, struct unit_case *one, json_t *finding, struct error *error) {
  enum mode mode = guardrail_mode(one->guardrail, unit->place.environment);
  if (mode >= MODE_APPROVE && one->guardrail->remediate_count > 0) return VERDICT_GO;
  refuse(one, "mode");
  return record_finding(unit, one, "open", finding, mode_name(mode), error) == VERDICT_GO ? VERDICT_DONE
                                                                                          : VERDICT_LATER;
}

/* What only people can put right here (nothing says where a trail's logs belong, say) is told, not tried. */
static enum verdict gate_able(struct unit *unit, struct unit_case *one, const struct live *live, json_t *finding,
                              struct error *error) {
  struct occasion occasion = unit_occasion(unit, one);
  int may = guardrail_may_remediate(one->guardrail, &unit->place, live, finding, &occasion, error);
  if (may != 0) return may > 0 ? VERDICT_GO : VERDICT_LATER;
  refuse(one, "remediate_when");
  return record_finding(unit, one, "open", finding, "people have to put it right", error) == VERDICT_GO ? VERDICT_DONE
                                                                                                        : VERDICT_LATER;
}

int unit_may_mutate(struct unit *unit, struct error *error) {
  char why[64] = "";
  int go = state_may_mutate(unit->worker->state, &unit->lease, config_ms(unit->worker->config, "lease"), why, error);
  if (go == 1) return 0;
  if (go == 0) error_set(error, ERROR_RETRYABLE, "MayNotMutate", "not now: %s", why);
  if (go == 0 && strcmp(why, "lease") == 0) unit->leased = 0;
  return -1;
}

enum verdict unit_lease(struct unit *unit, struct unit_case *one, struct error *error) {
  /* One taken at an earlier try may be gone (it ran out, Redis forgot it): no grant is spent on that. */
  if (unit->leased && unit_may_mutate(unit, error) == 0) return VERDICT_GO;
  if (unit->leased) return VERDICT_LATER;
  int taken = state_lease_take(unit->worker->state, unit->lease_key, config_ms(unit->worker->config, "lease"),
                               &unit->lease, error);
  if (taken == 1) {
    unit->leased = 1;
    return VERDICT_GO;
  }
  if (taken == 0) {
    refuse(one, "lease");
    error_set(error, ERROR_RETRYABLE, "Lease", "another worker has the resource");
  }
  return VERDICT_LATER;
}

static enum verdict gate_breaker(struct unit *unit, struct unit_case *one, struct error *error) {
  struct scopes scopes = {0};
  enum state_grant answer;
  char scope[160] = "";
  int tripped = 0, asked = one->action[0] != '\0';
  worker_scopes(unit->worker, one->guardrail, unit->account->id, &scopes);
  if (!asked)
    snprintf(one->action, sizeof one->action, "a-%.12s-%llx", one->finding, (unsigned long long)clock_wall_ms());
  if (state_breaker_grant(unit->worker->state, scopes.limits, scopes.count, one->action, unit->released, &answer, scope,
                          &tripped, error) != 0)
    return VERDICT_LATER;
  if (tripped) limits_tripped(unit, one, scope, "limit", "as many actions as its limit allows");
  if (answer == STATE_GRANTED) return VERDICT_GO;
  if (asked) /* Redis lost it, or it never got there */
    log_info("a grant asked for before does not stand", LOG_TEXT("action", one->action), LOG_TEXT("scope", scope));
  one->action[0] = '\0';
  return refused(one, answer, scope, error);
}

/* Reads and judges again under the lease; replaces *finding.  AGAIN: there is nothing left to do. */
static enum verdict look_again(struct unit *unit, struct unit_case *one, struct live **live, json_t **finding,
                               struct error *error) {
  enum verdict verdict = unit_read(unit, one, live, error);
  if (verdict != VERDICT_GO) return verdict;
  verdict = unit_resolve(unit, one, *live, error);
  if (verdict != VERDICT_GO) return verdict;
  struct occasion occasion = unit_occasion(unit, one);
  json_t *fresh = *live ? guardrail_judge(one->guardrail, &unit->place, *live, &occasion, error) : json_null();
  if (!fresh) return VERDICT_LATER;
  json_decref(*finding);
  *finding = fresh;
  return json_is_empty(fresh) ? VERDICT_AGAIN : VERDICT_GO;
}

enum verdict unit_take_over(struct unit *unit, struct unit_case *one, struct error *error) {
  struct live *live = NULL;
  enum verdict verdict = unit_lease(unit, one, error); /* whoever works on it has the lease */
  if (verdict == VERDICT_GO) verdict = unit_read(unit, one, &live, error);
  if (verdict == VERDICT_GO) verdict = unit_resolve(unit, one, live, error);
  live_free(live);
  return verdict;
}

enum verdict unit_gate(struct unit *unit, struct unit_case *one, const struct live *seen, struct live **live,
                       json_t **finding, struct error *error) {
  enum verdict verdict = gate_exception(unit, one, seen, *finding, error);
  if (verdict == VERDICT_GO) verdict = gate_exempt(unit, one, seen, *finding, error);
  if (verdict == VERDICT_GO) verdict = gate_mode(unit, one, *finding, error);
  if (verdict == VERDICT_GO) verdict = gate_fight(unit, one, *finding, error);
  if (verdict == VERDICT_GO) verdict = unit_lease(unit, one, error);
  if (verdict == VERDICT_GO) verdict = look_again(unit, one, live, finding, error);
  if (verdict == VERDICT_GO) verdict = gate_able(unit, one, *live, *finding, error);
  if (verdict == VERDICT_GO) verdict = gate_rollout(unit, one, *live, *finding, error);
  if (verdict == VERDICT_GO) verdict = approve_gate(unit, one, *live, *finding, error);
  if (verdict == VERDICT_GO) verdict = gate_breaker(unit, one, error);
  if (verdict == VERDICT_GO) verdict = approve_use(unit, one, error);
  if (verdict == VERDICT_PARK || verdict == VERDICT_WAIT) {
    json_decref(one->finding_value);
    one->finding_value = json_incref(*finding);
  }
  return verdict;
}
