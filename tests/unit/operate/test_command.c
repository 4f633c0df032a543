#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "operate/command.h"

static void test_a_new_command_is_one(void **state) {
  (void)state;
  json_t *one = command_new("undo", json_object(), "ann@here"), *other = command_new("undo", json_object(), "ann@here");
  assert_null(command_check(one, clock_wall_ms()));
  assert_string_not_equal(json_text_at(one, "id", NULL), json_text_at(other, "id", NULL));
  assert_non_null(strstr(command_check(one, clock_wall_ms() + COMMAND_LIFE_MS + 1), "expired"));
  json_decref(one);
  json_decref(other);
}

static void test_what_is_no_command(void **state) {
  (void)state;
  static const struct {
    const char *member, *value, *reason;
  } rows[] = {
      {"id", "\"c-1\"", "id"}, /* too short to be unique */
      {"id", "\"c-0123456789abcdef0123456789abcde*\"", "id"},
      {"verb", "7", "verb"},
      {"arguments", "[]", "arguments"},
      {"created", "\"yesterday\"", "times"},
      {"expires", "\"2999-01-01T00:00:00Z\"", "five minutes"}, /* holds too long */
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    json_t *command = command_new("stop", json_object(), "ann");
    json_object_set_new(command, rows[i].member, json_loads(rows[i].value, JSON_DECODE_ANY, NULL));
    const char *why = command_check(command, clock_wall_ms());
    if (!why || !strstr(why, rows[i].reason)) fail_msg("row %zu: %s", i, why ? why : "accepted");
    json_decref(command);
  }
  json_t *early = command_new("stop", json_object(), "ann");
  assert_non_null(strstr(command_check(early, clock_wall_ms() - 2 * 60000), "future"));
  json_decref(early);
}
