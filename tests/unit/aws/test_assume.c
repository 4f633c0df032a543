/* Sessions: assumed once for everybody, renewed ahead of time, refused quickly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/fake.h"
#include "aws/session_internal.h"

static const struct fake_answer regions[] = {
    {.status = 200,
     .body = "<DescribeRegionsResponse><requestId>r</requestId><regionInfo/></DescribeRegionsResponse>"}};
static const struct aws_role worker = {.name = "worker"};
static const struct aws_target there = {.account = "111111111111", .region = "eu-west-1", .role = &worker};

static int call_ok(struct aws_client *client, const struct aws_target *target, struct error *error) {
  json_t *result = aws_call(client, target, "ec2.DescribeRegions", NULL, NULL, error);
  json_decref(result);
  return result ? 0 : -1;
}

/* ---- failures ---- */

static void test_denied_is_remembered_for_30_seconds(void **state) {
  (void)state;
  fake_environment();
  struct fake fake;
  struct error error;
  struct aws_client *client = FAKE_OPEN(&fake, regions);
  fake.assume = assume_denied;
  for (int i = 0; i < 3; i++) {
    assert_int_equal(call_ok(client, &there, &error), -1);
    assert_int_equal(error.class, ERROR_DENIED);
    assert_string_equal(error.code, "AccessDenied");
    assert_string_equal(error.where, "ec2.DescribeRegions");
    assert_non_null(strstr(error.message, "arn:aws:iam::111111111111:role/worker"));
  }
  assert_int_equal(fake.assumed, 1);
  fake_advance(&fake, 29999);
  assert_int_equal(call_ok(client, &there, &error), -1);
  assert_int_equal(fake.assumed, 1);
  fake_advance(&fake, 2);
  fake.assume = assume_ok;
  assert_int_equal(call_ok(client, &there, &error), 0);
  assert_int_equal(fake.assumed, 2);
  fake_close(&fake, client);
}

static void assume_unavailable(struct fake *fake, const struct aws_http_request *request, struct fake_answer *answer) {
  (void)fake;
  (void)request;
  *answer = (struct fake_answer){.status = 503, .body = ""};
}

static void test_a_broken_sts_is_asked_again_soon(void **state) {
  (void)state;
  fake_environment();
  struct fake fake;
  struct error error;
  struct aws_client *client = FAKE_OPEN(&fake, regions);
  fake.assume = assume_unavailable;
  assert_int_equal(call_ok(client, &there, &error), -1);
  assert_int_equal(error.class, ERROR_RETRYABLE);
  assert_int_equal(fake.assumed, 3); /* the client's own attempts */
  assert_int_equal(call_ok(client, &there, &error), -1);
  assert_int_equal(fake.assumed, 3);
  fake_advance(&fake, 1001);
  fake.assume = assume_ok;
  assert_int_equal(call_ok(client, &there, &error), 0);
  fake_close(&fake, client);
}

static void assume_garbage(struct fake *fake, const struct aws_http_request *request, struct fake_answer *answer) {
  (void)fake;
  (void)request;
  *answer = (struct fake_answer){.status = 200,
                                 .body =
                                     "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>a b"
                                     "</AccessKeyId></Credentials></AssumeRoleResult></AssumeRoleResponse>"};
}

static void test_an_answer_without_credentials(void **state) {
  (void)state;
  fake_environment();
  struct fake fake;
  struct error error;
  struct aws_client *client = FAKE_OPEN(&fake, regions);
  fake.assume = assume_garbage;
  assert_int_equal(call_ok(client, &there, &error), -1);
  assert_int_equal(error.class, ERROR_DENIED);
  assert_string_equal(error.code, "InvalidCredentials");
  assert_int_equal(fake.requests, 0);
  fake_close(&fake, client);
}

