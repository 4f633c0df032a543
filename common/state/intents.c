#include "state/state_internal.h"

#define MOST_INTENTS 100000

int state_intent_store(struct state *state, const char *id, const json_t *value, enum state_guard guard,
                       struct error *error) {
  struct state_call call;
  state_call_begin_guarded(&call, state, value ? STATE_SCRIPT_hash_set : STATE_SCRIPT_hash_drop, guard);
  state_call_keys(&call, "intents", NULL);
  state_call_id(&call, "an intent's subject", id);
  if (value) {
    state_call_json(&call, value);
    state_call_number(&call, MOST_INTENTS);
  }
  return state_call_done(&call, error);
}

int state_intent_put(struct state *state, const char *subject, json_t *intent, const struct state_lease *lease,
                     struct error *error) {
  struct state_call call;
  if (!intent) return error_set(error, ERROR_INVALID, "argument", "an intent must be JSON");
  state_call_begin(&call, state, STATE_SCRIPT_intent_put);
  state_call_keys(&call, "intents", NULL);
  state_call_key(&call, "lease:", lease->resource);
  state_call_id(&call, "an intent's subject", subject);
  state_call_json(&call, intent);
  state_call_number(&call, MOST_INTENTS);
  state_call_text(&call, state->owner);
  state_call_number(&call, lease->token);
  return state_call_done(&call, error);
}

int state_intent_drop(struct state *state, const char *subject, const char *action, struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_intent_drop);
  state_call_keys(&call, "intents", NULL);
  state_call_id(&call, "an intent's subject", subject);
  state_call_text(&call, action ? action : "");
  return state_call_done(&call, error);
}

int state_intent_get(struct state *state, const char *subject, json_t **intent, struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_hash_get);
  state_call_keys(&call, "intents", NULL);
  state_call_id(&call, "an intent's subject", subject);
  return state_call_record(&call, intent, error);
}

int state_intents(struct state *state, json_t **list, struct error *error) {
  struct state_call call;
  *list = NULL;
  state_call_begin(&call, state, STATE_SCRIPT_hash_all);
  state_call_keys(&call, "intents", NULL);
  redisReply *reply = state_call_run(&call, error);
  if (!reply) return -1;
  json_t *all = state_reply_rows(reply, 0, 2, error) ? NULL : json_array();
  for (size_t i = 0; all && i < reply->elements; i += 2) {
    json_t *intent = state_record(reply->element[i + 1], error);
    json_t *row = intent ? json_pack("{s:s, s:o}", "subject", reply->element[i]->str, "intent", intent) : NULL;
    if (row && !json_array_append_new(all, row)) continue;
    if (intent) error_set(error, ERROR_FATAL, "memory", "out of memory");
    json_decref(all);
    all = NULL;
  }
  freeReplyObject(reply);
  *list = all;
  return all ? 0 : -1;
}
