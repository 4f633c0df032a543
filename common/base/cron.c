#include "base/cron.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { DAY_MS = 86400000, SUNDAY = 0, SATURDAY = 6 };

/* ---- days and dates (the proleptic Gregorian calendar, days since 1970-01-01) ---- */
struct date {
  int year, month, day; /* month 1 … 12, day 1 … 31 */
};

static int is_leap(int year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

static int days_in(int year, int month) {
  static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return days[month - 1] + (month == 2 && is_leap(year));
}

static int64_t days_of(struct date date) {
  int64_t year = date.year - (date.month <= 2), era = year / 400, year_of_era = year - era * 400;
  int64_t day_of_year = (153 * (date.month + (date.month > 2 ? -3 : 9)) + 2) / 5 + date.day - 1;
  return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static struct date date_of(int64_t days) {
  days += 719468;
  int64_t era = days / 146097, day_of_era = days - era * 146097;
  int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  int64_t shifted = (5 * day_of_year + 2) / 153;
  int month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
  return (struct date){(int)(year_of_era + era * 400 + (month <= 2)), month,
                       (int)(day_of_year - (153 * shifted + 2) / 5 + 1)};
}

static int weekday_of(int64_t days) { return (int)((days + 4) % 7); } /* 1970-01-01 was a Thursday */

/* ---- reading a field ---- */
struct field {
  const char *name;
  int minimum, maximum;
  const char *const *words; /* NULL-terminated, from `minimum` on; or NULL */
};

static const char *const month_words[] = {"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL",
                                          "AUG", "SEP", "OCT", "NOV", "DEC", NULL};
static const char *const weekday_words[] = {"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT", NULL};

static const struct field minute_field = {"minutes", 0, 59, NULL};
static const struct field hour_field = {"hours", 0, 23, NULL};
static const struct field day_field = {"day of month", 1, 31, NULL};
static const struct field month_field = {"month", 1, 12, month_words};
static const struct field weekday_field = {"day of week", 1, 7, weekday_words};
static const struct field year_field = {"year", CRON_FIRST_YEAR, CRON_LAST_YEAR, NULL};

static int wrong(const struct field *field, const char *text, struct error *error) {
  return error_set(error, ERROR_INVALID, "Cron", "%s: \"%s\" is not understood (%d to %d%s)", field->name, text,
                   field->minimum, field->maximum, field->words ? ", or a name of three letters" : "");
}

/* A name of three letters may be followed by L (friL), by no other letter. */
static int ends_name(char letter) { return !isalpha((unsigned char)letter) || letter == 'L' || letter == 'l'; }

/* A number or name at *at, which moves behind it.  -1: none, or out of range. */
static int read_value(const struct field *field, const char **at) {
  if (field->words && isalpha((unsigned char)**at)) {
    for (int i = 0; field->words[i]; i++) {
      if (strncasecmp(*at, field->words[i], 3) != 0 || !ends_name((*at)[3])) continue;
      *at += 3;
      return field->minimum + i;
    }
    return -1;
  }
  if (!isdigit((unsigned char)**at)) return -1;
  char *end;
  long value = strtol(*at, &end, 10);
  *at = end;
  return value >= field->minimum && value <= field->maximum ? (int)value : -1;
}

typedef void mark(struct cron *cron, int value);
static void mark_minute(struct cron *cron, int value) { cron->minutes |= 1ULL << value; }
static void mark_hour(struct cron *cron, int value) { cron->hours |= 1U << value; }
static void mark_day(struct cron *cron, int value) { cron->days |= 1U << value; }
static void mark_month(struct cron *cron, int value) { cron->months |= 1U << value; }
static void mark_weekday(struct cron *cron, int value) { cron->weekdays |= 1U << (value - 1); }
static void mark_year(struct cron *cron, int value) {
  int bit = value - CRON_FIRST_YEAR;
  cron->years[bit / 64] |= 1ULL << (bit % 64);
}

/* One element of a list: *, a, a-b, each with an optional /step.  A range may run over the end where words are
 * (FRI-MON). */
static int read_range(const struct field *field, const char *text, struct cron *cron, mark *set, struct error *error) {
  const char *at = text;
  int first = field->minimum, last = field->maximum, step = 1;
  if (*at == '*') {
    at++;
  } else {
    first = last = read_value(field, &at);
    if (first >= 0 && *at == '-') {
      at++;
      last = read_value(field, &at);
    } else if (*at == '/') {
      last = field->maximum;
    }
  }
  if (*at == '/') {
    char *end;
    long value = strtol(at + 1, &end, 10);
    if (end == at + 1 || value < 1 || value > field->maximum) return wrong(field, text, error);
    step = (int)value;
    at = end;
  }
  if (*at || first < 0 || last < 0 || (last < first && !field->words)) return wrong(field, text, error);
  int span = field->maximum - field->minimum + 1;
  if (last < first) last += span;
  for (int value = first; value <= last; value += step) set(cron, value > field->maximum ? value - span : value);
  return 0;
}

/* L, LW, 15W: what only the day of the month knows.  1 taken, 0 something else, -1 wrong. */
static int read_special_day(const char *text, struct cron *cron, struct error *error) {
  if (strcasecmp(text, "L") == 0) return cron->last = 1;
  if (strcasecmp(text, "LW") == 0) return cron->last_working = 1;
  size_t length = strlen(text);
  if (length < 2 || toupper((unsigned char)text[length - 1]) != 'W') return 0;
  const char *at = text;
  int day = read_value(&day_field, &at);
  if (day < 0 || at != text + length - 1) return wrong(&day_field, text, error);
  cron->near |= 1U << day;
  return 1;
}

/* L, 6L, FRI#2: what only the day of the week knows. */
static int read_special_weekday(const char *text, struct cron *cron, struct error *error) {
  if (strcasecmp(text, "L") == 0) {
    cron->weekdays |= 1U << SATURDAY;
    return 1;
  }
  const char *at = text;
  int weekday = read_value(&weekday_field, &at);
  if (weekday < 0 || (*at != '#' && toupper((unsigned char)*at) != 'L')) return 0;
  if (toupper((unsigned char)*at) == 'L') {
    if (at[1]) return wrong(&weekday_field, text, error);
    cron->last_weekdays |= 1U << (weekday - 1);
    return 1;
  }
  if (at[1] < '1' || at[1] > '5' || at[2]) return wrong(&weekday_field, text, error);
  cron->nth_weekdays[at[1] - '1'] |= 1U << (weekday - 1);
  return 1;
}

typedef int read_special(const char *text, struct cron *cron, struct error *error);

static int read_field(const struct field *field, char *text, struct cron *cron, mark *set, read_special *special,
                      struct error *error) {
  char *rest = text, *element;
  while ((element = strsep(&rest, ","))) {
    int taken = special ? special(element, cron, error) : 0;
    if (taken < 0 || (taken == 0 && read_range(field, element, cron, set, error) != 0)) return -1;
  }
  return 0;
}

static int parse_cron(char *text, struct cron *cron, struct error *error) {
  char *fields[7], *save = NULL;
  int count = 0;
  for (char *word = strtok_r(text, " \t", &save); word && count < 7; word = strtok_r(NULL, " \t", &save))
    fields[count++] = word;
  if (count != 6)
    return error_set(error, ERROR_INVALID, "Cron",
                     "cron() has six fields: minutes, hours, day of month, month, day of week, year");
  int no_day = strcmp(fields[2], "?") == 0, no_weekday = strcmp(fields[4], "?") == 0;
  if (no_day == no_weekday)
    return error_set(error, ERROR_INVALID, "Cron", "one of day of month and day of week must be ?, the other must not");
  cron->by_weekday = no_day;
  if (read_field(&minute_field, fields[0], cron, mark_minute, NULL, error) != 0 ||
      read_field(&hour_field, fields[1], cron, mark_hour, NULL, error) != 0 ||
      (!no_day && read_field(&day_field, fields[2], cron, mark_day, read_special_day, error) != 0) ||
      read_field(&month_field, fields[3], cron, mark_month, NULL, error) != 0 ||
      (!no_weekday && read_field(&weekday_field, fields[4], cron, mark_weekday, read_special_weekday, error) != 0))
    return -1;
  return read_field(&year_field, fields[5], cron, mark_year, NULL, error);
}

static int parse_rate(const char *text, struct cron *cron, struct error *error) {
  static const struct {
    const char *name;
    int64_t milliseconds;
  } units[] = {{"second", 1000}, {"minute", 60000}, {"hour", 3600000}, {"day", DAY_MS}};
  char *end;
  long value = strtol(text, &end, 10);
  if (end != text && value >= 1 && value <= 100000 && *end == ' ') {
    const char *unit = end + strspn(end, " ");
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
      size_t length = strlen(units[i].name);
      if (strncmp(unit, units[i].name, length) != 0 || strcmp(unit + length, value == 1 ? "" : "s") != 0) continue;
      cron->period_ms = value * units[i].milliseconds;
      return 0;
    }
  }
  return error_set(error, ERROR_INVALID, "Cron",
                   "rate(%s): a number of 1 or more and a unit: rate(1 hour), rate(5 minutes), rate(2 days)", text);
}

int cron_parse(const char *text, struct cron *cron, struct error *error) {
  char inside[256];
  memset(cron, 0, sizeof *cron);
  size_t length = strlen(text);
  const char *open = strchr(text, '(');
  if (!open || length == 0 || text[length - 1] != ')' || length >= sizeof inside)
    return error_set(error, ERROR_INVALID, "Cron", "\"%.100s\": a schedule reads rate(…) or cron(…)", text);
  snprintf(inside, sizeof inside, "%.*s", (int)(text + length - 1 - (open + 1)), open + 1);
  if (open - text == 4 && strncmp(text, "rate", 4) == 0) return parse_rate(inside, cron, error);
  if (open - text == 4 && strncmp(text, "cron", 4) == 0) return parse_cron(inside, cron, error);
  return error_set(error, ERROR_INVALID, "Cron", "\"%.100s\": a schedule reads rate(…) or cron(…)", text);
}

/* ---- the next tick ---- */
/* The day of this month that "15W" means: itself, or the Friday before or the Monday after, without leaving the month.
 */
static int nearest_working(int year, int month, int day) {
  int length = days_in(year, month);
  if (day > length) return 0;
  int weekday = weekday_of(days_of((struct date){year, month, day}));
  if (weekday == SATURDAY) return day > 1 ? day - 1 : day + 2;
  if (weekday == SUNDAY) return day < length ? day + 1 : day - 2;
  return day;
}

static int day_of_month_matches(const struct cron *cron, struct date date) {
  int length = days_in(date.year, date.month);
  if (cron->days & (1U << date.day)) return 1;
  if (cron->last && date.day == length) return 1;
  if (cron->last_working) {
    int weekday = weekday_of(days_of((struct date){date.year, date.month, length}));
    if (date.day == length - (weekday == SATURDAY ? 1 : weekday == SUNDAY ? 2 : 0)) return 1;
  }
  for (int day = 1; cron->near && day <= 31; day++)
    if ((cron->near & (1U << day)) && nearest_working(date.year, date.month, day) == date.day) return 1;
  return 0;
}

static int weekday_matches(const struct cron *cron, struct date date, int64_t days) {
  uint32_t bit = 1U << weekday_of(days);
  if (cron->weekdays & bit) return 1;
  if ((cron->last_weekdays & bit) && date.day + 7 > days_in(date.year, date.month)) return 1;
  return (cron->nth_weekdays[(date.day - 1) / 7] & bit) != 0;
}

static int year_matches(const struct cron *cron, int year) {
  int bit = year - CRON_FIRST_YEAR;
  return bit >= 0 && year <= CRON_LAST_YEAR && (cron->years[bit / 64] >> (bit % 64) & 1);
}

/* The first minute of the day, from `from` on, that matches; -1: none. */
static int minute_of_day(const struct cron *cron, int from) {
  for (int minute = from; minute < 1440; minute++)
    if ((cron->hours >> (minute / 60) & 1) && (cron->minutes >> (minute % 60) & 1)) return minute;
  return -1;
}

int64_t cron_next(const struct cron *cron, int64_t after_ms) {
  if (after_ms < 0) after_ms = 0;
  if (cron->period_ms > 0) return (after_ms / cron->period_ms + 1) * cron->period_ms;
  int64_t minute = after_ms / 60000 + 1; /* since the epoch */
  int64_t days = minute / 1440;
  int from = (int)(minute % 1440);
  for (struct date date = date_of(days); date.year <= CRON_LAST_YEAR; date = date_of(days)) {
    if (!year_matches(cron, date.year)) {
      days = days_of((struct date){date.year + 1, 1, 1});
    } else if (!(cron->months >> date.month & 1)) {
      days += days_in(date.year, date.month) - date.day + 1;
    } else {
      int matches = cron->by_weekday ? weekday_matches(cron, date, days) : day_of_month_matches(cron, date);
      int found = matches ? minute_of_day(cron, from) : -1;
      if (found >= 0) return (days * 1440 + found) * 60000;
      days++;
    }
    from = 0;
  }
  return -1;
}
