/* The client's life, and the public calls. */
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "aws/checks.h"
#include "aws/client_internal.h"
#include "base/clock.h"

#define DEFAULT_TIMEOUT_MS 20000
#define DEFAULT_ATTEMPTS 3
#define DEFAULT_ASSUME_PER_SECOND 50
#define DEFAULT_RESPONSE_LIMIT ((size_t)32 << 20)

/* ---- time and chance ---- */

static int64_t real_monotonic(void *context) {
  (void)context;
  return clock_monotonic_ms();
}
static int64_t real_wall(void *context) {
  (void)context;
  return clock_wall_ms();
}
static void real_sleep(void *context, int64_t milliseconds) {
  (void)context;
  clock_sleep_ms(milliseconds);
}
static double real_random(void *context) {
  (void)context;
  uint32_t bits = 0x80000000u;
  if (RAND_bytes((unsigned char *)&bits, sizeof bits) != 1) bits = 0x80000000u;
  return bits / 4294967296.0;
}

static void set_hooks(struct aws_client *client, const struct aws_hooks *hooks) {
  if (hooks) client->hooks = *hooks;
  if (!client->hooks.monotonic_ms) client->hooks.monotonic_ms = real_monotonic;
  if (!client->hooks.wall_ms) client->hooks.wall_ms = real_wall;
  if (!client->hooks.sleep_ms) client->hooks.sleep_ms = real_sleep;
  if (!client->hooks.random) client->hooks.random = real_random;
}

int64_t aws_client_now(struct aws_client *client) { return client->hooks.monotonic_ms(client->hooks.context); }

int64_t aws_client_aws_time(struct aws_client *client) {
  return client->hooks.wall_ms(client->hooks.context) + atomic_load(&client->skew_ms);
}

void aws_client_sleep(struct aws_client *client, int64_t milliseconds) {
  if (milliseconds > 0) client->hooks.sleep_ms(client->hooks.context, milliseconds);
}

/* ---- open and close ---- */

static const char *first_text(const char *const *texts) {
  for (; *texts; texts++)
    if (**texts) return *texts;
  return "";
}

static const char *environment(const char *name) {
  const char *value = getenv(name);
  return value ? value : "";
}

/* The environment's word, else the profile's. */
static int flag(const char *name, const json_t *profile, const char *key) {
  const char *value = environment(name);
  return strcasecmp(*value ? value : json_text_at(profile, key, NULL), "true") == 0;
}

static int copy_profile_urls(struct aws_client *client, const json_t *profile) {
  if (flag("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", profile, "ignore_configured_endpoint_urls")) return 0;
  client->profile_services = aws_services_read(json_text_at(profile, "services", NULL));
  const char *url = json_text_at(profile, "endpoint_url", NULL);
  client->profile_endpoint_url = *url ? strdup(url) : NULL;
  return client->profile_services && (client->profile_endpoint_url || !*url) ? 0 : -1;
}

static int copy_settings(struct aws_client *client, const struct aws_options *options, const json_t *profile) {
  const char *const regions[] = {options->hub_region ? options->hub_region : "",
                                 environment("AWS_REGION"),
                                 environment("AWS_DEFAULT_REGION"),
                                 json_text_at(profile, "region", NULL),
                                 "us-east-1",
                                 NULL};
  client->hub_region = strdup(first_text(regions));
  if (options->endpoint_url && *options->endpoint_url) {
    client->endpoint_url = strdup(options->endpoint_url);
    if (!client->endpoint_url) return -1;
  }
  client->call_timeout_ms = options->call_timeout_ms > 0 ? options->call_timeout_ms : DEFAULT_TIMEOUT_MS;
  client->max_attempts = options->max_attempts > 0 ? options->max_attempts : DEFAULT_ATTEMPTS;
  client->use_fips = flag("AWS_USE_FIPS_ENDPOINT", profile, "use_fips_endpoint");
  client->use_dualstack = flag("AWS_USE_DUALSTACK_ENDPOINT", profile, "use_dualstack_endpoint");
  client->endpoints = json_object();
  client->buckets = json_object();
  return client->hub_region && client->endpoints && client->buckets ? copy_profile_urls(client, profile) : -1;
}

static int copy_options(struct aws_client *client, const struct aws_options *options) {
  const char *const names[] = {environment("AWS_PROFILE"), environment("AWS_DEFAULT_PROFILE"), "default", NULL};
  json_t *profile = aws_profile_read(first_text(names));
  int result = copy_settings(client, options, profile);
  aws_json_wipe(profile);
  json_decref(profile);
  return result;
}

static int open_budget(struct aws_client *client, const struct aws_options *options) {
  client->assume_per_second = options->assume_per_second > 0 ? options->assume_per_second : DEFAULT_ASSUME_PER_SECOND;
  client->budget_percent = options->budget_percent;
  if (options->budget) client->budget = *options->budget;
  if (client->budget.take && client->budget_percent <= 0) client->budget_percent = 100;
  if (client->budget_percent <= 0 || client->budget.take) return 0;
  client->budgets = calloc(1, sizeof *client->budgets);
  return client->budgets ? 0 : -1;
}

