/* The organization: what AWS says becomes a list, or nothing at all; the list becomes accounts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/fake.h"
#include "fleet/organization.h"

static json_t *parse(const char *text) {
  json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
  assert_non_null(value);
  return value;
}

static void test_mistakes_name_the_key(void **state) {
  (void)state;
  static const struct {
    const char *text, *key, *reason;
  } rows[] = {
      {"[]", "", "no mapping"},
      {"{}", "account", "12 digits"},
      {"{\"account\": \"99999999999\"}", "account", "12 digits"},
      {"{\"account\": 999999999999}", "account", "quote it"}, /* a number loses its zeros */
      {"{\"account\": \"999999999999\", \"roles\": \"x\"}", "roles", "did you mean \"role\""},
      {"{\"account\": \"999999999999\", \"refresh\": \"10\"}", "refresh", "a duration"},
      {"{\"account\": \"999999999999\", \"refresh\": \"2d\"}", "refresh", "a duration"},
      {"{\"account\": \"999999999999\", \"units\": {\"a\": 1}}", "units", "a mapping of texts"},
      {"{\"account\": \"999999999999\", \"exclude\": [111111111111]}", "exclude", "a list of texts"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    json_t *settings = parse(rows[i].text);
    struct error error = {0};
    const char *key;
    assert_int_equal(organization_check(settings, &key, &error), -1);
    if (strcmp(key, rows[i].key) != 0 || !strstr(error.message, rows[i].reason))
      fail_msg("row %zu: %s: %s", i, key, error.message);
    json_decref(settings);
  }
}

