#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/fake.h"

static const char identity[] =
    "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>"
    "<Arn>arn:aws:iam::111111111111:user/a</Arn><UserId>U</UserId><Account>111111111111</Account>"
    "</GetCallerIdentityResult><ResponseMetadata><RequestId>r-ok</RequestId></ResponseMetadata>"
    "</GetCallerIdentityResponse>";
#define QUERY_ERROR(code)                                \
  "<ErrorResponse><Error><Type>Sender</Type><Code>" code \
  "</Code><Message>because</Message>"                    \
  "</Error><RequestId>r-bad</RequestId></ErrorResponse>"
#define OK \
  { .status = 200, .body = identity }

static const struct aws_target base_target = {.region = "eu-west-1"};

static json_t *call_identity(struct aws_client *client, const struct aws_call_options *options, struct error *error) {
  return aws_call(client, &base_target, "sts.GetCallerIdentity", NULL, options, error);
}

/* What ends a call after how many requests, as which class and code. */
struct ending {
  const char *proves;
  struct fake_answer answers[4];
  size_t answer_count, requests;
  enum error_class class;
  const char *code;
};

static const struct ending endings[] = {
    {"refused connections are tried three times",
     {{.class = ERROR_RETRYABLE, .code = "ConnectionFailed"}},
     1,
     3,
     ERROR_RETRYABLE,
     "ConnectionFailed"},
    {"so are time-outs",
     {{.class = ERROR_RETRYABLE, .code = AWS_CODE_TIMEOUT}},
     1,
     3,
     ERROR_RETRYABLE,
     AWS_CODE_TIMEOUT},
    {"an answer over the limit is not asked for again",
     {{.class = ERROR_INVALID, .code = "ResponseTooLarge"}},
     1,
     1,
     ERROR_INVALID,
     "ResponseTooLarge"},
    {"a body cut off by the network",
     {{.class = ERROR_RETRYABLE, .code = "ConnectionBroken"}, OK},
     2,
     2,
     ERROR_NONE,
     ""},
    {"503 and then well", {{.status = 503, .body = QUERY_ERROR("ServiceUnavailable")}, OK}, 2, 2, ERROR_NONE, ""},
    {"503 for good",
     {{.status = 503, .body = QUERY_ERROR("ServiceUnavailable")}},
     1,
     3,
     ERROR_RETRYABLE,
     "ServiceUnavailable"},
    {"throttled twice",
     {{.status = 400, .body = QUERY_ERROR("Throttling")},
      {.status = 400, .body = QUERY_ERROR("RequestLimitExceeded")},
      OK},
     3,
     3,
     ERROR_NONE,
     ""},
    {"throttled for good",
     {{.status = 400, .body = QUERY_ERROR("ThrottlingException")}},
     1,
     3,
     ERROR_THROTTLED,
     "ThrottlingException"},
    {"a gateway's 502 in HTML is weather",
     {{.status = 502, .body = "<html>Bad Gateway</html>"}, OK},
     2,
     2,
     ERROR_NONE,
     ""},
    {"HTML for a 500 is tried again, and is no answer",
     {{.status = 500, .body = "<!doctype html><html>no</html>"}},
     1,
     3,
     ERROR_FATAL,
     NULL},
    {"HTML for a 200 is no answer, and not tried again",
     {{.status = 200, .body = "<html>login</html>"}},
     1,
     1,
     ERROR_FATAL,
     NULL},
    {"a 200 whose body is cut",
     {{.status = 200, .body = "<GetCallerIdentityResponse><GetCaller"}},
     1,
     1,
     ERROR_FATAL,
     NULL},
    {"denied is final", {{.status = 403, .body = QUERY_ERROR("AccessDenied")}}, 1, 1, ERROR_DENIED, "AccessDenied"},
    {"invalid is final",
     {{.status = 400, .body = QUERY_ERROR("ValidationError")}},
     1,
     1,
     ERROR_INVALID,
     "ValidationError"},
    {"missing is final", {{.status = 404, .body = QUERY_ERROR("NoSuchEntity")}}, 1, 1, ERROR_MISSING, "NoSuchEntity"},
    {"501 is not among botocore's transient statuses",
     {{.status = 501, .body = QUERY_ERROR("NotImplemented")}},
     1,
     1,
     ERROR_NONE,
     NULL},
};

