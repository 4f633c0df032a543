#include "fixture.h"

#define MINUTE 60000

static void add(struct state *state, const char *key, const char *outcome, int number, int64_t window) {
  json_t *notice = json_pack("{s:s, s:i}", "outcome", outcome, "n", number);
  OK(state_notice_add(state, key, notice, window, &error));
  json_decref(notice);
}

static json_t *take(struct state *state, int64_t hold) {
  json_t *digest = NULL;
  OK(state_notice_take(state, hold, &digest, &error));
  return digest;
}

static int64_t number_at(const json_t *value, const char *name) {
  return json_integer_value(json_object_get(value, name));
}

static void test_bad_arguments(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  json_t *notice = parse("{}"), *digest = NULL;
  FAILS(state_notice_add(state, "", notice, 1, &error), ERROR_INVALID, "argument");
  FAILS(state_notice_add(state, NULL, notice, 1, &error), ERROR_INVALID, "argument");
  FAILS(state_notice_add(state, "k", NULL, 1, &error), ERROR_INVALID, "argument");
  FAILS(state_notice_add(state, "k", notice, -1, &error), ERROR_INVALID, "argument");
  FAILS(state_notice_done(state, NULL, &error), ERROR_INVALID, "argument");
  json_decref(notice);
  OK(state_notice_take(state, 0, &digest, &error)); /* none is due: the hold does not matter */
  assert_null(digest);
  state_close(state);
}

static void test_a_storm_is_one_digest(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  for (int i = 0; i < 80; i++) add(state, "team", i % 4 ? "fixed" : "parked", i, 0);
  add(state, "later", "fixed", 0, MINUTE);
  clock_sleep_ms(5);
  json_t *digest = take(state, MINUTE);
  assert_non_null(digest);
  assert_string_equal(json_string_value(json_object_get(digest, "key")), "team");
  assert_int_equal(number_at(digest, "count"), 80);
  assert_int_equal(json_array_size(json_object_get(digest, "notices")), 50);
  assert_int_equal(number_at(json_object_get(digest, "counts"), "fixed"), 60);
  assert_int_equal(number_at(json_object_get(digest, "counts"), "parked"), 20);
  assert_true(number_at(digest, "first") > 0 && number_at(digest, "first") <= number_at(digest, "last"));
  json_decref(digest);
  assert_null(take(state, MINUTE)); /* held; the other is not due */
  OK(state_notice_done(state, "team", &error));
  ASK("0", server, "EXISTS", "parapet:v1:sending:team", "parapet:v1:sending-notices:team", "parapet:v1:digest:team");
  ASK("later", server, "ZRANGE", "parapet:v1:notices", "0", "-1");
  state_close(state);
}

static void test_what_comes_while_one_is_sent_is_the_next_digest(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  add(state, "team", "fixed", 1, 0);
  clock_sleep_ms(2);
  json_decref(take(state, MINUTE));
  add(state, "team", "fixed", 2, 0);
  clock_sleep_ms(2);
  assert_null(take(state, MINUTE)); /* after its predecessor */
  OK(state_notice_done(state, "team", &error));
  json_t *digest = take(state, MINUTE);
  assert_int_equal(number_at(digest, "count"), 1);
  assert_int_equal(number_at(json_array_get(json_object_get(digest, "notices"), 0), "n"), 2);
  json_decref(digest);
  state_close(state);
}

static void test_a_sender_that_died_is_followed_with_the_same_digest(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  add(state, "team", "fixed", 1, 0);
  clock_sleep_ms(2);
  json_decref(take(state, 20));
  add(state, "team", "fixed", 2, 0);
  clock_sleep_ms(60);
  json_t *digest = take(state, MINUTE);
  assert_int_equal(number_at(digest, "count"), 1);
  assert_int_equal(number_at(json_array_get(json_object_get(digest, "notices"), 0), "n"), 1);
  json_decref(digest);
  state_close(state);
}

static void test_outcomes_told_apart_are_limited(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  char outcome[16];
  for (int i = 0; i < 100; i++) {
    snprintf(outcome, sizeof outcome, "kind-%d", i);
    add(state, "team", outcome, i, 0);
  }
  clock_sleep_ms(2);
  json_t *digest = take(state, MINUTE);
  assert_in_range(json_object_size(json_object_get(digest, "counts")), 32, 33);
  assert_int_equal(number_at(json_object_get(digest, "counts"), "other"), 68);
  json_decref(digest);
  state_close(state);
}
