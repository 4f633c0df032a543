/* Keeps the prefetch queue filled.
 *
 * When librdkafka's queue is over its limit the broker's thread stops fetching, and looks again only when something
 * else wakes it, or after a second: a consumer that is a little slower than the network for a moment then stands still
 * for most of each second.  From 2.2 on fetch.queue.backoff.ms says how soon it looks again.  Before, an answer of the
 * broker wakes it as well, so while the queue runs low and the broker is known to have more, a thread of ours asks the
 * partitions' leaders where their logs end: one small request a leader. */
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "bus/bus_internal.h"

enum {
  WAKE_EVERY_MS = 2,
  REST_MS = 1000,
  ANSWER_WAIT_MS = 500,
  FORGET = 256 /* rounds until the longest queue seen counts for a third */
};

struct bus_refill {
  rd_kafka_t *handle;
  rd_kafka_queue_t *queue; /* what lies here */
  size_t longest;          /* polling thread only, as is the next */
  int64_t next_wake_ms;

  pthread_t thread;
  pthread_mutex_t lock; /* guards the rest */
  pthread_cond_t changed;
  int wanted, ended;
};

int bus_refill_by_setting(void) { return rd_kafka_version() >= 0x020200ff; }

static void ask_leaders(rd_kafka_t *handle) {
  rd_kafka_topic_partition_list_t *list = NULL;
  if (rd_kafka_assignment(handle, &list) != RD_KAFKA_RESP_ERR_NO_ERROR) return;
  for (int i = 0; i < list->cnt; i++) list->elems[i].offset = RD_KAFKA_OFFSET_END;
  if (list->cnt > 0) rd_kafka_offsets_for_times(handle, list, ANSWER_WAIT_MS); /* whatever it says: it came */
  rd_kafka_topic_partition_list_destroy(list);
}

static void *run(void *argument) {
  struct bus_refill *refill = argument;
  pthread_mutex_lock(&refill->lock);
  while (!refill->ended) {
    if (!refill->wanted) {
      pthread_cond_wait(&refill->changed, &refill->lock);
      continue;
    }
    refill->wanted = 0;
    pthread_mutex_unlock(&refill->lock);
    ask_leaders(refill->handle);
    pthread_mutex_lock(&refill->lock);
  }
  pthread_mutex_unlock(&refill->lock);
  return NULL;
}

struct bus_refill *bus_refill_open(rd_kafka_t *handle) {
  struct bus_refill *refill = bus_refill_by_setting() ? NULL : calloc(1, sizeof *refill);
  if (!refill) return NULL; /* out of memory: slower in bursts, nothing else */
  refill->handle = handle;
  refill->queue = rd_kafka_queue_get_consumer(handle);
  pthread_mutex_init(&refill->lock, NULL);
  pthread_cond_init(&refill->changed, NULL);
  if (refill->queue && pthread_create(&refill->thread, NULL, run, refill) == 0) return refill;
  if (refill->queue) rd_kafka_queue_destroy(refill->queue);
  pthread_cond_destroy(&refill->changed);
  pthread_mutex_destroy(&refill->lock);
  free(refill);
  return NULL;
}

void bus_refill_close(struct bus_refill *refill) {
  if (!refill) return;
  pthread_mutex_lock(&refill->lock);
  refill->ended = 1;
  pthread_cond_signal(&refill->changed);
  pthread_mutex_unlock(&refill->lock);
  pthread_join(refill->thread, NULL);
  rd_kafka_queue_destroy(refill->queue);
  pthread_cond_destroy(&refill->changed);
  pthread_mutex_destroy(&refill->lock);
  free(refill);
}

int bus_refill_is_low(struct bus_refill *refill, size_t *queued) {
  if (!refill) return 0;
  *queued = rd_kafka_queue_length(refill->queue);
  if (*queued > refill->longest) refill->longest = *queued;
  refill->longest -= refill->longest / FORGET;
  if (*queued >= refill->longest / 2) return 0;
  int64_t now = clock_monotonic_ms();
  if (now < refill->next_wake_ms) return 0;
  refill->next_wake_ms = now + WAKE_EVERY_MS;
  return 1;
}

void bus_refill_wake(struct bus_refill *refill) {
  pthread_mutex_lock(&refill->lock);
  refill->wanted = 1;
  pthread_cond_signal(&refill->changed);
  pthread_mutex_unlock(&refill->lock);
}

void bus_refill_restart(struct bus_refill *refill) {
  if (!refill) return;
  refill->longest = 0;
  refill->next_wake_ms = clock_monotonic_ms() + REST_MS;
  bus_refill_wake(refill);
}
