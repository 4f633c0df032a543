/* Redis not there, not answering, coming and going, refusing: nobody waits longer than the timeout, nobody acts. */
#include "fixture.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIMEOUT_MS 400
#define SLACK_MS 3000 /* a busy machine's; far less than what a stampede of timeouts would take */

static struct state *impatient(const char *url) {
  struct error error = {0};
  struct state_options options = {.url = url, .timeout_ms = TIMEOUT_MS, .owner = "a"};
  struct state *state = state_open(&options, &error);
  assert_non_null(state);
  return state;
}

static void test_nobody_listens(void **unused) {
  (void)unused;
  if (!redis_server_available()) skip();
  struct redis_server *server = redis_server_start(NULL);
  assert_non_null(server);
  redis_server_kill(server);
  const char *const urls[] = {server->url, server->unix_url, "unix:///nowhere/at/all.sock"};
  for (size_t i = 0; i < 3; i++) {
    struct state *state = impatient(urls[i]);
    int64_t started = clock_monotonic_ms();
    FAILS(state_check(state, &error), ERROR_RETRYABLE, "connection");
    FAILS(state_epoch_join(state, &error), ERROR_RETRYABLE, "connection");
    assert_true(clock_monotonic_ms() - started < TIMEOUT_MS + SLACK_MS);
    state_close(state);
  }
  redis_server_stop(server);
}

static void *ask(void *argument) {
  struct error error = {0};
  int seen = 0;
  return state_seen(argument, "event", &seen, &error) < 0 && error.class == ERROR_RETRYABLE ? NULL : argument;
}

static void test_a_stopped_redis_costs_one_timeout_not_one_a_thread(void **unused) {
  (void)unused;
  if (!redis_server_available()) skip();
  struct redis_server *server = redis_server_start(NULL);
  assert_non_null(server);
  struct state *state = impatient(server->url);
  join(state);
  redis_server_pause(server);
  int64_t started = clock_monotonic_ms();
  pthread_t threads[32];
  for (int round = 0; round < 4; round++) {
    for (int i = 0; i < 32; i++) assert_int_equal(pthread_create(&threads[i], NULL, ask, state), 0);
    for (int i = 0; i < 32; i++) {
      void *wrong = NULL;
      pthread_join(threads[i], &wrong);
      assert_null(wrong);
    }
  }
  /* 128 questions, two at a time, would take 64 timeouts */
  assert_true(clock_monotonic_ms() - started < 5 * TIMEOUT_MS + SLACK_MS);
  redis_server_resume(server);
  int seen = 1, failed = 1;
  for (int i = 0; i < 100 && failed; i++) {
    struct error error = {0};
    failed = state_seen(state, "event", &seen, &error) < 0;
    if (failed) clock_sleep_ms(50);
  }
  assert_int_equal(failed, 0);
  assert_int_equal(seen, 0);
  state_close(state);
  redis_server_stop(server);
}

/* Whether a server that was restarted has the last grants nobody can tell: what was written stays, but the gates are
 * closed until it was rebuilt. */
static void test_a_restart_that_kept_the_data_is_another_epoch(void **unused) {
  (void)unused;
  if (!redis_server_available()) skip();
  struct redis_server *server =
      redis_server_start((const char *[]){"--appendonly", "yes", "--appendfsync", "always", NULL});
  assert_non_null(server);
  struct state *state = joined_state(server, "a");
  OK(state_seen_mark(state, "event", 600000, &error));
  redis_server_kill(server);
  FAILS(state_seen_mark(state, "other", 600000, &error), ERROR_RETRYABLE, NULL);
  assert_int_equal(redis_server_again(server), 0);
  clock_sleep_ms(150); /* beyond the moment in which callers fail fast */
  int seen = 0;
  FAILS(state_seen(state, "event", &seen, &error), ERROR_FATAL, "epoch");
  assert_int_equal(state_epoch_join(state, NULL), 0);
  OK(state_epoch_create(state, &error));
  OK(state_seen(state, "event", &seen, &error));
  assert_int_equal(seen, 1);
  /* once more, with the idle connection broken behind our back */
  redis_server_kill(server);
  assert_int_equal(redis_server_again(server), 0);
  FAILS(state_seen(state, "event", &seen, &error), ERROR_FATAL, "epoch");
  state_close(state);
  redis_server_stop(server);
}

