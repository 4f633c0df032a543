/* A directory of playbooks becomes a bundle. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/load_internal.h"
#include "functions/functions.h"
#include "site/conflicts.h"
#include "site/params.h"

#define FILE_LIMIT 10000

static int is_playbook_file(const char *name) {
  const char *dot = strrchr(name, '.');
  return dot && name[0] != '.' && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0 || strcmp(dot, ".json") == 0);
}

/* Paths of all playbook files below `directory`, sorted, so that the hash does not depend on the file system. */
static int collect_files(const char *directory, json_t *files, int depth, struct error *error) {
  struct dirent **entries;
  int count = scandir(directory, &entries, NULL, alphasort);
  if (count < 0)
    return error_set(error, ERROR_MISSING, "Playbooks", "cannot read the playbook directory %s: %s%s", directory,
                     strerror(errno),
                     errno == ENOTDIR ? " (name the one that holds the guardrails/ and resources/)" : "");
  int result = 0;
  for (int i = 0; i < count; i++) {
    char path[4096];
    struct stat status;
    snprintf(path, sizeof path, "%s/%s", directory, entries[i]->d_name);
    if (result == 0 && entries[i]->d_name[0] != '.' && stat(path, &status) == 0) {
      if (S_ISDIR(status.st_mode) && depth < 8)
        result = collect_files(path, files, depth + 1, error);
      else if (S_ISREG(status.st_mode) && is_playbook_file(path) && json_array_size(files) < FILE_LIMIT)
        json_array_append_new(files, json_string(path));
    }
    free(entries[i]);
  }
  free(entries);
  return result;
}

static void add_resource(struct bundle *bundle, struct loader *loader, json_t *document) {
  struct resource *resource = load_resource(loader, document, bundle);
  if (!resource) return;
  if (bundle_resource(bundle, resource->name)) {
    complain(loader, "/resource", "resource \"%s\" is described twice", resource->name);
    resource_free(resource);
    return;
  }
  void *grown = realloc(bundle->resources, (bundle->resource_count + 1) * sizeof *bundle->resources);
  if (!grown) return resource_free(resource);
  bundle->resources = grown;
  bundle->resources[bundle->resource_count++] = resource;
}

static void add_guardrail(struct bundle *bundle, struct loader *loader, json_t *document) {
  struct guardrail *guardrail = load_guardrail(loader, document, bundle);
  if (!guardrail) return;
  if (bundle_guardrail(bundle, guardrail->name)) {
    complain(loader, "/guardrail", "guardrail \"%s\" is defined twice", guardrail->name);
    guardrail_free(guardrail);
    return;
  }
  void *grown = realloc(bundle->guardrails, (bundle->guardrail_count + 1) * sizeof *bundle->guardrails);
  if (!grown) return guardrail_free(guardrail);
  bundle->guardrails = grown;
  bundle->guardrails[bundle->guardrail_count++] = guardrail;
}

static void add_workflow(struct bundle *bundle, struct loader *loader, json_t *document) {
  struct workflow *workflow = load_workflow(loader, document);
  if (!workflow) return;
  if (bundle_workflow(bundle, workflow->name)) {
    complain(loader, "/workflow", "workflow \"%s\" is defined twice", workflow->name);
    workflow_free(workflow);
    return;
  }
  void *grown = realloc(bundle->workflows, (bundle->workflow_count + 1) * sizeof *bundle->workflows);
  if (!grown) return workflow_free(workflow);
  bundle->workflows = grown;
  bundle->workflows[bundle->workflow_count++] = workflow;
}

struct document {
  json_t *value;
  struct yaml_lines *lines;
  const char *file;
};

/* Reads every file once; what is no YAML is refused here. */
static struct document *read_documents(const char *directory, const json_t *files, json_t *refused) {
  struct document *documents = calloc(json_array_size(files) + 1, sizeof *documents);
  size_t prefix = strlen(directory);
  for (size_t i = 0; documents && i < json_array_size(files); i++) {
    const char *path = json_string_value(json_array_get(files, i));
    struct error error = {0};
    documents[i].file = strncmp(path, directory, prefix) == 0 && path[prefix] == '/' ? path + prefix + 1 : path;
    documents[i].value = yaml_load(path, &documents[i].lines, &error);
    if (documents[i].value) continue;
    const char *line = strrchr(error.where, ':');
    json_array_append_new(refused, json_sprintf("%s%s: %s", documents[i].file, line ? line : ":1", error.message));
  }
  return documents;
}

static void remove_guardrail(struct bundle *bundle, size_t at) {
  guardrail_free(bundle->guardrails[at]);
  memmove(&bundle->guardrails[at], &bundle->guardrails[at + 1],
          (--bundle->guardrail_count - at) * sizeof *bundle->guardrails);
}

/* A step that runs a workflow which was refused; NULL: there is none. */
static const struct step *runs_refused(const struct bundle *bundle, const struct step *steps, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (steps[i].workflow && !bundle_workflow(bundle, steps[i].workflow)) return &steps[i];
    const struct step *inner = runs_refused(bundle, steps[i].body, steps[i].body_count);
    if (inner) return inner;
  }
  return NULL;
}

