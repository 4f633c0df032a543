/* The client's inside.  Internal to common/aws and its tests. */
#ifndef PARAPET_AWS_CLIENT_INTERNAL_H
#define PARAPET_AWS_CLIENT_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "aws/budget.h"
#include "aws/credentials.h"
#include "aws/endpoint.h"
#include "aws/model.h"
#include "aws/protocol.h"
#include "aws/retry.h"

/* Time and chance, replaceable in tests.  NULL members: the real thing. */
struct aws_hooks {
  int64_t (*monotonic_ms)(void *context);
  int64_t (*wall_ms)(void *context);
  void (*sleep_ms)(void *context, int64_t milliseconds);
  double (*random)(void *context); /* 0 <= r < 1 */
  void *context;
  int no_thread; /* no background refresh: the test calls aws_sessions_refresh */
};

struct aws_client {
  char *endpoint_url, *hub_region; /* endpoint_url: NULL when not overridden by options */
  char *profile_endpoint_url;      /* of the shared config file; comes after the environment's; may be NULL */
  json_t *profile_services;        /* the same for single services: {"s3.endpoint_url": "…"}; may be NULL */
  int64_t call_timeout_ms;
  int max_attempts;
  struct aws_transport transport;
  struct aws_curl *curl; /* NULL when the transport is the caller's */
  struct aws_hooks hooks;
  struct aws_models *models;
  struct aws_partitions *partitions;
  struct aws_sessions *sessions;
  struct aws_quotas quotas;
  int budget_percent, assume_per_second;
  struct aws_budget budget;    /* take NULL: our own buckets */
  struct aws_budgets *budgets; /* NULL: no budget, or the caller's */
  aws_bucket assume_bucket;
  _Atomic int64_t skew_ms; /* AWS's clock minus ours */
  int use_fips, use_dualstack;
  /* Resolved endpoints by service and parameters: an object of immutable objects, replaced when it has grown. */
  pthread_mutex_t endpoints_lock;
  json_t *endpoints;
  json_t *buckets; /* "partition/bucket" to the Region where it lives; same lock, bounded as well */
  _Atomic uint64_t calls, attempts, retries, throttled, denied, failed, assumed, delayed, refused;
};

/* aws_open with a clock of one's own; `hooks` is copied, NULL: none. */
struct aws_client *aws_open_with(const struct aws_options *options, const struct aws_hooks *hooks, struct error *error);

int64_t aws_client_now(struct aws_client *client);      /* monotonic ms */
int64_t aws_client_aws_time(struct aws_client *client); /* wall ms, by AWS's clock as far as known */
void aws_client_sleep(struct aws_client *client, int64_t milliseconds);

/* A call as whoever: exactly one of `session` and `credentials`, or neither for an unsigned call. */
struct aws_invocation {
  const char *operation, *account, *region; /* account: "" when unknown; it only separates retry quotas */
  struct aws_session *session;
  struct aws_credentials *credentials;
};
json_t *aws_client_invoke(struct aws_client *client, const struct aws_invocation *invocation, json_t *params,
                          const struct aws_call_options *options, struct error *error);

int aws_operation_is_unsigned(const struct aws_operation *operation);
/* S3: does the path begin with the bucket, which the endpoint holds already? */
int aws_operation_has_bucket(const struct aws_service *service, const struct aws_operation *operation);

/* Where a call goes and how it is signed: {"url", "headers", "signing_region", "signing_name", "plain_path" (bool: S3's
 * path rules), "plain_host" (bool: no host prefix)}.  New reference to an immutable object, or NULL with *error. */
json_t *aws_client_endpoint(struct aws_client *client, const struct aws_service *service,
                            const struct aws_operation *operation, const char *region, const json_t *params,
                            struct error *error);

/* ---- s3.c ---- */
#define AWS_REGION_SIZE 64
int aws_s3_is(const struct aws_service *service);
/* Is it known that params' bucket lives in another Region than asked for?  1 with `found`, or 0. */
int aws_s3_region_of(struct aws_client *client, const char *region, const json_t *params, char found[AWS_REGION_SIZE]);
/* Does this failed answer mean that the bucket lives elsewhere?  1 with `region`, which is remembered; or 0.  May call
 * HeadBucket to find out where. */
int aws_s3_redirected(struct aws_client *client, const struct aws_invocation *invocation, const json_t *params,
                      const struct aws_http_response *response, const char *code, int64_t deadline_ms,
                      char region[AWS_REGION_SIZE]);
/* The status that a failed answer should have had: 500 for an <Error> in a 200, and for a 200 that was cut off, which
 * also becomes retryable. */
int aws_s3_status(const struct aws_http_response *response, struct error *error);

/* ---- HTTP pieces ---- */
/* Appends copies; 0, or -1 when memory is out.  For transports. */
int aws_http_response_add_header(struct aws_http_response *response, const char *name, size_t name_length,
                                 const char *value, size_t value_length);
/* A header's value by its name in any case; NULL when there is none. */
const char *aws_http_response_header(const struct aws_http_response *response, const char *name);
/* "Tue, 24 Nov 2026 22:04:05 GMT" to wall ms; 0, or -1. */
int aws_http_date(const char *text, int64_t *wall_ms);

/* The request as it goes out: URL joined, headers, signed.  Freed by aws_wire_free. */
struct aws_wire {
  struct aws_http_request request;
  char *url;
  struct aws_http_header *headers;
  void *signature; /* struct sigv4_result */
};
struct aws_wire_options {
  json_t *endpoint;                          /* of aws_client_endpoint */
  const struct aws_credentials *credentials; /* NULL: unsigned */
  int strip_bucket;                          /* S3: the endpoint has the bucket already */
  int64_t wall_ms;                           /* time of signing */
};
int aws_wire_make(const struct aws_request *request, const struct aws_wire_options *options, struct aws_wire *wire,
                  struct error *error);
void aws_wire_free(struct aws_wire *wire);

/* ---- transport_curl.c ---- */
struct aws_curl;
/* NULL with *error when libcurl cannot be set up.  *transport is valid until aws_curl_close. */
struct aws_curl *aws_curl_open(size_t response_limit, struct aws_transport *transport, struct error *error);
void aws_curl_close(struct aws_curl *curl);

#endif
