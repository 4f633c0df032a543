#include "base/buffer.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LARGEST_CEILING (SIZE_MAX / 4) /* so that doubling never wraps around */

static size_t ceiling_of(const struct buffer *buffer) {
  size_t ceiling = buffer->ceiling ? buffer->ceiling : BUFFER_CEILING;
  return ceiling < LARGEST_CEILING ? ceiling : LARGEST_CEILING;
}

/* Room for `more` bytes and the NUL. */
static int reserve(struct buffer *buffer, size_t more) {
  size_t ceiling = ceiling_of(buffer);
  if (buffer->failed) return -1;
  if (more > ceiling || buffer->length > ceiling - more) {
    buffer->failed = 1;
    return -1;
  }
  size_t need = buffer->length + more + 1;
  if (need <= buffer->capacity) return 0;
  size_t capacity = buffer->capacity ? buffer->capacity : 64;
  while (capacity < need) capacity *= 2;
  if (capacity > ceiling + 1) capacity = ceiling + 1;
  char *data = realloc(buffer->data, capacity);
  if (!data) {
    buffer->failed = 1;
    return -1;
  }
  buffer->data = data;
  buffer->capacity = capacity;
  return 0;
}

int buffer_add(struct buffer *buffer, const void *bytes, size_t length) {
  if (reserve(buffer, length) != 0) return -1;
  if (length > 0) memcpy(buffer->data + buffer->length, bytes, length);
  buffer->length += length;
  buffer->data[buffer->length] = '\0';
  return 0;
}

int buffer_add_text(struct buffer *buffer, const char *text) { return buffer_add(buffer, text, strlen(text)); }

int buffer_add_char(struct buffer *buffer, char byte) { return buffer_add(buffer, &byte, 1); }

int buffer_addf(struct buffer *buffer, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(NULL, 0, format, arguments);
  va_end(arguments);
  if (length < 0 || reserve(buffer, (size_t)length) != 0) {
    buffer->failed = 1;
    return -1;
  }
  va_start(arguments, format);
  vsnprintf(buffer->data + buffer->length, (size_t)length + 1, format, arguments);
  va_end(arguments);
  buffer->length += (size_t)length;
  return 0;
}

/* Length of the valid UTF-8 sequence at `text`, or 0 (RFC 3629: no overlong forms, no surrogates). */
static size_t utf8_sequence(const unsigned char *text, size_t length) {
  unsigned char lead = text[0];
  if (lead < 0x80) return 1;
  size_t need = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || length < need) return 0;
  for (size_t i = 1; i < need; i++)
    if ((text[i] & 0xC0) != 0x80) return 0;
  if (lead == 0xE0 && text[1] < 0xA0) return 0;
  if (lead == 0xED && text[1] > 0x9F) return 0;
  if (lead == 0xF0 && text[1] < 0x90) return 0;
  if (lead == 0xF4 && text[1] > 0x8F) return 0;
  return need;
}

/* What stands for the byte inside a JSON string, into `text` (8 bytes); NULL when it stands for itself. */
static const char *json_escape(unsigned char byte, char *text) {
  static const char shorts[] = {
      ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r', ['"'] = '"', ['\\'] = '\\'};
  if (byte < sizeof shorts && shorts[byte]) {
    memcpy(text, (char[]){'\\', shorts[byte], '\0'}, 3);
    return text;
  }
  if (byte >= 0x20 && byte != 0x7F) return NULL;
  snprintf(text, 8, "\\u%04x", byte);
  return text;
}

int buffer_add_json_escaped(struct buffer *buffer, const char *text, size_t length) {
  const unsigned char *bytes = (const unsigned char *)text;
  size_t before = buffer->length;
  size_t plain = 0; /* bytes[plain, at) are copied as they are, in one piece */
  size_t at = 0;
  while (at < length) {
    char escape[8];
    const char *instead = json_escape(bytes[at], escape);
    size_t sequence = instead ? 0 : utf8_sequence(bytes + at, length - at);
    if (sequence > 0) {
      at += sequence;
      continue;
    }
    buffer_add(buffer, bytes + plain, at - plain);
    buffer_add_text(buffer, instead ? instead : "\xEF\xBF\xBD");
    plain = ++at;
  }
  buffer_add(buffer, bytes + plain, at - plain);
  if (!buffer->failed) return 0;
  buffer->length = before; /* no half of an escape stays */
  if (buffer->data) buffer->data[before] = '\0';
  return -1;
}

const char *buffer_text(const struct buffer *buffer) { return buffer->data ? buffer->data : ""; }

char *buffer_take(struct buffer *buffer) {
  char *data = buffer->data ? buffer->data : calloc(1, 1);
  size_t ceiling = buffer->ceiling;
  memset(buffer, 0, sizeof *buffer);
  buffer->ceiling = ceiling;
  return data;
}

void buffer_clear(struct buffer *buffer) {
  buffer->length = 0;
  buffer->failed = 0;
  if (buffer->data) buffer->data[0] = '\0';
}

void buffer_free(struct buffer *buffer) {
  if (!buffer) return;
  free(buffer->data);
  size_t ceiling = buffer->ceiling;
  memset(buffer, 0, sizeof *buffer);
  buffer->ceiling = ceiling;
}
