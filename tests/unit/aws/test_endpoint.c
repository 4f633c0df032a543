/* The rules engine: its own cases, the cases of real services against their rule sets, and its limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <dirent.h>
#include <cmocka.h>

#include "aws/endpoint.h"
#include "aws/model.h"
#include "aws/reference.h"

static struct aws_models *open_models(void) {
  char path[1024];
  struct error error;
  const char *build = getenv("BUILD");
  snprintf(path, sizeof path, "%s/models", build && *build ? build : "build");
  struct aws_models *models = aws_models_open(path, &error);
  if (!models) fail_msg("%s", error.message);
  return models;
}

static struct aws_partitions *partitions_of(struct aws_models *models) {
  struct error error;
  struct aws_partitions *partitions = aws_partitions_open(aws_models_partitions(models, &error), &error);
  assert_non_null(partitions);
  return partitions;
}

/* ---- reference cases ---- */

static int same_when_given(const json_t *wanted, const json_t *got, const char *key) {
  const json_t *value = json_object_get(wanted, key);
  return !value || json_equal(value, json_object_get(got, key));
}

static int case_passes(const json_t *ruleset, const struct aws_partitions *partitions, const json_t *one) {
  struct error error = {0};
  json_t *got = aws_endpoint_resolve(ruleset, partitions, json_object_get(one, "params"), &error);
  const json_t *wanted = json_at(one, "expect", "endpoint", NULL);
  const char *message = json_string_value(json_at(one, "expect", "error", NULL));
  int passes = message ? !got && strcmp(error.message, message) == 0 && error.class == ERROR_INVALID
                       : got && same_when_given(wanted, got, "url") && same_when_given(wanted, got, "headers") &&
                             same_when_given(wanted, got, "properties");
  if (!passes) {
    char *text = got ? json_dumps(got, 0) : NULL;
    print_message("%s: got %s %s\n", json_text_at(one, "documentation", NULL), text ? text : "", error.message);
    free(text);
  }
  json_decref(got);
  return passes;
}

/* Number of cases, all of which passed. */
static size_t run_cases(const json_t *ruleset, const struct aws_partitions *partitions, const json_t *cases) {
  size_t index, failures = 0;
  json_t *one;
  json_array_foreach(json_object_get(cases, "testCases"), index, one) failures +=
      !case_passes(ruleset, partitions, one);
  assert_int_equal(failures, 0);
  return index;
}

static size_t run_service(struct aws_models *models, const struct aws_partitions *partitions, const char *name) {
  char file[300];
  struct error error;
  snprintf(file, sizeof file, "endpoint-rules/%.200s/endpoint-tests-1.json", name);
  json_t *cases = reference_json(file);
  const struct aws_service *service = aws_models_service(models, name, &error);
  assert_non_null(service);
  size_t count = cases ? run_cases(aws_service_ruleset(service), partitions, cases) : 0;
  json_decref(cases);
  return count;
}

/* Every service that has a folder among the reference data. */
static void test_cases_of_services(void **state) {
  (void)state;
  char path[512];
  reference_path(path, "endpoint-rules");
  DIR *folder = opendir(path);
  if (!folder) print_message("skipped: no reference data at %s\n", path);
  struct aws_models *models = open_models();
  struct aws_partitions *partitions = partitions_of(models);
  size_t count = 0;
  for (struct dirent *entry; folder && (entry = readdir(folder)) != NULL;)
    if (entry->d_name[0] != '.' && strcmp(entry->d_name, "engine") != 0)
      count += run_service(models, partitions, entry->d_name);
  if (folder) closedir(folder);
  print_message("%zu cases of services\n", count);
  aws_partitions_free(partitions);
  aws_models_close(models);
}

static void test_cases_of_the_engine(void **state) {
  (void)state;
  static const char *const names[] = {"account-id",
                                      "array-index",
                                      "aws-region",
                                      "default-values",
                                      "eventbridge",
                                      "fns",
                                      "headers",
                                      "is-virtual-hostable-s3-bucket",
                                      "local-region-override",
                                      "parse-arn",
                                      "parse-url",
                                      "partition-fn",
                                      "substring",
                                      "uri-encode",
                                      "valid-hostlabel"};
  struct aws_models *models = open_models();
  struct aws_partitions *partitions = partitions_of(models);
  size_t count = 0;
  for (size_t i = 0; i < TIMES(names); i++) {
    char name[256];
    snprintf(name, sizeof name, "endpoint-rules/engine/valid-rules/%s.json", names[i]);
    json_t *ruleset = reference_json(name);
    snprintf(name, sizeof name, "endpoint-rules/engine/test-cases/%s.json", names[i]);
    json_t *cases = ruleset ? reference_json(name) : NULL;
    if (cases) count += run_cases(ruleset, partitions, cases);
    json_decref(ruleset);
    json_decref(cases);
  }
  print_message("%zu cases of the engine\n", count);
  aws_partitions_free(partitions);
  aws_models_close(models);
}

