/* Signature Version 4, step by step as AWS documents it: a canonical request, a string to sign made of its hash, a key
 * derived from the secret, and the signature.
 *
 * The canonical path is the path of the URL as it goes over the wire, encoded once more (so "%20" becomes "%2520"),
 * except for S3; the canonical query is decoded and encoded again, so that it does not matter how the URL spelt it. */
#include "aws/sigv4.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "aws/text_internal.h"

#define HASH_SIZE 32
#define HEX_SIZE (2 * HASH_SIZE + 1)
#define ALGORITHM "AWS4-HMAC-SHA256"

struct pair {
  char *name, *value; /* both owned */
};

struct pairs {
  struct pair *list;
  size_t count, room;
};

struct signing {
  const struct sigv4_context *context;
  const struct aws_http_request *request;
  const char *authority, *path, *query; /* parts of the URL; the query without '?', "" when there is none */
  size_t authority_length, path_length;
  char date[17];              /* "20150830T123600Z" */
  char payload[HEX_SIZE];     /* hash of the body, or UNSIGNED-PAYLOAD */
  struct pairs headers;       /* to sign, lower case, sorted, one entry a name */
  struct buffer signed_names; /* "host;x-amz-date" */
  struct buffer added_query;  /* "X-Amz-Algorithm=…&…" of a presigned URL */
  struct buffer scope;        /* "20150830/us-east-1/service/aws4_request" */
};

/* ---- lists ---- */

static int add_pair(struct pairs *pairs, const char *name, size_t name_length, const char *value, size_t value_length) {
  if (pairs->count == pairs->room) {
    size_t room = pairs->room ? pairs->room * 2 : 16;
    struct pair *list = realloc(pairs->list, room * sizeof *list);
    if (!list) return -1;
    pairs->list = list;
    pairs->room = room;
  }
  struct pair pair = {.name = strndup(name, name_length), .value = strndup(value, value_length)};
  if (!pair.name || !pair.value) {
    free(pair.name);
    free(pair.value);
    return -1;
  }
  pairs->list[pairs->count++] = pair;
  return 0;
}

static void free_pairs(struct pairs *pairs) {
  for (size_t i = 0; i < pairs->count; i++) {
    free(pairs->list[i].name);
    free(pairs->list[i].value);
  }
  free(pairs->list);
}

static int compare_pairs(const void *left, const void *right) {
  const struct pair *one = left, *other = right;
  int names = strcmp(one->name, other->name);
  return names ? names : strcmp(one->value, other->value);
}

/* ---- hashes ----
 * OpenSSL looks its algorithms up by name for every use of EVP_sha256() and HMAC(), which takes longer than the hashes
 * of a request: so they are fetched once, and the five HMACs of a signature share a context. */

static EVP_MD *sha256;
static EVP_MAC *hmac;

static void fetch_algorithms(void) {
  sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
  hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
}

static int have_algorithms(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  return pthread_once(&once, fetch_algorithms) == 0 && sha256 && hmac;
}

static void hex(const unsigned char hash[HASH_SIZE], char text[HEX_SIZE]) {
  static const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < HASH_SIZE; i++) {
    text[2 * i] = digits[hash[i] >> 4];
    text[2 * i + 1] = digits[hash[i] & 15];
  }
  text[2 * (size_t)HASH_SIZE] = '\0';
}

static int sha256_hex(const char *bytes, size_t length, char text[HEX_SIZE]) {
  unsigned char hash[HASH_SIZE];
  if (EVP_Digest(bytes ? bytes : "", length, hash, NULL, sha256, NULL) != 1) return -1;
  hex(hash, text);
  return 0;
}

/* key = HMAC(start, text); start NULL: the key so far.  The context knows its digest from the first time on. */
static int mac(EVP_MAC_CTX *context, unsigned char key[HASH_SIZE], const char *start, const char *text, size_t length) {
  static char name[] = "SHA256"; /* OpenSSL does not write to it, but does not say so */
  const OSSL_PARAM digest[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
                               OSSL_PARAM_construct_end()};
  size_t size = 0;
  return EVP_MAC_init(context, start ? (const unsigned char *)start : key, start ? strlen(start) : HASH_SIZE,
                      start ? digest : NULL) == 1 &&
                 EVP_MAC_update(context, (const unsigned char *)text, length) == 1 &&
                 EVP_MAC_final(context, key, &size, HASH_SIZE) == 1
             ? 0
             : -1;
}

