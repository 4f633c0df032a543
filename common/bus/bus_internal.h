/* What the files of this folder share.  Nothing outside includes it, except the unit tests. */
#ifndef PARAPET_BUS_BUS_INTERNAL_H
#define PARAPET_BUS_BUS_INTERNAL_H

#include <librdkafka/rdkafka.h>

#include "bus/bus.h"

/* ---- configuration and errors (options.c) ---- */
struct bus_property {
  const char *name, *value; /* a table ends with a NULL name */
};
/* Defaults (which options->extra may override), then extra, then `fixed` (which nothing overrides: the promises of
 * bus.h rest on them).  New, or NULL with *error. */
rd_kafka_conf_t *bus_configure(const struct bus_options *options, const struct bus_property *defaults,
                               const struct bus_property *fixed, struct error *error);
/* rd_kafka_new(): consumes conf in every case. */
rd_kafka_t *bus_handle(rd_kafka_type_t type, rd_kafka_conf_t *conf, struct error *error);
/* Fills *error from librdkafka's code; `what` is what was tried.  Returns -1. */
int bus_error(struct error *error, rd_kafka_resp_err_t code, const char *what, const char *topic);
/* As bus_error, with the original reason where the handle has broken for good. */
int bus_error_of(rd_kafka_t *handle, struct error *error, rd_kafka_resp_err_t code, const char *what,
                 const char *topic);
/* Milliseconds until a monotonic deadline, as librdkafka wants them: 0 … at most `ceiling`. */
int bus_wait_ms(int64_t deadline_ms, int ceiling);

/* ---- watermark (watermark.c) ---- */
#define WATERMARK_CEILING ((size_t)1 << 20) /* messages between the lowest unfinished and the newest of a partition */

/* watermark_start() first.  Not thread-safe: the consumer's lock guards it. */
struct watermark {
  int64_t *ring;   /* offset * 2 + done, oldest first, from `head` */
  size_t capacity; /* a power of two */
  uint64_t head, tail;
  int64_t position; /* what may be committed: the offset behind the last one finished in order; -1: nothing yet */
  int64_t next;     /* the offset behind the newest delivered; -1: nothing yet */
};
void watermark_start(struct watermark *watermark);
/* Notes a delivered offset; *slot is what watermark_finish() wants.  0, or -1 at the ceiling or out of memory. */
int watermark_add(struct watermark *watermark, int64_t offset, uint64_t *slot);
/* 1 when the position moved. */
int watermark_finish(struct watermark *watermark, uint64_t slot);
/* Notes a delivered offset that is done already; neighbours share one place in the ring, so it grows only with what is
 * kept in between.  0, or -1 as watermark_add(). */
int watermark_pass(struct watermark *watermark, int64_t offset);
size_t watermark_span(const struct watermark *watermark);
void watermark_free(struct watermark *watermark);

/* ---- what was taken and not looked at yet (batch.c) ----
 * The polling thread's alone; closed before the handle. */
enum { BUS_BATCH = 64 };
struct bus_batch {
  rd_kafka_t *handle;
  rd_kafka_queue_t *queue;
  size_t next, count;
  rd_kafka_message_t *messages[BUS_BATCH];
};
void bus_batch_open(struct bus_batch *batch, rd_kafka_t *handle);
void bus_batch_close(struct bus_batch *batch);
size_t bus_batch_left(const struct bus_batch *batch);
/* The oldest, the caller's now; NULL: none. */
rd_kafka_message_t *bus_batch_take(struct bus_batch *batch);
/* All that lies in the queue, or what comes within wait_ms.  Nothing must be left of the last time. */
void bus_batch_fill(struct bus_batch *batch, int wait_ms);
/* Behind what is left.  0, or -1 when it is full. */
int bus_batch_put(struct bus_batch *batch, rd_kafka_message_t *message);
/* A partition was taken away: its messages go. */
void bus_batch_forget(struct bus_batch *batch, const char *topic, int32_t partition);

/* ---- the prefetch queue (refill.c) ---- */
struct bus_refill;
int bus_refill_by_setting(void); /* librdkafka's fetch.queue.backoff.ms does it: there is nothing to open */
/* NULL where there is nothing to do (or no memory): the others take that.  Closed before the handle. */
struct bus_refill *bus_refill_open(rd_kafka_t *handle);
void bus_refill_close(struct bus_refill *refill);
/* The polling thread's: has the queue run low, and is it time to do something about it?  How many messages it holds. */
int bus_refill_is_low(struct bus_refill *refill, size_t *queued);
void bus_refill_wake(struct bus_refill *refill); /* the leaders are asked, in another thread */
/* The polling thread's: partitions go on after a pause.  The leaders are asked at once, then it rests for a second. */
void bus_refill_restart(struct bus_refill *refill);

/* ---- assigned partitions (assignment.c) ----
 * One object for each assignment of a partition, so that a message knows its own: whoever finishes a message of an
 * assignment that has ended touches that object only, never the partition's next life. */
struct bus_partition {
  struct bus_partition *following;
  char *topic;
  int32_t number;
  struct watermark watermark;
  int64_t start;     /* committed offset at assignment; -1 unknown */
  int64_t submitted; /* position of the last commit sent, -1 none */
  int64_t unfinished;
  int64_t passed; /* polling thread only: the newest offset done at sight and not in the watermark yet; -1 none */
  int references; /* the table and each unfinished message */
  int revoked;    /* written under the lock, read by anyone with __atomic_load_n */
};
struct bus_partition *bus_partition_new(const char *topic, int32_t number); /* one reference; NULL: out of memory */
void bus_partition_drop(struct bus_partition *partition);                   /* one reference less */
struct bus_partition *bus_partition_find(struct bus_partition *list, const char *topic, int32_t number);
/* The partitions of `list` whose watermark has moved since it was last sent (all: `resend` whatever was sent), marked
 * as sent.  New, or NULL when there is nothing to commit. */
rd_kafka_topic_partition_list_t *bus_partition_positions(struct bus_partition *list, int resend);

#endif
