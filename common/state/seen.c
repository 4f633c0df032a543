#include "state/state_internal.h"

static int mark(struct state *state, const char *kind, const char *id, int64_t ttl_ms, struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_set);
  state_call_key(&call, kind, id);
  state_call_text(&call, state->owner);
  state_call_range(&call, "a mark's time", ttl_ms, 1, STATE_TTL_MS);
  return state_call_done(&call, error);
}

static int is_marked(struct state *state, const char *kind, const char *id, int *marked, struct error *error) {
  struct state_call call;
  *marked = 0;
  state_call_begin(&call, state, STATE_SCRIPT_get);
  state_call_key(&call, kind, id);
  redisReply *reply = state_call_run(&call, error);
  if (!reply) return -1;
  *marked = reply->type != REDIS_REPLY_NIL;
  freeReplyObject(reply);
  return 0;
}

int state_seen(struct state *state, const char *event_id, int *seen, struct error *error) {
  return is_marked(state, "seen:", event_id, seen, error);
}

int state_seen_mark(struct state *state, const char *event_id, int64_t ttl_ms, struct error *error) {
  return mark(state, "seen:", event_id, ttl_ms, error);
}

int state_own_request_mark(struct state *state, const char *request_id, int64_t ttl_ms, struct error *error) {
  return mark(state, "own:", request_id, ttl_ms, error);
}

int state_own_request(struct state *state, const char *request_id, int *own, struct error *error) {
  return is_marked(state, "own:", request_id, own, error);
}
