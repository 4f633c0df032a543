/* The whole client, libcurl included, against answers that are none.  It may not crash, nor outlive its deadline; the
 * class of its error has to be right, and no error may hold a secret. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/fake.h"
#include "aws/raw_server.h"

#define DEADLINE_MS 300
#define GENEROUS_MS 8000 /* for a busy machine under a sanitizer; a hang is far longer */
#define LIMIT 200000

static const char secret[] = "SECRETSECRETSECRETSECRET", token[] = "TOKENTOKENTOKENTOKENTOKEN";

struct bench {
  struct raw_server server;
  struct aws_client *client;
  struct error error;
  int64_t took_ms;
};

static void bench_open(struct bench *bench) {
  char url[64];
  memset(bench, 0, sizeof *bench);
  raw_server_start(&bench->server);
  fake_environment();
  setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLEEXAMPLE12", 1);
  setenv("AWS_SECRET_ACCESS_KEY", secret, 1);
  setenv("AWS_SESSION_TOKEN", token, 1);
  snprintf(url, sizeof url, "http://127.0.0.1:%d", bench->server.port);
  struct aws_options options = {
      .models = fake_models(), .endpoint_url = url, .hub_region = "us-east-1", .response_limit = LIMIT};
  struct aws_hooks hooks = {.no_thread = 1};
  bench->client = aws_open_with(&options, &hooks, &bench->error);
  if (!bench->client) {
    printf("skipped: %s\n", bench->error.message);
    raw_server_stop(&bench->server);
    skip();
  }
}

static void bench_close(struct bench *bench) {
  aws_thread_end();
  raw_server_stop(&bench->server);
  aws_close(bench->client);
}

/* One attempt on a connection of its own; the result, or NULL. */
static json_t *bench_call(struct bench *bench, const char *operation, int64_t deadline_ms) {
  struct aws_target target = {.region = "us-east-1"};
  int64_t begun = clock_monotonic_ms();
  struct aws_call_options options = {.deadline_ms = begun + deadline_ms, .one_attempt = 1};
  aws_thread_end();
  json_t *result = aws_call(bench->client, &target, operation, NULL, &options, &bench->error);
  bench->took_ms = clock_monotonic_ms() - begun;
  aws_thread_end();
  return result;
}

static void check_no_secret(const struct error *error) {
  const char *const texts[] = {error->code, error->message, error->where, error->request_id};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    assert_null(strstr(texts[i], secret));
    assert_null(strstr(texts[i], token));
    assert_null(strstr(texts[i], "Signature="));
  }
}

struct fault {
  const char *what, *operation;
  struct raw_reply reply;
  enum error_class class;
  const char *code;
  int to_deadline; /* it has to take that long */
};

static void check_fault(struct bench *bench, const struct fault *fault) {
  raw_server_set(&bench->server, fault->reply);
  int64_t deadline_ms = fault->to_deadline ? DEADLINE_MS : GENEROUS_MS;
  json_t *result = bench_call(bench, fault->operation ? fault->operation : "sts.GetCallerIdentity", deadline_ms);
  int wrong = result || bench->error.class != fault->class || strcmp(bench->error.code, fault->code) != 0;
  if (wrong)
    print_error("%s: class %d, code %s, message %s\n", fault->what, (int)bench->error.class, bench->error.code,
                bench->error.message);
  assert_false(wrong);
  assert_in_range(bench->took_ms, 0, deadline_ms + GENEROUS_MS);
  if (fault->to_deadline) assert_true(bench->took_ms >= DEADLINE_MS - 20);
  check_no_secret(&bench->error);
}

static void check_faults(const struct fault *faults, size_t count) {
  struct bench bench;
  bench_open(&bench);
  for (size_t i = 0; i < count; i++) check_fault(&bench, &faults[i]);
  bench_close(&bench);
}

#define CHECK(faults) check_faults(faults, sizeof(faults) / sizeof *(faults))
#define OK "HTTP/1.1 200 OK\r\n"
#define XML OK "Content-Type: text/xml\r\n"

