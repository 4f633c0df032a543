/* Kafka: the only place that includes librdkafka.
 *
 * Producer: idempotent, acks=all; delivery is known by callback or by waiting.
 * Consumer: at-least-once with a contiguous watermark: messages may be finished in any order, what is committed is the
 * lowest unfinished offset of each partition.  Nothing is committed for a message that bus_finish() has not seen. */
#ifndef PARAPET_BUS_BUS_H
#define PARAPET_BUS_BUS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct bus_options {
  const char *brokers; /* "host:port,…" */
  const char *client_id;
  const char *const *extra; /* librdkafka properties "name=value", NULL-terminated (TLS, SASL …); may be NULL */
};

/* ---- producer; thread-safe ---- */
struct bus_producer;
struct bus_producer *bus_producer_open(const struct bus_options *options, struct error *error);
/* Called from the producer's own thread: error is NULL when the brokers acknowledged. */
typedef void bus_delivered(void *argument, const struct error *error);
/* Queues one message (key, value copied; key may be NULL; value NULL: a tombstone).  A full queue is waited for
 * (polling) up to 5 s.  0: `delivered` (may be NULL) will be called exactly once; -1 with *error: it will not
 * (ERROR_INVALID: too large). */
int bus_produce(struct bus_producer *producer, const char *topic, const char *key, const void *value, size_t length,
                bus_delivered *delivered, void *argument, struct error *error);
/* The same, and waits until it is acknowledged: durable when 0 comes back. timeout_ms > 0. */
int bus_produce_durably(struct bus_producer *producer, const char *topic, const char *key, const void *value,
                        size_t length, int64_t timeout_ms, struct error *error);
/* Waits for everything queued, at most timeout_ms; 0, or -1 with messages left. */
int bus_producer_flush(struct bus_producer *producer, int64_t timeout_ms);
void bus_producer_close(struct bus_producer *producer); /* flushes 5 s; undelivered get their callback with an error */

/* Sends what cannot be used to `topic` (parapet.deadletter) as JSON: {"reason","source","topic","partition","offset",
 * "time","size","sha256","payload" (text, at most its first 64 KiB; base64 in "payload_base64" where it is no UTF-8)}.
 * Durable when 0 comes back. */
struct bus_origin {
  const char *topic;
  int32_t partition;
  int64_t offset;
  const char *source;
};
int bus_dead_letter(struct bus_producer *producer, const char *topic, const char *reason,
                    const struct bus_origin *origin, const void *payload, size_t length, int64_t timeout_ms,
                    struct error *error);

/* ---- consumer ---- */
struct bus_consumer;
struct bus_message; /* one fetched message; the fields below stay valid until bus_finish */
struct bus_consumer_options {
  struct bus_options common;
  const char *group;
  const char *const *topics;  /* NULL-terminated */
  int64_t session_timeout_ms; /* 0: 45 s; a heartbeat each third of it, or each 3 s */
  int64_t commit_every_ms;    /* 0: 1 s */
  int64_t revoke_wait_ms;     /* partitions that are taken away wait this long for their unfinished messages; 0: not */
  size_t in_flight_high,
      in_flight_low; /* take nothing more at high unfinished messages, go on at low; 0: 2000 / 1000 */
};
struct bus_consumer *bus_consumer_open(const struct bus_consumer_options *options, struct error *error);

/* One thread polls.  Waits up to timeout_ms; returns a message, or NULL (nothing, or *error set when the broker has a
 * complaint; going on polling is right in both cases). */
struct bus_message *bus_poll(struct bus_consumer *consumer, int64_t timeout_ms, struct error *error);
/* As bus_poll(), but shows each message's value (NULL: a tombstone) to `look` first, on this thread and before anything
 * is done for it.  BUS_DONE: it is finished at once, without a lock, a copy or an allocation, and the next is fetched;
 * BUS_KEEP: it is returned as by bus_poll().  Comes back after about timeout_ms at the latest. */
enum bus_sight { BUS_DONE, BUS_KEEP };
typedef enum bus_sight bus_look(const char *value, size_t length, void *argument);
struct bus_message *bus_sift(struct bus_consumer *consumer, int64_t timeout_ms, bus_look *look, void *argument,
                             struct error *error);
const char *bus_message_topic(const struct bus_message *message);
int32_t bus_message_partition(const struct bus_message *message);
int64_t bus_message_offset(const struct bus_message *message);
int64_t bus_message_time_ms(const struct bus_message *message);                   /* broker or producer timestamp */
const char *bus_message_key(const struct bus_message *message, size_t *length);   /* NULL when there is none */
const char *bus_message_value(const struct bus_message *message, size_t *length); /* NULL for a tombstone */
/* Any thread; exactly once for each message.  Frees it.  Finishing a message of a partition that was taken away
 * meanwhile is allowed and has no effect (another consumer has it). */
void bus_finish(struct bus_consumer *consumer, struct bus_message *message);
/* Gives a message back undone, at the end of a process: it is freed, the watermark stays in front of it, and whoever
 * gets the partition next gets the message again. */
void bus_abandon(struct bus_consumer *consumer, struct bus_message *message);
/* Has this message's partition been taken away since it was fetched?  (Then its work may stop early.) */
int bus_message_revoked(const struct bus_message *message);

void bus_pause(struct bus_consumer *consumer,
               int paused); /* by the owner (Redis gone …); independent of back-pressure */
struct bus_lag {
  int64_t lag, in_flight;
  int32_t partitions;
  int64_t last_poll_ms; /* monotonic */
};
struct bus_lag bus_lag(struct bus_consumer *consumer);
/* Commits the watermark, leaves the group, frees.  Messages not yet finished must be finished before. */
void bus_consumer_close(struct bus_consumer *consumer);

/* Reads a topic from its beginning to the end it had when called (no group), calling `each`; for compacted topics that
 * rebuild state.  `each` gets key and value (NULL: tombstone), returns 0 to go on.  0, or -1 with *error. */
int bus_read_all(const struct bus_options *options, const char *topic, int64_t timeout_ms,
                 int (*each)(const char *key, size_t key_length, const char *value, size_t length, void *argument),
                 void *argument, struct error *error);

/* The same from the first message that is not older than since_ms (wall; 0: from the beginning). */
int bus_read_since(const struct bus_options *options, const char *topic, int64_t since_ms, int64_t timeout_ms,
                   int (*each)(const char *key, size_t key_length, const char *value, size_t length, void *argument),
                   void *argument, struct error *error);

/* Creates topics that do not exist (partitions; compacted or not; replication as the broker's default when 0). */
struct bus_topic {
  const char *name;
  int partitions;
  int compacted;
  int64_t max_message_bytes;
};
int bus_ensure_topics(const struct bus_options *options, const struct bus_topic *topics, size_t count,
                      int64_t timeout_ms, struct error *error);

#endif
