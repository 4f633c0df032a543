/* Private to the loader (load*.c, bundle.c) and to those who check what it loaded (worker/check, worker/site):
 * complaints with file and line, and table-driven key checks. */
#ifndef PARAPET_ENGINE_LOAD_INTERNAL_H
#define PARAPET_ENGINE_LOAD_INTERNAL_H

#include "engine/playbook.h"
#include "json/yaml.h"

struct loader {
  const char *file; /* relative to the playbook directory */
  struct yaml_lines *lines;
  json_t *refused;           /* array that complaints are added to */
  int complaints;            /* of this file */
  struct aws_client *client; /* NULL: models are not checked */
};

/* Adds "file:line: reason" for the node at the JSON pointer.  Returns -1. */
int complain(struct loader *loader, const char *pointer, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The same, with an error's own words. */
int complain_error(struct loader *loader, const char *pointer, const struct error *error);

enum { KEY_TEXT = 1, KEY_NUMBER = 2, KEY_OBJECT = 4, KEY_ARRAY = 8, KEY_BOOL = 16, KEY_ANY = 31 };
struct key {
  const char *name; /* the table ends with NULL */
  int types;        /* KEY_… or-ed */
  int required;
};
/* Complains of every unknown key (with the nearest known), missing key and wrong type.  Returns the number of
 * complaints. */
int check_keys(struct loader *loader, const json_t *object, const char *pointer, const struct key *keys);

/* "; did you mean \"x\"?" with the nearest of the NULL-terminated words, or of the object's keys; "" when none is near.
 * Valid until the thread's next call. */
const char *nearest_word(const char *word, const char *const *words);
const char *nearest_key(const char *word, const json_t *object);
/* Complains when object[key], a list, holds anything but texts. */
void check_texts(struct loader *loader, const json_t *object, const char *key, const char *pointer);
/* Compile the expression or template at object[key] (absent: NULL, no complaint). */
struct jmes *load_expression(struct loader *loader, const json_t *object, const char *key, const char *pointer);
struct template *load_template(struct loader *loader, const json_t *object, const char *key, const char *pointer);
char *load_text(const json_t *object, const char *key); /* copy, or NULL */
/* "pointer/key" or "pointer/index" into a static thread-local buffer ring of four. */
const char *pointer_key(const char *pointer, const char *key);
const char *pointer_index(const char *pointer, size_t index);

struct resource *load_resource(struct loader *loader, json_t *document);
void resource_free(struct resource *resource);
struct guardrail *load_guardrail(struct loader *loader, json_t *document, const struct bundle *bundle);
void guardrail_free(struct guardrail *guardrail);
/* Steps at object[key]; *count out. */
struct step *load_steps(struct loader *loader, const json_t *object, const char *key, const char *pointer,
                        size_t *count);
void steps_free(struct step *steps, size_t count);

/* Names of operations that the steps (and their undo) call, once each, into the array. */
void steps_operations(const struct step *steps, size_t count, int with_undo, json_t *operations);

#endif
