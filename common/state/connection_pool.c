/* Connections are opened when they are needed, and kept: as many as there are trips at once (call.c).  What matters is
 * the bad case: Redis gone, and 64 threads that ask.  After a failure everybody fails at once, with the same error, for
 * RETRY_PAUSE_MS; then one caller tries, and only when it succeeds the others follow.  So a dead Redis costs one caller
 * its timeout and the others nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "state/state_internal.h"

#define RETRY_PAUSE_MS 100

int state_pool_init(struct state_pool *pool, const struct state_address *address, struct error *error) {
  *pool = (struct state_pool){.address = address};
  if (pthread_mutex_init(&pool->lock, NULL) == 0) return 0;
  return error_set(error, ERROR_FATAL, "memory", "cannot create the connection pool's lock");
}

static void close_all(struct state_connection *list) {
  while (list) {
    struct state_connection *next = list->next;
    state_connection_close(list);
    list = next;
  }
}

void state_pool_destroy(struct state_pool *pool) {
  close_all(pool->idle);
  pthread_mutex_destroy(&pool->lock);
}

/* Under the lock: the connection that was used last, or NULL. */
static struct state_connection *take_idle(struct state_pool *pool) {
  struct state_connection *connection = pool->idle;
  if (connection) pool->idle = connection->next;
  if (connection) connection->next = NULL;
  return connection;
}

/* Under the lock: 0 when this caller may use Redis, -1 with *error when it is to fail at once. */
static int admit(struct state_pool *pool, struct error *error) {
  if (!pool->failing) return 0;
  if (pool->probing || clock_monotonic_ms() < pool->retry_at) {
    if (error) *error = pool->last_error;
    return -1;
  }
  pool->probing = 1;
  return 0;
}

static void note_result(struct state_pool *pool, const struct error *failure) {
  pool->probing = 0;
  pool->failing = failure != NULL;
  if (!failure) return;
  pool->last_error = *failure;
  pool->retry_at = clock_monotonic_ms() + RETRY_PAUSE_MS;
}

/* The newest connection leads to `master` (by Sentinel; else ""). */
static void note_master(struct state_pool *pool, const char *master) {
  pthread_mutex_lock(&pool->lock);
  snprintf(pool->master, sizeof pool->master, "%s", master);
  pthread_mutex_unlock(&pool->lock);
}

int state_pool_follow(struct state_pool *pool, int64_t deadline, struct error *error) {
  struct state_host master = {0};
  char text[sizeof pool->master];
  if (!pool->address->master) return 0;
  if (state_sentinel_find(pool->address, deadline, &master, error)) return -1;
  snprintf(text, sizeof text, "%s:%d", master.host, master.port);
  pthread_mutex_lock(&pool->lock);
  if (pool->master[0] && strcmp(pool->master, text) != 0) pool->era++;
  pthread_mutex_unlock(&pool->lock);
  free(master.host);
  return 0;
}

/* An idle connection that still works, or NULL: open one.  Whether it does is asked without the lock: that is a call of
 * the kernel, and everybody else waits for the lock. */
static int find(struct state_pool *pool, struct state_connection **connection, unsigned *era, struct error *error) {
  for (;;) {
    pthread_mutex_lock(&pool->lock);
    int refused = admit(pool, error);
    *connection = refused ? NULL : take_idle(pool);
    *era = pool->era;
    pthread_mutex_unlock(&pool->lock);
    if (!*connection) return refused;
    if ((*connection)->era == *era && state_connection_healthy(*connection)) return 0;
    state_connection_close(*connection);
  }
}

struct state_connection *state_pool_borrow(struct state_pool *pool, int64_t deadline, struct error *error) {
  struct state_connection *connection = NULL;
  char master[sizeof pool->master] = "";
  unsigned era;
  if (find(pool, &connection, &era, error) != 0) return NULL;
  if (connection) return connection;
  struct error failure = {0};
  connection = state_connection_open(pool->address, deadline, master, sizeof master, &failure);
  if (connection) {
    connection->era = era;
    note_master(pool, master);
    return connection;
  }
  error_where(&failure, "%s", pool->address->text);
  state_pool_return(pool, NULL, &failure);
  if (error) *error = failure;
  return NULL;
}

void state_pool_return(struct state_pool *pool, struct state_connection *connection, const struct error *failure) {
  struct state_connection *stale = NULL;
  pthread_mutex_lock(&pool->lock);
  note_result(pool, failure);
  if (failure) {
    /* The idle ones lead to the same dead Redis; finding that out one timeout at a time would be slow. */
    stale = pool->idle;
    pool->idle = NULL;
  } else if (connection->era == pool->era) {
    connection->next = pool->idle;
    pool->idle = connection;
    connection = NULL;
  }
  pthread_mutex_unlock(&pool->lock);
  state_connection_close(connection);
  close_all(stale);
}
