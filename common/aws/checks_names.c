/* What an operation's name tells: whether it only reads, and IAM's action for it. */
#include <stdio.h>
#include <string.h>

#include "aws/aws.h"

/* ---- reading ---- */

/* Operations whose name begins with one of these words (a capital or the end behind it) read, unless listed below. */
static const char *const reading_verbs[] = {
    "BatchCheck", "BatchDescribe", "BatchGet", "BatchIs",  "BatchLookup", "Calculate", "Check",
    "Count",      "Describe",      "Discover", "Estimate", "Filter",      "Get",       "Head",
    "Is",         "List",          "Lookup",   "Preview",  "Query",       "Scan",      "Search",
    "Select",     "Simulate",      "Validate", "AdminGet", "AdminList",   "View",
};

/* They issue credentials, tokens or URLs that act, change something, or cost: not reading, whatever the verb. */
static const char *const not_reading[] = {
    "amplifybackend.GetToken",
    "appsync.GetDataSourceIntrospection",
    "auditmanager.GetEvidenceFileUploadUrl",
    "bedrock-agentcore.GetResourceOauth2Token",
    "bedrock-agentcore.GetResourcePaymentToken",
    "bedrock-agentcore.GetWorkloadAccessToken",
    "bedrock-agentcore.GetWorkloadAccessTokenForJWT",
    "bedrock-agentcore.GetWorkloadAccessTokenForUserId",
    "codeartifact.GetAuthorizationToken",
    "cognito-identity.GetCredentialsForIdentity",
    "cognito-identity.GetId",
    "cognito-identity.GetOpenIdToken",
    "cognito-identity.GetOpenIdTokenForDeveloperIdentity",
    "cognito-idp.GetTokensFromRefreshToken",
    "connect.GetFederationToken",
    "datazone.GetEnvironmentCredentials",
    "datazone.GetIamPortalLoginUrl",
    "ecr-public.GetAuthorizationToken",
    "ecr.GetAuthorizationToken",
    "emr-containers.GetManagedEndpointSessionCredentials",
    "emr.GetClusterSessionCredentials",
    "finspace-data.GetProgrammaticAccessCredentials",
    "gamelift.GetComputeAccess",
    "gamelift.GetComputeAuthToken",
    "inspector-scan.ScanSbom",
    "lakeformation.GetTemporaryDataLocationCredentials",
    "lakeformation.GetTemporaryGluePartitionCredentials",
    "lakeformation.GetTemporaryGlueTableCredentials",
    "license-manager.CheckInLicense",
    "license-manager.GetAccessToken",
    "lightsail.GetInstanceAccessDetails",
    "mturk.GetFileUploadURL",
    "quicksight.GetDashboardEmbedUrl",
    "quicksight.GetSessionEmbedUrl",
    "redshift-serverless.GetCredentials",
    "redshift-serverless.GetIdentityCenterAuthToken",
    "redshift.GetClusterCredentials",
    "redshift.GetClusterCredentialsWithIAM",
    "redshift.GetIdentityCenterAuthToken",
    "route53globalresolver.GetAccessToken",
    "security-ir.GetCaseAttachmentUploadUrl",
    "ssm.GetAccessToken",
    "sso.GetRoleCredentials",
    "sts.GetDelegatedAccessToken",
    "sts.GetFederationToken",
    "sts.GetSessionToken",
    "sts.GetWebIdentityToken",
    "timestream-query.Query", /* UNLOAD writes to S3 */
};

/* They read, though the verb does not say so.  Reports of IAM are made by AWS anyway and change nothing. */
static const char *const also_reading[] = {
    "dynamodb.TransactGetItems",
    "elasticbeanstalk.RetrieveEnvironmentInfo",
    "events.TestEventPattern",
    "gamelift.ResolveAlias",
    "iam.GenerateCredentialReport",
    "iam.GenerateOrganizationsAccessReport",
    "iam.GenerateServiceLastAccessedDetails",
    "iot.TestAuthorization",
    "kms.Verify",
    "kms.VerifyMac",
    "logs.TestMetricFilter",
    "logs.TestTransformer",
    "rds.DownloadDBLogFilePortion",
    "route53.TestDNSAnswer",
    "sts.DecodeAuthorizationMessage",
};

#define COUNT(table) (sizeof(table) / sizeof *(table))

static int is_among(const char *text, const char *const *list, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(list[i], text) == 0) return 1;
  return 0;
}

static int begins_with_word(const char *text, const char *word) {
  size_t length = strlen(word);
  return strncmp(text, word, length) == 0 && !(text[length] >= 'a' && text[length] <= 'z');
}