static void check_ending(const struct ending *ending) {
  struct fake fake;
  struct error error;
  char id[96];
  struct aws_call_options options = {.request_id = id};
  struct aws_client *client = fake_open(&fake, ending->answers, ending->answer_count);
  assert_non_null(client);
  json_t *result = call_identity(client, &options, &error);
  int wants_result = ending->class == ERROR_NONE && ending->code;
  if ((result != NULL) != wants_result || fake.requests != ending->requests ||
      (ending->class != ERROR_NONE && error.class != ending->class) ||
      (ending->code && strcmp(error.code, ending->code) != 0))
    fail_msg("%s: %zu requests, class %s, code %s", ending->proves, fake.requests, error_class_name(error.class),
             error.code);
  if (!result) assert_string_equal(error.where, "sts.GetCallerIdentity");
  json_decref(result);
  fake_close(&fake, client);
}

static void test_endings(void **state) {
  (void)state;
  fake_environment();
  for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) check_ending(&endings[i]);
}

static void test_success_has_result_request_id_and_signature(void **state) {
  (void)state;
  fake_environment();
  static const struct fake_answer answers[] = {OK};
  struct fake fake;
  struct error error;
  char id[96] = "before";
  struct aws_call_options options = {.request_id = id};
  struct aws_client *client = FAKE_OPEN(&fake, answers);
  json_t *result = call_identity(client, &options, &error);
  assert_non_null(result);
  assert_int_equal(error.class, ERROR_NONE);
  assert_string_equal(json_text_at(result, "Account", NULL), "111111111111");
  assert_string_equal(id, "r-ok");
  assert_string_equal(fake.url, "POST https://sts.eu-west-1.amazonaws.com/");
  assert_non_null(strstr(fake.headers, "Credential=AKIABASE/20261124/eu-west-1/sts/aws4_request"));
  assert_non_null(strstr(fake.headers, "User-Agent: parapet/"));
  json_decref(result);
  fake_close(&fake, client);
}

static void test_request_id_after_failure(void **state) {
  (void)state;
  fake_environment();
  static const struct fake_answer answers[] = {{.status = 403, .body = QUERY_ERROR("AccessDenied")}};
  struct fake fake;
  struct error error;
  char id[96];
  struct aws_call_options options = {.request_id = id};
  struct aws_client *client = FAKE_OPEN(&fake, answers);
  assert_null(call_identity(client, &options, &error));
  assert_string_equal(id, "r-bad");
  assert_string_equal(error.request_id, "r-bad");
  assert_null(aws_call(client, &base_target, "sts.NoSuchThing", NULL, &options, &error));
  assert_int_equal(error.class, ERROR_MISSING);
  assert_string_equal(id, "");
  fake_close(&fake, client);
}

static void test_one_attempt_is_one(void **state) {
  (void)state;
  fake_environment();
  static const struct fake_answer answers[] = {{.status = 503, .body = QUERY_ERROR("ServiceUnavailable")}};
  struct fake fake;
  struct error error;
  struct aws_call_options options = {.one_attempt = 1};
  struct aws_client *client = FAKE_OPEN(&fake, answers);
  assert_null(call_identity(client, &options, &error));
  assert_int_equal(fake.requests, 1);
  fake_close(&fake, client);
}

/* No attempt starts that the deadline would cut before its wait is over; attempts end at the earlier of both limits. */
static void test_deadline(void **state) {
  (void)state;
  fake_environment();
  static const struct fake_answer answers[] = {{.status = 503, .body = QUERY_ERROR("ServiceUnavailable")}};
  struct fake fake;
  struct error error;
  struct aws_client *client = FAKE_OPEN(&fake, answers);
  struct aws_call_options options = {.deadline_ms = 1000000 + 1000};
  assert_null(call_identity(client, &options, &error)); /* waits 500 ms once; 1,000 ms more do not fit */
  assert_int_equal(fake.requests, 2);
  assert_int_equal(fake.deadline_ms, options.deadline_ms);
  assert_string_equal(error.code, "ServiceUnavailable");
  options.deadline_ms = 1;
  assert_null(call_identity(client, &options, &error));
  assert_int_equal(fake.requests, 2);
  assert_int_equal(error.class, ERROR_RETRYABLE);
  assert_string_equal(error.code, AWS_CODE_DEADLINE);
  fake_close(&fake, client);
}

