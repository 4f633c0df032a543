#include <stdlib.h>
#include <string.h>

#include "base/pool_internal.h"

/* Out of memory must not end the program, as it would by uthash's default; the element is just not added. */
#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) ((element)->lost = 1)
#include <uthash.h>
#include <utlist.h>

#define LOWEST_EVERY 16 /* of so many picks, one serves the least urgent lane, so that it never starves */

struct chain {
  struct chain *prev, *next; /* in its lane's list of ready chains */
  struct task *first, *last;
  size_t waiting[POOL_LANES]; /* its queued tasks by lane */
  enum pool_lane lane;        /* whose list it stands in while ready */
  int ready, running;
  int lost; /* set by uthash when it could not be added */
  UT_hash_handle hh;
  char key[];
};

static enum pool_lane most_urgent(const struct chain *chain) {
  for (int lane = 0; lane < POOL_LANES; lane++)
    if (chain->waiting[lane]) return (enum pool_lane)lane;
  return POOL_LANES - 1;
}

static void stand_in_lane(struct queue *queue, struct chain *chain) {
  chain->lane = most_urgent(chain);
  chain->ready = 1;
  DL_APPEND(queue->lanes[chain->lane], chain);
}

static void leave_lane(struct queue *queue, struct chain *chain) {
  DL_DELETE(queue->lanes[chain->lane], chain);
  chain->ready = 0;
}

static struct chain *chain_open(struct queue *queue, const char *key) {
  struct chain *chain = NULL;
  size_t length = strlen(key);
  if (length > 0) HASH_FIND(hh, queue->by_key, key, length, chain);
  if (chain) return chain;
  chain = calloc(1, sizeof *chain + length + 1);
  if (!chain) return NULL;
  memcpy(chain->key, key, length + 1);
  if (length > 0) HASH_ADD_KEYPTR(hh, queue->by_key, chain->key, length, chain);
  if (chain->lost) {
    free(chain);
    return NULL;
  }
  return chain;
}

static void chain_free(struct queue *queue, struct chain *chain) {
  if (*chain->key) HASH_DEL(queue->by_key, chain);
  free(chain);
}

int queue_add(struct queue *queue, struct task *task) {
  struct chain *chain = chain_open(queue, task->key);
  if (!chain) return -1;
  task->next = NULL;
  if (chain->last)
    chain->last->next = task;
  else
    chain->first = task;
  chain->last = task;
  chain->waiting[task->lane]++;
  queue->queued++;
  if (chain->running) return 0;
  if (chain->ready && chain->lane <= task->lane) return 0;
  if (chain->ready) leave_lane(queue, chain);
  stand_in_lane(queue, chain);
  return 0;
}

static struct chain *next_chain(struct queue *queue) {
  if (++queue->picks % LOWEST_EVERY == 0)
    for (int lane = POOL_LANES - 1; lane >= 0; lane--)
      if (queue->lanes[lane]) return queue->lanes[lane];
  for (int lane = 0; lane < POOL_LANES; lane++)
    if (queue->lanes[lane]) return queue->lanes[lane];
  return NULL;
}

struct task *queue_take(struct queue *queue, struct chain **chain) {
  struct chain *next = next_chain(queue);
  *chain = next;
  if (!next) return NULL;
  leave_lane(queue, next);
  next->running = 1;
  struct task *task = next->first;
  next->first = task->next;
  if (!next->first) next->last = NULL;
  next->waiting[task->lane]--;
  queue->queued--;
  return task;
}

int queue_done(struct queue *queue, struct chain *chain) {
  chain->running = 0;
  if (!chain->first) {
    chain_free(queue, chain);
    return 0;
  }
  stand_in_lane(queue, chain);
  return 1;
}
