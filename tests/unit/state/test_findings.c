#include "fixture.h"

static void put(struct state *state, const char *id, const char *status, int number, const char *expected_before) {
  char was[32];
  json_t *finding = json_pack("{s:s, s:s, s:i}", "id", id, "status", status, "n", number);
  OK(state_finding_put(state, finding, was, &error));
  assert_string_equal(was, expected_before);
  json_decref(finding);
}

static void expect_counts(struct state *state, const char *expected) {
  json_t *counts = NULL, *wanted = parse(expected);
  OK(state_finding_counts(state, &counts, &error));
  assert_true(json_equal(counts, wanted));
  json_decref(counts);
  json_decref(wanted);
}

static size_t list_count(struct state *state, const char *status, size_t limit) {
  json_t *list = NULL;
  OK(state_findings(state, status, limit, &list, &error));
  size_t count = json_array_size(list);
  for (size_t i = 0; status && i < count; i++)
    assert_string_equal(json_string_value(json_object_get(json_array_get(list, i), "status")), status);
  json_decref(list);
  return count;
}

static void test_bad_findings_are_refused(void **unused) {
  (void)unused;
  static const char *const rows[] = {"{}",
                                     "{\"id\":\"f\"}",
                                     "{\"status\":\"open\"}",
                                     "{\"id\":\"\",\"status\":\"open\"}",
                                     "{\"id\":\"f\",\"status\":\"\"}",
                                     "{\"id\":\"f\",\"status\":\"a|b\"}", /* the separator of the index */
                                     "{\"id\":\"f\",\"status\":\"Open\"}",
                                     "{\"id\":\"f\",\"status\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}"};
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    json_t *finding = parse(rows[i]);
    FAILS(state_finding_put(state, finding, NULL, &error), ERROR_INVALID, "argument");
    json_decref(finding);
  }
  char *large = malloc(2 << 20);
  memset(large, 'x', 2 << 20);
  json_t *finding = json_pack("{s:s, s:s, s:s#}", "id", "f", "status", "open", "why", large, 2 << 20);
  FAILS(state_finding_put(state, finding, NULL, &error), ERROR_INVALID, "argument");
  json_decref(finding);
  free(large);
  json_t *list = NULL;
  FAILS(state_findings(state, "not a status", 1, &list, &error), ERROR_INVALID, "argument");
  assert_int_equal(list_count(state, NULL, 10), 0);
  state_close(state);
}

static void test_status_changes_move_between_the_lists(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  put(state, "f1", "open", 1, "");
  put(state, "f2", "open", 2, "");
  put(state, "f|3", "open-long", 3, ""); /* a separator in an id, a status that begins like another */
  expect_counts(state, "{\"open\":2,\"open-long\":1}");
  put(state, "f1", "open", 4, "open");
  put(state, "f1", "fixed", 5, "open");
  expect_counts(state, "{\"open\":1,\"fixed\":1,\"open-long\":1}");
  put(state, "f2", "fixed", 6, "open");
  put(state, "f|3", "closed", 7, "open-long");
  expect_counts(state, "{\"fixed\":2,\"closed\":1}");
  assert_int_equal(list_count(state, "open", 10), 0);
  assert_int_equal(list_count(state, "fixed", 10), 2);
  assert_int_equal(list_count(state, "closed", 10), 1);
  assert_int_equal(list_count(state, NULL, 10), 3);
  assert_int_equal(list_count(state, NULL, 2), 2);
  assert_int_equal(list_count(state, NULL, 0), 0);
  json_t *finding = NULL;
  OK(state_finding_get(state, "f|3", &finding, &error));
  assert_int_equal(json_integer_value(json_object_get(finding, "n")), 7);
  json_decref(finding);
  OK(state_finding_get(state, "nobody", &finding, &error));
  assert_null(finding);
  state_close(state);
}

static void test_the_latest_come_first_and_the_old_go(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  put(state, "old", "open", 1, "");
  char *member = redis_server_ask(server, "ZRANGE", "parapet:v1:findings:by-status", "0", "0", NULL);
  /* as if it had been written in 1970 */
  ASK("0", server, "ZADD", "parapet:v1:findings", "1", "old");
  ASK("1", server, "ZREM", "parapet:v1:findings:by-status", member);
  ASK("1", server, "ZADD", "parapet:v1:findings:by-status", "0", "open|0000000000001|old");
  ASK("0", server, "HSET", "parapet:v1:findings:status", "old", "open|0000000000001");
  free(member);
  assert_int_equal(list_count(state, "open", 10), 0); /* too old to be shown even before it is swept */
  assert_int_equal(list_count(state, NULL, 10), 0);
  expect_counts(state, "{}");
  put(state, "a", "open", 1, "");
  clock_sleep_ms(2);
  put(state, "b", "open", 2, "");
  clock_sleep_ms(2);
  put(state, "a", "open", 3, "open");
  expect_counts(state, "{\"open\":2}");
  ASK("2", server, "HLEN", "parapet:v1:findings:records");
  ASK("2", server, "HGET", "parapet:v1:findings:counts", "open");
  ASK("2", server, "ZCARD", "parapet:v1:findings:by-status");
  for (int i = 0; i < 2; i++) {
    json_t *list = NULL;
    OK(state_findings(state, i ? "open" : NULL, 1, &list, &error));
    assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "id")), "a");
    json_decref(list);
  }
  state_close(state);
}