/* Every service's rules give some https URL for a common Region: no function or type is unknown to the engine. */
static void test_every_service_resolves(void **state) {
  (void)state;
  static const char *const services[] = {"accessanalyzer",
                                         "account",
                                         "autoscaling",
                                         "cloudfront",
                                         "cloudtrail",
                                         "config",
                                         "dynamodb",
                                         "ec2",
                                         "elb",
                                         "elbv2",
                                         "events",
                                         "guardduty",
                                         "iam",
                                         "kms",
                                         "lambda",
                                         "logs",
                                         "organizations",
                                         "rds",
                                         "route53",
                                         "s3",
                                         "secretsmanager",
                                         "securityhub",
                                         "sns",
                                         "sqs",
                                         "ssm",
                                         "sts",
                                         "wafv2"};
  struct aws_models *models = open_models();
  struct aws_partitions *partitions = partitions_of(models);
  json_t *params = json_pack("{s:s}", "Region", "eu-west-1");
  for (size_t i = 0; i < TIMES(services); i++) {
    struct error error = {0};
    const struct aws_service *service = aws_models_service(models, services[i], &error);
    assert_non_null(service);
    json_t *got = aws_endpoint_resolve(aws_service_ruleset(service), partitions, params, &error);
    if (!got || strncmp(json_text_at(got, "url", NULL), "https://", 8) != 0)
      fail_msg("%s: %s", services[i], error.message);
    json_decref(got);
  }
  json_decref(params);
  aws_partitions_free(partitions);
  aws_models_close(models);
}

/* ---- hand-made rule sets ---- */

static const char partitions_text[] =
    "{\"partitions\":[{\"id\":\"aws\",\"regionRegex\":\"^(us|eu)\\\\-\\\\w+\\\\-\\\\d+$\",\"regions\":{\"aws-global\":{"
    "}},"
    "\"outputs\":{\"dnsSuffix\":\"amazonaws.com\"}},"
    "{\"id\":\"aws-x\",\"regionRegex\":\"^x\\\\-\\\\d$\",\"regions\":{},\"outputs\":{\"dnsSuffix\":\"x.test\"}}]}";

static struct aws_partitions *small_partitions(void) {
  json_t *document = json_loads(partitions_text, 0, NULL);
  struct aws_partitions *partitions = aws_partitions_open(document, NULL);
  json_decref(document);
  assert_non_null(partitions);
  return partitions;
}

/* Resolves a rule set given as text (single quotes for double ones) with parameters {"A": a} (a NULL: none). */
static json_t *resolve(const char *rules, const char *a, struct error *error) {
  char text[4096];
  snprintf(text, sizeof text, "{'parameters':{'A':{'type':'string'}},'rules':[%s]}", rules);
  for (char *at = text; *at; at++)
    if (*at == '\'') *at = '"';
  json_error_t where;
  json_t *ruleset = json_loads(text, 0, &where);
  if (!ruleset) fail_msg("%s in %s", where.text, text);
  json_t *params = json_object();
  if (a) json_object_set_new(params, "A", json_string(a));
  struct aws_partitions *partitions = small_partitions();
  json_t *got = aws_endpoint_resolve(ruleset, partitions, params, error);
  aws_partitions_free(partitions);
  json_decref(params);
  json_decref(ruleset);
  return got;
}

