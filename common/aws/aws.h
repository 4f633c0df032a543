/* The AWS client: any operation of any service, by name, JSON in and JSON out, driven by botocore's service models.
 *
 *   struct aws_target there = {.account = "111111111111", .region = "eu-west-1", .role = &role};
 *   json_t *groups = aws_call(client, &there, "ec2.DescribeSecurityGroups", params, NULL, &error);
 *
 * "service" is botocore's directory name ("ec2", "iam", "elbv2").  Parameters and results have the models' member
 * names; timestamps are RFC 3339 strings in results (any of RFC 3339 or epoch seconds in parameters), blobs base64.
 *
 * Every call has a deadline, retries as botocore's standard mode, and ends with a result or an error whose class says
 * what to do next.  Thread-safe throughout; calls block the calling thread.  No credential ever reaches an error. */
#ifndef PARAPET_AWS_AWS_H
#define PARAPET_AWS_AWS_H

#include <stdint.h>

#include "base/error.h"
#include "json/value.h"

struct aws_client;

/* ---- transport: the seam for tests is here, at the network ---- */
struct aws_http_header {
  const char *name, *value;
};
struct aws_http_request {
  const char *method, *url; /* url complete and already encoded */
  const struct aws_http_header *headers;
  size_t header_count;
  const char *body;
  size_t body_length;
  int64_t deadline_ms; /* clock_monotonic_ms() at which to give up */
};
struct aws_http_response { /* filled by the transport; freed by aws_http_response_free */
  int status;
  struct aws_http_header *headers;
  size_t header_count;
  char *body; /* NULL, or with a NUL behind body_length */
  size_t body_length;
};
struct aws_transport {
  /* 0 with *response, or -1 with *error (RETRYABLE for network faults and time-outs, INVALID for an answer over the
   * size limit).  Called by many threads at once. */
  int (*perform)(void *context, const struct aws_http_request *request, struct aws_http_response *response,
                 struct error *error);
  void *context;
};
void aws_http_response_free(struct aws_http_response *response);

/* ---- budget: before each attempt ---- */
struct aws_budget_call {
  const char *account;      /* "": the base credentials' own */
  const char *region;       /* "" where the account has one bucket for all Regions */
  char class[128];          /* what shares a bucket there: "ec2:DescribeInstances", "iam:write" */
  double burst, per_second; /* the bucket that AWS publishes, scaled by budget_percent; else ours */
  const char *operation;    /* "ec2.DescribeInstances" */
  int attempt;              /* 1, 2 … */
  int64_t deadline_ms;      /* the call's: a longer wait is as good as a refusal */
};
struct aws_budget {
  /* How many milliseconds to wait before this attempt is sent (the client sleeps, never past the deadline; too long:
   * the call ends THROTTLED, "BudgetExceeded"), or -1 to refuse it with *error (THROTTLED).  Called by many threads. */
  int64_t (*take)(void *context, const struct aws_budget_call *call, struct error *error);
  void *context;
  /* AWS throttled this attempt all the same.  May be NULL. */
  void (*throttled)(void *context, const struct aws_budget_call *call);
};

/* ---- client ---- */
struct aws_options {
  const char *models;       /* directory of the compiled models (`make models`) */
  const char *endpoint_url; /* NULL: AWS_ENDPOINT_URL from the environment, else the endpoint rules */
  const char *hub_region;   /* Region of the base credentials' own calls; NULL: AWS_REGION, AWS_DEFAULT_REGION, the
                               profile's, us-east-1 */
  int64_t call_timeout_ms;  /* one attempt; 0: 20 s */
  int max_attempts;         /* 0: 3, as botocore's standard mode */
  size_t response_limit;    /* bytes; 0: 32 MiB */
  const struct aws_transport *transport; /* NULL: libcurl */
  int budget_percent;                    /* how much of AWS's published buckets this process may use; 0: no budget */
  const struct aws_budget *budget; /* asked instead of the client's own, process-wide buckets; copied; NULL: those */
  int assume_per_second;           /* AssumeRole's pace, with as much again as a burst; 0: 50 (STS allows an account
                                      600/s in a Region, which the whole fleet and everybody else in the hub share) */
};
struct aws_client *aws_open(const struct aws_options *options, struct error *error);
void aws_close(struct aws_client *client); /* NULL accepted; no call may be running */
/* How the client reaches the network, for whatever else speaks HTTP; valid until aws_close. */
const struct aws_transport *aws_client_transport(const struct aws_client *client);
/* Frees what the calling thread keeps (its connections); give it to pool_options.thread_end. */
void aws_thread_end(void);

