/* The protocols: parameters → request, response → result.  query, ec2, json 1.0/1.1, rest-json, rest-xml; where a
 * service lists several, the first of json, rest-json, query, ec2, rest-xml that it supports (never CBOR).
 * Pure functions over immutable models; thread-safe.  Internal to common/aws and the conformance program. */
#ifndef PARAPET_AWS_PROTOCOL_H
#define PARAPET_AWS_PROTOCOL_H

#include "aws/aws.h"
#include "aws/model.h"

struct aws_request {               /* freed by aws_request_free */
  const char *method;              /* borrowed from the model or static */
  char *uri;                       /* path and query, encoded: "/", "/b/key?acl" */
  char *host_prefix;               /* rendered endpoint.hostPrefix, or NULL */
  struct aws_http_header *headers; /* without Host, User-Agent, Authorization */
  size_t header_count;
  char *body; /* NULL: none */
  size_t body_length;
};
/* 0, or -1 with *error (INVALID: where = JSON pointer of the parameter that does not fit the shape). Absent idempotency
 * tokens are filled in (a random UUID). */
int aws_serialize(const struct aws_service *service, const struct aws_operation *operation, json_t *params,
                  struct aws_request *request, struct error *error);
void aws_request_free(struct aws_request *request);

/* The same with the conformance program's wishes: blobs given as plain text (the product: base64), and which
 * idempotency token to fill in (NULL: a random one). */
struct aws_serialize_options {
  int blobs_as_text;
  const char *idempotency_token;
};
int aws_serialize_as(const struct aws_service *service, const struct aws_operation *operation, json_t *params,
                     const struct aws_serialize_options *options, struct aws_request *request, struct error *error);

/* New result, or NULL with *error: code, message, request id as the protocol tells them, class as aws_call says;
 * request_id (may be NULL, 96 bytes) is filled in both cases.  The body is used up: XML is read in place. */
json_t *aws_parse(const struct aws_service *service, const struct aws_operation *operation,
                  const struct aws_http_response *response, char *request_id, struct error *error);
/* How timestamps appear in results: RFC 3339 text (the product), or epoch seconds (the conformance program). */
enum aws_timestamps { AWS_TIMESTAMPS_TEXT, AWS_TIMESTAMPS_EPOCH };
json_t *aws_parse_as(const struct aws_service *service, const struct aws_operation *operation,
                     const struct aws_http_response *response, enum aws_timestamps timestamps, int blobs_as_text,
                     char *request_id, struct error *error);

/* Class of an error from its code and HTTP status (aws.h's rules; one table). */
enum error_class aws_error_class(const char *code, int status);

#endif
