#include "fixture.h"

#define MINUTE 60000

static void park(struct state *state, const char *subject, const char *account, int number, int64_t due) {
  json_t *unit = json_pack("{s:s, s:i}", "account", account, "n", number);
  OK(state_park(state, subject, unit, due, &error));
  json_decref(unit);
}

static json_t *take(struct state *state, size_t limit, int64_t hold) {
  json_t *entries = NULL;
  OK(state_parked_take(state, limit, hold, &entries, &error));
  return entries;
}

static size_t take_count(struct state *state) {
  json_t *entries = take(state, 1000, MINUTE);
  size_t count = json_array_size(entries);
  json_decref(entries);
  return count;
}

static int64_t total(struct state *state) {
  json_t *list = NULL;
  int64_t count = -1;
  OK(state_parked(state, &list, 0, &count, &error));
  assert_int_equal(json_array_size(list), 0);
  json_decref(list);
  return count;
}

static void expect_entry(const json_t *entries, size_t at, const char *subject, int number, int released) {
  const json_t *entry = json_array_get(entries, at);
  assert_non_null(entry);
  assert_string_equal(json_string_value(json_object_get(entry, "subject")), subject);
  assert_int_equal(json_integer_value(json_object_get(json_object_get(entry, "unit"), "n")), number);
  assert_int_equal(json_is_true(json_object_get(entry, "released")), released);
}

static void test_bad_arguments(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  json_t *unit = parse("{}"), *entries = NULL;
  int64_t count = 0;
  FAILS(state_park(state, "", unit, 0, &error), ERROR_INVALID, "argument");
  FAILS(state_park(state, "s", NULL, 0, &error), ERROR_INVALID, "argument");
  FAILS(state_park(state, "s", unit, -1, &error), ERROR_INVALID, "argument");
  FAILS(state_parked_take(state, 1, 0, &entries, &error), ERROR_INVALID, "argument");
  const double paces[] = {0, -1, 1e9, 0.0 / 0.0};
  for (size_t i = 0; i < 4; i++)
    FAILS(state_parked_release(state, "organization", paces[i], &count, &error), ERROR_INVALID, "argument");
  FAILS(state_parked_release(state, "", 1, &count, &error), ERROR_INVALID, "argument");
  json_decref(unit);
  assert_int_equal(total(state), 0);
  state_close(state);
}

static void test_due_ones_are_taken_in_order_and_come_back_when_forgotten(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  int64_t now = clock_wall_ms();
  park(state, "ssh|later", "1", 1, now + 10 * MINUTE);
  park(state, "ssh|second", "1", 2, now - 10);
  park(state, "ssh|first", "1", 3, now - 20);
  park(state, "ssh|waits", "1", 4, 0);
  json_t *entries = take(state, 1, 500);
  assert_int_equal(json_array_size(entries), 1);
  expect_entry(entries, 0, "ssh|first", 3, 0);
  json_decref(entries);
  entries = take(state, 10, MINUTE);
  expect_entry(entries, 0, "ssh|second", 2, 0);
  json_decref(entries);
  OK(state_unpark(state, "ssh|second", &error));
  clock_sleep_ms(600);
  entries = take(state, 10, MINUTE); /* the first one's taker did not come back */
  assert_int_equal(json_array_size(entries), 1);
  expect_entry(entries, 0, "ssh|first", 3, 0);
  json_decref(entries);
  assert_int_equal(take_count(state), 0);
  OK(state_unpark(state, "ssh|first", &error));
  assert_int_equal(total(state), 2);
  state_close(state);
}

static void test_parking_again_collapses(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  int64_t now = clock_wall_ms();
  park(state, "ssh|a", "1", 1, now + MINUTE);
  park(state, "ssh|a", "1", 2, now - 1); /* the latest due counts */
  assert_int_equal(total(state), 1);
  json_t *entries = take(state, 10, MINUTE);
  expect_entry(entries, 0, "ssh|a", 2, 0);
  json_decref(entries);
  park(state, "ssh|w", "1", 1, 0);
  park(state, "ssh|w", "1", 2,
       now - 1); /* waits for an operator: a new event does not free it, but is what comes back */
  assert_int_equal(take_count(state), 0);
  int64_t count = 0;
  OK(state_parked_release(state, "ssh", 1000, &count, &error));
  assert_int_equal(count, 1);
  entries = take(state, 10, MINUTE);
  expect_entry(entries, 0, "ssh|w", 2, 1);
  json_decref(entries);
  park(state, "ssh|w", "1", 3, now - 1); /* held up on its way: the release that paid for it still counts */
  entries = take(state, 10, MINUTE);
  expect_entry(entries, 0, "ssh|w", 3, 1);
  json_decref(entries);
  park(state, "ssh|w", "1", 4, 0); /* refused anew: a new release is needed */
  assert_int_equal(take_count(state), 0);
  state_close(state);
}

/* An event that came again waits for its release; the action that the first one began does not. */
static void test_what_is_begun_comes_back_by_itself(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  json_t *unit = parse("{\"account\": \"1\", \"n\": 2}");
  park(state, "s", "1", 1, 0);
  park(state, "s", "1", 2, 1);
  assert_int_equal(take_count(state), 0);
  OK(state_park_begun(state, "s", unit, 1, &error));
  json_t *entries = take(state, 10, MINUTE);
  assert_int_equal(json_array_size(entries), 1);
  expect_entry(entries, 0, "s", 2, 0);
  json_decref(entries);
  OK(state_unpark(state, "s", &error));
  assert_int_equal(total(state), 0);
  json_decref(unit);
  state_close(state);
}

