#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "json/template.h"

static json_t *parse(const char *text) {
  struct error error = {0};
  json_t *value = json_parse(text, strlen(text), &error);
  if (!value) fail_msg("%s: %s", text, error.message);
  return value;
}

static void test_refused(void **state) {
  (void)state;
  static const struct {
    const char *template, *code, *where;
  } cases[] = {
      {"\"${\"", "syntax", ""},
      {"\"${a\"", "syntax", ""},
      {"{\"a\":[\"x\",\"${'}\"]}", "syntax", "/a/1"}, /* the brace is inside a string */
      {"{\"a/b~\":\"${a.}\"}", "syntax", "/a~1b~0"},  /* pointers are escaped */
      {"{\"a\":1,\"b\":{\"c\":\"${nothing(a)}\"}}", "unknown-function", "/b/c"},
      {"\"a\\u0000${a}$\"", "syntax", ""},
      {"\"${}\"", "syntax", ""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct error error = {0};
    json_t *value = parse(cases[i].template);
    assert_null(template_compile(value, NULL, &error));
    if (strcmp(error.code, cases[i].code) != 0 || strcmp(error.where, cases[i].where) != 0)
      fail_msg("%s: %s at %s: %s", cases[i].template, error.code, error.where, error.message);
    json_decref(value);
  }
}

static void test_rendered(void **state) {
  (void)state;
  static const struct {
    const char *template, *result;
  } cases[] = {
      {"\"plain\"", "\"plain\""},
      {"\"\"", "\"\""},
      {"\"${$n}\"", "5"}, /* one whole expression keeps its type */
      {"\"${$list}\"", "[1,2]"},
      {"\" ${$n}\"", "\" 5\""}, /* in a longer string it is text */
      {"\"${$n}${$n}\"", "\"55\""},
      {"\"${$s}-${$list}-${$nothing}-${`true`}\"", "\"text-[1,2]--true\""},
      {"\"$${$n}\"", "\"${$n}\""}, /* escaped */
      {"\"$${${$n}}\"", "\"${5}\""},
      {"\"$5 and $$ and {}\"", "\"$5 and $$ and {}\""},                       /* a dollar alone is a dollar */
      {"\"${$list[?@ > `1`] | {a: @, b: '}'}}\"", "{\"a\":[2],\"b\":\"}\"}"}, /* braces inside */
      {"\"${ `\\\"}\\\"` }\"", "\"}\""},
      {"{\"a\":\"${$nothing}\",\"b\":null,\"c\":1}", "{\"c\":1}"}, /* null drops the key */
      {"[\"${$nothing}\",2,null]", "[2]"},                         /* and the element */
      {"\"${$nothing}\"", "null"},
      {"{\"${$n}\":1}", "{\"${$n}\":1}"}, /* keys are no templates */
      {"{\"a\":[{\"b\":[\"${{x: $n}}\"]}]}", "{\"a\":[{\"b\":[{\"x\":5}]}]}"},
      {"[true,1.5,{}]", "[true,1.5,{}]"},
  };
  json_t *n = json_integer(5), *s = json_string("text"), *list = parse("[1,2]");
  struct jmes_scope nothing = {"nothing", NULL, NULL}, number = {"n", n, &nothing}, string = {"s", s, &number},
                    scope = {"list", list, &string};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct error error = {0};
    json_t *value = parse(cases[i].template);
    struct template *template = template_compile(value, NULL, &error);
    json_decref(value); /* it keeps what it needs */
    if (!template) fail_msg("%s: %s", cases[i].template, error.message);
    json_t *result = template_render(template, &scope, &error);
    char *text = result ? json_text(result) : strdup(error.message);
    if (strcmp(text, cases[i].result) != 0) fail_msg("%s: %s", cases[i].template, text);
    free(text);
    json_decref(result);
    template_free(template);
  }
  json_decref(n);
  json_decref(s);
  json_decref(list);
}

static void test_render_errors(void **state) {
  (void)state;
  struct error error = {0};
  json_t *value = parse("{\"a\":[\"x ${$unknown}\"]}");
  struct template *template = template_compile(value, NULL, &error);
  assert_non_null(template);
  assert_null(template_render(template, NULL, &error));
  assert_string_equal(error.code, "unknown-variable");
  template_free(template);
  template_free(NULL);
  json_decref(value);
}

static void note(const char *name, const char *const *path, void *argument) {
  buffer_addf(argument, "%s%s%s ", name, *path ? "." : "", *path ? *path : "");
}

static void test_variables(void **state) {
  (void)state;
  struct buffer seen = {0};
  json_t *value = parse("{\"a\":[\"x ${$one.field} ${$two}\"],\"b\":\"${$three}\"}");
  struct template *template = template_compile(value, NULL, NULL);
  template_variables(template, note, &seen);
  assert_string_equal(buffer_text(&seen), "one.field two three ");
  buffer_free(&seen);
  template_free(template);
  json_decref(value);
}
