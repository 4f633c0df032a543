#include <stdio.h>
#include <string.h>

#include "json/value.h"
#include "state/state_internal.h"

#define MOST_SCOPES 8
#define MOST_ACTIONS 1000000
#define LONGEST_WINDOW_MS ((int64_t)31 * 86400000)
#define MOST_OUTCOMES 100
#define MOST_PROBES 100
#define MOST_POPULATIONS 1000000
#define SCOPES_A_READ 32

void state_call_scope(struct state_call *call, const char *kind, const char *scope) {
  if (scope && strlen(scope) <= STATE_SCOPE_BYTES)
    state_call_key(call, kind, scope);
  else
    state_call_invalid(call, "a breaker's scope must have 1 to %d bytes", STATE_SCOPE_BYTES);
}

static void scope_keys(struct state_call *call, const char *scope, const char *second) {
  state_call_scope(call, "breaker:", scope);
  if (second) state_call_scope(call, second, scope);
}

/* ---- asking ---- */

int64_t state_grants_seen(struct state *state, uint64_t generation) {
  pthread_mutex_lock(&state->lock);
  int64_t seen = state->generation == generation ? state->grants : 0;
  pthread_mutex_unlock(&state->lock);
  return seen;
}

void state_grants_note(struct state *state, uint64_t generation, int64_t serial) {
  pthread_mutex_lock(&state->lock);
  if (state->generation == generation && state->grants < serial) state->grants = serial;
  pthread_mutex_unlock(&state->lock);
}

struct grant_answer {
  enum state_grant answer;
  int tripped;
};

static void add_limit(struct state_call *call, const struct state_limit *limit) {
  const char *scope = limit->scope ? limit->scope : "", *population = limit->population ? limit->population : "";
  int limited = limit->actions != 0 || limit->share != 0;
  scope_keys(call, limit->scope, "window:");
  state_call_text(call, scope);
  state_call_range(call, "a breaker's limit", limit->actions, 0, MOST_ACTIONS);
  state_call_range(call, "a breaker's window", limit->window_ms, limited ? 1 : 0, LONGEST_WINDOW_MS);
  state_call_text(call, population);
  state_call_range(call, "a breaker's share", limit->share, 0, 10000);
  state_call_range(call, "a share's least", limit->least, limit->share ? 1 : 0, MOST_ACTIONS);
  if (limit->share && !*population) state_call_invalid(call, "a share needs a population");
}

/* mode: "grant" or "released" */
static int ask(struct state *state, const struct state_limit *limits, size_t count, const char *action,
               const char *mode, struct grant_answer *answer, char *refusing, struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_breaker_grant);
  state_call_keys(&call, "stop", "breakers", "grants", "population", NULL);
  state_call_id(&call, "an action's id", action);
  state_call_text(&call, mode);
  state_call_number(&call, state_grants_seen(state, call.generation));
  if (!count || count > MOST_SCOPES) state_call_invalid(&call, "an action has 1 to %d scopes", MOST_SCOPES);
  for (size_t i = 0; i < count && i < MOST_SCOPES; i++) add_limit(&call, &limits[i]);
  uint64_t generation = call.generation;
  redisReply *reply = state_call_run(&call, error);
  if (!reply) return -1;
  int failed = state_reply_shape(reply, "isii", error);
  if (!failed) {
    answer->answer = (enum state_grant)reply->element[0]->integer;
    answer->tripped = reply->element[2]->integer != 0;
    snprintf(refusing, STATE_SCOPE_BYTES + 1, "%s", reply->element[1]->str);
    state_grants_note(state, generation, reply->element[3]->integer);
  }
  freeReplyObject(reply);
  return failed;
}

int state_breaker_grant(struct state *state, const struct state_limit *limits, size_t count, const char *action,
                        int released, enum state_grant *answer, char *refusing, int *tripped, struct error *error) {
  struct grant_answer result = {.answer = STATE_REFUSED_STOP};
  refusing[0] = '\0';
  int failed = ask(state, limits, count, action, released ? "released" : "grant", &result, refusing, error);
  *answer = result.answer; /* a caller that overlooks the -1 still reads a refusal */
  if (tripped) *tripped = result.tripped;
  return failed;
}

/* ---- how actions end ---- */

