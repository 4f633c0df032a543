/* Session policies: what they allow, how they are cut, which one a call uses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/fake.h"

/* How many of the policies allow that action (as IAM reads them). */
static size_t allowed_in(const struct aws_policies *policies, const char *action) {
  size_t found = 0;
  for (size_t i = 0; i < aws_policies_count(policies); i++) {
    json_t *policy = json_loads(aws_policies_text(policies, i), 0, NULL), *one;
    assert_non_null(policy);
    json_t *statement = json_array_get(json_object_get(policy, "Statement"), 0);
    assert_string_equal(json_text_at(statement, "Effect", NULL), "Allow");
    assert_string_equal(json_text_at(statement, "Resource", NULL), "*");
    size_t index;
    json_array_foreach(json_object_get(statement, "Action"), index, one) {
      if (strcmp(json_string_value(one), action) == 0) found++;
    }
    json_decref(policy);
  }
  return found;
}

static int allows(const char *policy, const char *action) {
  char quoted[160];
  snprintf(quoted, sizeof quoted, "\"%s\"", action);
  return policy && strstr(policy, quoted) != NULL;
}

/* Groups of `size` operations "ec2.Describe…": each about 60 characters long. */
static json_t *many_groups(size_t count, size_t size) {
  json_t *groups = json_array();
  for (size_t g = 0; g < count; g++) {
    json_t *group = json_array();
    for (size_t i = 0; i < size; i++)
      json_array_append_new(group,
                            json_sprintf("ec2.DescribeSomethingWithAVeryLongNameIndeedNumber%04zu", g * size + i));
    json_array_append_new(groups, group);
  }
  return groups;
}

static void test_more_than_can_be_held_is_refused(void **state) {
  (void)state;
  struct error error;
  json_t *groups = many_groups(1, 4000);
  assert_null(aws_policies_make(groups, &error));
  assert_int_equal(error.class, ERROR_INVALID);
  assert_string_equal(error.code, "SessionPolicy");
  json_decref(groups);
}

static void test_nothing_allows_nothing(void **state) {
  (void)state;
  json_t *none = json_array();
  struct aws_policies *policies = aws_policies_make(none, NULL);
  assert_int_equal(aws_policies_count(policies), 0);
  assert_null(aws_policies_for(policies, "ec2.DescribeInstances"));
  assert_null(aws_policies_text(policies, 0));
  aws_policies_free(policies);
  aws_policies_free(NULL);
  json_decref(none);
}

static void test_small_ones_are_one_policy(void **state) {
  (void)state;
  json_t *groups = json_loads(
      "[[\"ec2.RevokeSecurityGroupIngress\",\"ec2.AuthorizeSecurityGroupIngress\"],"
      "\"s3.ListBuckets\",[\"ec2.RevokeSecurityGroupIngress\"]]",
      0, NULL);
  struct aws_policies *policies = aws_policies_make(groups, NULL);
  assert_int_equal(aws_policies_count(policies), 1);
  assert_string_equal(aws_policies_text(policies, 0),
                      "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":["
                      "\"ec2:RevokeSecurityGroupIngress\",\"ec2:AuthorizeSecurityGroupIngress\","
                      "\"s3:ListAllMyBuckets\"],\"Resource\":\"*\"}]}");
  aws_policies_free(policies);
  json_decref(groups);
}

static void test_every_action_is_in_one_policy_and_none_is_too_long(void **state) {
  (void)state;
  static const size_t sizes[] = {1, 3, 10, 17, 100, 200}; /* of a group; the last ones are larger than a policy */
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    size_t count = 300 / sizes[s] + 1;
    json_t *groups = many_groups(count, sizes[s]);
    struct aws_policies *policies = aws_policies_make(groups, NULL);
    assert_non_null(policies);
    assert_true(aws_policies_count(policies) > 1);
    for (size_t i = 0; i < aws_policies_count(policies); i++)
      assert_true(strlen(aws_policies_text(policies, i)) <= 2048);
    for (size_t i = 0; i < count * sizes[s]; i += 7) {
      char operation[128], action[128];
      snprintf(operation, sizeof operation, "ec2.DescribeSomethingWithAVeryLongNameIndeedNumber%04zu", i);
      aws_iam_action(operation, action, sizeof action);
      assert_int_equal(allowed_in(policies, action), 1);
      assert_true(allows(aws_policies_for(policies, operation), action));
    }
    aws_policies_free(policies);
    json_decref(groups);
  }
}

