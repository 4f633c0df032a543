/* Private to the metrics: how a metric's numbers are kept (metrics.c), for who prints them (metrics_print.c). */
#ifndef PARAPET_BASE_METRICS_INTERNAL_H
#define PARAPET_BASE_METRICS_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/metrics.h"

#define METRIC_LABELS 4

struct series {
  struct series *next; /* set before the series is published, never changed */
  const char *labels;  /* its label values, each NUL-terminated */
  size_t labels_length;
  uint64_t hash;
  _Atomic uint64_t value;    /* bits of a double: the counter, the gauge, the histogram's sum */
  _Atomic uint64_t counts[]; /* histogram: observations in each bucket alone, the last one without a bound */
};

struct metric_state {
  _Atomic unsigned series_count; /* written with `adding` of metrics.c held */
  const double *buckets;
  unsigned bucket_count;
  size_t chain_count;
  _Atomic(struct series *) chains[]; /* heads; read without a lock */
};

struct metric_state *metric_state(struct metric *metric);
unsigned metric_label_count(const struct metric *metric);
double metric_load(_Atomic uint64_t *word);
/* A metric without labels shows from the beginning, with 0. */
void metric_begin(struct metric *metric);

#endif
