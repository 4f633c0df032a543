#include "check/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"

#define PATH_LIMIT 32

/* Names that steps bring in (`as`, `set`), innermost first. */
struct names {
  const char *name;
  const struct names *outer;
};

/* Which built-in variables an expression may read: by where it stands. */
enum {
  IN_PLACE = 1,
  IN_GET = 2,
  IN_JUDGEMENT = 4,
  IN_STEP = 8,
  IN_CALL = 16,
  IN_UNDO = 32,
  IN_CONTEXT = 64,
  IN_EVENT = 128, /* over an event, before anything is read */
  IN_WORKFLOW = 256,
  IN_ITEM = 0
};

struct check {
  struct loader *loader;
  const struct guardrail *guardrail; /* NULL while a resource is checked */
  const struct resource *resource;
  const struct names *names;
  const json_t *inputs;           /* of the workflow being checked */
  const char *pointer;            /* where the expression stands */
  const char *root_call;          /* operation whose element the document root is; NULL: not known */
  const char *root_items;         /* … and where in its answer; NULL: the answer itself */
  const struct context *contexts; /* a resource's, above the one being checked */
  size_t context_count;
  int where;     /* IN_… of the expression */
  int no_parent; /* an ARN is made from the id alone */
};

#define EVERYWHERE (IN_PLACE | IN_GET | IN_JUDGEMENT | IN_STEP | IN_EVENT | IN_WORKFLOW)
static const struct {
  const char *name;
  int where;
} built_in[] = {
    {"account", EVERYWHERE},
    {"region", EVERYWHERE},
    {"partition", EVERYWHERE},
    {"environment", EVERYWHERE},
    {"unit", EVERYWHERE},
    {"id", IN_GET | IN_JUDGEMENT | IN_STEP | IN_EVENT},
    {"now", IN_JUDGEMENT | IN_STEP | IN_EVENT | IN_WORKFLOW},
    {"resource", IN_JUDGEMENT | IN_STEP | IN_CONTEXT},
    {"event", IN_JUDGEMENT | IN_STEP | IN_EVENT | IN_WORKFLOW},
    {"actor", IN_JUDGEMENT | IN_STEP | IN_EVENT | IN_WORKFLOW},
    {"inputs", IN_WORKFLOW},
    {"organization", IN_JUDGEMENT | IN_STEP | IN_EVENT},
    {"params", IN_JUDGEMENT | IN_STEP | IN_EVENT},
    {"tags", IN_JUDGEMENT | IN_STEP},
    {"finding", IN_STEP},
    {"parent", IN_PLACE | IN_GET | IN_CONTEXT | IN_JUDGEMENT | IN_STEP},
    {"baseline", IN_JUDGEMENT | IN_STEP | IN_EVENT},
    {"changes", IN_JUDGEMENT | IN_STEP},
    {"run", IN_CALL | IN_UNDO},
    {"result", IN_UNDO},
};
enum { BUILT_IN = sizeof built_in / sizeof *built_in };

int is_built_in(const char *name) {
  for (size_t i = 0; i < BUILT_IN; i++)
    if (strcmp(built_in[i].name, name) == 0) return 1;
  return 0;
}

static int is_there(const struct check *check, size_t i) {
  const char *name = built_in[i].name;
  if (!(built_in[i].where & check->where)) return 0;
  if (strcmp(name, "baseline") == 0 || strcmp(name, "changes") == 0)
    return check->guardrail && check->guardrail->baseline;
  if (strcmp(name, "parent") == 0) return check->resource && check->resource->parent && !check->no_parent;
  return strcmp(name, "tags") != 0 || (check->resource && check->resource->tags);
}

/* "Reservations[].Instances" → {"Reservations","[]","Instances","[]"}: the path of one item. Returns the count, 0 when
 * the expression is more than fields and flattening: it makes its items, and what they hold is not checked. */
