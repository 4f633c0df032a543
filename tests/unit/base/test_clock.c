#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/clock.h"

static void test_parse_refuses_what_is_no_timestamp(void **state) {
  (void)state;
  static const char *const texts[] = {
      "",
      "now",
      "2026-11-24",           /* no time */
      "2026-11-24T22:04:05",  /* no zone: nobody knows when that was */
      "2026-11-24T22:04Z",    /* no seconds */
      "2026-13-01T00:00:00Z", /* month */
      "2026-00-01T00:00:00Z",
      "2026-02-29T00:00:00Z", /* not a leap year */
      "1900-02-29T00:00:00Z", /* nor is a century */
      "2026-04-31T00:00:00Z",
      "2026-11-24T24:00:00Z",
      "2026-11-24T22:60:00Z",
      "2026-11-24T22:04:61Z",
      "2026-11-24T22:04:05.Z",    /* a dot without digits */
      "2026-11-24T22:04:05+0200", /* RFC 3339 wants the colon */
      "2026-11-24T22:04:05+24:00",
      "2026-11-24T22:04:05Zx",
      "2026-11-24X22:04:05Z",
      "26-11-24T22:04:05Z",
      " 2026-11-24T22:04:05Z",
      "2026-1-24T22:04:05Z",
  };
  int64_t ms;
  assert_int_equal(clock_parse(NULL, &ms), -1);
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    if (clock_parse(texts[i], &ms) == 0) fail_msg("taken: %s", texts[i]);
}

static void test_parse(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int64_t ms;
  } cases[] = {
      {"1970-01-01T00:00:00Z", 0},
      {"1969-12-31T23:59:59.999Z", -1},
      {"2026-11-24T22:04:05Z", 1795557845000},
      {"2026-11-24T22:04:05.1Z", 1795557845100},
      {"2026-11-24t22:04:05.123999z", 1795557845123}, /* cut, not rounded: never in the future */
      {"2026-11-24 22:04:05Z", 1795557845000},
      {"2026-11-25T00:04:05+02:00", 1795557845000},
      {"2026-11-24T16:34:05-05:30", 1795557845000},
      {"2016-12-31T23:59:60Z", 1483228800000}, /* a leap second */
      {"2000-02-29T12:00:00Z", 951825600000},
      {"9999-12-31T23:59:59Z", 253402300799000},
      {"0000-01-01T00:00:00Z", -62167219200000},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int64_t ms = 42;
    assert_int_equal(clock_parse(cases[i].text, &ms), 0);
    if (ms != cases[i].ms) fail_msg("%s is %lld", cases[i].text, (long long)ms);
  }
}

static void test_format_and_parse_are_inverse(void **state) {
  (void)state;
  char text[25];
  assert_string_equal(clock_format(1795557845123, text, sizeof text), "2026-11-24T22:04:05.123Z");
  assert_string_equal(clock_format(-1, text, sizeof text), "1969-12-31T23:59:59.999Z");
  for (int64_t ms = -62167219200000; ms < 253402300800000; ms += 86399999 * 97LL) {
    int64_t back;
    assert_int_equal(clock_parse(clock_format(ms, text, sizeof text), &back), 0);
    assert_int_equal(back, ms);
  }
}

static void test_format_stays_within_four_digits_of_year(void **state) {
  (void)state;
  char text[25];
  assert_string_equal(clock_format(INT64_MAX, text, sizeof text), "9999-12-31T23:59:59.999Z");
  assert_string_equal(clock_format(INT64_MIN, text, sizeof text), "0000-01-01T00:00:00.000Z");
}

static void test_duration_refusals(void **state) {
  (void)state;
  static const char *const texts[] = {"",
                                      "5",
                                      "s",
                                      "-5s",
                                      "+5s",
                                      " 5s",
                                      "5 s",
                                      "5s ",
                                      "1h30m",
                                      "5w",
                                      "1.5h",
                                      "5S",
                                      "3654d",
                                      "99999999999999999999s",
                                      "9223372036854775807d"};
  int64_t ms;
  assert_int_equal(clock_parse_duration(NULL, &ms), -1);
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    if (clock_parse_duration(texts[i], &ms) == 0) fail_msg("taken: %s", texts[i]);
}

static void test_durations(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int64_t ms;
  } cases[] = {{"0s", 0},         {"250ms", 250},    {"90s", 90000},          {"10m", 600000},
               {"24h", 86400000}, {"7d", 604800000}, {"3653d", 315619200000}, {"007m", 420000}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int64_t ms = -1;
    assert_int_equal(clock_parse_duration(cases[i].text, &ms), 0);
    assert_int_equal(ms, cases[i].ms);
  }
}

static void test_sleep_lasts_and_monotonic_never_goes_back(void **state) {
  (void)state;
  int64_t before = clock_monotonic_ms();
  clock_sleep_ms(-5);
  clock_sleep_ms(0);
  clock_sleep_ms(20);
  assert_true(clock_monotonic_ms() - before >= 19);
  assert_true(clock_wall_ms() > 1700000000000);
}
