#include "fixture.h"

#include <pthread.h>
#include <stdatomic.h>

static void put(struct state *state, const char *format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  json_t *exception = parse(text);
  OK(state_exception_put(state, exception, &error));
  json_decref(exception);
}

/* The id of the exception that covers the resource, "" for none. */
static const char *covering(struct state *state, const char *resource) {
  static _Thread_local char id[64];
  struct state_subject subject = {.guardrail = "ssh", .account = "1", .region = "r", .environment = "prod"};
  subject.resource = resource;
  json_t *exception = NULL;
  OK(state_exception_find(state, &subject, &exception, &error));
  const char *text = json_string_value(json_object_get(exception, "id"));
  snprintf(id, sizeof id, "%s", text ? text : "");
  json_decref(exception);
  return id;
}

static void test_bad_exceptions_are_refused(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  static const char *const rows[] = {"{}",
                                     "{\"id\":\"x\"}",
                                     "{\"expires\":1}",
                                     "{\"id\":\"\",\"expires\":1}",
                                     "{\"id\":\"x\",\"expires\":\"tomorrow\"}",
                                     "{\"id\":5,\"expires\":1}",
                                     "{\"id\":\"x\",\"expires\":1,\"starts\":\"soon\"}",
                                     "[]"};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    json_t *exception = parse(rows[i]);
    FAILS(state_exception_put(state, exception, &error), ERROR_INVALID, "argument");
    json_decref(exception);
  }
  ASK("0", server, "EXISTS", "parapet:v1:exceptions", "parapet:v1:exceptions:version");
  state_close(state);
}

static void test_changes_reach_every_process(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *one = joined_state(server, "one"), *two = joined_state(server, "two");
  assert_string_equal(covering(one, "sg-1"), "");
  assert_string_equal(covering(two, "sg-1"), "");
  put(one, "{\"id\":\"x\",\"resource\":\"sg-1\",\"expires\":\"2999-01-01T00:00:00Z\"}");
  assert_string_equal(covering(two, "sg-1"), "x");
  assert_string_equal(covering(two, "sg-2"), "");
  put(two, "{\"id\":\"y\",\"resource\":\"sg-2\",\"expires\":32472144000000}");
  assert_string_equal(covering(one, "sg-2"), "y");
  put(two, "{\"id\":\"x\",\"resource\":\"sg-3\",\"expires\":32472144000000}"); /* moved */
  assert_string_equal(covering(one, "sg-1"), "");
  int existed = 0;
  OK(state_exception_remove(one, "y", &existed, &error));
  assert_int_equal(existed, 1);
  OK(state_exception_remove(one, "y", &existed, &error));
  assert_int_equal(existed, 0);
  assert_string_equal(covering(two, "sg-2"), "");
  assert_string_equal(covering(two, "sg-3"), "x");
  assert_string_equal(covering(two, "sg-3"), "x");
  ASK("3", server, "HGET", "parapet:v1:exceptions:uses", "x");
  json_t *list = NULL;
  OK(state_exceptions(two, &list, &error));
  assert_int_equal(json_array_size(list), 1);
  json_decref(list);
  state_close(one);
  state_close(two);
}

static void test_expired_not_yet_and_history(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  int64_t now = clock_wall_ms(), day = 86400000;
  put(state, "{\"id\":\"old\",\"resource\":\"a\",\"expires\":%lld}", (long long)now - 1);
  put(state, "{\"id\":\"future\",\"resource\":\"b\",\"starts\":%lld,\"expires\":%lld}", (long long)now + day,
      (long long)now + 2 * day);
  put(state, "{\"id\":\"ancient\",\"resource\":\"c\",\"expires\":%lld}", (long long)now - 31 * day);
  assert_string_equal(covering(state, "a"), "");
  assert_string_equal(covering(state, "b"), "");
  assert_string_equal(covering(state, "c"), "");
  put(state, "{\"id\":\"now\",\"resource\":\"d\",\"expires\":%lld}", (long long)now + day);
  assert_string_equal(covering(state, "d"), "now");
  ASK("1", server, "HEXISTS", "parapet:v1:exceptions", "old"); /* history */
  ASK("0", server, "HEXISTS", "parapet:v1:exceptions", "ancient");
  ASK("", server, "ZSCORE", "parapet:v1:exceptions:changes", "ancient");
  state_close(state);
}

