/* The JSON reader: one pass, no recursion, an explicit stack of at most JSON_DEPTH open containers.
 *
 * jansson's own reader is not used because it refuses texts that RFC 8259 allows and AWS sends (integers over 64 bits,
 * lone surrogate escapes) and because json_check() has to give exactly the same answer without building anything.
 * What we make of the two: an integer that does not fit becomes a real, a lone surrogate becomes U+FFFD.  A number
 * beyond a double's range and a NUL inside a key (other libraries' keys end there) are refused.
 *
 * A container is put into its parent when it opens, so that a key has to live only until its value begins. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "json/value_internal.h"

struct reader {
  const char *text, *at, *end;
  struct error *error;
  int build;                /* make values, not just check */
  json_t *result;           /* the whole, once its value has begun */
  json_t *open[JSON_DEPTH]; /* borrowed; unused when not building */
  char kind[JSON_DEPTH];    /* '{' or '[' */
  size_t depth;
  struct buffer string; /* the last string's bytes (unescaped) when it had escapes; numbers, too */
  const char *bytes;    /* the last string */
  size_t length;
  struct buffer key; /* of the value that comes next, in an object */
};

static int fail(struct reader *reader, const char *what) {
  size_t line = 1, column = 1;
  for (const char *c = reader->text; c < reader->at; c++) {
    if (*c == '\n') {
      line++;
      column = 1;
    } else if (((unsigned char)*c & 0xC0) != 0x80) {
      column++;
    }
  }
  return error_set(reader->error, ERROR_INVALID, "json", "not valid JSON: line %zu, column %zu: %s", line, column,
                   what);
}

static int fail_memory(struct reader *reader) {
  return error_set(reader->error, ERROR_FATAL, "memory", "out of memory");
}

static void skip_space(struct reader *reader) {
  while (reader->at < reader->end &&
         (*reader->at == ' ' || *reader->at == '\n' || *reader->at == '\r' || *reader->at == '\t'))
    reader->at++;
}

static int peek(const struct reader *reader) { return reader->at < reader->end ? (unsigned char)*reader->at : -1; }

static int accept(struct reader *reader, char byte) {
  skip_space(reader);
  if (peek(reader) != (unsigned char)byte) return 0;
  reader->at++;
  return 1;
}

/* ---- strings ---- */

size_t json_utf8_length(const char *text, size_t length) {
  const unsigned char *bytes = (const unsigned char *)text;
  unsigned char lead = bytes[0];
  if (lead < 0x80) return 1;
  size_t need = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || length < need) return 0;
  for (size_t i = 1; i < need; i++)
    if ((bytes[i] & 0xC0) != 0x80) return 0;
  int bad = (lead == 0xE0 && bytes[1] < 0xA0) || (lead == 0xED && bytes[1] > 0x9F) ||
            (lead == 0xF0 && bytes[1] < 0x90) || (lead == 0xF4 && bytes[1] > 0x8F);
  return bad ? 0 : need;
}

int json_utf8_valid(const char *text, size_t length) {
  for (size_t at = 0, step; at < length; at += step)
    if ((step = json_utf8_length(text + at, length - at)) == 0) return 0;
  return 1;
}

int json_add_code_point(struct buffer *buffer, uint32_t code_point) {
  uint32_t c = code_point > 0x10FFFF || (code_point >= 0xD800 && code_point < 0xE000) ? 0xFFFD : code_point;
  char bytes[4];
  size_t length = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
  for (size_t i = length; i > 1; i--, c >>= 6) bytes[i - 1] = (char)(0x80 | (c & 0x3F));
  bytes[0] = (char)(lead[length] | c);
  return buffer_add(buffer, bytes, length);
}

static int hex4(const struct reader *reader, const char *at, uint32_t *unit) {
  if (reader->end - at < 4) return -1;
  *unit = 0;
  for (int i = 0; i < 4; i++) {
    char c = at[i];
    uint32_t digit;
    if (c >= '0' && c <= '9')
      digit = (uint32_t)(c - '0');
    else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
      digit = (uint32_t)((c | 0x20) - 'a') + 10;
    else
      return -1;
    *unit = *unit << 4 | digit;
  }
  return 0;
}

