/* From a serialised request to what goes over the wire, and small things about HTTP messages. */
#include <ctype.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "aws/client_internal.h"
#include "aws/sigv4.h"

#define HEADERS_LIMIT 256

static const char user_agent[] = "parapet/" PARAPET_VERSION;

void aws_http_response_free(struct aws_http_response *response) {
  if (!response) return;
  for (size_t i = 0; i < response->header_count; i++) {
    free((char *)response->headers[i].name);
    free((char *)response->headers[i].value);
  }
  free(response->headers);
  free(response->body);
  memset(response, 0, sizeof *response);
}

int aws_http_response_add_header(struct aws_http_response *response, const char *name, size_t name_length,
                                 const char *value, size_t value_length) {
  struct aws_http_header *headers = realloc(response->headers, (response->header_count + 1) * sizeof *headers);
  if (!headers) return -1;
  response->headers = headers;
  char *name_copy = strndup(name, name_length), *value_copy = strndup(value, value_length);
  if (!name_copy || !value_copy) {
    free(name_copy);
    free(value_copy);
    return -1;
  }
  headers[response->header_count++] = (struct aws_http_header){name_copy, value_copy};
  return 0;
}

const char *aws_http_response_header(const struct aws_http_response *response, const char *name) {
  for (size_t i = 0; i < response->header_count; i++)
    if (strcasecmp(response->headers[i].name, name) == 0) return response->headers[i].value;
  return NULL;
}

int aws_http_date(const char *text, int64_t *wall_ms) {
  struct tm parts = {0};
  const char *end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  if (!end || *end) return -1;
  *wall_ms = (int64_t)timegm(&parts) * 1000;
  return 0;
}

/* ---- the URL ---- */

/* "/bucket/key?acl" → "/key?acl": the endpoint rules have put the bucket into host or path already. */
static const char *without_bucket(const char *uri, struct buffer *slash) {
  const char *rest = uri + 1 + strcspn(*uri == '/' ? uri + 1 : uri, "/?");
  if (*uri != '/' || *rest == '/') return *uri == '/' ? rest : uri;
  buffer_add_char(slash, '/');
  buffer_add_text(slash, rest);
  return buffer_text(slash);
}

/* Endpoint "http://h/base" and uri "/x?q" → "http://h/base/x?q", as botocore joins them; host prefix in between. */
static char *join_url(const char *endpoint, const char *host_prefix, const char *uri) {
  const char *host = strstr(endpoint, "://");
  if (!host) return NULL;
  host += 3;
  size_t length = strlen(endpoint);
  int has_path = strchr(host, '/') != NULL;
  struct buffer url = {.ceiling = (size_t)1 << 20};
  buffer_add(&url, endpoint, (size_t)(host - endpoint));
  if (host_prefix && strncmp(host, host_prefix, strlen(host_prefix)) != 0) buffer_add_text(&url, host_prefix);
  if (endpoint[length - 1] == '/' && *uri == '/') length--;
  buffer_add(&url, host, length - (size_t)(host - endpoint));
  /* "/" adds nothing to an endpoint with a path: "http://h/bucket" and "/" are "http://h/bucket". */
  buffer_add_text(&url, has_path && *uri == '/' && (uri[1] == '?' || !uri[1]) && length > 0 && strrchr(host, '/')[1]
                            ? uri + 1
                            : uri);
  if (!url.failed) return buffer_take(&url);
  buffer_free(&url);
  return NULL;
}

static char *make_url(const struct aws_request *request, const struct aws_wire_options *options) {
  struct buffer slash = {.ceiling = (size_t)1 << 20};
  const char *uri = options->strip_bucket ? without_bucket(request->uri, &slash) : request->uri;
  int plain_host = json_is_true(json_object_get(options->endpoint, "plain_host"));
  char *url = join_url(json_text_at(options->endpoint, "url", NULL), plain_host ? NULL : request->host_prefix, uri);
  buffer_free(&slash);
  return url;
}

/* ---- headers ---- */

static int add_header(struct aws_wire *wire, const char *name, const char *value) {
  if (wire->request.header_count == HEADERS_LIMIT || !name || !value || strpbrk(value, "\r\n")) return -1;
  wire->headers[wire->request.header_count++] = (struct aws_http_header){name, value};
  return 0;
}

/* Content-Length, which some operations take as a parameter, is the transport's to say. */
static int add_headers(struct aws_wire *wire, const struct aws_http_header *headers, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (strcasecmp(headers[i].name, "Content-Length") != 0 && add_header(wire, headers[i].name, headers[i].value) != 0)
      return -1;
  return 0;
}

static int add_endpoint_headers(struct aws_wire *wire, json_t *headers) {
  const char *name;
  json_t *values, *value;
  size_t index;
  json_object_foreach(headers, name, values) {
    json_array_foreach(values, index, value) {
      if (add_header(wire, name, json_string_value(value)) != 0) return -1;
    }
  }
  return 0;
}

static int sign(struct aws_wire *wire, const struct aws_wire_options *options, struct error *error) {
  int plain = json_is_true(json_object_get(options->endpoint, "plain_path"));
  struct sigv4_context context = {
      .credentials = {options->credentials->access_key, options->credentials->secret_key,
                      options->credentials->session_token},
      .region = json_text_at(options->endpoint, "signing_region", NULL),
      .service = json_text_at(options->endpoint, "signing_name", NULL),
      .wall_ms = options->wall_ms,
      .normalize_path = !plain,
      .double_encode_path = !plain,
      .sign_body = 1,
  };
  struct sigv4_result *signature = calloc(1, sizeof *signature);
  if (!signature) return error_set(error, ERROR_FATAL, "Memory", "out of memory");
  wire->signature = signature;
  if (sigv4_sign(&context, &wire->request, signature, error) != 0) return -1;
  if (add_headers(wire, signature->headers, signature->header_count) != 0)
    return error_set(error, ERROR_INVALID, "Header", "too many headers");
  return 0;
}

int aws_wire_make(const struct aws_request *request, const struct aws_wire_options *options, struct aws_wire *wire,
                  struct error *error) {
  *wire = (struct aws_wire){0};
  wire->url = make_url(request, options);
  wire->headers = calloc(HEADERS_LIMIT, sizeof *wire->headers);
  if (!wire->url || !wire->headers) {
    error_set(error, ERROR_INVALID, "Url", "the endpoint is no URL, or the request's is too long");
    goto failed;
  }
  wire->request.method = request->method;
  wire->request.url = wire->url;
  wire->request.headers = wire->headers;
  wire->request.body = request->body;
  wire->request.body_length = request->body_length;
  if (add_endpoint_headers(wire, json_object_get(options->endpoint, "headers")) != 0 ||
      add_headers(wire, request->headers, request->header_count) != 0) {
    error_set(error, ERROR_INVALID, "Header", "a header holds a line break, or there are too many");
    goto failed;
  }
  if (options->credentials && sign(wire, options, error) != 0) goto failed;
  if (add_header(wire, "User-Agent", user_agent) == 0) return 0; /* unsigned: a proxy may change it */
  error_set(error, ERROR_INVALID, "Header", "too many headers");
failed:
  aws_wire_free(wire);
  return -1;
}

void aws_wire_free(struct aws_wire *wire) {
  if (wire->signature) sigv4_result_free(wire->signature);
  free(wire->signature);
  free(wire->url);
  free(wire->headers);
  *wire = (struct aws_wire){0};
}
