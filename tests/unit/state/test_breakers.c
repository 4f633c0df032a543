#include "fixture.h"

#include <pthread.h>
#include <stdatomic.h>

static enum state_grant grant(struct state *state, const struct state_limit *limits, size_t count, const char *action,
                              int released, char *refusing, int *tripped) {
  enum state_grant answer = STATE_GRANTED;
  OK(state_breaker_grant(state, limits, count, action, released, &answer, refusing, tripped, &error));
  return answer;
}

static void test_limit_trips_once_and_counts_nothing_elsewhere(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  struct state_limit limits[] = {{"ssh/1", 3, 60000}, {"organization", 100, 60000}};
  char refusing[128], action[16];
  int tripped = 0;
  for (int i = 0; i < 3; i++) {
    snprintf(action, sizeof action, "action-%d", i);
    assert_int_equal(grant(state, limits, 2, action, 0, refusing, &tripped), STATE_GRANTED);
    assert_int_equal(tripped, 0);
  }
  assert_int_equal(grant(state, limits, 2, "action-2", 0, refusing, &tripped), STATE_GRANTED);
  assert_int_equal(grant(state, limits, 2, "more", 0, refusing, &tripped), STATE_REFUSED_OPEN);
  assert_string_equal(refusing, "ssh/1");
  assert_int_equal(tripped, 1);
  assert_int_equal(grant(state, limits, 2, "still more", 0, refusing, &tripped), STATE_REFUSED_OPEN);
  assert_int_equal(tripped, 0);
  ASK("3", server, "ZCARD", "parapet:v1:window:organization");
  ASK("3", server, "ZCARD", "parapet:v1:window:ssh/1");
  state_close(state);
}

static void test_arguments_out_of_range_are_refused(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  char long_scope[200];
  memset(long_scope, 's', sizeof long_scope);
  long_scope[128] = '\0';
  const struct {
    struct state_limit limit;
    size_t count;
    const char *action;
  } rows[] = {
      {{"s", 1, 0}, 1, "a"},                      /* a limit without a window */
      {{"s", -1, 1000}, 1, "a"},                  /* below nothing */
      {{"s", 1000001, 1000}, 1, "a"},             /* beyond the ceiling */
      {{"s", 1, (int64_t)32 * 86400000}, 1, "a"}, /* a window beyond the ceiling */
      {{long_scope, 1, 1000}, 1, "a"},            /* would not fit `refusing` */
      {{"", 1, 1000}, 1, "a"},                    /* no scope */
      {{NULL, 1, 1000}, 1, "a"},
      {{"s", 1, 1000}, 0, "a"},    /* nothing to ask: would be a grant by nobody */
      {{"s", 1, 1000}, 17, "a"},   /* too many scopes */
      {{"s", 1, 1000}, 1, ""},     /* no action */
      {{"s", 1, 1000}, 1, "\xff"}, /* not UTF-8 */
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct state_limit limits[17];
    for (size_t j = 0; j < 17; j++) limits[j] = rows[i].limit;
    enum state_grant answer = STATE_GRANTED;
    char refusing[128];
    FAILS(state_breaker_grant(state, limits, rows[i].count, rows[i].action, 0, &answer, refusing, NULL, &error),
          ERROR_INVALID, "argument");
    assert_int_not_equal(answer, STATE_GRANTED);
  }
  FAILS(state_breaker_set(state, "s", "explode", "me", "", &error), ERROR_INVALID, "argument");
  ASK("0", server, "EXISTS", "parapet:v1:breakers", "parapet:v1:window:s");
  state_close(state);
}

