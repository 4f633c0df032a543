/* /metrics, /healthz and /readyz over libmicrohttpd, in one thread of its own. */
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/metrics.h"
#include "base/thread_internal.h"

#define REASON_SIZE 512
#define MOST_CONNECTIONS 64
#define IDLE_SECONDS 10

/* Handlers returned int until libmicrohttpd 0.9.71. */
#if MHD_VERSION >= 0x00097002
typedef enum MHD_Result handled;
#else
typedef int handled;
#endif

typedef int health_check(char *reason, size_t size, void *argument);

struct metrics_server {
  struct MHD_Daemon *daemon;
  health_check *alive;
  health_check *ready;
  void *argument;
};

static handled respond(struct MHD_Connection *connection, unsigned status, const char *type, char *body,
                       size_t length) {
  struct MHD_Response *response = MHD_create_response_from_buffer(length, body, MHD_RESPMEM_MUST_FREE);
  if (!response) {
    free(body);
    return MHD_NO;
  }
  MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
  if (status == MHD_HTTP_METHOD_NOT_ALLOWED) MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
  handled result = MHD_queue_response(connection, status, response);
  MHD_destroy_response(response);
  return result;
}

static handled respond_text(struct MHD_Connection *connection, unsigned status, const char *text) {
  char *body = NULL;
  int length = asprintf(&body, "%s\n", text);
  if (length < 0) return MHD_NO;
  return respond(connection, status, "text/plain; charset=utf-8", body, (size_t)length);
}

static handled respond_health(struct MHD_Connection *connection, health_check *check, void *argument) {
  char reason[REASON_SIZE] = "";
  int good = check ? check(reason, sizeof reason, argument) : 1;
  reason[sizeof reason - 1] = '\0';
  log_mask(reason);
  if (good) return respond_text(connection, MHD_HTTP_OK, "ok");
  return respond_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, *reason ? reason : "not ready");
}

static handled answer_healthz(struct metrics_server *server, struct MHD_Connection *connection) {
  return respond_health(connection, server->alive, server->argument);
}

static handled answer_readyz(struct metrics_server *server, struct MHD_Connection *connection) {
  return respond_health(connection, server->ready, server->argument);
}

static handled answer_metrics(struct metrics_server *server, struct MHD_Connection *connection) {
  (void)server;
  char *body = NULL;
  size_t length = 0;
  FILE *out = open_memstream(&body, &length);
  if (!out) return MHD_NO;
  metrics_print(out);
  int failed = ferror(out);
  if (fclose(out) != 0 || failed) {
    free(body);
    return MHD_NO;
  }
  return respond(connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", body, length);
}

static const struct {
  const char *path;
  handled (*answer)(struct metrics_server *server, struct MHD_Connection *connection);
} paths[] = {{"/metrics", answer_metrics}, {"/healthz", answer_healthz}, {"/readyz", answer_readyz}};

static handled answer(void *argument, struct MHD_Connection *connection, const char *url, const char *method,
                      const char *version, const char *upload, size_t *upload_size, void **state) {
  static int seen;
  (void)version;
  (void)upload;
  if (!*state) { /* the first call has the headers only; answering there would close the connection */
    *state = &seen;
    return MHD_YES;
  }
  if (*upload_size > 0) { /* a body nobody asked for */
    *upload_size = 0;
    return MHD_YES;
  }
  if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
    return respond_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD are answered here");
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
    if (strcmp(url, paths[i].path) == 0) return paths[i].answer(argument, connection);
  return respond_text(connection, MHD_HTTP_NOT_FOUND, "there are /metrics, /healthz and /readyz");
}

/* "127.0.0.1:9100", "[::1]:9100", ":9100" into host (NULL: all interfaces) and service. */
static int split_address(const char *address, char *host, size_t size, const char **service) {
  const char *colon = strrchr(address, ':');
  if (!colon || !colon[1] || strspn(colon + 1, "0123456789") != strlen(colon + 1)) return -1;
  if (strlen(colon + 1) > 5 || strtol(colon + 1, NULL, 10) > 65535) return -1;
  size_t length = (size_t)(colon - address);
  int bracketed = length >= 2 && address[0] == '[' && address[length - 1] == ']';
  if (bracketed) {
    address++;
    length -= 2;
  }
  if (length >= size || (!bracketed && memchr(address, ':', length))) return -1;
  memcpy(host, address, length);
  host[length] = '\0';
  *service = colon + 1;
  return 0;
}

/* A listening socket for one address, or -1 with errno. */
static int listen_on(const struct addrinfo *address) {
  int one = 1;
  int zero = 0;
  int listener = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address->ai_protocol);
  if (listener < 0) return -1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (address->ai_family == AF_INET6) setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
  if (bind(listener, address->ai_addr, address->ai_addrlen) == 0 && listen(listener, MOST_CONNECTIONS) == 0)
    return listener;
  int failure = errno;
  close(listener);
  errno = failure;
  return -1;
}

