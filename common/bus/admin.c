/* Creating topics, and reading a whole one. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bus/bus_internal.h"

/* ---- creating topics ---- */
static int exists(const rd_kafka_metadata_t *metadata, const char *name) {
  for (int i = 0; i < metadata->topic_cnt; i++)
    if (strcmp(metadata->topics[i].topic, name) == 0) return metadata->topics[i].err == RD_KAFKA_RESP_ERR_NO_ERROR;
  return 0;
}

static int set_config(rd_kafka_NewTopic_t *wanted, const char *name, const char *value, struct error *error) {
  rd_kafka_resp_err_t code = rd_kafka_NewTopic_set_config(wanted, name, value);
  return code == RD_KAFKA_RESP_ERR_NO_ERROR ? 0 : bus_error(error, code, "describe a topic", name);
}

static rd_kafka_NewTopic_t *describe(const struct bus_topic *topic, struct error *error) {
  char reason[256], size[24];
  rd_kafka_NewTopic_t *wanted = rd_kafka_NewTopic_new(topic->name, topic->partitions, -1, reason, sizeof reason);
  if (!wanted) {
    error_set(error, ERROR_INVALID, "Topic", "topic %s: %s", topic->name, reason);
    return NULL;
  }
  snprintf(size, sizeof size, "%lld", (long long)topic->max_message_bytes);
  if ((topic->compacted && set_config(wanted, "cleanup.policy", "compact", error) != 0) ||
      (topic->max_message_bytes > 0 && set_config(wanted, "max.message.bytes", size, error) != 0)) {
    rd_kafka_NewTopic_destroy(wanted);
    return NULL;
  }
  return wanted;
}

/* One request for all of `wanted`; "exists already" is no failure (somebody was faster). */
static int create(rd_kafka_t *handle, rd_kafka_NewTopic_t **wanted, size_t count, int64_t deadline,
                  struct error *error) {
  char reason[256];
  int result = -1;
  int wait = bus_wait_ms(deadline, INT_MAX);
  rd_kafka_queue_t *queue = rd_kafka_queue_new(handle);
  rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(handle, RD_KAFKA_ADMIN_OP_CREATETOPICS);
  rd_kafka_event_t *event = NULL;
  rd_kafka_resp_err_t code = rd_kafka_AdminOptions_set_request_timeout(options, wait, reason, sizeof reason);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
    code = rd_kafka_AdminOptions_set_operation_timeout(options, wait, reason, sizeof reason);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
    rd_kafka_CreateTopics(handle, wanted, count, options, queue);
    event = rd_kafka_queue_poll(queue, wait);
    code = event ? rd_kafka_event_error(event) : RD_KAFKA_RESP_ERR__TIMED_OUT;
  }
  const char *topic = NULL;
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
    size_t answers = 0;
    const rd_kafka_topic_result_t **results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &answers);
    for (size_t i = 0; i < answers && code == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
      code = rd_kafka_topic_result_error(results[i]);
      if (code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) code = RD_KAFKA_RESP_ERR_NO_ERROR;
      topic = rd_kafka_topic_result_name(results[i]);
    }
  }
  result = code == RD_KAFKA_RESP_ERR_NO_ERROR ? 0 : bus_error(error, code, "create topics", topic);
  if (event) rd_kafka_event_destroy(event);
  rd_kafka_AdminOptions_destroy(options);
  rd_kafka_queue_destroy(queue);
  return result;
}

static int create_missing(rd_kafka_t *handle, const struct bus_topic *topics, size_t count, int64_t deadline,
                          struct error *error) {
  const rd_kafka_metadata_t *metadata = NULL;
  rd_kafka_resp_err_t code = rd_kafka_metadata(handle, 1, NULL, &metadata, bus_wait_ms(deadline, INT_MAX));
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return bus_error(error, code, "list topics", NULL);
  rd_kafka_NewTopic_t **wanted = calloc(count + 1, sizeof *wanted);
  size_t missing = 0;
  int result = wanted ? 0 : error_set(error, ERROR_FATAL, "OutOfMemory", "out of memory");
  for (size_t i = 0; i < count && result == 0; i++) {
    if (exists(metadata, topics[i].name)) continue;
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): allocated for that many topics */
    wanted[missing] = describe(&topics[i], error);
    if (wanted[missing])
      missing++;
    else
      result = -1;
  }
  if (result == 0 && missing > 0) result = create(handle, wanted, missing, deadline, error);
  if (wanted) rd_kafka_NewTopic_destroy_array(wanted, missing);
  free(wanted);
  rd_kafka_metadata_destroy(metadata);
  return result;
}

