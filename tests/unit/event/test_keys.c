#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "event/envelope.h"

/* Mistakes in the table are told with their line. */
static void test_refuses(void **state) {
  (void)state;
  static const struct {
    const char *text, *where;
  } cases[] = {
      {"- a\n", "keys:1"},
      {"a.amazonaws.com:\n  - good\n  - 'bad['\n", "keys:3"},
      {"a.amazonaws.com:\n  - {x: y}\n", "keys:2"},
      {"a.amazonaws.com: [1]\n", "keys:1"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct error error = {0};
    assert_null(event_keys_parse(cases[i].text, strlen(cases[i].text), "keys", &error));
    assert_int_equal(error.class, ERROR_INVALID);
    assert_string_equal(error.where, cases[i].where);
  }
  struct error error = {0};
  assert_null(event_keys_load("/no/such/file", &error));
  assert_int_not_equal(error.class, ERROR_NONE);
}

#define EVENT(source, rest)                                                       \
  "{\"source\":\"s\",\"detail-type\":\"t\",\"detail\":{\"eventSource\":\"" source \
  "\",\"recipientAccountId\":"                                                    \
  "\"111111111111\",\"awsRegion\":\"eu-west-1\"" rest "}}"

/* The product's own table. */
static void test_table(void **state) {
  (void)state;
  static const struct {
    const char *event, *key;
  } cases[] = {
      {EVENT("ec2.amazonaws.com", ",\"requestParameters\":{\"groupId\":\"sg-1\"}"), "111111111111/eu-west-1/sg-1"},
      /* a group that was named is found in the answer */
      {EVENT("ec2.amazonaws.com",
             ",\"requestParameters\":{\"groupName\":\"x\"},\"responseElements\":"
             "{\"securityGroupRuleSet\":{\"items\":[{\"groupId\":\"sg-2\"}]}}"),
       "111111111111/eu-west-1/sg-2"},
      /* EC2's other dialect */
      {EVENT("ec2.amazonaws.com",
             ",\"requestParameters\":{\"ModifySecurityGroupRulesRequest\":{\"GroupId\":\"sg-3\"}}"),
       "111111111111/eu-west-1/sg-3"},
      {EVENT("s3.amazonaws.com", ",\"requestParameters\":{\"bucketName\":\"b\"}"), "111111111111/eu-west-1/b"},
      {EVENT("iam.amazonaws.com", ",\"requestParameters\":{\"userName\":\"a b\\n\"}"), "111111111111/eu-west-1/a_b_"},
      {EVENT("iam.amazonaws.com", ",\"requestParameters\":null"), "111111111111/eu-west-1"},
      {EVENT("ec2.amazonaws.com", ",\"requestParameters\":{\"groupId\":7}"), "111111111111/eu-west-1"},
      {EVENT("unheard.amazonaws.com", ",\"requestParameters\":{\"groupId\":\"sg-1\"}"), "111111111111/eu-west-1"},
      {"{\"source\":\"s\",\"detail-type\":\"t\",\"detail\":{}}", "unknown/unknown"},
  };
  struct error error = {0};
  struct event_keys *keys = event_keys_load("schemas/event-resources.yaml", &error);
  if (!keys) fail_msg("%s: %s", error.where, error.message);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct event event;
    if (event_prepare(keys, cases[i].event, strlen(cases[i].event), &event, &error) != 0) fail_msg("%s", error.message);
    assert_string_equal(event.key, cases[i].key);
    event_free(&event);
  }
  event_keys_free(keys);
}

/* A resource's name of any length leaves the key within its size. */
static void test_long_resource(void **state) {
  (void)state;
  char text[3000];
  struct error error = {0};
  struct event_keys *keys = event_keys_parse("s3.amazonaws.com: [bucket]", 26, "keys", &error);
  assert_non_null(keys);
  snprintf(text, sizeof text,
           "{\"source\":\"s\",\"detail-type\":\"t\",\"detail\":{\"eventSource\":\"s3.amazonaws.com\","
           "\"bucket\":\"%02000d\"}}",
           7);
  struct event event;
  assert_int_equal(event_prepare(keys, text, strlen(text), &event, &error), 0);
  assert_true(strlen(event.key) < EVENT_KEY_SIZE);
  assert_memory_equal(event.key, "unknown/unknown/000", 19);
  event_free(&event);
  event_keys_free(keys);
}
