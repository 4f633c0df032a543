/* Reading live state.  One describe serves all guardrails of a unit; in a sweep a context is listed once and joined,
 * unless it is declared `per: item` (it then costs a read a resource, in both) or `per: place` (one for them all).
 * Reads see what was read before them: $resource, and the contexts that stand above theirs. */
#include "engine/live.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "engine/join.h"

void live_free(struct live *live) {
  if (!live) return;
  json_decref(live->parent);
  json_decref(live->id);
  json_decref(live->arn);
  json_decref(live->item);
  for (size_t i = 0; live->contexts && i < live->resource->context_count; i++) json_decref(live->contexts[i]);
  for (size_t i = 0; live->unread && i < live->resource->context_count; i++) free(live->unread[i]);
  free(live->contexts);
  free(live->unread);
  free(live);
}

/* Variables that a resource's own templates may read: the place, $id (NULL in a list), $resource and what is read of
 * its contexts (live NULL: neither). */
static void place_view(struct view *view, const struct place *place, json_t *id, const struct live *live) {
  const struct {
    const char *name, *value;
  } texts[] = {{"account", place->account},
               {"region", place->region},
               {"environment", place->environment},
               {"unit", place->unit},
               {"partition", place->partition}};
  memset(view, 0, sizeof *view);
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    json_t *value = texts[i].value ? json_string(texts[i].value) : json_null();
    view->owned[view->count] = value;
    view_add(view, texts[i].name, value);
  }
  if (id) view_add(view, "id", id);
  if (live && live->parent) view_add(view, "parent", live->parent);
  if (live) view_add(view, "resource", live->item);
  for (size_t i = 0; live && i < live->resource->context_count; i++)
    if (live->contexts[i]) view_add(view, live->resource->contexts[i].name, live->contexts[i]);
}

json_t *live_arn(const struct resource *resource, const struct place *place, const char *id) {
  struct view view;
  json_t *value = json_string(id);
  place_view(&view, place, value, NULL);
  json_t *arn = value ? template_render(resource->arn, view_scope(&view), NULL) : NULL;
  view_close(&view);
  json_decref(value);
  if (json_is_string(arn)) return arn;
  json_decref(arn);
  return NULL;
}

/* A nested resource's id: PARENT'S/ITS OWN (in which there is no slash). */
static json_t *whole_id(const json_t *own, const struct live *parent) {
  return json_sprintf("%s/%s", json_string_value(parent->id), json_string_value(own));
}

static struct live *live_new(const struct place *place, const struct resource *resource, json_t *item,
                             const struct live *parent, struct error *error) {
  struct live *live = calloc(1, sizeof *live);
  if (live) live->resource = resource;
  if (!live || !(live->contexts = calloc(resource->context_count + 1, sizeof *live->contexts)) ||
      !(live->unread = calloc(resource->context_count + 1, sizeof *live->unread))) {
    live_free(live);
    error_set(error, ERROR_FATAL, "Memory", "out of memory");
    return NULL;
  }
  live->item = json_incref(item);
  live->id = jmes_search(resource->id, item, NULL, error);
  if (parent && json_is_string(live->id)) {
    json_t *own = live->id;
    live->parent = json_incref(parent->item);
    live->id = whole_id(own, parent);
    json_decref(own);
  }
  if (json_is_string(live->id)) {
    live->arn = live_arn(resource, place, json_string_value(live->id));
    if (!live->arn) error_set(error, ERROR_INVALID, "NoArn", "the arn of resource %s is no text", resource->name);
  } else if (live->id) {
    error_set(error, ERROR_INVALID, "NoId", "the id expression of resource %s finds no text", resource->name);
  }
  if (live->arn) return live;
  live_free(live);
  return NULL;
}

struct page {
  const struct jmes *items;
  const struct jmes_scope *scope;
  json_t *list;
  struct error *error;
  int failed;
};

enum { ITEM_LIMIT = 500000 };

static int collect_page(json_t *result, void *argument) {
  struct page *page = argument;
  json_t *items = jmes_search(page->items, result, page->scope, page->error);
  if (!items) return page->failed = 1;
  if (json_is_array(items))
    json_array_extend(page->list, items);
  else if (json_is_object(items))
    json_array_append(page->list, items);
  json_decref(items);
  if (json_array_size(page->list) <= ITEM_LIMIT) return 0;
  error_set(page->error, ERROR_INVALID, "TooMany", "more than %d items in one list", ITEM_LIMIT);
  return page->failed = 1;
}

