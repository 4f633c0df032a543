/* IAM policies: who is everybody, what pins, what is allowed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/playbook.h"
#include "functions/functions.h"

#include <cmocka.h>

static json_t *evaluate(const char *expression, json_t *document) {
  struct error error = {0};
  struct jmes *compiled = jmes_compile(expression, engine_functions, &error);
  if (!compiled) fail_msg("%s: %s", expression, error.message);
  json_t *result = jmes_search(compiled, document, NULL, &error);
  if (!result) fail_msg("%s: %s", expression, error.message);
  jmes_free(compiled);
  return result;
}

static json_t *parsed(const char *text) {
  json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
  if (!value) fail_msg("no JSON: %s", text);
  return value;
}

/* A policy of one statement that allows s3:GetObject, with the rest as given. */
static void check_public(const char *rest, int expected) {
  char text[1024];
  snprintf(text, sizeof text,
           "{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"s3:GetObject\",\"Resource\":\"*\",%s}]}", rest);
  json_t *policy = parsed(text), *answer = evaluate("policy_is_public(@)", policy);
  if (json_is_true(answer) != expected) fail_msg("%s: expected %s", rest, expected ? "public" : "not public");
  json_decref(answer);
  json_decref(policy);
}

static void test_who_is_everybody(void **state) {
  (void)state;
  static const struct {
    const char *rest;
    int expected;
  } rows[] = {
      {"\"Principal\":\"*\"", 1},
      {"\"Principal\":{\"AWS\":\"*\"}", 1},
      {"\"Principal\":{\"AWS\":[\"arn:aws:iam::111122223333:root\",\"*\"]}", 1},
      {"\"NotPrincipal\":{\"AWS\":\"arn:aws:iam::111122223333:root\"}", 1}, /* everybody but one */
      {"\"Principal\":{\"AWS\":\"arn:aws:iam::111122223333:root\"}", 0},
      {"\"Principal\":{\"AWS\":\"111122223333\"}", 0},
      {"\"Principal\":{\"Service\":\"cloudtrail.amazonaws.com\"}", 0},
      {"\"Principal\":{\"Federated\":\"arn:aws:iam::111122223333:saml-provider/x\"}", 0},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) check_public(rows[i].rest, rows[i].expected);
}

