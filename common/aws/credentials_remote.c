/* Credentials from an address on the machine's own network: containers (ECS, EKS Pod Identity) and IMDSv2.
 *
 * A container's agent may be named by a full URL.  Plain http is accepted only to addresses that cannot be somebody
 * else's (loopback, and the link-local addresses of ECS and EKS): the request carries a token, the answer keys. */
#include <arpa/inet.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/client_internal.h"

#define CONTAINER_HOST "http://169.254.170.2"
#define CONTAINER_ATTEMPT_MS 2000
#define CONTAINER_ATTEMPTS 3
#define INSTANCE_HOST "http://169.254.169.254"
#define INSTANCE_ATTEMPT_MS 1000
#define INSTANCE_ATTEMPTS 2
#define TOKEN_LIMIT ((size_t)16 << 10)
#define URL_LIMIT 2048

/* ---- one request ---- */

struct question {
  const char *method, *url;
  struct aws_http_header header; /* name NULL: none */
  int64_t attempt_ms;
  int attempts;
};

static int ask_once(const struct aws_fetch *fetch, const struct question *question, struct aws_http_response *response,
                    struct error *error) {
  struct aws_client *client = fetch->client;
  struct aws_http_request request = {.method = question->method,
                                     .url = question->url,
                                     .headers = &question->header,
                                     .header_count = question->header.name != NULL,
                                     .deadline_ms = aws_client_now(client) + question->attempt_ms};
  if (request.deadline_ms > fetch->deadline_ms) request.deadline_ms = fetch->deadline_ms;
  if (client->transport.perform(client->transport.context, &request, response, error) != 0) return -1;
  if (response->status == 200) return 0;
  enum error_class class = response->status >= 500 || response->status == 429 ? ERROR_RETRYABLE : ERROR_DENIED;
  error_set(error, class, "CredentialsEndpoint", "the credentials' endpoint answered with status %d", response->status);
  aws_http_response_free(response);
  return -1;
}

/* The answer's body (caller wipes and frees), or NULL with *error. */
static char *ask(const struct aws_fetch *fetch, const struct question *question, struct error *error) {
  struct aws_http_response response = {0};
  for (int attempt = 1; ask_once(fetch, question, &response, error) != 0; attempt++) {
    if (attempt == question->attempts || !error_is_transient(error)) return NULL;
    if (aws_client_now(fetch->client) + 100 >= fetch->deadline_ms) return NULL;
    aws_client_sleep(fetch->client, 100);
  }
  char *body = response.body ? strndup(response.body, response.body_length) : NULL;
  if (response.body) OPENSSL_cleanse(response.body, response.body_length);
  aws_http_response_free(&response);
  if (!body) error_set(error, ERROR_FATAL, "Memory", "out of memory");
  return body;
}

static int take_document(struct aws_client *client, char *body, struct aws_credentials **credentials,
                         struct error *error) {
  if (!body) return -1;
  json_t *document = json_parse(body, strlen(body), NULL);
  aws_free_secret(body);
  if (document)
    *credentials = aws_credentials_from_json(client, document, error);
  else /* not the parser's words: they could quote a secret */
    error_set(error, ERROR_RETRYABLE, "CredentialsEndpoint", "the credentials' endpoint did not answer with JSON");
  aws_json_wipe(document);
  json_decref(document);
  return *credentials ? 0 : -1;
}

/* ---- containers ---- */

/* The URL's host without port and brackets; 0, or -1 when there is none or it is longer than `size`. */
static int host_of(const char *url, char *host, size_t size) {
  const char *start = strstr(url, "://");
  if (!start) return -1;
  start += 3;
  size_t length = strcspn(start, "/?#");
  if (memchr(start, '@', length)) return -1;
  if (*start == '[') {
    start++;
    length = strcspn(start, "]");
  } else {
    size_t colon = strcspn(start, ":");
    if (colon < length) length = colon;
  }
  if (length == 0 || length >= size) return -1;
  memcpy(host, start, length);
  host[length] = '\0';
  return 0;
}

