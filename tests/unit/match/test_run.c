/* Events: what is no event, what the header promises about paths, arrays, keys and escapes, and many patterns at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "match/set_internal.h"

static struct match_set *build_one(const char *pattern) {
  struct error error = {0};
  struct match_builder *builder = match_builder_open();
  if (match_add(builder, 1, pattern, strlen(pattern), &error) != 0) fail_msg("%s\n%s", pattern, error.message);
  struct match_set *set = match_build(builder, &error);
  assert_non_null(set);
  return set;
}

/* With every scanner: 1, 0, or -1. */
static int run_one(const char *pattern, const char *event) {
  struct error error = {0};
  const uint32_t *ids;
  struct match_set *set = build_one(pattern);
  struct match_scratch *scratch = match_scratch_open();
  int result = 2;
  for (size_t i = 0; match_scan_at(i); i++) {
    set->scan = match_scan_at(i);
    int got = match_run(set, scratch, event, strlen(event), &ids, &error);
    if (got < 0) assert_int_equal(error.class, ERROR_INVALID);
    if (result != 2) assert_int_equal(got, result);
    result = got;
  }
  match_scratch_free(scratch);
  match_set_free(set);
  return result;
}

static void test_not_an_event(void **state) {
  static const char *const events[] = {"",
                                       "[]",
                                       "null",
                                       "{",
                                       "{\"a\"",
                                       "{\"a\":",
                                       "{\"a\":}",
                                       "{\"a\":1",
                                       "{\"a\":1,}",
                                       "{\"a\":1}}",
                                       "{\"a\":1} x",
                                       "{\"a\":01}",
                                       "{\"a\":nul}",
                                       "{\"a\":truex}",
                                       "{\"a\":\"x}",
                                       "{\"a\":\"\\x\"}",
                                       "{\"a\":\"\\u12\"}",
                                       "{\"a\":\"\n\"}",
                                       "{\"a\":[1}",
                                       "{\"a\":[1,]}",
                                       "{\"b\":[[}",
                                       "{\"b\":\"\\",
                                       "{\"b\" 1}",
                                       "{b:1}"};
  (void)state;
  for (size_t i = 0; i < sizeof events / sizeof *events; i++)
    if (run_one("{\"a\":[\"z\"],\"c\":[1]}", events[i]) != -1) fail_msg("%s", events[i]);
}

static void test_depth(void **state) {
  char event[2000];
  (void)state;
  for (int used = 0; used < 2; used++)
    for (int depth = 255; depth <= 256; depth++) { /* and the object around */
      int length = snprintf(event, sizeof event, "{\"%s\":", used ? "a" : "b");
      memset(event + length, '[', (size_t)depth);
      memset(event + length + depth, ']', (size_t)depth);
      strcpy(event + length + 2 * depth, "}");
      assert_int_equal(run_one("{\"a\":[1]}", event), depth == 255 ? 0 : -1);
    }
}

