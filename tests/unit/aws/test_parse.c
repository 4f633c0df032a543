/* Answers: botocore's own output cases for every protocol, and what they leave out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/checks.h"
#include "aws/models.h"
#include "aws/protocol_internal.h"
#include "aws/reference.h"

/* An answer from a case's "response"; strings are borrowed from it. */
static void make_response(json_t *from, struct aws_http_response *response) {
  const char *name;
  json_t *value, *body = json_object_get(from, "body");
  json_t *headers = json_object_get(from, "headers");
  memset(response, 0, sizeof *response);
  response->status = (int)json_integer_value(json_object_get(from, "status_code"));
  response->headers = calloc(json_object_size(headers) + 1, sizeof *response->headers);
  json_object_foreach(headers, name, value) {
    response->headers[response->header_count++] =
        (struct aws_http_header){.name = name, .value = json_string_value(value)};
  }
  response->body = (char *)json_string_value(body);
  response->body_length = json_string_length(body);
}

static int check_fault(const json_t *one, const struct error *error, const char *title) {
  const char *code = json_string_value(json_object_get(one, "errorCode"));
  const char *message = json_string_value(json_object_get(one, "errorMessage"));
  if (code && strcmp(code, error->code) == 0 && (!message || strcmp(message, error->message) == 0)) return 0;
  return printf("%s: error %s: %s, due %s: %s\n", title, error->code, error->message, code, message) > 0;
}

static int check_result(json_t *one, json_t *result, const struct error *error, const char *title) {
  json_t *due = json_object_get(one, "result");
  json_object_del(due, "ResponseMetadata");
  if (result && json_equal(result, due)) return 0;
  char *is = result ? json_dumps(result, 0) : NULL, *text = json_dumps(due, 0);
  printf("%s: %s (%s: %s), due %s\n", title, is, error->code, error->message, text);
  free(is);
  free(text);
  return 1;
}

static int run_case(json_t *suite, json_t *one) {
  struct error error;
  struct aws_http_response response;
  char request_id[96];
  json_t *given = json_object_get(one, "given");
  const char *name = json_string_value(json_object_get(given, "name"));
  const char *title = json_string_value(json_object_get(suite, "description"));
  json_t *operations = json_pack("{s:O}", name, given);
  struct aws_service *service =
      aws_service_make(json_object_get(suite, "metadata"), json_object_get(suite, "shapes"), operations, &error);
  assert_non_null(service);
  const struct aws_operation *operation = aws_service_operation(service, name, &error);
  assert_non_null(operation);
  make_response(json_object_get(one, "response"), &response);
  struct buffer body = {0};
  if (strstr(title, "Event Stream")) /* binary: the case has it as base64 */
    assert_int_equal(aws_base64_decode(&body, response.body, response.body_length), 0);
  else
    assert_int_equal(buffer_add(&body, response.body, response.body_length), 0);
  response.body = body.data;
  response.body_length = body.length;
  json_t *result = aws_parse_as(service, operation, &response, AWS_TIMESTAMPS_EPOCH, 1, request_id, &error);
  int is_fault = json_object_get(one, "errorCode") != NULL;
  int wrong = is_fault ? result != NULL || check_fault(one, &error, title) : check_result(one, result, &error, title);
  json_decref(result);
  buffer_free(&body);
  free(response.headers);
  aws_service_free(service);
  json_decref(operations);
  return wrong;
}

