/* parapet playbooks explain NAME: what a guardrail watches, reads, may change, and what holds it back; all of it read
 * off the loaded playbook, so that it says what the workers do. */
#include <stdlib.h>
#include <string.h>

#include "authoring.h"
#include "engine/load_internal.h"

static json_t *list_or_everything(json_t *list) { return list ? json_incref(list) : json_string("everything"); }

/* What events: source → event names, as far as the patterns name them. */
static json_t *events_of(const struct guardrail *guardrail) {
  json_t *events = json_array();
  for (size_t i = 0; i < guardrail->trigger_count; i++) {
    const char *text = guardrail->triggers[i].pattern;
    struct error error = {0};
    json_t *pattern = json_parse(text, strlen(text), &error);
    json_t *names = json_at(pattern, "detail", "eventName", NULL);
    json_array_append_new(events, json_pack("{s:O?, s:O?, s:o}", "source", json_object_get(pattern, "source"), "events",
                                            names, "pattern", pattern ? json_incref(pattern) : json_null()));
    json_decref(pattern);
  }
  return events;
}

static json_t *reads_of(const struct guardrail *guardrail) {
  json_t *reads = json_array();
  const struct resource *resource = guardrail->resource;
  if (resource->parent)
    json_array_append_new(reads, json_pack("{s:s, s:s}", "what", "parents, one list each", "operation",
                                           resource->parent->list.operation));
  json_array_append_new(reads, json_pack("{s:s, s:s}", "what", "list", "operation", resource->list.operation));
  json_array_append_new(reads, json_pack("{s:s, s:s}", "what", "get", "operation", resource->get.operation));
  for (size_t i = 0; i < guardrail->use_count; i++)
    json_array_append_new(reads, json_pack("{s:s, s:s}", "what", guardrail->uses[i]->name, "operation",
                                           guardrail->uses[i]->read.operation));
  return reads;
}

/* {operation: [what undoes it]} in the order of the steps. */
static void add_changes(json_t *changes, const struct step *steps, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (steps[i].operation) {
      json_t *undo = json_object_get(changes, steps[i].operation);
      if (!undo) json_object_set_new(changes, steps[i].operation, undo = json_array());
      steps_operations(steps[i].undo, steps[i].undo_count, 1, NULL, undo);
    }
    add_changes(changes, steps[i].body, steps[i].body_count);
  }
}

static json_t *changes_of(const struct guardrail *guardrail) {
  json_t *changes = json_object();
  add_changes(changes, guardrail->remediate, guardrail->remediate_count);
  return changes;
}

static void add_workflows(json_t *names, const struct step *steps, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (steps[i].workflow) json_array_append_new(names, json_string(steps[i].workflow));
    add_workflows(names, steps[i].body, steps[i].body_count);
  }
}

/* Words that most guardrails do without; those that this one has none of are left out. */
static void add_rare(json_t *all, const struct guardrail *guardrail) {
  json_t *roles = json_array(), *workflows = json_array();
  steps_roles(guardrail->remediate, guardrail->remediate_count, roles);
  add_workflows(workflows, guardrail->remediate, guardrail->remediate_count);
  if (json_array_size(roles) > 0) json_object_set(all, "roles", roles);
  if (json_array_size(workflows) > 0) json_object_set(all, "runs", workflows);
  if (guardrail->settle_ms) json_object_set_new(all, "settle_seconds", json_integer(guardrail->settle_ms / 1000));
  if (guardrail->baseline) json_object_set_new(all, "remembers", json_string(guardrail->baseline->of->name));
  json_decref(roles);
  json_decref(workflows);
}

