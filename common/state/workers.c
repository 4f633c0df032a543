#include <string.h>

#include "json/value.h"
#include "state/state_internal.h"

#define MOST_COUNTERS 10000
#define MOST_WORKERS 10000
#define LONGEST_NAME 128

int state_heartbeat(struct state *state, json_t *worker, int64_t ttl_ms, struct error *error) {
  const char *owner = json_text_at(worker, "owner", NULL);
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_heartbeat);
  state_call_keys(&call, "workers", "workers:expire", NULL);
  state_call_id(&call, "a worker's owner", *owner ? owner : state->owner);
  state_call_json(&call, worker);
  state_call_range(&call, "a heartbeat's time", ttl_ms, 1, (int64_t)86400000);
  state_call_number(&call, MOST_WORKERS);
  return state_call_done(&call, error);
}

int state_workers(struct state *state, json_t **list, struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_workers);
  state_call_keys(&call, "workers", "workers:expire", NULL);
  return state_call_records(&call, list, error);
}

int state_count(struct state *state, const char *name, int64_t by, struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_count);
  state_call_keys(&call, "counters", NULL);
  if (name && strlen(name) > LONGEST_NAME)
    state_call_invalid(&call, "a counter's name must not be longer than %d bytes", LONGEST_NAME);
  state_call_id(&call, "a counter's name", name);
  state_call_number(&call, by);
  state_call_number(&call, MOST_COUNTERS);
  return state_call_done(&call, error);
}

int state_counters(struct state *state, json_t **counters, struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_hash_all);
  state_call_keys(&call, "counters", NULL);
  return state_call_numbers(&call, counters, error);
}
