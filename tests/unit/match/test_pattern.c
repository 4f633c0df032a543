/* What is refused, and with which words: the path inside the pattern, the reason, the position. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "match/match_internal.h"

static int add(const char *pattern, struct error *error) {
  struct match_builder *builder = match_builder_open();
  assert_non_null(builder);
  int result = match_add(builder, 1, pattern, strlen(pattern), error);
  match_builder_free(builder);
  return result;
}

static void test_refused(void **state) {
  static const struct {
    const char *pattern, *message; /* a part of the message */
  } cases[] = {
      /* the text itself */
      {"", "line 1, column 1: the text ends too early"},
      {"{\"a\":[1]", "line 1, column 9: a comma or } is expected here"},
      {"{\n  \"a\": [\"x\",\n    tru]}", "line 3, column 5: a JSON value is expected here"},
      {"{\"a\":[1]} x", "line 1, column 11: there is more text behind the pattern"},
      {"{\"é\":[\"\\d\"]}", "line 1, column 7: the string has an escape that JSON does not know"},
      {"{\"a\":[\"x]}", "column 7: the string is not closed"},
      {"{\"a\":[\"x\ny\"]}", "a control character must be escaped"},
      {"{\"a\":[\"\xC3\"]}", "the text is not UTF-8"},
      {"{\"a\":[01]}", "a JSON value is expected here"},
      {"{\"a\":[1,]}", "a JSON value is expected here"},
      {"{a:[1]}", "a key in quotes is expected here"},
      /* its shape */
      {"[1]", "the pattern: must be an object (line 1, column 1)"},
      {"{}", "the pattern: an empty object matches nothing"},
      {"{\"a\":{\"b\":{}}}", "a.b: an empty object matches nothing (line 1, column 11)"},
      {"{\"a\":1}", "a: must be an object or a list of values"},
      {"{\"a\":[]}", "a: the list of values must not be empty"},
      {"{\"a\":{\"b\":[1,[2]]}}", "a.b[1]: a list cannot stand inside"},
      /* operators */
      {"{\"a\":[{}]}", "a[0]: must have exactly one operator"},
      {"{\"a\":[{\"prefix\":\"x\",\"suffix\":\"y\"}]}", "a[0]: must have exactly one operator (line 1, column 30)"},
      {"{\"a\":[{\"pefix\":\"x\"}]}", "a[0].pefix: there is no such operator"},
      {"{\"a\":[{\"regex\":\"x\"}]}", "a[0].regex: there is no such operator"},
      {"{\"a\":[{\"exactly\":1}]}", "a[0].exactly: must be a string"},
      {"{\"a\":[{\"prefix\":1}]}", "a[0].prefix: must be a string or"},
      {"{\"a\":[{\"prefix\":{\"wildcard\":\"x\"}}]}", "a[0].prefix.wildcard: only equals-ignore-case can stand here"},
      {"{\"a\":[{\"suffix\":{\"equals-ignore-case\":[]}}]}", "a[0].suffix.equals-ignore-case: must be a string"},
      {"{\"a\":[{\"exists\":\"true\"}]}", "a[0].exists: must be true or false"},
      {"{\"a\":[{\"cidr\":\"10.0.0.0\"}]}", "a[0].cidr: a CIDR is written ADDRESS/BITS"},
      {"{\"a\":[{\"cidr\":\"10.0.0/8\"}]}", "this is no IPv4 or IPv6 address"},
      {"{\"a\":[{\"cidr\":\"10.0.0.0/33\"}]}", "an IPv4 CIDR has at most 32 bits"},
      {"{\"a\":[{\"cidr\":\"::/129\"}]}", "behind the slash must be the number of bits"},
      {"{\"a\":[{\"cidr\":\"::/-1\"}]}", "behind the slash must be the number of bits"},
      {"{\"a\":[{\"wildcard\":\"a**b\"}]}", "two asterisks must not follow each other"},
      {"{\"a\":[{\"wildcard\":\"a\\\\b\"}]}", "a backslash must stand before an asterisk"},
      {"{\"a\":[{\"wildcard\":\"a\\\\\"}]}", "a backslash must stand before an asterisk"},
      {"{\"a\":[{\"numeric\":[]}]}", "a[0].numeric: must be a list such as"},
      {"{\"a\":[{\"numeric\":[\"=\"]}]}", "exactly one number must follow ="},
      {"{\"a\":[{\"numeric\":[\"=\",1,\"<\",2]}]}", "exactly one number must follow ="},
      {"{\"a\":[{\"numeric\":[\"!=\",1]}]}", "must be one of = < <= > >="},
      {"{\"a\":[{\"numeric\":[\"<\",5,\">\",1]}]}", "a range is one of > >=, then one of < <="},
      {"{\"a\":[{\"numeric\":[\">\",1,\">\",2]}]}", "a range is one of > >=, then one of < <="},
      {"{\"a\":[{\"numeric\":[\">\",\"1\"]}]}", "must be a number"},
      {"{\"a\":[{\"numeric\":[\">\",5,\"<\",5]}]}", "the lower bound must be less than the upper bound"},
      {"{\"a\":[{\"numeric\":[\">\",1e309]}]}", "outside what a 64-bit float can hold"},
      {"{\"a\":[{\"numeric\":[\">\",1e-330]}]}", "outside what a 64-bit float can hold"},
      {"{\"a\":[{\"anything-but\":[]}]}", "a[0].anything-but: the list must not be empty"},
      {"{\"a\":[{\"anything-but\":{\"wildcard\":[]}}]}", "a[0].anything-but.wildcard: the list must not be empty"},
      {"{\"a\":[{\"anything-but\":[\"x\",1]}]}", "a[0].anything-but[1]: the list must hold strings only"},
      {"{\"a\":[{\"anything-but\":[null]}]}", "a[0].anything-but[0]: must be a string or a number"},
      {"{\"a\":[{\"anything-but\":{\"prefix\":\"\"}}]}", "a[0].anything-but.prefix: must not be empty"},
      {"{\"a\":[{\"anything-but\":{\"suffix\":[\"x\",\"\"]}}]}", "a[0].anything-but.suffix[1]: must not be empty"},
      {"{\"a\":[{\"anything-but\":{\"cidr\":\"::/0\"}}]}", "only prefix, suffix, equals-ignore-case or wildcard"},
      /* $or */
      {"{\"$or\":[{\"a\":[1]}]}", "$or needs at least two objects"},
      {"{\"d\":{\"$or\":[{\"a\":[1]},1]}}", "d.$or[1]: $or takes a list of objects"},
      {"{\"$or\":[{\"a\":[1]},{\"b\":[{\"x\":1}]}]}", "$or[1].b[0].x: there is no such operator"},
      {"{\"$or\":[{\"a\":[1]},{\"b\":{\"prefix\":[1]}}]}", "cannot be a field inside $or"},
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct error error = {0};
    int result = add(cases[i].pattern, &error);
    if (result == 0 || !strstr(error.message, cases[i].message))
      fail_msg("%s\n  expected: %s\n  got: %s", cases[i].pattern, cases[i].message,
               result ? error.message : "accepted");
    assert_int_equal(error.class, ERROR_INVALID);
  }
}

