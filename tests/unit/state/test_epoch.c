#include "fixture.h"

static void test_nothing_works_before_joining(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = open_state(server->url, "a");
  int seen = 0;
  FAILS(state_seen(state, "e", &seen, &error), ERROR_FATAL, "epoch");
  FAILS(state_stop_set(state, NULL, &error), ERROR_FATAL, "epoch");
  FAILS(state_count(state, "n", 1, &error), ERROR_FATAL, "epoch");
  FAILS(state_epoch_create(state, &error), ERROR_FATAL, "epoch"); /* without the lock */
  FAILS(state_rebuild(state, "stop", "", NULL, &error), ERROR_FATAL, "epoch");
  OK(state_check(state, &error)); /* which is asked before */
  ASK("parapet:v1:probe", server, "KEYS", "*");
  state_close(state);
}

static void test_one_rebuilds_the_others_wait(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *one = open_state(server->url, "same name"), *two = open_state(server->url, "same name");
  assert_int_equal(state_epoch_join(one, NULL), 0);
  assert_int_equal(state_epoch_join(one, NULL), 0); /* asked again: still mine */
  FAILS(state_epoch_join(two, &error), ERROR_RETRYABLE, "rebuilding");
  FAILS(state_rebuild(two, "stop", "", NULL, &error), ERROR_FATAL, "epoch");
  FAILS(state_epoch_create(two, &error), ERROR_FATAL, "epoch");
  OK(state_rebuild(one, "stop", "", NULL, &error));
  OK(state_epoch_create(one, &error));
  FAILS(state_rebuild(one, "stop", "", NULL, &error), ERROR_FATAL, "epoch"); /* over */
  assert_int_equal(state_epoch_join(two, NULL), 1);
  OK(state_count(one, "n", 1, &error));
  OK(state_count(two, "n", 1, &error));
  ASK("0", server, "EXISTS", "parapet:v1:rebuild");
  ASK("-1", server, "PTTL", "parapet:v1:epoch");
  state_close(one);
  state_close(two);
}

static void test_a_rebuilder_that_died_is_followed(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *one = open_state(server->url, "one"), *two = open_state(server->url, "two");
  assert_int_equal(state_epoch_join(one, NULL), 0);
  ASK("1", server, "PEXPIRE", "parapet:v1:rebuild", "1000");
  OK(state_rebuild(one, "stop", "", NULL, &error)); /* progress prolongs the lock */
  char *left = redis_server_ask(server, "PTTL", "parapet:v1:rebuild", NULL);
  assert_true(atoi(left) > 30000);
  free(left);
  ASK("1", server, "DEL", "parapet:v1:rebuild"); /* as when its time is over */
  assert_int_equal(state_epoch_join(two, NULL), 0);
  FAILS(state_rebuild(one, "stop", "", NULL, &error), ERROR_FATAL, "epoch");
  FAILS(state_epoch_create(one, &error), ERROR_FATAL, "epoch");
  OK(state_epoch_create(two, &error));
  assert_int_equal(state_epoch_join(one, NULL), 1);
  state_close(one);
  state_close(two);
}

static void test_an_epoch_that_changed_closes_everything(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  char *epoch = redis_server_ask(server, "GET", "parapet:v1:epoch", NULL), another[128];
  snprintf(another, sizeof another, "another%s", strchr(epoch, '@')); /* of this server: somebody rebuilt it */
  free(epoch);
  ASK("OK", server, "SET", "parapet:v1:epoch", another);
  json_t *value = NULL;
  struct state_lease lease = {.resource = "r", .token = 1};
  char why[32];
  FAILS(state_lease_take(state, "r", 1000, &lease, &error), ERROR_FATAL, "epoch");
  snprintf(lease.resource, sizeof lease.resource, "r");
  FAILS(state_may_mutate(state, &lease, 1000, why, &error), ERROR_FATAL, "epoch");
  FAILS(state_intents(state, &value, &error), ERROR_FATAL, "epoch");
  FAILS(state_parked_take(state, 1, 1000, &value, &error), ERROR_FATAL, "epoch");
  FAILS(state_counters(state, &value, &error), ERROR_FATAL, "epoch");
  assert_int_equal(state_epoch_join(state, NULL), 1);
  OK(state_counters(state, &value, &error));
  json_decref(value);
  state_close(state);
}

