/* The index of what was done, so that an operator finds it and an undo need not read the topic; and the commands of
 * operators. */
#include <stdlib.h>
#include <string.h>

#include "state/state_internal.h"

#define MOST_ACTIONS 20000
#define IMAGES_BYTES ((size_t)1 << 18) /* larger ones stay in the topic alone */

static void action_keys(struct state_call *call) {
  state_call_keys(call, "actions", "actions:records", "actions:images", NULL);
}

static int fits(json_t *images) {
  char *text = images ? json_text(images) : NULL;
  int small = text && strlen(text) <= IMAGES_BYTES;
  free(text);
  return small;
}

int state_action_put(struct state *state, json_t *action, json_t *images, struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_action_put);
  action_keys(&call);
  state_call_id(&call, "an action's id", json_string_value(json_object_get(action, "action")));
  state_call_json(&call, action);
  if (fits(images))
    state_call_json(&call, images);
  else
    state_call_text(&call, "");
  state_call_number(&call, MOST_ACTIONS);
  return state_call_done(&call, error);
}

static int get_part(struct state *state, const char *part, const char *id, json_t **value, struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_hash_get);
  state_call_keys(&call, part, NULL);
  state_call_id(&call, "an action's id", id);
  return state_call_record(&call, value, error);
}

int state_action_get(struct state *state, const char *id, json_t **action, json_t **images, struct error *error) {
  if (images) *images = NULL;
  if (get_part(state, "actions:records", id, action, error) != 0) return -1;
  if (!*action || !images || get_part(state, "actions:images", id, images, error) == 0) return 0;
  json_decref(*action);
  *action = NULL;
  return -1;
}

int state_actions(struct state *state, int64_t since_ms, int64_t until_ms, size_t limit, json_t **list,
                  int64_t *oldest_ms, struct error *error) {
  struct state_call call;
  *list = NULL;
  state_call_begin(&call, state, STATE_SCRIPT_action_list);
  action_keys(&call);
  state_call_number(&call, since_ms);
  state_call_number(&call, until_ms);
  state_call_number(&call, limit < STATE_LIST_LIMIT ? (int64_t)limit : STATE_LIST_LIMIT);
  redisReply *reply = state_call_run(&call, error);
  if (!reply) return -1;
  json_t *all = state_reply_rows(reply, 0, 1, error) || reply->elements < 1 ? NULL : json_array();
  if (all && oldest_ms) *oldest_ms = state_reply_number(reply->element[0]);
  for (size_t i = 1; all && i < reply->elements; i++) {
    json_t *record = state_record(reply->element[i], error);
    if (record && !json_array_append_new(all, record)) continue;
    json_decref(all);
    all = NULL;
  }
  freeReplyObject(reply);
  *list = all;
  return all ? 0 : -1;
}

/* ---- names that AWS gave anew to what an undo brought back ---- */
#define RENAMES_MS ((int64_t)30 * 86400000)

int state_renames_put(struct state *state, const char *arn, json_t *renames, struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_set);
  state_call_key(&call, "renames:", arn);
  state_call_json(&call, renames);
  state_call_number(&call, RENAMES_MS);
  return state_call_done(&call, error);
}

static int get_record(struct state *state, const char *kind, const char *id, json_t **value, struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_get);
  state_call_key(&call, kind, id);
  return state_call_record(&call, value, error);
}

int state_renames_get(struct state *state, const char *arn, json_t **renames, struct error *error) {
  return get_record(state, "renames:", arn, renames, error);
}

/* ---- commands ---- */
int state_command_begin(struct state *state, const char *id, json_t *record, int64_t made_ms, int64_t ttl_ms,
                        struct error *error) {
  struct state_call call;
  int64_t answer = 0;
  state_call_begin(&call, state, STATE_SCRIPT_command_begin);
  state_call_key(&call, "command:", id);
  state_call_keys(&call, "epoch:since", NULL);
  state_call_json(&call, record);
  state_call_range(&call, "a command's time", ttl_ms, 1, STATE_TTL_MS);
  state_call_number(&call, made_ms);
  return state_call_integer(&call, &answer, error) != 0 ? -1 : (int)answer;
}

int state_command_put(struct state *state, const char *id, json_t *record, int64_t ttl_ms, struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_set);
  state_call_key(&call, "command:", id);
  state_call_json(&call, record);
  state_call_range(&call, "a command's time", ttl_ms, 1, STATE_TTL_MS);
  return state_call_done(&call, error);
}

int state_command_get(struct state *state, const char *id, json_t **record, struct error *error) {
  return get_record(state, "command:", id, record, error);
}
