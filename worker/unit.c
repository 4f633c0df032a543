/* The unit's way through the verbs.  One task looks at all cases that are due, reads once for all of them, and queues
 * the unit again for whatever has to wait; so neither AWS's lag nor a gate ever holds a thread. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "approve.h"
#include "base/clock.h"
#include "base/log.h"
#include "journal.h"
#include "site/place.h"

enum { NEW_ACCOUNT_MS = 3600000 };

struct unit *unit_open(struct delivery *delivery, struct bundle *bundle, struct accounts *accounts,
                       const struct account *account, const struct resource *resource, const char *region,
                       const char *id, size_t guardrails) {
  struct unit *unit = calloc(1, sizeof *unit + guardrails * sizeof(struct unit_case));
  if (!unit) return NULL;
  struct worker *worker = delivery->worker;
  unit->task.abandon = unit_abandon;
  unit->worker = worker;
  unit->bundle = bundle_hold(bundle);
  unit->delivery = delivery_hold(delivery);
  unit->accounts = accounts_hold(accounts);
  unit->account = account;
  unit->resource = resource;
  snprintf(unit->region, sizeof unit->region, "%s", region);
  unit->place = site_place(accounts, account, unit->region, aws_partition(worker->aws, unit->region));
  unit->id = strdup(id);
  json_t *arn = unit->id ? live_arn(resource, &unit->place, id) : NULL;
  unit->arn = arn ? strdup(json_string_value(arn)) : NULL;
  json_decref(arn);
  atomic_fetch_add(&worker->units, 1);
  if (unit->arn && strlen(unit->arn) < 512) {
    snprintf(unit->lease_key, sizeof unit->lease_key, "%s", unit->arn);
    return unit;
  }
  unit_free(unit);
  return NULL;
}

struct unit_case *unit_add(struct unit *unit, const struct guardrail *guardrail) {
  for (size_t i = 0; i < unit->case_count; i++)
    if (unit->cases[i].guardrail == guardrail) return &unit->cases[i];
  struct unit_case *one = &unit->cases[unit->case_count++];
  one->guardrail = guardrail;
  one->matched_ms = clock_wall_ms();
  snprintf(one->subject, sizeof one->subject, "%s|%s", guardrail->name, unit->arn);
  finding_id(one->subject, one->finding);
  return one;
}

void unit_free(struct unit *unit) {
  if (!unit) return;
  struct error error = {0};
  if (unit->leased && state_lease_drop(unit->worker->state, &unit->lease, &error) != 0)
    log_debug("a lease runs out by itself", LOG_TEXT("resource", unit->arn), LOG_ERROR(&error));
  for (size_t i = 0; i < unit->case_count; i++) {
    json_decref(unit->cases[i].finding_value);
    json_decref(unit->cases[i].record);
    json_decref(unit->cases[i].planned);
    json_decref(unit->cases[i].baseline);
    json_decref(unit->cases[i].changes);
    json_decref(unit->cases[i].begun);
    json_decref(unit->cases[i].approval);
  }
  live_free(unit->listed);
  free(unit->id);
  free(unit->arn);
  free(unit->owner);
  atomic_fetch_sub(&unit->worker->units, 1);
  delivery_drop(unit->delivery);
  accounts_drop(unit->accounts);
  bundle_drop(unit->bundle);
  free(unit);
}

/* ---- parking ---- */
json_t *unit_pack(const struct unit *unit, const struct unit_case *one) {
  json_t *event = unit->delivery->event,
         *packed =
             json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:I, s:I}", "guardrail", one->guardrail->name, "account",
                       unit->account->id, "region", unit->region, "resource", unit->resource->name, "id", unit->id,
                       "tries", unit->parked_tries + 1, "event_ms", (json_int_t)unit->delivery->event_ms,
                       "collected_ms", (json_int_t)unit->delivery->collected_ms);
  if (one->action[0]) json_object_set_new(packed, "action", json_string(one->action));
  if (one->created_ms) json_object_set_new(packed, "created_ms", json_integer(one->created_ms));
  if (unit->delivery->actor) json_object_set(packed, "actor", unit->delivery->actor);
  if (event && one->guardrail->reads_event) json_object_set(packed, "event", event);
  if (unit->delivery->kind != DELIVERY_SWEEP && unit->delivery->id[0])
    json_object_set_new(packed, "event_id", json_string(unit->delivery->id));
  return packed;
}