static json_t *changes_of(const redisReply *reply, struct error *error) {
  if (state_reply_rows(reply, 0, 5, error)) return NULL;
  json_t *list = json_array();
  for (size_t i = 0; list && i < reply->elements; i += 5) {
    redisReply *const *row = reply->element + i;
    json_t *change = json_pack("{s:s, s:s, s:s%, s:I, s:I}", "scope", row[0]->str, "state", row[1]->str, "reason",
                               row[2]->str, row[2]->len, "limit", (json_int_t)state_reply_number(row[3]), "window_ms",
                               (json_int_t)state_reply_number(row[4]));
    if (json_array_append_new(list, change) == 0) continue;
    json_decref(list);
    list = NULL;
  }
  if (!list) error_set(error, ERROR_FATAL, "memory", "out of memory");
  return list;
}

int state_breaker_outcome(struct state *state, const struct state_limit *limits, size_t count, const char *action,
                          int failed, json_t **changes, struct error *error) {
  struct state_call call;
  *changes = NULL;
  state_call_begin(&call, state, STATE_SCRIPT_breaker_outcome);
  state_call_keys(&call, "breakers", NULL);
  state_call_id(&call, "an action's id", action);
  state_call_number(&call, failed != 0);
  if (!count || count > MOST_SCOPES) state_call_invalid(&call, "an action has 1 to %d scopes", MOST_SCOPES);
  for (size_t i = 0; i < count && i < MOST_SCOPES; i++) {
    int64_t failures = limits[i].failures;
    scope_keys(&call, limits[i].scope, "outcomes:");
    state_call_text(&call, limits[i].scope ? limits[i].scope : "");
    state_call_range(&call, "a number of failures", failures, 0, MOST_OUTCOMES);
    state_call_range(&call, "a number of outcomes", limits[i].failures_of, failures ? failures : 0, MOST_OUTCOMES);
  }
  redisReply *reply = state_call_run(&call, error);
  if (!reply) return -1;
  *changes = changes_of(reply, error);
  freeReplyObject(reply);
  return *changes ? 0 : -1;
}

int state_population(struct state *state, const char *account, const char *region, const char *type, int64_t resources,
                     struct error *error) {
  char field[STATE_SCOPE_BYTES * 2];
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_population);
  state_call_keys(&call, "population", NULL);
  state_call_key(&call, "population:", account);
  if (snprintf(field, sizeof field, "%s|%s", region, type) >= (int)sizeof field)
    state_call_invalid(&call, "a population's Region and type are too long");
  state_call_id(&call, "a population's account", account);
  state_call_text(&call, field);
  state_call_id(&call, "a population's type", type);
  state_call_range(&call, "a number of resources", resources, 0, (int64_t)1 << 40);
  state_call_number(&call, MOST_POPULATIONS);
  return state_call_done(&call, error);
}

/* ---- the operator ---- */

int state_breaker_probe(struct state *state, const char *scope, int64_t probes, int64_t cooldown_ms, const char *by,
                        struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_breaker_probe);
  state_call_keys(&call, "breakers", NULL);
  scope_keys(&call, scope, NULL);
  state_call_text(&call, scope ? scope : "");
  state_call_range(&call, "a number of probes", probes, 1, MOST_PROBES);
  state_call_range(&call, "a cooldown", cooldown_ms, -1, LONGEST_WINDOW_MS);
  state_call_text(&call, by ? by : "");
  return state_call_flag(&call, error);
}

int state_breaker_set(struct state *state, const char *scope, const char *verb, const char *by, const char *reason,
                      struct error *error) {
  static const struct { const char *verb, *state; } verbs[] = {{"trip", "open"}, {"hold", "held"}, {"reset", "closed"}};
  const char *wanted = NULL;
  for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
    if (!strcmp(verb, verbs[i].verb)) wanted = verbs[i].state;
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_breaker_set);
  if (!wanted) state_call_invalid(&call, "a breaker's verb is trip, hold or reset, not %.32s", verb);
  state_call_keys(&call, "breakers", NULL);
  scope_keys(&call, scope, "window:");
  if (scope) state_call_key(&call, "outcomes:", scope);
  state_call_text(&call, scope ? scope : "");
  state_call_text(&call, wanted ? wanted : "");
  state_call_text(&call, by ? by : "");
  state_call_text(&call, reason ? reason : "");
  return state_call_done(&call, error);
}

/* ---- listing ---- */