static void test_meaning(void **state) {
  static const struct {
    const char *pattern, *event;
    int expected;
  } cases[] = {
      /* paths */
      {"{\"a\":{\"b\":[1]}}", "{\"a.b\":1}", 1},
      {"{\"a.b\":[1]}", "{\"a\":{\"b\":1}}", 1},
      {"{\"a\":{\"b\":{\"c\":[1]}}}", "{\"a\":{\"b.c\":1}}", 1},
      {"{\"a\":{\"\":[1]}}", "{\"a.\":1}", 1},
      {"{\"a\":[1]}", "{\"a.\":1}", 0},
      {"{\"a\":[1]}", "{\"\\u0061\":1}", 1},
      {"{\"a\":[1],\"a\":{\"b\":[2]}}", "{\"a\":[1,{\"b\":2}]}", 1},
      /* repeated keys */
      {"{\"a\":[1]}", "{\"a\":1,\"a\":2}", 1},
      {"{\"a\":[2]}", "{\"a\":1,\"a\":2}", 1},
      {"{\"a\":[1],\"a\":[2]}", "{\"a\":1}", 0},
      {"{\"x\":[1],\"$or\":[{\"x\":[2]},{\"y\":[3]}]}", "{\"x\":2}", 1},
      {"{\"x\":[1],\"$or\":[{\"x\":[2]},{\"y\":[3]}]}", "{\"x\":1,\"y\":3}", 1},
      {"{\"$or\":[{\"x\":[2]},{\"y\":[3]}],\"x\":[1]}", "{\"x\":2}", 0},
      /* given up at a, and taken up again where a comes once more, in whatever spelling */
      {"{\"a\":[1],\"b\":[2]}", "{\"a\":0,\"b\":2,\"a\":1}", 1},
      {"{\"a\":{\"c\":[1]},\"b\":[2]}", "{\"a\":{\"c\":0,\"d\":1},\"b\":2,\"a.c\":1}", 1},
      {"{\"a\":{\"c\":[1]},\"b\":[2]}", "{\"a\":{\"c\":0,\"\\u0063\":1},\"b\":2}", 1},
      {"{\"a\":{\"c\":[1]},\"b\":[2]}", "{\"a\":[{\"c\":0},{\"c\":1}],\"b\":2}", 1},
      {"{\"a\":[1],\"b\":[2]}", "{\"a\":[],\"b\":2,\"c\":{\"a\":1}}", 0},
      /* escapes */
      {"{\"a\":[\"\\ud83d\\ude00/\"]}", "{\"a\":\"\xF0\x9F\x98\x80\\/\"}", 1},
      {"{\"a\":[\"\\ud83d\"]}", "{\"a\":\"\\ud83d\"}", 1},
      {"{\"a\":[\"x\\u0000y\"]}", "{\"a\":\"x\\u0000y\"}", 1},
      {"{\"a\":[\"x\"]}", "{\"a\":\"x\\u0000y\"}", 0},
      /* numbers */
      {"{\"a\":[1e999]}", "{\"a\":10e998}", 1},
      {"{\"a\":[12345678901234567890]}", "{\"a\":12345678901234567891}", 0},
      {"{\"a\":[{\"numeric\":[\"<\",12345678901234567891]}]}", "{\"a\":12345678901234567890}", 1},
      {"{\"a\":[{\"numeric\":[\"<=\",1.7976931348623157e308]}]}", "{\"a\":-1e400}", 1},
      {"{\"a\":[{\"numeric\":[\"=\",1]}]}", "{\"a\":\"1\"}", 0},
      {"{\"a\":[\"1\"]}", "{\"a\":1}", 0},
      /* anything-but: of values, whatever their kind */
      {"{\"a\":[{\"anything-but\":\"x\"}]}", "{\"a\":null}", 1},
      {"{\"a\":[{\"anything-but\":1}]}", "{\"a\":\"1\"}", 1},
      {"{\"a\":[{\"anything-but\":1}]}", "{\"a\":1.0}", 0},
      {"{\"a\":[{\"anything-but\":\"x\"}]}", "{\"a\":[]}", 0},
      {"{\"a\":[{\"anything-but\":\"x\"}]}", "{}", 0},
      {"{\"a\":[{\"anything-but\":\"x\"}]}", "{\"a\":[\"x\",\"y\"]}", 1},
      /* addresses */
      {"{\"a\":[\"::1\"]}", "{\"a\":\"0:0:0:0:0:0:0:1\"}", 1},
      {"{\"a\":[{\"exactly\":\"::1\"}]}", "{\"a\":\"0:0:0:0:0:0:0:1\"}", 0},
      {"{\"a\":[{\"cidr\":\"::/0\"}]}", "{\"a\":\"10.0.0.1\"}", 0},
      {"{\"a\":[{\"cidr\":\"0.0.0.0/0\"}]}", "{\"a\":\"::ffff:10.0.0.1\"}", 0},
      {"{\"a\":[{\"cidr\":\"0.0.0.0/0\"}]}", "{\"a\":\"255.255.255.255\"}", 1},
      {"{\"a\":[{\"cidr\":\"0.0.0.0/0\"}]}", "{\"a\":\"1.2.3\"}", 0},
      {"{\"a\":[{\"cidr\":\"0.0.0.0/0\"}]}", "{\"a\":1.2}", 0},
      {"{\"a\":[{\"cidr\":\"2001:db8::/33\"}]}", "{\"a\":\"2001:DB8:7fff::\"}", 1},
      {"{\"a\":[{\"cidr\":\"2001:db8::/33\"}]}", "{\"a\":\"2001:db8:8000::\"}", 0},
      {"{\"a\":[{\"cidr\":\"::/0\"}]}", "{\"a\":\"1::2::3\"}", 0},
      {"{\"a\":[{\"cidr\":\"::/0\"}]}", "{\"a\":\"1:2:3:4:5:6:7:8:9\"}", 0},
      {"{\"a\":[{\"cidr\":\"::/0\"}]}", "{\"a\":\"1:2:3:4:5:6:7::\"}", 1},
      {"{\"a\":[{\"cidr\":\"::/0\"}]}", "{\"a\":\"12345::\"}", 0},
      /* exists */
      {"{\"a\":[{\"exists\":true}]}", "{\"a\":null}", 1},
      {"{\"a\":[{\"exists\":true}]}", "{\"a\":{}}", 0},
      {"{\"a\":[{\"exists\":false}]}", "{\"a\":{\"b\":1}}", 1},
      {"{\"a\":[{\"exists\":false},1]}", "{\"a\":2}", 0},
      {"{\"a\":[{\"exists\":false},1]}", "{\"b\":2}", 1},
      /* the element in which c is 1 has no b, whichever name comes first in the alphabet */
      {"{\"a\":{\"c\":[1],\"b\":[{\"exists\":false}]}}", "{\"a\":[{\"b\":2},{\"c\":1}]}", 1},
      {"{\"a\":{\"b\":[1],\"c\":[{\"exists\":false}]}}", "{\"a\":[{\"c\":2},{\"b\":1}]}", 1},
      {"{\"a\":{\"c\":[1],\"b\":[{\"exists\":false}]}}", "{\"a\":[{\"b\":2,\"c\":1},{\"b\":3}]}", 0},
      {"{\"a\":{\"b\":[{\"exists\":false}]}}", "{\"a\":[{\"b\":2},{}]}", 0},
      /* arrays */
      {"{\"a\":{\"b\":[1],\"c\":[2]}}", "{\"a\":[{\"b\":1},{\"c\":2}]}", 0},
      {"{\"a\":{\"b\":[1],\"c\":[2]}}", "{\"a\":[{\"b\":1},{\"c\":2,\"b\":[0,[1]]}]}", 1},
      {"{\"a\":{\"b\":[1],\"c\":[2]}}", "{\"a\":[[{\"b\":1}],[{\"c\":2}]]}", 0},
      {"{\"a\":{\"b\":[1],\"c\":[2]}}", "{\"a\":{\"b\":[1],\"c\":[3,2]}}", 1},
      {"{\"a\":{\"b\":[1],\"c\":[2]}}", "{\"a\":[{\"b\":1}],\"a\":[{\"c\":2}]}", 1}, /* two arrays */
      {"{\"a\":{\"b\":{\"x\":[1]},\"c\":{\"y\":[2]}}}", "{\"a\":[{\"b\":[{\"x\":1}],\"c\":[{\"y\":0},{\"y\":2}]}]}", 1},
      {"{\"a\":[1],\"a.b\":[2]}", "{\"a\":[1,{\"b\":2}]}", 1}, /* a scalar element is in no element */
      /* case */
      {"{\"a\":[{\"equals-ignore-case\":\"STRASSE\"}]}", "{\"a\":\"strasse\"}", 1},
      {"{\"a\":[{\"equals-ignore-case\":\"stra\xC3\x9F"
       "e\"}]}",
       "{\"a\":\"STRASSE\"}", 1},
      {"{\"a\":[{\"prefix\":{\"equals-ignore-case\":\"\xC3\x89t\"}}]}", "{\"a\":\"\xC3\xA9Tat\"}", 1},
      /* $or as a name */
      {"{\"$or\":[{\"numeric\":[\">\",1]},\"x\"]}", "{\"$or\":2}", 1},
      {"{\"$or\":{\"a\":[1]}}", "{\"$or\":{\"a\":1}}", 1},
      /* nothing that is used, everything skipped */
      {"{\"a\":[1]}", "{\"b\":{\"x\":\"}\\\"]\",\"y\":[{},[]]},\"c\":\"\\\\\",\"a\":1}", 1},
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int got = run_one(cases[i].pattern, cases[i].event);
    if (got != cases[i].expected)
      fail_msg("%s\n%s\nexpected %d, got %d", cases[i].pattern, cases[i].event, cases[i].expected, got);
  }
}

