/* A mock cluster inside the test, and the little that every bus test wants. */
#ifndef PARAPET_TESTS_UNIT_BUS_MOCK_H
#define PARAPET_TESTS_UNIT_BUS_MOCK_H

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "bus/bus.h"

enum { PATIENCE_MS = 60000 }; /* for a busy machine; nothing waits that long when all is well */

struct mock {
  rd_kafka_t *handle;
  rd_kafka_mock_cluster_t *cluster;
  struct bus_options options;
};

static inline void mock_open(struct mock *mock, const char *topic, int partitions) {
  char reason[256];
  log_set_level("error");
  mock->handle = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), reason, sizeof reason);
  assert_non_null(mock->handle);
  mock->cluster = rd_kafka_mock_cluster_new(mock->handle, 1);
  assert_non_null(mock->cluster);
#if RD_KAFKA_VERSION >= 0x020300ff
  rd_kafka_mock_group_initial_rebalance_delay_ms(mock->cluster, 500);
#endif
  if (topic) assert_int_equal(rd_kafka_mock_topic_create(mock->cluster, topic, partitions, 1), 0);
  mock->options = (struct bus_options){.brokers = rd_kafka_mock_cluster_bootstraps(mock->cluster), .client_id = "test"};
}

static inline void mock_close(struct mock *mock) {
  rd_kafka_mock_cluster_destroy(mock->cluster);
  rd_kafka_destroy(mock->handle);
}

static inline struct bus_producer *mock_producer(const struct mock *mock) {
  struct error error = {0};
  struct bus_producer *producer = bus_producer_open(&mock->options, &error);
  if (!producer) fail_msg("%s", error.message);
  return producer;
}

static inline struct bus_consumer *mock_consumer(const struct mock *mock, const char *group, const char *topic,
                                                 size_t high, size_t low) {
  const char *topics[] = {topic, NULL};
  struct bus_consumer_options options = {.common = mock->options,
                                         .group = group,
                                         .topics = topics,
                                         .session_timeout_ms = 10000,
                                         .commit_every_ms = 100,
                                         .in_flight_high = high,
                                         .in_flight_low = low};
  struct error error = {0};
  struct bus_consumer *consumer = bus_consumer_open(&options, &error);
  if (!consumer) fail_msg("%s", error.message);
  return consumer;
}

/* The next message, patiently; complaints in between are passed over. */
static inline struct bus_message *mock_next(struct bus_consumer *consumer) {
  int64_t deadline = clock_monotonic_ms() + PATIENCE_MS;
  while (clock_monotonic_ms() < deadline) {
    struct bus_message *message = bus_poll(consumer, 200, NULL);
    if (message) return message;
  }
  fail_msg("no message came");
  return NULL;
}

static inline void mock_produce_numbers(struct bus_producer *producer, const char *topic, int from, int to) {
  for (int i = from; i < to; i++) {
    char key[16], value[16];
    struct error error = {0};
    snprintf(key, sizeof key, "k%d", i % 7);
    snprintf(value, sizeof value, "%d", i);
    if (bus_produce(producer, topic, key, value, strlen(value), NULL, NULL, &error) != 0) fail_msg("%s", error.message);
  }
  assert_int_equal(bus_producer_flush(producer, PATIENCE_MS), 0);
}

/* The group's committed offset of a partition, or -1. */
static inline int64_t mock_committed(const struct mock *mock, const char *group, const char *topic, int32_t partition) {
  char reason[256];
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  assert_int_equal(rd_kafka_conf_set(conf, "bootstrap.servers", mock->options.brokers, reason, sizeof reason), 0);
  assert_int_equal(rd_kafka_conf_set(conf, "group.id", group, reason, sizeof reason), 0);
  rd_kafka_t *handle = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof reason);
  assert_non_null(handle);
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(list, topic, partition);
  rd_kafka_resp_err_t code = rd_kafka_committed(handle, list, PATIENCE_MS);
  int64_t offset = list->elems[0].offset;
  if (code != 0) fail_msg("%s", rd_kafka_err2str(code));
  rd_kafka_topic_partition_list_destroy(list);
  rd_kafka_destroy(handle);
  return offset;
}

#endif
