/* Structured log: one JSON object a line on standard error, atomically written.
 *
 *   log_info("fixed", LOG_TEXT("resource", id), LOG_INT("ms", took));
 *   → {"time":"2026-…Z","level":"info","message":"fixed","resource":"sg-1","ms":12}
 *
 * Secrets: values that look like AWS access keys, session tokens, Authorization headers, X-Amz-Signature /
 * X-Amz-Security-Token query parameters, passwords inside URLs, and every value registered by log_secret(), are
 * replaced by "***" in messages and values alike.  Thread-safe; never fails, never blocks on its own lock for I/O. */
#ifndef PARAPET_BASE_LOG_H
#define PARAPET_BASE_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR, LOG_LEVEL_OFF };

enum log_kind { LOG_KIND_END, LOG_KIND_TEXT, LOG_KIND_INT, LOG_KIND_REAL, LOG_KIND_BOOL, LOG_KIND_ERROR };

struct log_field {
  const char *key;
  enum log_kind kind;
  const char *text;
  int64_t integer;
  double real;
  const struct error *error;
};

#define LOG_TEXT(k, v) \
  { .key = (k), .kind = LOG_KIND_TEXT, .text = (v) }
#define LOG_INT(k, v) \
  { .key = (k), .kind = LOG_KIND_INT, .integer = (int64_t)(v) }
#define LOG_REAL(k, v) \
  { .key = (k), .kind = LOG_KIND_REAL, .real = (v) }
#define LOG_BOOL(k, v) \
  { .key = (k), .kind = LOG_KIND_BOOL, .integer = (v) ? 1 : 0 }
/* Adds error.class, error.code, error.where, error.request_id, error.message as one object under "error". */
#define LOG_ERROR(e) \
  { .key = "error", .kind = LOG_KIND_ERROR, .error = (e) }

/* An empty field in front, so that a message without fields needs no comma (and no __VA_OPT__, which cppcheck lacks).
 */
#define LOG_FIELDS(...) ((const struct log_field[]){{0}, ##__VA_ARGS__, {0}} + 1)
#define log_debug(message, ...) log_write(LOG_LEVEL_DEBUG, message, LOG_FIELDS(__VA_ARGS__))
#define log_info(message, ...) log_write(LOG_LEVEL_INFO, message, LOG_FIELDS(__VA_ARGS__))
#define log_warn(message, ...) log_write(LOG_LEVEL_WARN, message, LOG_FIELDS(__VA_ARGS__))
#define log_error(message, ...) log_write(LOG_LEVEL_ERROR, message, LOG_FIELDS(__VA_ARGS__))

/* `fields` ends with a zeroed element.  A line longer than 16 KiB is cut inside its longest value. */
void log_write(enum log_level level, const char *message, const struct log_field *fields);

/* "debug" … "error", "off"; 0, or -1 for another word. */
int log_set_level(const char *name);
void log_set_descriptor(int descriptor); /* 2 unless set */

/* From now on this value (8 bytes or longer) never appears in the log.  At most 64 values; the oldest goes first. */
void log_secret(const char *value);

/* Masks in place, with the rules above; for whatever prints text that came from outside.  Returns text. */
char *log_mask(char *text);

#endif
