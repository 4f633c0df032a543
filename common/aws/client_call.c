/* One call: serialise once, then attempts until one ends it.
 *
 * An attempt that failed is followed by another when botocore's standard mode would try again, the quota has the price
 * and the deadline leaves room for the wait.  Three failures have a remedy and get one more attempt at once, outside
 * that count: AWS's clock is not ours (the Date header tells by how much; kept for all later calls), the session's
 * credentials have expired before their time (fetched anew), and the S3 bucket lives in another Region (s3.c). */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "aws/checks.h"
#include "aws/client_internal.h"
#include "aws/shape_internal.h"

#define DEFAULT_CALL_MS 60000
#define SKEW_CERTAIN_MS 30000
#define SKEW_POSSIBLE_MS 240000
#define REQUEST_ID 96

struct call {
  struct aws_client *client;
  const struct aws_invocation *invocation;
  const struct aws_service *service;
  const struct aws_operation *operation;
  struct aws_request request;
  json_t *params; /* borrowed, may be NULL */
  json_t *endpoint;
  struct aws_quota quota;
  int64_t deadline_ms, attempt_ms;
  int one_attempt, unsigned_call, strip_bucket, secret;
  int (*before_send)(void *argument, struct error *error);
  void *argument;
  int skew_corrected, session_renewed, redirected; /* each remedy is tried once */
  int attempts;                                    /* begun, as retries count them */
  int status;                                      /* of the last answer; 0: none */
  char request_id[REQUEST_ID];
  struct error *error;
};

int aws_operation_has_bucket(const struct aws_service *service, const struct aws_operation *operation) {
  const char *uri = json_text_at(aws_operation_definition(operation), "http", "requestUri", NULL);
  return aws_s3_is(service) && strncmp(uri, "/{Bucket}", 9) == 0;
}

int aws_operation_is_unsigned(const struct aws_operation *operation) {
  const json_t *definition = aws_operation_definition(operation);
  return strcmp(json_text_at(definition, "authtype", NULL), "none") == 0 ||
         strcmp(json_string_value(json_array_get(json_object_get(definition, "auth"), 0)) ?: "", "smithy.api#noAuth") ==
             0;
}

/* A long poll (sqs.ReceiveMessage) takes as long as it says, on top. */
static int64_t attempt_limit(const struct aws_client *client, const json_t *params) {
  json_int_t poll = json_integer_value(json_object_get(params, "WaitTimeSeconds"));
  return client->call_timeout_ms + (poll > 0 && poll <= 60 ? poll * 1000 : 0);
}

/* (Again) where the call goes: S3 buckets have a Region of their own, once it is known. */
static int find_endpoint(struct call *call) {
  char region[AWS_REGION_SIZE];
  const char *there = call->invocation->region;
  if (aws_s3_is(call->service) && aws_s3_region_of(call->client, there, call->params, region)) there = region;
  json_t *endpoint =
      aws_client_endpoint(call->client, call->service, call->operation, there, call->params, call->error);
  if (!endpoint) return -1;
  json_decref(call->endpoint);
  call->endpoint = endpoint;
  return 0;
}

static int prepare(struct call *call, json_t *params) {
  struct aws_client *client = call->client;
  const struct aws_invocation *invocation = call->invocation;
  if (aws_models_operation(client->models, invocation->operation, &call->service, &call->operation, call->error) != 0)
    return -1;
  if (aws_serialize(call->service, call->operation, params, &call->request, call->error) != 0) return -1;
  call->params = params;
  if (find_endpoint(call) != 0) return -1;
  const char *service = aws_service_name(call->service);
  call->quota = aws_quota_of(&client->quotas, invocation->account, invocation->region, service);
  call->attempt_ms = attempt_limit(client, params);
  call->strip_bucket = aws_operation_has_bucket(call->service, call->operation);
  call->unsigned_call = aws_operation_is_unsigned(call->operation);
  call->secret = strcmp(service, "sts") == 0;
  return 0;
}

