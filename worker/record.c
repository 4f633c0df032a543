/* record: findings and actions, to Kafka and to Redis, and the notices that people get. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "unit.h"

enum { RECORD_TIMEOUT_MS = 5000 };

/* The first 128 bits of SHA-256 over the subject, as hex: the same violation has the same id for ever. */
void finding_id(const char *subject, char id[33]) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  if (EVP_Digest(subject, strlen(subject), digest, &length, EVP_sha256(), NULL) != 1) abort();
  for (int i = 0; i < 16; i++) {
    id[2 * i] = "0123456789abcdef"[digest[i] >> 4];
    id[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
  }
  id[32] = '\0';
}

static void set_time(json_t *times, const char *name, int64_t wall_ms) {
  char text[32];
  if (wall_ms > 0) json_object_set_new(times, name, json_string(clock_format(wall_ms, text, sizeof text)));
}

static json_t *finding_times(const struct unit *unit, const struct unit_case *one, const char *status) {
  json_t *times = json_object();
  set_time(times, "event", unit->delivery->event_ms);
  set_time(times, "collected", unit->delivery->collected_ms);
  set_time(times, "matched", one->matched_ms);
  set_time(times, "acted", one->acted_ms);
  if (strcmp(status, "fixed") == 0) set_time(times, "verified", clock_wall_ms());
  return times;
}

static json_t *finding_record(const struct unit *unit, const struct unit_case *one, const char *status,
                              json_t *evidence, const char *note) {
  const struct guardrail *guardrail = one->guardrail;
  char now[32];
  json_t *record = json_pack(
      "{s:s, s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "id", one->finding, "status", status,
      "guardrail", guardrail->name, "version", (json_int_t)guardrail->version, "title", guardrail->title, "severity",
      guardrail->severity, "account", unit->account->id, "region", unit->region, "environment", unit->place.environment,
      "resource", unit->id, "arn", unit->arn, "time", clock_format(clock_wall_ms(), now, sizeof now), "bundle",
      unit->bundle->hash, "times", finding_times(unit, one, status));
  if (!record) return NULL;
  if (evidence && !json_is_null(evidence)) json_object_set(record, "evidence", evidence);
  if (note && *note) json_object_set_new(record, "note", json_string(note));
  if (unit->delivery->actor) json_object_set(record, "actor", unit->delivery->actor);
  if (one->planned) json_object_set(record, "planned", one->planned);
  if (one->action[0]) json_object_set_new(record, "action", json_string(one->action));
  return record;
}

static int publish(struct worker *worker, const char *key, json_t *record, int durably, struct error *error) {
  char *text = json_text(record);
  if (!text) return error_set(error, ERROR_FATAL, "Memory", "out of memory");
  size_t length = strlen(text);
  int result =
      durably ? bus_produce_durably(worker->producer, BUS_TOPIC_FINDINGS, key, text, length, RECORD_TIMEOUT_MS, error)
              : bus_produce(worker->producer, BUS_TOPIC_FINDINGS, key, text, length, NULL, NULL, error);
  free(text);
  return result;
}

/* Not waited for. */
static void publish_finding(struct worker *worker, const char *key, json_t *record) {
  struct error error = {0};
  if (publish(worker, key, record, 0, &error) != 0)
    log_warn("a finding could not be published", LOG_TEXT("key", key), LOG_ERROR(&error));
}

void record_closed(struct worker *worker, json_t *record) {
  char subject[640];
  const char *guardrail = json_text_at(record, "guardrail", NULL);
  snprintf(subject, sizeof subject, "%s|%s", guardrail, json_text_at(record, "arn", NULL));
  publish_finding(worker, subject, record);
  metric_add(&worker_metrics[M_FINDINGS], 1, guardrail, "closed");
}

static void observe_fixed(const struct unit *unit, const struct unit_case *one) {
  int64_t now = clock_wall_ms();
  if (unit->delivery->event_ms > 0)
    metric_observe(&worker_metrics[M_SECONDS], (double)(now - unit->delivery->event_ms) / 1000.0, one->guardrail->name,
                   "event-fixed");
  metric_observe(&worker_metrics[M_SECONDS], (double)(now - one->matched_ms) / 1000.0, one->guardrail->name,
                 "matched-fixed");
}

/* Parked unread says what is not known: the same event may be in the hands of another worker, which got its grant
 * before the breaker opened.  Once that one has answered it, its finding stays as it is. 1: written, 0: not, -1: error.
 */
static int write_finding(struct unit *unit, struct unit_case *one, json_t *record, const char *status, char *was,
                         struct error *error) {
  struct state *state = unit->worker->state;
  char answer[ANSWER_KEY_BYTES] = "";
  int written = 1, unread = strcmp(status, "parked") == 0 && !one->finding_value;
  if (strcmp(status, "closed") == 0)
    return state_finding_close(state, json_text_at(record, "id", NULL), was, error) == 0 ? 1 : -1;
  if (unread) unit_answer(unit, one, answer);
  return state_finding_put_unless_seen(state, record, answer, was, &written, error) == 0 ? written : -1;
}

static int is_open(const char *status) {
  return *status && strcmp(status, "closed") != 0 && strcmp(status, "fixed") != 0;
}

/* People hear of what is new to them: a fix always, anything else when it changed. */
static int is_news(const char *status, const char *was, const char *note) {
  if (strcmp(status, "fixed") == 0) return 1;
  return strcmp(status, was) != 0 && strcmp(status, "closed") != 0 && strcmp(status, "excepted") != 0 &&
         strcmp(status, "waiting") != 0 && /* told when it is asked for */
         !(note && strcmp(note, "assess") == 0);
}

