/* Reads of many resources as one call: who gets what, from which call, over a small EC2 behind the transport. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aws/fake.h"
#include "base/buffer.h"
#include "base/pool.h"
#include "engine/gather.h"
#include "engine/live.h"

#include <cmocka.h>

enum { FIRST = 2, OTHERS = 24, READERS = FIRST + OTHERS, PATIENCE_MS = 20000, MOST_IDS = 10, IDS = 128 };

static const char resource_file[] =
    "resource: ec2.security-group\nscope: region\nid: GroupId\narn: \"arn:${$account}:${$id}\"\n"
    "list: {call: ec2.DescribeSecurityGroups, items: SecurityGroups}\n"
    "get: {call: ec2.DescribeSecurityGroups, with: {GroupIds: [\"${$id}\"]}, items: SecurityGroups, absent: "
    "[InvalidGroup.NotFound], together: 10}\n"
    "context:\n"
    "  interfaces: {call: ec2.DescribeNetworkInterfaces, with: {Filters: [{Name: group-id, Values: [\"${$id}\"]}]}, "
    "items: NetworkInterfaces, by: \"Groups[].GroupId\", together: 10}\n";

/* ---- a small EC2 ---- */
enum trouble { NO_TROUBLE, THROTTLES, DENIES_MANY };

struct cloud { /* an answer is of the moment at which its call came, however late it is given */
  struct fake fake;
  struct aws_client *client;
  struct gather *gather;
  struct bundle *bundle;
  pthread_mutex_t lock; /* guards what follows */
  pthread_cond_t released;
  int held; /* calls stay in the air until they are released */
  int in_the_air, calls, ids;
  size_t most_ids;
  const char *says, *gone;
  enum trouble trouble;
};

/* The values of the parameters NAME.1, NAME.2 …, in the request's body. */
static size_t values_of(const char *body, const char *name, char values[IDS][32]) {
  char key[64];
  size_t count = 0;
  for (; count < IDS; count++) {
    snprintf(key, sizeof key, "&%s.%zu=", name, count + 1);
    const char *at = strstr(body, key);
    if (!at) break;
    sscanf(at + strlen(key), "%31[a-z0-9-]", values[count]);
  }
  return count;
}

static int holds(char values[IDS][32], size_t count, const char *id) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(values[i], id) == 0) return 1;
  return 0;
}

static void say_groups(struct buffer *text, const struct cloud *cloud, char ids[IDS][32], size_t count) {
  buffer_add_text(text, "<DescribeSecurityGroupsResponse><securityGroupInfo>");
  for (size_t i = 0; i < count; i++)
    buffer_addf(text, "<item><groupId>%s</groupId><groupDescription>%s</groupDescription></item>", ids[i], cloud->says);
  buffer_add_text(text, "</securityGroupInfo></DescribeSecurityGroupsResponse>");
}

/* Interface n is in the groups n and n + 1, and says the first one twice. */
static void say_interfaces(struct buffer *text, char ids[IDS][32], size_t count) {
  buffer_add_text(text, "<DescribeNetworkInterfacesResponse><networkInterfaceSet>");
  for (int n = 0; n < READERS; n++) {
    char first[32], second[32];
    snprintf(first, sizeof first, "sg-%d", n);
    snprintf(second, sizeof second, "sg-%d", n + 1);
    if (!holds(ids, count, first) && !holds(ids, count, second)) continue;
    buffer_addf(text,
                "<item><networkInterfaceId>eni-%d</networkInterfaceId><groupSet><item><groupId>%s</groupId></item>"
                "<item><groupId>%s</groupId></item><item><groupId>%s</groupId></item></groupSet></item>",
                n, first, second, first);
  }
  buffer_add_text(text, "</networkInterfaceSet></DescribeNetworkInterfacesResponse>");
}

static int failure(struct buffer *text, int status, const char *code) {
  buffer_addf(text, "<Response><Errors><Error><Code>%s</Code><Message>no</Message></Error></Errors></Response>", code);
  return status;
}

