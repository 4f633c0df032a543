/* What is told of an operation without calling it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/fake.h"

static const struct fake_answer never[] = {{.status = 500}};

static json_t *dry(struct aws_client *client, const char *operation, const char *params, const struct aws_role *role,
                   struct error *error) {
  struct aws_target there = {.account = "111111111111", .region = "eu-west-1", .role = role};
  json_t *given = json_loads(params, 0, NULL);
  json_t *shown = aws_dry_run(client, &there, operation, given, error);
  json_decref(given);
  return shown;
}

static void test_what_is_not_there_or_does_not_fit(void **state) {
  (void)state;
  fake_environment();
  struct fake fake;
  struct error error;
  struct aws_client *client = FAKE_OPEN(&fake, never);
  assert_null(aws_model_describe(client, "ec2.DescribeVpx", &error));
  assert_int_equal(error.class, ERROR_MISSING);
  assert_null(dry(client, "ec2.DescribeVpx", "{}", NULL, &error));
  assert_int_equal(error.class, ERROR_MISSING);
  assert_null(dry(client, "ec2.DescribeVpcs", "{\"Filter\":1}", NULL, &error));
  assert_int_equal(error.class, ERROR_INVALID);
  fake_close(&fake, client);
}

static void test_describes_an_operation(void **state) {
  (void)state;
  fake_environment();
  struct fake fake;
  struct aws_client *client = FAKE_OPEN(&fake, never);
  json_t *description = aws_model_describe(client, "s3.ListObjectsV2", NULL);
  assert_string_equal(json_text_at(description, "iam_action", NULL), "s3:ListBucket");
  assert_true(json_is_true(json_object_get(description, "reads")));
  assert_true(json_is_true(json_object_get(description, "paginates")));
  json_t *first = json_array_get(json_object_get(description, "parameters"), 0);
  assert_string_equal(json_text_at(first, "name", NULL), "Bucket");
  assert_string_equal(json_text_at(first, "type", NULL), "string");
  assert_true(json_is_true(json_object_get(first, "required")));
  assert_string_equal(json_string_value(json_array_get(json_object_get(description, "result_keys"), 0)), "Contents");
  assert_string_equal(json_string_value(json_array_get(json_object_get(description, "token_keys"), 0)),
                      "NextContinuationToken");
  json_decref(description);
  description = aws_model_describe(client, "ec2.DescribeVpcs", NULL); /* what a structure holds, as far as it fits */
  first = json_array_get(json_object_get(description, "parameters"), 0);
  assert_string_equal(json_text_at(first, "name", NULL), "Filters");
  assert_string_equal(json_text_at(first, "type", NULL), "list of {Name, Values}");
  first = json_array_get(json_object_get(description, "result"), 1);
  assert_non_null(strstr(json_text_at(first, "type", NULL), ", …}"));
  json_decref(description);
  description = aws_model_describe(client, "ec2.DeleteVpc", NULL);
  assert_true(json_is_false(json_object_get(description, "reads")));
  assert_true(json_is_false(json_object_get(description, "paginates")));
  assert_int_equal(json_array_size(json_object_get(description, "result_keys")), 0);
  json_decref(description);
  fake_close(&fake, client);
}

static void test_a_dry_run_sends_nothing_and_has_no_secret(void **state) {
  (void)state;
  fake_environment();
  struct fake fake;
  static const struct aws_role role = {.name = "worker"};
  struct aws_client *client = FAKE_OPEN(&fake, never);
  json_t *shown = dry(client, "ec2.DeleteVpc", "{\"VpcId\":\"vpc-1\"}", &role, NULL);
  assert_string_equal(json_text_at(shown, "method", NULL), "POST");
  assert_string_equal(json_text_at(shown, "url", NULL), "https://ec2.eu-west-1.amazonaws.com/");
  assert_string_equal(json_text_at(shown, "body", NULL), "Action=DeleteVpc&Version=2016-11-15&VpcId=vpc-1");
  assert_string_equal(json_text_at(shown, "headers", "X-Amz-Security-Token", NULL), "****");
  const char *signed_by = json_text_at(shown, "headers", "Authorization", NULL);
  assert_non_null(strstr(signed_by, "Credential=****/20261124/eu-west-1/ec2/aws4_request, "));
  assert_string_equal(strstr(signed_by, "Signature="), "Signature=****");
  assert_int_equal(fake.requests + fake.assumed, 0);
  json_decref(shown);
  fake_close(&fake, client);
}

static void test_what_the_model_calls_sensitive_is_masked(void **state) {
  (void)state;
  static const struct {
    const char *operation, *params;
  } rows[] = {
      {"iam.CreateLoginProfile", "{\"UserName\":\"u\",\"Password\":\"hunter2hunter2\"}"},
      {"secretsmanager.CreateSecret", "{\"Name\":\"n\",\"SecretString\":\"hunter2hunter2\"}"},
      {"secretsmanager.CreateSecret", "{\"Name\":\"n\",\"SecretBinary\":\"aHVudGVyMmh1bnRlcjI=\"}"},
      {"lambda.CreateFunction",
       "{\"FunctionName\":\"f\",\"Role\":\"arn:aws:iam::111111111111:role/r\",\"Code\":{},"
       "\"Environment\":{\"Variables\":{\"KEY\":\"hunter2hunter2\"}}}"},
  };
  fake_environment();
  struct fake fake;
  struct error error;
  struct aws_client *client = FAKE_OPEN(&fake, never);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    json_t *shown = dry(client, rows[i].operation, rows[i].params, NULL, &error);
    char *text = json_dumps(shown, JSON_COMPACT);
    if (!text) fail_msg("row %zu: %s", i, error.message);
    assert_null(strstr(text, "hunter2"));
    assert_null(strstr(text, "aHVudGVyMm"));
    free(text);
    json_decref(shown);
  }
  fake_close(&fake, client);
}
