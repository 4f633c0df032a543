/* What a scalar is: YAML 1.2, section 10.3.2 (core schema), with two refusals and one narrowing.  Infinity, NaN and
 * integers over 64 bits do not fit JSON; a number with a leading zero is a string (0123 is an account's or a ticket's
 * number, never an amount). */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "json/yaml_internal.h"

enum kind {
  KIND_STRING,
  KIND_NULL,
  KIND_TRUE,
  KIND_FALSE,
  KIND_INTEGER,
  KIND_OCTAL,
  KIND_HEXADECIMAL,
  KIND_FLOAT,
  KIND_NO_NUMBER
};

static const struct {
  const char *text;
  enum kind kind;
} words[] = {
    {"", KIND_NULL},           {"~", KIND_NULL},          {"null", KIND_NULL},       {"Null", KIND_NULL},
    {"NULL", KIND_NULL},       {"true", KIND_TRUE},       {"True", KIND_TRUE},       {"TRUE", KIND_TRUE},
    {"false", KIND_FALSE},     {"False", KIND_FALSE},     {"FALSE", KIND_FALSE},     {".nan", KIND_NO_NUMBER},
    {".NaN", KIND_NO_NUMBER},  {".NAN", KIND_NO_NUMBER},  {".inf", KIND_NO_NUMBER},  {".Inf", KIND_NO_NUMBER},
    {".INF", KIND_NO_NUMBER},  {"+.inf", KIND_NO_NUMBER}, {"-.inf", KIND_NO_NUMBER}, {"+.Inf", KIND_NO_NUMBER},
    {"-.Inf", KIND_NO_NUMBER}, {"+.INF", KIND_NO_NUMBER}, {"-.INF", KIND_NO_NUMBER},
};

/* [0-9]+ ( . [0-9]* )? | . [0-9]+, then ( [eE] [-+]? [0-9]+ )? */
static enum kind decimal_kind(const char *text) {
  static const char digits[] = "0123456789";
  const char *at = text + (*text == '-' || *text == '+');
  size_t whole = strspn(at, digits), fraction = 0;
  if (whole > 1 && *at == '0') return KIND_STRING;
  at += whole;
  if (!*at) return whole ? KIND_INTEGER : KIND_STRING;
  if (*at == '.') {
    fraction = strspn(++at, digits);
    at += fraction;
  }
  if (whole + fraction == 0) return KIND_STRING;
  if (*at == 'e' || *at == 'E') {
    at++;
    at += *at == '-' || *at == '+';
    if (!*at) return KIND_STRING;
    at += strspn(at, digits);
  }
  return *at ? KIND_STRING : KIND_FLOAT;
}

static enum kind plain_kind(const char *text, size_t length) {
  if (strlen(text) != length) return KIND_STRING;
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strcmp(text, words[i].text) == 0) return words[i].kind;
  if (strncmp(text, "0o", 2) == 0 && length > 2 && strspn(text + 2, "01234567") == length - 2) return KIND_OCTAL;
  if (strncmp(text, "0x", 2) == 0 && length > 2 && strspn(text + 2, "0123456789abcdefABCDEF") == length - 2)
    return KIND_HEXADECIMAL;
  return decimal_kind(text);
}

static json_t *integer(const char *digits, int base, const char **why) {
  errno = 0;
  long long number = strtoll(digits, NULL, base);
  if (errno == 0) return json_integer(number);
  *why = "the number does not fit 64 bits; quote it if it is a string";
  return NULL;
}

static json_t *real(const char *text, const char **why) {
  double number = strtod(text, NULL);
  if (isfinite(number)) return json_real(number);
  *why = "the number is beyond the range of a double; quote it if it is a string";
  return NULL;
}

static json_t *of_kind(enum kind kind, const char *text, size_t length, const char **why) {
  switch (kind) {
    case KIND_NULL:
      return json_null();
    case KIND_TRUE:
      return json_true();
    case KIND_FALSE:
      return json_false();
    case KIND_INTEGER:
      return integer(text, 10, why);
    case KIND_OCTAL:
      return integer(text + 2, 8, why);
    case KIND_HEXADECIMAL:
      return integer(text + 2, 16, why);
    case KIND_FLOAT:
      return real(text, why);
    case KIND_NO_NUMBER:
      *why = "infinity and not-a-number have no place in JSON; quote it if it is a string";
      return NULL;
    default:
      return json_stringn(text, length); /* libyaml has checked that it is UTF-8 */
  }
}

/* Which kinds a core tag allows, as bits. */
static const struct {
  const char *tag;
  unsigned kinds;
} tags[] = {
    {"tag:yaml.org,2002:null", 1u << KIND_NULL},
    {"tag:yaml.org,2002:bool", 1u << KIND_TRUE | 1u << KIND_FALSE},
    {"tag:yaml.org,2002:int", 1u << KIND_INTEGER | 1u << KIND_OCTAL | 1u << KIND_HEXADECIMAL},
    {"tag:yaml.org,2002:float", 1u << KIND_FLOAT | 1u << KIND_INTEGER | 1u << KIND_NO_NUMBER},
};

json_t *yaml_scalar(const char *text, size_t length, int plain, const char *tag, const char **why) {
  *why = NULL;
  if (!tag) return of_kind(plain ? plain_kind(text, length) : KIND_STRING, text, length, why);
  if (strcmp(tag, "!") == 0 || strcmp(tag, "tag:yaml.org,2002:str") == 0)
    return json_stringn(text, length); /* libyaml has checked that it is UTF-8 */
  for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
    if (strcmp(tag, tags[i].tag) != 0) continue;
    enum kind kind = plain_kind(text, length);
    if (tags[i].kinds & 1u << kind) return of_kind(kind, text, length, why);
    *why = "the value is not what its tag says";
    return NULL;
  }
  *why = "unknown tag; only the core schema's (!!str, !!int, !!float, !!bool, !!null, !!seq, !!map) are read";
  return NULL;
}
