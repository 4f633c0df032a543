/* A guardrail's file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/cron.h"
#include "check/names.h"
#include "engine/load_internal.h"
#include "site/breaker.h"

static const struct key guardrail_keys[] = {
    {"guardrail", KEY_TEXT, 1},  {"version", KEY_NUMBER, 1},
    {"title", KEY_TEXT, 1},      {"severity", KEY_TEXT, 1},
    {"why", KEY_TEXT, 1},        {"fix", KEY_TEXT, 1},
    {"resource", KEY_TEXT, 1},   {"use", KEY_ARRAY, 0},
    {"params", KEY_OBJECT, 0},   {"scope", KEY_OBJECT, 0},
    {"trigger", KEY_OBJECT, 1},  {"where", KEY_TEXT, 0},
    {"find", KEY_TEXT, 1},       {"mode", KEY_OBJECT, 1},
    {"breaker", KEY_OBJECT, 0},  {"remediate", KEY_ARRAY, 0},
    {"tests", KEY_ARRAY, 1},     {"remediate_when", KEY_TEXT, 0},
    {"baseline", KEY_OBJECT, 0}, {"settle", KEY_TEXT, 0},
    {"exempt", KEY_OBJECT, 0},   {0},
};
static const struct key scope_keys[] = {{"accounts", KEY_ARRAY, 0}, {"environments", KEY_ARRAY, 0},
                                        {"regions", KEY_ARRAY, 0},  {"units", KEY_ARRAY, 0},
                                        {"tags", KEY_ARRAY, 0},     {0}};
static const struct key trigger_keys[] = {{"events", KEY_ARRAY, 0}, {"schedule", KEY_TEXT, 0}, {0}};
static const struct key event_keys[] = {{"pattern", KEY_OBJECT, 1}, {"ids", KEY_TEXT, 1},     {"account", KEY_TEXT, 0},
                                        {"region", KEY_TEXT, 0},    {"creates", KEY_BOOL, 0}, {0}};
static const struct key baseline_keys[] = {
    {"of", KEY_TEXT, 1}, {"by", KEY_TEXT, 1}, {"accept", KEY_TEXT, 1}, {"changes", KEY_TEXT, 1}, {0}};

static const char *const mode_names[] = {[MODE_ASSESS] = "assess",
                                         [MODE_NOTIFY] = "notify",
                                         [MODE_APPROVE] = "approve",
                                         [MODE_REMEDIATE] = "remediate",
                                         NULL};
static const char *const severities[] = {"low", "medium", "high", "critical", NULL};

const char *mode_name(enum mode mode) { return mode_names[mode]; }

static int word_index(const char *const *words, const char *word) {
  for (int i = 0; words[i]; i++)
    if (strcmp(words[i], word) == 0) return i;
  return -1;
}

static void load_uses(struct loader *loader, const json_t *document, struct guardrail *guardrail) {
  const json_t *uses = json_object_get(document, "use");
  guardrail->uses = calloc(json_array_size(uses) + 1, sizeof *guardrail->uses);
  for (size_t i = 0; guardrail->uses && i < json_array_size(uses); i++) {
    const char *name = json_string_value(json_array_get(uses, i)), *known[64] = {0};
    const struct resource *resource = guardrail->resource;
    const struct context *found = NULL;
    for (size_t c = 0; name && c < resource->context_count; c++) {
      if (c < 63) known[c] = resource->contexts[c].name;
      if (strcmp(resource->contexts[c].name, name) == 0) found = &resource->contexts[c];
    }
    if (found)
      guardrail->uses[guardrail->use_count++] = found;
    else
      complain(loader, pointer_index("/use", i), "resource %s has no context \"%s\"%s", resource->name,
               name ? name : "?", nearest_word(name ? name : "", known));
  }
}

static void load_scope(struct loader *loader, const json_t *document, struct guardrail *guardrail) {
  const json_t *scope = json_object_get(document, "scope");
  if (!scope || check_keys(loader, scope, "/scope", scope_keys) > 0) return;
  struct {
    const char *key;
    json_t **to;
  } lists[] = {{"accounts", &guardrail->accounts},
               {"environments", &guardrail->environments},
               {"regions", &guardrail->regions},
               {"units", &guardrail->units},
               {"tags", &guardrail->tags}};
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
    json_t *list = json_object_get(scope, lists[i].key);
    check_texts(loader, scope, lists[i].key, "/scope");
    *lists[i].to = json_incref(list);
  }
}

static void load_event(struct loader *loader, const json_t *event, const char *pointer, struct event_trigger *trigger) {
  if (check_keys(loader, event, pointer, event_keys) > 0) return;
  trigger->pattern = json_written(json_object_get(event, "pattern"));
  trigger->ids = load_expression(loader, event, "ids", pointer);
  trigger->creates = json_is_true(json_object_get(event, "creates"));
  trigger->account = load_expression(loader, event, "account", pointer);
  trigger->region = load_expression(loader, event, "region", pointer);
  struct error error = {0};
  struct match_builder *builder = match_builder_open();
  if (!trigger->pattern || !builder || match_add(builder, 0, trigger->pattern, strlen(trigger->pattern), &error) != 0)
    complain(loader, pointer_key(pointer, "pattern"), "\"pattern\": %s", error.message);
  match_builder_free(builder);
}

static void load_trigger(struct loader *loader, const json_t *document, struct guardrail *guardrail) {
  const json_t *trigger = json_object_get(document, "trigger");
  if (check_keys(loader, trigger, "/trigger", trigger_keys) > 0) return;
  const json_t *events = json_object_get(trigger, "events");
  guardrail->schedule = load_text(trigger, "schedule");
  struct error error = {0};
  struct cron cron;
  if (guardrail->schedule && cron_parse(guardrail->schedule, &cron, &error) != 0)
    complain(loader, "/trigger/schedule", "\"schedule\": %s", error.message);
  if (json_array_size(events) == 0 && !guardrail->schedule)
    complain(loader, "/trigger", "a guardrail needs \"events\", a \"schedule\", or both");
  guardrail->triggers = calloc(json_array_size(events) + 1, sizeof *guardrail->triggers);
  if (!guardrail->triggers) return;
  guardrail->trigger_count = json_array_size(events);
  for (size_t i = 0; i < guardrail->trigger_count; i++)
    load_event(loader, json_array_get(events, i), pointer_index("/trigger/events", i), &guardrail->triggers[i]);
}

static void load_modes(struct loader *loader, const json_t *document, struct guardrail *guardrail) {
  const json_t *modes = json_object_get(document, "mode");
  const char *environment;
  json_t *value;
  guardrail->modes = calloc(json_object_size(modes) + 1, sizeof *guardrail->modes);
  if (!guardrail->modes) return;
  if (!json_object_get(modes, "default"))
    complain(loader, "/mode", "\"default\" is missing: what of an unknown environment?");
  json_object_foreach((json_t *)modes, environment, value) {
    int mode = word_index(mode_names, json_is_string(value) ? json_string_value(value) : "");
    if (mode < 0) {
      complain(loader, pointer_key("/mode", environment), "mode \"%s\" must be assess, notify, approve or remediate%s",
               environment, json_is_string(value) ? nearest_word(json_string_value(value), mode_names) : "");
    } else if (strcmp(environment, "default") == 0) {
      guardrail->default_mode = (enum mode)mode;
    } else {
      guardrail->modes[guardrail->mode_count].environment = strdup(environment);
      guardrail->modes[guardrail->mode_count++].mode = (enum mode)mode;
    }
  }
}

/* Grace after creation, until tags have arrived, say. */
static void load_settle(struct loader *loader, const json_t *document, struct guardrail *guardrail) {
  if (!json_object_get(document, "settle")) return;
  int told = guardrail->resource->created != NULL;
  for (size_t i = 0; i < guardrail->trigger_count; i++) told |= guardrail->triggers[i].creates;
  if (clock_parse_duration(json_text_at(document, "settle", NULL), &guardrail->settle_ms) != 0 ||
      guardrail->settle_ms < 1000 || guardrail->settle_ms > 86400000)
    complain(loader, "/settle", "\"settle\" must be a duration from 1s to 24h, as \"5m\"");
  else if (!told)
    complain(loader, "/settle",
             "\"settle\" needs to know when a resource was created: %s has no \"created\", and no event says "
             "\"creates: true\"",
             guardrail->resource->name);
}