static int is_absent(const struct read_call *read, const char *code) {
  for (size_t i = 0; i < json_array_size(read->absent); i++)
    if (strcmp(json_string_value(json_array_get(read->absent, i)), code) == 0) return 1;
  return 0;
}

/* All items of a read (every page); params NULL: without `with`.  New array; NULL with *error; *absent: its codes said
 * "none". */
static json_t *read_items(const struct reader *reader, const struct place *place, const struct read_call *read,
                          json_t *params, const struct jmes_scope *scope, int *absent, struct error *error) {
  struct aws_target target = {.account = place->account, .region = place->region, .role = reader->role};
  struct aws_call_options options = {.deadline_ms = reader->deadline_ms};
  struct error problem = {0};
  struct page page = {.items = read->items, .scope = scope, .list = json_array(), .error = &problem};
  *absent = 0;
  int result = aws_paginate(reader->client, &target, read->operation, params, &options, collect_page, &page, &problem);
  if (result == 0 && !page.failed) return page.list;
  json_decref(page.list);
  if ((*absent = is_absent(read, problem.code))) return NULL;
  if (error) *error = problem;
  return NULL;
}

static json_t *read_in(const struct reader *reader, const struct place *place, const struct read_call *read,
                       const struct template *with, const struct jmes_scope *scope, int *absent, struct error *error) {
  json_t *params = with ? template_render(with, scope, error) : json_object();
  *absent = 0;
  json_t *items = params ? read_items(reader, place, read, params, scope, absent, error) : NULL;
  json_decref(params);
  return items;
}

static json_t *read_with(const struct reader *reader, const struct place *place, const struct read_call *read,
                         json_t *id, const struct live *parent, int *absent, struct error *error) {
  struct view view;
  place_view(&view, place, id, NULL);
  if (parent) view_add(&view, "parent", parent->item);
  json_t *items = read_in(reader, place, read, read->with, view_scope(&view), absent, error);
  view_close(&view);
  return items;
}

/* ---- together: gather.h ---- */
struct asker { /* one who reads: the argument of ask_for */
  const struct reader *reader;
  const struct place *place;
  const struct read_call *read;
  int absent; /* what read_items says of the last call */
};

static json_t *ask_for(json_t *ids, void *argument, struct error *error) {
  struct asker *asker = argument;
  struct view view;
  place_view(&view, asker->place, NULL, NULL);
  view_add(&view, "ids", ids);
  json_t *items = read_in(asker->reader, asker->place, asker->read, asker->read->with_ids, view_scope(&view),
                          &asker->absent, error);
  view_close(&view);
  return items;
}

/* Pointers are names here: of what outlives the question, since whoever asks it holds them. */
static json_t *name_of(const void *thing) { return json_integer((json_int_t)(intptr_t)thing); }

/* All that decides what a call asks, with whose credentials and out of which lane's budget, but for the ids.  (An
 * event's read does not wait for what is left to sweeps.)  Caller frees; NULL: it cannot be told. */
static char *question_text(const struct reader *reader, const struct place *place, const struct read_call *read) {
  static const struct aws_role nobody;
  const struct aws_role *role = reader->role ? reader->role : &nobody;
  struct view view;
  json_t *none = json_array();
  place_view(&view, place, NULL, NULL);
  view_add(&view, "ids", none);
  json_t *params = template_render(read->with_ids, view_scope(&view), NULL);
  view_close(&view);
  json_decref(none);
  json_t *question = !params ? NULL
                             : json_pack("[i, o, o, o, s?, s?, s?, s?, s?, s?, o, o, s?]", (int)pool_lane(), params,
                                         name_of(read), name_of(reader->client), place->account, place->region,
                                         role->name, role->external_id, role->session_name, role->source_identity,
                                         name_of(role->policies), name_of(role->tags), role->session_policy);
  char *text = question ? json_text(question) : NULL;
  json_decref(question);
  return text;
}

