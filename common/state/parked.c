#include <stdio.h>
#include <string.h>

#include "json/value.h"
#include "state/state_internal.h"

#define MOST_PARKED 1000000
#define RELEASED_A_CALL 500
#define LONGEST_HOLD_MS ((int64_t)86400000)
#define LATEST_DUE_MS ((int64_t)1 << 52)

static void parked_keys(struct state_call *call) {
  state_call_keys(call, "parked", "parked:units", "parked:released", "parked:takes", NULL);
}

static int park(struct state *state, const char *subject, json_t *unit, int64_t due_ms, const char *kind,
                struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_park);
  parked_keys(&call);
  state_call_id(&call, "a parked unit's subject", subject);
  state_call_json(&call, unit);
  state_call_range(&call, "a parked unit's due time", due_ms, 0, LATEST_DUE_MS);
  state_call_number(&call, MOST_PARKED);
  state_call_text(&call, kind);
  return state_call_done(&call, error);
}

int state_park(struct state *state, const char *subject, json_t *unit, int64_t due_ms, struct error *error) {
  return park(state, subject, unit, due_ms, "", error);
}

int state_park_begun(struct state *state, const char *subject, json_t *unit, int64_t due_ms, struct error *error) {
  return park(state, subject, unit, due_ms, "begun", error);
}

static int unpark(struct state *state, const char *subject, enum state_guard guard, int always, struct error *error) {
  struct state_call call;
  state_call_begin_guarded(&call, state, STATE_SCRIPT_unpark, guard);
  parked_keys(&call);
  state_call_id(&call, "a parked unit's subject", subject);
  state_call_number(&call, always);
  return state_call_done(&call, error);
}

int state_unpark(struct state *state, const char *subject, struct error *error) {
  return unpark(state, subject, STATE_GUARD_EPOCH, 0, error);
}

/* value: {unit, due, released} as state_parked lists it. */
int state_parked_store(struct state *state, const char *id, const json_t *value, enum state_guard guard,
                       struct error *error) {
  if (!value) return unpark(state, id, guard, 1, error);
  struct state_call call;
  state_call_begin_guarded(&call, state, STATE_SCRIPT_park, guard);
  parked_keys(&call);
  state_call_id(&call, "a parked unit's subject", id);
  state_call_json(&call, json_object_get(value, "unit"));
  state_call_range(&call, "a parked unit's due time", json_integer_value(json_object_get(value, "due")), 0,
                   LATEST_DUE_MS);
  state_call_number(&call, MOST_PARKED);
  state_call_text(&call, json_is_true(json_object_get(value, "released")) ? "released" : "waiting");
  return state_call_done(&call, error);
}

/* ---- releasing ---- */

/* What a scope says about the subjects it means; "" means any. */
struct release {
  char guardrail[STATE_SCOPE_BYTES + 1], account[STATE_SCOPE_BYTES + 1];
  double step_ms;
  int64_t base, done, skipped; /* the first one's due time; how many got one; how many of the waiting are others' */
  int64_t most;
  int paid; /* the breakers' windows do not count them */
};

static int parse_scope(struct release *release, const char *scope, struct error *error) {
  if (!scope || !*scope || strlen(scope) > STATE_SCOPE_BYTES)
    return error_set(error, ERROR_INVALID, "argument", "a scope must have 1 to %d bytes", STATE_SCOPE_BYTES);
  if (!strcmp(scope, "organization")) return 0;
  if (!strncmp(scope, "account:", 8)) {
    snprintf(release->account, sizeof release->account, "%s", scope + 8);
    return 0;
  }
  size_t guardrail = strcspn(scope, "/");
  snprintf(release->guardrail, sizeof release->guardrail, "%.*s", (int)guardrail, scope);
  if (scope[guardrail]) snprintf(release->account, sizeof release->account, "%s", scope + guardrail + 1);
  return 0;
}

