/* From a source's message to Kafka: check, wrap, key, produce, and the news of it.  Thread-safe. */
#ifndef PARAPET_PRODUCER_PUBLISH_H
#define PARAPET_PRODUCER_PUBLISH_H

#include <stddef.h>
#include <stdint.h>

#include "bus/bus.h"
#include "event/envelope.h"

struct publisher;
struct publisher_options {
  struct bus_options bus;
  const struct event_keys *keys; /* borrowed; may be NULL */
  size_t max_message_bytes;      /* of an event; 0: 1,000,000 */
};
struct publisher *publisher_open(const struct publisher_options *options, struct error *error);
/* Flushes 5 s; whatever is still undelivered is reported to its callback with an error. */
void publisher_close(struct publisher *publisher);
/* Has the Kafka client failed for good?  Then only a new process helps. */
int publisher_is_broken(const struct publisher *publisher);

struct publish_from {
  const char *source;   /* metrics label: "sqs", "replay", "schedule"; lives as long as the publisher */
  const char *position; /* for dead letters: "eu-west-1/parapet-events message 1234" */
};

/* Called exactly once, by the producer's thread, or by publish_event() itself before it returns.  NULL: acknowledged
 * (the event, or its dead letter), the source may forget the message.  ERROR_INVALID: the broker refuses it for good:
 * hand it to publish_dead_letter() (not from inside the callback: it waits).  Any other class: try again later. */
typedef void publish_done(void *argument, const struct error *error);

/* 0: `done` has been or will be called.  -1 with *error (Kafka is not taking anything): it will not; try again later.
 */
int publish_event(struct publisher *publisher, const struct publish_from *from, const char *text, size_t length,
                  publish_done *done, void *argument, struct error *error);
/* Durable when 0 comes back; waits up to 10 s. */
int publish_dead_letter(struct publisher *publisher, const struct publish_from *from, const char *code,
                        const char *reason, const char *text, size_t length, struct error *error);
/* A message of the collector's own making (sweeps), as it is. Like publish_event(). */
int publish_message(struct publisher *publisher, const char *source, const char *topic, const char *key,
                    const char *text, size_t length, publish_done *done, void *argument, struct error *error);

#endif
