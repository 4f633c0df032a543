/* A network and a clock of the tests' own: a transport whose answers are programmed, and hooks whose time stands still
 * but for sleeping.  Several threads may use one. */
#ifndef PARAPET_TESTS_AWS_FAKE_H
#define PARAPET_TESTS_AWS_FAKE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aws/client_internal.h"
#include "base/clock.h"

/* 2026-11-24T22:00:00Z */
#define FAKE_START ((int64_t)1795557600000)

struct fake_answer {
  int status; /* 0: the transport fails with `class` and `code` */
  enum error_class class;
  const char *code;
  const char *body;
  const char *header, *value; /* one more header; NULL: none */
};

struct fake {
  /* The answers in order; the last one stays.  STS's AssumeRole is answered apart when `assume` is set. */
  const struct fake_answer *answers;
  size_t count;
  /* Called for AssumeRole requests: fills *answer; NULL: they take from `answers` as the rest. */
  void (*assume)(struct fake *fake, const struct aws_http_request *request, struct fake_answer *answer);
  int session_life_s;       /* of assume_ok's sessions */
  unsigned assume_delay_us; /* real time */
  char assume_body[2048];

  pthread_mutex_t lock; /* guards what follows */
  size_t next, requests, assumed;
  char url[1024], headers[8192], body[4096]; /* of the last request that was no AssumeRole */
  char assume_request[8192];
  int64_t deadline_ms;

  _Atomic int64_t monotonic_ms, wall_ms, slept_ms;
  double chance;
};

static inline int64_t fake_monotonic(void *context) { return atomic_load(&((struct fake *)context)->monotonic_ms); }
static inline int64_t fake_wall(void *context) { return atomic_load(&((struct fake *)context)->wall_ms); }
static inline double fake_random(void *context) { return ((struct fake *)context)->chance; }

static inline void fake_advance(struct fake *fake, int64_t milliseconds) {
  atomic_fetch_add(&fake->monotonic_ms, milliseconds);
  atomic_fetch_add(&fake->wall_ms, milliseconds);
}

static inline void fake_sleep(void *context, int64_t milliseconds) {
  struct fake *fake = context;
  atomic_fetch_add(&fake->slept_ms, milliseconds);
  fake_advance(fake, milliseconds);
}

static inline void fake_record(struct fake *fake, const struct aws_http_request *request) {
  size_t used = 0;
  snprintf(fake->url, sizeof fake->url, "%s %s", request->method, request->url);
  snprintf(fake->body, sizeof fake->body, "%.*s", (int)request->body_length, request->body ? request->body : "");
  fake->headers[0] = '\0';
  for (size_t i = 0; i < request->header_count && used < sizeof fake->headers; i++)
    used += (size_t)snprintf(fake->headers + used, sizeof fake->headers - used, "%s: %s\n", request->headers[i].name,
                             request->headers[i].value);
  fake->deadline_ms = request->deadline_ms;
}

static inline int fake_give(const struct fake_answer *answer, struct aws_http_response *response, struct error *error) {
  if (answer->status == 0) return error_set(error, answer->class, answer->code, "the fake network fails");
  response->status = answer->status;
  response->body = strdup(answer->body ? answer->body : "");
  response->body_length = strlen(response->body);
  if (answer->header)
    aws_http_response_add_header(response, answer->header, strlen(answer->header), answer->value,
                                 strlen(answer->value));
  return 0;
}

static inline int fake_perform(void *context, const struct aws_http_request *request,
                               struct aws_http_response *response, struct error *error) {
  struct fake *fake = context;
  struct fake_answer answer = {0};
  int assumes = request->body && strstr(request->body, "Action=AssumeRole&") != NULL;
  *response = (struct aws_http_response){0};
  pthread_mutex_lock(&fake->lock);
  if (assumes && fake->assume) {
    fake->assumed++;
    snprintf(fake->assume_request, sizeof fake->assume_request, "%s\n%s", request->url, request->body);
    fake->assume(fake, request, &answer);
  } else {
    fake->requests++;
    fake_record(fake, request);
    answer = fake->answers[fake->next < fake->count ? fake->next : fake->count - 1];
    fake->next++;
  }
  int result = fake_give(&answer, response, error);
  pthread_mutex_unlock(&fake->lock);
  if (assumes && fake->assume_delay_us) usleep(fake->assume_delay_us);
  return result;
}

