/* S3: buckets that live elsewhere, and failures inside a 200. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/fake.h"

static const struct aws_target base_target = {.region = "eu-west-1"};

static json_t *call(struct aws_client *client, const char *operation, const char *params, int one_attempt,
                    struct error *error) {
  struct aws_call_options options = {.one_attempt = one_attempt};
  json_t *given = json_loads(params, 0, NULL);
  assert_non_null(given);
  json_t *result = aws_call(client, &base_target, operation, given, &options, error);
  json_decref(given);
  return result;
}

#define POLICY "s3.GetBucketTagging"
#define BUCKET "{\"Bucket\":\"my-bucket\"}"
#define TAGGING "<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>"
#define ERROR_BODY(code, rest) "<Error><Code>" code "</Code><Message>m</Message>" rest "</Error>"

/* ---- redirects ---- */

static void test_redirects_that_are_none(void **state) {
  (void)state;
  static const struct {
    const char *operation, *params;
    struct fake_answer answer;
  } rows[] = {
      /* denied is denied, whatever Region it names */
      {POLICY,
       BUCKET,
       {403, .body = ERROR_BODY("AccessDenied", ""), .header = "x-amz-bucket-region", .value = "us-west-2"}},
      /* a wrong signature without a Region is a wrong signature */
      {POLICY, BUCKET, {400, .body = ERROR_BODY("AuthorizationHeaderMalformed", "")}},
      /* 400 of a HEAD without the header */
      {"s3.HeadBucket", BUCKET, {400, .body = ""}},
      /* a Region that is no host label would send the call to somebody else */
      {"s3.HeadBucket", BUCKET, {301, .body = "", .header = "x-amz-bucket-region", .value = "evil.example/"}},
      /* CreateBucket's location is the caller's mistake */
      {"s3.CreateBucket",
       BUCKET,
       {400, .body = ERROR_BODY("IllegalLocationConstraintException", "<Region>us-west-2</Region>")}},
      /* no bucket, no redirect */
      {"s3.ListBuckets",
       "{}",
       {301, .body = ERROR_BODY("PermanentRedirect", ""), .header = "x-amz-bucket-region", .value = "us-west-2"}},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fake_environment();
    struct fake fake;
    struct error error;
    struct aws_client *client = fake_open(&fake, &rows[i].answer, 1);
    assert_null(call(client, rows[i].operation, rows[i].params, 0, &error));
    if (fake.requests != 1) printf("row %zu\n", i);
    assert_int_equal(fake.requests, 1);
    fake_close(&fake, client);
  }
}

static void test_a_redirect_is_followed_once_and_remembered(void **state) {
  (void)state;
  static const struct {
    const char *operation;
    struct fake_answer answer;
  } rows[] = {
      {POLICY,
       {301, .body = ERROR_BODY("PermanentRedirect", ""), .header = "x-amz-bucket-region", .value = "us-west-2"}},
      {POLICY,
       {307, .body = ERROR_BODY("TemporaryRedirect", ""), .header = "x-amz-bucket-region", .value = "us-west-2"}},
      {POLICY, {400, .body = ERROR_BODY("AuthorizationHeaderMalformed", "<Region>us-west-2</Region>")}},
      {POLICY, {400, .body = ERROR_BODY("IllegalLocationConstraintException", "<Region>us-west-2</Region>")}},
      {"s3.HeadBucket", {400, .body = "", .header = "x-amz-bucket-region", .value = "us-west-2"}},
      {"s3.HeadBucket", {301, .body = "", .header = "x-amz-bucket-region", .value = "us-west-2"}},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fake_environment();
    struct fake fake;
    struct error error;
    const struct fake_answer answers[] = {rows[i].answer, {200, .body = TAGGING}};
    struct aws_client *client = fake_open(&fake, answers, 2);
    json_t *result = call(client, rows[i].operation, BUCKET, 0, &error);
    if (!result) printf("row %zu: %s\n", i, error.message);
    assert_non_null(result);
    json_decref(result);
    assert_int_equal(fake.requests, 2);
    assert_int_equal(fake.slept_ms, 0);
    assert_non_null(strstr(fake.url, "https://my-bucket.s3.us-west-2.amazonaws.com"));
    assert_non_null(strstr(fake.headers, "/us-west-2/s3/aws4_request")); /* signed anew */
    json_decref(call(client, POLICY, BUCKET, 0, &error));
    assert_int_equal(fake.requests, 3); /* at once to the right place */
    assert_non_null(strstr(fake.url, "https://my-bucket.s3.us-west-2.amazonaws.com"));
    json_decref(call(client, POLICY, "{\"Bucket\":\"other-bucket\"}", 0, &error));
    assert_non_null(strstr(fake.url, "https://other-bucket.s3.eu-west-1.amazonaws.com"));
    fake_close(&fake, client);
  }
}