static void test_roles_that_are_none(void **state) {
  (void)state;
  fake_environment();
  static char long_policy[2050], long_text[66];
  memset(long_policy, 'x', sizeof long_policy - 1);
  memset(long_text, 'x', sizeof long_text - 1);
  json_t *no_text = json_pack("{s:i}", "k", 1), *no_key = json_pack("{s:s}", "", "v"), *too_many = json_object();
  for (int i = 0; i < 51; i++) {
    char key[16];
    snprintf(key, sizeof key, "k%d", i);
    json_object_set_new(too_many, key, json_string("v"));
  }
  const struct {
    const char *account, *code;
    struct aws_role role;
  } rows[] = {
      {"11111111111", "Account", {.name = "r"}},
      {"1111111111112", "Account", {.name = "r"}},
      {"11111111111x", "Account", {.name = "r"}},
      {NULL, "Account", {.name = "r"}},
      {"111111111111", "SessionName", {.name = "r", .session_name = "a"}},
      {"111111111111", "SessionName", {.name = "r", .session_name = "has space"}},
      {"111111111111", "SessionName", {.name = "r", .session_name = long_text}},
      {"111111111111", "SourceIdentity", {.name = "r", .source_identity = "a/b"}},
      {"111111111111", "SessionPolicy", {.name = "r", .session_policy = long_policy}},
      {"111111111111", "SessionTags", {.name = "r", .tags = no_text}},
      {"111111111111", "SessionTags", {.name = "r", .tags = no_key}},
      {"111111111111", "SessionTags", {.name = "r", .tags = too_many}},
  };
  struct fake fake;
  struct aws_client *client = FAKE_OPEN(&fake, regions);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct error error;
    struct aws_target target = {.account = rows[i].account, .region = "eu-west-1", .role = &rows[i].role};
    assert_int_equal(call_ok(client, &target, &error), -1);
    assert_int_equal(error.class, ERROR_INVALID);
    assert_string_equal(error.code, rows[i].code);
  }
  long_policy[2048] = '\0'; /* the longest that is allowed */
  struct aws_target target = {.account = "111111111111", .region = "eu-west-1", .role = &rows[8].role};
  assert_int_equal(call_ok(client, &target, NULL), 0);
  assert_int_equal(fake.assumed, 1);
  json_decref(no_text);
  json_decref(no_key);
  json_decref(too_many);
  fake_close(&fake, client);
}

/* ---- the request and the cache ---- */

static void test_what_sts_is_asked(void **state) {
  (void)state;
  fake_environment();
  struct fake fake;
  struct error error;
  struct aws_role role = {.name = "path/worker",
                          .external_id = "ex-1",
                          .session_name = "parapet-run.1",
                          .source_identity = "parapet",
                          .session_policy = "{\"a\":1}"};
  struct aws_target target = {.account = "222222222222", .region = "ap-south-1", .role = &role};
  struct aws_client *client = FAKE_OPEN(&fake, regions);
  assert_int_equal(call_ok(client, &target, &error), 0);
  static const char *const parts[] = {"https://sts.eu-west-1.amazonaws.com/",
                                      "RoleArn=arn%3Aaws%3Aiam%3A%3A222222222222%3Arole%2Fpath%2Fworker",
                                      "ExternalId=ex-1",
                                      "RoleSessionName=parapet-run.1",
                                      "SourceIdentity=parapet",
                                      "Policy=%7B%22a%22%3A1%7D",
                                      "DurationSeconds=3600"};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    if (!strstr(fake.assume_request, parts[i])) fail_msg("%s not in %s", parts[i], fake.assume_request);
  assert_non_null(strstr(fake.headers, "Credential=ASIASESSION1/"));
  assert_non_null(strstr(fake.headers, "session-token-1"));
  assert_string_equal(fake.url, "POST https://ec2.ap-south-1.amazonaws.com/");
  fake_close(&fake, client);
}

/* One session for each account, role, policy, external id …, in whatever Region it is used. */
static void test_what_shares_a_session(void **state) {
  (void)state;
  fake_environment();
  static const struct {
    const char *account, *region;
    struct aws_role role;
    size_t assumed; /* so far */
  } rows[] = {
      {"111111111111", "eu-west-1", {.name = "r"}, 1},
      {"111111111111", "eu-west-1", {.name = "r"}, 1},
      {"111111111111", "us-east-1", {.name = "r"}, 1},
      {"222222222222", "eu-west-1", {.name = "r"}, 2},
      {"111111111111", "eu-west-1", {.name = "s"}, 3},
      {"111111111111", "eu-west-1", {.name = "r", .session_policy = "{}"}, 4},
      {"111111111111", "eu-west-1", {.name = "r", .session_policy = "{}", .external_id = "ex"}, 5},
      {"111111111111", "eu-west-1", {.name = "r", .session_policy = "{}", .external_id = "ex"}, 5},
      {"111111111111", "eu-west-1", {.name = "r", .source_identity = "you"}, 6},
      {"111111111111", "eu-west-1", {.name = "r", .session_name = "parapet"}, 6},
      {"111111111111", "cn-north-1", {.name = "r"}, 7},
      {"111111111111", "eu-west-1", {.name = NULL}, 7},
      {"111111111111", "eu-west-1", {.name = ""}, 7},
  };
  struct fake fake;
  struct aws_client *client = FAKE_OPEN(&fake, regions);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct error error;
    struct aws_target target = {.account = rows[i].account, .region = rows[i].region, .role = &rows[i].role};
    if (call_ok(client, &target, &error) != 0) fail_msg("%zu: %s", i, error.message);
    if (fake.assumed != rows[i].assumed) fail_msg("row %zu: %zu", i, fake.assumed);
  }
  assert_int_equal(aws_counters(client).assumed, 7);
  fake_close(&fake, client);
}