/* A session of session_life_s from now. */
static inline void assume_ok(struct fake *fake, const struct aws_http_request *request, struct fake_answer *answer) {
  (void)request;
  char expires[32];
  clock_format(atomic_load(&fake->wall_ms) + (int64_t)fake->session_life_s * 1000, expires, sizeof expires);
  snprintf(fake->assume_body, sizeof fake->assume_body,
           "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>"
           "<AccessKeyId>ASIASESSION%zu</AccessKeyId><SecretAccessKey>session-secret</SecretAccessKey>"
           "<SessionToken>session-token-%zu</SessionToken><Expiration>%s</Expiration></Credentials>"
           "</AssumeRoleResult><ResponseMetadata><RequestId>r-assume</RequestId></ResponseMetadata>"
           "</AssumeRoleResponse>",
           fake->assumed, fake->assumed, expires);
  *answer = (struct fake_answer){.status = 200, .body = fake->assume_body};
}

static inline void assume_denied(struct fake *fake, const struct aws_http_request *request,
                                 struct fake_answer *answer) {
  (void)fake;
  (void)request;
  *answer = (struct fake_answer){
      .status = 403,
      .body =
          "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not you</Message></Error>"
          "<RequestId>r-denied</RequestId></ErrorResponse>"};
}

/* The models that `make models` compiled. */
static inline const char *fake_models(void) {
  static char path[1024];
  const char *build = getenv("BUILD");
  snprintf(path, sizeof path, "%s/models", build && *build ? build : "build");
  return path;
}

/* No setting of this machine's reaches a test. */
static inline void fake_environment(void) {
  static const char *const names[] = {"AWS_SESSION_TOKEN",
                                      "AWS_SECURITY_TOKEN",
                                      "AWS_ENDPOINT_URL",
                                      "AWS_ENDPOINT_URL_EC2",
                                      "AWS_ENDPOINT_URL_STS",
                                      "AWS_REGION",
                                      "AWS_DEFAULT_REGION",
                                      "AWS_PROFILE",
                                      "AWS_DEFAULT_PROFILE",
                                      "AWS_ROLE_ARN",
                                      "AWS_ROLE_SESSION_NAME",
                                      "AWS_WEB_IDENTITY_TOKEN_FILE",
                                      "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                                      "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                                      "AWS_CONTAINER_AUTHORIZATION_TOKEN",
                                      "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
                                      "AWS_EC2_METADATA_SERVICE_ENDPOINT",
                                      "AWS_USE_FIPS_ENDPOINT",
                                      "AWS_USE_DUALSTACK_ENDPOINT",
                                      "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) unsetenv(names[i]);
  setenv("AWS_ACCESS_KEY_ID", "AKIABASE", 1);
  setenv("AWS_SECRET_ACCESS_KEY", "base-secret", 1);
  setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials", 1);
  setenv("AWS_CONFIG_FILE", "/nonexistent/config", 1);
  setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
}

static inline struct aws_client *fake_open(struct fake *fake, const struct fake_answer *answers, size_t count) {
  *fake = (struct fake){.answers = answers, .count = count, .assume = assume_ok, .session_life_s = 3600, .chance = 0.5};
  pthread_mutex_init(&fake->lock, NULL);
  atomic_store(&fake->monotonic_ms, 1000000);
  atomic_store(&fake->wall_ms, FAKE_START);
  struct aws_transport transport = {.perform = fake_perform, .context = fake};
  struct aws_options options = {.models = fake_models(), .transport = &transport, .hub_region = "eu-west-1"};
  struct aws_hooks hooks = {.monotonic_ms = fake_monotonic,
                            .wall_ms = fake_wall,
                            .sleep_ms = fake_sleep,
                            .random = fake_random,
                            .context = fake,
                            .no_thread = 1};
  struct error error;
  struct aws_client *client = aws_open_with(&options, &hooks, &error);
  if (!client) printf("cannot open the client: %s\n", error.message);
  return client;
}

static inline void fake_close(struct fake *fake, struct aws_client *client) {
  aws_close(client);
  pthread_mutex_destroy(&fake->lock);
}

#define FAKE_OPEN(fake, answers) fake_open(fake, answers, sizeof(answers) / sizeof *(answers))

#endif