static size_t items_path(const char *items, char *copy, size_t size, const char **path) {
  size_t count = 0;
  snprintf(copy, size, "%s", items);
  for (char *save = NULL, *part = strtok_r(copy, ".", &save); part; part = strtok_r(NULL, ".", &save)) {
    char *flat = strstr(part, "[]");
    if (strchr(part, '[') != flat) return 0;
    if (strcspn(part, "|&()@?*\"'` {},:$") != strlen(part) || count + 3 > PATH_LIMIT) return 0;
    if (flat) *flat = '\0';
    path[count++] = part;
    if (flat) path[count++] = "[]";
  }
  if (count > 0 && strcmp(path[count - 1], "[]") != 0) path[count++] = "[]";
  return count;
}

/* The same for an operation's answer; what is no list there (one mapping) is itself the item. */
static size_t item_path(struct check *check, const char *operation, const char *items, char *copy, size_t size,
                        const char **path) {
  size_t count = items_path(items, copy, size, path), length = strlen(items);
  path[count] = NULL;
  if (count == 0 || !check->loader->client || (length > 2 && strcmp(items + length - 2, "[]") == 0)) return count;
  if (aws_model_check_output(check->loader->client, operation, path, NULL) == 0) return count;
  path[count - 1] = NULL;
  if (aws_model_check_output(check->loader->client, operation, path, NULL) == 0) return count - 1;
  path[count - 1] = "[]";
  return count;
}

/* Does an element of operation's `items` have this field path?  `is_list`: the variable is the list of them. */
static void check_path(struct check *check, const char *variable, const char *operation, const char *items, int is_list,
                       const char *const *path) {
  const char *full[PATH_LIMIT * 2 + 1];
  char copy[256];
  struct error error = {0};
  size_t count = items ? item_path(check, operation, items, copy, sizeof copy, full) : 0;
  if ((items && count == 0) || !check->loader->client || !path || !path[0]) return;
  if (is_list && strcmp(path[0], "[]") == 0) path++;
  while (*path && count < PATH_LIMIT * 2) full[count++] = *path++;
  full[count] = NULL;
  if (aws_model_check_output(check->loader->client, operation, full, &error) != 0)
    complain(check->loader, check->pointer, "%s%s%s%s: %s", *variable ? "$" : "", variable, *variable ? " of " : "",
             operation, error.message);
}

static const struct context *used_context(const struct guardrail *guardrail, const char *name) {
  for (size_t i = 0; guardrail && i < guardrail->use_count; i++)
    if (strcmp(guardrail->uses[i]->name, name) == 0) return guardrail->uses[i];
  return NULL;
}

static const struct context *known_context(const struct check *check, const char *name) {
  for (size_t i = 0; i < check->context_count; i++)
    if (strcmp(check->contexts[i].name, name) == 0) return &check->contexts[i];
  return used_context(check->guardrail, name);
}

static void complain_variable(struct check *check, const char *name) {
  const char *known[96];
  size_t count = 0;
  for (size_t i = 0; i < BUILT_IN; i++)
    if (is_there(check, i)) known[count++] = built_in[i].name;
  for (size_t i = 0; check->guardrail && i < check->guardrail->use_count && count < 80; i++)
    known[count++] = check->guardrail->uses[i]->name;
  for (size_t i = 0; i < check->context_count && count < 80; i++) known[count++] = check->contexts[i].name;
  for (const struct names *names = check->names; names && count < 95; names = names->outer)
    known[count++] = names->name;
  known[count] = NULL;
  const char *nearest = config_nearest(name, known);
  complain(check->loader, check->pointer, "there is no variable $%s here%s%s%s", name,
           nearest ? "; did you mean $" : "", nearest ? nearest : "", nearest ? "?" : "");
}

static void check_param(struct check *check, const char *const *path) {
  if (!path || !path[0] || strcmp(path[0], "[]") == 0 || !check->guardrail) return;
  if (!json_object_get(check->guardrail->params, path[0]))
    complain(check->loader, check->pointer, "there is no parameter \"%s\" under \"params\"%s", path[0],
             nearest_key(path[0], check->guardrail->params));
}