static void test_a_restart_that_lost_the_data_closes_the_gates(void **unused) {
  (void)unused;
  if (!redis_server_available()) skip();
  struct redis_server *server = redis_server_start(NULL);
  assert_non_null(server);
  struct state *state = joined_state(server, "a");
  redis_server_kill(server);
  assert_int_equal(redis_server_again(server), 0);
  int seen = 0;
  FAILS(state_seen(state, "event", &seen, &error), ERROR_FATAL, "epoch");
  join(state);
  OK(state_seen(state, "event", &seen, &error));
  state_close(state);
  redis_server_stop(server);
}

static void test_passwords(void **unused) {
  (void)unused;
  if (!redis_server_available()) skip();
  struct redis_server *server = redis_server_start((const char *[]){"--requirepass", "open sesame", NULL});
  assert_non_null(server);
  char url[128];
  struct state *state = impatient(server->url);
  FAILS(state_check(state, &error), ERROR_DENIED, "NOAUTH");
  state_close(state);
  static const char *const logins[] = {":wrong-word", "nobody:wrong-word"};
  for (size_t i = 0; i < 2; i++) {
    snprintf(url, sizeof url, "redis://%s@127.0.0.1:%d", logins[i], server->port);
    state = impatient(url);
    struct error error = {0};
    assert_int_equal(state_check(state, &error), -1);
    assert_int_equal(error.class, ERROR_DENIED);
    assert_null(strstr(error.message, "wrong-word"));
    assert_null(strstr(error.where, "wrong-word"));
    state_close(state);
  }
  snprintf(url, sizeof url, "redis://default:open%%20sesame@127.0.0.1:%d/7", server->port);
  state = impatient(url);
  OK(state_check(state, &error));
  join(state);
  state_close(state);
  redis_server_stop(server);
}

static void test_database_and_unix_socket(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  char url[128];
  snprintf(url, sizeof url, "%s?db=5", server->unix_url);
  struct state *state = open_state(url, "a");
  join(state);
  ASK("0", server, "EXISTS", "parapet:v1:epoch"); /* which looks into database 0 */
  char *info = redis_server_ask(server, "INFO", "keyspace", NULL);
  assert_non_null(strstr(info, "db5:keys=2"));
  free(info);
  state_close(state);
  snprintf(url, sizeof url, "%s/99", server->url);
  state = open_state(url, "a");
  FAILS(state_check(state, &error), ERROR_FATAL, "ERR");
  state_close(state);
}

static void test_scripts_are_sent_again_when_redis_forgot_them(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  OK(state_count(state, "n", 1, &error));
  ASK("OK", server, "SCRIPT", "FLUSH");
  OK(state_count(state, "n", 1, &error));
  OK(state_count(state, "n", 1, &error));
  ASK("3", server, "HGET", "parapet:v1:counters", "n");
  state_close(state);
}

