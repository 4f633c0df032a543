#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *error_class_name(enum error_class class) {
  static const char *const names[] = {
#define X(name, text) text,
      ERROR_CLASSES(X)
#undef X
  };
  return (size_t) class < sizeof names / sizeof *names ? names[class] : "unknown";
}

/* vsnprintf that never leaves half a UTF-8 sequence at the cut. */
static void format_cut(char *to, size_t size, const char *format, va_list arguments) {
  int length = vsnprintf(to, size, format, arguments);
  if (length < 0) {
    to[0] = '\0';
    return;
  }
  if ((size_t)length < size) return;
  size_t end = size - 1;
  size_t start = end;
  while (start > 0 && ((unsigned char)to[start - 1] & 0xC0) == 0x80) start--;
  if (start == 0) return;
  unsigned char lead = (unsigned char)to[start - 1];
  size_t need = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
  if (end - (start - 1) < need) to[start - 1] = '\0';
}

int error_set(struct error *error, enum error_class class, const char *code, const char *format, ...) {
  if (!error) return -1;
  va_list arguments;
  /* The caller may pass parts of *error itself as arguments: build the text aside. */
  char message[sizeof error->message];
  va_start(arguments, format);
  format_cut(message, sizeof message, format, arguments);
  va_end(arguments);
  char code_copy[sizeof error->code];
  snprintf(code_copy, sizeof code_copy, "%s", code ? code : "");
  memset(error, 0, sizeof *error);
  error->class = class;
  memcpy(error->code, code_copy, sizeof code_copy);
  memcpy(error->message, message, sizeof message);
  return -1;
}

int error_where(struct error *error, const char *format, ...) {
  if (!error || error->class == ERROR_NONE) return -1;
  va_list arguments;
  char where[sizeof error->where];
  va_start(arguments, format);
  format_cut(where, sizeof where, format, arguments);
  va_end(arguments);
  memcpy(error->where, where, sizeof where);
  return -1;
}

void error_clear(struct error *error) {
  if (error) memset(error, 0, sizeof *error);
}

int error_is_transient(const struct error *error) {
  return error->class == ERROR_RETRYABLE || error->class == ERROR_THROTTLED;
}
