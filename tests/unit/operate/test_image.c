#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "operate/image.h"

static json_t *parse(const char *text) {
  json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
  assert_non_null(value);
  return value;
}

static void test_differences(void **state) {
  (void)state;
  static const struct {
    const char *was, *is, *fresh, *wanted; /* wanted: the differences */
  } rows[] = {
      /* order says nothing, in lists of lists neither */
      {"{\"a\": [1, 2, [3, 4]]}", "{\"a\": [[4, 3], 2, 1]}", NULL, "[]"},
      /* absent, null and empty say the same; false does not */
      {"{\"a\": [], \"b\": null}", "{}", NULL, "[]"},
      {"{\"a\": false}", "{}", NULL, "[{\"path\": \"a\", \"was\": false}]"},
      /* but a count does */
      {"{\"a\": [1, 1, 2]}", "{\"a\": [1, 2, 2]}", NULL,
       "[{\"path\": \"a\", \"was\": 1}, {\"path\": \"a\", \"is\": 2}]"},
      /* what changes by itself */
      {"{\"RoleLastUsed\": {\"Region\": \"x\"}, \"Id\": 1}", "{\"Id\": 1}", NULL, "[]"},
      {"{\"LastUsedDate\": \"x\", \"Id\": 1}", "{\"LastUsedDate\": \"y\", \"Id\": 1}", NULL, "[]"},
      /* a policy is what it says, not how it is written */
      {"{\"Policy\": \"{\\\"a\\\": 1, \\\"b\\\": [2, 3]}\"}", "{\"Policy\": \"{\\\"b\\\":[3,2],\\\"a\\\":1}\"}", NULL,
       "[]"},
      {"{\"Policy\": \"{\\\"a\\\": 1}\"}", "{\"Policy\": \"{\\\"a\\\": 2}\"}", NULL,
       "[{\"path\": \"Policy\", \"was\": \"{\\\"a\\\": 1}\", \"is\": \"{\\\"a\\\": 2}\"}]"},
      /* nor whether it is encoded */
      {"{\"Document\": \"%7B%22a%22%3A%201%7D\"}", "{\"Document\": \"%7B%22a%22%3A1%7D\"}", NULL, "[]"},
      {"{\"Document\": \"%7B%22a%22%3A1%7D\"}", "{\"Document\": \"%7B%22a%22%3A2%7D\"}", NULL,
       "[{\"path\": \"Document\", \"was\": \"%7B%22a%22%3A1%7D\", \"is\": \"%7B%22a%22%3A2%7D\"}]"},
      /* a name that changed is a difference, unless it is fresh */
      {"{\"r\": [{\"Id\": \"sgr-0001\", \"p\": 22}]}", "{\"r\": [{\"Id\": \"sgr-0002\", \"p\": 22}]}", NULL,
       "[{\"path\": \"r\", \"was\": {\"Id\": \"sgr-0001\", \"p\": 22}}, {\"path\": \"r\", \"is\": {\"Id\": "
       "\"sgr-0002\", "
       "\"p\": 22}}]"},
      {"{\"r\": [{\"Id\": \"sgr-0001\", \"Arn\": \"x/sgr-0001\", \"p\": 22}]}",
       "{\"r\": [{\"Id\": \"sgr-0002\", \"Arn\": \"x/sgr-0002\", \"p\": 22}]}", "[\"sgr-0002\"]", "[]"},
      /* a fresh name does not excuse what stands beside it */
      {"{\"r\": [{\"Id\": \"sgr-0001\", \"p\": 22}]}", "{\"r\": [{\"Id\": \"sgr-0002\", \"p\": 23}]}", "[\"sgr-0002\"]",
       "[{\"path\": \"r\", \"was\": {\"Id\": \"sgr-0001\", \"p\": 22}}, {\"path\": \"r\", \"is\": {\"Id\": "
       "\"sgr-0002\", "
       "\"p\": 23}}]"},
      /* nor another new name */
      {"{\"g\": \"sg-00000001\"}", "{\"g\": \"sg-00000002\"}", "[\"sgr-0002\"]",
       "[{\"path\": \"g\", \"was\": \"sg-00000001\", \"is\": \"sg-00000002\"}]"},
      /* the resource is gone */
      {"{\"resource\": {}}", "null", NULL, "[{\"path\": \"resource\", \"was\": {\"resource\": {}}, \"is\": null}]"},
      {"null", "null", NULL, "[]"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    json_t *was = parse(rows[i].was), *is = parse(rows[i].is), *wanted = parse(rows[i].wanted);
    json_t *fresh = rows[i].fresh ? parse(rows[i].fresh) : NULL;
    json_t *differences = image_differences(was, is, fresh, NULL);
    if (!json_equal(differences, wanted)) fail_msg("row %zu: %s", i, json_dumps(differences, 0));
    json_t *values[] = {was, is, wanted, fresh, differences};
    for (size_t k = 0; k < sizeof values / sizeof *values; k++) json_decref(values[k]);
  }
}

/* What an undo brought back gets its new name wherever the old one stands, in an ARN as well. */
static void test_names_follow(void **state) {
  (void)state;
  json_t *was = parse("{\"r\": [{\"Id\": \"sgr-0001\", \"Arn\": \"x/sgr-0001\", \"p\": 22}]}");
  json_t *is = parse("{\"r\": [{\"Id\": \"sgr-0002\", \"Arn\": \"x/sgr-0002\", \"p\": 22}]}");
  json_t *results = parse("[{\"Id\": \"sgr-0002\", \"p\": 22, \"w\": \"word\"}]"), *renames = json_object();
  json_t *fresh = image_fresh(results, was), *wanted = parse("[\"sgr-0002\"]");
  assert_true(json_equal(fresh, wanted));
  json_t *differences = image_differences(was, is, fresh, renames), *renamed = image_renamed(was, renames);
  assert_int_equal(json_array_size(differences), 0);
  assert_true(json_equal(renamed, is));
  json_t *values[] = {was, is, results, renames, fresh, wanted, differences, renamed};
  for (size_t k = 0; k < sizeof values / sizeof *values; k++) json_decref(values[k]);
}

/* IAM counts a policy's versions and dates them: what comes back is another one, and no other version is called so. */
static void test_a_version_comes_back_under_the_next_number(void **state) {
  (void)state;
  json_t *was = parse("[{\"VersionId\": \"v1\", \"CreateDate\": \"2026-01-01T00:00:00Z\", \"Document\": \"{}\"}]");
  json_t *is = parse("[{\"VersionId\": \"v7\", \"CreateDate\": \"2026-01-02T00:00:00Z\", \"Document\": \"{}\"}]");
  json_t *results = parse("[{\"VersionId\": \"v7\", \"CreateDate\": \"2026-01-02T00:00:00Z\", \"Is\": \"vast\"}]");
  json_t *fresh = image_fresh(results, was), *renames = json_object();
  assert_int_equal(json_array_size(fresh), 2);
  json_t *differences = image_differences(was, is, fresh, renames);
  assert_int_equal(json_array_size(differences), 0);
  assert_int_equal(json_object_size(renames), 0);
  json_t *values[] = {was, is, results, fresh, renames, differences};
  for (size_t k = 0; k < sizeof values / sizeof *values; k++) json_decref(values[k]);
}
