/* What S3 does that no other service does: a bucket lives in one Region, and a call that went to another is answered
 * with where it should have gone; and a 200 may turn out to be a failure once its body has come.
 *
 * The rules are botocore's (utils.py: S3RegionRedirectorv2; handlers.py: _handle_200_error).  Where a bucket lives is
 * remembered, so that only the first call of a bucket is sent twice.  A bucket that moved (deleted, and made again
 * elsewhere) is redirected again, and remembered anew. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "aws/client_internal.h"
#include "aws/endpoint_internal.h"
#include "aws/xml_internal.h"

#define BUCKETS_KEPT 4096

int aws_s3_is(const struct aws_service *service) { return service && strcmp(aws_service_name(service), "s3") == 0; }

/* ---- where buckets live ---- */

/* Names are unique within a partition only. */
static int make_key(const char *region, const char *bucket, char *key, size_t size) {
  int length = snprintf(key, size, "%s/%s", aws_partition_by_prefix(region), bucket);
  return length > 0 && (size_t)length < size ? 0 : -1;
}

int aws_s3_region_of(struct aws_client *client, const char *region, const json_t *params, char found[AWS_REGION_SIZE]) {
  char key[160];
  const char *bucket = json_text_at(params, "Bucket", NULL);
  if (!*bucket || make_key(region, bucket, key, sizeof key) != 0) return 0;
  pthread_mutex_lock(&client->endpoints_lock);
  const char *known = json_string_value(json_object_get(client->buckets, key));
  if (known) snprintf(found, AWS_REGION_SIZE, "%s", known);
  pthread_mutex_unlock(&client->endpoints_lock);
  return known != NULL;
}

static void remember(struct aws_client *client, const char *region, const char *bucket, const char *lives_in) {
  char key[160];
  if (make_key(region, bucket, key, sizeof key) != 0) return;
  pthread_mutex_lock(&client->endpoints_lock);
  if (json_object_size(client->buckets) >= BUCKETS_KEPT) json_object_clear(client->buckets);
  json_object_set_new(client->buckets, key, json_string(lives_in));
  pthread_mutex_unlock(&client->endpoints_lock);
}

/* ---- redirects ---- */

/* It becomes part of a host name: a label, nothing else. */
static int take_region(const char *text, char region[AWS_REGION_SIZE]) {
  size_t length = text ? strlen(text) : 0;
  if (length == 0 || length >= AWS_REGION_SIZE || text[0] == '-' || text[length - 1] == '-') return 0;
  for (const char *at = text; *at; at++)
    if (!isalnum((unsigned char)*at) && *at != '-') return 0;
  memcpy(region, text, length + 1);
  return 1;
}

static int region_in_body(const struct aws_http_response *response, char region[AWS_REGION_SIZE]) {
  struct aws_xml *xml = response->body_length > 0 ? aws_xml_parse(response->body, response->body_length, NULL) : NULL;
  if (!xml) return 0;
  const struct aws_xml_node *root = aws_xml_root(xml);
  int found = strcmp(root->name, "Error") == 0 && take_region(aws_xml_child_text(root, "Region"), region);
  aws_xml_free(xml);
  return found;
}

static int region_in_answer(const struct aws_http_response *response, char region[AWS_REGION_SIZE]) {
  return take_region(aws_http_response_header(response, "x-amz-bucket-region"), region) ||
         region_in_body(response, region);
}

/* Does the answer say "not here"? */
static int is_elsewhere(const char *operation, const struct aws_http_response *response, const char *code) {
  char ignored[AWS_REGION_SIZE];
  int status = response->status;
  if (status == 301 || status == 302 || status == 307 || strcmp(code, "PermanentRedirect") == 0) return 1;
  /* A HEAD's answer has no body to say it in. */
  if (status == 400 && strcmp(operation, "HeadObject") == 0) return 1;
  if (status == 400 && strcmp(operation, "HeadBucket") == 0)
    return aws_http_response_header(response, "x-amz-bucket-region") != NULL;
  if (strcmp(code, "AuthorizationHeaderMalformed") == 0) return region_in_body(response, ignored);
  return strcmp(code, "IllegalLocationConstraintException") == 0 && strcmp(operation, "CreateBucket") != 0;
}

/* The answer did not say where: HeadBucket's does, whatever its status.  Through the invocation, which follows that
 * redirect itself and so fills the memory. */
static int ask_for_region(struct aws_client *client, const struct aws_invocation *invocation, const json_t *params,
                          int64_t deadline_ms, char region[AWS_REGION_SIZE]) {
  struct aws_invocation head = *invocation;
  struct aws_call_options options = {.deadline_ms = deadline_ms};
  head.operation = "s3.HeadBucket";
  json_t *ask = json_pack("{s:O}", "Bucket", json_object_get(params, "Bucket"));
  json_t *answer = ask ? aws_client_invoke(client, &head, ask, &options, NULL) : NULL;
  int found = take_region(json_text_at(answer, "BucketRegion", NULL), region) ||
              aws_s3_region_of(client, invocation->region, params, region);
  json_decref(answer);
  json_decref(ask);
  return found;
}

int aws_s3_redirected(struct aws_client *client, const struct aws_invocation *invocation, const json_t *params,
                      const struct aws_http_response *response, const char *code, int64_t deadline_ms,
                      char region[AWS_REGION_SIZE]) {
  const char *bucket = json_text_at(params, "Bucket", NULL);
  const char *operation = strchr(invocation->operation, '.');
  operation = operation ? operation + 1 : "";
  if (!*bucket || strncmp(bucket, "arn:", 4) == 0 || !is_elsewhere(operation, response, code)) return 0;
  if (!region_in_answer(response, region) &&
      (strcmp(operation, "HeadBucket") == 0 || !ask_for_region(client, invocation, params, deadline_ms, region)))
    return 0;
  remember(client, invocation->region, bucket, region);
  return 1;
}

/* ---- a 200 that is none ---- */

int aws_s3_status(const struct aws_http_response *response, struct error *error) {
  if (response->status != 200) return response->status;
  if (error->class != ERROR_FATAL || strcmp(error->code, "NotAnAnswer") != 0) return 500; /* <Error> in a 200 */
  struct aws_xml *xml = aws_xml_parse(response->body ? response->body : "", response->body_length, NULL);
  int whole = xml != NULL;
  aws_xml_free(xml);
  if (whole) return response->status;
  error->class = ERROR_RETRYABLE; /* cut off on its way */
  return 500;
}
