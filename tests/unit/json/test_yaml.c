#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "json/yaml.h"

static void test_refused(void **state) {
  (void)state;
  static const struct {
    const char *text, *where, *message;
  } cases[] = {
      {"a: 1\nb: 2\na: 3\n", "f:3", "\"a\" is there twice"},
      {"{\"a\": 1, \"a\": 2}", "f:1", "twice"},
      {"a: &x [*x]\n", "f:1", "inside its own anchor"},
      {"a: *x\n", "f:1", "no anchor &x"},
      {"a: !thing 1\n", "f:1", "unknown tag"},
      {"a: !thing [1]\n", "f:1", "unknown tag"},
      {"a: !!int x\n", "f:1", "not what its tag says"},
      {"a: !!binary aGk=\n", "f:1", "unknown tag"},
      {"a:\n  ? [1, 2]\n  : 3\n", "f:2", "scalar"},
      {"a: 1\n---\nb: 2\n", "f:2", "second document"},
      {"base: &b {x: 1}\na:\n  <<: *b\n", "f:3", "merge keys"},
      {"a: .nan\n", "f:1", "no place in JSON"},
      {"a: -.inf\n", "f:1", "no place in JSON"},
      {"a: 99999999999999999999\n", "f:1", "64 bits"},
      {"a: 1e999\n", "f:1", "range of a double"},
      {"a: [1, 2\nb: 3\n", "f:2", ""},
      {"a: \"x\n", "f:2", ""},
      {"a:\n\t- b\n", "f:2", ""},
      {"a: \xFF\n", "f:1", ""},
      {"a: 1\n?\n: 1\n", "f:2", "key is missing"},
      {"\"a\\0b\": 1\n", "f:1", "NUL inside a key"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct error error = {0};
    struct yaml_lines *lines;
    assert_null(yaml_parse(cases[i].text, strlen(cases[i].text), "f", &lines, &error));
    assert_null(lines);
    if (strcmp(error.where, cases[i].where) != 0 || !strstr(error.message, cases[i].message))
      fail_msg("%s: %s: %s", cases[i].text, error.where, error.message);
    assert_int_equal(error.class, ERROR_INVALID);
  }
}

static void test_values(void **state) {
  (void)state;
  static const struct {
    const char *text, *json;
  } cases[] = {
      {"", "null"},
      {"# nothing\n", "null"},
      {"[on, off, yes, no, y, n]", "[\"on\",\"off\",\"yes\",\"no\",\"y\",\"n\"]"}, /* not YAML 1.1 */
      {"[true, True, TRUE, false, tRue]", "[true,true,true,false,\"tRue\"]"},
      {"[null, ~, NULL, nUll]", "[null,null,null,\"nUll\"]"},
      {"a:\n", "{\"a\":null}"},
      {"[1, -1, +1, 0, -0]", "[1,-1,1,0,0]"},
      {"[0123, 00, -012, 012.5]", "[\"0123\",\"00\",\"-012\",\"012.5\"]"}, /* leading zeros: strings */
      {"[0x1F, 0o17, 0b1, 0x, 0o8]", "[31,15,\"0b1\",\"0x\",\"0o8\"]"},
      {"[1.5, .5, 5., 1e3, 1.5E-1, 0.25]", "[1.5,0.5,5,1000,0.15,0.25]"},
      {"[., e3, 1e, 1.2.3, 1_000, 12:30:45, 2024-01-01]",
       "[\".\",\"e3\",\"1e\",\"1.2.3\",\"1_000\",\"12:30:45\",\"2024-01-01\"]"},
      {"['1', \"true\", 'null', '']", "[\"1\",\"true\",\"null\",\"\"]"}, /* quoted: strings */
      {"[!!str 1, ! 2, !!int '3', !!float 4, !!bool 'true', !!null '']", "[\"1\",\"2\",3,4,true,null]"},
      {"a: !!map {b: !!seq [1]}", "{\"a\":{\"b\":[1]}}"},
      {"1: a\ntrue: b\n", "{\"1\":\"a\",\"true\":\"b\"}"}, /* keys are their text */
      {"a: |\n  x\n  y\nb: >-\n  x\n  y\n", "{\"a\":\"x\\ny\\n\",\"b\":\"x y\"}"},
      {"a: &x [1, {b: 2}]\nc: *x\n", "{\"a\":[1,{\"b\":2}],\"c\":[1,{\"b\":2}]}"},
      {"a: &x 1\nb: &x 2\nc: *x\n", "{\"a\":1,\"b\":2,\"c\":2}"}, /* defined again */
      {"{\"a\": [1, 2.5, \"x\\ty\", true, null], \"b\": {\"c\": {}}}",
       "{\"a\":[1,2.5,\"x\\ty\",true,null],\"b\":{\"c\":{}}}"}, /* JSON is YAML */
      {"%YAML 1.2\n---\na: 1\n...\n", "{\"a\":1}"},
      {"\"<<\": 1", "{\"<<\":1}"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct error error = {0};
    json_t *value = yaml_parse(cases[i].text, strlen(cases[i].text), "f", NULL, &error);
    if (!value) fail_msg("%s: %s: %s", cases[i].text, error.where, error.message);
    char *text = json_text(value);
    if (strcmp(text, cases[i].json) != 0) fail_msg("%s: %s", cases[i].text, text);
    free(text);
    json_decref(value);
  }
}

static void test_lines(void **state) {
  (void)state;
  static const char text[] =
      "trigger:\n  events:\n    - pattern: {a: 1}\n      ids: x\n    -\n      pattern: y\na/b:\n  c~d: 1\nref: &r\n  "
      "z: 1\nuse: *r\n";
  static const struct {
    const char *pointer;
    int line;
  } cases[] = {
      {"", 1},
      {"/trigger", 2}, /* where its value begins */
      {"/trigger/events/0", 3},
      {"/trigger/events/0/pattern/a", 3},
      {"/trigger/events/0/ids", 4},
      {"/trigger/events/1/pattern", 6},
      {"/trigger/events/1/nothing/at/all", 6}, /* its nearest ancestor's */
      {"/a~1b/c~0d", 8},
      {"/use/z", 11},
      {"nonsense", 1},
  };
  struct error error = {0};
  struct yaml_lines *lines;
  json_t *value = yaml_parse(text, sizeof text - 1, "f", &lines, &error);
  assert_non_null(value);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    if (yaml_line(lines, cases[i].pointer) != cases[i].line)
      fail_msg("%s: %d", cases[i].pointer, yaml_line(lines, cases[i].pointer));
  json_decref(value);
  yaml_lines_free(lines);
  yaml_lines_free(NULL);
}

/* One anchor is used in several places: they are values of their own. */
static void test_aliases_are_copies(void **state) {
  (void)state;
  json_t *value = yaml_parse("a: &x {b: 1}\nc: *x\n", 19, "f", NULL, NULL);
  json_object_set_new(json_at(value, "a", NULL), "b", json_integer(2));
  assert_int_equal(json_integer_value(json_at(value, "c", "b", NULL)), 1);
  json_decref(value);
}

static void expect_limit(struct buffer *text, const char *message) {
  struct error error = {0};
  assert_null(yaml_parse(buffer_text(text), text->length, "f", NULL, &error));
  if (!strstr(error.message, message)) fail_msg("%s", error.message);
  buffer_free(text);
}

static void test_limits(void **state) {
  (void)state;
  struct buffer text = {0};
  buffer_add_text(&text, "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n"); /* ten billion values from ten lines */
  for (int i = 1; i < 10; i++)
    buffer_addf(&text, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i, i - 1, i - 1, i - 1,
                i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
  expect_limit(&text, "more than 100000 values");
  for (int i = 0; i < 65; i++) buffer_add_char(&text, '[');
  expect_limit(&text, "deeper than 64");
  buffer_add_text(&text, "a0: &a0 [1]\n"); /* depth by aliases */
  for (int i = 1; i < 80; i++) buffer_addf(&text, "a%d: &a%d [*a%d]\n", i, i, i - 1);
  expect_limit(&text, "deeper than 64");
  for (int i = 0; i < 100001; i++) buffer_add_text(&text, "- 1\n");
  expect_limit(&text, "more than 100000 values");
  for (int i = 0; i < 100000; i++) buffer_add_text(&text, "# comment no.\n");
  expect_limit(&text, "longer than");
}

static void test_load(void **state) {
  (void)state;
  struct error error = {0};
  assert_null(yaml_load("/nonexistent/file.yaml", NULL, &error));
  assert_int_equal(error.class, ERROR_MISSING);
  assert_string_equal(error.where, "/nonexistent/file.yaml:1");
  assert_null(yaml_load("/", NULL, &error)); /* a directory */
  char path[] = "/tmp/parapet-yaml-XXXXXX";
  int file = mkstemp(path);
  assert_true(file >= 0);
  assert_int_equal(write(file, "a: 1\n", 5), 5);
  close(file);
  struct yaml_lines *lines;
  json_t *value = yaml_load(path, &lines, &error);
  assert_non_null(value);
  assert_int_equal(yaml_line(lines, "/a"), 1);
  json_decref(value);
  yaml_lines_free(lines);
  unlink(path);
}
