#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "event/envelope.h"

#define RECORD(more)                                                                                                  \
  "{\"eventVersion\":\"1.08\",\"eventName\":\"X\",\"eventSource\":\"ec2.amazonaws.com\",\"awsRegion\":\"eu-west-1\"," \
  "\"eventTime\":\"2026-11-24T22:04:05Z\",\"eventID\":\"e-1\"" more "}"

/* What is no event, and what the dead letter says. */
static void test_refuses(void **state) {
  (void)state;
  static const struct {
    const char *text, *code;
  } cases[] = {
      {"", NULL},
      {"not json", NULL},
      {"{\"a\":1", NULL},
      {"{\"a\":1} trailing", NULL},
      {"[1]", "Shape"},
      {"\"text\"", "Shape"},
      {"42", "Shape"},
      {"null", "Shape"},
      {"{}", "Shape"},
      {"{\"source\":\"aws.ec2\",\"detail-type\":\"x\"}", "Shape"},                     /* no detail */
      {"{\"source\":\"aws.ec2\",\"detail-type\":\"x\",\"detail\":\"text\"}", "Shape"}, /* detail of another type */
      {"{\"source\":7,\"detail-type\":\"x\",\"detail\":{}}", "Shape"},
      {"{\"Type\":\"Notification\",\"Message\":\"not json\"}", NULL},
      {"{\"Type\":\"Notification\",\"Message\":\"[]\"}", "Shape"},
      {"{\"Type\":\"SubscriptionConfirmation\",\"Message\":\"{}\"}", "Shape"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct event event;
    struct error error = {0};
    assert_int_equal(event_prepare(NULL, cases[i].text, strlen(cases[i].text), &event, &error), -1);
    assert_int_equal(error.class, ERROR_INVALID);
    if (cases[i].code) assert_string_equal(error.code, cases[i].code);
    assert_true(*error.message);
    assert_null(event.value);
  }
}

static void test_refuses_depth(void **state) {
  (void)state;
  char text[2048];
  for (int depth = 255; depth <= 300; depth += 45) { /* the object around adds one */
    int length = snprintf(text, sizeof text, "{\"source\":\"s\",\"detail-type\":\"t\",\"detail\":{\"a\":");
    memset(text + length, '[', (size_t)depth - 1);
    memset(text + length + depth - 1, ']', (size_t)depth - 1);
    strcpy(text + length + 2 * (depth - 1), "}}");
    struct event event;
    struct error error = {0};
    int result = event_prepare(NULL, text, strlen(text), &event, &error);
    assert_int_equal(result, depth == 255 ? 0 : -1);
    if (result == 0) event_free(&event);
  }
}

/* The wrapping table. */
static void test_wraps(void **state) {
  (void)state;
  static const struct {
    const char *record, *detail_type, *source, *account, *id;
  } cases[] = {
      {RECORD(",\"eventType\":\"AwsApiCall\",\"recipientAccountId\":\"111111111111\""), "AWS API Call via CloudTrail",
       "aws.ec2", "111111111111", "e-1"},
      {RECORD(",\"eventType\":\"AwsServiceEvent\""), "AWS Service Event via CloudTrail", "aws.ec2", "", "e-1"},
      {RECORD(",\"eventType\":\"AwsConsoleSignIn\",\"userIdentity\":{\"accountId\":\"000000000002\"}"),
       "AWS Console Sign In via CloudTrail", "aws.ec2", "000000000002", "e-1"},
      {RECORD(",\"eventType\":\"AwsConsoleAction\""), "AWS Console Action via CloudTrail", "aws.ec2", "", "e-1"},
      {RECORD(""), "AWS API Call via CloudTrail", "aws.ec2", "", "e-1"}, /* old records have no eventType */
      /* who receives it before who did it */
      {RECORD(",\"recipientAccountId\":\"1\",\"userIdentity\":{\"accountId\":\"2\"}"), "AWS API Call via CloudTrail",
       "aws.ec2", "1", "e-1"},
      /* values of wrong types are as good as absent */
      {RECORD(",\"recipientAccountId\":1,\"userIdentity\":\"x\",\"eventType\":null"), "AWS API Call via CloudTrail",
       "aws.ec2", "", "e-1"},
      {"{\"eventVersion\":\"1\",\"eventName\":\"X\",\"eventSource\":\"signin.amazonaws.com\",\"eventID\":\"e-2\"}",
       "AWS API Call via CloudTrail", "aws.signin", "", "e-2"},
      {"{\"eventVersion\":\"1\",\"eventName\":\"X\",\"eventSource\":\"nodots\",\"eventID\":\"e-3\"}",
       "AWS API Call via CloudTrail", "aws.nodots", "", "e-3"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct event event;
    struct error error = {0};
    if (event_prepare(NULL, cases[i].record, strlen(cases[i].record), &event, &error) != 0)
      fail_msg("%s", error.message);
    assert_string_equal(json_text_at(event.value, "version", NULL), "0");
    assert_string_equal(json_text_at(event.value, "detail-type", NULL), cases[i].detail_type);
    assert_string_equal(json_text_at(event.value, "source", NULL), cases[i].source);
    assert_string_equal(json_text_at(event.value, "account", NULL), cases[i].account);
    assert_string_equal(json_text_at(event.value, "id", NULL), cases[i].id);
    assert_true(json_is_array(json_object_get(event.value, "resources")));
    json_t *record = json_parse(cases[i].record, strlen(cases[i].record), NULL);
    assert_true(json_equal(json_object_get(event.value, "detail"), record)); /* the record itself is untouched */
    json_t *again = json_parse(event.text, event.length, NULL);              /* the text is the value */
    assert_true(json_equal(again, event.value));
    json_decref(again);
    json_decref(record);
    event_free(&event);
  }
}

/* A record without an id gets one of its content: the same twice, another for another record. */
static void test_missing_id(void **state) {
  (void)state;
  static const char *const records[] = {
      "{\"eventVersion\":\"1\",\"eventName\":\"X\",\"eventSource\":\"s\"}",
      "{\"eventName\":\"X\",\"eventVersion\":\"1\",\"eventSource\":\"s\"}",
      "{\"eventVersion\":\"1\",\"eventName\":\"Y\",\"eventSource\":\"s\"}",
  };
  char ids[3][80];
  for (int i = 0; i < 3; i++) {
    struct event event;
    assert_int_equal(event_prepare(NULL, records[i], strlen(records[i]), &event, NULL), 0);
    strcpy(ids[i], json_text_at(event.value, "id", NULL));
    event_free(&event);
  }
  assert_int_equal(strlen(ids[0]), 64);
  assert_string_equal(ids[0], ids[1]);
  assert_string_not_equal(ids[0], ids[2]);
}

/* What is wrapped already passes byte by byte, whatever the spelling of its numbers; SNS's wrapping is taken off. */
static void test_passes_through(void **state) {
  (void)state;
  static const char envelope[] =
      "{ \"detail\":{\"n\":1.50e1,\"eventVersion\":\"1\"}, \"source\":\"aws.ec2\",\"detail-type\":\"t\"}";
  struct event event;
  assert_int_equal(event_prepare(NULL, envelope, strlen(envelope), &event, NULL), 0);
  assert_ptr_equal(event.text, envelope);
  assert_int_equal(event.length, strlen(envelope));
  event_free(&event);

  json_t *notification = json_pack("{s:s, s:s}", "Type", "Notification", "Message", envelope);
  char *text = json_text(notification);
  assert_int_equal(event_prepare(NULL, text, strlen(text), &event, NULL), 0);
  assert_string_equal(event.text, envelope);
  event_free(&event);
  free(text);
  json_object_set_new(notification, "Message", json_string(RECORD("")));
  text = json_text(notification);
  assert_int_equal(event_prepare(NULL, text, strlen(text), &event, NULL), 0);
  assert_string_equal(event_id(event.value), "e-1");
  event_free(&event);
  free(text);
  json_decref(notification);
}

/* Account, Region, id, time: the record's before the envelope's (forwarding rewrites the envelope's). */
static void test_parts(void **state) {
  (void)state;
  static const struct {
    const char *event, *account, *region, *id, *time;
  } cases[] = {
      {"{\"account\":\"9\",\"region\":\"hub\",\"id\":\"i\",\"time\":\"T\",\"detail\":{\"recipientAccountId\":\"1\","
       "\"awsRegion\":\"eu-west-1\",\"eventID\":\"e\",\"eventTime\":\"U\"}}",
       "1", "eu-west-1", "e", "U"},
      {"{\"account\":\"9\",\"region\":\"hub\",\"id\":\"i\",\"time\":\"T\",\"detail\":{}}", "9", "hub", "i", "T"},
      {"{\"detail\":{\"userIdentity\":{\"accountId\":\"3\"}}}", "3", "", "", ""},
      {"{\"account\":9,\"detail\":{\"userIdentity\":{\"accountId\":3}}}", "", "", "", ""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    json_t *event = json_parse(cases[i].event, strlen(cases[i].event), NULL);
    assert_string_equal(event_account(event), cases[i].account);
    assert_string_equal(event_region(event), cases[i].region);
    assert_string_equal(event_id(event), cases[i].id);
    assert_string_equal(event_time(event), cases[i].time);
    json_decref(event);
  }
}
