/* Timestamps as AWS writes them.  Services mix ISO 8601, RFC 822 and epoch seconds freely, so reading accepts any of
 * them wherever a timestamp is due (as botocore does).  No time zone database is involved: everything is UTC. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/text_internal.h"

#define MICROSECONDS 1000000
#define LAST_SECOND INT64_C(253402300799)    /* 9999-12-31T23:59:59Z */
#define FIRST_SECOND (-INT64_C(62135596800)) /* 0001-01-01T00:00:00Z */

struct civil {
  int year, month, day, hour, minute, second, microsecond, offset_minutes;
};

/* Days since 1970-01-01 of a date in the Gregorian calendar (H. Hinnant, "chrono-compatible low-level date
 * algorithms"). */
static int64_t days_of(int year, int month, int day) {
  int64_t shifted = month <= 2 ? year - 1 : year;
  int64_t era = (shifted >= 0 ? shifted : shifted - 399) / 400;
  int64_t of_era = shifted - era * 400;
  int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719468;
}

static void civil_of(int64_t days, struct civil *civil) {
  days += 719468;
  int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  int64_t of_era = days - era * 146097;
  int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  int64_t day_of_year = of_era - (365 * year + year / 4 - year / 100);
  int64_t month = (5 * day_of_year + 2) / 153;
  civil->day = (int)(day_of_year - (153 * month + 2) / 5 + 1);
  civil->month = (int)(month < 10 ? month + 3 : month - 9);
  civil->year = (int)(year + era * 400 + (civil->month <= 2));
}

static int days_in(int year, int month) {
  static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  int leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return month == 2 && leap ? 29 : days[month - 1];
}

static int to_microseconds(const struct civil *civil, int64_t *microseconds) {
  if (civil->year < 1 || civil->month < 1 || civil->month > 12 || civil->day < 1 ||
      civil->day > days_in(civil->year, civil->month) || civil->hour > 23 || civil->minute > 59 || civil->second > 60)
    return -1;
  int64_t seconds = days_of(civil->year, civil->month, civil->day) * 86400 + (int64_t)civil->hour * 3600 +
                    (int64_t)civil->minute * 60 + civil->second - (int64_t)civil->offset_minutes * 60;
  *microseconds = seconds * MICROSECONDS + civil->microsecond;
  return 0;
}

/* Exactly `count` digits. */
static int digits(const char **at, int count, int *value) {
  *value = 0;
  for (int i = 0; i < count; i++, (*at)++) {
    if (**at < '0' || **at > '9') return -1;
    *value = *value * 10 + (**at - '0');
  }
  return 0;
}

static int skip(const char **at, char byte) {
  if (**at != byte) return 0;
  (*at)++;
  return 1;
}

/* ".123456789": what is finer than a microsecond is dropped. */
static int fraction(const char **at, int *microsecond) {
  *microsecond = 0;
  if (!skip(at, '.') && !skip(at, ',')) return 0;
  int weight = 100000;
  if (**at < '0' || **at > '9') return -1;
  for (; **at >= '0' && **at <= '9'; (*at)++, weight /= 10) *microsecond += (**at - '0') * weight;
  return 0;
}

/* "", "Z", "GMT", "UTC", "+hh:mm", "-hhmm", "+hh". */
static int zone(const char **at, int *offset) {
  while (skip(at, ' ')) continue;
  *offset = 0;
  if (skip(at, 'Z') || skip(at, 'z')) return 0;
  if (strncmp(*at, "GMT", 3) == 0 || strncmp(*at, "UTC", 3) == 0) {
    *at += 3;
    return 0;
  }
  int sign = **at == '-' ? -1 : 1, hours, minutes = 0;
  if (!skip(at, '+') && !skip(at, '-')) return 0;
  if (digits(at, 2, &hours) != 0) return -1;
  skip(at, ':');
  if (**at != '\0' && digits(at, 2, &minutes) != 0) return -1;
  if (hours > 23 || minutes > 59) return -1;
  *offset = sign * (hours * 60 + minutes);
  return 0;
}

static int clock_time(const char **at, struct civil *civil) {
  if (digits(at, 2, &civil->hour) != 0) return -1;
  int extended = skip(at, ':');
  if (digits(at, 2, &civil->minute) != 0) return -1;
  if (extended ? skip(at, ':') : (**at >= '0' && **at <= '9'))
    if (digits(at, 2, &civil->second) != 0) return -1;
  return fraction(at, &civil->microsecond);
}

/* "2015-01-25", "2015-01-25T08:00:00.123Z", "20150125T080000Z". */
static int parse_iso8601(const char *at, int64_t *microseconds) {
  struct civil civil = {0};
  if (digits(&at, 4, &civil.year) != 0) return -1;
  int extended = skip(&at, '-');
  if (digits(&at, 2, &civil.month) != 0 || (extended && !skip(&at, '-')) || digits(&at, 2, &civil.day) != 0) return -1;
  if (*at != '\0') {
    if (!skip(&at, 'T') && !skip(&at, 't') && !skip(&at, ' ')) return -1;
    if (clock_time(&at, &civil) != 0 || zone(&at, &civil.offset_minutes) != 0) return -1;
  }
  return *at == '\0' ? to_microseconds(&civil, microseconds) : -1;
}

