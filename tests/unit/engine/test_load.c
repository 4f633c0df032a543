/* Loading: mistakes are refused with file, line and reason, and the right playbooks run on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check/offline.h"
#include "engine/live.h"
#include "engine/playbook.h"

#include <cmocka.h>

static const char resource_text[] =
    "resource: ec2.security-group\nscope: region\nid: GroupId\narn: \"arn:x:${$id}\"\ntags: Tags\n"
    "list: {call: ec2.DescribeSecurityGroups, items: SecurityGroups}\n"
    "get: {call: ec2.DescribeSecurityGroups, items: SecurityGroups}\n"
    "context:\n  rules: {call: ec2.DescribeSecurityGroupRules, items: SecurityGroupRules, by: GroupId}\n";

static const char right_text[] =
    "guardrail: good\nversion: 1\ntitle: t\nseverity: low\nwhy: w\nfix: f\nresource: ec2.security-group\nuse: [rules]\n"
    "params: {ports: [22]}\ntrigger: {schedule: rate(5 minutes)}\nfind: \"$rules[?covers_port(@, $params.ports)]\"\n"
    "mode: {default: notify}\ntests:\n"
    "  - {name: found, resource: {GroupId: sg-1}, rules: [{IpProtocol: tcp, FromPort: 22, ToPort: 22}], expect: "
    "finding}\n"
    "  - {name: not, resource: {GroupId: sg-1}, rules: [], expect: nothing}\n"
    "  - {name: wrong, resource: {GroupId: sg-1}, rules: [], expect: finding}\n"
    "  - {name: misspelt, resource: {GroupId: sg-1}, rulez: [], expect: nothing}\n";

static void write_file(const char *directory, const char *name, const char *text) {
  char path[512];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
}

static void remove_file(const char *directory, const char *name) {
  char path[512];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  assert_int_equal(unlink(path), 0);
}

static struct aws_client *open_models(void) {
  struct aws_options options = {.models =
                                    access("build/models", R_OK) == 0 ? "build/models" : getenv("PARAPET_AWS_MODELS")};
  struct error error = {0};
  struct aws_client *client = options.models ? aws_open(&options, &error) : NULL;
  if (!client) print_message("SKIP: no compiled models (make models)\n");
  return client;
}

/* A directory with the resource, the right guardrail, and one more file; its bundle. */
static struct bundle *load_with(const char *name, const char *text, struct aws_client *client) {
  char directory[] = "/tmp/parapet-test-XXXXXX";
  struct error error = {0};
  assert_non_null(mkdtemp(directory));
  write_file(directory, "resource.yaml", resource_text);
  write_file(directory, "right.yaml", right_text);
  if (name) write_file(directory, name, text);
  struct bundle *bundle = bundle_load(directory, client, &error);
  assert_non_null(bundle);
  remove_file(directory, "resource.yaml");
  remove_file(directory, "right.yaml");
  if (name) remove_file(directory, name);
  assert_int_equal(rmdir(directory), 0);
  return bundle;
}

/* The right guardrail's text with one line replaced (or added, where `from` is NULL), as another guardrail. */
static char *changed(const char *from, const char *to) {
  const char *at = from ? strstr(right_text, from) : right_text + strlen(right_text);
  assert_non_null(at);
  char *text = NULL, *named;
  assert_true(asprintf(&text, "%.*s%s%s", (int)(at - right_text), right_text, to, from ? at + strlen(from) : "") > 0);
  assert_true(asprintf(&named, "guardrail: bad%s", strchr(text, '\n')) > 0);
  free(text);
  return named;
}

