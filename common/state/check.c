#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "state/state_internal.h"

struct memory_policy {
  char maxmemory[24], policy[32];
};

static int policy_by_info(struct state *state, struct memory_policy *memory, struct error *error) {
  redisReply *reply = state_command(state, "INFO memory", error, "INFO", "memory", NULL);
  if (!reply) return -1;
  state_info_value(reply->str, "maxmemory", memory->maxmemory, sizeof memory->maxmemory);
  state_info_value(reply->str, "maxmemory_policy", memory->policy, sizeof memory->policy);
  freeReplyObject(reply);
  return memory->policy[0] ? 0 : error_set(error, ERROR_FATAL, "maxmemory-policy", "INFO memory tells no policy");
}

int state_check(struct state *state, struct error *error) {
  struct memory_policy memory = {0};
  if (state_pool_follow(&state->pool, clock_monotonic_ms() + state->timeout_ms, error)) return -1;
  if (policy_by_info(state, &memory, error)) return -1;
  int limited = strcmp(memory.maxmemory, "0") != 0;
  if (limited && strcmp(memory.policy, "noeviction"))
    return error_set(error, ERROR_INVALID, "maxmemory-policy",
                     "Redis may drop keys when memory is short (maxmemory-policy %s): set it to noeviction",
                     memory.policy);
  redisReply *reply =
      state_command(state, "SET probe", error, "SET", STATE_PREFIX "probe", state->owner, "PX", "60000", NULL);
  if (!reply) return -1;
  freeReplyObject(reply);
  return 0;
}