/* Returns the status. */
static int answer(struct cloud *cloud, const char *body, struct buffer *text) {
  char ids[IDS][32];
  int groups = strstr(body, "Action=DescribeSecurityGroups&") != NULL;
  size_t count = values_of(body, groups ? "GroupId" : "Filter.1.Value", ids);
  cloud->calls++;
  cloud->ids += (int)count;
  if (count > cloud->most_ids) cloud->most_ids = count;
  if (cloud->trouble == THROTTLES) return failure(text, 503, "RequestLimitExceeded");
  if (cloud->trouble == DENIES_MANY && count > 1) return failure(text, 403, "UnauthorizedOperation");
  if (groups && cloud->gone && holds(ids, count, cloud->gone)) return failure(text, 400, "InvalidGroup.NotFound");
  if (groups)
    say_groups(text, cloud, ids, count);
  else
    say_interfaces(text, ids, count);
  return 200;
}

static int perform(void *context, const struct aws_http_request *request, struct aws_http_response *response,
                   struct error *error) {
  struct cloud *cloud = context;
  struct buffer text = {0};
  char body[8192];
  snprintf(body, sizeof body, "&%.*s", (int)request->body_length, request->body);
  if (strstr(body, "Action=AssumeRole&")) return fake_perform(&cloud->fake, request, response, error);
  pthread_mutex_lock(&cloud->lock);
  int status = answer(cloud, body, &text);
  cloud->in_the_air++;
  while (cloud->held) pthread_cond_wait(&cloud->released, &cloud->lock);
  cloud->in_the_air--;
  pthread_mutex_unlock(&cloud->lock);
  usleep(2000);
  *response =
      (struct aws_http_response){.status = status, .body = strdup(buffer_text(&text)), .body_length = text.length};
  buffer_free(&text);
  return 0;
}

static struct bundle *load(struct aws_client *client) {
  char directory[] = "/tmp/parapet-test-XXXXXX", path[64];
  struct error error = {0};
  assert_non_null(mkdtemp(directory));
  snprintf(path, sizeof path, "%s/group.yaml", directory);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fputs(resource_file, file);
  fclose(file);
  struct bundle *bundle = bundle_load(directory, client, &error);
  assert_int_equal(unlink(path), 0);
  assert_int_equal(rmdir(directory), 0);
  assert_non_null(bundle);
  if (json_array_size(bundle->refused) > 0) fail_msg("%s", json_string_value(json_array_get(bundle->refused, 0)));
  return bundle;
}

static void cloud_open(struct cloud *cloud) {
  struct error error = {0};
  *cloud = (struct cloud){.says = "old"};
  cloud->fake = (struct fake){.assume = assume_ok, .session_life_s = 3600, .chance = 0.5};
  fake_environment();
  pthread_mutex_init(&cloud->fake.lock, NULL);
  pthread_mutex_init(&cloud->lock, NULL);
  pthread_cond_init(&cloud->released, NULL);
  atomic_store(&cloud->fake.monotonic_ms, 1000000);
  atomic_store(&cloud->fake.wall_ms, FAKE_START);
  struct aws_transport transport = {.perform = perform, .context = cloud};
  struct aws_options options = {.models = fake_models(), .transport = &transport, .hub_region = "eu-west-1"};
  struct aws_hooks hooks = {.monotonic_ms = fake_monotonic,
                            .wall_ms = fake_wall,
                            .sleep_ms = fake_sleep,
                            .random = fake_random,
                            .context = &cloud->fake,
                            .no_thread = 1};
  cloud->client = aws_open_with(&options, &hooks, &error);
  if (!cloud->client) fail_msg("%s", error.message);
  cloud->gather = gather_open(NULL);
  assert_non_null(cloud->gather);
  cloud->bundle = load(cloud->client);
}

static void cloud_close(struct cloud *cloud) {
  bundle_drop(cloud->bundle);
  gather_close(cloud->gather);
  aws_close(cloud->client);
  pthread_cond_destroy(&cloud->released);
  pthread_mutex_destroy(&cloud->lock);
  pthread_mutex_destroy(&cloud->fake.lock);
}