/* "AWS4" + secret → day → Region → service → "aws4_request" → the string to sign. */
static int compute_signature(const struct signing *signing, const char *string_to_sign, char text[HEX_SIZE]) {
  const struct sigv4_context *context = signing->context;
  unsigned char key[HASH_SIZE] = {0};
  size_t secret_length = strlen(context->credentials.secret_key) + 4;
  char *secret = malloc(secret_length + 1);
  EVP_MAC_CTX *macs = EVP_MAC_CTX_new(hmac);
  int result = -1;
  if (secret && macs) {
    snprintf(secret, secret_length + 1, "AWS4%s", context->credentials.secret_key);
    result = mac(macs, key, secret, signing->date, 8) == 0 &&
                     mac(macs, key, NULL, context->region, strlen(context->region)) == 0 &&
                     mac(macs, key, NULL, context->service, strlen(context->service)) == 0 &&
                     mac(macs, key, NULL, "aws4_request", 12) == 0 &&
                     mac(macs, key, NULL, string_to_sign, strlen(string_to_sign)) == 0
                 ? 0
                 : -1;
    OPENSSL_cleanse(secret, secret_length);
  }
  hex(key, text);
  OPENSSL_cleanse(key, sizeof key);
  EVP_MAC_CTX_free(macs);
  free(secret);
  return result;
}

/* ---- the URL ---- */

static int split_url(struct signing *signing) {
  const char *scheme_end = strstr(signing->request->url, "://");
  if (!scheme_end || scheme_end == signing->request->url) return -1;
  signing->authority = scheme_end + 3;
  signing->authority_length = strcspn(signing->authority, "/?");
  if (signing->authority_length == 0) return -1;
  signing->path = signing->authority + signing->authority_length;
  signing->path_length = strcspn(signing->path, "?");
  const char *mark = signing->path + signing->path_length;
  signing->query = *mark == '?' ? mark + 1 : "";
  return 0;
}

/* Dot segments and repeated slashes removed, as botocore does. */
static void normalize_path(const char *path, size_t length, struct buffer *to) {
  size_t at = 0;
  while (at < length) {
    const char *segment = path + at;
    const char *slash = memchr(segment, '/', length - at);
    size_t size = slash ? (size_t)(slash - segment) : length - at;
    if (size == 2 && segment[0] == '.' && segment[1] == '.') {
      while (to->length > 0 && to->data[--to->length] != '/') continue;
    } else if (size > 0 && !(size == 1 && segment[0] == '.')) {
      buffer_add_char(to, '/');
      buffer_add(to, segment, size);
    }
    at += size + 1;
  }
  if (to->length == 0 || path[length - 1] == '/') buffer_add_char(to, '/');
}

static void add_canonical_path(const struct signing *signing, struct buffer *to) {
  struct buffer path = {.ceiling = (size_t)1 << 20};
  if (signing->path_length == 0)
    buffer_add_char(&path, '/');
  else if (signing->context->normalize_path)
    normalize_path(signing->path, signing->path_length, &path);
  else
    buffer_add(&path, signing->path, signing->path_length);
  if (signing->context->double_encode_path)
    aws_percent_encode(to, buffer_text(&path), path.length, "/");
  else
    buffer_add(to, buffer_text(&path), path.length);
  if (path.failed) to->failed = 1;
  buffer_free(&path);
}

/* One spelling of a name or value: decoded, then encoded. */
static int add_query_pair(struct pairs *pairs, const char *pair, size_t length) {
  const char *equals = memchr(pair, '=', length);
  size_t name_length = equals ? (size_t)(equals - pair) : length;
  size_t value_length = equals ? length - name_length - 1 : 0;
  char *name = strndup(pair, name_length), *value = strndup(equals ? equals + 1 : "", value_length);
  struct buffer clean_name = {.ceiling = (size_t)1 << 20}, clean_value = {.ceiling = (size_t)1 << 20};
  int result = -1;
  if (name && value) {
    aws_percent_encode(&clean_name, name, aws_percent_decode(name, name_length, 0), "");
    aws_percent_encode(&clean_value, value, aws_percent_decode(value, value_length, 0), "");
    if (!clean_name.failed && !clean_value.failed)
      result =
          add_pair(pairs, buffer_text(&clean_name), clean_name.length, buffer_text(&clean_value), clean_value.length);
  }
  free(name);
  free(value);
  buffer_free(&clean_name);
  buffer_free(&clean_value);
  return result;
}