/* Many predicates of each kind at one path: each value must find exactly its own. */
static void test_many_patterns_at_one_path(void **state) {
  static const char *const shapes[] = {"\"v%u\"",
                                       "{\"prefix\":\"p%u-\"}",
                                       "{\"suffix\":\"-%us\"}",
                                       "{\"equals-ignore-case\":\"FoLd%u\"}",
                                       "{\"prefix\":{\"equals-ignore-case\":\"Start%u-\"}}",
                                       "{\"suffix\":{\"equals-ignore-case\":\"-%uEnd\"}}",
                                       "{\"wildcard\":\"w*mid%u-*z\"}",
                                       "%u.50",
                                       "{\"numeric\":[\">\",1000%03u,\"<=\",1000%03u.5]}",
                                       "{\"cidr\":\"10.%u.0.0/16\"}"};
  static const char *const values[] = {"\"v%u\"",     "\"p%u-x\"",         "\"x-%us\"", "\"fOlD%u\"",  "\"sTART%u-x\"",
                                       "\"x-%ueND\"", "\"w.mid%u-mid.z\"", "%u.5e0",    "1000%03u.25", "\"10.%u.3.4\""};
  enum { SHAPES = sizeof shapes / sizeof *shapes, EACH = 200 };
  struct error error = {0};
  (void)state;
  struct match_builder *builder = match_builder_open();
  char text[300], part[200];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  for (unsigned shape = 0; shape < SHAPES; shape++)
    for (unsigned i = 0; i < EACH; i++) {
      snprintf(part, sizeof part, shapes[shape], i, i);
      snprintf(text, sizeof text, "{\"a\":[%s],\"b\":[1]}", part);
      assert_int_equal(match_add(builder, shape * EACH + i, text, strlen(text), &error), 0);
    }
  struct match_set *set = match_build(builder, &error);
  struct match_scratch *scratch = match_scratch_open();
  for (unsigned shape = 0; shape < SHAPES; shape++)
    for (unsigned i = 0; i < EACH; i++) {
      const uint32_t *ids;
      snprintf(part, sizeof part, values[shape], i);
      snprintf(text, sizeof text, "{\"a\":%s,\"b\":1}", part);
      int count = match_run(set, scratch, text, strlen(text), &ids, &error);
      if (count != 1 || ids[0] != shape * EACH + i) fail_msg("%s: %d ids, %u", text, count, count > 0 ? ids[0] : 0);
    }
#pragma GCC diagnostic pop
  match_scratch_free(scratch);
  match_set_free(set);
}

