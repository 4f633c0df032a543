#include "fleet/accounts.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "fleet/organization.h"
#include "json/yaml.h"
#include "uthash.h"

struct entry {
  struct account account;
  UT_hash_handle hh;
};

struct accounts {
  atomic_int references;
  json_t *file;    /* the file's document; checked */
  json_t *members; /* of the organization; NULL: not known */
  json_t *ours, *ids;
  struct entry *by_id;
  const struct account **list;
  size_t count;
};

/* ---- the file ---- */
static int is_account_id(const char *text) { return strlen(text) == 12 && strspn(text, "0123456789") == 12; }

static int check_account(const json_t *object, const json_t *document, const json_t *seen, struct error *error) {
  const char *id = json_text_at(object, "id", NULL);
  const json_t *regions = json_object_get(object, "regions"), *tags = json_object_get(object, "tags");
  if (!is_account_id(id)) return error_set(error, ERROR_INVALID, "Accounts", "\"id\" must be 12 digits, in quotes");
  if (json_object_get(seen, id)) return error_set(error, ERROR_INVALID, "Accounts", "account %s is listed twice", id);
  if (!regions) regions = json_object_get(document, "regions");
  if (!json_is_array(regions) || json_array_size(regions) == 0)
    return error_set(error, ERROR_INVALID, "Accounts", "account %s has no \"regions\", and there is no default list",
                     id);
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)tags, key, value) if (!json_is_string(value)) return error_set(
      error, ERROR_INVALID, "Accounts", "account %s: the tag \"%s\" must be a text (quote it)", id, key);
  return 0;
}

/* *pointer: where the mistake is. */
static int check_accounts(const json_t *document, char *pointer, size_t size, struct error *error) {
  json_t *seen = json_object();
  const json_t *list = json_object_get(document, "accounts");
  int result = 0;
  for (size_t i = 0; i < json_array_size(list) && result == 0; i++) {
    const json_t *object = json_array_get(list, i);
    snprintf(pointer, size, "/accounts/%zu", i);
    result = check_account(object, document, seen, error);
    if (result == 0) json_object_set_new(seen, json_text_at(object, "id", NULL), json_true());
  }
  json_decref(seen);
  return result;
}

static int check_document(const json_t *document, char *pointer, size_t size, struct error *error) {
  const json_t *list = json_object_get(document, "accounts"), *organization = json_object_get(document, "organization");
  const char *key;
  pointer[0] = '\0';
  if (!json_is_array(list) && (list || !organization))
    return error_set(error, ERROR_INVALID, "Accounts", "\"accounts\" must be a list");
  if (organization && organization_check(organization, &key, error) != 0) {
    snprintf(pointer, size, "/organization%s%s", *key ? "/" : "", key);
    return -1;
  }
  if (organization && json_array_size(json_object_get(document, "regions")) == 0)
    return error_set(
        error, ERROR_INVALID, "Accounts",
        "with an \"organization\" the file needs \"regions\": those in which its members are looked after");
  return check_accounts(document, pointer, size, error);
}

/* ---- entries ---- */
static const char *text_of(const json_t *said, const json_t *member, const char *key) {
  return json_object_get(said, key) ? json_text_at(said, key, NULL) : json_text_at(member, key, NULL);
}

/* `said`: what the file says of the account; `member`: what the organization does; one of them may be NULL.  Texts and
 * values live as long as the file and the members do. */
static int add_account(struct accounts *accounts, const char *id, const json_t *said, const json_t *member) {
  const json_t *settings = accounts_organization(accounts);
  struct entry *entry = calloc(1, sizeof *entry);
  json_t *tags = json_object_get(json_object_get(said, "tags") ? said : member, "tags");
  json_t *regions = json_object_get(said, "regions");
  if (!entry) return -1;
  struct account *account = &entry->account;
  snprintf(account->id, sizeof account->id, "%s", id);
  account->name = text_of(said, member, "name");
  account->unit = text_of(said, member, "unit");
  account->tags = tags ? json_incref(tags) : json_object();
  account->regions = json_incref(regions ? regions : json_object_get(accounts->file, "regions"));
  account->source = member ? "organization" : "file";
  account->environment = !member || json_object_get(said, "environment")
                             ? json_text_at(said, "environment", NULL)
                             : organization_environment(settings, account->unit, account->tags);
  if (clock_parse(json_text_at(member, "joined", NULL), &account->joined_ms) != 0) account->joined_ms = 0;
  HASH_ADD_STR(accounts->by_id, account.id, entry);
  accounts->list[accounts->count++] = account;
  return 0;
}

static int is_looked_after(const struct accounts *accounts, const char *id, const json_t *member) {
  return strcmp(json_text_at(member, "status", NULL), "ACTIVE") == 0 &&
         organization_includes(accounts_organization(accounts), id, json_text_at(member, "unit", NULL));
}