int aws_operation_reads(const char *operation) {
  const char *dot = strchr(operation, '.');
  if (!dot || is_among(operation, not_reading, COUNT(not_reading))) return 0;
  if (is_among(operation, also_reading, COUNT(also_reading))) return 1;
  for (size_t i = 0; i < COUNT(reading_verbs); i++)
    if (begins_with_word(dot + 1, reading_verbs[i])) return 1;
  return 0;
}

/* ---- IAM's actions ---- */

/* Services whose actions have another prefix than their name (the Service Authorization Reference). */
static const struct {
  const char *service, *prefix;
} prefixes[] = {
    {"accessanalyzer", "access-analyzer"},
    {"amp", "aps"},
    {"apigatewaymanagementapi", "execute-api"},
    {"apigatewayv2", "apigateway"},
    {"appconfigdata", "appconfig"},
    {"appintegrations", "app-integrations"},
    {"application-insights", "applicationinsights"},
    {"applicationcostprofiler", "application-cost-profiler"},
    {"backupsearch", "backup-search"},
    {"bedrock-agent", "bedrock"},
    {"bedrock-agent-runtime", "bedrock"},
    {"bedrock-agentcore-control", "bedrock-agentcore"},
    {"bedrock-data-automation", "bedrock"},
    {"bedrock-data-automation-runtime", "bedrock"},
    {"bedrock-runtime", "bedrock"},
    {"chime-sdk-identity", "chime"},
    {"chime-sdk-media-pipelines", "chime"},
    {"chime-sdk-meetings", "chime"},
    {"chime-sdk-messaging", "chime"},
    {"chime-sdk-voice", "chime"},
    {"cleanroomsml", "cleanrooms-ml"},
    {"cloudcontrol", "cloudformation"},
    {"cloudhsmv2", "cloudhsm"},
    {"cloudsearchdomain", "cloudsearch"},
    {"codeguruprofiler", "codeguru-profiler"},
    {"connectcampaigns", "connect-campaigns"},
    {"connectcampaignsv2", "connect-campaigns"},
    {"connectcases", "cases"},
    {"connect-contact-lens", "connect"},
    {"customer-profiles", "profile"},
    {"docdb", "rds"},
    {"dynamodbstreams", "dynamodb"},
    {"efs", "elasticfilesystem"},
    {"elb", "elasticloadbalancing"},
    {"elbv2", "elasticloadbalancing"},
    {"emr", "elasticmapreduce"},
    {"forecastquery", "forecast"},
    {"greengrassv2", "greengrass"},
    {"iot-data", "iot"},
    {"iot-jobs-data", "iot"},
    {"ivs-realtime", "ivs"},
    {"keyspaces", "cassandra"},
    {"keyspacesstreams", "cassandra"},
    {"kinesis-video-archived-media", "kinesisvideo"},
    {"kinesis-video-media", "kinesisvideo"},
    {"kinesis-video-signaling", "kinesisvideo"},
    {"kinesis-video-webrtc-storage", "kinesisvideo"},
    {"kinesisanalyticsv2", "kinesisanalytics"},
    {"launch-wizard", "launchwizard"},
    {"lex-models", "lex"},
    {"lex-runtime", "lex"},
    {"lexv2-models", "lex"},
    {"lexv2-runtime", "lex"},
    {"location", "geo"},
    {"mailmanager", "ses"},
    {"marketplace-agreement", "aws-marketplace"},
    {"marketplace-catalog", "aws-marketplace"},
    {"marketplace-deployment", "aws-marketplace"},
    {"marketplace-entitlement", "aws-marketplace"},
    {"marketplace-reporting", "aws-marketplace"},
    {"marketplacecommerceanalytics", "marketplacecommerceanalytics"},
    {"mediastore-data", "mediastore"},
    {"meteringmarketplace", "aws-marketplace"},
    {"migration-hub-refactor-spaces", "refactor-spaces"},
    {"migrationhub-config", "mgh"},
    {"migrationhuborchestrator", "migrationhub-orchestrator"},
    {"migrationhubstrategy", "migrationhub-strategy"},
    {"mturk", "mechanicalturk"},
    {"mwaa", "airflow"},
    {"neptune", "rds"},
    {"neptunedata", "neptune-db"},
    {"notificationscontacts", "notifications-contacts"},
    {"opensearch", "es"},
    {"opensearchserverless", "aoss"},
    {"payment-cryptography-data", "payment-cryptography"},
    {"personalize-events", "personalize"},
    {"personalize-runtime", "personalize"},
    {"pinpoint", "mobiletargeting"},
    {"pinpoint-email", "ses"},
    {"pinpoint-sms-voice", "sms-voice"},
    {"pinpoint-sms-voice-v2", "sms-voice"},
    {"qconnect", "wisdom"},
    {"resourcegroupstaggingapi", "tag"},
    {"s3control", "s3"},
    {"s3outposts", "s3-outposts"},
    {"sagemaker-a2i-runtime", "sagemaker"},
    {"sagemaker-edge", "sagemaker"},
    {"sagemaker-featurestore-runtime", "sagemaker"},
    {"sagemaker-metrics", "sagemaker"},
    {"sagemaker-runtime", "sagemaker"},
    {"service-quotas", "servicequotas"},
    {"servicecatalog-appregistry", "servicecatalog"},
    {"sesv2", "ses"},
    {"signer-data", "signer"},
    {"simpledbv2", "sdb"},
    {"socialmessaging", "social-messaging"},
    {"sso-admin", "sso"},
    {"stepfunctions", "states"},
    {"supplychain", "scn"},
    {"support-app", "supportapp"},
    {"taxsettings", "tax"},
    {"timestream-query", "timestream"},
    {"timestream-write", "timestream"},
    {"voice-id", "voiceid"},
    {"workspaces-thin-client", "thinclient"},
};

