/* What botocore does outside its models (its handlers.py), as far as playbooks meet it.  Each row of the table at the
 * end is one such thing: for a service, or one operation of it, something done to the names of the parameters, to their
 * values, to the finished request, or to the result.
 *
 * Not here: presigned URLs inside parameters (CopySnapshot across Regions of ec2, rds, neptune, docdb), tree hashes of
 * Glacier uploads, machinelearning.Predict (its endpoint is a parameter), checksums of answers.  IAM's policy documents
 * and CloudFormation's templates stay text (botocore makes them objects). */
#include <ctype.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "aws/protocol_internal.h"

static int out_of_memory(struct aws_serializing *serializing) {
  return error_set(serializing->error, ERROR_FATAL, "OutOfMemory", "out of memory");
}

static int set_param(struct aws_serializing *serializing, const char *name, json_t *value) {
  return json_object_set_new(serializing->params, name, value) == 0 ? 0 : out_of_memory(serializing);
}

/* ---- parameters ---- */

/* RunInstances, CreateLaunchConfiguration: UserData is given as plain text and sent as base64. */
static int encode_user_data(struct aws_serializing *serializing) {
  const json_t *text = json_object_get(serializing->params, "UserData");
  if (!json_is_string(text)) return 0;
  struct buffer encoded = {.ceiling = (size_t)1 << 20};
  aws_base64_encode(&encoded, json_string_value(text), json_string_length(text));
  int result = encoded.failed ? out_of_memory(serializing)
                              : set_param(serializing, "UserData", json_stringn(buffer_text(&encoded), encoded.length));
  buffer_free(&encoded);
  return result;
}

/* The parameter that botocore's documentation calls by another name than the model does. */
static int alias(struct aws_serializing *serializing, const char *name, const char *model_name) {
  const struct aws_shape *shape =
      serializing->input ? aws_resolve(serializing->service, serializing->input, serializing->error) : NULL;
  json_t *value = json_object_get(serializing->params, name);
  if (!shape || !value || aws_shape_member(shape, name, strlen(name)) ||
      !aws_shape_member(shape, model_name, strlen(model_name)))
    return 0;
  if (set_param(serializing, model_name, json_incref(value)) != 0) return -1;
  json_object_del(serializing->params, name);
  return 0;
}

/* Some ec2 operations call their filters "Filter"; botocore takes "Filters" everywhere. */
static int alias_filters(struct aws_serializing *serializing) { return alias(serializing, "Filters", "Filter"); }
/* Python's reserved words; a playbook that was an example of boto3's has them so. */
static int alias_from(struct aws_serializing *serializing) { return alias(serializing, "fromTime", "from"); }
static int alias_return(struct aws_serializing *serializing) { return alias(serializing, "returnFields", "return"); }

/* Route 53 answers "/hostedzone/Z1" and takes "Z1". */
static int trim_route53_ids(struct aws_serializing *serializing) {
  static const char *const shapes[] = {"ResourceId", "DelegationSetId", "ChangeId"};
  const struct aws_shape *input =
      serializing->input ? aws_resolve(serializing->service, serializing->input, serializing->error) : NULL;
  for (int i = 0; input && i < input->member_count; i++) {
    const struct aws_reference *member = &input->members[i];
    const char *text = json_string_value(json_object_get(serializing->params, member->name));
    const char *slash = text ? strrchr(text, '/') : NULL;
    for (size_t j = 0; slash && j < sizeof shapes / sizeof *shapes; j++)
      if (strcmp(member->shape_name, shapes[j]) == 0 &&
          set_param(serializing, member->name, json_string(slash + 1)) != 0)
        return -1;
  }
  return 0;
}

/* Keys may hold characters that XML cannot: they are asked for, and read, percent-encoded. */
static int ask_url_encoding(struct aws_serializing *serializing) {
  if (json_object_get(serializing->params, "EncodingType")) return 0;
  return set_param(serializing, "EncodingType", json_string("url"));
}

/* The source of a copy travels in a header: "bucket/key?versionId=…" with the key percent-encoded. */
static int encode_copy_source(struct aws_serializing *serializing) {
  const char *text = json_string_value(json_object_get(serializing->params, "CopySource"));
  if (!text) return 0;
  const char *version = strstr(text, "?versionId=");
  size_t length = version ? (size_t)(version - text) : strlen(text);
  struct buffer encoded = {.ceiling = (size_t)1 << 16};
  aws_percent_encode(&encoded, text, length, "/");
  if (version) buffer_add_text(&encoded, version);
  int result = encoded.failed
                   ? out_of_memory(serializing)
                   : set_param(serializing, "CopySource", json_stringn(buffer_text(&encoded), encoded.length));
  buffer_free(&encoded);
  return result;
}

