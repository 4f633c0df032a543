/* Signatures: AWS's own signing suite (38 requests, in headers and in the query), and what it leaves out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <dirent.h>
#include <cmocka.h>

#include "aws/reference.h"
#include "aws/sigv4.h"
#include "aws/text_internal.h"

/* A request.txt, cut in place: "GET /path HTTP/1.1", headers (one may go on in the next line), blank line, body. */
struct raw {
  char *text, url[4096];
  struct aws_http_header headers[16];
  struct aws_http_request request;
};

static void cut_headers(struct raw *raw, char *at) {
  struct aws_http_header *header = NULL;
  raw->request.headers = raw->headers;
  while (at && *at && *at != '\n') {
    char *next = strchr(at, '\n');
    if (*at != ' ') {
      if (header) at[-1] = '\0';
      char *colon = strchr(at, ':');
      *colon = '\0';
      header = &raw->headers[raw->request.header_count++];
      *header = (struct aws_http_header){.name = at, .value = colon + 1};
    }
    at = next ? next + 1 : NULL;
  }
  if (at && at[0] == '\n') {
    at[-1] = '\0';
    raw->request.body = at + 1;
    raw->request.body_length = strlen(at + 1);
  }
}

static int read_raw(struct raw *raw, const char *name) {
  size_t length;
  memset(raw, 0, sizeof *raw);
  raw->text = reference_text(name, &length);
  if (!raw->text) return -1;
  char *space = strchr(raw->text, ' '), *end = strstr(raw->text, " HTTP/1.1");
  *space = *end = '\0';
  raw->request.method = raw->text;
  char *lines = strchr(end + 1, '\n');
  cut_headers(raw, lines ? lines + 1 : NULL);
  snprintf(raw->url, sizeof raw->url, "https://example.amazonaws.com%s", space + 1);
  raw->request.url = raw->url;
  return 0;
}

static int check_file(const char *folder, const char *kind, const char *what, const char *is) {
  char name[256];
  size_t length;
  snprintf(name, sizeof name, "sigv4/%s/%s-%s.txt", folder, kind, what);
  char *due = reference_text(name, &length);
  int wrong = !due || strcmp(due, is) != 0;
  if (wrong) printf("%s: %s %s is\n%s\ndue\n%s\n", folder, kind, what, is, due);
  free(due);
  return wrong;
}

/* The presigned URL's path and query are the suite's signed request's. */
static int check_url(const char *folder, const struct sigv4_result *result) {
  char name[256];
  size_t length;
  snprintf(name, sizeof name, "sigv4/%s/query-signed-request.txt", folder);
  char *due = reference_text(name, &length);
  const char *target = result->url + strlen("https://example.amazonaws.com");
  int wrong = !due || strncmp(strchr(due, ' ') + 1, target, strlen(target)) != 0;
  if (wrong) printf("%s: url %s\n", folder, result->url);
  free(due);
  return wrong;
}

static int run_case(const char *folder, int query) {
  char name[256];
  struct raw raw;
  int64_t microseconds = 0;
  struct sigv4_result result;
  struct error error = {0};
  snprintf(name, sizeof name, "sigv4/%s/context.json", folder);
  json_t *from = reference_json(name), *credentials = json_object_get(from, "credentials");
  snprintf(name, sizeof name, "sigv4/%s/request.txt", folder);
  if (!from || read_raw(&raw, name) != 0) return 1;
  assert_int_equal(aws_time_from_json(json_object_get(from, "timestamp"), &microseconds), 0);
  struct sigv4_context context = {
      .credentials = {json_string_value(json_object_get(credentials, "access_key_id")),
                      json_string_value(json_object_get(credentials, "secret_access_key")),
                      json_string_value(json_object_get(credentials, "token"))},
      .region = json_string_value(json_object_get(from, "region")),
      .service = json_string_value(json_object_get(from, "service")),
      .wall_ms = microseconds / 1000,
      .normalize_path = json_is_true(json_object_get(from, "normalize")),
      .double_encode_path = 1,
      .sign_body = json_is_true(json_object_get(from, "sign_body")),
      .omit_session_token = json_is_true(json_object_get(from, "omit_session_token")),
      .query = query,
      .expires_s = json_integer_value(json_object_get(from, "expiration_in_seconds")),
  };
  assert_int_equal(sigv4_sign(&context, &raw.request, &result, &error), 0);
  const char *kind = query ? "query" : "header";
  int wrong = check_file(folder, kind, "canonical-request", result.canonical_request) +
              check_file(folder, kind, "string-to-sign", result.string_to_sign) +
              check_file(folder, kind, "signature", result.signature) + (query ? check_url(folder, &result) : 0);
  sigv4_result_free(&result);
  free(raw.text);
  json_decref(from);
  return wrong > 0;
}

static void run_suite(int query) {
  char path[512];
  int count = 0, failed = 0;
  reference_path(path, "sigv4");
  DIR *folder = opendir(path);
  if (!folder) {
    printf("skipped: no reference data at %s\n", path);
    skip();
  }
  for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
    if (entry->d_name[0] == '.') continue;
    failed += run_case(entry->d_name, query);
    count++;
  }
  closedir(folder);
  printf("%d of %d requests signed right in the %s\n", count - failed, count, query ? "query" : "header");
  assert_true(count > 0);
  assert_int_equal(failed, 0);
}