int bus_ensure_topics(const struct bus_options *options, const struct bus_topic *topics, size_t count,
                      int64_t timeout_ms, struct error *error) {
  int64_t deadline = clock_monotonic_ms() + timeout_ms;
  rd_kafka_conf_t *conf = bus_configure(options, NULL, NULL, error);
  rd_kafka_t *handle = conf ? bus_handle(RD_KAFKA_PRODUCER, conf, error) : NULL;
  if (!handle) return -1;
  int result = create_missing(handle, topics, count, deadline, error);
  rd_kafka_destroy(handle);
  return result;
}

/* ---- reading a topic to its end ----
 * By the simple consumer: no group, so it needs no rights on one and leaves no offsets.  A partition is at its end when
 * librdkafka says so (the last offsets may be gone by compaction, or hold no message at all). */
struct reading {
  rd_kafka_t *handle;
  rd_kafka_topic_t *topic;
  rd_kafka_queue_t *queue;
  int64_t *ends; /* a partition's end when the reading began; -1: reached */
  int32_t partitions, started, open;
};

static int count_partitions(struct reading *reading, int64_t deadline, struct error *error) {
  const rd_kafka_metadata_t *metadata = NULL;
  const char *name = rd_kafka_topic_name(reading->topic);
  rd_kafka_resp_err_t code =
      rd_kafka_metadata(reading->handle, 0, reading->topic, &metadata, bus_wait_ms(deadline, INT_MAX));
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return bus_error(error, code, "read the topic's metadata", name);
  code = metadata->topic_cnt == 1 ? metadata->topics[0].err : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
  reading->partitions = metadata->topic_cnt == 1 ? metadata->topics[0].partition_cnt : 0;
  rd_kafka_metadata_destroy(metadata);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return bus_error(error, code, "read the topic's metadata", name);
  reading->ends = calloc((size_t)reading->partitions + 1, sizeof *reading->ends);
  return reading->ends ? 0 : error_set(error, ERROR_FATAL, "OutOfMemory", "out of memory");
}

/* Where a partition is to be read from: its first message that is not older; at its end when there is none. */
static int first_since(struct reading *reading, int32_t partition, int64_t since_ms, int64_t deadline, int64_t *offset,
                       struct error *error) {
  const char *name = rd_kafka_topic_name(reading->topic);
  *offset = RD_KAFKA_OFFSET_BEGINNING;
  if (since_ms <= 0) return 0;
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(list, name, partition)->offset = since_ms;
  rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(reading->handle, list, bus_wait_ms(deadline, INT_MAX));
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) code = list->elems[0].err;
  *offset = list->elems[0].offset;
  rd_kafka_topic_partition_list_destroy(list);
  return code == RD_KAFKA_RESP_ERR_NO_ERROR ? 0 : bus_error(error, code, "ask for the offset of a time", name);
}

static int start_partitions(struct reading *reading, int64_t since_ms, int64_t deadline, struct error *error) {
  const char *name = rd_kafka_topic_name(reading->topic);
  for (int32_t i = 0; i < reading->partitions; i++) {
    int64_t low, high, first;
    if (first_since(reading, i, since_ms, deadline, &first, error) != 0) return -1;
    rd_kafka_resp_err_t code =
        rd_kafka_query_watermark_offsets(reading->handle, name, i, &low, &high, bus_wait_ms(deadline, INT_MAX));
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return bus_error(error, code, "ask for the topic's end", name);
    int empty = low >= high || first == RD_KAFKA_OFFSET_END || first >= high;
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): allocated for that many partitions */
    reading->ends[i] = empty ? -1 : high;
    if (!empty) reading->open++;
    if (rd_kafka_consume_start_queue(reading->topic, i, first, reading->queue) != 0)
      return bus_error(error, rd_kafka_last_error(), "start reading", name);
    reading->started++;
  }
  return 0;
}