static void run_protocol(const char *protocol) {
  char name[64];
  snprintf(name, sizeof name, "aws-protocols/output/%s.json", protocol);
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
  printf("%s: %d of %d output cases\n", protocol, count - failed, count);
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

static json_t *parse_named(struct aws_models *models, const char *operation, int status, const char *header,
                           const char *body, size_t length, char *request_id, struct error *error) {
  const struct aws_service *service;
  const struct aws_operation *found;
  struct aws_http_header headers[2] = {{"Date", "x"}, {NULL, NULL}};
  char copy[256];
  if (header) {
    snprintf(copy, sizeof copy, "%s", header);
    char *colon = strchr(copy, ':');
    *colon = '\0';
    headers[1] = (struct aws_http_header){copy, colon + 1};
  }
  struct buffer bytes = {0};
  assert_int_equal(buffer_add(&bytes, body, length), 0);
  struct aws_http_response response = {
      .status = status, .headers = headers, .header_count = header ? 2 : 1, .body = bytes.data, .body_length = length};
  assert_int_equal(aws_models_operation(models, operation, &service, &found, error), 0);
  json_t *result = aws_parse(service, found, &response, request_id, error);
  buffer_free(&bytes);
  return result;
}

static void test_faults(void **state) {
  (void)state;
  struct aws_models *models = test_models();
  static const struct {
    const char *operation;
    int status;
    const char *header, *body, *code, *message, *request_id;
    enum error_class class;
  } cases[] = {
      /* what is no answer at all */
      {"ec2.DescribeInstances", 500, NULL, "<html><body>oops</body></html>", "NotAnAnswer", NULL, "", ERROR_FATAL},
      {"route53.GetHostedZone", 404, NULL, "<!DOCTYPE html><html></html>", "NotAnAnswer", NULL, "", ERROR_FATAL},
      {"sqs.ListQueues", 500, NULL, "  <HTML>", "NotAnAnswer", NULL, "", ERROR_FATAL},
      {"iam.ListUsers", 400, NULL, "no XML", "NotAnAnswer", NULL, "", ERROR_FATAL},
      {"iam.ListUsers", 400, NULL, "<Other/>", "NotAnAnswer", NULL, "", ERROR_FATAL},
      {"sqs.ListQueues", 400, NULL, "[1]", "NotAnAnswer", NULL, "", ERROR_FATAL},
      {"lambda.GetFunction", 400, NULL, "no JSON", "NotAnAnswer", NULL, "", ERROR_FATAL},
      /* gateways in between */
      {"ec2.DescribeInstances", 503, NULL, "<html>busy</html>", "503", "Service Unavailable", "", ERROR_RETRYABLE},
      {"sqs.ListQueues", 502, NULL, "upstream", "502", "Bad Gateway", "", ERROR_RETRYABLE},
      {"sqs.ListQueues", 429, NULL, "slow down", "429", "Too Many Requests", "", ERROR_THROTTLED},
      {"sqs.ListQueues", 500, NULL, "", "500", "Internal Server Error", "", ERROR_RETRYABLE},
      {"s3.HeadBucket", 404, "x-amz-request-id:R1", "", "404", "Not Found", "R1", ERROR_MISSING},
      {"s3.HeadBucket", 403, NULL, "", "403", "Forbidden", "", ERROR_DENIED},
      {"s3.HeadBucket", 301, NULL, "", "301", "Moved Permanently", "", ERROR_INVALID},
      /* each protocol's own */
      {"ec2.DescribeInstances", 400, NULL,
       "<Response><Errors><Error><Code>InvalidInstanceID.NotFound</Code><Message>no i-1</Message></Error></Errors>"
       "<RequestID>R2</RequestID></Response>",
       "InvalidInstanceID.NotFound", "no i-1", "R2", ERROR_MISSING},
      {"ec2.DescribeInstances", 503, NULL,
       "<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>m</Message></Error></Errors></Response>",
       "RequestLimitExceeded", "m", "", ERROR_THROTTLED},
      {"ec2.DescribeInstances", 500, NULL,
       "<Response><Errors><Error><Code>InternalError</Code><Message>m</Message></Error></Errors></Response>",
       "InternalError", "m", "", ERROR_RETRYABLE},
      {"iam.GetRole", 404, NULL,
       "<ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><Error><Type>Sender</Type>"
       "<Code>NoSuchEntity</Code><Message>m</Message></Error><RequestId>R3</RequestId></ErrorResponse>",
       "NoSuchEntity", "m", "R3", ERROR_MISSING},
      {"s3.GetBucketPolicy", 404, NULL,
       "<?xml "
       "version=\"1.0\"?><Error><Code>NoSuchBucketPolicy</Code><Message>m</Message><RequestId>R4</RequestId></Error>",
       "NoSuchBucketPolicy", "m", "R4", ERROR_MISSING},
      {"s3.GetBucketPolicy", 503, NULL, "<Error><Code>SlowDown</Code><Message>m</Message></Error>", "SlowDown", "m", "",
       ERROR_THROTTLED},
      {"dynamodb.GetItem", 400, "x-amzn-RequestId:R5",
       "{\"__type\":\"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException\",\"message\":\"m\"}",
       "ResourceNotFoundException", "m", "R5", ERROR_MISSING},
      {"sqs.SendMessage", 400, "x-amzn-query-error:AWS.SimpleQueueService.NonExistentQueue;Sender",
       "{\"__type\":\"com.amazonaws.sqs#QueueDoesNotExist\",\"message\":\"m\"}",
       "AWS.SimpleQueueService.NonExistentQueue", "m", "", ERROR_MISSING},
      {"lambda.GetFunction", 404, "x-amzn-ErrorType:ResourceNotFoundException:http://x", "{\"Message\":\"m\"}",
       "ResourceNotFoundException", "m", "", ERROR_MISSING},
      {"lambda.GetFunction", 429, NULL, "{\"code\":\"ns#TooManyRequestsException\",\"message\":\"m\"}",
       "TooManyRequestsException", "m", "", ERROR_THROTTLED},
      {"lambda.GetFunction", 403, NULL, "{\"message\":\"m\"}", "403", "m", "", ERROR_DENIED},
      /* marked as worth a retry by the model */
      {"kms.Encrypt", 400, NULL, "{\"__type\":\"ValidationException\",\"message\":\"m\"}", "ValidationException", "m",
       "", ERROR_INVALID},
      /* S3 that fails after it said 200 */
      {"s3.CopyObject", 200, NULL, "<Error><Code>InternalError</Code><Message>m</Message></Error>", "InternalError",
       "m", "", ERROR_RETRYABLE},
  };
  for (size_t i = 0; i < TIMES(cases); i++) {
    struct error error = {0};
    char request_id[96] = "stale";
    json_t *result = parse_named(models, cases[i].operation, cases[i].status, cases[i].header, cases[i].body,
                                 strlen(cases[i].body), request_id, &error);
    if (result || strcmp(error.code, cases[i].code) != 0 || error.class != cases[i].class ||
        (cases[i].message && strcmp(error.message, cases[i].message) != 0))
      fail_msg("%s %d %s: %s %s: %s", cases[i].operation, cases[i].status, cases[i].body, error_class_name(error.class),
               error.code, error.message);
    assert_string_equal(request_id, cases[i].request_id);
    assert_string_equal(error.request_id, cases[i].request_id);
    assert_string_equal(error.where, cases[i].operation);
  }
  aws_models_close(models);
}

static void test_classes(void **state) {
  (void)state;
  static const struct {
    const char *code;
    int status;
    enum error_class class;
  } cases[] = {
      {NULL, 400, ERROR_INVALID},
      {"Throttling", 400, ERROR_THROTTLED},
      {"ThrottlingException", 400, ERROR_THROTTLED},
      {"LimitExceededException", 400, ERROR_THROTTLED}, /* botocore's list has it */
      {"Whatever", 429, ERROR_THROTTLED},
      {"RequestTimeout", 400, ERROR_RETRYABLE},
      {"Whatever", 500, ERROR_RETRYABLE},
      {"Whatever", 501, ERROR_INVALID}, /* not implemented: again never helps */
      {"Whatever", 503, ERROR_RETRYABLE},
      {"EndpointNotFound", 503, ERROR_RETRYABLE},
      {"AccessDenied", 403, ERROR_DENIED},
      {"AccessDeniedException", 400, ERROR_DENIED},
      {"UnauthorizedOperation", 403, ERROR_DENIED},
      {"ExpiredToken", 400, ERROR_DENIED},
      {"InvalidClientTokenId", 403, ERROR_DENIED},
      {"InvalidNextToken", 400, ERROR_INVALID}, /* a token of another kind */
      {"Whatever", 401, ERROR_DENIED},
      {"InvalidGroup.NotFound", 400, ERROR_MISSING},
      {"NoSuchBucket", 404, ERROR_MISSING},
      {"QueueDoesNotExist", 400, ERROR_MISSING},
      {"Whatever", 404, ERROR_MISSING},
      {"DryRunOperation", 412, ERROR_INVALID},
      {"ValidationError", 400, ERROR_INVALID},
  };
  for (size_t i = 0; i < TIMES(cases); i++)
    if (aws_error_class(cases[i].code, cases[i].status) != cases[i].class)
      fail_msg("%s %d", cases[i].code, cases[i].status);
}

/* Results that are damaged: an error, never a crash, never a part. */
static void test_damaged_results(void **state) {
  (void)state;
  struct aws_models *models = test_models();
  static const struct {
    const char *operation, *body;
  } cases[] = {
      {"iam.GetRole", ""},
      {"iam.GetRole", "<GetRoleResponse>"},
      {"iam.GetRole", "<GetRoleResponse></GetRoleResponse>"}, /* no GetRoleResult */
      {"iam.GetRole",
       "<!DOCTYPE a [<!ENTITY b \"c\">]><GetRoleResponse><GetRoleResult>&b;</GetRoleResult></GetRoleResponse>"},
      {"iam.ListUsers",
       "<a><ListUsersResult><Users><member><CreateDate>soon</CreateDate></member></Users></ListUsersResult></a>"},
      {"ec2.DescribeVolumes", "<a><volumeSet><item><size>big</size></item></volumeSet></a>"},
      {"sqs.GetQueueUrl", "{"},
      {"sqs.GetQueueUrl", "[]"},
      {"sqs.GetQueueAttributes", "{\"Attributes\":[]}"},
      {"sqs.ListQueues", "{\"QueueUrls\":{}}"},
      {"kms.Encrypt", "{\"CiphertextBlob\":\"*\"}"},
      {"kms.DescribeKey", "{\"KeyMetadata\":{\"CreationDate\":\"soon\"}}"},
      {"lambda.GetFunctionConfiguration", "{\"Timeout\":\"long\"}"},
  };
  for (size_t i = 0; i < TIMES(cases); i++) {
    struct error error = {0};
    json_t *result =
        parse_named(models, cases[i].operation, 200, NULL, cases[i].body, strlen(cases[i].body), NULL, &error);
    if (result || error.class != ERROR_FATAL || strcmp(error.code, "NotAnAnswer") != 0)
      fail_msg("%s %s: %s", cases[i].operation, cases[i].body, error.message);
  }
  aws_models_close(models);
}

static void test_deep_xml_is_refused(void **state) {
  (void)state;
  struct buffer body = {0};
  for (int i = 0; i < 5000; i++) buffer_add_text(&body, "<a>");
  struct error error = {0};
  assert_null(aws_xml_parse(buffer_text(&body), body.length, &error));
  assert_int_equal(error.class, ERROR_FATAL);
  buffer_free(&body);
}

static void test_results(void **state) {
  (void)state;
  struct aws_models *models = test_models();
  static const struct {
    const char *operation, *header, *body, *result;
  } cases[] = {
      /* quirks */
      {"iam.GetRole", NULL,
       "<a><GetRoleResult><Role><RoleName>r</RoleName><AssumeRolePolicyDocument>%7B%22a%22%3A%20%22x+y%22%7D"
       "</AssumeRolePolicyDocument></Role></GetRoleResult></a>",
       "{\"Role\":{\"RoleName\":\"r\",\"AssumeRolePolicyDocument\":\"{\\\"a\\\": \\\"x+y\\\"}\"}}"},
      {"s3.GetBucketLocation", NULL, "<LocationConstraint xmlns=\"http://s3/\">eu-west-1</LocationConstraint>",
       "{\"LocationConstraint\":\"eu-west-1\"}"},
      {"s3.GetBucketLocation", NULL, "<LocationConstraint xmlns=\"http://s3/\"/>", "{\"LocationConstraint\":null}"},
      {"s3.ListObjectsV2", NULL,
       "<R><EncodingType>url</EncodingType><Prefix>a%2F</Prefix><Contents><Key>a%2Fb+c</Key></Contents></R>",
       "{\"EncodingType\":\"url\",\"Prefix\":\"a/\",\"Contents\":[{\"Key\":\"a/b c\"}]}"},
      {"ec2.GetConsoleOutput", NULL, "<a><output>aGVsbG8=</output></a>", "{\"Output\":\"hello\"}"},
      /* forms */
      {"ec2.DescribeVolumes", NULL,
       "<a xmlns=\"x\"><requestId>R</requestId><volumeSet><item><volumeId>v</volumeId><size>8</size><encrypted>false"
       "</encrypted><createTime>2026-01-02T03:04:05.678Z</createTime></item></volumeSet></a>",
       "{\"Volumes\":[{\"VolumeId\":\"v\",\"Size\":8,\"Encrypted\":false,\"CreateTime\":\"2026-01-02T03:04:05."
       "678000Z\"}]}"},
      {"ec2.DescribeVolumes", NULL, "<a><volumeSet/></a>", "{\"Volumes\":[]}"},
      {"kms.DescribeKey", NULL, "{\"KeyMetadata\":{\"KeyId\":\"k\",\"CreationDate\":1.7672256E9,\"New\":1}}",
       "{\"KeyMetadata\":{\"KeyId\":\"k\",\"CreationDate\":\"2026-01-01T00:00:00Z\"}}"},
      {"kms.Encrypt", NULL, "{\"CiphertextBlob\":\"aGVs\\nbG8=\"}", "{\"CiphertextBlob\":\"aGVsbG8=\"}"},
      {"s3.GetObject", "Content-Length:5", "\xff\xfehi", "{\"ContentLength\":5,\"Metadata\":{},\"Body\":\"//5oaQ==\"}"},
      {"s3.GetBucketPolicy", NULL, "{\"Version\":\"x\"}", "{\"Policy\":\"{\\\"Version\\\":\\\"x\\\"}\"}"},
      {"s3.HeadObject", "x-amz-meta-Owner:me", "", "{\"Metadata\":{\"Owner\":\"me\"}}"},
      {"s3.HeadObject", "Expires:never", "", "{\"Metadata\":{}}"},
      {"s3.GetBucketAcl", NULL,
       "<AccessControlPolicy><AccessControlList><Grant><Grantee xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\" "
       "i:type=\"Group\"><URI>u</URI></Grantee></Grant></AccessControlList></AccessControlPolicy>",
       "{\"Grants\":[{\"Grantee\":{\"Type\":\"Group\",\"URI\":\"u\"}}]}"},
      {"lambda.Invoke", "X-Amz-Function-Error:Unhandled", "{}",
       "{\"StatusCode\":200,\"FunctionError\":\"Unhandled\",\"Payload\":\"e30=\"}"},
      {"sts.GetCallerIdentity", NULL,
       "<a><GetCallerIdentityResult><Account>012345678901</Account>"
       "</GetCallerIdentityResult></a>",
       "{\"Account\":\"012345678901\"}"},
      {"ec2.DeleteVolume", NULL, "<a><return>true</return></a>", "{}"},
  };
  for (size_t i = 0; i < TIMES(cases); i++) {
    struct error error = {0};
    json_t *result = parse_named(models, cases[i].operation, 200, cases[i].header, cases[i].body, strlen(cases[i].body),
                                 NULL, &error);
    json_t *due = json_loads(cases[i].result, 0, NULL);
    assert_non_null(due);
    if (!result || !json_equal(result, due)) {
      char *text = result ? json_dumps(result, JSON_SORT_KEYS) : NULL;
      fail_msg("%s: %s (%s), due %s", cases[i].operation, text, error.message, cases[i].result);
    }
    json_decref(result);
    json_decref(due);
  }
  aws_models_close(models);
}

/* Messages of an event stream, one damaged at every byte in turn: an error or the same, never a crash. */
static void test_damaged_event_streams(void **state) {
  (void)state;
  struct aws_models *models = test_models();
  static const char message[] = /* an S3 "Records" event with the payload "somebytes" would look like that */
      "AAAAbAAAAFPLgkVrDTptZXNzYWdlLXR5cGUHAAVldmVudAs6ZXZlbnQtdHlwZQcABVR5cGVBDTpjb250ZW50LXR5cGUHABhhcHBsaWNhdGlv"
      "bi9vY3RldC1zdHJlYW1zb21lYnl0ZXMesj2H";
  struct buffer bytes = {0};
  assert_int_equal(aws_base64_decode(&bytes, message, strlen(message)), 0);
  struct error error = {0};
  json_t *whole = parse_named(models, "s3.SelectObjectContent", 200, NULL, bytes.data, bytes.length, NULL, &error);
  assert_non_null(whole); /* an event that the model does not know is left out */
  assert_int_equal(json_array_size(json_object_get(whole, "Payload")), 0);
  json_decref(whole);
  for (size_t i = 0; i < bytes.length; i++) {
    bytes.data[i] ^= 0x21;
    assert_null(parse_named(models, "s3.SelectObjectContent", 200, NULL, bytes.data, bytes.length, NULL, &error));
    bytes.data[i] ^= 0x21;
    if (i > 0) assert_null(parse_named(models, "s3.SelectObjectContent", 200, NULL, bytes.data, i, NULL, &error));
  }
  buffer_free(&bytes);
  aws_models_close(models);
}
