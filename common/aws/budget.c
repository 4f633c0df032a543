/* Budgets: staying below AWS's throttles instead of running into them.
 *
 * The account's owner and their tools draw from the same buckets as Parapet: a throttle that we run into is one that
 * they run into as well.  So every attempt first takes a token from a bucket of its account, Region and class, sized as
 * AWS publishes it.  Where AWS publishes nothing, the numbers are ours, and generous.
 *
 * Sources: EC2: https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html (each action has a bucket of
 * its own).  STS: 600/s an account and Region,
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html. Route 53: 5/s an account,
 * https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html.  S3: 5,500 reads and 3,500 writes a
 * second and prefix, https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html. CloudTrail:
 * LookupEvents 2/s, https://docs.aws.amazon.com/awscloudtrail/latest/userguide/WhatIsCloudTrail-Limits.html. */
#include "aws/budget.h"

#include <stdio.h>
#include <string.h>

/* ---- one bucket ---- */

int64_t aws_bucket_take(aws_bucket *bucket, double burst, double per_second, int64_t now_us, int64_t most_us) {
  int64_t interval = (int64_t)(1e6 / per_second), depth = (int64_t)(burst * 1e6 / per_second);
  int64_t full = atomic_load(bucket), next, wait;
  do {
    next = (full > now_us ? full : now_us) + interval;
    wait = next - depth - now_us;
    if (wait < 0) wait = 0;
    if (wait > most_us) return -1;
  } while (!atomic_compare_exchange_weak(bucket, &full, next));
  return wait;
}

/* ---- which bucket ---- */

struct rate {
  double burst, per_second;
};

/* EC2 actions with a bucket of their own size, of those that guardrails are likely to use. */
static const struct {
  const char *operation;
  struct rate rate;
} ec2_actions[] = {
    {"AcceptVpcEndpointConnections", {10, 1}},
    {"AssociateIamInstanceProfile", {100, 5}},
    {"CopyImage", {100, 1}},
    {"CreateNatGateway", {10, 1}},
    {"CreateNetworkInterface", {100, 5}},
    {"CreateSnapshot", {100, 5}},
    {"CreateSnapshots", {100, 5}},
    {"CreateTags", {100, 10}},
    {"CreateVolume", {100, 5}},
    {"CreateVpcEndpoint", {4, 0.3}},
    {"DeleteNatGateway", {10, 1}},
    {"DeleteNetworkInterface", {100, 5}},
    {"DeleteSnapshot", {100, 5}},
    {"DeleteTags", {100, 10}},
    {"DeleteVolume", {100, 5}},
    {"DeleteVpcEndpoints", {4, 0.3}},
    {"DeregisterImage", {100, 5}},
    {"DescribeSecurityGroupReferences", {20, 5}},
    {"DescribeStaleSecurityGroups", {20, 5}},
    {"DisableImageBlockPublicAccess", {1, 0.1}},
    {"DisableSnapshotBlockPublicAccess", {1, 0.1}},
    {"DisassociateIamInstanceProfile", {100, 5}},
    {"EnableImageBlockPublicAccess", {1, 0.1}},
    {"EnableSnapshotBlockPublicAccess", {1, 0.1}},
    {"ModifyImageAttribute", {100, 5}},
    {"ModifyInstanceMetadataDefaults", {2, 2}},
    {"ModifyInstanceMetadataOptions", {100, 5}},
    {"ModifyNetworkInterfaceAttribute", {100, 5}},
    {"ModifySnapshotAttribute", {100, 5}},
    {"ModifyVpcEndpoint", {4, 0.3}},
};

/* Without filter and page size these draw from a smaller bucket. */
static const char *const ec2_lists[] = {
    "DescribeInstances", "DescribeInstanceStatus",       "DescribeNetworkInterfaces", "DescribeSecurityGroups",
    "DescribeSnapshots", "DescribeSpotInstanceRequests", "DescribeVolumes",
};

