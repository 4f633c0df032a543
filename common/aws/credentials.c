/* A set of credentials, and the order in which providers are asked for the base's. */
#include "aws/credentials.h"

#include <ctype.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aws/client_internal.h"
#include "base/clock.h"
#include "base/log.h"

#define KEY_LIMIT 512
#define TOKEN_LIMIT 16384

/* ---- one set ---- */

void aws_free_secret(char *text) {
  if (!text) return;
  OPENSSL_cleanse(text, strlen(text));
  free(text);
}

static void destroy(struct aws_credentials *credentials) {
  aws_free_secret(credentials->access_key);
  aws_free_secret(credentials->secret_key);
  aws_free_secret(credentials->session_token);
  free(credentials);
}

/* Printable and of a plausible length: what is not could break a header, or is not a key at all. */
static int plausible(const char *text, size_t limit) {
  if (!*text || strlen(text) > limit) return 0;
  for (; *text; text++)
    if (!isgraph((unsigned char)*text)) return 0;
  return 1;
}

struct aws_credentials *aws_credentials_new(const char *access_key, const char *secret_key, const char *session_token,
                                            int64_t obtained_ms, int64_t expires_ms) {
  int has_token = session_token && *session_token;
  if (!access_key || !secret_key) return NULL;
  if (!plausible(access_key, KEY_LIMIT) || !plausible(secret_key, KEY_LIMIT)) return NULL;
  if (has_token && !plausible(session_token, TOKEN_LIMIT)) return NULL;
  struct aws_credentials *credentials = calloc(1, sizeof *credentials);
  if (!credentials) return NULL;
  *credentials = (struct aws_credentials){.access_key = strdup(access_key),
                                          .secret_key = strdup(secret_key),
                                          .session_token = has_token ? strdup(session_token) : NULL,
                                          .obtained_ms = obtained_ms,
                                          .expires_ms = expires_ms,
                                          .references = 1};
  if (credentials->access_key && credentials->secret_key && (!has_token || credentials->session_token))
    return credentials;
  destroy(credentials);
  return NULL;
}

struct aws_credentials *aws_credentials_share(struct aws_credentials *credentials) {
  __atomic_add_fetch(&credentials->references, 1, __ATOMIC_RELAXED);
  return credentials;
}

void aws_credentials_release(struct aws_credentials *credentials) {
  if (credentials && __atomic_sub_fetch(&credentials->references, 1, __ATOMIC_ACQ_REL) == 0) destroy(credentials);
}

/* ---- documents and files ---- */

void aws_json_wipe(json_t *value) {
  const char *key;
  json_t *item;
  size_t index;
  if (json_is_string(value)) OPENSSL_cleanse((char *)json_string_value(value), json_string_length(value));
  json_object_foreach(value, key, item) aws_json_wipe(item);
  json_array_foreach(value, index, item) aws_json_wipe(item);
}

struct aws_credentials *aws_credentials_from_json(struct aws_client *client, const json_t *document,
                                                  struct error *error) {
  const char *token = json_text_at(document, "SessionToken", NULL);
  const char *expiration = json_text_at(document, "Expiration", NULL);
  int64_t expires = 0;
  if (*expiration && clock_parse(expiration, &expires) != 0) {
    error_set(error, ERROR_DENIED, "InvalidCredentials", "the credentials' expiration is no RFC 3339 time");
    return NULL;
  }
  struct aws_credentials *credentials =
      aws_credentials_new(json_text_at(document, "AccessKeyId", NULL), json_text_at(document, "SecretAccessKey", NULL),
                          *token ? token : json_text_at(document, "Token", NULL), aws_client_aws_time(client), expires);
  if (!credentials)
    error_set(error, ERROR_DENIED, "InvalidCredentials",
              "the answer holds no plausible AccessKeyId and SecretAccessKey");
  return credentials;
}

static ssize_t read_whole(int descriptor, char *text, size_t size) {
  size_t length = 0;
  while (length < size) {
    ssize_t got = read(descriptor, text + length, size - length);
    if (got < 0) return -1;
    if (got == 0) break;
    length += (size_t)got;
  }
  return (ssize_t)length;
}

char *aws_read_secret_file(const char *path, size_t limit, struct error *error) {
  int descriptor = open(path, O_RDONLY | O_CLOEXEC);
  char *text = descriptor >= 0 ? calloc(1, limit + 2) : NULL;
  ssize_t length = text ? read_whole(descriptor, text, limit + 1) : -1;
  if (descriptor >= 0) close(descriptor);
  if (length < 0 || (size_t)length > limit) {
    error_set(error, ERROR_DENIED, "CredentialsFile", "%s cannot be read, or is too large", path);
    free(text);
    return NULL;
  }
  while (length > 0 && isspace((unsigned char)text[length - 1])) text[--length] = '\0';
  return text;
}

/* ---- the chain ---- */

enum aws_provided aws_credentials_environment(const struct aws_fetch *fetch, struct aws_credentials **credentials,
                                              struct error *error) {
  const char *access_key = getenv("AWS_ACCESS_KEY_ID"), *secret_key = getenv("AWS_SECRET_ACCESS_KEY");
  const char *token = getenv("AWS_SESSION_TOKEN");
  if (!token || !*token) token = getenv("AWS_SECURITY_TOKEN");
  if (!access_key || !*access_key) return AWS_PROVIDER_ABSENT;
  *credentials = aws_credentials_new(access_key, secret_key, token, aws_client_aws_time(fetch->client), 0);
  if (*credentials) return AWS_PROVIDER_FOUND;
  error_set(error, ERROR_DENIED, "InvalidCredentials",
            "AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is missing or one of them is no key");
  return AWS_PROVIDER_ERROR;
}

static const struct {
  const char *name;
  aws_provider *provide;
} providers[] = {
    {"environment", aws_credentials_environment}, {"web identity", aws_credentials_web_identity},
    {"shared files", aws_credentials_files},      {"container", aws_credentials_container},
    {"instance", aws_credentials_instance},
};

int aws_credentials_base(const struct aws_fetch *fetch, struct aws_credentials **credentials, struct error *error) {
  for (size_t i = 0; i < sizeof providers / sizeof *providers; i++) {
    enum aws_provided provided = providers[i].provide(fetch, credentials, error);
    if (provided == AWS_PROVIDER_ERROR) return -1;
    if (provided == AWS_PROVIDER_FOUND) {
      log_debug("base credentials found", LOG_TEXT("provider", providers[i].name));
      return 0;
    }
  }
  return error_set(
      error, ERROR_DENIED, "NoCredentials",
      "no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or an attached role");
}
