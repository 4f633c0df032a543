#include "base/log.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/log_internal.h"

#define LINE_LIMIT ((size_t)16384) /* with its newline */
#define SPANS 64
#define BLOCKED_MS 100 /* how long a full pipe may hold a line back before the line is dropped */

static const char *const level_names[] = {"debug", "info", "warn", "error", "off"};
static atomic_int current_level = LOG_LEVEL_INFO;
static atomic_int descriptor_in_use = 2;

/* A line while it is built, and where its string values are: one of them gives way when the line is too long. */
struct line {
  struct buffer out;
  struct buffer scratch;
  struct {
    size_t start, length;
  } spans[SPANS];
  size_t span_count;
};

int log_set_level(const char *name) {
  for (int i = 0; i <= LOG_LEVEL_OFF; i++) {
    if (!name || strcmp(name, level_names[i]) != 0) continue;
    atomic_store(&current_level, i);
    return 0;
  }
  return -1;
}

void log_set_descriptor(int descriptor) { atomic_store(&descriptor_in_use, descriptor); }

/* "text" with secrets hidden; null for NULL. */
static void add_value(struct line *line, const char *text, int hide) {
  if (!text) {
    buffer_add_text(&line->out, "null");
    return;
  }
  if (hide && *text) text = "***";
  buffer_clear(&line->scratch);
  if (buffer_add_text(&line->scratch, text) != 0) {
    buffer_add_text(&line->out, "\"(too large to log)\"");
    return;
  }
  size_t length = line->scratch.length ? log_mask_bytes(line->scratch.data, line->scratch.length) : 0;
  if (length > LINE_LIMIT) length = LINE_LIMIT;
  buffer_add_char(&line->out, '"');
  size_t start = line->out.length;
  buffer_add_json_escaped(&line->out, buffer_text(&line->scratch), length);
  if (line->span_count < SPANS) {
    line->spans[line->span_count].start = start;
    line->spans[line->span_count++].length = line->out.length - start;
  }
  buffer_add_char(&line->out, '"');
}

static void add_key(struct line *line, const char *key) {
  buffer_add_text(&line->out, ",\"");
  buffer_add_json_escaped(&line->out, key, strlen(key));
  buffer_add_text(&line->out, "\":");
}

static void add_real(struct line *line, double value) {
  char text[40];
  if (!isfinite(value)) {
    buffer_add_text(&line->out, "null");
    return;
  }
  snprintf(text, sizeof text, "%.15g", value);
  if (strtod(text, NULL) != value) snprintf(text, sizeof text, "%.17g", value);
  buffer_add_text(&line->out, text);
}

static void add_error(struct line *line, const struct error *error) {
  if (!error) {
    buffer_add_text(&line->out, "null");
    return;
  }
  buffer_addf(&line->out, "{\"class\":\"%s\"", error_class_name(error->class));
  const struct {
    const char *key, *text;
  } parts[] = {
      {"code", error->code}, {"where", error->where}, {"request_id", error->request_id}, {"message", error->message}};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    if (!*parts[i].text) continue;
    add_key(line, parts[i].key);
    add_value(line, parts[i].text, 0);
  }
  buffer_add_char(&line->out, '}');
}

static void add_field(struct line *line, const struct log_field *field) {
  const char *key = field->key ? field->key : "";
  add_key(line, key);
  switch (field->kind) {
    case LOG_KIND_TEXT:
      add_value(line, field->text, log_name_is_secret(key));
      break;
    case LOG_KIND_INT:
      buffer_addf(&line->out, "%lld", (long long)field->integer);
      break;
    case LOG_KIND_REAL:
      add_real(line, field->real);
      break;
    case LOG_KIND_BOOL:
      buffer_add_text(&line->out, field->integer ? "true" : "false");
      break;
    case LOG_KIND_ERROR:
      add_error(line, field->error);
      break;
    case LOG_KIND_END:
      break;
  }
}

