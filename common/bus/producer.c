/* The producer: idempotent, every message's fate known.
 *
 * One thread polls librdkafka, so that delivery reports come whoever else is busy.  `lock` with `moved` is how others
 * wait for that thread: for room in the queue, for everything to be gone, for one message (durable). */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "bus/bus_internal.h"

enum { QUEUE_WAIT_MS = 5000, CLOSE_WAIT_MS = 5000, POLL_MS = 100 };

struct bus_producer {
  rd_kafka_t *handle;
  pthread_t thread;
  int stopping; /* atomic */

  pthread_mutex_t lock; /* guards what follows */
  pthread_cond_t moved; /* a delivery report came */
  int64_t pending;      /* messages handed to librdkafka whose report has not come */
};

/* Travels with each message as its opaque. */
struct delivery {
  bus_delivered *delivered; /* may be NULL */
  void *argument;
};

static void count(struct bus_producer *producer, int by) {
  pthread_mutex_lock(&producer->lock);
  producer->pending += by;
  if (by < 0) pthread_cond_broadcast(&producer->moved);
  pthread_mutex_unlock(&producer->lock);
}

static void on_delivery(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque) {
  struct bus_producer *producer = opaque;
  struct delivery *delivery = message->_private;
  struct error error = {0};
  if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
    bus_error_of(handle, &error, message->err, "deliver", rd_kafka_topic_name(message->rkt));
  if (delivery->delivered)
    delivery->delivered(delivery->argument, message->err ? &error : NULL);
  else if (message->err)
    log_error("a message was not delivered", LOG_ERROR(&error));
  free(delivery);
  count(producer, -1);
}

static void *poll_loop(void *argument) {
  struct bus_producer *producer = argument;
  while (!__atomic_load_n(&producer->stopping, __ATOMIC_ACQUIRE)) rd_kafka_poll(producer->handle, POLL_MS);
  return NULL;
}

static int start(struct bus_producer *producer, const struct bus_options *options, struct error *error) {
  static const struct bus_property defaults[] = {
      {"linger.ms", "5"},
      {"message.max.bytes", "1048576"},
      {"delivery.timeout.ms", "60000"},
      {"queue.buffering.max.messages", "100000"},
      {"queue.buffering.max.kbytes", "65536"},
      {NULL, NULL},
  };
  static const struct bus_property fixed[] = {{"enable.idempotence", "true"}, {"acks", "all"}, {NULL, NULL}};
  rd_kafka_conf_t *conf = bus_configure(options, defaults, fixed, error);
  if (!conf) return -1;
  char codec[16];
  size_t size = sizeof codec;
  if (rd_kafka_conf_get(conf, "compression.codec", codec, &size) == RD_KAFKA_CONF_OK && strcmp(codec, "none") == 0 &&
      rd_kafka_conf_set(conf, "compression.codec", "lz4", NULL, 0) != RD_KAFKA_CONF_OK)
    log_info("this librdkafka has no lz4; messages travel uncompressed");
  rd_kafka_conf_set_opaque(conf, producer);
  rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
  producer->handle = bus_handle(RD_KAFKA_PRODUCER, conf, error);
  if (!producer->handle) return -1;
  if (pthread_create(&producer->thread, NULL, poll_loop, producer) == 0) return 0;
  rd_kafka_destroy(producer->handle);
  return error_set(error, ERROR_FATAL, "Thread", "the producer's thread could not be started");
}

struct bus_producer *bus_producer_open(const struct bus_options *options, struct error *error) {
  struct bus_producer *producer = calloc(1, sizeof *producer);
  if (!producer) {
    error_set(error, ERROR_FATAL, "OutOfMemory", "out of memory");
    return NULL;
  }
  pthread_mutex_init(&producer->lock, NULL);
  clock_condition_init(&producer->moved);
  if (start(producer, options, error) == 0) return producer;
  pthread_cond_destroy(&producer->moved);
  pthread_mutex_destroy(&producer->lock);
  free(producer);
  return NULL;
}

/* Waits for a delivery report; the polling thread itself must not (it would wait for itself). */
static int wait_for_room(struct bus_producer *producer, int64_t deadline) {
  int64_t now = clock_monotonic_ms(), until = deadline < now + POLL_MS ? deadline : now + POLL_MS;
  if (until <= now || pthread_equal(pthread_self(), producer->thread)) return -1;
  pthread_mutex_lock(&producer->lock);
  if (producer->pending > 0) clock_condition_wait(&producer->moved, &producer->lock, until);
  pthread_mutex_unlock(&producer->lock);
  return 0;
}

static rd_kafka_resp_err_t hand_over(struct bus_producer *producer, const char *topic, const char *key,
                                     const void *value, size_t length, struct delivery *delivery) {
  return rd_kafka_producev(producer->handle, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                           RD_KAFKA_V_KEY(key, key ? strlen(key) : 0),
                           RD_KAFKA_V_VALUE((void *)(uintptr_t)value, value ? length : 0), RD_KAFKA_V_OPAQUE(delivery),
                           RD_KAFKA_V_END);
}