static void test_silence(void **state) {
  static const struct fault faults[] = {
      {"accepted, and nothing", NULL, {NULL, 0, RAW_SILENCE, NULL, 1}, ERROR_RETRYABLE, AWS_CODE_TIMEOUT, 1},
      {"within the status", NULL, {"HTTP/1.1 2", 0, RAW_SILENCE}, ERROR_RETRYABLE, AWS_CODE_TIMEOUT, 1},
      {"within a header", NULL, {OK "Content-", 0, RAW_SILENCE}, ERROR_RETRYABLE, AWS_CODE_TIMEOUT, 1},
      {"after the headers",
       NULL,
       {OK "Content-Length: 9\r\n\r\n", 0, RAW_SILENCE},
       ERROR_RETRYABLE,
       AWS_CODE_TIMEOUT,
       1},
      {"within the body",
       NULL,
       {OK "Content-Length: 9\r\n\r\n<a>", 0, RAW_SILENCE},
       ERROR_RETRYABLE,
       AWS_CODE_TIMEOUT,
       1},
      {"within a chunk's size",
       NULL,
       {OK "Transfer-Encoding: chunked\r\n\r\n1", 0, RAW_SILENCE},
       ERROR_RETRYABLE,
       AWS_CODE_TIMEOUT,
       1},
      {"no end of a body without a length", NULL, {OK "\r\n<a>", 0, RAW_SILENCE}, ERROR_RETRYABLE, AWS_CODE_TIMEOUT, 1},
      {"headers, drop by drop", NULL, {OK, 0, RAW_DRIP, "x: y\r\n"}, ERROR_RETRYABLE, AWS_CODE_TIMEOUT, 1},
      {"a body, drop by drop", NULL, {OK "\r\n", 0, RAW_DRIP, "<a></a>"}, ERROR_RETRYABLE, AWS_CODE_TIMEOUT, 1},
  };
  (void)state;
  CHECK(faults);
}

static void test_broken_connections(void **state) {
  static const struct fault faults[] = {
      {"closed at once", NULL, {"", 0, RAW_CLOSE}, ERROR_RETRYABLE, "ConnectionBroken"},
      {"reset at once", NULL, {"", 0, RAW_RESET}, ERROR_RETRYABLE, "ConnectionBroken"},
      {"reset amid the headers", NULL, {OK "Content-", 0, RAW_RESET}, ERROR_RETRYABLE, "ConnectionBroken"},
      {"reset amid the body",
       NULL,
       {OK "Content-Length: 9\r\n\r\n<a>", 0, RAW_RESET},
       ERROR_RETRYABLE,
       "ConnectionBroken"},
      {"Content-Length too large",
       NULL,
       {XML "Content-Length: 99\r\n\r\n<a></a>"},
       ERROR_RETRYABLE,
       "ConnectionBroken"},
      {"a chunk that is none",
       NULL,
       {XML "Transfer-Encoding: chunked\r\n\r\nzz\r\n<a/>\r\n"},
       ERROR_RETRYABLE,
       "ConnectionBroken"},
      {"garbage", NULL, {"\x80\x81\xfe\xff garbage \x01\x02\r\n\r\n"}, ERROR_RETRYABLE, "ConnectionBroken"},
      {"another protocol", NULL, {"SSH-2.0-OpenSSH_9.2\r\n"}, ERROR_RETRYABLE, "ConnectionBroken"},
  };
  (void)state;
  CHECK(faults);
}