/* by: an item of the read → whose it is. */
static json_t *read_together(const struct reader *reader, const struct place *place, const struct read_call *read,
                             const struct jmes *by, json_t *id, int *absent, struct error *error) {
  struct asker asker = {.reader = reader, .place = place, .read = read};
  char *question = question_text(reader, place, read);
  struct gathered gathered = {
      .question = question, .limit = read->together, .by = by, .ask = ask_for, .argument = &asker};
  json_t *items, *alone = question ? NULL : json_pack("[O]", id);
  if (question)
    items = gather_items(reader->gather, &gathered, json_string_value(id), error);
  else
    items = ask_for(alone, &asker, error);
  *absent = asker.absent;
  json_decref(alone);
  free(question);
  return items;
}

static int may_be_together(const struct reader *reader, const struct read_call *read) {
  return read->together && reader->gather && reader->deadline_ms == 0;
}

static int depends_on_each_alone(const char *items) {
  while ((items = strchr(items, '$')))
    if (strncmp(items++, "$each", 5) != 0) return 0;
  return 1;
}

/* The same question gets the same answer while a list, or one resource, is read: what many resources share (a role's
 * policies, a VPC's routes) is read once for them all. */
static json_t *read_once(const struct reader *reader, const struct place *place, const struct read_call *read,
                         const struct jmes_scope *scope, int *absent, struct error *error) {
  json_t *params = read->with ? template_render(read->with, scope, error) : json_object();
  json_t *question = params ? json_pack("[s, s, O, O]", read->operation, read->items_name, params, scope->value) : NULL;
  char *key = question && depends_on_each_alone(read->items_name) ? json_text(question) : NULL;
  json_t *items = key ? json_incref(json_object_get(reader->answers, key)) : NULL;
  *absent = 0;
  if (params && !items) {
    items = read_items(reader, place, read, params, scope, absent, error);
    if (items && key) json_object_set(reader->answers, key, items);
  }
  free(key);
  json_decref(question);
  json_decref(params);
  return items;
}

/* One read an element of `each`, all into one array. */
static json_t *read_each(const struct reader *reader, const struct place *place, const struct context *context,
                         const struct jmes_scope *scope, struct error *error) {
  json_t *elements = jmes_search(context->each, NULL, scope, error), *all = elements ? json_array() : NULL, *element;
  size_t index;
  json_array_foreach(elements, index, element) {
    struct jmes_scope frame = {.name = "each", .value = element, .outer = scope};
    int absent;
    json_t *items = read_once(reader, place, &context->read, &frame, &absent, error);
    if (items) json_array_extend(all, items);
    json_decref(items);
    if (items || absent) continue;
    json_decref(all);
    all = NULL;
    break;
  }
  json_decref(elements);
  return all;
}

/* What a context holds for one resource; new array, or NULL with *error. */
static json_t *read_context(const struct reader *reader, const struct place *place, const struct live *live,
                            const struct context *context, struct error *error) {
  struct view view;
  int absent = 0;
  if (may_be_together(reader, &context->read)) {
    json_t *own = read_together(reader, place, &context->read, context->by, live->id, &absent, error);
    return own || !absent ? own : json_array();
  }
  place_view(&view, place, live->id, live);
  json_t *items = context->each
                      ? read_each(reader, place, context, view_scope(&view), error)
                      : read_in(reader, place, &context->read, context->read.with, view_scope(&view), &absent, error);
  view_close(&view);
  return items || !absent ? items : json_array();
}

static json_t *item_with_id(const struct resource *resource, json_t *items, const char *id) {
  size_t index;
  json_t *item;
  if (resource->parent && strrchr(id, '/')) id = strrchr(id, '/') + 1;
  json_array_foreach(items, index, item) {
    json_t *own = jmes_search(resource->id, item, NULL, NULL);
    int same = json_is_string(own) && strcmp(json_string_value(own), id) == 0;
    json_decref(own);
    if (same) return item;
  }
  return NULL;
}

static void mark_unread(struct live *live, size_t context, const struct error *why) {
  if (!(live->unread[context] = malloc(sizeof *why))) abort();
  *live->unread[context] = *why;
}

const struct error *live_unread(const struct live *live, const struct guardrail *guardrail) {
  unsigned char used[64] = {0};
  if (guardrail) guardrail_wants(guardrail, used);
  for (size_t i = 0; live->unread && i < live->resource->context_count; i++)
    if (live->unread[i] && (!guardrail || used[i])) return live->unread[i];
  return NULL;
}

