#include "aws/identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/checks.h"
#include "aws/client_internal.h"

enum { VALUE_LIMIT = 8192, SUBJECT = 64 };
static const char operation_name[] = "sts.GetCallerIdentity";

/* What a proof consists of; nothing else is sent. */
static const struct {
  const char *name;
  int required;
} proof_headers[] = {
    {"authorization", 1},        {"x-amz-date", 1},   {AWS_IDENTITY_HEADER, 1},
    {"x-amz-content-sha256", 0}, {"content-type", 1}, {"x-amz-security-token", 0},
};

struct asking { /* the request, the same on both sides */
  const struct aws_service *service;
  const struct aws_operation *operation;
  struct aws_request request;
  struct aws_http_header headers[16];
  json_t *endpoint;
  struct aws_wire wire;
};

static void asking_free(struct asking *asking) {
  aws_wire_free(&asking->wire);
  json_decref(asking->endpoint);
  aws_request_free(&asking->request);
}

static int asking_open(struct aws_client *client, struct asking *asking, struct error *error) {
  const char *region = client->hub_region;
  json_t *params = json_object();
  int result = aws_models_operation(client->models, operation_name, &asking->service, &asking->operation, error);
  if (result == 0) result = aws_serialize(asking->service, asking->operation, params, &asking->request, error);
  if (result == 0) {
    asking->endpoint = aws_client_endpoint(client, asking->service, asking->operation, region, params, error);
    if (!asking->endpoint) result = -1;
  }
  json_decref(params);
  return result;
}

/* ---- the one who asks ---- */
static int base_credentials(struct aws_client *client, struct aws_credentials **credentials, struct error *error) {
  struct aws_target target = {.region = client->hub_region};
  struct aws_session *session = aws_session_find(client->sessions, &target, error);
  if (!session) return -1;
  int result = aws_session_credentials(client->sessions, session, aws_client_now(client) + 30000, credentials, error);
  aws_session_release(client->sessions, session);
  return result;
}

static json_t *headers_of(const struct aws_http_request *request) {
  json_t *proof = json_object();
  for (size_t i = 0; i < request->header_count; i++)
    for (size_t k = 0; k < sizeof proof_headers / sizeof *proof_headers; k++)
      if (strcasecmp(request->headers[i].name, proof_headers[k].name) == 0)
        json_object_set_new(proof, proof_headers[k].name, json_string(request->headers[i].value));
  return proof;
}

json_t *aws_identity_prove(struct aws_client *client, const char *subject, struct error *error) {
  struct asking asking = {0};
  struct aws_credentials *credentials = NULL;
  json_t *proof = NULL;
  if (asking_open(client, &asking, error) == 0 && base_credentials(client, &credentials, error) == 0) {
    struct aws_request bound = asking.request;
    struct aws_wire_options options = {
        .endpoint = asking.endpoint, .credentials = credentials, .wall_ms = aws_client_aws_time(client)};
    if (bound.header_count + 1 <= sizeof asking.headers / sizeof *asking.headers) {
      memcpy(asking.headers, bound.headers, bound.header_count * sizeof *bound.headers);
      asking.headers[bound.header_count++] = (struct aws_http_header){AWS_IDENTITY_HEADER, subject};
      bound.headers = asking.headers;
      if (aws_wire_make(&bound, &options, &asking.wire, error) == 0) proof = headers_of(&asking.wire.request);
    }
  }
  aws_credentials_release(credentials);
  asking_free(&asking);
  return proof;
}

/* ---- the one who is asked ---- */
static int deny(struct error *error, const char *why) {
  return error_set(error, ERROR_DENIED, "Proof", "the proof is none: %s", why);
}

/* "…SignedHeaders=a;b;c,…" names this one. */
static int is_signed(const char *authorization, const char *name) {
  const char *list = strstr(authorization, "SignedHeaders=");
  size_t length = strlen(name);
  if (!list) return 0;
  list += strlen("SignedHeaders=");
  size_t end = strcspn(list, ", ");
  for (const char *at = list; at < list + end; at += strcspn(at, ";, ") + 1)
    if (strncmp(at, name, length) == 0 && strchr(";, ", at[length])) return 1;
  return 0;
}

/* Is it signed for this Region's STS? */
static int has_scope(const char *authorization, const char *region) {
  char scope[128];
  const char *credential = strstr(authorization, "Credential=");
  size_t length = credential ? strcspn(credential, ", ") : 0, tail;
  snprintf(scope, sizeof scope, "/%s/sts/aws4_request", region);
  tail = strlen(scope);
  return length > tail && strncmp(credential + length - tail, scope, tail) == 0;
}