/* One page of the waiting ones, so that no call of the script is long.  1: there may be more, 0: done, -1: error. */
static int release_page(struct state *state, struct release *release, struct error *error) {
  char step[32];
  snprintf(step, sizeof step, "%.6f", release->step_ms);
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_parked_release);
  parked_keys(&call);
  state_call_text(&call, release->guardrail);
  state_call_text(&call, release->account);
  state_call_number(&call, release->base);
  state_call_text(&call, step);
  state_call_number(&call, release->done);
  state_call_number(&call, release->skipped);
  state_call_number(&call, RELEASED_A_CALL);
  state_call_number(&call, release->most);
  state_call_number(&call, release->paid);
  redisReply *reply = state_call_run(&call, error);
  if (!reply) return -1;
  int result = state_reply_shape(reply, "iiii", error);
  if (!result) {
    release->base = reply->element[0]->integer;
    release->done = reply->element[1]->integer;
    release->skipped = reply->element[2]->integer;
    result = reply->element[3]->integer != 0;
  }
  freeReplyObject(reply);
  return result;
}

static int release_all(struct state *state, const char *scope, double pace, struct release release, int64_t *count,
                       struct error *error) {
  if (count) *count = 0;
  if (!(pace >= 0.001 && pace <= 100000))
    return error_set(error, ERROR_INVALID, "argument", "a pace must be from 0.001 to 100000 a second");
  if (parse_scope(&release, scope, error)) return -1;
  release.step_ms = 1000 / pace;
  int more = 1;
  while (more > 0) more = release_page(state, &release, error);
  if (count) *count = release.done;
  return more;
}

int state_parked_release(struct state *state, const char *scope, double pace, int64_t *count, struct error *error) {
  return release_all(state, scope, pace, (struct release){.most = MOST_PARKED, .paid = 1}, count, error);
}

int state_parked_return(struct state *state, const char *scope, double pace, int64_t most, int64_t *count,
                        struct error *error) {
  return release_all(state, scope, pace, (struct release){.most = most}, count, error);
}

/* ---- taking and listing ---- */

/* Rows of {subject, unit, released (, due)} as a JSON array; NULL with *error. */
static json_t *entries_of(const redisReply *reply, size_t skip, size_t columns, struct error *error) {
  if (state_reply_rows(reply, skip, columns, error)) return NULL;
  json_t *list = json_array();
  for (size_t i = skip; list && i < reply->elements; i += columns) {
    redisReply *const *row = reply->element + i;
    json_t *unit = state_record(row[1], error);
    json_t *entry =
        unit ? json_pack("{s:s, s:o, s:b}", "subject", row[0]->str, "unit", unit, "released", row[2]->str[0] == '1')
             : NULL;
    if (entry && columns == 4) json_object_set_new(entry, "due", json_integer((json_int_t)state_reply_number(row[3])));
    if (entry && !json_array_append_new(list, entry)) continue;
    if (unit) error_set(error, ERROR_FATAL, "memory", "out of memory");
    json_decref(list);
    return NULL;
  }
  return list;
}

int state_parked_take(struct state *state, size_t limit, int64_t hold_ms, json_t **entries, struct error *error) {
  struct state_call call;
  *entries = NULL;
  state_call_begin(&call, state, STATE_SCRIPT_parked_take);
  parked_keys(&call);
  state_call_number(&call, limit < 1000 ? (int64_t)limit : 1000);
  state_call_range(&call, "a hold", hold_ms, 1, LONGEST_HOLD_MS);
  redisReply *reply = state_call_run(&call, error);
  if (!reply) return -1;
  *entries = entries_of(reply, 0, 3, error);
  freeReplyObject(reply);
  return *entries ? 0 : -1;
}

int state_parked(struct state *state, json_t **list, size_t limit, int64_t *total, struct error *error) {
  struct state_call call;
  if (list) *list = NULL;
  state_call_begin(&call, state, STATE_SCRIPT_parked_list);
  parked_keys(&call);
  state_call_number(&call, limit < STATE_LIST_LIMIT ? (int64_t)limit : STATE_LIST_LIMIT);
  redisReply *reply = state_call_run(&call, error);
  if (!reply) return -1;
  json_t *entries = entries_of(reply, 1, 4, error);
  if (entries && total) *total = state_reply_number(reply->element[0]);
  freeReplyObject(reply);
  if (!entries) return -1;
  if (list)
    *list = entries;
  else
    json_decref(entries);
  return 0;
}
