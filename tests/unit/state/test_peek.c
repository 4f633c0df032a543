/* What the gates ask of many guardrails at once: each its own answer, whatever the others'. */
#include "fixture.h"

enum { MANY = 40 };
struct asked {
  char subject[32], scopes[4][48];
  struct state_limit limits[4];
  struct state_peek peek;
};

/* The guardrail's subject and scopes, as a worker names them. */
static void fill(struct asked *asked, int number) {
  snprintf(asked->subject, sizeof asked->subject, "g%d|arn", number);
  snprintf(asked->scopes[0], sizeof asked->scopes[0], "g%d/1", number);
  snprintf(asked->scopes[1], sizeof asked->scopes[1], "g%d", number);
  snprintf(asked->scopes[2], sizeof asked->scopes[2], "account:1");
  snprintf(asked->scopes[3], sizeof asked->scopes[3], "organization");
  for (int i = 0; i < 4; i++)
    asked->limits[i] = (struct state_limit){.scope = asked->scopes[i], .actions = 10, .window_ms = 60000};
  asked->peek = (struct state_peek){.subject = asked->subject, .limits = asked->limits, .limit_count = 4};
}

static void ask(struct state *state, struct asked *asked, size_t count) {
  struct state_peek *peeks[MANY];
  for (size_t i = 0; i < count; i++) peeks[i] = &asked[i].peek;
  OK(state_peek(state, peeks, count, &error));
}

static void test_each_guardrail_has_its_own_answer(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  static struct asked asked[MANY];
  for (int i = 0; i < MANY; i++) fill(&asked[i], i);
  asked[5].peek.subject = NULL;  /* that may not be parked */
  asked[6].peek.limit_count = 0; /* only tells */
  asked[7].peek = (struct state_peek){0};
  json_t *unit = parse("{}");
  OK(state_park(state, "g3|arn", unit, 0, &error));
  OK(state_park(state, "g5|arn", unit, 0, &error));
  OK(state_park(state, "g39|arn", unit, 0, &error));
  json_decref(unit);
  OK(state_breaker_set(state, "g4/1", "trip", "me", "", &error));
  OK(state_breaker_set(state, "g6/1", "trip", "me", "", &error));
  OK(state_breaker_set(state, "g38", "hold", "me", "", &error));
  ask(state, asked, MANY);
  for (int i = 0; i < MANY; i++) {
    assert_int_equal(asked[i].peek.parked, i == 3 || i == 39);
    assert_int_equal(asked[i].peek.answer, i == 4 ? STATE_REFUSED_OPEN : i == 38 ? STATE_REFUSED_HELD : STATE_GRANTED);
  }
  assert_string_equal(asked[4].peek.refusing, "g4/1");
  assert_string_equal(asked[38].peek.refusing, "g38");
  state_close(state);
}

static void test_what_refuses_first(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  struct asked asked[2];
  fill(&asked[0], 0);
  fill(&asked[1], 1);
  asked[1].peek.limit_count = 0; /* reads and tells: no stop, no breaker is its business */
  OK(state_breaker_set(state, "g0/1", "trip", "me", "", &error));
  OK(state_breaker_set(state, "organization", "hold", "me", "", &error));
  ask(state, asked, 2);
  assert_int_equal(asked[0].peek.answer, STATE_REFUSED_HELD); /* a hold is told before what is open */
  assert_string_equal(asked[0].peek.refusing, "organization");
  json_t *stop = parse("{\"by\":\"me\",\"reason\":\"fire\"}");
  OK(state_stop_set(state, stop, &error));
  json_decref(stop);
  ask(state, asked, 2);
  assert_int_equal(asked[0].peek.answer, STATE_REFUSED_STOP);
  assert_string_equal(asked[0].peek.refusing, "stop");
  assert_int_equal(asked[1].peek.answer, STATE_GRANTED);
  state_close(state);
}

static void test_no_answer_is_a_refusal(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  struct asked asked;
  struct state_peek *peeks[] = {&asked.peek};
  fill(&asked, 0);
  asked.limits[0].scope = "";
  FAILS(state_peek(state, peeks, 1, &error), ERROR_INVALID, "argument");
  assert_int_equal(asked.peek.answer, STATE_REFUSED_STOP);
  fill(&asked, 0);
  free(redis_server_ask(server, "SET", "parapet:v1:breaker:g0/1", "planted", NULL));
  assert_int_equal(state_peek(state, peeks, 1, NULL), -1);
  assert_int_equal(asked.peek.answer, STATE_REFUSED_STOP);
  state_close(state);
}

static void test_what_is_known_of_subjects(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  struct state_known known[MANY];
  char texts[MANY][24];
  struct state_lease lease;
  json_t *intent = parse("{\"action\":\"a\"}"), *finding = parse("{\"id\":\"g9|arn\",\"status\":\"open\"}");
  assert_int_equal(state_lease_take(state, "r", 60000, &lease, NULL), 1);
  OK(state_intent_put(state, "g7|arn", intent, &lease, &error));
  OK(state_intent_put(state, "g38|arn", intent, &lease, &error));
  OK(state_finding_put(state, finding, NULL, &error));
  for (int i = 0; i < MANY; i++) {
    snprintf(texts[i], sizeof texts[i], "g%d|arn", i);
    known[i] = (struct state_known){.subject = texts[i], .finding = texts[i]};
  }
  OK(state_known(state, known, MANY, &error));
  for (int i = 0; i < MANY; i++) {
    assert_int_equal(known[i].begun, i == 7 || i == 38);
    assert_int_equal(known[i].found, i == 9);
  }
  OK(state_known(state, known, 0, &error));
  json_decref(intent);
  json_decref(finding);
  state_close(state);
}
