/* Requests: botocore's own input cases for every protocol, and what they leave out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/checks.h"
#include "aws/models.h"
#include "aws/protocol_internal.h"
#include "aws/reference.h"

static const char token[] = "00000000-0000-4000-8000-000000000000";

/* ---- comparing ---- */

static int same_node(const struct aws_xml_node *left, const struct aws_xml_node *right) {
  if (!left || !right) return left == right;
  if (strcmp(left->name, right->name) != 0 || strcmp(left->text, right->text) != 0) return 0;
  for (const struct aws_xml_attribute *one = left->attributes; one; one = one->next) {
    const struct aws_xml_attribute *other = right->attributes;
    while (other && (strcmp(one->name, other->name) != 0 || strcmp(one->value, other->value) != 0)) other = other->next;
    if (!other) return 0;
  }
  return same_node(left->first, right->first) && same_node(left->next, right->next);
}

static int same_xml(const char *left, const char *right) {
  struct aws_xml *one = aws_xml_parse(left, strlen(left), NULL), *other = aws_xml_parse(right, strlen(right), NULL);
  int same = one && other && same_node(aws_xml_root(one), aws_xml_root(other));
  aws_xml_free(one);
  aws_xml_free(other);
  return same;
}

static int same_json(const char *left, const char *right) {
  json_t *one = json_loads(left, JSON_DECODE_ANY, NULL), *other = json_loads(right, JSON_DECODE_ANY, NULL);
  int same = one && other && json_equal(one, other);
  json_decref(one);
  json_decref(other);
  return same;
}

/* Forms are the same when they have the same pairs. */
static int same_form(const char *left, const char *right) {
  if (strlen(left) != strlen(right)) return 0;
  char *copy = strdup(left), *rest = copy;
  int same = 1;
  for (char *pair; same && (pair = strsep(&rest, "&")) != NULL;) {
    const char *there = right;
    size_t length = strlen(pair);
    while ((there = strstr(there, pair)) != NULL) {
      if ((there == right || there[-1] == '&') && (there[length] == '&' || there[length] == '\0')) break;
      there++;
    }
    same = there != NULL;
  }
  free(copy);
  return same;
}

static int same_body(const char *protocol, const char *is, const char *due) {
  if (strcmp(is, due) == 0) return 1;
  if (strcmp(protocol, "query") == 0 || strcmp(protocol, "ec2") == 0) return same_form(is, due);
  if (strstr(protocol, "json")) return same_json(is, due);
  return same_xml(is, due);
}

static const char *header_of(const struct aws_request *request, const char *name) {
  for (size_t i = 0; i < request->header_count; i++)
    if (strcasecmp(request->headers[i].name, name) == 0) return request->headers[i].value;
  return NULL;
}

/* Prints and counts what differs from a case's "serialized". */
static int differences(const struct aws_request *request, const json_t *due, const char *protocol, const char *title,
                       const char *endpoint) {
  int wrong = 0;
  const char *uri = json_string_value(json_object_get(due, "uri")), *name;
  const char *method = json_string_value(json_object_get(due, "method"));
  const char *body = json_string_value(json_object_get(due, "body"));
  const char *host = json_string_value(json_object_get(due, "host"));
  json_t *value;
  size_t i;
  if (uri && strcmp(uri, request->uri) != 0) wrong += printf("%s: uri %s, due %s\n", title, request->uri, uri) > 0;
  if (method && strcmp(method, request->method) != 0) wrong += printf("%s: method %s\n", title, request->method) > 0;
  if (body && !same_body(protocol, request->body ? request->body : "", body))
    wrong += printf("%s: body %s, due %s\n", title, request->body, body) > 0;
  const char *prefix = request->host_prefix ? request->host_prefix : "";
  if (host && endpoint && (strncmp(host, prefix, strlen(prefix)) != 0 || !strstr(endpoint, host + strlen(prefix))))
    wrong += printf("%s: host prefix %s, due %s\n", title, prefix, host) > 0;
  json_object_foreach(json_object_get(due, "headers"), name, value) {
    const char *text = header_of(request, name);
    if (!text || strcmp(text, json_string_value(value)) != 0)
      wrong += printf("%s: header %s is %s, due %s\n", title, name, text, json_string_value(value)) > 0;
  }
  json_array_foreach(json_object_get(due, "forbidHeaders"), i, value) {
    if (header_of(request, json_string_value(value)))
      wrong += printf("%s: header %s must not be there\n", title, json_string_value(value)) > 0;
  }
  return wrong;
}

