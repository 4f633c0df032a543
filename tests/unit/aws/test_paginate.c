#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/fake.h"

static const struct aws_target base_target = {.region = "eu-west-1"};

struct pages {
  size_t count, stop_after;
  char text[2048]; /* the pages' values of `key`, comma-separated */
  const char *list, *key;
};

static int take_page(json_t *result, void *argument) {
  struct pages *pages = argument;
  size_t index;
  json_t *item;
  json_array_foreach(json_object_get(result, pages->list), index, item) {
    strcat(pages->text, pages->key ? json_text_at(item, pages->key, NULL) : json_string_value(item));
    strcat(pages->text, ",");
  }
  pages->count++;
  return pages->stop_after && pages->count >= pages->stop_after;
}

#define IAM_PAGE(user, rest)                                                                            \
  {                                                                                                     \
    .status = 200, .body = "<ListUsersResponse><ListUsersResult><Users><member><UserName>" user         \
                           "</UserName></member></Users>" rest "</ListUsersResult></ListUsersResponse>" \
  }

static int run(struct fake *fake, const struct fake_answer *answers, size_t count, const char *operation,
               json_t *params, struct pages *pages, struct error *error) {
  fake_environment();
  struct aws_client *client = fake_open(fake, answers, count);
  assert_non_null(client);
  int result = aws_paginate(client, &base_target, operation, params, NULL, take_page, pages, error);
  fake_close(fake, client);
  return result;
}

static void test_repeated_tokens_are_refused(void **state) {
  (void)state;
  static const struct fake_answer answers[] = {IAM_PAGE("a", "<IsTruncated>true</IsTruncated><Marker>m</Marker>")};
  struct fake fake;
  struct error error;
  struct pages pages = {.list = "Users", .key = "UserName"};
  assert_int_equal(run(&fake, answers, 1, "iam.ListUsers", NULL, &pages, &error), -1);
  assert_int_equal(error.class, ERROR_FATAL);
  assert_string_equal(error.code, "RepeatedToken");
  assert_string_equal(error.where, "iam.ListUsers");
  assert_int_equal(fake.requests, 2);
}

