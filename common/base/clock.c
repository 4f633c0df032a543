#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define DAY_MS ((int64_t)86400000)
#define LONGEST_DURATION_MS (3653 * DAY_MS) /* ten years */

static int64_t read_clock(clockid_t id) {
  struct timespec now;
  clock_gettime(id, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_monotonic_ms(void) { return read_clock(CLOCK_MONOTONIC); }

int64_t clock_wall_ms(void) { return read_clock(CLOCK_REALTIME); }

void clock_sleep_ms(int64_t milliseconds) {
  if (milliseconds <= 0) return;
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += milliseconds / 1000;
  until.tv_nsec += (long)(milliseconds % 1000) * 1000000;
  if (until.tv_nsec >= 1000000000) {
    until.tv_sec++;
    until.tv_nsec -= 1000000000;
  }
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {}
}

int clock_condition_init(pthread_cond_t *condition) {
  pthread_condattr_t attributes;
  if (pthread_condattr_init(&attributes) != 0) return -1;
  int failed = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) || pthread_cond_init(condition, &attributes);
  pthread_condattr_destroy(&attributes);
  return failed ? -1 : 0;
}

int clock_condition_wait(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t until_ms) {
  struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = (long)(until_ms % 1000) * 1000000};
  return pthread_cond_timedwait(condition, lock, &until) == ETIMEDOUT;
}

/* Calendar arithmetic of our own, because timegm() takes what is no date (February 31st) and gmtime_r() years of five
 * digits.  A "shifted" year starts on March 1st, so that the leap day is its last; 400 years are 146,097 days. */
static int64_t days_from_date(int year, int month, int day) {
  int64_t shifted = month <= 2 ? year - 1 : year;
  int64_t era = (shifted >= 0 ? shifted : shifted - 399) / 400;
  int64_t year_of_era = shifted - era * 400;
  int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146097 + day_of_era - 719468;
}

static void date_from_days(int64_t days, int *year, int *month, int *day) {
  days += 719468;
  int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  int64_t day_of_era = days - era * 146097;
  int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  int64_t shifted_month = (5 * day_of_year + 2) / 153;
  *day = (int)(day_of_year - (153 * shifted_month + 2) / 5 + 1);
  *month = (int)(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
  *year = (int)(year_of_era + era * 400 + (*month <= 2 ? 1 : 0));
}

static int days_in_month(int year, int month) {
  static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  int leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : days[month - 1];
}

char *clock_format(int64_t wall_ms, char *text, size_t size) {
  int64_t first = days_from_date(0, 1, 1) * DAY_MS;
  int64_t last = days_from_date(10000, 1, 1) * DAY_MS - 1;
  if (wall_ms < first) wall_ms = first;
  if (wall_ms > last) wall_ms = last;
  int64_t days = wall_ms / DAY_MS;
  int64_t rest = wall_ms % DAY_MS;
  if (rest < 0) {
    rest += DAY_MS;
    days--;
  }
  int year;
  int month;
  int day;
  date_from_days(days, &year, &month, &day);
  snprintf(text, size, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", year, month, day, (int)(rest / 3600000),
           (int)(rest / 60000 % 60), (int)(rest / 1000 % 60), (int)(rest % 1000));
  return text;
}

/* Exactly `digits` digits into *value, within the limits; advances *at. */
static int parse_digits(const char **at, int digits, int minimum, int maximum, int *value) {
  int number = 0;
  for (int i = 0; i < digits; i++) {
    char digit = (*at)[i];
    if (digit < '0' || digit > '9') return -1;
    number = number * 10 + (digit - '0');
  }
  if (number < minimum || number > maximum) return -1;
  *at += digits;
  *value = number;
  return 0;
}

static int parse_char(const char **at, const char *accepted) {
  if (**at == '\0' || !strchr(accepted, **at)) return -1;
  (*at)++;
  return 0;
}

/* ".123456" to milliseconds, the rest cut off; no fraction is 0. */
static int parse_fraction(const char **at, int *milliseconds) {
  *milliseconds = 0;
  if (**at != '.') return 0;
  (*at)++;
  int digits = 0;
  static const int weights[] = {100, 10, 1};
  for (; **at >= '0' && **at <= '9'; (*at)++, digits++)
    if (digits < 3) *milliseconds += (**at - '0') * weights[digits];
  return digits > 0 ? 0 : -1;
}

/* "Z" or "+02:00" to minutes ahead of UTC. */
static int parse_offset(const char **at, int *minutes) {
  *minutes = 0;
  if (parse_char(at, "Zz") == 0) return 0;
  int sign = **at == '-' ? -1 : 1;
  int hour;
  int minute;
  if (parse_char(at, "+-") != 0 || parse_digits(at, 2, 0, 23, &hour) != 0 || parse_char(at, ":") != 0 ||
      parse_digits(at, 2, 0, 59, &minute) != 0)
    return -1;
  *minutes = sign * (hour * 60 + minute);
  return 0;
}

int clock_parse(const char *text, int64_t *wall_ms) {
  const char *at = text;
  int year;
  int month;
  int day;
  int hour;
  int minute;
  int second;
  int milliseconds;
  int offset;
  if (!text) return -1;
  if (parse_digits(&at, 4, 0, 9999, &year) != 0 || parse_char(&at, "-") != 0 ||
      parse_digits(&at, 2, 1, 12, &month) != 0 || parse_char(&at, "-") != 0 ||
      parse_digits(&at, 2, 1, days_in_month(year, month), &day) != 0 || parse_char(&at, "Tt ") != 0)
    return -1;
  if (parse_digits(&at, 2, 0, 23, &hour) != 0 || parse_char(&at, ":") != 0 ||
      parse_digits(&at, 2, 0, 59, &minute) != 0 || parse_char(&at, ":") != 0 ||
      parse_digits(&at, 2, 0, 60, &second) != 0) /* 60: a leap second, counted as the next second */
    return -1;
  if (parse_fraction(&at, &milliseconds) != 0 || parse_offset(&at, &offset) != 0 || *at != '\0') return -1;
  int64_t seconds = days_from_date(year, month, day) * 86400 + hour * 3600 + (minute - offset) * 60 + second;
  *wall_ms = seconds * 1000 + milliseconds;
  return 0;
}

int clock_parse_duration(const char *text, int64_t *milliseconds) {
  static const struct {
    const char *unit;
    int64_t milliseconds;
  } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", DAY_MS}};
  if (!text || *text < '0' || *text > '9') return -1;
  int64_t number = 0;
  for (; *text >= '0' && *text <= '9'; text++) {
    number = number * 10 + (*text - '0');
    if (number > LONGEST_DURATION_MS) return -1;
  }
  for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
    if (strcmp(text, units[i].unit) != 0) continue;
    if (number > LONGEST_DURATION_MS / units[i].milliseconds) return -1;
    *milliseconds = number * units[i].milliseconds;
    return 0;
  }
  return -1;
}