/* Behind "\u".  A high surrogate takes the low one that follows it; alone it is U+FFFD. */
static int read_unicode_escape(struct reader *reader) {
  uint32_t unit, low;
  if (hex4(reader, reader->at, &unit) != 0) return fail(reader, "\\u needs four hexadecimal digits");
  reader->at += 4;
  if (unit >= 0xD800 && unit < 0xDC00 && reader->end - reader->at >= 6 && reader->at[0] == '\\' &&
      reader->at[1] == 'u' && hex4(reader, reader->at + 2, &low) == 0 && low >= 0xDC00 && low < 0xE000) {
    reader->at += 6;
    unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
  }
  return json_add_code_point(&reader->string, unit) == 0 ? 0 : fail_memory(reader);
}

static int read_escape(struct reader *reader) {
  static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
  reader->at++;
  if (reader->at >= reader->end) return fail(reader, "the text ends inside a string");
  char letter = *reader->at;
  if (letter == 'u') {
    reader->at++;
    return read_unicode_escape(reader);
  }
  const char *found = letter ? strchr(from, letter) : NULL;
  if (!found) return fail(reader, "unknown escape in a string");
  reader->at++;
  return buffer_add_char(&reader->string, to[found - from]) == 0 ? 0 : fail_memory(reader);
}

/* Advances over bytes that stand for themselves; stops at a quote, a backslash or the end. */
static int skip_plain(struct reader *reader) {
  while (reader->at < reader->end) {
    unsigned char byte = (unsigned char)*reader->at;
    if (byte == '"' || byte == '\\') return 0;
    if (byte < 0x20) return fail(reader, "control character in a string; write it as an escape");
    size_t length = byte < 0x80 ? 1 : json_utf8_length(reader->at, (size_t)(reader->end - reader->at));
    if (length == 0) return fail(reader, "invalid UTF-8");
    reader->at += length;
  }
  return fail(reader, "the text ends inside a string");
}

/* At the opening quote; leaves bytes/length (valid until the next string or number). */
static int read_string(struct reader *reader) {
  const char *start = ++reader->at;
  if (skip_plain(reader) != 0) return -1;
  if (*reader->at == '"') {
    reader->bytes = start;
    reader->length = (size_t)(reader->at++ - start);
    return 0;
  }
  buffer_clear(&reader->string);
  while (*reader->at != '"') {
    if (buffer_add(&reader->string, start, (size_t)(reader->at - start)) != 0) return fail_memory(reader);
    if (read_escape(reader) != 0) return -1;
    start = reader->at;
    if (skip_plain(reader) != 0) return -1;
  }
  if (buffer_add(&reader->string, start, (size_t)(reader->at++ - start)) != 0) return fail_memory(reader);
  reader->bytes = buffer_text(&reader->string);
  reader->length = reader->string.length;
  return 0;
}

/* ---- numbers ---- */

static size_t skip_digits(struct reader *reader) {
  const char *start = reader->at;
  while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9') reader->at++;
  return (size_t)(reader->at - start);
}

/* Advances over a number as RFC 8259 spells it; *whole tells that it has neither fraction nor exponent. */
static int skip_number(struct reader *reader, int *whole) {
  if (peek(reader) == '-') reader->at++;
  if (peek(reader) == '0')
    reader->at++;
  else if (skip_digits(reader) == 0)
    return fail(reader, "expected a value");
  *whole = 1;
  if (peek(reader) == '.') {
    *whole = 0;
    reader->at++;
    if (skip_digits(reader) == 0) return fail(reader, "a fraction needs digits");
  }
  if (peek(reader) == 'e' || peek(reader) == 'E') {
    *whole = 0;
    reader->at++;
    if (peek(reader) == '+' || peek(reader) == '-') reader->at++;
    if (skip_digits(reader) == 0) return fail(reader, "an exponent needs digits");
  }
  return 0;
}

static int read_number(struct reader *reader, json_t **value) {
  const char *start = reader->at;
  int whole = 0;
  if (skip_number(reader, &whole) != 0) return -1;
  size_t length = (size_t)(reader->at - start);
  if (!reader->build && whole && length < 300) return 0; /* cannot leave a double's range */
  buffer_clear(&reader->string);
  if (buffer_add(&reader->string, start, length) != 0) return fail_memory(reader);
  errno = 0;
  json_int_t integer = whole ? strtoll(buffer_text(&reader->string), NULL, 10) : 0;
  int fits = whole && errno == 0;
  double real = fits ? 0 : strtod(buffer_text(&reader->string), NULL);
  if (!isfinite(real)) return fail(reader, "the number is beyond the range of a double");
  if (!reader->build) return 0;
  *value = fits ? json_integer(integer) : json_real(real);
  return *value ? 0 : fail_memory(reader);
}

/* ---- values ---- */

