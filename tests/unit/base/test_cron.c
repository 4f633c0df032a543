#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/clock.h"
#include "base/cron.h"

static void test_refuses(void **state) {
  (void)state;
  static const char *const cases[] = {
      "",
      "rate",
      "every(5 minutes)",
      "rate(5 minutes",
      "rate()",
      "rate(0 minutes)",
      "rate(-1 minutes)",
      "rate(1 minutes)", /* AWS: singular with 1, plural otherwise */
      "rate(5 minute)",
      "rate(5 weeks)",
      "rate(5minutes)",
      "rate(5.5 minutes)",
      "rate(999999999 days)",
      "cron()",
      "cron(0 12 * * ?)",
      "cron(0 12 * * ? * *)",
      "cron(0 12 * * * *)",
      "cron(0 12 ? * ? *)",
      "cron(60 12 * * ? *)",
      "cron(0 24 * * ? *)",
      "cron(0 0 0 * ? *)",
      "cron(0 0 32 * ? *)",
      "cron(0 0 1 13 ? *)",
      "cron(0 0 ? * 0 *)",
      "cron(0 0 ? * 8 *)",
      "cron(0 0 ? * MOO *)",
      "cron(0 0 ? JANUARY MON *)",
      "cron(0 0 ? * MON#6 *)",
      "cron(0 0 ? * MON#0 *)",
      "cron(0 0 ? * 2#1x *)",
      "cron(0 0 ? * 6LL *)",
      "cron(0 0 32W * ? *)",
      "cron(0 0 W * ? *)",
      "cron(0 0 L * ? 1969)",
      "cron(0 0 L * ? 2200)",
      "cron(5-1 0 * * ? *)",
      "cron(*/0 0 * * ? *)",
      "cron(*/x 0 * * ? *)",
      "cron(1,,2 0 * * ? *)",
      "cron(1- 0 * * ? *)",
      "cron(L 0 * * ? *)",
      "cron(-1 0 * * ? *)",
      "cron(0 0 1 * ? 2026x)",
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct cron cron;
    struct error error = {0};
    if (cron_parse(cases[i], &cron, &error) == 0) fail_msg("accepted: %s", cases[i]);
    assert_int_equal(error.class, ERROR_INVALID);
    assert_true(*error.message);
  }
}