/* Session policies for a set of operations, split where one would pass STS's 2,048 characters.  Immutable. */
struct aws_policies;
/* groups: array whose elements are arrays of operations (["ec2.RevokeSecurityGroupIngress", …], kept in one policy
 * where it fits) or single operations; borrowed.  NULL with *error when even 64 policies do not hold them. */
struct aws_policies *aws_policies_make(const json_t *groups, struct error *error);
void aws_policies_free(struct aws_policies *policies); /* NULL accepted */
size_t aws_policies_count(const struct aws_policies *policies);
const char *aws_policies_text(const struct aws_policies *policies, size_t index);
/* The policy that allows the operation; the first (which does not) where none does: AWS refuses it then.  NULL when
 * there is no policy at all. */
const char *aws_policies_for(const struct aws_policies *policies, const char *operation);

/* Whom to become in an account.  Strings are the caller's and must live as long as the calls. */
struct aws_role {
  const char *name;                    /* role name or path/name; NULL or "": use the base credentials as they are */
  const char *external_id;             /* may be NULL */
  const char *session_name;            /* 2-64 of [\w+=,.@-]; NULL: "parapet" */
  const char *source_identity;         /* may be NULL */
  const json_t *tags;                  /* session tags, {key: value} of at most 50; may be NULL */
  const char *session_policy;          /* inline session policy, JSON text of at most 2,048 characters; may be NULL */
  const struct aws_policies *policies; /* in its place: each call uses the policy that allows it; may be NULL */
};
struct aws_target {
  const char *account;         /* 12 digits; may be NULL when role is NULL */
  const char *region;          /* "eu-west-1"; for a global service any Region of the partition does */
  const struct aws_role *role; /* NULL: base credentials */
};

struct aws_call_options {
  int64_t deadline_ms; /* clock_monotonic_ms() by which everything, retries included, has ended; 0: 60 s from now */
  int one_attempt;     /* no retry by the client (the caller journals each try) */
  char *request_id;    /* out, may be NULL: at least 96 bytes; the last attempt's id, also after a failure */
  int *status;         /* out, may be NULL: the last answer's HTTP status; 0: there was none */
  /* Asked right before each attempt is sent, when it has waited for credentials and budget: 0, or -1 with *error, with
   * which the call then ends, unsent.  May be NULL. */
  int (*before_send)(void *argument, struct error *error);
  void *argument; /* before_send's */
};

/* `operation` is "service.Operation".  params: borrowed, may be NULL; idempotency tokens that are absent are filled in.
 * New result object (without ResponseMetadata), or NULL with *error: where = the operation; class by code and status:
 * THROTTLED (botocore's throttling codes, 429), DENIED (AccessDenied*, UnauthorizedOperation, *Token*, 401/403),
 * MISSING (codes with NotFound / NoSuch / DoesNotExist, 404), RETRYABLE (5xx, network, time-out), INVALID (other 4xx
 * and parameters that do not fit the model), FATAL (an answer that is none, e.g. HTML: "not implemented" endpoints
 * too). */
json_t *aws_call(struct aws_client *client, const struct aws_target *target, const char *operation, json_t *params,
                 const struct aws_call_options *options, struct error *error);

/* Runs an operation through its paginator to the end (once, where it has none) and gives each page (borrowed) to
 * `page`, which returns 0 to go on, anything else to stop.  0, or -1 with *error.  Repeated tokens are refused (FATAL).
 */
int aws_paginate(struct aws_client *client, const struct aws_target *target, const char *operation, json_t *params,
                 const struct aws_call_options *options, int (*page)(json_t *result, void *argument), void *argument,
                 struct error *error);