static int expired(struct state *state, const char *resource, int64_t grace_ms) {
  struct state_subject subject = {.guardrail = "ssh", .account = "1", .resource = resource, .grace_ms = grace_ms};
  json_t *exception = NULL;
  OK(state_exception_find(state, &subject, &exception, &error));
  int result = exception ? json_is_true(json_object_get(exception, "expired")) : -1;
  json_decref(exception);
  return result;
}

static void test_grace_after_the_end(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  long long now = clock_wall_ms();
  put(state, "{\"id\":\"over\",\"resource\":\"a\",\"expires\":%lld}", now - 3600000);
  put(state, "{\"id\":\"holds\",\"resource\":\"b\",\"expires\":%lld}", now + 3600000);
  assert_int_equal(expired(state, "a", 0), -1);
  assert_int_equal(expired(state, "a", 1800000), -1); /* the grace is over as well */
  assert_int_equal(expired(state, "a", 7200000), 1);
  assert_int_equal(expired(state, "b", 7200000), 0);
  put(state, "{\"id\":\"renewed\",\"resource\":\"a\",\"expires\":%lld}", now + 60000);
  assert_int_equal(expired(state, "a", 7200000), 0); /* one that holds goes before one that ended */
  state_close(state);
}

/* The ids to warn of, in one text. */
static const char *expiring(struct state *state, int64_t warn_ms, int64_t hold_ms) {
  static char ids[256];
  json_t *list = NULL, *one;
  size_t i;
  ids[0] = '\0';
  OK(state_exceptions_expiring(state, warn_ms, hold_ms, &list, &error));
  json_array_foreach(list, i, one) {
    strcat(ids, json_string_value(json_object_get(one, "id")));
    strcat(ids, " ");
  }
  json_decref(list);
  return ids;
}

static void test_each_end_is_warned_of_once(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *one = joined_state(server, "one"), *two = joined_state(server, "two");
  long long now = clock_wall_ms(), day = 86400000;
  put(one, "{\"id\":\"soon\",\"expires\":%lld}", now + day);
  put(one, "{\"id\":\"later\",\"expires\":%lld}", now + 9 * day);
  put(one, "{\"id\":\"gone\",\"expires\":%lld}", now + day);
  int existed;
  OK(state_exception_remove(one, "gone", &existed, &error));
  assert_string_equal(expiring(one, 3600000, 60000), "");
  assert_string_equal(expiring(one, 2 * day, 500), "soon ");
  assert_string_equal(expiring(two, 2 * day, 500), ""); /* the other has it */
  clock_sleep_ms(600);
  assert_string_equal(expiring(two, 2 * day, 60000), "soon "); /* and did not tell */
  OK(state_exception_warned(two, "soon", &error));
  assert_string_equal(expiring(one, 2 * day, 60000), "");
  put(two, "{\"id\":\"soon\",\"expires\":%lld}", now + 30 * day); /* renewed: another end, another warning */
  assert_string_equal(expiring(one, 2 * day, 60000), "");
  assert_string_equal(expiring(one, 31 * day, 60000), "later soon ");
  state_close(one);
  state_close(two);
}

static void test_thousands_come_in_pages(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a"), *other = joined_state(server, "b");
  for (int i = 0; i < 2000; i++) put(state, "{\"id\":\"e%d\",\"resource\":\"sg-%d\",\"expires\":32472144000000}", i, i);
  assert_string_equal(covering(other, "sg-0"), "e0");
  assert_string_equal(covering(other, "sg-1999"), "e1999");
  json_t *list = NULL;
  OK(state_exceptions(other, &list, &error));
  assert_int_equal(json_array_size(list), 2000);
  json_decref(list);
  for (int i = 0; i < 1001; i++) put(state, "{\"id\":\"e%d\",\"resource\":\"moved\",\"expires\":32472144000000}", i);
  assert_string_equal(covering(other, "sg-0"), "");
  assert_string_equal(covering(other, "sg-1000"), "");
  assert_string_equal(covering(other, "sg-1001"), "e1001");
  state_close(state);
  state_close(other);
}