int bus_produce(struct bus_producer *producer, const char *topic, const char *key, const void *value, size_t length,
                bus_delivered *delivered, void *argument, struct error *error) {
  struct delivery *delivery = malloc(sizeof *delivery);
  if (!delivery) return error_set(error, ERROR_FATAL, "OutOfMemory", "out of memory");
  *delivery = (struct delivery){delivered, argument};
  int64_t deadline = clock_monotonic_ms() + QUEUE_WAIT_MS;
  count(producer, 1); /* before the report can come */
  rd_kafka_resp_err_t code;
  do code = hand_over(producer, topic, key, value, length, delivery);
  while (code == RD_KAFKA_RESP_ERR__QUEUE_FULL && wait_for_room(producer, deadline) == 0);
  /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): librdkafka has it, the delivery report frees it */
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return 0;
  count(producer, -1);
  free(delivery);
  return bus_error_of(producer->handle, error, code, "produce", topic);
}

/* ---- durable ----
 * Shared by the waiting caller and the delivery report; who comes last frees it. */
struct waiter {
  pthread_mutex_t lock;
  pthread_cond_t done_changed;
  int done, owners;
  struct error error;
};

static void waiter_leave(struct waiter *waiter) { /* holds the lock, which is released */
  int last = --waiter->owners == 0;
  pthread_mutex_unlock(&waiter->lock);
  if (!last) return;
  pthread_cond_destroy(&waiter->done_changed);
  pthread_mutex_destroy(&waiter->lock);
  free(waiter);
}

static void wake(void *argument, const struct error *error) {
  struct waiter *waiter = argument;
  pthread_mutex_lock(&waiter->lock);
  waiter->done = 1;
  if (error) waiter->error = *error;
  pthread_cond_signal(&waiter->done_changed);
  waiter_leave(waiter);
}

static struct waiter *waiter_new(void) {
  struct waiter *waiter = calloc(1, sizeof *waiter);
  if (!waiter) return NULL;
  pthread_mutex_init(&waiter->lock, NULL);
  clock_condition_init(&waiter->done_changed);
  waiter->owners = 2;
  return waiter;
}

int bus_produce_durably(struct bus_producer *producer, const char *topic, const char *key, const void *value,
                        size_t length, int64_t timeout_ms, struct error *error) {
  int64_t deadline = clock_monotonic_ms() + timeout_ms;
  struct waiter *waiter = waiter_new();
  if (!waiter) return error_set(error, ERROR_FATAL, "OutOfMemory", "out of memory");
  if (bus_produce(producer, topic, key, value, length, wake, waiter, error) != 0) {
    pthread_mutex_lock(&waiter->lock);
    waiter->owners--;
    waiter_leave(waiter);
    return -1;
  }
  pthread_mutex_lock(&waiter->lock);
  while (!waiter->done && !clock_condition_wait(&waiter->done_changed, &waiter->lock, deadline)) continue;
  struct error result = waiter->error;
  if (!waiter->done) {
    error_set(&result, ERROR_RETRYABLE, "Timeout", "Kafka: not acknowledged within %lld ms (it may still arrive)",
              (long long)timeout_ms);
    error_where(&result, "%s", topic);
  }
  waiter_leave(waiter);
  if (result.class == ERROR_NONE) return 0;
  if (error) *error = result;
  return -1;
}

int bus_producer_flush(struct bus_producer *producer, int64_t timeout_ms) {
  int64_t deadline = clock_monotonic_ms() + timeout_ms;
  pthread_mutex_lock(&producer->lock);
  while (producer->pending > 0 && !clock_condition_wait(&producer->moved, &producer->lock, deadline)) continue;
  int64_t pending = producer->pending;
  pthread_mutex_unlock(&producer->lock);
  return pending == 0 ? 0 : -1;
}

void bus_producer_close(struct bus_producer *producer) {
  if (!producer) return;
  if (bus_producer_flush(producer, CLOSE_WAIT_MS) != 0) {
    log_warn("the producer is closed with undelivered messages");
    rd_kafka_resp_err_t code = rd_kafka_purge(producer->handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR || bus_producer_flush(producer, CLOSE_WAIT_MS) != 0)
      log_error("undelivered messages could not be purged", LOG_TEXT("code", rd_kafka_err2name(code)));
  }
  __atomic_store_n(&producer->stopping, 1, __ATOMIC_RELEASE);
  pthread_join(producer->thread, NULL);
  rd_kafka_destroy(producer->handle);
  pthread_cond_destroy(&producer->moved);
  pthread_mutex_destroy(&producer->lock);
  free(producer);
}
