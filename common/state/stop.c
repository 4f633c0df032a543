#include "state/state_internal.h"

int state_stop_store(struct state *state, const char *id, const json_t *value, enum state_guard guard,
                     struct error *error) {
  (void)id; /* there is one stop */
  struct state_call call;
  state_call_begin_guarded(&call, state, value ? STATE_SCRIPT_stop_set : STATE_SCRIPT_drop, guard);
  state_call_keys(&call, "stop", NULL);
  if (value) state_call_json(&call, value);
  return state_call_done(&call, error);
}

int state_stop_set(struct state *state, json_t *stop, struct error *error) {
  return state_stop_store(state, "", stop, STATE_GUARD_EPOCH, error);
}

int state_stop_get(struct state *state, json_t **stop, struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_get);
  state_call_keys(&call, "stop", NULL);
  return state_call_record(&call, stop, error);
}
