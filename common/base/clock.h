/* Time.  Two clocks: monotonic for waits and durations, wall for records.  Thread-safe. */
#ifndef PARAPET_BASE_CLOCK_H
#define PARAPET_BASE_CLOCK_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

int64_t clock_monotonic_ms(void); /* milliseconds from an arbitrary start; never goes back */
int64_t clock_wall_ms(void);      /* milliseconds since 1970-01-01T00:00:00Z */
void clock_sleep_ms(int64_t milliseconds);

/* A condition whose waits end by the monotonic clock.  0, or -1. */
int clock_condition_init(pthread_cond_t *condition);
/* Waits until it is signalled, or until that monotonic ms; may return early, as all conditions do.  1: time is up. */
int clock_condition_wait(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t until_ms);

/* "2026-11-24T22:04:05.123Z" (RFC 3339, UTC) into `text` (at least 25 bytes).  Returns text. */
char *clock_format(int64_t wall_ms, char *text, size_t size);

/* RFC 3339 ("2026-11-24T22:04:05Z", fraction and numeric offset optional) to wall ms; 0, or -1 if it is none. */
int clock_parse(const char *text, int64_t *wall_ms);

/* "90s", "10m", "24h", "7d", "250ms" to milliseconds; 0, or -1 (negative, unit missing, over 10 years). */
int clock_parse_duration(const char *text, int64_t *milliseconds);

#endif
