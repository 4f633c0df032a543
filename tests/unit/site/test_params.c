/* Parameters by environment and account: which hold where, and which are refused (with their guardrail). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check/offline.h"
#include "engine/live.h"
#include "site/params.h"

#include <cmocka.h>

#define RESOURCE                                                                      \
  "resource: ec2.security-group\nscope: region\nid: GroupId\narn: \"arn:x:${$id}\"\n" \
  "list: {call: ec2.DescribeSecurityGroups, items: SecurityGroups}\n"                 \
  "get: {call: ec2.DescribeSecurityGroups, items: SecurityGroups}\n"
#define GUARDRAIL(name)                                                                               \
  "guardrail: " name                                                                                  \
  "\nversion: 1\ntitle: t\nseverity: low\nwhy: w\nfix: f\nresource: ec2.security-group\n"             \
  "params: {names: [open], days: 90, strict: false, any: []}\ntrigger: {schedule: rate(5 minutes)}\n" \
  "find: \"contains($params.names, GroupName)\"\nmode: {default: notify}\ntests:\n"                   \
  "  - {name: found, resource: {GroupId: sg-1, GroupName: open}, expect: finding}\n"                  \
  "  - {name: not, resource: {GroupId: sg-1, GroupName: x}, expect: nothing}\n"

static void write_file(const char *directory, const char *name, const char *text) {
  char path[512];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
}

/* The guardrails "one" and "other", and a file of parameters (and a second, where given). */
static struct bundle *load_with(const char *params, const char *more) {
  static const char *const names[] = {"resource.yaml", "one.yaml", "other.yaml", "params.yaml", "twice.yaml"};
  const char *texts[] = {RESOURCE, GUARDRAIL("one"), GUARDRAIL("other"), params, more};
  char directory[] = "/tmp/parapet-test-XXXXXX", path[512];
  struct error error = {0};
  assert_non_null(mkdtemp(directory));
  for (size_t i = 0; i < 5; i++)
    if (texts[i]) write_file(directory, names[i], texts[i]);
  struct bundle *bundle = bundle_load(directory, NULL, &error);
  assert_non_null(bundle);
  for (size_t i = 0; i < 5; i++) {
    snprintf(path, sizeof path, "%s/%s", directory, names[i]);
    if (texts[i]) assert_int_equal(unlink(path), 0);
  }
  assert_int_equal(rmdir(directory), 0);
  return bundle;
}

static void test_wrong_parameters_are_refused_with_their_guardrail(void **state) {
  (void)state;
  static const struct {
    const char *text, *reason;
    int one; /* does guardrail "one" run on? */
  } rows[] = {
      {"params: onn\n", "params.yaml:1: no guardrail \"onn\" is loaded; did you mean \"one\"?", 1},
      {"params: one\nvalue: {}\n", "params.yaml:2: unknown key \"value\"; did you mean \"values\"?", 0},
      {"params: one\nvalues:\n  dayz: 3\n",
       "params.yaml:3: guardrail one has no parameter \"dayz\"; did you mean \"days\"?", 0},
      {"params: one\nvalues:\n  days: \"3\"\n", "params.yaml:3: \"days\" must be a number, not a text", 0},
      {"params: one\nvalues:\n  strict: no\n", "params.yaml:3: \"strict\" must be true or false, not a text", 0},
      {"params: one\nvalues:\n  names: open\n", "params.yaml:3: \"names\" must be a list, not a text", 0},
      {"params: one\nvalues:\n  names: [a, 7]\n", "must hold what the guardrail's own holds (a text), not a number", 0},
      {"params: one\nenvironments:\n  dev: [days]\n", "params.yaml:3: a mapping of parameters is needed here", 0},
      {"params: one\nenvironments: {dev: {days: x}}\n", "params.yaml:2: \"days\" must be a number", 0},
      {"params: one\naccounts:\n  012345678901: {days: x}\n", "params.yaml:3: \"days\" must be a number", 0},
      {"params: one\naccounts:\n  12345: {days: 1}\n", "params.yaml:3: \"12345\" is no account id", 0},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct bundle *bundle = load_with(rows[i].text, NULL);
    const char *told = json_string_value(json_array_get(bundle->refused, 0));
    if (!told || !strstr(told, rows[i].reason)) fail_msg("row %zu: %s", i, told ? told : "nothing was refused");
    assert_int_equal(bundle_guardrail(bundle, "one") != NULL, rows[i].one);
    assert_non_null(bundle_guardrail(bundle, "other"));
    assert_int_equal(json_array_size(bundle->refused),
                     rows[i].one ? 1 : 2); /* and that the guardrail is refused, too */
    bundle_drop(bundle);
  }
}