/* Puts a new value where it belongs; takes the reference. */
static int attach(struct reader *reader, json_t *value) {
  if (!value) return fail_memory(reader);
  int result = 0;
  if (reader->depth == 0)
    reader->result = value;
  else if (reader->kind[reader->depth - 1] == '[')
    result = json_array_append_new(reader->open[reader->depth - 1], value);
  else
    result = json_object_setn_new_nocheck(reader->open[reader->depth - 1], buffer_text(&reader->key),
                                          reader->key.length, value);
  return result == 0 ? 0 : fail_memory(reader);
}

static int open_container(struct reader *reader, char kind) {
  if (reader->depth == JSON_DEPTH) return fail(reader, "nested deeper than 256");
  if (reader->build) {
    json_t *container = kind == '[' ? json_array() : json_object();
    if (attach(reader, container) != 0) return -1;
    reader->open[reader->depth] = container;
  }
  reader->kind[reader->depth++] = kind;
  reader->at++;
  return 0;
}

static int read_key(struct reader *reader) {
  skip_space(reader);
  if (peek(reader) != '"') return fail(reader, "expected a key in double quotes");
  if (read_string(reader) != 0) return -1;
  if (memchr(reader->bytes, '\0', reader->length)) return fail(reader, "NUL inside a key");
  if (reader->build) {
    buffer_clear(&reader->key);
    if (buffer_add(&reader->key, reader->bytes, reader->length) != 0) return fail_memory(reader);
  }
  return accept(reader, ':') ? 0 : fail(reader, "expected ':' behind the key");
}

static int read_word(struct reader *reader, json_t **value) {
  static const struct {
    const char *text;
    size_t length;
  } words[] = {{"true", 4}, {"false", 5}, {"null", 4}};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if ((size_t)(reader->end - reader->at) >= words[i].length &&
        memcmp(reader->at, words[i].text, words[i].length) == 0) {
      reader->at += words[i].length;
      *value = i == 0 ? json_true() : i == 1 ? json_false() : json_null();
      return 0;
    }
  return fail(reader, reader->at == reader->end ? "the text ends where a value is expected" : "expected a value");
}

static int read_scalar(struct reader *reader) {
  json_t *value = NULL;
  int first = peek(reader);
  if (first == '"') {
    if (read_string(reader) != 0) return -1;
    if (reader->build) value = json_stringn_nocheck(reader->bytes, reader->length);
  } else if (first == '-' || (first >= '0' && first <= '9')) {
    if (read_number(reader, &value) != 0) return -1;
  } else if (read_word(reader, &value) != 0) {
    return -1;
  }
  return reader->build ? attach(reader, value) : 0;
}

/* Behind a value: closes what closes, until another value has to follow (0), everything is closed (1), or error (-1).
 */
static int read_separator(struct reader *reader) {
  while (reader->depth > 0) {
    int object = reader->kind[reader->depth - 1] == '{';
    if (accept(reader, ',')) return object ? read_key(reader) : 0;
    if (!accept(reader, object ? '}' : ']'))
      return fail(reader, object ? "expected ',' or '}'" : "expected ',' or ']'");
    reader->depth--;
  }
  return 1;
}

/* One value's beginning: 0 when its first element has to follow, 1 when the value is complete, -1 on error. */
static int read_value(struct reader *reader) {
  skip_space(reader);
  int first = peek(reader);
  if (first != '{' && first != '[') return read_scalar(reader) == 0 ? 1 : -1;
  if (open_container(reader, (char)first) != 0) return -1;
  if (accept(reader, first == '{' ? '}' : ']')) {
    reader->depth--;
    return 1;
  }
  return first == '{' ? read_key(reader) : 0;
}

static int read_text(struct reader *reader) {
  int state = 0;
  while (state == 0) {
    state = read_value(reader);
    if (state == 1) state = read_separator(reader);
  }
  if (state < 0) return -1;
  skip_space(reader);
  return reader->at == reader->end ? 0 : fail(reader, "text behind the value");
}

static int run(struct reader *reader, const char *text, size_t length, struct error *error) {
  reader->text = reader->at = text;
  reader->end = text + length;
  reader->error = error;
  reader->string.ceiling = reader->key.ceiling = length + 64;
  int result = read_text(reader);
  buffer_free(&reader->string);
  buffer_free(&reader->key);
  return result;
}

json_t *json_parse(const char *text, size_t length, struct error *error) {
  struct reader reader = {.build = 1};
  if (run(&reader, text, length, error) == 0) return reader.result;
  json_decref(reader.result);
  return NULL;
}

int json_check(const char *text, size_t length, struct error *error) {
  struct reader reader = {.build = 0};
  return run(&reader, text, length, error);
}
