/* {"do": "sign", "context", "request"} → {"canonical_request", "string_to_sign", "signature", "signed_request"}.
 *
 * The context is the signing suite's context.json; "query": true in it (or in the request) asks for a presigned URL.
 * The request is the text of an HTTP request as the suite has it: unencoded paths, folded headers, LF or CRLF at line
 * ends, no empty line where there is no body.  The answer's signed_request is the same text with what signing adds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "aws/sigv4.h"
#include "verbs.h"

#define HEADERS 64

struct raw_request {
  char *text; /* a copy that is cut up */
  char *method, *target, *version;
  struct aws_http_header headers[HEADERS];
  size_t header_count;
  const char *body;
  size_t head_length; /* in the original: request line and header lines, with the last one's line end */
};

/* Cuts the line at `at` off (CR, too) and returns what follows it. */
static char *cut_line(char *at) {
  char *end = strchr(at, '\n'), *next = end ? end + 1 : at + strlen(at);
  if (!end) return next;
  *end = '\0';
  if (end > at && end[-1] == '\r') end[-1] = '\0';
  return next;
}

/* "GET /a path HTTP/1.1": the target may hold spaces. */
static int read_request_line(struct raw_request *raw, char *line) {
  char *first = strchr(line, ' '), *last = strrchr(line, ' ');
  if (!first || first == last) return -1;
  *first = *last = '\0';
  raw->method = line;
  raw->target = first + 1;
  raw->version = last + 1;
  return 0;
}

/* A line that begins with white space belongs to the header before it: the cut between them becomes a space. */
static void unfold(char *line) {
  do *--line = ' ';
  while (line[-1] == '\0');
}

static int read_header(struct raw_request *raw, char *line) {
  char *colon = strchr(line, ':');
  if (!colon || raw->header_count == HEADERS) return -1;
  *colon = '\0';
  raw->headers[raw->header_count++] = (struct aws_http_header){.name = line, .value = colon + 1};
  return 0;
}

/* 0, or -1 with *error; raw->text is to be freed in both cases. */
static int read_request(struct raw_request *raw, const char *text, struct error *error) {
  raw->text = strdup(text);
  if (!raw->text) return error_set(error, ERROR_FATAL, "memory", "out of memory");
  char *at = raw->text, *next = cut_line(at);
  if (read_request_line(raw, at) != 0) return error_set(error, ERROR_INVALID, "request", "no request line");
  for (at = next; *at && *at != '\n' && *at != '\r'; at = next) {
    int folded = *at == ' ' || *at == '\t';
    next = cut_line(at);
    if (folded)
      unfold(at);
    else if (read_header(raw, at) != 0)
      return error_set(error, ERROR_INVALID, "request", "not a header: %s", at);
  }
  raw->head_length = (size_t)(at - raw->text);
  at += *at == '\r';
  at += *at == '\n';
  raw->body = at;
  return 0;
}

static const char *header(const struct raw_request *raw, const char *name) {
  for (size_t i = 0; i < raw->header_count; i++)
    if (strcasecmp(raw->headers[i].name, name) == 0) return raw->headers[i].value;
  return "";
}

static int is_true(json_t *object, const char *key, int otherwise) {
  json_t *value = json_at(object, key, NULL);
  return value ? json_is_true(value) : otherwise;
}

static int64_t wall_ms(const char *timestamp) {
  struct tm time = {0};
  return strptime(timestamp, "%Y-%m-%dT%H:%M:%SZ", &time) ? (int64_t)timegm(&time) * 1000 : -1;
}

static struct sigv4_context make_context(json_t *request) {
  json_t *context = json_at(request, "context", NULL);
  const char *service = json_text_at(context, "service", NULL);
  int s3 = strcmp(service, "s3") == 0;
  return (struct sigv4_context){
      .credentials = {.access_key = json_text_at(context, "credentials", "access_key_id", NULL),
                      .secret_key = json_text_at(context, "credentials", "secret_access_key", NULL),
                      .session_token = json_string_value(json_at(context, "credentials", "token", NULL))},
      .region = json_text_at(context, "region", NULL),
      .service = service,
      .wall_ms = wall_ms(json_text_at(context, "timestamp", NULL)),
      .normalize_path = is_true(context, "normalize", !s3),
      .double_encode_path = !s3,
      .sign_body = is_true(context, "sign_body", 0),
      .omit_session_token = is_true(context, "omit_session_token", 0),
      .query = is_true(context, "query", is_true(request, "query", 0)),
      .expires_s = json_integer_value(json_at(context, "expiration_in_seconds", NULL)),
  };
}

/* Path and query of a URL. */
static const char *target_of(const char *url) {
  const char *authority = strstr(url, "://");
  return authority ? authority + 3 + strcspn(authority + 3, "/?") : url;
}

static char *signed_text(const struct raw_request *raw, const char *original, const struct sigv4_result *result) {
  struct buffer text = {0};
  const char *first_header = strchr(original, '\n');
  size_t line_length = first_header ? (size_t)(first_header + 1 - original) : raw->head_length;
  if (result->url)
    buffer_addf(&text, "%s %s %s\n", raw->method, target_of(result->url), raw->version);
  else
    buffer_add(&text, original, line_length);
  buffer_add(&text, original + line_length, raw->head_length - line_length);
  if (text.length > 0 && text.data[text.length - 1] != '\n') buffer_add_char(&text, '\n');
  for (size_t i = 0; i < result->header_count; i++)
    buffer_addf(&text, "%s:%s\n", result->headers[i].name, result->headers[i].value);
  buffer_addf(&text, "\n%s", raw->body);
  return buffer_take(&text);
}

static json_t *answer_of(const struct raw_request *raw, const char *original, const struct sigv4_result *result) {
  char *text = signed_text(raw, original, result);
  json_t *answer =
      json_pack("{s:s, s:s, s:s, s:s}", "canonical_request", result->canonical_request, "string_to_sign",
                result->string_to_sign, "signature", result->signature, "signed_request", text ? text : "");
  free(text);
  return answer;
}

static json_t *sign(const struct sigv4_context *context, const struct raw_request *raw, const char *original,
                    struct error *error) {
  struct buffer url = {0};
  struct sigv4_result result = {0};
  json_t *answer = NULL;
  buffer_addf(&url, "https://%s%s", header(raw, "host"), raw->target);
  struct aws_http_request request = {.method = raw->method,
                                     .url = buffer_text(&url),
                                     .headers = raw->headers,
                                     .header_count = raw->header_count,
                                     .body = raw->body,
                                     .body_length = strlen(raw->body)};
  if (sigv4_sign(context, &request, &result, error) == 0) {
    answer = answer_of(raw, original, &result);
    sigv4_result_free(&result);
  }
  buffer_free(&url);
  return answer;
}

json_t *verb_sign(json_t *request, struct error *error) {
  struct sigv4_context context = make_context(request);
  const char *text = json_text_at(request, "request", NULL);
  struct raw_request raw = {.body = ""};
  json_t *answer = NULL;
  if (context.wall_ms < 0)
    error_set(error, ERROR_INVALID, "request", "\"timestamp\" must be like 2015-08-30T12:36:00Z");
  else if (read_request(&raw, text, error) == 0)
    answer = sign(&context, &raw, text, error);
  free(raw.text);
  return answer;
}