static int run_case(json_t *suite, json_t *one) {
  struct error error;
  struct aws_request request;
  json_t *given = json_object_get(one, "given"), *metadata = json_object_get(suite, "metadata");
  const char *name = json_string_value(json_object_get(given, "name"));
  const char *title = json_string_value(json_object_get(suite, "description"));
  json_t *operations = json_pack("{s:O}", name, given);
  struct aws_service *service = aws_service_make(metadata, json_object_get(suite, "shapes"), operations, &error);
  assert_non_null(service);
  const struct aws_operation *operation = aws_service_operation(service, name, &error);
  assert_non_null(operation);
  struct aws_serialize_options options = {.blobs_as_text = 1, .idempotency_token = token};
  int wrong;
  if (aws_serialize_as(service, operation, json_object_get(one, "params"), &options, &request, &error) == 0)
    wrong = differences(&request, json_object_get(one, "serialized"),
                        json_string_value(json_object_get(metadata, "protocol")), title,
                        json_string_value(json_object_get(suite, "clientEndpoint")));
  else
    wrong = printf("%s: %s: %s (%s)\n", title, error.code, error.message, error.where) > 0;
  aws_request_free(&request);
  aws_service_free(service);
  json_decref(operations);
  return wrong > 0;
}

static void run_protocol(const char *protocol) {
  char name[64];
  snprintf(name, sizeof name, "aws-protocols/input/%s.json", protocol);
  json_t *suites = reference_json(name), *suite, *one;
  size_t i, j;
  int failed = 0, count = 0;
  if (!suites) skip();
  json_array_foreach(suites, i, suite) {
    json_array_foreach(json_object_get(suite, "cases"), j, one) {
      failed += run_case(suite, one);
      count++;
    }
  }
  printf("%s: %d of %d input cases\n", protocol, count - failed, count);
  json_decref(suites);
  assert_int_equal(failed, 0);
}

static void test_query_cases(void **state) {
  (void)state;
  run_protocol("query");
}
static void test_ec2_cases(void **state) {
  (void)state;
  run_protocol("ec2");
}
static void test_json_cases(void **state) {
  (void)state;
  run_protocol("json");
}
static void test_rest_json_cases(void **state) {
  (void)state;
  run_protocol("rest-json");
}
static void test_rest_xml_cases(void **state) {
  (void)state;
  run_protocol("rest-xml");
}

/* ---- what the cases leave out, on the real models ---- */

static int serialize_named(struct aws_models *models, const char *operation, const char *params,
                           struct aws_request *request, struct error *error) {
  const struct aws_service *service;
  const struct aws_operation *found;
  json_t *value = params ? json_loads(params, JSON_ALLOW_NUL, NULL) : NULL;
  assert_int_equal(aws_models_operation(models, operation, &service, &found, error), 0);
  int result = aws_serialize(service, found, value, request, error);
  json_decref(value);
  return result;
}

