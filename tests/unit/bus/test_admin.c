#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "mock.h"

struct sum {
  int records, tombstones, stop_after;
};

static int add(const char *key, size_t key_length, const char *value, size_t length, void *argument) {
  (void)key, (void)key_length, (void)length;
  struct sum *sum = argument;
  sum->records++;
  if (!value) sum->tombstones++;
  return sum->stop_after && sum->records >= sum->stop_after;
}

static void test_read_all(void **state) {
  (void)state;
  struct mock mock;
  mock_open(&mock, "t", 3);
  struct bus_producer *producer = mock_producer(&mock);
  struct sum sum = {0};
  struct error error = {0};
  assert_int_equal(bus_read_all(&mock.options, "t", PATIENCE_MS, add, &sum, &error), 0); /* an empty topic ends */
  assert_int_equal(sum.records, 0);
  mock_produce_numbers(producer, "t", 0, 500);
  assert_int_equal(bus_produce_durably(producer, "t", "k1", NULL, 0, PATIENCE_MS, NULL), 0);
  if (bus_read_all(&mock.options, "t", PATIENCE_MS, add, &sum, &error) != 0) fail_msg("%s", error.message);
  assert_int_equal(sum.records, 501);
  assert_int_equal(sum.tombstones, 1);
  sum = (struct sum){.stop_after = 10};
  assert_int_equal(bus_read_all(&mock.options, "t", PATIENCE_MS, add, &sum, &error), -1);
  assert_int_equal(sum.records, 10);
  bus_producer_close(producer);
  mock_close(&mock);
}

/* The mock cluster answers a question for a time with the partition's end, or an error: what can be shown here is that
 * a time in the future reads nothing and that 0 reads everything. (The integration tests read a journal by its times.)
 */
static void test_read_since(void **state) {
  (void)state;
  struct mock mock;
  mock_open(&mock, "t", 3);
  struct bus_producer *producer = mock_producer(&mock);
  struct sum sum = {0};
  struct error error = {0};
  mock_produce_numbers(producer, "t", 0, 50);
  if (bus_read_since(&mock.options, "t", 0, PATIENCE_MS, add, &sum, &error) != 0) fail_msg("%s", error.message);
  assert_int_equal(sum.records, 50);
  sum = (struct sum){0};
  if (bus_read_since(&mock.options, "t", (int64_t)1 << 42, PATIENCE_MS, add, &sum, &error) == 0)
    assert_int_equal(sum.records, 0);
  bus_producer_close(producer);
  mock_close(&mock);
}

static void test_read_all_fails(void **state) {
  (void)state;
  struct mock mock;
  struct sum sum = {0};
  struct error error = {0};
  mock_open(&mock, NULL, 0);
  rd_kafka_mock_topic_set_error(mock.cluster, "absent", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
  assert_int_equal(bus_read_all(&mock.options, "absent", 5000, add, &sum, &error), -1);
  assert_int_equal(error.class, ERROR_MISSING);
  log_set_level("off");
  rd_kafka_mock_broker_set_down(mock.cluster, 1);
  assert_int_equal(bus_read_all(&mock.options, "t", 300, add, &sum, &error), -1);
  assert_int_equal(error.class, ERROR_RETRYABLE);
  mock_close(&mock);
}

/* The mock cluster creates nothing by request: what can be shown here is that topics which exist need no request, and
 * that the refusal of the others is read. */
static void test_ensure_topics(void **state) {
  (void)state;
  struct mock mock;
  struct error error = {0};
  mock_open(&mock, "t", 2);
  const struct bus_topic topics[] = {{"t", 2, 0, 0}, {"absent", 2, 1, 1048576}, {"", -5, 0, 0}};
  if (bus_ensure_topics(&mock.options, topics, 1, PATIENCE_MS, &error) != 0) fail_msg("%s", error.message);
  assert_int_equal(bus_ensure_topics(&mock.options, topics, 2, 1500, &error), -1);
  assert_int_not_equal(error.class, ERROR_NONE);
  assert_int_equal(bus_ensure_topics(&mock.options, topics + 2, 1, 5000, &error), -1);
  assert_int_equal(error.class, ERROR_INVALID);
  mock_close(&mock);
}
