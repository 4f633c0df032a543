/* Private to the loader (load*.c, bundle.c) and to those who check what it loaded (worker/check, worker/site). */
#ifndef PARAPET_ENGINE_LOAD_INTERNAL_H
#define PARAPET_ENGINE_LOAD_INTERNAL_H

#include "check/keys.h"
#include "engine/playbook.h"

struct resource *load_resource(struct loader *loader, json_t *document, const struct bundle *bundle);
/* load_together.c: how a read asks for many resources in one call, or why it cannot. */
void load_together(struct loader *loader, const json_t *object, const char *pointer, struct read_call *read);
void resource_free(struct resource *resource);
struct guardrail *load_guardrail(struct loader *loader, json_t *document, const struct bundle *bundle);
void guardrail_free(struct guardrail *guardrail);
/* Steps at object[key]; *count out. */
struct step *load_steps(struct loader *loader, const json_t *object, const char *key, const char *pointer,
                        size_t *count);
void steps_free(struct step *steps, size_t count);
struct workflow *load_workflow(struct loader *loader, json_t *document);
void workflow_free(struct workflow *workflow);
/* load_run.c: a `run` step's workflow, its steps and what is wrong with its inputs. */
void load_run(struct loader *loader, const json_t *object, const char *pointer, struct step *step);
/* Is the value of the type that an input declares? */
int input_fits(const json_t *declared, const json_t *value);

/* Names of operations that the steps (and their undo) call, once each, into the array; role: those of this one alone
 * ("": the fleet's own), NULL: of every role. */
void steps_operations(const struct step *steps, size_t count, int with_undo, const char *role, json_t *operations);
/* Names of the roles that steps assume besides the fleet's, once each. */
void steps_roles(const struct step *steps, size_t count, json_t *roles);

#endif