static void test_tags_are_part_of_the_session(void **state) {
  (void)state;
  fake_environment();
  struct fake fake;
  struct aws_client *client = FAKE_OPEN(&fake, regions);
  json_t *one = json_pack("{s:s, s:s}", "b", "2", "a", "1"), *same = json_pack("{s:s, s:s}", "a", "1", "b", "2"),
         *other = json_pack("{s:s}", "a", "1");
  const json_t *const tags[] = {one, same, other, NULL};
  static const size_t assumed[] = {1, 1, 2, 3};
  for (size_t i = 0; i < 4; i++) {
    struct aws_role role = {.name = "r", .tags = tags[i]};
    struct aws_target target = {.account = "111111111111", .region = "eu-west-1", .role = &role};
    assert_int_equal(call_ok(client, &target, NULL), 0);
    assert_int_equal(fake.assumed, assumed[i]);
    if (i == 0)
      assert_non_null(strstr(fake.assume_request,
                             "Tags.member.1.Key=a&Tags.member.1.Value=1&Tags.member.2.Key=b&Tags.member.2.Value=2"));
  }
  json_decref(one);
  json_decref(same);
  json_decref(other);
  fake_close(&fake, client);
}

/* ---- single flight ---- */

#define THREADS 32

struct crowd {
  struct aws_client *client;
  struct aws_target target;
  pthread_barrier_t start;
  _Atomic int succeeded, denied;
};

static void *one_of_the_crowd(void *argument) {
  struct crowd *crowd = argument;
  struct error error;
  pthread_barrier_wait(&crowd->start);
  if (call_ok(crowd->client, &crowd->target, &error) == 0)
    atomic_fetch_add(&crowd->succeeded, 1);
  else if (error.class == ERROR_DENIED)
    atomic_fetch_add(&crowd->denied, 1);
  return NULL;
}

static void run_crowd(struct crowd *crowd) {
  pthread_t threads[THREADS];
  assert_int_equal(pthread_barrier_init(&crowd->start, NULL, THREADS), 0);
  for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, one_of_the_crowd, crowd), 0);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  pthread_barrier_destroy(&crowd->start);
}

static void test_a_crowd_assumes_once(void **state) {
  (void)state;
  fake_environment();
  struct fake fake;
  struct aws_client *client = FAKE_OPEN(&fake, regions);
  struct crowd crowd = {.client = client, .target = there};
  fake.assume_delay_us = 100000;
  run_crowd(&crowd);
  assert_int_equal(crowd.succeeded, THREADS);
  assert_int_equal(fake.assumed, 1);
  fake_close(&fake, client);
}

static void test_a_crowd_is_denied_once(void **state) {
  (void)state;
  fake_environment();
  struct fake fake;
  struct aws_client *client = FAKE_OPEN(&fake, regions);
  struct crowd crowd = {.client = client, .target = there};
  fake.assume = assume_denied;
  fake.assume_delay_us = 100000;
  run_crowd(&crowd);
  assert_int_equal(crowd.denied, THREADS);
  assert_int_equal(fake.assumed, 1);
  fake_close(&fake, client);
}

/* ---- renewal ---- */

#define MINUTES(n) ((int64_t)(n)*60000)