static void test_read_only_replica_and_eviction_policy(void **unused) {
  (void)unused;
  if (!redis_server_available()) skip();
  struct redis_server *server = redis_server_start(NULL);
  assert_non_null(server);
  struct state *state = joined_state(server, "a");
  OK(state_check(state, &error));
  ASK("OK", server, "CONFIG", "SET", "maxmemory", "100mb");
  ASK("OK", server, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
  FAILS(state_check(state, &error), ERROR_INVALID, "maxmemory-policy");
  ASK("OK", server, "CONFIG", "SET", "maxmemory", "0"); /* then nothing is ever dropped */
  OK(state_check(state, &error));
  ASK("OK", server, "CONFIG", "SET", "maxmemory", "100mb");
  ASK("OK", server, "CONFIG", "SET", "maxmemory-policy", "noeviction");
  OK(state_check(state, &error));
  /* a replica of nothing: reads what it has, refuses writes */
  ASK("OK", server, "REPLICAOF", "127.0.0.1", "1");
  FAILS(state_check(state, &error), ERROR_RETRYABLE, "READONLY");
  FAILS(state_count(state, "n", 1, &error), ERROR_RETRYABLE, "READONLY");
  state_close(state);
  redis_server_stop(server);
}

static void test_config_may_be_forbidden_but_not_info(void **unused) {
  (void)unused;
  if (!redis_server_available()) skip();
  struct redis_server *server = redis_server_start((const char *[]){"--maxmemory", "100mb", NULL});
  assert_non_null(server);
  ASK("OK", server, "ACL", "SETUSER", "default", "+@all", "-config");
  struct state *state = impatient(server->url);
  OK(state_check(state, &error));
  state_close(state);
  ASK("OK", server, "ACL", "SETUSER", "default", "+@all", "-info");
  state = impatient(server->url);
  FAILS(state_check(state, &error), ERROR_DENIED, "NOPERM"); /* it tells which server this is, and its policy */
  state_close(state);
  redis_server_stop(server);
}

static void test_a_busy_script_is_waited_out(void **unused) {
  (void)unused;
  if (!redis_server_available()) skip();
  struct redis_server *server = redis_server_start((const char *[]){"--lua-time-limit", "50", NULL});
  assert_non_null(server);
  struct state *state = impatient(server->url);
  join(state);
  pid_t child = fork();
  if (!child) {
    redis_server_ask(server, "EVAL", "while true do end", "0", NULL);
    _exit(0);
  }
  struct error last = {0};
  for (int i = 0; i < 200; i++) { /* the script begins some time: until then calls succeed, then time out, then BUSY */
    struct error error = {0};
    int seen = 0;
    if (state_seen(state, "event", &seen, &error)) last = error;
    if (!strcmp(last.code, "BUSY")) break;
    clock_sleep_ms(20);
  }
  assert_string_equal(last.code, "BUSY");
  assert_int_equal(last.class, ERROR_RETRYABLE);
  ASK("OK", server, "SCRIPT", "KILL");
  waitpid(child, NULL, 0);
  state_close(state);
  redis_server_stop(server);
}

/* ---- calls of many threads share their trips ---- */
enum { CALLERS = 24, CALLS = 200 };
struct caller {
  struct state *state;
  int number;
  int wrong, unanswered;
  pthread_t thread;
};

/* Each has marks of its own, known and unknown ones: another's reply would show. */
static void *call_much(void *argument) {
  struct caller *caller = argument;
  for (int i = 0; i < CALLS; i++) {
    char mine[32], nobodys[32];
    int seen = -1, unseen = -1;
    struct error error = {0};
    snprintf(mine, sizeof mine, "e%d-%d", caller->number, i);
    snprintf(nobodys, sizeof nobodys, "n%d-%d", caller->number, i);
    if (state_seen_mark(caller->state, mine, 60000, &error) || state_seen(caller->state, mine, &seen, &error) ||
        state_seen(caller->state, nobodys, &unseen, &error))
      caller->unanswered++;
    else if (seen != 1 || unseen != 0)
      caller->wrong++;
    if (error.class != ERROR_NONE && error.class != ERROR_RETRYABLE) caller->wrong++;
    /* What is refused before it is sent, or by Redis, is the fault of nobody else. */
    if (state_seen(caller->state, "", &seen, &error) == 0 || error.class != ERROR_INVALID) caller->wrong++;
  }
  return NULL;
}

static void start_callers(struct caller callers[CALLERS], struct state *state) {
  for (int i = 0; i < CALLERS; i++) {
    callers[i] = (struct caller){.state = state, .number = i};
    assert_int_equal(pthread_create(&callers[i].thread, NULL, call_much, &callers[i]), 0);
  }
}

/* How many calls had no answer; none had another's. */
static int join_callers(struct caller callers[CALLERS]) {
  int unanswered = 0;
  for (int i = 0; i < CALLERS; i++) {
    pthread_join(callers[i].thread, NULL);
    assert_int_equal(callers[i].wrong, 0);
    unanswered += callers[i].unanswered;
  }
  return unanswered;
}

static void test_each_call_of_a_trip_has_its_own_reply(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  struct caller callers[CALLERS];
  start_callers(callers, state);
  for (int i = 0; i < 20; i++) {
    clock_sleep_ms(2);
    free(redis_server_ask(server, "SCRIPT", "FLUSH", NULL)); /* some of a trip have to send their script along */
  }
  assert_int_equal(join_callers(callers), 0);
  state_close(state);
}

static void test_a_trip_that_breaks_off_is_told_to_all_of_it(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  struct caller callers[CALLERS];
  start_callers(callers, state);
  for (int i = 0; i < 10; i++) {
    clock_sleep_ms(3);
    free(redis_server_ask(server, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes", NULL));
  }
  join_callers(callers); /* they end, and whoever has an answer has the right one */
  int seen = 0;
  int64_t deadline = clock_monotonic_ms() + 10000;
  struct error error = {0};
  while (state_seen(state, "e0-0", &seen, &error) != 0 && clock_monotonic_ms() < deadline) clock_sleep_ms(10);
  assert_int_equal(seen >= 0, 1);
  start_callers(callers, state);
  assert_int_equal(join_callers(callers), 0); /* and it goes on as before */
  state_close(state);
}