static void test_what_is_parked_while_its_predecessor_is_worked_on_stays(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  park(state, "ssh|a", "1", 1, 1);
  assert_int_equal(take_count(state), 1);
  park(state, "ssh|a", "1", 2, 1);
  OK(state_unpark(state, "ssh|a", &error)); /* the first one's taker is done */
  json_t *entries = take(state, 10, MINUTE);
  expect_entry(entries, 0, "ssh|a", 2, 0);
  json_decref(entries);
  OK(state_unpark(state, "ssh|a", &error));
  assert_int_equal(total(state), 0);
  ASK("0", server, "EXISTS", "parapet:v1:parked", "parapet:v1:parked:units", "parapet:v1:parked:takes");
  park(state, "ssh|b", "1", 1, 1); /* never taken: done by another way */
  OK(state_unpark(state, "ssh|b", &error));
  assert_int_equal(total(state), 0);
  state_close(state);
}

static int is_parked(struct state *state, const char *subject) {
  struct state_peek peek = {.subject = subject};
  OK(state_peek(state, (struct state_peek *[]){&peek}, 1, &error));
  assert_int_equal(peek.answer, STATE_GRANTED); /* nobody asked for limits */
  return peek.parked;
}

static void test_work_left_to_a_parked_unit_is_not_lost(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  FAILS(state_peek(state, (struct state_peek *[]){&(struct state_peek){.subject = ""}}, 1, &error), ERROR_INVALID,
        "argument");
  assert_false(is_parked(state, "ssh|a"));
  park(state, "ssh|a", "1", 1, 1);
  assert_true(is_parked(state, "ssh|a")); /* before it is taken: whoever takes it sees it all */
  assert_int_equal(take_count(state), 1);
  OK(state_unpark(state, "ssh|a", &error));
  assert_int_equal(total(state), 0);
  park(state, "ssh|a", "1", 1, 1);
  assert_int_equal(take_count(state), 1);
  assert_true(is_parked(state, "ssh|a")); /* its taker may have looked already */
  OK(state_unpark(state, "ssh|a", &error));
  assert_int_equal(take_count(state), 1); /* at once, not when the hold is over */
  OK(state_unpark(state, "ssh|a", &error));
  assert_int_equal(total(state), 0);
  int64_t count = -1;
  OK(state_parked(state, NULL, 0, &count, &error));
  assert_int_equal(count, 0);
  state_close(state);
}

static void test_release_by_scope_in_pace(void **unused) {
  (void)unused;
  static const struct {
    const char *scope;
    int64_t count;
  } rows[] = {
      {"rdp", 0}, {"ssh/3", 0}, {"account:3", 0}, {"ssh/2", 1}, {"account:2", 2}, {"ssh", 4}, {"organization", 5},
  };
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct state *state = joined_state(fresh_redis(), "a");
    park(state, "ssh|a", "1", 1, 0);
    park(state, "ssh|b", "1", 2, 0);
    park(state, "ssh|c", "1", 3, 0);
    park(state, "ssh|d", "2", 4, 0);
    park(state, "ssh-strict|e", "2", 5, 0); /* begins like ssh, and is another */
    park(state, "ssh|own", "1", 6,
         clock_wall_ms() + 10 * MINUTE); /* has a time of its own: not an operator's to give */
    int64_t count = -1, before = clock_wall_ms();
    OK(state_parked_release(state, rows[i].scope, 2, &count, &error));
    assert_int_equal(count, rows[i].count);
    json_t *list = NULL;
    OK(state_parked(state, &list, 100, NULL, &error));
    int64_t first = json_integer_value(json_object_get(json_array_get(list, 0), "due"));
    for (int64_t j = 0; j < count; j++) {
      const json_t *entry = json_array_get(list, (size_t)j);
      assert_true(json_is_true(json_object_get(entry, "released")));
      assert_int_equal(json_integer_value(json_object_get(entry, "due")), first + j * 500);
    }
    if (count) assert_true(first >= before - 1000 && first <= clock_wall_ms() + 1000);
    assert_false(json_is_true(json_object_get(json_array_get(list, (size_t)count), "released")));
    json_decref(list);
    state_close(state);
  }
}

static void test_a_storm_is_released_page_by_page(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  char subject[32];
  for (int i = 0; i < 1300; i++) {
    snprintf(subject, sizeof subject, "%s|%05d", i % 2 ? "ssh" : "rdp", i);
    park(state, subject, "1", i, 0);
  }
  int64_t count = 0;
  OK(state_parked_release(state, "ssh", 100, &count, &error));
  assert_int_equal(count, 650);
  json_t *list = NULL;
  int64_t all = 0;
  OK(state_parked(state, &list, 650, &all, &error));
  assert_int_equal(all, 1300);
  int64_t first = json_integer_value(json_object_get(json_array_get(list, 0), "due"));
  int64_t last = json_integer_value(json_object_get(json_array_get(list, 649), "due"));
  assert_int_equal(last - first, 6490);
  json_decref(list);
  OK(state_parked_release(state, "ssh", 100, &count, &error));
  assert_int_equal(count, 0);
  OK(state_parked_release(state, "organization", 100000, &count, &error));
  assert_int_equal(count, 650);
  state_close(state);
}
