#include "state/state_internal.h"

/* A resource that no sweep and no event asked for in so long is gone. */
#define BASELINE_MS (35LL * 24 * 3600 * 1000)
#define ANY_VERSION (-1)

static int put(struct state *state, const char *subject, const json_t *record, int64_t version, enum state_guard guard,
               struct error *error) {
  struct state_call call;
  state_call_begin_guarded(&call, state, STATE_SCRIPT_baseline_put, guard);
  if (subject && *subject) state_call_key(&call, "baseline:", subject);
  state_call_id(&call, "a baseline's subject", subject);
  state_call_number(&call, version);
  if (record)
    state_call_json(&call, record);
  else
    state_call_text(&call, "");
  state_call_number(&call, BASELINE_MS);
  return state_call_flag(&call, error);
}

int state_baseline_put(struct state *state, const char *subject, json_t *record, int64_t version, int *stored,
                       struct error *error) {
  int flag = put(state, subject, record, version, STATE_GUARD_EPOCH, error);
  *stored = flag == 1;
  return flag < 0 ? -1 : 0;
}

int state_baseline_store(struct state *state, const char *id, const json_t *value, enum state_guard guard,
                         struct error *error) {
  return put(state, id, value, ANY_VERSION, guard, error) < 0 ? -1 : 0;
}

int state_baseline_get(struct state *state, const char *subject, json_t **record, int64_t *version,
                       struct error *error) {
  struct state_call call;
  *record = NULL;
  *version = 0;
  state_call_begin(&call, state, STATE_SCRIPT_baseline_get);
  if (subject && *subject) state_call_key(&call, "baseline:", subject);
  state_call_id(&call, "a baseline's subject", subject);
  state_call_number(&call, BASELINE_MS);
  redisReply *reply = state_call_run(&call, error);
  if (!reply) return -1;
  int result = 0;
  if (reply->elements == 2 && !(result = state_reply_rows(reply, 0, 2, error))) {
    *version = state_reply_number(reply->element[0]);
    *record = state_record(reply->element[1], error);
    result = *record ? 0 : -1;
  }
  freeReplyObject(reply);
  return result;
}
