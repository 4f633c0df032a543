#include "fixture.h"

static void test_one_emits_each_tick(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *one = joined_state(server, "one"), *two = joined_state(server, "two");
  FAILS(state_tick_claim(one, "", 1, 1, &error), ERROR_INVALID, "argument");
  FAILS(state_tick_claim(one, "s", -1, 1, &error), ERROR_INVALID, "argument");
  FAILS(state_tick_claim(one, "s", 1, 0, &error), ERROR_INVALID, "argument");
  assert_int_equal(state_tick_claim(one, "s", 1000, 60000, NULL), 1);
  assert_int_equal(state_tick_claim(two, "s", 1000, 60000, NULL), 0);
  OK(state_tick_done(one, "s", 1000, &error));
  assert_int_equal(state_tick_claim(two, "s", 1000, 60000, NULL), 0);
  assert_int_equal(state_tick_claim(two, "s", 500, 60000, NULL), 0); /* older than one that was emitted */
  assert_int_equal(state_tick_claim(two, "s", 2000, 10, NULL), 1);
  clock_sleep_ms(30);
  assert_int_equal(state_tick_claim(one, "s", 2000, 60000, NULL), 1); /* its claimer died */
  OK(state_tick_done(two, "s", 2000, &error));
  OK(state_tick_done(two, "s", 1000, &error)); /* late: does not go back */
  assert_int_equal(state_tick_claim(one, "s", 2000, 60000, NULL), 0);
  assert_int_equal(state_tick_claim(one, "other", 1000, 60000, NULL), 1);
  state_close(one);
  state_close(two);
}

static void test_sweeps_coalesce(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  FAILS(state_sweep_begin(state, "s", 0, &error), ERROR_INVALID, "argument");
  assert_int_equal(state_sweep_begin(state, "s", 60000, NULL), 1);
  assert_int_equal(state_sweep_begin(state, "s", 60000, NULL), 0);
  OK(state_sweep_end(state, "s", &error));
  OK(state_sweep_end(state, "s", &error));
  assert_int_equal(state_sweep_begin(state, "s", 20, NULL), 1);
  clock_sleep_ms(50);
  assert_int_equal(state_sweep_begin(state, "s", 60000, NULL), 1);
  state_close(state);
}

static void test_marks_expire(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  int marked = 1;
  FAILS(state_seen_mark(state, "e", 0, &error), ERROR_INVALID, "argument");
  FAILS(state_seen(state, "", &marked, &error), ERROR_INVALID, "argument");
  OK(state_seen(state, "e", &marked, &error));
  assert_int_equal(marked, 0);
  OK(state_seen_mark(state, "e", 60000, &error));
  OK(state_own_request_mark(state, "q", 20, &error));
  OK(state_seen(state, "e", &marked, &error));
  assert_int_equal(marked, 1);
  clock_sleep_ms(50);
  OK(state_own_request_mark(state, "r", 60000, &error));
  static const struct {
    const char *event, *request;
    int seen, own;
  } rows[] = {{"e", "r", 1, 1}, {"e", "", 1, 0}, {"", "r", 0, 1}, {"", "", 0, 0}, {"r", "e", 0, 0} /* two kinds */,
              {"e", "q", 1, 0}, {"x", "r", 0, 1}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    int seen = -1, own = -1;
    OK(state_event_known(state, rows[i].event, rows[i].request, &seen, &own, &error));
    assert_int_equal(seen, rows[i].seen);
    assert_int_equal(own, rows[i].own);
  }
  state_close(state);
}
