/* The organization's list: one asks AWS, all read, and a failure takes nothing away. */
#include "fixture.h"

#define HOUR ((int64_t)3600000)

static int claim(struct state *state, int64_t refresh, int64_t hurry, int64_t held) {
  struct state_accounts_pace pace = {refresh, hurry, held};
  struct error error = {0};
  int answer = state_accounts_claim(state, &pace, &error);
  if (answer < 0) print_message("claim: %s\n", error.message);
  return answer;
}

static int put(struct state *state, const char *members, const char *trouble) {
  json_t *value = members ? parse(members) : NULL;
  struct error error = {0};
  int answer = state_accounts_put(state, value, trouble, &error);
  if (answer < 0) print_message("put: %s\n", error.message);
  json_decref(value);
  return answer;
}

static void test_arguments_are_checked(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  json_t *none = json_object();
  struct state_accounts_pace bad[] = {{0, 1, 1}, {1, 0, 1}, {1, 1, 0}, {1, 1, 2 * HOUR}, {31 * 24 * HOUR, 1, 1}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    FAILS(state_accounts_claim(state, &bad[i], &error), ERROR_INVALID, "argument");
  assert_int_equal(claim(state, HOUR, HOUR, HOUR), 1);
  FAILS(state_accounts_put(state, none, NULL, &error), ERROR_INVALID, "argument"); /* nobody is no organization */
  json_decref(none);
  state_close(state);
}

static void test_one_lists_at_a_time(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *one = joined_state(server, "one"), *two = joined_state(server, "two");
  assert_int_equal(claim(one, HOUR, HOUR, 500), 1);
  assert_int_equal(claim(two, HOUR, HOUR, 50), 0);
  assert_int_equal(claim(one, HOUR, HOUR, HOUR), 1); /* prolongs it */
  clock_sleep_ms(600);
  assert_int_equal(claim(two, 1, 1, 50), 0);
  assert_int_equal(put(two, "{\"1\": {}}", NULL), 0); /* not its own to write */
  assert_int_equal(put(one, "{\"1\": {}}", NULL), 1);
  assert_int_equal(put(one, "{\"1\": {}}", NULL), 0); /* the claim ended with the list */
  assert_int_equal(claim(two, HOUR, 1, HOUR), 0);     /* it is fresh */
  clock_sleep_ms(5);
  assert_int_equal(claim(two, 2, 2, 1), 1); /* it is old */
  clock_sleep_ms(5);
  assert_int_equal(claim(one, 2, 2, HOUR), 1); /* two died over it */
  assert_int_equal(put(two, "{\"1\": {}}", NULL), 0);
  state_close(one);
  state_close(two);
}

static void test_a_hurry_is_rate_limited(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  json_t *members = NULL;
  int64_t asked, time = 0;
  assert_int_equal(claim(state, HOUR, 400, HOUR), 1);
  assert_int_equal(put(state, NULL, "denied"), 1);
  assert_int_equal(claim(state, HOUR, 400, HOUR), 0); /* a failure is tried again, but not at once … */
  clock_sleep_ms(500);
  assert_int_equal(claim(state, HOUR, 400, HOUR), 1);
  assert_int_equal(put(state, "{\"1\": {}}", NULL), 1);
  clock_sleep_ms(500);
  assert_int_equal(claim(state, HOUR, 400, HOUR), 0); /* … a list is good until it is old … */
  OK(state_accounts_ask(state, &asked, &error));
  assert_int_equal(claim(state, HOUR, 400, HOUR), 1); /* … unless somebody asks */
  assert_int_equal(put(state, "{\"1\": {}}", NULL), 1);
  OK(state_accounts_get(state, &time, &members, NULL, 0, &error));
  assert_true(time >= asked); /* a list is as old as its beginning */
  json_decref(members);
  clock_sleep_ms(500);
  assert_int_equal(claim(state, HOUR, 400, HOUR), 0); /* what was asked is answered */
  state_close(state);
}

static void test_a_failure_takes_nothing_away(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *one = joined_state(server, "one"), *two = joined_state(server, "two");
  json_t *members = NULL, *wanted = parse("{\"000000000001\": {\"name\": \"a\", \"tags\": {}}, \"2\": {\"at\": 1.5}}");
  char trouble[64];
  int64_t time = 0, first;
  OK(state_accounts_get(two, &time, &members, trouble, sizeof trouble, &error));
  assert_null(members); /* nobody listed yet */
  assert_int_equal(time, 0);
  assert_int_equal(claim(one, 1, 1, HOUR), 1);
  OK(state_accounts_put(one, wanted, NULL, &error));
  OK(state_accounts_get(two, &time, &members, trouble, sizeof trouble, &error));
  assert_true(json_equal(members, wanted));
  assert_true(time > 0);
  json_decref(members);
  first = time;
  OK(state_accounts_get(two, &time, &members, trouble, sizeof trouble, &error));
  assert_null(members); /* known already: costs two fields */
  clock_sleep_ms(5);
  assert_int_equal(claim(one, 1, 1, HOUR), 1);
  assert_int_equal(put(one, NULL, "no way in"), 1);
  OK(state_accounts_get(two, &time, &members, trouble, sizeof trouble, &error));
  assert_null(members);
  assert_int_equal(time, first);
  assert_string_equal(trouble, "no way in");
  ASK("2", server, "HLEN", "parapet:v1:accounts");
  clock_sleep_ms(5);
  assert_int_equal(claim(one, 1, 1, HOUR), 1); /* a whole list, in which one has left */
  assert_int_equal(put(one, "{\"000000000001\": {\"name\": \"b\"}}", NULL), 1);
  OK(state_accounts_get(two, &time, &members, trouble, sizeof trouble, &error));
  assert_int_equal(json_object_size(members), 1);
  assert_string_equal(json_text_at(members, "000000000001", "name", NULL), "b");
  assert_string_equal(trouble, "");
  json_decref(members);
  json_decref(wanted);
  state_close(one);
  state_close(two);
}