static void test_an_emptied_redis_is_not_no_exceptions(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  struct state_subject subject = {.guardrail = "ssh", .account = "1", .resource = "sg-1"};
  json_t *exception = NULL;
  put(state, "{\"id\":\"x\",\"expires\":32472144000000}");
  assert_string_equal(covering(state, "sg-1"), "x");
  ASK("OK", server, "FLUSHALL");
  FAILS(state_exception_find(state, &subject, &exception, &error), ERROR_FATAL, "epoch");
  assert_null(exception);
  /* rebuilt, with one that this process never saw, at a version that it saw before */
  assert_int_equal(state_epoch_join(state, NULL), 0);
  json_t *record = parse("{\"id\":\"y\",\"expires\":32472144000000}");
  OK(state_rebuild(state, "exception", "y", record, &error));
  json_decref(record);
  OK(state_epoch_create(state, &error));
  assert_string_equal(covering(state, "sg-1"), "y");
  state_close(state);
}

static void test_a_redis_that_went_back_closes_the_gates(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  struct state_subject subject = {.guardrail = "ssh", .account = "1", .resource = "sg-1"};
  json_t *exception = NULL;
  put(state, "{\"id\":\"x\",\"expires\":32472144000000}");
  put(state, "{\"id\":\"y\",\"expires\":32472144000000}");
  assert_string_not_equal(covering(state, "sg-1"), "");
  ASK("1", server, "DECR", "parapet:v1:exceptions:version"); /* as an older snapshot has it */
  FAILS(state_exception_find(state, &subject, &exception, &error), ERROR_FATAL, "epoch");
  ASK("0", server, "EXISTS", "parapet:v1:epoch");
  state_close(state);
}

static void test_planted_records_are_errors_not_absence(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  struct state_subject subject = {.guardrail = "ssh", .account = "1", .resource = "sg-1"};
  json_t *exception = NULL;
  put(state, "{\"id\":\"x\",\"expires\":32472144000000}");
  ASK("0", server, "HSET", "parapet:v1:exceptions", "x", "not JSON");
  FAILS(state_exception_find(state, &subject, &exception, &error), ERROR_FATAL, "record");
  FAILS(state_exceptions(state, &exception, &error), ERROR_FATAL, "record");
  put(state, "{\"id\":\"x\",\"expires\":32472144000000}"); /* put right */
  assert_string_equal(covering(state, "sg-1"), "x");
  state_close(state);
}

struct reader {
  struct state *state;
  atomic_int *stop;
  int wrong;
};

static void *read_on(void *argument) {
  struct reader *reader = argument;
  while (!atomic_load(reader->stop)) {
    struct state_subject subject = {.guardrail = "ssh", .account = "1", .resource = "always"};
    struct error error = {0};
    json_t *exception = NULL;
    if (state_exception_find(reader->state, &subject, &exception, &error) || !exception) reader->wrong++;
    json_decref(exception);
  }
  return NULL;
}

static void test_readers_never_miss_while_others_change(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a"), *writer = joined_state(server, "b");
  put(writer, "{\"id\":\"x\",\"resource\":\"always\",\"expires\":32472144000000}");
  atomic_int stop = 0;
  struct reader readers[4];
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) {
    readers[i] = (struct reader){state, &stop, 0};
    assert_int_equal(pthread_create(&threads[i], NULL, read_on, &readers[i]), 0);
  }
  for (int i = 0; i < 200; i++)
    put(writer, "{\"id\":\"e%d\",\"resource\":\"r%d\",\"expires\":32472144000000}", i % 50, i);
  atomic_store(&stop, 1);
  for (int i = 0; i < 4; i++) {
    pthread_join(threads[i], NULL);
    assert_int_equal(readers[i].wrong, 0);
  }
  state_close(state);
  state_close(writer);
}
