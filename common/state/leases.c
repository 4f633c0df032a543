#include <stdio.h>
#include <string.h>

#include "state/state_internal.h"

#define LONGEST_LEASE_MS ((int64_t)86400000)

static void lease_key(struct state_call *call, const char *resource) {
  if (resource && strlen(resource) >= sizeof((struct state_lease *)0)->resource)
    state_call_invalid(call, "a leased resource's name must be shorter than 512 bytes");
  state_call_key(call, "lease:", resource);
}

int state_lease_take(struct state *state, const char *resource, int64_t ttl_ms, struct state_lease *lease,
                     struct error *error) {
  struct state_call call;
  int64_t token = 0;
  memset(lease, 0, sizeof *lease);
  state_call_begin(&call, state, STATE_SCRIPT_lease_take);
  lease_key(&call, resource);
  state_call_keys(&call, "leases:token", NULL);
  state_call_text(&call, state->owner);
  state_call_range(&call, "a lease's time", ttl_ms, 1, LONGEST_LEASE_MS);
  uint64_t generation = call.generation;
  if (state_call_integer(&call, &token, error)) return -1;
  if (!token) return 0;
  snprintf(lease->resource, sizeof lease->resource, "%s", resource);
  lease->generation = generation;
  lease->token = token;
  return 1;
}

/* Taken under another epoch, and so was the breaker's grant behind it, which nobody may have counted. */
static int void_lease(struct state *state, const struct state_lease *lease, char *why, struct error *error) {
  snprintf(why, 32, "lease");
  return state_lease_drop(state, lease, error);
}

int state_may_mutate(struct state *state, const struct state_lease *lease, int64_t ttl_ms, char *why,
                     struct error *error) {
  struct state_call call;
  why[0] = '\0';
  state_call_begin(&call, state, STATE_SCRIPT_may_mutate);
  if (call.generation != lease->generation) return void_lease(state, lease, why, error);
  state_call_keys(&call, "stop", NULL);
  lease_key(&call, lease->resource);
  state_call_text(&call, state->owner);
  state_call_number(&call, lease->token);
  state_call_range(&call, "a lease's time", ttl_ms, 1, LONGEST_LEASE_MS);
  redisReply *reply = state_call_run(&call, error);
  if (!reply) return -1;
  int result = -1;
  if (reply->type == REDIS_REPLY_STRING) {
    snprintf(why, 32, "%s", reply->str);
    result = !*why;
  } else {
    state_reply_unexpected(error);
  }
  freeReplyObject(reply);
  return result;
}

int state_lease_drop(struct state *state, const struct state_lease *lease, struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_lease_drop);
  lease_key(&call, lease->resource);
  state_call_text(&call, state->owner);
  state_call_number(&call, lease->token);
  return state_call_done(&call, error);
}
