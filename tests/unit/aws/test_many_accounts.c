/* A thousand accounts and many threads: one AssumeRole for each (account, policy) within a session's life, at the pace
 * that the hub's STS bears, and no call with a session that has ended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/fake.h"

#define ACCOUNTS 1000
#define POLICIES 2
#define SESSIONS (ACCOUNTS * POLICIES)
#define THREADS 8
#define PACE 50
#define LOG 16384 /* AssumeRole calls that are remembered */

static const struct fake_answer regions[] = {
    {.status = 200,
     .body = "<DescribeRegionsResponse><requestId>r</requestId><regionInfo/></DescribeRegionsResponse>"}};
static const char *const policies[POLICIES] = {"{\"read\":1}", "{\"write\":1}"};

struct world {
  struct fake fake;
  struct aws_client *client;
  int64_t sent_ms[LOG], expires_ms[LOG]; /* of each AssumeRole, by its number; under the fake's lock */
  _Atomic int failed, expired_in_use, unknown_session;
  pthread_barrier_t start;
};

/* Which AssumeRole gave the session that signs this request? */
static size_t session_of(const struct aws_http_request *request) {
  for (size_t i = 0; i < request->header_count; i++)
    if (strcasecmp(request->headers[i].name, "X-Amz-Security-Token") == 0)
      return (size_t)strtoul(request->headers[i].value + strlen("session-token-"), NULL, 10);
  return 0;
}

static void note_assume(struct fake *fake, const struct aws_http_request *request, struct fake_answer *answer) {
  struct world *world = (struct world *)fake;
  assume_ok(fake, request, answer);
  if (fake->assumed >= LOG) return;
  world->sent_ms[fake->assumed] = atomic_load(&fake->monotonic_ms);
  world->expires_ms[fake->assumed] = atomic_load(&fake->wall_ms) + (int64_t)fake->session_life_s * 1000;
}

static int perform(void *context, const struct aws_http_request *request, struct aws_http_response *response,
                   struct error *error) {
  struct world *world = context;
  if (!request->body || !strstr(request->body, "Action=AssumeRole&")) {
    size_t session = session_of(request);
    pthread_mutex_lock(&world->fake.lock);
    int64_t expires = session > 0 && session < LOG ? world->expires_ms[session] : 0;
    pthread_mutex_unlock(&world->fake.lock);
    if (expires == 0) atomic_fetch_add(&world->unknown_session, 1);
    if (expires <= atomic_load(&world->fake.wall_ms)) atomic_fetch_add(&world->expired_in_use, 1);
  }
  return fake_perform(&world->fake, request, response, error);
}

static struct world *open_world(void) {
  fake_environment();
  struct world *world = calloc(1, sizeof *world);
  aws_close(FAKE_OPEN(&world->fake, regions)); /* sets the fake up */
  world->fake.assume = note_assume;
  struct aws_transport transport = {.perform = perform, .context = world};
  struct aws_options options = {
      .models = fake_models(), .transport = &transport, .hub_region = "eu-west-1", .assume_per_second = PACE};
  struct aws_hooks hooks = {.monotonic_ms = fake_monotonic,
                            .wall_ms = fake_wall,
                            .sleep_ms = fake_sleep,
                            .random = fake_random,
                            .context = &world->fake,
                            .no_thread = 1};
  world->client = aws_open_with(&options, &hooks, NULL);
  assert_non_null(world->client);
  pthread_barrier_init(&world->start, NULL, THREADS);
  return world;
}

static void close_world(struct world *world) {
  pthread_barrier_destroy(&world->start);
  fake_close(&world->fake, world->client);
  free(world);
}

/* Every account once with each policy, in an order that others do not have (the step has no divisor with SESSIONS). */
static void *visit_all(void *argument) {
  static _Atomic unsigned numbers;
  struct world *world = argument;
  unsigned step = 7 + 20 * (atomic_fetch_add(&numbers, 1) % THREADS) + 2 * 17;
  while (step % 2 == 0 || step % 5 == 0) step++;
  pthread_barrier_wait(&world->start);
  for (unsigned i = 0, at = 0; i < SESSIONS; i++, at = (at + step) % SESSIONS) {
    char account[13];
    snprintf(account, sizeof account, "%012u", 100000 + at % ACCOUNTS);
    struct aws_role role = {.name = "worker", .session_policy = policies[at / ACCOUNTS]};
    struct aws_target target = {.account = account, .region = "eu-west-1", .role = &role};
    json_t *result = aws_call(world->client, &target, "ec2.DescribeRegions", NULL, NULL, NULL);
    if (!result) atomic_fetch_add(&world->failed, 1);
    json_decref(result);
  }
  return NULL;
}