static void test_mistakes_are_refused_with_file_line_and_reason(void **state) {
  (void)state;
  static const struct {
    const char *from, *to, *reason;
  } rows[] = {
      {"severity: low", "severity: worst", "bad.yaml:4: \"severity\" must be low, medium, high or critical"},
      {"severity: low", "sevrity: low", "did you mean \"severity\"?"},
      {"version: 1", "version: one", "bad.yaml:2: \"version\" must be a number"},
      {"resource: ec2.security-group", "resource: ec2.nothing", "no resource \"ec2.nothing\""},
      {"use: [rules]", "use: [rulez]", "bad.yaml:8: resource ec2.security-group has no context \"rulez\""},
      {"$params.ports", "$params.port", "there is no parameter \"port\""},
      {"$rules[?covers", "$rulez[?covers", "did you mean $rules?"},
      {"covers_port", "covers_prt", "covers_prt"},
      {"[?covers_port(@, $params.ports)]", "[?covers_port(@", "bad.yaml:11: \"find\""},
      {"{default: notify}", "{prod: notify}", "\"default\" is missing"},
      {"{default: notify}", "{default: destroy}", "must be assess, notify, approve or remediate"},
      {"trigger: {schedule: rate(5 minutes)}", "trigger: {}", "needs \"events\", a \"schedule\", or both"},
      {"trigger: {schedule: rate(5 minutes)}", "trigger: {events: [{pattern: {source: aws.ec2}, ids: detail}]}",
       "\"pattern\""},
      {"trigger: {schedule: rate(5 minutes)}",
       "trigger: {events: [{pattern: {source: [aws.ec2]}, ids: detail, account: \"detail.[\"}]}", "\"account\""},
      {"trigger: {schedule: rate(5 minutes)}", /* an event is looked at before anything is known of the resource */
       "trigger: {events: [{pattern: {source: [aws.ec2]}, ids: detail, region: $region}]}",
       "there is no variable $region here"},
      {"find: ", "remediate: [{call: ec2.RevokeSecurityGroupIngress}]\nfind: ", "\"breaker\" is missing"},
      {"find: ", "breaker: {actions: 0, within: 10m}\nfind: ", "\"actions\" must be 1 to 100000"},
      {"find: ", "breaker: {actions: 1, within: 10 minutes}\nfind: ", "must be a duration"},
      {"find: ", "remediate: [{cal: x}]\nbreaker: {actions: 1, within: 1m}\nfind: ", "a step must have one of"},
      {"find: ", "remediate: [{call: ec2.X, each: y}]\nbreaker: {actions: 1, within: 1m}\nfind: ",
       "unknown key \"each\""},
      {"version: 1", "version: 1\nversion: 2", "bad.yaml"},
      {"title: t", "title: [unclosed", "bad.yaml"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char *text = changed(rows[i].from, rows[i].to);
    struct bundle *bundle = load_with("bad.yaml", text, NULL);
    char *refused = json_dumps(bundle->refused, JSON_ENCODE_ANY);
    char *plain = strdup(refused), *to = plain;
    for (const char *from = refused; *from; from++)
      if (!(from[0] == '\\' && from[1] == '"')) *to++ = *from;
    *to = '\0';
    if (!strstr(plain, rows[i].reason)) fail_msg("row %zu: expected \"%s\" in %s", i, rows[i].reason, plain);
    assert_non_null(bundle_guardrail(bundle, "good"));
    assert_null(bundle_guardrail(bundle, "bad"));
    bundle_drop(bundle);
    free(plain);
    free(refused);
    free(text);
  }
}

static void test_names_are_checked_against_the_models(void **state) {
  (void)state;
  static const struct {
    const char *from, *to, *reason;
  } rows[] = {
      {"find: ", "remediate: [{call: ec2.RevokeSecurityGroupIngres}]\nbreaker: {actions: 1, within: 1m}\nfind: ",
       "RevokeSecurityGroupIngress"},
      {"find: ",
       "remediate: [{call: ec2.RevokeSecurityGroupIngress, with: {GroupIdd: x}}]\nbreaker: {actions: 1, within: "
       "1m}\nfind: ",
       "GroupId"},
      {"[?covers_port(@, $params.ports)]", "[?IsEgres]", "IsEgress"},
      {"find: ", "where: $resource.GropName\nfind: ", "GroupName"},
  };
  struct aws_client *client = open_models();
  if (!client) skip();
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char *text = changed(rows[i].from, rows[i].to);
    struct bundle *bundle = load_with("bad.yaml", text, client);
    assert_int_equal(json_array_size(bundle->refused), 1);
    const char *refused = json_string_value(json_array_get(bundle->refused, 0));
    if (!strstr(refused, rows[i].reason) || strncmp(refused, "bad.yaml:", 9) != 0) fail_msg("row %zu: %s", i, refused);
    bundle_drop(bundle);
    free(text);
  }
  aws_close(client);
}

