/* A server that sends exact bytes: what a broken network, a proxy or an overloaded front-end makes of an answer. */
#ifndef PARAPET_TESTS_AWS_RAW_SERVER_H
#define PARAPET_TESTS_AWS_RAW_SERVER_H

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum raw_end {
  RAW_CLOSE,
  RAW_RESET,   /* the connection is torn down */
  RAW_SILENCE, /* nothing more, until the client goes */
  RAW_FOREVER, /* `filler` again and again, until the client goes */
  RAW_DRIP     /* `filler` a byte each 10 ms, until the client goes */
};

struct raw_reply {
  const char *bytes;
  size_t length; /* 0: strlen */
  enum raw_end end;
  const char *filler;
  int mute; /* does not even read the request */
};

struct raw_server {
  int listener, port;
  pthread_t thread;
  pthread_mutex_t lock; /* guards what follows, and the reply's bytes while they are sent */
  struct raw_reply reply;
  int connections; /* read it after raw_server_stop */
};

/* What later connections are answered.  Nobody reads the bytes of the reply before any more. */
static inline void raw_server_set(struct raw_server *server, struct raw_reply reply) {
  pthread_mutex_lock(&server->lock);
  server->reply = reply;
  pthread_mutex_unlock(&server->lock);
}

/* Reads headers and as much body as they say. */
static inline void raw_read_request(int connection) {
  char request[16384];
  size_t length = 0;
  while (length < sizeof request - 1) {
    ssize_t got = read(connection, request + length, sizeof request - 1 - length);
    if (got <= 0) return;
    length += (size_t)got;
    request[length] = '\0';
    const char *end = strstr(request, "\r\n\r\n");
    if (!end) continue;
    const char *field = strcasestr(request, "\r\nContent-Length:");
    size_t body = field && field < end ? strtoul(field + 17, NULL, 10) : 0;
    if (length >= (size_t)(end + 4 - request) + body) return;
  }
}

static inline int raw_send(int connection, const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t sent = send(connection, bytes, length, MSG_NOSIGNAL);
    if (sent <= 0) return -1;
    bytes += sent;
    length -= (size_t)sent;
  }
  return 0;
}

static inline int raw_client_is_there(int connection, int milliseconds) {
  struct pollfd wait = {.fd = connection, .events = POLLRDHUP};
  return poll(&wait, 1, milliseconds) == 0;
}

static inline void raw_end(int connection, const struct raw_reply *reply) {
  struct linger none = {.l_onoff = 1, .l_linger = 0};
  if (reply->end == RAW_RESET) (void)setsockopt(connection, SOL_SOCKET, SO_LINGER, &none, sizeof none);
  if (reply->end == RAW_SILENCE) raw_client_is_there(connection, 30000);
  if (reply->end == RAW_FOREVER)
    while (raw_send(connection, reply->filler, strlen(reply->filler)) == 0) continue;
  for (size_t i = 0; reply->end == RAW_DRIP && raw_client_is_there(connection, 10); i++)
    if (raw_send(connection, reply->filler + i % strlen(reply->filler), 1) != 0) break;
}

static inline void *raw_serve(void *argument) {
  struct raw_server *server = argument;
  int connection;
  while ((connection = accept(server->listener, NULL, NULL)) >= 0) {
    pthread_mutex_lock(&server->lock);
    struct raw_reply reply = server->reply;
    server->connections++;
    pthread_mutex_unlock(&server->lock);
    if (!reply.mute) raw_read_request(connection);
    const char *bytes = reply.bytes ? reply.bytes : "";
    pthread_mutex_lock(&server->lock);
    int failed = raw_send(connection, bytes, reply.length ? reply.length : strlen(bytes));
    pthread_mutex_unlock(&server->lock);
    if (!failed) raw_end(connection, &reply);
    close(connection);
  }
  return NULL;
}

static inline void raw_server_start(struct raw_server *server) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  memset(server, 0, sizeof *server);
  assert_int_equal(pthread_mutex_init(&server->lock, NULL), 0);
  server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(server->listener >= 0);
  assert_int_equal(bind(server->listener, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &size), 0);
  assert_int_equal(listen(server->listener, 16), 0);
  server->port = ntohs(address.sin_port);
  assert_int_equal(pthread_create(&server->thread, NULL, raw_serve, server), 0);
}

static inline void raw_server_stop(struct raw_server *server) {
  shutdown(server->listener, SHUT_RDWR);
  pthread_join(server->thread, NULL);
  pthread_mutex_destroy(&server->lock);
  close(server->listener);
}

#endif
