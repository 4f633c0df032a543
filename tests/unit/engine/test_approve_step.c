/* The step `approve`: in a plan it asks, in a run it does nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/load_internal.h"
#include "engine/steps.h"

#include <cmocka.h>

static struct step *load(const char *yaml, struct loader *loader, size_t *count) {
  json_t *document = yaml_parse(yaml, strlen(yaml), "test", &loader->lines, NULL);
  assert_non_null(document);
  struct step *steps = load_steps(loader, document, "steps", "", count);
  json_decref(document);
  return steps;
}

static void test_a_plan_tells_where_somebody_must_agree(void **state) {
  (void)state;
  static const struct {
    const char *prod, *plan;
  } rows[] = {
      {"true", "[{\"approve\":\"of x\"},{\"call\":\"ec2.DeleteVolume\",\"with\":{\"VolumeId\":\"x\"}}]"},
      {"false", "[{\"call\":\"ec2.DeleteVolume\",\"with\":{\"VolumeId\":\"x\"}}]"}, /* not reached: nobody is asked */
  };
  struct loader loader = {.file = "test", .refused = json_array()};
  size_t count;
  struct step *steps = load(
      "steps:\n"
      "  - approve: {message: \"of ${$id}\"}\n    when: $prod\n"
      "  - call: ec2.DeleteVolume\n    with: {VolumeId: \"${$id}\"}\n",
      &loader, &count);
  assert_int_equal(loader.complaints, 0);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct error error = {0};
    json_t *id = json_string("x"), *prod = json_loads(rows[i].prod, JSON_DECODE_ANY, NULL);
    struct jmes_scope first = {.name = "id", .value = id}, scope = {.name = "prod", .value = prod, .outer = &first};
    json_t *plan = steps_plan(steps, count, &scope, "run", &error);
    char *text = json_text(plan);
    assert_string_equal(text, rows[i].plan);
    free(text);
    json_decref(plan);
    json_decref(id);
    json_decref(prod);
  }
  steps_free(steps, count);
  yaml_lines_free(loader.lines);
  json_decref(loader.refused);
}

static void test_an_approve_without_words_is_refused(void **state) {
  (void)state;
  static const char *const rows[] = {
      "steps: [{approve: yes please}]\n",             /* no mapping */
      "steps: [{approve: {}}]\n",                     /* what is asked? */
      "steps: [{approve: {message: a, who: ann}}]\n", /* nobody reads that */
      "steps: [{approve: {message: a}, do: []}]\n",
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct loader loader = {.file = "test", .refused = json_array()};
    size_t count;
    struct step *steps = load(rows[i], &loader, &count);
    if (loader.complaints == 0) fail_msg("row %zu was accepted", i);
    steps_free(steps, count);
    yaml_lines_free(loader.lines);
    json_decref(loader.refused);
  }
}
