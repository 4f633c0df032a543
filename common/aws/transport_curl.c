/* The real transport: libcurl, and the only place that knows it.
 *
 * Each thread keeps one easy handle, with the connections that it has open; curl_easy_reset between calls clears the
 * options and keeps the connections.  (Sharing a connection pool between threads is not supported by libcurl.)  The
 * handle goes in aws_thread_end, or by the key's destructor when the thread ends. */
#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "aws/client_internal.h"
#include "base/clock.h"

#define CONNECT_MS 10000
#define CONNECTIONS 8 /* kept a thread */
#define HEADERS_LIMIT 256
#define HEADER_BYTES_LIMIT ((size_t)128 << 10)

struct aws_curl {
  size_t response_limit;
  const char *authorities; /* AWS_CA_BUNDLE, or NULL: the system's */
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t handle_key;
static int ready;

static void end_handle(void *handle) { curl_easy_cleanup(handle); }

static void set_up(void) {
  ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK && pthread_key_create(&handle_key, end_handle) == 0;
}

/* This thread's handle, or NULL when memory is out. */
static CURL *thread_handle(void) {
  CURL *handle = pthread_getspecific(handle_key);
  if (handle) return handle;
  handle = curl_easy_init();
  if (handle && pthread_setspecific(handle_key, handle) != 0) {
    curl_easy_cleanup(handle);
    handle = NULL;
  }
  return handle;
}

void aws_thread_end(void) {
  pthread_once(&once, set_up);
  CURL *handle = ready ? pthread_getspecific(handle_key) : NULL;
  if (!handle) return;
  pthread_setspecific(handle_key, NULL);
  curl_easy_cleanup(handle);
}

/* ---- the answer ---- */

struct reception {
  struct aws_http_response *response;
  struct buffer body;
  size_t header_bytes;
  int headers_ended, too_large, no_memory;
};

static size_t take_body(char *bytes, size_t size, size_t count, void *context) {
  struct reception *reception = context;
  if (buffer_add(&reception->body, bytes, size * count) == 0) return size * count;
  reception->too_large = 1;
  return 0;
}

/* A new status line (after 100 Continue) starts the headers anew; the empty line ends them. */
static size_t take_header(char *bytes, size_t size, size_t count, void *context) {
  struct reception *reception = context;
  size_t length = size * count;
  reception->header_bytes += length; /* also those of a 100 Continue, and of the next */
  if (length >= 5 && memcmp(bytes, "HTTP/", 5) == 0) {
    aws_http_response_free(reception->response);
    reception->headers_ended = 0;
    return length;
  }
  if (reception->header_bytes > HEADER_BYTES_LIMIT || reception->response->header_count == HEADERS_LIMIT) {
    reception->too_large = 1;
    return 0;
  }
  const char *colon = memchr(bytes, ':', length), *end = bytes + length;
  if (!colon) {
    reception->headers_ended |= length <= 2;
    return length;
  }
  const char *value = colon + 1;
  while (value < end && (*value == ' ' || *value == '\t')) value++;
  while (end > value && strchr(" \t\r\n", end[-1])) end--;
  if (aws_http_response_add_header(reception->response, bytes, (size_t)(colon - bytes), value, (size_t)(end - value)) ==
      0)
    return length;
  reception->no_memory = 1;
  return 0;
}

/* ---- the request ---- */

/* libcurl's own additions are switched off: what was signed is what is sent. */
static struct curl_slist *make_headers(const struct aws_http_request *request) {
  struct curl_slist *list = curl_slist_append(NULL, "Expect:");
  int has_type = 0;
  for (size_t i = 0; list && i < request->header_count; i++) {
    const struct aws_http_header *header = &request->headers[i];
    struct buffer line = {.ceiling = HEADER_BYTES_LIMIT};
    has_type |= strcasecmp(header->name, "Content-Type") == 0;
    buffer_add_text(&line, header->name);
    buffer_add_text(&line, *header->value ? ": " : ";");
    buffer_add_text(&line, header->value);
    struct curl_slist *longer = line.failed ? NULL : curl_slist_append(list, buffer_text(&line));
    buffer_free(&line);
    if (!longer) goto failed;
    list = longer;
  }
  struct curl_slist *longer = has_type ? list : curl_slist_append(list, "Content-Type:");
  if (longer) return longer;
failed:
  curl_slist_free_all(list);
  return NULL;
}

/* Link-local and loopback addresses (IMDS, container credentials, an emulator) are never reached through a proxy. */
static int is_local(const char *url) {
  static const char *const hosts[] = {"169.254.", "127.", "localhost:", "localhost/", "[::1]", "[fd00:ec2::", NULL};
  const char *host = strstr(url, "://");
  if (!host) return 0;
  if (strcmp(host + 3, "localhost") == 0) return 1;
  for (const char *const *each = hosts; *each; each++)
    if (strncasecmp(host + 3, *each, strlen(*each)) == 0) return 1;
  return 0;
}

/* Sets an option unless an earlier one failed. */
#define SET(option, value) \
  ((void)(result == CURLE_OK && (result = curl_easy_setopt(handle, option, value)) == CURLE_OK))

static CURLcode set_method(CURL *handle, const struct aws_http_request *request) {
  CURLcode result = CURLE_OK;
  if (strcmp(request->method, "HEAD") == 0) {
    SET(CURLOPT_NOBODY, 1L);
    return result;
  }
  int sends = request->body_length > 0 || strcmp(request->method, "POST") == 0 || strcmp(request->method, "PUT") == 0;
  if (sends) {
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_length);
    SET(CURLOPT_POSTFIELDS, request->body ? request->body : "");
  }
  SET(CURLOPT_CUSTOMREQUEST, request->method);
  return result;
}