static void hold(struct cloud *cloud, int held) {
  pthread_mutex_lock(&cloud->lock);
  cloud->held = held;
  pthread_cond_broadcast(&cloud->released);
  pthread_mutex_unlock(&cloud->lock);
}

/* ---- who reads ---- */
struct asking {
  struct cloud *cloud;
  pthread_t thread;
  struct place place;
  const struct aws_role *role;
  int64_t deadline_ms;
  enum pool_lane lane;
  unsigned char wanted[8];
  char id[32];
  struct live *live;
  int found;
  struct error error;
};

static void *read_one(void *argument) {
  struct asking *asking = argument;
  struct reader reader = {.client = asking->cloud->client,
                          .role = asking->role,
                          .deadline_ms = asking->deadline_ms,
                          .gather = asking->cloud->gather};
  pool_lane_set(asking->lane);
  asking->live = live_get(&reader, &asking->place, bundle_resource(asking->cloud->bundle, "ec2.security-group"),
                          asking->id, asking->wanted, &asking->found, &asking->error);
  aws_thread_end();
  return NULL;
}

static void start(struct asking *asking, struct cloud *cloud, int number, int with_interfaces) {
  *asking = (struct asking){.cloud = cloud,
                            .place = {.account = "111111111111",
                                      .region = "eu-west-1",
                                      .environment = "prod",
                                      .unit = "u",
                                      .partition = "aws"},
                            .lane = POOL_LANE_EVENT,
                            .wanted = {(unsigned char)with_interfaces}};
  snprintf(asking->id, sizeof asking->id, "sg-%d", number);
}

static void go(struct asking *asking) { assert_int_equal(pthread_create(&asking->thread, NULL, read_one, asking), 0); }

static void await(struct cloud *cloud, int in_the_air, size_t waiting) {
  int now = -1;
  for (int64_t end = clock_monotonic_ms() + PATIENCE_MS; clock_monotonic_ms() < end; usleep(1000)) {
    pthread_mutex_lock(&cloud->lock);
    now = cloud->in_the_air;
    pthread_mutex_unlock(&cloud->lock);
    if (now == in_the_air && gather_waiting(cloud->gather) == waiting) return;
  }
  fail_msg("%d calls are in the air and %zu wait, not %d and %zu", now, gather_waiting(cloud->gather), in_the_air,
           waiting);
}

/* Two calls in the air, and all the others waiting behind them. */
static void begin_storm(struct cloud *cloud, struct asking asking[READERS], int with_interfaces) {
  hold(cloud, 1);
  for (int i = 0; i < READERS; i++) {
    start(&asking[i], cloud, i, with_interfaces);
    go(&asking[i]);
    if (i == FIRST - 1) await(cloud, FIRST, 0);
  }
  await(cloud, FIRST, OTHERS);
}

static void end_storm(struct cloud *cloud, struct asking asking[READERS]) {
  hold(cloud, 0);
  for (int i = 0; i < READERS; i++) pthread_join(asking[i].thread, NULL);
}

static void free_storm(struct asking asking[READERS]) {
  for (int i = 0; i < READERS; i++) live_free(asking[i].live);
}

static void assert_read(const struct asking *asking, const char *says) {
  if (!asking->live) fail_msg("%s: %d, %s", asking->id, asking->found, asking->error.message);
  assert_int_equal(asking->found, 1);
  assert_string_equal(json_string_value(asking->live->id), asking->id);
  assert_string_equal(json_text_at(asking->live->item, "Description", NULL), says);
}

