/* Workflows: steps with inputs, written once and run by guardrails and other workflows.  A `run` step gets a copy of
 * the workflow's steps, whose paths begin with its own ("/remediate/0/run/steps/1"): journal, policies and undo find
 * them as they find every other step. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check/names.h"
#include "engine/load_internal.h"

static const struct key workflow_keys[] = {
    {"workflow", KEY_TEXT, 1},
    {"version", KEY_NUMBER, 1},
    {"title", KEY_TEXT, 1},
    {"inputs", KEY_OBJECT, 0},
    {"steps", KEY_ARRAY, 1},
    {"tests", KEY_ARRAY, 1},
    {0},
};
static const struct key input_keys[] = {{"type", KEY_TEXT, 1}, {"default", KEY_ANY, 0}, {"title", KEY_TEXT, 0}, {0}};

static const struct {
  const char *name;
  int types[2]; /* jansson's */
} input_types[] = {{"text", {JSON_STRING, JSON_STRING}},
                   {"number", {JSON_INTEGER, JSON_REAL}},
                   {"list", {JSON_ARRAY, JSON_ARRAY}},
                   {"mapping", {JSON_OBJECT, JSON_OBJECT}},
                   {"boolean", {JSON_TRUE, JSON_FALSE}}};
enum { INPUT_TYPES = sizeof input_types / sizeof *input_types };

int input_fits(const json_t *declared, const json_t *value) {
  const char *type = json_text_at(declared, "type", NULL);
  for (size_t i = 0; i < INPUT_TYPES; i++)
    if (strcmp(input_types[i].name, type) == 0)
      return (int)json_typeof(value) == input_types[i].types[0] || (int)json_typeof(value) == input_types[i].types[1];
  return 0;
}

static void load_inputs(struct loader *loader, const json_t *inputs) {
  const char *name, *words[INPUT_TYPES + 1] = {0};
  json_t *declared;
  for (size_t i = 0; i < INPUT_TYPES; i++) words[i] = input_types[i].name;
  json_object_foreach((json_t *)inputs, name, declared) {
    char pointer[256];
    snprintf(pointer, sizeof pointer, "/inputs/%.200s", name);
    if (check_keys(loader, declared, pointer, input_keys) > 0) continue;
    const char *type = json_text_at(declared, "type", NULL);
    const json_t *value = json_object_get(declared, "default");
    int known = 0;
    for (size_t i = 0; i < INPUT_TYPES; i++) known |= strcmp(words[i], type) == 0;
    if (!known)
      complain(loader, pointer_key(pointer, "type"), "\"type\" must be text, number, list, mapping or boolean%s",
               nearest_word(type, words));
    else if (value && !input_fits(declared, value))
      complain(loader, pointer_key(pointer, "default"), "the default of \"%s\" is no %s", name, type);
  }
}

/* A workflow that nothing has shown to do something is not believed. */
static void check_tests(struct loader *loader, const json_t *tests) {
  int calls = 0;
  for (size_t i = 0; i < json_array_size(tests); i++) {
    const json_t *test = json_array_get(tests, i), *expect = json_object_get(test, "expect");
    if (!json_is_string(json_object_get(test, "name")) || !expect)
      complain(loader, pointer_index("/tests", i), "a workflow's test needs \"name\", \"with\" and \"expect\"");
    calls += json_array_size(json_object_get(expect, "calls")) > 0;
  }
  if (calls == 0) complain(loader, "/tests", "no test expects calls: does the workflow do anything?");
}