static void reached(struct reading *reading, int32_t partition) {
  if (partition < 0 || partition >= reading->partitions || reading->ends[partition] < 0) return;
  reading->ends[partition] = -1;
  reading->open--;
}

typedef int each_record(const char *key, size_t key_length, const char *value, size_t length, void *argument);

/* 0 go on, -1 stop. */
static int take(struct reading *reading, const rd_kafka_message_t *message, each_record *each, void *argument,
                struct error *error) {
  if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
    reached(reading, message->partition);
    return 0;
  }
  if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    struct error complaint = {0};
    bus_error(&complaint, message->err, "read", rd_kafka_topic_name(reading->topic));
    if (error_is_transient(&complaint)) return 0; /* librdkafka goes on by itself; the deadline ends it */
    if (error) *error = complaint;
    return -1;
  }
  int32_t partition = message->partition;
  if (partition < 0 || partition >= reading->partitions || reading->ends[partition] < 0 ||
      message->offset >= reading->ends[partition])
    return 0; /* came after the reading began */
  if (each(message->key, message->key_len, message->payload, message->len, argument) != 0)
    return error_set(error, ERROR_FATAL, "Stopped", "reading %s was stopped", rd_kafka_topic_name(reading->topic));
  if (message->offset + 1 >= reading->ends[partition]) reached(reading, partition);
  return 0;
}

static int read_partitions(struct reading *reading, int64_t deadline, each_record *each, void *argument,
                           struct error *error) {
  while (reading->open > 0) {
    int wait = bus_wait_ms(deadline, 500);
    if (wait == 0)
      return error_set(error, ERROR_RETRYABLE, "Timeout", "Kafka: %s was not read to its end in time",
                       rd_kafka_topic_name(reading->topic));
    rd_kafka_message_t *message = rd_kafka_consume_queue(reading->queue, wait);
    if (!message) continue;
    int result = take(reading, message, each, argument, error);
    rd_kafka_message_destroy(message);
    if (result != 0) return -1;
  }
  return 0;
}

static void reading_close(struct reading *reading) {
  for (int32_t i = 0; i < reading->started; i++)
    if (rd_kafka_consume_stop(reading->topic, i) != 0) break; /* the handle is about to go anyway */
  if (reading->queue) rd_kafka_queue_destroy(reading->queue);
  if (reading->topic) rd_kafka_topic_destroy(reading->topic);
  if (reading->handle) rd_kafka_destroy(reading->handle);
  free(reading->ends);
}

int bus_read_since(const struct bus_options *options, const char *topic, int64_t since_ms, int64_t timeout_ms,
                   each_record *each, void *argument, struct error *error) {
  static const struct bus_property fixed[] = {
      {"enable.partition.eof", "true"},
      {"enable.auto.commit", "false"},
      {"enable.auto.offset.store", "false"},
      {"auto.offset.reset", "earliest"},
      {"isolation.level", "read_committed"},
      {"queued.max.messages.kbytes", "16384"},
      {"allow.auto.create.topics", "false"},
      {"fetch.wait.max.ms", "100"},
      {NULL, NULL},
  };
  int64_t deadline = clock_monotonic_ms() + timeout_ms;
  rd_kafka_conf_t *conf = bus_configure(options, NULL, fixed, error);
  struct reading reading = {.handle = conf ? bus_handle(RD_KAFKA_CONSUMER, conf, error) : NULL};
  if (!reading.handle) return -1;
  int result = -1;
  reading.topic = rd_kafka_topic_new(reading.handle, topic, NULL);
  reading.queue = rd_kafka_queue_new(reading.handle);
  if (!reading.topic) {
    bus_error(error, rd_kafka_last_error(), "open the topic", topic);
  } else if (count_partitions(&reading, deadline, error) == 0 &&
             start_partitions(&reading, since_ms, deadline, error) == 0) {
    result = read_partitions(&reading, deadline, each, argument, error);
  }
  reading_close(&reading);
  return result;
}

int bus_read_all(const struct bus_options *options, const char *topic, int64_t timeout_ms, each_record *each,
                 void *argument, struct error *error) {
  return bus_read_since(options, topic, 0, timeout_ms, each, argument, error);
}