/* Operations whose action has another name. */
static const struct {
  const char *operation, *action;
} actions[] = {
    {"budgets.CreateBudget", "budgets:ModifyBudget"},
    {"budgets.DeleteBudget", "budgets:ModifyBudget"},
    {"budgets.DescribeBudget", "budgets:ViewBudget"},
    {"budgets.DescribeBudgets", "budgets:ViewBudget"},
    {"budgets.UpdateBudget", "budgets:ModifyBudget"},
    {"cloudcontrol.CreateResource", "cloudformation:CreateResource"},
    {"dynamodb.BatchExecuteStatement", "dynamodb:PartiQLSelect"},
    {"dynamodb.ExecuteStatement", "dynamodb:PartiQLSelect"},
    {"dynamodb.TransactGetItems", "dynamodb:GetItem"},
    {"dynamodb.TransactWriteItems", "dynamodb:PutItem"},
    {"kms.ReEncrypt", "kms:ReEncryptFrom"},
    {"lambda.Invoke", "lambda:InvokeFunction"},
    {"lambda.InvokeAsync", "lambda:InvokeFunction"},
    {"lambda.InvokeWithResponseStream", "lambda:InvokeFunction"},
    {"s3.AbortMultipartUpload", "s3:AbortMultipartUpload"},
    {"s3.CompleteMultipartUpload", "s3:PutObject"},
    {"s3.CopyObject", "s3:PutObject"},
    {"s3.CreateMultipartUpload", "s3:PutObject"},
    {"s3.DeleteBucketAnalyticsConfiguration", "s3:PutAnalyticsConfiguration"},
    {"s3.DeleteBucketCors", "s3:PutBucketCORS"},
    {"s3.DeleteBucketEncryption", "s3:PutEncryptionConfiguration"},
    {"s3.DeleteBucketIntelligentTieringConfiguration", "s3:PutIntelligentTieringConfiguration"},
    {"s3.DeleteBucketInventoryConfiguration", "s3:PutInventoryConfiguration"},
    {"s3.DeleteBucketLifecycle", "s3:PutLifecycleConfiguration"},
    {"s3.DeleteBucketMetricsConfiguration", "s3:PutMetricsConfiguration"},
    {"s3.DeleteBucketOwnershipControls", "s3:PutBucketOwnershipControls"},
    {"s3.DeleteBucketReplication", "s3:PutReplicationConfiguration"},
    {"s3.DeleteBucketTagging", "s3:PutBucketTagging"},
    {"s3.DeleteObjects", "s3:DeleteObject"},
    {"s3.DeletePublicAccessBlock", "s3:PutBucketPublicAccessBlock"},
    {"s3.GetBucketAccelerateConfiguration", "s3:GetAccelerateConfiguration"},
    {"s3.GetBucketAnalyticsConfiguration", "s3:GetAnalyticsConfiguration"},
    {"s3.GetBucketCors", "s3:GetBucketCORS"},
    {"s3.GetBucketEncryption", "s3:GetEncryptionConfiguration"},
    {"s3.GetBucketIntelligentTieringConfiguration", "s3:GetIntelligentTieringConfiguration"},
    {"s3.GetBucketInventoryConfiguration", "s3:GetInventoryConfiguration"},
    {"s3.GetBucketLifecycle", "s3:GetLifecycleConfiguration"},
    {"s3.GetBucketLifecycleConfiguration", "s3:GetLifecycleConfiguration"},
    {"s3.GetBucketMetricsConfiguration", "s3:GetMetricsConfiguration"},
    {"s3.GetBucketNotificationConfiguration", "s3:GetBucketNotification"},
    {"s3.GetBucketReplication", "s3:GetReplicationConfiguration"},
    {"s3.GetObjectLockConfiguration", "s3:GetBucketObjectLockConfiguration"},
    {"s3.GetPublicAccessBlock", "s3:GetBucketPublicAccessBlock"},
    {"s3.HeadBucket", "s3:ListBucket"},
    {"s3.HeadObject", "s3:GetObject"},
    {"s3.ListBucketAnalyticsConfigurations", "s3:GetAnalyticsConfiguration"},
    {"s3.ListBucketIntelligentTieringConfigurations", "s3:GetIntelligentTieringConfiguration"},
    {"s3.ListBucketInventoryConfigurations", "s3:GetInventoryConfiguration"},
    {"s3.ListBucketMetricsConfigurations", "s3:GetMetricsConfiguration"},
    {"s3.ListBuckets", "s3:ListAllMyBuckets"},
    {"s3.ListMultipartUploads", "s3:ListBucketMultipartUploads"},
    {"s3.ListObjectVersions", "s3:ListBucketVersions"},
    {"s3.ListObjects", "s3:ListBucket"},
    {"s3.ListObjectsV2", "s3:ListBucket"},
    {"s3.ListParts", "s3:ListMultipartUploadParts"},
    {"s3.PutBucketAccelerateConfiguration", "s3:PutAccelerateConfiguration"},
    {"s3.PutBucketAnalyticsConfiguration", "s3:PutAnalyticsConfiguration"},
    {"s3.PutBucketCors", "s3:PutBucketCORS"},
    {"s3.PutBucketEncryption", "s3:PutEncryptionConfiguration"},
    {"s3.PutBucketIntelligentTieringConfiguration", "s3:PutIntelligentTieringConfiguration"},
    {"s3.PutBucketInventoryConfiguration", "s3:PutInventoryConfiguration"},
    {"s3.PutBucketLifecycle", "s3:PutLifecycleConfiguration"},
    {"s3.PutBucketLifecycleConfiguration", "s3:PutLifecycleConfiguration"},
    {"s3.PutBucketMetricsConfiguration", "s3:PutMetricsConfiguration"},
    {"s3.PutBucketNotificationConfiguration", "s3:PutBucketNotification"},
    {"s3.PutBucketReplication", "s3:PutReplicationConfiguration"},
    {"s3.PutObjectLockConfiguration", "s3:PutBucketObjectLockConfiguration"},
    {"s3.PutPublicAccessBlock", "s3:PutBucketPublicAccessBlock"},
    {"s3.SelectObjectContent", "s3:GetObject"},
    {"s3.UploadPart", "s3:PutObject"},
    {"s3.UploadPartCopy", "s3:PutObject"},
    {"s3control.DeletePublicAccessBlock", "s3:PutAccountPublicAccessBlock"},
    {"s3control.GetPublicAccessBlock", "s3:GetAccountPublicAccessBlock"},
    {"s3control.PutPublicAccessBlock", "s3:PutAccountPublicAccessBlock"},
    {"sns.PublishBatch", "sns:Publish"},
    {"sqs.ChangeMessageVisibilityBatch", "sqs:ChangeMessageVisibility"},
    {"sqs.DeleteMessageBatch", "sqs:DeleteMessage"},
    {"sqs.SendMessageBatch", "sqs:SendMessage"},
};