static int add_query_pairs(struct pairs *pairs, const char *query) {
  while (*query) {
    size_t length = strcspn(query, "&");
    if (length > 0 && add_query_pair(pairs, query, length) != 0) return -1;
    query += length + (query[length] == '&');
  }
  return 0;
}

static int add_canonical_query(const struct signing *signing, struct buffer *to) {
  struct pairs pairs = {0};
  int result = 0;
  if (add_query_pairs(&pairs, signing->query) != 0 || add_query_pairs(&pairs, buffer_text(&signing->added_query)) != 0)
    result = -1;
  if (pairs.count > 0) qsort(pairs.list, pairs.count, sizeof *pairs.list, compare_pairs);
  for (size_t i = 0; result == 0 && i < pairs.count; i++)
    buffer_addf(to, "%s%s=%s", i > 0 ? "&" : "", pairs.list[i].name, pairs.list[i].value);
  free_pairs(&pairs);
  return result;
}

/* ---- headers ---- */

/* Headers that proxies and libraries change on the way, and those that signing itself makes. */
static int is_signed(const char *name) {
  static const char *const left_out[] = {"authorization",        "connection",     "expect",
                                         "transfer-encoding",    "user-agent",     "x-amz-date",
                                         "x-amz-security-token", "x-amzn-trace-id"};
  for (size_t i = 0; i < sizeof left_out / sizeof *left_out; i++)
    if (strcasecmp(left_out[i], name) == 0) return 0;
  return 1;
}

/* The value without white space at its ends, and with single spaces inside. */
static void add_trimmed(struct buffer *to, const char *value) {
  int gap = 0, any = 0;
  for (; *value; value++) {
    if (*value == ' ' || *value == '\t' || *value == '\r' || *value == '\n') {
      gap = any;
      continue;
    }
    if (gap) buffer_add_char(to, ' ');
    gap = 0;
    any = 1;
    buffer_add_char(to, *value);
  }
}

/* Adds a header to those to sign; another value of one that is there goes behind it with a comma. */
static int sign_header(struct signing *signing, const char *name, const char *value) {
  struct buffer text = {.ceiling = (size_t)1 << 20};
  struct pair *there = NULL;
  int result = -1;
  for (size_t i = 0; i < signing->headers.count && !there; i++)
    if (strcasecmp(signing->headers.list[i].name, name) == 0) there = &signing->headers.list[i];
  if (there) buffer_addf(&text, "%s,", there->value);
  add_trimmed(&text, value);
  if (text.failed) {
    buffer_free(&text);
    return -1;
  }
  if (!there) {
    result = add_pair(&signing->headers, name, strlen(name), buffer_text(&text), text.length);
    for (char *byte = result == 0 ? signing->headers.list[signing->headers.count - 1].name : NULL; byte && *byte;
         byte++)
      if (*byte >= 'A' && *byte <= 'Z') *byte = (char)(*byte - 'A' + 'a');
    buffer_free(&text);
    return result;
  }
  char *joined = buffer_take(&text);
  if (!joined) return -1;
  free(there->value);
  there->value = joined;
  return 0;
}

static const char *request_header(const struct aws_http_request *request, const char *name) {
  for (size_t i = 0; i < request->header_count; i++)
    if (strcasecmp(request->headers[i].name, name) == 0) return request->headers[i].value;
  return NULL;
}

static int sign_host(struct signing *signing) {
  if (request_header(signing->request, "host")) return 0;
  char host[300];
  if (signing->authority_length >= sizeof host) return -1;
  snprintf(host, sizeof host, "%.*s", (int)signing->authority_length, signing->authority);
  int secure = strncasecmp(signing->request->url, "https://", 8) == 0;
  char *port = strrchr(host, ':'); /* the scheme's own port is not sent */
  if (port && strcmp(port, secure ? ":443" : ":80") == 0) *port = '\0';
  return sign_header(signing, "host", host);
}

