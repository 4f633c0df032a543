/* Joins of lists, and policies that say the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/playbook.h"
#include "functions/functions.h"

#include <cmocka.h>

/* The expression's value as JSON text; `error` filled and NULL when it fails. */
static char *evaluate(const char *expression, const char *document, const struct jmes_scope *scope,
                      struct error *error) {
  struct jmes *compiled = jmes_compile(expression, engine_functions, error);
  if (!compiled) fail_msg("%s: %s", expression, error->message);
  json_t *value = document ? json_loads(document, JSON_DECODE_ANY, NULL) : json_null();
  json_t *result = jmes_search(compiled, value, scope, error);
  char *text = result ? json_dumps(result, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS) : NULL;
  json_decref(result);
  json_decref(value);
  jmes_free(compiled);
  return text;
}

static void test_values(void **state) {
  (void)state;
  static const struct {
    const char *expression, *document, *value;
  } rows[] = {
      {"lookup(@, 'n', 'b')", "[{\"n\":\"a\"},{\"n\":\"b\",\"x\":1},{\"n\":\"b\"}]", "{\"n\":\"b\",\"x\":1}"},
      {"lookup(@, 'n', 'c')", "[{\"n\":\"a\"}]", "null"},
      {"lookup(@, 'n', `1`)", "[{\"n\":1.0}]", "{\"n\":1.0}"},
      {"lookup(@, 'n', `null`)", "[{\"n\":null}]", "null"}, /* nothing is found by nothing */
      {"lookup(@, 'n', 'a')", "null", "null"},
      {"with_parent(@, 'n', 'l')", "[{\"n\":\"a\",\"l\":[{\"x\":1},\"y\"]},{\"n\":\"b\"},{\"l\":[{}]}]",
       "[{\"n\":\"a\",\"x\":1},{\"n\":\"a\",\"value\":\"y\"},{\"n\":null}]"},
      {"with_parent(@, 'n', 'l')", "null", "[]"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct error error = {0};
    char *text = evaluate(rows[i].expression, rows[i].document, NULL, &error);
    if (!text || strcmp(text, rows[i].value) != 0)
      fail_msg("row %zu: %s gave %s %s", i, rows[i].expression, text ? text : "nothing", error.message);
    free(text);
  }
}

#define POLICY(statement) "{\"Version\":\"2012-10-17\",\"Statement\":" statement "}"
#define ONE(action, principal) "{\"Effect\":\"Allow\",\"Action\":" action ",\"Principal\":" principal "}"

static void test_policies_that_say_the_same(void **state) {
  (void)state;
  static const struct {
    const char *left, *right;
    int equal;
  } rows[] = {
      {POLICY("[" ONE("[\"s3:Get\"]", "{\"AWS\":\"111111111111\"}") "]"),
       POLICY(ONE("\"S3:get\"", "{\"AWS\":[\"arn:aws:iam::111111111111:root\"]}")), 1},
      {POLICY(ONE("[\"a:1\",\"a:2\"]", "\"*\"")), POLICY(ONE("[\"a:2\",\"a:1\",\"a:2\"]", "{\"AWS\":\"*\"}")), 1},
      {POLICY("[" ONE("\"a:1\"", "\"*\"") "," ONE("\"a:2\"", "\"*\"") "]"),
       POLICY("[" ONE("\"a:2\"", "\"*\"") "," ONE("\"a:1\"", "\"*\"") "]"), 1},
      {POLICY("{\"Condition\":{\"Bool\":{\"k\":true}}}"), POLICY("[{\"Condition\":{\"Bool\":{\"k\":[\"true\"]}}}]"), 1},
      {POLICY(ONE("\"a:1\"", "\"*\"")), POLICY(ONE("\"a:*\"", "\"*\"")), 0},
      {POLICY(ONE("\"a:1\"", "{\"AWS\":\"111111111111\"}")), POLICY(ONE("\"a:1\"", "{\"AWS\":\"*\"}")), 0},
      {POLICY("{\"Resource\":\"a\"}"), POLICY("{\"Resource\":\"A\"}"), 0}, /* only actions have no case */
      {POLICY("{\"NotAction\":\"a:1\"}"), POLICY("{\"Action\":\"a:1\"}"), 0},
      {POLICY("{\"Effect\":\"Deny\"}"), POLICY("{\"Effect\":\"Allow\"}"), 0},
      {POLICY("[]"), "{\"Statement\":[]}", 0}, /* the version makes a difference to variables */
      {POLICY("[]"), "null", 0},
      {"null", "null", 0}, /* what is not there is equal to nothing */
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    json_t *document = json_pack("{s:o, s:o}", "l", json_loads(rows[i].left, JSON_DECODE_ANY, NULL), "r",
                                 json_loads(rows[i].right, JSON_DECODE_ANY, NULL));
    char *given = json_dumps(document, 0);
    struct error error = {0};
    char *text =
        evaluate("[policy_equal(l, r), policy_equal(to_string(l), r), policy_equal(r, l)]", given, NULL, &error);
    if (!text || strcmp(text, rows[i].equal ? "[true,true,true]" : "[false,false,false]") != 0)
      fail_msg("row %zu: %s %s", i, text ? text : "nothing", error.message);
    free(text);
    free(given);
    json_decref(document);
  }
}
