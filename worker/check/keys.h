/* What everybody who reads a playbook's YAML shares: complaints with file and line, table-driven checks of keys, and
 * compiling what stands under them. */
#ifndef PARAPET_CHECK_KEYS_H
#define PARAPET_CHECK_KEYS_H

#include "engine/playbook.h"
#include "json/yaml.h"

struct library { /* workflows by their name, before they are loaded: whoever runs one loads its steps for himself */
  const char *name, *file;
  json_t *document; /* borrowed */
  struct yaml_lines *lines;
  const struct library *next;
};

struct loader {
  const char *file; /* relative to the playbook directory */
  struct yaml_lines *lines;
  json_t *refused;           /* array that complaints are added to */
  int complaints;            /* of this file */
  struct aws_client *client; /* NULL: models are not checked */
  const struct library *library;
  const struct running { /* the workflows whose steps are being loaded, innermost first */
    const char *name;
    const struct running *outer;
  } * running;
  json_t *ran; /* documents of the workflows that steps of this file run; NULL: nobody asks */
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

#endif