static int collect_headers(struct signing *signing) {
  const struct sigv4_context *context = signing->context;
  const char *token = context->credentials.session_token;
  for (size_t i = 0; i < signing->request->header_count; i++) {
    const struct aws_http_header *header = &signing->request->headers[i];
    if (is_signed(header->name) && sign_header(signing, header->name, header->value) != 0) return -1;
  }
  if (sign_host(signing) != 0) return -1;
  if (!context->query) {
    if (sign_header(signing, "x-amz-date", signing->date) != 0) return -1;
    if (token && !context->omit_session_token && sign_header(signing, "x-amz-security-token", token) != 0) return -1;
    if (context->sign_body && !request_header(signing->request, "x-amz-content-sha256") &&
        sign_header(signing, "x-amz-content-sha256", signing->payload) != 0)
      return -1;
  }
  qsort(signing->headers.list, signing->headers.count, sizeof *signing->headers.list, compare_pairs);
  for (size_t i = 0; i < signing->headers.count; i++)
    buffer_addf(&signing->signed_names, "%s%s", i > 0 ? ";" : "", signing->headers.list[i].name);
  return signing->signed_names.failed ? -1 : 0;
}

/* ---- the steps ---- */

/* The request may say what its payload's hash is ("UNSIGNED-PAYLOAD" too); presigned requests of S3 have none. */
static int hash_payload(struct signing *signing) {
  const char *given = request_header(signing->request, "x-amz-content-sha256");
  if (signing->context->query && strcmp(signing->context->service, "s3") == 0) given = "UNSIGNED-PAYLOAD";
  if (!given) return sha256_hex(signing->request->body, signing->request->body_length, signing->payload);
  if (strlen(given) >= sizeof signing->payload) return -1;
  memcpy(signing->payload, given, strlen(given) + 1);
  return 0;
}

static void set_date(struct signing *signing) {
  char iso[AWS_TIME_SIZE];
  aws_time_text(signing->context->wall_ms / 1000 * 1000000, AWS_TIME_ISO8601, iso);
  size_t at = 0;
  for (const char *byte = iso; *byte && at < sizeof signing->date - 1; byte++)
    if (*byte != '-' && *byte != ':') signing->date[at++] = *byte;
}

static void add_parameter(struct buffer *to, const char *name, const char *value) {
  buffer_addf(to, "%s%s=", to->length > 0 ? "&" : "", name);
  aws_percent_encode(to, value, strlen(value), "");
}

static void add_token_parameter(struct signing *signing, struct buffer *to) {
  if (signing->context->credentials.session_token)
    add_parameter(to, "X-Amz-Security-Token", signing->context->credentials.session_token);
}

/* The query parameters that a presigned URL carries, without the signature. */
static int make_added_query(struct signing *signing) {
  const struct sigv4_context *context = signing->context;
  struct buffer *to = &signing->added_query, credential = {.ceiling = 1024};
  char expires[24];
  buffer_addf(&credential, "%s/%s", context->credentials.access_key, buffer_text(&signing->scope));
  snprintf(expires, sizeof expires, "%lld", (long long)context->expires_s);
  add_parameter(to, "X-Amz-Algorithm", ALGORITHM);
  add_parameter(to, "X-Amz-Credential", buffer_text(&credential));
  add_parameter(to, "X-Amz-Date", signing->date);
  add_parameter(to, "X-Amz-SignedHeaders", buffer_text(&signing->signed_names));
  add_parameter(to, "X-Amz-Expires", expires);
  if (!context->omit_session_token) add_token_parameter(signing, to);
  int failed = credential.failed || to->failed;
  buffer_free(&credential);
  return failed ? -1 : 0;
}

static int make_canonical_request(struct signing *signing, struct sigv4_result *result) {
  struct buffer text = {.ceiling = (size_t)4 << 20};
  buffer_addf(&text, "%s\n", signing->request->method);
  add_canonical_path(signing, &text);
  buffer_add_char(&text, '\n');
  int wrong = add_canonical_query(signing, &text);
  buffer_add_char(&text, '\n');
  for (size_t i = 0; i < signing->headers.count; i++)
    buffer_addf(&text, "%s:%s\n", signing->headers.list[i].name, signing->headers.list[i].value);
  buffer_addf(&text, "\n%s\n%s", buffer_text(&signing->signed_names), signing->payload);
  if (!wrong && !text.failed) result->canonical_request = buffer_take(&text);
  buffer_free(&text);
  return result->canonical_request ? 0 : -1;
}

