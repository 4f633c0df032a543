/* schemas/event-resources.yaml, compiled: eventSource → expressions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "event/event_internal.h"
#include "json/jmespath.h"
#include "json/yaml.h"

struct source_keys {
  char *event_source;
  struct jmes **expressions;
  size_t count;
};

struct event_keys {
  struct source_keys *sources;
  size_t count;
};

static int compile(struct source_keys *source, const json_t *list, const char *name, const struct yaml_lines *lines,
                   struct error *error) {
  size_t count = json_array_size(list);
  source->expressions = calloc(count + 1, sizeof *source->expressions);
  if (!source->expressions) return error_set(error, ERROR_FATAL, "OutOfMemory", "out of memory");
  for (size_t i = 0; i < count; i++) {
    char pointer[256];
    const char *expression = json_string_value(json_array_get(list, i));
    struct error why = {0};
    source->expressions[i] = expression ? jmes_compile(expression, NULL, &why) : NULL;
    if (source->expressions[i]) {
      source->count++;
      continue;
    }
    snprintf(pointer, sizeof pointer, "/%s/%zu", source->event_source, i);
    error_set(error, ERROR_INVALID, "Expression", "%s: %s", source->event_source,
              expression ? why.message : "each entry is a JMESPath expression");
    return error_where(error, "%s:%d", name, yaml_line(lines, pointer));
  }
  return 0;
}

static struct event_keys *build(json_t *table, const char *name, const struct yaml_lines *lines, struct error *error) {
  struct event_keys *keys = calloc(1, sizeof *keys);
  if (keys) keys->sources = calloc(json_object_size(table) + 1, sizeof *keys->sources);
  if (!keys || !keys->sources) {
    free(keys);
    error_set(error, ERROR_FATAL, "OutOfMemory", "out of memory");
    return NULL;
  }
  const char *event_source;
  json_t *list;
  json_object_foreach(table, event_source, list) {
    struct source_keys *source = &keys->sources[keys->count++];
    source->event_source = strdup(event_source);
    if (source->event_source && compile(source, list, name, lines, error) == 0) continue;
    event_keys_free(keys);
    return NULL;
  }
  return keys;
}

static struct event_keys *from_document(json_t *document, const char *name, struct yaml_lines *lines,
                                        struct error *error) {
  struct event_keys *keys = NULL;
  if (json_is_object(document)) {
    keys = build(document, name, lines, error);
  } else if (document) {
    error_set(error, ERROR_INVALID, "Shape", "a map of eventSource to a list of expressions is expected");
    error_where(error, "%s:1", name);
  }
  json_decref(document);
  yaml_lines_free(lines);
  return keys;
}

struct event_keys *event_keys_load(const char *path, struct error *error) {
  struct yaml_lines *lines = NULL;
  json_t *document = yaml_load(path, &lines, error);
  return from_document(document, path, lines, error);
}

struct event_keys *event_keys_parse(const char *text, size_t length, const char *name, struct error *error) {
  struct yaml_lines *lines = NULL;
  json_t *document = yaml_parse(text, length, name, &lines, error);
  return from_document(document, name, lines, error);
}

void event_keys_free(struct event_keys *keys) {
  if (!keys) return;
  for (size_t i = 0; i < keys->count; i++) {
    for (size_t j = 0; j < keys->sources[i].count; j++) jmes_free(keys->sources[i].expressions[j]);
    free(keys->sources[i].expressions);
    free(keys->sources[i].event_source);
  }
  free(keys->sources);
  free(keys);
}

/* A string, or the first string of a list. */
static const char *text_of(const json_t *value) {
  if (json_is_array(value)) value = json_array_get(value, 0);
  const char *text = json_string_value(value);
  return text ? text : "";
}

void event_keys_resource(const struct event_keys *keys, json_t *record, char *text, size_t size) {
  const char *event_source = json_text_at(record, "eventSource", NULL);
  text[0] = '\0';
  for (size_t i = 0; i < keys->count; i++) {
    const struct source_keys *source = &keys->sources[i];
    if (strcmp(source->event_source, event_source) != 0) continue;
    for (size_t j = 0; j < source->count && !*text; j++) {
      json_t *found = jmes_search(source->expressions[j], record, NULL, NULL); /* no resource is no failure */
      snprintf(text, size, "%s", text_of(found));
      json_decref(found);
    }
    return;
  }
}