static void load_baseline(struct loader *loader, const json_t *document, struct guardrail *guardrail) {
  const json_t *baseline = json_object_get(document, "baseline");
  if (!baseline || check_keys(loader, baseline, "/baseline", baseline_keys) > 0) return;
  struct baseline *made = guardrail->baseline = calloc(1, sizeof *made);
  if (!made) return;
  const char *of = json_text_at(baseline, "of", NULL);
  for (size_t i = 0; i < guardrail->use_count; i++)
    if (strcmp(guardrail->uses[i]->name, of) == 0) made->of = guardrail->uses[i];
  if (!made->of) complain(loader, "/baseline/of", "\"of\" must be a context under \"use\": \"%s\" is none", of);
  made->by = load_expression(loader, baseline, "by", "/baseline");
  made->accept = load_expression(loader, baseline, "accept", "/baseline");
  made->changes = load_expression(loader, baseline, "changes", "/baseline");
  if (guardrail->trigger_count == 0)
    complain(loader, "/baseline", "a baseline needs \"events\": only they tell who changed what");
  if (!guardrail->schedule) complain(loader, "/baseline", "a baseline needs a \"schedule\": sweeps keep it up to date");
}

static void check_values(struct loader *loader, const json_t *document) {
  const char *severity = json_text_at(document, "severity", NULL);
  if (word_index(severities, severity) < 0)
    complain(loader, "/severity", "\"severity\" must be low, medium, high or critical%s",
             nearest_word(severity, severities));
  if (!json_is_integer(json_object_get(document, "version")) ||
      json_integer_value(json_object_get(document, "version")) < 1)
    complain(loader, "/version", "\"version\" must be a whole number from 1");
  const char *name = json_text_at(document, "guardrail", NULL);
  if (!*name || strlen(name) > 64 || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(name))
    complain(loader, "/guardrail", "a name has 1 to 64 of a-z, 0-9 and -");
}

