/* Deliveries: the message is finished when the last of its units is. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "unit.h"

enum { SEEN_MS = 24 * 3600 * 1000 };

struct delivery *delivery_open(struct worker *worker, enum delivery_kind kind) {
  struct delivery *delivery = calloc(1, sizeof *delivery);
  if (!delivery) return NULL;
  delivery->worker = worker;
  delivery->kind = kind;
  delivery->pending = 1;
  delivery->born_ms = clock_monotonic_ms();
  return delivery;
}

struct delivery *delivery_hold(struct delivery *delivery) {
  atomic_fetch_add(&delivery->pending, 1);
  return delivery;
}

/* A mark that could not be written costs a second look at live state, nothing else. */
static void mark_ended(struct delivery *delivery) {
  struct error error = {0};
  int result = 0;
  if (delivery->kind != DELIVERY_PARKED && delivery->id[0])
    result = state_seen_mark(delivery->worker->state, delivery->id, SEEN_MS, &error);
  if (delivery->kind == DELIVERY_SWEEP && delivery->sweep[0])
    result = state_sweep_end(delivery->worker->state, delivery->sweep, &error);
  if (result != 0)
    log_warn("the end of a delivery could not be noted", LOG_TEXT("id", delivery->id), LOG_ERROR(&error));
}

void delivery_drop(struct delivery *delivery) {
  if (!delivery || atomic_fetch_sub(&delivery->pending, 1) != 1) return;
  if (!delivery->abandoned) mark_ended(delivery);
  if (delivery->message) {
    if (delivery->abandoned)
      bus_abandon(delivery->consumer, delivery->message);
    else
      bus_finish(delivery->consumer, delivery->message);
  }
  json_decref(delivery->event);
  json_decref(delivery->actor);
  free(delivery);
}
