#include "fixture.h"

#include <pthread.h>
#include <stdatomic.h>

static enum state_grant grant(struct state *state, const struct state_limit *limits, size_t count, const char *action,
                              int released, char *refusing, int *tripped) {
  enum state_grant answer = STATE_GRANTED;
  OK(state_breaker_grant(state, limits, count, action, released, &answer, refusing, tripped, &error));
  return answer;
}

static enum state_grant peek(struct state *state, const struct state_limit *limits, size_t count) {
  struct state_peek one = {.limits = limits, .limit_count = count};
  OK(state_peek(state, (struct state_peek *[]){&one}, 1, &error));
  return one.answer;
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
      {{"s", 1, 1000}, 0, "a"},                                    /* nothing to ask: would be a grant by nobody */
      {{"s", 1, 1000}, 17, "a"},                                   /* too many scopes */
      {{"s", 1, 1000}, 1, ""},                                     /* no action */
      {{"s", 1, 1000}, 1, "\xff"},                                 /* not UTF-8 */
      {{"s", 0, 1000, .share = 100, .least = 1}, 1, "a"},          /* a share of nothing */
      {{"s", 0, 1000, "1/t", .share = 100}, 1, "a"},               /* a share that may come to nothing */
      {{"s", 0, 1000, "1/t", .share = 10001, .least = 1}, 1, "a"}, /* more than all */
      {{"s", 0, 0, "1/t", .share = 100, .least = 1}, 1, "a"},      /* a share without a window */
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
    assert_int_equal(peek(state, limits, 2), rows[i].answer);
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

/* ---- shares ---- */

static int granted_of(struct state *state, const struct state_limit *limit, int tries, const char *prefix) {
  char refusing[128], action[32];
  int granted = 0, tripped;
  for (int i = 0; i < tries; i++) {
    snprintf(action, sizeof action, "%s%d", prefix, i);
    granted += grant(state, limit, 1, action, 0, refusing, &tripped) == STATE_GRANTED;
  }
  return granted;
}

static void test_a_share_is_of_what_the_last_sweeps_saw(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  static const struct {
    const char *population;
    int64_t actions, share, least;
    int granted;
  } rows[] = {
      {"1/sg", 0, 1000, 5, 15},  /* 10% of 100 + 50 */
      {"1/sg", 12, 1000, 5, 12}, /* the number is less */
      {"1/sg", 20, 1000, 5, 15}, /* the share is less */
      {"1/sg", 0, 100, 5, 5},    /* 1% would be 1: never less than the least */
      {"1", 0, 1000, 5, 16},     /* all types of the account */
      {"sg", 0, 1000, 5, 18},    /* the type in all accounts */
      {"*", 0, 1000, 5, 19},     /* everything */
      {"9/sg", 20, 1000, 5, 5},  /* not counted yet: the least */
      {"1/sg", 0, 10000, 5, 25}, /* all of them: more than anybody asked for */
  };
  OK(state_population(state, "1", "eu-west-1", "sg", 999, &error));
  OK(state_population(state, "1", "eu-west-1", "sg", 100, &error)); /* the last sweep's word */
  OK(state_population(state, "1", "us-east-1", "sg", 50, &error));
  OK(state_population(state, "1", "us-east-1", "bucket", 10, &error));
  OK(state_population(state, "2", "us-east-1", "sg", 30, &error));
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char scope[32];
    snprintf(scope, sizeof scope, "ssh/%zu", i);
    struct state_limit limit = {.scope = scope,
                                .actions = rows[i].actions,
                                .window_ms = 600000,
                                .population = rows[i].population,
                                .share = rows[i].share,
                                .least = rows[i].least};
    int granted = granted_of(state, &limit, 25, "a");
    if (granted != rows[i].granted) print_message("row %zu\n", i);
    assert_int_equal(granted, rows[i].granted);
  }
  state_close(state);
}

/* ---- failures and probes ---- */

static json_t *outcome(struct state *state, const struct state_limit *limits, size_t count, const char *action,
                       int failed) {
  json_t *changes = NULL;
  OK(state_breaker_outcome(state, limits, count, action, failed, &changes, &error));
  return changes;
}