/* Does anything but the baseline (which notes an event before it can be parked) read $event? */
static int reads_event(const json_t *document) {
  json_t *rest = json_copy((json_t *)document);
  json_object_del(rest, "baseline");
  char *text = json_text(rest);
  int reads = text && strstr(text, "$event") != NULL;
  free(text);
  json_decref(rest);
  return reads;
}

/* Its own steps, and those of the workflows that it runs. */
static json_t *steps_as_written(const json_t *documents) {
  json_t *steps = json_copy(json_object_get(json_array_get(documents, 0), "remediate"));
  for (size_t i = 1; i < json_array_size(documents); i++)
    json_array_extend(steps, json_object_get(json_array_get(documents, i), "steps"));
  return steps;
}

static void load_parts(struct loader *loader, json_t *document, struct guardrail *guardrail) {
  guardrail->name = load_text(document, "guardrail");
  guardrail->title = load_text(document, "title");
  guardrail->severity = load_text(document, "severity");
  guardrail->why = load_text(document, "why");
  guardrail->fix = load_text(document, "fix");
  guardrail->file = strdup(loader->file);
  guardrail->version = json_integer_value(json_object_get(document, "version"));
  guardrail->params =
      json_object_get(document, "params") ? json_incref(json_object_get(document, "params")) : json_object();
  guardrail->tests = json_incref(json_object_get(document, "tests"));
  guardrail->where = load_expression(loader, document, "where", "");
  guardrail->find = load_expression(loader, document, "find", "");
  guardrail->remediate_when = load_expression(loader, document, "remediate_when", "");
  guardrail->remediate_when_text = load_text(document, "remediate_when");
  loader->ran = json_pack("[O]", document); /* what its steps are made of: a change of any of it is another guardrail */
  guardrail->remediate = load_steps(loader, document, "remediate", "", &guardrail->remediate_count);
  guardrail->steps_as_written = steps_as_written(loader->ran);
  json_hash(json_array_size(loader->ran) > 1 ? loader->ran : document, guardrail->hash);
  json_decref(loader->ran);
  loader->ran = NULL;
  guardrail->reads_event = reads_event(document);
  check_values(loader, document);
  load_uses(loader, document, guardrail);
  load_scope(loader, document, guardrail);
  load_trigger(loader, document, guardrail);
  load_modes(loader, document, guardrail);
  site_breaker_load(loader, document, guardrail);
  site_exempt_load(loader, document, guardrail);
  load_baseline(loader, document, guardrail);
  load_settle(loader, document, guardrail);
}