/* The delivery and the accounts are the caller's. */
static struct unit *unpack(struct delivery *delivery, struct bundle *bundle, struct accounts *accounts, json_t *packed,
                           struct error *error) {
  const struct guardrail *guardrail = bundle_guardrail(bundle, json_text_at(packed, "guardrail", NULL));
  const struct account *account = accounts_find(accounts, json_text_at(packed, "account", NULL));
  if (!guardrail || !account) {
    error_set(error, ERROR_MISSING, "Parked", "its guardrail or account is no longer known");
    return NULL;
  }
  delivery->event_ms = json_integer_value(json_object_get(packed, "event_ms"));
  delivery->collected_ms = json_integer_value(json_object_get(packed, "collected_ms"));
  snprintf(delivery->id, sizeof delivery->id, "%s", json_text_at(packed, "event_id", NULL));
  delivery->actor = json_incref(json_object_get(packed, "actor"));
  delivery->event = json_incref(json_object_get(packed, "event"));
  struct unit *unit = unit_open(delivery, bundle, accounts, account, guardrail->resource,
                                json_text_at(packed, "region", NULL), json_text_at(packed, "id", NULL), 1);
  if (!unit) return NULL;
  unit_add(unit, guardrail);
  unit->parked_tries = (int)json_integer_value(json_object_get(packed, "tries"));
  unit->cases[0].created_ms = json_integer_value(json_object_get(packed, "created_ms"));
  snprintf(unit->cases[0].action, sizeof unit->cases[0].action, "%s", json_text_at(packed, "action", NULL));
  return unit;
}

struct unit *unit_unpack(struct worker *worker, struct bundle *bundle, json_t *packed, struct error *error) {
  struct delivery *delivery = delivery_open(worker, DELIVERY_PARKED);
  struct accounts *accounts = roster_accounts(worker->roster);
  struct unit *unit = delivery ? unpack(delivery, bundle, accounts, packed, error) : NULL;
  if (delivery) delivery_drop(delivery);
  accounts_drop(accounts);
  return unit;
}

/* Parks the case durably: first the topic, then Redis.  DONE, or LATER when either is out of reach. */
static enum verdict park(struct unit *unit, struct unit_case *one, int64_t due_ms, struct error *error) {
  json_t *packed = unit_pack(unit, one);
  json_t *entry = json_pack("{s:O, s:I, s:b}", "unit", packed, "due", (json_int_t)due_ms, "released", unit->released);
  enum verdict verdict = VERDICT_LATER;
  int begun = due_ms > 0 && one->action[0]; /* it has its grant, and may have its first effect */
  if (mirror_put(unit->worker->producer, "parked", one->subject, entry, error) == 0 &&
      (begun ? state_park_begun : state_park)(unit->worker->state, one->subject, packed, due_ms, error) == 0) {
    verdict = VERDICT_DONE;
    metric_add(&worker_metrics[M_PARKED], 1, one->guardrail->name, due_ms ? "retry" : "gate");
  }
  json_decref(entry);
  json_decref(packed);
  return verdict;
}

/* What came back from parking and is done leaves no trace there. */
static enum verdict unpark(struct unit *unit, struct unit_case *one, struct error *error) {
  if (unit->delivery->kind != DELIVERY_PARKED) return VERDICT_DONE;
  if (state_unpark(unit->worker->state, one->subject, error) != 0) return VERDICT_LATER;
  if (mirror_put(unit->worker->producer, "parked", one->subject, NULL, error) != 0)
    log_warn("a parked unit's end could not be mirrored", LOG_TEXT("subject", one->subject), LOG_ERROR(error));
  return VERDICT_DONE;
}

/* ---- one case ---- */
struct glance { /* one reading, shared by the cases of a turn */
  struct live *live;
  int read;
  enum verdict verdict;
  struct error error;
};

/* Whom notices about it may go to.  A resource that is gone keeps its owner. */
static void note_owner(struct unit *unit, const struct live *live) {
  if (!unit->resource->tags) return;
  json_t *tags = jmes_search(unit->resource->tags, live->item, NULL, NULL);
  free(unit->owner);
  unit->owner = notices_owner(unit->worker->notices, tags);
  json_decref(tags);
}

