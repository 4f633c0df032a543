#include "publish.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "bus/topics.h"
#include "metrics_table.h"

enum { DEAD_LETTER_WAIT_MS = 10000 };

struct publisher {
  struct bus_producer *producer;
  const struct event_keys *keys;
  size_t max_message_bytes;
  int broken; /* atomic: the producer has failed for good */
};

/* One message on its way. */
struct passage {
  struct publisher *publisher;
  publish_done *done;
  void *argument;
  const char *source;
  int64_t started_ms;
};

struct publisher *publisher_open(const struct publisher_options *options, struct error *error) {
  struct publisher *publisher = calloc(1, sizeof *publisher);
  if (!publisher) {
    error_set(error, ERROR_FATAL, "OutOfMemory", "out of memory");
    return NULL;
  }
  publisher->keys = options->keys;
  publisher->max_message_bytes = options->max_message_bytes ? options->max_message_bytes : 1000000;
  publisher->producer = bus_producer_open(&options->bus, error);
  if (publisher->producer) return publisher;
  free(publisher);
  return NULL;
}

void publisher_close(struct publisher *publisher) {
  if (!publisher) return;
  bus_producer_close(publisher->producer);
  free(publisher);
}

static void note_failure(struct publisher *publisher, const struct error *error) {
  if (error->class == ERROR_FATAL) __atomic_store_n(&publisher->broken, 1, __ATOMIC_RELEASE);
}

int publisher_is_broken(const struct publisher *publisher) {
  return __atomic_load_n(&publisher->broken, __ATOMIC_ACQUIRE);
}

static void arrived(void *argument, const struct error *error) {
  struct passage *passage = argument;
  if (error) {
    note_failure(passage->publisher, error);
    metric_add(&collector_metrics[COLLECTOR_FAILED], 1, passage->source);
  } else {
    metric_add(&collector_metrics[COLLECTOR_PUBLISHED], 1, passage->source);
    metric_observe(&collector_metrics[COLLECTOR_DELIVERY], (double)(clock_monotonic_ms() - passage->started_ms) / 1000,
                   passage->source);
  }
  passage->done(passage->argument, error);
  free(passage);
}

int publish_message(struct publisher *publisher, const char *source, const char *topic, const char *key,
                    const char *text, size_t length, publish_done *done, void *argument, struct error *error) {
  struct passage *passage = malloc(sizeof *passage);
  if (!passage) return error_set(error, ERROR_FATAL, "OutOfMemory", "out of memory");
  *passage = (struct passage){publisher, done, argument, source, clock_monotonic_ms()};
  struct error why = {0};
  if (bus_produce(publisher->producer, topic, key, text, length, arrived, passage, &why) == 0) return 0;
  note_failure(publisher, &why);
  free(passage);
  if (error) *error = why;
  return -1;
}

int publish_dead_letter(struct publisher *publisher, const struct publish_from *from, const char *code,
                        const char *reason, const char *text, size_t length, struct error *error) {
  struct bus_origin origin = {.topic = NULL, .partition = -1, .offset = -1, .source = from->position};
  if (bus_dead_letter(publisher->producer, BUS_TOPIC_DEADLETTER, reason, &origin, text, length, DEAD_LETTER_WAIT_MS,
                      error) != 0)
    return -1;
  metric_add(&collector_metrics[COLLECTOR_DEAD_LETTERS], 1, from->source, code);
  log_warn("dead letter", LOG_TEXT("source", from->position), LOG_TEXT("reason", reason), LOG_INT("bytes", length));
  return 0;
}

/* The dead letter takes the event's place: the source hears "acknowledged". */
static int bury(struct publisher *publisher, const struct publish_from *from, const char *code, const char *reason,
                const char *text, size_t length, publish_done *done, void *argument, struct error *error) {
  if (publish_dead_letter(publisher, from, code, reason, text, length, error) != 0) return -1;
  done(argument, NULL);
  return 0;
}

static int bury_oversize(struct publisher *publisher, const struct publish_from *from, const char *text, size_t length,
                         publish_done *done, void *argument, struct error *error) {
  char reason[128];
  snprintf(reason, sizeof reason, "too large: %zu bytes, the limit is %zu", length, publisher->max_message_bytes);
  return bury(publisher, from, "TooLarge", reason, text, length, done, argument, error);
}

static int send_prepared(struct publisher *publisher, const struct publish_from *from, const struct event *event,
                         publish_done *done, void *argument, struct error *error) {
  struct error why = {0};
  if (event->length > publisher->max_message_bytes)
    return bury_oversize(publisher, from, event->text, event->length, done, argument, error);
  if (publish_message(publisher, from->source, BUS_TOPIC_EVENTS, event->key, event->text, event->length, done, argument,
                      &why) == 0)
    return 0;
  if (why.class == ERROR_INVALID) /* the client's own limit, lower than ours */
    return bury(publisher, from, why.code, why.message, event->text, event->length, done, argument, error);
  if (error) *error = why;
  return -1;
}

int publish_event(struct publisher *publisher, const struct publish_from *from, const char *text, size_t length,
                  publish_done *done, void *argument, struct error *error) {
  struct event event;
  struct error why = {0};
  if (length > publisher->max_message_bytes) return bury_oversize(publisher, from, text, length, done, argument, error);
  if (event_prepare(publisher->keys, text, length, &event, &why) != 0) {
    if (why.class == ERROR_INVALID)
      return bury(publisher, from, why.code, why.message, text, length, done, argument, error);
    if (error) *error = why;
    return -1;
  }
  int result = send_prepared(publisher, from, &event, done, argument, error);
  event_free(&event);
  return result;
}