/* API Gateway's actions are the HTTP methods. */
static const struct {
  const char *verb, *method;
} gateway_methods[] = {
    {"Create", "POST"}, {"Delete", "DELETE"}, {"Export", "GET"},   {"Flush", "DELETE"}, {"Generate", "POST"},
    {"Get", "GET"},     {"Import", "POST"},   {"Put", "PUT"},      {"Reset", "DELETE"}, {"Tag", "PUT"},
    {"Test", "POST"},   {"Untag", "DELETE"},  {"Update", "PATCH"},
};

static const char *gateway_method(const char *name) {
  for (size_t i = 0; i < COUNT(gateway_methods); i++)
    if (begins_with_word(name, gateway_methods[i].verb)) return gateway_methods[i].method;
  return "POST";
}

void aws_iam_action(const char *operation, char *text, size_t size) {
  for (size_t i = 0; i < COUNT(actions); i++)
    if (strcmp(actions[i].operation, operation) == 0) {
      snprintf(text, size, "%s", actions[i].action);
      return;
    }
  const char *dot = strchr(operation, '.'), *name = dot ? dot + 1 : "";
  char service[96];
  snprintf(service, sizeof service, "%.*s", (int)(dot ? dot - operation : (long)strlen(operation)), operation);
  const char *prefix = service;
  for (size_t i = 0; i < COUNT(prefixes); i++)
    if (strcmp(prefixes[i].service, service) == 0) prefix = prefixes[i].prefix;
  if (strcmp(prefix, "apigateway") == 0) name = gateway_method(name);
  snprintf(text, size, "%s:%s", prefix, name);
}