/* Redis has it; waits until the topic does, too: what comes next (the action's end, the message's) forgets it.  When
 * that fails, the next try still knows what the finding was before; what the topic will never take is logged, and goes
 * without.  1: published, 0: there was nothing to, -1 with *error. */
static int publish_change(struct unit_case *one, struct worker *worker, json_t *record, char was[32],
                          struct error *error) {
  struct error problem = {0};
  int closing = strcmp(json_text_at(record, "status", NULL), "closed") == 0, was_open = is_open(was);
  if (one->unpublished) {
    was_open |= is_open(one->was);
    memcpy(was, one->was, sizeof one->was);
  }
  if (closing && !was_open) return 0;
  int result = publish(worker, one->subject, record, 1, &problem);
  one->unpublished = result != 0 && error_is_transient(&problem);
  if (one->unpublished) {
    memcpy(one->was, was, sizeof one->was);
    if (error) *error = problem;
    return -1;
  }
  if (result != 0) log_error("a finding could not be published", LOG_TEXT("key", one->subject), LOG_ERROR(&problem));
  return result == 0;
}

enum verdict record_finding(struct unit *unit, struct unit_case *one, const char *status, json_t *evidence,
                            const char *note, struct error *error) {
  char was[32] = "";
  json_t *record = finding_record(unit, one, status, evidence, note);
  if (!record) return VERDICT_LATER;
  int written = write_finding(unit, one, record, status, was, error), published = 0;
  if (written == 1) published = publish_change(one, unit->worker, record, was, error);
  if ((written < 0 || published < 0) && one->stage == STAGE_VERIFY) { /* acted and looked: only this is left */
    json_decref(one->record);
    one->record = json_incref(record);
    one->stage = STAGE_RECORD;
  }
  json_decref(record);
  if (written < 0 || published < 0) return VERDICT_LATER;
  if (written == 0) return VERDICT_GO;
  if (published) metric_add(&worker_metrics[M_FINDINGS], 1, one->guardrail->name, status);
  if (strcmp(status, "fixed") == 0) observe_fixed(unit, one);
  if (is_news(status, was, note)) notice_case(unit, one, status, evidence, note);
  return VERDICT_GO;
}

static json_t *reach_record(const char *id, const char *status, const struct account *account, const char *region,
                            const char *note) {
  char now[32];
  return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "id", id, "status", status, "guardrail",
                   "account-access", "title", "The account cannot be read", "severity", "high", "account", account->id,
                   "region", region, "resource", account->id, "time", clock_format(clock_wall_ms(), now, sizeof now),
                   "note", note);
}

/* An account or Region that cannot be read is a finding of its own: otherwise it would look clean. */
void record_reach(struct worker *worker, const struct account *account, const char *region, const struct error *error) {
  char subject[128], id[33], was[32] = "";
  struct error problem = {0};
  int denied = error && error->class == ERROR_DENIED, result = -1;
  const char *status = denied ? "open" : "closed";
  if (error && !denied) return;
  snprintf(subject, sizeof subject, "account-access|%s/%s", account->id, region);
  finding_id(subject, id);
  json_t *record = reach_record(id, status, account, region, denied ? error->message : "");
  if (record)
    result = denied ? state_finding_put(worker->state, record, was, &problem)
                    : state_finding_close(worker->state, id, was, &problem);
  int changed = denied ? strcmp(was, "open") != 0 : strcmp(was, "open") == 0;
  if (result != 0) {
    log_debug("the account's reach could not be recorded", LOG_ERROR(&problem));
  } else if (changed) {
    publish_finding(worker, subject, record);
    if (denied)
      log_warn("account cannot be read", LOG_TEXT("account", account->id), LOG_TEXT("region", region),
               LOG_ERROR(error));
    else
      log_info("account can be read again", LOG_TEXT("account", account->id), LOG_TEXT("region", region));
  }
  json_decref(record);
}

int record_action(struct unit *unit, struct unit_case *one, json_t *record, int durably, struct error *error) {
  /* The lease's token is the fence for readers: what a later owner wrote of this resource goes before it. */
  if (unit->lease.token > 0) json_object_set_new(record, "token", json_integer(unit->lease.token));
  char *text = json_text(record);
  if (!text) return error_set(error, ERROR_FATAL, "Memory", "out of memory");
  int result = durably ? bus_produce_durably(unit->worker->producer, BUS_TOPIC_ACTIONS, one->subject, text,
                                             strlen(text), RECORD_TIMEOUT_MS, error)
                       : bus_produce(unit->worker->producer, BUS_TOPIC_ACTIONS, one->subject, text, strlen(text), NULL,
                                     NULL, error);
  free(text);
  return result;
}

void notice_case(struct unit *unit, struct unit_case *one, const char *outcome, json_t *evidence, const char *note) {
  char now[32];
  (void)evidence; /* in the finding; a notice stays short */
  json_t *notice = json_pack(
      "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "outcome", outcome, "guardrail",
      one->guardrail->name, "severity", one->guardrail->severity, "account", unit->account->id, "environment",
      unit->place.environment, "region", unit->region, "resource", unit->id, "arn", unit->arn, "owner",
      unit->owner ? unit->owner : "", "action", one->action, "note", note ? note : "", "actor",
      json_text_at(unit->delivery->actor, "arn", NULL), "time", clock_format(clock_wall_ms(), now, sizeof now));
  if (notice)
    notices_tell(unit->worker, notice);
  else
    log_warn("a notice was lost: out of memory, or not UTF-8", LOG_TEXT("subject", one->subject));
  json_decref(notice);
}
