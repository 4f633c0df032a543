#include "engine/offline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/live.h"
#include "engine/steps.h"

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
  static const char *const words[] = {"name",   "resource", "expect", "environment", "account",
                                      "region", "event",    "params", "organization"};
  const struct resource *resource = guardrail->resource;
  const char *key;
  json_t *value;
  struct live *live = calloc(1, sizeof *live);
  if (!live) return NULL;
  live->resource = resource;
  live->contexts = calloc(resource->context_count + 1, sizeof *live->contexts);
  live->item = json_incref(json_object_get(test, "resource"));
  live->id = live->item ? jmes_search(resource->id, live->item, NULL, NULL) : NULL;
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
                      json_t *finding, const json_t *test, char **why) {
  struct view view;
  struct error error = {0};
  json_t *event = json_object_get(test, "event"), *actor = event_actor(event);
  view_open(&view, guardrail, place, live, event, actor);
  view_add(&view, "finding", finding);
  json_t *plan = steps_plan(guardrail->remediate, guardrail->remediate_count, view_scope(&view), "test", &error);
  view_close(&view);
  json_decref(actor);
  if (!plan) {
    *why = explain("the steps fail at %s: %s", error.where, error.message);
    return 0;
  }
  int passed = compare_calls(plan, json_at(test, "expect", "calls", NULL), why);
  json_decref(plan);
  return passed;
}

static int check_finding(const struct guardrail *guardrail, const struct place *place, const struct live *live,
                         json_t *finding, const json_t *test, char **why) {
  const json_t *expect = json_object_get(test, "expect");
  int found = !json_is_empty(finding);
  const char *word = json_is_string(expect) ? json_string_value(expect) : "";
  if (strcmp(word, "nothing") == 0 || strcmp(word, "finding") == 0) {
    if (found == (strcmp(word, "finding") == 0)) return 1;
    char *text = json_text(finding);
    *why = explain("expected %s, but find gave %s", word, text);
    free(text);
    return 0;
  }
  if (!json_is_array(json_object_get(expect, "calls"))) {
    *why = explain("\"expect\" must be nothing, finding, or {calls: […]}%s%s", "", "");
    return -1;
  }
  if (found) return check_plan(guardrail, place, live, finding, test, why);
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
  json_t *actor = event_actor(json_object_get(test, "event"));
  json_t *finding = guardrail_judge(&changed, &place, live, json_object_get(test, "event"), actor, &error);
  int result = finding ? check_finding(&changed, &place, live, finding, test, why) : 0;
  if (!finding) *why = explain("find fails: %s%s", error.message, "");
  json_decref(finding);
  json_decref(actor);
  json_decref(changed.params);
  live_free(live);
  return result;
}
