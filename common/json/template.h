/* Templates: any JSON value whose strings may hold ${expression} (JMESPath over null, with $variables).
 * A string that is exactly one "${…}" becomes the expression's value, of whatever type; inside a longer string the
 * value is put in as text (strings as they are, null as "", everything else as JSON).  A null drops the key (in an
 * object) or the element (in an array).  "$${" is a literal "${".  Keys are not templates. */
#ifndef PARAPET_JSON_TEMPLATE_H
#define PARAPET_JSON_TEMPLATE_H

#include "json/jmespath.h"

struct template;

/* Compiles (copies what it needs).  NULL with *error; error->where holds the JSON pointer of the bad string. */
struct template *template_compile(const json_t *value, const struct jmes_function *functions, struct error *error);
void template_free(struct template *template);

/* New, or NULL with *error.  Thread-safe. */
json_t *template_render(const struct template *template, const struct jmes_scope *scope, struct error *error);

/* As jmes_variables, over all expressions inside. */
void template_variables(const struct template *template,
                        void (*visit)(const char *name, const char *const *path, void *argument), void *argument);

#endif
