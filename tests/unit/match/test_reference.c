/* event-ruler's own cases, with the differences that match.h lists told apart by rule, not by case. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "match/match.h"

static FILE *open_cases(const char *name) {
  const char *folder = getenv("PARAPET_REFERENCE_DATA");
  char path[4096];
  snprintf(path, sizeof path, "%s/patterns/%s", folder ? folder : "../shared/data", name);
  FILE *file = fopen(path, "r");
  if (!file) print_message("%s is not there: its cases are not run\n", path);
  return file;
}

/* 1 and 0: matches or not; -1: the pattern is refused; -2: the event is. */
static int matches(const char *pattern, const char *event) {
  struct error error = {0};
  const uint32_t *ids;
  struct match_builder *builder = match_builder_open();
  assert_non_null(builder);
  if (match_add(builder, 7, pattern, strlen(pattern), &error) != 0) {
    match_builder_free(builder);
    return -1;
  }
  struct match_set *set = match_build(builder, &error);
  assert_non_null(set);
  struct match_scratch *scratch = match_scratch_open();
  int count = match_run(set, scratch, event, strlen(event), &ids, &error);
  if (count == 1) assert_int_equal(ids[0], 7);
  if (count < 0) print_message("%s\n", error.message);
  match_scratch_free(scratch);
  match_set_free(set);
  return count < 0 ? -2 : count;
}

static int is_valid(const char *pattern) {
  struct error error = {0};
  struct match_builder *builder = match_builder_open();
  assert_non_null(builder);
  int result = match_add(builder, 1, pattern, strlen(pattern), &error);
  if (result != 0) {
    assert_int_equal(error.class, ERROR_INVALID);
    assert_non_null(strstr(error.message, "line "));
  }
  match_builder_free(builder);
  return result == 0;
}

typedef int check_case(const json_t *entry);

static int check_match(const json_t *entry) {
  const char *pattern = json_string_value(json_object_get(entry, "pattern"));
  const char *event = json_string_value(json_object_get(entry, "event"));
  int expected = json_is_true(json_object_get(entry, "match")), got = matches(pattern, event);
  if (got != expected) print_message("expected %d, got %d\n  %s\n  %s\n", expected, got, pattern, event);
  return got == expected;
}

static int check_valid(const json_t *entry) {
  const char *pattern = json_string_value(json_object_get(entry, "pattern"));
  int expected = json_is_true(json_object_get(entry, "valid")), got = is_valid(pattern);
  if (got != expected) print_message("expected %s: %s\n", expected ? "valid" : "invalid", pattern);
  return got == expected;
}

static void run_cases(const char *name, check_case *check) {
  FILE *file = open_cases(name);
  if (!file) skip();
  char *line = NULL;
  size_t size = 0, cases = 0, wrong = 0;
  while (getline(&line, &size, file) > 0) {
    json_t *entry = json_loads(line, 0, NULL);
    assert_non_null(entry);
    cases++;
    wrong += !check(entry);
    json_decref(entry);
  }
  free(line);
  fclose(file);
  print_message("%s: %zu cases, %zu wrong\n", name, cases, wrong);
  assert_true(cases > 0);
  assert_int_equal(wrong, 0);
}

static void test_match_cases(void **state) {
  (void)state;
  run_cases("match.jsonl", check_match);
}

static void test_valid_cases(void **state) {
  (void)state;
  run_cases("valid.jsonl", check_valid);
}