static void test_wrong_parameters_are_refused(void **state) {
  (void)state;
  struct aws_models *models = test_models();
  static const struct {
    const char *operation, *params, *code, *where;
  } cases[] = {
      {"ec2.DescribeInstances", "{\"Instances\":[]}", "UnknownParameter", "/Instances"},
      {"ec2.DescribeInstances", "{\"InstanceIds\":[\"a\",{}]}", "WrongType", "/InstanceIds/1"},
      {"ec2.DescribeInstances", "{\"InstanceIds\":\"${$ids}\"}", "WrongType", "/InstanceIds"}, /* no templates here */
      {"iam.GetRole", "{}", "MissingParameter", ""},
      {"sts.GetCallerIdentity", "{\"a\":1}", "UnknownParameter", "/a"},
      {"rolesanywhere.CreateTrustAnchor",
       "{\"name\":\"n\",\"source\":{\"sourceType\":\"AWS_ACM_PCA\",\"sourceData\":{\"acmPcaArn\":\"a\","
       "\"x509CertificateData\":\"c\"}}}",
       "InvalidUnion", "/source/sourceData"},
      {"lambda.Invoke", "{\"FunctionName\":\"f\",\"Payload\":\"no base64!\"}", "WrongType", ""},
      {"s3.PutObject", "{\"Bucket\":\"b\",\"Key\":\"\"}", "BelowMinimum", "/Key"},
      {"route53.GetHostedZone", "{\"Id\":\"\"}", "EmptyLabel", "/Id"}, /* would list the zones */
      {"s3.PutObject", "{\"Bucket\":\"b\",\"Key\":\"k\",\"ContentType\":\"a\\r\\nX-Evil: 1\"}", "InvalidHeader", ""},
      {"s3.PutObject", "{\"Bucket\":\"b\",\"Key\":\"k\",\"Metadata\":{\"a: b\\n\":\"v\"}}", "InvalidHeader", ""},
      {"s3.PutObject", "{\"Bucket\":\"b\",\"Key\":\"k\",\"ChecksumAlgorithm\":\"ROT13\"}", "Checksum", ""},
      {"bedrock-agentcore.GetWorkloadAccessToken", "{\"workloadName\":null}", "MissingParameter", ""},
  };
  for (size_t i = 0; i < TIMES(cases); i++) {
    struct aws_request request;
    struct error error = {0};
    int result = serialize_named(models, cases[i].operation, cases[i].params, &request, &error);
    if ((result != 0) != (cases[i].code != NULL)) fail_msg("%s %s", cases[i].operation, cases[i].params);
    if (result == 0) aws_request_free(&request);
    if (!cases[i].code) continue;
    assert_int_equal(error.class, ERROR_INVALID);
    assert_string_equal(error.code, cases[i].code);
    assert_string_equal(error.where, cases[i].where);
    assert_null(request.uri);
  }
  aws_models_close(models);
}

