/* The step runner against a host that records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/load_internal.h"
#include "engine/steps.h"

#include <cmocka.h>

struct recorder {
  json_t *log;           /* one line a call or effect */
  const char *fail_at;   /* operation that fails */
  const char *ignore_at; /* operation whose error is ignored */
};

static json_t *record_call(void *context, const struct step_call *call, int *ignored, struct error *error) {
  struct recorder *recorder = context;
  char *params = json_text(call->params), *variables = json_text(call->variables);
  json_array_append_new(recorder->log,
                        json_sprintf("%s %s %s %s", call->step->operation, params, call->run, variables));
  free(params);
  free(variables);
  if (recorder->ignore_at && strcmp(recorder->ignore_at, call->step->operation) == 0) return *ignored = 1, NULL;
  if (!recorder->fail_at || strcmp(recorder->fail_at, call->step->operation) != 0)
    return json_pack("{s:i}", "n", call->sequence);
  error_set(error, ERROR_DENIED, "Denied", "no");
  return NULL;
}

static int record_effect(void *context, const struct step_call *call, json_t *result, json_t *inverse,
                         struct error *error) {
  struct recorder *recorder = context;
  (void)error, (void)result;
  char *text = inverse ? json_text(inverse) : strdup("-");
  json_array_append_new(recorder->log, json_sprintf("effect %s %s", call->step->operation, text));
  free(text);
  return 0;
}

/* Runs steps (YAML of `steps: […]`); the log joined by newlines, then " = end". */
static char *run(const char *yaml, struct recorder *recorder) {
  static const char *const ends[] = {"done", "stopped", "failed"};
  struct error error = {0};
  struct loader loader = {.file = "test", .refused = json_array()};
  size_t count;
  json_t *document = yaml_parse(yaml, strlen(yaml), "test", &loader.lines, &error), *reason = NULL,
         *list = json_pack("[i, i]", 1, 2);
  assert_non_null(document);
  /* workflows: [{workflow: …}, …] are what `run` steps find */
  struct library library[4] = {0};
  json_t *workflows = json_object_get(document, "workflows");
  for (size_t i = 0; i < json_array_size(workflows); i++)
    library[i] = (struct library){.name = json_text_at(json_array_get(workflows, i), "workflow", NULL),
                                  .file = "workflow",
                                  .document = json_array_get(workflows, i),
                                  .next = i + 1 < json_array_size(workflows) ? &library[i + 1] : NULL};
  if (json_array_size(workflows) > 0) loader.library = library;
  struct step *steps = load_steps(&loader, document, "steps", "", &count);
  if (loader.complaints) fail_msg("%s", json_string_value(json_array_get(loader.refused, 0)));
  recorder->log = json_array();
  struct step_host host = {.call = record_call, .effect = record_effect, .context = recorder};
  struct jmes_scope scope = {.name = "list", .value = list};
  enum steps_end end = steps_run(steps, count, &scope, "run", &host, &reason, &error);
  struct buffer text = {0};
  for (size_t i = 0; i < json_array_size(recorder->log); i++)
    buffer_addf(&text, "%s\n", json_string_value(json_array_get(recorder->log, i)));
  buffer_addf(&text, "= %s %s%s", ends[end], end == STEPS_FAILED ? error.where : "",
              json_is_string(reason) ? json_string_value(reason) : "");
  json_decref(reason);
  json_decref(recorder->log);
  json_decref(document);
  json_decref(list);
  json_decref(loader.refused);
  yaml_lines_free(loader.lines);
  steps_free(steps, count);
  return buffer_take(&text);
}

static void expect(const char *yaml, struct recorder recorder, const char *wanted) {
  char *text = run(yaml, &recorder);
  assert_string_equal(text, wanted);
  free(text);
}

static void test_a_failed_step_stops_the_run(void **state) {
  (void)state;
  expect("steps: [{call: a.B}, {call: a.C}, {call: a.D}]", (struct recorder){.fail_at = "a.C"},
         "a.B {} run-1 {}\neffect a.B -\na.C {} run-2 {}\n= failed /steps/1");
}

static void test_an_ignored_error_has_no_effect_and_no_inverse(void **state) {
  (void)state;
  expect("steps: [{call: a.B, ignore: [X], undo: [{call: a.U}]}, {call: a.C}]", (struct recorder){.ignore_at = "a.B"},
         "a.B {} run-1 {}\na.C {} run-2 {}\neffect a.C -\n= done ");
}

