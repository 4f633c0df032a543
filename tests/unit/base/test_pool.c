#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/pool.h"

enum { PATIENCE_MS = 60000 };

static struct pool *open_pool(unsigned threads) {
  struct error error;
  struct pool *pool = pool_open(&(struct pool_options){.threads = threads, .name = "test"}, &error);
  if (!pool) fail_msg("%s", error.message);
  return pool;
}

/* A gate holds the task that waits at it until the test opens it. */
struct gate {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  int arrived, open;
};

static struct gate gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0};

static void reset_gate(void) { gate.arrived = gate.open = 0; }

static void wait_at_gate(void *argument) {
  (void)argument;
  pthread_mutex_lock(&gate.lock);
  gate.arrived++;
  pthread_cond_broadcast(&gate.changed);
  while (!gate.open) pthread_cond_wait(&gate.changed, &gate.lock);
  pthread_mutex_unlock(&gate.lock);
}

static void wait_for_arrivals(int count) {
  pthread_mutex_lock(&gate.lock);
  while (gate.arrived < count) pthread_cond_wait(&gate.changed, &gate.lock);
  pthread_mutex_unlock(&gate.lock);
}

static void open_gate(void) {
  pthread_mutex_lock(&gate.lock);
  gate.open = 1;
  pthread_cond_broadcast(&gate.changed);
  pthread_mutex_unlock(&gate.lock);
}

/* The order in which tasks ran; `running` proves that no two ran at once where none may. */
static pthread_mutex_t order_lock = PTHREAD_MUTEX_INITIALIZER;
static char order[4096];
static size_t order_length;

static void reset_order(void) {
  order_length = 0;
  memset(order, 0, sizeof order);
}

static void note(void *argument) {
  pthread_mutex_lock(&order_lock);
  if (order_length < sizeof order - 1) order[order_length++] = *(const char *)argument;
  pthread_mutex_unlock(&order_lock);
}

static void *letter(const char *text) { return (void *)text; }

static void count_up(void *argument) { atomic_fetch_add((atomic_int *)argument, 1); }

static void count_down(void *argument) { atomic_fetch_sub((atomic_int *)argument, 1); }

static void submit(struct pool *pool, enum pool_lane lane, const char *key, pool_task *task, const void *argument) {
  assert_int_equal(pool_submit(pool, lane, key, 0, task, (void *)argument), 0);
}

static void test_thread_counts_outside_the_limits_are_refused(void **state) {
  (void)state;
  static const unsigned counts[] = {0, 1025, 4000000000u};
  for (size_t i = 0; i < 3; i++) {
    struct error error = {0};
    assert_null(pool_open(&(struct pool_options){.threads = counts[i]}, &error));
    assert_int_equal(error.class, ERROR_INVALID);
  }
  pool_close(NULL, NULL);
}

static void test_threads_that_cannot_start_are_an_error(void **state) {
  (void)state;
  struct error error = {0};
  struct pool_options options = {.threads = 2, .name = "huge", .stack_bytes = (size_t)1 << 60};
  assert_null(pool_open(&options, &error));
  assert_int_equal(error.class, ERROR_FATAL);
  assert_non_null(strstr(error.message, "Thread 1 of pool huge"));
}

struct step {
  int key, number;
};
enum { KEYS = 100, STEPS = 50 };
static int next_step[KEYS]; /* written by tasks of one key only, which never run at once: a race would be reported */
static atomic_int out_of_order;

static void take_step(void *argument) {
  struct step *step = argument;
  if (next_step[step->key] != step->number) atomic_fetch_add(&out_of_order, 1);
  next_step[step->key] = step->number + 1;
  free(step);
}