static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char weekday_names[] = "ThuFriSatSunMonTueWed"; /* 1970-01-01 was a Thursday */

static int month_name(const char **at, int *month) {
  for (*month = 1; *month <= 12; (*month)++)
    if (strncasecmp(*at, month_names + (*month - 1) * 3, 3) == 0) {
      *at += 3;
      return 0;
    }
  return -1;
}

/* "Sun, 25 Jan 2015 08:00:00 GMT", the weekday optional; RFC 850's "Sunday, 25-Jan-15 08:00:00 GMT". */
static int parse_rfc822(const char *at, int64_t *microseconds) {
  struct civil civil = {0};
  const char *comma = strchr(at, ',');
  if (comma) at = comma + 1;
  while (skip(&at, ' ')) continue;
  if (digits(&at, at[0] && at[1] >= '0' && at[1] <= '9' ? 2 : 1, &civil.day) != 0) return -1;
  if (!skip(&at, ' ') && !skip(&at, '-')) return -1;
  if (month_name(&at, &civil.month) != 0) return -1;
  if (!skip(&at, ' ') && !skip(&at, '-')) return -1;
  int century = at[0] && at[1] && at[2] >= '0' && at[2] <= '9';
  if (digits(&at, century ? 4 : 2, &civil.year) != 0) return -1;
  if (!century) civil.year += civil.year < 70 ? 2000 : 1900;
  if (!skip(&at, ' ') || clock_time(&at, &civil) != 0 || zone(&at, &civil.offset_minutes) != 0) return -1;
  return *at == '\0' ? to_microseconds(&civil, microseconds) : -1;
}

static int from_seconds(double seconds, int64_t *microseconds) {
  if (!(seconds >= (double)FIRST_SECOND && seconds <= (double)LAST_SECOND)) return -1;
  *microseconds = (int64_t)nearbyint(seconds * MICROSECONDS);
  return 0;
}

int aws_time_parse(const char *text, int64_t *microseconds) {
  double seconds;
  if (strlen(text) > 64) return -1;
  if (aws_number_parse(text, &seconds) == 0) return from_seconds(seconds, microseconds);
  if (parse_iso8601(text, microseconds) == 0) return 0;
  return parse_rfc822(text, microseconds);
}

int aws_time_from_json(const json_t *value, int64_t *microseconds) {
  if (json_is_string(value)) return aws_time_parse(json_string_value(value), microseconds);
  if (json_is_integer(value)) {
    json_int_t seconds = json_integer_value(value);
    if (seconds < FIRST_SECOND || seconds > LAST_SECOND) return -1;
    *microseconds = (int64_t)seconds * MICROSECONDS;
    return 0;
  }
  return json_is_real(value) ? from_seconds(json_real_value(value), microseconds) : -1;
}

void aws_time_text(int64_t microseconds, enum aws_time_format format, char text[AWS_TIME_SIZE]) {
  int64_t seconds = microseconds / MICROSECONDS, micro = microseconds % MICROSECONDS;
  if (micro < 0) {
    micro += MICROSECONDS;
    seconds--;
  }
  if (format == AWS_TIME_UNIX || format == AWS_TIME_UNIX_MS) {
    int length = snprintf(text, AWS_TIME_SIZE, "%lld", (long long)seconds);
    if (format == AWS_TIME_UNIX_MS)
      snprintf(text + length, AWS_TIME_SIZE - (size_t)length, ".%03d", (int)(micro / 1000));
    return;
  }
  int64_t days = seconds / 86400, rest = seconds % 86400;
  if (rest < 0) {
    rest += 86400;
    days--;
  }
  struct civil civil;
  civil_of(days, &civil);
  int hour = (int)(rest / 3600), minute = (int)(rest / 60 % 60), second = (int)(rest % 60);
  if (format == AWS_TIME_RFC822) {
    int weekday = (int)((days % 7 + 7) % 7);
    snprintf(text, AWS_TIME_SIZE, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", weekday_names + weekday * 3, civil.day,
             month_names + (civil.month - 1) * 3, civil.year, hour, minute, second);
    return;
  }
  int length = snprintf(text, AWS_TIME_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d", civil.year, civil.month, civil.day, hour,
                        minute, second);
  if (format == AWS_TIME_ISO8601_MS)
    length += snprintf(text + length, AWS_TIME_SIZE - (size_t)length, ".%03d", (int)(micro / 1000));
  else if (micro > 0)
    length += snprintf(text + length, AWS_TIME_SIZE - (size_t)length, ".%06d", (int)micro);
  snprintf(text + length, AWS_TIME_SIZE - (size_t)length, "Z");
}
