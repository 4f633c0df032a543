/* Credentials of the shared files (profile.c): the profile of AWS_PROFILE or "default".
 *
 * What a profile may hold: role_arn with source_profile or credential_source; web_identity_token_file with role_arn;
 * static keys; credential_process.  Roles may chain through source_profile, five deep. */
#include <errno.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "aws/client_internal.h"

#define PROCESS_OUTPUT_LIMIT ((size_t)64 << 10)
#define CHAIN_DEPTH 5

/* ---- credential_process ---- */

/* Everything the process writes until it closes its end; NULL when the deadline or the limit comes first. */
static char *read_output(const struct aws_fetch *fetch, int descriptor) {
  char *text = calloc(1, PROCESS_OUTPUT_LIMIT + 1);
  size_t length = 0;
  while (text) {
    int64_t left = fetch->deadline_ms - aws_client_now(fetch->client);
    struct pollfd waiting = {.fd = descriptor, .events = POLLIN};
    if (left <= 0 || length == PROCESS_OUTPUT_LIMIT) break;
    if (poll(&waiting, 1, left > 1000 ? 1000 : (int)left) <= 0) continue;
    ssize_t got = read(descriptor, text + length, PROCESS_OUTPUT_LIMIT - length);
    if (got == 0) return text;
    if (got < 0 && errno != EINTR) break;
    if (got > 0) length += (size_t)got;
  }
  if (text) OPENSSL_cleanse(text, length);
  free(text);
  return NULL;
}

static pid_t start_process(const char *command, int *descriptor) {
  int ends[2];
  pid_t child = -1;
  posix_spawn_file_actions_t actions;
  char *const arguments[] = {(char[]){"sh"}, (char[]){"-c"}, (char *)command, NULL};
  if (pipe2(ends, 0) != 0) return -1;
  if (posix_spawn_file_actions_init(&actions) == 0) {
    int ready = posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO) == 0 &&
                posix_spawn_file_actions_addclose(&actions, ends[0]) == 0 &&
                posix_spawn_file_actions_addclose(&actions, ends[1]) == 0;
    if (!ready || posix_spawn(&child, "/bin/sh", &actions, NULL, arguments, environ) != 0) child = -1;
    posix_spawn_file_actions_destroy(&actions);
  }
  close(ends[1]);
  *descriptor = ends[0];
  if (child < 0) close(ends[0]);
  return child;
}

static int run_process(const struct aws_fetch *fetch, const char *command, struct aws_credentials **credentials,
                       struct error *error) {
  int descriptor, status = -1;
  pid_t child = start_process(command, &descriptor);
  if (child < 0) return error_set(error, ERROR_DENIED, "CredentialProcess", "credential_process cannot be started");
  char *text = read_output(fetch, descriptor);
  close(descriptor);
  if (!text) kill(child, SIGKILL);
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  json_t *document = text && status == 0 ? json_parse(text, strlen(text), NULL) : NULL;
  aws_free_secret(text);
  if (document)
    *credentials = aws_credentials_from_json(fetch->client, document, error);
  else
    error_set(error, ERROR_DENIED, "CredentialProcess", "credential_process failed, took too long, or wrote no JSON");
  aws_json_wipe(document);
  json_decref(document);
  return *credentials ? 0 : -1;
}

/* ---- what a profile says ---- */

static const char *value_of(const json_t *profile, const char *key) { return json_text_at(profile, key, NULL); }

static enum aws_provided provide(const struct aws_fetch *fetch, const char *name, int depth,
                                 struct aws_credentials **credentials, struct error *error);

/* credential_source: the provider of that name. */
static enum aws_provided from_source(const struct aws_fetch *fetch, const char *source,
                                     struct aws_credentials **credentials, struct error *error) {
  static const struct {
    const char *name;
    aws_provider *provide;
  } sources[] = {{"Environment", aws_credentials_environment},
                 {"EcsContainer", aws_credentials_container},
                 {"Ec2InstanceMetadata", aws_credentials_instance}};
  for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
    if (strcasecmp(source, sources[i].name) == 0) return sources[i].provide(fetch, credentials, error);
  return AWS_PROVIDER_ABSENT;
}

static json_t *role_params(const json_t *profile) {
  json_t *params = json_object();
  const char *session = value_of(profile, "role_session_name");
  json_object_set_new(params, "RoleArn", json_string(value_of(profile, "role_arn")));
  json_object_set_new(params, "RoleSessionName", json_string(*session ? session : "parapet"));
  if (*value_of(profile, "external_id"))
    json_object_set_new(params, "ExternalId", json_string(value_of(profile, "external_id")));
  return params;
}