/* The credentials of this attempt: 0 with *credentials (NULL for an unsigned call), or -1. */
static int credentials_of(struct call *call, struct aws_credentials **credentials) {
  *credentials = NULL;
  if (call->unsigned_call) return 0;
  if (call->invocation->credentials) {
    *credentials = aws_credentials_share(call->invocation->credentials);
    return 0;
  }
  if (!call->invocation->session)
    return error_set(call->error, ERROR_DENIED, "NoCredentials", "the operation must be signed and nobody was named");
  return aws_session_credentials(call->client->sessions, call->invocation->session, call->deadline_ms, credentials,
                                 call->error);
}

/* 0 with *response, or -1 with the call's error: the transport's, or signing's. */
static int send_once(struct call *call, const struct aws_credentials *credentials, struct aws_http_response *response) {
  struct aws_wire_options options = {.endpoint = call->endpoint,
                                     .credentials = credentials,
                                     .strip_bucket = call->strip_bucket,
                                     .wall_ms = aws_client_aws_time(call->client)};
  struct aws_wire wire;
  if (aws_wire_make(&call->request, &options, &wire, call->error) != 0) return -1;
  int64_t end = aws_client_now(call->client) + call->attempt_ms;
  wire.request.deadline_ms = end < call->deadline_ms ? end : call->deadline_ms;
  atomic_fetch_add(&call->client->attempts, 1);
  const struct aws_transport *transport = &call->client->transport;
  int result = transport->perform(transport->context, &wire.request, response, call->error);
  aws_wire_free(&wire);
  return result;
}

/* ---- the budget ---- */

static int is_assume_role(const struct call *call) {
  return strcmp(call->invocation->operation, "sts.AssumeRole") == 0;
}

/* The hub's STS is shared by every account's sessions, whoever made the budget. */
static int64_t pace_of_assume(struct call *call) {
  struct aws_client *client = call->client;
  double rate = client->assume_per_second;
  int64_t now = aws_client_now(client), left = (call->deadline_ms - now) * 1000;
  int64_t wait = aws_bucket_take(&client->assume_bucket, rate, rate, now * 1000, left);
  return wait < 0 ? -1 : (wait + 999) / 1000;
}

static struct aws_budget_call bucket_of(const struct call *call) {
  const struct aws_client *client = call->client;
  const struct aws_invocation *invocation = call->invocation;
  struct aws_budget_call asked = {.account = invocation->account,
                                  .region = invocation->region,
                                  .operation = invocation->operation,
                                  .attempt = call->attempts,
                                  .deadline_ms = call->deadline_ms};
  aws_budget_classify(aws_service_name(call->service), aws_operation_name(call->operation), call->params, &asked);
  asked.per_second *= client->budget_percent / 100.0;
  asked.burst *= client->budget_percent / 100.0;
  if (asked.burst < 1) asked.burst = 1;
  return asked;
}

static int64_t budget_of(struct call *call) {
  struct aws_client *client = call->client;
  if (client->budget_percent <= 0) return 0;
  struct aws_budget_call asked = bucket_of(call);
  if (client->budget.take) return client->budget.take(client->budget.context, &asked, call->error);
  return aws_budget_local(client->budgets, &asked, aws_client_now(client));
}

static void count_throttle(struct call *call) {
  struct aws_client *client = call->client;
  atomic_fetch_add(&client->throttled, 1);
  if (client->budget_percent <= 0 || !client->budget.throttled || is_assume_role(call)) return;
  struct aws_budget_call asked = bucket_of(call);
  client->budget.throttled(client->budget.context, &asked);
}

/* Waits for what this attempt may cost; 0, or -1 with the call's error: not before the deadline. */
static int wait_for_budget(struct call *call) {
  struct aws_client *client = call->client;
  struct error before = *call->error;
  error_clear(call->error);
  int64_t wait = is_assume_role(call) ? pace_of_assume(call) : budget_of(call);
  if (wait == 0 || (wait > 0 && aws_client_now(client) + wait < call->deadline_ms)) {
    if (wait > 0) atomic_fetch_add(&client->delayed, 1);
    aws_client_sleep(client, wait);
    *call->error = before;
    return 0;
  }
  atomic_fetch_add(&client->refused, 1);
  if (call->error->class == ERROR_NONE)
    error_set(call->error, ERROR_THROTTLED, AWS_CODE_BUDGET,
              "the budget of this account, Region and kind of call has no room before the deadline");
  return -1;
}

