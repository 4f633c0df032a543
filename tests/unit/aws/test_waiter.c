/* Waiters: every matcher, every end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/fake.h"
#include "aws/model_internal.h"
#include "json/jmespath.h"

static const struct aws_target base_target = {.region = "eu-west-1"};

/* One step against one answer. */
static enum aws_wait_result step_with(const struct fake_answer *answer, const char *waiter, const char *params,
                                      struct aws_wait *wait, struct error *error) {
  fake_environment();
  struct fake fake;
  struct aws_client *client = fake_open(&fake, answer, 1);
  json_t *given = json_loads(params, 0, NULL);
  struct aws_call_options options = {.one_attempt = 1};
  enum aws_wait_result result = aws_wait_step(client, &base_target, waiter, given, &options, wait, error);
  json_decref(given);
  fake_close(&fake, client);
  return result;
}

/* ---- failures ---- */

static void test_names_that_are_none(void **state) {
  (void)state;
  static const struct {
    const char *waiter, *code, *message;
  } rows[] = {
      {"InstanceRunning", "Waiter", "service.Waiter"},       {".InstanceRunning", "Waiter", "service.Waiter"},
      {"ec3.InstanceRunning", "NoSuchService", "ec2"},       {"ec2.InstanceRuning", "NoSuchWaiter", "InstanceRunning"},
      {"sqs.Whatever", "NoSuchWaiter", "sqs has no waiter"},
  };
  fake_environment();
  struct fake fake;
  static const struct fake_answer none[] = {{.status = 500}};
  struct aws_client *client = FAKE_OPEN(&fake, none);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct error error = {0};
    struct aws_wait wait = {0};
    assert_int_equal(aws_model_waiter(client, rows[i].waiter, NULL, 0, &error), -1);
    assert_string_equal(error.code, rows[i].code);
    assert_non_null(strstr(error.message, rows[i].message));
    assert_int_equal(aws_wait_step(client, &base_target, rows[i].waiter, NULL, NULL, &wait, &error), AWS_WAIT_FAILED);
    assert_string_equal(error.where, rows[i].waiter);
  }
  assert_int_equal(fake.requests, 0);
  fake_close(&fake, client);
}

static void test_the_operation_of_a_waiter(void **state) {
  (void)state;
  fake_environment();
  struct fake fake;
  static const struct fake_answer none[] = {{.status = 500}};
  struct aws_client *client = FAKE_OPEN(&fake, none);
  char operation[128];
  assert_int_equal(aws_model_waiter(client, "ec2.InstanceTerminated", operation, sizeof operation, NULL), 0);
  assert_string_equal(operation, "ec2.DescribeInstances");
  fake_close(&fake, client);
}

#define INSTANCES(states)                                                                          \
  "<DescribeInstancesResponse><requestId>r</requestId><reservationSet><item><instancesSet>" states \
  "</instancesSet></item></reservationSet></DescribeInstancesResponse>"
#define INSTANCE(name) "<item><instanceState><name>" name "</name></instanceState></item>"
#define EC2_ERROR(code)                  \
  "<Response><Errors><Error><Code>" code \
  "</Code><Message>m</Message></Error></Errors><RequestID>r</RequestID></Response>"

#define IAM_ERROR(code) "<ErrorResponse><Error><Code>" code "</Code></Error><RequestId>r</RequestId></ErrorResponse>"

