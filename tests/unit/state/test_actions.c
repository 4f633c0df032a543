#include "fixture.h"

static void put(struct state *state, const char *id, const char *images) {
  json_t *action = json_pack("{s:s, s:s}", "action", id, "guardrail", "ssh"), *value = images ? parse(images) : NULL;
  OK(state_action_put(state, action, value, &error));
  json_decref(action);
  json_decref(value);
}

static size_t listed(struct state *state, int64_t since, int64_t until, const char *first) {
  json_t *list = NULL;
  int64_t oldest = -1;
  OK(state_actions(state, since, until, 100, &list, &oldest, &error));
  size_t count = json_array_size(list);
  if (first) assert_string_equal(json_text_at(json_array_get(list, 0), "action", NULL), first);
  assert_true(count == 0 || oldest > 0);
  json_decref(list);
  return count;
}

static void test_actions_are_found_by_id_and_time(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  int64_t now = clock_wall_ms();
  json_t *action, *images;
  assert_int_equal(listed(state, 0, now + 60000, NULL), 0);
  put(state, "a-1", "{\"before\": 1}");
  clock_sleep_ms(5);
  put(state, "a-2", NULL);
  assert_int_equal(listed(state, 0, now + 60000, "a-2"), 2); /* the latest first */
  assert_int_equal(listed(state, now + 60000, now + 70000, NULL), 0);
  put(state, "a-1", NULL); /* its images stay, and its time */
  assert_int_equal(listed(state, 0, now + 60000, "a-2"), 2);
  OK(state_action_get(state, "a-1", &action, &images, &error));
  assert_string_equal(json_text_at(action, "guardrail", NULL), "ssh");
  assert_int_equal(json_integer_value(json_object_get(images, "before")), 1);
  json_decref(action);
  json_decref(images);
  OK(state_action_get(state, "a-2", &action, &images, &error));
  assert_non_null(action);
  assert_null(images);
  json_decref(action);
  OK(state_action_get(state, "a-3", &action, &images, &error));
  assert_null(action);
  state_close(state);
}

/* Large images stay in the topic; the action is indexed all the same. */
static void test_large_images_are_not_kept(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  char *text = malloc(300000);
  memset(text, 'x', 300000);
  json_t *action = json_pack("{s:s}", "action", "a-1"), *images = json_pack("{s:s#}", "before", text, 299999);
  OK(state_action_put(state, action, images, &error));
  json_decref(action);
  json_decref(images);
  free(text);
  OK(state_action_get(state, "a-1", &action, &images, &error));
  assert_non_null(action);
  assert_null(images);
  json_decref(action);
  state_close(state);
}

static void test_a_command_begins_once(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a"), *other = joined_state(server, "b");
  json_t *running = parse("{\"state\": \"running\"}"), *done = parse("{\"state\": \"done\"}"), *found = NULL;
  assert_int_equal(state_command_begin(state, "c-1", running, clock_wall_ms() + 1000, 60000, NULL), 1);
  assert_int_equal(state_command_begin(other, "c-1", done, clock_wall_ms() + 1000, 60000, NULL), 0);
  OK(state_command_get(other, "c-1", &found, &error));
  assert_true(json_equal(found, running));
  json_decref(found);
  OK(state_command_put(state, "c-1", done, 60000, &error));
  OK(state_command_get(other, "c-1", &found, &error));
  assert_true(json_equal(found, done));
  json_decref(found);
  FAILS(state_command_begin(state, "", running, 0, 60000, &error), ERROR_INVALID, "argument");
  FAILS(state_command_begin(state, "c-2", running, 0, 0, &error), ERROR_INVALID, "argument");
  /* A Redis that was emptied does not know what was carried out before. */
  int64_t made = clock_wall_ms();
  clock_sleep_ms(5);
  free(redis_server_ask(server, "FLUSHALL", NULL));
  join(state);
  assert_int_equal(state_command_begin(state, "c-1", running, made, 60000, NULL), 2);
  assert_int_equal(state_command_begin(state, "c-1", running, clock_wall_ms() + 1000, 60000, NULL), 1);
  json_decref(running);
  json_decref(done);
  state_close(state);
  state_close(other);
}
