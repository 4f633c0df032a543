#include "support/redis_server.h"

#include <arpa/inet.h>
#include <ftw.h>
#include <hiredis.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buffer.h"

#define MOST_SERVERS 16
#define START_TRIES 500                            /* of 20 ms */
static struct redis_server *servers[MOST_SERVERS]; /* the running ones, to be ended when a test fails half-way */

int redis_server_available(void) {
  static int known = -1;
  if (known >= 0) return known;
  known = system("command -v redis-server >/dev/null 2>&1") == 0;
  if (!known) printf("redis-server is not installed: tests that need it are skipped\n");
  return known;
}

int redis_server_free_port(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  int failed =
      fd < 0 || bind(fd, (struct sockaddr *)&address, size) || getsockname(fd, (struct sockaddr *)&address, &size);
  if (fd >= 0) close(fd);
  return failed ? -1 : ntohs(address.sin_port);
}

static void execute(const struct redis_server *server) {
  char port[8], socket_path[80];
  snprintf(port, sizeof port, "%d", server->port);
  snprintf(socket_path, sizeof socket_path, "%s/redis.sock", server->directory);
  const char *words[32] = {
      "redis-server", "--port",          port,     "--bind", "127.0.0.1",  "--unixsocket", socket_path,
      "--dir",        server->directory, "--save", "",       "--loglevel", "warning",      "--logfile",
      "redis.log",    "--daemonize",     "no"};
  size_t count = 17;
  for (size_t i = 0; i < 12 && server->options[i][0]; i++) words[count++] = server->options[i];
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  execvp(words[0], (char *const *)words);
  _exit(127);
}

int redis_server_again(struct redis_server *server) {
  server->pid = fork();
  if (server->pid == 0) execute(server);
  if (server->pid < 0) return -1;
  for (int i = 0; i < START_TRIES; i++) {
    char *answer = redis_server_ask(server, "PING", NULL);
    int up = answer && !strstr(answer, "LOADING");
    free(answer);
    if (up) return 0;
    if (waitpid(server->pid, NULL, WNOHANG) == server->pid) break;
    usleep(20000);
  }
  server->pid = 0;
  return -1;
}

static void end_all(void) {
  for (size_t i = 0; i < MOST_SERVERS; i++) redis_server_stop(servers[i]);
}

static void remember(struct redis_server *server) {
  static int registered;
  if (!registered) registered = !atexit(end_all);
  for (size_t i = 0; i < MOST_SERVERS; i++)
    if (!servers[i]) {
      servers[i] = server;
      return;
    }
}

struct redis_server *redis_server_start(const char *const *options) {
  struct redis_server *server = calloc(1, sizeof *server);
  if (!server) return NULL;
  snprintf(server->directory, sizeof server->directory, "/tmp/parapet-redis-XXXXXX");
  for (size_t i = 0; options && options[i] && i < 12; i++)
    snprintf(server->options[i], sizeof server->options[i], "%s", options[i]);
  if (!mkdtemp(server->directory)) {
    free(server);
    return NULL;
  }
  remember(server);
  snprintf(server->unix_url, sizeof server->unix_url, "unix://%s/redis.sock", server->directory);
  for (int i = 0; i < 3; i++) { /* somebody may take the free port before redis-server does */
    server->port = redis_server_free_port();
    snprintf(server->url, sizeof server->url, "redis://127.0.0.1:%d", server->port);
    if (server->port > 0 && !redis_server_again(server)) return server;
  }
  redis_server_stop(server);
  return NULL;
}

void redis_server_kill(struct redis_server *server) {
  if (server->pid <= 0) return;
  kill(server->pid, SIGKILL);
  waitpid(server->pid, NULL, 0);
  server->pid = 0;
}

void redis_server_pause(struct redis_server *server) {
  if (server->pid > 0) kill(server->pid, SIGSTOP);
}

void redis_server_resume(struct redis_server *server) {
  if (server->pid > 0) kill(server->pid, SIGCONT);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where) {
  (void)status, (void)kind, (void)where;
  return remove(path);
}

/* With what is in it: the append-only files have a directory of their own. */
static void remove_directory(const char *path) { nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS); }

void redis_server_stop(struct redis_server *server) {
  if (!server) return;
  redis_server_kill(server);
  remove_directory(server->directory);
  for (size_t i = 0; i < MOST_SERVERS; i++)
    if (servers[i] == server) servers[i] = NULL;
  free(server);
}

static void add_reply(struct buffer *text, const redisReply *reply) {
  if (reply->type == REDIS_REPLY_INTEGER) buffer_addf(text, "%lld", reply->integer);
  if (reply->type == REDIS_REPLY_ERROR) buffer_add_char(text, '-');
  if (reply->str) buffer_add(text, reply->str, reply->len);
  for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++) {
    if (i) buffer_add_char(text, '\n');
    add_reply(text, reply->element[i]);
  }
}

char *redis_server_ask(const struct redis_server *server, ...) {
  const char *words[64];
  int count = 0;
  va_list arguments;
  va_start(arguments, server);
  for (const char *word = va_arg(arguments, const char *); word && count < 64; word = va_arg(arguments, const char *))
    words[count++] = word;
  va_end(arguments);
  struct timeval wait = {.tv_sec = 5};
  redisContext *context = redisConnectUnixWithTimeout(server->unix_url + 7, wait);
  struct buffer text = {0};
  redisReply *reply = NULL;
  if (context && !context->err) {
    redisSetTimeout(context, wait);
    reply = redisCommandArgv(context, count, words, NULL);
  }
  if (reply) add_reply(&text, reply);
  if (reply) freeReplyObject(reply);
  if (context) redisFree(context);
  return reply ? buffer_take(&text) : NULL;
}