static int open_listener(const char *address, struct error *error) {
  char host[256];
  const char *service;
  if (split_address(address, host, sizeof host, &service) != 0)
    return error_set(error, ERROR_INVALID, "Address", "\"%s\" is no HOST:PORT, [HOST]:PORT or :PORT.", address);
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
  struct addrinfo *found = NULL;
  int lookup = getaddrinfo(*host ? host : NULL, service, &hints, &found);
  if (lookup != 0)
    return error_set(error, ERROR_INVALID, "Address", "The host of \"%s\" is unknown: %s.", address,
                     gai_strerror(lookup));
  int listener = -1;
  int failure = 0;
  static const int families[] = {AF_INET6, AF_INET}; /* an IPv6 socket serves both */
  for (size_t i = 0; i < 2 && listener < 0; i++)
    for (const struct addrinfo *at = found; at && listener < 0; at = at->ai_next) {
      if (at->ai_family != families[i]) continue;
      listener = listen_on(at);
      if (listener < 0) failure = errno;
    }
  freeaddrinfo(found);
  if (listener < 0)
    return error_set(error, ERROR_FATAL, "Listen", "Listening on \"%s\" failed: %s.", address, strerror(failure));
  return listener;
}

static unsigned bound_port(int listener) {
  union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
  } address = {.v6 = {0}};
  socklen_t length = sizeof address;
  if (getsockname(listener, &address.any, &length) != 0) return 0;
  return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}

struct metrics_server *metrics_serve(const char *address, int (*alive)(char *reason, size_t size, void *argument),
                                     int (*ready)(char *reason, size_t size, void *argument), void *argument,
                                     unsigned *port, struct error *error) {
  struct metrics_server *server = calloc(1, sizeof *server);
  if (!server) {
    error_set(error, ERROR_FATAL, "OutOfMemory", "No memory for the metrics server.");
    return NULL;
  }
  *server = (struct metrics_server){.alive = alive, .ready = ready, .argument = argument};
  int listener = open_listener(address, error);
  if (listener < 0) {
    free(server);
    return NULL;
  }
  unsigned bound = bound_port(listener);
  sigset_t before;
  thread_block_signals(&before);
  server->daemon =
      MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, answer, server, MHD_OPTION_LISTEN_SOCKET,
                       listener, MHD_OPTION_CONNECTION_LIMIT, (unsigned)MOST_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
                       (unsigned)IDLE_SECONDS, MHD_OPTION_END);
  thread_restore_signals(&before);
  if (!server->daemon) {
    close(listener);
    free(server);
    error_set(error, ERROR_FATAL, "Listen", "The metrics server could not be started on \"%s\".", address);
    return NULL;
  }
  if (port) *port = bound;
  return server;
}

void metrics_server_close(struct metrics_server *server) {
  if (!server) return;
  MHD_stop_daemon(server->daemon); /* closes the listener, too */
  free(server);
}
