/* Budgets: the buckets, which call draws from which, and what the client does with them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/fake.h"

static const struct fake_answer regions[] = {
    {.status = 200,
     .body = "<DescribeRegionsResponse><requestId>r</requestId><regionInfo/></DescribeRegionsResponse>"}};
static const struct aws_target base_target = {.region = "eu-west-1"};

/* A client on the fake network with a budget. */
static struct aws_client *open_with(struct fake *fake, const struct fake_answer *answers, size_t count, int percent,
                                    const struct aws_budget *budget) {
  fake_environment();
  aws_close(fake_open(fake, answers, count)); /* sets the fake up */
  struct aws_transport transport = {.perform = fake_perform, .context = fake};
  struct aws_options options = {.models = fake_models(),
                                .transport = &transport,
                                .hub_region = "eu-west-1",
                                .budget_percent = percent,
                                .budget = budget};
  struct aws_hooks hooks = {.monotonic_ms = fake_monotonic,
                            .wall_ms = fake_wall,
                            .sleep_ms = fake_sleep,
                            .random = fake_random,
                            .context = fake,
                            .no_thread = 1};
  return aws_open_with(&options, &hooks, NULL);
}

/* ---- one bucket ---- */

static void test_a_bucket_refuses_what_would_wait_too_long(void **state) {
  (void)state;
  aws_bucket bucket = 0;
  assert_int_equal(aws_bucket_take(&bucket, 1, 2, 1000000, 0), 0);
  assert_int_equal(aws_bucket_take(&bucket, 1, 2, 1000000, 499999), -1);
  assert_int_equal(aws_bucket_take(&bucket, 1, 2, 1000000, 499999), -1); /* and took nothing */
  assert_int_equal(aws_bucket_take(&bucket, 1, 2, 1000000, 500000), 500000);
  assert_int_equal(aws_bucket_take(&bucket, 1, 2, 1000000, 10000000), 1000000);
}

static void test_a_bucket_has_its_burst_and_refills(void **state) {
  (void)state;
  aws_bucket bucket = 0;
  for (int round = 0; round < 3; round++) {
    int64_t now = (int64_t)(round + 1) * 60000000; /* a minute refills it, and does not overfill it */
    for (int i = 0; i < 100; i++) assert_int_equal(aws_bucket_take(&bucket, 100, 20, now, 0), 0);
    assert_int_equal(aws_bucket_take(&bucket, 100, 20, now, 0), -1);
    assert_int_equal(aws_bucket_take(&bucket, 100, 20, now + 50000, 0), 0); /* 20 a second */
    assert_int_equal(aws_bucket_take(&bucket, 100, 20, now + 50000, 0), -1);
  }
}

static void test_fractions_of_a_token(void **state) {
  (void)state;
  aws_bucket bucket = 0;
  assert_int_equal(aws_bucket_take(&bucket, 1, 0.1, 1000000, 0), 0);
  assert_int_equal(aws_bucket_take(&bucket, 1, 0.1, 10999999, 0), -1);
  assert_int_equal(aws_bucket_take(&bucket, 1, 0.1, 11000000, 0), 0);
}

#define THREADS 8
#define TAKES 5000
struct race {
  aws_bucket bucket;
  _Atomic int granted;
};

static void *take_many(void *argument) {
  struct race *race = argument;
  for (int i = 0; i < TAKES; i++)
    if (aws_bucket_take(&race->bucket, 1000, 10, 1000000, 0) == 0) atomic_fetch_add(&race->granted, 1);
  return NULL;
}

static void test_threads_share_a_bucket_exactly(void **state) {
  (void)state;
  struct race race = {0};
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, take_many, &race), 0);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  assert_int_equal(race.granted, 1000);
}

/* ---- classes ---- */