/* ---- waiters: "until it is so", from the models ---- */
enum aws_wait_result {
  AWS_WAIT_FAILED = -1, /* the call failed, and the waiter has nothing to say about that error: *error is the call's */
  AWS_WAIT_AGAIN,       /* not yet: ask again in wait->delay_ms */
  AWS_WAIT_SUCCESS,
  AWS_WAIT_FAILURE /* it will not become so (INVALID, "WaiterFailure"), or was asked for as often as the model allows
                      (RETRYABLE, "WaiterAttempts"): *error says which */
};
struct aws_wait {   /* all that is to be kept between two steps; zeroed at first */
  int attempts;     /* calls made */
  int64_t delay_ms; /* out: until the next step is worth while */
};
/* One call of the waiter's operation ("ec2.InstanceTerminated", params as the operation's), judged by its acceptors as
 * botocore does.  Never sleeps but for the call itself: the caller may store wait->attempts and come back. */
enum aws_wait_result aws_wait_step(struct aws_client *client, const struct aws_target *target, const char *waiter,
                                   json_t *params, const struct aws_call_options *options, struct aws_wait *wait,
                                   struct error *error);
/* Steps until success (0), or -1 with *error: as the steps say, or RETRYABLE "DeadlineExceeded" when the next step
 * would begin behind deadline_ms (clock_monotonic_ms(); it is never slept past).  Failed calls that may pass by
 * themselves count as steps that say "not yet". */
int aws_wait_until(struct aws_client *client, const struct aws_target *target, const char *waiter, json_t *params,
                   int64_t deadline_ms, struct error *error);
/* 0 with the operation that the waiter calls ("ec2.DescribeInstances") in `operation` (may be NULL), or -1 with *error
 * (MISSING, message with the nearest name).  No network. */
int aws_model_waiter(struct aws_client *client, const char *waiter, char *operation, size_t size, struct error *error);

/* Is the role session's issuer the role that we assume there?  Its ARN, e.g.
 * "arn:aws:iam::111111111111:role/parapet-worker", into `arn`; partition by the Region. */
void aws_role_arn(const struct aws_target *target, char *arn, size_t size);
/* "aws", "aws-cn", "aws-us-gov", … of a Region (partitions.json's regex; "aws" when unknown). */
const char *aws_partition(struct aws_client *client, const char *region);

/* ---- models: what validation, `parapet iam` and editors need; no network ---- */
/* 0, or -1 with *error (MISSING, message with the nearest name) when the operation is not in the models. */
int aws_model_operation(struct aws_client *client, const char *operation, struct error *error);
/* Checks parameters (templates allowed: a string that is one whole "${…}" fits any shape) against the input shape:
 * unknown member, missing required one, wrong type.  0, or -1 with *error: where = JSON pointer of the mistake. */
int aws_model_check_input(struct aws_client *client, const char *operation, const json_t *params, struct error *error);
/* Does the output shape have this path (members; "[]" for list elements; map values match any name)?  0, or -1 with
 * *error (message with the nearest member). */
int aws_model_check_output(struct aws_client *client, const char *operation, const char *const *path,
                           struct error *error);
/* An operation for people: {operation, iam_action, reads, paginates, parameters: [{name, type, required}], result:
 * [{name, type, …}], result_keys, other_keys, token_keys: [JMESPath] of its paginator}.  New, or NULL with *error
 * (MISSING). */
json_t *aws_model_describe(struct aws_client *client, const char *operation, struct error *error);
/* The request that aws_call would send: {method, url, headers, body (text, null, or {base64})}.  Nothing is sent, no
 * credentials are fetched: access key, session token, signature and what the model
 * calls sensitive are stand-ins, shown as ****.  New, or NULL with
 * *error. */
json_t *aws_dry_run(struct aws_client *client, const struct aws_target *target, const char *operation, json_t *params,
                    struct error *error);
/* Does the operation only read?  By its name (Describe, Get, List, Head, Lookup, Search, Batch+Get … a table). */
int aws_operation_reads(const char *operation);
/* IAM's action for an operation ("s3.ListBuckets" → "s3:ListAllMyBuckets"), from a table of exceptions; text must hold
 * 128. */
void aws_iam_action(const char *operation, char *text, size_t size);
/* What else a call needs ("ec2.CreateFlowLogs" hands a role over: "iam.PassRole"), as an operation; NULL: nothing. */
const char *aws_iam_dependent(const char *operation);

struct aws_counters {
  uint64_t calls, attempts, retries, throttled, denied, failed, assumed;
  uint64_t delayed, refused; /* by the budget or AssumeRole's pace */
};
struct aws_counters aws_counters(struct aws_client *client);

#endif
