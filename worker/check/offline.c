#include "check/offline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baselines/baseline.h"
#include "engine/live.h"
#include "engine/steps.h"
#include "site/actor.h"
#include "site/breaker.h"

static char *explain(const char *format, const char *one, const char *two) {
  char *text = NULL;
  return asprintf(&text, format, one, two) < 0 ? NULL : text;
}

static const char *text_or(const json_t *test, const char *key, const char *otherwise) {
  const char *text = json_text_at(test, key, NULL);
  return *text ? text : otherwise;
}

/* A resource as the test describes it; NULL when a key of the test is unknown. */
static struct live *described(const struct guardrail *guardrail, const struct place *place, const json_t *test,
                              char **why) {
  static const char *const words[] = {"name",  "resource", "expect",   "environment", "account",     "region",
                                      "event", "params",   "baseline", "parent",      "organization"};
  const struct resource *resource = guardrail->resource;
  const char *key;
  json_t *value;
  struct live *live = calloc(1, sizeof *live);
  if (!live) return NULL;
  live->resource = resource;
  live->contexts = calloc(resource->context_count + 1, sizeof *live->contexts);
  live->item = json_incref(json_object_get(test, "resource"));
  live->id = live->item ? jmes_search(resource->id, live->item, NULL, NULL) : NULL;
  live->parent = json_incref(json_object_get(test, "parent"));
  if (resource->parent && json_is_string(live->id)) {
    json_t *parent = jmes_search(resource->parent->id, live->parent, NULL, NULL), *own = live->id;
    live->id = json_sprintf("%s/%s", json_is_string(parent) ? json_string_value(parent) : "", json_string_value(own));
    json_decref(parent);
    json_decref(own);
  }
  live->arn = json_is_string(live->id) ? live_arn(resource, place, json_string_value(live->id)) : NULL;
  for (size_t i = 0; live->contexts && i < resource->context_count; i++) live->contexts[i] = json_array();
  json_object_foreach((json_t *)test, key, value) {
    int known = 0;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) known |= strcmp(words[i], key) == 0;
    for (size_t i = 0; live->contexts && i < resource->context_count; i++) {
      if (strcmp(resource->contexts[i].name, key) != 0) continue;
      json_decref(live->contexts[i]);
      live->contexts[i] = json_incref(value);
      known = 1;
    }
    if (!known && !*why) *why = explain("\"%s\" is neither a word of tests nor a context of %s", key, resource->name);
  }
  if (!live->arn && !*why) *why = explain("\"resource\" has no id (%s)%s", resource->name, "");
  if (!*why) return live;
  live_free(live);
  return NULL;
}

/* Is `wanted` contained in `value`?  Mappings by key, lists by position, everything else equal. */
static int contains(const json_t *value, const json_t *wanted) {
  const char *key;
  json_t *member;
  if (json_is_object(wanted)) {
    json_object_foreach((json_t *)wanted, key, member) if (!json_object_get(value, key) ||
                                                           !contains(json_object_get(value, key), member)) return 0;
    return json_is_object(value);
  }
  if (json_is_array(wanted)) {
    if (!json_is_array(value) || json_array_size(value) != json_array_size(wanted)) return 0;
    for (size_t i = 0; i < json_array_size(wanted); i++)
      if (!contains(json_array_get(value, i), json_array_get(wanted, i))) return 0;
    return 1;
  }
  return json_same(value, wanted);
}

static int compare_calls(const json_t *plan, const json_t *wanted, char **why) {
  size_t count = json_array_size(wanted) > json_array_size(plan) ? json_array_size(wanted) : json_array_size(plan);
  for (size_t i = 0; i < count; i++) {
    json_t *made = json_array_get(plan, i), *want = json_array_get(wanted, i);
    if (made && want && contains(made, want)) continue;
    char *made_text = made ? json_text(made) : strdup("no call"),
         *want_text = want ? json_text(want) : strdup("no further call");
    *why = explain("expected %s\n         but got  %s", want_text, made_text);
    free(made_text);
    free(want_text);
    return 0;
  }
  return 1;
}

static int check_plan(const struct guardrail *guardrail, const struct place *place, const struct live *live,
                      const struct occasion *occasion, json_t *finding, const json_t *test, char **why) {
  struct view view;
  struct error error = {0};
  view_open(&view, guardrail, place, live, occasion);
  view_add(&view, "finding", finding);
  int may = guardrail_may_remediate(guardrail, place, live, finding, occasion, &error);
  json_t *plan = may < 0 ? NULL
                 : may == 0
                     ? json_array()
                     : steps_plan(guardrail->remediate, guardrail->remediate_count, view_scope(&view), "test", &error);
  view_close(&view);
  if (!plan) {
    *why = explain("the steps fail at %s: %s", error.where, error.message);
    return 0;
  }
  int passed = compare_calls(plan, json_at(test, "expect", "calls", NULL), why);
  json_decref(plan);
  return passed;
}