static void test_a_group_that_fits_is_not_cut(void **state) {
  (void)state;
  json_t *groups = many_groups(20, 10);
  struct aws_policies *policies = aws_policies_make(groups, NULL);
  for (size_t g = 0; g < 20; g++) {
    const char *first = aws_policies_for(policies, json_string_value(json_array_get(json_array_get(groups, g), 0)));
    for (size_t i = 1; i < 10; i++)
      assert_ptr_equal(first,
                       aws_policies_for(policies, json_string_value(json_array_get(json_array_get(groups, g), i))));
  }
  aws_policies_free(policies);
  json_decref(groups);
}

/* A create that tags in the same call needs ec2:CreateTags in the same session. */
static void test_create_tags_goes_everywhere(void **state) {
  (void)state;
  json_t *groups = many_groups(20, 10);
  json_array_append_new(json_array_get(groups, 19), json_string("ec2.CreateTags"));
  struct aws_policies *policies = aws_policies_make(groups, NULL);
  assert_true(aws_policies_count(policies) > 3);
  assert_int_equal(allowed_in(policies, "ec2:CreateTags"), aws_policies_count(policies));
  for (size_t i = 0; i < aws_policies_count(policies); i++) assert_true(strlen(aws_policies_text(policies, i)) <= 2048);
  aws_policies_free(policies);
  json_decref(groups);
}

/* ---- the client ---- */

static const struct fake_answer fine[] = {
    {.status = 200, .body = "<R><requestId>r</requestId><regionInfo/><vpcSet/></R>"}};

static void test_each_call_uses_the_policy_that_allows_it(void **state) {
  (void)state;
  fake_environment();
  struct fake fake;
  struct aws_client *client = FAKE_OPEN(&fake, fine);
  json_t *groups = many_groups(1, 60);
  json_array_insert_new(groups, 0, json_string("ec2.DescribeRegions"));
  json_array_append_new(groups, json_string("ec2.DescribeVpcs"));
  struct aws_policies *policies = aws_policies_make(groups, NULL);
  assert_ptr_not_equal(aws_policies_for(policies, "ec2.DescribeRegions"),
                       aws_policies_for(policies, "ec2.DescribeVpcs"));
  struct aws_role role = {.name = "worker", .policies = policies};
  struct aws_target there = {.account = "111111111111", .region = "eu-west-1", .role = &role};
  static const char *const operations[] = {"ec2.DescribeRegions", "ec2.DescribeVpcs"};
  for (int i = 0; i < 4; i++) {
    json_t *result = aws_call(client, &there, operations[i % 2], NULL, NULL, NULL);
    assert_non_null(result);
    json_decref(result);
    assert_int_equal(fake.assumed, i < 1 ? 1 : 2);
    if (i < 2) assert_non_null(strstr(fake.assume_request, i ? "ec2%3ADescribeVpcs" : "ec2%3ADescribeRegions"));
    if (i < 2) assert_null(strstr(fake.assume_request, i ? "ec2%3ADescribeRegions" : "ec2%3ADescribeVpcs"));
  }
  aws_policies_free(policies);
  json_decref(groups);
  fake_close(&fake, client);
}

static void test_no_policy_is_no_permission(void **state) {
  (void)state;
  fake_environment();
  struct fake fake;
  struct error error;
  struct aws_client *client = FAKE_OPEN(&fake, fine);
  json_t *none = json_array();
  struct aws_policies *policies = aws_policies_make(none, NULL);
  struct aws_role role = {.name = "worker", .policies = policies};
  struct aws_target there = {.account = "111111111111", .region = "eu-west-1", .role = &role};
  assert_null(aws_call(client, &there, "ec2.DescribeRegions", NULL, NULL, &error));
  assert_int_equal(error.class, ERROR_DENIED);
  assert_int_equal(fake.assumed, 0);
  aws_policies_free(policies);
  json_decref(none);
  fake_close(&fake, client);
}