static const struct live *look(struct unit *unit, struct glance *glance, enum verdict *verdict, struct error *error) {
  if (!glance->read) {
    glance->read = 1;
    if (unit->listed) {
      glance->live = unit->listed;
      unit->listed = NULL;
      glance->verdict = VERDICT_GO;
    } else {
      glance->verdict = unit_read(unit, NULL, &glance->live, &glance->error);
    }
  }
  *verdict = glance->verdict;
  if (glance->verdict != VERDICT_GO) *error = glance->error;
  if (glance->live) note_owner(unit, glance->live);
  return glance->live;
}

/* New finding (json_null: nothing), NULL when judging failed. A resource that is gone has nothing to find. */
static json_t *judge(struct unit *unit, struct unit_case *one, const struct live *live, struct error *error) {
  struct occasion occasion = unit_occasion(unit, one);
  return live ? guardrail_judge(one->guardrail, &unit->place, live, &occasion, error) : json_null();
}

/* When the resource will be old enough to be judged (wall ms); 0: it is. */
static int64_t settles_at(const struct unit_case *one, const struct live *live) {
  int64_t created = one->created_ms;
  if (!one->guardrail->settle_ms || !live) return 0;
  json_t *told = live->resource->created ? jmes_search(live->resource->created, live->item, NULL, NULL) : NULL;
  if (json_is_string(told) && clock_parse(json_string_value(told), &created) != 0) created = one->created_ms;
  json_decref(told);
  return created > 0 && clock_wall_ms() < created + one->guardrail->settle_ms ? created + one->guardrail->settle_ms : 0;
}

/* An action that was begun, and whose violation is gone: what is left is to verify and record it. */
static enum verdict go_verify(struct unit_case *one) {
  one->stage = STAGE_VERIFY;
  one->looks = one->tries = 0;
  one->due_ms = 0;
  return VERDICT_GO;
}

/* found: there is a finding, which ends now. */
static enum verdict nothing_found(struct unit *unit, struct unit_case *one, int found, struct error *error) {
  if (one->resolved) return go_verify(one);
  if (unit->delivery->kind == DELIVERY_EVENT && one->looks < unit->worker->patience_count) return VERDICT_AGAIN;
  if (one->guardrail->baseline && unit_settle(unit, one, NULL, error) != VERDICT_GO) return VERDICT_LATER;
  if (approve_forget(unit, one, error) != VERDICT_GO) return VERDICT_LATER;
  if (!found && !one->unpublished) return VERDICT_DONE;
  return record_finding(unit, one, "closed", NULL, NULL, error) == VERDICT_GO ? VERDICT_DONE : VERDICT_LATER;
}

/* Into a new account nobody may for some minutes: its roles are still being made. */
static int is_new(const struct account *account) { return account->joined_ms > clock_wall_ms() - NEW_ACCOUNT_MS; }

/* A denied account is reported once; its sweeps keep trying, its events do not pile up. */
static enum verdict not_read(const struct unit *unit, const struct error *error, enum verdict verdict) {
  return error->class == ERROR_DENIED && !is_new(unit->account) ? VERDICT_DONE : verdict;
}

/* What was judged leads here.  begun: an action of it is not at its end. */
static enum verdict decide(struct unit *unit, struct unit_case *one, const struct live *live,
                           const struct state_known *known, json_t **finding, struct error *error) {
  enum verdict verdict = known->begun ? unit_take_over(unit, one, error) : VERDICT_GO;
  if (verdict != VERDICT_GO) return verdict;
  if (json_is_empty(*finding)) return nothing_found(unit, one, known->found, error);
  struct live *fresh = NULL;
  verdict = unit_gate(unit, one, live, &fresh, finding, error);
  if (verdict == VERDICT_DONE && one->resolved) verdict = unit_close(unit, one, error); /* excepted since, say */
  if (verdict == VERDICT_GO) {
    json_decref(one->finding_value);
    one->finding_value = json_incref(*finding);
    verdict = unit_act(unit, one, fresh, *finding, error);
    if (verdict == VERDICT_GO) go_verify(one);
  } else if (verdict == VERDICT_AGAIN) { /* nothing left under the lease: somebody else was faster */
    verdict = nothing_found(unit, one, 1, error);
  }
  live_free(fresh);
  return verdict;
}