static CURLcode set_safety(CURL *handle, const struct aws_curl *curl, const struct aws_http_request *request) {
  CURLcode result = CURLE_OK;
  SET(CURLOPT_PROTOCOLS_STR, "http,https");
  SET(CURLOPT_FOLLOWLOCATION, 0L);
  SET(CURLOPT_NOSIGNAL, 1L);
  SET(CURLOPT_SSL_VERIFYPEER, 1L);
  SET(CURLOPT_SSL_VERIFYHOST, 2L);
  SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
  SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
  SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  if (curl->authorities) SET(CURLOPT_CAINFO, curl->authorities);
  if (is_local(request->url)) SET(CURLOPT_PROXY, "");
  return result;
}

static CURLcode set_options(CURL *handle, const struct aws_curl *curl, const struct aws_http_request *request,
                            struct reception *reception, struct curl_slist *headers, int64_t left_ms) {
  CURLcode result = set_safety(handle, curl, request);
  SET(CURLOPT_URL, request->url);
  SET(CURLOPT_PATH_AS_IS, 1L);
  SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  SET(CURLOPT_HTTPHEADER, headers);
  SET(CURLOPT_TIMEOUT_MS, (long)left_ms);
  SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(left_ms < CONNECT_MS ? left_ms : CONNECT_MS));
  SET(CURLOPT_MAXCONNECTS, (long)CONNECTIONS);
  SET(CURLOPT_TCP_KEEPALIVE, 1L);
  SET(CURLOPT_WRITEFUNCTION, take_body);
  SET(CURLOPT_WRITEDATA, reception);
  SET(CURLOPT_HEADERFUNCTION, take_header);
  SET(CURLOPT_HEADERDATA, reception);
  return result == CURLE_OK ? set_method(handle, request) : result;
}

/* ---- errors ---- */

static const struct {
  CURLcode code;
  enum error_class class;
  const char *name;
} failures[] = {
    {CURLE_OPERATION_TIMEDOUT, ERROR_RETRYABLE, AWS_CODE_TIMEOUT},
    {CURLE_COULDNT_RESOLVE_HOST, ERROR_RETRYABLE, "HostNotFound"},
    {CURLE_COULDNT_RESOLVE_PROXY, ERROR_RETRYABLE, "HostNotFound"},
    {CURLE_COULDNT_CONNECT, ERROR_RETRYABLE, "ConnectionFailed"},
    {CURLE_PEER_FAILED_VERIFICATION, ERROR_RETRYABLE, "CertificateRefused"},
    {CURLE_OUT_OF_MEMORY, ERROR_FATAL, "Memory"},
    {CURLE_URL_MALFORMAT, ERROR_INVALID, "Url"},
    {CURLE_SSL_CACERT_BADFILE, ERROR_INVALID, "CertificateAuthorities"},
};

