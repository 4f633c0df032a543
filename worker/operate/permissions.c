#include "operate/permissions.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "base/config.h"
#include "json/yaml.h"

static const char *const permission_names[] = {"approve", "except", "reset", "rollout", "stop", "run", "undo", NULL};

/* What is wrong with one entry, and where below it; NULL: nothing. */
static const char *entry_mistake(const json_t *entry, const char **where) {
  static _Thread_local char reason[256];
  const char *key, *principal = json_text_at(entry, "principal", NULL);
  const json_t *may = json_object_get(entry, "may");
  json_t *value;
  *where = "";
  if (!json_is_object(entry)) return "an entry is {principal, may}";
  json_object_foreach((json_t *)entry, key, value) if (strcmp(key, "principal") != 0 && strcmp(key, "may") != 0) {
    snprintf(reason, sizeof reason, "unknown key \"%.40s\"; an entry is {principal, may}", key);
    return reason;
  }
  *where = "/principal";
  if (strncmp(principal, "arn:", 4) != 0) return "\"principal\" is an ARN; * and ? are allowed in it";
  if (strstr(principal, ":assumed-role/"))
    return "\"principal\" names a session; name its role (arn:…:iam::…:role/NAME)";
  *where = "/may";
  if (!json_is_array(may) || json_array_size(may) == 0) return "\"may\" is a list of permissions";
  for (size_t i = 0; i < json_array_size(may); i++) {
    const char *name = json_string_value(json_array_get(may, i));
    int known = 0;
    for (const char *const *one = permission_names; name && *one; one++) known |= strcmp(*one, name) == 0;
    if (known) continue;
    const char *nearest = name ? config_nearest(name, permission_names) : NULL;
    snprintf(reason, sizeof reason,
             "no permission \"%.40s\"%s%s; there are approve, except, reset, rollout, stop, run, undo",
             name ? name : "", nearest ? ", did you mean " : "", nearest ? nearest : "");
    return reason;
  }
  return NULL;
}

static int check(const json_t *document, const struct yaml_lines *lines, const char *path, struct error *error) {
  const json_t *list = json_object_get(document, "operators");
  const char *where = "", *mistake = json_is_array(list) ? NULL : "\"operators\" must be a list";
  char pointer[64] = "/operators";
  for (size_t i = 0; !mistake && i < json_array_size(list); i++) {
    mistake = entry_mistake(json_array_get(list, i), &where);
    snprintf(pointer, sizeof pointer, "/operators/%zu%s", i, where);
  }
  if (!mistake) return 0;
  error_set(error, ERROR_INVALID, "Operators", "%s", mistake);
  return error_where(error, "%s:%d", path, yaml_line(lines, pointer));
}

json_t *permissions_load(const char *path, struct error *error) {
  struct yaml_lines *lines = NULL;
  json_t *document = yaml_load(path, &lines, error);
  if (document && check(document, lines, path, error) != 0) {
    json_decref(document);
    document = NULL;
  }
  yaml_lines_free(lines);
  return document;
}

int permissions_allow(const json_t *permissions, const char *principal, const char *permission) {
  const json_t *list = json_object_get(permissions, "operators");
  for (size_t i = 0; i < json_array_size(list); i++) {
    const json_t *entry = json_array_get(list, i), *may = json_object_get(entry, "may");
    if (fnmatch(json_text_at(entry, "principal", NULL), principal, 0) != 0) continue;
    for (size_t k = 0; k < json_array_size(may); k++)
      if (strcmp(json_string_value(json_array_get(may, k)), permission) == 0) return 1;
  }
  return 0;
}