/* One id with several patterns is reported once; ids come in ascending order, many or few. */
static void test_ids(void **state) {
  struct error error = {0};
  const uint32_t *ids;
  (void)state;
  struct match_builder *builder = match_builder_open();
  for (uint32_t i = 0; i < 300; i++) {
    char pattern[64];
    snprintf(pattern, sizeof pattern, "{\"a\":[{\"anything-but\":\"x%u\"}]}", i % 7);
    assert_int_equal(match_add(builder, 1000 - i / 2, pattern, strlen(pattern), &error), 0);
  }
  struct match_set *set = match_build(builder, &error);
  struct match_scratch *scratch = match_scratch_open();
  assert_int_equal(match_run(set, scratch, "{\"a\":\"y\"}", 9, &ids, &error), 150);
  for (uint32_t i = 0; i < 150; i++) assert_int_equal(ids[i], 851 + i);
  match_scratch_free(scratch);
  match_set_free(set);
}

static void test_an_empty_set_and_a_scratch_that_moves_on(void **state) {
  struct error error = {0};
  const uint32_t *ids;
  (void)state;
  struct match_scratch *scratch = match_scratch_open();
  struct match_set *empty = match_build(match_builder_open(), &error), *one = build_one("{\"a\":[1]}");
  assert_non_null(empty);
  assert_int_equal(match_run(empty, scratch, "{\"a\":1}", 7, &ids, &error), 0);
  assert_int_equal(match_run(one, scratch, "{\"a\":1}", 7, &ids, &error), 1);
  match_set_free(one);
  one = build_one("{\"b\":[1],\"c\":[2]}"); /* may well have the other's address */
  assert_int_equal(match_run(one, scratch, "{\"c\":2,\"b\":1}", 13, &ids, &error), 1);
  assert_int_equal(match_run(empty, scratch, "{}", 2, &ids, &error), 0);
  match_set_free(one);
  match_set_free(empty);
  match_scratch_free(scratch);
  match_scratch_free(NULL);
  match_set_free(NULL);
  match_builder_free(NULL);
}