/* One that cannot be read is marked, and the others are read all the same.  (What is built on it cannot be read either,
 * for want of its variable; who uses that uses both, and the first one tells why.) */
static void get_contexts(const struct reader *reader, const struct place *place, struct live *live,
                         const unsigned char *wanted) {
  for (size_t i = 0; i < live->resource->context_count; i++) {
    struct error why = {0};
    if (!wanted[i] || live->contexts[i] || live->unread[i]) continue;
    live->contexts[i] = read_context(reader, place, live, &live->resource->contexts[i], &why);
    if (!live->contexts[i]) mark_unread(live, i, &why);
  }
}

/* The parent of a nested resource; as live_get. */
static struct live *get_parent(const struct reader *reader, const struct place *place, const struct resource *resource,
                               const char *id, int *found, struct error *error) {
  static const unsigned char nothing[64] = {0};
  const char *slash = strrchr(id, '/');
  char *parent = slash ? strndup(id, (size_t)(slash - id)) : strdup("");
  struct live *live = parent ? live_get(reader, place, resource->parent, parent, nothing, found, error) : NULL;
  free(parent);
  return live;
}

/* What `get` gives for the id; *absent as read_items. */
static json_t *get_items(const struct reader *reader, const struct place *place, const struct resource *resource,
                         json_t *id, const struct live *parent, int *absent, struct error *error) {
  if (may_be_together(reader, &resource->get))
    return read_together(reader, place, &resource->get, resource->id, id, absent, error);
  return read_with(reader, place, &resource->get, id, parent, absent, error);
}

struct live *live_get(const struct reader *reader, const struct place *place, const struct resource *resource,
                      const char *id, const unsigned char *wanted, int *found, struct error *error) {
  int absent;
  struct live *live = NULL, *parent = NULL;
  struct reader once = *reader;
  *found = -1;
  if (resource->parent && !(parent = get_parent(reader, place, resource, id, found, error))) return NULL;
  json_t *id_value = json_string(id);
  once.answers = json_object();
  json_t *items = id_value ? get_items(reader, place, resource, id_value, parent, &absent, error) : NULL;
  json_t *item = items ? item_with_id(resource, items, id) : NULL;
  *found = id_value && (items || absent) ? 0 : -1;
  if (item) {
    live = live_new(place, resource, item, parent, error);
    if (live) get_contexts(&once, place, live, wanted);
    *found = live ? 1 : -1;
  }
  live_free(parent);
  json_decref(once.answers);
  json_decref(items);
  json_decref(id_value);
  return live;
}

/* ---- sweeps: a context listed once, its items by the resource's id ---- */
struct listing { /* a sweep of one kind of resource */
  const struct reader *reader;
  const struct place *place;
  const struct resource *resource;
  const unsigned char *wanted;
  int (*each)(struct live *live, void *argument);
  void *argument;
  struct error *error;
  struct joined **tables; /* contexts joined by their key … */
  json_t **shared;        /* … and those of the place, by index */
  struct error *unread;   /* by index: why it is no use to read the context any more; class NONE: it is */
  int joined;             /* the tables are there */
  int result, ended;      /* ended: somebody said enough, or nothing more can be read */
};

static void list_context(struct listing *listing, size_t i) {
  const struct context *context = &listing->resource->contexts[i];
  struct view view;
  int absent;
  place_view(&view, listing->place, NULL, NULL);
  json_t *items = read_items(listing->reader, listing->place, &context->read, NULL, view_scope(&view), &absent,
                             &listing->unread[i]);
  view_close(&view);
  if (items) joined_add(&listing->tables[i], context->by, items, &listing->unread[i]);
  json_decref(items);
}

static void list_contexts(struct listing *listing) {
  for (size_t i = 0; i < listing->resource->context_count; i++)
    if (listing->wanted[i] && listing->resource->contexts[i].by) list_context(listing, i);
}

/* Reading it for the next resource would end the same way, and cost as much.  What one resource denies another may not.
 */
static int fails_for_all(const struct context *context, const struct error *why) {
  return context->per_place ||
         (why->class != ERROR_DENIED && why->class != ERROR_MISSING && why->class != ERROR_INVALID);
}