static void test_a_long_poll_has_its_time_on_top(void **state) {
  (void)state;
  fake_environment();
  static const struct fake_answer answers[] = {{.status = 200, .body = "{}"}};
  struct fake fake;
  struct error error;
  struct aws_client *client = FAKE_OPEN(&fake, answers);
  json_t *params = json_pack("{s:s, s:i}", "QueueUrl", "https://q", "WaitTimeSeconds", 20);
  json_t *result = aws_call(client, &base_target, "sqs.ReceiveMessage", params, NULL, &error);
  assert_non_null(result);
  assert_int_equal(fake.deadline_ms, 1000000 + 40000);
  json_decref(result);
  json_decref(params);
  fake_close(&fake, client);
}

/* ---- skew ---- */

static void test_clock_skew_is_corrected_once_and_kept(void **state) {
  (void)state;
  fake_environment();
  /* AWS's clock is an hour ahead. */
  static const struct fake_answer answers[] = {{.status = 403,
                                                .body = QUERY_ERROR("RequestTimeTooSkewed"),
                                                .header = "Date",
                                                .value = "Tue, 24 Nov 2026 23:00:00 GMT"},
                                               OK};
  struct fake fake;
  struct error error;
  struct aws_client *client = FAKE_OPEN(&fake, answers);
  json_t *result = call_identity(client, NULL, &error);
  assert_non_null(result);
  assert_int_equal(fake.requests, 2);
  assert_int_equal(fake.slept_ms, 0);
  assert_non_null(strstr(fake.headers, "20261124T230000Z"));
  json_decref(result);
  result = call_identity(client, NULL, &error); /* signed right from the start */
  assert_int_equal(fake.requests, 3);
  assert_non_null(strstr(fake.headers, "20261124T230000Z"));
  json_decref(result);
  fake_close(&fake, client);
}

static void test_skew_that_stays_ends_the_call(void **state) {
  (void)state;
  fake_environment();
  static const struct fake_answer answers[] = {{.status = 403,
                                                .body = QUERY_ERROR("RequestTimeTooSkewed"),
                                                .header = "Date",
                                                .value = "Tue, 24 Nov 2026 23:00:00 GMT"},
                                               {.status = 403,
                                                .body = QUERY_ERROR("RequestTimeTooSkewed"),
                                                .header = "Date",
                                                .value = "Wed, 25 Nov 2026 23:00:00 GMT"}};
  struct fake fake;
  struct error error;
  struct aws_client *client = FAKE_OPEN(&fake, answers);
  assert_null(call_identity(client, NULL, &error));
  assert_int_equal(fake.requests, 2);
  assert_string_equal(error.code, "RequestTimeTooSkewed");
  fake_close(&fake, client);
}

/* With one attempt the offset is learnt, and the caller told to come again. */
static void test_skew_with_one_attempt(void **state) {
  (void)state;
  fake_environment();
  static const struct fake_answer answers[] = {{.status = 403,
                                                .body = QUERY_ERROR("SignatureDoesNotMatch"),
                                                .header = "Date",
                                                .value = "Tue, 24 Nov 2026 21:00:00 GMT"},
                                               OK};
  struct fake fake;
  struct error error;
  struct aws_call_options options = {.one_attempt = 1};
  struct aws_client *client = FAKE_OPEN(&fake, answers);
  assert_null(call_identity(client, &options, &error));
  assert_int_equal(error.class, ERROR_RETRYABLE);
  json_t *result = call_identity(client, &options, &error);
  assert_non_null(result);
  assert_non_null(strstr(fake.headers, "20261124T210000Z"));
  json_decref(result);
  fake_close(&fake, client);
}

