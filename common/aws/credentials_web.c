/* Web identity (IAM roles for service accounts): AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN.  The token file is read
 * anew for every session, since the cluster replaces it. */
#include <stdlib.h>
#include <string.h>

#include "aws/client_internal.h"
#include "aws/session_internal.h"

#define TOKEN_LIMIT ((size_t)64 << 10)

static int exchange_token(const struct aws_fetch *fetch, json_t *params, struct aws_credentials **credentials,
                          struct error *error) {
  struct aws_call_options options = {.deadline_ms = fetch->deadline_ms};
  struct aws_invocation invocation = {
      .operation = "sts.AssumeRoleWithWebIdentity", .account = "", .region = fetch->client->hub_region};
  json_t *answer = aws_client_invoke(fetch->client, &invocation, params, &options, error);
  return aws_take_credentials(fetch->client, answer, credentials, error);
}

int aws_web_identity(const struct aws_fetch *fetch, const struct aws_web_identity_source *source,
                     struct aws_credentials **credentials, struct error *error) {
  char *token = aws_read_secret_file(source->token_file, TOKEN_LIMIT, error);
  if (!token) return -1;
  const char *name = source->session_name && *source->session_name ? source->session_name : "parapet";
  json_t *params =
      json_pack("{s:s, s:s, s:s}", "RoleArn", source->role_arn, "RoleSessionName", name, "WebIdentityToken", token);
  aws_free_secret(token);
  if (!params)
    return error_set(error, ERROR_DENIED, "InvalidCredentials", "the web identity's token or role is no text");
  int result = exchange_token(fetch, params, credentials, error);
  aws_json_wipe(params);
  json_decref(params);
  return result;
}

enum aws_provided aws_credentials_web_identity(const struct aws_fetch *fetch, struct aws_credentials **credentials,
                                               struct error *error) {
  struct aws_web_identity_source source = {.token_file = getenv("AWS_WEB_IDENTITY_TOKEN_FILE"),
                                           .role_arn = getenv("AWS_ROLE_ARN"),
                                           .session_name = getenv("AWS_ROLE_SESSION_NAME")};
  if (!source.token_file || !*source.token_file) return AWS_PROVIDER_ABSENT;
  if (!source.role_arn || !*source.role_arn) {
    error_set(error, ERROR_DENIED, "InvalidCredentials", "AWS_WEB_IDENTITY_TOKEN_FILE is set, but AWS_ROLE_ARN is not");
    return AWS_PROVIDER_ERROR;
  }
  return aws_web_identity(fetch, &source, credentials, error) == 0 ? AWS_PROVIDER_FOUND : AWS_PROVIDER_ERROR;
}
