/* The fleet's budget of AWS calls, on a real Redis; several workers are several budgets. */
#include "../state/fixture.h"

#include <pthread.h>
#include <stdbool.h>

#include "base/pool.h"
#include "fleet/budget.h"

static const struct aws_budget_call read_call = {.account = "111111111111",
                                                 .region = "eu-west-1",
                                                 .class = "ec2:DescribeInstances",
                                                 .burst = 40,
                                                 .per_second = 20,
                                                 .operation = "ec2.DescribeInstances",
                                                 .attempt = 1};

struct worker {
  struct fleet_budget *budget;
  struct aws_budget hook;
  enum pool_lane lane;
  struct aws_budget_call call;
  int64_t until;      /* monotonic ms: takes until then */
  int64_t sent[4000]; /* when each was sent */
  int count, refused;
};

static struct worker open_worker(struct state *state, enum pool_lane lane) {
  struct worker worker = {.budget = fleet_budget_open(state), .lane = lane, .call = read_call};
  assert_non_null(worker.budget);
  worker.hook = fleet_budget_hook(worker.budget);
  return worker;
}

static int64_t take(struct worker *worker, int64_t patience_ms) {
  struct error error = {0};
  struct aws_budget_call call = worker->call;
  call.deadline_ms = clock_monotonic_ms() + patience_ms;
  int64_t wait = worker->hook.take(worker->hook.context, &call, &error);
  if (wait < 0) assert_int_equal(error.class, ERROR_THROTTLED);
  return wait;
}

/* Sends as fast as it may. */
static void *run(void *argument) {
  struct worker *worker = argument;
  pool_lane_set(worker->lane);
  while (clock_monotonic_ms() < worker->until && worker->count < 4000) {
    int64_t wait = take(worker, worker->until - clock_monotonic_ms());
    if (wait < 0) {
      worker->refused++;
      continue;
    }
    clock_sleep_ms(wait);
    worker->sent[worker->count++] = clock_monotonic_ms();
  }
  return NULL;
}

static int compare(const void *a, const void *b) {
  int64_t one = *(const int64_t *)a, two = *(const int64_t *)b;
  return one < two ? -1 : one > two;
}

/* Four workers with three threads' worth of hunger each: in no span of time did they send more than the bucket holds.
 */
static void test_no_burst_above_the_bucket(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *states[] = {joined_state(server, "a"), joined_state(server, "b"), joined_state(server, "c"),
                            joined_state(server, "d")};
  static struct worker workers[4];
  pthread_t threads[4];
  int64_t began = clock_monotonic_ms();
  for (int i = 0; i < 4; i++) {
    workers[i] = open_worker(states[i], POOL_LANE_COMMAND);
    workers[i].until = began + 2500;
  }
  for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, run, &workers[i]), 0);
  static int64_t all[16000];
  size_t count = 0;
  for (int i = 0; i < 4; i++) {
    pthread_join(threads[i], NULL);
    for (int n = 0; n < workers[i].count; n++) all[count++] = workers[i].sent[n];
    fleet_budget_close(workers[i].budget);
    state_close(states[i]);
  }
  qsort(all, count, sizeof *all, compare);
  for (size_t i = 0; i < count; i++)
    for (size_t j = i; j < count; j++) {
      double allowed = read_call.burst + read_call.per_second * (double)(all[j] - all[i] + 1) / 1000;
      if ((double)(j - i + 1) > allowed + 1) fail_msg("%zu calls in %lld ms", j - i + 1, (long long)(all[j] - all[i]));
    }
  /* and they had most of what it holds: 40 at once less what leases keep, and 20 a second */
  assert_true(count > 50);
}

/* As many as can be had without waiting for a refill; *stalled: Redis (or the machine) let one of them wait so long
 * that the budget rightly went on with its own share. */
static int burst_of(struct worker *worker, bool *stalled) {
  int taken = 0;
  for (int64_t began; taken < 200; taken++) {
    began = clock_monotonic_ms();
    int64_t wait = take(worker, 2000);
    if (clock_monotonic_ms() - began > 150) *stalled = true;
    if (wait != 0) break;
  }
  return taken;
}

static const struct {
  enum pool_lane lane;
  int least, most;
} bursts[] = {
    {POOL_LANE_SWEEP, 50, 55},  /* half of it */
    {POOL_LANE_EVENT, 38, 43},  /* up to nine tenths */
    {POOL_LANE_SWEEP, 0, 0},    /* has nothing then */
    {POOL_LANE_COMMAND, 9, 13}, /* the last */
    {POOL_LANE_EVENT, 0, 0},
};

