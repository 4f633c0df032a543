/* Checks of names: every variable that an expression reads must exist where it is read, every operation, parameter and
 * output field must be in the service models.  A misspelt name would otherwise be a guardrail that sees nothing.
 *
 * Called by the loader when a file's shape is right; each check complains (file, line, reason), nothing is changed. */
#ifndef PARAPET_CHECK_NAMES_H
#define PARAPET_CHECK_NAMES_H

#include "engine/load_internal.h"

int is_built_in(const char *name); /* a variable of the language: no name for a context, `as` or `set` */
void check_resource(struct loader *loader, const struct resource *resource, const json_t *document);
void check_workflow(struct loader *loader, const struct workflow *workflow, const json_t *document);
void check_guardrail(struct loader *loader, const struct guardrail *guardrail, const json_t *document);

#endif
