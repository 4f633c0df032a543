#include <string.h>

#include "match/match_internal.h"

static int hex_digit(char byte) {
  if (byte >= '0' && byte <= '9') return byte - '0';
  if (byte >= 'a' && byte <= 'f') return byte - 'a' + 10;
  if (byte >= 'A' && byte <= 'F') return byte - 'A' + 10;
  return -1;
}

/* The four hexadecimal digits at `at`, or -1. */
static long read_unit(const char *at, const char *end) {
  if (end - at < 4) return -1;
  long unit = 0;
  for (int i = 0; i < 4; i++) {
    int digit = hex_digit(at[i]);
    if (digit < 0) return -1;
    unit = unit * 16 + digit;
  }
  return unit;
}

static size_t put_utf8(uint32_t code, char *out) {
  if (code < 0x80) {
    out[0] = (char)code;
    return 1;
  }
  if (code < 0x800) {
    out[0] = (char)(0xC0 | code >> 6);
    out[1] = (char)(0x80 | (code & 0x3F));
    return 2;
  }
  if (code < 0x10000) {
    out[0] = (char)(0xE0 | code >> 12);
    out[1] = (char)(0x80 | (code >> 6 & 0x3F));
    out[2] = (char)(0x80 | (code & 0x3F));
    return 3;
  }
  out[0] = (char)(0xF0 | code >> 18);
  out[1] = (char)(0x80 | (code >> 12 & 0x3F));
  out[2] = (char)(0x80 | (code >> 6 & 0x3F));
  out[3] = (char)(0x80 | (code & 0x3F));
  return 4;
}

/* \uXXXX, and its second half where it is a pair; *at stands behind the 'u'.  Bytes written, 0: broken. */
static size_t decode_unit(const char **at, const char *end, char *out) {
  long unit = read_unit(*at, end);
  if (unit < 0) return 0;
  *at += 4;
  if (unit >= 0xD800 && unit < 0xDC00 && end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u') {
    long low = read_unit(*at + 2, end);
    if (low >= 0xDC00 && low < 0xE000) {
      *at += 6;
      return put_utf8(0x10000 + ((uint32_t)(unit - 0xD800) << 10) + (uint32_t)(low - 0xDC00), out);
    }
  }
  return put_utf8((uint32_t)unit, out);
}

ptrdiff_t match_text_decode(const char *raw, size_t length, char *out) {
  static const char shorts[128] = {
      ['"'] = '"', ['\\'] = '\\', ['/'] = '/', ['b'] = '\b', ['f'] = '\f', ['n'] = '\n', ['r'] = '\r', ['t'] = '\t'};
  const char *at = raw, *end = raw + length;
  char *to = out;
  while (at < end) {
    if (*at != '\\') {
      *to++ = *at++;
      continue;
    }
    if (++at == end) return -1;
    unsigned char letter = (unsigned char)*at++;
    if (letter == 'u') {
      size_t written = decode_unit(&at, end, to);
      if (written == 0) return -1;
      to += written;
    } else {
      if (letter >= sizeof shorts || !shorts[letter]) return -1;
      *to++ = shorts[letter];
    }
  }
  return to - out;
}
