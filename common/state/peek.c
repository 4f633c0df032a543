/* What the gates ask of all guardrails of a unit in one round trip, before and after it is read. */
#include <stdio.h>
#include <string.h>

#include "state/state_internal.h"

#define PEEKS_A_CALL 16
#define SCOPES_A_CALL 60 /* as many as a call has room for */
#define KNOWN_A_CALL 32

struct scope_list { /* guardrails of one account share scopes: each is asked for once */
  const char *names[SCOPES_A_CALL];
  size_t count;
};

static size_t place_of(const struct scope_list *scopes, const char *name) {
  size_t i = 0;
  while (i < scopes->count && strcmp(scopes->names[i], name) != 0) i++;
  return i;
}

/* 0 when there is no room for the scopes of this one. */
static int add_scopes(struct scope_list *scopes, const struct state_peek *peek) {
  if (scopes->count + peek->limit_count > SCOPES_A_CALL) return 0;
  for (size_t i = 0; i < peek->limit_count; i++)
    if (place_of(scopes, peek->limits[i].scope) == scopes->count)
      scopes->names[scopes->count++] = peek->limits[i].scope;
  return 1;
}

static void judge_scopes(struct state_peek *peek, const struct scope_list *scopes, const redisReply *states) {
  for (size_t i = 0; i < peek->limit_count; i++) {
    const char *scope = peek->limits[i].scope, *state = states->element[place_of(scopes, scope)]->str;
    enum state_grant answer = strcmp(state, "held") == 0                                      ? STATE_REFUSED_HELD
                              : strcmp(state, "closed") == 0 || strcmp(state, "probing") == 0 ? STATE_GRANTED
                                                                                              : STATE_REFUSED_OPEN;
    if (answer == STATE_GRANTED || peek->answer == STATE_REFUSED_HELD || peek->answer == answer) continue;
    peek->answer = answer;
    snprintf(peek->refusing, sizeof peek->refusing, "%s", scope);
  }
}

static int check_shape(const redisReply *reply, size_t scopes, size_t subjects, struct error *error) {
  if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 4 || reply->element[0]->type != REDIS_REPLY_INTEGER ||
      reply->element[1]->type != REDIS_REPLY_INTEGER)
    return state_reply_unexpected(error);
  const redisReply *states = reply->element[2];
  if (state_reply_rows(states, 0, 1, error) || state_reply_integers(reply->element[3], subjects, error)) return -1;
  return states->elements == scopes ? 0 : state_reply_unexpected(error);
}

static void answer_one(struct state_peek *peek, const struct scope_list *scopes, const redisReply *reply) {
  peek->answer = STATE_GRANTED;
  peek->refusing[0] = '\0';
  judge_scopes(peek, scopes, reply->element[2]);
  if (peek->limit_count == 0 || reply->element[1]->integer == 0) return;
  peek->answer = STATE_REFUSED_STOP;
  snprintf(peek->refusing, sizeof peek->refusing, "stop");
}

/* As many as one call has room for: how many, or -1. */
static int peek_some(struct state *state, struct state_peek *const peeks[], size_t count, struct error *error) {
  struct scope_list scopes = {.count = 0};
  struct state_call call;
  size_t asked = 0, subjects = 0;
  state_call_begin(&call, state, STATE_SCRIPT_peek);
  state_call_keys(&call, "stop", "grants", "parked", "parked:takes", NULL);
  state_call_number(&call, state_grants_seen(state, call.generation));
  while (asked < count && asked < PEEKS_A_CALL && add_scopes(&scopes, peeks[asked])) {
    const char *subject = peeks[asked++]->subject;
    if (!subject) continue;
    state_call_id(&call, "a parked unit's subject", subject);
    subjects++;
  }
  if (asked == 0) state_call_invalid(&call, "an action has at most %d scopes", SCOPES_A_CALL);
  for (size_t i = 0; i < scopes.count; i++) state_call_scope(&call, "breaker:", scopes.names[i]);
  uint64_t generation = call.generation;
  redisReply *reply = state_call_run(&call, error);
  if (!reply) return -1;
  int failed = check_shape(reply, scopes.count, subjects, error);
  if (!failed) state_grants_note(state, generation, reply->element[0]->integer);
  for (size_t i = 0, subject = 0; i < asked && !failed; i++) {
    answer_one(peeks[i], &scopes, reply);
    peeks[i]->parked = peeks[i]->subject && reply->element[3]->element[subject++]->integer != 0;
  }
  freeReplyObject(reply);
  return failed ? -1 : (int)asked;
}

static int asks(const struct state_peek *peek) { return peek->subject || peek->limit_count > 0; }

int state_peek(struct state *state, struct state_peek *const peeks[], size_t count, struct error *error) {
  size_t asking = 0;
  for (size_t i = 0; i < count; i++) {
    peeks[i]->parked = 0;
    peeks[i]->answer = asks(peeks[i]) ? STATE_REFUSED_STOP : STATE_GRANTED;
    asking += (size_t)asks(peeks[i]);
  }
  for (size_t done = 0; done < count && asking > 0;) {
    int some = peek_some(state, peeks + done, count - done, error);
    if (some < 0) return -1;
    done += (size_t)some;
  }
  return 0;
}

static int know_some(struct state *state, struct state_known *known, size_t count, struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_known);
  state_call_keys(&call, "intents", "findings:records", NULL);
  for (size_t i = 0; i < count; i++) {
    state_call_id(&call, "an intent's subject", known[i].subject);
    state_call_id(&call, "a finding's id", known[i].finding);
  }
  redisReply *reply = state_call_run(&call, error);
  if (!reply) return -1;
  int failed = state_reply_integers(reply, 2 * count, error);
  for (size_t i = 0; i < count && !failed; i++) {
    known[i].begun = reply->element[2 * i]->integer != 0;
    known[i].found = reply->element[2 * i + 1]->integer != 0;
  }
  freeReplyObject(reply);
  return failed;
}

int state_known(struct state *state, struct state_known *known, size_t count, struct error *error) {
  for (size_t done = 0; done < count; done += KNOWN_A_CALL) {
    size_t left = count - done;
    if (know_some(state, known + done, left < KNOWN_A_CALL ? left : KNOWN_A_CALL, error) != 0) return -1;
  }
  return 0;
}
