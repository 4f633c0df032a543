/* Redis behind a real Sentinel: found, followed after a failover, and never trusted with an epoch that was a copy. */
#include "fixture.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct sentinel {
  pid_t pid;
  int port;
  char directory[64], url[160];
};

/* redis-sentinel; it rewrites its file. */
static int sentinel_start(struct sentinel *sentinel, const struct redis_server *master) {
  char path[128], port[8];
  sentinel->port = redis_server_free_port();
  snprintf(sentinel->directory, sizeof sentinel->directory, "/tmp/parapet-sentinel-XXXXXX");
  assert_non_null(mkdtemp(sentinel->directory));
  snprintf(path, sizeof path, "%s/sentinel.conf", sentinel->directory);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fprintf(file,
          "port %d\ndir %s\nbind 127.0.0.1\nsentinel monitor fleet 127.0.0.1 %d 1\n"
          "sentinel down-after-milliseconds fleet 300\nsentinel failover-timeout fleet 2000\n",
          sentinel->port, sentinel->directory, master->port);
  fclose(file);
  snprintf(port, sizeof port, "%d", sentinel->port);
  /* the first Sentinel of the URL is not there: the next is asked */
  snprintf(sentinel->url, sizeof sentinel->url, "redis+sentinel://127.0.0.1:1,127.0.0.1:%d/fleet", sentinel->port);
  sentinel->pid = fork();
  if (sentinel->pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!freopen("/dev/null", "w", stdout)) _exit(127);
    execlp("redis-server", "redis-server", path, "--sentinel", (char *)NULL);
    _exit(127);
  }
  return sentinel->pid > 0 ? 0 : -1;
}

static void sentinel_stop(struct sentinel *sentinel) {
  char path[128];
  kill(sentinel->pid, SIGKILL);
  waitpid(sentinel->pid, NULL, 0);
  snprintf(path, sizeof path, "%s/sentinel.conf", sentinel->directory);
  unlink(path);
  rmdir(sentinel->directory);
}

/* Tries for a minute: elections take their time. */
static int check_until(struct state *state, int wanted) {
  for (int i = 0; i < 1200; i++) {
    if (state_check(state, NULL) == wanted) return 0;
    clock_sleep_ms(50);
  }
  return -1;
}

static void become_replica(const struct redis_server *replica, const struct redis_server *master) {
  char port[8];
  snprintf(port, sizeof port, "%d", master->port);
  ASK("OK", replica, "REPLICAOF", "127.0.0.1", port);
  for (int i = 0; i < 200; i++) {
    char *info = redis_server_ask(replica, "INFO", "replication", NULL);
    int linked = strstr(info, "master_link_status:up") != NULL;
    free(info);
    if (linked) return;
    clock_sleep_ms(50);
  }
  fail_msg("the replica does not follow");
}

static void test_a_failover_is_followed_and_its_copy_is_void(void **unused) {
  (void)unused;
  if (!redis_server_available()) skip();
  struct redis_server *first = redis_server_start(NULL), *second = redis_server_start(NULL);
  assert_non_null(first);
  assert_non_null(second);
  become_replica(second, first);
  struct sentinel sentinel = {0};
  assert_int_equal(sentinel_start(&sentinel, first), 0);
  struct state *one = open_state(sentinel.url, "one"), *two = open_state(sentinel.url, "two");
  assert_int_equal(check_until(one, 0), 0);
  join(one);
  join(two);
  struct state_lease lease;
  char why[32] = "";
  assert_int_equal(state_lease_take(one, "group", 600000, &lease, NULL), 1);
  assert_int_equal(state_may_mutate(one, &lease, 600000, why, NULL), 1);
  for (int i = 0; i < 100; i++) { /* until Sentinel knows the replica, and that has the lease */
    char *known = redis_server_ask(second, "EXISTS", "parapet:v1:lease:group", NULL);
    char *info = redis_server_ask(first, "INFO", "replication", NULL);
    int done = !strcmp(known, "1") && strstr(info, "connected_slaves:1");
    free(known);
    free(info);
    if (done) break;
    clock_sleep_ms(50);
  }
  clock_sleep_ms(2500); /* Sentinel reads its master's replicas every so often */
  redis_server_kill(first);
  assert_int_equal(check_until(one, -1), 0);
  assert_int_equal(check_until(one, 0), 0); /* the replica, promoted */

  /* It has epoch and lease, as copies: nobody may rely on either. */
  ASK("1", second, "EXISTS", "parapet:v1:epoch");
  FAILS(state_may_mutate(one, &lease, 600000, why, &error), ERROR_FATAL, "epoch");
  assert_int_equal(check_until(two, 0), 0);
  int seen;
  FAILS(state_seen(two, "e", &seen, &error), ERROR_FATAL, "epoch");
  assert_int_equal(state_epoch_join(two, NULL), 0); /* one rebuilds … */
  FAILS(state_epoch_join(one, &error), ERROR_RETRYABLE, "rebuilding");
  OK(state_epoch_create(two, &error));
  assert_int_equal(state_epoch_join(one, NULL), 1); /* … for all */
  assert_int_equal(state_may_mutate(one, &lease, 600000, why, NULL), 0);
  assert_string_equal(why, "lease");
  assert_int_equal(state_lease_take(one, "group", 600000, &lease, NULL), 1); /* the void one is gone */
  assert_int_equal(state_may_mutate(one, &lease, 600000, why, NULL), 1);
  state_close(one);
  state_close(two);
  sentinel_stop(&sentinel);
  redis_server_stop(first);
  redis_server_stop(second);
}

/* Sentinel may be behind: what it names must say of itself that it is a master. */
static void test_a_master_that_is_none_is_not_believed(void **unused) {
  (void)unused;
  if (!redis_server_available()) skip();
  struct redis_server *master = redis_server_start(NULL), *replica = redis_server_start(NULL);
  assert_non_null(master);
  assert_non_null(replica);
  struct sentinel sentinel = {0};
  assert_int_equal(sentinel_start(&sentinel, replica), 0);
  struct state *state = open_state(sentinel.url, "a");
  assert_int_equal(check_until(state, 0), 0);
  join(state);
  become_replica(replica, master);
  FAILS(state_count(state, "n", 1, &error), ERROR_FATAL, "epoch"); /* its new master's data have none */
  FAILS(state_epoch_join(state, &error), ERROR_RETRYABLE, "READONLY");
  clock_sleep_ms(150);
  struct error error = {0};
  assert_int_equal(state_check(state, &error), -1);
  assert_int_equal(error.class, ERROR_RETRYABLE);
  state_close(state);
  sentinel_stop(&sentinel);
  redis_server_stop(master);
  redis_server_stop(replica);
}

static void test_nobody_knows_the_master(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  char url[128];
  struct state *state = open_state("redis+sentinel://127.0.0.1:1/fleet", "a");
  FAILS(state_check(state, &error), ERROR_RETRYABLE, "sentinel");
  state_close(state);
  snprintf(url, sizeof url, "redis+sentinel://127.0.0.1:%d/fleet", server->port); /* which is no Sentinel */
  state = open_state(url, "a");
  FAILS(state_check(state, &error), ERROR_RETRYABLE, "sentinel");
  state_close(state);
}