static void test_which_bucket(void **state) {
  (void)state;
  static const struct {
    const char *service, *operation, *params, *class;
    double burst, per_second;
    const char *region;
  } rows[] = {
      {"ec2", "DescribeRouteTables", "{}", "ec2:DescribeRouteTables", 100, 20, "eu-west-1"},
      {"ec2", "DescribeInstances", "{}", "ec2:DescribeInstances:all", 50, 10, "eu-west-1"},
      {"ec2", "DescribeInstances", "{\"MaxResults\":5}", "ec2:DescribeInstances", 100, 20, "eu-west-1"},
      {"ec2", "DescribeInstances", "{\"Filters\":[]}", "ec2:DescribeInstances", 100, 20, "eu-west-1"},
      {"ec2", "ModifyHosts", "{}", "ec2:ModifyHosts", 50, 5, "eu-west-1"},
      {"ec2", "RevokeSecurityGroupIngress", "{}", "ec2:RevokeSecurityGroupIngress", 50, 5, "eu-west-1"},
      {"ec2", "CreateTags", "{}", "ec2:CreateTags", 100, 10, "eu-west-1"},
      {"ec2", "EnableImageBlockPublicAccess", "{}", "ec2:EnableImageBlockPublicAccess", 1, 0.1, "eu-west-1"},
      {"route53", "ListHostedZones", "{}", "route53:read", 5, 5, ""},
      {"sts", "GetCallerIdentity", "{}", "sts:read", 600, 600, "eu-west-1"},
      {"cloudtrail", "LookupEvents", "{}", "cloudtrail:LookupEvents", 2, 2, "eu-west-1"},
      {"cloudtrail", "DescribeTrails", "{}", "cloudtrail:read", 100, 50, "eu-west-1"},
      {"iam", "ListUsers", "{}", "iam:read", 100, 50, "eu-west-1"},
      {"iam", "DeleteUser", "{}", "iam:write", 50, 20, "eu-west-1"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct aws_budget_call call = {.account = "", .region = "eu-west-1"};
    json_t *params = json_loads(rows[i].params, 0, NULL);
    aws_budget_classify(rows[i].service, rows[i].operation, params, &call);
    json_decref(params);
    assert_string_equal(call.class, rows[i].class);
    assert_string_equal(call.region, rows[i].region);
    assert_true(call.burst > rows[i].burst - 0.001 && call.burst < rows[i].burst + 0.001);
    assert_true(call.per_second > rows[i].per_second - 0.001 && call.per_second < rows[i].per_second + 0.001);
  }
}

/* ---- the client ---- */

static int call_ok(struct aws_client *client, const struct aws_target *target, int64_t limit_ms, struct error *error) {
  struct aws_call_options options = {.deadline_ms = aws_client_now(client) + limit_ms};
  json_t *result = aws_call(client, target, "ec2.DescribeRegions", NULL, &options, error);
  json_decref(result);
  return result ? 0 : -1;
}

static void test_a_call_that_would_wait_too_long_is_refused(void **state) {
  (void)state;
  struct fake fake;
  struct error error;
  struct aws_client *client = open_with(&fake, regions, 1, 100, NULL);
  for (int i = 0; i < 100; i++) assert_int_equal(call_ok(client, &base_target, 40, &error), 0);
  assert_int_equal(call_ok(client, &base_target, 40, &error), -1);
  assert_int_equal(error.class, ERROR_THROTTLED);
  assert_string_equal(error.code, "BudgetExceeded");
  assert_string_equal(error.where, "ec2.DescribeRegions");
  assert_int_equal(fake.requests, 100);
  assert_int_equal(fake.slept_ms, 0);
  assert_int_equal(aws_counters(client).refused, 1);
  struct aws_target elsewhere = {.region = "us-east-1"}; /* another bucket */
  assert_int_equal(call_ok(client, &elsewhere, 40, &error), 0);
  fake_close(&fake, client);
}

static void test_calls_are_spread_at_the_published_rate(void **state) {
  (void)state;
  struct fake fake;
  struct error error;
  struct aws_client *client = open_with(&fake, regions, 1, 100, NULL);
  for (int i = 0; i < 300; i++) assert_int_equal(call_ok(client, &base_target, 5000, &error), 0);
  assert_in_range(fake.slept_ms, 10000, 10200); /* 200 over the burst at 20 a second, each rounded up to a ms */
  assert_int_equal(aws_counters(client).delayed, 200);
  fake_close(&fake, client);
}

static void test_half_of_the_budget_and_none(void **state) {
  (void)state;
  struct fake fake;
  struct error error;
  struct aws_client *client = open_with(&fake, regions, 1, 50, NULL);
  for (int i = 0; i < 50; i++) assert_int_equal(call_ok(client, &base_target, 40, &error), 0);
  assert_int_equal(call_ok(client, &base_target, 40, &error), -1);
  fake_close(&fake, client);
  client = open_with(&fake, regions, 1, 0, NULL);
  for (int i = 0; i < 500; i++) assert_int_equal(call_ok(client, &base_target, 40, &error), 0);
  assert_int_equal(fake.slept_ms, 0);
  fake_close(&fake, client);
}

/* ---- somebody else's budget ---- */

struct ledger {
  int asked, refuse_from;
  int64_t delay_ms;
  struct aws_budget_call last;
};

static int64_t ask_ledger(void *context, const struct aws_budget_call *call, struct error *error) {
  struct ledger *ledger = context;
  ledger->last = *call;
  if (++ledger->asked < ledger->refuse_from) return ledger->delay_ms;
  return error_set(error, ERROR_THROTTLED, "FleetBudget", "the fleet has spent it");
}

static void test_the_hook_is_asked_before_each_attempt(void **state) {
  (void)state;
  static const struct fake_answer answers[] = {{.status = 503, .body = ""}};
  struct ledger ledger = {.refuse_from = 3, .delay_ms = 7};
  struct aws_budget budget = {ask_ledger, &ledger};
  struct fake fake;
  struct error error;
  struct aws_client *client = open_with(&fake, answers, 1, 0, &budget);
  fake.chance = 0;
  assert_int_equal(call_ok(client, &base_target, 60000, &error), -1);
  assert_string_equal(error.code, "FleetBudget"); /* its refusal of the third attempt ends the call */
  assert_int_equal(ledger.asked, 3);
  assert_int_equal(ledger.last.attempt, 3);
  assert_string_equal(ledger.last.class, "ec2:DescribeRegions");
  assert_string_equal(ledger.last.operation, "ec2.DescribeRegions");
  assert_string_equal(ledger.last.account, "");
  assert_int_equal(fake.requests, 2);
  assert_int_equal(fake.slept_ms, 14);
  fake_close(&fake, client);
}

static void test_a_hook_cannot_hold_a_call_past_its_deadline(void **state) {
  (void)state;
  struct ledger ledger = {.refuse_from = 100, .delay_ms = 60000};
  struct aws_budget budget = {ask_ledger, &ledger};
  struct fake fake;
  struct error error;
  struct aws_client *client = open_with(&fake, regions, 1, 100, &budget);
  assert_int_equal(call_ok(client, &base_target, 60000, &error), -1);
  assert_string_equal(error.code, "BudgetExceeded");
  assert_int_equal(fake.slept_ms, 0);
  fake_close(&fake, client);
}

/* ---- the last word ---- */

struct gate {
  struct fake *fake;
  int asked, open_for;
  int64_t slept_before;
};

static int ask_gate(void *argument, struct error *error) {
  struct gate *gate = argument;
  gate->slept_before = atomic_load(&gate->fake->slept_ms);
  if (gate->asked++ < gate->open_for) return 0;
  return error_set(error, ERROR_RETRYABLE, "Stopped", "an operator said stop");
}

/* What is asked right before a call goes out is asked behind every wait, for each attempt, and nothing is sent against
 * it. */
static void test_the_last_word_comes_after_the_budget(void **state) {
  (void)state;
  static const struct fake_answer answers[] = {{.status = 503, .body = ""}};
  struct ledger ledger = {.refuse_from = 100, .delay_ms = 4000};
  struct aws_budget budget = {ask_ledger, &ledger};
  struct fake fake;
  struct aws_client *client = open_with(&fake, answers, 1, 100, &budget);
  fake.chance = 0;
  for (int open_for = 0; open_for < 3; open_for++) {
    size_t sent = fake.requests;
    int64_t slept = fake.slept_ms;
    struct gate gate = {.fake = &fake, .open_for = open_for};
    struct error error = {0};
    struct aws_call_options options = {.before_send = ask_gate, .argument = &gate};
    assert_null(aws_call(client, &base_target, "ec2.DescribeRegions", NULL, &options, &error));
    assert_string_equal(error.code, "Stopped");
    assert_int_equal(fake.requests - sent, open_for);
    assert_int_equal(gate.asked, open_for + 1);
    assert_true(gate.slept_before - slept >= 4000 * (open_for + 1));
  }
  fake_close(&fake, client);
}