/* The only change: "scope state", or "" for none. */
static const char *change(struct state *state, const struct state_limit *limits, const char *action, int failed) {
  static char text[160];
  json_t *changes = outcome(state, limits, 1, action, failed);
  const json_t *first = json_array_get(changes, 0);
  assert_true(json_array_size(changes) < 2);
  snprintf(text, sizeof text, "%s%s%s", first ? json_string_value(json_object_get(first, "scope")) : "",
           first ? " " : "", first ? json_string_value(json_object_get(first, "state")) : "");
  json_decref(changes);
  return text;
}

static void test_failures_open(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  struct state_limit limit = {"ssh/1", .failures = 3, .failures_of = 5};
  char refusing[128];
  int tripped;
  static const struct {
    const char *action;
    int failed;
    const char *change;
  } rows[] = {
      {"a", 1, ""}, {"b", 1, ""},           {"b", 1, ""}, /* told twice: counts once */
      {"c", 0, ""}, {"d", 0, ""},           {"e", 0, ""}, /* a b c d e: two of five */
      {"f", 1, ""},                                       /* b c d e f: two of five again */
      {"g", 1, ""},                                       /* c d e f g */
      {"h", 0, ""}, {"i", 1, "ssh/1 open"}, {"j", 1, ""}, /* e f g h i: three */
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    assert_string_equal(change(state, &limit, rows[i].action, rows[i].failed), rows[i].change);
  assert_int_equal(grant(state, &limit, 1, "k", 0, refusing, &tripped), STATE_REFUSED_OPEN);
  ASK("failures", server, "HGET", "parapet:v1:breaker:ssh/1", "by");
  OK(state_breaker_set(state, "ssh/1", "reset", "me", "", &error));
  assert_string_equal(change(state, &limit, "l", 1), ""); /* those before the reset are forgotten */
  assert_string_equal(change(state, &limit, "m", 1), "");
  assert_string_equal(change(state, &limit, "n", 1), "ssh/1 open");
  state_close(state);
}

static void test_probes_close_or_open(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  struct state_limit limits[] = {{"ssh/1", 2, 600000}, {"organization", 100, 600000}};
  char refusing[128];
  int tripped;
  assert_int_equal(state_breaker_probe(state, "ssh/1", 2, -1, "me", NULL), 0); /* closed: nothing to probe */
  assert_int_equal(granted_of(state, limits, 3, "a"), 2);
  assert_int_equal(state_breaker_probe(state, "ssh/1", 2, 0, "cooldown", NULL), 0); /* its window is full still */
  assert_int_equal(state_breaker_probe(state, "ssh/1", 2, -1, "me", NULL), 1);
  assert_int_equal(peek(state, limits, 2), STATE_GRANTED);
  assert_int_equal(grant(state, limits, 2, "p", 0, refusing, &tripped), STATE_GRANTED);
  assert_int_equal(grant(state, limits, 2, "p", 0, refusing, &tripped), STATE_GRANTED); /* the same one */
  assert_int_equal(grant(state, limits, 2, "q", 1, refusing, &tripped), STATE_GRANTED); /* a release takes one, too */
  assert_int_equal(grant(state, limits, 2, "r", 0, refusing, &tripped), STATE_REFUSED_OPEN);
  assert_string_equal(refusing, "ssh/1");
  assert_int_equal(grant(state, limits, 2, "r", 1, refusing, &tripped), STATE_REFUSED_OPEN);
  assert_int_equal(peek(state, limits, 2), STATE_REFUSED_OPEN);
  assert_string_equal(change(state, limits, "other", 1), ""); /* an action of before: no probe */
  assert_string_equal(change(state, limits, "p", 0), "");
  assert_string_equal(change(state, limits, "p", 0), ""); /* told twice */
  assert_string_equal(change(state, limits, "q", 1), "ssh/1 open");
  assert_int_equal(grant(state, limits, 2, "r", 0, refusing, &tripped), STATE_REFUSED_OPEN);
  assert_int_equal(state_breaker_probe(state, "ssh/1", 2, 3600000, "cooldown", NULL), 0); /* not yet */
  assert_int_equal(state_breaker_probe(state, "ssh/1", 2, 0, "cooldown", NULL), 1);
  assert_int_equal(state_breaker_probe(state, "ssh/1", 2, 0, "cooldown", NULL), 0); /* once */
  assert_int_equal(grant(state, limits, 2, "s", 0, refusing, &tripped), STATE_GRANTED);
  assert_int_equal(grant(state, limits, 2, "t", 0, refusing, &tripped), STATE_GRANTED);
  assert_string_equal(change(state, limits, "s", 0), "");
  assert_string_equal(change(state, limits, "t", 0), "ssh/1 closed");
  /* closed, and its window still holds what the rolling minutes held */
  assert_int_equal(grant(state, limits, 2, "u", 0, refusing, &tripped), STATE_REFUSED_OPEN);
  assert_int_equal(tripped, 1);
  OK(state_breaker_set(state, "ssh/1", "hold", "anna", "", &error));
  assert_int_equal(state_breaker_probe(state, "ssh/1", 2, 0, "cooldown", NULL), 0); /* a person's word stands … */
  assert_int_equal(state_breaker_probe(state, "ssh/1", 2, -1, "anna", NULL), 1);    /* … until a person's */
  state_close(state);
}

/* A worker that died with its probe: after ten minutes another action has it. */
static void test_a_lost_probe_comes_back(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  struct state_limit limit = {"ssh/1", 10, 600000};
  char refusing[128], old[32];
  int tripped;
  OK(state_breaker_set(state, "ssh/1", "trip", "me", "", &error));
  assert_int_equal(state_breaker_probe(state, "ssh/1", 1, -1, "me", NULL), 1);
  assert_int_equal(grant(state, &limit, 1, "dead", 0, refusing, &tripped), STATE_GRANTED);
  assert_int_equal(grant(state, &limit, 1, "next", 0, refusing, &tripped), STATE_REFUSED_OPEN);
  snprintf(old, sizeof old, "%lld", (long long)clock_wall_ms() - 700000);
  ASK("0", server, "HSET", "parapet:v1:breaker:ssh/1", "probe:dead", old);
  assert_int_equal(grant(state, &limit, 1, "next", 0, refusing, &tripped), STATE_GRANTED);
  assert_int_equal(grant(state, &limit, 1, "third", 0, refusing, &tripped), STATE_REFUSED_OPEN);
  assert_string_equal(change(state, &limit, "next", 0), "ssh/1 closed");
  state_close(state);
}

static void *race_for_probes(void *argument) {
  struct racer *racer = argument;
  struct state_limit limit = {"ssh/1", 1000, 600000};
  char action[32], refusing[128];
  int tripped;
  enum state_grant answer;
  struct error error = {0};
  for (int i = 0; i < 10; i++) {
    snprintf(action, sizeof action, "%d-%d", racer->number, i);
    if (state_breaker_grant(racer->state, &limit, 1, action, 0, &answer, refusing, &tripped, &error)) break;
    racer->granted += answer == STATE_GRANTED;
  }
  return NULL;
}

static void test_probes_are_granted_atomically(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *states[] = {joined_state(server, "a"), joined_state(server, "b")};
  struct racer racers[8];
  pthread_t threads[8];
  int granted = 0;
  OK(state_breaker_set(states[0], "ssh/1", "trip", "me", "", &error));
  assert_int_equal(state_breaker_probe(states[0], "ssh/1", 3, -1, "me", NULL), 1);
  for (int i = 0; i < 8; i++) {
    racers[i] = (struct racer){states[i % 2], i, NULL, 0};
    assert_int_equal(pthread_create(&threads[i], NULL, race_for_probes, &racers[i]), 0);
  }
  for (int i = 0; i < 8; i++) {
    pthread_join(threads[i], NULL);
    granted += racers[i].granted;
  }
  assert_int_equal(granted, 3);
  state_close(states[0]);
  state_close(states[1]);
}
