#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "json/value.h"
#include "state/state_internal.h"

#define MOST_FINDINGS 1000000

void state_finding_keys(struct state_call *call) {
  state_call_keys(call, "findings", "findings:records", "findings:status", "findings:by-status", "findings:counts",
                  "findings:places", NULL);
}

/* guardrail|account|region|: where a sweep looks for what it did not find any more */
void state_finding_place(struct state_call *call, const char *guardrail, const char *account, const char *region) {
  char place[512];
  int length = snprintf(place, sizeof place, "%s|%s|%s|", guardrail, account, region);
  if (length < 0 || (size_t)length >= sizeof place)
    state_call_invalid(call, "a finding's guardrail, account and Region are too long");
  state_call_text(call, place);
}

int state_finding_counts_as_open(const char *status) {
  static const char *const words[] = {"open", "failed", "parked", "waiting", "excepted", "fought", "shadow"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (!strcmp(words[i], status)) return 1;
  return 0;
}

/* A status is part of a sorted member: nothing in it may be a separator. */
static void add_status(struct state_call *call, const char *status) {
  size_t length = strlen(status);
  if (!length || length > STATE_STATUS_BYTES || strspn(status, "abcdefghijklmnopqrstuvwxyz0123456789-_") != length)
    state_call_invalid(call, "a finding's status is 1 to %d of a-z, 0-9, - and _, not %.40s", STATE_STATUS_BYTES,
                       status);
  state_call_text(call, status);
}

struct condition {
  const char *instead_of; /* the record's text that must be there now, "" for whatever */
  const char *unseen;     /* what must not be among the seen events, "" for nothing */
};
static const struct condition always = {"", ""};

/* 1: written, 0: the condition does not hold, -1: error. */
static int store(struct state *state, const char *id, const json_t *finding, const struct condition *condition,
                 enum state_guard guard, char *was, struct error *error) {
  const char *status = json_text_at(finding, "status", NULL);
  struct state_call call;
  state_call_begin_guarded(&call, state, STATE_SCRIPT_finding_put, guard);
  state_finding_keys(&call);
  if (*condition->unseen) state_call_key(&call, "seen:", condition->unseen);
  state_call_id(&call, "a finding's id", id);
  state_call_json(&call, finding);
  add_status(&call, status);
  state_call_number(&call, MOST_FINDINGS);
  state_finding_place(&call, json_text_at(finding, "guardrail", NULL), json_text_at(finding, "account", NULL),
                      json_text_at(finding, "region", NULL));
  state_call_number(&call, state_finding_counts_as_open(status));
  state_call_text(&call, condition->instead_of);
  redisReply *reply = state_call_run(&call, error);
  if (!reply) return -1;
  int written = reply->type != REDIS_REPLY_NIL;
  if (written && was) snprintf(was, STATE_STATUS_BYTES + 1, "%s", reply->str ? reply->str : "");
  freeReplyObject(reply);
  return written;
}

int state_finding_replace(struct state *state, const json_t *finding, const char *instead_of, int *written,
                          struct error *error) {
  struct condition condition = {instead_of, ""};
  *written = store(state, json_text_at(finding, "id", NULL), finding, &condition, STATE_GUARD_EPOCH, NULL, error);
  return *written < 0 ? -1 : 0;
}

int state_finding_put_unless_seen(struct state *state, json_t *finding, const char *event_id, char *was, int *written,
                                  struct error *error) {
  struct condition condition = {"", event_id};
  if (was) *was = '\0';
  const char *id = json_string_value(json_object_get(finding, "id"));
  *written = store(state, id, finding, &condition, STATE_GUARD_EPOCH, was, error);
  return *written < 0 ? -1 : 0;
}

int state_finding_put(struct state *state, json_t *finding, char *was, struct error *error) {
  int written;
  return state_finding_put_unless_seen(state, finding, "", was, &written, error);
}

int state_finding_store(struct state *state, const char *id, const json_t *value, enum state_guard guard,
                        struct error *error) {
  if (value) return store(state, id, value, &always, guard, NULL, error) < 0 ? -1 : 0;
  struct state_call call;
  state_call_begin_guarded(&call, state, STATE_SCRIPT_finding_drop, guard);
  state_finding_keys(&call);
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
  state_finding_keys(&call);
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
  state_finding_keys(&call);
  return state_call_numbers(&call, counts, error);
}