/* A wrong signature while the clocks agree is a wrong secret, and final. */
static void test_signature_refused_without_skew(void **state) {
  (void)state;
  fake_environment();
  static const struct fake_answer answers[] = {{.status = 403,
                                                .body = QUERY_ERROR("SignatureDoesNotMatch"),
                                                .header = "Date",
                                                .value = "Tue, 24 Nov 2026 22:01:00 GMT"}};
  struct fake fake;
  struct error error;
  struct aws_client *client = FAKE_OPEN(&fake, answers);
  assert_null(call_identity(client, NULL, &error));
  assert_int_equal(fake.requests, 1);
  assert_int_equal(error.class, ERROR_DENIED);
  fake_close(&fake, client);
}

/* ---- requests on the wire ---- */

struct wire {
  const char *operation, *params, *region, *override; /* override: AWS_ENDPOINT_URL or NULL */
  const char *url, *scope;
};
static const struct wire wires[] = {
    {"ec2.DescribeRegions", "{}", "eu-central-1", NULL, "POST https://ec2.eu-central-1.amazonaws.com/",
     "/eu-central-1/ec2/"},
    {"iam.ListUsers", "{}", "eu-west-1", NULL, "POST https://iam.amazonaws.com/", "/us-east-1/iam/"},
    {"iam.ListUsers", "{}", "cn-north-1", NULL, "POST https://iam.cn-north-1.amazonaws.com.cn/", "/cn-north-1/iam/"},
    {"iam.ListUsers", "{}", "eu-west-1", "http://127.0.0.1:5000", "POST http://127.0.0.1:5000/", "/us-east-1/iam/"},
    {"ec2.DescribeRegions", "{}", "eu-west-1", "http://127.0.0.1:5000/", "POST http://127.0.0.1:5000/",
     "/eu-west-1/ec2/"},
    {"route53.ListHostedZones", "{}", "eu-west-1", NULL, "GET https://route53.amazonaws.com/2013-04-01/hostedzone",
     "/us-east-1/route53/"},
    {"organizations.ListRoots", "{}", "eu-west-1", NULL, "POST https://organizations.us-east-1.amazonaws.com/",
     "/us-east-1/organizations/"},
    {"s3.GetBucketPolicy", "{\"Bucket\":\"my-bucket\"}", "eu-west-1", NULL,
     "GET https://my-bucket.s3.eu-west-1.amazonaws.com/?policy", "/eu-west-1/s3/"},
    {"s3.GetBucketPolicy", "{\"Bucket\":\"my.bucket\"}", "eu-west-1", NULL,
     "GET https://s3.eu-west-1.amazonaws.com/my.bucket?policy", "/eu-west-1/s3/"},
    {"s3.GetBucketPolicy", "{\"Bucket\":\"my-bucket\"}", "eu-west-1", "http://127.0.0.1:5000",
     "GET http://127.0.0.1:5000/my-bucket?policy", "/eu-west-1/s3/"},
    {"s3.GetObject", "{\"Bucket\":\"my-bucket\",\"Key\":\"a/../b c\"}", "eu-west-1", "http://localhost:5000",
     "GET http://localhost:5000/my-bucket/a/../b%20c", "/eu-west-1/s3/"},
    {"s3.ListBuckets", "{}", "us-east-1", NULL, "GET https://s3.us-east-1.amazonaws.com/", "/us-east-1/s3/"},
    {"s3control.GetPublicAccessBlock", "{\"AccountId\":\"111111111111\"}", "eu-west-1", NULL,
     "GET https://111111111111.s3-control.eu-west-1.amazonaws.com/v20180820/configuration/publicAccessBlock",
     "/eu-west-1/s3/"},
    {"s3control.GetPublicAccessBlock", "{\"AccountId\":\"111111111111\"}", "eu-west-1", "http://127.0.0.1:5000",
     "GET http://127.0.0.1:5000/v20180820/configuration/publicAccessBlock", "/eu-west-1/s3/"},
    {"servicediscovery.DiscoverInstances", "{\"NamespaceName\":\"n\",\"ServiceName\":\"s\"}", "eu-west-1", NULL,
     "POST https://data-servicediscovery.eu-west-1.amazonaws.com/", "/eu-west-1/servicediscovery/"},
    {"servicediscovery.DiscoverInstances", "{\"NamespaceName\":\"n\",\"ServiceName\":\"s\"}", "eu-west-1",
     "http://moto:5000/base", "POST http://moto:5000/base", "/eu-west-1/servicediscovery/"},
};