static void test_the_hash_follows_the_content(void **state) {
  (void)state;
  struct bundle *one = load_with(NULL, NULL, NULL), *same = load_with(NULL, NULL, NULL);
  char *text = changed("title: t", "title: other");
  struct bundle *other = load_with("more.yaml", text, NULL);
  assert_string_equal(one->hash, same->hash);
  assert_string_not_equal(one->hash, other->hash);
  assert_int_equal(other->guardrail_count, 2);
  free(text);
  bundle_drop(one);
  bundle_drop(same);
  bundle_drop(other);
}

static void test_offline_tests_can_fail(void **state) {
  (void)state;
  static const int results[] = {1, 1, 0, -1};
  struct bundle *bundle = load_with(NULL, NULL, NULL);
  const struct guardrail *guardrail = bundle_guardrail(bundle, "good");
  for (size_t i = 0; i < 4; i++) {
    char *why = NULL;
    assert_int_equal(offline_test(guardrail, i, &why), results[i]);
    assert_int_equal(why != NULL, results[i] != 1);
    free(why);
  }
  bundle_drop(bundle);
}

static void test_modes_and_scope(void **state) {
  (void)state;
  char *text = changed("mode: {default: notify}",
                       "mode: {prod: remediate, default: assess}\nscope: {accounts: [\"1*\"], regions: [eu-*]}");
  struct bundle *bundle = load_with("more.yaml", text, NULL);
  const struct guardrail *guardrail = bundle_guardrail(bundle, "bad");
  assert_non_null(guardrail);
  assert_int_equal(guardrail_mode(guardrail, "prod"), MODE_REMEDIATE);
  assert_int_equal(guardrail_mode(guardrail, "unheard-of"), MODE_ASSESS);
  assert_int_equal(guardrail_mode(guardrail, NULL), MODE_ASSESS);
  struct place here = {.account = "111111111111", .environment = "prod", .unit = "", .region = "eu-west-1"};
  struct place other = {.account = "211111111111", .environment = "prod", .unit = "", .region = "eu-west-1"};
  struct place far = {.account = "111111111111", .environment = "prod", .unit = "", .region = "us-east-1"};
  assert_true(guardrail_in_scope(guardrail, &here));
  assert_false(guardrail_in_scope(guardrail, &other));
  assert_false(guardrail_in_scope(guardrail, &far));
  bundle_drop(bundle);
  free(text);
}

static void test_scope_by_unit_and_tag(void **state) {
  (void)state;
  static const struct {
    const char *scope, *unit, *tags;
    int inside;
  } rows[] = {
      {"{units: [workloads/prod]}", "workloads/prod", "{}", 1},
      {"{units: [workloads]}", "workloads/prod/payments", "{}", 1}, /* a unit holds those below it */
      {"{units: [workloads/prod]}", "workloads", "{}", 0},
      {"{units: [\"*/prod\"]}", "workloads/prod", "{}", 1},
      {"{units: []}", "workloads", "{}", 0}, /* nothing is nothing */
      {"{tags: [team=payments]}", "", "{\"team\": \"payments\", \"x\": \"y\"}", 1},
      {"{tags: [team=payments]}", "", "{\"team\": \"payments-dev\"}", 0},
      {"{tags: [\"team=pay*\", tier=1]}", "", "{\"tier\": \"1\"}", 1}, /* one is enough */
      {"{tags: [\"team=*\"]}", "", "{}", 0},
      {"{tags: [team=a], units: [b]}", "c", "{\"team\": \"a\"}", 0}, /* every kind must fit */
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char to[256];
    snprintf(to, sizeof to, "mode: {default: notify}\nscope: %s", rows[i].scope);
    char *text = changed("mode: {default: notify}", to);
    struct bundle *bundle = load_with("more.yaml", text, NULL);
    const struct guardrail *guardrail = bundle_guardrail(bundle, "bad");
    struct place place = {.account = "111111111111", .environment = "", .region = "eu-west-1", .unit = rows[i].unit};
    place.tags = json_loads(rows[i].tags, 0, NULL);
    assert_non_null(guardrail);
    if (guardrail_in_scope(guardrail, &place) != rows[i].inside) fail_msg("row %zu", i);
    json_decref(place.tags);
    bundle_drop(bundle);
    free(text);
  }
}
