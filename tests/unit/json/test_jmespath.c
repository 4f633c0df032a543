#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "json/jmespath.h"

static json_t *parse(const char *text) {
  struct error error = {0};
  json_t *value = json_parse(text, strlen(text), &error);
  if (!value) fail_msg("%s: %s", text, error.message);
  return value;
}

/* ---- an embedder ---- */

static json_t *native_twice(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                            struct error *error) {
  (void)count, (void)scope;
  if (json_is_integer(arguments[0])) return json_integer(2 * json_integer_value(arguments[0]));
  error_set(error, ERROR_INVALID, "invalid-type", "twice() wants an integer");
  return NULL;
}

static json_t *native_count(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                            struct error *error) {
  (void)arguments, (void)scope, (void)error;
  return json_integer((json_int_t)count);
}

static json_t *native_silent(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                             struct error *error) {
  (void)arguments, (void)count, (void)scope, (void)error;
  return NULL;
}

static json_t *native_account(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                              struct error *error) {
  (void)arguments, (void)count, (void)error;
  int found;
  json_t *account = jmes_scope_get(scope, "account", &found);
  return account ? json_incref(account) : json_null();
}

static const struct jmes_function functions[] = {
    {"twice", 1, 1, native_twice, "twice(n)"},
    {"count", 0, 3, native_count, "count(…)"},
    {"silent", 0, 0, native_silent, "silent()"},
    {"account", 0, 0, native_account, "account()"},
    {0},
};

/* The result's text, or the error's code; the caller frees. */
static char *outcome(const char *expression, const char *document, const struct jmes_scope *scope,
                     struct error *error) {
  struct error unheard = {0};
  if (!error) error = &unheard;
  struct jmes *compiled = jmes_compile(expression, functions, error);
  if (!compiled) return strdup(error->code);
  json_t *given = document ? parse(document) : NULL;
  json_t *result = jmes_search(compiled, given, scope, error);
  char *text = result ? json_text(result) : strdup(error->code);
  json_decref(result);
  json_decref(given);
  jmes_free(compiled);
  return text;
}

static void check(const char *expression, const char *document, const struct jmes_scope *scope, const char *expected) {
  char *text = outcome(expression, document, scope, NULL);
  if (strcmp(text, expected) != 0)
    fail_msg("%s over %s: %s, not %s", expression, document ? document : "nothing", text, expected);
  free(text);
}

