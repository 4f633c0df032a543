/* The rules engine.
 *
 * A rule set is a tree: each rule has conditions (function calls, all must hold) and is an endpoint, an error, or a
 * tree of more rules.  The first rule whose conditions hold and that yields something ends the search; a tree whose
 * rules yield nothing lets the search go on with its next sibling, as botocore does.  A condition may bind its value to
 * a name; the name is visible to later conditions of the same rule and to everything below it, and gone after it.  So
 * the names live on a stack that each rule cuts back to where it found it.
 *
 * The tree is walked as JSON, not compiled: results are cached by the caller, so that a rule set runs seldom. */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "aws/endpoint_internal.h"

#define BINDINGS 64

struct binding {
  const char *name; /* borrowed from the rule set */
  json_t *value;    /* owned; NULL: not set */
};

struct walk {
  struct endpoint_run run;
  struct binding bindings[BINDINGS];
  size_t count;
  unsigned steps, depth;
};

json_t *endpoint_fail(struct endpoint_run *run, const char *format, ...) {
  char message[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  error_set(run->error, ERROR_INVALID, "EndpointResolution", "%s", message);
  run->failed = 1;
  return NULL;
}

static json_t *resolve_value(struct walk *walk, const json_t *value);

/* One more step down; 0, or -1 when the run is used up.  Every 0 needs a leave(). */
static int enter(struct walk *walk) {
  if (walk->run.failed) return -1;
  if (++walk->steps > AWS_ENDPOINT_STEPS || walk->depth >= AWS_ENDPOINT_DEPTH) {
    endpoint_fail(&walk->run, "the endpoint rule set is nested too deeply or does not end");
    return -1;
  }
  walk->depth++;
  return 0;
}

static void leave(struct walk *walk) { walk->depth--; }

static void cut_bindings(struct walk *walk, size_t count) {
  while (walk->count > count) json_decref(walk->bindings[--walk->count].value);
}

static const struct binding *find_binding(const struct walk *walk, const char *name, size_t length) {
  for (size_t i = 0; i < walk->count; i++)
    if (strlen(walk->bindings[i].name) == length && memcmp(walk->bindings[i].name, name, length) == 0)
      return &walk->bindings[i];
  return NULL;
}

/* Takes the reference.  0, or -1 with the run failed. */
static int bind(struct walk *walk, const char *name, json_t *value) {
  if (find_binding(walk, name, strlen(name)))
    endpoint_fail(&walk->run, "the name %s is assigned twice in the endpoint rule set", name);
  else if (walk->count == BINDINGS)
    endpoint_fail(&walk->run, "the endpoint rule set has more than %d names in one scope", BINDINGS);
  if (walk->run.failed) {
    json_decref(value);
    return -1;
  }
  walk->bindings[walk->count++] = (struct binding){name, value};
  return 0;
}

/* ---- values ---- */

/* Adds the text of `reference` ("Region", "PartitionResult#dnsSuffix"). */
static void add_reference(struct walk *walk, const char *reference, size_t length, struct buffer *out) {
  char path[128];
  const char *hash = memchr(reference, '#', length);
  size_t name_length = hash ? (size_t)(hash - reference) : length;
  const struct binding *binding = find_binding(walk, reference, name_length);
  json_t *value = binding ? json_incref(binding->value) : NULL;
  if (value && hash) {
    snprintf(path, sizeof path, "%.*s", (int)(length - name_length - 1), hash + 1);
    json_t *whole = value;
    value = endpoint_attribute(whole, path);
    json_decref(whole);
  }
  if (!json_is_string(value))
    endpoint_fail(&walk->run, "the template variable {%.*s} is not set or no text", (int)length, reference);
  else
    buffer_add(out, json_string_value(value), json_string_length(value));
  json_decref(value);
}

/* Length of the reference behind a '{' when '}' ends it; 0 when the brace is just a brace. */
static size_t reference_length(const char *text) {
  size_t length = 0;
  while (isalnum((unsigned char)text[length]) || (text[length] && strchr("_#.[]-", text[length]))) length++;
  return text[length] == '}' && length < 128 ? length : 0;
}

static json_t *resolve_template(struct walk *walk, const json_t *template) {
  const char *text = json_string_value(template);
  if (!strpbrk(text, "{}")) return json_incref((json_t *)template);
  struct buffer out = {.ceiling = ENDPOINT_TEXT_LIMIT};
  while (*text && !walk->run.failed) {
    size_t length = *text == '{' ? reference_length(text + 1) : 0;
    if (length > 0) {
      add_reference(walk, text + 1, length, &out);
      text += length + 2;
    } else {
      if ((text[0] == '{' || text[0] == '}') && text[1] == text[0]) text++; /* doubled: a literal brace */
      buffer_add_char(&out, *text++);
    }
  }
  json_t *value = NULL;
  if (!walk->run.failed) value = json_string(buffer_text(&out));
  if (!walk->run.failed && (out.failed || !value)) {
    json_decref(value);
    value = endpoint_fail(&walk->run, "a text of the endpoint rule set is too long or no UTF-8");
  }
  buffer_free(&out);
  return value;
}

static json_t *call_row(struct walk *walk, const struct endpoint_function_row *row, const json_t *argv) {
  json_t *arguments[ENDPOINT_ARGUMENTS] = {NULL};
  size_t count = json_array_size(argv);
  for (size_t i = 0; i < count && !walk->run.failed; i++) arguments[i] = resolve_value(walk, json_array_get(argv, i));
  json_t *result = walk->run.failed ? NULL : row->call(&walk->run, arguments);
  for (size_t i = 0; i < count; i++) json_decref(arguments[i]);
  return result;
}

static json_t *call_function(struct walk *walk, const json_t *call) {
  const char *name = json_string_value(json_object_get(call, "fn"));
  const json_t *argv = json_object_get(call, "argv");
  const struct endpoint_function_row *row = name ? endpoint_function_find(name) : NULL;
  size_t count = json_array_size(argv);
  if (!row) return endpoint_fail(&walk->run, "unknown function \"%s\" in the endpoint rule set", name ? name : "");
  if (count > ENDPOINT_ARGUMENTS || count == 0 || (row->arguments != ENDPOINT_ANY_COUNT && row->arguments != count))
    return endpoint_fail(&walk->run, "wrong number of arguments for %s in the endpoint rule set", row->name);
  if (enter(walk) != 0) return NULL;
  json_t *result = call_row(walk, row, argv);
  leave(walk);
  const char *assign = json_string_value(json_object_get(call, "assign"));
  if (assign && !walk->run.failed && bind(walk, assign, json_incref(result)) != 0) {
    json_decref(result);
    return NULL;
  }
  return result;
}

/* New, or NULL: not set, or the run has failed. */
static json_t *resolve_value(struct walk *walk, const json_t *value) {
  if (json_is_string(value)) return resolve_template(walk, value);
  if (json_object_get(value, "fn")) return call_function(walk, value);
  const char *reference = json_string_value(json_object_get(value, "ref"));
  if (!reference) return json_is_null(value) ? NULL : json_incref((json_t *)value);
  const struct binding *binding = find_binding(walk, reference, strlen(reference));
  return binding ? json_incref(binding->value) : NULL;
}

/* Every string inside is a template: properties, header lists.  New, or NULL with the run failed. */
static json_t *resolve_deep(struct walk *walk, json_t *value);

static json_t *resolve_object(struct walk *walk, json_t *value) {
  json_t *result = json_object();
  const char *key;
  json_t *item;
  json_object_foreach(value, key, item) {
    json_t *resolved = resolve_deep(walk, item);
    if (!resolved || json_object_set_new(result, key, resolved) != 0) break;
  }
  return result;
}

static json_t *resolve_array(struct walk *walk, json_t *value) {
  json_t *result = json_array();
  size_t index;
  json_t *item;
  json_array_foreach(value, index, item) {
    json_t *resolved = resolve_deep(walk, item);
    if (!resolved || json_array_append_new(result, resolved) != 0) break;
  }
  return result;
}

static json_t *resolve_deep(struct walk *walk, json_t *value) {
  if (enter(walk) != 0) return NULL;
  json_t *result;
  if (json_is_array(value))
    result = resolve_array(walk, value);
  else if (json_is_object(value) && !json_object_get(value, "fn") && !json_object_get(value, "ref"))
    result = resolve_object(walk, value);
  else
    result = resolve_value(walk, value);
  leave(walk);
  if (!result && !walk->run.failed) endpoint_fail(&walk->run, "a property or header of the endpoint is not set");
  return result;
}

/* ---- rules ---- */

static int conditions_hold(struct walk *walk, const json_t *conditions) {
  size_t index;
  json_t *condition;
  json_array_foreach(conditions, index, condition) {
    json_t *value = call_function(walk, condition);
    int holds = value && !json_is_false(value);
    json_decref(value);
    if (walk->run.failed || !holds) return 0;
  }
  return 1;
}

static json_t *make_endpoint(struct walk *walk, const json_t *endpoint) {
  json_t *url = resolve_value(walk, json_object_get(endpoint, "url"));
  json_t *headers = json_object_get(endpoint, "headers"), *properties = json_object_get(endpoint, "properties");
  if (!walk->run.failed && !json_is_string(url)) endpoint_fail(&walk->run, "the endpoint's URL is not set");
  headers = headers ? resolve_deep(walk, headers) : json_object();
  properties = properties ? resolve_deep(walk, properties) : json_object();
  json_t *result = NULL;
  if (!walk->run.failed)
    result = json_pack("{s:O, s:O, s:O}", "url", url, "headers", headers, "properties", properties);
  json_decref(url);
  json_decref(headers);
  json_decref(properties);
  return result;
}

static json_t *fail_by_rule(struct walk *walk, const json_t *rule) {
  json_t *message = resolve_value(walk, json_object_get(rule, "error"));
  if (!walk->run.failed)
    endpoint_fail(&walk->run, "%s", json_is_string(message) ? json_string_value(message) : "no endpoint");
  json_decref(message);
  return NULL;
}

static json_t *run_rules(struct walk *walk, const json_t *rules);

static json_t *run_rule(struct walk *walk, const json_t *rule) {
  size_t mark = walk->count;
  json_t *result = NULL;
  if (enter(walk) != 0) return NULL;
  if (conditions_hold(walk, json_object_get(rule, "conditions"))) {
    const char *type = json_text_at(rule, "type", NULL);
    if (strcmp(type, "endpoint") == 0)
      result = make_endpoint(walk, json_object_get(rule, "endpoint"));
    else if (strcmp(type, "error") == 0)
      fail_by_rule(walk, rule);
    else if (strcmp(type, "tree") == 0)
      result = run_rules(walk, json_object_get(rule, "rules"));
    else
      endpoint_fail(&walk->run, "unknown type \"%s\" of a rule in the endpoint rule set", type);
  }
  cut_bindings(walk, mark);
  leave(walk);
  return result;
}

static json_t *run_rules(struct walk *walk, const json_t *rules) {
  size_t index;
  json_t *rule;
  json_array_foreach(rules, index, rule) {
    json_t *result = run_rule(walk, rule);
    if (result || walk->run.failed) return result;
  }
  return NULL;
}

/* ---- parameters ---- */

static int type_fits(const json_t *value, const char *type) {
  if (strcasecmp(type, "string") == 0) return json_is_string(value);
  if (strcasecmp(type, "boolean") == 0) return json_is_boolean(value);
  return strcasecmp(type, "stringArray") == 0 && json_is_array(value);
}

static int bind_parameter(struct walk *walk, const char *name, const json_t *spec, json_t *value) {
  if (!value || json_is_null(value)) value = json_object_get(spec, "default");
  if (!value && json_is_true(json_object_get(spec, "required"))) {
    endpoint_fail(&walk->run, "Cannot find value for required parameter %s", name);
    return -1;
  }
  if (value && !type_fits(value, json_text_at(spec, "type", NULL))) {
    endpoint_fail(&walk->run, "Value (%s) is the wrong type.", name);
    return -1;
  }
  return value ? bind(walk, name, json_incref(value)) : 0;
}

static int bind_parameters(struct walk *walk, const json_t *ruleset, const json_t *params) {
  const char *name;
  json_t *spec;
  json_t *specs = json_object_get(ruleset, "parameters");
  json_object_foreach(specs, name, spec) {
    if (bind_parameter(walk, name, spec, json_object_get(params, name)) != 0) return -1;
  }
  return 0;
}

json_t *aws_endpoint_resolve(const json_t *ruleset, const struct aws_partitions *partitions, const json_t *params,
                             struct error *error) {
  struct error mine = {0};
  struct walk walk = {.run = {.partitions = partitions, .error = error ? error : &mine}};
  json_t *result = NULL;
  if (bind_parameters(&walk, ruleset, params) == 0) result = run_rules(&walk, json_object_get(ruleset, "rules"));
  if (!result && !walk.run.failed) endpoint_fail(&walk.run, "No endpoint found for the parameters");
  cut_bindings(&walk, 0);
  return result;
}