static void complain_refused(struct bundle *bundle, const char *file, const char *name, const struct step *step) {
  struct loader loader = {.file = file, .refused = bundle->refused};
  complain(&loader, "", "\"%s\" is refused with the workflow \"%s\" that it runs", name, step->workflow);
}

/* What was refused when all was loaded takes with it whatever runs it. */
static void refuse_runners(struct bundle *bundle) {
  const struct step *step;
  for (size_t i = 0; i < bundle->workflow_count; i++) {
    struct workflow *workflow = bundle->workflows[i];
    if (!(step = runs_refused(bundle, workflow->steps, workflow->step_count))) continue;
    complain_refused(bundle, workflow->file, workflow->name, step);
    workflow_free(workflow);
    memmove(&bundle->workflows[i], &bundle->workflows[i + 1], (--bundle->workflow_count - i) * sizeof workflow);
    i = (size_t)-1; /* from the beginning: others may run this one */
  }
  for (size_t i = bundle->guardrail_count; i-- > 0;) {
    const struct guardrail *guardrail = bundle->guardrails[i];
    if (!(step = runs_refused(bundle, guardrail->remediate, guardrail->remediate_count))) continue;
    complain_refused(bundle, guardrail->file, guardrail->name, step);
    remove_guardrail(bundle, i);
  }
}

/* Parameters that are wrong are not left out: the guardrail would act with others than the site wants. */
static void add_params(struct bundle *bundle, struct loader *loader, json_t *document) {
  struct guardrail *guardrail;
  if (site_params_load(loader, document, bundle, &guardrail) == 0 || !guardrail) return;
  complain(loader, "/params", "guardrail \"%s\" is refused with its parameters", guardrail->name);
  for (size_t i = 0; i < bundle->guardrail_count; i++)
    if (bundle->guardrails[i] == guardrail) remove_guardrail(bundle, i);
}

static void refuse_conflicts(struct bundle *bundle) {
  unsigned char *conflicting = calloc(bundle->guardrail_count + 1, 1);
  if (conflicting && site_conflicts(bundle, conflicting) > 0)
    for (size_t i = bundle->guardrail_count; i-- > 0;)
      if (conflicting[i]) remove_guardrail(bundle, i);
  free(conflicting);
}

/* The workflows among the documents, as one block of memory linked by `next`; NULL: there are none. */
static struct library *open_library(const struct document *documents, size_t count) {
  struct library *library = calloc(count + 1, sizeof *library);
  size_t used = 0;
  for (size_t i = 0; library && i < count; i++) {
    const char *name = json_text_at(documents[i].value, "workflow", NULL);
    if (!*name) continue;
    library[used] = (struct library){name, documents[i].file, documents[i].value, documents[i].lines, NULL};
    if (used > 0) library[used - 1].next = &library[used];
    used++;
  }
  if (used > 0) return library;
  free(library);
  return NULL;
}

static void load_documents(struct bundle *bundle, struct aws_client *client, struct document *documents, size_t count) {
  static const struct {
    const char *key; /* a guardrail has "resource" and "params" as well: the last row that fits counts */
    void (*add)(struct bundle *, struct loader *, json_t *);
    int pass; /* what is named comes before what names it */
  } kinds[] = {{"params", add_params, 4},
               {"resource", add_resource, 0}, /* with a parent: 1 */
               {"guardrail", add_guardrail, 3},
               {"workflow", add_workflow, 2}};
  enum { KINDS = sizeof kinds / sizeof *kinds, PASSES = 5 };
  struct library *library = open_library(documents, count);
  for (int pass = 0; pass < PASSES; pass++)
    for (size_t i = 0; i < count; i++) {
      struct loader loader = {.file = documents[i].file,
                              .lines = documents[i].lines,
                              .refused = bundle->refused,
                              .client = client,
                              .library = library};
      int kind = KINDS - 1;
      while (kind >= 0 && !json_object_get(documents[i].value, kinds[kind].key)) kind--;
      int due =
          kind < 0 ? 0 : kinds[kind].pass + (kinds[kind].pass == 0 && json_object_get(documents[i].value, "parent"));
      if (!documents[i].value || due != pass) continue;
      if (kind >= 0)
        kinds[kind].add(bundle, &loader, documents[i].value);
      else
        complain(&loader, "",
                 "a playbook begins with \"guardrail: NAME\", \"resource: NAME\", \"workflow: NAME\" or \"params: "
                 "NAME\"");
    }
  free(library);
}