/* A step and its undo stay in one session policy where they fit. */
static void make_policies(struct loader *loader, struct guardrail *guardrail) {
  struct error error = {0};
  json_t *groups = json_array();
  for (size_t i = 0; i < guardrail->remediate_count; i++) {
    json_t *operations = json_array();
    steps_operations(&guardrail->remediate[i], 1, 1, NULL, operations);
    json_array_append_new(groups, operations);
  }
  guardrail->write_policies = guardrail->remediate_count > 0 ? aws_policies_make(groups, &error) : NULL;
  if (guardrail->remediate_count > 0 && !guardrail->write_policies) complain(loader, "/remediate", "%s", error.message);
  json_decref(groups);
}

static const char *nearest_resource(const char *name, const struct bundle *bundle) {
  const char **names = calloc(bundle->resource_count + 1, sizeof *names);
  for (size_t i = 0; names && i < bundle->resource_count; i++) names[i] = bundle->resources[i]->name;
  const char *nearest = names ? nearest_word(name, names) : "";
  free(names);
  return nearest;
}

struct guardrail *load_guardrail(struct loader *loader, json_t *document, const struct bundle *bundle) {
  if (check_keys(loader, document, "", guardrail_keys) > 0) return NULL;
  const struct resource *resource = bundle_resource(bundle, json_text_at(document, "resource", NULL));
  if (!resource) {
    complain(loader, "/resource", "no resource \"%s\" is described in resources/%s",
             json_text_at(document, "resource", NULL),
             nearest_resource(json_text_at(document, "resource", NULL), bundle));
    return NULL;
  }
  struct guardrail *guardrail = calloc(1, sizeof *guardrail);
  if (!guardrail) return NULL;
  guardrail->resource = resource;
  load_parts(loader, document, guardrail);
  if (loader->complaints == 0) check_guardrail(loader, guardrail, document);
  make_policies(loader, guardrail);
  if (loader->complaints == 0) return guardrail;
  guardrail_free(guardrail);
  return NULL;
}

void guardrail_free(struct guardrail *guardrail) {
  if (!guardrail) return;
  char *texts[] = {guardrail->name, guardrail->title, guardrail->severity, guardrail->why,
                   guardrail->fix,  guardrail->file,  guardrail->schedule};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) free(texts[i]);
  aws_policies_free(guardrail->write_policies);
  json_t *values[] = {guardrail->params,      guardrail->accounts, guardrail->environments, guardrail->regions,
                      guardrail->units,       guardrail->tests,    guardrail->overrides,    guardrail->steps_as_written,
                      guardrail->exempt_tags, guardrail->tags};
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) json_decref(values[i]);
  free(guardrail->uses);
  for (size_t i = 0; i < guardrail->trigger_count; i++) {
    free(guardrail->triggers[i].pattern);
    jmes_free(guardrail->triggers[i].ids);
    jmes_free(guardrail->triggers[i].account);
    jmes_free(guardrail->triggers[i].region);
  }
  free(guardrail->triggers);
  for (size_t i = 0; i < guardrail->mode_count; i++) free(guardrail->modes[i].environment);
  free(guardrail->modes);
  if (guardrail->baseline) {
    jmes_free(guardrail->baseline->by);
    jmes_free(guardrail->baseline->accept);
    jmes_free(guardrail->baseline->changes);
    free(guardrail->baseline);
  }
  jmes_free(guardrail->where);
  jmes_free(guardrail->find);
  jmes_free(guardrail->remediate_when);
  free(guardrail->remediate_when_text);
  steps_free(guardrail->remediate, guardrail->remediate_count);
  free(guardrail);
}