static json_t *gates_of(const struct guardrail *guardrail) {
  json_t *modes = json_object(), *breaker = json_null();
  for (size_t i = 0; i < guardrail->mode_count; i++)
    json_object_set_new(modes, guardrail->modes[i].environment, json_string(mode_name(guardrail->modes[i].mode)));
  json_object_set_new(modes, "default", json_string(mode_name(guardrail->default_mode)));
  const struct guardrail_breaker *limit = &guardrail->breaker;
  if (limit->actions > 0)
    breaker = json_pack("{s:I, s:I, s:f, s:I, s:I, s:I}", "actions", (json_int_t)limit->actions, "within_seconds",
                        (json_int_t)(limit->window_ms / 1000), "share_percent", (double)limit->share / 100, "at_least",
                        (json_int_t)limit->least, "failures", (json_int_t)limit->failures, "failures_of",
                        (json_int_t)limit->failures_of);
  return json_pack("{s:o, s:s?, s:o, s:O?, s:{s:o, s:o, s:o, s:o, s:o}}", "mode", modes, "remediate_when",
                   guardrail->remediate_when_text, "breaker", breaker, "exempt_tags", guardrail->exempt_tags, "scope",
                   "accounts", list_or_everything(guardrail->accounts), "environments",
                   list_or_everything(guardrail->environments), "units", list_or_everything(guardrail->units),
                   "regions", list_or_everything(guardrail->regions), "tags", list_or_everything(guardrail->tags));
}

json_t *explain_guardrail(const struct guardrail *guardrail) {
  json_t *all =
      json_pack("{s:s, s:I, s:s, s:s, s:s, s:s, s:s, s:s}", "guardrail", guardrail->name, "version",
                (json_int_t)guardrail->version, "title", guardrail->title, "severity", guardrail->severity, "why",
                guardrail->why, "fix", guardrail->fix, "resource", guardrail->resource->name, "file", guardrail->file);
  const struct {
    const char *key;
    json_t *value;
  } parts[] = {
      {"params", json_incref(guardrail->params)},
      {"overrides", guardrail->overrides ? json_incref(guardrail->overrides) : json_null()},
      {"events", events_of(guardrail)},
      {"schedule", guardrail->schedule ? json_string(guardrail->schedule) : json_null()},
      {"reads", reads_of(guardrail)},
      {"changes", changes_of(guardrail)},
      {"gates", gates_of(guardrail)},
      {"tests", json_integer((json_int_t)json_array_size(guardrail->tests))},
  };
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) json_object_set_new(all, parts[i].key, parts[i].value);
  add_rare(all, guardrail);
  return all;
}

/* ---- on a terminal ---- */
static void print_line(const char *label, const char *text) { printf("%-10s %s\n", label, text); }

static void print_value(const char *label, const json_t *value) {
  char *text = json_is_string(value) ? strdup(json_string_value(value)) : json_written(value);
  print_line(label, text ? text : "-");
  free(text);
}

char *explain_joined(const json_t *list) {
  struct buffer text = {0};
  size_t index;
  json_t *entry;
  json_array_foreach(list, index, entry) {
    if (index > 0) buffer_add_text(&text, ", ");
    if (json_is_string(entry)) buffer_add_text(&text, json_string_value(entry));
  }
  return buffer_take(&text);
}

static void print_watches(const json_t *all) {
  size_t index;
  json_t *event;
  json_array_foreach(json_object_get(all, "events"), index, event) {
    char *names = explain_joined(json_object_get(event, "events"));
    char *source = explain_joined(json_object_get(event, "source"));
    printf("%-10s %s: %s\n", index == 0 ? "watches" : "", source && *source ? source : "events",
           names && *names ? names : "by their pattern (--output json shows it)");
    free(names);
    free(source);
  }
  if (json_is_string(json_object_get(all, "schedule")))
    print_line(index == 0 ? "watches" : "", json_text_at(all, "schedule", NULL));
}

static void print_changes(const json_t *all) {
  const json_t *changes = json_object_get(all, "changes");
  const char *operation, *label = "changes";
  json_t *undo;
  if (json_object_size(changes) == 0) print_line(label, "nothing: it finds and tells");
  json_object_foreach((json_t *)changes, operation, undo) {
    char *inverse = explain_joined(undo);
    printf("%-10s %s (undo: %s)\n", label, operation, inverse && *inverse ? inverse : "none");
    free(inverse);
    label = "";
  }
}

