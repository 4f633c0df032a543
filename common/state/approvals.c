/* Approvals: one a subject, under its finding's id.  A decision is written only over the request that was read. */
#include <stdlib.h>

#include "state/state_internal.h"

#define MOST_APPROVALS 10000

static int store(struct state *state, const char *id, const json_t *record, const json_t *instead_of,
                 enum state_guard guard, struct error *error) {
  struct state_call call;
  char *before = instead_of ? json_text(instead_of) : NULL;
  state_call_begin_guarded(&call, state, STATE_SCRIPT_approval_put, guard);
  state_call_keys(&call, "approvals", NULL);
  state_call_id(&call, "an approval's finding", id);
  if (record)
    state_call_json(&call, record);
  else
    state_call_text(&call, "");
  state_call_text(&call, before ? before : "");
  state_call_number(&call, MOST_APPROVALS);
  free(before);
  return state_call_flag(&call, error);
}

int state_approval_store(struct state *state, const char *id, const json_t *value, enum state_guard guard,
                         struct error *error) {
  return store(state, id, value, NULL, guard, error) < 0 ? -1 : 0;
}

int state_approval_put(struct state *state, const char *finding, json_t *record, json_t *instead_of,
                       struct error *error) {
  return store(state, finding, record, instead_of, STATE_GUARD_EPOCH, error);
}

int state_approval_get(struct state *state, const char *finding, json_t **record, struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_hash_get);
  state_call_keys(&call, "approvals", NULL);
  state_call_id(&call, "an approval's finding", finding);
  return state_call_record(&call, record, error);
}

int state_approvals(struct state *state, json_t **list, struct error *error) {
  struct state_call call;
  *list = NULL;
  state_call_begin(&call, state, STATE_SCRIPT_hash_all);
  state_call_keys(&call, "approvals", NULL);
  redisReply *reply = state_call_run(&call, error);
  if (!reply) return -1;
  json_t *all = state_reply_rows(reply, 0, 2, error) ? NULL : json_array();
  for (size_t i = 1; all && i < reply->elements; i += 2) {
    json_t *record = state_record(reply->element[i], error);
    if (record && !json_array_append_new(all, record)) continue;
    json_decref(all);
    all = NULL;
  }
  freeReplyObject(reply);
  *list = all;
  return all ? 0 : -1;
}
