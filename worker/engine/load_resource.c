/* A resource's file: how to list, get and know more about one kind of AWS resource. */
#include <stdlib.h>
#include <string.h>

#include "check/names.h"
#include "engine/load_internal.h"

static const struct key resource_keys[] = {
    {"resource", KEY_TEXT, 1},
    {"scope", KEY_TEXT, 1},
    {"id", KEY_TEXT, 1},
    {"arn", KEY_TEXT, 1},
    {"tags", KEY_TEXT, 0},
    {"list", KEY_OBJECT, 1},
    {"get", KEY_OBJECT, 1},
    {"context", KEY_OBJECT, 0},
    {"created", KEY_TEXT, 0},
    {"parent", KEY_TEXT, 0},
    {0},
};
static const struct key list_keys[] = {
    {"call", KEY_TEXT, 1}, {"with", KEY_OBJECT, 0}, {"items", KEY_TEXT, 1}, {"absent", KEY_ARRAY, 0}, {0},
};
static const struct key get_keys[] = {
    {"call", KEY_TEXT, 1},    {"with", KEY_OBJECT, 0},     {"items", KEY_TEXT, 1},
    {"absent", KEY_ARRAY, 0}, {"together", KEY_NUMBER, 0}, {0},
};
static const struct key context_keys[] = {
    {"call", KEY_TEXT, 1},       {"with", KEY_OBJECT, 0}, {"items", KEY_TEXT, 1},
    {"absent", KEY_ARRAY, 0},    {"by", KEY_TEXT, 0},     {"per", KEY_TEXT, 0},
    {"together", KEY_NUMBER, 0}, {"each", KEY_TEXT, 0},   {0},
};

static void load_read(struct loader *loader, const json_t *object, const char *pointer, const struct key *keys,
                      struct read_call *read) {
  if (check_keys(loader, object, pointer, keys) > 0) return;
  read->operation = load_text(object, "call");
  read->with = load_template(loader, object, "with", pointer);
  read->items = load_expression(loader, object, "items", pointer);
  read->items_name = load_text(object, "items");
  check_texts(loader, object, "absent", pointer);
  read->absent = json_incref(json_object_get(object, "absent"));
  if (json_object_get(object, "together")) load_together(loader, object, pointer, read);
}

static void load_contexts(struct loader *loader, const json_t *contexts, struct resource *resource) {
  const char *name;
  json_t *object;
  resource->contexts = calloc(json_object_size(contexts) + 1, sizeof *resource->contexts);
  if (!resource->contexts) return;
  json_object_foreach((json_t *)contexts, name, object) {
    struct context *context = &resource->contexts[resource->context_count++];
    char pointer[256];
    snprintf(pointer, sizeof pointer, "/context/%s", name);
    context->name = strdup(name);
    if (is_built_in(name))
      complain(loader, pointer, "$%s is a variable of the language: name the context otherwise", name);
    load_read(loader, object, pointer, context_keys, &context->read);
    context->by = load_expression(loader, object, "by", pointer);
    context->each = load_expression(loader, object, "each", pointer);
    const char *per = json_text_at(object, "per", NULL);
    int has_by = json_object_get(object, "by") != NULL;
    context->per_place = strcmp(per, "place") == 0;
    if (*per && !context->per_place && strcmp(per, "item") != 0)
      complain(loader, pointer_key(pointer, "per"),
               "\"per\" must be item (one read a resource) or place (one for all of an account and Region)");
    else if (!has_by && !*per)
      complain(loader, pointer,
               "\"by\" is missing: how does a sweep know which resource an item belongs to? (or \"per: item\": it "
               "reads once a resource)");
    else if (has_by && (*per || context->each))
      complain(loader, pointer, "a context is joined \"by\" a key, or read \"per: item\" (and \"each\"), not both");
    else if (*per && json_object_get(object, "together"))
      complain(loader, pointer_key(pointer, "together"),
               "only a context with \"by\" is read \"together\": it tells whose an item is");
  }
}

static enum resource_scope load_scope(struct loader *loader, const json_t *document) {
  static const char *const names[] = {"region", "global", "account"};
  const char *scope = json_text_at(document, "scope", NULL);
  for (int i = 0; i < 3; i++)
    if (strcmp(scope, names[i]) == 0) return (enum resource_scope)i;
  complain(loader, "/scope", "\"scope\" must be region, global or account");
  return SCOPE_REGION;
}

/* The resource that this one is nested in.  One level: what is listed for each of what is listed for each costs calls
 * without end. */
static const struct resource *load_parent(struct loader *loader, const json_t *document, const struct bundle *bundle) {
  const char *name = json_text_at(document, "parent", NULL);
  const struct resource *parent = bundle_resource(bundle, name);
  if (!*name) return NULL;
  if (!parent)
    complain(loader, "/parent", "no resource \"%s\" is described in resources/", name);
  else if (parent->parent)
    complain(loader, "/parent", "%s is nested in %s itself: one level is all there is", name, parent->parent->name);
  return parent;
}

struct resource *load_resource(struct loader *loader, json_t *document, const struct bundle *bundle) {
  if (check_keys(loader, document, "", resource_keys) > 0) return NULL;
  struct resource *resource = calloc(1, sizeof *resource);
  if (!resource) return NULL;
  resource->name = load_text(document, "resource");
  resource->file = strdup(loader->file);
  resource->scope = load_scope(loader, document);
  resource->parent = load_parent(loader, document, bundle);
  resource->id = load_expression(loader, document, "id", "");
  resource->arn = load_template(loader, document, "arn", "");
  resource->tags = load_expression(loader, document, "tags", "");
  resource->created = load_expression(loader, document, "created", "");
  load_read(loader, json_object_get(document, "list"), "/list", list_keys, &resource->list);
  load_read(loader, json_object_get(document, "get"), "/get", get_keys, &resource->get);
  if (resource->parent && resource->get.together)
    complain(loader, "/get/together", "what is nested in a parent is got through it, not \"together\"");
  load_contexts(loader, json_object_get(document, "context"), resource);
  if (loader->complaints == 0) check_resource(loader, resource, document);
  if (loader->complaints == 0) return resource;
  resource_free(resource);
  return NULL;
}

static void read_free(struct read_call *read) {
  free(read->operation);
  template_free(read->with);
  jmes_free(read->items);
  free(read->items_name);
  json_decref(read->absent);
  template_free(read->with_ids);
}

void resource_free(struct resource *resource) {
  if (!resource) return;
  free(resource->name);
  free(resource->file);
  jmes_free(resource->id);
  template_free(resource->arn);
  jmes_free(resource->tags);
  jmes_free(resource->created);
  read_free(&resource->list);
  read_free(&resource->get);
  for (size_t i = 0; i < resource->context_count; i++) {
    free(resource->contexts[i].name);
    read_free(&resource->contexts[i].read);
    jmes_free(resource->contexts[i].by);
    jmes_free(resource->contexts[i].each);
  }
  free(resource->contexts);
  free(resource);
}
