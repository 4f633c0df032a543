#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/text_internal.h"

static const char hex_digits[] = "0123456789ABCDEF";

static int is_unreserved(unsigned char byte) {
  return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') || byte == '-' ||
         byte == '_' || byte == '.' || byte == '~';
}

static void encode(struct buffer *to, const char *text, size_t length, const char *safe, int space_is_plus) {
  for (size_t i = 0; i < length; i++) {
    unsigned char byte = (unsigned char)text[i];
    if (is_unreserved(byte) || (byte && strchr(safe, byte))) {
      buffer_add_char(to, (char)byte);
    } else if (byte == ' ' && space_is_plus) {
      buffer_add_char(to, '+');
    } else {
      char encoded[3] = {'%', hex_digits[byte >> 4], hex_digits[byte & 15]};
      buffer_add(to, encoded, sizeof encoded);
    }
  }
}

void aws_percent_encode(struct buffer *to, const char *text, size_t length, const char *safe) {
  encode(to, text, length, safe, 0);
}

void aws_form_encode(struct buffer *to, const char *text, size_t length) { encode(to, text, length, "", 1); }

static int hex_value(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

size_t aws_percent_decode(char *text, size_t length, int plus_is_space) {
  size_t to = 0;
  for (size_t i = 0; i < length; i++) {
    char byte = text[i];
    if (byte == '%' && i + 2 < length && hex_value(text[i + 1]) >= 0 && hex_value(text[i + 2]) >= 0) {
      byte = (char)(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
      i += 2;
    } else if (byte == '+' && plus_is_space) {
      byte = ' ';
    }
    text[to++] = byte;
  }
  return to;
}

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void aws_base64_encode(struct buffer *to, const void *bytes, size_t length) {
  const unsigned char *from = bytes;
  for (size_t i = 0; i < length; i += 3) {
    size_t here = length - i < 3 ? length - i : 3;
    unsigned group = (unsigned)from[i] << 16;
    if (here > 1) group |= (unsigned)from[i + 1] << 8;
    if (here > 2) group |= from[i + 2];
    char digits[4] = {base64_digits[group >> 18], base64_digits[(group >> 12) & 63],
                      here > 1 ? base64_digits[(group >> 6) & 63] : '=', here > 2 ? base64_digits[group & 63] : '='};
    buffer_add(to, digits, sizeof digits);
  }
}

int aws_base64_decode(struct buffer *to, const char *text, size_t length) {
  unsigned group = 0, digits = 0, padding = 0;
  for (size_t i = 0; i < length; i++) {
    char byte = text[i];
    if (byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r') continue;
    const char *digit = byte ? strchr(base64_digits, byte) : NULL;
    if (byte == '=' && (digits & 3) >= 2 && padding < 2)
      padding++;
    else if (!digit || padding)
      return -1;
    group = group << 6 | (digit ? (unsigned)(digit - base64_digits) : 0);
    if ((++digits & 3) != 0) continue;
    char bytes[3] = {(char)(group >> 16), (char)(group >> 8), (char)group};
    buffer_add(to, bytes, 3 - padding);
    group = 0;
  }
  return (digits & 3) == 0 && !to->failed ? 0 : -1;
}

/* "1.2345e+06" with `digits` significant digits, as printf has it, laid out as Python's repr does. */
static void lay_out(const char *scientific, char text[AWS_NUMBER_SIZE]) {
  struct buffer out = {.ceiling = AWS_NUMBER_SIZE - 1};
  char digits[24] = "0";
  int count = 0, exponent = (int)strtol(strchr(scientific, 'e') + 1, NULL, 10);
  const char *at = scientific;
  if (*at == '-') buffer_add_char(&out, *at++);
  for (; *at != 'e'; at++)
    if (*at != '.') digits[count++] = *at;
  while (count > 1 && digits[count - 1] == '0') count--;
  if (exponent < -4 || exponent >= 16) {
    buffer_add_char(&out, digits[0]);
    if (count > 1) buffer_add_char(&out, '.');
    buffer_add(&out, digits + 1, (size_t)count - 1);
    buffer_addf(&out, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
  } else if (exponent < 0) {
    buffer_addf(&out, "0.%.*s%.*s", -exponent - 1, "000", count, digits);
  } else {
    for (int i = 0; i < count || i <= exponent; i++) {
      if (i == exponent + 1) buffer_add_char(&out, '.');
      buffer_add_char(&out, i < count ? digits[i] : '0');
    }
    if (count <= exponent + 1) buffer_add_text(&out, ".0");
  }
  snprintf(text, AWS_NUMBER_SIZE, "%s", buffer_text(&out));
  buffer_free(&out);
}

void aws_number_text(double number, char text[AWS_NUMBER_SIZE]) {
  if (isnan(number) || isinf(number)) {
    snprintf(text, AWS_NUMBER_SIZE, "%s", isnan(number) ? "NaN" : number > 0 ? "Infinity" : "-Infinity");
    return;
  }
  char scientific[40];
  for (int precision = 0; precision <= 16; precision++) {
    snprintf(scientific, sizeof scientific, "%.*e", precision, number);
    if (strtod(scientific, NULL) == number) break;
  }
  lay_out(scientific, text);
}

int aws_number_parse(const char *text, double *number) {
  static const struct {
    const char *name;
    double value;
  } names[] = {{"NaN", NAN}, {"Infinity", INFINITY}, {"-Infinity", -INFINITY}};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(names[i].name, text) == 0) {
      *number = names[i].value;
      return 0;
    }
  if (*text == '\0' || strspn(text, "0123456789+-.eE") != strlen(text)) return -1;
  char *end;
  *number = strtod(text, &end);
  return *end == '\0' ? 0 : -1;
}

int aws_integer_parse(const char *text, json_int_t *integer) {
  if (*text == '\0' || strspn(text, "0123456789+-") != strlen(text)) return -1;
  char *end;
  errno = 0;
  *integer = strtoll(text, &end, 10);
  return *end == '\0' && errno == 0 ? 0 : -1;
}

static void add_string(struct buffer *to, const char *text, size_t length) {
  buffer_add_char(to, '"');
  buffer_add_json_escaped(to, text, length);
  buffer_add_char(to, '"');
}

static void add_object(struct buffer *to, json_t *value) {
  const char *key;
  json_t *inner;
  const char *separator = "";
  buffer_add_char(to, '{');
  json_object_foreach(value, key, inner) {
    buffer_add_text(to, separator);
    add_string(to, key, strlen(key));
    buffer_add_char(to, ':');
    aws_json_add(to, inner);
    separator = ",";
  }
  buffer_add_char(to, '}');
}

void aws_json_add(struct buffer *to, const json_t *value) {
  char number[AWS_NUMBER_SIZE];
  switch (json_typeof(value)) {
    case JSON_OBJECT:
      add_object(to, (json_t *)value);
      break;
    case JSON_ARRAY:
      buffer_add_char(to, '[');
      for (size_t i = 0; i < json_array_size(value); i++) {
        if (i > 0) buffer_add_char(to, ',');
        aws_json_add(to, json_array_get(value, i));
      }
      buffer_add_char(to, ']');
      break;
    case JSON_STRING:
      add_string(to, json_string_value(value), json_string_length(value));
      break;
    case JSON_REAL:
      aws_number_text(json_real_value(value), number);
      buffer_add_text(to, number);
      break;
    case JSON_INTEGER:
      buffer_addf(to, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
      break;
    default:
      buffer_add_text(to, json_is_true(value) ? "true" : json_is_false(value) ? "false" : "null");
  }
}

/* The JSON escaper replaces what is no UTF-8; reading its output back gives clean text. */
json_t *aws_json_text(const char *bytes, size_t length) {
  json_t *text = json_stringn(bytes, length);
  if (text) return text;
  struct buffer escaped = {0};
  add_string(&escaped, bytes, length);
  if (!escaped.failed) text = json_loadb(buffer_text(&escaped), escaped.length, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
  buffer_free(&escaped);
  return text;
}