/* Customer-provided keys of S3: given as text, sent as base64 with their MD5. */
static int encode_customer_key(struct aws_serializing *serializing, const char *key_name, const char *md5_name) {
  const json_t *key = json_object_get(serializing->params, key_name);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned digest_length;
  if (!json_is_string(key) || json_object_get(serializing->params, md5_name)) return 0;
  if (EVP_Digest(json_string_value(key), json_string_length(key), digest, &digest_length, EVP_md5(), NULL) != 1)
    return error_set(serializing->error, ERROR_FATAL, "NoMd5", "MD5 is not available");
  struct buffer text = {.ceiling = 4096}, md5 = {.ceiling = 256};
  aws_base64_encode(&text, json_string_value(key), json_string_length(key));
  aws_base64_encode(&md5, digest, digest_length);
  int result =
      text.failed ? out_of_memory(serializing) : set_param(serializing, md5_name, json_string(buffer_text(&md5)));
  if (result == 0) result = set_param(serializing, key_name, json_string(buffer_text(&text)));
  buffer_free(&text);
  buffer_free(&md5);
  return result;
}

static int encode_customer_keys(struct aws_serializing *serializing) {
  const struct aws_shape *input =
      serializing->input ? aws_resolve(serializing->service, serializing->input, serializing->error) : NULL;
  if (!input || !aws_shape_member(input, "SSECustomerKeyMD5", strlen("SSECustomerKeyMD5"))) return 0;
  if (encode_customer_key(serializing, "SSECustomerKey", "SSECustomerKeyMD5") != 0) return -1;
  return encode_customer_key(serializing, "CopySourceSSECustomerKey", "CopySourceSSECustomerKeyMD5");
}

static int finer_times(struct aws_serializing *serializing) {
  serializing->milliseconds = 1;
  return 0;
}

/* Glacier: "-" is the caller's own account. */
static int own_account(struct aws_serializing *serializing) {
  if (json_object_get(serializing->params, "accountId")) return 0;
  return set_param(serializing, "accountId", json_string("-"));
}

/* ---- requests ---- */

static int set_text_header(struct aws_serializing *serializing, const char *name, const char *text) {
  return aws_set_header(serializing, name, text, strlen(text));
}

static int accept_json(struct aws_serializing *serializing) {
  if (json_object_get(serializing->headers, "Accept")) return 0;
  return set_text_header(serializing, "Accept", "application/json");
}

static int glacier_version(struct aws_serializing *serializing) {
  return set_text_header(serializing, "x-amz-glacier-version", aws_metadata_text(serializing->service, "apiVersion"));
}

/* Services with endpoints of their own for each account are asked for them with the version of the API. */
static int discovery_version(struct aws_serializing *serializing) {
  const json_t *definition = aws_operation_definition(serializing->operation);
  if (!json_is_true(json_object_get(definition, "endpointoperation"))) return 0;
  return set_text_header(serializing, "x-amz-api-version", aws_metadata_text(serializing->service, "apiVersion"));
}

/* Queries may be longer than a URL can be: they are sent as a form. */
static int post_query(struct aws_serializing *serializing) {
  const char *uri = buffer_text(&serializing->uri), *query = strchr(uri, '?');
  if (!query) return 0;
  buffer_add_text(&serializing->body, query + 1);
  serializing->uri.length = (size_t)(query - uri);
  serializing->uri.data[query - uri] = '\0';
  serializing->has_body = 1;
  serializing->method = "POST";
  return set_text_header(serializing, "Content-Type", "application/x-www-form-urlencoded");
}

/* CRC-32 of RFC 3385 (Castagnoli), bit by bit: bodies with it are rare and small. */
static uint32_t crc32c(const char *bytes, size_t length) {
  uint32_t crc = 0xFFFFFFFFu;
  for (size_t i = 0; i < length; i++) {
    crc ^= (unsigned char)bytes[i];
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ ((crc & 1) ? 0x82F63B78u : 0);
  }
  return ~crc;
}