/* ---- tests ---- */
static void test_each_gets_its_own_in_few_calls(void **state) {
  (void)state;
  struct cloud cloud;
  struct asking asking[READERS];
  cloud_open(&cloud);
  begin_storm(&cloud, asking, 1);
  end_storm(&cloud, asking);
  for (int i = 0; i < READERS; i++) {
    assert_read(&asking[i], "old");
    const json_t *interfaces = asking[i].live->contexts[0];
    char first[32], last[32];
    snprintf(first, sizeof first, "eni-%d", i > 0 ? i - 1 : i);
    snprintf(last, sizeof last, "eni-%d", i);
    assert_int_equal(json_array_size(interfaces), i > 0 ? 2 : 1); /* what is in several groups is in each of them */
    assert_string_equal(json_text_at(json_array_get(interfaces, 0), "NetworkInterfaceId", NULL), first);
    assert_string_equal(json_text_at(json_array_get(interfaces, i > 0), "NetworkInterfaceId", NULL), last);
  }
  assert_int_equal(cloud.ids, 2 * READERS); /* nobody was asked for twice */
  assert_int_equal(cloud.most_ids, MOST_IDS);
  assert_in_range(cloud.calls, 2 * READERS / MOST_IDS, READERS);
  free_storm(asking);
  cloud_close(&cloud);
}

static void test_the_same_one_is_asked_for_once_and_shared_by_none(void **state) {
  (void)state;
  struct cloud cloud;
  struct asking asking[READERS];
  cloud_open(&cloud);
  hold(&cloud, 1);
  for (int i = 0; i < FIRST + 4; i++) {
    start(&asking[i], &cloud, 7, 1);
    go(&asking[i]);
    if (i == FIRST - 1) await(&cloud, FIRST, 0);
  }
  await(&cloud, FIRST, 4);
  hold(&cloud, 0);
  for (int i = 0; i < FIRST + 4; i++) pthread_join(asking[i].thread, NULL);
  assert_int_equal(cloud.most_ids, 1);
  for (int i = 0; i < FIRST + 4; i++) {
    assert_read(&asking[i], "old");
    assert_int_equal(json_array_size(asking[i].live->contexts[0]), 2);
    for (int k = 0; k < i; k++) assert_ptr_not_equal(asking[i].live->contexts[0], asking[k].live->contexts[0]);
  }
  for (int i = 0; i < FIRST + 4; i++) live_free(asking[i].live);
  cloud_close(&cloud);
}

/* A read under a lease, or after a fix, must not see what was before it. */
static void test_an_answer_is_never_older_than_the_question(void **state) {
  (void)state;
  struct cloud cloud;
  struct asking asking[READERS];
  cloud_open(&cloud);
  begin_storm(&cloud, asking, 0);
  pthread_mutex_lock(&cloud.lock);
  cloud.says = "new";
  pthread_mutex_unlock(&cloud.lock);
  end_storm(&cloud, asking);
  for (int i = 0; i < READERS; i++) assert_read(&asking[i], i < FIRST ? "old" : "new");
  free_storm(asking);
  cloud_close(&cloud);
}

static void test_what_is_gone_is_gone_alone(void **state) {
  (void)state;
  struct cloud cloud;
  struct asking asking[READERS];
  cloud_open(&cloud);
  cloud.gone = "sg-9";
  begin_storm(&cloud, asking, 1);
  end_storm(&cloud, asking);
  for (int i = 0; i < READERS; i++) {
    if (i != 9) assert_read(&asking[i], "old");
    assert_int_equal(asking[i].found, i != 9);
    assert_int_equal(asking[i].error.class, ERROR_NONE);
  }
  assert_null(asking[9].live);
  free_storm(asking);
  cloud_close(&cloud);
}

/* Nobody answers being throttled with more calls. */
static void test_throttling_is_everybodys(void **state) {
  (void)state;
  struct cloud cloud;
  struct asking asking[READERS];
  cloud_open(&cloud);
  begin_storm(&cloud, asking, 0);
  pthread_mutex_lock(&cloud.lock);
  cloud.trouble = THROTTLES;
  pthread_mutex_unlock(&cloud.lock);
  end_storm(&cloud, asking);
  for (int i = FIRST; i < READERS; i++) {
    assert_null(asking[i].live);
    assert_int_equal(asking[i].found, -1);
    assert_int_equal(asking[i].error.class, ERROR_THROTTLED);
  }
  /* three attempts of each call: those in the air, and enough for the others, of whom each of two may lead one */
  assert_in_range(cloud.calls, FIRST + 3, FIRST + 3 * (OTHERS / MOST_IDS + 2));
  free_storm(asking);
  cloud_close(&cloud);
}