static void test_tasks_of_a_key_run_one_at_a_time_in_order(void **state) {
  (void)state;
  struct pool *pool = open_pool(8);
  memset(next_step, 0, sizeof next_step);
  for (int number = 0; number < STEPS; number++)
    for (int key = 0; key < KEYS; key++) {
      struct step *step = malloc(sizeof *step);
      assert_non_null(step);
      *step = (struct step){key, number};
      char name[16];
      snprintf(name, sizeof name, "key-%d", key);
      submit(pool, (enum pool_lane)((key + number) % POOL_LANES), name, take_step, step); /* lanes do not break it */
    }
  assert_int_equal(pool_wait_idle(pool, PATIENCE_MS), 0);
  assert_int_equal(out_of_order, 0);
  for (int key = 0; key < KEYS; key++) assert_int_equal(next_step[key], STEPS);
  pool_close(pool, NULL);
}

static void test_different_keys_and_no_key_run_in_parallel(void **state) {
  (void)state;
  static const char *const keys[] = {"a", "b", NULL, NULL, "", ""};
  struct pool *pool = open_pool(6);
  reset_gate();
  for (int i = 0; i < 6; i++) submit(pool, POOL_LANE_EVENT, keys[i], wait_at_gate, NULL);
  wait_for_arrivals(6); /* all at once, or this would wait for ever */
  struct pool_load load = pool_load(pool);
  assert_int_equal(load.running, 6);
  assert_int_equal(load.queued, 0);
  open_gate();
  pool_close(pool, NULL);
}

/* One thread, held at the gate while everything is submitted, shows the order in which tasks are picked. */
static struct pool *open_held(void) {
  struct pool *pool = open_pool(1);
  reset_gate();
  reset_order();
  submit(pool, POOL_LANE_COMMAND, NULL, wait_at_gate, NULL);
  wait_for_arrivals(1);
  return pool;
}

static void test_lanes_are_served_by_urgency(void **state) {
  (void)state;
  struct pool *pool = open_held();
  submit(pool, POOL_LANE_SWEEP, NULL, note, "s");
  submit(pool, POOL_LANE_EVENT, NULL, note, "e");
  submit(pool, POOL_LANE_SWEEP, NULL, note, "s");
  submit(pool, POOL_LANE_COMMAND, NULL, note, "c");
  submit(pool, POOL_LANE_EVENT, NULL, note, "e");
  submit(pool, POOL_LANE_COMMAND, NULL, note, "c");
  assert_int_equal(pool_load(pool).queued, 6);
  open_gate();
  assert_int_equal(pool_wait_idle(pool, PATIENCE_MS), 0);
  assert_string_equal(order, "cceess");
  pool_close(pool, NULL);
}

static void note_lane(void *argument) {
  (void)argument;
  static char letters[] = {[POOL_LANE_COMMAND] = 'c', [POOL_LANE_EVENT] = 'e', [POOL_LANE_SWEEP] = 's'};
  note(&letters[pool_lane()]);
}

static void test_a_task_knows_its_lane(void **state) {
  (void)state;
  assert_int_equal(pool_lane(), POOL_LANE_EVENT);
  struct pool *pool = open_held();
  submit(pool, POOL_LANE_SWEEP, "k", note_lane, NULL); /* lifted, but no more urgent for that */
  submit(pool, POOL_LANE_COMMAND, "k", note_lane, NULL);
  submit(pool, POOL_LANE_EVENT, NULL, note_lane, NULL);
  open_gate();
  assert_int_equal(pool_wait_idle(pool, PATIENCE_MS), 0);
  assert_string_equal(order, "sce");
  pool_close(pool, NULL);
}

static void test_the_least_urgent_lane_does_not_starve(void **state) {
  (void)state;
  struct pool *pool = open_held();
  for (int i = 0; i < 320; i++) submit(pool, POOL_LANE_COMMAND, NULL, note, "c");
  for (int i = 0; i < 10; i++) submit(pool, POOL_LANE_SWEEP, NULL, note, "s");
  open_gate();
  assert_int_equal(pool_wait_idle(pool, PATIENCE_MS), 0);
  int sweeps = 0;
  for (size_t i = 0; i < 160; i++) sweeps += order[i] == 's';
  assert_int_equal(sweeps, 10); /* one of 16 picks */
  assert_int_equal(order_length, 330);
  pool_close(pool, NULL);
}

