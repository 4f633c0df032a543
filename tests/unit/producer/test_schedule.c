#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "bus/mock.h"
#include "bus/topics.h"
#include "collector_settings.h"
#include "json/value.h"
#include "source.h"
#include "sources/schedule_plan.h"
#include "support/redis_server.h"

/* ---- files ---- */
static char folder[64];

static void write_text(const char *name, const char *text) {
  char path[256];
  if (!*folder) {
    strcpy(folder, "/tmp/parapet-schedule-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/guardrails", folder);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/resources", folder);
    mkdir(path, 0700);
  }
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
}

static void remove_text(const char *name) {
  char path[256];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  unlink(path);
}

static void write_playbooks(void) {
  write_text("accounts.yaml",
             "role: parapet\nregions: [eu-west-1, us-east-1]\naccounts:\n"
             "  - {id: \"000000000001\", name: a, environment: prod}\n"
             "  - {id: \"000000000002\", name: b, environment: dev, regions: [ap-south-1]}\n");
  write_text("resources/group.yaml", "resource: ec2.security-group\nscope: region\n");
  write_text("resources/user.yaml", "resource: iam.user\nscope: global\n");
  write_text("guardrails/a.yaml", "guardrail: a\nresource: ec2.security-group\ntrigger: {schedule: rate(1 second)}\n");
  write_text("guardrails/b.yaml", "guardrail: b\nresource: ec2.security-group\ntrigger: {schedule: rate(1 second)}\n");
  write_text("guardrails/c.yaml", "guardrail: c\nresource: iam.user\ntrigger: {schedule: rate(2 seconds)}\n");
  write_text("guardrails/d.yaml", "guardrail: d\nresource: iam.user\ntrigger: {events: []}\n"); /* no schedule */
}

static char accounts_path[128];
static const char *accounts(void) {
  snprintf(accounts_path, sizeof accounts_path, "%s/accounts.yaml", folder);
  return accounts_path;
}

/* ---- the plan ---- */
static void test_plan(void **state) {
  (void)state;
  log_set_level("off");
  write_playbooks();
  write_text("guardrails/broken.yaml", "guardrail: [\n");
  write_text("guardrails/bad.yaml", "guardrail: bad\nresource: iam.user\ntrigger: {schedule: rate(0 days)}\n");
  write_text("guardrails/.hidden.yaml", "guardrail: h\nresource: iam.user\ntrigger: {schedule: rate(1 day)}\n");
  struct error error = {0};
  struct accounts *loaded = accounts_load(accounts(), &error);
  struct schedule_plan *plan = loaded ? schedule_plan_load(folder, loaded, &error) : NULL;
  if (!plan) fail_msg("%s", error.message);
  accounts_drop(loaded);
  assert_int_equal(plan->count, 3);
  assert_string_equal(plan->guardrails[0].name, "a");
  assert_int_equal(json_array_size(schedule_plan_places(plan, "ec2.security-group")), 3);
  const json_t *hubs = schedule_plan_places(plan, "iam.user");
  assert_int_equal(json_array_size(hubs), 2);
  assert_string_equal(json_text_at(json_array_get(hubs, 1), "region", NULL), "us-east-1");
  assert_int_equal(json_array_size(schedule_plan_places(plan, "not.known")), 3);
  schedule_plan_free(plan);
  uint64_t signature = schedule_plan_signature(folder);
  assert_true(signature == schedule_plan_signature(folder));
  remove_text("guardrails/broken.yaml");
  assert_true(signature != schedule_plan_signature(folder));
  remove_text("guardrails/bad.yaml");
  remove_text("guardrails/.hidden.yaml");
}

/* ---- the source ---- */
struct stage {
  struct mock mock;
  struct redis_server *redis;
  struct config *config;
  struct publisher *publishers[2];
  struct state *states[2];
  void *running[2];
  int count;
};

static void stage_open(struct stage *stage, int collectors) {
  memset(stage, 0, sizeof *stage);
  struct error error = {0};
  write_playbooks();
  stage->redis = redis_server_start(NULL);
  assert_non_null(stage->redis);
  mock_open(&stage->mock, BUS_TOPIC_SWEEPS, 2);
  log_set_level("off");
  assert_int_equal(rd_kafka_mock_topic_create(stage->mock.cluster, BUS_TOPIC_STATE, 1, 1), 0);
  char playbooks[128], file[160];
  snprintf(playbooks, sizeof playbooks, "--playbooks=%s", folder);
  snprintf(file, sizeof file, "--accounts=%s", accounts());
  static char program[] = "collector", enabled[] = "--schedule-enabled";
  char *arguments[] = {program, playbooks, file, enabled, NULL};
  stage->config = config_load(collector_settings, 4, arguments, NULL, stderr, &error);
  if (!stage->config) fail_msg("%s", error.message);
  for (stage->count = 0; stage->count < collectors; stage->count++) {
    char owner[32];
    snprintf(owner, sizeof owner, "test:%d", stage->count);
    struct state_options options = {.url = stage->redis->url, .owner = owner};
    struct publisher_options publishing = {.bus = stage->mock.options};
    stage->states[stage->count] = state_open(&options, &error);
    stage->publishers[stage->count] = publisher_open(&publishing, &error);
    struct source_context context = {stage->config, &stage->mock.options, stage->publishers[stage->count], NULL,
                                     stage->states[stage->count]};
    stage->running[stage->count] = source_schedule.start(&context, &error);
    if (!stage->running[stage->count]) fail_msg("%s", error.message);
  }
}

