/* What the collector measures. */
#ifndef PARAPET_PRODUCER_METRICS_TABLE_H
#define PARAPET_PRODUCER_METRICS_TABLE_H

#include "base/metrics.h"

enum {
  COLLECTOR_RECEIVED,     /* source */
  COLLECTOR_PUBLISHED,    /* source */
  COLLECTOR_DEAD_LETTERS, /* source, reason */
  COLLECTOR_FAILED,       /* source */
  COLLECTOR_DELIVERY,     /* source */
  COLLECTOR_IN_FLIGHT,    /* queue */
  COLLECTOR_DELETED,      /* queue */
  COLLECTOR_EXTENDED,     /* queue */
  COLLECTOR_SQS_ERRORS,   /* queue, operation */
  COLLECTOR_SQS_AGE,      /* queue */
  COLLECTOR_TICKS,        /* resource, outcome */
  COLLECTOR_SWEEPS,       /* resource, outcome */
  COLLECTOR_REPLAY,       /* file */
  COLLECTOR_METRICS,
};
extern struct metric collector_metrics[COLLECTOR_METRICS + 1];

#endif