/* A command behind a sweep of the same key must wait for it, so that sweep goes first. */
static void test_a_command_lifts_what_it_waits_for(void **state) {
  (void)state;
  struct pool *pool = open_held();
  submit(pool, POOL_LANE_EVENT, NULL, note, "e");
  submit(pool, POOL_LANE_SWEEP, "k", note, "1");
  submit(pool, POOL_LANE_SWEEP, "other", note, "o");
  submit(pool, POOL_LANE_COMMAND, "k", note, "2");
  open_gate();
  assert_int_equal(pool_wait_idle(pool, PATIENCE_MS), 0);
  assert_string_equal(order, "12eo");
  pool_close(pool, NULL);
}

static void test_keys_of_a_lane_take_turns(void **state) {
  (void)state;
  struct pool *pool = open_held();
  for (int i = 0; i < 3; i++) submit(pool, POOL_LANE_EVENT, "noisy", note, "n");
  submit(pool, POOL_LANE_EVENT, "quiet", note, "q");
  open_gate();
  assert_int_equal(pool_wait_idle(pool, PATIENCE_MS), 0);
  assert_string_equal(order, "nqnn");
  pool_close(pool, NULL);
}

static void test_delayed_tasks_come_in_due_order_and_hold_nobody(void **state) {
  (void)state;
  struct pool *pool = open_pool(1);
  reset_order();
  int64_t before = clock_monotonic_ms();
  assert_int_equal(pool_submit(pool, POOL_LANE_EVENT, "k", 1200, note, letter("3")), 0);
  assert_int_equal(pool_submit(pool, POOL_LANE_EVENT, "k", 400, note, letter("1")), 0);
  assert_int_equal(pool_submit(pool, POOL_LANE_EVENT, "k", 800, note, letter("2")), 0);
  assert_int_equal(pool_submit(pool, POOL_LANE_EVENT, "k", -5, note, letter("0")), 0); /* at once */
  while (pool_load(pool).delayed > 0 && clock_monotonic_ms() - before < PATIENCE_MS) clock_sleep_ms(5);
  assert_int_equal(pool_wait_idle(pool, PATIENCE_MS), 0);
  assert_true(clock_monotonic_ms() - before >= 1199);
  assert_string_equal(order, "0123");
  pool_close(pool, NULL);
}

static void test_same_due_time_keeps_the_order_of_submission(void **state) {
  (void)state;
  struct pool *pool = open_pool(1);
  reset_order();
  static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
  for (int i = 0; i < 26; i++)
    assert_int_equal(pool_submit(pool, POOL_LANE_EVENT, "k", INT64_MAX, note, letter(&letters[i])), 0);
  assert_int_equal(pool_load(pool).delayed, 26);
  pool_close(pool, NULL); /* runs them now, in the order of their due times */
  assert_string_equal(order, letters);
}

static void test_wait_idle_has_a_deadline(void **state) {
  (void)state;
  struct pool *pool = open_held();
  assert_int_equal(pool_wait_idle(pool, 0), -1);
  assert_int_equal(pool_wait_idle(pool, 20), -1);
  assert_int_equal(pool_submit(pool, POOL_LANE_EVENT, NULL, 3600000, note, letter("x")), 0);
  open_gate();
  assert_int_equal(pool_wait_idle(pool, PATIENCE_MS), 0); /* a delayed task does not count */
  assert_int_equal(pool_load(pool).delayed, 1);
  pool_close(pool, NULL);
}

/* Every argument is released exactly once: +1 by the task, -1 by who abandons. */
static void test_close_runs_what_is_queued_and_abandons_what_is_delayed(void **state) {
  (void)state;
  atomic_int ran = 0;
  atomic_int abandoned = 0;
  struct pool *pool = open_pool(2);
  for (int i = 0; i < 500; i++) submit(pool, POOL_LANE_SWEEP, i % 2 ? "k" : NULL, count_up, &ran);
  for (int i = 0; i < 100; i++)
    assert_int_equal(pool_submit(pool, POOL_LANE_SWEEP, "k", 3600000 + i, count_up, &abandoned), 0);
  pool_close(pool, count_down);
  assert_int_equal(ran, 500);
  assert_int_equal(abandoned, -100);
}

