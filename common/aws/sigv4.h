/* AWS Signature Version 4 (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).
 * Pure functions; thread-safe. */
#ifndef PARAPET_AWS_SIGV4_H
#define PARAPET_AWS_SIGV4_H

#include <stdint.h>

#include "aws/aws.h"
#include "base/buffer.h"

struct sigv4_credentials {
  const char *access_key, *secret_key, *session_token; /* token may be NULL */
};
struct sigv4_context {
  struct sigv4_credentials credentials;
  const char *region, *service;
  int64_t wall_ms;        /* time of signing */
  int normalize_path;     /* remove dot segments (every service but S3) */
  int double_encode_path; /* encode the path once more (every service but S3) */
  int sign_body;          /* include x-amz-content-sha256 */
  int omit_session_token; /* add the token after signing, unsigned */
  int query;              /* presign into the query instead of the Authorization header */
  int64_t expires_s;      /* with query */
};
struct sigv4_result { /* freed by sigv4_result_free */
  char *canonical_request, *string_to_sign, signature[65];
  struct aws_http_header *headers; /* to add to the request; values owned here */
  size_t header_count;
  char *url; /* with query: the presigned URL; else NULL */
};

/* 0, or -1 (out of memory, a URL that is none) with *error. */
int sigv4_sign(const struct sigv4_context *context, const struct aws_http_request *request, struct sigv4_result *result,
               struct error *error);
void sigv4_result_free(struct sigv4_result *result);

#endif
