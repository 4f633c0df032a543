/* The journal of actions (topic parapet.actions) as a memory: it is written ahead of every mutation, so nothing that
 * was done is missing in it.  A grant that was given and not used any more is; it had no effect. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "bus/topics.h"
#include "fleet/mirror_internal.h"
#include "json/value.h"

enum { READ_MS = 40000, LOCK_EVERY_MS = 5000, MOST_ACTIONS = 1000000 };

/* The scopes that an action counts in: as the worker grants them. */
static json_t *scopes_of(const json_t *record) {
  const char *guardrail = json_text_at(record, "guardrail", NULL), *account = json_text_at(record, "account", NULL);
  if (*json_text_at(record, "undoes", NULL)) return json_pack("[s]", "undo");
  json_t *scopes = json_pack("[s, s]", guardrail, "organization");
  json_array_append_new(scopes, json_sprintf("%s/%s", guardrail, account));
  json_array_append_new(scopes, json_sprintf("account:%s", account));
  return scopes;
}

static json_t *begin_action(const json_t *record) {
  int64_t at = 0;
  if (clock_parse(json_text_at(record, "time", NULL), &at) != 0) return NULL;
  const json_t *open = json_object_get(record, "open");
  json_t *intent = json_is_object(open) ? json_copy((json_t *)open) : NULL;
  if (intent) {
    json_object_set_new(intent, "calls", json_array());
    if (json_object_get(record, "finding")) json_object_set(intent, "finding", json_object_get(record, "finding"));
  }
  return json_pack("{s:I, s:o, s:o?}", "at", (json_int_t)at, "scopes", scopes_of(record), "intent", intent);
}

/* The newest knowledge of a call replaces the older. */
static void note_call(json_t *action, json_t *call) {
  json_t *calls = json_at(action, "intent", "calls", NULL), *known;
  size_t index;
  if (!call || !calls) return;
  json_array_foreach(calls, index, known) {
    if (!json_equal(json_object_get(known, "run"), json_object_get(call, "run"))) continue;
    json_array_set(calls, index, call);
    return;
  }
  json_array_append(calls, call);
}

/* What acted is to be verified yet; what failed or was stopped is at its end. */
static void note_result(json_t *action, json_t *status) {
  const char *word = json_is_string(status) ? json_string_value(status) : "";
  json_t *intent = json_object_get(action, "intent");
  if (strcmp(word, "acted") != 0 && strcmp(word, "resolved") != 0)
    json_object_set_new(action, "ended", json_true());
  else if (json_is_object(intent))
    json_object_set(intent, "status", status);
}

int mirror_note_action(json_t *actions, const json_t *record) {
  const char *kind = json_text_at(record, "kind", NULL), *id = json_text_at(record, "action", NULL);
  json_t *action = json_object_get(actions, id);
  if (!*id) return 0;
  if (!action && strcmp(kind, "intent") == 0) {
    if (json_object_size(actions) >= MOST_ACTIONS) return -1;
    action = begin_action(record);
    if (action) json_object_set_new(actions, id, action);
  }
  if (!action) return 0; /* it began before the window */
  if (strcmp(kind, "result") == 0)
    note_result(action, json_object_get(record, "status"));
  else if (strcmp(kind, "verified") == 0)
    json_object_set_new(action, "ended", json_string("verified"));
  else
    note_call(action, json_object_get(record, "call"));
  return 0;
}

struct reading {
  struct state *state;
  json_t *actions;
  int64_t lock_again; /* monotonic: the rebuild lock is prolonged then */
  int too_many, lost;
};

static int each_record(const char *key, size_t key_length, const char *value, size_t length, void *argument) {
  struct reading *reading = argument;
  (void)key, (void)key_length;
  json_t *record = value ? json_parse(value, length, NULL) : NULL;
  reading->too_many = mirror_note_action(reading->actions, record) != 0;
  json_decref(record);
  if (clock_monotonic_ms() >= reading->lock_again) {
    reading->lock_again = clock_monotonic_ms() + LOCK_EVERY_MS;
    reading->lost = state_epoch_join(reading->state, NULL) != 0;
  }
  return reading->too_many || reading->lost;
}

/* Is it told when an action's effect was verified?  A journal of before that was the custom does not say, and what
 * acted is taken for verified then. */
static int tells_verified(json_t *actions) {
  const char *id;
  json_t *action;
  json_object_foreach(actions, id, action) if (json_is_string(json_object_get(action, "ended"))) return 1;
  return 0;
}

/* Its index in Redis may be there; what the journal says of it is as new. */
static int put_intent(struct state *state, json_t *action, int verified, struct error *error) {
  json_t *intent = json_object_get(action, "intent");
  if (!json_is_object(intent) || json_object_get(action, "ended")) return 0;
  if (json_object_get(intent, "status") && !verified) return 0;
  return state_rebuild(state, "intent", json_text_at(intent, "subject", NULL), intent, error);
}

static int put_back(struct state *state, json_t *actions, struct error *error) {
  const char *id;
  json_t *action;
  int open = 0, verified = tells_verified(actions);
  json_object_foreach(actions, id, action) {
    struct error why = {0};
    int result = state_rebuild(state, "grant", id, action, &why);
    if (result == 0) result = put_intent(state, action, verified, &why);
    if (result != 0 && why.class != ERROR_INVALID) {
      if (error) *error = why;
      return -1;
    }
    if (result != 0) log_warn("a record of the journal was passed over", LOG_TEXT("action", id), LOG_ERROR(&why));
    open += !json_object_get(action, "ended");
  }
  log_info("the breakers' windows were put back from the journal", LOG_INT("actions", json_object_size(actions)),
           LOG_INT("open", open));
  return 0;
}

int mirror_actions(const struct bus_options *bus, struct state *state, int64_t window_ms, struct error *error) {
  struct error why = {0};
  struct reading reading = {
      .state = state, .actions = json_object(), .lock_again = clock_monotonic_ms() + LOCK_EVERY_MS};
  int result =
      bus_read_since(bus, BUS_TOPIC_ACTIONS, clock_wall_ms() - window_ms, READ_MS, each_record, &reading, &why);
  if (reading.too_many)
    error_set(&why, ERROR_FATAL, "Journal", "the journal holds more than %d actions within the windows", MOST_ACTIONS);
  if (reading.lost) error_set(&why, ERROR_RETRYABLE, "rebuilding", "the rebuild lock was lost");
  if (result != 0 && why.class == ERROR_MISSING) result = 0; /* nobody wrote it yet */
  if (result != 0 && error) *error = why;
  if (result == 0) result = put_back(state, reading.actions, error);
  json_decref(reading.actions);
  return result;
}