static void test_close_without_abandoned_runs_what_is_delayed(void **state) {
  (void)state;
  for (unsigned threads = 1; threads <= 4; threads++) {
    atomic_int ran = 0;
    struct pool *pool = open_pool(threads);
    for (int i = 0; i < 100; i++) assert_int_equal(pool_submit(pool, POOL_LANE_SWEEP, "k", 3600000, count_up, &ran), 0);
    pool_close(pool, NULL);
    assert_int_equal(ran, 100);
  }
}

struct resubmission {
  struct pool *pool;
  atomic_int ran, accepted;
};

static void submit_again(void *argument) {
  struct resubmission *again = argument;
  if (atomic_fetch_add(&again->ran, 1) >= 100) return;
  if (pool_submit(again->pool, POOL_LANE_EVENT, "k", 0, submit_again, again) == 0)
    atomic_fetch_add(&again->accepted, 1);
}

static void test_a_task_may_submit_to_its_own_key(void **state) {
  (void)state;
  struct resubmission again = {.pool = open_pool(2)};
  submit(again.pool, POOL_LANE_EVENT, "k", submit_again, &again);
  assert_int_equal(pool_wait_idle(again.pool, PATIENCE_MS), 0);
  assert_int_equal(again.ran, 101);
  pool_close(again.pool, NULL);
}

static struct pool *closing_pool;
static atomic_int refused;

static void submit_until_refused(void *argument) {
  (void)argument;
  while (pool_submit(closing_pool, POOL_LANE_EVENT, NULL, 1, count_up, &refused) == 0) clock_sleep_ms(1);
  atomic_store(&refused, 1000000);
}

static void test_nothing_is_accepted_once_closing_began(void **state) {
  (void)state;
  closing_pool = open_pool(1);
  submit(closing_pool, POOL_LANE_EVENT, NULL, submit_until_refused, NULL);
  pool_close(closing_pool, NULL); /* ends only because the running task was refused */
  assert_true(refused >= 1000000);
}

static atomic_int ended;
static char worker_name[32];
static sigset_t worker_signals;
static void end_thread(void) { atomic_fetch_add(&ended, 1); }
static void look_around(void *argument) {
  (void)argument;
  pthread_getname_np(pthread_self(), worker_name, sizeof worker_name);
  pthread_sigmask(SIG_SETMASK, NULL, &worker_signals);
}

static void test_threads_have_names_and_no_signals_and_end_properly(void **state) {
  (void)state;
  struct error error;
  struct pool_options options = {.threads = 3, .name = "longer-than-8", .thread_end = end_thread};
  struct pool *pool = pool_open(&options, &error);
  assert_non_null(pool);
  clock_sleep_ms(20);
  submit(pool, POOL_LANE_EVENT, NULL, look_around, NULL);
  pool_close(pool, NULL);
  assert_int_equal(ended, 3);
  assert_int_equal(strncmp(worker_name, "longer-t-", 9), 0);
  assert_true(sigismember(&worker_signals, SIGTERM));
  assert_false(sigismember(&worker_signals, SIGSEGV));
}

/* Many tasks behind many keys, all queued at once: with anything linear per pick this would take minutes. */
static void test_a_hundred_thousand_queued_tasks(void **state) {
  (void)state;
  enum { TASKS = 100000 };
  atomic_int ran = 0;
  struct pool *pool = open_held();
  for (int i = 0; i < TASKS; i++) {
    char key[16];
    snprintf(key, sizeof key, "key-%d", i % 20000);
    submit(pool, (enum pool_lane)(i % POOL_LANES), key, count_up, &ran);
  }
  assert_int_equal(pool_load(pool).queued, TASKS);
  open_gate();
  assert_int_equal(pool_wait_idle(pool, PATIENCE_MS), 0);
  assert_int_equal(ran, TASKS);
  pool_close(pool, NULL);
}
