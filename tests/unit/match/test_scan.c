/* All scanners give the portable one's answers, wherever in a block things stand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "match/set_internal.h"

static const struct match_piece words[] = {{"xx", 2}, {"axa", 3}, {"a\x80", 2}};
#define WORDS (uint32_t)(sizeof words / sizeof *words)

static void compare_at(const char *text, size_t length, int depth) {
  const struct match_scan *plain = match_scan_at(0), *scan;
  char *copy = malloc(length + 1); /* ends where the text ends, so that asan sees a byte read behind it */
  memcpy(copy, text, length);
  const char *stop = plain->string_stop(copy, copy + length);
  const char *behind = plain->skip_container(copy, copy + length, depth);
  const char *word = plain->next_word(copy, copy, copy + length, words, WORDS);
  for (size_t i = 1; (scan = match_scan_at(i)); i++) {
    assert_ptr_equal(scan->next_word(copy, copy, copy + length, words, WORDS), word);
    assert_ptr_equal(scan->string_stop(copy, copy + length), stop);
    assert_ptr_equal(scan->skip_container(copy, copy + length, depth), behind);
  }
  free(copy);
}

/* Bytes that matter are frequent, others fill up. */
static void test_random_bytes(void **state) {
  static const char alphabet[] = "\"\"\\\\[]{}[]}}aaaau \n\x01\x80\xFF,:";
  (void)state;
  uint64_t seed = 7;
  char text[300];
  for (int round = 0; round < 200000; round++) {
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    size_t length = (size_t)(seed >> 33) % sizeof text;
    unsigned rare = (unsigned)(seed >> 50) % 12 + 1; /* how much filling */
    for (size_t i = 0; i < length; i++) {
      seed = seed * 6364136223846793005ull + 1442695040888963407ull;
      unsigned choice = (unsigned)(seed >> 40);
      text[i] = choice % rare ? 'x' : alphabet[choice / rare % (sizeof alphabet - 1)];
    }
    compare_at(text, length, (int)(seed >> 60));
  }
}

static void test_each_position_of_the_end(void **state) {
  (void)state;
  char text[260];
  for (size_t at = 0; at < sizeof text; at++) {
    memset(text, 'x', sizeof text);
    text[at] = '"';
    compare_at(text, sizeof text, 5);
    text[at] = '}';
    compare_at(text, sizeof text, 5);
    const struct match_scan *scan;
    for (size_t i = 0; (scan = match_scan_at(i)); i++)
      assert_ptr_equal(scan->skip_container(text, text + sizeof text, 0), text + at + 1);
  }
}

static void test_depth(void **state) {
  const struct match_scan *scan;
  (void)state;
  char text[520];
  for (size_t i = 0; (scan = match_scan_at(i)); i++) {
    for (int depth = 0; depth < 250; depth++) {
      memset(text, '[', (size_t)depth);
      memset(text + depth, ']', (size_t)depth + 1);
      const char *end = text + 2 * depth + 1;
      assert_ptr_equal(scan->skip_container(text, end, depth), end);
      if (depth > 0) assert_null(scan->skip_container(text, end, depth - 1));
      assert_null(scan->skip_container(text, end - 1, depth));
    }
  }
}

/* Wherever it stands, a word is found with its quote, an escape without; half of either is not. */
static void test_words_at_each_position(void **state) {
  static const struct {
    const char *text;
    bool found;
  } cases[] = {{"xx\"", true}, {"axa\"", true}, {"\\u", true}, {"xa\"", false},
               {"xx", false},  {"x\"", false},  {"\\", false}};
  const struct match_scan *scan;
  char text[150];
  (void)state;
  for (size_t i = 0; (scan = match_scan_at(i)); i++)
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
      for (size_t at = 0, length = strlen(cases[c].text); at + length <= sizeof text; at++) {
        memset(text, '-', sizeof text);
        memcpy(text + at, cases[c].text, length);
        const char *found = scan->next_word(text, text, text + sizeof text, words, WORDS);
        assert_ptr_equal(found, !cases[c].found ? NULL : *cases[c].text == '\\' ? text + at : text + at + length - 1);
        assert_null(scan->next_word(text, text, text + at + length - 1, words, WORDS));
      }
}