static int add_checksum(const char *algorithm, const struct buffer *body, struct buffer *to) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 4;
  const char *bytes = buffer_text(body);
  if (strcasecmp(algorithm, "CRC32") == 0 || strcasecmp(algorithm, "CRC32C") == 0) {
    int castagnoli = algorithm[5] != '\0';
    uint32_t crc = castagnoli ? crc32c(bytes, body->length) : (uint32_t)crc32_z(0, (const Bytef *)bytes, body->length);
    for (int i = 0; i < 4; i++) digest[i] = (unsigned char)(crc >> (24 - 8 * i));
  } else {
    const EVP_MD *hash = strcasecmp(algorithm, "SHA1") == 0     ? EVP_sha1()
                         : strcasecmp(algorithm, "SHA256") == 0 ? EVP_sha256()
                         : strcasecmp(algorithm, "SHA512") == 0 ? EVP_sha512()
                                                                : NULL;
    if (!hash || EVP_Digest(bytes, body->length, digest, &length, hash, NULL) != 1) return -1;
  }
  aws_base64_encode(to, digest, length);
  return 0;
}

static int has_checksum(const json_t *headers) {
  const char *name;
  json_t *text;
  json_object_foreach((json_t *)headers, name, text) {
    if (strncasecmp(name, "x-amz-checksum-", 15) == 0) return 1;
  }
  return 0;
}

/* The header that tells the algorithm, of the input's member that names it. */
static int tell_algorithm(struct aws_serializing *serializing, const char *member_name) {
  const struct aws_shape *input = aws_resolve(serializing->service, serializing->input, serializing->error);
  const struct aws_reference *member = input ? aws_shape_member(input, member_name, strlen(member_name)) : NULL;
  if (!member || !member->traits.wire_name) return 0;
  return set_text_header(serializing, member->traits.wire_name, "CRC32");
}

/* Operations with the httpChecksum trait carry a checksum of their body: the algorithm asked for, otherwise CRC32. */
static int set_checksum(struct aws_serializing *serializing) {
  const json_t *definition = aws_operation_definition(serializing->operation);
  const json_t *trait = json_object_get(definition, "httpChecksum");
  const char *member = json_string_value(json_object_get(trait, "requestAlgorithmMember"));
  int required = json_is_true(json_object_get(definition, "httpChecksumRequired")) ||
                 json_is_true(json_object_get(trait, "requestChecksumRequired"));
  if ((!required && !member) || !serializing->input || has_checksum(serializing->headers)) return 0;
  const char *chosen = member ? json_string_value(json_object_get(serializing->params, member)) : NULL;
  const char *algorithm = chosen ? chosen : "CRC32";
  struct buffer text = {.ceiling = 256};
  char name[48] = "x-amz-checksum-";
  if (strlen(algorithm) > 16 || add_checksum(algorithm, &serializing->body, &text) != 0) {
    buffer_free(&text);
    return error_set(serializing->error, ERROR_INVALID, "Checksum", "%s is no checksum that is supported", algorithm);
  }
  for (size_t i = 0, at = strlen(name); i < strlen(algorithm); i++)
    name[at + i] = (char)(algorithm[i] >= 'A' && algorithm[i] <= 'Z' ? algorithm[i] - 'A' + 'a' : algorithm[i]);
  int result = set_text_header(serializing, name, buffer_text(&text));
  buffer_free(&text);
  return result == 0 && member && !chosen ? tell_algorithm(serializing, member) : result;
}

/* ---- results ---- */

/* New string with percent encoding undone. */
static json_t *decoded(const json_t *text, int plus_is_space) {
  char *copy = strndup(json_string_value(text), json_string_length(text));
  json_t *result = NULL;
  if (copy) {
    size_t length = aws_percent_decode(copy, strlen(copy), plus_is_space);
    result = aws_json_text(copy, length);
  }
  free(copy);
  return result;
}

static int decode_member(json_t *object, const char *name, int plus_is_space) {
  const json_t *text = json_object_get(object, name);
  if (!json_is_string(text)) return 0;
  return json_object_set_new(object, name, decoded(text, plus_is_space));
}