static void check_wire(const struct wire *wire) {
  static const struct fake_answer answers[] = {{.status = 403, .body = ""}};
  struct fake fake;
  struct aws_target target = {.region = wire->region};
  if (wire->override) setenv("AWS_ENDPOINT_URL", wire->override, 1);
  struct aws_client *client = FAKE_OPEN(&fake, answers);
  json_t *params = json_loads(wire->params, 0, NULL);
  struct error error;
  json_decref(aws_call(client, &target, wire->operation, params, NULL, &error));
  if (strcmp(fake.url, wire->url) != 0 || !strstr(fake.headers, wire->scope))
    fail_msg("%s: %s (%s)\n%s\nwanted %s %s", wire->operation, fake.url, error.message, fake.headers, wire->url,
             wire->scope);
  json_decref(params);
  fake_close(&fake, client);
  unsetenv("AWS_ENDPOINT_URL");
}

static void test_requests_go_where_the_rules_say(void **state) {
  (void)state;
  fake_environment();
  for (size_t i = 0; i < sizeof wires / sizeof *wires; i++) check_wire(&wires[i]);
}

static void test_which_override_wins(void **state) {
  (void)state;
  fake_environment();
  static const struct fake_answer answers[] = {{.status = 403, .body = ""}};
  struct fake fake;
  struct aws_target target = {.region = "eu-west-1"};
  setenv("AWS_ENDPOINT_URL", "http://all:1", 1);
  setenv("AWS_ENDPOINT_URL_EC2", "http://ec2:2", 1);
  struct aws_client *client = FAKE_OPEN(&fake, answers);
  aws_call(client, &target, "ec2.DescribeRegions", NULL, NULL, NULL);
  assert_string_equal(fake.url, "POST http://ec2:2/");
  aws_call(client, &target, "iam.ListUsers", NULL, NULL, NULL);
  assert_string_equal(fake.url, "POST http://all:1/");
  client->endpoint_url = strdup("http://options:3");
  aws_call(client, &target, "ec2.DescribeRegions", NULL, NULL, NULL);
  assert_string_equal(fake.url, "POST http://options:3/");
  fake_close(&fake, client);
  fake_environment();
}

/* SimpleDB wants signature version 2, CodeCatalyst a token; Import/Export's rules name SigV4 against its model. */
static void test_services_that_are_signed_otherwise(void **state) {
  (void)state;
  static const struct {
    const char *operation, *code;
  } rows[] = {{"sdb.ListDomains", "EndpointResolution"},
              {"codecatalyst.ListSpaces", "EndpointResolution"},
              {"importexport.ListJobs", "403"}};
  static const struct fake_answer answers[] = {{.status = 403, .body = ""}};
  fake_environment();
  struct fake fake;
  struct aws_client *client = FAKE_OPEN(&fake, answers);
  struct aws_target target = {.region = "us-east-1"};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct error error;
    assert_null(aws_call(client, &target, rows[i].operation, NULL, NULL, &error));
    assert_string_equal(error.code, rows[i].code);
  }
  fake_close(&fake, client);
}

/* ---- what is wrong before anything is sent ---- */