static int is_loopback(const char *host) {
  struct in_addr four;
  struct in6_addr six;
  if (strcasecmp(host, "localhost") == 0) return 1;
  if (inet_pton(AF_INET, host, &four) == 1) return ntohl(four.s_addr) >> 24 == 127;
  return inet_pton(AF_INET6, host, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

static int host_allowed(const char *url) {
  static const char *const hosts[] = {"169.254.170.2", "169.254.170.23", "fd00:ec2::23"};
  char host[256];
  if (strncasecmp(url, "https://", 8) == 0) return 1;
  if (strncasecmp(url, "http://", 7) != 0 || host_of(url, host, sizeof host) != 0) return 0;
  for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
    if (strcasecmp(host, hosts[i]) == 0) return 1;
  return is_loopback(host);
}

/* 0 with *token (NULL: none is configured; caller wipes and frees), or -1. */
static int authorization(char **token, struct error *error) {
  const char *file = getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
  const char *text = getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN");
  *token = NULL;
  if (file && *file)
    *token = aws_read_secret_file(file, TOKEN_LIMIT, error);
  else if (text && *text)
    *token = strdup(text);
  else
    return 0;
  if (!*token) return -1;
  if (!strpbrk(*token, "\r\n")) return 0;
  aws_free_secret(*token);
  return error_set(error, ERROR_DENIED, "InvalidCredentials", "the container's authorization token holds a line break");
}

enum aws_provided aws_credentials_container(const struct aws_fetch *fetch, struct aws_credentials **credentials,
                                            struct error *error) {
  const char *relative = getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  const char *full = getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  char url[URL_LIMIT], *token;
  if (relative && *relative)
    snprintf(url, sizeof url, CONTAINER_HOST "%s", relative);
  else if (full && *full)
    snprintf(url, sizeof url, "%s", full);
  else
    return AWS_PROVIDER_ABSENT;
  if (!host_allowed(url)) {
    error_set(error, ERROR_DENIED, "CredentialsEndpoint",
              "AWS_CONTAINER_CREDENTIALS_FULL_URI must be https, or of a loopback or a container agent's address");
    return AWS_PROVIDER_ERROR;
  }
  if (authorization(&token, error) != 0) return AWS_PROVIDER_ERROR;
  struct question question = {.method = "GET",
                              .url = url,
                              .header = {token ? "Authorization" : NULL, token},
                              .attempt_ms = CONTAINER_ATTEMPT_MS,
                              .attempts = CONTAINER_ATTEMPTS};
  int result = take_document(fetch->client, ask(fetch, &question, error), credentials, error);
  aws_free_secret(token);
  return result == 0 ? AWS_PROVIDER_FOUND : AWS_PROVIDER_ERROR;
}

/* ---- IMDSv2 ---- */

static const char *instance_host(void) {
  const char *host = getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT");
  return host && *host ? host : INSTANCE_HOST;
}

static int64_t instance_attempt_ms(void) {
  const char *seconds = getenv("AWS_METADATA_SERVICE_TIMEOUT");
  long value = seconds ? strtol(seconds, NULL, 10) : 0;
  return value >= 1 && value <= 60 ? value * 1000 : INSTANCE_ATTEMPT_MS;
}

static char *ask_instance(const struct aws_fetch *fetch, const char *method, const char *path,
                          struct aws_http_header header, struct error *error) {
  char url[URL_LIMIT];
  const char *host = instance_host();
  size_t length = strlen(host);
  if (length > 0 && host[length - 1] == '/') length--;
  snprintf(url, sizeof url, "%.*s/latest/%s", (int)(length < 1024 ? length : 1024), host, path);
  struct question question = {.method = method,
                              .url = url,
                              .header = header,
                              .attempt_ms = instance_attempt_ms(),
                              .attempts = INSTANCE_ATTEMPTS};
  return ask(fetch, &question, error);
}

#define ROLE_PATH "meta-data/iam/security-credentials/"

static int instance_role(const struct aws_fetch *fetch, const char *token, struct aws_credentials **credentials,
                         struct error *error) {
  struct aws_http_header header = {"X-aws-ec2-metadata-token", token};
  char path[512];
  char *role = ask_instance(fetch, "GET", ROLE_PATH, header, error);
  if (!role) return -1;
  role[strcspn(role, "\r\n")] = '\0';
  snprintf(path, sizeof path, ROLE_PATH "%.256s", role);
  free(role);
  return take_document(fetch->client, ask_instance(fetch, "GET", path, header, error), credentials, error);
}

/* Not on an instance (nobody answers) is "absent"; an instance without a role too. */
enum aws_provided aws_credentials_instance(const struct aws_fetch *fetch, struct aws_credentials **credentials,
                                           struct error *error) {
  const char *disabled = getenv("AWS_EC2_METADATA_DISABLED");
  if (disabled && strcasecmp(disabled, "true") == 0) return AWS_PROVIDER_ABSENT;
  struct error mine = {0};
  char *token = ask_instance(fetch, "PUT", "api/token",
                             (struct aws_http_header){"X-aws-ec2-metadata-token-ttl-seconds", "21600"}, &mine);
  if (!token) return AWS_PROVIDER_ABSENT;
  if (strpbrk(token, "\r\n")) token[strcspn(token, "\r\n")] = '\0';
  int result = instance_role(fetch, token, credentials, error);
  aws_free_secret(token);
  return result == 0 ? AWS_PROVIDER_FOUND : AWS_PROVIDER_ERROR;
}
