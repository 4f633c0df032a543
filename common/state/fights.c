/* Fights: a resource that somebody sets wrong again after every fix.  Each verified fix is a round; the caller decides
 * how many of them, by whom, are a fight. */
#include "json/value.h"
#include "state/state_internal.h"

#define MOST_ROUNDS 32
#define MOST_FIGHTS 10000
#define LONGEST_WINDOW_MS ((int64_t)7 * 86400000)
#define FIGHT_LIFE_MS ((int64_t)7 * 86400000)

int state_fight_round(struct state *state, const char *subject, const char *action, json_t *round, int64_t window_ms,
                      struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_fight_round);
  state_call_key(&call, "rounds:", subject);
  state_call_id(&call, "an action's id", action);
  state_call_json(&call, round);
  state_call_range(&call, "a fight's window", window_ms, 1, LONGEST_WINDOW_MS);
  state_call_number(&call, MOST_ROUNDS);
  return state_call_done(&call, error);
}

/* Rows of {name, when, record} as records with both added; name NULL: rows of {when, record}. */
static json_t *fights_of(const redisReply *reply, const char *name, struct error *error) {
  size_t columns = name ? 3 : 2;
  if (state_reply_rows(reply, 0, columns, error)) return NULL;
  json_t *list = json_array();
  for (size_t i = 0; list && i < reply->elements; i += columns) {
    redisReply *const *row = reply->element + i + columns - 2;
    json_t *record = state_record(row[1], error);
    int failed = !record || json_object_set_new(record, "at", json_integer((json_int_t)state_reply_number(row[0])));
    if (!failed && name) failed = json_object_set_new(record, name, json_string(reply->element[i]->str));
    if (!failed && json_array_append(list, record) == 0) {
      json_decref(record);
      continue;
    }
    if (record) error_set(error, ERROR_FATAL, "record", "a fight's record in Redis was not written by Parapet");
    json_decref(record);
    json_decref(list);
    return NULL;
  }
  return list;
}

static int run_list(struct state_call *call, const char *name, json_t **list, struct error *error) {
  redisReply *reply = state_call_run(call, error);
  *list = reply ? fights_of(reply, name, error) : NULL;
  freeReplyObject(reply);
  return *list ? 0 : -1;
}

int state_fight_rounds(struct state *state, const char *subject, int64_t window_ms, json_t **rounds,
                       struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_fight_rounds);
  state_call_key(&call, "rounds:", subject);
  state_call_range(&call, "a fight's window", window_ms, 1, LONGEST_WINDOW_MS);
  return run_list(&call, NULL, rounds, error);
}

int state_fight_declare(struct state *state, const char *subject, json_t *fight, struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_fight_declare);
  state_call_keys(&call, "fights", "fights:records", NULL);
  state_call_id(&call, "a fight's subject", subject);
  state_call_json(&call, fight);
  state_call_number(&call, FIGHT_LIFE_MS);
  state_call_number(&call, MOST_FIGHTS);
  return state_call_done(&call, error);
}

int state_fight_reset(struct state *state, const char *subject, int *existed, struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_fight_reset);
  state_call_keys(&call, "fights", "fights:records", NULL);
  state_call_key(&call, "rounds:", subject);
  state_call_id(&call, "a fight's subject", subject);
  int result = state_call_flag(&call, error);
  if (existed) *existed = result > 0;
  return result < 0 ? -1 : 0;
}

int state_fights(struct state *state, json_t **list, struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_fight_list);
  state_call_keys(&call, "fights", "fights:records", NULL);
  state_call_number(&call, FIGHT_LIFE_MS);
  state_call_number(&call, STATE_LIST_LIMIT);
  return run_list(&call, "subject", list, error);
}
