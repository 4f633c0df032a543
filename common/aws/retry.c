#include "aws/retry.h"

#include <string.h>

#define COST_RETRY 5
#define COST_TIMEOUT 10
#define RETURN_WITHOUT_RETRY 1
#define BACKOFF_LIMIT_MS 20000

/* ---- quota ---- */

static uint64_t hash_text(uint64_t hash, const char *text) { /* FNV-1a, the NUL included */
  do {
    hash = (hash ^ (unsigned char)*text) * 1099511628211u;
  } while (*text++);
  return hash;
}

struct aws_quota aws_quota_of(struct aws_quotas *quotas, const char *account, const char *region, const char *service) {
  uint64_t hash = hash_text(hash_text(hash_text(14695981039346656037u, account), region), service);
  return (struct aws_quota){.used = &quotas->used[(hash ^ (hash >> 32)) % AWS_QUOTAS]};
}

int aws_quota_take(struct aws_quota *quota, int timed_out) {
  int cost = timed_out ? COST_TIMEOUT : COST_RETRY;
  int used = atomic_load(quota->used);
  do {
    if (used + cost > AWS_QUOTA_FULL) return -1;
  } while (!atomic_compare_exchange_weak(quota->used, &used, used + cost));
  quota->taken = cost;
  return 0;
}

void aws_quota_return(struct aws_quota *quota) {
  int back = quota->taken ? quota->taken : RETURN_WITHOUT_RETRY;
  int used = atomic_load(quota->used);
  while (used > 0 && !atomic_compare_exchange_weak(quota->used, &used, used > back ? used - back : 0)) continue;
}

int aws_quota_left(const struct aws_quota *quota) { return AWS_QUOTA_FULL - atomic_load(quota->used); }

/* ---- what is retried ---- */

static int listed(const char *text, const char *const *list) {
  for (; *list; list++)
    if (strcmp(text, *list) == 0) return 1;
  return 0;
}

/* botocore/retries/standard.py: ThrottledRetryableChecker and TransientRetryableChecker. */
static const char *const retried_codes[] = {
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottledException",
    "TooManyRequestsException",
    "ProvisionedThroughputExceededException",
    "TransactionInProgressException",
    "RequestLimitExceeded",
    "BandwidthLimitExceeded",
    "LimitExceededException",
    "RequestThrottled",
    "SlowDown",
    "PriorRequestNotComplete",
    "EC2ThrottledException",
    "RequestTimeout",
    "RequestTimeoutException",
    NULL,
};

/* Does the model mark this error of the operation as retryable? */
static int modeled(const struct aws_service *service, const struct aws_operation *operation, const char *code) {
  if (!service || !operation || !*code) return 0;
  json_t *errors = json_object_get(aws_operation_definition(operation), "errors"), *item;
  size_t index;
  json_array_foreach(errors, index, item) {
    const char *name = json_text_at(item, "shape", NULL);
    const json_t *shape = aws_service_shape(service, name);
    if (!json_object_get(shape, "retryable")) continue;
    const char *wire = json_text_at(shape, "error", "code", NULL);
    if (strcmp(code, *wire ? wire : name) == 0) return 1;
  }
  return 0;
}

/* STS cannot reach the identity provider: botocore's special case. */
static int identity_provider_failed(const struct aws_service *service, const char *code) {
  return service && strcmp(aws_service_name(service), "sts") == 0 && strcmp(code, "IDPCommunicationError") == 0;
}

int aws_retry_wanted(const struct aws_service *service, const struct aws_operation *operation, int status,
                     const struct error *error) {
  if (status == 0) return error->class == ERROR_RETRYABLE;
  if (status == 500 || status == 502 || status == 503 || status == 504) return 1;
  if (error->class == ERROR_THROTTLED || listed(error->code, retried_codes)) return 1;
  return identity_provider_failed(service, error->code) || modeled(service, operation, error->code);
}

int64_t aws_retry_delay_ms(int attempt, double random) {
  int64_t most = attempt > 15 ? BACKOFF_LIMIT_MS : (int64_t)1000 << (attempt > 1 ? attempt - 1 : 0);
  if (most > BACKOFF_LIMIT_MS) most = BACKOFF_LIMIT_MS;
  return (int64_t)(random * (double)most);
}

int aws_retry_is_skew(const char *code) {
  static const char *const certain[] = {"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture", NULL};
  static const char *const possible[] = {"InvalidSignatureException", "SignatureDoesNotMatch", "AuthFailure", NULL};
  if (listed(code, certain)) return 2;
  return listed(code, possible);
}

int aws_retry_is_expired(const char *code) {
  /* EC2 says RequestExpired for a late clock and for a session that has ended: the caller looks at the clock first. */
  static const char *const codes[] = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired",
                                      NULL};
  return listed(code, codes);
}
