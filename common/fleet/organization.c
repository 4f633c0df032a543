#include "fleet/organization.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/glob.h"

enum { TAGS_AT_ONCE = 500, UNITS_LIMIT = 10000, UNIT_SIZE = 1024 };
#define DEFAULT_REFRESH "10m"

/* ---- what the file says ---- */
static const struct {
  const char *name;
  json_type type;
} keys[] = {{"account", JSON_STRING}, {"role", JSON_STRING},    {"external_id", JSON_STRING},
            {"region", JSON_STRING},  {"refresh", JSON_STRING}, {"environment", JSON_STRING},
            {"units", JSON_OBJECT},   {"default", JSON_STRING}, {"include", JSON_ARRAY},
            {"exclude", JSON_ARRAY}};
enum { KEYS = sizeof keys / sizeof *keys };

static int all_texts(const json_t *value) {
  const char *key;
  json_t *member;
  json_object_foreach((json_t *)value, key, member) if (!json_is_string(member)) return 0;
  for (size_t i = 0; i < json_array_size(value); i++)
    if (!json_is_string(json_array_get(value, i))) return 0;
  return 1;
}

static int check_key(const char *key, const json_t *value, struct error *error) {
  static const char *const words[] = {
      [JSON_STRING] = "a text (quote it)", [JSON_OBJECT] = "a mapping of texts", [JSON_ARRAY] = "a list of texts"};
  const char *names[KEYS + 1] = {0};
  for (size_t i = 0; i < KEYS; i++) {
    names[i] = keys[i].name;
    if (strcmp(keys[i].name, key) != 0) continue;
    if (json_typeof(value) == keys[i].type && all_texts(value)) return 0;
    return error_set(error, ERROR_INVALID, "Accounts", "organization: \"%s\" must be %s", key, words[keys[i].type]);
  }
  const char *nearest = config_nearest(key, names);
  return error_set(error, ERROR_INVALID, "Accounts", "organization: unknown key \"%s\"%s%s%s", key,
                   nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
}

int organization_check(const json_t *settings, const char **key, struct error *error) {
  json_t *value;
  int64_t refresh;
  *key = "";
  if (!json_is_object(settings)) return error_set(error, ERROR_INVALID, "Accounts", "\"organization\" is no mapping");
  json_object_foreach((json_t *)settings, *key, value) if (check_key(*key, value, error) != 0) return -1;
  const char *account = json_text_at(settings, *key = "account", NULL);
  if (strlen(account) != 12 || strspn(account, "0123456789") != 12)
    return error_set(error, ERROR_INVALID, "Accounts",
                     "organization: \"account\" must be the 12 digits, in quotes, of the management account or of a "
                     "delegated administrator");
  *key = "refresh";
  if (json_object_get(settings, *key) && (clock_parse_duration(json_text_at(settings, *key, NULL), &refresh) != 0 ||
                                          refresh < 1000 || refresh > (int64_t)86400000))
    return error_set(error, ERROR_INVALID, "Accounts", "organization: \"refresh\" must be a duration from 1s to 24h");
  return 0;
}

static const char *text_or(const json_t *settings, const char *key, const char *otherwise) {
  const char *text = json_text_at(settings, key, NULL);
  return *text ? text : otherwise;
}

int64_t organization_refresh_ms(const json_t *settings) {
  int64_t milliseconds = 0;
  clock_parse_duration(text_or(settings, "refresh", DEFAULT_REFRESH), &milliseconds);
  return milliseconds;
}

/* Cuts the last name off a path; 0 when there is none. */
static int go_up(char *path) {
  char *slash = strrchr(path, '/');
  if (!*path) return 0;
  *(slash ? slash : path) = '\0';
  return *path != '\0';
}

int unit_matches(const char *glob, const char *unit) {
  char path[UNIT_SIZE];
  snprintf(path, sizeof path, "%s", unit);
  do
    if (glob_matches(glob, path)) return 1;
  while (go_up(path));
  return 0;
}

const char *organization_environment(const json_t *settings, const char *unit, const json_t *tags) {
  const char *tag = json_text_at(settings, "environment", NULL), *said = json_text_at(tags, tag, NULL), *glob;
  char path[UNIT_SIZE];
  json_t *environment;
  if (*tag && *said) return said;
  snprintf(path, sizeof path, "%s", unit);
  do {
    json_object_foreach(json_object_get(settings, "units"), glob,
                        environment) if (glob_matches(glob, path)) return json_string_value(environment);
  } while (go_up(path));
  return json_text_at(settings, "default", NULL);
}

static int is_listed(const json_t *list, const char *id, const char *unit) {
  for (size_t i = 0; i < json_array_size(list); i++) {
    const char *glob = json_string_value(json_array_get(list, i));
    if (glob_matches(glob, id) || unit_matches(glob, unit)) return 1;
  }
  return 0;
}

int organization_includes(const json_t *settings, const char *id, const char *unit) {
  const json_t *include = json_object_get(settings, "include");
  return (!include || is_listed(include, id, unit)) && !is_listed(json_object_get(settings, "exclude"), id, unit);
}

/* ---- what AWS says ---- */
struct listing {
  struct aws_client *client;
  struct aws_target target;
  const struct organization_patience *patience;
  json_t *members; /* what is to be */
  json_t *units;   /* array of {id, path}: the root and all units, in the order in which they are walked */
  struct error *error;
};

typedef int take_item(struct listing *listing, const json_t *item, const char *subject);

struct reading { /* one operation, page by page */
  struct listing *listing;
  const char *items, *subject;
  take_item *take;
  int failed;
};

static int on_page(json_t *page, void *argument) {
  struct reading *reading = argument;
  const struct organization_patience *patience = reading->listing->patience;
  size_t index;
  json_t *item;
  json_array_foreach(json_object_get(page, reading->items), index,
                     item) if (reading->take(reading->listing, item, reading->subject) != 0) return reading->failed = 1;
  if (!patience || patience->go_on(patience->argument) == 0) return 0;
  error_set(reading->listing->error, ERROR_RETRYABLE, "Claim", "the listing of the organization's accounts was ended");
  return reading->failed = 1;
}

/* Reads every page of an operation with one parameter (none: NULL), and gives each item to `take`. */
static int read_all(struct listing *listing, const char *operation, const char *parameter, const char *value,
                    const char *items, take_item *take, const char *subject) {
  struct reading reading = {.listing = listing, .items = items, .subject = subject, .take = take};
  json_t *params = json_object();
  if (parameter) json_object_set_new(params, parameter, json_string(value));
  int result =
      aws_paginate(listing->client, &listing->target, operation, params, NULL, on_page, &reading, listing->error);
  json_decref(params);
  return result == 0 && !reading.failed ? 0 : -1;
}

/* AWS calls it State since 2025, and Status before. */
static int take_account(struct listing *listing, const json_t *account, const char *subject) {
  const char *status = text_or(account, "State", json_text_at(account, "Status", NULL));
  (void)subject;
  return json_object_set_new(listing->members, json_text_at(account, "Id", NULL),
                             json_pack("{s:s, s:s, s:s}", "name", json_text_at(account, "Name", NULL), "status", status,
                                       "joined", json_text_at(account, "JoinedTimestamp", NULL)));
}

static int add_unit(struct listing *listing, const json_t *unit, const char *path) {
  if (json_array_size(listing->units) >= UNITS_LIMIT || strlen(path) >= UNIT_SIZE)
    return error_set(listing->error, ERROR_INVALID, "Units", "the organization's units are too many or too deep");
  return json_array_append_new(listing->units,
                               json_pack("{s:s, s:s}", "id", json_text_at(unit, "Id", NULL), "path", path));
}

static int take_root(struct listing *listing, const json_t *root, const char *subject) {
  (void)subject;
  return add_unit(listing, root, "");
}

static int take_unit(struct listing *listing, const json_t *unit, const char *above) {
  char path[UNIT_SIZE + 256];
  snprintf(path, sizeof path, "%s%s%s", above, *above ? "/" : "", json_text_at(unit, "Name", NULL));
  return add_unit(listing, unit, path);
}

static int place_member(struct listing *listing, const json_t *account, const char *path) {
  json_t *member = json_object_get(listing->members, json_text_at(account, "Id", NULL));
  return member ? json_object_set_new(member, "unit", json_string(path)) : 0; /* it came meanwhile: the next list */
}

static int walk_units(struct listing *listing) {
  if (read_all(listing, "organizations.ListRoots", NULL, NULL, "Roots", take_root, NULL) != 0) return -1;
  for (size_t i = 0; i < json_array_size(listing->units); i++) {
    const json_t *unit = json_array_get(listing->units, i);
    const char *id = json_text_at(unit, "id", NULL), *path = json_text_at(unit, "path", NULL);
    if (read_all(listing, "organizations.ListAccountsForParent", "ParentId", id, "Accounts", place_member, path) != 0 ||
        read_all(listing, "organizations.ListOrganizationalUnitsForParent", "ParentId", id, "OrganizationalUnits",
                 take_unit, path) != 0)
      return -1;
  }
  return 0;
}

static int take_parent(struct listing *listing, const json_t *parent, const char *member) {
  size_t index;
  json_t *unit;
  json_array_foreach(listing->units, index,
                     unit) if (strcmp(json_text_at(unit, "id", NULL), json_text_at(parent, "Id", NULL)) ==
                               0) return json_object_set(json_object_get(listing->members, member), "unit",
                                                         json_object_get(unit, "path"));
  return error_set(listing->error, ERROR_RETRYABLE, "Moved", "account %s moved to a new unit meanwhile", member);
}

/* Who moved from a unit that was to be walked yet to one that had been was not met in either. */
static int find_moved(struct listing *listing) {
  const char *id;
  json_t *member;
  json_object_foreach(listing->members, id, member) if (!json_object_get(member, "unit") &&
                                                        read_all(listing, "organizations.ListParents", "ChildId", id,
                                                                 "Parents", take_parent, id) != 0) return -1;
  return 0;
}

/* ---- tags ---- */
static int take_tag(struct listing *listing, const json_t *tag, const char *member) {
  json_t *tags = json_object_get(json_object_get(listing->members, member), "tags");
  return json_object_set_new(tags, json_text_at(tag, "Key", NULL), json_string(json_text_at(tag, "Value", NULL)));
}

static int read_tags(struct listing *listing, const char *id) {
  json_t *member = json_object_get(listing->members, id);
  if (json_object_set_new(member, "tags", json_object()) != 0 ||
      json_object_set_new(member, "tagged", json_integer(clock_wall_ms())) != 0)
    return error_set(listing->error, ERROR_FATAL, "Memory", "out of memory");
  return read_all(listing, "organizations.ListTagsForResource", "ResourceId", id, "Tags", take_tag, id);
}

struct tagged {
  const char *id;
  json_int_t at; /* 0: never */
};

static int by_age(const void *left, const void *right) {
  const struct tagged *a = left, *b = right;
  return a->at != b->at ? (a->at > b->at) - (a->at < b->at) : strcmp(a->id, b->id);
}

static int tag_members(struct listing *listing, const json_t *before) {
  size_t count = 0;
  const char *id;
  json_t *member;
  struct tagged *order = calloc(json_object_size(listing->members) + 1, sizeof *order);
  if (!order) return error_set(listing->error, ERROR_FATAL, "Memory", "out of memory");
  json_object_foreach(listing->members, id, member) {
    json_t *known = json_object_get(before, id), *tags = json_object_get(known, "tags");
    if (tags) json_object_set(member, "tags", tags);
    if (tags) json_object_set(member, "tagged", json_object_get(known, "tagged"));
    order[count++] = (struct tagged){id, tags ? json_integer_value(json_object_get(known, "tagged")) : 0};
  }
  qsort(order, count, sizeof *order, by_age);
  int result = 0;
  for (size_t i = 0; i < count && result == 0; i++)
    if (i < TAGS_AT_ONCE || order[i].at == 0) result = read_tags(listing, order[i].id);
  free(order);
  return result;
}

static int list_members(struct listing *listing, const json_t *before) {
  if (read_all(listing, "organizations.ListAccounts", NULL, NULL, "Accounts", take_account, NULL) != 0) return -1;
  if (json_object_size(listing->members) == 0)
    return error_set(listing->error, ERROR_INVALID, "Empty", "AWS Organizations lists no account at all");
  if (walk_units(listing) != 0 || find_moved(listing) != 0) return -1;
  return tag_members(listing, before);
}

json_t *organization_list(struct aws_client *client, const json_t *settings, const json_t *before,
                          const struct organization_patience *patience, struct error *error) {
  struct error problem = {0};
  json_t *operations =
      json_pack("[s, s, s, s, s, s]", "organizations.ListAccounts", "organizations.ListRoots",
                "organizations.ListAccountsForParent", "organizations.ListOrganizationalUnitsForParent",
                "organizations.ListParents", "organizations.ListTagsForResource");
  struct aws_policies *policies = operations ? aws_policies_make(operations, &problem) : NULL;
  const char *external_id = json_text_at(settings, "external_id", NULL);
  struct aws_role role = {.name = json_text_at(settings, "role", NULL),
                          .external_id = *external_id ? external_id : NULL,
                          .session_name = "parapet",
                          .source_identity = "parapet",
                          .policies = policies};
  struct listing listing = {.client = client,
                            .target = {.account = json_text_at(settings, "account", NULL),
                                       .region = text_or(settings, "region", "us-east-1"),
                                       .role = *role.name ? &role : NULL},
                            .patience = patience,
                            .members = json_object(),
                            .units = json_array(),
                            .error = &problem};
  int result = policies ? list_members(&listing, before) : -1;
  if (result != 0 && problem.class == ERROR_NONE) error_set(&problem, ERROR_FATAL, "Memory", "out of memory");
  aws_policies_free(policies);
  json_decref(operations);
  json_decref(listing.units);
  if (result == 0) return listing.members;
  json_decref(listing.members);
  if (error) *error = problem;
  return NULL;
}