static void test_errors_at_compile_time(void **state) {
  (void)state;
  static const struct {
    const char *expression, *code, *message;
  } cases[] = {
      {"", "syntax", "column 1: expected an expression, not the end of the expression"},
      {"a.", "syntax", "column 3"},
      {"é", "syntax", "column 1: unexpected character"},
      {"\"é\" ^", "syntax", "column 5"}, /* columns are characters */
      {"a = b", "syntax", "equality is '=='"},
      {"a b", "syntax", "column 3"},
      {"'a", "syntax", "closing"},
      {"`a", "syntax", "closing"},
      {"`a`", "syntax", "expected a value"}, /* literals are JSON, nothing else */
      {"$", "syntax", "variable's name"},
      {"$1", "syntax", "variable's name"},
      {"a.$b", "syntax", "behind '.'"}, /* a variable is no member */
      {"a[-]", "syntax", "digits"},
      {"a[99999999999999999999]", "syntax", "too large"},
      {"a[1:2:3:4]", "syntax", "']'"},
      {"&a", "syntax", "expected an expression"},         /* references are arguments only */
      {"length(a,)", "syntax", "expected an expression"}, /* no trailing comma */
      {"a[::0]", "invalid-value", "step"},
      {"nothing(a)", "unknown-function", "nothing()"},
      {"length()", "invalid-arity", "takes 1 arguments, not 0"},
      {"merge()", "invalid-arity", "at least 1"},
      {"count(a, a, a, a)", "invalid-arity", "at most 3"},
      {"twice()", "invalid-arity", "twice() takes 1"},
      {"length(&a)", "invalid-type", "must not be an &expression"},
      {"twice(&a)", "invalid-type", "must not be an &expression"},
      {"sort_by(a, b)", "invalid-type", "must be an &expression"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct error error = {0};
    assert_null(jmes_compile(cases[i].expression, functions, &error));
    if (strcmp(error.code, cases[i].code) != 0 || !strstr(error.message, cases[i].message))
      fail_msg("%s: %s: %s", cases[i].expression, error.code, error.message);
    assert_int_equal(error.class, ERROR_INVALID);
  }
}

static void test_errors_at_run_time(void **state) {
  (void)state;
  check("abs(@)", "\"x\"", NULL, "invalid-type");
  check("$missing", "null", NULL, "unknown-variable");
  check("twice('x')", "null", NULL, "invalid-type");
  check("silent()", "null", NULL, "invalid-value");
  check("sum(@)", "[1e308, 1e308, 1e308]", NULL, "invalid-value"); /* no infinity in JSON */
  check("sort_by(@, &a)", "[{\"a\":1},{\"a\":\"x\"}]", NULL, "invalid-type");
  check("max_by(@, &a)", "[{\"a\":[]}]", NULL, "invalid-type");
  struct error error = {0};
  free(outcome("a || length(b)", "{\"b\":1}", NULL, &error));
  assert_string_equal(
      error.message,
      "column 6: argument 1 of length() must be a string or an array or an object; it is of type number");
}

/* What the official suite leaves open. */
static void test_results(void **state) {
  (void)state;
  static const struct {
    const char *expression, *document, *result;
  } cases[] = {
      {"abs(@)", "-9223372036854775808", "9.223372036854776e+18"},
      {"sum(@)", "[9223372036854775807, 1]", "9.223372036854776e+18"},
      {"sum(@)", "[9007199254740993, 0]", "9007199254740993"}, /* integers stay exact */
      {"avg(@)", "[1, 2]", "1.5"},
      {"avg(@)", "[1, 3]", "2"},
      {"ceil(@)", "1e300", "1e+300"},
      {"to_number(@)", "\" 1\"", "null"}, /* not a JSON number */
      {"to_number(@)", "\"0x10\"", "null"},
      {"to_number(@)", "\"1e999\"", "null"},
      {"length(@)", "\"a\\u0000\\ud83d\\ude00\"", "3"}, /* code points */
      {"reverse(@)", "\"aé\xF0\x9F\x98\x80\"", "\"\xF0\x9F\x98\x80éa\""},
      {"sort(@)", "[\"\\ud83d\\ude00\", \"\\uffff\"]", "[\"\xEF\xBF\xBF\",\"\xF0\x9F\x98\x80\"]"}, /* by code points */
      {"contains('abc', `1`)", "null", "false"},
      {"contains(@, 'a\\'b')", "[\"a'b\"]", "true"},
      {"@[-9223372036854775808:9223372036854775807:9223372036854775807]", "[1,2,3]", "[1]"}, /* no overflow */
      {"@[::-9223372036854775808]", "[1,2,3]", "[3]"},
      {"@[-9223372036854775808]", "[1]", "null"},
      {"[a, b]", "null", "null"},            /* multi-select of null */
      {"\"a\\u0000\"", "{\"a\":1}", "null"}, /* a name is not cut at NUL */
      {"a == b", "{\"a\":1,\"b\":1.0}", "true"},
      {"a < b", "{\"a\":9007199254740992.0,\"b\":9007199254740993}", "true"},
      {"'a' < 'b'", "null", "null"},                                     /* only numbers have an order */
      {"max_by(@, &a).b", "[{\"a\":1,\"b\":1},{\"a\":1,\"b\":2}]", "1"}, /* the first of equals */
      {"twice(`4`)", "null", "8"},
      {"count()", "null", "0"},
      {"a.count(@, @)", "{\"a\":{}}", "2"},
      {"@.*.a[]", "{\"x\":{\"a\":[1]},\"y\":{\"a\":[2]}}", "[1,2]"},
      {"(a[*]).b", "{\"a\":[{\"b\":1}]}", "null"}, /* parentheses end a projection */
      {"a[*] | [0]", "{\"a\":[1,2]}", "1"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    check(cases[i].expression, cases[i].document, NULL, cases[i].result);
}

static void test_scope(void **state) {
  (void)state;
  json_t *outer_value = parse("{\"ports\":[22]}"), *inner_value = parse("[{\"p\":22},{\"p\":80}]"),
         *account = json_string("1");
  struct jmes_scope first = {"account", account, NULL}, outer = {"params", outer_value, &first},
                    nothing = {"nothing", NULL, &outer}, shadowed = {"rules", outer_value, &nothing},
                    rules = {"rules", inner_value, &shadowed};
  check("$rules[?contains($params.ports, p)].p", "null", &rules, "[22]");
  check("$nothing", "{}", &rules, "null");                                /* defined, and null */
  check("$rules[0].p", "{}", &rules, "22");                               /* the innermost frame */
  check("account()", "null", &rules, "\"1\"");                            /* functions see the scope */
  check("{a: $account, b: x}", NULL, &rules, "{\"a\":\"1\",\"b\":null}"); /* without a document it is made */
  check("[$account][]", NULL, &rules, "[\"1\"]");
  check("{a: $account}", "null", &rules, "null"); /* the specification's rule for null */
  check("$nothing.{a: @}", NULL, &rules, "null");
  json_decref(outer_value);
  json_decref(inner_value);
  json_decref(account);
}

/* Text repeated: "(" n times and so on; the caller frees. */
static char *repeated(const char *before, const char *unit, size_t times, const char *after) {
  struct buffer text = {0};
  buffer_add_text(&text, before);
  for (size_t i = 0; i < times; i++) buffer_add_text(&text, unit);
  buffer_add_text(&text, after);
  return buffer_take(&text);
}

/* Expressions that are refused or stopped, whatever the input makes of them; none may take long or run out of stack. */
static void test_limits(void **state) {
  (void)state;
  static const struct {
    const char *before, *unit;
    size_t times;
    const char *after, *document;
  } cases[] = {
      {"", "(", 20000, "", "null"}, /* nesting in the parser */
      {"", "!", 20000, "a", "null"},
      {"", "[", 20000, "", "null"},
      {"", "a[?", 20000, "", "null"},
      {"a", ".a", 20000, "", "null"}, /* nesting to the left */
      {"a", " || a", 5000, "", "null"},
      {"a", "|a", 20000, "", "null"},
      {"@", " ", 70000, "", "null"}, /* length */
      {"@", "|[@,@]", 100, "", "1"}, /* doubles in size, as shared parts */
      {"@", "|{a:@,b:@}", 100, "", "1"},
      {"@", "|[@]", 250, "|[[[[[[[[[[@]]]]]]]]]]", "1"},         /* depth of the result */
      {"@", "|join('',[@,@])", 100, "", "\"0123456789abcdef\""}, /* doubles in length */
      {"@", "|merge({a:@},{b:@})", 100, "", "{}"},
      {"@", "|map(&@,[@,@])", 100, "", "1"},
      {"@", "|[*].[@,@]", 60, "", "[1]"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char *expression = repeated(cases[i].before, cases[i].unit, cases[i].times, cases[i].after);
    char *code = outcome(expression, cases[i].document, NULL, NULL);
    if (strcmp(code, "limit") != 0 && strcmp(code, "syntax") != 0) fail_msg("%.40s…: %.60s", expression, code);
    free(code);
    free(expression);
  }
}

/* Nested loops over variables end at the limit of steps. */
static void test_limit_of_steps(void **state) {
  (void)state;
  json_t *list = json_array();
  for (int i = 0; i < 1000; i++) json_array_append_new(list, json_integer(i));
  struct jmes_scope scope = {"l", list, NULL};
  check("length($l[?length($l[?length($l[?length($l[?@ > `-1`]) > `-1`]) > `-1`]) > `-1`])", "null", &scope, "limit");
  json_decref(list);
}

/* ---- variables ---- */

static void note(const char *name, const char *const *path, void *argument) {
  struct buffer *seen = argument;
  if (seen->length) buffer_add_char(seen, ' ');
  buffer_add_text(seen, name);
  for (; *path; path++) buffer_addf(seen, ".%s", *path);
}

static void test_variables(void **state) {
  (void)state;
  static const struct {
    const char *expression, *seen; /* in the order of the walk */
  } cases[] = {
      {"`1`", ""},
      {"$resource", "resource"},
      {"$resource.Tags", "resource.Tags"},
      {"a.b", ".a.b"}, /* the document is "" */
      {"@", ""},
      {"$rules[?!IsEgress && count(@, $params.ports)]", "rules.[].IsEgress rules.[] params.ports"},
      {"$rules[*].Groups[].Id", "rules.[].Groups.[].Id"},
      {"$rules[*].Groups[*].Id | [0]", "rules.[].Groups.[].Id"}, /* the list is the projection's, not Id's */
      {"$rules[*].Id | [0] | [0]", "rules.[].Id.[]"},
      {"$rules[0].Id", "rules.[].Id"},
      {"$rules[1:2].Id", "rules.[].Id"},
      {"($rules[*]).Id", ""}, /* a field of a list is nothing */
      {"$rules[?Id == $id][].Groups[].Name", "rules.[].Id id rules.[].[].Groups.[].Name"},
      {"$a.b.* | [0].c", "a.b"},           /* values of an object are not followed */
      {"[$a.b, $a.b, $a.c].d", "a.b a.c"}, /* distinct; a multi-select ends the chain */
      {"{x: $a, y: z}", "a .z"},
      {"length($a.b).c", "a.b"},
      {"sort_by($a.list, &key)[0].other", "a.list a.list.[].key"},
      {"map(&x.y, $a)", "a a.[].x.y"},
      {"$a.x || $b.y", "a.x b.y"},
      {"$a.x == 'y' && !$b", "a.x b"},
      {"$a | b.c", "a.b.c"},
      {"$a.list[?contains($b, name)].name", "b a.list.[].name"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct error error = {0};
    struct jmes *compiled = jmes_compile(cases[i].expression, functions, &error);
    if (!compiled) fail_msg("%s: %s", cases[i].expression, error.message);
    struct buffer seen = {0};
    jmes_variables(compiled, note, &seen);
    if (strcmp(buffer_text(&seen), cases[i].seen) != 0) fail_msg("%s: \"%s\"", cases[i].expression, buffer_text(&seen));
    buffer_free(&seen);
    jmes_free(compiled);
  }
}

/* ---- threads ---- */

struct shared {
  struct jmes *expression;
  json_t *document;
};

static void *search_often(void *argument) {
  struct shared *shared = argument;
  struct jmes_scope scope = {"v", shared->document, NULL};
  size_t right = 0;
  for (int i = 0; i < 200; i++) {
    json_t *result = jmes_search(shared->expression, shared->document, &scope, NULL);
    right += json_array_size(result) == 3;
    json_decref(result);
  }
  return (void *)right;
}

/* One compiled expression, one document, many threads. */
static void test_threads_share_an_expression(void **state) {
  (void)state;
  struct shared shared = {jmes_compile("[a[?b > `1`], $v.a[].b, 'literal']", NULL, NULL),
                          parse("{\"a\":[{\"b\":1},{\"b\":2}]}")};
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, search_often, &shared), 0);
  for (int i = 0; i < 4; i++) {
    void *right;
    pthread_join(threads[i], &right);
    assert_int_equal((size_t)right, 200);
  }
  jmes_free(shared.expression);
  json_decref(shared.document);
}

/* ---- the official suite ---- */

static void check_case(const char *file, json_t *given, json_t *test, size_t *passed) {
  const char *text = json_text_at(test, "expression", NULL);
  struct error error = {0};
  struct jmes *compiled = jmes_compile(text, NULL, &error);
  json_t *result = compiled ? jmes_search(compiled, given, NULL, &error) : NULL;
  json_t *expected = json_at(test, "result", NULL);
  int right = json_at(test, "error", NULL) ? !result && strcmp(error.code, json_text_at(test, "error", NULL)) == 0
                                           : result && (!expected || json_same(result, expected));
  if (!right) fail_msg("%s: %s (%s)", file, text, error.message);
  ++*passed;
  json_decref(result);
  jmes_free(compiled);
}

static void test_official_suite(void **state) {
  (void)state;
  static const char *const files[] = {"basic",       "boolean",     "current", "escape",  "filters",
                                      "functions",   "identifiers", "indices", "literal", "pipe",
                                      "multiselect", "slice",       "syntax",  "unicode", "wildcard"};
  const char *data = getenv("PARAPET_REFERENCE_DATA");
  size_t passed = 0;
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    char path[512];
    snprintf(path, sizeof path, "%s/jmespath/%s.json", data ? data : "../shared/data", files[i]);
    json_t *groups = json_load_file(path, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL), *group, *test;
    if (!groups) {
      print_message("SKIP: reference data %s absent\n", path);
      continue;
    }
    size_t g, t;
    json_array_foreach(groups, g, group) json_array_foreach(json_at(group, "cases", NULL), t, test)
        check_case(files[i], json_at(group, "given", NULL), test, &passed);
    json_decref(groups);
  }
  print_message("official suite: %zu cases passed\n", passed);
}
