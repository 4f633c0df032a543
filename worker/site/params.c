#include "site/params.h"

#include <stdio.h>
#include <string.h>

static const struct key params_keys[] = {{"params", KEY_TEXT, 1},
                                         {"values", KEY_OBJECT, 0},
                                         {"environments", KEY_OBJECT, 0},
                                         {"accounts", KEY_OBJECT, 0},
                                         {0}};

static const char *type_name(const json_t *value) {
  static const char *const names[] = {
      [JSON_OBJECT] = "a mapping",    [JSON_ARRAY] = "a list",  [JSON_STRING] = "a text",
      [JSON_INTEGER] = "a number",    [JSON_REAL] = "a number", [JSON_TRUE] = "true or false",
      [JSON_FALSE] = "true or false", [JSON_NULL] = "nothing"};
  return names[json_typeof(value)];
}

/* Does a list of texts get texts?  A list that is empty by default, or mixed, takes anything. */
static const json_t *strange_element(const json_t *value, const json_t *own) {
  const json_t *first = json_array_get(own, 0);
  for (size_t i = 1; i < json_array_size(own); i++)
    if (type_name(json_array_get(own, i)) != type_name(first)) return NULL;
  for (size_t i = 0; first && i < json_array_size(value); i++)
    if (strcmp(type_name(json_array_get(value, i)), type_name(first)) != 0) return json_array_get(value, i);
  return NULL;
}

static void check_values(struct loader *loader, const struct guardrail *guardrail, const json_t *values,
                         const char *pointer) {
  const char *name;
  json_t *value;
  char where[300];
  if (!json_is_object(values)) {
    complain(loader, pointer, "a mapping of parameters is needed here");
    return;
  }
  json_object_foreach((json_t *)values, name, value) {
    const json_t *own = json_object_get(guardrail->params, name), *strange;
    snprintf(where, sizeof where, "%s/%s", pointer, name);
    if (!own)
      complain(loader, where, "guardrail %s has no parameter \"%s\"%s", guardrail->name, name,
               nearest_key(name, guardrail->params));
    else if (strcmp(type_name(value), type_name(own)) != 0)
      complain(loader, where, "\"%s\" must be %s, not %s", name, type_name(own), type_name(value));
    else if ((strange = strange_element(value, own)))
      complain(loader, where, "\"%s\" must hold what the guardrail's own holds (%s), not %s", name,
               type_name(json_array_get(own, 0)), type_name(strange));
  }
}

static void check_places(struct loader *loader, const struct guardrail *guardrail, const json_t *document,
                         const char *key) {
  const char *place;
  json_t *values;
  char pointer[200];
  int accounts = strcmp(key, "accounts") == 0;
  json_object_foreach(json_object_get(document, key), place, values) {
    snprintf(pointer, sizeof pointer, "/%s/%s", key, place);
    if (accounts && (strlen(place) != 12 || strspn(place, "0123456789") != 12))
      complain(loader, pointer, "\"%s\" is no account id: 12 digits, in quotes", place);
    else
      check_values(loader, guardrail, values, pointer);
  }
}

static struct guardrail *guardrail_named(const struct bundle *bundle, const char *name) {
  for (size_t i = 0; i < bundle->guardrail_count; i++)
    if (strcmp(bundle->guardrails[i]->name, name) == 0) return bundle->guardrails[i];
  return NULL;
}

static void complain_guardrail(struct loader *loader, const struct bundle *bundle, const char *name) {
  json_t *names = json_object();
  for (size_t i = 0; i < bundle->guardrail_count; i++)
    json_object_set_new(names, bundle->guardrails[i]->name, json_true());
  complain(loader, "/params", "no guardrail \"%s\" is loaded%s", name, nearest_key(name, names));
  json_decref(names);
}

int site_params_load(struct loader *loader, json_t *document, const struct bundle *bundle,
                     struct guardrail **guardrail) {
  const char *name = json_text_at(document, "params", NULL);
  *guardrail = guardrail_named(bundle, name);
  if (!*guardrail) {
    complain_guardrail(loader, bundle, name);
    return -1;
  }
  if (check_keys(loader, document, "", params_keys) > 0) return -1;
  if ((*guardrail)->overrides) return complain(loader, "/params", "guardrail \"%s\" is given parameters twice", name);
  if (json_object_get(document, "values"))
    check_values(loader, *guardrail, json_object_get(document, "values"), "/values");
  check_places(loader, *guardrail, document, "environments");
  check_places(loader, *guardrail, document, "accounts");
  if (loader->complaints > 0) return -1;
  (*guardrail)->overrides = json_incref(document);
  return 0;
}

json_t *site_params(const struct guardrail *guardrail, const char *account, const char *environment) {
  const json_t *overrides = guardrail->overrides;
  if (!overrides) return json_incref(guardrail->params);
  json_t *params = json_copy(guardrail->params);
  json_t *layers[] = {json_object_get(overrides, "values"),
                      environment ? json_at(overrides, "environments", environment, NULL) : NULL,
                      account ? json_at(overrides, "accounts", account, NULL) : NULL};
  for (size_t i = 0; params && i < sizeof layers / sizeof *layers; i++)
    if (layers[i]) json_object_update(params, layers[i]);
  return params;
}
