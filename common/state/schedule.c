#include "state/state_internal.h"

#define LONGEST_CLAIM_MS ((int64_t)86400000)
#define LATEST_TICK_MS ((int64_t)1 << 52)

int state_tick_claim(struct state *state, const char *schedule, int64_t tick_ms, int64_t claim_ms,
                     struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_tick_claim);
  state_call_key(&call, "tick:", schedule);
  state_call_range(&call, "a tick", tick_ms, 0, LATEST_TICK_MS);
  state_call_range(&call, "a claim", claim_ms, 1, LONGEST_CLAIM_MS);
  state_call_text(&call, state->owner);
  state_call_number(&call, STATE_TTL_MS);
  return state_call_flag(&call, error);
}

int state_tick_done(struct state *state, const char *schedule, int64_t tick_ms, struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_tick_done);
  state_call_key(&call, "tick:", schedule);
  state_call_range(&call, "a tick", tick_ms, 0, LATEST_TICK_MS);
  state_call_number(&call, STATE_TTL_MS);
  return state_call_done(&call, error);
}

int state_sweep_begin(struct state *state, const char *subject, int64_t ttl_ms, struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_set_new);
  state_call_key(&call, "sweep:", subject);
  state_call_text(&call, state->owner);
  state_call_range(&call, "a sweep's time", ttl_ms, 1, STATE_TTL_MS);
  return state_call_flag(&call, error);
}

int state_sweep_end(struct state *state, const char *subject, struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_drop);
  state_call_key(&call, "sweep:", subject);
  return state_call_done(&call, error);
}