static void test_each_set_when_and_frozen_variables(void **state) {
  (void)state;
  expect(
      "steps:\n- {set: twice, to: \"length($list)\"}\n- each: $list\n  as: x\n  do:\n"
      "  - {call: a.B, with: {X: \"${$x}\", T: \"t-${$twice}\", Run: \"${$run}\"}, when: \"$x > `1`\"}\n- {call: a.C, "
      "with: {N: \"${$nothing}\"}}\n",
      (struct recorder){0},
      "a.B {\"Run\":\"run-1\",\"T\":\"t-2\",\"X\":2} run-1 {\"twice\":2,\"x\":2}\neffect a.B -\n= failed /steps/2");
  expect(
      "steps:\n- {set: twice, to: \"length($list)\"}\n- each: $list\n  as: x\n  do:\n"
      "  - {call: a.B, with: {X: \"${$x}\", T: \"t-${$twice}\", Run: \"${$run}\"}, when: \"$x > `1`\"}\n- {call: a.C, "
      "with: {N: \"${$twice}\"}}\n",
      (struct recorder){0},
      "a.B {\"Run\":\"run-1\",\"T\":\"t-2\",\"X\":2} run-1 {\"twice\":2,\"x\":2}\neffect a.B -\n"
      "a.C {\"N\":2} run-2 {\"twice\":2}\neffect a.C -\n= done ");
}

static void test_the_inverse_sees_the_result_and_the_variables(void **state) {
  (void)state;
  expect(
      "steps:\n- each: $list\n  as: x\n  do: [{call: a.B, undo: [{call: a.U, with: {N: \"${$result.n}\", X: "
      "\"${$x}\"}}, {call: a.V, when: \"$x == `2`\"}]}]\n",
      (struct recorder){0},
      "a.B {} run-1 {\"x\":1}\neffect a.B [{\"call\":\"a.U\",\"with\":{\"N\":1,\"X\":1}}]\n"
      "a.B {} run-2 {\"x\":2}\neffect a.B "
      "[{\"call\":\"a.U\",\"with\":{\"N\":2,\"X\":2}},{\"call\":\"a.V\",\"with\":{}}]\n= done ");
}

static void test_stop_ends_with_its_reason(void **state) {
  (void)state;
  expect("steps: [{call: a.B, as: b}, {stop: \"'enough'\", when: \"$b.n == `1`\"}, {call: a.C}]", (struct recorder){0},
         "a.B {} run-1 {}\neffect a.B -\n= stopped enough");
}

static void test_a_run_has_a_limit(void **state) {
  (void)state;
  struct recorder recorder = {0};
  char *text = run("steps: [{set: many, to: \"map(&@, range)\"}]", &recorder);
  assert_non_null(strstr(text, "= failed"));
  free(text);
  /* 2^10 calls by nesting: the limit is 500 */
  struct buffer yaml = {0};
  buffer_add_text(&yaml, "steps: [");
  for (int i = 0; i < 10; i++) buffer_addf(&yaml, "{each: $list, as: v%d, do: [", i);
  buffer_add_text(&yaml, "{call: a.B}");
  for (int i = 0; i < 10; i++) buffer_add_text(&yaml, "]}");
  buffer_add_text(&yaml, "]");
  text = run(buffer_text(&yaml), &recorder);
  assert_non_null(strstr(text, "= failed"));
  assert_non_null(strstr(text, "run-500 "));
  assert_null(strstr(text, "run-501 "));
  free(text);
  buffer_free(&yaml);
}

#define TWO_WORKFLOWS                                                                                           \
  "workflows:\n"                                                                                                \
  "- workflow: tag\n  inputs: {what: {type: text}, how: {type: number, default: 7}}\n"                          \
  "  steps: [{set: x, to: \"$inputs.what\"}, {call: a.Tag, with: {W: \"${$x}\", H: \"${$inputs.how}\"}, undo: " \
  "[{call: a.Untag, with: {W: \"${$inputs.what}\"}}]}]\n"                                                       \
  "- workflow: all\n  inputs: {list: {type: list}}\n"                                                           \
  "  steps: [{each: $inputs.list, as: one, do: [{run: tag, with: {what: \"n${$one}\"}}]}]\n"