static enum verdict recorded(struct unit *unit, struct unit_case *one, struct error *error) {
  one->stage = STAGE_CLOSE;
  if (approve_forget(unit, one, error) != VERDICT_GO) return VERDICT_LATER;
  return unit_close(unit, one, error);
}

static enum verdict advance_verify(struct unit *unit, struct unit_case *one, struct glance *glance,
                                   struct error *error) {
  enum verdict verdict;
  const struct live *live = look(unit, glance, &verdict, error);
  if (verdict != VERDICT_GO) return verdict;
  json_t *finding = judge(unit, one, live, error);
  if (!finding) return VERDICT_LATER;
  int fixed = json_is_empty(finding);
  if (!fixed && one->looks < unit->worker->patience_count) {
    json_decref(finding);
    return VERDICT_AGAIN;
  }
  if (fixed && one->guardrail->baseline && unit_settle(unit, one, live, error) != VERDICT_GO) {
    json_decref(finding);
    return VERDICT_LATER;
  }
  verdict = unit_mark_answered(unit, one, error); /* before the finding, which it shields: see write_finding */
  if (verdict == VERDICT_GO) verdict = journal_verified(unit, one, live, fixed ? "fixed" : "failed", error);
  if (verdict == VERDICT_GO)
    verdict = record_finding(unit, one, fixed ? "fixed" : "failed", fixed ? one->finding_value : finding,
                             fixed ? NULL : "acted but not fixed: the violation is still there", error);
  json_decref(finding);
  one->outcome = fixed ? OUTCOME_FIXED : OUTCOME_FAILED;
  return verdict == VERDICT_GO ? recorded(unit, one, error) : VERDICT_LATER;
}

static enum verdict advance_record(struct unit *unit, struct unit_case *one, struct error *error) {
  enum verdict verdict =
      record_finding(unit, one, json_text_at(one->record, "status", NULL), json_object_get(one->record, "evidence"),
                     json_text_at(one->record, "note", NULL), error);
  return verdict == VERDICT_GO ? recorded(unit, one, error) : VERDICT_LATER;
}

/* ---- what becomes of a case ---- */
static void wait_again(struct unit *unit, struct unit_case *one) {
  int64_t before = one->looks > 0 ? unit->worker->patience_ms[one->looks - 1] : 0;
  int64_t wait = unit->worker->patience_ms[one->looks] - before; /* patience counts from the first look */
  one->looks++;
  one->tries = 0;
  one->due_ms = clock_monotonic_ms() + (wait > 0 ? wait : 0);
}

static void wait_later(struct unit *unit, struct unit_case *one, const struct error *error) {
  const struct config *config = unit->worker->config;
  int64_t now = clock_monotonic_ms();
  int shift = one->tries < 4 ? one->tries : 4;
  one->tries++;
  one->due_ms = now + (250LL << shift) + (int64_t)(unit->case_count * 7 + (size_t)one->tries * 13) % 100;
  log_debug("later", LOG_TEXT("subject", one->subject), LOG_INT("tries", one->tries), LOG_ERROR(error));
  if (now - unit->delivery->born_ms < config_ms(config, "park.after") || !unit->worker->state_ready) return;
  struct error problem = {0};
  if (unit->parked_tries >= config_number(config, "park.tries")) {
    if (record_finding(unit, one, "failed", one->finding_value, error->message, &problem) == VERDICT_GO &&
        unpark(unit, one, &problem) == VERDICT_DONE) {
      state_count(unit->worker->state, "units.given_up", 1, NULL);
      one->stage = STAGE_DONE;
    }
  } else if (park(unit, one, clock_wall_ms() + config_ms(config, "park.retry"), &problem) == VERDICT_DONE) {
    one->stage = STAGE_DONE;
  }
}

static void hold_back(struct unit *unit, struct unit_case *one, int64_t due_ms, const char *status,
                      struct error *error) {
  char reason[256];
  snprintf(reason, sizeof reason, "%s", error->message);
  if (park(unit, one, due_ms, error) == VERDICT_DONE &&
      record_finding(unit, one, status, one->finding_value, reason, error) == VERDICT_GO)
    one->stage = STAGE_DONE;
  else
    wait_later(unit, one, error);
}