static void test_two_redirects_are_one_too_many(void **state) {
  (void)state;
  static const struct fake_answer answers[] = {
      {301, .body = ERROR_BODY("PermanentRedirect", ""), .header = "x-amz-bucket-region", .value = "us-west-2"}};
  fake_environment();
  struct fake fake;
  struct error error;
  struct aws_client *client = FAKE_OPEN(&fake, answers);
  assert_null(call(client, POLICY, BUCKET, 0, &error));
  assert_int_equal(fake.requests, 2);
  assert_string_equal(error.code, "PermanentRedirect");
  fake_close(&fake, client);
}

static void test_the_head_tells_what_the_redirect_does_not(void **state) {
  (void)state;
  static const struct fake_answer answers[] = {
      {301, .body = ERROR_BODY("PermanentRedirect", "")},
      {301, .body = "", .header = "x-amz-bucket-region", .value = "us-west-2"}, /* HeadBucket */
      {403, .body = "", .header = "x-amz-bucket-region", .value = "us-west-2"}, /* HeadBucket there: not for us */
      {200, .body = TAGGING}};
  fake_environment();
  struct fake fake;
  struct error error;
  struct aws_client *client = FAKE_OPEN(&fake, answers);
  json_t *result = call(client, POLICY, BUCKET, 0, &error);
  assert_string_equal(json_text_at(json_array_get(json_object_get(result, "TagSet"), 0), "Key", NULL), "k");
  json_decref(result);
  assert_int_equal(fake.requests, 4);
  assert_non_null(strstr(fake.url, "my-bucket.s3.us-west-2.amazonaws.com"));
  fake_close(&fake, client);
}

static void test_a_journaled_call_is_told_to_come_again(void **state) {
  (void)state;
  static const struct fake_answer answers[] = {
      {301, .body = ERROR_BODY("PermanentRedirect", ""), .header = "x-amz-bucket-region", .value = "us-west-2"},
      {200, .body = TAGGING}};
  fake_environment();
  struct fake fake;
  struct error error;
  struct aws_client *client = FAKE_OPEN(&fake, answers);
  assert_null(call(client, POLICY, BUCKET, 1, &error));
  assert_int_equal(error.class, ERROR_RETRYABLE);
  json_t *result = call(client, POLICY, BUCKET, 1, &error);
  assert_non_null(result);
  json_decref(result);
  assert_int_equal(fake.requests, 2);
  fake_close(&fake, client);
}

static void test_the_memory_of_buckets_is_bounded(void **state) {
  (void)state;
  static const struct fake_answer answers[] = {
      {301, .body = "", .header = "x-amz-bucket-region", .value = "us-west-2"}};
  fake_environment();
  struct fake fake;
  struct error error;
  struct aws_client *client = FAKE_OPEN(&fake, answers);
  for (int i = 0; i < 5000; i++) {
    char params[64];
    snprintf(params, sizeof params, "{\"Bucket\":\"bucket-%d\"}", i);
    assert_null(call(client, "s3.HeadBucket", params, 1, &error));
    assert_true(json_object_size(client->buckets) <= 4096);
  }
  assert_true(json_object_size(client->buckets) > 0);
  fake_close(&fake, client);
}

