#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "mock.h"

struct reports {
  int good, bad;
  enum error_class last;
};

static void note(void *argument, const struct error *error) {
  struct reports *reports = argument;
  __atomic_add_fetch(error ? &reports->bad : &reports->good, 1, __ATOMIC_SEQ_CST);
  if (error) __atomic_store_n(&reports->last, error->class, __ATOMIC_SEQ_CST);
}

/* What the configuration refuses, and why. */
static void test_open_refuses(void **state) {
  (void)state;
  static const char *const unknown[] = {"no.such.property=1", NULL};
  static const char *const shapeless[] = {"retries", NULL};
  static const struct {
    struct bus_options options;
    const char *says;
  } cases[] = {
      {{.brokers = ""}, "kafka.brokers"},
      {{.brokers = NULL}, "kafka.brokers"},
      {{.brokers = "127.0.0.1:1", .extra = unknown}, "no.such.property"},
      {{.brokers = "127.0.0.1:1", .extra = shapeless}, "name=value"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct error error = {0};
    assert_null(bus_producer_open(&cases[i].options, &error));
    assert_int_equal(error.class, ERROR_INVALID);
    assert_non_null(strstr(error.message, cases[i].says));
  }
}

/* A password in a property that is refused is not quoted back. */
static void test_open_hides_secrets(void **state) {
  (void)state;
  static const char *const extra[] = {"sasl.password=hunter2hunter2", "security.protocol=nonsense-hunter2hunter2",
                                      NULL};
  struct bus_options options = {.brokers = "127.0.0.1:1", .extra = extra};
  struct error error = {0};
  assert_null(bus_producer_open(&options, &error));
  assert_null(strstr(error.message, "hunter2"));
}

/* Nobody answers: a durable message is an error at its deadline, and closing still reports every message. */
static void test_no_broker(void **state) {
  (void)state;
  log_set_level("off");
  static const char *const extra[] = {"delivery.timeout.ms=2000", NULL};
  struct bus_options options = {.brokers = "127.0.0.1:1", .extra = extra};
  struct error error = {0};
  struct reports reports = {0};
  struct bus_producer *producer = bus_producer_open(&options, &error);
  assert_non_null(producer);
  assert_int_equal(bus_produce_durably(producer, "t", "k", "v", 1, 300, &error), -1);
  assert_int_equal(error.class, ERROR_RETRYABLE);
  assert_int_equal(bus_produce(producer, "t", "k", "v", 1, note, &reports, &error), 0);
  assert_int_equal(bus_producer_flush(producer, 50), -1);
  bus_producer_close(producer);
  assert_int_equal(reports.bad, 1);
  assert_int_equal(reports.good, 0);
}

/* A full queue is waited for, not spun on: with room for ten messages, five hundred get through. */
static void test_full_queue(void **state) {
  (void)state;
  static const char *const extra[] = {"queue.buffering.max.messages=10", "linger.ms=1", NULL};
  struct mock mock;
  mock_open(&mock, "t", 1);
  mock.options.extra = extra;
  struct bus_producer *producer = mock_producer(&mock);
  struct reports reports = {0};
  for (int i = 0; i < 500; i++) assert_int_equal(bus_produce(producer, "t", NULL, "x", 1, note, &reports, NULL), 0);
  assert_int_equal(bus_producer_flush(producer, PATIENCE_MS), 0);
  assert_int_equal(reports.good, 500);
  bus_producer_close(producer);
  mock_close(&mock);
}

/* Over the limit: refused at once, class INVALID, no report. */
static void test_too_large(void **state) {
  (void)state;
  struct mock mock;
  mock_open(&mock, "t", 1);
  struct bus_producer *producer = mock_producer(&mock);
  struct reports reports = {0};
  struct error error = {0};
  char *large = calloc(1, 2 << 20);
  assert_int_equal(bus_produce(producer, "t", "k", large, 2 << 20, note, &reports, &error), -1);
  assert_int_equal(error.class, ERROR_INVALID);
  assert_string_equal(error.where, "t");
  assert_int_equal(bus_produce_durably(producer, "t", "k", large, 2 << 20, 1000, &error), -1);
  assert_int_equal(error.class, ERROR_INVALID);
  free(large);
  bus_producer_close(producer);
  assert_int_equal(reports.good + reports.bad, 0);
  mock_close(&mock);
}

/* The broker goes away and comes back, and answers with errors: everything arrives, once. */
static void test_broker_down_and_errors(void **state) {
  (void)state;
  struct mock mock;
  mock_open(&mock, "t", 1);
  struct bus_producer *producer = mock_producer(&mock);
  struct reports reports = {0};
  log_set_level("off");
  assert_int_equal(bus_produce_durably(producer, "t", "k", "first", 5, PATIENCE_MS, NULL), 0);
  rd_kafka_mock_broker_set_down(mock.cluster, 1);
  for (int i = 0; i < 100; i++) assert_int_equal(bus_produce(producer, "t", "k", "x", 1, note, &reports, NULL), 0);
  assert_int_equal(bus_producer_flush(producer, 200), -1);
  rd_kafka_mock_broker_set_up(mock.cluster, 1);
  assert_int_equal(bus_producer_flush(producer, PATIENCE_MS), 0);
  rd_kafka_mock_push_request_errors(mock.cluster, 0 /* Produce */, 2, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
                                    RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT);
  assert_int_equal(bus_produce_durably(producer, "t", "k", "last", 4, PATIENCE_MS, NULL), 0);
  assert_int_equal(reports.good, 100);
  assert_int_equal(reports.bad, 0);
  bus_producer_close(producer);
  mock_close(&mock);
}

/* A broken promise inside librdkafka: the class says that going on with this producer is useless. */
static void test_fatal(void **state) {
  (void)state;
  struct mock mock;
  mock_open(&mock, "t", 1);
  struct bus_producer *producer = mock_producer(&mock);
  struct error error = {0};
  log_set_level("off");
  assert_int_equal(bus_produce_durably(producer, "t", "k", "x", 1, PATIENCE_MS, NULL), 0);
  rd_kafka_mock_push_request_errors(mock.cluster, 0, 1, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
  bus_produce_durably(producer, "t", "k", "x", 1, PATIENCE_MS, &error);
  if (error.class == ERROR_FATAL) { /* from then on everything is refused, and says why */
    assert_int_equal(bus_produce(producer, "t", "k", "x", 1, NULL, NULL, &error), -1);
    assert_int_equal(error.class, ERROR_FATAL);
    assert_non_null(strstr(error.message, "broken for good"));
  } else {
    print_message("this librdkafka recovered from the sequence error by itself\n");
  }
  bus_producer_close(producer);
  mock_close(&mock);
}

static void *produce_many(void *argument) {
  for (int i = 0; i < 200; i++)
    if (bus_produce_durably(argument, "t", "k", "x", 1, PATIENCE_MS, NULL) != 0) return argument;
  return NULL;
}

/* Durable messages of several threads at once. */
static void test_threads(void **state) {
  (void)state;
  struct mock mock;
  mock_open(&mock, "t", 4);
  static const char *const extra[] = {"linger.ms=0", NULL};
  mock.options.extra = extra;
  struct bus_producer *producer = mock_producer(&mock);
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, produce_many, producer), 0);
  for (int i = 0; i < 4; i++) {
    void *failed = NULL;
    pthread_join(threads[i], &failed);
    assert_null(failed);
  }
  bus_producer_close(producer);
  mock_close(&mock);
}