static int check_proof(const json_t *proof, const char *region, const char *subject, struct error *error) {
  const char *name, *authorization = json_text_at(proof, "authorization", NULL);
  json_t *value;
  if (!json_is_object(proof)) return deny(error, "there is none");
  json_object_foreach((json_t *)proof, name, value) {
    size_t known = 0;
    for (size_t k = 0; k < sizeof proof_headers / sizeof *proof_headers; k++)
      known += strcmp(name, proof_headers[k].name) == 0;
    if (!known) return deny(error, "it has a header that a proof has not");
    const char *text = json_string_value(value);
    if (!text || strlen(text) > VALUE_LIMIT || json_string_length(value) != strlen(text) || strpbrk(text, "\r\n"))
      return deny(error, "a header is too long, or no text");
  }
  for (size_t k = 0; k < sizeof proof_headers / sizeof *proof_headers; k++)
    if (proof_headers[k].required && !json_object_get(proof, proof_headers[k].name))
      return deny(error, "a header is missing");
  if (strlen(subject) != SUBJECT || strcmp(json_text_at(proof, AWS_IDENTITY_HEADER, NULL), subject) != 0)
    return deny(error, "it is of another command");
  if (!is_signed(authorization, AWS_IDENTITY_HEADER) || !is_signed(authorization, "host") ||
      !is_signed(authorization, "x-amz-date"))
    return deny(error, "what binds it to its command is not signed");
  if (!has_scope(authorization, region)) return deny(error, "it is signed for another Region or service");
  return 0;
}

/* arn:aws:sts::1:assumed-role/NAME/SESSION → arn:aws:iam::1:role/NAME; others as they are.  0, or -1: too long. */
static int principal_of(const char *caller, char *arn, size_t size) {
  const char *role = strstr(caller, ":assumed-role/"), *service = strstr(caller, ":sts::");
  int length;
  if (!role || !service || service > role) {
    length = snprintf(arn, size, "%s", caller);
  } else {
    const char *name = role + strlen(":assumed-role/"), *session = strrchr(name, '/');
    if (!session) return -1;
    length = snprintf(arn, size, "%.*s:iam::%.*s:role/%.*s", (int)(service - caller), caller, (int)(role - service - 6),
                      service + 6, (int)(session - name), name);
  }
  return length < 0 || (size_t)length >= size ? -1 : 0;
}

static int send_proof(struct aws_client *client, struct asking *asking, const json_t *proof, int64_t deadline_ms,
                      json_t **identity, struct error *error) {
  struct aws_wire_options options = {.endpoint = asking->endpoint, .wall_ms = aws_client_aws_time(client)};
  if (aws_wire_make(&asking->request, &options, &asking->wire, error) != 0) return -1;
  struct aws_http_request request = asking->wire.request;
  struct aws_http_response response = {0};
  const char *name;
  json_t *value;
  request.headers = asking->headers;
  request.header_count = 0;
  json_object_foreach((json_t *)proof, name, value) asking->headers[request.header_count++] =
      (struct aws_http_header){name, json_string_value(value)};
  request.deadline_ms = deadline_ms;
  if (client->transport.perform(client->transport.context, &request, &response, error) != 0) return -1;
  *identity = aws_parse(asking->service, asking->operation, &response, NULL, error);
  aws_http_response_free(&response);
  return *identity ? 0 : -1;
}

int aws_identity_check(struct aws_client *client, const char *subject, const json_t *proof, int64_t deadline_ms,
                       char *arn, size_t size, struct error *error) {
  struct asking asking = {0};
  struct error problem = {0};
  json_t *identity = NULL;
  int result = asking_open(client, &asking, &problem);
  if (result == 0 && check_proof(proof, json_text_at(asking.endpoint, "signing_region", NULL), subject, error) != 0) {
    asking_free(&asking);
    return -1;
  }
  if (result == 0) result = send_proof(client, &asking, proof, deadline_ms, &identity, &problem);
  if (result == 0 &&
      (!*json_text_at(identity, "Arn", NULL) || principal_of(json_text_at(identity, "Arn", NULL), arn, size) != 0))
    result = error_set(&problem, ERROR_DENIED, "Proof", "STS named nobody");
  if (result != 0 && !error_is_transient(&problem)) {
    char said[256];
    snprintf(said, sizeof said, "%s", problem.message);
    error_set(&problem, ERROR_DENIED, problem.code, "STS does not accept the proof: %s", said);
  }
  if (result != 0 && error) *error = problem;
  json_decref(identity);
  asking_free(&asking);
  return result;
}
