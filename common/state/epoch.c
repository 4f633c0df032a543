#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "state/state_internal.h"

/* From here on calls carry this epoch, and what was remembered of another one is void.  Joining the same again keeps
 * it: it is how a Redis that went back in time is noticed. */
static void adopt(struct state *state, const char *epoch) {
  pthread_mutex_lock(&state->lock);
  if (strcmp(state->epoch, epoch)) {
    snprintf(state->epoch, sizeof state->epoch, "%s", epoch);
    state->generation++;
    state->grants = 0;
    state->exceptions_seen = 0;
  }
  pthread_mutex_unlock(&state->lock);
}

static int joined(struct state *state, const redisReply *reply, struct error *error) {
  if (state_reply_shape(reply, "is", error)) return -1;
  const redisReply *epoch = reply->element[1];
  if (reply->element[0]->integer == 0) {
    snprintf(state->rebuild_server, sizeof state->rebuild_server, "%s", epoch->str);
    return 0;
  }
  if (reply->element[0]->integer < 0)
    return error_set(error, ERROR_RETRYABLE, "rebuilding", "another process is rebuilding the state in Redis");
  if (!epoch->len || epoch->len >= STATE_EPOCH_SIZE)
    return error_set(error, ERROR_FATAL, "record", "the epoch in Redis was not written by Parapet");
  adopt(state, epoch->str);
  return 1;
}

int state_epoch_join(struct state *state, struct error *error) {
  struct state_call call;
  state_call_begin_guarded(&call, state, STATE_SCRIPT_epoch_join, STATE_GUARD_REBUILD);
  state_call_keys(&call, "epoch", "rebuild", NULL);
  state_call_text(&call, state->rebuild_token);
  state_call_number(&call, STATE_REBUILD_LOCK_MS);
  call.names_server = 1;
  redisReply *reply = state_call_run(&call, error);
  if (!reply) return -1;
  int result = joined(state, reply, error);
  freeReplyObject(reply);
  return result;
}

int state_epoch_create(struct state *state, struct error *error) {
  uint64_t random[2];
  if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
    return error_set(error, ERROR_FATAL, "random", "the system gives no random bytes");
  char epoch[STATE_EPOCH_SIZE];
  snprintf(epoch, sizeof epoch, "%016" PRIx64 "%016" PRIx64, random[0], random[1]);
  struct state_call call;
  state_call_begin_guarded(&call, state, STATE_SCRIPT_epoch_create, STATE_GUARD_REBUILD);
  state_call_keys(&call, "epoch", "rebuild", "epoch:since", NULL);
  state_call_text(&call, state->rebuild_token);
  state_call_text(&call, epoch);
  state_call_text(&call, state->rebuild_server);
  call.names_server = 1;
  redisReply *reply = state_call_run(&call, error);
  if (!reply) return -1;
  int failed = state_reply_shape(reply, "is", error);
  if (!failed) adopt(state, reply->element[1]->str);
  freeReplyObject(reply);
  return failed;
}

int state_epoch_void(struct state *state, struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_epoch_void);
  if (state_call_done(&call, error)) return -1;
  return error_set(error, ERROR_FATAL, "epoch", "Redis went back in time (restored or failed over): its epoch is void");
}

int state_rebuild(struct state *state, const char *kind, const char *id, json_t *value, struct error *error) {
  static const struct {
    const char *kind;
    state_rebuild_put *put;
  } kinds[] = {
      {"stop", state_stop_store},         {"exception", state_exception_store}, {"breaker", state_breaker_store},
      {"rollout", state_rollout_store},   {"grant", state_grant_store},         {"parked", state_parked_store},
      {"intent", state_intent_store},     {"finding", state_finding_store},     {"approval", state_approval_store},
      {"baseline", state_baseline_store},
  };
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (!strcmp(kinds[i].kind, kind)) return kinds[i].put(state, id, value, STATE_GUARD_REBUILD, error);
  return error_set(error, ERROR_INVALID, "kind", "records of the kind %.64s are not kept in Redis", kind);
}
