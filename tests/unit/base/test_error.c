#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/error.h"

static void test_set_returns_minus_one_and_fills(void **state) {
  (void)state;
  struct error error = {0};
  snprintf(error.request_id, sizeof error.request_id, "old");
  assert_int_equal(error_set(&error, ERROR_DENIED, "AccessDenied", "%s may not %s.", "role", "read"), -1);
  assert_int_equal(error.class, ERROR_DENIED);
  assert_string_equal(error.code, "AccessDenied");
  assert_string_equal(error.message, "role may not read.");
  assert_string_equal(error.where, "");
  assert_string_equal(error.request_id, ""); /* nothing of an earlier error stays */
}

static void test_null_error_and_null_code_are_accepted(void **state) {
  (void)state;
  struct error error = {0};
  assert_int_equal(error_set(NULL, ERROR_FATAL, "X", "x"), -1);
  assert_int_equal(error_where(NULL, "x"), -1);
  error_clear(NULL);
  assert_int_equal(error_set(&error, ERROR_INVALID, NULL, "x"), -1);
  assert_string_equal(error.code, "");
}

static void test_where_needs_an_error(void **state) {
  (void)state;
  struct error error = {0};
  error_where(&error, "ec2.%s", "DescribeVpcs");
  assert_string_equal(error.where, "");
  error_set(&error, ERROR_MISSING, "NotFound", "no such thing");
  error_where(&error, "ec2.%s", "DescribeVpcs");
  assert_string_equal(error.where, "ec2.DescribeVpcs");
  error_clear(&error);
  assert_int_equal(error.class, ERROR_NONE);
  assert_string_equal(error.where, "");
}

/* A text longer than its field is cut between two characters, whatever their width. */
static void test_long_texts_are_cut_between_characters(void **state) {
  (void)state;
  static const char *const characters[] = {"a", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
  for (size_t i = 0; i < sizeof characters / sizeof *characters; i++)
    for (size_t shift = 0; shift < 4; shift++) {
      struct error error;
      char text[2000] = "";
      size_t width = strlen(characters[i]);
      memset(text, 'x', shift);
      for (size_t at = shift; at + width < sizeof text; at += width) memcpy(text + at, characters[i], width + 1);
      error_set(&error, ERROR_FATAL, text, "%s", text);
      size_t length = strlen(error.message);
      assert_true(length < sizeof error.message);
      assert_true(length > sizeof error.message - 1 - width);
      assert_int_equal((length - shift) % width, 0);
    }
}

static void test_own_texts_may_be_arguments(void **state) {
  (void)state;
  struct error error;
  error_set(&error, ERROR_RETRYABLE, "First", "inner");
  error_set(&error, ERROR_FATAL, error.code, "outer: %s", error.message);
  assert_string_equal(error.message, "outer: inner");
  assert_string_equal(error.code, "First");
}

static void test_class_names(void **state) {
  (void)state;
  assert_string_equal(error_class_name((enum error_class)99), "unknown");
  assert_string_equal(error_class_name(ERROR_NONE), "none");
  assert_string_equal(error_class_name(ERROR_FATAL), "fatal");
}

static void test_only_retryable_and_throttled_are_transient(void **state) {
  (void)state;
  for (int class = ERROR_NONE; class <= ERROR_FATAL; class ++) {
    struct error error = {.class = (enum error_class) class};
    assert_int_equal(error_is_transient(&error), class == ERROR_RETRYABLE || class == ERROR_THROTTLED);
  }
}
