/* What the sieve puts aside, and what it must let pass, however the event spells it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "match/set_internal.h"

static struct match_set *build(const char *const *patterns) {
  struct match_builder *builder = match_builder_open();
  struct error error = {0};
  for (uint32_t i = 0; patterns[i]; i++)
    assert_int_equal(match_add(builder, i, patterns[i], strlen(patterns[i]), &error), 0);
  struct match_set *set = match_build(builder, &error);
  assert_non_null(set);
  return set;
}

/* With every scanner, and wherever the event's end falls in a block. */
static void expect(struct match_set *set, const char *event, bool may) {
  for (size_t s = 0; match_scan_at(s); s++)
    for (int pad = 0; pad < 70; pad++) {
      char padded[700];
      int length = snprintf(padded, sizeof padded, "{\"pad\":\"%.*s\",%s", pad,
                            "......................................................................", event + 1);
      set->scan = match_scan_at(s);
      if (match_may(set, padded, (size_t)length) != may) fail_msg("%s: %s", match_scan_at(s)->name, padded);
    }
}

static void test_what_passes(void **state) {
  (void)state;
  struct match_set *set = build((const char *const[]){
      "{\"source\": [\"aws.ec2\"], \"detail\": {\"eventName\": [\"RunInstances\", \"a/b\"]}}",
      "{\"source\": [\"aws.ec2\"], \"detail\": {\"eventName\": [\"StopInstances\"], \"errorCode\": [{\"exists\": "
      "false}]}}",
      "{\"source\": [\"aws.ec2\"], \"detail\": {\"userIdentity\": {\"type\": [\"Root\"]}}}", NULL});
  static const struct {
    const char *event;
    bool may;
  } rows[] = {
      {"{\"source\":\"aws.ec2\",\"detail\":{\"eventName\":\"RunInstances\"}}", true},
      {"{\"source\":\"aws.ec2\",\"detail\":{\"eventName\":\"StopInstances\",\"errorCode\":\"x\"}}",
       true}, /* who knows */
      {"{\"detail\":{\"userIdentity\":{\"type\":\"Root\"}}}", true},
      {"{\"detail\":{\"userIdentity\":{\"type\" : \n\t\"Root\"}}}", true},
      {"{\"detail\":{\"eventName\":[\"x\",\"RunInstances\"]}}", true},             /* a list is not looked into */
      {"{\"detail\":{\"eventName\":\"x\",\"eventName\":\"RunInstances\"}}", true}, /* repeated */
      {"{\"detail.eventName\":\"RunInstances\"}", true},                           /* a path in one key */
      {"{\"detail\":{\"eventN\\u0061me\":\"RunInstances\"}}", true},
      {"{\"detail\":{\"eventName\":\"Run\\u0049nstances\"}}", true},
      {"{\"detail\":{\"eventName\":\"a\\/b\"}}", true},
      {"{\"type\":\"eventName\",\"detail\":{\"eventName\":\"RunInstances\"}}", true}, /* a value like the key */
      {"{\"eventName\":\"Root\"}", true},                                             /* errs on this side */
      {"{\"source\":\"aws.ec2\",\"detail\":{\"eventName\":\"DescribeInstances\"}}", false},
      {"{\"source\":\"aws.ec2\",\"detail\":{\"eventName\":null,\"type\":17}}", false},
      {"{\"source\":\"aws.ec2\",\"detail\":{\"eventName\":{\"a\":\"RunInstances\"}}}", false},
      {"{\"detail\":{\"type\":\"RootUser\",\"eventName\":\"runinstances\"}}", false},
      {"{\"detail\":{\"other\":\"RunInstances\",\"x\":\"Root\"}}", false},
      {"{\"detail\":{\"types\":\"Root\"}}", false},
      {"{\"a\":\"type\",\"b\":\"eventName\"}", false},
      {"{\"a\":\"say \\\"type\\\":\\\"Root\\\"\"}", false},
      {"{}", false},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    if (strlen(rows[i].event) > 2) expect(set, rows[i].event, rows[i].may);
  /* What is no object is for match_run() to refuse. */
  assert_true(match_may(set, "[1]", 3));
  assert_true(match_may(set, "", 0));
  assert_true(match_may(set, "{\"a\":", 5));
  assert_true(match_may(set, "{\"a\":1}x", 8));
  assert_true(match_may(set, "{}{}", 4));
  assert_false(match_may(set, "{}", 2));
  match_set_free(set);
}

/* What is no object, and only that: bytes behind the closing bracket, spaces too, are none of it. */
static void test_what_is_no_object_passes(void **state) {
  (void)state;
  struct match_set *set = build((const char *const[]){"{\"detail\": {\"eventName\": [\"RunInstances\"]}}", NULL});
  static const struct {
    const char *event;
    bool may;
  } rows[] = {
      {"{\"a\":1}", false},
      {"{\"a\":1} ", true},
      {"{\"a\":1}\n", true},
      {"{\"a\":1}}", true},
      {"{\"a\":1}x", true},
      {"{\"a\":1", true},
      {"{\"a\":1]", false},  /* brackets of both kinds count alike */
      {"{\"a\":\"1}", true}, /* the string does not end */
      {"{\"a\":\"1\\\"}", true},
      {"{\"a\":\"1\\\\\"}", false},
      {"{\"a\":\"}{[\"}", false},
      {"{\"a\":\"\\u0062\"}", true},
      {"{\"a\":\"\\\\u\"}", true}, /* no escape, but who knows */
      {"{\"a\":\"\\n\\t\\/u\"}", false},
      {"{\"a\":1}{\"eventName\":\"x\"}", true},
      {"{\"eventName\":\"x\x01\"}", true}, /* no JSON */
      {"{\"eventName\":", true},
      {"{\"eventName\"", true},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) expect(set, rows[i].event, rows[i].may);
  for (int depth = 254; depth < 258; depth++) {
    char event[600];
    int length = snprintf(event, sizeof event, "{\"a\":");
    memset(event + length, '[', (size_t)depth);
    memset(event + length + depth, ']', (size_t)depth);
    snprintf(event + length + 2 * depth, 2, "}");
    expect(set, event, depth > 255);
  }
  match_set_free(set);
}

/* A rule that asks for no string, or sets with too many kinds of keys: every event is walked. */
static void test_sets_without_a_sieve(void **state) {
  (void)state;
  const char *const none[] = {"{\"a\": [\"x\"]}", "{\"b\": [{\"exists\": true}]}", NULL};
  const char *const prefix[] = {"{\"ab\": [\"x\", {\"prefix\": \"y\"}]}", NULL};
  const char *const many[] = {"{\"k1\": [\"x\"]}", "{\"k2\": [\"x\"]}", "{\"k3\": [\"x\"]}",
                              "{\"k4\": [\"x\"]}", "{\"k5\": [\"x\"]}", NULL};
  const char *const *sets[] = {none, prefix, many};
  for (size_t i = 0; i < 3; i++) {
    struct match_set *set = build(sets[i]);
    assert_true(match_may(set, "{}", 2));
    match_set_free(set);
  }
}