/* One condition that assigns X, and "{X}" as the URL; or "none" when it does not hold. */
static void test_functions(void **state) {
  (void)state;
  static const struct {
    const char *condition, *a, *url;
  } rows[] = {
      {"{'fn':'uriEncode','argv':[{'ref':'A'}],'assign':'X'}", "a b/\xC3\xA9~", "a%20b%2F%C3%A9~"},
      {"{'fn':'substring','argv':[{'ref':'A'},1,3,false],'assign':'X'}", "abcd", "bc"},
      {"{'fn':'substring','argv':[{'ref':'A'},0,3,true],'assign':'X'}", "abcd", "bcd"},
      {"{'fn':'substring','argv':[{'ref':'A'},0,5,true],'assign':'X'}", "abcd", "none"},
      {"{'fn':'coalesce','argv':[{'ref':'A'},'b'],'assign':'X'}", NULL, "b"},
      {"{'fn':'coalesce','argv':[{'ref':'A'},'b'],'assign':'X'}", "a", "a"},
      {"{'fn':'getAttr','argv':[{'fn':'split','argv':[{'ref':'A'},'--',0]},'[1]'],'assign':'X'}", "a--b--c", "b"},
      {"{'fn':'getAttr','argv':[{'fn':'split','argv':[{'ref':'A'},'--',2]},'[1]'],'assign':'X'}", "a--b--c", "b--c"},
      {"{'fn':'getAttr','argv':[{'fn':'split','argv':[{'ref':'A'},'--',0]},'[-1]'],'assign':'X'}", "a--b--c", "c"},
      {"{'fn':'getAttr','argv':[{'fn':'split','argv':[{'ref':'A'},'--',0]},'[3]'],'assign':'X'}", "a--b--c", "none"},
      {"{'fn':'ite','argv':[{'fn':'isSet','argv':[{'ref':'A'}]},'set','unset'],'assign':'X'}", NULL, "unset"},
      {"{'fn':'ite','argv':[{'fn':'isSet','argv':[{'ref':'A'}]},'set','unset'],'assign':'X'}", "a", "set"},
      {"{'fn':'getAttr','argv':[{'fn':'aws.partition','argv':[{'ref':'A'}]},'name'],'assign':'X'}", "x-1", "aws-x"},
      {"{'fn':'getAttr','argv':[{'fn':'aws.partition','argv':[{'ref':'A'}]},'name'],'assign':'X'}", "nowhere", "aws"},
      {"{'fn':'getAttr','argv':[{'fn':'aws.partition','argv':[{'ref':'A'}]},'nothing'],'assign':'X'}", "x-1", "none"},
      {"{'fn':'getAttr','argv':[{'fn':'aws.parseArn','argv':[{'ref':'A'}]},'resourceId[1]'],'assign':'X'}",
       "arn:aws:s3::1:type:name/x", "name"},
      {"{'fn':'getAttr','argv':[{'fn':'aws.parseArn','argv':[{'ref':'A'}]},'region'],'assign':'X'}", "arn:aws:s3",
       "none"},
      {"{'fn':'getAttr','argv':[{'fn':'parseURL','argv':[{'ref':'A'}]},'normalizedPath'],'assign':'X'}",
       "http://h/a/./b/../c d//e", "/a/c%20d/e/"},
      {"{'fn':'getAttr','argv':[{'fn':'parseURL','argv':[{'ref':'A'}]},'authority'],'assign':'X'}", "https://h:65536",
       "none"},
      {"{'fn':'getAttr','argv':[{'fn':'parseURL','argv':[{'ref':'A'}]},'authority'],'assign':'X'}", "https://h:65535",
       "h:65535"},
      {"{'fn':'getAttr','argv':[{'fn':'parseURL','argv':[{'ref':'A'}]},'authority'],'assign':'X'}", "https://h/#f",
       "none"},
  };
  for (size_t i = 0; i < TIMES(rows); i++) {
    char rules[1024];
    struct error error = {0};
    snprintf(rules, sizeof rules,
             "{'type':'endpoint','conditions':[%s],'endpoint':{'url':'{X}'}},"
             "{'type':'endpoint','conditions':[],'endpoint':{'url':'none'}}",
             rows[i].condition);
    json_t *got = resolve(rules, rows[i].a, &error);
    if (!got || strcmp(json_text_at(got, "url", NULL), rows[i].url) != 0)
      fail_msg("%s of %s: %s %s", rows[i].condition, rows[i].a ? rows[i].a : "nothing", json_text_at(got, "url", NULL),
               error.message);
    json_decref(got);
  }
}

static void test_templates(void **state) {
  (void)state;
  static const struct {
    const char *template, *text; /* NULL: refused */
  } rows[] = {
      {"{A}", "v"},       {"x{A}y{A}", "xvyv"}, {"{{A}}", "{A}"}, {"{", "{"},
      {"{ A }", "{ A }"}, {"{B}", NULL},        {"{A#b}", NULL},
  };
  for (size_t i = 0; i < TIMES(rows); i++) {
    char rules[512];
    struct error error = {0};
    snprintf(rules, sizeof rules, "{'type':'endpoint','conditions':[],'endpoint':{'url':'%s'}}", rows[i].template);
    json_t *got = resolve(rules, "v", &error);
    if ((got != NULL) != (rows[i].text != NULL) || (got && strcmp(json_text_at(got, "url", NULL), rows[i].text) != 0))
      fail_msg("%s: %s", rows[i].template, json_text_at(got, "url", NULL));
    json_decref(got);
  }
}

