/* What every part of a worker asks for. */
#include "worker.h"

struct bundle *worker_bundle(struct worker *worker) {
  pthread_mutex_lock(&worker->bundle_lock);
  struct bundle *bundle = bundle_hold(worker->bundle);
  pthread_mutex_unlock(&worker->bundle_lock);
  return bundle;
}

void worker_pause(struct worker *worker, int paused) {
  for (int i = 0; i < worker->consumers; i++) bus_pause(worker->events[i], paused);
  bus_pause(worker->sweeps, paused);
  bus_pause(worker->commands, paused);
}

struct bus_lag worker_lag(struct worker *worker) {
  struct bus_lag sum = {.last_poll_ms = bus_lag(worker->sweeps).last_poll_ms};
  int64_t commands_ms = bus_lag(worker->commands).last_poll_ms;
  if (commands_ms < sum.last_poll_ms) sum.last_poll_ms = commands_ms;
  for (int i = 0; i < worker->consumers; i++) {
    struct bus_lag one = bus_lag(worker->events[i]);
    sum.lag += one.lag;
    sum.in_flight += one.in_flight;
    sum.partitions += one.partitions;
    if (one.last_poll_ms < sum.last_poll_ms) sum.last_poll_ms = one.last_poll_ms;
  }
  return sum;
}

void task_abandon(void *task) { ((struct task *)task)->abandon(task); }
