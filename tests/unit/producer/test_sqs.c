#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "bus/mock.h"
#include "bus/topics.h"
#include "producer/fake_sqs.h"
#include "sources/sqs_internal.h"

#define ENVELOPE "{\"source\":\"aws.ec2\",\"detail-type\":\"t\",\"detail\":{\"eventID\":\"%d\"}}"

/* SQS, Kafka, and a queue's threads between them. */
struct stage {
  struct mock mock;
  struct fake_sqs fake;
  struct aws_transport transport;
  struct aws_client *aws;
  struct publisher *publisher;
  struct sqs_options options;
  struct sqs_queue *queue;
};

static int stage_open(struct stage *stage) {
  memset(stage, 0, sizeof *stage);
  setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
  setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret", 1);
  struct error error = {0};
  pthread_mutex_init(&stage->fake.lock, NULL);
  stage->transport = (struct aws_transport){fake_perform, &stage->fake};
  struct aws_options options = {.models = "build/models", .transport = &stage->transport, .max_attempts = 1};
  stage->aws = aws_open(&options, &error);
  if (!stage->aws) fail_msg("%s", error.message);
  mock_open(&stage->mock, BUS_TOPIC_EVENTS, 3);
  assert_int_equal(rd_kafka_mock_topic_create(stage->mock.cluster, BUS_TOPIC_DEADLETTER, 1, 1), 0);
  log_set_level("off");
  struct publisher_options publishing = {.bus = stage->mock.options};
  stage->publisher = publisher_open(&publishing, &error);
  assert_non_null(stage->publisher);
  stage->options = (struct sqs_options){.aws = stage->aws,
                                        .publisher = stage->publisher,
                                        .name = "parapet-events",
                                        .region = "eu-west-1",
                                        .receivers = 2,
                                        .in_flight = 100,
                                        .wait_ms = 1000,
                                        .visibility_ms = 60000};
  return 0;
}

static void stage_run(struct stage *stage) {
  struct error error = {0};
  stage->queue = sqs_queue_start(&stage->options, &error);
  if (!stage->queue) fail_msg("%s", error.message);
}

static void stage_close(struct stage *stage) {
  sqs_queue_stop(stage->queue);
  publisher_close(stage->publisher);
  sqs_queue_release(stage->queue);
  aws_close(stage->aws);
  fake_free(&stage->fake);
  mock_close(&stage->mock);
}

static void put_events(struct stage *stage, int from, int to) {
  for (int i = from; i < to; i++) {
    char body[128];
    snprintf(body, sizeof body, ENVELOPE, i);
    fake_put(&stage->fake, body);
  }
}

/* Waits until `what` reaches `target`. */
#define WAIT_FOR(condition)                                                   \
  do {                                                                        \
    int64_t until_ = clock_monotonic_ms() + PATIENCE_MS;                      \
    while (!(condition) && clock_monotonic_ms() < until_) clock_sleep_ms(10); \
    assert_true(condition);                                                   \
  } while (0)

static int count_record(const char *key, size_t key_length, const char *value, size_t length, void *argument) {
  (void)key, (void)key_length, (void)value, (void)length;
  ++*(int *)argument;
  return 0;
}

static int records_in(struct stage *stage, const char *topic) {
  int count = 0;
  struct error error = {0};
  if (bus_read_all(&stage->mock.options, topic, PATIENCE_MS, count_record, &count, &error) != 0)
    fail_msg("%s", error.message);
  return count;
}

/* While Kafka is away nothing is deleted, and receiving stops; when it is back, everything arrives and goes. */
static void test_deletes_only_after_acknowledgement(void **state) {
  (void)state;
  struct stage stage;
  stage_open(&stage);
  put_events(&stage, 0, 60);
  rd_kafka_mock_broker_set_down(stage.mock.cluster, 1);
  stage.options.in_flight = 40;
  stage_run(&stage);
  WAIT_FOR(sqs_queue_held(stage.queue) >= 30);
  clock_sleep_ms(300);
  assert_int_equal(fake_deleted(&stage.fake), 0);
  assert_true(sqs_queue_held(stage.queue) <= 40); /* the bound holds */
  char reason[512] = "";
  WAIT_FOR(!sqs_queue_ready(stage.queue, reason, sizeof reason));
  assert_non_null(strstr(reason, "Kafka"));
  assert_int_equal(fake_deleted(&stage.fake), 0);
  rd_kafka_mock_broker_set_up(stage.mock.cluster, 1);
  WAIT_FOR(fake_deleted(&stage.fake) == 60);
  WAIT_FOR(sqs_queue_ready(stage.queue, reason, sizeof reason));
  assert_int_equal(records_in(&stage, BUS_TOPIC_EVENTS), 60);
  assert_int_equal(stage.fake.repeated_ids, 0);
  assert_int_equal(stage.fake.oversized_batches, 0);
  stage_close(&stage);
}

