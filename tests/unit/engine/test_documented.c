/* Guardrails over what AWS is documented to answer, where the emulator of the integration tests cannot show it: its
 * queues answer an empty map where AWS leaves it out; its root user has no keys and no device; its new trails have no
 * selectors, where AWS's have one; it has no keys that AWS manages; in it nobody's network hangs on somebody else's
 * transit gateway.  The seam is the client's transport. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/fake.h"
#include "engine/live.h"
#include "engine/steps.h"

#include <cmocka.h>

#define OK(text) \
  { .status = 200, .body = (text) }

static struct place place = {/* the test adds the organization */
                             .account = "111111111111",
                             .region = "eu-west-1",
                             .environment = "prod",
                             .unit = "",
                             .partition = "aws"};

struct documented {
  const char *name, *guardrail, *id;
  struct fake_answer answers[3];
  size_t count;
  int found;
  const char *call; /* the first that puts it right; NULL: none */
};

/* Policies inside JSON, and what everybody may do in them. */
#define QUEUE_POLICY(condition)                                                                              \
  "{\"Attributes\": {\"Policy\": \"{\\\"Statement\\\": [{\\\"Effect\\\": \\\"Allow\\\", \\\"Principal\\\": " \
  "\\\"*\\\", "                                                                                              \
  "\\\"Action\\\": \\\"sqs:SendMessage\\\", \\\"Resource\\\": \\\"*\\\"" condition "}]}\"}}"
#define QUEUE "{\"QueueUrl\": \"https://sqs.eu-west-1.amazonaws.com/111111111111/q\"}"
#define SUMMARY(keys, mfa)                                                                                   \
  "<GetAccountSummaryResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><GetAccountSummaryResult>" \
  "<SummaryMap><entry><key>AccountAccessKeysPresent</key><value>" #keys                                      \
  "</value></entry><entry>"                                                                                  \
  "<key>AccountMFAEnabled</key><value>" #mfa                                                                 \
  "</value></entry><entry><key>Users</key><value>3</value></entry>"                                          \
  "</SummaryMap></GetAccountSummaryResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>"     \
  "</GetAccountSummaryResponse>"
#define TRAIL(account, organization)                                                                                   \
  "{\"trailList\": [{\"Name\": \"audit\", \"S3BucketName\": \"logs\", \"IncludeGlobalServiceEvents\": true, "          \
  "\"IsMultiRegionTrail\": true, \"HomeRegion\": \"eu-west-1\", \"TrailARN\": \"arn:aws:cloudtrail:eu-west-1:" account \
  ":trail/audit\", \"LogFileValidationEnabled\": true, \"HasCustomEventSelectors\": false, "                           \
  "\"IsOrganizationTrail\": " organization "}]}"
#define DEFAULT_SELECTORS                                                                                         \
  "{\"EventSelectors\": [{\"ReadWriteType\": \"All\", \"IncludeManagementEvents\": true, \"DataResources\": [], " \
  "\"ExcludeManagementEventSources\": []}], \"TrailARN\": \"arn:aws:cloudtrail:eu-west-1:111111111111:trail/audit\"}"
#define WRITES_ONLY                                                                              \
  "{\"EventSelectors\": [{\"ReadWriteType\": \"WriteOnly\", \"IncludeManagementEvents\": true, " \
  "\"DataResources\": [], \"ExcludeManagementEventSources\": [\"kms.amazonaws.com\"]}]}"
#define KEY "{\"KeyMetadata\": {\"KeyId\": \"1234\", \"KeyManager\": \"AWS\", \"KeyState\": \"Enabled\"}}"
#define KEY_POLICY(condition)                                                                             \
  "{\"PolicyName\": \"default\", \"Policy\": \"{\\\"Version\\\": \\\"2012-10-17\\\", \\\"Statement\\\": " \
  "[{\\\"Effect\\\": "                                                                                    \
  "\\\"Allow\\\", \\\"Principal\\\": {\\\"AWS\\\": \\\"*\\\"}, \\\"Action\\\": [\\\"kms:Decrypt\\\"], "   \
  "\\\"Resource\\\": "                                                                                    \
  "\\\"*\\\"" condition "}]}\"}"

#define ATTACHMENT(state, gateway, network)                                                                \
  "<DescribeTransitGatewayAttachmentsResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">"         \
  "<requestId>r</requestId><transitGatewayAttachments><item><transitGatewayAttachmentId>tgw-attach-1"      \
  "</transitGatewayAttachmentId><transitGatewayId>tgw-1</transitGatewayId><transitGatewayOwnerId>" gateway \
  "</transitGatewayOwnerId><resourceOwnerId>" network                                                      \
  "</resourceOwnerId><resourceType>vpc</resourceType><resourceId>"                                         \
  "vpc-1</resourceId><state>" state                                                                        \
  "</state></item></transitGatewayAttachments>"                                                            \
  "</DescribeTransitGatewayAttachmentsResponse>"
#define OURS "111111111111"
#define THEIRS "888888888888"