static void test_parameters_are_checked_first(void **state) {
  (void)state;
  fake_environment();
  static const struct fake_answer answers[] = {OK};
  struct fake fake;
  struct error error;
  struct aws_client *client = FAKE_OPEN(&fake, answers);
  json_t *params = json_pack("{s:s}", "NoSuchMember", "x");
  assert_null(aws_call(client, &base_target, "ec2.DescribeInstances", params, NULL, &error));
  assert_int_equal(error.class, ERROR_INVALID);
  assert_string_equal(error.where, "ec2.DescribeInstances /NoSuchMember");
  assert_null(aws_call(client, &base_target, "noservice.Do", NULL, NULL, &error));
  assert_int_equal(error.class, ERROR_MISSING);
  assert_null(aws_call(client, &base_target, "ec2", NULL, NULL, &error));
  assert_int_not_equal(error.class, ERROR_NONE);
  assert_int_equal(fake.requests, 0);
  json_decref(params);
  fake_close(&fake, client);
}

static void test_open_fails_without_models(void **state) {
  (void)state;
  struct error error;
  struct aws_options options = {.models = "/nonexistent"};
  assert_null(aws_open(&options, &error));
  assert_int_not_equal(error.class, ERROR_NONE);
  options.models = NULL;
  assert_null(aws_open(&options, &error));
  assert_int_equal(error.class, ERROR_INVALID);
}

static void test_counters(void **state) {
  (void)state;
  fake_environment();
  static const struct fake_answer answers[] = {
      {.status = 400, .body = QUERY_ERROR("Throttling")}, OK, {.status = 403, .body = QUERY_ERROR("AccessDenied")}};
  struct fake fake;
  struct aws_client *client = FAKE_OPEN(&fake, answers);
  json_decref(call_identity(client, NULL, NULL));
  json_decref(call_identity(client, NULL, NULL));
  struct aws_counters counters = aws_counters(client);
  assert_int_equal(counters.calls, 2);
  assert_int_equal(counters.attempts, 3);
  assert_int_equal(counters.retries, 1);
  assert_int_equal(counters.throttled, 1);
  assert_int_equal(counters.denied, 1);
  assert_int_equal(counters.failed, 1);
  assert_int_equal(counters.assumed, 0);
  fake_close(&fake, client);
}

/* Nothing of the credentials gets into an error, whatever fails. */
static void test_errors_hold_no_secret(void **state) {
  (void)state;
  fake_environment();
  static const struct fake_answer answers[] = {{.class = ERROR_RETRYABLE, .code = "ConnectionFailed"}};
  struct fake fake;
  struct error error;
  struct aws_role role = {.name = "worker"};
  struct aws_target target = {.account = "111111111111", .region = "eu-west-1", .role = &role};
  struct aws_client *client = FAKE_OPEN(&fake, answers);
  assert_null(aws_call(client, &target, "ec2.DescribeRegions", NULL, NULL, &error));
  const char *texts[] = {error.message, error.code, error.where};
  for (size_t i = 0; i < 3; i++) {
    assert_null(strstr(texts[i], "base-secret"));
    assert_null(strstr(texts[i], "session-"));
  }
  fake_close(&fake, client);
}

static void test_role_arn_and_partition(void **state) {
  (void)state;
  fake_environment();
  static const struct {
    const char *region, *partition;
  } rows[] = {{"eu-west-1", "aws"},
              {"cn-north-1", "aws-cn"},
              {"us-gov-west-1", "aws-us-gov"},
              {"us-iso-east-1", "aws-iso"},
              {"us-isob-east-1", "aws-iso-b"},
              {"eu-isoe-west-1", "aws-iso-e"},
              {"us-isof-south-1", "aws-iso-f"},
              {"eusc-de-east-1", "aws-eusc"},
              {"nowhere", "aws"}};
  static const struct fake_answer answers[] = {OK};
  struct fake fake;
  struct aws_client *client = FAKE_OPEN(&fake, answers);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct aws_role role = {.name = "path/worker"};
    struct aws_target target = {.account = "111111111111", .region = rows[i].region, .role = &role};
    char arn[128], wanted[128];
    aws_role_arn(&target, arn, sizeof arn);
    snprintf(wanted, sizeof wanted, "arn:%s:iam::111111111111:role/path/worker", rows[i].partition);
    assert_string_equal(arn, wanted);
    assert_string_equal(aws_partition(client, rows[i].region), rows[i].partition);
  }
  fake_close(&fake, client);
}