static void test_renewed_ahead_by_the_background(void **state) {
  (void)state;
  fake_environment();
  struct fake fake;
  struct aws_client *client = FAKE_OPEN(&fake, regions);
  assert_int_equal(call_ok(client, &there, NULL), 0);
  fake_advance(&fake, MINUTES(44));
  assert_int_equal(call_ok(client, &there, NULL), 0);
  aws_sessions_refresh(client->sessions);
  assert_int_equal(fake.assumed, 1);
  fake_advance(&fake, MINUTES(1)); /* 15 minutes are left */
  assert_int_equal(call_ok(client, &there, NULL), 0);
  assert_int_equal(fake.assumed, 1); /* callers do not care yet */
  aws_sessions_refresh(client->sessions);
  assert_int_equal(fake.assumed, 2);
  assert_int_equal(call_ok(client, &there, NULL), 0);
  assert_non_null(strstr(fake.headers, "session-token-2"));
  fake_close(&fake, client);
}

/* Without a background thread, callers renew it themselves when 10 minutes are left. */
static void test_renewed_by_the_caller_in_the_last_ten_minutes(void **state) {
  (void)state;
  fake_environment();
  struct fake fake;
  struct aws_client *client = FAKE_OPEN(&fake, regions);
  assert_int_equal(call_ok(client, &there, NULL), 0);
  fake_advance(&fake, MINUTES(50) - 1);
  assert_int_equal(call_ok(client, &there, NULL), 0);
  assert_int_equal(fake.assumed, 1);
  fake_advance(&fake, 1);
  assert_int_equal(call_ok(client, &there, NULL), 0);
  assert_int_equal(fake.assumed, 2);
  fake_close(&fake, client);
}

/* A session of 12 minutes is due after 9, and not handed out after 10. */
static void test_short_sessions_use_fractions(void **state) {
  (void)state;
  fake_environment();
  struct fake fake;
  struct aws_client *client = FAKE_OPEN(&fake, regions);
  fake.session_life_s = 720;
  assert_int_equal(call_ok(client, &there, NULL), 0);
  fake_advance(&fake, MINUTES(9) - 1);
  aws_sessions_refresh(client->sessions);
  assert_int_equal(fake.assumed, 1);
  fake_advance(&fake, 1);
  aws_sessions_refresh(client->sessions);
  assert_int_equal(fake.assumed, 2);
  fake_advance(&fake, MINUTES(10));
  assert_int_equal(call_ok(client, &there, NULL), 0);
  assert_int_equal(fake.assumed, 3);
  fake_close(&fake, client);
}

static void test_unused_sessions_are_left_alone_and_forgotten(void **state) {
  (void)state;
  fake_environment();
  struct fake fake;
  struct aws_client *client = FAKE_OPEN(&fake, regions);
  assert_int_equal(call_ok(client, &there, NULL), 0);
  assert_int_equal(aws_sessions_count(client->sessions), 2); /* and the base's */
  fake_advance(&fake, MINUTES(46));
  aws_sessions_refresh(client->sessions);
  assert_int_equal(fake.assumed, 1);
  fake_advance(&fake, MINUTES(45));
  aws_sessions_refresh(client->sessions);
  assert_int_equal(aws_sessions_count(client->sessions), 1);
  fake_close(&fake, client);
}

/* STS away in the last ten minutes: what is valid is used until its last minute; a denial counts at once. */
static void test_what_is_valid_is_used_while_sts_is_away(void **state) {
  (void)state;
  fake_environment();
  struct fake fake;
  struct error error;
  struct aws_client *client = FAKE_OPEN(&fake, regions);
  assert_int_equal(call_ok(client, &there, NULL), 0);
  fake_advance(&fake, MINUTES(55));
  fake.assume = assume_unavailable;
  assert_int_equal(call_ok(client, &there, NULL), 0);
  assert_int_equal(fake.assumed, 4);
  fake_advance(&fake, MINUTES(4));
  assert_int_equal(call_ok(client, &there, &error), -1);
  assert_int_equal(error.class, ERROR_RETRYABLE);
  fake_close(&fake, client);

  client = FAKE_OPEN(&fake, regions);
  assert_int_equal(call_ok(client, &there, NULL), 0);
  fake_advance(&fake, MINUTES(55));
  fake.assume = assume_denied;
  assert_int_equal(call_ok(client, &there, &error), -1);
  assert_int_equal(error.class, ERROR_DENIED);
  fake_close(&fake, client);
}

