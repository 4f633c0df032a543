/* All scanners give the portable one's answers, wherever in a block things stand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "match/build_internal.h"

enum { LONGEST = 400 };

static struct match_words words;

static void set_words(const char *const *texts) {
  memset(&words, 0, sizeof words);
  for (; *texts; texts++) assert_int_equal(match_add_word(&words, (struct match_piece){*texts, strlen(*texts)}), 0);
}

static const char *const three[] = {"xx", "axa", "a\x80", NULL};

/* A page between two that nobody may read. */
static char *guarded_page(size_t *size) {
  static char *pages;
  *size = (size_t)sysconf(_SC_PAGESIZE);
  if (!pages) {
    pages = mmap(NULL, *size * 3, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(pages, MAP_FAILED);
    assert_int_equal(mprotect(pages + *size, *size, PROT_READ | PROT_WRITE), 0);
  }
  return pages + *size;
}

struct answers {
  const char *stop, *behind;
  bool word, over, over_all;
};

/* Some words count, others do not. */
static bool counts(const void *context, const char *at, const char *end) {
  return at < end && (*at == 'x' || *at == *(const char *)context);
}

static bool none_counts(const void *context, const char *at, const char *end) {
  (void)context;
  return at > end;
}

static struct answers ask(const struct match_scan *scan, const char *text, size_t length, int depth) {
  const char *end = text + length;
  struct answers answers = {.stop = scan->string_stop(text, end), .behind = scan->skip_container(text, end, depth)};
  answers.word = scan->has_word(text, end, &words);
  if (length > 0 && *text == '{') {
    answers.over = scan->passes_over(text, end, depth, &words, counts, "}");
    answers.over_all = scan->passes_over(text, end, depth, &words, none_counts, NULL);
  }
  return answers;
}

static void compare_in(const char *text, size_t length, int depth) {
  const struct answers plain = ask(match_scan_at(0), text, length, depth);
  const struct match_scan *scan;
  for (size_t i = 1; (scan = match_scan_at(i)); i++) {
    const struct answers answers = ask(scan, text, length, depth);
    assert_ptr_equal(answers.stop, plain.stop);
    assert_ptr_equal(answers.behind, plain.behind);
    assert_int_equal(answers.word, plain.word);
    assert_int_equal(answers.over, plain.over);
    assert_int_equal(answers.over_all, plain.over_all);
  }
}

/* No byte is read in front of the text, nor behind it. */
static void compare_at(const char *text, size_t length, int depth) {
  size_t size;
  char *page = guarded_page(&size);
  compare_in(memcpy(page, text, length), length, depth);
  compare_in(memcpy(page + size - length, text, length), length, depth);
}

/* Bytes that matter are frequent, others fill up. */
static void test_random_bytes(void **state) {
  static const char alphabet[] = "\"\"\\\\[]{}[]}}aaaau \n\x01\x80\xFF,:";
  (void)state;
  set_words(three);
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
    if (length > 0 && round % 2) text[0] = '{';
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
  } cases[] = {{"xx\"", true}, {"axa\"", true}, {"\\u", true}, {"\\\\u", true},  {"xa\"", false},
               {"xx", false},  {"x\"", false},  {"\\", false}, {"xx\\\"", false}};
  const struct match_scan *scan;
  char text[150];
  (void)state;
  set_words(three);
  for (size_t i = 0; (scan = match_scan_at(i)); i++)
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
      for (size_t at = 0, length = strlen(cases[c].text); at + length <= sizeof text; at++) {
        memset(text, '-', sizeof text);
        memcpy(text + at, cases[c].text, length);
        assert_int_equal(scan->has_word(text, text + sizeof text, &words), cases[c].found);
        assert_false(scan->has_word(text, text + at + length - 1, &words));
        if (length > 1) assert_false(scan->has_word(text + at + length - 1, text + sizeof text, &words));
      }
}

/* ---- whole objects ---- */

struct text {
  char bytes[LONGEST];
  size_t length;
};

static void add(struct text *text, const char *more) {
  size_t length = strlen(more);
  if (text->length + length > sizeof text->bytes) return;
  memcpy(text->bytes + text->length, more, length);
  text->length += length;
}

