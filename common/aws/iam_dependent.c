/* Dependent actions: what IAM wants besides the action itself ("Dependent actions" in AWS's Service Authorization
 * Reference; service-linked roles: each service's own guide).  Only operations that put a guardrail right are here; a
 * missing row shows as AccessDenied that names the action. */
#include <string.h>

#include "aws/aws.h"

static const struct {
  const char *operation, *needs;
} dependents[] = {
    {"accessanalyzer.CreateAnalyzer", "iam.CreateServiceLinkedRole"},
    {"cloudtrail.CreateTrail", "iam.PassRole"}, /* with CloudWatchLogsRoleArn */
    {"cloudtrail.UpdateTrail", "iam.PassRole"},
    {"config.PutConfigurationRecorder", "iam.PassRole"},
    {"ec2.AssociateIamInstanceProfile", "iam.PassRole"},
    {"ec2.CreateFlowLogs", "iam.PassRole"},
    {"ec2.ReplaceIamInstanceProfileAssociation", "iam.PassRole"},
    {"ec2.RunInstances", "iam.PassRole"},
    {"events.PutTargets", "iam.PassRole"},
    {"guardduty.CreateDetector", "iam.CreateServiceLinkedRole"},
    {"iam.CreatePolicy", "iam.TagPolicy"}, /* with Tags */
    {"iam.CreateRole", "iam.TagRole"},
    {"inspector2.Enable", "iam.CreateServiceLinkedRole"},
    {"lambda.CreateFunction", "iam.PassRole"},
    {"lambda.UpdateFunctionConfiguration", "iam.PassRole"},
    {"macie2.EnableMacie", "iam.CreateServiceLinkedRole"},
    {"s3.PutBucketReplication", "iam.PassRole"},
    {"securityhub.EnableSecurityHub", "iam.CreateServiceLinkedRole"},
    {"ssm.StartAutomationExecution", "iam.PassRole"},
};

const char *aws_iam_dependent(const char *operation) {
  for (size_t i = 0; i < sizeof dependents / sizeof *dependents; i++)
    if (strcmp(dependents[i].operation, operation) == 0) return dependents[i].needs;
  return NULL;
}