static int check_finding(const struct guardrail *guardrail, const struct place *place, const struct live *live,
                         const struct occasion *occasion, json_t *finding, const json_t *test, char **why) {
  const json_t *expect = json_object_get(test, "expect");
  int found = !json_is_empty(finding);
  const char *word = json_is_string(expect) ? json_string_value(expect) : "";
  char tag[400] = "";
  int exempt = found && site_exempts(guardrail, live->item, tag, sizeof tag);
  if (strcmp(word, "exempt") == 0 && exempt) return 1;
  if (strcmp(word, "exempt") == 0 || exempt) {
    *why = explain(exempt ? "it is exempt by its tag %s%s" : "expected a finding that a tag exempts%s%s", tag, "");
    return 0;
  }
  if (strcmp(word, "nothing") == 0 || strcmp(word, "finding") == 0) {
    if (found == (strcmp(word, "finding") == 0)) return 1;
    char *text = json_text(finding);
    *why = explain("expected %s, but find gave %s", word, text);
    free(text);
    return 0;
  }
  if (!json_is_array(json_object_get(expect, "calls"))) {
    *why = explain("\"expect\" must be nothing, finding, exempt, or {calls: […]}%s%s", "", "");
    return -1;
  }
  if (found) return check_plan(guardrail, place, live, occasion, finding, test, why);
  *why = explain("expected calls, but find gave nothing%s%s", "", "");
  return 0;
}

/* The guardrail with the test's parameters in place of its own. */
static struct guardrail with_params(const struct guardrail *guardrail, const json_t *test) {
  struct guardrail changed = *guardrail;
  changed.params = json_copy(guardrail->params);
  changed.overrides = NULL; /* a playbook's tests are about the playbook */
  json_object_update(changed.params, json_object_get(test, "params"));
  return changed;
}

/* `event` and `baseline` of the test, and what the guardrail would have on record after that event. */
static struct occasion occasion_of(const struct guardrail *guardrail, const struct place *place,
                                   const struct live *live, const json_t *test, struct error *error) {
  struct occasion occasion = {.event = json_object_get(test, "event"),
                              .actor = event_actor(json_object_get(test, "event")),
                              .baseline = json_object_get(test, "baseline")};
  const char *id = json_string_value(live->id);
  if (!guardrail->baseline || !occasion.event) return occasion;
  int accepted = baseline_accepts(guardrail, place, id, &occasion, error);
  occasion.changes = accepted ? json_array() : baseline_read_event(guardrail, place, id, NULL, &occasion, error);
  return occasion;
}

int offline_test(const struct guardrail *guardrail, size_t index, char **why) {
  const json_t *test = json_array_get(guardrail->tests, index);
  struct place place = {.account = text_or(test, "account", "111111111111"),
                        .region = text_or(test, "region", "eu-west-1"),
                        .environment = text_or(test, "environment", "prod"),
                        .unit = "workloads",
                        .partition = "aws",
                        .organization = json_object_get(test, "organization")};
  struct error error = {0};
  *why = NULL;
  struct live *live = described(guardrail, &place, test, why);
  if (!live) return -1;
  struct guardrail changed = with_params(guardrail, test);
  struct occasion occasion = occasion_of(&changed, &place, live, test, &error);
  json_t *finding = error.class == ERROR_NONE ? guardrail_judge(&changed, &place, live, &occasion, &error) : NULL;
  int result = finding ? check_finding(&changed, &place, live, &occasion, finding, test, why) : 0;
  if (!finding) *why = explain("judging fails: %s%s", error.message, "");
  json_decref(finding);
  json_decref(occasion.actor);
  json_decref(occasion.changes);
  json_decref(changed.params);
  live_free(live);
  return result;
}

/* What a workflow may read besides its inputs. */
static void workflow_view(struct view *view, json_t *const values[6]) {
  static const char *const names[] = {"account", "region", "environment", "unit", "partition", "now"};
  memset(view, 0, sizeof *view);
  for (size_t i = 0; i < 6; i++) view_add(view, names[i], values[i]);
  view_add(view, "event", NULL);
  view_add(view, "actor", NULL);
}

int offline_test_workflow(const struct workflow *workflow, size_t index, char **why) {
  const json_t *test = json_array_get(workflow->tests, index), *expect = json_object_get(test, "expect");
  struct error error = {0};
  struct view view;
  json_t *values[] = {json_string("111111111111"), json_string("eu-west-1"), json_string("prod"),
                      json_string("workloads"),    json_string("aws"),       json_string("2026-01-01T00:00:00Z")};
  char path[] = "/tests"; /* as a step that gives it what the test does */
  json_t *with = json_object_get(test, "with");
  struct step step = {.kind = STEP_RUN,
                      .path = path,
                      .workflow = workflow->name,
                      .inputs = workflow->inputs,
                      .with = with ? template_compile(with, engine_functions, &error) : NULL,
                      .body = workflow->steps,
                      .body_count = workflow->step_count};
  *why = NULL;
  workflow_view(&view, values);
  json_t *plan = steps_plan(&step, 1, view_scope(&view), "test", &error);
  int result = 0;
  if (!plan)
    *why = explain("the steps fail at %s: %s", error.where, error.message);
  else if (json_is_string(expect) && strcmp(json_string_value(expect), "nothing") == 0)
    result = compare_calls(plan, NULL, why);
  else
    result = compare_calls(plan, json_object_get(expect, "calls"), why);
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) json_decref(values[i]);
  json_decref(plan);
  template_free(step.with);
  return result;
}
