/* Parameters, result paths and names against the models. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/checks.h"
#include "aws/models.h"
#include "aws/reference.h"

static void test_operations(void **state) {
  (void)state;
  struct aws_models *models = test_models();
  static const struct {
    const char *operation, *message;
    enum error_class class;
  } wrong[] = {
      {"", "SERVICE.Operation", ERROR_INVALID},
      {"ec2", "SERVICE.Operation", ERROR_INVALID},
      {".DescribeInstances", "SERVICE.Operation", ERROR_INVALID},
      {"ec2.", "SERVICE.Operation", ERROR_INVALID},
      {"ec3.DescribeInstances", "\"ec2\"", ERROR_MISSING},
      {"ec2.DescribeInstance", "\"DescribeInstances\"", ERROR_MISSING},
      {"ec2.describeInstances", "\"DescribeInstances\"", ERROR_MISSING},
  };
  for (size_t i = 0; i < TIMES(wrong); i++) {
    struct error error = {0};
    assert_int_equal(aws_models_operation(models, wrong[i].operation, NULL, NULL, &error), -1);
    assert_int_equal(error.class, wrong[i].class);
    assert_non_null(strstr(error.message, wrong[i].message));
  }
  const struct aws_service *service;
  const struct aws_operation *operation;
  assert_int_equal(aws_models_operation(models, "ec2.DescribeInstances", &service, &operation, NULL), 0);
  assert_string_equal(aws_service_name(service), "ec2");
  aws_models_close(models);
}

static void test_inputs(void **state) {
  (void)state;
  struct aws_models *models = test_models();
  static const struct {
    const char *operation, *params, *where, *message; /* where NULL: fine */
  } cases[] = {
      /* mistakes */
      {"ec2.DescribeInstances", "{\"InstanceId\":[\"i-1\"]}", "/InstanceId", "\"InstanceIds\""},
      {"ec2.DescribeInstances", "{\"InstanceIds\":\"i-1\"}", "/InstanceIds", "a list"},
      {"ec2.DescribeInstances", "{\"InstanceIds\":[1]}", "/InstanceIds/0", "a string"},
      {"ec2.DescribeInstances", "{\"MaxResults\":\"5\"}", "/MaxResults", "a whole number"},
      {"ec2.DescribeInstances", "{\"MaxResults\":1.5}", "/MaxResults", "a whole number"},
      {"ec2.DescribeInstances", "{\"DryRun\":\"true\"}", "/DryRun", "true or false"},
      {"ec2.DescribeInstances", "{\"Filters\":[{\"Name\":\"a/b\",\"Value\":[]}]}", "/Filters/0/Value", "\"Values\""},
      {"ec2.DescribeInstances", "[]", "", "object"},
      {"iam.GetUser", "{\"UserName\":\"\"}", "/UserName", "at least 1"},
      {"iam.GetRole", "{}", "", "\"RoleName\""},
      {"iam.GetRole", "{\"RoleName\":null}", "", "\"RoleName\""},
      {"iam.GetRole", NULL, "", "\"RoleName\""},
      {"cloudtrail.LookupEvents", "{\"StartTime\":\"soon\"}", "/StartTime", "a timestamp"},
      {"sqs.SendMessage", "{\"QueueUrl\":\"q\",\"MessageBody\":\"b\",\"MessageAttributes\":{\"x~/y\":{}}}",
       "/MessageAttributes/x~0~1y", "\"DataType\""},
      {"dynamodb.PutItem", "{\"TableName\":\"t\",\"Item\":{\"k\":{\"X\":\"v\"}}}", "/Item/k/X", "not a member"},
      {"ec2.RunInstances", "{\"MinCount\":\"${$n} of them\",\"MaxCount\":1}", "/MinCount", "a whole number"},
      {"ec2.DescribeInstances", "{\"InstanceIds\":\"${$a}${$b}\"}", "/InstanceIds", "a list"},
      /* fine */
      {"ec2.DescribeInstances", NULL, NULL, NULL},
      {"ec2.DescribeInstances", "null", NULL, NULL},
      {"ec2.DescribeInstances", "\"${$params}\"", NULL, NULL},
      {"ec2.DescribeInstances", "{\"InstanceIds\":\"${$ids}\",\"MaxResults\":\"${$n}\",\"DryRun\":\"${$d}\"}", NULL,
       NULL},
      {"ec2.DescribeInstances", "{\"InstanceIds\":[\"i-${$id}\"],\"Filters\":[\"${$filter}\"]}", NULL, NULL},
      {"ec2.DescribeInstances", "{\"MaxResults\":5.0,\"NextToken\":null}", NULL, NULL},
      {"ec2.DescribeNatGateways", "{\"Filters\":[{\"Name\":\"vpc-id\",\"Values\":[\"v\"]}]}", NULL,
       NULL}, /* really "Filter" */
      {"cloudtrail.LookupEvents", "{\"StartTime\":\"2026-01-01T00:00:00Z\",\"EndTime\":1767225600}", NULL, NULL},
      {"organizations.CreateAccount", "{\"Email\":\"a@example.com\",\"AccountName\":\"a\"}", NULL, NULL},
      {"guardduty.CreateDetector", "{\"Enable\":true}", NULL, NULL}, /* clientToken is a token: never required */
      {"sts.GetCallerIdentity", "{}", NULL, NULL},
  };
  for (size_t i = 0; i < TIMES(cases); i++) {
    struct error error = {0};
    json_t *params = cases[i].params ? json_loads(cases[i].params, JSON_DECODE_ANY, NULL) : NULL;
    int result = aws_models_check_input(models, cases[i].operation, params, &error);
    if ((result == 0) != (cases[i].where == NULL) || (cases[i].where && strcmp(cases[i].where, error.where) != 0) ||
        (cases[i].message && !strstr(error.message, cases[i].message)))
      fail_msg("%s %s: %s at %s", cases[i].operation, cases[i].params, error.message, error.where);
    if (result != 0) assert_int_equal(error.class, ERROR_INVALID);
    json_decref(params);
  }
  aws_models_close(models);
}