static uint32_t next_random(uint64_t *state) {
  *state = *state * 6364136223846793005ull + 1442695040888963407ull;
  return (uint32_t)(*state >> 33);
}

/* Repeated keys make array consistency as hard as satisfiability: an array of two elements is a variable, a field a
 * clause of the elements that hold it.  The search ends with an error instead of never. */
static void test_a_search_without_end_ends(void **state) {
  enum { VARIABLES = 180, CLAUSES = 770, LITERALS = 3 };
  static unsigned char holds[VARIABLES][2][CLAUSES];
  struct error error = {0};
  struct buffer pattern = {0}, event = {0};
  const uint32_t *ids;
  uint64_t random = 3;
  (void)state;
  buffer_add_text(&pattern, "{\"a\":{\"z\":[0]");
  for (int c = 0; c < CLAUSES; c++) {
    buffer_addf(&pattern, ",\"f%d\":[1]", c);
    for (int l = 0; l < LITERALS; l++) holds[next_random(&random) % VARIABLES][next_random(&random) % 2][c] = 1;
  }
  buffer_add_text(&pattern, "}}");
  buffer_add_text(&event, "{\"a\":{\"z\":0}");
  for (int v = 0; v < VARIABLES; v++) {
    buffer_add_text(&event, ",\"a\":[{\"x\":0");
    for (int e = 0; e < 2; e++) {
      for (int c = 0; c < CLAUSES; c++)
        if (holds[v][e][c]) buffer_addf(&event, ",\"f%d\":1", c);
      buffer_add_text(&event, e == 0 ? "},{\"x\":0" : "}]");
    }
  }
  buffer_add_text(&event, "}");
  struct match_set *set = build_one(buffer_text(&pattern));
  struct match_scratch *scratch = match_scratch_open();
  int count = match_run(set, scratch, buffer_text(&event), event.length, &ids, &error);
  assert_int_equal(count, -1);
  assert_int_equal(error.class, ERROR_INVALID);
  assert_non_null(strstr(error.message, "too long to compare"));
  match_scratch_free(scratch);
  match_set_free(set);
  buffer_free(&pattern);
  buffer_free(&event);
}

struct reader {
  const struct match_set *set;
  int matched;
};