static void test_stop_hold_and_trip_refuse_everybody(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  struct state_limit limits[] = {{"ssh/1", 10, 60000}, {"organization", 0, 0}};
  static const struct {
    const char *scope, *verb;
    enum state_grant answer;
  } rows[] = {
      {"ssh/1", "hold", STATE_REFUSED_HELD},        {"ssh/1", "trip", STATE_REFUSED_OPEN},
      {"organization", "hold", STATE_REFUSED_HELD}, /* a scope without a limit of its own */
      {"organization", "trip", STATE_REFUSED_OPEN}, {"ssh", "trip", STATE_GRANTED}, /* not asked: not this action's */
  };
  char refusing[128];
  int tripped = 0;
  enum state_grant answer;
  assert_int_equal(grant(state, limits, 2, "early", 0, refusing, &tripped), STATE_GRANTED);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    OK(state_breaker_set(state, rows[i].scope, rows[i].verb, "operator", "because", &error));
    assert_int_equal(grant(state, limits, 2, "new", 0, refusing, &tripped), rows[i].answer);
    if (rows[i].answer != STATE_GRANTED) {
      assert_string_equal(refusing, rows[i].scope);
      /* neither an operator's release nor an earlier grant passes a person's word */
      assert_int_equal(grant(state, limits, 2, "new", 1, refusing, &tripped), rows[i].answer);
      assert_int_equal(grant(state, limits, 2, "early", 0, refusing, &tripped), rows[i].answer);
    }
    OK(state_breaker_peek(state, limits, 2, &answer, refusing, &error));
    assert_int_equal(answer, rows[i].answer);
    OK(state_breaker_set(state, rows[i].scope, "reset", "operator", "", &error));
  }
  json_t *stop = parse("{\"by\":\"me\",\"reason\":\"fire\"}");
  OK(state_stop_set(state, stop, &error));
  json_decref(stop);
  assert_int_equal(grant(state, limits, 2, "x", 1, refusing, &tripped), STATE_REFUSED_STOP);
  assert_string_equal(refusing, "stop");
  OK(state_stop_get(state, &stop, &error));
  assert_string_equal(json_string_value(json_object_get(stop, "reason")), "fire");
  json_decref(stop);
  OK(state_stop_set(state, NULL, &error));
  OK(state_stop_get(state, &stop, &error));
  assert_null(stop);
  assert_int_equal(grant(state, limits, 2, "x", 0, refusing, &tripped), STATE_GRANTED);
  state_close(state);
}

static void test_open_stays_until_reset_and_a_release_needs_no_room(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  struct state_limit limits[] = {{"ssh/1", 1, 100}};
  char refusing[128];
  int tripped = 0;
  /* The window may have rolled on before the second one asks, on a machine that is slow: then it takes a third. */
  enum state_grant answer = STATE_GRANTED;
  char action[16];
  for (int i = 0; i < 1000 && answer == STATE_GRANTED; i++) {
    snprintf(action, sizeof action, "a%d", i);
    answer = grant(state, limits, 1, action, 0, refusing, &tripped);
  }
  assert_int_equal(answer, STATE_REFUSED_OPEN);
  clock_sleep_ms(150);
  assert_int_equal(grant(state, limits, 1, "later", 0, refusing, &tripped), STATE_REFUSED_OPEN);
  OK(state_breaker_set(state, "ssh/1", "reset", "operator", "looked at it", &error));
  struct state_limit wide[] = {{"ssh/1", 2, 600000}};
  for (int i = 0; i < 20; i++) {
    snprintf(action, sizeof action, "r%d", i);
    assert_int_equal(grant(state, wide, 1, action, 1, refusing, &tripped), STATE_GRANTED);
  }
  ASK("0", server, "ZCARD", "parapet:v1:window:ssh/1");
  assert_int_equal(grant(state, wide, 1, "n1", 0, refusing, &tripped), STATE_GRANTED);
  assert_int_equal(grant(state, wide, 1, "n2", 0, refusing, &tripped), STATE_GRANTED);
  assert_int_equal(grant(state, wide, 1, "n3", 0, refusing, &tripped), STATE_REFUSED_OPEN);
  assert_int_equal(tripped, 1);
  /* n2's answer was lost and it asks again: it is counted already */
  assert_int_equal(grant(state, wide, 1, "n2", 0, refusing, &tripped), STATE_GRANTED);
  state_close(state);
}

static void test_windows_roll(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  struct state_limit limits[] = {{"ssh/1", 2, 200}};
  char refusing[128];
  int tripped = 0;
  assert_int_equal(grant(state, limits, 1, "a", 0, refusing, &tripped), STATE_GRANTED);
  assert_int_equal(grant(state, limits, 1, "b", 0, refusing, &tripped), STATE_GRANTED);
  clock_sleep_ms(300);
  assert_int_equal(grant(state, limits, 1, "c", 0, refusing, &tripped), STATE_GRANTED);
  state_close(state);
}

static json_t *row_of(json_t *list, const char *scope) {
  size_t i;
  json_t *row;
  json_array_foreach(list, i, row) if (!strcmp(json_string_value(json_object_get(row, "scope")), scope)) return row;
  fail_msg("no %s", scope);
  return NULL;
}

