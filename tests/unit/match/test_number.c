/* Numbers by their decimal value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "match/match_internal.h"

static struct match_number parse(const char *text) {
  struct match_number number;
  if (match_number_parse(text, strlen(text), &number) != 0) fail_msg("%s is refused", text);
  return number;
}

static void test_refused(void **state) {
  static const char *const texts[] = {"",   "-",  "+1", "01",  "1.",   ".5",   "1e",  "1e+", "-01", "1.2.3",
                                      "0x", "1 ", " 1", "NaN", "1e1.", "1ee1", "--1", "1-",  "00",  "Infinity"};
  struct match_number number;
  (void)state;
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    if (match_number_parse(texts[i], strlen(texts[i]), &number) == 0) fail_msg("%s is accepted", texts[i]);
}

static void test_order(void **state) {
  static const struct {
    const char *a, *b;
    int order;
  } cases[] = {
      {"300", "3.0e2", 0},
      {"300", "300.000", 0},
      {"0", "-0.0e5", 0},
      {"0.001", "1e-3", 0},
      {"0.00100", "10E-4", 0},
      {"-1", "1", -1},
      {"-2", "-1", -1},
      {"0", "1e-400", -1},
      {"-1e-400", "0", -1},
      {"9", "10", -1},
      {"99.9", "100", -1},
      {"1e308", "1e309", -1},
      {"9007199254740992", "9007199254740993", -1},         /* one double, two numbers */
      {"12345678901234567890", "12345678901234567891", -1}, /* 20 digits: the last one is in the tail */
      {"1234567890123456789.5", "1234567890123456789.50", 0},
      {"1234567890123456789", "1234567890123456789.000000000001", -1},
      {"1234567890123456789012", "1234567890123456789012.0", 0},
      {"1234567890123456789.012", "1234567890123456789012e-3", 0},
      {"-1234567890123456789012", "-1234567890123456789011", -1},
      {"12345678901234567890e5", "1234567890123456789e6", 0},
      {"0.1", "0.1000000000000000055511151231257827", -1},
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct match_number a = parse(cases[i].a), b = parse(cases[i].b);
    int order = match_number_compare(&a, &b), back = match_number_compare(&b, &a);
    if ((order > 0) - (order < 0) != cases[i].order || (back > 0) - (back < 0) != -cases[i].order)
      fail_msg("%s, %s: %d and back %d", cases[i].a, cases[i].b, order, back);
  }
}

static void test_range_of_binary64(void **state) {
  static const struct {
    const char *text;
    bool fits;
  } cases[] = {{"0", true},
               {"1.7976931348623157e308", true},
               {"-1.7976931348623157e308", true},
               {"1.8e308", false},
               {"-2e422", false},
               {"5e-324", true},
               {"1e-320", true},
               {"1E-325", false},
               {"0e999999999999999999999", true},
               {"1e-99999999999999999999", false}};
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct match_number number = parse(cases[i].text);
    if (match_number_is_binary64(&number) != cases[i].fits) fail_msg("%s", cases[i].text);
  }
}
