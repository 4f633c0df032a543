#include "state/state_internal.h"

static int mark(struct state *state, const char *kind, const char *id, int64_t ttl_ms, struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_set);
  state_call_key(&call, kind, id);
  state_call_text(&call, state->owner);
  state_call_range(&call, "a mark's time", ttl_ms, 1, STATE_TTL_MS);
  return state_call_done(&call, error);
}

int state_seen(struct state *state, const char *event_id, int *seen, struct error *error) {
  struct state_call call;
  *seen = 0;
  state_call_begin(&call, state, STATE_SCRIPT_get);
  state_call_key(&call, "seen:", event_id);
  redisReply *reply = state_call_run(&call, error);
  if (!reply) return -1;
  *seen = reply->type != REDIS_REPLY_NIL;
  freeReplyObject(reply);
  return 0;
}

int state_seen_mark(struct state *state, const char *event_id, int64_t ttl_ms, struct error *error) {
  return mark(state, "seen:", event_id, ttl_ms, error);
}

int state_own_request_mark(struct state *state, const char *request_id, int64_t ttl_ms, struct error *error) {
  return mark(state, "own:", request_id, ttl_ms, error);
}

int state_event_known(struct state *state, const char *event_id, const char *request_id, int *seen, int *own,
                      struct error *error) {
  struct state_call call;
  *seen = *own = 0;
  if (!*event_id && !*request_id) return 0;
  state_call_begin(&call, state, STATE_SCRIPT_marked);
  if (*event_id) state_call_key(&call, "seen:", event_id);
  if (*request_id) state_call_key(&call, "own:", request_id);
  size_t asked = call.key_count;
  redisReply *reply = state_call_run(&call, error);
  if (!reply) return -1;
  int failed = state_reply_integers(reply, asked, error);
  if (!failed && *event_id) *seen = reply->element[0]->integer != 0;
  if (!failed && *request_id) *own = reply->element[asked - 1]->integer != 0;
  freeReplyObject(reply);
  return failed;
}
