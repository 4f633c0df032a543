#include "fixture.h"

static json_t *request(const char *id, const char *status) {
  return json_pack("{s:s, s:s, s:s}", "id", id, "status", status, "subject", "ssh|r");
}

static void expect(struct state *state, const char *finding, json_t *wanted) {
  json_t *found = NULL;
  OK(state_approval_get(state, finding, &found, &error));
  assert_true(wanted ? json_equal(found, wanted) : !found);
  json_decref(found);
}

/* A decision holds only for the request that was read: two people, or a person and a drift, cannot both win. */
static void test_a_decision_needs_the_request_it_is_of(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a"), *other = joined_state(server, "b");
  json_t *waiting = request("p-1", "waiting"), *approved = request("p-1", "approved"),
         *drifted = request("p-2", "waiting");
  assert_int_equal(state_approval_put(state, "f", waiting, NULL, NULL), 1);
  assert_int_equal(state_approval_put(other, "f", approved, drifted, NULL), 0);
  expect(state, "f", waiting);
  assert_int_equal(state_approval_put(other, "f", approved, waiting, NULL), 1);
  assert_int_equal(state_approval_put(state, "f", approved, waiting, NULL), 0); /* decided already */
  assert_int_equal(state_approval_put(state, "f", drifted, NULL, NULL), 1);     /* a worker asks anew */
  assert_int_equal(state_approval_put(other, "f", NULL, approved, NULL), 0);    /* nobody uses the old one */
  expect(other, "f", drifted);
  json_t *list = NULL;
  OK(state_approvals(other, &list, &error));
  assert_int_equal(json_array_size(list), 1);
  json_decref(list);
  assert_int_equal(state_approval_put(other, "f", NULL, drifted, NULL), 1);
  expect(state, "f", NULL);
  FAILS(state_approval_put(state, "", waiting, NULL, &error), ERROR_INVALID, "argument");
  json_t *values[] = {waiting, approved, drifted};
  for (size_t i = 0; i < 3; i++) json_decref(values[i]);
  state_close(state);
  state_close(other);
}

static void test_approvals_are_put_back(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = open_state(server->url, "a");
  json_t *approved = request("p-1", "approved");
  assert_int_equal(state_epoch_join(state, NULL), 0);
  OK(state_rebuild(state, "approval", "f", approved, &error));
  OK(state_rebuild(state, "approval", "g", approved, &error));
  OK(state_rebuild(state, "approval", "g", NULL, &error));
  OK(state_epoch_create(state, &error));
  expect(state, "f", approved);
  expect(state, "g", NULL);
  json_decref(approved);
  state_close(state);
}
