/* The spellings of a character, over all of Unicode. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "match/match_internal.h"

static int starts(const struct match_variant *text, const struct match_variant *start) {
  return text->length >= start->length && memcmp(text->bytes, start->bytes, start->length) == 0;
}

static int ends(const struct match_variant *text, const struct match_variant *end) {
  return text->length >= end->length && memcmp(text->bytes + text->length - end->length, end->bytes, end->length) == 0;
}

/* Comparing takes the first spelling that fits and never another: right, as long as none begins or ends another. */
static void test_no_spelling_begins_or_ends_another(void **state) {
  (void)state;
  size_t with_case = 0;
  for (uint32_t code = 0; code < 0x110000; code++) {
    struct match_variant variants[3];
    size_t count = match_fold_variants(code, variants);
    assert_in_range(count, 1, 3);
    with_case += count > 1;
    for (size_t i = 0; i < count; i++)
      for (size_t j = 0; j < count; j++)
        if (i != j) assert_false(starts(&variants[i], &variants[j]) || ends(&variants[i], &variants[j]));
  }
  assert_in_range(with_case, 2700, 4000);
}

static void test_folding(void **state) {
  static const struct {
    const char *pattern, *text;
    int start, end; /* bytes used */
  } cases[] = {
      {"", "x", 0, 0},
      {"aB", "Abc", 2, -1},
      {"bC", "abC", -1, 2},
      {"\xC3\xA9", "\xC3\x89", 2, 2},                 /* é É */
      {"\xC3\x9F", "SS", 2, 2},                       /* ß SS */
      {"SS", "\xC3\x9F", -1, -1},                     /* not the other way round */
      {"\xE2\xB1\xA5", "\xC8\xBA", 2, 2},             /* ⱥ Ⱥ: three bytes, two */
      {"\xF0\x90\x90\xA8", "\xF0\x90\x90\x80", 4, 4}, /* outside the BMP */
      {"\xC7\x85", "\xC7\x85", 2, 2},                 /* ǅ, a titlecase letter */
      {"\xFFx", "\xFFX", 2, 2},                       /* no UTF-8: byte by byte */
      {"ab", "a", -1, -1},
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const char *pattern = cases[i].pattern, *text = cases[i].text;
    int start = (int)match_fold_start(pattern, strlen(pattern), text, strlen(text));
    int end = (int)match_fold_end(pattern, strlen(pattern), text, strlen(text));
    if (start != cases[i].start || end != cases[i].end) fail_msg("%s %s: %d, %d", pattern, text, start, end);
  }
}
