/* A thread pool for blocking work, with keyed ordering: tasks of one key run one at a time in the order submitted;
 * tasks of different keys run in parallel.  And a timer: tasks that become due later.
 *
 * Lanes are strict: while a more urgent lane has work, a less urgent one gets one pick of 16, so that it never starves.
 * Keys of one lane take turns.  A key's next task runs in the lane of the most urgent task waiting for that key.
 *
 * Thread-safe.  Submitting from inside a task is allowed; waiting for or closing the pool from inside one is not.
 * Pool threads have all asynchronous signals blocked. */
#ifndef PARAPET_BASE_POOL_H
#define PARAPET_BASE_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define POOL_CEILING ((size_t)1 << 20) /* tasks, queued and delayed together */

struct pool;
typedef void pool_task(void *argument);

/* Lanes, served in this order (a lane of lower number first). */
enum pool_lane { POOL_LANE_COMMAND, POOL_LANE_EVENT, POOL_LANE_SWEEP, POOL_LANES };

/* The lane of what this thread does: of the task that it runs, or what a thread outside of pools said (else: event). */
enum pool_lane pool_lane(void);
void pool_lane_set(enum pool_lane lane);

struct pool_options {
  unsigned threads;         /* 1..1024 */
  size_t stack_bytes;       /* 0: 256 KiB; four times as much under a sanitizer */
  const char *name;         /* thread name prefix, at most 8 bytes */
  void (*thread_end)(void); /* called at each pool thread's end (thread-local connections); may be NULL */
};

/* NULL with *error when threads cannot be started. */
struct pool *pool_open(const struct pool_options *options, struct error *error);

/* Queues `task` under `key` (copied; NULL or "": no ordering).  delay_ms 0: as soon as its key's predecessors are done;
 * otherwise it enters the queue that much later, and holds nobody of its key meanwhile.  Returns 0, or -1 after
 * pool_close began, at POOL_CEILING, or when memory ran out: the task will not run. */
int pool_submit(struct pool *pool, enum pool_lane lane, const char *key, int64_t delay_ms, pool_task *task,
                void *argument);

/* Tasks queued, running, and waiting for their delay. */
struct pool_load {
  size_t queued, running, delayed;
};
struct pool_load pool_load(struct pool *pool);

/* Waits until nothing is queued or running (delayed tasks do not count), at most timeout_ms.  0, or -1 on timeout. */
int pool_wait_idle(struct pool *pool, int64_t timeout_ms);

/* No more submissions; runs what is queued, hands every delayed task at once to `abandoned`, in this thread (may be
 * NULL: they are run instead, at once), joins the threads and frees.  Each task's argument is released exactly once, by
 * task or abandoned.  NULL accepted. */
void pool_close(struct pool *pool, pool_task *abandoned);

#endif