static const struct documented rows[] = {
    {"a stranger's network on our transit gateway",
     "transit-gateway-with-strangers",
     "tgw-attach-1",
     {OK(ATTACHMENT("available", OURS, THEIRS))},
     1,
     1,
     NULL},
    {"our network on a stranger's transit gateway, asked for",
     "transit-gateway-with-strangers",
     "tgw-attach-1",
     {OK(ATTACHMENT("pendingAcceptance", THEIRS, OURS))},
     1,
     1,
     NULL},
    {"our network on our gateway",
     "transit-gateway-with-strangers",
     "tgw-attach-1",
     {OK(ATTACHMENT("available", OURS, OURS))},
     1,
     0,
     NULL},
    {"a stranger's that was rejected",
     "transit-gateway-with-strangers",
     "tgw-attach-1",
     {OK(ATTACHMENT("rejected", OURS, THEIRS))},
     1,
     0,
     NULL},
    {"a queue for everybody",
     "queue-policy-public",
     "q",
     {OK(QUEUE), OK(QUEUE_POLICY(""))},
     2,
     1,
     "sqs.SetQueueAttributes"},
    {"a queue for one account",
     "queue-policy-public",
     "q",
     {OK(QUEUE), OK(QUEUE_POLICY(", \\\"Condition\\\": {\\\"StringEquals\\\": {\\\"aws:SourceAccount\\\": "
                                 "\\\"111111111111\\\"}}"))},
     2,
     0,
     NULL},
    {"a queue without a policy: no Attributes at all", "queue-policy-public", "q", {OK(QUEUE), OK("{}")}, 2, 0, NULL},
    {"root with an access key", "root-unprotected", "root", {OK(SUMMARY(1, 1))}, 1, 1, NULL},
    {"root without a device", "root-unprotected", "root", {OK(SUMMARY(0, 0))}, 1, 1, NULL},
    {"root as it should be", "root-unprotected", "root", {OK(SUMMARY(0, 1))}, 1, 0, NULL},
    {"a trail with the selector that AWS gives it",
     "trail-weakened",
     "audit",
     {OK(TRAIL("111111111111", "false")), OK(DEFAULT_SELECTORS)},
     2,
     0,
     NULL},
    {"a trail of writes",
     "trail-weakened",
     "audit",
     {OK(TRAIL("111111111111", "false")), OK(WRITES_ONLY)},
     2,
     1,
     "cloudtrail.PutEventSelectors"},
    {"the organization's trail is not a member's to change",
     "trail-weakened",
     "audit",
     {OK(TRAIL("999999999999", "true")), OK(WRITES_ONLY)},
     2,
     0,
     NULL},
    {"a key that AWS manages: everybody of the account, by way of a service",
     "key-policy-public",
     "1234",
     {OK(KEY), OK(KEY_POLICY(", \\\"Condition\\\": {\\\"StringEquals\\\": {\\\"kms:CallerAccount\\\": "
                             "\\\"111111111111\\\", \\\"kms:ViaService\\\": \\\"ec2.eu-west-1.amazonaws.com\\\"}}"))},
     2,
     0,
     NULL},
    {"a key for everybody by way of a service is for everybody",
     "key-policy-public",
     "1234",
     {OK(KEY), OK(KEY_POLICY(", \\\"Condition\\\": {\\\"StringEquals\\\": {\\\"kms:ViaService\\\": "
                             "\\\"ec2.eu-west-1.amazonaws.com\\\"}}"))},
     2,
     1,
     "kms.PutKeyPolicy"},
};

/* The first call that the steps would make; NULL: none. */
static const char *first_call(const struct guardrail *guardrail, const struct live *live, json_t *finding,
                              json_t **plan) {
  struct view view;
  struct error error = {0};
  view_open(&view, guardrail, &place, live, NULL);
  view_add(&view, "finding", finding);
  *plan = steps_plan(guardrail->remediate, guardrail->remediate_count, view_scope(&view), "test", &error);
  view_close(&view);
  const char *call = json_text_at(json_array_get(*plan, 0), "call", NULL);
  return *call ? call : NULL;
}

static void check_row(const struct bundle *bundle, const struct documented *row) {
  struct fake fake;
  struct error error = {0};
  struct aws_client *client = fake_open(&fake, row->answers, row->count);
  const struct guardrail *guardrail = bundle_guardrail(bundle, row->guardrail);
  struct reader reader = {.client = client};
  unsigned char wanted[64] = {0};
  int found;
  assert_non_null(client);
  assert_non_null(guardrail);
  guardrail_wants(guardrail, wanted);
  struct live *live = live_get(&reader, &place, guardrail->resource, row->id, wanted, &found, &error);
  if (!live) fail_msg("%s: %s", row->name, error.message);
  json_t *finding = guardrail_judge(guardrail, &place, live, NULL, &error), *plan = NULL;
  if (!finding) fail_msg("%s: %s", row->name, error.message);
  if (json_is_empty(finding) == row->found) fail_msg("%s: %s", row->name, row->found ? "nothing found" : "found");
  const char *call = row->found ? first_call(guardrail, live, finding, &plan) : NULL;
  if ((call == NULL) != (row->call == NULL) || (call && strcmp(call, row->call) != 0))
    fail_msg("%s: the call is %s", row->name, call ? call : "none");
  json_decref(plan);
  json_decref(finding);
  live_free(live);
  fake_close(&fake, client);
}

static void test_what_aws_answers(void **state) {
  (void)state;
  struct error error = {0};
  if (access("build/models", R_OK) != 0) skip();
  fake_environment();
  struct bundle *bundle = bundle_load("worker/playbooks", NULL, &error);
  assert_non_null(bundle);
  place.organization = json_pack("[s]", place.account);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) check_row(bundle, &rows[i]);
  json_decref(place.organization);
  bundle_drop(bundle);
}
