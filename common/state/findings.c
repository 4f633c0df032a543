#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "json/value.h"
#include "state/state_internal.h"

#define MOST_FINDINGS 1000000
#define STATUS_BYTES 31 /* fits the caller's `was` */

static void finding_keys(struct state_call *call) {
  state_call_keys(call, "findings", "findings:records", "findings:status", "findings:by-status", "findings:counts",
                  NULL);
}

/* A status is part of a sorted member: nothing in it may be a separator. */
static void add_status(struct state_call *call, const char *status) {
  size_t length = strlen(status);
  if (!length || length > STATUS_BYTES || strspn(status, "abcdefghijklmnopqrstuvwxyz0123456789-_") != length)
    state_call_invalid(call, "a finding's status is 1 to %d of a-z, 0-9, - and _, not %.40s", STATUS_BYTES, status);
  state_call_text(call, status);
}

static int store(struct state *state, const char *id, const json_t *finding, enum state_guard guard, char *was,
                 struct error *error) {
  struct state_call call;
  state_call_begin_guarded(&call, state, STATE_SCRIPT_finding_put, guard);
  finding_keys(&call);
  state_call_id(&call, "a finding's id", id);
  state_call_json(&call, finding);
  add_status(&call, json_text_at(finding, "status", NULL));
  state_call_number(&call, MOST_FINDINGS);
  redisReply *reply = state_call_run(&call, error);
  if (!reply) return -1;
  int failed = reply->type != REDIS_REPLY_STRING;
  if (failed) error_set(error, ERROR_FATAL, "reply", "Redis gave an answer of an unexpected shape");
  if (!failed && was) snprintf(was, STATUS_BYTES + 1, "%s", reply->str);
  freeReplyObject(reply);
  return failed ? -1 : 0;
}

int state_finding_put(struct state *state, json_t *finding, char *was, struct error *error) {
  if (was) *was = '\0';
  return store(state, json_string_value(json_object_get(finding, "id")), finding, STATE_GUARD_EPOCH, was, error);
}

int state_finding_store(struct state *state, const char *id, const json_t *value, enum state_guard guard,
                        struct error *error) {
  if (value) return store(state, id, value, guard, NULL, error);
  struct state_call call;
  state_call_begin_guarded(&call, state, STATE_SCRIPT_finding_drop, guard);
  finding_keys(&call);
  state_call_id(&call, "a finding's id", id);
  return state_call_done(&call, error);
}

int state_finding_get(struct state *state, const char *id, json_t **finding, struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_hash_get);
  state_call_keys(&call, "findings:records", NULL);
  state_call_id(&call, "a finding's id", id);
  return state_call_record(&call, finding, error);
}

int state_findings(struct state *state, const char *status, size_t limit, json_t **list, struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_finding_list);
  finding_keys(&call);
  state_call_number(&call, limit < STATE_LIST_LIMIT ? (int64_t)limit : STATE_LIST_LIMIT);
  if (status)
    add_status(&call, status);
  else
    state_call_text(&call, "");
  return state_call_records(&call, list, error);
}

int state_finding_counts(struct state *state, json_t **counts, struct error *error) {
  struct state_call call;
  *counts = NULL;
  state_call_begin(&call, state, STATE_SCRIPT_finding_counts);
  finding_keys(&call);
  return state_call_numbers(&call, counts, error);
}