static void check_input(struct check *check, const char *const *path) {
  if (path && path[0] && strcmp(path[0], "[]") != 0 && !json_object_get(check->inputs, path[0]))
    complain(check->loader, check->pointer, "there is no input \"%s\" under \"inputs\"%s", path[0],
             nearest_key(path[0], check->inputs));
}

static void check_variable(const char *name, const char *const *path, void *argument) {
  struct check *check = argument;
  if (!*name) {
    if (check->root_call)
      check_path(check, "", check->root_call, check->root_items, 0, path);
    else if ((check->where & (IN_PLACE | IN_GET | IN_STEP | IN_EVENT | IN_WORKFLOW)) && path && path[0])
      complain(check->loader, check->pointer, "\"%s\" is a field of nothing: variables begin with $%s%s%s", path[0],
               is_built_in(path[0]) ? "; did you mean $" : "", is_built_in(path[0]) ? path[0] : "",
               is_built_in(path[0]) ? "?" : "");
    return;
  }
  for (const struct names *names = check->names; names; names = names->outer)
    if (strcmp(names->name, name) == 0) return;
  const struct context *context = known_context(check, name);
  if (context) {
    check_path(check, name, context->read.operation, context->read.items_name, 1, path);
    return;
  }
  if (strcmp(name, "resource") == 0 && (check->where & (IN_JUDGEMENT | IN_STEP | IN_CONTEXT)))
    check_path(check, name, check->resource->get.operation, check->resource->get.items_name, 0, path);
  else if (strcmp(name, "params") == 0 && check->guardrail)
    check_param(check, path);
  else if (strcmp(name, "parent") == 0 && check->resource && check->resource->parent && !check->no_parent)
    check_path(check, name, check->resource->parent->get.operation, check->resource->parent->get.items_name, 0, path);
  else if (strcmp(name, "inputs") == 0 && (check->where & IN_WORKFLOW))
    check_input(check, path);
  else {
    for (size_t i = 0; i < BUILT_IN; i++)
      if (is_there(check, i) && strcmp(built_in[i].name, name) == 0) return;
    complain_variable(check, name);
  }
}

static void check_expression(struct check *check, const struct jmes *expression, const char *pointer) {
  if (!expression) return;
  check->pointer = pointer;
  jmes_variables(expression, check_variable, check);
}

static void check_template(struct check *check, const struct template *template, const char *pointer) {
  if (!template) return;
  check->pointer = pointer;
  template_variables(template, check_variable, check);
}

static int check_operation(struct check *check, const char *operation, const json_t *with, const char *pointer) {
  struct error error = {0};
  if (!operation || !strchr(operation, '.'))
    return complain(check->loader, pointer, "an operation is written service.Operation");
  if (!check->loader->client) return 0;
  if (aws_model_operation(check->loader->client, operation, &error) != 0)
    return complain(check->loader, pointer_key(pointer, "call"), "%s", error.message);
  if (aws_model_check_input(check->loader->client, operation, with, &error) == 0) return 0;
  char where[512];
  snprintf(where, sizeof where, "%s/with%s", pointer, error.where[0] == '/' ? error.where : "");
  return complain(check->loader, where, "%s: %s", operation, error.message);
}

static void check_read(struct check *check, const struct read_call *read, const json_t *object, const char *pointer) {
  if (check_operation(check, read->operation, json_object_get(object, "with"), pointer) != 0) return;
  if (!aws_operation_reads(read->operation))
    complain(check->loader, pointer, "%s changes things: a resource may only be described by reads", read->operation);
  check_template(check, read->with, pointer);
  const char *path[PATH_LIMIT * 2 + 1];
  char copy[256];
  struct error error = {0};
  size_t count = item_path(check, read->operation, read->items_name, copy, sizeof copy, path);
  if (count == 0) {
    check->root_call = read->operation;
    check->root_items = NULL;
    check_expression(check, read->items, pointer_key(pointer, "items"));
    check->root_call = NULL;
  } else if (check->loader->client &&
             aws_model_check_output(check->loader->client, read->operation, path, &error) != 0) {
    complain(check->loader, pointer_key(pointer, "items"), "%s: %s", read->operation, error.message);
  }
}