/* IAM sends policy documents percent-encoded, wherever the model has the shape "policyDocumentType". */
static int decode_policies(struct aws_parsing *parsing, const struct aws_reference *reference, json_t *value) {
  const struct aws_shape *shape = aws_resolve(parsing->service, reference, parsing->error);
  size_t index;
  json_t *inner;
  if (!shape) return -1;
  if (shape->type == AWS_TYPE_LIST) {
    json_array_foreach(value, index, inner) {
      if (decode_policies(parsing, &shape->members[0], inner) != 0) return -1;
    }
  }
  for (int i = 0; shape->type == AWS_TYPE_STRUCTURE && i < shape->member_count; i++) {
    const struct aws_reference *member = &shape->members[i];
    inner = json_object_get(value, member->name);
    if (!inner) continue;
    int wrong = strcmp(member->shape_name, "policyDocumentType") == 0 ? decode_member(value, member->name, 0)
                : json_is_object(inner) || json_is_array(inner)       ? decode_policies(parsing, member, inner)
                                                                      : 0;
    if (wrong) return -1;
  }
  return 0;
}

static int iam_policies(struct aws_parsing *parsing, json_t *result) {
  return parsing->output ? decode_policies(parsing, parsing->output, result) : 0;
}

static int console_output(struct aws_parsing *parsing, json_t *result) {
  const json_t *text = json_object_get(result, "Output");
  struct buffer bytes = {0};
  int wrong = 0;
  (void)parsing;
  if (json_is_string(text) && aws_base64_decode(&bytes, json_string_value(text), json_string_length(text)) == 0)
    wrong = json_object_set_new(result, "Output", aws_json_text(buffer_text(&bytes), bytes.length));
  buffer_free(&bytes);
  return wrong;
}

/* The answer is one element whose text is the Region; empty (null here) means us-east-1. */
static int bucket_location(struct aws_parsing *parsing, json_t *result) {
  if (json_object_get(result, "LocationConstraint")) return 0;
  struct aws_xml *xml = aws_xml_parse(parsing->response->body ? parsing->response->body : "",
                                      parsing->response->body_length, parsing->error);
  if (!xml) return -1;
  const char *text = aws_xml_root(xml)->text;
  int wrong = json_object_set_new(result, "LocationConstraint", *text ? json_string(text) : json_null());
  aws_xml_free(xml);
  return wrong;
}

static int decode_keys(struct aws_parsing *parsing, json_t *result) {
  static const char *const own[] = {"Delimiter", "Marker", "NextMarker", "StartAfter", "KeyMarker", "NextKeyMarker"};
  static const char *const nested[][2] = {
      {"Contents", "Key"}, {"CommonPrefixes", "Prefix"}, {"Versions", "Key"}, {"DeleteMarkers", "Key"}};
  const char *encoding = json_string_value(json_object_get(result, "EncodingType"));
  if (!encoding || strcmp(encoding, "url") != 0) return 0;
  for (size_t i = 0; i < sizeof own / sizeof *own; i++)
    if (decode_member(result, own[i], 1) != 0) return -1;
  /* ListObjects (version 1) sends the prefix as it was asked for. */
  if (strcmp(aws_operation_name(parsing->operation), "ListObjects") != 0 && decode_member(result, "Prefix", 1) != 0)
    return -1;
  for (size_t i = 0; i < sizeof nested / sizeof *nested; i++) {
    size_t index;
    json_t *item;
    json_array_foreach(json_object_get(result, nested[i][0]), index, item) {
      if (decode_member(item, nested[i][1], 1) != 0) return -1;
    }
  }
  return 0;
}

/* ---- the table ---- */

struct quirk {
  const char *service;   /* serviceId; NULL: all */
  const char *operation; /* NULL: all */
  int (*names)(struct aws_serializing *serializing);
  int (*before)(struct aws_serializing *serializing);
  int (*request)(struct aws_serializing *serializing);
  int (*after)(struct aws_parsing *parsing, json_t *result);
};

static const struct quirk quirks[] = {
    {"API Gateway", NULL, .request = accept_json},
    {"Auto Scaling", "CreateLaunchConfiguration", .before = encode_user_data},
    {"Bedrock AgentCore", NULL, .before = finer_times},
    {"CloudSearch Domain", "Search", .names = alias_return, .request = post_query},
    {"CloudWatch Logs", "CreateExportTask", .names = alias_from},
    {"EC2", "RunInstances", .before = encode_user_data},
    {"EC2", NULL, .names = alias_filters},
    {"EC2", "GetConsoleOutput", .after = console_output},
    {"Glacier", NULL, .names = own_account, .request = glacier_version},
    {"IAM", NULL, .after = iam_policies},
    {"Route 53", NULL, .before = trim_route53_ids},
    {"S3", "CopyObject", .before = encode_copy_source},
    {"S3", "UploadPartCopy", .before = encode_copy_source},
    {"S3", NULL, .before = encode_customer_keys},
    {"S3", "GetBucketLocation", .after = bucket_location},
    {"S3", "ListObjects", .before = ask_url_encoding, .after = decode_keys},
    {"S3", "ListObjectsV2", .before = ask_url_encoding, .after = decode_keys},
    {"S3", "ListObjectVersions", .before = ask_url_encoding, .after = decode_keys},
    {NULL, NULL, .request = discovery_version},
    {NULL, NULL, .request = set_checksum},
};

