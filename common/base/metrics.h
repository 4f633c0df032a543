/* Prometheus metrics (text format 0.0.4) and health, over libmicrohttpd.
 *
 * Metrics are declared once, in a table that lives in the program, and updated through handles; a series (one
 * combination of label values) is created at its first use.  A metric keeps at most 2,000 series: beyond that, updates
 * land in the series whose labels all read "other".  A label value keeps 128 bytes.
 * A call that does not fit the metric's type, a counter's negative value or a NaN change nothing.  Updates are
 * lock-free once a series exists (atomics). Thread-safe. */
#ifndef PARAPET_BASE_METRICS_H
#define PARAPET_BASE_METRICS_H

#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric {
  const char *name; /* "parapet_events_total" */
  enum metric_type type;
  const char *help;
  const char *labels[5];      /* NULL-terminated, at most 4 */
  const double *buckets;      /* histogram: ascending, ends with 0; NULL: 0.005 … 300 seconds */
  struct metric_state *state; /* NULL in the table; set by the module */
};

/* Adds `value` (counter: >= 0) to the series with these label values (as many as the metric has labels; NULL: ""). */
void metric_add(struct metric *metric, double value, ...);
void metric_set(struct metric *metric, double value, ...);     /* gauge */
void metric_observe(struct metric *metric, double value, ...); /* histogram */
/* The series' present value (counter, gauge) or count (histogram); 0 when it does not exist.  For tests and status. */
double metric_value(struct metric *metric, ...);

/* Registers a table (ends with a NULL name) for exposition; tables stay registered until the process ends. */
void metrics_register(struct metric *table);
void metrics_print(FILE *out);

/* Serves GET /metrics, /healthz (200 while the process lives and `alive` says so) and /readyz (200 or 503 with the
 * reason as text).  The callbacks write a reason (at most size bytes) and return 1 for yes, 0 for no; they are called
 * from the server's thread.  address "127.0.0.1:9100" or ":0"; *port gets the one bound.  NULL with *error otherwise.
 */
struct metrics_server;
struct metrics_server *metrics_serve(const char *address, int (*alive)(char *reason, size_t size, void *argument),
                                     int (*ready)(char *reason, size_t size, void *argument), void *argument,
                                     unsigned *port, struct error *error);
void metrics_server_close(struct metrics_server *server);

#endif