static void check_context(struct check *check, const struct context *context, const json_t *object,
                          const char *pointer) {
  const struct names each = {.name = "each"};
  check->where = IN_GET | IN_CONTEXT;
  check_expression(check, context->each, pointer_key(pointer, "each"));
  check->names = context->each ? &each : NULL;
  int before = check->loader->complaints;
  check_read(check, &context->read, object, pointer);
  check->names = NULL;
  if (check->loader->complaints > before) return;
  check->root_call = context->read.operation;
  check->root_items = context->read.items_name;
  check->where = IN_ITEM;
  check_expression(check, context->by, pointer_key(pointer, "by"));
  check->root_call = NULL;
}

void check_resource(struct loader *loader, const struct resource *resource, const json_t *document) {
  struct check check = {.loader = loader, .resource = resource, .where = IN_PLACE};
  check_read(&check, &resource->list, json_object_get(document, "list"), "/list");
  check.where = IN_GET;
  check_read(&check, &resource->get, json_object_get(document, "get"), "/get");
  for (size_t i = 0; i < resource->context_count; i++) {
    const struct context *context = &resource->contexts[i];
    char pointer[256];
    snprintf(pointer, sizeof pointer, "/context/%s", context->name);
    check.contexts = resource->contexts;
    check.context_count = i;
    check_context(&check, context, json_at(document, "context", context->name, NULL), pointer);
  }
  check.context_count = 0;
  check.where = IN_GET;
  check.no_parent = 1;
  check_template(&check, resource->arn, "/arn");
  check.no_parent = 0;
  check.where = IN_ITEM;
  check.root_call = resource->get.operation;
  check.root_items = resource->get.items_name;
  check_expression(&check, resource->id, "/id");
  check_expression(&check, resource->tags, "/tags");
  check_expression(&check, resource->created, "/created");
}

static void check_steps(struct check *check, const struct step *steps, size_t count, const json_t *list);

static void check_step(struct check *check, const struct step *step, const json_t *object) {
  check_expression(check, step->when, step->path);
  if (step->kind == STEP_CALL) {
    int outside = check->where;
    check_operation(check, step->operation, json_object_get(object, "with"), step->path);
    check->where |= IN_CALL;
    check_template(check, step->with, pointer_key(step->path, "with"));
    check->where |= IN_UNDO;
    check_steps(check, step->undo, step->undo_count, json_object_get(object, "undo"));
    check->where = outside;
  } else if (step->kind == STEP_RUN) { /* its steps are checked where the workflow is */
    check_template(check, step->with, pointer_key(step->path, "with"));
  }
  check_expression(check, step->each, step->path);
  check_expression(check, step->value, step->path);
  check_template(check, step->message, step->path);
  if (step->kind == STEP_EACH) {
    const struct names *outer = check->names;
    struct names element = {.name = step->as, .outer = outer};
    check->names = &element;
    check_steps(check, step->body, step->body_count, json_object_get(object, "do"));
    check->names = outer;
  }
}

/* A name that a step sets is known to the steps behind it: each such step opens a frame around the rest. */
static void check_steps(struct check *check, const struct step *steps, size_t count, const json_t *list) {
  if (count == 0) return;
  check_step(check, steps, json_array_get(list, 0));
  const struct names *outer = check->names;
  struct names name = {.name = steps->kind == STEP_SET    ? steps->set
                               : steps->kind == STEP_CALL ? steps->as
                                                          : NULL,
                       .outer = outer};
  if (name.name) check->names = &name;
  json_t *rest = json_array();
  for (size_t i = 1; i < json_array_size(list); i++) json_array_append(rest, json_array_get(list, i));
  check_steps(check, steps + 1, count - 1, rest);
  json_decref(rest);
  check->names = outer;
}