static void test_suite_in_headers(void **state) {
  (void)state;
  run_suite(0);
}

static void test_suite_in_query(void **state) {
  (void)state;
  run_suite(1);
}

static const struct sigv4_context plain = {.credentials = {"AKIDEXAMPLE", "secret", NULL},
                                           .region = "eu-west-1",
                                           .service = "service",
                                           .wall_ms = 1440938160000,
                                           .normalize_path = 1,
                                           .double_encode_path = 1,
                                           .sign_body = 1,
                                           .expires_s = 60};

static void test_refuses_what_is_no_url(void **state) {
  (void)state;
  static const char *const urls[] = {"", "/path", "https://", "://host/", "https:///path"};
  for (size_t i = 0; i < TIMES(urls); i++) {
    struct aws_http_request request = {.method = "GET", .url = urls[i]};
    struct sigv4_result result;
    struct error error = {0};
    assert_int_equal(sigv4_sign(&plain, &request, &result, &error), -1);
    assert_int_equal(error.class, ERROR_INVALID);
    sigv4_result_free(&result);
  }
}

/* What the canonical request starts with, for paths and queries that the suite does not have. */
static void test_canonical_urls(void **state) {
  (void)state;
  static const struct {
    const char *url, *begins;
    int s3;
  } cases[] = {
      {"https://h.example", "GET\n/\n\nhost:h.example\n", 0},
      {"https://h.example?", "GET\n/\n\nhost", 0},
      {"https://h.example:443/a%20b", "GET\n/a%2520b\n\nhost:h.example\n", 0}, /* encoded once more */
      {"https://h.example/a%20b", "GET\n/a%20b\n\nhost:h.example\n", 1},       /* S3: as it is */
      {"https://h.example/a//b/../c", "GET\n/a//b/../c\n\n", 1},               /* S3: keys may look like that */
      {"https://h.example/a//b/../c/", "GET\n/a/c/\n\n", 0},
      {"https://h.example/..", "GET\n/\n\n", 0},
      {"http://h.example:8080/", "GET\n/\n\nhost:h.example:8080\n", 0},
      {"https://h.example/?acl&b=2&b=1&a=%2f+", "GET\n/\na=%2F%2B&acl=&b=1&b=2\n", 0},
  };
  for (size_t i = 0; i < TIMES(cases); i++) {
    struct aws_http_request request = {.method = "GET", .url = cases[i].url};
    struct sigv4_context context = plain;
    struct sigv4_result result;
    context.normalize_path = context.double_encode_path = !cases[i].s3;
    assert_int_equal(sigv4_sign(&context, &request, &result, NULL), 0);
    assert_memory_equal(result.canonical_request, cases[i].begins, strlen(cases[i].begins));
    sigv4_result_free(&result);
  }
}

static void test_headers_that_change_on_the_way_are_not_signed(void **state) {
  (void)state;
  struct aws_http_header headers[] = {{"User-Agent", "x"},   {"Expect", "100-continue"}, {"X-Amzn-Trace-Id", "1"},
                                      {"X-Amz-Date", "old"}, {"Authorization", "old"},   {"X-Kept", " a   b "}};
  struct aws_http_request request = {
      .method = "GET", .url = "https://h.example/", .headers = headers, .header_count = TIMES(headers)};
  struct sigv4_result result;
  assert_int_equal(sigv4_sign(&plain, &request, &result, NULL), 0);
  assert_non_null(strstr(result.canonical_request, "\nhost;x-amz-content-sha256;x-amz-date;x-kept\n"));
  assert_non_null(strstr(result.canonical_request, "\nx-kept:a b\n"));
  assert_null(strstr(result.canonical_request, "old"));
  assert_int_equal(result.header_count, 3);
  assert_string_equal(result.headers[0].value, "20150830T123600Z");
  sigv4_result_free(&result);
}

static void test_a_given_payload_hash_is_kept(void **state) {
  (void)state;
  struct aws_http_header header = {"X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"};
  struct aws_http_request request = {.method = "PUT",
                                     .url = "https://h.example/k",
                                     .headers = &header,
                                     .header_count = 1,
                                     .body = "x",
                                     .body_length = 1};
  struct sigv4_result result;
  assert_int_equal(sigv4_sign(&plain, &request, &result, NULL), 0);
  assert_non_null(strstr(result.canonical_request, "\nUNSIGNED-PAYLOAD"));
  assert_int_equal(result.header_count, 2); /* it is in the request already */
  sigv4_result_free(&result);
}

static void test_presigned_s3_has_no_payload_hash(void **state) {
  (void)state;
  struct aws_http_request request = {.method = "GET", .url = "https://b.s3.amazonaws.com/k?versionId=1"};
  struct sigv4_context context = plain;
  struct sigv4_result result;
  context.service = "s3";
  context.query = 1;
  context.credentials.session_token = "token";
  assert_int_equal(sigv4_sign(&context, &request, &result, NULL), 0);
  assert_non_null(strstr(result.canonical_request, "\nUNSIGNED-PAYLOAD"));
  assert_non_null(strstr(result.url, "/k?versionId=1&X-Amz-Algorithm="));
  assert_non_null(strstr(result.url, "&X-Amz-Security-Token=token&X-Amz-Signature="));
  assert_null(result.headers);
  sigv4_result_free(&result);
}