static int open_transport(struct aws_client *client, const struct aws_options *options, struct error *error) {
  if (options->transport) {
    client->transport = *options->transport;
    return 0;
  }
  size_t limit = options->response_limit ? options->response_limit : DEFAULT_RESPONSE_LIMIT;
  client->curl = aws_curl_open(limit, &client->transport, error);
  return client->curl ? 0 : -1;
}

static int open_models(struct aws_client *client, const struct aws_options *options, struct error *error) {
  if (!options->models)
    return error_set(error, ERROR_INVALID, "Models", "the directory of the service models is not set");
  client->models = aws_models_open(options->models, error);
  json_t *partitions = client->models ? aws_models_partitions(client->models, error) : NULL;
  client->partitions = partitions ? aws_partitions_open(partitions, error) : NULL;
  return client->partitions ? 0 : -1;
}

struct aws_client *aws_open_with(const struct aws_options *options, const struct aws_hooks *hooks,
                                 struct error *error) {
  struct aws_client *client = calloc(1, sizeof *client);
  if (!client || pthread_mutex_init(&client->endpoints_lock, NULL) != 0) {
    free(client);
    error_set(error, ERROR_FATAL, "Memory", "out of memory");
    return NULL;
  }
  set_hooks(client, hooks);
  if (copy_options(client, options) != 0 || open_budget(client, options) != 0)
    error_set(error, ERROR_FATAL, "Memory", "out of memory");
  else if (open_transport(client, options, error) == 0 && open_models(client, options, error) == 0 &&
           (client->sessions = aws_sessions_open(client, error)) != NULL)
    return client;
  aws_close(client);
  return NULL;
}

struct aws_client *aws_open(const struct aws_options *options, struct error *error) {
  return aws_open_with(options, NULL, error);
}

const struct aws_transport *aws_client_transport(const struct aws_client *client) { return &client->transport; }

void aws_close(struct aws_client *client) {
  if (!client) return;
  aws_sessions_close(client->sessions); /* first: its thread uses all the rest */
  aws_partitions_free(client->partitions);
  aws_models_close(client->models);
  aws_curl_close(client->curl);
  json_decref(client->endpoints);
  json_decref(client->buckets);
  pthread_mutex_destroy(&client->endpoints_lock);
  free(client->budgets);
  free(client->endpoint_url);
  free(client->profile_endpoint_url);
  json_decref(client->profile_services);
  free(client->hub_region);
  free(client);
}

/* ---- calls ---- */

/* The session for this operation: of its role's policies the one that allows it. */
static struct aws_session *find_session(struct aws_client *client, const struct aws_target *target,
                                        const char *operation, struct error *error) {
  const struct aws_role *given = target->role;
  if (!given || !given->name || !*given->name || !given->policies)
    return aws_session_find(client->sessions, target, error);
  struct aws_role role = *given;
  struct aws_target there = *target;
  there.role = &role;
  role.session_policy = aws_policies_for(given->policies, operation);
  if (role.session_policy) return aws_session_find(client->sessions, &there, error);
  error_set(error, ERROR_DENIED, "SessionPolicy", "the role's session policies allow nothing");
  return NULL;
}

json_t *aws_call(struct aws_client *client, const struct aws_target *target, const char *operation, json_t *params,
                 const struct aws_call_options *options, struct error *error) {
  struct aws_session *session = find_session(client, target, operation, error);
  if (!session) {
    error_where(error, "%s", operation);
    if (options && options->request_id) options->request_id[0] = '\0';
    if (options && options->status) *options->status = 0;
    return NULL;
  }
  struct aws_invocation invocation = {.operation = operation,
                                      .account = target->account ? target->account : "",
                                      .region = target->region && *target->region ? target->region : client->hub_region,
                                      .session = session};
  json_t *result = aws_client_invoke(client, &invocation, params, options, error);
  aws_session_release(client->sessions, session);
  return result;
}

struct aws_counters aws_counters(struct aws_client *client) {
  return (struct aws_counters){
      .calls = atomic_load(&client->calls),
      .attempts = atomic_load(&client->attempts),
      .retries = atomic_load(&client->retries),
      .throttled = atomic_load(&client->throttled),
      .denied = atomic_load(&client->denied),
      .failed = atomic_load(&client->failed),
      .assumed = atomic_load(&client->assumed),
      .delayed = atomic_load(&client->delayed),
      .refused = atomic_load(&client->refused),
  };
}

/* ---- names ---- */

void aws_role_arn(const struct aws_target *target, char *arn, size_t size) {
  snprintf(arn, size, "arn:%s:iam::%s:role/%s", aws_partition_by_prefix(target->region ? target->region : ""),
           target->account ? target->account : "", target->role && target->role->name ? target->role->name : "");
}

const char *aws_partition(struct aws_client *client, const char *region) {
  const char *name = json_text_at(aws_partitions_find(client->partitions, region), "name", NULL);
  return *name ? name : "aws";
}

int aws_model_operation(struct aws_client *client, const char *operation, struct error *error) {
  return aws_models_operation(client->models, operation, NULL, NULL, error);
}

int aws_model_check_input(struct aws_client *client, const char *operation, const json_t *params, struct error *error) {
  return aws_models_check_input(client->models, operation, params, error);
}

int aws_model_check_output(struct aws_client *client, const char *operation, const char *const *path,
                           struct error *error) {
  return aws_models_check_output(client->models, operation, path, error);
}