static int make_string_to_sign(struct signing *signing, struct sigv4_result *result) {
  char hash[HEX_SIZE];
  struct buffer text = {.ceiling = 4096};
  if (sha256_hex(result->canonical_request, strlen(result->canonical_request), hash) != 0) return -1;
  buffer_addf(&text, ALGORITHM "\n%s\n%s\n%s", signing->date, buffer_text(&signing->scope), hash);
  if (!text.failed) result->string_to_sign = buffer_take(&text);
  buffer_free(&text);
  return result->string_to_sign ? 0 : -1;
}

static int add_result_header(struct sigv4_result *result, const char *name, const char *value) {
  char *copy = strdup(value);
  if (!copy) return -1;
  result->headers[result->header_count++] = (struct aws_http_header){.name = name, .value = copy};
  return 0;
}

static int make_headers(struct signing *signing, struct sigv4_result *result) {
  const struct sigv4_context *context = signing->context;
  const char *token = context->credentials.session_token;
  struct buffer text = {.ceiling = (size_t)1 << 16};
  result->headers = calloc(4, sizeof *result->headers);
  buffer_addf(&text, ALGORITHM " Credential=%s/%s, SignedHeaders=%s, Signature=%s", context->credentials.access_key,
              buffer_text(&signing->scope), buffer_text(&signing->signed_names), result->signature);
  int body = context->sign_body && !request_header(signing->request, "x-amz-content-sha256");
  int fine = result->headers && !text.failed &&
             (!token || add_result_header(result, "X-Amz-Security-Token", token) == 0) &&
             add_result_header(result, "X-Amz-Date", signing->date) == 0 &&
             (!body || add_result_header(result, "x-amz-content-sha256", signing->payload) == 0) &&
             add_result_header(result, "Authorization", buffer_text(&text)) == 0;
  buffer_free(&text);
  return fine ? 0 : -1;
}

static int make_url(struct signing *signing, struct sigv4_result *result) {
  struct buffer url = {.ceiling = (size_t)1 << 20};
  buffer_addf(&url, "%s%s%s", signing->request->url,
              *signing->query                      ? "&"
              : strchr(signing->request->url, '?') ? ""
                                                   : "?",
              buffer_text(&signing->added_query));
  if (signing->context->omit_session_token) add_token_parameter(signing, &url);
  buffer_addf(&url, "&X-Amz-Signature=%s", result->signature);
  if (!url.failed) result->url = buffer_take(&url);
  buffer_free(&url);
  return result->url ? 0 : -1;
}

static int sign(struct signing *signing, struct sigv4_result *result) {
  const struct sigv4_context *context = signing->context;
  set_date(signing);
  buffer_addf(&signing->scope, "%.8s/%s/%s/aws4_request", signing->date, context->region, context->service);
  if (signing->scope.failed || hash_payload(signing) != 0 || collect_headers(signing) != 0) return -1;
  if (context->query && make_added_query(signing) != 0) return -1;
  if (make_canonical_request(signing, result) != 0 || make_string_to_sign(signing, result) != 0) return -1;
  if (compute_signature(signing, result->string_to_sign, result->signature) != 0) return -1;
  return context->query ? make_url(signing, result) : make_headers(signing, result);
}

int sigv4_sign(const struct sigv4_context *context, const struct aws_http_request *request, struct sigv4_result *result,
               struct error *error) {
  struct signing signing = {.context = context,
                            .request = request,
                            .signed_names = {.ceiling = (size_t)1 << 16},
                            .added_query = {.ceiling = (size_t)1 << 16},
                            .scope = {.ceiling = 512}};
  memset(result, 0, sizeof *result);
  if (!have_algorithms()) return error_set(error, ERROR_FATAL, "Signing", "OpenSSL has no SHA-256 or no HMAC");
  if (split_url(&signing) != 0) return error_set(error, ERROR_INVALID, "InvalidUrl", "not a URL that can be signed");
  int wrong = sign(&signing, result);
  if (wrong) {
    sigv4_result_free(result);
    error_set(error, ERROR_FATAL, "Signing", "the request cannot be signed: out of memory, or too large");
  }
  free_pairs(&signing.headers);
  buffer_free(&signing.signed_names);
  buffer_free(&signing.added_query);
  buffer_free(&signing.scope);
  return wrong;
}

void sigv4_result_free(struct sigv4_result *result) {
  if (!result) return;
  for (size_t i = 0; i < result->header_count; i++) free((char *)result->headers[i].value);
  free(result->headers);
  free(result->canonical_request);
  free(result->string_to_sign);
  free(result->url);
  memset(result, 0, sizeof *result);
}