static int fail(CURLcode code, const struct reception *reception, size_t limit, struct error *error) {
  if (reception->too_large)
    return error_set(error, ERROR_INVALID, "ResponseTooLarge",
                     "the answer is larger than %zu bytes, or its headers are", limit);
  if (reception->no_memory) return error_set(error, ERROR_FATAL, "Memory", "out of memory");
  for (size_t i = 0; i < sizeof failures / sizeof *failures; i++)
    if (failures[i].code == code)
      return error_set(error, failures[i].class, failures[i].name, "%s", curl_easy_strerror(code));
  return error_set(error, ERROR_RETRYABLE, "ConnectionBroken", "%s", curl_easy_strerror(code));
}

static int status_of(CURL *handle) {
  long status = 0;
  return curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK && status >= 100 ? (int)status : 0;
}

/* Of a header without end libcurl says that memory is out; so it may be, but then no byte of an answer has come. */
static int is_endless_header(CURL *handle, CURLcode code, const struct reception *reception) {
  curl_off_t first_byte = 0;
  return code == CURLE_OUT_OF_MEMORY && !reception->headers_ended && !reception->no_memory &&
         curl_easy_getinfo(handle, CURLINFO_STARTTRANSFER_TIME_T, &first_byte) == CURLE_OK && first_byte > 0;
}

static CURLcode exchange(CURL *handle, const struct aws_curl *curl, const struct aws_http_request *request,
                         struct reception *reception, int64_t left_ms) {
  struct curl_slist *headers = make_headers(request);
  if (!headers) return CURLE_OUT_OF_MEMORY;
  CURLcode code = set_options(handle, curl, request, reception, headers, left_ms);
  if (code == CURLE_OK) code = curl_easy_perform(handle);
  reception->too_large |= is_endless_header(handle, code, reception);
  reception->response->status = code == CURLE_OK ? status_of(handle) : 0;
  /* libcurl takes a connection that closes amid the headers for an answer without a body. */
  if (code == CURLE_OK && (reception->response->status == 0 || !reception->headers_ended)) code = CURLE_RECV_ERROR;
  curl_easy_reset(handle); /* no pointer to this call's memory stays behind */
  curl_slist_free_all(headers);
  return code;
}

/* libcurl has the same code for a scheme that it may not use and for a server that speaks no HTTP: so look first. */
static int is_http(const char *url) {
  return strncasecmp(url, "http://", 7) == 0 || strncasecmp(url, "https://", 8) == 0;
}

static int perform(void *context, const struct aws_http_request *request, struct aws_http_response *response,
                   struct error *error) {
  struct aws_curl *curl = context;
  struct reception reception = {.response = response, .body = {.ceiling = curl->response_limit}};
  *response = (struct aws_http_response){0};
  if (!is_http(request->url)) return error_set(error, ERROR_INVALID, "Url", "an endpoint's URL is http or https");
  int64_t left_ms = request->deadline_ms - clock_monotonic_ms();
  CURL *handle = thread_handle();
  if (!handle) return error_set(error, ERROR_FATAL, "Memory", "out of memory");
  CURLcode code = left_ms > 0 ? exchange(handle, curl, request, &reception, left_ms) : CURLE_OPERATION_TIMEDOUT;
  if (code != CURLE_OK) {
    fail(code, &reception, curl->response_limit, error);
    buffer_free(&reception.body);
    aws_http_response_free(response);
    return -1;
  }
  response->body_length = reception.body.length;
  response->body = buffer_take(&reception.body);
  if (response->body) return 0;
  aws_http_response_free(response);
  return error_set(error, ERROR_FATAL, "Memory", "out of memory");
}

struct aws_curl *aws_curl_open(size_t response_limit, struct aws_transport *transport, struct error *error) {
  pthread_once(&once, set_up);
  struct aws_curl *curl = ready ? calloc(1, sizeof *curl) : NULL;
  if (!curl) {
    error_set(error, ERROR_FATAL, "Curl", "libcurl cannot be set up");
    return NULL;
  }
  const char *authorities = getenv("AWS_CA_BUNDLE");
  curl->authorities = authorities && *authorities ? authorities : NULL;
  curl->response_limit = response_limit;
  *transport = (struct aws_transport){.perform = perform, .context = curl};
  return curl;
}

void aws_curl_close(struct aws_curl *curl) { free(curl); }
