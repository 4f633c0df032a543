/* `breaker:` and `exempt:` of a playbook. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check/offline.h"
#include "site/breaker.h"

#include <cmocka.h>

static const char resource_text[] =
    "resource: ec2.security-group\nscope: region\nid: GroupId\narn: \"arn:x:${$id}\"\n%s"
    "list: {call: ec2.DescribeSecurityGroups, items: SecurityGroups}\n"
    "get: {call: ec2.DescribeSecurityGroups, items: SecurityGroups}\n";

static const char guardrail_text[] =
    "guardrail: one\nversion: 1\ntitle: t\nseverity: low\nwhy: w\nfix: f\nresource: ec2.security-group\n"
    "trigger: {schedule: rate(5 minutes)}\nfind: \"Open\"\nmode: {default: notify}\n%s\ntests:\n"
    "  - {name: found, resource: {GroupId: sg-1, Open: true}, expect: finding}\n"
    "  - {name: not, resource: {GroupId: sg-1}, expect: nothing}\n"
    "  - {name: exempt, resource: {GroupId: sg-1, Open: true, Tags: [{Key: team, Value: red-1}]}, expect: exempt}\n"
    "  - {name: other, resource: {GroupId: sg-1, Open: true, Tags: [{Key: team, Value: blue}]}, expect: exempt}\n"
    "  - {name: finds, resource: {GroupId: sg-1, Open: true, Tags: [{Key: team, Value: red-1}]}, expect: finding}\n";

static void write_file(const char *directory, const char *name, const char *format, const char *part) {
  char path[512];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  fprintf(file, format, part);
#pragma GCC diagnostic pop
  fclose(file);
}

/* A bundle of one guardrail with these lines; models are not asked. */
static struct bundle *load_with(const char *lines, const char *tags) {
  char directory[] = "/tmp/parapet-test-XXXXXX", path[512];
  struct error error = {0};
  assert_non_null(mkdtemp(directory));
  write_file(directory, "resource.yaml", resource_text, tags);
  write_file(directory, "guardrail.yaml", guardrail_text, lines);
  struct bundle *bundle = bundle_load(directory, NULL, &error);
  assert_non_null(bundle);
  static const char *const names[] = {"resource.yaml", "guardrail.yaml"};
  for (size_t i = 0; i < 2; i++) {
    snprintf(path, sizeof path, "%s/%s", directory, names[i]);
    assert_int_equal(unlink(path), 0);
  }
  assert_int_equal(rmdir(directory), 0);
  return bundle;
}