/* The next ticks after a moment. */
static void test_next(void **state) {
  (void)state;
  static const struct {
    const char *expression, *after, *ticks[3];
  } cases[] = {
      {"rate(5 minutes)", "2026-11-24T22:04:05Z", {"2026-11-24T22:05:00.000Z", "2026-11-24T22:10:00.000Z", NULL}},
      {"rate(5 minutes)", "2026-11-24T22:05:00Z", {"2026-11-24T22:10:00.000Z", NULL}}, /* strictly after */
      {"rate(1 hour)", "2026-11-24T22:04:05Z", {"2026-11-24T23:00:00.000Z", NULL}},
      {"rate(1 day)", "2026-11-24T22:04:05Z", {"2026-11-25T00:00:00.000Z", NULL}},
      {"rate(30 seconds)", "2026-11-24T22:04:05Z", {"2026-11-24T22:04:30.000Z", NULL}},
      /* AWS's own examples */
      {"cron(0 10 * * ? *)", "2026-11-24T22:04:05Z", {"2026-11-25T10:00:00.000Z", "2026-11-26T10:00:00.000Z", NULL}},
      {"cron(15 12 * * ? *)", "2026-11-24T12:15:00Z", {"2026-11-25T12:15:00.000Z", NULL}},
      {"cron(0 18 ? * MON-FRI *)", "2026-11-27T18:00:00Z", {"2026-11-30T18:00:00.000Z", NULL}},
      {"cron(0 8 1 * ? *)", "2026-11-24T22:04:05Z", {"2026-12-01T08:00:00.000Z", "2027-01-01T08:00:00.000Z", NULL}},
      {"cron(0/15 * * * ? *)", "2026-11-24T22:04:05Z", {"2026-11-24T22:15:00.000Z", "2026-11-24T22:30:00.000Z", NULL}},
      {"cron(0/10 * ? * MON-FRI *)", "2026-11-27T23:55:00Z", {"2026-11-30T00:00:00.000Z", NULL}},
      {"cron(0/5 8-17 ? * MON-FRI *)",
       "2026-11-27T17:54:00Z",
       {"2026-11-27T17:55:00.000Z", "2026-11-30T08:00:00.000Z", NULL}},
      {"cron(0 9 ? * 2#1 *)", "2026-11-24T22:04:05Z", {"2026-12-07T09:00:00.000Z", "2027-01-04T09:00:00.000Z", NULL}},
      /* the last day, of a leap February, too */
      {"cron(0 0 L * ? *)", "2028-02-01T00:00:00Z", {"2028-02-29T00:00:00.000Z", "2028-03-31T00:00:00.000Z", NULL}},
      {"cron(0 0 L 2 ? 2100)", "2026-01-01T00:00:00Z", {"2100-02-28T00:00:00.000Z", NULL}},
      {"cron(0 0 29 2 ? *)", "2026-01-01T00:00:00Z", {"2028-02-29T00:00:00.000Z", "2032-02-29T00:00:00.000Z", NULL}},
      /* the last working day: 2026-01-31 is a Saturday, 2026-05-31 a Sunday */
      {"cron(0 0 LW 1 ? *)", "2026-01-01T00:00:00Z", {"2026-01-30T00:00:00.000Z", NULL}},
      {"cron(0 0 LW 5 ? *)", "2026-01-01T00:00:00Z", {"2026-05-29T00:00:00.000Z", NULL}},
      /* the nearest: Saturday 2026-08-15 → Friday, Sunday 2026-11-15 → Monday, never out of the month */
      {"cron(0 0 15W 8 ? *)", "2026-01-01T00:00:00Z", {"2026-08-14T00:00:00.000Z", NULL}},
      {"cron(0 0 15W 11 ? *)", "2026-01-01T00:00:00Z", {"2026-11-16T00:00:00.000Z", NULL}},
      {"cron(0 0 1W 8 ? *)", "2026-01-01T00:00:00Z", {"2026-08-03T00:00:00.000Z", NULL}},
      {"cron(0 0 31W 5 ? *)", "2026-01-01T00:00:00Z", {"2026-05-29T00:00:00.000Z", NULL}},
      {"cron(0 0 31W 2,3 ? *)", "2026-01-01T00:00:00Z", {"2026-03-31T00:00:00.000Z", NULL}},
      /* days of the week: L alone is Saturday, 6L the last Friday, names and numbers, over the week's end */
      {"cron(0 0 ? * L *)", "2026-11-24T00:00:00Z", {"2026-11-28T00:00:00.000Z", NULL}},
      {"cron(0 0 ? * 6L *)", "2026-11-24T00:00:00Z", {"2026-11-27T00:00:00.000Z", "2026-12-25T00:00:00.000Z", NULL}},
      {"cron(0 0 ? * friL *)", "2026-11-24T00:00:00Z", {"2026-11-27T00:00:00.000Z", NULL}},
      {"cron(0 0 ? * FRI-SUN *)",
       "2026-11-24T00:00:00Z",
       {"2026-11-27T00:00:00.000Z", "2026-11-28T00:00:00.000Z", NULL}},
      {"cron(0 0 ? * 1 *)", "2026-11-24T00:00:00Z", {"2026-11-29T00:00:00.000Z", NULL}},
      {"cron(0 0 ? * SUN#5 *)", "2026-11-01T00:00:00Z", {"2026-11-29T00:00:00.000Z", "2027-01-31T00:00:00.000Z", NULL}},
      {"cron(0 0 ? NOV-JAN MON#1 *)",
       "2026-11-24T00:00:00Z",
       {"2026-12-07T00:00:00.000Z", "2027-01-04T00:00:00.000Z", NULL}},
      /* lists, steps in ranges, years */
      {"cron(1,2,50-59/4 0 1 1 ? *)",
       "2026-01-01T00:01:00Z",
       {"2026-01-01T00:02:00.000Z", "2026-01-01T00:50:00.000Z", "2026-01-01T00:54:00.000Z"}},
      {"cron(59 23 31 12 ? 2199)", "2026-01-01T00:00:00Z", {"2199-12-31T23:59:00.000Z", NULL}},
      {"cron(0 0 1 1 ? 2030/10)",
       "2031-01-01T00:00:00Z",
       {"2040-01-01T00:00:00.000Z", "2050-01-01T00:00:00.000Z", NULL}},
      /* never, or never again */
      {"cron(0 0 1 1 ? 2020)", "2026-01-01T00:00:00Z", {NULL}},
      {"cron(0 0 31 2 ? *)", "2026-01-01T00:00:00Z", {NULL}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct cron cron;
    struct error error = {0};
    int64_t at;
    if (cron_parse(cases[i].expression, &cron, &error) != 0) fail_msg("%s: %s", cases[i].expression, error.message);
    assert_int_equal(clock_parse(cases[i].after, &at), 0);
    for (int tick = 0; tick < 3; tick++) {
      char text[32] = "never";
      at = cron_next(&cron, at);
      if (at >= 0) clock_format(at, text, sizeof text);
      if (!cases[i].ticks[tick] && tick > 0) break;
      if (strcmp(text, cases[i].ticks[tick] ? cases[i].ticks[tick] : "never") != 0)
        fail_msg("%s after %s: tick %d is %s", cases[i].expression, cases[i].after, tick, text);
      if (at < 0) break;
    }
  }
}

/* Dates before the epoch, and every day of 400 years: the calendar's arithmetic has no hole. */
static void test_every_day(void **state) {
  (void)state;
  struct cron cron;
  assert_int_equal(cron_parse("cron(0 0 * * ? *)", &cron, NULL), 0);
  int64_t at = cron_next(&cron, -5000);
  for (int day = 1; day <= 84006; day++) { /* 1970-01-02 … 2199-12-31 */
    if (at != (int64_t)day * 86400000) fail_msg("day %d", day);
    at = cron_next(&cron, at);
    if (day == 84005) break;
  }
  assert_int_equal(at, -1);
}
