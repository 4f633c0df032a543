/* Private to the pool: its two queues.  None of these functions lock; the pool's lock is held by the caller. */
#ifndef PARAPET_BASE_POOL_INTERNAL_H
#define PARAPET_BASE_POOL_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/pool.h"

struct chain;

struct task {
  struct task *next; /* in its chain */
  pool_task *run;
  void *argument;
  enum pool_lane lane;
  int64_t due; /* monotonic ms; 0 when it was never delayed */
  uint64_t sequence;
  char key[]; /* "" for no ordering */
};

/* ---- pool_queue.c: tasks that may run -------------------------------------------------------------------------
 * The tasks of one key form a chain, first submitted first.  A chain is "ready" when it has tasks and none of them is
 * running; each lane is a list of its ready chains.  Taking a task takes the first chain out of its lane; giving it
 * back when the task is done puts it behind the others.  So everything is O(1), however many tasks wait behind
 * however many keys, and keys of one lane take turns.  A chain stands in the lane of its most urgent task: a command
 * that must wait for an older sweep of the same key lifts that sweep. */
struct queue {
  struct chain *lanes[POOL_LANES];
  struct chain *by_key; /* hash: every chain with a key that has tasks or is running */
  size_t queued;        /* tasks in chains, not running */
  unsigned picks;
};

/* 0, or -1 when out of memory (the task stays the caller's). */
int queue_add(struct queue *queue, struct task *task);
/* The next task to run and, in *chain, what queue_done() wants; NULL when no chain is ready. */
struct task *queue_take(struct queue *queue, struct chain **chain);
/* The task taken from this chain has ended.  Returns whether the chain became ready again. */
int queue_done(struct queue *queue, struct chain *chain);

/* ---- pool_timer.c: tasks that wait for their time -------------------------------------------------------------
 * A binary heap, ordered by due time, then by submission. */
struct timer_heap {
  struct task **tasks;
  size_t count, capacity;
};

int timer_add(struct timer_heap *heap, struct task *task); /* 0, or -1 when out of memory */
struct task *timer_first(const struct timer_heap *heap);   /* NULL when empty */
struct task *timer_take(struct timer_heap *heap);          /* the first; NULL when empty */
void timer_free(struct timer_heap *heap);                  /* the array, not the tasks */

#endif