static void test_no_answers(void **state) {
  static const struct fault faults[] = {
      {"HTML, 200",
       NULL,
       {OK "Content-Type: text/html\r\n\r\n<html><body>Please sign in<br></body></html>"},
       ERROR_FATAL,
       "NotAnAnswer"},
      {"HTML, 500",
       NULL,
       {"HTTP/1.1 500 Oh\r\n\r\n<!DOCTYPE html><html><title>500</title></html>"},
       ERROR_FATAL,
       "NotAnAnswer"},
      {"HTML, 200, where JSON should be",
       "organizations.DescribeOrganization",
       {OK "\r\n<html></html>"},
       ERROR_FATAL,
       "NotAnAnswer"},
      {"nothing, where XML should be", NULL, {XML "Content-Length: 0\r\n\r\n"}, ERROR_FATAL, "NotAnAnswer"},
      {"Content-Length too small",
       NULL,
       {XML "Content-Length: 30\r\n\r\n<GetCallerIdentityResponse><GetCallerIdentityResult>"},
       ERROR_FATAL,
       "NotAnAnswer"},
      {"not the operation's element", NULL, {XML "\r\n<Other/>"}, ERROR_FATAL, "NotAnAnswer"},
      {"entities", NULL, {XML "\r\n<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"}, ERROR_FATAL, "NotAnAnswer"},
      {"gzip that nobody asked for",
       NULL,
       {XML "Content-Encoding: gzip\r\n\r\n\x1f\x8b\x08garbage"},
       ERROR_FATAL,
       "NotAnAnswer"},
      {"JSON that is cut",
       "organizations.DescribeOrganization",
       {OK "\r\n{\"Organization\": {"},
       ERROR_FATAL,
       "NotAnAnswer"},
      {"JSON of another type",
       "organizations.DescribeOrganization",
       {OK "\r\n{\"Organization\": 7}"},
       ERROR_FATAL,
       "NotAnAnswer"},
      {"a redirection is not followed",
       NULL,
       {"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n"},
       ERROR_INVALID,
       "302"},
  };
  (void)state;
  CHECK(faults);
}

#define ERROR_OF(code) \
  "<ErrorResponse><Error><Code>" code "</Code><Message>Rate exceeded</Message></Error></ErrorResponse>"

static void test_overload(void **state) {
  static const struct fault faults[] = {
      {"503", NULL, {"HTTP/1.1 503 Slow\r\nContent-Length: 0\r\n\r\n"}, ERROR_RETRYABLE, "503"},
      {"503, come back in an hour",
       NULL,
       {"HTTP/1.1 503 Slow\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n"},
       ERROR_RETRYABLE,
       "503"},
      {"503, HTML", NULL, {"HTTP/1.1 503 Slow\r\n\r\n<html>busy</html>"}, ERROR_RETRYABLE, "503"},
      {"502, text", NULL, {"HTTP/1.1 502 Bad\r\n\r\nBad Gateway"}, ERROR_RETRYABLE, "502"},
      {"504, HTML, where JSON should be",
       "organizations.DescribeOrganization",
       {"HTTP/1.1 504 Late\r\n\r\n<html>late</html>"},
       ERROR_RETRYABLE,
       "504"},
      {"query", NULL, {"HTTP/1.1 400 Bad\r\n\r\n" ERROR_OF("Throttling")}, ERROR_THROTTLED, "Throttling"},
      {"ec2",
       "ec2.DescribeRegions",
       {"HTTP/1.1 503 "
        "Busy\r\n\r\n<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>m</Message></Error>"
        "</Errors><RequestID>r</RequestID></Response>"},
       ERROR_THROTTLED,
       "RequestLimitExceeded"},
      {"json",
       "organizations.DescribeOrganization",
       {"HTTP/1.1 400 Bad\r\n\r\n{\"__type\":\"com.amazonaws#ThrottlingException\",\"message\":\"Rate exceeded\"}"},
       ERROR_THROTTLED,
       "ThrottlingException"},
      {"rest-json",
       "lambda.ListFunctions",
       {"HTTP/1.1 429 Many\r\nx-amzn-ErrorType: TooManyRequestsException:http://x/\r\n\r\n{\"message\":\"m\"}"},
       ERROR_THROTTLED,
       "TooManyRequestsException"},
      {"rest-xml",
       "s3.ListBuckets",
       {"HTTP/1.1 503 Slow\r\n\r\n<Error><Code>SlowDown</Code><Message>m</Message></Error>"},
       ERROR_THROTTLED,
       "SlowDown"},
      {"429 without a body", NULL, {"HTTP/1.1 429 Many\r\nContent-Length: 0\r\n\r\n"}, ERROR_THROTTLED, "429"},
  };
  (void)state;
  CHECK(faults);
}

