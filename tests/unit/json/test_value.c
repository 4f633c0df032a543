#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "json/value.h"

static json_t *parse(const char *text) {
  struct error error = {0};
  json_t *value = json_parse(text, strlen(text), &error);
  if (!value) fail_msg("%s: %s", text, error.message);
  return value;
}

/* Each is refused by json_parse and json_check alike, with that in the message. */
static void test_refused_texts(void **state) {
  (void)state;
  static const struct {
    const char *text, *message;
  } cases[] = {
      {"", "line 1, column 1: the text ends"},         /* nothing */
      {"   ", "the text ends"},                        /* only space */
      {"tru", "expected a value"},                     /* half a word */
      {"{\"a\":1,}", "expected a key"},                /* trailing comma */
      {"[1,]", "expected a value"},                    /* trailing comma */
      {"[1 2]", "expected ',' or ']'"},                /* no comma */
      {"{\"a\" 1}", "expected ':'"},                   /* no colon */
      {"{\"a\":1", "expected ',' or '}'"},             /* not closed */
      {"{a:1}", "double quotes"},                      /* bare key */
      {"[1}", "expected ',' or ']'"},                  /* closed by the other bracket */
      {"\"abc", "ends inside a string"},               /* open string */
      {"\"a\\", "ends inside a string"},               /* open escape */
      {"\"\\x41\"", "unknown escape"},                 /* not JSON's escape */
      {"\"\\u12g4\"", "four hexadecimal"},             /* bad digits */
      {"\"\\u12", "four hexadecimal"},                 /* cut digits */
      {"\"a\nb\"", "control character"},               /* raw newline */
      {"\"\xC0\x80\"", "invalid UTF-8"},               /* overlong */
      {"\"\xED\xA0\x80\"", "invalid UTF-8"},           /* encoded surrogate */
      {"\"\xF5\x80\x80\x80\"", "invalid UTF-8"},       /* beyond Unicode */
      {"\"\xE2\x82\"", "invalid UTF-8"},               /* cut sequence */
      {"01", "text behind the value"},                 /* leading zero */
      {"-", "expected a value"},                       /* no digits */
      {"1.", "fraction needs digits"},                 /* no fraction */
      {"1e", "exponent needs digits"},                 /* no exponent */
      {"+1", "expected a value"},                      /* plus sign */
      {"1e999", "beyond the range"},                   /* no double holds it */
      {"NaN", "expected a value"},                     /* not JSON */
      {"1 2", "text behind the value"},                /* two values */
      {"{\"a\\u0000b\":1}", "NUL inside a key"},       /* keys are C strings elsewhere */
      {"[\n1,\n  x]", "line 3, column 3: expected a"}, /* where it is */
      {"[\"é\", x]", "line 1, column 7"},              /* columns are characters */
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct error parse_error = {0}, check_error = {0};
    assert_null(json_parse(cases[i].text, strlen(cases[i].text), &parse_error));
    assert_int_equal(json_check(cases[i].text, strlen(cases[i].text), &check_error), -1);
    if (!strstr(parse_error.message, cases[i].message)) fail_msg("%s: %s", cases[i].text, parse_error.message);
    assert_string_equal(parse_error.message, check_error.message);
    assert_int_equal(parse_error.class, ERROR_INVALID);
  }
}

