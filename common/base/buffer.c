#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Room for `more` bytes and the NUL. */
static int reserve(struct buffer *buffer, size_t more) {
  size_t ceiling = buffer->ceiling ? buffer->ceiling : BUFFER_CEILING;
  if (buffer->failed) return -1;
  if (more > ceiling || buffer->length > ceiling - more) {
    buffer->failed = 1;
    return -1;
  }
  size_t need = buffer->length + more + 1;
  if (need <= buffer->capacity) return 0;
  size_t capacity = buffer->capacity ? buffer->capacity : 64;
  while (capacity < need) capacity *= 2;
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

int buffer_add_json_escaped(struct buffer *buffer, const char *text, size_t length) {
  static const char shorts[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r', ['"'] = '"', ['\\'] = '\\'};
  const unsigned char *bytes = (const unsigned char *)text;
  for (size_t i = 0; i < length;) {
    unsigned char byte = bytes[i];
    if (byte < sizeof shorts && shorts[byte]) {
      buffer_add_char(buffer, '\\');
      buffer_add_char(buffer, shorts[byte]);
      i++;
    } else if (byte < 0x20 || byte == 0x7F) {
      buffer_addf(buffer, "\\u%04x", byte);
      i++;
    } else {
      size_t sequence = utf8_sequence(bytes + i, length - i);
      if (sequence == 0) {
        buffer_add_text(buffer, "\xEF\xBF\xBD");
        i++;
      } else {
        buffer_add(buffer, bytes + i, sequence);
        i += sequence;
      }
    }
  }
  return buffer->failed ? -1 : 0;
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