static void test_rebuild_puts_everything_back(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = open_state(server->url, "a");
  assert_int_equal(state_epoch_join(state, NULL), 0);
  static const struct {
    const char *kind, *id, *value;
  } records[] = {
      {"stop", "", "{\"by\":\"me\"}"},
      {"exception", "x", "{\"id\":\"x\",\"expires\":32472144000000}"},
      {"exception", "gone", "{\"id\":\"gone\",\"expires\":32472144000000}"},
      {"exception", "gone", NULL},
      {"exception", "never there", NULL},
      {"breaker", "ssh/1",
       "{\"state\":\"open\",\"by\":\"limit\",\"reason\":\"r\",\"limit\":20,\"window_ms\":1000,\"opened\":5}"},
      {"breaker", "ssh/2", "{\"state\":\"held\"}"},
      {"breaker", "ssh/2", NULL},
      {"parked", "ssh|a", "{\"unit\":{\"n\":1},\"due\":0,\"released\":false}"},
      {"parked", "ssh|b", "{\"unit\":{\"n\":2},\"due\":7,\"released\":true}"},
      {"parked", "ssh|c", "{\"unit\":{\"n\":3},\"due\":8,\"released\":false}"},
      {"parked", "ssh|c", NULL},
      {"intent", "ssh|a", "{\"i\":1}"},
      {"baseline", "revert|a", "{\"items\":{}}"},
      {"baseline", "revert|a", "{\"items\":{\"r\":[]}}"}, /* whatever is there */
      {"baseline", "revert|b", NULL},
      {"finding", "f", "{\"id\":\"f\",\"status\":\"open\"}"},
      {"grant", "a-1", "{\"at\":4000000000000,\"scopes\":[\"ssh/1\",\"organization\"]}"},
      {"grant", "a-1", "{\"at\":5000000000000,\"scopes\":[\"ssh/1\"]}"}, /* known already */
  };
  for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
    json_t *value = records[i].value ? parse(records[i].value) : NULL;
    OK(state_rebuild(state, records[i].kind, records[i].id, value, &error));
    json_decref(value);
  }
  FAILS(state_rebuild(state, "poem", "x", NULL, &error), ERROR_INVALID, "kind");
  json_t *bad = parse("{\"state\":\"ajar\"}");
  FAILS(state_rebuild(state, "breaker", "x", bad, &error), ERROR_INVALID, "argument");
  json_decref(bad);
  bad = parse("{\"at\":1,\"scopes\":[]}");
  FAILS(state_rebuild(state, "grant", "a", bad, &error), ERROR_INVALID, "argument");
  json_decref(bad);
  OK(state_epoch_create(state, &error));

  json_t *list = NULL;
  int64_t total = 0;
  OK(state_stop_get(state, &list, &error));
  assert_non_null(list);
  json_decref(list);
  OK(state_exceptions(state, &list, &error));
  assert_int_equal(json_array_size(list), 1);
  json_decref(list);
  OK(state_breakers(state, &list, &error));
  assert_int_equal(json_array_size(list), 1);
  assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "opened")), 5);
  json_decref(list);
  OK(state_parked(state, &list, 10, &total, &error));
  json_t *expected = parse(
      "[{\"subject\":\"ssh|b\",\"unit\":{\"n\":2},\"due\":7,\"released\":true},"
      "{\"subject\":\"ssh|a\",\"unit\":{\"n\":1},\"due\":0,\"released\":false}]");
  assert_true(json_equal(list, expected));
  assert_int_equal(total, 2);
  ASK("4000000000000", server, "ZSCORE", "parapet:v1:window:ssh/1", "a-1");
  ASK("1", server, "ZCARD", "parapet:v1:window:organization");
  json_decref(list);
  json_decref(expected);
  OK(state_intents(state, &list, &error));
  assert_int_equal(json_array_size(list), 1);
  json_decref(list);
  OK(state_baseline_get(state, "revert|a", &list, &total, &error));
  assert_int_equal(json_object_size(json_object_get(list, "items")), 1);
  json_decref(list);
  state_close(state);
}
