/* A real redis-server for a test: its own port, unix socket and temporary directory; ended with the test program.
 * Not thread-safe. */
#ifndef PARAPET_TESTS_REDIS_SERVER_H
#define PARAPET_TESTS_REDIS_SERVER_H

#include <sys/types.h>

struct redis_server {
  pid_t pid; /* 0: not running */
  int port;
  char directory[64];
  char url[64];      /* redis://127.0.0.1:PORT */
  char unix_url[96]; /* unix:///…/redis.sock */
  char options[12][64];
};

/* 0 when there is no redis-server on this machine (said once on standard output): skip() then. */
int redis_server_available(void);
/* options: NULL-terminated pairs such as "--requirepass", "secret" (at most 12 words), or NULL.  NULL: did not start.
 */
struct redis_server *redis_server_start(const char *const *options);
/* Ends it, removes its directory, frees.  NULL is accepted. */
void redis_server_stop(struct redis_server *server);
/* SIGKILL; what it saved stays.  redis_server_again starts it on the same port and directory: 0, or -1. */
void redis_server_kill(struct redis_server *server);
int redis_server_again(struct redis_server *server);
void redis_server_pause(struct redis_server *server);  /* SIGSTOP */
void redis_server_resume(struct redis_server *server); /* SIGCONT */
/* A port that nobody has now; -1: there is none. */
int redis_server_free_port(void);
/* One command ("SET", "a", "1", NULL) over the unix socket.  Its answer as text, which the caller frees: arrays have
 * an element a line, an error begins with "-", nil is "".  NULL: no answer. */
char *redis_server_ask(const struct redis_server *server, ...) __attribute__((sentinel));

#endif
