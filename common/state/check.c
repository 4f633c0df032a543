#include <stdio.h>
#include <string.h>

#include "state/state_internal.h"

/* "name:value\r\n" in INFO's text: the value's beginning, or NULL. */
static const char *info_value(const char *info, const char *name) {
  size_t length = strlen(name);
  for (const char *line = info; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
    if (!strncmp(line, name, length) && line[length] == ':') return line + length + 1;
  return NULL;
}

struct memory_policy {
  char maxmemory[24], policy[32];
};

static void copy_word(char *to, size_t size, const char *from) {
  snprintf(to, size, "%.*s", (int)strcspn(from ? from : "", "\r\n"), from ? from : "");
}

static int policy_by_info(struct state *state, struct memory_policy *memory, struct error *error) {
  redisReply *reply = state_command(state, "INFO memory", error, "INFO", "memory", NULL);
  if (!reply) return -1;
  const char *text = reply->str ? reply->str : ""; /* a bulk string; a verbatim one in RESP3 */
  copy_word(memory->maxmemory, sizeof memory->maxmemory, info_value(text, "maxmemory"));
  copy_word(memory->policy, sizeof memory->policy, info_value(text, "maxmemory_policy"));
  freeReplyObject(reply);
  return memory->policy[0] ? 0 : error_set(error, ERROR_FATAL, "maxmemory-policy", "INFO memory tells no policy");
}

static int config_value(struct state *state, const char *name, char *value, size_t size, struct error *error) {
  redisReply *reply = state_command(state, "CONFIG GET", error, "CONFIG", "GET", name, NULL);
  if (!reply) return -1;
  int failed = state_reply_rows(reply, 0, 2, error) || reply->elements != 2;
  if (!failed) copy_word(value, size, reply->element[1]->str);
  freeReplyObject(reply);
  return failed ? error_set(error, ERROR_FATAL, "maxmemory-policy", "CONFIG GET does not tell %s", name) : 0;
}

/* INFO is allowed where CONFIG is not (managed services), and the other way round where an ACL wants it so. */
static int read_policy(struct state *state, struct memory_policy *memory, struct error *error) {
  struct error first = {0};
  if (!policy_by_info(state, memory, &first)) return 0;
  if (!error_is_transient(&first) &&
      !config_value(state, "maxmemory", memory->maxmemory, sizeof memory->maxmemory, NULL) &&
      !config_value(state, "maxmemory-policy", memory->policy, sizeof memory->policy, NULL))
    return 0;
  if (error) *error = first;
  return -1;
}

int state_check(struct state *state, struct error *error) {
  struct memory_policy memory = {0};
  if (read_policy(state, &memory, error)) return -1;
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