/* A workflow runs in its place, with what it is given; its names end with it. */
static void test_a_workflow_runs_inline(void **state) {
  (void)state;
  expect(
      "steps:\n- {set: x, to: \"'mine'\"}\n- {run: tag, with: {what: v, how: 1}}\n- {call: a.B, with: {X: "
      "\"${$x}\"}}\n" TWO_WORKFLOWS,
      (struct recorder){0},
      "a.Tag {\"H\":1,\"W\":\"v\"} run-1 {\"inputs\":{\"how\":1,\"what\":\"v\"},\"x\":\"v\"}\n"
      "effect a.Tag [{\"call\":\"a.Untag\",\"with\":{\"W\":\"v\"}}]\n"
      "a.B {\"X\":\"mine\"} run-2 {\"x\":\"mine\"}\neffect a.B -\n= done ");
  /* one that runs another, once an element; the default is there */
  expect("steps: [{run: all, with: {list: \"${$list}\"}}]\n" TWO_WORKFLOWS, (struct recorder){.fail_at = "none"},
         "a.Tag {\"H\":7,\"W\":\"n1\"} run-1 {\"inputs\":{\"how\":7,\"what\":\"n1\"},\"one\":1,\"x\":\"n1\"}\n"
         "effect a.Tag [{\"call\":\"a.Untag\",\"with\":{\"W\":\"n1\"}}]\n"
         "a.Tag {\"H\":7,\"W\":\"n2\"} run-2 {\"inputs\":{\"how\":7,\"what\":\"n2\"},\"one\":2,\"x\":\"n2\"}\n"
         "effect a.Tag [{\"call\":\"a.Untag\",\"with\":{\"W\":\"n2\"}}]\n= done ");
  /* a step that fails is known by its whole path */
  expect("steps: [{run: all, with: {list: \"${$list}\"}}]\n" TWO_WORKFLOWS, (struct recorder){.fail_at = "a.Tag"},
         "a.Tag {\"H\":7,\"W\":\"n1\"} run-1 {\"inputs\":{\"how\":7,\"what\":\"n1\"},\"one\":1,\"x\":\"n1\"}\n"
         "= failed /steps/0/run/steps/0/do/0/run/steps/1");
  /* what an expression gives is looked at when it is known */
  expect("steps: [{run: all, with: {list: \"${'text'}\"}}]\n" TWO_WORKFLOWS, (struct recorder){0}, "= failed /steps/0");
}

static void test_a_step_of_a_workflow_is_found_by_its_path(void **state) {
  (void)state;
  static const char yaml[] = "steps: [{run: all, with: {list: []}}]\n" TWO_WORKFLOWS;
  struct error error = {0};
  struct loader loader = {.file = "test", .refused = json_array(), .ran = json_array()};
  json_t *document = yaml_parse(yaml, strlen(yaml), "test", &loader.lines, &error), *operations = json_array();
  json_t *workflows = json_object_get(document, "workflows");
  struct library library[2] = {{.name = "tag", .file = "w", .document = json_array_get(workflows, 0)},
                               {.name = "all", .file = "w", .document = json_array_get(workflows, 1)}};
  size_t count;
  library[0].next = &library[1];
  loader.library = library;
  struct step *steps = load_steps(&loader, document, "steps", "", &count);
  const struct step *step = steps_find(steps, count, "/steps/0/run/steps/0/do/0/run/steps/1");
  assert_non_null(step);
  assert_string_equal(step->operation, "a.Tag");
  steps_operations(steps, count, 1, NULL, operations);
  assert_int_equal(json_array_size(operations), 2); /* policies hold what a workflow calls */
  assert_int_equal(json_array_size(loader.ran), 2);
  steps_free(steps, count);
  json_decref(operations);
  json_decref(loader.ran);
  json_decref(loader.refused);
  json_decref(document);
  yaml_lines_free(loader.lines);
}

/* The role of a step is its undo's, too, and is told with the inverse. */
static void test_role_and_retry(void **state) {
  (void)state;
  expect("steps: [{call: a.B, role: forensics, undo: [{call: a.U}, {call: a.V, role: other}]}]", (struct recorder){0},
         "a.B {} run-1 {}\neffect a.B [{\"call\":\"a.U\",\"role\":\"forensics\",\"with\":{}},"
         "{\"call\":\"a.V\",\"role\":\"other\",\"with\":{}}]\n= done ");
  static const char yaml[] =
      "steps: [{call: a.B, role: forensics, retry: {on: [NoSuchEntity], for: 2m}, undo: [{call: a.U}]}, {call: a.C}]";
  struct error error = {0};
  struct loader loader = {.file = "test", .refused = json_array()};
  json_t *document = yaml_parse(yaml, strlen(yaml), "test", &loader.lines, &error), *roles = json_array(),
         *mine = json_array(), *own = json_array();
  size_t count;
  struct step *steps = load_steps(&loader, document, "steps", "", &count);
  assert_int_equal(steps[0].retry_ms, 120000);
  steps_roles(steps, count, roles);
  assert_int_equal(json_array_size(roles), 1);
  steps_operations(steps, count, 1, "forensics", mine);
  steps_operations(steps, count, 1, "", own);
  assert_int_equal(json_array_size(mine), 2);
  assert_int_equal(json_array_size(own), 1);
  json_t *values[] = {roles, mine, own, loader.refused, document};
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) json_decref(values[i]);
  steps_free(steps, count);
  yaml_lines_free(loader.lines);
}