static void build(struct line *line, enum log_level level, const char *message, const struct log_field *fields) {
  char time[32];
  buffer_clear(&line->out);
  line->span_count = 0;
  buffer_addf(&line->out,
              "{\"time\":\"%s\",\"level\":\"%s\",\"message\":", clock_format(clock_wall_ms(), time, sizeof time),
              level_names[level]);
  add_value(line, message ? message : "", 0);
  for (; fields && fields->kind != LOG_KIND_END; fields++) add_field(line, fields);
  buffer_add_text(&line->out, "}\n");
}

/* The longest beginning of a JSON string's inside that is at most `limit` bytes and ends between two characters. */
static size_t cut_length(const char *text, size_t limit) {
  size_t length = 0;
  for (;;) {
    unsigned char lead = (unsigned char)text[length];
    size_t width = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (lead == '\\') width = text[length + 1] == 'u' ? 6 : 2;
    if (length + width > limit) return length;
    length += width;
  }
}

/* Shortens the longest value by what the line is too long; -1 when there is nothing to shorten. */
static int shorten(struct line *line) {
  static const char mark[] = "\xE2\x80\xA6";
  size_t longest = 0;
  for (size_t i = 1; i < line->span_count; i++)
    if (line->spans[i].length > line->spans[longest].length) longest = i;
  size_t length = line->spans[longest].length;
  size_t excess = line->out.length - LINE_LIMIT + sizeof mark - 1;
  if (line->span_count == 0 || length < 64) return -1;
  char *value = line->out.data + line->spans[longest].start;
  size_t kept = cut_length(value, length > excess + 16 ? length - excess : 16);
  size_t removed = length - kept - (sizeof mark - 1);
  memcpy(value + kept, mark, sizeof mark - 1);
  memmove(value + kept + sizeof mark - 1, value + length, line->out.length - line->spans[longest].start - length + 1);
  line->out.length -= removed;
  line->spans[longest].length -= removed;
  for (size_t i = longest + 1; i < line->span_count; i++) line->spans[i].start -= removed;
  return 0;
}

static int fit(struct line *line) {
  while (!line->out.failed && line->out.length > LINE_LIMIT)
    if (shorten(line) != 0) return -1;
  return line->out.failed ? -1 : 0;
}

/* One write() a line, so that lines of several threads and processes do not mix (a pipe keeps up to PIPE_BUF bytes
 * together, a file opened for appending any length). */
static void emit(const char *text, size_t length) {
  int descriptor = atomic_load(&descriptor_in_use);
  int64_t deadline = 0;
  while (length > 0) {
    ssize_t written = write(descriptor, text, length);
    if (written > 0) {
      text += written;
      length -= (size_t)written;
      continue;
    }
    if (written < 0 && errno == EINTR) continue;
    if (written == 0 || errno != EAGAIN) return;
    int64_t now = clock_monotonic_ms();
    if (deadline == 0) deadline = now + BLOCKED_MS;
    struct pollfd wait = {.fd = descriptor, .events = POLLOUT};
    if (now >= deadline || poll(&wait, 1, (int)(deadline - now)) < 0) return;
  }
}

void log_write(enum log_level level, const char *message, const struct log_field *fields) {
  if ((int)level < atomic_load_explicit(&current_level, memory_order_relaxed) || level >= LOG_LEVEL_OFF) return;
  int saved_errno = errno;
  struct line line;
  line.out = (struct buffer){0};
  line.scratch = (struct buffer){0};
  build(&line, level, message, fields);
  if (fit(&line) != 0) {
    const struct log_field none[] = {LOG_BOOL("fields_dropped", 1), {0}};
    buffer_free(&line.out);
    build(&line, level, message, none);
  }
  if (fit(&line) == 0) {
    emit(line.out.data, line.out.length);
  } else {
    static const char last_words[] = "{\"level\":\"error\",\"message\":\"no memory to write a log line\"}\n";
    emit(last_words, sizeof last_words - 1);
  }
  buffer_free(&line.out);
  buffer_free(&line.scratch);
  errno = saved_errno;
}
