/* The journal of actions as a memory: which grants it tells, and which actions are open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fleet/mirror_internal.h"
#include "json/value.h"

#include <cmocka.h>

#define HEAD(kind, action)                         \
  "{\"kind\": \"" kind "\", \"action\": \"" action \
  "\", \"time\": \"2026-11-24T22:04:05.000Z\", \"guardrail\": \"ssh\", \"account\": \"1\""
#define OPEN ", \"open\": {\"subject\": \"ssh|arn\", \"run\": \"r\", \"unit\": {}}, \"finding\": [1]"
#define CALL(run, more) ", \"call\": {\"run\": \"" run "\"" more "}}"

static json_t *note(const char *const *records, size_t count) {
  json_t *actions = json_object();
  for (size_t i = 0; i < count; i++) {
    json_t *record = json_loads(records[i], 0, NULL);
    if (!record) fail_msg("%s", records[i]);
    assert_int_equal(mirror_note_action(actions, record), 0);
    json_decref(record);
  }
  return actions;
}

static void test_an_action_counts_once_in_all_its_scopes(void **state) {
  (void)state;
  static const char *const records[] = {
      HEAD("intent", "a") OPEN CALL("r-1", ""), HEAD("outcome", "a") CALL("r-1", ", \"outcome\": \"applied\""),
      HEAD("intent", "a") CALL("r-2", ""), HEAD("result", "a") ", \"status\": \"failed\"}"};
  json_t *actions = note(records, 4), *action = json_object_get(actions, "a");
  assert_int_equal(json_object_size(actions), 1);
  assert_int_equal(json_integer_value(json_object_get(action, "at")), 1795557845000);
  json_t *wanted = json_pack("[s, s, s, s]", "ssh", "organization", "ssh/1", "account:1");
  assert_true(json_equal(json_object_get(action, "scopes"), wanted));
  assert_true(json_is_true(json_object_get(action, "ended")));
  json_decref(wanted);
  json_decref(actions);
}

static void test_an_open_action_has_its_calls_as_last_known(void **state) {
  (void)state;
  static const char *const records[] = {HEAD("intent", "a") OPEN CALL("r-1", ""),
                                        HEAD("outcome", "a") CALL("r-1", ", \"outcome\": \"applied\""),
                                        HEAD("intent", "a") CALL("r-2", "")};
  json_t *actions = note(records, 3), *action = json_object_get(actions, "a");
  json_t *wanted = json_loads(
      "{\"subject\": \"ssh|arn\", \"run\": \"r\", \"unit\": {}, \"finding\": [1], \"calls\": "
      "[{\"run\": \"r-1\", \"outcome\": \"applied\"}, {\"run\": \"r-2\"}]}",
      0, NULL);
  assert_null(json_object_get(action, "ended"));
  assert_true(json_equal(json_object_get(action, "intent"), wanted));
  json_decref(wanted);
  json_decref(actions);
}

static void test_what_is_no_action_of_the_window_is_passed_over(void **state) {
  (void)state;
  static const char *const records[] = {
      HEAD("outcome", "before") CALL("r-1", ""),                       /* it began before the window */
      "{\"kind\": \"operator\", \"verb\": \"stop\"}",                  /* a command */
      "{\"kind\": \"intent\", \"action\": \"x\", \"time\": \"soon\"}", /* not ours */
      "{}",
  };
  json_t *actions = note(records, 4);
  assert_int_equal(json_object_size(actions), 0);
  assert_int_equal(mirror_note_action(actions, NULL), 0); /* a tombstone */
  json_decref(actions);
}

static void test_an_undo_counts_in_its_own_lane(void **state) {
  (void)state;
  static const char *const records[] = {HEAD("intent", "u") ", \"undoes\": \"a\"" CALL("r-1", "")};
  json_t *actions = note(records, 1), *scopes = json_at(actions, "u", "scopes", NULL);
  assert_int_equal(json_array_size(scopes), 1);
  assert_string_equal(json_string_value(json_array_get(scopes, 0)), "undo");
  json_decref(actions);
}