static void test_accepted(void **state) {
  static const char *const patterns[] = {
      "{\"a\":[{\"numeric\":[\"<\",1.7976931348623157e308]},{\"numeric\":[\">=\",-1.7976931348623157E308]}]}",
      "{\"a\":[1e999,-1e-999]}",
      "{\"a\":[{\"numeric\":[\">\",12345678901234567890,\"<\",12345678901234567891]}]}",
      "{\"$or\":[\"x\",{\"prefix\":\"y\"}]}", /* a field called $or */
      "{\"$or\":{\"a\":[1]}}",                /* that one, too */
      "{\"a\":[{\"cidr\":\"10.0.0.1/32\"},{\"cidr\":\"::1/128\"},{\"cidr\":\"::ffff:10.0.0.0/104\"}]}",
      "{\"\":[\"\"],\"a.b\":{\".\":[null]}}",
      "{\"a\":[{\"wildcard\":\"*\"},{\"wildcard\":\"\"},{\"wildcard\":\"\\\\*\\\\\\\\*\"}]}",
      " \t\r\n{\"a\" : [ true , false ] } \n",
  };
  (void)state;
  for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
    struct error error = {0};
    if (add(patterns[i], &error) != 0) fail_msg("%s\n  %s", patterns[i], error.message);
  }
}

/* What would multiply without end ends with an error. */
static void test_ceilings(void **state) {
  struct error error = {0};
  char text[4096];
  (void)state;
  int length = snprintf(text, sizeof text, "{");
  for (int i = 0; i < 20; i++)
    length += snprintf(text + length, sizeof text - (size_t)length, "%s\"f%d\":{\"$or\":[{\"a\":[1]},{\"b\":[1]}]}",
                       i ? "," : "", i);
  snprintf(text + length, sizeof text - (size_t)length, "}");
  assert_int_equal(add(text, &error), -1);
  assert_non_null(strstr(error.message, "too many rules"));

  memset(text, '[', sizeof text - 1);
  memcpy(text, "{\"a\":", 5);
  text[sizeof text - 1] = '\0';
  assert_int_equal(add(text, &error), -1);
  assert_non_null(strstr(error.message, "nested too deep"));

  length = snprintf(text, sizeof text, "{\"a\":[{\"wildcard\":\"");
  for (int i = 0; i < 300; i++) length += snprintf(text + length, sizeof text - (size_t)length, "*a");
  snprintf(text + length, sizeof text - (size_t)length, "\"}]}");
  assert_int_equal(add(text, &error), -1);
  assert_non_null(strstr(error.message, "too many asterisks"));
}

static void test_a_refused_pattern_leaves_the_builder_as_it_was(void **state) {
  struct error error = {0};
  const uint32_t *ids;
  (void)state;
  struct match_builder *builder = match_builder_open();
  assert_int_equal(match_add(builder, 5, "{\"a\":[1]}", 9, &error), 0);
  for (int i = 0; i < 1000; i++)
    assert_int_equal(match_add(builder, 6, "{\"a\":[1],\"b\":[{\"x\":1}]}", 24, &error), -1);
  assert_int_equal(match_add(builder, 4, "{\"a\":[1.0]}", 11, &error), 0);
  struct match_set *set = match_build(builder, &error);
  struct match_scratch *scratch = match_scratch_open();
  assert_int_equal(match_run(set, scratch, "{\"a\":1}", 7, &ids, &error), 2);
  assert_int_equal(ids[0], 4);
  assert_int_equal(ids[1], 5);
  assert_in_range(match_set_memory(set), 1, 100000);
  match_scratch_free(scratch);
  match_set_free(set);
}