static void test_every_matcher(void **state) {
  (void)state;
  static const struct {
    const char *waiter, *params;
    struct fake_answer answer;
    enum aws_wait_result result;
    const char *code; /* of the error, where there is one */
  } rows[] = {
      /* pathAll: all, some, none, an empty list */
      {"ec2.InstanceRunning",
       "{}",
       {200, .body = INSTANCES(INSTANCE("running") INSTANCE("running"))},
       AWS_WAIT_SUCCESS,
       ""},
      {"ec2.InstanceRunning",
       "{}",
       {200, .body = INSTANCES(INSTANCE("running") INSTANCE("pending"))},
       AWS_WAIT_AGAIN,
       ""},
      {"ec2.InstanceRunning", "{}", {200, .body = INSTANCES("")}, AWS_WAIT_AGAIN, ""},
      /* pathAny: one is enough to fail */
      {"ec2.InstanceRunning",
       "{}",
       {200, .body = INSTANCES(INSTANCE("running") INSTANCE("terminated"))},
       AWS_WAIT_FAILURE,
       "WaiterFailure"},
      /* error by its code: not yet; another error ends it as the call's own */
      {"ec2.InstanceRunning", "{}", {400, .body = EC2_ERROR("InvalidInstanceID.NotFound")}, AWS_WAIT_AGAIN, ""},
      {"ec2.InstanceRunning",
       "{}",
       {403, .body = EC2_ERROR("UnauthorizedOperation")},
       AWS_WAIT_FAILED,
       "UnauthorizedOperation"},
      /* status: a success' and an error's */
      {"iam.RoleExists",
       "{\"RoleName\":\"r\"}",
       {200, .body = "<GetRoleResponse><GetRoleResult><Role/></GetRoleResult></GetRoleResponse>"},
       AWS_WAIT_SUCCESS,
       ""},
      {"iam.RoleExists", "{\"RoleName\":\"r\"}", {404, .body = IAM_ERROR("NoSuchEntity")}, AWS_WAIT_AGAIN, ""},
      {"s3.BucketNotExists", "{\"Bucket\":\"b\"}", {404, .body = ""}, AWS_WAIT_SUCCESS, ""},
      {"s3.BucketExists", "{\"Bucket\":\"b\"}", {200, .body = ""}, AWS_WAIT_SUCCESS, ""},
      /* a proxy's page is no bucket that is gone */
      {"s3.BucketNotExists",
       "{\"Bucket\":\"b\"}",
       {404, .body = "<html>nothing here</html>"},
       AWS_WAIT_FAILED,
       "NotAnAnswer"},
      /* path: texts, and an expression with a boolean */
      {"ecs.ServicesStable",
       "{\"services\":[\"s\"]}",
       {200, .body = "{\"services\":[{\"deployments\":[{}],\"runningCount\":1,\"desiredCount\":1}]}"},
       AWS_WAIT_SUCCESS,
       ""},
      {"ecs.ServicesStable",
       "{\"services\":[\"s\"]}",
       {200, .body = "{\"services\":[{\"deployments\":[{}],\"runningCount\":0,\"desiredCount\":1}]}"},
       AWS_WAIT_AGAIN,
       ""},
      {"ecs.ServicesStable",
       "{\"services\":[\"s\"]}",
       {200, .body = "{\"failures\":[{\"reason\":\"MISSING\"}]}"},
       AWS_WAIT_FAILURE,
       "WaiterFailure"},
      {"lambda.FunctionActiveV2",
       "{\"FunctionName\":\"f\"}",
       {200, .body = "{\"Configuration\":{\"State\":\"Active\"}}"},
       AWS_WAIT_SUCCESS,
       ""},
      {"lambda.FunctionActiveV2",
       "{\"FunctionName\":\"f\"}",
       {200, .body = "{\"Configuration\":{\"State\":\"Failed\"}}"},
       AWS_WAIT_FAILURE,
       "WaiterFailure"},
      {"lambda.FunctionActiveV2",
       "{\"FunctionName\":\"f\"}",
       {200, .body = "{\"Configuration\":{\"State\":\"Pending\"}}"},
       AWS_WAIT_AGAIN,
       ""},
      /* error: false, that is "no error" */
      {"acm-pca.CertificateIssued",
       "{\"CertificateAuthorityArn\":\"arn:aws:acm-pca:x\",\"CertificateArn\":\"arn:aws:acm-pca:y\"}",
       {200, .body = "{\"Certificate\":\"c\"}"},
       AWS_WAIT_SUCCESS,
       ""},
      {"acm-pca.CertificateIssued",
       "{\"CertificateAuthorityArn\":\"arn:aws:acm-pca:x\",\"CertificateArn\":\"arn:aws:acm-pca:y\"}",
       {400, .body = "{\"__type\":\"RequestInProgressException\"}"},
       AWS_WAIT_AGAIN,
       ""},
      {"acm-pca.CertificateIssued",
       "{\"CertificateAuthorityArn\":\"arn:aws:acm-pca:x\",\"CertificateArn\":\"arn:aws:acm-pca:y\"}",
       {400, .body = "{\"__type\":\"AccessDeniedException\"}"},
       AWS_WAIT_FAILURE,
       "WaiterFailure"},
      /* no answer at all */
      {"ec2.InstanceRunning", "{}", {0, ERROR_RETRYABLE, "Network"}, AWS_WAIT_FAILED, "Network"},
      /* parameters that do not fit */
      {"ec2.InstanceRunning", "{\"Nonsense\":1}", {200, .body = ""}, AWS_WAIT_FAILED, NULL},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct aws_wait wait = {0};
    struct error error = {0};
    enum aws_wait_result result = step_with(&rows[i].answer, rows[i].waiter, rows[i].params, &wait, &error);
    if (result != rows[i].result)
      printf("row %zu: %s %d: %s %s\n", i, rows[i].waiter, result, error.code, error.message);
    assert_int_equal(result, rows[i].result);
    if (rows[i].code) assert_string_equal(error.code, rows[i].code);
    assert_int_equal(wait.attempts, 1);
    if (result == AWS_WAIT_AGAIN) assert_true(wait.delay_ms > 0);
  }
}