static void test_conditions_that_pin(void **state) {
  (void)state;
  static const struct {
    const char *condition;
    int expected; /* public */
  } rows[] = {
      {"{}", 1},
      {"{\"IpAddress\":{\"aws:SourceIp\":\"203.0.113.0/24\"}}", 0},
      {"{\"IpAddress\":{\"AWS:sourceip\":[\"203.0.113.0/24\",\"2001:db8::/32\"]}}", 0}, /* keys have no case */
      {"{\"IpAddress\":{\"aws:SourceIp\":\"0.0.0.0/0\"}}", 1},
      {"{\"IpAddress\":{\"aws:SourceIp\":[\"203.0.113.0/24\",\"0.0.0.0/1\"]}}", 1}, /* one hole is enough */
      {"{\"IpAddress\":{\"aws:SourceIp\":\"::/0\"}}", 1},
      {"{\"IpAddress\":{\"aws:SourceIp\":\"2600::/12\"}}", 1}, /* broader than /32 of public addresses */
      {"{\"IpAddress\":{\"aws:SourceIp\":\"2001:db8::/32\"}}", 0},
      {"{\"IpAddress\":{\"aws:SourceIp\":\"fd00::/8\"}}", 0}, /* private */
      {"{\"IpAddress\":{\"aws:SourceIp\":\"10.0.0.0/8\"}}", 0},
      {"{\"IpAddress\":{\"aws:SourceIp\":\"8.0.0.0/7\"}}", 1},
      {"{\"Null\":{\"aws:SourceVpce\":\"false\"}}", 1}, /* some endpoint, anybody's */
      {"{\"ArnLike\":{\"aws:PrincipalArn\":\"arn:aws:iam::*:role/x\"}}", 1},
      {"{\"ArnLike\":{\"aws:PrincipalArn\":\"arn:aws:iam::111122223333:role/*\"}}", 0},
      {"{\"StringEquals\":{\"aws:SourceVpc\":[\"vpc-1\",\"*\"]}}", 1},
      {"{\"IpAddress\":{\"aws:SourceIp\":\"nonsense\"}}", 1},
      {"{\"IpAddress\":{\"aws:SourceIp\":[]}}", 1},
      {"{\"NotIpAddress\":{\"aws:SourceIp\":\"203.0.113.0/24\"}}", 1}, /* everywhere but there */
      {"{\"IpAddressIfExists\":{\"aws:SourceIp\":\"203.0.113.0/24\"}}", 1},
      {"{\"StringEquals\":{\"aws:SourceVpce\":\"vpce-1\"}}", 0},
      {"{\"StringEqualsIfExists\":{\"aws:SourceVpce\":\"vpce-1\"}}", 1}, /* no endpoint, no check */
      {"{\"StringLike\":{\"aws:SourceVpce\":\"vpce-*\"}}", 1},
      {"{\"StringNotEquals\":{\"aws:SourceVpc\":\"vpc-1\"}}", 1},
      {"{\"StringEquals\":{\"aws:SourceAccount\":\"111122223333\"}}", 0},
      {"{\"StringEquals\":{\"aws:PrincipalOrgID\":\"o-abc\"}}", 0},
      {"{\"StringLike\":{\"aws:PrincipalOrgID\":\"*\"}}", 1},
      {"{\"ForAnyValue:StringLike\":{\"aws:PrincipalOrgPaths\":[\"o-abc/r-1/ou-1/\"]}}", 0},
      {"{\"ForAllValues:StringEquals\":{\"aws:PrincipalOrgID\":\"o-abc\"}}", 1}, /* true of nobody's org as well */
      {"{\"ArnEquals\":{\"aws:SourceArn\":\"arn:aws:sns:eu-west-1:111122223333:topic\"}}", 0},
      {"{\"ArnLike\":{\"aws:SourceArn\":\"arn:aws:sns:*:111122223333:*\"}}", 0}, /* the account is fixed */
      {"{\"ArnLike\":{\"aws:SourceArn\":\"arn:aws:s3:*:*:bucket\"}}", 1},
      {"{\"ArnLike\":{\"aws:SourceArn\":\"arn:aws:s3:::bucket\"}}", 0},
      {"{\"StringLike\":{\"aws:userid\":\"AROAEXAMPLE:*\"}}", 0},
      {"{\"StringLike\":{\"aws:userid\":\"*:*\"}}", 1},
      {"{\"StringEquals\":{\"aws:PrincipalAccount\":\"${aws:ResourceAccount}\"}}", 1}, /* not fixed: not known here */
      {"{\"StringEquals\":{\"s3:prefix\":\"public/\"}}", 1},                           /* says what, not who */
      {"{\"Bool\":{\"aws:SecureTransport\":\"true\"}}", 1},
      {"{\"Bool\":{\"aws:SecureTransport\":\"true\"},\"StringEquals\":{\"aws:SourceVpc\":\"vpc-1\"}}", 0}, /* and-ed */
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char rest[600];
    snprintf(rest, sizeof rest, "\"Principal\":\"*\",\"Condition\":%s", rows[i].condition);
    check_public(rest, rows[i].expected);
  }
}

static void check(const char *expression, const char *document, const char *expected) {
  json_t *value = parsed(document), *result = evaluate(expression, value), *wanted = parsed(expected);
  if (!json_equal(result, wanted)) {
    char *text = json_dumps(result, JSON_ENCODE_ANY | JSON_COMPACT);
    fail_msg("%s over %s: %s, expected %s", expression, document, text, expected);
  }
  json_decref(value);
  json_decref(result);
  json_decref(wanted);
}