/* Requests of the real models, quirks included. */
static void test_requests(void **state) {
  (void)state;
  struct aws_models *models = test_models();
  static const struct {
    const char *operation, *params, *method, *uri, *body; /* body NULL: none */
  } cases[] = {
      {"ec2.RunInstances", "{\"MinCount\":1,\"MaxCount\":1,\"UserData\":\"#!/bin/sh\",\"ClientToken\":\"t\"}", "POST",
       "/", "Action=RunInstances&Version=2016-11-15&MinCount=1&MaxCount=1&UserData=IyEvYmluL3No&ClientToken=t"},
      {"ec2.DescribeNatGateways", "{\"Filters\":[{\"Name\":\"vpc-id\",\"Values\":[\"v\"]}]}", "POST", "/",
       "Action=DescribeNatGateways&Version=2016-11-15&Filter.1.Name=vpc-id&Filter.1.Value.1=v"},
      {"sts.GetCallerIdentity", NULL, "POST", "/", "Action=GetCallerIdentity&Version=2011-06-15"},
      {"iam.TagRole", "{\"RoleName\":\"r\",\"Tags\":[{\"Key\":\"a b\",\"Value\":\"\xC3\xA9&\"}]}", "POST", "/",
       "Action=TagRole&Version=2010-05-08&RoleName=r&Tags.member.1.Key=a+b&Tags.member.1.Value=%C3%A9%26"},
      {"route53.ListResourceRecordSets", "{\"HostedZoneId\":\"/hostedzone/Z1\",\"MaxItems\":\"5\"}", "GET",
       "/2013-04-01/hostedzone/Z1/rrset?maxitems=5", NULL},
      {"s3.ListObjectsV2", "{\"Bucket\":\"b\",\"Prefix\":\"a/b c\"}", "GET",
       "/b?list-type=2&prefix=a%2Fb%20c&encoding-type=url", NULL},
      {"s3.GetObject", "{\"Bucket\":\"b\",\"Key\":\"a/\xC3\xA9 +?\"}", "GET", "/b/a/%C3%A9%20%2B%3F", NULL},
      {"s3.PutObject", "{\"Bucket\":\"b\",\"Key\":\"k\",\"Body\":\"aGVsbG8=\"}", "PUT", "/b/k", "hello"},
      {"s3.GetBucketPolicy", "{\"Bucket\":\"b\"}", "GET", "/b?policy", NULL},
      {"kms.Encrypt", "{\"KeyId\":\"k\",\"Plaintext\":\"aGVs bG8=\"}", "POST", "/",
       "{\"KeyId\":\"k\",\"Plaintext\":\"aGVsbG8=\"}"},
      {"logs.PutRetentionPolicy", "{\"logGroupName\":\"g\",\"retentionInDays\":7.0}", "POST", "/",
       "{\"logGroupName\":\"g\",\"retentionInDays\":7}"},
      {"cloudtrail.LookupEvents", "{\"StartTime\":\"2026-01-01T00:00:00.5+01:00\"}", "POST", "/",
       "{\"StartTime\":1767222000}"},
      {"glacier.ListVaults", "{}", "GET", "/-/vaults", NULL},
      /* names that botocore's documentation has */
      {"logs.CreateExportTask", "{\"logGroupName\":\"g\",\"fromTime\":1,\"to\":2,\"destination\":\"b\"}", "POST", "/",
       "{\"logGroupName\":\"g\",\"to\":2,\"destination\":\"b\",\"from\":1}"},
      /* a query that is sent as a form */
      {"cloudsearchdomain.Search", "{\"query\":\"a b\",\"returnFields\":\"t\"}", "POST", "/2013-01-01/search",
       "format=sdk&pretty=true&q=a%20b&return=t"},
      /* the one service that takes fractions of seconds */
      {"bedrock-agentcore.CreateEvent",
       "{\"memoryId\":\"mmmmmmmmmmmmmmmm\",\"actorId\":\"a\",\"eventTimestamp\":1.2505,\"payload\":[],\"clientToken\":"
       "\"t\"}",
       "POST", "/memories/mmmmmmmmmmmmmmmm/events",
       "{\"actorId\":\"a\",\"eventTimestamp\":1.250,\"payload\":[],\"clientToken\":\"t\"}"},
  };
  for (size_t i = 0; i < TIMES(cases); i++) {
    struct aws_request request;
    struct error error = {0};
    if (serialize_named(models, cases[i].operation, cases[i].params, &request, &error) != 0)
      fail_msg("%s: %s", cases[i].operation, error.message);
    assert_string_equal(request.method, cases[i].method);
    assert_string_equal(request.uri, cases[i].uri);
    if (cases[i].body)
      assert_string_equal(request.body, cases[i].body);
    else
      assert_null(request.body);
    aws_request_free(&request);
  }
  aws_models_close(models);
}

