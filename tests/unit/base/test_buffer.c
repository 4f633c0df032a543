#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"

static void test_ceiling_fails_and_keeps_what_was_there(void **state) {
  (void)state;
  struct buffer buffer = {.ceiling = 5};
  assert_int_equal(buffer_add_text(&buffer, "abc"), 0);
  assert_int_equal(buffer_add_text(&buffer, "def"), -1);
  assert_true(buffer.failed);
  assert_string_equal(buffer_text(&buffer), "abc");
  assert_int_equal(buffer_add_text(&buffer, "d"), -1); /* it would fit, but a hole in the text must not go unseen */
  buffer_clear(&buffer);
  assert_int_equal(buffer_add_text(&buffer, "12345"), 0); /* exactly the ceiling */
  assert_int_equal(buffer_addf(&buffer, "%d", 6), -1);
  assert_string_equal(buffer_text(&buffer), "12345");
  buffer_free(&buffer);
}

static void test_lengths_that_would_wrap_around_fail(void **state) {
  (void)state;
  static const size_t ceilings[] = {0, 100, SIZE_MAX};
  for (size_t i = 0; i < 3; i++) {
    struct buffer buffer = {.ceiling = ceilings[i]};
    assert_int_equal(buffer_add_text(&buffer, "abc"), 0);
    assert_int_equal(buffer_add(&buffer, "", SIZE_MAX - 1), -1);
    assert_string_equal(buffer_text(&buffer), "abc");
    buffer_free(&buffer);
  }
}

static void test_memory_never_passes_the_ceiling(void **state) {
  (void)state;
  struct buffer buffer = {.ceiling = 1000};
  while (buffer_add_text(&buffer, "0123456789") == 0) {}
  assert_int_equal(buffer.length, 1000);
  assert_true(buffer.capacity <= 1001);
  buffer_free(&buffer);
}

static void test_empty_buffer(void **state) {
  (void)state;
  struct buffer buffer = {0};
  assert_string_equal(buffer_text(&buffer), "");
  assert_int_equal(buffer_add(&buffer, NULL, 0), 0);
  assert_string_equal(buffer_text(&buffer), "");
  buffer_free(&buffer);
  char *text = buffer_take(&buffer);
  assert_string_equal(text, "");
  free(text);
  buffer_free(NULL);
}

static void test_take_hands_over_and_keeps_the_ceiling(void **state) {
  (void)state;
  struct buffer buffer = {.ceiling = 10};
  buffer_addf(&buffer, "%s-%d", "a", 7);
  char *text = buffer_take(&buffer);
  assert_string_equal(text, "a-7");
  free(text);
  assert_int_equal(buffer.length, 0);
  assert_int_equal(buffer.ceiling, 10);
  assert_null(buffer.data);
}

static void test_json_escapes(void **state) {
  (void)state;
  static const struct {
    const char *text;
    size_t length;
    const char *wanted;
  } cases[] = {
      {"", 0, ""},
      {"plain text", 10, "plain text"},
      {"a\"b\\c/", 6, "a\\\"b\\\\c/"},
      {"\b\t\n\f\r", 5, "\\b\\t\\n\\f\\r"},
      {"\x01\x1f\x7f", 3, "\\u0001\\u001f\\u007f"},
      {"a\0b", 3, "a\\u0000b"},
      {"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", 9, "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"},
      {"\xC3", 1, "\xEF\xBF\xBD"},                                                   /* cut off */
      {"\xE2\x82", 2, "\xEF\xBF\xBD\xEF\xBF\xBD"},                                   /* cut off */
      {"\x80", 1, "\xEF\xBF\xBD"},                                                   /* continuation alone */
      {"\xC0\xAF", 2, "\xEF\xBF\xBD\xEF\xBF\xBD"},                                   /* overlong */
      {"\xED\xA0\x80", 3, "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},                   /* surrogate */
      {"\xF4\x90\x80\x80z", 5, "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz"}, /* beyond U+10FFFF */
      {"\xE0\x9F\xBFz", 4, "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz"},                 /* overlong, three bytes */
      {"\xC3(", 2, "\xEF\xBF\xBD("},                                                 /* the byte behind is kept */
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct buffer buffer = {0};
    assert_int_equal(buffer_add_json_escaped(&buffer, cases[i].text, cases[i].length), 0);
    assert_string_equal(buffer_text(&buffer), cases[i].wanted);
    buffer_free(&buffer);
  }
}

static void test_json_escape_that_does_not_fit_leaves_no_half(void **state) {
  (void)state;
  struct buffer buffer = {.ceiling = 4};
  buffer_add_text(&buffer, "ab");
  assert_int_equal(buffer_add_json_escaped(&buffer, "c\n", 2), -1);
  assert_string_equal(buffer_text(&buffer), "ab");
  buffer_free(&buffer);
}

static void test_grows_over_many_additions(void **state) {
  (void)state;
  struct buffer buffer = {0};
  for (int i = 0; i < 10000; i++) assert_int_equal(buffer_add_char(&buffer, (char)('a' + i % 26)), 0);
  assert_int_equal(buffer.length, 10000);
  assert_int_equal(strlen(buffer_text(&buffer)), 10000);
  assert_int_equal(buffer_text(&buffer)[9999], 'a' + 9999 % 26);
  buffer_free(&buffer);
}