/* {scope, state, count, limit, window_ms, opened, by, reason} of one row; NULL when out of memory. */
static json_t *breaker_record(redisReply *const *row) {
  return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:s%, s:s%}", "scope", row[0]->str, "state", row[1]->str, "count",
                   (json_int_t)state_reply_number(row[2]), "limit", (json_int_t)state_reply_number(row[3]), "window_ms",
                   (json_int_t)state_reply_number(row[4]), "opened", (json_int_t)state_reply_number(row[5]), "by",
                   row[6]->str, row[6]->len, "reason", row[7]->str, row[7]->len);
}

static int read_scopes(struct state *state, redisReply *const *scopes, size_t count, json_t *list,
                       struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_breaker_read);
  state_call_keys(&call, "breakers", NULL);
  for (size_t i = 0; i < count; i++) {
    scope_keys(&call, scopes[i]->str, "window:");
    state_call_text(&call, scopes[i]->str);
  }
  redisReply *reply = state_call_run(&call, error);
  if (!reply) return -1;
  int failed = state_reply_rows(reply, 0, 8, error);
  for (size_t i = 0; !failed && i < reply->elements; i += 8)
    if (json_array_append_new(list, breaker_record(reply->element + i)))
      failed = error_set(error, ERROR_FATAL, "record", "a breaker's record in Redis cannot be read");
  freeReplyObject(reply);
  return failed;
}

int state_breakers(struct state *state, json_t **list, struct error *error) {
  struct state_call call;
  *list = NULL;
  state_call_begin(&call, state, STATE_SCRIPT_breaker_scopes);
  state_call_keys(&call, "breakers", NULL);
  state_call_number(&call, STATE_LIST_LIMIT);
  redisReply *reply = state_call_run(&call, error);
  if (!reply) return -1;
  int failed = state_reply_rows(reply, 0, 1, error);
  json_t *all = failed ? NULL : json_array();
  if (!failed && !all) failed = error_set(error, ERROR_FATAL, "memory", "out of memory");
  for (size_t i = 0; !failed && i < reply->elements; i += SCOPES_A_READ) {
    size_t count = reply->elements - i < SCOPES_A_READ ? reply->elements - i : SCOPES_A_READ;
    failed = read_scopes(state, reply->element + i, count, all, error);
  }
  freeReplyObject(reply);
  if (failed) {
    json_decref(all);
    return -1;
  }
  *list = all;
  return 0;
}

/* ---- rebuilding: the record as state_breakers gives it ---- */

int state_breaker_store(struct state *state, const char *id, const json_t *value, enum state_guard guard,
                        struct error *error) {
  static const char *const numbers[] = {"opened", "limit", "window_ms"};
  struct state_call call;
  state_call_begin_guarded(&call, state, STATE_SCRIPT_breaker_put, guard);
  state_call_keys(&call, "breakers", NULL);
  scope_keys(&call, id, "window:");
  state_call_text(&call, id ? id : "");
  const char *name = value ? json_text_at(value, "state", NULL) : "";
  if (value && strcmp(name, "open") && strcmp(name, "held") && strcmp(name, "closed") && strcmp(name, "half-open"))
    state_call_invalid(&call, "a breaker's state is closed, open, held or half-open, not %.32s", name);
  state_call_text(&call, strcmp(name, "half-open") ? name : "open"); /* its probes are not in the record */
  state_call_text(&call, value ? json_text_at(value, "by", NULL) : "");
  state_call_text(&call, value ? json_text_at(value, "reason", NULL) : "");
  for (size_t i = 0; i < 3; i++)
    state_call_range(&call, numbers[i], json_integer_value(json_object_get(value, numbers[i])), 0, (int64_t)1 << 52);
  return state_call_done(&call, error);
}

/* {at, scopes: […]}: an action that was granted then. */
int state_grant_store(struct state *state, const char *id, const json_t *value, enum state_guard guard,
                      struct error *error) {
  struct state_call call;
  const json_t *scopes = json_object_get(value, "scopes");
  size_t count = json_array_size(scopes);
  state_call_begin_guarded(&call, state, STATE_SCRIPT_window_put, guard);
  if (!count || count > MOST_SCOPES) state_call_invalid(&call, "an action has 1 to %d scopes", MOST_SCOPES);
  for (size_t i = 0; i < count && i < MOST_SCOPES; i++)
    state_call_scope(&call, "window:", json_string_value(json_array_get(scopes, i)));
  state_call_id(&call, "an action's id", id);
  state_call_range(&call, "a grant's time", json_integer_value(json_object_get(value, "at")), 1, (int64_t)1 << 52);
  state_call_number(&call, LONGEST_WINDOW_MS);
  return state_call_done(&call, error);
}