#define QUIRK_COUNT (sizeof quirks / sizeof *quirks)

static int concerns(const struct quirk *quirk, const struct aws_service *service,
                    const struct aws_operation *operation) {
  if (quirk->service && strcmp(quirk->service, aws_metadata_text(service, "serviceId")) != 0) return 0;
  return !quirk->operation || strcmp(quirk->operation, aws_operation_name(operation)) == 0;
}

int aws_quirks_names(struct aws_serializing *serializing) {
  for (size_t i = 0; i < QUIRK_COUNT; i++)
    if (quirks[i].names && concerns(&quirks[i], serializing->service, serializing->operation) &&
        quirks[i].names(serializing) != 0)
      return -1;
  return 0;
}

int aws_quirks_before(struct aws_serializing *serializing) {
  for (size_t i = 0; i < QUIRK_COUNT; i++)
    if (quirks[i].before && concerns(&quirks[i], serializing->service, serializing->operation) &&
        quirks[i].before(serializing) != 0)
      return -1;
  return 0;
}

int aws_quirks_request(struct aws_serializing *serializing) {
  for (size_t i = 0; i < QUIRK_COUNT; i++)
    if (quirks[i].request && concerns(&quirks[i], serializing->service, serializing->operation) &&
        quirks[i].request(serializing) != 0)
      return -1;
  return 0;
}

int aws_quirks_after(struct aws_parsing *parsing, json_t *result) {
  for (size_t i = 0; i < QUIRK_COUNT; i++)
    if (quirks[i].after && concerns(&quirks[i], parsing->service, parsing->operation) &&
        quirks[i].after(parsing, result) != 0)
      return -1;
  return 0;
}

/* S3 hands back as "Expires" whatever somebody stored with the object. */
int aws_quirks_drops_header(const struct aws_parsing *parsing, const struct aws_reference *member, const char *text) {
  int64_t microseconds;
  return strcmp(member->shape_name, "Expires") == 0 &&
         strcmp(aws_metadata_text(parsing->service, "serviceId"), "S3") == 0 &&
         aws_time_parse(text, &microseconds) != 0;
}

/* Does the document's first element begin with <Error?  S3 keeps a slow answer alive with white space behind the XML
 * declaration, so it may stand far behind. */
static int begins_with_error(const struct aws_http_response *response) {
  const char *at = response->body, *end = at ? at + response->body_length : at;
  while (at < end && isspace((unsigned char)*at)) at++;
  if (end - at > 2 && at[0] == '<' && at[1] == '?') {
    at = memmem(at, (size_t)(end - at), "?>", 2);
    if (at) at += 2;
  }
  while (at && at < end && isspace((unsigned char)*at)) at++;
  return at && end - at > 6 && memcmp(at, "<Error", 6) == 0;
}

/* S3 may begin to answer 200 and fail later: then the body is <Error>.  Not where the body is the object itself. */
int aws_quirks_hidden_fault(const struct aws_parsing *parsing) {
  const struct aws_http_response *response = parsing->response;
  if (strcmp(aws_metadata_text(parsing->service, "serviceId"), "S3") != 0 || !parsing->output) return 0;
  const struct aws_shape *output = aws_resolve(parsing->service, parsing->output, NULL);
  const char *payload = parsing->output->traits.payload;
  const struct aws_reference *member = output && payload ? aws_shape_member(output, payload, strlen(payload)) : NULL;
  const struct aws_shape *body = member ? aws_resolve(parsing->service, member, NULL) : NULL;
  if (body && (body->type == AWS_TYPE_BLOB || body->type == AWS_TYPE_STRING)) return 0;
  if (!begins_with_error(response)) return 0;
  struct aws_xml *xml = aws_xml_parse(response->body, response->body_length, NULL);
  int hidden = xml && strcmp(aws_xml_root(xml)->name, "Error") == 0;
  aws_xml_free(xml);
  return hidden;
}