static void test_mistakes_are_refused(void **state) {
  (void)state;
  static const struct {
    const char *lines, *reason;
  } rows[] = {
      {"breaker: {within: 1m}", "\"actions\""}, /* how many? */
      {"breaker: {actions: 0, within: 1m}", "1 to 100000"},
      {"breaker: {actions: 5, within: soon}", "duration"},
      {"breaker: {actions: 5, within: 2d}", "1s to 24h"},
      {"breaker: {actions: 5, within: 1m, share: 10}", "\"share\""}, /* of what unit? */
      {"breaker: {actions: 5, within: 1m, share: ten%}", "0.01% to 100%"},
      {"breaker: {actions: 5, within: 1m, share: 101%}", "0.01% to 100%"},
      {"breaker: {actions: 5, within: 1m, share: 0%}", "0.01% to 100%"},
      {"breaker: {actions: 5, within: 1m, at_least: 0}", "\"at_least\" must be"},
      {"breaker: {actions: 5, within: 1m, failures: 3}", "\"failures\""},
      {"breaker: {actions: 5, within: 1m, failures: 5/3}", "\"3/10\""}, /* more than there are */
      {"breaker: {actions: 5, within: 1m, failures: 0/3}", "\"3/10\""},
      {"breaker: {actions: 5, within: 1m, failures: 5/101}", "\"3/10\""},
      {"breaker: {actions: 5, within: 1m, shares: 10%}", "did you mean \"share\""},
      {"exempt: {}", "\"tags\""},
      {"exempt: {tag: {a: b}}", "did you mean \"tags\""},
      {"exempt: {tags: {team: [red]}}", "must be a text"},
      {"exempt: {tags: {team: true}}", "must be a text"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct bundle *bundle = load_with(rows[i].lines, "tags: Tags\n");
    char *reasons = json_text(bundle->refused);
    if (bundle->guardrail_count || !strstr(reasons, "guardrail.yaml:")) fail_msg("%s: %s", rows[i].lines, reasons);
    json_t *line;
    size_t index;
    int found = 0;
    json_array_foreach(bundle->refused, index, line) found |= strstr(json_string_value(line), rows[i].reason) != NULL;
    if (!found) fail_msg("%s: %s", rows[i].lines, reasons);
    free(reasons);
    bundle_drop(bundle);
  }
  struct bundle *bundle = load_with("exempt: {tags: {team: \"*\"}}", ""); /* a tag that nobody could ever see */
  assert_int_equal(bundle->guardrail_count, 0);
  bundle_drop(bundle);
}

static void test_what_is_said_is_loaded(void **state) {
  (void)state;
  struct bundle *bundle =
      load_with("breaker: {actions: 20, within: 10m, share: 2.5%, at_least: 4, failures: 3/10}", "tags: Tags\n");
  assert_int_equal(bundle->guardrail_count, 1);
  const struct guardrail_breaker *breaker = &bundle->guardrails[0]->breaker;
  assert_int_equal(breaker->actions, 20);
  assert_int_equal(breaker->window_ms, 600000);
  assert_int_equal(breaker->share, 250);
  assert_int_equal(breaker->least, 4);
  assert_int_equal(breaker->failures, 3);
  assert_int_equal(breaker->failures_of, 10);
  bundle_drop(bundle);
}

static void test_tags_exempt(void **state) {
  (void)state;
  static const struct {
    const char *tags; /* as the resource has them */
    const char *exempts;
  } rows[] = {
      {"[{\"Key\":\"team\",\"Value\":\"red-1\"}]", "team=red-1"},
      {"[{\"key\":\"team\",\"value\":\"red-1\"}]", "team=red-1"},       /* ECS and others */
      {"[{\"TagKey\":\"team\",\"TagValue\":\"red-1\"}]", "team=red-1"}, /* KMS */
      {"{\"team\":\"red-1\"}", "team=red-1"},                           /* Lambda and others */
      {"{\"team\":\"blue\"}", ""},
      {"{\"Team\":\"red-1\"}", ""}, /* keys have a case */
      {"{\"keep\":\"\"}", "keep="},
      {"[]", ""},
      {"null", ""},
      {"\"team\"", ""},
  };
  struct bundle *bundle = load_with("exempt: {tags: {team: \"red-*\", keep: \"*\"}}", "tags: Tags\n");
  assert_int_equal(bundle->guardrail_count, 1);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char text[512], tag[400] = "";
    snprintf(text, sizeof text, "{\"GroupId\":\"sg-1\",\"Tags\":%s}", rows[i].tags);
    json_t *item = json_loads(text, 0, NULL);
    assert_non_null(item);
    assert_int_equal(site_exempts(bundle->guardrails[0], item, tag, sizeof tag), *rows[i].exempts != '\0');
    assert_string_equal(tag, rows[i].exempts);
    json_decref(item);
  }
  bundle_drop(bundle);
}

static void test_offline_tests_may_expect_it(void **state) {
  (void)state;
  static const struct {
    int passes;
    const char *why;
  } rows[] = {
      {1, ""}, {1, ""}, {1, ""}, {0, "expected a finding that a tag exempts"}, {0, "exempt by its tag team=red-1"}};
  struct bundle *bundle = load_with("exempt: {tags: {team: \"red-*\"}}", "tags: Tags\n");
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char *why = NULL;
    assert_int_equal(offline_test(bundle->guardrails[0], i, &why), rows[i].passes);
    if (!rows[i].passes && !strstr(why, rows[i].why)) fail_msg("%zu: %s", i, why);
    free(why);
  }
  bundle_drop(bundle);
}
