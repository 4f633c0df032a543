#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <unistd.h>

#include "bus/mock.h"
#include "bus/topics.h"
#include "collector_settings.h"
#include "source.h"

static int count_record(const char *key, size_t key_length, const char *value, size_t length, void *argument) {
  (void)key, (void)key_length, (void)value, (void)length;
  ++*(int *)argument;
  return 0;
}

static int records_in(const struct mock *mock, const char *topic) {
  int count = 0;
  assert_int_equal(bus_read_all(&mock->options, topic, PATIENCE_MS, count_record, &count, NULL), 0);
  return count;
}

/* Runs the source over `files` to its end; says whether it failed. */
static int replay(const struct mock *mock, char *files, char *more) {
  struct error error = {0};
  static char program[] = "collector";
  char *arguments[] = {program, files, more, NULL};
  struct config *config = config_load(collector_settings, more ? 3 : 2, arguments, NULL, stderr, &error);
  if (!config) fail_msg("%s", error.message);
  assert_int_equal(source_replay.wanted(config, &error), 1);
  struct publisher_options options = {.bus = mock->options};
  struct publisher *publisher = publisher_open(&options, &error);
  assert_non_null(publisher);
  struct source_context context = {.config = config, .bus = &mock->options, .publisher = publisher};
  void *running = source_replay.start(&context, &error);
  assert_non_null(running);
  int failed = 0;
  int64_t deadline = clock_monotonic_ms() + PATIENCE_MS;
  while (!source_replay.finished(running, &failed) && clock_monotonic_ms() < deadline) clock_sleep_ms(10);
  assert_true(source_replay.finished(running, &failed));
  source_replay.stop(running);
  publisher_close(publisher);
  source_replay.release(running);
  config_free(config);
  return failed;
}

/* Events, records, rubbish: each line is accounted for; a missing file makes the replay fail, the others still go. */
static void test_accounts_for_every_line(void **state) {
  (void)state;
  struct mock mock;
  mock_open(&mock, BUS_TOPIC_EVENTS, 2);
  log_set_level("off");
  assert_int_equal(rd_kafka_mock_topic_create(mock.cluster, BUS_TOPIC_DEADLETTER, 1, 1), 0);
  char path[] = "/tmp/parapet-replay-XXXXXX.jsonl", files[128], rate[] = "--replay-rate=1000";
  int descriptor = mkstemps(path, 6);
  FILE *file = fdopen(descriptor, "w");
  for (int i = 0; i < 50; i++)
    fprintf(file, "{\"source\":\"aws.ec2\",\"detail-type\":\"t\",\"detail\":{\"eventID\":\"%d\"}}\n", i);
  fputs("{\"eventVersion\":\"1\",\"eventName\":\"X\",\"eventSource\":\"ec2.amazonaws.com\"}\n", file);
  fputs("rubbish\n{}\n\n[1]\n", file);
  fclose(file);
  snprintf(files, sizeof files, "--replay-files=%s", path);
  assert_int_equal(replay(&mock, files, rate), 0);
  assert_int_equal(records_in(&mock, BUS_TOPIC_EVENTS), 51);
  assert_int_equal(records_in(&mock, BUS_TOPIC_DEADLETTER), 3);
  snprintf(files, sizeof files, "--replay-files=/no/such/file.jsonl,%s", path);
  assert_int_equal(replay(&mock, files, NULL), 1);
  assert_int_equal(records_in(&mock, BUS_TOPIC_EVENTS), 102);
  unlink(path);
  mock_close(&mock);
}

static void test_settings(void **state) {
  (void)state;
  static const struct {
    const char *speed;
    int wanted;
  } cases[] = {{"--replay-speed=60", 1},
               {"--replay-speed=0.5", 1},
               {"--replay-speed=fast", -1},
               {"--replay-speed=-1", -1},
               {"--replay-speed=nan", -1}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct error error = {0};
    char program[] = "collector", files[] = "--replay-files=a.json", speed[32];
    snprintf(speed, sizeof speed, "%s", cases[i].speed);
    char *arguments[] = {program, files, speed, NULL};
    struct config *config = config_load(collector_settings, 3, arguments, NULL, stderr, &error);
    assert_non_null(config);
    assert_int_equal(source_replay.wanted(config, &error), cases[i].wanted);
    config_free(config);
  }
}
