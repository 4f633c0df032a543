#include "fixture.h"

static void test_workers_that_fall_silent_are_not_listed(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "host:1:x");
  json_t *lively = parse("{\"owner\":\"w1\",\"ready\":true}"), *silent = parse("{\"owner\":\"w2\"}"),
         *plain = parse("{}");
  FAILS(state_heartbeat(state, NULL, 1000, &error), ERROR_INVALID, "argument");
  FAILS(state_heartbeat(state, lively, 0, &error), ERROR_INVALID, "argument");
  OK(state_heartbeat(state, lively, 60000, &error));
  OK(state_heartbeat(state, silent, 20, &error));
  OK(state_heartbeat(state, plain, 60000, &error)); /* known by the handle's owner */
  clock_sleep_ms(50);
  json_t *list = NULL;
  OK(state_workers(state, &list, &error));
  assert_int_equal(json_array_size(list), 2);
  json_decref(list);
  ASK("3", server, "HLEN", "parapet:v1:workers");
  OK(state_heartbeat(state, lively, 60000, &error)); /* sweeps */
  ASK("2", server, "HLEN", "parapet:v1:workers");
  ASK("1", server, "HEXISTS", "parapet:v1:workers", "host:1:x");
  json_decref(lively);
  json_decref(silent);
  json_decref(plain);
  state_close(state);
}

static void test_counters(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  char name[256];
  memset(name, 'n', sizeof name);
  name[129] = '\0';
  FAILS(state_count(state, name, 1, &error), ERROR_INVALID, "argument");
  FAILS(state_count(state, NULL, 1, &error), ERROR_INVALID, "argument");
  OK(state_count(state, "fixed", 2, &error));
  OK(state_count(state, "fixed", 3, &error));
  OK(state_count(state, "parked", -1, &error));
  json_t *counters = NULL, *expected = parse("{\"fixed\":5,\"parked\":-1}");
  OK(state_counters(state, &counters, &error));
  assert_true(json_equal(counters, expected));
  json_decref(counters);
  json_decref(expected);
  state_close(state);
}

static void test_intents(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  json_t *intent = parse("{\"run\":\"r1\",\"action\":\"a-1\"}"), *got = NULL;
  struct state_lease lease;
  assert_int_equal(state_lease_take(state, "sg-1", 60000, &lease, NULL), 1);
  FAILS(state_intent_put(state, "ssh|sg-1", NULL, &lease, &error), ERROR_INVALID, "argument");
  FAILS(state_intent_put(state, "", intent, &lease, &error), ERROR_INVALID, "argument");
  OK(state_intent_get(state, "ssh|sg-1", &got, &error));
  assert_null(got);
  OK(state_intent_put(state, "ssh|sg-1", intent, &lease, &error));
  OK(state_intent_get(state, "ssh|sg-1", &got, &error));
  assert_true(json_equal(got, intent));
  json_decref(got);
  OK(state_intents(state, &got, &error));
  json_t *expected = json_pack("[{s:s, s:O}]", "subject", "ssh|sg-1", "intent", intent);
  assert_true(json_equal(got, expected));
  json_decref(expected);
  json_decref(got);
  OK(state_intent_drop(state, "ssh|sg-1", "a-0", &error)); /* an action of before: not the one that is open */
  OK(state_intents(state, &got, &error));
  assert_int_equal(json_array_size(got), 1);
  json_decref(got);
  OK(state_intent_drop(state, "ssh|sg-1", "a-1", &error));
  OK(state_intent_drop(state, "ssh|sg-1", NULL, &error));
  OK(state_intents(state, &got, &error));
  assert_int_equal(json_array_size(got), 0);
  json_decref(got);
  json_decref(intent);
  state_close(state);
}

/* A worker that slept past its lease writes nothing over what its successor began, and ends nothing of it. */
static void test_a_stale_token_writes_no_intent(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *one = joined_state(server, "one"), *two = joined_state(server, "two");
  struct state_lease stale, fresh;
  json_t *first = parse("{\"action\":\"a-1\"}"), *second = parse("{\"action\":\"a-2\"}"), *got = NULL;
  assert_int_equal(state_lease_take(one, "sg-1", 500, &stale, NULL), 1);
  OK(state_intent_put(one, "ssh|sg-1", first, &stale, &error));
  clock_sleep_ms(600);
  FAILS(state_intent_put(one, "ssh|sg-1", first, &stale, &error), ERROR_RETRYABLE, "LEASE"); /* nobody's now */
  assert_int_equal(state_lease_take(two, "sg-1", 60000, &fresh, NULL), 1);
  OK(state_intent_put(two, "ssh|sg-1", second, &fresh, &error));
  FAILS(state_intent_put(one, "ssh|sg-1", first, &stale, &error), ERROR_RETRYABLE, "LEASE");
  FAILS(state_intent_put(one, "ssh|sg-1", first, &fresh, &error), ERROR_RETRYABLE, "LEASE"); /* another's token */
  OK(state_intent_drop(one, "ssh|sg-1", "a-1", &error));
  OK(state_intent_get(two, "ssh|sg-1", &got, &error));
  assert_true(json_equal(got, second));
  json_decref(got);
  json_decref(first);
  json_decref(second);
  state_close(one);
  state_close(two);
}