static void test_an_error_in_the_middle_ends_it(void **state) {
  (void)state;
  static const struct fake_answer answers[] = {
      IAM_PAGE("a", "<IsTruncated>true</IsTruncated><Marker>m</Marker>"),
      {.status = 403,
       .body = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>m</Message></Error></ErrorResponse>"}};
  struct fake fake;
  struct error error;
  struct pages pages = {.list = "Users", .key = "UserName"};
  assert_int_equal(run(&fake, answers, 2, "iam.ListUsers", NULL, &pages, &error), -1);
  assert_int_equal(error.class, ERROR_DENIED);
  assert_string_equal(pages.text, "a,");
  assert_int_equal(run(&fake, answers, 2, "iam.NoSuch", NULL, &pages, &error), -1);
  assert_int_equal(error.class, ERROR_MISSING);
}

static void test_pages_follow_the_token(void **state) {
  (void)state;
  static const struct fake_answer answers[] = {
      IAM_PAGE("a", "<IsTruncated>true</IsTruncated><Marker>m1</Marker>"),
      IAM_PAGE("b", "<IsTruncated>true</IsTruncated><Marker>m2</Marker>"),
      IAM_PAGE("c", "<IsTruncated>false</IsTruncated><Marker>ignored</Marker>")};
  struct fake fake;
  struct error error;
  struct pages pages = {.list = "Users", .key = "UserName"};
  json_t *params = json_pack("{s:s}", "PathPrefix", "/x/");
  assert_int_equal(run(&fake, answers, 3, "iam.ListUsers", params, &pages, &error), 0);
  assert_string_equal(pages.text, "a,b,c,");
  assert_int_equal(fake.requests, 3); /* more_results wins over the token that is there */
  assert_non_null(strstr(fake.body, "Marker=m2"));
  assert_non_null(strstr(fake.body, "PathPrefix=%2Fx%2F"));
  assert_int_equal(json_object_size(params), 1); /* the caller's parameters are untouched */
  json_decref(params);
}

static void test_empty_tokens_end_it(void **state) {
  (void)state;
  static const struct fake_answer answers[] = {
      {.status = 200,
       .body = "<DescribeSecurityGroupsResponse><securityGroupInfo><item><groupId>sg-1</groupId></item>"
               "</securityGroupInfo><nextToken></nextToken></DescribeSecurityGroupsResponse>"}};
  struct fake fake;
  struct error error;
  struct pages pages = {.list = "SecurityGroups", .key = "GroupId"};
  assert_int_equal(run(&fake, answers, 1, "ec2.DescribeSecurityGroups", NULL, &pages, &error), 0);
  assert_string_equal(pages.text, "sg-1,");
  assert_int_equal(fake.requests, 1);
}

static void test_the_caller_stops(void **state) {
  (void)state;
  static const struct fake_answer answers[] = {IAM_PAGE("a", "<IsTruncated>true</IsTruncated><Marker>m1</Marker>"),
                                               IAM_PAGE("b", "")};
  struct fake fake;
  struct error error;
  struct pages pages = {.list = "Users", .key = "UserName", .stop_after = 1};
  assert_int_equal(run(&fake, answers, 2, "iam.ListUsers", NULL, &pages, &error), 0);
  assert_int_equal(fake.requests, 1);
}

static void test_without_a_paginator_there_is_one_page(void **state) {
  (void)state;
  static const struct fake_answer answers[] = {
      {.status = 200, .body = "<DescribeRegionsResponse><regionInfo/></DescribeRegionsResponse>"}};
  struct fake fake;
  struct error error;
  struct pages pages = {.list = "Regions", .key = "RegionName"};
  assert_int_equal(run(&fake, answers, 1, "ec2.DescribeRegions", NULL, &pages, &error), 0);
  assert_int_equal(pages.count, 1);
}

/* "NextMarker || Contents[-1].Key": without a delimiter S3 gives no marker, the last key is the next one. */
static void test_an_expression_as_token(void **state) {
  (void)state;
  static const struct fake_answer answers[] = {
      {.status = 200,
       .body = "<ListBucketResult><IsTruncated>true</IsTruncated><Contents><Key>a</Key></Contents>"
               "<Contents><Key>b c</Key></Contents></ListBucketResult>"},
      {.status = 200,
       .body = "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>d</Key></Contents>"
               "</ListBucketResult>"}};
  struct fake fake;
  struct error error;
  struct pages pages = {.list = "Contents", .key = "Key"};
  json_t *params = json_pack("{s:s}", "Bucket", "my-bucket");
  assert_int_equal(run(&fake, answers, 2, "s3.ListObjects", params, &pages, &error), 0);
  assert_string_equal(pages.text, "a,b c,d,");
  assert_non_null(strstr(fake.url, "marker=b%20c"));
  json_decref(params);
}

/* Route 53's three tokens; the one that the page leaves out is left out of the request. */
static void test_several_tokens(void **state) {
  (void)state;
  static const struct fake_answer answers[] = {
      {.status = 200,
       .body = "<ListResourceRecordSetsResponse><ResourceRecordSets><ResourceRecordSet><Name>a.</Name>"
               "</ResourceRecordSet></ResourceRecordSets><IsTruncated>true</IsTruncated>"
               "<NextRecordName>b.</NextRecordName><NextRecordType>A</NextRecordType>"
               "<NextRecordIdentifier>one</NextRecordIdentifier></ListResourceRecordSetsResponse>"},
      {.status = 200,
       .body = "<ListResourceRecordSetsResponse><ResourceRecordSets/><IsTruncated>true</IsTruncated>"
               "<NextRecordName>c.</NextRecordName><NextRecordType>AAAA</NextRecordType>"
               "</ListResourceRecordSetsResponse>"},
      {.status = 200,
       .body = "<ListResourceRecordSetsResponse><ResourceRecordSets/><IsTruncated>false</IsTruncated>"
               "</ListResourceRecordSetsResponse>"}};
  struct fake fake;
  struct error error;
  struct pages pages = {.list = "ResourceRecordSets", .key = "Name"};
  json_t *params = json_pack("{s:s}", "HostedZoneId", "Z1");
  assert_int_equal(run(&fake, answers, 3, "route53.ListResourceRecordSets", params, &pages, &error), 0);
  assert_int_equal(pages.count, 3);
  assert_non_null(strstr(fake.url, "name=c."));
  assert_non_null(strstr(fake.url, "type=AAAA"));
  assert_null(strstr(fake.url, "identifier"));
  json_decref(params);
}