static json_t *parse_response(struct call *call, const struct aws_http_response *response) {
  json_t *result = aws_parse(call->service, call->operation, response, call->request_id, call->error);
  /* What a gateway says is weather, in whatever format it says it. */
  int gateway = response->status == 502 || response->status == 503 || response->status == 504;
  if (!result && gateway && call->error->class == ERROR_FATAL) call->error->class = ERROR_RETRYABLE;
  return result;
}

/* ---- what an answer teaches ---- */

/* Is the failure one of the clock?  Then the offset is stored, and the same request signed anew may do. */
static int correct_skew(struct call *call, const struct aws_http_response *response) {
  int certainty = aws_retry_is_skew(call->error->code);
  const char *date = certainty ? aws_http_response_header(response, "Date") : NULL;
  int64_t theirs;
  if (!date || aws_http_date(date, &theirs) != 0) return 0;
  int64_t difference = theirs - aws_client_aws_time(call->client);
  if (llabs(difference) < (certainty == 2 ? SKEW_CERTAIN_MS : SKEW_POSSIBLE_MS)) return 0;
  atomic_fetch_add(&call->client->skew_ms, difference);
  call->error->class = ERROR_RETRYABLE; /* for a caller that tries by itself */
  return 1;
}

static int renew_session(struct call *call, const struct aws_credentials *credentials) {
  if (!call->invocation->session || !credentials || !aws_retry_is_expired(call->error->code)) return 0;
  aws_session_reject(call->invocation->session, credentials);
  if (credentials->expires_ms && !call->session_renewed) call->error->class = ERROR_RETRYABLE; /* as for the clock */
  return 1;
}

/* The bucket lives elsewhere, and now it is known where. */
static int redirect(struct call *call, const struct aws_http_response *response) {
  char region[AWS_REGION_SIZE];
  if (!aws_s3_is(call->service) || call->redirected) return 0;
  if (!aws_s3_redirected(call->client, call->invocation, call->params, response, call->error->code, call->deadline_ms,
                         region))
    return 0;
  call->redirected = 1;
  if (find_endpoint(call) != 0) return 0;
  call->error->class = ERROR_RETRYABLE; /* as for the clock */
  return 1;
}

/* A remedy that makes an attempt at once worth while, each once a call. */
static int remedied(struct call *call, const struct aws_http_response *response,
                    const struct aws_credentials *credentials) {
  if (correct_skew(call, response)) {
    if (call->skew_corrected) return 0;
    return call->skew_corrected = 1;
  }
  if (redirect(call, response)) return 1;
  if (!renew_session(call, credentials) || call->session_renewed) return 0;
  return call->session_renewed = 1;
}

/* ---- the loop ---- */

enum verdict { VERDICT_DONE, VERDICT_AGAIN_NOW, VERDICT_MAY_RETRY, VERDICT_OVER };

static enum verdict judge(struct call *call, int status, const struct aws_http_response *response,
                          const struct aws_credentials *credentials) {
  if (call->error->class == ERROR_THROTTLED) count_throttle(call);
  if (status != 0 && remedied(call, response, credentials)) return call->one_attempt ? VERDICT_OVER : VERDICT_AGAIN_NOW;
  if (call->one_attempt) return VERDICT_OVER;
  return aws_retry_wanted(call->service, call->operation, status, call->error) ? VERDICT_MAY_RETRY : VERDICT_OVER;
}