static void test_environments(void **state) {
  (void)state;
  json_t *settings = parse(
      "{\"environment\": \"env\", \"default\": \"dev\", \"units\": {\"workloads/prod\": \"prod\", \"workloads\": "
      "\"test\", \"*/sandbox\": \"play\"}}");
  json_t *nothing = json_object();
  static const struct {
    const char *unit, *tags, *environment;
  } rows[] = {
      {"workloads/prod", "{\"env\": \"stage\"}", "stage"},       /* the account's own tag wins */
      {"workloads/prod", "{\"env\": \"\"}", "prod"},             /* an empty one says nothing */
      {"workloads/prod/payments/a", "{\"Env\": \"x\"}", "prod"}, /* the nearest unit above; keys have their case */
      {"workloads/production", "{}", "test"},                    /* a name is whole */
      {"workloads", "{}", "test"},
      {"x/sandbox/deep", "{}", "play"},
      {"", "{}", "dev"}, /* below the root itself */
      {"elsewhere", "{}", "dev"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    json_t *tags = parse(rows[i].tags);
    assert_string_equal(organization_environment(settings, rows[i].unit, tags), rows[i].environment);
    json_decref(tags);
  }
  assert_string_equal(organization_environment(nothing, "workloads", nothing), "");
  json_decref(nothing);
  json_decref(settings);
}

static void test_who_is_looked_after(void **state) {
  (void)state;
  static const struct {
    const char *settings, *id, *unit;
    int included;
  } rows[] = {
      {"{}", "111111111111", "", 1},
      {"{\"exclude\": [\"111111111111\"]}", "111111111111", "a", 0},
      {"{\"exclude\": [\"a\"]}", "111111111111", "a/b/c", 0}, /* a unit means those below it, too */
      {"{\"exclude\": [\"a\"]}", "111111111111", "ab", 1},
      {"{\"include\": [\"a/b\"]}", "111111111111", "a/b", 1},
      {"{\"include\": [\"a/b\"]}", "111111111111", "a", 0},
      {"{\"include\": [\"a\"], \"exclude\": [\"a/*/x\"]}", "111111111111", "a/b/x/y", 0},
      {"{\"include\": [\"1111*\"]}", "111111111111", "", 1},
      {"{\"include\": []}", "111111111111", "", 0},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    json_t *settings = parse(rows[i].settings);
    if (organization_includes(settings, rows[i].id, rows[i].unit) != rows[i].included) fail_msg("row %zu", i);
    json_decref(settings);
  }
}

/* ---- listing ---- */
#define ANSWER(text) \
  { .status = 200, .body = (text) }
#define ACCOUNT(id, word, status) "{\"Id\":\"" id "\",\"Name\":\"n-" id "\",\"" word "\":\"" status "\"}"
#define SETTINGS "{\"account\": \"999999999999\", \"role\": \"reader\"}"

/* Two pages of accounts, the root with a unit, which holds a third; one moved away from under the walk. */
static const struct fake_answer whole[] = {
    ANSWER("{\"Accounts\":[" ACCOUNT("000000000001", "State", "ACTIVE") "],\"NextToken\":\"2\"}"),
    ANSWER("{\"Accounts\":[" ACCOUNT("000000000002", "Status", "SUSPENDED") "," ACCOUNT("000000000003", "State",
                                                                                        "ACTIVE") "]}"),
    ANSWER("{\"Roots\":[{\"Id\":\"r-1\",\"Name\":\"Root\"}]}"),
    ANSWER("{\"Accounts\":[{\"Id\":\"000000000001\"}, {\"Id\":\"000000000009\"}]}"), /* one came meanwhile */
    ANSWER("{\"OrganizationalUnits\":[{\"Id\":\"ou-1\",\"Name\":\"workloads\"}]}"),
    ANSWER("{\"Accounts\":[]}"),
    ANSWER("{\"OrganizationalUnits\":[{\"Id\":\"ou-2\",\"Name\":\"prod\"}]}"),
    ANSWER("{\"Accounts\":[{\"Id\":\"000000000003\"}]}"),
    ANSWER("{\"OrganizationalUnits\":[]}"),
    ANSWER("{\"Parents\":[{\"Id\":\"ou-1\",\"Type\":\"ORGANIZATIONAL_UNIT\"}]}"),
    ANSWER("{\"Tags\":[{\"Key\":\"env\",\"Value\":\"prod\"}]}"),
    ANSWER("{\"Tags\":[]}"),
    ANSWER("{\"Tags\":[{\"Key\":\"team\",\"Value\":\"x\"}],\"NextToken\":\"2\"}"),
    ANSWER("{\"Tags\":[{\"Key\":\"env\",\"Value\":\"dev\"}]}"),
};
enum { WHOLE = sizeof whole / sizeof *whole };

static json_t *list_with(const struct fake_answer *answers, size_t count, const json_t *before,
                         const struct organization_patience *patience, struct fake *fake, struct error *error) {
  json_t *settings = parse(SETTINGS);
  fake_environment();
  struct aws_client *client = fake_open(fake, answers, count);
  assert_non_null(client);
  json_t *members = organization_list(client, settings, before, patience, error);
  fake_close(fake, client);
  json_decref(settings);
  return members;
}

/* Whichever call fails: there is no list, never a shorter one. */
static void test_a_list_that_is_not_whole_is_none(void **state) {
  (void)state;
  for (size_t broken = 0; broken < WHOLE; broken++) {
    struct fake_answer answers[WHOLE];
    struct fake fake;
    struct error error = {0};
    memcpy(answers, whole, sizeof whole);
    answers[broken] =
        (struct fake_answer){.status = 400, .body = "{\"__type\":\"AccessDeniedException\",\"Message\":\"not you\"}"};
    assert_null(list_with(answers, WHOLE, NULL, NULL, &fake, &error));
    assert_int_equal(error.class, ERROR_DENIED);
    assert_int_equal(fake.requests, broken + 1);
  }
}

static void test_an_empty_list_is_none(void **state) {
  (void)state;
  static const struct fake_answer answers[] = {ANSWER("{\"Accounts\":[]}")};
  struct fake fake;
  struct error error = {0};
  assert_null(list_with(answers, 1, NULL, NULL, &fake, &error));
  assert_string_equal(error.code, "Empty");
}

static int lose_patience(void *argument) { return ++*(int *)argument > 2; }

static void test_who_lost_the_claim_stops(void **state) {
  (void)state;
  int calls = 0;
  struct organization_patience patience = {lose_patience, &calls};
  struct fake fake;
  struct error error = {0};
  assert_null(list_with(whole, WHOLE, NULL, &patience, &fake, &error));
  assert_int_equal(error.class, ERROR_RETRYABLE);
  assert_string_equal(error.code, "Claim");
  assert_int_equal(fake.requests, 3);
}

static void test_members_units_and_tags(void **state) {
  (void)state;
  struct fake fake;
  struct error error = {0};
  json_t *members = list_with(whole, WHOLE, NULL, NULL, &fake, &error);
  if (!members) fail_msg("%s", error.message);
  assert_int_equal(fake.requests, WHOLE);
  assert_non_null(strstr(fake.assume_request, "arn%3Aaws%3Aiam%3A%3A999999999999%3Arole%2Freader"));
  assert_non_null(strstr(fake.assume_request, "organizations%3AListParents")); /* the session may only read these */
  static const struct {
    const char *id, *status, *unit, *env;
  } rows[] = {{"000000000001", "ACTIVE", "", "prod"},
              {"000000000002", "SUSPENDED", "workloads", ""}, /* found by its parent */
              {"000000000003", "ACTIVE", "workloads/prod", "dev"}};
  assert_int_equal(json_object_size(members), 3);
  for (size_t i = 0; i < 3; i++) {
    const json_t *member = json_object_get(members, rows[i].id);
    assert_string_equal(json_text_at(member, "status", NULL), rows[i].status);
    assert_string_equal(json_text_at(member, "unit", NULL), rows[i].unit);
    assert_string_equal(json_text_at(member, "tags", "env", NULL), rows[i].env);
    assert_true(json_integer_value(json_object_get(member, "tagged")) > 0);
  }
  json_decref(members);
}