static void test_list_tells_who_and_why(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  char refusing[128], scope[32];
  int tripped = 0;
  for (int i = 0; i < 70; i++) { /* more than one read's worth */
    snprintf(scope, sizeof scope, "guardrail-%d/1", i);
    struct state_limit limit = {scope, 5, 60000};
    assert_int_equal(grant(state, &limit, 1, "a", 0, refusing, &tripped), STATE_GRANTED);
  }
  OK(state_breaker_set(state, "account:1", "hold", "anna", "audit", &error));
  json_t *list = NULL;
  OK(state_breakers(state, &list, &error));
  assert_int_equal(json_array_size(list), 71);
  json_t *first = row_of(list, "account:1");
  assert_string_equal(json_string_value(json_object_get(first, "state")), "held");
  assert_string_equal(json_string_value(json_object_get(first, "by")), "anna");
  assert_string_equal(json_string_value(json_object_get(first, "reason")), "audit");
  assert_true(json_integer_value(json_object_get(first, "opened")) > 1600000000000);
  json_t *last = row_of(list, "guardrail-33/1");
  assert_int_equal(json_integer_value(json_object_get(last, "count")), 1);
  assert_int_equal(json_integer_value(json_object_get(last, "limit")), 5);
  assert_int_equal(json_integer_value(json_object_get(last, "window_ms")), 60000);
  json_decref(list);
  state_close(state);
}

/* ---- races ---- */

struct racer {
  struct state *state;
  int number;
  atomic_int *tripped;
  int granted;
};

static void *race(void *argument) {
  struct racer *racer = argument;
  struct state_limit limits[] = {{"ssh/1", 40, 600000}, {"account:1", 37, 600000}, {"organization", 1000, 600000}};
  for (int i = 0; i < 20; i++) {
    char action[32], refusing[128];
    int tripped = 0;
    enum state_grant answer;
    struct error error = {0};
    snprintf(action, sizeof action, "%d-%d", racer->number, i);
    if (state_breaker_grant(racer->state, limits, 3, action, 0, &answer, refusing, &tripped, &error)) break;
    racer->granted += answer == STATE_GRANTED;
    if (tripped) atomic_fetch_add(racer->tripped, 1);
  }
  return NULL;
}

static void test_32_threads_never_pass_the_limit(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *states[] = {joined_state(server, "a"), joined_state(server, "b")};
  atomic_int tripped = 0;
  struct racer racers[32];
  pthread_t threads[32];
  for (int i = 0; i < 32; i++) {
    racers[i] = (struct racer){states[i % 2], i, &tripped, 0};
    assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
  }
  int granted = 0;
  for (int i = 0; i < 32; i++) {
    pthread_join(threads[i], NULL);
    granted += racers[i].granted;
  }
  assert_int_equal(granted, 37);
  assert_int_equal(atomic_load(&tripped), 1);
  ASK("37", server, "ZCARD", "parapet:v1:window:organization");
  state_close(states[0]);
  state_close(states[1]);
}

static void test_a_redis_that_lost_grants_closes_the_gates(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  struct state_limit limits[] = {{"ssh/1", 5, 60000}};
  char refusing[128];
  int tripped = 0;
  enum state_grant answer;
  assert_int_equal(grant(state, limits, 1, "a", 0, refusing, &tripped), STATE_GRANTED);
  assert_int_equal(grant(state, limits, 1, "b", 0, refusing, &tripped), STATE_GRANTED);
  free(redis_server_ask(server, "DECR", "parapet:v1:grants", NULL));
  FAILS(state_breaker_grant(state, limits, 1, "c", 0, &answer, refusing, &tripped, &error), ERROR_FATAL, "epoch");
  assert_int_not_equal(answer, STATE_GRANTED);
  ASK("0", server, "EXISTS", "parapet:v1:epoch"); /* for everybody, not just for the one that saw it */
  state_close(state);
}

static void test_a_full_redis_grants_nothing(void **unused) {
  (void)unused;
  if (!redis_server_available()) skip();
  struct redis_server *server = redis_server_start(NULL);
  assert_non_null(server);
  struct state *state = joined_state(server, "a");
  struct state_limit limits[] = {{"ssh/1", 5, 60000}};
  char refusing[128];
  int tripped = 0;
  enum state_grant answer = STATE_GRANTED;
  ASK("OK", server, "CONFIG", "SET", "maxmemory-policy", "noeviction");
  ASK("OK", server, "CONFIG", "SET", "maxmemory", "100kb");
  FAILS(state_breaker_grant(state, limits, 1, "c", 0, &answer, refusing, &tripped, &error), ERROR_RETRYABLE, "OOM");
  assert_int_not_equal(answer, STATE_GRANTED);
  FAILS(state_check(state, &error), ERROR_RETRYABLE, "OOM");
  json_t *stop = parse("{\"by\":\"me\"}"); /* but a stop is always possible */
  OK(state_stop_set(state, stop, &error));
  OK(state_stop_set(state, NULL, &error));
  json_decref(stop);
  ASK("OK", server, "CONFIG", "SET", "maxmemory", "0");
  ASK("0", server, "EXISTS", "parapet:v1:window:ssh/1", "parapet:v1:grants");
  assert_int_equal(grant(state, limits, 1, "c", 0, refusing, &tripped), STATE_GRANTED);
  state_close(state);
  redis_server_stop(server);
}