/* A guardrail that nothing has shown to find something, or to leave something alone, is not believed. */
static void check_tests(struct loader *loader, const struct guardrail *guardrail) {
  int finds = 0, leaves = 0;
  for (size_t i = 0; i < json_array_size(guardrail->tests); i++) {
    const json_t *test = json_array_get(guardrail->tests, i), *expect = json_object_get(test, "expect");
    if (!json_is_string(json_object_get(test, "name")) || !json_object_get(test, "resource") || !expect)
      complain(loader, pointer_index("/tests", i), "a test needs \"name\", \"resource\" and \"expect\"");
    int nothing = json_is_string(expect) && strcmp(json_string_value(expect), "nothing") == 0;
    leaves += nothing;
    finds += !nothing;
  }
  if (finds == 0)
    complain(loader, "/tests", "no test expects a finding: does the guardrail find anything?");
  else if (leaves == 0)
    complain(loader, "/tests", "no test expects nothing: does the guardrail leave anything alone?");
}

/* A context that reads $other sees nothing unless other is used as well: it would be a guardrail that finds nothing. */
static void check_need(const char *name, const char *const *path, void *argument) {
  struct check *check = argument;
  (void)path;
  for (size_t i = 0; i < check->resource->context_count; i++)
    if (strcmp(check->resource->contexts[i].name, name) == 0 && !used_context(check->guardrail, name))
      complain(check->loader, "/use", "context \"%s\" is built on \"%s\": use that as well", check->pointer, name);
}

static void check_needs(struct check *check) {
  for (size_t i = 0; i < check->guardrail->use_count; i++) {
    const struct context *context = check->guardrail->uses[i];
    check->pointer = context->name;
    if (context->each) jmes_variables(context->each, check_need, check);
    jmes_variables(context->read.items, check_need, check);
    if (context->read.with) template_variables(context->read.with, check_need, check);
  }
}

static void check_baseline(struct check *check, const struct baseline *baseline) {
  check->where = IN_EVENT;
  check_expression(check, baseline->accept, "/baseline/accept");
  check_expression(check, baseline->changes, "/baseline/changes");
  check->where = IN_ITEM;
  check->root_call = baseline->of->read.operation;
  check->root_items = baseline->of->read.items_name;
  check_expression(check, baseline->by, "/baseline/by");
  check->root_call = NULL;
}

void check_guardrail(struct loader *loader, const struct guardrail *guardrail, const json_t *document) {
  struct check check = {.loader = loader,
                        .guardrail = guardrail,
                        .resource = guardrail->resource,
                        .where = IN_JUDGEMENT,
                        .root_call = guardrail->resource->get.operation,
                        .root_items = guardrail->resource->get.items_name};
  check_needs(&check);
  check_expression(&check, guardrail->where, "/where");
  check_expression(&check, guardrail->find, "/find");
  check.root_call = NULL;
  if (guardrail->baseline) check_baseline(&check, guardrail->baseline);
  check.guardrail = NULL; /* an event is looked at before anything is known of the resource */
  check.where = IN_ITEM;
  for (size_t i = 0; i < guardrail->trigger_count; i++) {
    const struct event_trigger *trigger = &guardrail->triggers[i];
    const char *event = pointer_index("/trigger/events", i);
    check_expression(&check, trigger->ids, pointer_key(event, "ids"));
    check_expression(&check, trigger->account, pointer_key(event, "account"));
    check_expression(&check, trigger->region, pointer_key(event, "region"));
  }
  check.guardrail = guardrail;
  check.where = IN_STEP;
  check_expression(&check, guardrail->remediate_when, "/remediate_when");
  check_steps(&check, guardrail->remediate, guardrail->remediate_count, json_object_get(document, "remediate"));
  check_tests(loader, guardrail);
}

void check_workflow(struct loader *loader, const struct workflow *workflow, const json_t *document) {
  struct check check = {.loader = loader, .where = IN_WORKFLOW, .inputs = workflow->inputs};
  check_steps(&check, workflow->steps, workflow->step_count, json_object_get(document, "steps"));
}
