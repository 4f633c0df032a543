#include "fixture.h"

#define MINUTE 60000
#define CHANNEL "mail"
static const struct state_notice_pace any_pace = {0};

static void add(struct state *state, const char *key, const char *outcome, int number, int64_t window) {
  json_t *notice = json_pack("{s:s, s:i}", "outcome", outcome, "n", number);
  OK(state_notice_add(state, CHANNEL, key, notice, window, &error));
  json_decref(notice);
}

static json_t *take_in_pace(struct state *state, const char *channel, int64_t hold,
                            const struct state_notice_pace *pace) {
  json_t *digest = NULL;
  OK(state_notice_take(state, channel, hold, pace, &digest, &error));
  return digest;
}

static json_t *take(struct state *state, int64_t hold) { return take_in_pace(state, CHANNEL, hold, &any_pace); }

static int64_t number_at(const json_t *value, const char *name) {
  return json_integer_value(json_object_get(value, name));
}

static void test_bad_arguments(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  json_t *notice = parse("{}"), *digest = NULL;
  FAILS(state_notice_add(state, CHANNEL, "", notice, 1, &error), ERROR_INVALID, "argument");
  FAILS(state_notice_add(state, CHANNEL, NULL, notice, 1, &error), ERROR_INVALID, "argument");
  FAILS(state_notice_add(state, CHANNEL, "k", NULL, 1, &error), ERROR_INVALID, "argument");
  FAILS(state_notice_add(state, CHANNEL, "k", notice, -1, &error), ERROR_INVALID, "argument");
  static const char *const bad[] = {
      "", NULL, "two words", "a|b", "Upper", "sending:x", "a-name-that-is-longer-than-forty-characters"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    FAILS(state_notice_add(state, bad[i], "k", notice, 1, &error), ERROR_INVALID, "argument");
  FAILS(state_notice_done(state, CHANNEL, NULL, &error), ERROR_INVALID, "argument");
  FAILS(state_notice_done(state, NULL, "k", &error), ERROR_INVALID, "argument");
  json_decref(notice);
  struct state_notice_pace endless = {.limit = 1};
  FAILS(state_notice_take(state, CHANNEL, 1, &endless, &digest, &error), ERROR_INVALID, "argument");
  OK(state_notice_take(state, CHANNEL, 0, &any_pace, &digest, &error)); /* none is due: the hold does not matter */
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
  OK(state_notice_done(state, CHANNEL, "team", &error));
  ASK("0", server, "EXISTS", "parapet:v1:sending:mail|team", "parapet:v1:sending-notices:mail|team",
      "parapet:v1:digest:mail|team");
  ASK("later", server, "ZRANGE", "parapet:v1:notices:mail", "0", "-1");
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
  OK(state_notice_done(state, CHANNEL, "team", &error));
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
  assert_int_equal(number_at(digest, "tries"), 2);
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

/* Nobody takes the digests of a channel that is dead; the other channel's are all the same at hand. */
static void test_a_channel_waits_for_no_other(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  char key[16];
  int64_t backlog = 0;
  for (int i = 0; i < 1200; i++) { /* more than notice_due.lua looks at */
    snprintf(key, sizeof key, "key-%d", i);
    add(state, key, "fixed", i, 0);
  }
  json_t *notice = parse("{\"outcome\": \"fixed\"}");
  OK(state_notice_add(state, "chat", "k", notice, 0, &error));
  clock_sleep_ms(2);
  json_t *digest = take_in_pace(state, "chat", MINUTE, &any_pace);
  assert_non_null(digest);
  json_decref(digest);
  OK(state_notice_backlog(state, "chat", &backlog, &error));
  assert_int_equal(backlog, 1);
  OK(state_notice_backlog(state, CHANNEL, &backlog, &error));
  assert_int_equal(backlog, 1200);
  json_decref(notice);
  state_close(state);
}

static void test_a_channel_keeps_its_pace_and_gathers_meanwhile(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a"), *other = joined_state(server, "b");
  const struct state_notice_pace two = {.limit = 2, .within_ms = 1500};
  static const char *const keys[] = {"a", "b", "c"}; /* of the same age: in this order */
  for (int i = 0; i < 3; i++) add(state, keys[i], "fixed", i, 0);
  clock_sleep_ms(2);
  json_decref(take_in_pace(state, CHANNEL, 500, &two));
  json_decref(take_in_pace(other, CHANNEL, MINUTE, &two));
  assert_null(take_in_pace(state, CHANNEL, MINUTE, &two)); /* whoever asks: the pace is the channel's */
  clock_sleep_ms(600);
  json_t *again = take_in_pace(state, CHANNEL, MINUTE, &two); /* a further try is no further message */
  assert_non_null(again);
  assert_int_equal(number_at(again, "tries"), 2);
  json_decref(again);
  add(state, "c", "fixed", 4, 0);
  clock_sleep_ms(1600);
  json_t *digest = take_in_pace(state, CHANNEL, MINUTE, &two);
  assert_non_null(digest);
  assert_int_equal(number_at(digest, "count"), 2);
  json_decref(digest);
  state_close(state);
  state_close(other);
}

static void test_a_backlog_is_bounded(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  free(redis_server_ask(
      server, "EVAL", "for i = 1, 10000 do redis.call('ZADD', 'parapet:v1:notices:mail', 99999999999999, 'k' .. i) end",
      "0", NULL));
  json_t *notice = parse("{\"outcome\": \"fixed\"}");
  FAILS(state_notice_add(state, CHANNEL, "new", notice, 0, &error), ERROR_RETRYABLE, "FULL");
  OK(state_notice_add(state, CHANNEL, "k7", notice, 0, &error)); /* there already */
  OK(state_notice_add(state, "chat", "new", notice, 0, &error));
  json_decref(notice);
  state_close(state);
}