static void test_endless(void **state) {
  static const struct fault faults[] = {
      {"a body", NULL, {XML "\r\n<a>", 0, RAW_FOREVER, "<b>text</b>"}, ERROR_INVALID, "ResponseTooLarge"},
      {"a chunked body",
       NULL,
       {XML "Transfer-Encoding: chunked\r\n\r\n", 0, RAW_FOREVER, "8\r\n<b></b>\n\r\n"},
       ERROR_INVALID,
       "ResponseTooLarge"},
      {"a body that announces itself",
       NULL,
       {XML "Content-Length: 99999999999\r\n\r\n", 0, RAW_FOREVER, "<b></b>"},
       ERROR_INVALID,
       "ResponseTooLarge"},
      {"headers", NULL, {OK, 0, RAW_FOREVER, "x-header: some text\r\n"}, ERROR_INVALID, "ResponseTooLarge"},
      {"one header", NULL, {OK "x: ", 0, RAW_FOREVER, "yyyyyyyyyyyyyyyy"}, ERROR_INVALID, "ResponseTooLarge"},
      {"100 Continue", NULL, {"", 0, RAW_FOREVER, "HTTP/1.1 100 Continue\r\n\r\n"}, ERROR_INVALID, "ResponseTooLarge"},
  };
  (void)state;
  CHECK(faults);
}

/* AWS answers a wrong signature with the request that it has seen, session token included. */
static void test_echo(void **state) {
#define ECHO "POST\n/\n\nx-amz-security-token:TOKENTOKENTOKENTOKENTOKEN\n\nhost"
  static const struct fault faults[] = {
      {"query",
       NULL,
       {"HTTP/1.1 403 No\r\n\r\n<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code><Message>The request signature "
        "we calculated does not match.\n\nThe Canonical String for this request should have been\n'" ECHO
        "'</Message></Error></ErrorResponse>"},
       ERROR_DENIED,
       "SignatureDoesNotMatch"},
      {"json",
       "organizations.DescribeOrganization",
       {"HTTP/1.1 400 No\r\n\r\n{\"__type\":\"InvalidSignatureException\",\"message\":\"The request signature we "
        "calculated does not match. The Canonical String for this request should have been 'POST\\n/\\n\\n"
        "x-amz-security-token:TOKENTOKENTOKENTOKENTOKEN'\"}"},
       ERROR_DENIED,
       "InvalidSignatureException"},
  };
  (void)state;
  CHECK(faults);
}

/* ---- an answer that is cut, or has one wrong bit ---- */

static const struct {
  const char *operation, *body;
  int chunked;
} answers[] = {
    {"sts.GetCallerIdentity",
     "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::111111111111:user/a</Arn>"
     "<UserId>U</UserId></GetCallerIdentityResult></GetCallerIdentityResponse>"},
    {"sts.GetCallerIdentity",
     "<GetCallerIdentityResponse><GetCallerIdentityResult><Account>111111111111</Account></GetCallerIdentityResult>"
     "</GetCallerIdentityResponse>",
     1},
    {"organizations.DescribeOrganization", "{\"Organization\":{\"Id\":\"o-1\",\"FeatureSet\":\"ALL\"}}"},
    {"organizations.DescribeOrganization", "{\"Organization\":{\"Id\":\"o-1\"}}", 1},
    {"ec2.DescribeRegions",
     "<DescribeRegionsResponse><regionInfo><item><regionName>eu-west-1</regionName></item></regionInfo>"
     "</DescribeRegionsResponse>"},
    {"s3.ListBuckets",
     "<ListAllMyBucketsResult><Buckets><Bucket><Name>b</Name></Bucket></Buckets>"
     "</ListAllMyBucketsResult>"},
    {"lambda.ListFunctions", "{\"Functions\":[{\"FunctionName\":\"f\",\"Timeout\":3}]}"},
};
#define ANSWERS (sizeof answers / sizeof *answers)