static void test_the_attempts_of_the_model_are_the_most(void **state) {
  (void)state;
  static const struct fake_answer pending = {200, .body = INSTANCES(INSTANCE("pending"))};
  struct aws_wait wait = {.attempts = 38};
  struct error error;
  assert_int_equal(step_with(&pending, "ec2.InstanceRunning", "{}", &wait, &error), AWS_WAIT_AGAIN);
  assert_int_equal(wait.delay_ms, 15000);
  assert_int_equal(step_with(&pending, "ec2.InstanceRunning", "{}", &wait, &error), AWS_WAIT_FAILURE);
  assert_string_equal(error.code, "WaiterAttempts");
  assert_int_equal(error.class, ERROR_RETRYABLE);
  assert_string_equal(error.where, "ec2.InstanceRunning");
}

static int wait_until(struct fake *fake, const struct fake_answer *answers, size_t count, int64_t limit_ms,
                      struct error *error) {
  fake_environment();
  struct aws_client *client = fake_open(fake, answers, count);
  int result =
      aws_wait_until(client, &base_target, "ec2.InstanceRunning", NULL, aws_client_now(client) + limit_ms, error);
  fake_close(fake, client);
  return result;
}

static void test_waits_until_it_is_so(void **state) {
  (void)state;
  static const struct fake_answer answers[] = {{400, .body = EC2_ERROR("InvalidInstanceID.NotFound")},
                                               {200, .body = INSTANCES(INSTANCE("pending"))},
                                               {200, .body = INSTANCES(INSTANCE("running"))}};
  struct fake fake;
  struct error error;
  assert_int_equal(wait_until(&fake, answers, 3, 60000, &error), 0);
  assert_int_equal(error.class, ERROR_NONE);
  assert_int_equal(fake.requests, 3);
  assert_int_equal(fake.slept_ms, 30000);
}

static void test_never_sleeps_past_the_deadline(void **state) {
  (void)state;
  static const struct fake_answer answers[] = {{200, .body = INSTANCES(INSTANCE("pending"))}};
  struct fake fake;
  struct error error;
  assert_int_equal(wait_until(&fake, answers, 1, 40000, &error), -1);
  assert_string_equal(error.code, "DeadlineExceeded");
  assert_int_equal(error.class, ERROR_RETRYABLE);
  assert_int_equal(fake.requests, 3);
  assert_int_equal(fake.slept_ms, 30000);
}

static void test_a_denied_call_ends_the_waiting(void **state) {
  (void)state;
  static const struct fake_answer answers[] = {{200, .body = INSTANCES(INSTANCE("pending"))},
                                               {403, .body = EC2_ERROR("UnauthorizedOperation")}};
  struct fake fake;
  struct error error;
  assert_int_equal(wait_until(&fake, answers, 2, 600000, &error), -1);
  assert_int_equal(error.class, ERROR_DENIED);
  assert_int_equal(fake.requests, 2);
}

static void test_weather_does_not_end_the_waiting(void **state) {
  (void)state;
  static const struct fake_answer answers[] = {
      {503, .body = ""}, {503, .body = ""}, {503, .body = ""}, {200, .body = INSTANCES(INSTANCE("running"))}};
  struct fake fake;
  struct error error;
  assert_int_equal(wait_until(&fake, answers, 4, 600000, &error), 0);
  assert_int_equal(fake.requests, 4);
}

/* No waiter of any service has a matcher, state or expression that we do not know. */
static void test_every_waiter_of_the_models(void **state) {
  (void)state;
  char path[1100], name[128];
  snprintf(path, sizeof path, "%s/services.txt", fake_models());
  FILE *services = fopen(path, "re");
  struct aws_models *models = aws_models_open(fake_models(), NULL);
  assert_non_null(services);
  assert_non_null(models);
  size_t waiters = 0, acceptors = 0;
  while (fscanf(services, "%127s", name) == 1) {
    const struct aws_service *service = aws_models_service(models, name, NULL);
    const char **names = aws_service_names(service, AWS_PIECE_WAITER);
    for (size_t i = 0; names[i]; i++) {
      const json_t *waiter = aws_service_waiter(service, names[i]);
      assert_non_null(aws_service_operation(service, json_text_at(waiter, "operation", NULL), NULL));
      assert_true(json_integer_value(json_object_get(waiter, "delay")) > 0);
      assert_true(json_integer_value(json_object_get(waiter, "maxAttempts")) > 0);
      size_t index;
      json_t *acceptor;
      json_array_foreach(json_object_get(waiter, "acceptors"), index, acceptor) {
        const char *matcher = json_text_at(acceptor, "matcher", NULL);
        assert_non_null(strstr(" path pathAll pathAny status error ", matcher));
        assert_non_null(strstr(" success failure retry ", json_text_at(acceptor, "state", NULL)));
        if (strncmp(matcher, "path", 4) == 0) {
          struct jmes *expression = jmes_compile(json_text_at(acceptor, "argument", NULL), NULL, NULL);
          assert_non_null(expression);
          jmes_free(expression);
        }
        acceptors++;
      }
      waiters++;
    }
    free(names);
  }
  fclose(services);
  aws_models_close(models);
  printf("%zu waiters, %zu acceptors\n", waiters, acceptors);
  assert_true(waiters > 100);
}