static const struct rate ec2_read = {100, 20}, ec2_list = {50, 10}, ec2_write = {50, 5};

/* The others: one bucket a service for reads and one for writes. */
static const struct {
  const char *service, *operation; /* operation NULL: any */
  struct rate read, write;
  int global; /* the bucket is the account's, in whatever Region it is asked */
} services[] = {
    {"sts", NULL, {600, 600}, {600, 600}, 0},
    {"route53", NULL, {5, 5}, {5, 5}, 1},
    {"s3", NULL, {5500, 5500}, {3500, 3500}, 0},
    {"cloudtrail", "LookupEvents", {2, 2}, {2, 2}, 0},
};
/* Nothing is published that holds for all the rest. */
static const struct rate other_read = {100, 50}, other_write = {50, 20};

static int is_bare_list(const char *operation, const json_t *params) {
  static const char *const narrowed_by[] = {"Filters", "MaxResults", "NextToken"};
  for (size_t i = 0; i < sizeof narrowed_by / sizeof *narrowed_by; i++)
    if (json_object_get(params, narrowed_by[i])) return 0;
  for (size_t i = 0; i < sizeof ec2_lists / sizeof *ec2_lists; i++)
    if (strcmp(ec2_lists[i], operation) == 0) return 1;
  return 0;
}

static struct rate ec2_rate(const char *operation, const json_t *params, int reads) {
  for (size_t i = 0; i < sizeof ec2_actions / sizeof *ec2_actions; i++)
    if (strcmp(ec2_actions[i].operation, operation) == 0) return ec2_actions[i].rate;
  if (!reads) return ec2_write;
  return is_bare_list(operation, params) ? ec2_list : ec2_read;
}

static void set(struct aws_budget_call *call, struct rate rate) {
  call->burst = rate.burst;
  call->per_second = rate.per_second;
}

static void classify_other(const char *service, const char *operation, int reads, struct aws_budget_call *call) {
  snprintf(call->class, sizeof call->class, "%s:%s", service, reads ? "read" : "write");
  set(call, reads ? other_read : other_write);
  for (size_t i = 0; i < sizeof services / sizeof *services; i++) {
    if (strcmp(services[i].service, service) != 0) continue;
    if (services[i].operation && strcmp(services[i].operation, operation) != 0) continue;
    if (services[i].operation) snprintf(call->class, sizeof call->class, "%s:%s", service, operation);
    set(call, reads ? services[i].read : services[i].write);
    if (services[i].global) call->region = "";
    return;
  }
}

void aws_budget_classify(const char *service, const char *operation, const json_t *params,
                         struct aws_budget_call *call) {
  char name[160];
  snprintf(name, sizeof name, "%s.%s", service, operation);
  int reads = aws_operation_reads(name);
  if (strcmp(service, "ec2") != 0) {
    classify_other(service, operation, reads, call);
    return;
  }
  set(call, ec2_rate(operation, params, reads));
  int bare = reads && is_bare_list(operation, params);
  snprintf(call->class, sizeof call->class, "ec2:%s%s", operation, bare ? ":all" : "");
}

/* ---- the local implementation ---- */

static uint64_t hash_text(uint64_t hash, const char *text) { /* FNV-1a, the NUL included */
  do {
    hash = (hash ^ (unsigned char)*text) * 1099511628211u;
  } while (*text++);
  return hash;
}

int64_t aws_budget_local(struct aws_budgets *budgets, const struct aws_budget_call *call, int64_t now_ms) {
  uint64_t hash = hash_text(hash_text(hash_text(14695981039346656037u, call->account), call->region), call->class);
  aws_bucket *bucket = &budgets->buckets[(hash ^ (hash >> 32)) % AWS_BUDGET_BUCKETS];
  int64_t left = (call->deadline_ms - now_ms) * 1000;
  int64_t wait = aws_bucket_take(bucket, call->burst, call->per_second, now_ms * 1000, left > 0 ? left : 0);
  return wait < 0 ? -1 : (wait + 999) / 1000;
}