static void test_documents_in_all_their_shapes(void **state) {
  (void)state;
  static const struct {
    const char *document, *expected;
  } rows[] = {
      {"null", "false"},
      {"\"\"", "false"},
      {"\"no JSON\"", "false"},
      {"[]", "false"},
      {"{}", "false"},
      {"{\"Statement\":{\"Effect\":\"Allow\",\"Principal\":\"*\"}}", "true"}, /* one statement without brackets */
      {"{\"Statement\":[{\"Effect\":\"Deny\",\"Principal\":\"*\"}]}", "false"},
      {"\"{\\\"Statement\\\":{\\\"Effect\\\":\\\"Allow\\\",\\\"Principal\\\":\\\"*\\\"}}\"", "true"},
      {"\"%7B%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%22%2A%22%7D%7D\"", "true"},
      {"\"%7\"", "false"},
      {"{\"Statement\":[1,\"x\",null,{\"Effect\":1}]}", "false"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    check("policy_is_public(@)", rows[i].document, rows[i].expected);
}

static void test_pin_touches_public_statements_only(void **state) {
  (void)state;
  const char *pin = "policy_pin(@, {IpAddress: {\"aws:SourceIp\": ['203.0.113.0/24']}})";
  check(pin,
        "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Sid\":\"a\",\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":"
        "\"s3:"
        "GetObject\"},{\"Sid\":\"b\",\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"111122223333\"}}]}",
        "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Sid\":\"a\",\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":"
        "\"s3:"
        "GetObject\",\"Condition\":{\"IpAddress\":{\"aws:SourceIp\":[\"203.0.113.0/24\"]}}},{\"Sid\":\"b\",\"Effect\":"
        "\"Allow\",\"Principal\":{\"AWS\":\"111122223333\"}}]}");
  /* conditions that it had stay; the hole in the same key is closed */
  check(pin,
        "{\"Statement\":{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Condition\":{\"IpAddress\":{\"aws:SourceIp\":\"0.0."
        "0.0/"
        "0\"},\"Bool\":{\"aws:SecureTransport\":\"true\"}}}}",
        "{\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Condition\":{\"IpAddress\":{\"aws:SourceIp\":["
        "\"203.0."
        "113.0/24\"]},\"Bool\":{\"aws:SecureTransport\":\"true\"}}}]}");
  check(pin, "null", "null");
  check("policy_is_public(policy_pin(@, {StringEquals: {\"aws:PrincipalAccount\": '111122223333'}}))",
        "{\"Statement\":{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"*\"}}}", "false");
}

static void test_what_is_allowed(void **state) {
  (void)state;
  static const char power[] =
      "{\"Statement\":[{\"Effect\":\"Allow\",\"NotAction\":[\"iam:*\",\"organizations:*\"],\"Resource\":\"*\"},{"
      "\"Effect\":"
      "\"Allow\",\"Action\":\"iam:ListRoles\",\"Resource\":\"*\"}]}";
  static const char reader[] =
      "{\"Statement\":{\"Effect\":\"Allow\",\"Action\":[\"S3:Get*\",\"s3:List?uckets\"],\"Resource\":\"arn:aws:s3:::a*"
      "\"}}";
  static const char denied[] =
      "[{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"}},{\"Statement\":{\"Effect\":\"Deny\","
      "\"Action\":\"ec2:*\",\"Resource\":\"*\"}}]";
  static const char denied_sometimes[] =
      "[{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"},{\"Effect\":\"Deny\",\"Action\":\"*"
      "\","
      "\"Resource\":\"*\",\"Condition\":{\"Bool\":{\"aws:MultiFactorAuthPresent\":\"false\"}}}]}]";
  static const char all_but[] =
      "{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"s3:*\",\"NotResource\":\"arn:aws:s3:::log\"}}";
  static const char denied_but[] =
      "[{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"},{\"Effect\":\"Deny\",\"NotAction\":"
      "\"s3:*\","
      "\"Resource\":\"*\"}]}]";
  static const char denied_there[] =
      "[{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"},{\"Effect\":\"Deny\",\"Action\":"
      "\"ec2:*\","
      "\"Resource\":\"arn:aws:ec2:*:*:instance/i-1\"}]}]";
  static const char allowed_sometimes[] =
      "{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"ec2:*\",\"Resource\":\"*\",\"Condition\":{\"Bool\":{"
      "\"aws:MultiFactorAuthPresent\":\"true\"}}}}";
  static const char own_home[] =
      "{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"s3:*\",\"Resource\":\"arn:aws:s3:::home/${aws:username}/"
      "*\"},{"
      "\"Effect\":\"Deny\",\"Action\":\"s3:*\",\"Resource\":\"arn:aws:s3:::home/${aws:username}/secret\"}]}";
  static const struct {
    const char *policies, *call, *expected;
  } rows[] = {
      {"null", "'s3:GetObject', '*'", "false"},
      {"[]", "'s3:GetObject', '*'", "false"},
      {power, "'ec2:RunInstances', '*'", "true"},
      {power, "'iam:CreateUser', '*'", "false"}, /* NotAction leaves it out */
      {power, "'IAM:listroles', '*'", "true"},   /* actions have no case */
      {reader, "'s3:GetObject', 'arn:aws:s3:::abc'", "true"},
      {reader, "'s3:ListBuckets', 'arn:aws:s3:::abc'", "true"},
      {reader, "'s3:GetObject', 'arn:aws:s3:::Abc'", "false"}, /* resources have case */
      {reader, "'s3:GetObject', '*'", "false"},                /* on some is not on all */
      {reader, "'s3:PutObject', 'arn:aws:s3:::abc'", "false"},
      {denied, "'s3:GetObject', '*'", "true"},
      {denied, "'ec2:RunInstances', '*'", "false"},
      {denied_sometimes, "'ec2:RunInstances', '*'", "true"},
      {all_but, "'s3:PutObject', 'arn:aws:s3:::x'", "true"},
      {all_but, "'s3:PutObject', 'arn:aws:s3:::log'", "false"},
      {power, "'ec2:RunInstances', '*', `null`", "true"}, /* no boundary */
      {power,
       "'ec2:RunInstances', '*', `{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"s3:*\",\"Resource\":\"*\"}}`",
       "false"},
      {power, "'s3:PutObject', '*', `{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"s3:*\",\"Resource\":\"*\"}}`",
       "true"},
      {power,
       "'s3:PutObject', '*', `{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"},{\"Effect\":"
       "\"Deny\",\"Action\":\"s3:Put*\",\"Resource\":\"*\"}]}`",
       "false"},
      {power, "`null`, '*'", "false"},
      /* what is asked for may be a glob: then all of it must be allowed */
      {power, "'ec2:*', '*'", "true"},
      {power, "'iam:*', '*'", "false"},
      {power, "'i*', '*'", "false"}, /* iam:… is left out */
      {power, "'*', '*'", "false"},
      {denied, "'*', '*'", "true"},      /* a Deny of some does not make it harmless */
      {denied, "'ec2:*', '*'", "false"}, /* of all it does */
      {denied, "'ec2:Describe*', '*'", "false"},
      {all_but, "'s3:PutObject', '*'", "false"}, /* on all but one is not on all */
      {all_but, "'s3:PutObject', 'arn:aws:s3:::lo*'", "false"},
      {all_but, "'s3:PutObject', 'arn:aws:s3:::x*'", "true"},
      {denied_but, "'s3:GetObject', '*'", "true"}, /* NotAction of a Deny leaves it alone */
      {denied_but, "'ec2:RunInstances', '*'", "false"},
      {denied_but, "'*', '*'", "true"},                  /* some of all is left */
      {denied_there, "'ec2:RunInstances', '*'", "true"}, /* denied on one instance is allowed on the others */
      {denied_there, "'ec2:RunInstances', 'arn:aws:ec2:eu-west-1:1:instance/i-1'", "false"},
      {allowed_sometimes, "'ec2:RunInstances', '*'", "true"}, /* it may hold */
      /* a variable may be anything in an Allow, and nothing in a Deny */
      {own_home, "'s3:GetObject', 'arn:aws:s3:::home/ann/x'", "true"},
      {own_home, "'s3:GetObject', 'arn:aws:s3:::home/ann/secret'", "true"},
      {own_home, "'s3:GetObject', 'arn:aws:s3:::else'", "false"},
      {own_home, "'s3:GetObject', 'arn:aws:s3:::home/*/x'", "true"},
      {"{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"a:*\",\"Resource\":\"x${$}y\"}}", "'a:B', 'x$y'", "true"},
      /* neither Action nor Resource, or no effect that there is: nothing */
      {"{\"Statement\":{\"Effect\":\"Allow\",\"Resource\":\"*\"}}", "'a:B', '*'", "false"},
      {"{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"*\"}}", "'a:B', '*'", "false"},
      {"{\"Statement\":{\"Effect\":\"allow\",\"Action\":\"*\",\"Resource\":\"*\"}}", "'a:B', '*'", "false"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char expression[512];
    snprintf(expression, sizeof expression, "policy_allows(@, %s)", rows[i].call);
    check(expression, rows[i].policies, rows[i].expected);
  }
}

static void test_arn_name(void **state) {
  (void)state;
  check("arn_name(@)", "\"arn:aws:iam::111122223333:instance-profile/path/web\"", "\"web\"");
  check("arn_name(@)", "\"arn:aws:sns:eu-west-1:111122223333:topic\"", "\"topic\"");
  check("arn_name(@)", "\"plain\"", "\"plain\"");
  check("arn_name(@)", "null", "null");
}

static void test_diff(void **state) {
  (void)state;
  check("diff(a, b)", "{\"a\":{\"x\":1,\"y\":2,\"z\":3},\"b\":{\"x\":1.0,\"y\":3,\"n\":4}}",
        "{\"added\":{\"n\":4},\"removed\":{\"z\":3},\"changed\":{\"y\":{\"from\":2,\"to\":3}}}");
  check("diff(a, b)", "{\"a\":[1,{\"k\":1}],\"b\":[{\"k\":1},2]}", "{\"added\":[2],\"removed\":[1]}");
  check("diff(a, b)", "{\"a\":null,\"b\":[1]}", "{\"added\":[1]}");
  check("diff(a, b)", "{\"a\":{\"x\":1},\"b\":null}", "{\"removed\":{\"x\":1}}");
  check("diff(a, b)", "{\"a\":[1,2],\"b\":[2,1]}", "{}"); /* order is none of AWS's lists' business */
  check("diff(a, b)", "{\"a\":1,\"b\":\"1\"}", "{\"from\":1,\"to\":\"1\"}");
  check("diff(a, b)", "{}", "{}");
}