/* The contexts of one listed resource: joined ones from their tables, those of the place from the resource that was
 * first to read them, the others by reads of its own. */
static void sweep_contexts(struct listing *listing, struct live *live) {
  const struct resource *resource = live->resource;
  for (size_t i = 0; i < resource->context_count; i++) {
    if (listing->unread[i].class != ERROR_NONE)
      mark_unread(live, i, &listing->unread[i]);
    else if (listing->wanted[i] && resource->contexts[i].by)
      live->contexts[i] = joined_items(listing->tables[i], json_string_value(live->id));
    else if (resource->contexts[i].per_place)
      live->contexts[i] = json_incref(listing->shared[i]);
  }
  get_contexts(listing->reader, listing->place, live, listing->wanted);
  for (size_t i = 0; i < resource->context_count; i++) {
    const struct context *context = &resource->contexts[i];
    if (context->per_place && !listing->shared[i]) listing->shared[i] = json_incref(live->contexts[i]);
    if (live->unread[i] && fails_for_all(context, live->unread[i])) listing->unread[i] = *live->unread[i];
  }
}

/* Gives the items of one list; parent NULL: there is but one list. */
static void give(struct listing *listing, json_t *items, const struct live *parent) {
  size_t index;
  json_t *item;
  if (json_array_size(items) > 0 && !listing->joined++) list_contexts(listing);
  json_array_foreach(items, index, item) {
    if (listing->ended) return;
    struct live *live = live_new(listing->place, listing->resource, item, parent, listing->error);
    if (!live) {
      listing->result = -1;
      listing->ended = 1;
      return;
    }
    sweep_contexts(listing, live);
    const struct error *unread = live_unread(live, NULL);
    if (unread && listing->result == 0 && listing->error) *listing->error = *unread;
    if (unread && listing->result == 0) listing->result = 1;
    listing->ended = listing->each(live, listing->argument) != 0;
  }
}

/* Lists what is nested in one parent.  A parent that went meanwhile has nothing in it. */
static int list_within(struct live *parent, void *argument) {
  struct listing *listing = argument;
  struct error problem = {0};
  int absent;
  json_t *items = read_with(listing->reader, listing->place, &listing->resource->list, NULL, parent, &absent, &problem);
  if (items) {
    give(listing, items, parent);
  } else if (!absent && problem.class != ERROR_MISSING) {
    listing->result = -1;
    listing->ended = 1;
    if (listing->error) *listing->error = problem;
  }
  json_decref(items);
  live_free(parent);
  return listing->ended;
}

static void list_flat(struct listing *listing) {
  int absent;
  json_t *items =
      read_with(listing->reader, listing->place, &listing->resource->list, NULL, NULL, &absent, listing->error);
  if (items)
    give(listing, items, NULL);
  else if (!absent)
    listing->result = -1;
  json_decref(items);
}

int live_list(const struct reader *reader, const struct place *place, const struct resource *resource,
              const unsigned char *wanted, int (*each)(struct live *live, void *argument), void *argument,
              struct error *error) {
  static const unsigned char nothing[64] = {0};
  struct reader once = *reader;
  struct listing listing = {.reader = &once,
                            .place = place,
                            .resource = resource,
                            .wanted = wanted,
                            .each = each,
                            .argument = argument,
                            .error = error,
                            .tables = calloc(resource->context_count + 1, sizeof(struct joined *)),
                            .shared = calloc(resource->context_count + 1, sizeof(json_t *)),
                            .unread = calloc(resource->context_count + 1, sizeof(struct error))};
  once.answers = json_object();
  if (!listing.tables || !listing.shared || !listing.unread ||
      (resource->parent && live_list(reader, place, resource->parent, nothing, list_within, &listing, error) != 0))
    listing.result = -1;
  else if (!resource->parent)
    list_flat(&listing);
  for (size_t i = 0; listing.tables && i < resource->context_count; i++) joined_free(listing.tables[i]);
  for (size_t i = 0; listing.shared && i < resource->context_count; i++) json_decref(listing.shared[i]);
  json_decref(once.answers);
  free(listing.tables);
  free(listing.shared);
  free(listing.unread);
  return listing.result;
}
