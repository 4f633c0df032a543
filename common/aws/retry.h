/* Retries: botocore's standard mode.  Internal to common/aws; thread-safe. */
#ifndef PARAPET_AWS_RETRY_H
#define PARAPET_AWS_RETRY_H

#include <stdatomic.h>
#include <stdint.h>

#include "aws/model.h"

/* Botocore keeps one quota a client object, that is per account, Region and service, so that one of them in trouble
 * does not use up the retries of the others.  Here they share a table of fixed size by hash: two that meet in one
 * place share a quota, which only makes both a little more careful. */
#define AWS_QUOTAS 4096
#define AWS_QUOTA_FULL 500
struct aws_quotas {
  _Atomic int used[AWS_QUOTAS]; /* AWS_QUOTA_FULL minus what is left: zeroed memory is a full quota */
};
struct aws_quota { /* one call's view of it; not shared */
  _Atomic int *used;
  int taken; /* by the last retry */
};
struct aws_quota aws_quota_of(struct aws_quotas *quotas, const char *account, const char *region, const char *service);
/* Takes the price of one retry; 0, or -1 when too little is left. */
int aws_quota_take(struct aws_quota *quota, int timed_out);
/* The call got a 2xx: what its last retry took, or 1, goes back. */
void aws_quota_return(struct aws_quota *quota);
int aws_quota_left(const struct aws_quota *quota);

/* Would botocore's standard mode try again?  status 0: no answer at all (error: the transport's). */
int aws_retry_wanted(const struct aws_service *service, const struct aws_operation *operation, int status,
                     const struct error *error);
/* How long before the attempt after `attempt` (1-based): random × min(2^(attempt-1), 20 s).  0 <= random < 1. */
int64_t aws_retry_delay_ms(int attempt, double random);
/* 2 when the code says the clocks differ, 1 when it may be the reason (the signature is refused), 0 otherwise. */
int aws_retry_is_skew(const char *code);
/* Does the code say that the session's credentials are no longer good? */
int aws_retry_is_expired(const char *code);

/* The transport's code for a time-out, in struct error. */
#define AWS_CODE_TIMEOUT "RequestTimedOut"
#define AWS_CODE_DEADLINE "DeadlineExceeded"

#endif
