#include "fixture.h"

static void tell(struct state *state, const char *action, const char *opponent, int64_t window) {
  json_t *round = json_pack("{s:s}", "opponent", opponent);
  OK(state_fight_round(state, "ssh|sg-1", action, round, window, &error));
  json_decref(round);
}

/* The opponents of the rounds, the oldest first. */
static const char *rounds(struct state *state, const char *subject, int64_t window) {
  static char text[1024];
  json_t *list = NULL, *round;
  size_t i;
  text[0] = '\0';
  OK(state_fight_rounds(state, subject, window, &list, &error));
  json_array_foreach(list, i, round) {
    assert_true(json_integer_value(json_object_get(round, "at")) > 1600000000000);
    strcat(text, json_string_value(json_object_get(round, "opponent")));
    strcat(text, " ");
  }
  json_decref(list);
  return text;
}

static void test_rounds_count_once_and_roll(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  assert_string_equal(rounds(state, "ssh|sg-1", 60000), "");
  tell(state, "a-1", "one", 60000);
  clock_sleep_ms(2);
  tell(state, "a-1", "one", 60000); /* told again after a crash */
  tell(state, "a-2", "two", 60000);
  assert_string_equal(rounds(state, "ssh|sg-1", 60000), "one two ");
  assert_string_equal(rounds(state, "ssh|sg-2", 60000), "");
  clock_sleep_ms(600);
  tell(state, "a-3", "three", 60000);
  assert_string_equal(rounds(state, "ssh|sg-1", 500), "three ");
  FAILS(state_fight_round(state, "ssh|sg-1", "", NULL, 1000, &error), ERROR_INVALID, "argument");
  for (int i = 0; i < 50; i++) {
    char action[16];
    snprintf(action, sizeof action, "b-%d", i);
    tell(state, action, "x", 60000);
  }
  ASK("32", server, "ZCARD", "parapet:v1:rounds:ssh|sg-1");
  state_close(state);
}

static void test_fights_are_listed_and_reset(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  json_t *fight = parse("{\"opponent\":\"terraform\",\"rounds\":3}"), *list = NULL;
  int existed = 1;
  OK(state_fight_reset(state, "ssh|sg-1", &existed, &error));
  assert_int_equal(existed, 0);
  tell(state, "a-1", "terraform", 60000);
  OK(state_fight_declare(state, "ssh|sg-1", fight, &error));
  OK(state_fight_declare(state, "ssh|sg-1", fight, &error));
  OK(state_fights(state, &list, &error));
  assert_int_equal(json_array_size(list), 1);
  assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "subject")), "ssh|sg-1");
  assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "opponent")), "terraform");
  json_decref(list);
  OK(state_fight_reset(state, "ssh|sg-1", &existed, &error));
  assert_int_equal(existed, 1);
  assert_string_equal(rounds(state, "ssh|sg-1", 60000), "");
  OK(state_fights(state, &list, &error));
  assert_int_equal(json_array_size(list), 0);
  json_decref(list);
  json_decref(fight);
  state_close(state);
}