static void visit_with_all_threads(struct world *world) {
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, visit_all, world), 0);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  assert_int_equal(world->failed, 0);
  assert_int_equal(world->unknown_session, 0);
  assert_int_equal(world->expired_in_use, 0);
}

/* In no second more than the pace: its burst and its rate, and what threads that were held up send late. */
static void check_pace(const struct world *world, size_t first, size_t last) {
  for (size_t from = first, to = first; to <= last; to++) {
    while (world->sent_ms[to] - world->sent_ms[from] >= 1000) from++;
    if (to - from + 1 > PACE + PACE + THREADS) fail_msg("%zu calls of AssumeRole within a second", to - from + 1);
  }
}

static void test_a_thousand_accounts(void **state) {
  (void)state;
  struct world *world = open_world();
  int64_t start = world->fake.monotonic_ms;
  visit_with_all_threads(world);
  assert_int_equal(world->fake.assumed, SESSIONS);
  check_pace(world, 1, SESSIONS);
  assert_true(world->fake.monotonic_ms - start >= (SESSIONS - PACE) * 1000 / PACE);

  /* Within their life: not one more.  (The first came up to a few minutes before the last.) */
  fake_advance(&world->fake, (int64_t)30 * 60000);
  visit_with_all_threads(world);
  assert_int_equal(world->fake.assumed, SESSIONS);
  close_world(world);
}

static void test_renewal_ahead_is_one_each_and_paced(void **state) {
  (void)state;
  struct world *world = open_world();
  visit_with_all_threads(world);
  fake_advance(&world->fake, (int64_t)29 * 60000);
  visit_with_all_threads(world); /* in use */
  fake_advance(&world->fake, (int64_t)17 * 60000);
  for (int rounds = 0; rounds < 100 && aws_sessions_refresh(world->client->sessions) == 0; rounds++) continue;
  assert_int_equal(world->fake.assumed, 2 * SESSIONS);
  check_pace(world, SESSIONS + 1, 2 * SESSIONS);
  fake_advance(&world->fake, (int64_t)20 * 60000); /* over the end of the first ones */
  visit_with_all_threads(world);
  assert_int_equal(world->fake.assumed, 2 * SESSIONS);
  close_world(world);
}

static void test_without_the_background_none_expires_in_use(void **state) {
  (void)state;
  struct world *world = open_world();
  size_t lives = 0;
  for (int minute = 0; minute < 130; minute += 20) {
    visit_with_all_threads(world);
    lives = world->fake.assumed;
    fake_advance(&world->fake, (int64_t)20 * 60000);
  }
  /* Two hours and more of sessions of an hour, each renewed when ten minutes are left. */
  assert_true(lives >= 3 * SESSIONS && lives <= 4 * SESSIONS);
  close_world(world);
}

static void test_a_short_deadline_does_not_speak_for_others(void **state) {
  (void)state;
  struct world *world = open_world();
  struct aws_role role = {.name = "worker"};
  struct error error;
  char account[13];
  for (int i = 0; i < PACE; i++) { /* the burst is used up */
    snprintf(account, sizeof account, "%012d", i);
    struct aws_target target = {.account = account, .region = "eu-west-1", .role = &role};
    json_decref(aws_call(world->client, &target, "ec2.DescribeRegions", NULL, NULL, NULL));
  }
  struct aws_target target = {.account = "111111111111", .region = "eu-west-1", .role = &role};
  struct aws_call_options hurried = {.deadline_ms = aws_client_now(world->client) + 10};
  assert_null(aws_call(world->client, &target, "ec2.DescribeRegions", NULL, &hurried, &error));
  assert_int_equal(error.class, ERROR_THROTTLED);
  assert_string_equal(error.code, "BudgetExceeded");
  json_t *result = aws_call(world->client, &target, "ec2.DescribeRegions", NULL, NULL, &error);
  assert_non_null(result);
  json_decref(result);
  close_world(world);
}