static int by_id(const void *left, const void *right) {
  return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* Members that the file does not name, in the order of their ids: a list has the same order wherever it came from. */
static int add_members(struct accounts *accounts) {
  const char *id, **ids = calloc(json_object_size(accounts->members) + 1, sizeof *ids);
  size_t count = 0;
  json_t *member;
  if (!ids) return -1;
  json_object_foreach(accounts->members, id, member) if (!accounts_find(accounts, id) && is_account_id(id) &&
                                                         is_looked_after(accounts, id, member)) ids[count++] = id;
  qsort(ids, count, sizeof *ids, by_id);
  int result = 0;
  for (size_t i = 0; i < count && result == 0; i++)
    result = add_account(accounts, ids[i], NULL, json_object_get(accounts->members, ids[i]));
  free(ids);
  return result;
}

/* Suspended members and those nobody looks after are no strangers either. */
static int add_ours(struct accounts *accounts) {
  const char *id;
  json_t *member;
  if (!accounts_are_known(accounts)) return 0;
  if (!(accounts->ours = json_object())) return -1;
  json_object_foreach(accounts->members, id, member) json_object_set_new(
      accounts->ours, id,
      json_pack("{s:s, s:s, s:s}", "name", json_text_at(member, "name", NULL), "unit",
                json_text_at(member, "unit", NULL), "environment",
                organization_environment(accounts_organization(accounts), json_text_at(member, "unit", NULL),
                                         json_object_get(member, "tags"))));
  for (size_t i = 0; i < accounts->count; i++) {
    const struct account *account = accounts->list[i];
    json_object_set_new(accounts->ours, account->id,
                        json_pack("{s:s, s:s, s:s}", "name", account->name, "unit", account->unit, "environment",
                                  account->environment));
  }
  if (!(accounts->ids = json_array())) return -1;
  json_object_foreach(accounts->ours, id, member) json_array_append_new(accounts->ids, json_string(id));
  return 0;
}

/* Of the file (taken) and the members (borrowed; NULL: not known); NULL when memory ran out. */
static struct accounts *build(json_t *file, json_t *members) {
  const json_t *list = json_object_get(file, "accounts");
  struct accounts *accounts = calloc(1, sizeof *accounts);
  if (!accounts) {
    json_decref(file);
    return NULL;
  }
  accounts->references = 1;
  accounts->file = file;
  accounts->members = json_incref(members);
  accounts->list = calloc(json_array_size(list) + json_object_size(members) + 1, sizeof *accounts->list);
  int result = accounts->list ? 0 : -1;
  for (size_t i = 0; i < json_array_size(list) && result == 0; i++) {
    const json_t *said = json_array_get(list, i);
    const char *id = json_text_at(said, "id", NULL);
    result = add_account(accounts, id, said, json_object_get(members, id));
  }
  if (result == 0 && members) result = add_members(accounts);
  if (result == 0) result = add_ours(accounts);
  if (result == 0) return accounts;
  accounts_drop(accounts);
  return NULL;
}

struct accounts *accounts_load(const char *path, struct error *error) {
  struct yaml_lines *lines = NULL;
  char pointer[300];
  json_t *document = yaml_load(path, &lines, error);
  struct accounts *accounts = NULL;
  if (document && check_document(document, pointer, sizeof pointer, error) != 0) {
    error_where(error, "%s:%d", path, yaml_line(lines, pointer));
    json_decref(document);
  } else if (document && !(accounts = build(document, NULL))) {
    error_set(error, ERROR_FATAL, "Memory", "out of memory");
  }
  yaml_lines_free(lines);
  return accounts;
}

struct accounts *accounts_with(const struct accounts *file, json_t *members) {
  return build(json_incref(file->file), members);
}

struct accounts *accounts_hold(struct accounts *accounts) {
  atomic_fetch_add_explicit(&accounts->references, 1, memory_order_relaxed);
  return accounts;
}

void accounts_drop(struct accounts *accounts) {
  if (!accounts || atomic_fetch_sub_explicit(&accounts->references, 1, memory_order_acq_rel) != 1) return;
  HASH_CLEAR(hh, accounts->by_id);
  for (size_t i = 0; i < accounts->count; i++) {
    struct entry *entry = (struct entry *)accounts->list[i]; /* its first member */
    json_decref(entry->account.tags);
    json_decref(entry->account.regions);
    free(entry);
  }
  free(accounts->list);
  json_decref(accounts->ours);
  json_decref(accounts->ids);
  json_decref(accounts->members);
  json_decref(accounts->file);
  free(accounts);
}

/* ---- questions ---- */
int accounts_are_known(const struct accounts *accounts) {
  return accounts->members || !accounts_organization(accounts);
}

const struct account *accounts_find(const struct accounts *accounts, const char *id) {
  struct entry *entry;
  HASH_FIND_STR(accounts->by_id, id, entry);
  return entry ? &entry->account : NULL;
}

json_t *accounts_ids(const struct accounts *accounts) { return accounts->ids; }
size_t accounts_count(const struct accounts *accounts) { return accounts->count; }
const struct account *accounts_at(const struct accounts *accounts, size_t index) { return accounts->list[index]; }
const char *accounts_role(const struct accounts *accounts) { return json_text_at(accounts->file, "role", NULL); }
json_t *accounts_ours(const struct accounts *accounts) { return accounts->ours; }

const char *accounts_external_id(const struct accounts *accounts) {
  const char *id = json_text_at(accounts->file, "external_id", NULL);
  return *id ? id : NULL;
}

const json_t *accounts_organization(const struct accounts *accounts) {
  return json_object_get(accounts->file, "organization");
}
