/* The organization's accounts: listed by one worker at a time, read by all. */
#include <string.h>

#include "json/value.h"
#include "state/state_internal.h"

#define LONGEST_WAIT_MS ((int64_t)7 * 86400000)
#define LONGEST_CLAIM_MS ((int64_t)3600000)
#define MOST_BYTES ((size_t)32 << 20)

int state_accounts_claim(struct state *state, const struct state_accounts_pace *pace, struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_accounts_claim);
  state_call_keys(&call, "accounts:list", NULL);
  state_call_text(&call, state->owner);
  state_call_range(&call, "the time between two lists", pace->refresh_ms, 1, LONGEST_WAIT_MS);
  state_call_range(&call, "the time before a hurried list", pace->hurry_ms, 1, LONGEST_WAIT_MS);
  state_call_range(&call, "a claim", pace->claim_ms, 1, LONGEST_CLAIM_MS);
  return state_call_flag(&call, error);
}

/* {id: record's text}: Redis' own JSON would make numbers and empty lists other than they were. */
static char *as_texts(const json_t *members) {
  json_t *texts = json_object(), *member;
  const char *id;
  json_object_foreach((json_t *)members, id, member) {
    char *text = json_text(member);
    json_object_set_new(texts, id, text ? json_string(text) : NULL);
    free(text);
  }
  char *whole = json_object_size(texts) == json_object_size(members) ? json_text(texts) : NULL;
  json_decref(texts);
  return whole;
}

int state_accounts_put(struct state *state, const json_t *members, const char *trouble, struct error *error) {
  struct state_call call;
  char *text = members ? as_texts(members) : strdup("");
  if (!text) return error_set(error, ERROR_FATAL, "memory", "out of memory");
  state_call_begin(&call, state, STATE_SCRIPT_accounts_put);
  state_call_keys(&call, "accounts", "accounts:list", NULL);
  if (members && json_object_size(members) == 0) state_call_invalid(&call, "a list of accounts must not be empty");
  if (strlen(text) > MOST_BYTES) state_call_invalid(&call, "the list of accounts is over %zu bytes", MOST_BYTES);
  state_call_text(&call, state->owner);
  state_call_text(&call, text);
  state_call_text(&call, trouble ? trouble : "");
  free(text);
  return state_call_flag(&call, error);
}

int state_accounts_ask(struct state *state, int64_t *asked_ms, struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_accounts_ask);
  state_call_keys(&call, "accounts:list", NULL);
  return state_call_integer(&call, asked_ms, error);
}

static json_t *read_members(const redisReply *reply, struct error *error) {
  json_t *members = json_object();
  for (size_t i = 2; members && i < reply->elements; i += 2) {
    json_t *record = state_record(reply->element[i + 1], error);
    if (record && json_object_set_new(members, reply->element[i]->str, record) == 0) continue;
    json_decref(members);
    return NULL;
  }
  return members;
}

int state_accounts_get(struct state *state, int64_t *time_ms, json_t **members, char *trouble, size_t size,
                       struct error *error) {
  struct state_call call;
  *members = NULL;
  state_call_begin(&call, state, STATE_SCRIPT_accounts_get);
  state_call_keys(&call, "accounts", "accounts:list", NULL);
  state_call_number(&call, *time_ms);
  redisReply *reply = state_call_run(&call, error);
  if (!reply) return -1;
  int result = reply->type == REDIS_REPLY_ARRAY && reply->elements >= 2 ? state_reply_rows(reply, 0, 2, error)
                                                                        : state_reply_shape(reply, "ss", error);
  if (result == 0 && reply->elements > 2 && !(*members = read_members(reply, error))) result = -1;
  if (result == 0) {
    *time_ms = state_reply_number(reply->element[0]);
    if (trouble) snprintf(trouble, size, "%s", reply->element[1]->str);
  }
  freeReplyObject(reply);
  return result;
}