/* The answer as it should be, into `bytes`; its length. */
static size_t write_answer(size_t i, char bytes[2048]) {
  const char *body = answers[i].body;
  const char *form = answers[i].chunked ? OK
                         "Transfer-Encoding: chunked\r\nx-amzn-RequestId: r-1\r\n\r\n%zx\r\n%s\r\n0\r\n\r\n"
                                        : OK "Content-Length: %zu\r\nx-amzn-RequestId: r-1\r\n\r\n%s";
  return (size_t)snprintf(bytes, 2048, form, strlen(body), body);
}

static void test_cut_everywhere(void **state) {
  struct bench bench;
  (void)state;
  bench_open(&bench);
  for (size_t i = 0; i < ANSWERS; i++) {
    char bytes[2048];
    raw_server_set(&bench.server, (struct raw_reply){0}); /* the bytes are in the same place again */
    size_t length = write_answer(i, bytes);
    for (size_t cut = 1; cut <= length; cut++) {
      if (answers[i].chunked && cut == length - 1) continue; /* all has been said: either is right */
      raw_server_set(&bench.server, (struct raw_reply){.bytes = bytes, .length = cut});
      json_t *result = bench_call(&bench, answers[i].operation, GENEROUS_MS);
      int right = cut == length ? result != NULL : !result && bench.error.class == ERROR_RETRYABLE;
      if (!right) print_error("answer %zu, %zu of %zu bytes: %s\n", i, cut, length, bench.error.message);
      assert_true(right);
      json_decref(result);
    }
  }
  bench_close(&bench);
}

static void test_wrong_bits(void **state) {
  struct bench bench;
  uint32_t chance = 2463534242u;
  (void)state;
  bench_open(&bench);
  for (int round = 0; round < 1500; round++) {
    char bytes[2048];
    raw_server_set(&bench.server, (struct raw_reply){0}); /* the bytes are in the same place again */
    chance ^= chance << 13, chance ^= chance >> 17, chance ^= chance << 5;
    size_t i = chance % ANSWERS, length = write_answer(i, bytes);
    bytes[chance / 64 % length] ^= (char)(1 << (chance >> 8 & 7));
    raw_server_set(&bench.server, (struct raw_reply){.bytes = bytes, .length = length});
    json_t *result = bench_call(&bench, answers[i].operation, GENEROUS_MS);
    assert_true(!result == (bench.error.class != ERROR_NONE));
    assert_in_range(bench.took_ms, 0, 2 * GENEROUS_MS);
    if (!result) check_no_secret(&bench.error);
    json_decref(result);
  }
  bench_close(&bench);
}

/* With attempts left: it tries again, Retry-After or not, and ends in time. */
static void test_retries_end(void **state) {
  struct bench bench;
  struct aws_target target = {.region = "us-east-1"};
  (void)state;
  bench_open(&bench);
  raw_server_set(&bench.server,
                 (struct raw_reply){"HTTP/1.1 503 Slow\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n"});
  int64_t begun = clock_monotonic_ms();
  struct aws_call_options options = {.deadline_ms = begun + GENEROUS_MS};
  assert_null(aws_call(bench.client, &target, "sts.GetCallerIdentity", NULL, &options, &bench.error));
  assert_int_equal(bench.error.class, ERROR_RETRYABLE);
  assert_in_range(clock_monotonic_ms() - begun, 0, 2 * GENEROUS_MS);
  aws_thread_end();
  bench_close(&bench);
  assert_int_equal(bench.server.connections, 3);
}
