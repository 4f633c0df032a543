/* match_explain(): the first field that is not met, what was there, what was wanted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "match/match.h"

static void test_reasons(void **state) {
  static const struct {
    const char *pattern, *event, *path, *wanted, *had;
    int apart;
  } cases[] = {
      /* the first field in the pattern's order, although the second is not met either */
      {"{\"b\":[1],\"a\":[2]}", "{\"a\":0,\"b\":0}", "b", "[1]", "[0]", 0},
      /* a later one */
      {"{\"source\":[\"aws.ec2\"],\"detail\":{\"eventName\":[ \"A\", {\"prefix\":\"B\"} ]}}",
       "{\"source\":\"aws.ec2\",\"detail\":{\"eventName\":\"C\"}}", "detail.eventName", "[ \"A\", {\"prefix\":\"B\"} ]",
       "[\"C\"]", 0},
      /* no value there: an object, an empty list, or nothing at all */
      {"{\"a\":{\"b\":[1]}}", "{\"a\":{\"b\":{\"c\":1}}}", "a.b", "[1]", "[]", 0},
      {"{\"a\":[{\"exists\":true}]}", "{\"a\":[]}", "a", "[{\"exists\":true}]", "[]", 0},
      {"{\"a\":[1]}", "{}", "a", "[1]", "[]", 0},
      /* one that must not be there */
      {"{\"x\":[1],\"error\":[{\"exists\":false}]}", "{\"x\":1,\"error\":\"Denied\"}", "error", "[{\"exists\":false}]",
       "[\"Denied\"]", 0},
      /* all values of a path, as they are written: repeated keys, arrays, keys with dots, escapes, large numbers */
      {"{\"a\":{\"b\":[1]}}",
       "{\"a\":{\"b\":2,\"b\":[3,[\"\\u0061\"]]},\"a.b\":12345678901234567891,\"a\":[{\"b\":null},{\"c\":1}]}", "a.b",
       "[1]", "[2, 3, \"\\u0061\", 12345678901234567891, null]", 0},
      /* met, but in another element than the field before it */
      {"{\"l\":{\"n\":[\"x\"],\"v\":[1]}}", "{\"l\":[{\"n\":\"x\",\"v\":2},{\"n\":\"y\",\"v\":1}]}", "l.v", "[1]",
       "[2, 1]", 1},
      /* $or: the branch that gets furthest */
      {"{\"a\":[1],\"$or\":[{\"b\":[1]},{\"c\":[1],\"d\":[1]}]}", "{\"a\":1,\"b\":2,\"c\":1,\"d\":2}", "d", "[1]",
       "[2]", 0},
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct match_reason reason;
    struct error error = {0};
    int result = match_explain(cases[i].pattern, strlen(cases[i].pattern), cases[i].event, strlen(cases[i].event),
                               &reason, &error);
    print_message("%s\n", cases[i].pattern);
    assert_int_equal(result, 0);
    assert_string_equal(reason.path, cases[i].path);
    assert_string_equal(reason.wanted, cases[i].wanted);
    assert_string_equal(reason.had, cases[i].had);
    assert_int_equal(reason.apart, cases[i].apart);
    match_reason_clear(&reason);
  }
}

static int explain(const char *pattern, const char *event, struct match_reason *reason, struct error *error) {
  return match_explain(pattern, strlen(pattern), event, strlen(event), reason, error);
}

static void test_what_matches_has_no_reason(void **state) {
  struct match_reason reason;
  struct error error = {0};
  (void)state;
  assert_int_equal(explain("{\"a\":[1]}", "{\"a\":1}", &reason, &error), 1);
  assert_null(reason.path);
  /* its first field alone would not be met: only for what the second chooses is it absent */
  assert_int_equal(explain("{\"l\":{\"a\":[{\"exists\":false}],\"b\":[1]}}", "{\"l\":[{\"a\":1,\"b\":2},{\"b\":1}]}",
                           &reason, &error),
                   1);
}

static void test_errors(void **state) {
  struct match_reason reason;
  struct error error = {0};
  (void)state;
  assert_int_equal(explain("{\"a\":1}", "{}", &reason, &error), -1);
  assert_non_null(strstr(error.message, "a: "));
  assert_int_equal(explain("{\"a\":[1]}", "[]", &reason, &error), -1);
  assert_non_null(strstr(error.message, "not a JSON object"));
  match_reason_clear(&reason);
}

static void test_only_the_first_values_are_shown(void **state) {
  char event[512] = "{\"a\":[0";
  struct match_reason reason;
  struct error error = {0};
  (void)state;
  for (int i = 0; i < 99; i++) strcat(event, ",0");
  strcat(event, "]}");
  assert_int_equal(explain("{\"a\":[1]}", event, &reason, &error), 0);
  assert_int_equal(reason.had_count, 100);
  assert_int_equal(strlen(reason.had), 3 * MATCH_REASON_VALUES);
  match_reason_clear(&reason);
}
