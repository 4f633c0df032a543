/* How often what may be called: buckets as AWS publishes them, and the pace of AssumeRole.  Internal to common/aws;
 * thread-safe, lock-free. */
#ifndef PARAPET_AWS_BUDGET_H
#define PARAPET_AWS_BUDGET_H

#include <stdatomic.h>
#include <stdint.h>

#include "aws/aws.h"

/* One bucket's state: the time (µs) at which it will be full again.  Zeroed memory is a full bucket. */
typedef _Atomic int64_t aws_bucket;

/* Takes one token, now or from the future: how long to wait for it in µs (0: none), or -1, with nothing taken, when
 * that would be over `most_us`.  (GCRA: equal to a token bucket of `burst` that refills at `per_second`.) */
int64_t aws_bucket_take(aws_bucket *bucket, double burst, double per_second, int64_t now_us, int64_t most_us);

/* Accounts × Regions × classes share this table by hash: two that meet are both a little more careful, and only while
 * both are busy, since a bucket at rest is full for everybody. */
#define AWS_BUDGET_BUCKETS 65536
struct aws_budgets {
  aws_bucket buckets[AWS_BUDGET_BUCKETS];
};

/* The published bucket of an operation ("ec2", "DescribeInstances"; params decide whether it is filtered): fills class,
 * burst, per_second. */
void aws_budget_classify(const char *service, const char *operation, const json_t *params,
                         struct aws_budget_call *call);
/* The local implementation of the hook; burst and rate already scaled. */
int64_t aws_budget_local(struct aws_budgets *budgets, const struct aws_budget_call *call, int64_t now_ms);

#define AWS_CODE_BUDGET "BudgetExceeded"

#endif
