#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "notices/notices.h"

#include <cmocka.h>

static json_t *digest(int notices, const char *actor) {
  json_t *list = json_array();
  for (int i = 0; i < notices; i++)
    json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "outcome",
                                          i ? "parked" : "fixed", "guardrail", "ssh", "account", "111111111111",
                                          "environment", "prod", "region", "eu-west-1", "resource", "sg-1", "note",
                                          "breaker open", "actor", actor, "owner", "payments", "action", "a-1"));
  return json_pack("{s:s, s:i, s:o, s:{s:i, s:i}}", "key", "ssh|111111111111", "count", 200, "notices", list, "counts",
                   "fixed", 20, "parked", 180);
}

static void test_one_message_says_it_all_and_stays_short(void **state) {
  (void)state;
  char title[] = "SSH is open", why[] = "scanners", fix[] = "use a range";
  struct guardrail guardrail = {.title = title, .why = why, .fix = fix};
  char subject[101], *text = NULL;
  json_t *value = digest(50, "arn:aws:iam::111111111111:user/mallory");
  assert_int_equal(notice_text(&guardrail, value, subject, &text), 0);
  assert_string_equal(subject, "Parapet: ssh in 111111111111: 20 fixed, 180 parked");
  static const char *const parts[] = {"SSH is open",
                                      "Account 111111111111 (prod): 20 fixed, 180 parked",
                                      "changed by arn:aws:iam::111111111111:user/mallory, owner payments",
                                      "undo: parapet undo a-1\n  parked", /* of the fix, and of nothing else */
                                      "breaker open",
                                      "and 190 more",
                                      "Why it matters: scanners",
                                      "How to do it right: use a range",
                                      "parapet exceptions add --guardrail ssh",
                                      "parapet breaker reset ssh/111111111111 --release"};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    if (!strstr(text, parts[i])) fail_msg("\"%s\" is not in: %s", parts[i], text);
  assert_true(strlen(text) < 3000);
  free(text);
  json_decref(value);
}

static void test_a_guardrail_that_is_gone_is_no_reason_to_be_silent(void **state) {
  (void)state;
  char subject[101], *text = NULL;
  json_t *value = digest(1, "");
  assert_int_equal(notice_text(NULL, value, subject, &text), 0);
  assert_non_null(strstr(text, "20 fixed"));
  assert_null(strstr(text, "changed by"));
  free(text);
  json_decref(value);
}

/* SNS refuses a subject with control characters, or beyond ASCII. */
static void test_a_subject_is_ascii(void **state) {
  (void)state;
  char subject[101], *text = NULL;
  json_t *value = digest(1, "");
  json_object_set_new(json_array_get(json_object_get(value, "notices"), 0), "guardrail", json_string("s\nö"));
  assert_int_equal(notice_text(NULL, value, subject, &text), 0);
  assert_string_equal(subject, "Parapet: s??? in 111111111111: 20 fixed, 180 parked");
  free(text);
  json_decref(value);
}

static void test_a_subject_fits_sns(void **state) {
  (void)state;
  char subject[101], *text = NULL, name[300];
  memset(name, 'x', sizeof name - 1);
  name[sizeof name - 1] = '\0';
  json_t *value = digest(1, "");
  json_object_set_new(json_array_get(json_object_get(value, "notices"), 0), "guardrail", json_string(name));
  assert_int_equal(notice_text(NULL, value, subject, &text), 0);
  assert_int_equal(strlen(subject), 100);
  free(text);
  json_decref(value);
}