static void settle(struct unit *unit, struct unit_case *one, enum verdict verdict, struct error *error) {
  switch (verdict) {
    case VERDICT_AGAIN:
      wait_again(unit, one);
      break;
    case VERDICT_PARK:
      hold_back(unit, one, 0, "parked", error);
      break;
    case VERDICT_WAIT:
      hold_back(unit, one, one->parked_until_ms, "waiting", error);
      break;
    case VERDICT_SETTLE:
      if (park(unit, one, one->settled_ms, error) == VERDICT_DONE)
        one->stage = STAGE_DONE;
      else
        wait_later(unit, one, error);
      break;
    case VERDICT_DONE:
      if (unpark(unit, one, error) == VERDICT_DONE) {
        one->stage = STAGE_DONE;
        break;
      } /* fall through */
    case VERDICT_LATER:
      wait_later(unit, one, error);
      break;
    case VERDICT_GO:
      one->tries = 0;
      break; /* acted: verify at once */
  }
}

static void advance(struct unit *unit, struct unit_case *one, struct glance *glance) {
  struct error error = {0};
  enum verdict verdict = VERDICT_DONE;
  switch (one->stage) {
    case STAGE_VERIFY:
      verdict = advance_verify(unit, one, glance, &error);
      break;
    case STAGE_RECORD:
      verdict = advance_record(unit, one, &error);
      break;
    case STAGE_CLOSE:
      verdict = unit_close(unit, one, &error);
      break;
    case STAGE_LOOK:
    case STAGE_DONE:
      break;
  }
  settle(unit, one, verdict, &error);
}

/* ---- looking: the cases that are due ask Redis at once, and see one reading ---- */
enum { LOOKS_A_TURN = 32 }; /* the others have the next turn */

struct sight {           /* one case on its way */
  struct unit_case *one; /* NULL: this look is over */
  struct question question;
  json_t *finding;
  struct error error;
};

static void look_ends(struct unit *unit, struct sight *sight, enum verdict verdict) {
  settle(unit, sight->one, verdict, &sight->error);
  sight->one = NULL;
  json_decref(sight->finding);
}

/* Nothing is known: all that are left look later. */
static void all_later(struct unit *unit, struct sight *sights, size_t count, const struct error *error) {
  for (size_t i = 0; i < count; i++) {
    if (!sights[i].one) continue;
    sights[i].error = *error;
    look_ends(unit, &sights[i], VERDICT_LATER);
  }
}

static void peek_all(struct unit *unit, struct sight *sights, size_t count) {
  struct state_peek *peeks[LOOKS_A_TURN];
  struct error error = {0};
  size_t asked = 0;
  for (size_t i = 0; i < count; i++) {
    enum verdict verdict = unit_recognise(unit, sights[i].one, &sights[i].error);
    unit_question(unit, sights[i].one, &sights[i].question);
    if (verdict == VERDICT_GO)
      peeks[asked++] = &sights[i].question.peek;
    else
      look_ends(unit, &sights[i], verdict);
  }
  if (state_peek(unit->worker->state, peeks, asked, &error) != 0) all_later(unit, sights, count, &error);
  for (size_t i = 0; i < count; i++) {
    if (!sights[i].one) continue;
    enum verdict verdict = unit_peek(unit, sights[i].one, &sights[i].question.peek, &sights[i].error);
    if (verdict != VERDICT_GO) look_ends(unit, &sights[i], verdict);
  }
}

static enum verdict see(struct unit *unit, struct sight *sight, struct glance *glance) {
  enum verdict verdict;
  const struct live *live = look(unit, glance, &verdict, &sight->error);
  if (verdict != VERDICT_GO) return not_read(unit, &sight->error, verdict);
  if ((sight->one->settled_ms = settles_at(sight->one, live))) return VERDICT_SETTLE;
  sight->finding = judge(unit, sight->one, live, &sight->error);
  return sight->finding ? VERDICT_GO : not_read(unit, &sight->error, VERDICT_LATER);
}