/* An object `length` bytes long, of members that are chosen by the seed; whole, or with a flaw. */
static void make_object(struct text *text, uint64_t *seed, size_t length, size_t flaw) {
  static const char *const members[] = {
      "\"k\":[1,{}],",     "\"nameName\":\"xx\",", "\"type\":{\"a\":[]},", "\"p\":\"}]{[\",", "\"q\":\"\\\"\\\\\",",
      "\"type\" : \"u\",", "\"at\":\"type\",",     "\"z\":null , ",        "\"a.type\":7,",   "\"\\\\\\\"type\":{},",
  };
  static const char *const flaws[] = {"", "\\u0041", "}", "]", "{", "\"", "\\", "[[[[[[[[[[", " ", "}}"};
  text->length = 0;
  add(text, "{");
  for (;;) {
    *seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
    const char *member = members[(*seed >> 33) % (sizeof members / sizeof *members)];
    if (text->length + strlen(member) + 13 > length) break;
    if (*seed >> 61 == 0) add(text, flaws[flaw % 10]);
    add(text, member);
  }
  while (text->length + 1 < length) add(text, " ");
  if (text->length < length) add(text, "}");
  if (*seed >> 60 & 1) add(text, flaws[flaw % 10]);
}

/* Of all lengths, so that each thing comes at each place of a block. */
static void test_objects(void **state) {
  static const char *const sets[][5] = {{"type", NULL},
                                        {"nameName", "type", NULL},
                                        {"a.type", "xx", "Name", NULL},
                                        {"nameName", "type", "kz", "at", NULL},
                                        {"meName", "pe", "k ", "q:", NULL}};
  (void)state;
  uint64_t seed = 11;
  struct text text;
  for (size_t set = 0; set < sizeof sets / sizeof *sets; set++) {
    set_words(sets[set]);
    for (size_t length = 1; length < LONGEST - 20; length++)
      for (size_t round = 0; round < 60; round++) {
        make_object(&text, &seed, length, round);
        compare_at(text.bytes, text.length, (int)(round % 8));
      }
  }
}

/* Longer than what is walked through at a time: the word, the end and what is behind it at each of many places. */
static void test_long_objects(void **state) {
  static char text[5000];
  const struct match_scan *scan;
  (void)state;
  set_words((const char *const[]){"type", NULL});
  for (size_t length = 4000; length < 4200; length++) {
    memset(text, ' ', sizeof text);
    text[0] = '{';
    text[length - 1] = '}';
    for (size_t i = 0; (scan = match_scan_at(i)); i++) {
      assert_true(scan->passes_over(text, text + length, 0, &words, counts, "}"));
      assert_false(scan->passes_over(text, text + length + 1, 0, &words, counts, "}"));
      assert_false(scan->passes_over(text, text + length - 1, 0, &words, counts, "}"));
      size_t at = (length * 37) % (length - 10) + 1;
      memcpy(text + at, "\"type\"}", 7);
      assert_false(scan->passes_over(text, text + length, 0, &words, counts, "}"));
      memcpy(text + at, "\"type\"x", 7);
      assert_false(scan->passes_over(text, text + length, 0, &words, counts, "}"));
      memcpy(text + at, "\"type\":", 7);
      assert_true(scan->passes_over(text, text + length, 0, &words, counts, "}"));
      memset(text + at, ' ', 7);
    }
  }
}

/* The least depth that is allowed is the one that the object has. */
static void test_depth_of_objects(void **state) {
  const struct match_scan *scan;
  (void)state;
  set_words(three);
  char text[600];
  for (size_t i = 0; (scan = match_scan_at(i)); i++)
    for (int depth = 0; depth < 290; depth++) {
      text[0] = '{';
      memset(text + 1, '[', (size_t)depth);
      memset(text + 1 + depth, ']', (size_t)depth);
      text[2 * depth + 1] = '}';
      const char *end = text + 2 * depth + 2;
      assert_true(scan->passes_over(text, end, depth, &words, counts, "}"));
      if (depth > 0) assert_false(scan->passes_over(text, end, depth - 1, &words, counts, "}"));
    }
}
