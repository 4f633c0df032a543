/* Where is the master?  Asked of each Sentinel in turn until one answers; what it says is believed only when the Redis
 * there says that it is a master itself (connection.c), since a Sentinel may be behind.
 *
 * What this cannot see: a master that is cut off together with some workers and a minority of the Sentinels goes on
 * granting while another was promoted.  Redis' own remedy is min-replicas-to-write 1: such a master refuses writes, and
 * the gates of those workers close. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "state/state_internal.h"

enum { SHORTEST_MS = 50 };

static int unusable(const struct state_host *sentinel, const char *why, struct error *error) {
  return error_set(error, ERROR_RETRYABLE, "sentinel", "Sentinel %.80s:%d: %.200s", sentinel->host, sentinel->port,
                   why);
}

static int read_answer(const redisReply *reply, const struct state_host *sentinel, struct state_host *master,
                       struct error *error) {
  if (reply->type == REDIS_REPLY_NIL) return unusable(sentinel, "knows no master of that name", error);
  if (reply->type == REDIS_REPLY_ERROR) return unusable(sentinel, reply->str, error);
  if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 || reply->element[0]->type != REDIS_REPLY_STRING ||
      reply->element[1]->type != REDIS_REPLY_STRING)
    return unusable(sentinel, "gave an answer of an unexpected shape", error);
  master->port = (int)strtol(reply->element[1]->str, NULL, 10);
  master->host = master->port > 0 ? strdup(reply->element[0]->str) : NULL;
  return master->host ? 0 : unusable(sentinel, "gave no address", error);
}

static int ask(const struct state_host *sentinel, const char *name, int64_t wait_ms, struct state_host *master,
               struct error *error) {
  struct timeval wait = {.tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000};
  redisContext *context = redisConnectWithTimeout(sentinel->host, sentinel->port, wait);
  int failed = !context || context->err || redisSetTimeout(context, wait) != REDIS_OK;
  redisReply *reply = failed ? NULL : redisCommand(context, "SENTINEL get-master-addr-by-name %s", name);
  if (!reply)
    failed = unusable(sentinel, context ? context->errstr : "out of memory", error);
  else
    failed = read_answer(reply, sentinel, master, error);
  if (reply) freeReplyObject(reply);
  if (context) redisFree(context);
  return failed;
}

int state_sentinel_find(const struct state_address *address, int64_t deadline, struct state_host *master,
                        struct error *error) {
  for (size_t i = 0; i < address->sentinel_count; i++) {
    /* One that hangs must not use up the time of the others. */
    int64_t left = (deadline - clock_monotonic_ms()) / (int64_t)(address->sentinel_count - i);
    if (ask(&address->sentinels[i], address->master, left > SHORTEST_MS ? left : SHORTEST_MS, master, error) == 0)
      return 0;
  }
  return -1;
}