static void test_parameters_twice_are_refused(void **state) {
  (void)state;
  struct bundle *bundle = load_with("params: one\nvalues: {days: 1}\n", "params: one\nvalues: {days: 2}\n");
  assert_string_equal(json_string_value(json_array_get(bundle->refused, 0)),
                      "twice.yaml:1: guardrail \"one\" is given parameters twice");
  assert_null(bundle_guardrail(bundle, "one"));
  bundle_drop(bundle);
}

static void test_the_nearest_place_wins(void **state) {
  (void)state;
  static const struct {
    const char *account, *environment, *expected;
  } rows[] = {
      {NULL, NULL, "{\"any\":[1,\"x\"],\"days\":60,\"names\":[\"open\"],\"strict\":false}"},
      {"222222222222", "prod", "{\"any\":[1,\"x\"],\"days\":60,\"names\":[\"open\"],\"strict\":false}"},
      {"222222222222", "dev", "{\"any\":[1,\"x\"],\"days\":30,\"names\":[\"open\"],\"strict\":true}"},
      {"111111111111", "prod", "{\"any\":[1,\"x\"],\"days\":7,\"names\":[\"wide\"],\"strict\":false}"},
      {"111111111111", "dev", "{\"any\":[1,\"x\"],\"days\":7,\"names\":[\"wide\"],\"strict\":true}"},
  };
  struct bundle *bundle = load_with(
      "params: one\n"
      "values: {days: 60, any: [1, x]}\n"
      "environments: {dev: {days: 30, strict: true}}\n"
      "accounts: {\"111111111111\": {days: 7, names: [wide]}}\n",
      NULL);
  assert_int_equal(json_array_size(bundle->refused), 0);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    json_t *params = site_params(bundle_guardrail(bundle, "one"), rows[i].account, rows[i].environment);
    char *text = json_dumps(params, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(text, rows[i].expected);
    free(text);
    json_decref(params);
  }
  json_t *own = site_params(bundle_guardrail(bundle, "other"), "111111111111", "dev");
  assert_int_equal(json_integer_value(json_object_get(own, "days")), 90);
  json_decref(own);
  bundle_drop(bundle);
}

static void test_judgement_follows_and_the_playbooks_own_tests_do_not(void **state) {
  (void)state;
  struct bundle *bundle = load_with("params: one\naccounts: {\"111111111111\": {names: [wide]}}\n", NULL);
  struct bundle *plain = load_with(NULL, NULL);
  const struct guardrail *one = bundle_guardrail(bundle, "one");
  assert_string_not_equal(bundle->hash, plain->hash); /* a fleet that disagrees shows */
  json_t *item = json_pack("{s:s, s:s}", "GroupId", "sg-1", "GroupName", "wide"), *id = json_string("sg-1");
  json_t *contexts[1] = {NULL};
  struct live live = {.resource = one->resource, .item = item, .id = id, .contexts = contexts};
  static const struct {
    const char *account;
    int found;
  } rows[] = {{"111111111111", 1}, {"222222222222", 0}};
  for (size_t i = 0; i < 2; i++) {
    struct place place = {.account = rows[i].account, .region = "eu-west-1", .environment = "prod", .partition = "aws"};
    struct error error = {0};
    json_t *finding = guardrail_judge(one, &place, &live, NULL, &error);
    assert_non_null(finding);
    assert_int_equal(!json_is_empty(finding), rows[i].found);
    json_decref(finding);
  }
  for (size_t i = 0; i < 2; i++) {
    char *why = NULL;
    assert_int_equal(offline_test(one, i, &why), 1);
    free(why);
  }
  json_decref(item);
  json_decref(id);
  bundle_drop(bundle);
  bundle_drop(plain);
}
