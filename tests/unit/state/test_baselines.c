/* Baselines: a version is written once, and what two workers write at a time is never lost. */
#include "fixture.h"

static void test_a_version_is_written_once(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  json_t *first = parse("{\"items\":{\"sgr-1\":[]}}"), *second = parse("{\"items\":{}}"), *got = NULL;
  int64_t version = 7;
  int stored = 7;
  FAILS(state_baseline_get(state, "", &got, &version, &error), ERROR_INVALID, "argument");
  OK(state_baseline_get(state, "g|arn", &got, &version, &error));
  assert_null(got);
  assert_int_equal(version, 0);

  OK(state_baseline_put(state, "g|arn", first, 1, &stored, &error)); /* nobody can have read version 1 */
  assert_int_equal(stored, 0);
  OK(state_baseline_put(state, "g|arn", first, 0, &stored, &error));
  assert_int_equal(stored, 1);
  OK(state_baseline_put(state, "g|arn", second, 0, &stored, &error)); /* somebody wrote since */
  assert_int_equal(stored, 0);
  OK(state_baseline_get(state, "g|arn", &got, &version, &error));
  assert_true(json_equal(got, first));
  assert_int_equal(version, 1);
  json_decref(got);

  OK(state_baseline_put(state, "g|arn", second, version, &stored, &error));
  assert_int_equal(stored, 1);
  OK(state_baseline_put(state, "g|arn", NULL, 2, &stored, &error));
  assert_int_equal(stored, 1);
  OK(state_baseline_get(state, "g|arn", &got, &version, &error));
  assert_null(got);
  json_decref(first);
  json_decref(second);
  state_close(state);
}

static void test_what_is_looked_at_lives_on(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  json_t *record = parse("{}"), *got = NULL;
  int64_t version;
  int stored;
  OK(state_baseline_put(state, "g|arn", record, 0, &stored, &error));
  char *set = redis_server_ask(server, "PEXPIRE", "parapet:v1:baseline:g|arn", "5000", NULL);
  OK(state_baseline_get(state, "g|arn", &got, &version, &error));
  char *left = redis_server_ask(server, "PTTL", "parapet:v1:baseline:g|arn", NULL);
  assert_in_range(strtoll(left, NULL, 10), 34LL * 86400000, 35LL * 86400000);
  free(set);
  free(left);
  json_decref(got);
  json_decref(record);
  state_close(state);
}