static void test_outputs(void **state) {
  (void)state;
  struct aws_models *models = test_models();
  static const struct {
    const char *operation, *path[6], *where, *message;
  } cases[] = {
      {"ec2.DescribeSecurityGroups", {"SecurityGroup"}, "/SecurityGroup", "\"SecurityGroups\""},
      {"ec2.DescribeSecurityGroups", {"SecurityGroups", "GroupId"}, "/SecurityGroups/GroupId", "is a list"},
      {"ec2.DescribeSecurityGroups", {"SecurityGroups", "[]", "GroupID"}, "/SecurityGroups/[]/GroupID", "\"GroupId\""},
      {"ec2.DescribeSecurityGroups",
       {"SecurityGroups", "[]", "GroupId", "x"},
       "/SecurityGroups/[]/GroupId/x",
       "no members"},
      {"ec2.DescribeSecurityGroups", {"[]"}, "/[]", "no member"},
      {"ec2.DeleteVolume", {"Return"}, "", "answers nothing"},
      {"ec2.DescribeSecurityGroups", {NULL}, NULL, NULL},
      {"ec2.DescribeSecurityGroups", {"SecurityGroups", "[]", "Tags", "[]", "Key"}, NULL, NULL},
      {"sqs.GetQueueAttributes", {"Attributes", "AnyName"}, NULL, NULL},
      {"dynamodb.GetItem", {"Item", "any", "M", "deeper", "S"}, NULL, NULL},
  };
  for (size_t i = 0; i < TIMES(cases); i++) {
    struct error error = {0};
    int result = aws_models_check_output(models, cases[i].operation, cases[i].path, &error);
    if ((result == 0) != (cases[i].where == NULL) || (cases[i].where && strcmp(cases[i].where, error.where) != 0) ||
        (cases[i].message && !strstr(error.message, cases[i].message)))
      fail_msg("%s case %zu: %s at %s", cases[i].operation, i, error.message, error.where);
  }
  aws_models_close(models);
}