/* S3 refuses these without a checksum.  CRC-32, CRC-32C, SHA-1, SHA-256 and SHA-512 of "hello". */
static void test_checksums(void **state) {
  (void)state;
  struct aws_models *models = test_models();
  static const struct {
    const char *algorithm, *header, *value;
  } cases[] = {
      {"", "x-amz-checksum-crc32", "NhCmhg=="},
      {"CRC32", "x-amz-checksum-crc32", "NhCmhg=="},
      {"CRC32C", "x-amz-checksum-crc32c", "mnG7TA=="},
      {"SHA1", "x-amz-checksum-sha1", "qvTGHdzF6KLavt4PO0gs2a6pQ00="},
      {"SHA256", "x-amz-checksum-sha256", "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="},
      {"SHA512", "x-amz-checksum-sha512",
       "m3HSJL1i83hdltRq0+o9czGb+8KJDKra4t/3JRlnPKcjI8PZm6XBHXx6zG4UuMXaDEZjR1wuXDre9G9zvN7AQw=="},
  };
  for (size_t i = 0; i < TIMES(cases); i++) {
    struct aws_request request;
    struct error error = {0};
    char params[256];
    snprintf(params, sizeof params, "{\"Bucket\":\"b\",\"Policy\":\"hello\"%s%s%s}",
             *cases[i].algorithm ? ",\"ChecksumAlgorithm\":\"" : "", cases[i].algorithm,
             *cases[i].algorithm ? "\"" : "");
    assert_int_equal(serialize_named(models, "s3.PutBucketPolicy", params, &request, &error), 0);
    assert_string_equal(header_of(&request, cases[i].header), cases[i].value);
    const char *told = header_of(&request, "x-amz-sdk-checksum-algorithm");
    assert_string_equal(told, *cases[i].algorithm ? cases[i].algorithm : "CRC32");
    aws_request_free(&request);
  }
  aws_models_close(models);
}

static void test_tokens_are_random_and_kept_when_given(void **state) {
  (void)state;
  struct aws_models *models = test_models();
  struct aws_request one, other, given;
  const char *params = "{\"MinCount\":1,\"MaxCount\":1,\"ClientToken\":null}";
  assert_int_equal(serialize_named(models, "ec2.RunInstances", params, &one, NULL), 0);
  assert_int_equal(serialize_named(models, "ec2.RunInstances", params, &other, NULL), 0);
  params = "{\"MinCount\":1,\"MaxCount\":1,\"ClientToken\":\"mine\"}";
  assert_int_equal(serialize_named(models, "ec2.RunInstances", params, &given, NULL), 0);
  const char *token_of_one = strstr(one.body, "&ClientToken=");
  assert_non_null(token_of_one);
  assert_int_equal(strlen(token_of_one), strlen("&ClientToken=") + 36);
  assert_string_not_equal(one.body, other.body);
  assert_non_null(strstr(given.body, "&ClientToken=mine"));
  aws_request_free(&one);
  aws_request_free(&other);
  aws_request_free(&given);
  aws_models_close(models);
}

static void test_host_prefixes(void **state) {
  (void)state;
  struct aws_models *models = test_models();
  struct aws_request request;
  struct error error = {0};
  const char *params = "{\"AccountId\":\"111111111111\"}";
  assert_int_equal(serialize_named(models, "s3control.GetPublicAccessBlock", params, &request, &error), 0);
  assert_string_equal(request.host_prefix, "111111111111."); /* the client leaves it to the endpoint rules */
  aws_request_free(&request);
  assert_int_equal(serialize_named(models, "servicediscovery.DiscoverInstances",
                                   "{\"NamespaceName\":\"n\",\"ServiceName\":\"s\"}", &request, &error),
                   0);
  assert_string_equal(request.host_prefix, "data-");
  aws_request_free(&request);
  aws_models_close(models);
}

static void test_numbers_as_text(void **state) {
  (void)state;
  static const struct {
    double number;
    const char *text;
  } cases[] = {{0, "0.0"},
               {-0.0, "-0.0"},
               {1, "1.0"},
               {100, "100.0"},
               {1.5, "1.5"},
               {0.1, "0.1"},
               {1e-4, "0.0001"},
               {1e-5, "1e-05"},
               {1e15, "1000000000000000.0"},
               {1e16, "1e+16"},
               {1.25e22, "1.25e+22"},
               {-123456789.125, "-123456789.125"},
               {5e-324, "5e-324"},
               {1.7976931348623157e308, "1.7976931348623157e+308"}};
  for (size_t i = 0; i < TIMES(cases); i++) {
    char text[AWS_NUMBER_SIZE];
    aws_number_text(cases[i].number, text);
    assert_string_equal(text, cases[i].text);
  }
}

