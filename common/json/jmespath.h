/* JMESPath (https://jmespath.org/specification.html), compiled once, run by many threads.
 * Beyond the specification: `$name` variables (as in JEP-18, read only), and functions of the embedder.
 *
 * It always terminates: no loops but over the data; a search is limited to JMES_NODES values in results, depth 256,
 * JMES_STEPS steps and 64 MiB of new strings; an expression to depth 256 and 64 KiB.  Values in results are shared with
 * the document and the variables.
 * Function arguments are typed as in the specification; an embedder's function gets its arguments evaluated. */
#ifndef PARAPET_JSON_JMESPATH_H
#define PARAPET_JSON_JMESPATH_H

#include "json/value.h"

#define JMES_NODES 1000000
#define JMES_STEPS 50000000 /* nodes evaluated, values compared and counted */

/* The codes that a compile or a search puts into error->code (class ERROR_INVALID), as the suite names them:
 * "syntax", "invalid-type", "invalid-value", "invalid-arity", "unknown-function"; ours: "unknown-variable", "limit". */

struct jmes;

/* Variables of one evaluation: a chain of frames, innermost first.  A frame does not own its value. */
struct jmes_scope {
  const char *name; /* without the $ */
  json_t *value;    /* NULL: defined, and null */
  const struct jmes_scope *outer;
};
/* Borrowed value of the innermost frame of that name; *found tells "null" from "not there". */
json_t *jmes_scope_get(const struct jmes_scope *scope, const char *name, int *found);

/* An embedder's function.  `arguments` are borrowed (json_null() for null); returns new, or NULL with *error. */
typedef json_t *jmes_native(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                            struct error *error);
struct jmes_function {
  const char *name; /* the table ends with NULL */
  size_t minimum, maximum;
  jmes_native *call;
  const char *help; /* "covers_port(rule, ports): true when …": the documentation page is made from it */
};

/* Compiles; `functions` (may be NULL) must outlive the result.  Unknown functions and wrong arity of known ones are
 * found here.  NULL with *error: code as above, message with the column and what was expected. */
struct jmes *jmes_compile(const char *expression, const struct jmes_function *functions, struct error *error);
void jmes_free(struct jmes *expression); /* NULL accepted */

/* Evaluates over `document` (borrowed; NULL is null, but multi-selects at the root are made: {a: $x} is no null then).
 *  New (json_null() for null), or NULL with *error.  Thread-safe. */
json_t *jmes_search(const struct jmes *expression, json_t *document, const struct jmes_scope *scope,
                    struct error *error);

/* Does it ask a negation for a part of it?  !a.b is (!a).b in JMESPath, and null whatever a is: nobody means that. */
int jmes_asks_a_negation(const struct jmes *expression);

/* Calls `visit` once for each distinct variable that the expression reads (name without $), and with the chain of plain
 * field names behind it where there is one ("resource", {"Tags"}): what validation against models needs.  `path` is
 * NULL-terminated; list elements (projections, [0]) appear as "[]".  The document root is the variable "". */
void jmes_variables(const struct jmes *expression,
                    void (*visit)(const char *name, const char *const *path, void *argument), void *argument);

#endif
