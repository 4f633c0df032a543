#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "state/state_internal.h"

#define SHORTEST_WAIT_MS 10

static int64_t time_left(int64_t deadline) {
  int64_t left = deadline - clock_monotonic_ms();
  return left > SHORTEST_WAIT_MS ? left : SHORTEST_WAIT_MS;
}

static struct timeval timeval_of(int64_t milliseconds) {
  return (struct timeval){.tv_sec = milliseconds / 1000, .tv_usec = milliseconds % 1000 * 1000};
}

/* hiredis' error is a number of its own and errno: the wait that ended shows as EAGAIN. */
static int broken(const redisContext *context, struct error *error) {
  int late = context && context->err == REDIS_ERR_IO && (errno == EAGAIN || errno == ETIMEDOUT);
#ifdef REDIS_ERR_TIMEOUT
  late = late || (context && context->err == REDIS_ERR_TIMEOUT);
#endif
  if (late) return error_set(error, ERROR_RETRYABLE, "timeout", "Redis did not answer in time");
  return error_set(error, ERROR_RETRYABLE, "connection", "the connection to Redis failed: %s",
                   context ? context->errstr : "out of memory");
}

/* The socket's own timeout: each wait of one command ends by `deadline`. */
static int set_deadline(struct state_connection *connection, int64_t deadline, struct error *error) {
  int64_t left = time_left(deadline);
  /* System calls only where they matter: the one that is set differs from what is left by more than a quarter. */
  if (connection->timeout_ms <= left + left / 4 && connection->timeout_ms >= left - left / 4) return 0;
  if (redisSetTimeout(connection->context, timeval_of(left)) != REDIS_OK) return broken(connection->context, error);
  connection->timeout_ms = left;
  return 0;
}

int state_connection_send(struct state_connection *connection, int count, const char **parts, const size_t *lengths,
                          int64_t deadline, struct error *error) {
  if (set_deadline(connection, deadline, error)) return -1;
  if (redisAppendCommandArgv(connection->context, count, parts, lengths) == REDIS_OK) return 0;
  return broken(connection->context, error);
}

redisReply *state_connection_reply(struct state_connection *connection, struct error *error) {
  void *reply = NULL;
  errno = 0;
  if (redisGetReply(connection->context, &reply) == REDIS_OK) return reply;
  broken(connection->context, error);
  return NULL;
}

redisReply *state_connection_command(struct state_connection *connection, int count, const char **parts,
                                     const size_t *lengths, int64_t deadline, struct error *error) {
  if (state_connection_send(connection, count, parts, lengths, deadline, error) != 0) return NULL;
  return state_connection_reply(connection, error);
}

/* The error of AUTH or SELECT.  Redis may repeat a command's arguments in its text, a password among them: unless the
 * text is one of those that will pass, only its first word is kept. */
static void greeting_failed(redisReply *reply, const char *command, struct error *error) {
  struct error failure = {0};
  state_reply_error(&failure, reply->str, command);
  if (!error_is_transient(&failure)) {
    reply->str[strcspn(reply->str, " ")] = '\0';
    state_reply_error(&failure, reply->str, command);
    if (!strcmp(command, "AUTH")) failure.class = ERROR_DENIED;
  }
  if (error) *error = failure;
}

static int greet(struct state_connection *connection, int count, const char **parts, int64_t deadline,
                 struct error *error) {
  redisReply *reply = state_connection_command(connection, count, parts, NULL, deadline, error);
  if (!reply) return -1;
  int failed = reply->type == REDIS_REPLY_ERROR;
  if (failed) greeting_failed(reply, parts[0], error);
  freeReplyObject(reply);
  return failed ? -1 : 0;
}

static int log_in(struct state_connection *connection, const struct state_address *address, int64_t deadline,
                  struct error *error) {
  if (address->password) {
    const char *parts[] = {"AUTH", address->user ? address->user : address->password, address->password};
    if (greet(connection, address->user ? 3 : 2, parts, deadline, error)) return -1;
  }
  if (!address->database) return 0;
  char database[16];
  snprintf(database, sizeof database, "%d", address->database);
  return greet(connection, 2, (const char *[]){"SELECT", database}, deadline, error);
}

void state_info_value(const char *info, const char *name, char *value, size_t size) {
  size_t length = strlen(name);
  value[0] = '\0';
  for (const char *line = info; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
    if (!strncmp(line, name, length) && line[length] == ':') {
      line += length + 1;
      snprintf(value, size, "%.*s", (int)strcspn(line, "\r\n"), line);
      return;
    }
}

/* Which process answers here, and (where Sentinel was asked) whether it is a master: an epoch holds in one process. */
static int identify(struct state_connection *connection, const struct state_address *address, int64_t deadline,
                    struct error *error) {
  char role[16];
  const char *parts[] = {"INFO"};
  redisReply *reply = state_connection_command(connection, 1, parts, NULL, deadline, error);
  if (!reply) return -1;
  int failed = reply->type == REDIS_REPLY_ERROR ? state_reply_error(error, reply->str, "INFO") : 0;
  if (!failed) {
    state_info_value(reply->str, "run_id", connection->server, sizeof connection->server);
    state_info_value(reply->str, "role", role, sizeof role);
    if (!connection->server[0])
      failed = error_set(error, ERROR_FATAL, "run_id", "INFO does not tell which Redis server this is (run_id)");
    else if (address->master && strcmp(role, "master") != 0)
      failed = error_set(error, ERROR_RETRYABLE, "READONLY",
                         "what Sentinel calls the master is none (any more, or yet): %.32s", role);
  }
  freeReplyObject(reply);
  return failed;
}

static redisContext *connect_to(const struct state_address *address, const struct state_host *master,
                                int64_t deadline) {
  struct timeval wait = timeval_of(time_left(deadline));
  if (address->path) return redisConnectUnixWithTimeout(address->path, wait);
  if (address->master) return redisConnectWithTimeout(master->host, master->port, wait);
  return redisConnectWithTimeout(address->host, address->port, wait);
}

struct state_connection *state_connection_open(const struct state_address *address, int64_t deadline, char *master_text,
                                               size_t size, struct error *error) {
  struct state_host master = {0};
  struct state_connection *connection = calloc(1, sizeof *connection);
  if (!connection) {
    error_set(error, ERROR_FATAL, "memory", "out of memory");
    return NULL;
  }
  if (address->master && state_sentinel_find(address, deadline, &master, error)) goto failed;
  if (address->master) snprintf(master_text, size, "%s:%d", master.host, master.port);
  errno = 0;
  connection->context = connect_to(address, &master, deadline);
  if (!connection->context || connection->context->err) {
    broken(connection->context, error);
    goto failed;
  }
  if (!address->path && redisEnableKeepAlive(connection->context) != REDIS_OK) {
    broken(connection->context, error);
    goto failed;
  }
  if (address->tls &&
      (set_deadline(connection, deadline, error) || state_tls_begin(connection->context, address->host, error)))
    goto failed;
  if (log_in(connection, address, deadline, error)) goto failed;
  if (identify(connection, address, deadline, error)) goto failed;
  free(master.host);
  return connection;
failed:
  free(master.host);
  state_connection_close(connection);
  return NULL;
}

int state_connection_healthy(const struct state_connection *connection) {
  struct pollfd idle = {.fd = connection->context->fd, .events = POLLIN};
  return poll(&idle, 1, 0) == 0; /* readable while nothing was asked: closed, or an answer nobody waits for */
}

void state_connection_close(struct state_connection *connection) {
  if (!connection) return;
  if (connection->context) redisFree(connection->context);
  free(connection);
}
