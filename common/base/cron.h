/* AWS's schedule expressions, in UTC: rate(5 minutes), cron(0 12 ? * MON-FRI *).
 * (docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html; `second` is ours.)
 * Pure: no clock, no memory. */
#ifndef PARAPET_BASE_CRON_H
#define PARAPET_BASE_CRON_H

#include <stdint.h>

#include "base/error.h"

enum { CRON_FIRST_YEAR = 1970, CRON_LAST_YEAR = 2199 };

struct cron {
  int64_t period_ms; /* rate(): ticks are multiples of it since the epoch; 0: the fields below */
  uint64_t minutes;
  uint32_t hours, months;   /* bit 0: hour 0; bit 1: January */
  uint32_t days;            /* bit 1: the first */
  uint32_t near;            /* 15W: the working day nearest to the 15th, within its month */
  int last, last_working;   /* L, LW */
  int by_weekday;           /* the day of the week decides, not the day of the month */
  uint32_t weekdays;        /* bit 0: Sunday */
  uint32_t last_weekdays;   /* 6L: the last Friday */
  uint32_t nth_weekdays[5]; /* [1]: 6#2, the second Friday */
  uint64_t years[4];        /* from CRON_FIRST_YEAR */
};

/* 0, or -1 with *error (ERROR_INVALID) that names the field and what is wrong. */
int cron_parse(const char *text, struct cron *cron, struct error *error);
/* The first tick after `after_ms` (wall clock), or -1 when there is none any more. */
int64_t cron_next(const struct cron *cron, int64_t after_ms);

#endif