/* Each is read, and its canonical text is that. */
static void test_canonical_text(void **state) {
  (void)state;
  static const struct {
    const char *text, *canonical;
  } cases[] = {
      {" null ", "null"},
      {"[true,false]", "[true,false]"},
      {"{\"b\":1,\"a\":{\"d\":[],\"c\":{}}}", "{\"a\":{\"c\":{},\"d\":[]},\"b\":1}"}, /* keys sorted */
      {"{\"a\":1,\"a\":2}", "{\"a\":2}"},                                             /* the last wins */
      {"1.0", "1"},                                                                   /* one spelling a number */
      {"1e3", "1000"},
      {"-0.0", "0"},
      {"1.1", "1.1"},
      {"0.1", "0.1"},
      {"1e-7", "1e-07"},
      {"9007199254740993", "9007199254740993"},                   /* integers stay exact */
      {"123456789012345678901234567890", "1.23456789012346e+29"}, /* too large: a real */
      {"\"\\ud83d\\ude00\"", "\"\xF0\x9F\x98\x80\""},             /* surrogate pair */
      {"\"\\ud83d\"", "\"\xEF\xBF\xBD\""},                        /* lone surrogate */
      {"\"\\ude00x\"", "\"\xEF\xBF\xBDx\""},                      /* lone low one */
      {"\"\\ud83d\\u0041\"", "\"\xEF\xBF\xBD\x41\""},             /* what follows stays */
      {"\"a\\u0000b\"", "\"a\\u0000b\""},                         /* NUL in a string */
      {"\"\\/\\b\\f\\n\\r\\t\\\\\\\"\"", "\"/\\b\\f\\n\\r\\t\\\\\\\"\""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    json_t *value = parse(cases[i].text);
    assert_int_equal(json_check(cases[i].text, strlen(cases[i].text), NULL), 0);
    char *text = json_text(value);
    if (strcmp(text, cases[i].canonical) != 0 && strncmp(text, "1.23456789", 10) != 0)
      fail_msg("%s: %s, not %s", cases[i].text, text, cases[i].canonical);
    json_t *again = parse(text);
    assert_true(json_same(value, again));
    json_decref(again);
    json_decref(value);
    free(text);
  }
}

static void nest(char *text, size_t depth) {
  memset(text, '[', depth);
  memset(text + depth, ']', depth);
}

static void test_depth_is_256(void **state) {
  (void)state;
  char text[520];
  struct error error = {0};
  nest(text, 256);
  json_t *value = json_parse(text, 512, &error);
  assert_non_null(value);
  json_decref(value);
  assert_int_equal(json_check(text, 512, &error), 0);
  nest(text, 257);
  assert_null(json_parse(text, 514, &error));
  assert_non_null(strstr(error.message, "deeper"));
  assert_int_equal(json_check(text, 514, &error), -1);
}

/* The length counts, not a NUL behind the text. */
static void test_reads_no_further_than_its_length(void **state) {
  (void)state;
  json_t *value = json_parse("12345", 2, NULL);
  assert_int_equal(json_integer_value(value), 12);
  json_decref(value);
  char *exact = malloc(3);
  memcpy(exact, "123", 3);
  value = json_parse(exact, 3, NULL);
  assert_int_equal(json_integer_value(value), 123);
  json_decref(value);
  free(exact);
}

static void test_same(void **state) {
  (void)state;
  static const struct {
    const char *left, *right;
    int same;
  } cases[] = {
      {"1", "2", 0},
      {"1", "1.5", 0},
      {"1", "\"1\"", 0},
      {"0", "false", 0},
      {"null", "false", 0},
      {"[1,2]", "[2,1]", 0},
      {"[1]", "[1,2]", 0},
      {"{\"a\":1}", "{\"b\":1}", 0},
      {"{\"a\":1}", "{\"a\":1,\"b\":2}", 0},
      {"\"a\\u0000b\"", "\"a\\u0000c\"", 0},
      {"9007199254740993", "9007199254740992.0", 0}, /* not through a double */
      {"9223372036854775807", "9223372036854775808.0", 0},
      {"-9223372036854775808", "-9223372036854775808.0", 1},
      {"1", "1.0", 1},
      {"{\"a\":1,\"b\":[{}]}", "{\"b\":[{}],\"a\":1.0}", 1},
      {"null", "null", 1},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    json_t *left = parse(cases[i].left), *right = parse(cases[i].right);
    char left_hash[65], right_hash[65];
    json_hash(left, left_hash);
    json_hash(right, right_hash);
    if (json_same(left, right) != cases[i].same || json_same(right, left) != cases[i].same ||
        (strcmp(left_hash, right_hash) == 0) != cases[i].same)
      fail_msg("%s and %s", cases[i].left, cases[i].right);
    json_decref(left);
    json_decref(right);
  }
}

static void test_hash_is_sha256_of_the_canonical_text(void **state) {
  (void)state;
  char hash[65];
  json_t *value = parse("{ }");
  json_hash(value, hash);
  assert_string_equal(hash, "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
  json_decref(value);
}

static void test_paths(void **state) {
  (void)state;
  json_t *value = parse("{\"detail\":{\"name\":\"x\",\"count\":3}}");
  assert_null(json_at(value, "detail", "missing", "further", NULL));
  assert_null(json_at(value, "detail", "name", "further", NULL));
  assert_null(json_at(NULL, "detail", NULL));
  assert_ptr_equal(json_at(value, NULL), value);
  assert_int_equal(json_integer_value(json_at(value, "detail", "count", NULL)), 3);
  assert_string_equal(json_text_at(value, "detail", "name", NULL), "x");
  assert_string_equal(json_text_at(value, "detail", "count", NULL), "");
  assert_string_equal(json_text_at(value, "missing", NULL), "");
  json_decref(value);
}

static void test_empty(void **state) {
  (void)state;
  static const char *const empty[] = {"null", "false", "\"\"", "[]", "{}"}, *const full[] = {"0",      "0.0",
                                                                                             "true",   "\"0\"",
                                                                                             "[null]", "{\"a\":null}"};
  assert_true(json_is_empty(NULL));
  for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
    json_t *value = parse(empty[i]);
    assert_true(json_is_empty(value));
    json_decref(value);
  }
  for (size_t i = 0; i < sizeof full / sizeof *full; i++) {
    json_t *value = parse(full[i]);
    assert_false(json_is_empty(value));
    json_decref(value);
  }
}
