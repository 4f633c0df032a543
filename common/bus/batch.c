/* What was taken from librdkafka at once and not looked at yet.
 *
 * Taking messages one by one costs a fifth to a third of all that librdkafka does for a consumer (make bench
 * BENCH=pipeline prints both), so whatever lies in its queue comes in batches, without waiting; only when nothing lies
 * there a poll waits for one.  librdkafka counts a batch as delivered: it starts again behind it after a pause, and
 * whoever gets the partition starts at the committed offset.  So a pause leaves the batch where it is, and a partition
 * that is taken away takes its messages with it. */
#include <string.h>

#include "bus/bus_internal.h"

void bus_batch_open(struct bus_batch *batch, rd_kafka_t *handle) {
  batch->handle = handle;
  batch->queue = rd_kafka_queue_get_consumer(handle);
}

void bus_batch_close(struct bus_batch *batch) {
  while (bus_batch_left(batch) > 0) rd_kafka_message_destroy(bus_batch_take(batch));
  if (batch->queue) rd_kafka_queue_destroy(batch->queue);
  batch->queue = NULL;
}

size_t bus_batch_left(const struct bus_batch *batch) { return batch->count - batch->next; }

rd_kafka_message_t *bus_batch_take(struct bus_batch *batch) {
  return bus_batch_left(batch) > 0 ? batch->messages[batch->next++] : NULL;
}

/* What is left, to the front. */
static void close_up(struct bus_batch *batch) {
  batch->count -= batch->next;
  memmove(batch->messages, batch->messages + batch->next, batch->count * sizeof *batch->messages);
  batch->next = 0;
}

void bus_batch_fill(struct bus_batch *batch, int wait_ms) {
  ssize_t count = rd_kafka_consume_batch_queue(batch->queue, 0, batch->messages, BUS_BATCH);
  batch->next = 0;
  batch->count = count > 0 ? (size_t)count : 0;
  if (batch->count == 0 && (batch->messages[0] = rd_kafka_consumer_poll(batch->handle, wait_ms))) batch->count = 1;
}

int bus_batch_put(struct bus_batch *batch, rd_kafka_message_t *message) {
  close_up(batch);
  if (batch->count == BUS_BATCH) return -1;
  batch->messages[batch->count++] = message;
  return 0;
}

void bus_batch_forget(struct bus_batch *batch, const char *topic, int32_t partition) {
  close_up(batch);
  size_t kept = 0;
  for (size_t i = 0; i < batch->count; i++) {
    rd_kafka_message_t *message = batch->messages[i];
    if (message->rkt && message->partition == partition && strcmp(rd_kafka_topic_name(message->rkt), topic) == 0)
      rd_kafka_message_destroy(message);
    else
      batch->messages[kept++] = message;
  }
  batch->count = kept;
}
