#include "fixture.h"
#include "state/state_internal.h"

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

static void test_what_was_seen_meanwhile_is_not_put(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  char was[32];
  int written = 0;
  json_t *parked = parse("{\"id\":\"f\",\"status\":\"parked\"}");
  OK(state_finding_put_unless_seen(state, parked, "e|s", was, &written, &error));
  assert_int_equal(written, 1);
  put(state, "f", "fixed", 1, "parked");
  OK(state_seen_mark(state, "e|s", 60000, &error));
  OK(state_finding_put_unless_seen(state, parked, "e|s", was, &written, &error));
  assert_int_equal(written, 0);
  assert_string_equal(was, "");
  expect_counts(state, "{\"fixed\":1}");
  OK(state_finding_put_unless_seen(state, parked, "other|s", was, &written, &error));
  assert_int_equal(written, 1);
  assert_string_equal(was, "fixed");
  json_decref(parked);
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
  ASK("2", server, "ZCARD", "parapet:v1:findings:places");
  for (int i = 0; i < 2; i++) {
    json_t *list = NULL;
    OK(state_findings(state, i ? "open" : NULL, 1, &list, &error));
    assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "id")), "a");
    json_decref(list);
  }
  state_close(state);
}

static json_t *record(const char *id, const char *status, const char *region) {
  return json_pack("{s:s, s:s, s:s, s:s, s:s}", "id", id, "status", status, "guardrail", "ssh", "account", "1",
                   "region", region);
}

static void put_at(struct state *state, const char *id, const char *status, const char *region) {
  json_t *finding = record(id, status, region);
  OK(state_finding_put(state, finding, NULL, &error));
  json_decref(finding);
}

static void test_closing_ends_only_what_is_still_there(void **unused) {
  (void)unused;
  static const struct {
    const char *status, *after;
  } rows[] = {{"open", "closed"}, {"failed", "closed"}, {"parked", "closed"},  {"excepted", "closed"},
              {"fixed", "fixed"}, {"closed", "closed"}, {"pending", "pending"}};
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  char was[32] = "x";
  OK(state_finding_close(state, "nobody", was, &error));
  assert_string_equal(was, "");
  FAILS(state_finding_close(state, "", was, &error), ERROR_INVALID, "argument");
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    json_t *finding = NULL;
    put_at(state, "f", rows[i].status, "r");
    OK(state_finding_close(state, "f", was, &error));
    assert_string_equal(was, rows[i].status);
    OK(state_finding_get(state, "f", &finding, &error));
    assert_string_equal(json_string_value(json_object_get(finding, "status")), rows[i].after);
    json_decref(finding);
  }
  state_close(state);
}

static void close_absent(struct state *state, const char *region, const char *seen, size_t expected) {
  json_t *ids = parse(seen), *closed = json_array(), *record;
  size_t index;
  OK(state_findings_close_absent(state, "ssh", "1", region, ids, closed, &error));
  assert_int_equal(json_array_size(closed), expected);
  json_array_foreach(closed, index, record) assert_string_equal(json_text_at(record, "status", NULL), "closed");
  json_decref(closed);
  json_decref(ids);
}

static void test_a_sweep_closes_what_it_did_not_see(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  put_at(state, "open", "open", "r");
  put_at(state, "seen", "open", "r");
  put_at(state, "failed", "failed", "r");
  put_at(state, "excepted", "excepted", "r");
  put_at(state, "parked", "parked", "r");
  put_at(state, "fixed", "fixed", "r");
  put_at(state, "elsewhere", "open", "r2"); /* a Region whose name begins like the other's */
  close_absent(state, "r", "[\"seen\", 5, \"other\"]", 3);
  expect_counts(state, "{\"open\":2,\"closed\":3,\"parked\":1,\"fixed\":1}");
  close_absent(state, "r", "[\"seen\"]", 0);
  ASK("3", server, "ZCARD", "parapet:v1:findings:places");
  close_absent(state, "r2", "[]", 1);
  put_at(state, "open", "open", "r"); /* and it may come back */
  close_absent(state, "r", "[\"seen\"]", 1);
  json_t *none = json_array();
  char long_name[600];
  memset(long_name, 'r', sizeof long_name);
  long_name[599] = '\0';
  FAILS(state_findings_close_absent(state, "ssh", "1", long_name, none, NULL, &error), ERROR_INVALID, "argument");
  json_decref(none);
  state_close(state);
}

static void test_a_record_that_changed_meanwhile_is_not_overwritten(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  json_t *before = record("f", "open", "r"), *closed = record("f", "closed", "r");
  char *text = json_dumps(before, JSON_COMPACT | JSON_SORT_KEYS);
  int written = -1;
  OK(state_finding_replace(state, closed, text, &written, &error)); /* there is none */
  assert_int_equal(written, 0);
  OK(state_finding_put(state, before, NULL, &error));
  OK(state_finding_replace(state, closed, text, &written, &error));
  assert_int_equal(written, 1);
  OK(state_finding_replace(state, before, text, &written, &error));
  assert_int_equal(written, 0);
  expect_counts(state, "{\"closed\":1}");
  free(text);
  json_decref(before);
  json_decref(closed);
  state_close(state);
}