/* A background renewal that fails costs nobody anything, and is not tried again at once. */
static void test_a_failed_renewal_ahead_waits_a_minute(void **state) {
  (void)state;
  fake_environment();
  struct fake fake;
  struct aws_client *client = FAKE_OPEN(&fake, regions);
  assert_int_equal(call_ok(client, &there, NULL), 0);
  fake_advance(&fake, MINUTES(45));
  assert_int_equal(call_ok(client, &there, NULL), 0);
  fake.assume = assume_denied;
  aws_sessions_refresh(client->sessions);
  aws_sessions_refresh(client->sessions);
  assert_int_equal(fake.assumed, 2);
  assert_int_equal(call_ok(client, &there, NULL), 0);
  fake_advance(&fake, MINUTES(1));
  fake.assume = assume_ok;
  aws_sessions_refresh(client->sessions);
  assert_int_equal(fake.assumed, 3);
  fake_close(&fake, client);
}

/* AWS says "expired" though the clock says no: a new session, once, and the call succeeds. */
static void test_rejected_sessions_are_renewed_once(void **state) {
  (void)state;
  fake_environment();
  static const struct fake_answer answers[] = {
      {.status = 400,
       .body = "<Response><Errors><Error><Code>RequestExpired</Code><Message>m</Message></Error></Errors></Response>",
       .header = "Date",
       .value = "Tue, 24 Nov 2026 22:00:01 GMT"},
      {.status = 200, .body = "<DescribeRegionsResponse><regionInfo/></DescribeRegionsResponse>"}};
  struct fake fake;
  struct aws_client *client = FAKE_OPEN(&fake, answers);
  assert_int_equal(call_ok(client, &there, NULL), 0);
  assert_int_equal(fake.assumed, 2);
  assert_int_equal(fake.requests, 2);
  fake_close(&fake, client);
  client = fake_open(&fake, answers, 1);
  struct error error;
  assert_int_equal(call_ok(client, &there, &error), -1);
  assert_int_equal(fake.requests, 2);
  assert_int_equal(error.class, ERROR_DENIED);
  fake_close(&fake, client);
  client = fake_open(&fake, answers, 1); /* a caller that tries by itself is told that it is worth while */
  struct aws_call_options options = {.one_attempt = 1};
  assert_null(aws_call(client, &there, "ec2.DescribeRegions", NULL, &options, &error));
  assert_int_equal(fake.requests, 1);
  assert_int_equal(error.class, ERROR_RETRYABLE);
  fake_close(&fake, client);
}

/* The table has a ceiling: the session unused for longest makes room. */
static void test_the_table_is_bounded(void **state) {
  (void)state;
  fake_environment();
  struct fake fake;
  struct error error;
  struct aws_client *client = FAKE_OPEN(&fake, regions);
  for (int i = 0; i < 16390; i++) {
    char account[13];
    snprintf(account, sizeof account, "%012d", i);
    struct aws_target target = {.account = account, .region = "eu-west-1", .role = &worker};
    struct aws_session *session = aws_session_find(client->sessions, &target, &error);
    assert_non_null(session);
    aws_session_release(client->sessions, session);
    fake_advance(&fake, 1);
  }
  assert_int_equal(aws_sessions_count(client->sessions), 16384);
  fake_close(&fake, client);
}

/* The real thread: it starts, renews and stops. */
static void test_the_background_thread_renews(void **state) {
  (void)state;
  fake_environment();
  struct fake fake;
  struct aws_client *client = FAKE_OPEN(&fake, regions);
  struct aws_options options = {.models = fake_models(), .transport = &client->transport};
  struct aws_hooks hooks = client->hooks;
  hooks.no_thread = 0;
  struct error error;
  struct aws_client *threaded = aws_open_with(&options, &hooks, &error);
  assert_non_null(threaded);
  assert_int_equal(call_ok(threaded, &there, NULL), 0);
  fake_advance(&fake, MINUTES(45));
  assert_int_equal(call_ok(threaded, &there, NULL), 0);
  size_t assumed = 1;
  for (int i = 0; i < 1000 && assumed < 2; i++) { /* the call has woken it */
    usleep(50000);
    pthread_mutex_lock(&fake.lock);
    assumed = fake.assumed;
    pthread_mutex_unlock(&fake.lock);
  }
  assert_int_equal(assumed, 2);
  aws_close(threaded);
  fake_close(&fake, client);
}
