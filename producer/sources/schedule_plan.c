#include "schedule_plan.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "json/yaml.h"

enum { GUARDRAILS = 10000 };
#define HUB_REGION "us-east-1"

/* ---- files ---- */
static int is_playbook(const struct dirent *entry) {
  const char *dot = strrchr(entry->d_name, '.');
  return entry->d_name[0] != '.' && dot &&
         (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0 || strcmp(dot, ".json") == 0);
}

/* Calls `each` with every playbook's path in a folder, in the order of names. */
static void each_file(const char *folder, const char *below, void (*each)(const char *path, void *argument),
                      void *argument) {
  char directory[4096], path[4400];
  struct dirent **entries = NULL;
  snprintf(directory, sizeof directory, "%s/%s", folder, below);
  int count = scandir(directory, &entries, is_playbook, alphasort);
  for (int i = 0; i < count; i++) {
    snprintf(path, sizeof path, "%s/%s", directory, entries[i]->d_name);
    each(path, argument);
    free(entries[i]);
  }
  free(entries);
}

static void mix(uint64_t *hash, const void *bytes, size_t length) { /* FNV-1a */
  for (size_t i = 0; i < length; i++) *hash = (*hash ^ ((const unsigned char *)bytes)[i]) * 1099511628211ULL;
}

static void sign(const char *path, void *argument) {
  struct stat status = {0};
  if (stat(path, &status) != 0) memset(&status, 0, sizeof status);
  mix(argument, path, strlen(path));
  mix(argument, &status.st_mtim, sizeof status.st_mtim);
  mix(argument, &status.st_size, sizeof status.st_size);
}

uint64_t schedule_plan_signature(const char *playbooks) {
  uint64_t hash = 14695981039346656037ULL;
  each_file(playbooks, "guardrails", sign, &hash);
  each_file(playbooks, "resources", sign, &hash);
  return hash;
}

static json_t *load(const char *path) {
  struct error error = {0};
  json_t *document = yaml_load(path, NULL, &error);
  if (!document) log_error("a playbook cannot be read; its schedule is off", LOG_TEXT("file", path), LOG_ERROR(&error));
  return document;
}

/* ---- guardrails, resources ---- */
static int add_guardrail(struct schedule_plan *plan, const char *name, const char *resource, const struct cron *cron) {
  if (plan->count >= GUARDRAILS) return -1;
  struct plan_guardrail *more = realloc(plan->guardrails, (plan->count + 1) * sizeof *more);
  if (!more) return -1;
  plan->guardrails = more;
  struct plan_guardrail *added = &more[plan->count];
  *added = (struct plan_guardrail){.name = strdup(name), .resource = strdup(resource), .cron = *cron, .next_ms = -1};
  plan->count++;
  return added->name && added->resource ? 0 : -1;
}

static void read_guardrail(const char *path, void *argument) {
  json_t *document = load(path);
  const char *name = json_text_at(document, "guardrail", NULL), *resource = json_text_at(document, "resource", NULL),
             *schedule = json_text_at(document, "trigger", "schedule", NULL);
  struct error error = {0};
  struct cron cron;
  if (*name && *resource && *schedule) {
    if (cron_parse(schedule, &cron, &error) != 0)
      log_error("a schedule cannot be read; it is off", LOG_TEXT("file", path), LOG_ERROR(&error));
    else if (add_guardrail(argument, name, resource, &cron) != 0)
      log_error("too many guardrails, or out of memory", LOG_TEXT("file", path));
  }
  json_decref(document);
}

static void read_resource(const char *path, void *argument) {
  struct schedule_plan *plan = argument;
  json_t *document = load(path);
  const char *resource = json_text_at(document, "resource", NULL), *scope = json_text_at(document, "scope", NULL);
  if (*resource && json_object_set_new(plan->scopes, resource, json_string(*scope ? scope : "region")) != 0)
    log_error("out of memory", LOG_TEXT("file", path));
  json_decref(document);
}

/* ---- accounts ---- */
static int add_place(json_t *places, const char *account, const char *region) {
  return json_array_append_new(places, json_pack("{s:s, s:s}", "account", account, "region", region));
}

static int read_accounts(struct schedule_plan *plan, const struct accounts *accounts, struct error *error) {
  int result = 0;
  for (size_t i = 0; i < accounts_count(accounts); i++) {
    const struct account *account = accounts_at(accounts, i);
    size_t index;
    json_t *region;
    result |= add_place(plan->hubs, account->id, HUB_REGION);
    json_array_foreach(account->regions, index, region) if (json_is_string(region)) result |=
        add_place(plan->places, account->id, json_string_value(region));
  }
  return result == 0 ? 0 : error_set(error, ERROR_FATAL, "OutOfMemory", "out of memory");
}

struct schedule_plan *schedule_plan_load(const char *playbooks, const struct accounts *accounts, struct error *error) {
  struct schedule_plan *plan = calloc(1, sizeof *plan);
  if (!plan) {
    error_set(error, ERROR_FATAL, "OutOfMemory", "out of memory");
    return NULL;
  }
  plan->places = json_array();
  plan->hubs = json_array();
  plan->scopes = json_object();
  if (read_accounts(plan, accounts, error) != 0) {
    schedule_plan_free(plan);
    return NULL;
  }
  each_file(playbooks, "resources", read_resource, plan);
  each_file(playbooks, "guardrails", read_guardrail, plan);
  return plan;
}

void schedule_plan_free(struct schedule_plan *plan) {
  if (!plan) return;
  for (size_t i = 0; i < plan->count; i++) {
    free(plan->guardrails[i].name);
    free(plan->guardrails[i].resource);
  }
  free(plan->guardrails);
  json_decref(plan->places);
  json_decref(plan->hubs);
  json_decref(plan->scopes);
  free(plan);
}

const json_t *schedule_plan_places(const struct schedule_plan *plan, const char *resource) {
  const char *scope = json_text_at(plan->scopes, resource, NULL);
  return *scope && strcmp(scope, "region") != 0 ? plan->hubs : plan->places;
}