static void test_what_is_denied_together_is_asked_alone(void **state) {
  (void)state;
  struct cloud cloud;
  struct asking asking[READERS];
  cloud_open(&cloud);
  cloud.trouble = DENIES_MANY;
  begin_storm(&cloud, asking, 1);
  end_storm(&cloud, asking);
  for (int i = 0; i < READERS; i++) {
    assert_read(&asking[i], "old");
    assert_int_equal(json_array_size(asking[i].live->contexts[0]), i > 0 ? 2 : 1);
  }
  free_storm(asking);
  cloud_close(&cloud);
}

/* Two calls of a question are in the air: who asks another one does not wait for them. */
static void test_another_question_goes_at_once(void **state) {
  (void)state;
  static const struct aws_role role = {.name = "reader", .external_id = "known-to-both"}, other = {.name = "reader"};
  const struct row {
    const char *account, *region;
    const struct aws_role *role;
    int64_t left_ms; /* 0: no deadline of its own */
    enum pool_lane lane;
  } rows[] = {
      {"111111111111", "us-east-1", NULL, 0, POOL_LANE_EVENT},    /* another Region */
      {"222222222222", "eu-west-1", NULL, 0, POOL_LANE_EVENT},    /* another account */
      {"111111111111", "eu-west-1", &role, 0, POOL_LANE_EVENT},   /* other credentials … */
      {"111111111111", "eu-west-1", &other, 0, POOL_LANE_EVENT},  /* … and others again */
      {"111111111111", "eu-west-1", NULL, 5000, POOL_LANE_EVENT}, /* in its own time */
      {"111111111111", "eu-west-1", NULL, 0, POOL_LANE_COMMAND},  /* another lane's budget */
  };
  enum { ROWS = sizeof rows / sizeof *rows };
  struct cloud cloud;
  struct asking asking[FIRST + ROWS];
  cloud_open(&cloud);
  hold(&cloud, 1);
  for (int i = 0; i < FIRST + ROWS; i++) {
    start(&asking[i], &cloud, i, 0);
    if (i >= FIRST) {
      const struct row *row = &rows[i - FIRST];
      asking[i].place.account = row->account;
      asking[i].place.region = row->region;
      asking[i].role = row->role;
      asking[i].lane = row->lane;
      asking[i].deadline_ms = row->left_ms ? aws_client_now(cloud.client) + row->left_ms : 0;
    }
    go(&asking[i]);
    await(&cloud, i + 1, 0);
  }
  hold(&cloud, 0);
  for (int i = 0; i < FIRST + ROWS; i++) {
    pthread_join(asking[i].thread, NULL);
    assert_read(&asking[i], "old");
    live_free(asking[i].live);
  }
  cloud_close(&cloud);
}

/* Many threads that read again and again: nobody is forgotten. */
enum { ROUNDS = 20, CROWD = 16 };
static void *read_often(void *argument) {
  struct asking *asking = argument;
  for (int i = 0; i < ROUNDS; i++) {
    live_free(asking->live);
    asking->live = NULL;
    read_one(asking);
    if (!asking->live || json_array_size(asking->live->contexts[0]) == 0) return NULL;
  }
  asking->found = ROUNDS;
  return NULL;
}

static void test_nobody_is_forgotten(void **state) {
  (void)state;
  struct cloud cloud;
  struct asking asking[CROWD];
  cloud_open(&cloud);
  for (int i = 0; i < CROWD; i++) {
    start(&asking[i], &cloud, i, 1);
    assert_int_equal(pthread_create(&asking[i].thread, NULL, read_often, &asking[i]), 0);
  }
  for (int i = 0; i < CROWD; i++) {
    pthread_join(asking[i].thread, NULL);
    assert_int_equal(asking[i].found, ROUNDS);
    live_free(asking[i].live);
  }
  assert_in_range(cloud.calls, 1, CROWD * ROUNDS); /* half of what it would be alone */
  assert_int_equal(gather_waiting(cloud.gather), 0);
  cloud_close(&cloud);
}