/* The first row that went wrong, or -1. */
static int wrong_burst(struct worker *worker, int *taken, bool *stalled) {
  for (size_t i = 0; i < sizeof bursts / sizeof *bursts; i++) {
    pool_lane_set(bursts[i].lane);
    *taken = burst_of(worker, stalled);
    if (*taken < bursts[i].least || *taken > bursts[i].most) return (int)i;
  }
  return -1;
}

static void test_lanes_leave_a_reserve(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  struct worker worker = open_worker(state, POOL_LANE_SWEEP);
  worker.call.burst = 100;
  worker.call.per_second = 0.1; /* refills hardly while this runs */
  /* A machine that stands still in the middle shows something else: once more then, in another account's bucket. */
  static const char *const accounts[] = {"111111111111", "222222222222", "333333333333", "444444444444"};
  for (size_t i = 0; i < sizeof accounts / sizeof *accounts; i++) {
    bool stalled = false;
    int taken = 0;
    worker.call.account = accounts[i];
    int row = wrong_burst(&worker, &taken, &stalled);
    if (row < 0) break;
    if (!stalled || i == 3) fail_msg("row %d: %d", row, taken);
    clock_sleep_ms(2500); /* until Redis is asked again */
  }
  worker.call.region = "us-east-1"; /* another bucket */
  pool_lane_set(POOL_LANE_SWEEP);
  bool stalled = false;
  assert_true(burst_of(&worker, &stalled) >= 50 || stalled);
  fleet_budget_close(worker.budget);
  state_close(state);
}

static void test_a_throttle_halves_the_rate_for_all(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *one = joined_state(server, "one"), *two = joined_state(server, "two");
  struct state_bucket size = {40, 20, 0};
  struct state_tokens tokens;
  OK(state_budget_take(one, "b", &size, 1, &tokens, &error));
  assert_true(tokens.factor > 0.999);
  OK(state_budget_slow(one, "b", &error));
  OK(state_budget_slow(two, "b", &error)); /* the same storm: once */
  OK(state_budget_take(two, "b", &size, 100, &tokens, &error));
  assert_true(tokens.factor >= 0.5 && tokens.factor < 0.52);
  assert_true(tokens.count >= 17 && tokens.count <= 21);             /* the burst, too */
  ASK("0", server, "HSET", "parapet:v1:budget:b", "slowed", "1000"); /* long ago: whole again */
  OK(state_budget_take(two, "b", &size, 1, &tokens, &error));
  assert_true(tokens.factor > 0.999);
  for (int i = 0; i < 10; i++) { /* never to nothing */
    free(redis_server_ask(server, "HSET", "parapet:v1:budget:b", "slowed", "1000", "factor", "0.05", NULL));
    char now[32];
    snprintf(now, sizeof now, "%lld", (long long)clock_wall_ms() - 1001);
    free(redis_server_ask(server, "HSET", "parapet:v1:budget:b", "slowed", now, NULL));
    OK(state_budget_slow(one, "b", &error));
  }
  OK(state_budget_take(two, "b", &size, 1, &tokens, &error));
  assert_true(tokens.factor >= 0.06); /* a sixteenth */
  FAILS(state_budget_take(one, "b", &(struct state_bucket){0, 1, 0}, 1, &tokens, &error), ERROR_INVALID, "argument");
  FAILS(state_budget_take(one, "b", &(struct state_bucket){1, 0, 0}, 1, &tokens, &error), ERROR_INVALID, "argument");
  FAILS(state_budget_take(one, "b", &(struct state_bucket){1, 1, 1}, 1, &tokens, &error), ERROR_INVALID, "argument");
  FAILS(state_budget_take(one, "b", &size, 0, &tokens, &error), ERROR_INVALID, "argument");
  state_close(one);
  state_close(two);
}

/* Redis gone: a worker's share of the bucket for reads, nothing for what changes. */
static void test_the_local_share_while_redis_is_gone(void **unused) {
  (void)unused;
  if (!redis_server_available()) skip();
  struct redis_server *server = redis_server_start(NULL);
  assert_non_null(server);
  struct state *state = joined_state(server, "a");
  struct worker worker = open_worker(state, POOL_LANE_EVENT);
  fleet_budget_workers(worker.budget, 4);
  assert_int_equal(take(&worker, 1000), 0);
  redis_server_stop(server);
  clock_sleep_ms(600); /* what was leased is lost */
  int64_t began = clock_monotonic_ms();
  bool stalled = false;
  int taken = burst_of(&worker, &stalled);
  int64_t took = clock_monotonic_ms() - began;
  /* 40 and 20 a second, a fourth of it each */
  if (taken < 9 || taken > 11 + 5 * (took + 999) / 1000) fail_msg("%d in %lld ms", taken, (long long)took);
  worker.call.operation = "ec2.RevokeSecurityGroupIngress";
  assert_int_equal(take(&worker, 100), -1);
  fleet_budget_close(worker.budget);
  state_close(state);
}