static void test_what_reads(void **state) {
  (void)state;
  static const struct {
    const char *operation;
    int reads;
  } cases[] = {
      {"", 0},
      {"Describe", 0},
      {"ec2.RevokeSecurityGroupIngress", 0},
      {"sts.AssumeRole", 0},
      {"sts.GetSessionToken", 0},       /* issues credentials */
      {"ecr.GetAuthorizationToken", 0}, /* issues a token */
      {"license-manager.CheckInLicense", 0},
      {"license-manager.CheckoutLicense", 0}, /* "Check" is not its verb */
      {"ses.VerifyEmailIdentity", 0},         /* sends an e-mail */
      {"sqs.ReceiveMessage", 0},              /* hides messages */
      {"apigateway.TestInvokeMethod", 0},     /* runs what is behind it */
      {"batch.RegisterJobDefinition", 0},
      {"ec2.DescribeInstances", 1},
      {"sts.GetCallerIdentity", 1},
      {"s3.HeadBucket", 1},
      {"config.BatchGetResourceConfig", 1},
      {"cloudtrail.LookupEvents", 1},
      {"iam.GenerateCredentialReport", 1}, /* changes nothing */
      {"iam.SimulatePrincipalPolicy", 1},
      {"dynamodb.Query", 1},
      {"logs.FilterLogEvents", 1},
      {"organizations.ListAccounts", 1},
  };
  for (size_t i = 0; i < TIMES(cases); i++)
    if (aws_operation_reads(cases[i].operation) != cases[i].reads) fail_msg("%s", cases[i].operation);
}

static void test_iam_actions(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"ec2.DescribeInstances", "ec2:DescribeInstances"},
      {"s3.ListBuckets", "s3:ListAllMyBuckets"},
      {"s3.HeadBucket", "s3:ListBucket"},
      {"s3.GetBucketEncryption", "s3:GetEncryptionConfiguration"},
      {"s3.GetPublicAccessBlock", "s3:GetBucketPublicAccessBlock"},
      {"s3.PutPublicAccessBlock", "s3:PutBucketPublicAccessBlock"},
      {"s3.GetBucketPolicy", "s3:GetBucketPolicy"},
      {"s3control.GetPublicAccessBlock", "s3:GetAccountPublicAccessBlock"},
      {"s3control.ListAccessPoints", "s3:ListAccessPoints"},
      {"elbv2.DescribeLoadBalancers", "elasticloadbalancing:DescribeLoadBalancers"},
      {"elb.DescribeLoadBalancers", "elasticloadbalancing:DescribeLoadBalancers"},
      {"cloudwatch.PutMetricAlarm", "cloudwatch:PutMetricAlarm"},
      {"events.PutRule", "events:PutRule"},
      {"logs.CreateLogGroup", "logs:CreateLogGroup"},
      {"stepfunctions.StartExecution", "states:StartExecution"},
      {"sesv2.SendEmail", "ses:SendEmail"},
      {"resourcegroupstaggingapi.GetResources", "tag:GetResources"},
      {"apigateway.GetRestApis", "apigateway:GET"},
      {"apigatewayv2.UpdateApi", "apigateway:PATCH"},
      {"lambda.Invoke", "lambda:InvokeFunction"},
      {"wafv2.AssociateWebACL", "wafv2:AssociateWebACL"},
      {"sso-admin.ListInstances", "sso:ListInstances"},
      {"accessanalyzer.ListAnalyzers", "access-analyzer:ListAnalyzers"},
  };
  for (size_t i = 0; i < TIMES(cases); i++) {
    char text[128];
    aws_iam_action(cases[i][0], text, sizeof text);
    assert_string_equal(text, cases[i][1]);
  }
}

/* The tables name services and operations that exist. */
static void test_exceptions_are_real(void **state) {
  (void)state;
  struct aws_models *models = test_models();
  static const char *const operations[] = {"cognito-identity.GetId",    "datazone.GetIamPortalLoginUrl",
                                           "gamelift.GetComputeAccess", "lightsail.GetInstanceAccessDetails",
                                           "sso.GetRoleCredentials",    "s3.DeleteBucketReplication",
                                           "s3.GetBucketLifecycle",     "logs.TestTransformer"};
  for (size_t i = 0; i < TIMES(operations); i++) {
    struct error error = {0};
    if (aws_models_operation(models, operations[i], NULL, NULL, &error) != 0) fail_msg("%s", error.message);
  }
  aws_models_close(models);
}