struct workflow *load_workflow(struct loader *loader, json_t *document) {
  if (check_keys(loader, document, "", workflow_keys) > 0) return NULL;
  struct workflow *workflow = calloc(1, sizeof *workflow);
  if (!workflow) return NULL;
  workflow->name = load_text(document, "workflow");
  workflow->title = load_text(document, "title");
  workflow->file = strdup(loader->file);
  workflow->version = json_integer_value(json_object_get(document, "version"));
  workflow->inputs = json_incref(json_object_get(document, "inputs"));
  workflow->tests = json_incref(json_object_get(document, "tests"));
  json_hash(document, workflow->hash);
  const struct running frame = {workflow->name, NULL};
  loader->running = &frame;
  if (!*workflow->name || strspn(workflow->name, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(workflow->name) ||
      strlen(workflow->name) > 64)
    complain(loader, "/workflow", "a name has 1 to 64 of a-z, 0-9 and -");
  load_inputs(loader, workflow->inputs);
  workflow->steps = load_steps(loader, document, "steps", "", &workflow->step_count);
  check_tests(loader, workflow->tests);
  if (loader->complaints == 0) check_workflow(loader, workflow, document);
  loader->running = NULL;
  if (loader->complaints == 0) return workflow;
  workflow_free(workflow);
  return NULL;
}

void workflow_free(struct workflow *workflow) {
  if (!workflow) return;
  free(workflow->name);
  free(workflow->title);
  free(workflow->file);
  json_decref(workflow->inputs);
  json_decref(workflow->tests);
  steps_free(workflow->steps, workflow->step_count);
  free(workflow);
}

/* ---- running one ---- */
static const struct library *find(const struct library *library, const char *name) {
  while (library && strcmp(library->name, name) != 0) library = library->next;
  return library;
}

/* "a → b → a", where it comes back to a workflow that is running. 1: it does. */
static int is_circle(const struct running *running, const char *name, char *circle, size_t size) {
  const struct running *frame = running;
  while (frame && strcmp(frame->name, name) != 0) frame = frame->outer;
  if (!frame) return 0;
  snprintf(circle, size, "%s", name);
  for (frame = running;; frame = frame->outer) {
    char longer[300];
    snprintf(longer, sizeof longer, "%s → %s", frame->name, circle);
    snprintf(circle, size, "%s", longer);
    if (strcmp(frame->name, name) == 0) return 1;
  }
}

static void check_inputs(struct loader *loader, const json_t *inputs, const json_t *with, const char *pointer) {
  const char *name, *text;
  json_t *declared, *value;
  json_object_foreach((json_t *)with, name, value) {
    declared = json_object_get(inputs, name);
    text = json_string_value(value);
    if (!declared)
      complain(loader, pointer_key(pointer, "with"), "the workflow has no input \"%s\"%s", name,
               nearest_key(name, inputs));
    else if (!(text && strstr(text, "${")) && !input_fits(declared, value))
      complain(loader, pointer_key(pointer, "with"), "the input \"%s\" must be a %s", name,
               json_text_at(declared, "type", NULL));
  }
  json_object_foreach((json_t *)inputs, name,
                      declared) if (!json_object_get(declared, "default") && !json_object_get(with, name))
      complain(loader, pointer, "the workflow's input \"%s\" is missing under \"with\"", name);
}

static const char *nearest_workflow(const char *name, const struct library *library) {
  const char *names[64] = {0};
  for (size_t i = 0; library && i < 63; library = library->next) names[i++] = library->name;
  return nearest_word(name, names);
}

void load_run(struct loader *loader, const json_t *object, const char *pointer, struct step *step) {
  const char *name = json_text_at(object, "run", NULL);
  const struct library *found = find(loader->library, name);
  char circle[300], below[512];
  snprintf(below, sizeof below, "%s/run", pointer);
  if (!found) {
    complain(loader, below, "there is no workflow \"%s\"%s", name, nearest_workflow(name, loader->library));
    return;
  }
  if (is_circle(loader->running, name, circle, sizeof circle)) {
    complain(loader, below, "workflows run each other in a circle: %s", circle);
    return;
  }
  step->workflow = strdup(name);
  step->inputs = json_incref(json_object_get(found->document, "inputs"));
  check_inputs(loader, step->inputs, json_object_get(object, "with"), pointer);
  const struct running frame = {name, loader->running};
  struct loader inner = {.file = found->file,
                         .lines = found->lines,
                         .refused = json_array(),
                         .library = loader->library,
                         .running = &frame,
                         .ran = loader->ran};
  step->body = load_steps(&inner, found->document, "steps", below, &step->body_count);
  if (inner.complaints > 0) { /* it is told with its own line where the workflow itself is loaded */
    const char *reason = json_string_value(json_array_get(inner.refused, 0)), *text = strstr(reason, ": ");
    complain(loader, below, "workflow \"%s\" (%s) cannot be run: %s", name, found->file, text ? text + 2 : reason);
  }
  if (loader->ran) json_array_append(loader->ran, found->document);
  json_decref(inner.refused);
}
