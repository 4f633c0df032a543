#include <string.h>

#include "match/match_internal.h"

/* A number is kept as its decimal value, so that 300, 300.0 and 3e2 are one number and two literals of twenty digits
 * are compared digit by digit; no rounding anywhere.  The first 19 digits go into one integer, padded on the right, so
 * that (sign, exponent, mantissa) decides nearly every comparison. */

#define MANTISSA_DIGITS 19
#define EXPONENT_MOST ((int64_t)1 << 40) /* far beyond any text's length; exponents are cut there */

static const uint64_t powers_of_ten[MANTISSA_DIGITS + 1] = {1ull,
                                                            10ull,
                                                            100ull,
                                                            1000ull,
                                                            10000ull,
                                                            100000ull,
                                                            1000000ull,
                                                            10000000ull,
                                                            100000000ull,
                                                            1000000000ull,
                                                            10000000000ull,
                                                            100000000000ull,
                                                            1000000000000ull,
                                                            10000000000000ull,
                                                            100000000000000ull,
                                                            1000000000000000ull,
                                                            10000000000000000ull,
                                                            100000000000000000ull,
                                                            1000000000000000000ull,
                                                            10000000000000000000ull};

static bool is_digit(char byte) { return byte >= '0' && byte <= '9'; }

static const char *skip_digits(const char *at, const char *end) {
  while (at < end && is_digit(*at)) at++;
  return at;
}

/* The exponent behind 'e'; NULL when it is broken. */
static const char *read_exponent(const char *at, const char *end, int64_t *exponent) {
  bool negative = at < end && *at == '-';
  if (at < end && (*at == '-' || *at == '+')) at++;
  if (at == end || !is_digit(*at)) return NULL;
  int64_t value = 0;
  for (; at < end && is_digit(*at); at++)
    if (value < EXPONENT_MOST) value = value * 10 + (*at - '0');
  *exponent = negative ? -value : value;
  return at;
}

/* Fills mantissa and tail from the digits at [at, end), a '.' among them; the first one is not '0'. */
static void read_digits(const char *at, const char *end, struct match_number *number) {
  unsigned count = 0;
  uint64_t mantissa = 0;
  for (; at < end && count < MANTISSA_DIGITS; at++) {
    if (*at == '.') continue;
    mantissa = mantissa * 10 + (uint64_t)(*at - '0');
    count++;
  }
  number->mantissa = mantissa * powers_of_ten[MANTISSA_DIGITS - count];
  while (end > at && (end[-1] == '0' || end[-1] == '.')) end--;
  if (end == at) return;
  number->tail = at;
  number->tail_length = (size_t)(end - at);
}

int match_number_parse(const char *text, size_t length, struct match_number *number) {
  const char *at = text, *end = text + length;
  *number = (struct match_number){0};
  bool negative = at < end && *at == '-';
  if (negative) at++;
  const char *whole = at;
  at = skip_digits(at, end);
  const char *point = at;
  if (point == whole || (*whole == '0' && point - whole > 1)) return -1;
  if (at < end && *at == '.') {
    at = skip_digits(at + 1, end);
    if (at == point + 1) return -1;
  }
  const char *digits_end = at;
  int64_t exponent = 0;
  if (at < end && (*at == 'e' || *at == 'E')) at = read_exponent(at + 1, end, &exponent);
  if (!at || at != end) return -1;

  const char *first = whole;
  while (first < digits_end && (*first == '0' || *first == '.')) first++;
  if (first == digits_end) return 0;
  number->sign = negative ? -1 : 1;
  number->exponent = exponent + (first < point ? point - first : point + 1 - first);
  read_digits(first, digits_end, number);
  return 0;
}

/* Compares the digits behind the first 19; a shorter tail is the smaller one unless they differ before. */
static int compare_tails(const struct match_number *a, const struct match_number *b) {
  const char *at = a->tail, *bt = b->tail;
  const char *a_end = at ? at + a->tail_length : NULL, *b_end = bt ? bt + b->tail_length : NULL;
  for (;;) {
    while (at < a_end && *at == '.') at++;
    while (bt < b_end && *bt == '.') bt++;
    if (at == a_end || bt == b_end) return (at != a_end) - (bt != b_end);
    if (*at != *bt) return *at < *bt ? -1 : 1;
    at++, bt++;
  }
}

static int compare_sizes(const struct match_number *a, const struct match_number *b) {
  if (a->exponent != b->exponent) return a->exponent < b->exponent ? -1 : 1;
  if (a->mantissa != b->mantissa) return a->mantissa < b->mantissa ? -1 : 1;
  return a->tail || b->tail ? compare_tails(a, b) : 0;
}

int match_number_compare(const struct match_number *a, const struct match_number *b) {
  if (a->sign != b->sign) return a->sign < b->sign ? -1 : 1;
  if (a->sign == 0) return 0;
  int sizes = compare_sizes(a, b);
  return a->sign > 0 ? sizes : -sizes;
}

bool match_number_is_binary64(const struct match_number *number) {
  /* Half a unit above the largest double rounds to infinity; half of the smallest one rounds to zero. */
  static const char too_large[] = "1.797693134862315807937289714053e308";
  static const char too_small[] = "2.4703282292062327208e-324";
  struct match_number large, small;
  if (number->sign == 0) return true;
  match_number_parse(too_large, sizeof too_large - 1, &large);
  match_number_parse(too_small, sizeof too_small - 1, &small);
  return compare_sizes(number, &large) < 0 && compare_sizes(number, &small) > 0;
}
