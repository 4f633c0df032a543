/* Running steps.  The engine decides what comes next; the host decides what a call really does: the worker gates and
 * journals it, `parapet test` records it, undo collects it. */
#ifndef PARAPET_ENGINE_STEPS_H
#define PARAPET_ENGINE_STEPS_H

#include "engine/playbook.h"

enum { STEPS_CALL_LIMIT = 500 /* calls in one run: more is a playbook that ran away */ };

struct step_call { /* one call about to be made; everything borrowed */
  const struct step *step;
  int sequence;      /* 1, 2, … in this run */
  const char *run;   /* "RUN-SEQUENCE": what $run was, so that what the call created can be found by its tag */
  json_t *params;    /* rendered */
  json_t *variables; /* frozen: what `as` and `set` hold now, for the inverse */
};

struct step_host {
  /* New result; or NULL with *error.  *ignored = 1 (and NULL) when the error is one that the step ignores: no effect.
   */
  json_t *(*call)(void *context, const struct step_call *call, int *ignored, struct error *error);
  /* After a call that had an effect: its exact inverse, an array of {call, with, role} in the order to run (role: only
   * where the step names one); may be NULL. */
  int (*effect)(void *context, const struct step_call *call, json_t *result, json_t *inverse, struct error *error);
  void (*notify)(void *context, json_t *message);
  void (*approve)(void *context, json_t *message); /* a plan's; who runs the steps was agreed to before; may be NULL */
  void *context;
};

enum steps_end { STEPS_DONE, STEPS_STOPPED, STEPS_FAILED };

/* Runs the steps.  `run` is the run's id.  STEPS_STOPPED: a `stop` step ended it, *reason (new, may be NULL out) says
 * why. STEPS_FAILED: *error, where = the step's path. */
enum steps_end steps_run(const struct step *steps, size_t count, const struct jmes_scope *scope, const char *run,
                         const struct step_host *host, json_t **reason, struct error *error);

/* Renders steps into a plan without calling anything: new array of {call, with, role}, and
 * {approve: message} where somebody has to agree; NULL with *error. */
json_t *steps_plan(const struct step *steps, size_t count, const struct jmes_scope *scope, const char *run,
                   struct error *error);

/* The step at a path ("/remediate/0/do/1"), or NULL. */
const struct step *steps_find(const struct step *steps, size_t count, const char *path);

/* The step ignores this error code. */
int step_ignores(const struct step *step, const char *code);

#endif