static enum verdict attempt(struct call *call, json_t **result) {
  struct aws_credentials *credentials;
  struct aws_http_response response = {0};
  if (credentials_of(call, &credentials) != 0) return VERDICT_OVER;
  call->request_id[0] = '\0';
  call->status = 0;
  if (wait_for_budget(call) != 0 || (call->before_send && call->before_send(call->argument, call->error) != 0)) {
    aws_credentials_release(credentials);
    return VERDICT_OVER;
  }
  enum verdict verdict;
  if (send_once(call, credentials, &response) != 0) {
    verdict = judge(call, 0, &response, credentials);
  } else {
    call->status = response.status;
    *result = parse_response(call, &response);
    int status = *result || !aws_s3_is(call->service) ? response.status : aws_s3_status(&response, call->error);
    verdict = *result ? VERDICT_DONE : judge(call, status, &response, credentials);
  }
  if (call->secret && response.body) OPENSSL_cleanse(response.body, response.body_length);
  aws_http_response_free(&response);
  aws_credentials_release(credentials);
  return verdict;
}

/* Pays for and waits before the attempt after `attempts`; 0, or -1: the call ends with the error it has. */
static int wait_for_retry(struct call *call, int attempts) {
  struct aws_client *client = call->client;
  if (attempts >= client->max_attempts) return -1;
  double chance = client->hooks.random(client->hooks.context);
  int64_t delay = aws_retry_delay_ms(attempts, chance);
  if (aws_client_now(client) + delay >= call->deadline_ms) return -1;
  if (aws_quota_take(&call->quota, strcmp(call->error->code, AWS_CODE_TIMEOUT) == 0) != 0) return -1;
  atomic_fetch_add(&client->retries, 1);
  aws_client_sleep(client, delay);
  return 0;
}

static json_t *run(struct call *call) {
  json_t *result = NULL;
  for (int attempts = 1;; attempts++) {
    if (aws_client_now(call->client) >= call->deadline_ms) {
      if (call->error->class == ERROR_NONE)
        error_set(call->error, ERROR_RETRYABLE, AWS_CODE_DEADLINE, "the call's deadline passed before it was sent");
      return NULL;
    }
    call->attempts = attempts;
    enum verdict verdict = attempt(call, &result);
    if (verdict == VERDICT_AGAIN_NOW) {
      attempts--;
      atomic_fetch_add(&call->client->retries, 1);
    } else if (verdict == VERDICT_DONE) {
      aws_quota_return(&call->quota);
      error_clear(call->error);
      return result;
    } else if (verdict == VERDICT_OVER || wait_for_retry(call, attempts) != 0) {
      return NULL;
    }
  }
}

static void count_failure(struct aws_client *client, const struct error *error) {
  atomic_fetch_add(&client->failed, 1);
  if (error->class == ERROR_DENIED) atomic_fetch_add(&client->denied, 1);
}

json_t *aws_client_invoke(struct aws_client *client, const struct aws_invocation *invocation, json_t *params,
                          const struct aws_call_options *options, struct error *error) {
  struct error mine = {0};
  struct call call = {.client = client, .invocation = invocation, .error = error ? error : &mine};
  error_clear(call.error);
  call.deadline_ms = options && options->deadline_ms ? options->deadline_ms : aws_client_now(client) + DEFAULT_CALL_MS;
  call.one_attempt = options && options->one_attempt;
  call.before_send = options ? options->before_send : NULL;
  call.argument = options ? options->argument : NULL;
  atomic_fetch_add(&client->calls, 1);
  json_t *result = prepare(&call, params) == 0 ? run(&call) : NULL;
  if (!result) {
    count_failure(client, call.error);
    if (!call.error->request_id[0]) memcpy(call.error->request_id, call.request_id, sizeof call.request_id);
    /* A parameter's mistake keeps its place in front: "ec2.DescribeInstances /Filters/0". */
    char place[sizeof call.error->where];
    memcpy(place, call.error->where, sizeof place);
    error_where(call.error, place[0] == '/' ? "%s %s" : "%s", invocation->operation, place);
  }
  if (options && options->status) *options->status = call.status;
  if (options && options->request_id) memcpy(options->request_id, call.request_id, sizeof call.request_id);
  json_decref(call.endpoint);
  aws_request_free(&call.request);
  return result;
}
