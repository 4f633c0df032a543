/* What every part of a worker asks for. */
#include "worker.h"

struct bundle *worker_bundle(struct worker *worker) {
  pthread_mutex_lock(&worker->bundle_lock);
  struct bundle *bundle = bundle_hold(worker->bundle);
  pthread_mutex_unlock(&worker->bundle_lock);
  return bundle;
}

void task_abandon(void *task) { ((struct task *)task)->abandon(task); }
