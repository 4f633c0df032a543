#include "state/state_internal.h"

#define MOST_ROLLOUTS 10000

int state_rollout_store(struct state *state, const char *id, const json_t *value, enum state_guard guard,
                        struct error *error) {
  struct state_call call;
  state_call_begin_guarded(&call, state, value ? STATE_SCRIPT_hash_set : STATE_SCRIPT_hash_drop, guard);
  state_call_keys(&call, "rollouts", NULL);
  state_call_id(&call, "a guardrail's name", id);
  if (value) {
    state_call_json(&call, value);
    state_call_number(&call, MOST_ROLLOUTS);
  }
  return state_call_done(&call, error);
}

int state_rollout_put(struct state *state, const char *guardrail, json_t *rollout, struct error *error) {
  return state_rollout_store(state, guardrail, rollout, STATE_GUARD_EPOCH, error);
}

int state_rollout_get(struct state *state, const char *guardrail, json_t **rollout, struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_hash_get);
  state_call_keys(&call, "rollouts", NULL);
  state_call_id(&call, "a guardrail's name", guardrail);
  return state_call_record(&call, rollout, error);
}

int state_rollouts(struct state *state, json_t **list, struct error *error) {
  struct state_call call;
  *list = NULL;
  state_call_begin(&call, state, STATE_SCRIPT_hash_all);
  state_call_keys(&call, "rollouts", NULL);
  redisReply *reply = state_call_run(&call, error);
  if (!reply) return -1;
  json_t *all = state_reply_rows(reply, 0, 2, error) ? NULL : json_array();
  for (size_t i = 0; all && i < reply->elements; i += 2) {
    json_t *record = state_record(reply->element[i + 1], error);
    if (record && !json_array_append_new(all, record)) continue;
    json_decref(all);
    all = NULL;
  }
  freeReplyObject(reply);
  *list = all;
  return all ? 0 : -1;
}
