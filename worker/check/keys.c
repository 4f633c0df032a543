#include "check/keys.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"

int complain(struct loader *loader, const char *pointer, const char *format, ...) {
  char reason[900];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(reason, sizeof reason, format, arguments);
  va_end(arguments);
  json_t *line = json_sprintf("%s:%d: %s", loader->file, loader->lines ? yaml_line(loader->lines, pointer) : 1, reason);
  if (!line) line = json_string("a complaint that is not UTF-8");
  /* An expression that reads a wrong name three times is one mistake. */
  size_t told = json_array_size(loader->refused);
  if (told > 0 && json_equal(json_array_get(loader->refused, told - 1), line))
    json_decref(line);
  else
    json_array_append_new(loader->refused, line);
  loader->complaints++;
  return -1;
}

int complain_error(struct loader *loader, const char *pointer, const struct error *error) {
  return complain(loader, pointer, "%s", error->message);
}

static int type_bit(const json_t *value) {
  switch (json_typeof(value)) {
    case JSON_STRING:
      return KEY_TEXT;
    case JSON_INTEGER:
    case JSON_REAL:
      return KEY_NUMBER;
    case JSON_OBJECT:
      return KEY_OBJECT;
    case JSON_ARRAY:
      return KEY_ARRAY;
    case JSON_TRUE:
    case JSON_FALSE:
      return KEY_BOOL;
    default:
      return 0;
  }
}

static const char *type_words(int types) {
  static const struct {
    int types;
    const char *words;
  } words[] = {
      {KEY_TEXT, "a text"},
      {KEY_NUMBER, "a number"},
      {KEY_OBJECT, "a mapping"},
      {KEY_ARRAY, "a list"},
      {KEY_BOOL, "true or false"},
      {KEY_TEXT | KEY_ARRAY, "a text or a list"},
      {KEY_OBJECT | KEY_ARRAY, "a mapping or a list"},
  };
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (words[i].types == types) return words[i].words;
  return "something else";
}

const char *nearest_word(const char *word, const char *const *words) {
  static _Thread_local char text[128];
  const char *nearest = config_nearest(word, words);
  snprintf(text, sizeof text, "%s%s%s", nearest ? "; did you mean \"" : "", nearest ? nearest : "",
           nearest ? "\"?" : "");
  return text;
}

const char *nearest_key(const char *word, const json_t *object) {
  const char *words[64], *key;
  size_t count = 0;
  json_t *value;
  json_object_foreach((json_t *)object, key, value) if (count < 63) words[count++] = key;
  words[count] = NULL;
  return nearest_word(word, words);
}

void check_texts(struct loader *loader, const json_t *object, const char *key, const char *pointer) {
  const json_t *list = json_object_get(object, key);
  char where[512];
  for (size_t i = 0; i < json_array_size(list); i++) {
    snprintf(where, sizeof where, "%s/%s/%zu", pointer, key, i);
    if (!json_is_string(json_array_get(list, i)))
      complain(loader, where, "\"%s\" must hold texts (numbers in quotes)", key);
  }
}

static void key_names(const struct key *keys, const char *names[40]) {
  size_t count = 0;
  for (; keys[count].name && count < 39; count++) names[count] = keys[count].name;
  names[count] = NULL;
}

/* Is the key there, but misspelt?  Then it is not missing as well. */
static int is_misspelt(const json_t *object, const char *wanted, const char *const *known) {
  const char *name;
  json_t *value;
  json_object_foreach((json_t *)object, name, value) {
    const char *nearest = config_nearest(name, known);
    if (nearest == wanted && strcmp(name, wanted) != 0) return 1;
  }
  return 0;
}

static void complain_unknown(struct loader *loader, const char *pointer, const char *name, const struct key *keys) {
  const char *known[40];
  key_names(keys, known);
  complain(loader, pointer_key(pointer, name), "unknown key \"%s\"%s", name, nearest_word(name, known));
}

int check_keys(struct loader *loader, const json_t *object, const char *pointer, const struct key *keys) {
  int before = loader->complaints;
  if (!json_is_object(object)) return complain(loader, pointer, "a mapping is needed here"), 1;
  const char *name;
  json_t *value;
  json_object_foreach((json_t *)object, name, value) {
    const struct key *key = keys;
    while (key->name && strcmp(key->name, name) != 0) key++;
    if (!key->name)
      complain_unknown(loader, pointer, name, keys);
    else if (!(type_bit(value) & key->types))
      complain(loader, pointer_key(pointer, name), "\"%s\" must be %s", name, type_words(key->types));
  }
  const char *known[40];
  key_names(keys, known);
  for (const struct key *key = keys; key->name; key++)
    if (key->required && !json_object_get(object, key->name) && !is_misspelt(object, key->name, known))
      complain(loader, pointer, "\"%s\" is missing", key->name);
  return loader->complaints - before;
}

struct jmes *load_expression(struct loader *loader, const json_t *object, const char *key, const char *pointer) {
  const json_t *value = json_object_get(object, key);
  if (!json_is_string(value)) return NULL;
  struct error error = {0};
  struct jmes *expression = jmes_compile(json_string_value(value), engine_functions, &error);
  if (!expression)
    complain(loader, pointer_key(pointer, key), "\"%s\": %s", key, error.message);
  else if (jmes_asks_a_negation(expression))
    complain(loader, pointer_key(pointer, key), "\"%s\": !a.b is (!a).b, which is always null: write !(a.b)", key);
  return expression;
}

struct template *load_template(struct loader *loader, const json_t *object, const char *key, const char *pointer) {
  const json_t *value = json_object_get(object, key);
  if (!value) return NULL;
  struct error error = {0};
  struct template *template = template_compile(value, engine_functions, &error);
  if (!template) {
    char where[512];
    snprintf(where, sizeof where, "%s%s", pointer_key(pointer, key), error.where);
    complain(loader, where, "%s", error.message);
  }
  return template;
}

char *load_text(const json_t *object, const char *key) {
  const json_t *value = json_object_get(object, key);
  return json_is_string(value) ? strdup(json_string_value(value)) : NULL;
}

static char *pointer_slot(void) {
  static _Thread_local char slots[4][512];
  static _Thread_local unsigned next;
  char *slot = slots[next++ % 4];
  return slot;
}

const char *pointer_key(const char *pointer, const char *key) {
  char *slot = pointer_slot();
  snprintf(slot, sizeof(char[512]), "%s/%s", pointer, key);
  return slot;
}

const char *pointer_index(const char *pointer, size_t index) {
  char *slot = pointer_slot();
  snprintf(slot, sizeof(char[512]), "%s/%zu", pointer, index);
  return slot;
}