/* Batches that fail, entries that are refused, a receipt that lapsed: what can be deleted is, once each. */
static void test_partial_failures(void **state) {
  (void)state;
  struct stage stage;
  stage_open(&stage);
  put_events(&stage, 0, 25);
  stage.fake.fail_deletes = 2;
  stage.fake.refuse_entries = 1;
  stage.fake.lapsed = 7;
  stage_run(&stage);
  WAIT_FOR(fake_deleted(&stage.fake) == 24);
  WAIT_FOR(sqs_queue_held(stage.queue) == 0); /* the lapsed one is let go, too: SQS will give it again */
  assert_int_equal(stage.fake.deletes, 24);
  assert_int_equal(records_in(&stage, BUS_TOPIC_EVENTS), 25);
  assert_int_equal(stage.fake.repeated_ids, 0);
  stage_close(&stage);
}

/* The same message twice in one answer: one event, deleted with the newest receipt. */
static void test_duplicates(void **state) {
  (void)state;
  struct stage stage;
  stage_open(&stage);
  put_events(&stage, 0, 3);
  rd_kafka_mock_broker_set_down(stage.mock.cluster, 1); /* so that both are there before one is gone */
  stage.fake.twice = 1;
  stage_run(&stage);
  WAIT_FOR(sqs_queue_held(stage.queue) == 3);
  rd_kafka_mock_broker_set_up(stage.mock.cluster, 1);
  WAIT_FOR(fake_deleted(&stage.fake) == 3);
  assert_int_equal(records_in(&stage, BUS_TOPIC_EVENTS), 3);
  stage_close(&stage);
}

/* While Kafka is slow the messages stay ours: their visibility is extended, again and again. */
static void test_extends_visibility(void **state) {
  (void)state;
  struct stage stage;
  stage_open(&stage);
  put_events(&stage, 0, 3);
  stage.options.visibility_ms = 4000;
  rd_kafka_mock_broker_set_down(stage.mock.cluster, 1);
  stage_run(&stage);
  WAIT_FOR(fake_get(&stage.fake, &stage.fake.extensions) >= 6);
  assert_int_equal(fake_deleted(&stage.fake), 0);
  rd_kafka_mock_broker_set_up(stage.mock.cluster, 1);
  WAIT_FOR(fake_deleted(&stage.fake) == 3);
  stage_close(&stage);
}

/* What is no event becomes a dead letter, and is deleted then. */
static void test_dead_letters(void **state) {
  (void)state;
  struct stage stage;
  stage_open(&stage);
  char *large = malloc(2 << 20), *deep = malloc(2000);
  memset(large, 'x', (2 << 20) - 1);
  large[(2 << 20) - 1] = '\0';
  memset(deep, '[', 999);
  memset(deep + 999, ']', 999);
  deep[1998] = '\0';
  const char *const bodies[] = {"not json", "[]", "{\"a\":1}", large, deep, ""};
  for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) fake_put(&stage.fake, bodies[i]);
  put_events(&stage, 0, 2);
  fake_put(&stage.fake, "{\"eventVersion\":\"1\",\"eventName\":\"X\",\"eventSource\":\"ec2.amazonaws.com\"}");
  stage_run(&stage);
  WAIT_FOR(fake_deleted(&stage.fake) == 9);
  assert_int_equal(records_in(&stage, BUS_TOPIC_EVENTS), 3);
  assert_int_equal(records_in(&stage, BUS_TOPIC_DEADLETTER), 6);
  free(large);
  free(deep);
  stage_close(&stage);
}

/* The broker itself refuses a message for good: its dead letter counts as its delivery. */
static void test_refused_by_broker(void **state) {
  (void)state;
  struct stage stage;
  stage_open(&stage);
  put_events(&stage, 0, 1);
  rd_kafka_mock_push_request_errors(stage.mock.cluster, 0 /* Produce */, 1, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
  stage_run(&stage);
  WAIT_FOR(fake_deleted(&stage.fake) == 1);
  assert_int_equal(records_in(&stage, BUS_TOPIC_DEADLETTER), 1);
  stage_close(&stage);
}

/* SQS does not answer: told by readiness, waited for, and then all goes on. */
static void test_receiving_recovers(void **state) {
  (void)state;
  struct stage stage;
  stage_open(&stage);
  put_events(&stage, 0, 5);
  stage.fake.fail_receives = 3;
  stage_run(&stage);
  char reason[1024] = "";
  WAIT_FOR(!sqs_queue_ready(stage.queue, reason, sizeof reason));
  WAIT_FOR(fake_deleted(&stage.fake) == 5);
  WAIT_FOR(sqs_queue_ready(stage.queue, reason, sizeof reason));
  stage_close(&stage);
}

/* Stopping drains: what was received is delivered and deleted before it returns. */
static void test_stop_drains(void **state) {
  (void)state;
  struct stage stage;
  stage_open(&stage);
  put_events(&stage, 0, 50);
  stage_run(&stage);
  WAIT_FOR(fake_get(&stage.fake, &stage.fake.receives) >= 3);
  sqs_queue_stop(stage.queue);
  assert_int_equal(sqs_queue_held(stage.queue), 0);
  int received = 0;
  for (int i = 0; i < stage.fake.count; i++) received += stage.fake.messages[i].times_received > 0;
  assert_int_equal(fake_deleted(&stage.fake), received);
  publisher_close(stage.publisher);
  sqs_queue_release(stage.queue);
  aws_close(stage.aws);
  fake_free(&stage.fake);
  mock_close(&stage.mock);
}