static void print_rare(const json_t *all) {
  static const struct { const char *key, *label; } lists[] = {{"runs", "runs"}, {"roles", "as roles"}};
  const json_t *settle = json_object_get(all, "settle_seconds");
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
    char *names = explain_joined(json_object_get(all, lists[i].key));
    if (names && *names) print_line(lists[i].label, names);
    free(names);
  }
  if (settle)
    printf("%-10s %lld s after a resource's creation before it is judged\n", "waits",
           (long long)json_integer_value(settle));
  if (json_object_get(all, "remembers"))
    printf("%-10s which %s are accepted, and what was changed of them by whom\n", "remembers",
           json_text_at(all, "remembers", NULL));
}

static void print_gates(const json_t *gates) {
  const char *name;
  json_t *value;
  print_value("mode", json_object_get(gates, "mode"));
  if (json_is_string(json_object_get(gates, "remediate_when")))
    print_value("when", json_object_get(gates, "remediate_when"));
  json_object_foreach(json_object_get(gates, "scope"), name, value) if (json_is_array(value)) print_value(name, value);
  const json_t *breaker = json_object_get(gates, "breaker");
  if (json_is_object(breaker))
    printf("%-10s %lld actions within %lld s in an account; then they are parked\n", "breaker",
           (long long)json_integer_value(json_object_get(breaker, "actions")),
           (long long)json_integer_value(json_object_get(breaker, "within_seconds")));
}

static void print_explanation(const json_t *all) {
  printf("%s%s%s (%s, version %lld): %s\n", paint("bold"), json_text_at(all, "guardrail", NULL), paint("off"),
         json_text_at(all, "severity", NULL), (long long)json_integer_value(json_object_get(all, "version")),
         json_text_at(all, "title", NULL));
  print_value("why", json_object_get(all, "why"));
  print_value("fix", json_object_get(all, "fix"));
  print_value("resource", json_object_get(all, "resource"));
  print_watches(all);
  size_t index;
  json_t *read;
  json_array_foreach(json_object_get(all, "reads"), index, read)
      printf("%-10s %s (%s)\n", index == 0 ? "reads" : "", json_text_at(read, "operation", NULL),
             json_text_at(read, "what", NULL));
  print_changes(all);
  print_rare(all);
  print_gates(json_object_get(all, "gates"));
  print_value("params", json_object_get(all, "params"));
  if (json_is_object(json_object_get(all, "overrides"))) print_value("overrides", json_object_get(all, "overrides"));
  printf("%-10s %lld of its own: parapet test\n", "tests",
         (long long)json_integer_value(json_object_get(all, "tests")));
  print_value("file", json_object_get(all, "file"));
}

const struct guardrail *cli_guardrail(const struct bundle *bundle, const char *name) {
  const struct guardrail *guardrail = bundle_guardrail(bundle, name);
  if (guardrail) return guardrail;
  const char **names = calloc(bundle->guardrail_count + 1, sizeof *names);
  for (size_t i = 0; names && i < bundle->guardrail_count; i++) names[i] = bundle->guardrails[i]->name;
  const char *nearest = names ? config_nearest(name, names) : NULL;
  free(names);
  if (nearest)
    fail_usage("there is no guardrail \"%s\"; did you mean \"%s\"?", name, nearest);
  else
    fail_usage("there is no guardrail \"%s\"; parapet playbooks list shows all", name);
  return NULL;
}

int explain_playbook(struct cli *cli, const char *name) {
  struct error error = {0};
  struct aws_client *client;
  struct bundle *bundle = cli_bundle(cli, NULL, &client, &error);
  const struct guardrail *guardrail = bundle ? cli_guardrail(bundle, name) : NULL;
  int result = guardrail ? CLI_OK : bundle ? CLI_USAGE : fail(&error);
  if (guardrail) {
    json_t *all = explain_guardrail(guardrail);
    if (cli->json)
      print_json(all);
    else
      print_explanation(all);
    json_decref(all);
  }
  bundle_drop(bundle);
  aws_close(client);
  return result;
}

int run_playbooks_explain(struct cli *cli) {
  if (cli->words.count != 1) return fail_usage("usage: parapet playbooks explain GUARDRAIL");
  return explain_playbook(cli, cli->words.words[0]);
}