static void decide_all(struct unit *unit, struct sight *sights, size_t count, const struct live *live) {
  struct state_known known[LOOKS_A_TURN];
  struct error error = {0};
  size_t asked = 0, next = 0;
  for (size_t i = 0; i < count; i++)
    if (sights[i].one)
      known[asked++] = (struct state_known){.subject = sights[i].one->subject, .finding = sights[i].one->finding};
  if (state_known(unit->worker->state, known, asked, &error) != 0) all_later(unit, sights, count, &error);
  for (size_t i = 0; i < count; i++)
    if (sights[i].one)
      look_ends(unit, &sights[i],
                decide(unit, sights[i].one, live, &known[next++], &sights[i].finding, &sights[i].error));
}

/* At most `most` of those that are due. */
static void look_all(struct unit *unit, struct glance *glance, int64_t now, size_t most) {
  size_t count = 0;
  struct sight *sights = calloc(most, sizeof *sights);
  if (!sights) abort();
  for (size_t i = 0; i < unit->case_count && count < most; i++)
    if (unit->cases[i].stage == STAGE_LOOK && unit->cases[i].due_ms <= now) sights[count++].one = &unit->cases[i];
  peek_all(unit, sights, count);
  for (size_t i = 0; i < count; i++) {
    enum verdict verdict = sights[i].one ? see(unit, &sights[i], glance) : VERDICT_GO;
    if (verdict != VERDICT_GO) look_ends(unit, &sights[i], verdict);
  }
  decide_all(unit, sights, count, glance->live);
  free(sights);
}

/* Advances every case that is due.  Returns how many were. */
static int turn(struct unit *unit) {
  struct glance glance = {0};
  int64_t now = clock_monotonic_ms();
  int due = 0;
  size_t looking = 0;
  for (size_t i = 0; i < unit->case_count; i++) {
    struct unit_case *one = &unit->cases[i];
    if (one->stage == STAGE_DONE || one->due_ms > now) continue;
    due++;
    if (one->stage == STAGE_LOOK)
      looking++;
    else
      advance(unit, one, &glance);
  }
  if (looking > 0) look_all(unit, &glance, now, looking < LOOKS_A_TURN ? looking : LOOKS_A_TURN);
  live_free(glance.live);
  return due;
}

/* Milliseconds until the next case is due; -1 when all are done. */
static int64_t next_due(const struct unit *unit) {
  int64_t now = clock_monotonic_ms(), soonest = -1;
  for (size_t i = 0; i < unit->case_count; i++) {
    if (unit->cases[i].stage == STAGE_DONE) continue;
    int64_t wait = unit->cases[i].due_ms > now ? unit->cases[i].due_ms - now : 0;
    if (soonest < 0 || wait < soonest) soonest = wait;
  }
  return soonest;
}

static void unit_task(void *argument) {
  struct unit *unit = argument;
  int64_t wait = 0;
  if (!unit->worker->state_ready)
    wait = 500; /* gates closed: nothing is even read */
  else
    while ((wait = next_due(unit)) == 0 && unit->worker->state_ready)
      if (turn(unit) == 0) break;
  if (wait < 0) {
    unit_free(unit);
    return;
  }
  enum pool_lane lane = unit->delivery->kind == DELIVERY_EVENT ? POOL_LANE_EVENT : POOL_LANE_SWEEP;
  if (pool_submit(unit->worker->pool, lane, unit->arn, wait > 0 ? wait : 50, unit_task, unit) != 0) unit_abandon(unit);
}

void unit_submit(struct unit *unit) {
  enum pool_lane lane = unit->delivery->kind == DELIVERY_EVENT ? POOL_LANE_EVENT : POOL_LANE_SWEEP;
  if (pool_submit(unit->worker->pool, lane, unit->arn, 0, unit_task, unit) != 0) unit_abandon(unit);
}

void unit_abandon(void *argument) {
  struct unit *unit = argument;
  for (size_t i = 0; i < unit->case_count; i++) {
    struct error error = {0};
    if (unit->cases[i].stage == STAGE_DONE) continue;
    if (park(unit, &unit->cases[i], clock_wall_ms() + 1000, &error) != VERDICT_DONE) unit->delivery->abandoned = 1;
  }
  unit_free(unit);
}
