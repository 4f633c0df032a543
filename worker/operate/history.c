#include "operate/history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bus/topics.h"

enum { READ_MS = 120000, INDEX_LIMIT = 10000 };

/* ---- the filter ---- */
static int64_t time_of(const json_t *action) {
  int64_t time_ms = 0;
  return clock_parse(json_text_at(action, "time", NULL), &time_ms) == 0 ? time_ms : 0;
}

static int fits(const struct history_filter *filter, const json_t *action) {
  const struct {
    const char *wanted, *member;
  } rows[] = {{filter->action, "action"},
              {filter->guardrail, "guardrail"},
              {filter->account, "account"},
              {filter->region, "region"},
              {filter->resource, "resource"}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    if (rows[i].wanted && *rows[i].wanted && strcmp(rows[i].wanted, json_text_at(action, rows[i].member, NULL)) != 0)
      return 0;
  if (json_object_get(action, "undoes")) return 0;
  int64_t time_ms = time_of(action);
  return (!filter->since_ms || time_ms >= filter->since_ms) && (!filter->until_ms || time_ms <= filter->until_ms);
}

/* ---- the topic: an action is put together from its records ---- */
struct reading {
  const struct history_filter *filter;
  const char *wanted; /* one action's id, with its images; NULL: all that fit, without */
  json_t *actions;    /* id → {action: {…}, images: {…}} */
};

static json_t *entry_of(struct reading *reading, const json_t *record) {
  static const char *const members[] = {"action",      "guardrail", "version", "account", "region",
                                        "environment", "resource",  "arn",     "time"};
  const char *id = json_text_at(record, "action", NULL);
  json_t *entry = json_object_get(reading->actions, id);
  if (!entry) {
    entry = json_pack("{s:{}, s:{s:[]}}", "action", "images", "calls");
    json_object_set_new(reading->actions, id, entry);
  }
  json_t *action = json_object_get(entry, "action");
  for (size_t i = 0; i < sizeof members / sizeof *members; i++)
    if (json_object_get(record, members[i])) json_object_set(action, members[i], json_object_get(record, members[i]));
  return entry;
}

static void take_calls(json_t *entry, const json_t *calls) {
  json_t *known = json_object_get(json_object_get(entry, "images"), "calls"), *call, *other;
  size_t index, k;
  json_array_foreach(calls, index, call) {
    int there = 0;
    json_array_foreach(known, k, other) there |=
        json_equal(json_object_get(other, "run"), json_object_get(call, "run"));
    if (!there) json_array_append(known, call);
  }
}

static void take_result(struct reading *reading, const json_t *record) {
  json_t *entry = entry_of(reading, record), *action = json_object_get(entry, "action"), *call,
         *operations = json_array();
  size_t index;
  json_object_set(action, "status", json_object_get(record, "status"));
  take_calls(entry, json_object_get(record, "calls"));
  json_array_foreach(json_object_get(record, "calls"), index,
                     call) if (strcmp(json_text_at(call, "outcome", NULL), "applied") == 0)
      json_array_append(operations, json_object_get(call, "operation"));
  json_object_set_new(action, "operations", operations);
  if (!reading->wanted) json_array_clear(json_object_get(json_object_get(entry, "images"), "calls"));
}

static void take_verified(struct reading *reading, const json_t *record) {
  json_t *entry = entry_of(reading, record), *action = json_object_get(entry, "action");
  json_object_set(action, "status", json_object_get(record, "status"));
  json_object_set(action, "type", json_object_get(record, "type"));
  if (reading->wanted) json_object_set(json_object_get(entry, "images"), "after", json_object_get(record, "after"));
}

static void take_record(struct reading *reading, const json_t *record) {
  const char *kind = json_text_at(record, "kind", NULL), *undoes = json_text_at(record, "undoes", NULL);
  const char *id = *undoes ? undoes : json_text_at(record, "action", NULL);
  if (!*id || (reading->wanted && strcmp(reading->wanted, id) != 0)) return;
  if (*undoes) {
    json_t *entry = json_object_get(reading->actions, undoes);
    if (entry && strcmp(kind, "result") == 0 && strcmp(json_text_at(record, "status", NULL), "acted") == 0)
      json_object_set(json_object_get(entry, "action"), "undone", json_object_get(record, "time"));
  } else if (strcmp(kind, "result") == 0) {
    take_result(reading, record);
  } else if (strcmp(kind, "verified") == 0) {
    take_verified(reading, record);
  } else if (reading->wanted && json_object_get(record, "before")) {
    json_t *images = json_object_get(entry_of(reading, record), "images");
    if (!json_object_get(images, "before")) json_object_set(images, "before", json_object_get(record, "before"));
  }
}

static int each_record(const char *key, size_t key_length, const char *value, size_t length, void *argument) {
  (void)key, (void)key_length;
  json_t *record = value ? json_parse(value, length, NULL) : NULL;
  if (record) take_record(argument, record);
  json_decref(record);
  return 0;
}

static int read_topic(const struct bus_options *bus, struct reading *reading, struct error *error) {
  struct error problem = {0};
  reading->actions = json_object();
  if (bus_read_all(bus, BUS_TOPIC_ACTIONS, READ_MS, each_record, reading, &problem) == 0 ||
      problem.class == ERROR_MISSING)
    return 0;
  json_decref(reading->actions);
  reading->actions = NULL;
  if (error) *error = problem;
  return -1;
}

int history_action(struct state *state, const struct bus_options *bus, const char *id, json_t **action, json_t **images,
                   struct error *error) {
  *action = *images = NULL;
  if (state_action_get(state, id, action, images, error) != 0) return -1;
  if (*action && *images) return 0;
  struct reading reading = {.wanted = id};
  if (read_topic(bus, &reading, error) != 0) {
    json_decref(*action);
    *action = NULL;
    return -1;
  }
  json_t *entry = json_object_get(reading.actions, id);
  if (!*action) *action = json_incref(json_object_get(entry, "action")); /* Redis knows of its undo, too */
  *images = json_incref(json_object_get(entry, "images"));
  json_decref(reading.actions);
  if (*action && *images) return 0;
  json_decref(*action);
  json_decref(*images);
  *action = *images = NULL;
  return error_set(error, ERROR_MISSING, "Action", "no action %s: parapet actions list shows their ids", id);
}

/* ---- lists ---- */
static int later(const void *left, const void *right) {
  const json_t *const *a = left, *const *b = right;
  return -strcmp(json_text_at(*a, "time", NULL), json_text_at(*b, "time", NULL));
}

static json_t *sorted(json_t *list) {
  size_t count = json_array_size(list);
  json_t **all = calloc(count + 1, sizeof *all), *ordered = json_array();
  for (size_t i = 0; all && i < count; i++) all[i] = json_array_get(list, i);
  if (all) qsort(all, count, sizeof *all, later);
  for (size_t i = 0; all && i < count; i++) json_array_append(ordered, all[i]);
  free(all);
  json_decref(list);
  return ordered;
}

static json_t *from_topic(const struct bus_options *bus, const struct history_filter *filter, struct error *error) {
  struct reading reading = {.filter = filter};
  if (read_topic(bus, &reading, error) != 0) return NULL;
  const char *id;
  json_t *entry, *list = json_array();
  json_object_foreach(reading.actions, id, entry) json_array_append(list, json_object_get(entry, "action"));
  json_decref(reading.actions);
  return list;
}

/* The index, where it reaches back far enough and gives all that there is. */
static json_t *from_index(struct state *state, const struct history_filter *filter, int *enough, struct error *error) {
  int64_t oldest = 0, now = clock_wall_ms();
  json_t *list = NULL;
  if (state_actions(state, filter->since_ms, now + 60000, INDEX_LIMIT, &list, &oldest, error) != 0) return NULL;
  *enough = oldest > 0 && filter->since_ms > 0 && oldest <= filter->since_ms && json_array_size(list) < INDEX_LIMIT;
  return list;
}

int history_list(struct state *state, const struct bus_options *bus, const struct history_filter *filter, size_t limit,
                 json_t **list, struct error *error) {
  int enough = 0;
  size_t index;
  json_t *all = from_index(state, filter, &enough, error), *action;
  *list = NULL;
  if (!all) return -1;
  if (!enough) { /* what Redis says of an action is the newest: it goes over the topic's */
    json_t *old = from_topic(bus, filter, error), *byid = json_object();
    json_array_foreach(old, index, action) json_object_set(byid, json_text_at(action, "action", NULL), action);
    json_array_foreach(all, index, action) json_object_set(byid, json_text_at(action, "action", NULL), action);
    json_decref(all);
    all = old ? json_array() : NULL;
    const char *id;
    if (all) json_object_foreach(byid, id, action) json_array_append(all, action);
    json_decref(byid);
    json_decref(old);
  }
  if (!all) return -1;
  *list = json_array();
  all = sorted(all);
  json_array_foreach(all, index, action) if (fits(filter, action)) json_array_append(*list, action);
  json_decref(all);
  if (json_array_size(*list) <= limit) return 0;
  json_decref(*list);
  *list = NULL;
  return error_set(error, ERROR_INVALID, "TooMany", "more than %zu actions fit: choose a narrower range", limit);
}