static enum aws_provided assume(const struct aws_fetch *fetch, const char *name, const json_t *profile, int depth,
                                struct aws_credentials **credentials, struct error *error) {
  struct aws_credentials *source = NULL;
  const char *source_profile = value_of(profile, "source_profile");
  enum aws_provided provided;
  if (*source_profile && strcmp(source_profile, name) == 0 && *value_of(profile, "aws_access_key_id")) {
    /* a profile that names itself lends its own keys */
    source = aws_credentials_new(value_of(profile, "aws_access_key_id"), value_of(profile, "aws_secret_access_key"),
                                 value_of(profile, "aws_session_token"), aws_client_aws_time(fetch->client), 0);
    provided = source ? AWS_PROVIDER_FOUND : AWS_PROVIDER_ABSENT;
  } else if (*source_profile) {
    provided = provide(fetch, source_profile, depth + 1, &source, error);
  } else {
    provided = from_source(fetch, value_of(profile, "credential_source"), &source, error);
  }
  if (provided == AWS_PROVIDER_ABSENT)
    error_set(error, ERROR_DENIED, "InvalidCredentials", "profile \"%s\": nothing found to assume its role with", name);
  if (provided != AWS_PROVIDER_FOUND) return AWS_PROVIDER_ERROR;
  json_t *params = role_params(profile);
  int result = aws_assume_with(fetch, source, params, credentials, error);
  json_decref(params);
  aws_credentials_release(source);
  return result == 0 ? AWS_PROVIDER_FOUND : AWS_PROVIDER_ERROR;
}

static enum aws_provided web_identity(const struct aws_fetch *fetch, const json_t *profile,
                                      struct aws_credentials **credentials, struct error *error) {
  struct aws_web_identity_source source = {.token_file = value_of(profile, "web_identity_token_file"),
                                           .role_arn = value_of(profile, "role_arn"),
                                           .session_name = value_of(profile, "role_session_name")};
  return aws_web_identity(fetch, &source, credentials, error) == 0 ? AWS_PROVIDER_FOUND : AWS_PROVIDER_ERROR;
}

static enum aws_provided static_keys(const struct aws_fetch *fetch, const char *name, const json_t *profile,
                                     struct aws_credentials **credentials, struct error *error) {
  *credentials = aws_credentials_new(value_of(profile, "aws_access_key_id"), value_of(profile, "aws_secret_access_key"),
                                     value_of(profile, "aws_session_token"), aws_client_aws_time(fetch->client), 0);
  if (*credentials) return AWS_PROVIDER_FOUND;
  error_set(error, ERROR_DENIED, "InvalidCredentials",
            "profile \"%s\": aws_secret_access_key is missing, or a key is none", name);
  return AWS_PROVIDER_ERROR;
}

static enum aws_provided provide_from(const struct aws_fetch *fetch, const char *name, const json_t *profile, int depth,
                                      struct aws_credentials **credentials, struct error *error) {
  int has_role = *value_of(profile, "role_arn") != '\0';
  if (has_role && *value_of(profile, "web_identity_token_file"))
    return web_identity(fetch, profile, credentials, error);
  if (has_role && (*value_of(profile, "source_profile") || *value_of(profile, "credential_source")))
    return assume(fetch, name, profile, depth, credentials, error);
  if (*value_of(profile, "aws_access_key_id")) return static_keys(fetch, name, profile, credentials, error);
  const char *command = value_of(profile, "credential_process");
  if (!*command) return AWS_PROVIDER_ABSENT;
  return run_process(fetch, command, credentials, error) == 0 ? AWS_PROVIDER_FOUND : AWS_PROVIDER_ERROR;
}

static enum aws_provided provide(const struct aws_fetch *fetch, const char *name, int depth,
                                 struct aws_credentials **credentials, struct error *error) {
  if (depth > CHAIN_DEPTH) {
    error_set(error, ERROR_DENIED, "InvalidCredentials", "the profiles' source_profile goes in a circle, or too deep");
    return AWS_PROVIDER_ERROR;
  }
  json_t *profile = aws_profile_read(name);
  if (!profile && depth == 0) return AWS_PROVIDER_ABSENT;
  if (!profile) {
    error_set(error, ERROR_DENIED, "InvalidCredentials", "there is no profile \"%s\"", name);
    return AWS_PROVIDER_ERROR;
  }
  enum aws_provided provided = provide_from(fetch, name, profile, depth, credentials, error);
  aws_json_wipe(profile);
  json_decref(profile);
  return provided;
}

enum aws_provided aws_credentials_files(const struct aws_fetch *fetch, struct aws_credentials **credentials,
                                        struct error *error) {
  const char *name = getenv("AWS_PROFILE");
  if (!name || !*name) name = getenv("AWS_DEFAULT_PROFILE");
  int named = name && *name;
  enum aws_provided provided = provide(fetch, named ? name : "default", 0, credentials, error);
  if (provided != AWS_PROVIDER_ABSENT || !named) return provided;
  error_set(error, ERROR_DENIED, "InvalidCredentials", "profile \"%s\" does not exist, or holds no credentials", name);
  return AWS_PROVIDER_ERROR;
}