static void *read_set(void *argument) {
  struct reader *reader = argument;
  struct match_scratch *scratch = match_scratch_open();
  for (int i = 0; scratch && i < 2000; i++) {
    const uint32_t *ids;
    const char *event = i % 2 ? "{\"a\":[{\"b\":1,\"c\":\"xyz\"}]}" : "{\"a\":[{\"b\":1},{\"c\":\"xyz\"}]}";
    reader->matched += match_run(reader->set, scratch, event, strlen(event), &ids, NULL);
  }
  match_scratch_free(scratch);
  return NULL;
}

static void test_threads_share_a_set(void **state) {
  enum { THREADS = 4 };
  struct reader readers[THREADS];
  pthread_t threads[THREADS];
  (void)state;
  struct match_set *set = build_one("{\"a\":{\"b\":[1],\"c\":[{\"wildcard\":\"x*y*\"}]}}");
  for (int i = 0; i < THREADS; i++) {
    readers[i] = (struct reader){set, 0};
    assert_int_equal(pthread_create(&threads[i], NULL, read_set, &readers[i]), 0);
  }
  for (int i = 0; i < THREADS; i++) {
    pthread_join(threads[i], NULL);
    assert_int_equal(readers[i].matched, 1000);
  }
  match_set_free(set);
}

/* The walk ends where nothing that is left can change the answer; what is behind is not looked at (match.h). */
static void test_stops_early(void **state) {
  static const struct {
    const char *pattern, *event;
    int count;
  } cases[] = {
      /* what can come again is waited for, in whatever spelling */
      {"{\"source\":[1],\"bb\":[2]}", "{\"source\":0,\"bb\":2,\"source\":1}", 1},
      {"{\"source\":[1],\"bb\":[2]}", "{\"source\":0,\"bb\":2,\"sou\\u0072ce\":1}", 1},
      {"{\"aa\":{\"cc\":[1]},\"bb\":[2]}", "{\"aa\":{\"cc\":0,\"dd\":1},\"bb\":2,\"aa.cc\":1}", 1},
      {"{\"aa\":{\"cc\":[1]},\"bb\":[2]}", "{\"aa\":{\"cc\":0,\"dd\":\"cc\"},\"bb\":2,\"aa\":{\"cc\":1}}", 1},
      {"{\"aa\":[{\"anything-but\":1}]}", "{\"aa\":1,\"zz\":{\"q\":\"\\\"\"},\"aa\":2}", 1},
      {"{\"aa\":[1],\"bb\":[{\"exists\":false}]}", "{\"aa\":1,\"cc\":\"a bb\",\"bb\":1}", 0},
      /* b is absent for the true in the inner list, not for the 0 outside: the value that makes it absent is chosen */
      {"{\"a\":[{\"exists\":true}],\"a.b\":[{\"exists\":false}]}", "{\"a\":[0,[[true],{\"b\":1}]]}", 1},
      {"{\"a\":[{\"exists\":true}],\"a.b\":[{\"exists\":false}]}", "{\"a\":[0,{\"b\":1}]}", 0},
      /* what is behind the end is not looked at */
      {"{\"source\":[1]}", "{\"source\":0,\"x\":[}", 0}, /* needed by all, not met */
      {"{\"source\":[1],\"b\":[1]}", "{\"source\":0,\"b\":1,]", 0},
      {"{\"source\":[1]}", "{\"source\":1,\"x\":[}", 1},                      /* all came */
      {"{\"source\":[1],\"b\":[{\"exists\":false}]}", "{\"source\":1,[", -1}, /* b may still come */
      {"{\"source\":[1]}", "{\"source\":0,\"x\":[},\"source\":1", -1},        /* source may come again */
      {"{\"source\":[1]}", "{\"source\":0,\"x\":[},\"\\u", -1},               /* in whatever spelling */
      {"{\"s\":[1]}", "{\"s\":0,\"x\":[}", -1},                               /* too short a name to search for */
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int got = run_one(cases[i].pattern, cases[i].event);
    if (got != cases[i].count)
      fail_msg("%s\n%s\nexpected %d, got %d", cases[i].pattern, cases[i].event, cases[i].count, got);
  }
}