static void stage_close(struct stage *stage) {
  for (int i = 0; i < stage->count; i++) source_schedule.stop(stage->running[i]);
  for (int i = 0; i < stage->count; i++) {
    publisher_close(stage->publishers[i]);
    source_schedule.release(stage->running[i]);
    state_close(stage->states[i]);
  }
  config_free(stage->config);
  redis_server_stop(stage->redis);
  mock_close(&stage->mock);
}

static int keep(const char *key, size_t key_length, const char *value, size_t length, void *argument) {
  json_t *sweep = json_parse(value, length, NULL);
  char expected[64];
  assert_non_null(sweep);
  snprintf(expected, sizeof expected, "%s/%s", json_text_at(sweep, "account", NULL),
           json_text_at(sweep, "region", NULL));
  assert_int_equal(key_length, strlen(expected));
  assert_memory_equal(key, expected, key_length);
  json_array_append_new(argument, sweep);
  return 0;
}

static json_t *sweeps(struct stage *stage) {
  json_t *list = json_array();
  struct error error = {0};
  if (bus_read_all(&stage->mock.options, BUS_TOPIC_SWEEPS, PATIENCE_MS, keep, list, &error) != 0)
    fail_msg("%s", error.message);
  return list;
}

static size_t count_sweeps(struct stage *stage) {
  json_t *list = sweeps(stage);
  size_t count = json_array_size(list);
  json_decref(list);
  return count;
}

/* What the worker does: ends every sweep that was sent. */
static void end_sweeps(struct stage *stage) {
  json_t *list = sweeps(stage), *sweep;
  size_t i;
  json_array_foreach(list, i, sweep) {
    char subject[256];
    snprintf(subject, sizeof subject, "%s|%s|%s", json_text_at(sweep, "account", NULL),
             json_text_at(sweep, "region", NULL), json_text_at(sweep, "resource", NULL));
    state_sweep_end(stage->states[0], subject, NULL);
  }
  json_decref(list);
}

/* Nobody ends the sweeps: however many ticks pass, each place is asked for once. */
static void test_coalesces(void **state) {
  (void)state;
  if (!redis_server_available()) skip();
  struct stage stage;
  stage_open(&stage, 2);
  int64_t deadline = clock_monotonic_ms() + PATIENCE_MS;
  while (count_sweeps(&stage) < 5 && clock_monotonic_ms() < deadline) clock_sleep_ms(100);
  clock_sleep_ms(2500);
  json_t *list = sweeps(&stage), *sweep;
  size_t i;
  assert_int_equal(json_array_size(list), 5); /* 3 places for the group, 2 accounts for the user */
  json_array_foreach(list, i, sweep) {
    assert_string_equal(json_text_at(sweep, "kind", NULL), "sweep");
    if (strcmp(json_text_at(sweep, "resource", NULL), "iam.user") == 0)
      assert_string_equal(json_text_at(sweep, "region", NULL), "us-east-1");
  }
  json_decref(list);
  stage_close(&stage);
}

/* Two collectors, sweeps that end at once: several ticks, none of them twice. */
static void test_one_emission(void **state) {
  (void)state;
  if (!redis_server_available()) skip();
  struct stage stage;
  stage_open(&stage, 2);
  int64_t deadline = clock_monotonic_ms() + PATIENCE_MS;
  while (count_sweeps(&stage) < 20 && clock_monotonic_ms() < deadline) {
    end_sweeps(&stage);
    clock_sleep_ms(50);
  }
  json_t *list = sweeps(&stage), *sweep, *seen = json_object(), *name;
  size_t i, j;
  assert_true(json_array_size(list) >= 20);
  json_array_foreach(list, i, sweep) json_array_foreach(json_object_get(sweep, "guardrails"), j, name) {
    char once[512];
    snprintf(once, sizeof once, "%s %s", json_text_at(sweep, "id", NULL), json_string_value(name));
    assert_null(json_object_get(seen, once)); /* this guardrail, this tick, this place: once */
    json_object_set_new(seen, once, json_true());
  }
  json_decref(seen);
  json_decref(list);
  stage_close(&stage);
}

/* Redis dies and comes back empty: told by readiness, joined anew, and ticks go on. */
static void test_redis_comes_back_empty(void **state) {
  (void)state;
  if (!redis_server_available()) skip();
  struct stage stage;
  char reason[1024];
  stage_open(&stage, 1);
  int64_t deadline = clock_monotonic_ms() + PATIENCE_MS;
  while (count_sweeps(&stage) < 5 && clock_monotonic_ms() < deadline) clock_sleep_ms(100);
  redis_server_kill(stage.redis);
  while (source_schedule.ready(stage.running[0], reason, sizeof reason) && clock_monotonic_ms() < deadline)
    clock_sleep_ms(50);
  assert_false(source_schedule.ready(stage.running[0], reason, sizeof reason));
  size_t before = count_sweeps(&stage);
  assert_int_equal(redis_server_again(stage.redis), 0);
  while (count_sweeps(&stage) < before + 5 && clock_monotonic_ms() < deadline) clock_sleep_ms(100);
  assert_true(count_sweeps(&stage) >= before + 5);
  while (!source_schedule.ready(stage.running[0], reason, sizeof reason) && clock_monotonic_ms() < deadline)
    clock_sleep_ms(50);
  assert_true(source_schedule.ready(stage.running[0], reason, sizeof reason));
  stage_close(&stage);
}