/* ---- errors in a 200 ---- */

#define COPY "{\"Bucket\":\"b-1\",\"Key\":\"k\",\"CopySource\":\"b-2/k\"}"
#define PART_COPY "{\"Bucket\":\"b-1\",\"Key\":\"k\",\"CopySource\":\"b-2/k\",\"PartNumber\":1,\"UploadId\":\"u\"}"
#define COMPLETE "{\"Bucket\":\"b-1\",\"Key\":\"k\",\"UploadId\":\"u\"}"
#define BLANKS "                                                                                                    "

static void test_a_200_with_an_error_is_a_500(void **state) {
  (void)state;
  static const struct {
    const char *operation, *params, *body, *code;
    enum error_class class;
    size_t requests;
  } rows[] = {
      {"s3.CopyObject", COPY, ERROR_BODY("InternalError", ""), "InternalError", ERROR_RETRYABLE, 3},
      {"s3.UploadPartCopy", PART_COPY, ERROR_BODY("InternalError", ""), "InternalError", ERROR_RETRYABLE, 3},
      {"s3.CompleteMultipartUpload", COMPLETE, ERROR_BODY("SlowDown", ""), "SlowDown", ERROR_THROTTLED, 3},
      /* kept alive by white space first */
      {"s3.CompleteMultipartUpload", COMPLETE,
       "<?xml version=\"1.0\"?>" BLANKS BLANKS BLANKS "\n" ERROR_BODY("InternalError", ""), "InternalError",
       ERROR_RETRYABLE, 3},
      {"s3.DeleteObjects", "{\"Bucket\":\"b-1\",\"Delete\":{\"Objects\":[{\"Key\":\"k\"}]}}",
       ERROR_BODY("InternalError", ""), "InternalError", ERROR_RETRYABLE, 3},
      /* cut off */
      {"s3.CopyObject", COPY, "<CopyObjectResult><ETag>x</ET", "NotAnAnswer", ERROR_RETRYABLE, 3},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fake_environment();
    struct fake fake;
    struct error error;
    const struct fake_answer answer = {200, .body = rows[i].body};
    struct aws_client *client = fake_open(&fake, &answer, 1);
    json_t *result = call(client, rows[i].operation, rows[i].params, 0, &error);
    if (result || fake.requests != rows[i].requests) printf("row %zu: %s %s\n", i, error.code, error.message);
    assert_null(result);
    assert_string_equal(error.code, rows[i].code);
    assert_int_equal(error.class, rows[i].class);
    assert_int_equal(fake.requests, rows[i].requests);
    fake_close(&fake, client);
  }
}

static void test_an_object_may_be_an_error_document(void **state) {
  (void)state;
  static const struct fake_answer answers[] = {{200, .body = ERROR_BODY("InternalError", "")}};
  fake_environment();
  struct fake fake;
  struct error error;
  struct aws_client *client = FAKE_OPEN(&fake, answers);
  json_t *result = call(client, "s3.GetObject", "{\"Bucket\":\"b-1\",\"Key\":\"k\"}", 0, &error);
  assert_non_null(result);
  json_decref(result);
  assert_int_equal(fake.requests, 1);
  fake_close(&fake, client);
}

static void test_a_copy_that_succeeds_at_the_second_attempt(void **state) {
  (void)state;
  static const struct fake_answer answers[] = {
      {200, .body = ERROR_BODY("InternalError", "")},
      {200, .body = "<CopyObjectResult><ETag>\"e\"</ETag></CopyObjectResult>"}};
  fake_environment();
  struct fake fake;
  struct error error;
  struct aws_client *client = FAKE_OPEN(&fake, answers);
  json_t *result = call(client, "s3.CopyObject", COPY, 0, &error);
  assert_string_equal(json_text_at(result, "CopyObjectResult", "ETag", NULL), "\"e\"");
  json_decref(result);
  fake_close(&fake, client);
}