static void test_broken_rule_sets_are_refused(void **state) {
  (void)state;
  static const char *const rows[] = {
      "{'type':'endpoint','conditions':[{'fn':'noSuch','argv':['a']}],'endpoint':{'url':'u'}}",
      "{'type':'endpoint','conditions':[{'fn':'isSet','argv':[]}],'endpoint':{'url':'u'}}",
      "{'type':'endpoint','conditions':[{'fn':'stringEquals','argv':['a',true]}],'endpoint':{'url':'u'}}",
      "{'type':'endpoint','conditions':[{'fn':'booleanEquals','argv':['a',true]}],'endpoint':{'url':'u'}}",
      "{'type':'endpoint','conditions':[{}],'endpoint':{'url':'u'}}",
      "{'type':'endpoint','conditions':[],'endpoint':{}}",
      "{'type':'endpoint','conditions':[]}",
      "{'type':'other','conditions':[]}",
      "{'type':'tree','conditions':[]}",
      "{}",
      "7",
      "{'type':'error','conditions':[],'error':{'ref':'A'}}",
      "{'type':'endpoint','conditions':[],'endpoint':{'url':'u','headers':{'h':[{'ref':'Nope'}]}}}",
      ("{'type':'endpoint','conditions':[{'fn':'coalesce','argv':['a'],'assign':'X'},"
       "{'fn':'coalesce','argv':['a'],'assign':'X'}],'endpoint':{'url':'u'}}"),
  };
  for (size_t i = 0; i < TIMES(rows); i++) {
    struct error error = {0};
    json_t *got = resolve(rows[i], NULL, &error);
    if (got) fail_msg("%s", rows[i]);
    assert_int_equal(error.class, ERROR_INVALID);
    assert_string_equal(error.code, "EndpointResolution");
  }
}

/* Names end with their rule: a sibling may assign the same again. */
static void test_names_end_with_their_rule(void **state) {
  (void)state;
  struct error error = {0};
  json_t *got = resolve(
      "{'type':'tree','conditions':[{'fn':'coalesce','argv':['1'],'assign':'X'}],'rules':["
      "{'type':'endpoint','conditions':[{'fn':'coalesce','argv':['2'],'assign':'Y'},{'fn':'not','argv':[true]}],"
      "'endpoint':{'url':'no'}}]},"
      "{'type':'endpoint','conditions':[{'fn':'coalesce','argv':['3'],'assign':'X'},"
      "{'fn':'coalesce','argv':['4'],'assign':'Y'}],'endpoint':{'url':'{X}{Y}'}}",
      NULL, &error);
  assert_string_equal(json_text_at(got, "url", NULL), "34");
  json_decref(got);
}

static void test_parameters_are_checked(void **state) {
  (void)state;
  struct aws_partitions *partitions = small_partitions();
  static const struct {
    const char *parameters, *params;
  } rows[] = {
      {"{\"R\":{\"type\":\"string\",\"required\":true}}", "{}"},
      {"{\"R\":{\"type\":\"string\",\"required\":true}}", "{\"R\":null}"},
      {"{\"R\":{\"type\":\"string\"}}", "{\"R\":true}"},
      {"{\"R\":{\"type\":\"boolean\"}}", "{\"R\":\"true\"}"},
      {"{\"R\":{\"type\":\"stringArray\"}}", "{\"R\":\"a\"}"},
      {"{\"R\":{\"type\":\"number\"}}", "{\"R\":1}"},
  };
  for (size_t i = 0; i < TIMES(rows); i++) {
    struct error error = {0};
    json_t *params = json_loads(rows[i].params, 0, NULL);
    json_t *ruleset =
        json_pack("{s:o, s:[{s:s, s:[], s:{s:s}}]}", "parameters", json_loads(rows[i].parameters, 0, NULL), "rules",
                  "type", "endpoint", "conditions", "endpoint", "url", "u");
    assert_null(aws_endpoint_resolve(ruleset, partitions, params, &error));
    assert_int_equal(error.class, ERROR_INVALID);
    json_decref(ruleset);
    json_decref(params);
  }
  aws_partitions_free(partitions);
}

/* Nesting far beyond any real rule set ends with an error, not with the stack. */
static void test_depth_is_limited(void **state) {
  (void)state;
  json_t *rules = json_pack("[{s:s, s:[], s:{s:s}}]", "type", "endpoint", "conditions", "endpoint", "url", "u");
  for (int i = 0; i < 1000; i++) rules = json_pack("[{s:s, s:[], s:o}]", "type", "tree", "conditions", "rules", rules);
  json_t *ruleset = json_pack("{s:{}, s:o}", "parameters", "rules", rules);
  struct aws_partitions *partitions = small_partitions();
  struct error error = {0};
  assert_null(aws_endpoint_resolve(ruleset, partitions, NULL, &error));
  assert_int_equal(error.class, ERROR_INVALID);
  aws_partitions_free(partitions);
  json_decref(ruleset);
}

static void test_broken_partitions_are_refused(void **state) {
  (void)state;
  static const char *const rows[] = {"{}", "{\"partitions\":[]}", "{\"partitions\":[{}]}", "[]"};
  for (size_t i = 0; i < TIMES(rows); i++) {
    struct error error = {0};
    json_t *document = json_loads(rows[i], 0, NULL);
    assert_null(aws_partitions_open(document, &error));
    assert_int_equal(error.class, ERROR_INVALID);
    json_decref(document);
  }
}