static int build_matcher(struct bundle *bundle, struct error *error) {
  size_t total = 0;
  for (size_t i = 0; i < bundle->guardrail_count; i++) total += bundle->guardrails[i]->trigger_count;
  bundle->triggers = calloc(total + 1, sizeof *bundle->triggers);
  struct match_builder *builder = match_builder_open();
  if (!bundle->triggers || !builder) return error_set(error, ERROR_FATAL, "Memory", "out of memory");
  for (size_t g = 0; g < bundle->guardrail_count; g++)
    for (size_t t = 0; t < bundle->guardrails[g]->trigger_count; t++) {
      const char *pattern = bundle->guardrails[g]->triggers[t].pattern;
      if (match_add(builder, (uint32_t)bundle->trigger_count, pattern, strlen(pattern), error) != 0) {
        match_builder_free(builder);
        return -1;
      }
      bundle->triggers[bundle->trigger_count].guardrail = (uint32_t)g;
      bundle->triggers[bundle->trigger_count++].trigger = (uint32_t)t;
    }
  bundle->matcher = match_build(builder, error);
  return bundle->matcher ? 0 : -1;
}

/* One policy (or more, where it would grow too long) for all reads: what every resource's calls need. */
static struct aws_policies *read_policies(const struct bundle *bundle, struct error *error) {
  json_t *operations = json_array();
  for (size_t i = 0; i < bundle->resource_count; i++) {
    const struct resource *resource = bundle->resources[i];
    json_array_append_new(operations, json_string(resource->list.operation));
    json_array_append_new(operations, json_string(resource->get.operation));
    for (size_t c = 0; c < resource->context_count; c++)
      json_array_append_new(operations, json_string(resource->contexts[c].read.operation));
  }
  struct aws_policies *policies = aws_policies_make(operations, error);
  json_decref(operations);
  return policies;
}

static void hash_bundle(struct bundle *bundle, const struct document *documents, size_t count) {
  json_t *all = json_array();
  for (size_t i = 0; i < count; i++)
    if (documents[i].value) json_array_append(all, documents[i].value);
  json_hash(all, bundle->hash);
  json_decref(all);
}

struct bundle *bundle_load(const char *directory, struct aws_client *client, struct error *error) {
  json_t *files = json_array();
  struct bundle *bundle = calloc(1, sizeof *bundle);
  struct document *documents = NULL;
  size_t count = 0;
  int result = -1;
  if (!files || !bundle) goto out;
  bundle->references = 1;
  bundle->refused = json_array();
  bundle->roles = json_array();
  if (collect_files(directory, files, 0, error) != 0) goto out;
  count = json_array_size(files);
  documents = read_documents(directory, files, bundle->refused);
  if (!documents) goto out;
  load_documents(bundle, client, documents, count);
  refuse_runners(bundle);
  refuse_conflicts(bundle);
  for (size_t i = 0; i < bundle->guardrail_count; i++)
    steps_roles(bundle->guardrails[i]->remediate, bundle->guardrails[i]->remediate_count, bundle->roles);
  hash_bundle(bundle, documents, count);
  bundle->read_policies = read_policies(bundle, error);
  result = bundle->read_policies ? build_matcher(bundle, error) : -1;
out:
  for (size_t i = 0; documents && i < count; i++) {
    json_decref(documents[i].value);
    yaml_lines_free(documents[i].lines);
  }
  free(documents);
  json_decref(files);
  if (result == 0) return bundle;
  bundle_drop(bundle);
  return NULL;
}

struct bundle *bundle_hold(struct bundle *bundle) {
  atomic_fetch_add_explicit(&bundle->references, 1, memory_order_relaxed);
  return bundle;
}

void bundle_drop(struct bundle *bundle) {
  if (!bundle || atomic_fetch_sub_explicit(&bundle->references, 1, memory_order_acq_rel) != 1) return;
  for (size_t i = 0; i < bundle->guardrail_count; i++) guardrail_free(bundle->guardrails[i]);
  for (size_t i = 0; i < bundle->resource_count; i++) resource_free(bundle->resources[i]);
  for (size_t i = 0; i < bundle->workflow_count; i++) workflow_free(bundle->workflows[i]);
  free(bundle->workflows);
  json_decref(bundle->roles);
  free(bundle->guardrails);
  free(bundle->resources);
  free(bundle->triggers);
  aws_policies_free(bundle->read_policies);
  match_set_free(bundle->matcher);
  json_decref(bundle->refused);
  free(bundle);
}

const struct guardrail *bundle_guardrail(const struct bundle *bundle, const char *name) {
  for (size_t i = 0; i < bundle->guardrail_count; i++)
    if (strcmp(bundle->guardrails[i]->name, name) == 0) return bundle->guardrails[i];
  return NULL;
}

const struct workflow *bundle_workflow(const struct bundle *bundle, const char *name) {
  for (size_t i = 0; i < bundle->workflow_count; i++)
    if (strcmp(bundle->workflows[i]->name, name) == 0) return bundle->workflows[i];
  return NULL;
}

const struct resource *bundle_resource(const struct bundle *bundle, const char *name) {
  for (size_t i = 0; i < bundle->resource_count; i++)
    if (strcmp(bundle->resources[i]->name, name) == 0) return bundle->resources[i];
  return NULL;
}

enum mode guardrail_mode(const struct guardrail *guardrail, const char *environment) {
  for (size_t i = 0; environment && i < guardrail->mode_count; i++)
    if (strcmp(guardrail->modes[i].environment, environment) == 0) return guardrail->modes[i].mode;
  return guardrail->default_mode;
}