static void test_times_as_text(void **state) {
  (void)state;
  static const struct {
    const char *from, *iso; /* iso NULL: none */
  } cases[] = {
      {"", NULL},
      {"soon", NULL},
      {"2015-13-01", NULL},
      {"2015-02-29", NULL},
      {"2015-01-25T24:00:00Z", NULL},
      {"2015-01-25T08:00:00Zx", NULL},
      {"1e300", NULL},
      {"99999999999999", NULL},
      {"Sun, 25 Foo 2015 08:00:00 GMT", NULL},
      {"2015-01-25T08:00:00Z", "2015-01-25T08:00:00Z"},
      {"2015-01-25", "2015-01-25T00:00:00Z"},
      {"2015-01-25T08:00:00+05:30", "2015-01-25T02:30:00Z"},
      {"2015-01-25T08:00:00-0100", "2015-01-25T09:00:00Z"},
      {"2015-01-25 08:00:00.123456789", "2015-01-25T08:00:00.123456Z"},
      {"20150125T080000Z", "2015-01-25T08:00:00Z"},
      {"2015-01-25T08:00Z", "2015-01-25T08:00:00Z"},
      {"Sun, 25 Jan 2015 08:00:00 GMT", "2015-01-25T08:00:00Z"},
      {"25 Jan 2015 08:00:00 +0000", "2015-01-25T08:00:00Z"},
      {"Sunday, 25-Jan-15 08:00:00 GMT", "2015-01-25T08:00:00Z"},
      {"1422172800", "2015-01-25T08:00:00Z"},
      {"1422172800.5", "2015-01-25T08:00:00.500000Z"},
      {"-1", "1969-12-31T23:59:59Z"},
      {"2000-02-29T00:00:00Z", "2000-02-29T00:00:00Z"},
      {"0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"},
      {"9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"},
  };
  for (size_t i = 0; i < TIMES(cases); i++) {
    int64_t microseconds;
    char text[AWS_TIME_SIZE];
    int result = aws_time_parse(cases[i].from, &microseconds);
    if ((result == 0) != (cases[i].iso != NULL)) fail_msg("%s", cases[i].from);
    if (result != 0) continue;
    aws_time_text(microseconds, AWS_TIME_ISO8601, text);
    assert_string_equal(text, cases[i].iso);
  }
  char text[AWS_TIME_SIZE];
  aws_time_text(INT64_C(1422172800000000), AWS_TIME_ISO8601_MS, text);
  assert_string_equal(text, "2015-01-25T08:00:00.000Z");
  aws_time_text(INT64_C(-1500), AWS_TIME_ISO8601_MS, text);
  assert_string_equal(text, "1969-12-31T23:59:59.998Z");
  aws_time_text(INT64_C(1422172800500000), AWS_TIME_RFC822, text);
  assert_string_equal(text, "Sun, 25 Jan 2015 08:00:00 GMT");
}

static void test_base64(void **state) {
  (void)state;
  static const struct {
    const char *text, *bytes; /* bytes NULL: none */
  } cases[] = {{"", ""},          {"aGVsbG8=", "hello"}, {"aGVs\nbG8=", "hello"}, {"aA==", "h"},      {"a", NULL},
               {"aGVsbG8", NULL}, {"aA=", NULL},         {"=aaa", NULL},          {"aA==aA==", NULL}, {"a*==", NULL}};
  for (size_t i = 0; i < TIMES(cases); i++) {
    struct buffer bytes = {0};
    int result = aws_base64_decode(&bytes, cases[i].text, strlen(cases[i].text));
    if ((result == 0) != (cases[i].bytes != NULL)) fail_msg("%s", cases[i].text);
    if (result == 0) assert_string_equal(buffer_text(&bytes), cases[i].bytes);
    buffer_free(&bytes);
  }
}
