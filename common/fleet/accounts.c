#include "fleet/accounts.h"

#include <stdlib.h>
#include <string.h>

#include "json/yaml.h"
#include "uthash.h"

struct entry {
  struct account account;
  UT_hash_handle hh;
};

struct accounts {
  struct entry *by_id;
  const struct account **list;
  size_t count;
  json_t *ids;
  char *role, *external_id;
};

static int is_account_id(const char *text) { return strlen(text) == 12 && strspn(text, "0123456789") == 12; }

static char *copy_text(const json_t *object, const char *key) { return strdup(json_text_at(object, key, NULL)); }

static int add_account(struct accounts *accounts, const json_t *object, json_t *default_regions, struct error *error) {
  const char *id = json_text_at(object, "id", NULL);
  if (!is_account_id(id)) return error_set(error, ERROR_INVALID, "Accounts", "\"id\" must be 12 digits, in quotes");
  if (accounts_find(accounts, id)) return error_set(error, ERROR_INVALID, "Accounts", "account %s is listed twice", id);
  json_t *regions = json_object_get(object, "regions");
  if (!regions) regions = default_regions;
  if (!json_is_array(regions) || json_array_size(regions) == 0)
    return error_set(error, ERROR_INVALID, "Accounts", "account %s has no \"regions\", and there is no default list",
                     id);
  struct entry *entry = calloc(1, sizeof *entry);
  if (!entry) return error_set(error, ERROR_FATAL, "Memory", "out of memory");
  memcpy(entry->account.id, id, 12);
  entry->account.name = copy_text(object, "name");
  entry->account.environment = copy_text(object, "environment");
  entry->account.unit = copy_text(object, "unit");
  entry->account.regions = json_incref(regions);
  HASH_ADD_STR(accounts->by_id, account.id, entry);
  accounts->list[accounts->count++] = &entry->account;
  json_array_append_new(accounts->ids, json_string(id));
  return 0;
}

static int load_entries(struct accounts *accounts, const json_t *document, const struct yaml_lines *lines,
                        const char *path, struct error *error) {
  const json_t *list = json_object_get(document, "accounts");
  if (!json_is_array(list)) return error_set(error, ERROR_INVALID, "Accounts", "%s: \"accounts\" must be a list", path);
  accounts->list = calloc(json_array_size(list) + 1, sizeof *accounts->list);
  accounts->ids = json_array();
  if (!accounts->list || !accounts->ids) return error_set(error, ERROR_FATAL, "Memory", "out of memory");
  for (size_t i = 0; i < json_array_size(list); i++) {
    if (add_account(accounts, json_array_get(list, i), json_object_get(document, "regions"), error) == 0) continue;
    char pointer[64];
    snprintf(pointer, sizeof pointer, "/accounts/%zu", i);
    return error_where(error, "%s:%d", path, yaml_line(lines, pointer));
  }
  accounts->role = copy_text(document, "role");
  const char *external_id = json_text_at(document, "external_id", NULL);
  accounts->external_id = *external_id ? strdup(external_id) : NULL;
  return 0;
}

struct accounts *accounts_load(const char *path, struct error *error) {
  struct yaml_lines *lines = NULL;
  json_t *document = yaml_load(path, &lines, error);
  struct accounts *accounts = document ? calloc(1, sizeof *accounts) : NULL;
  if (accounts && load_entries(accounts, document, lines, path, error) != 0) {
    accounts_free(accounts);
    accounts = NULL;
  }
  yaml_lines_free(lines);
  json_decref(document);
  return accounts;
}

void accounts_free(struct accounts *accounts) {
  if (!accounts) return;
  HASH_CLEAR(hh, accounts->by_id);
  for (size_t i = 0; i < accounts->count; i++) {
    struct entry *entry = (struct entry *)accounts->list[i]; /* its first member */
    free(entry->account.name);
    free(entry->account.environment);
    free(entry->account.unit);
    json_decref(entry->account.regions);
    free(entry);
  }
  free(accounts->list);
  json_decref(accounts->ids);
  free(accounts->role);
  free(accounts->external_id);
  free(accounts);
}

const struct account *accounts_find(const struct accounts *accounts, const char *id) {
  struct entry *entry;
  HASH_FIND_STR(accounts->by_id, id, entry);
  return entry ? &entry->account : NULL;
}

json_t *accounts_ids(const struct accounts *accounts) { return accounts->ids; }
size_t accounts_count(const struct accounts *accounts) { return accounts->count; }
const struct account *accounts_at(const struct accounts *accounts, size_t index) { return accounts->list[index]; }
const char *accounts_role(const struct accounts *accounts) { return accounts->role; }
const char *accounts_external_id(const struct accounts *accounts) { return accounts->external_id; }
