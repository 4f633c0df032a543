/* What an operator may do, whoever carries it out: `parapet` itself where the setting `operators` is empty (whoever
 * reaches Redis and Kafka may operate then), a worker where it names who may do what. */
#ifndef PARAPET_OPERATE_OPERATE_H
#define PARAPET_OPERATE_OPERATE_H

#include "bus/bus.h"
#include "state/state.h"

struct operate { /* with what, and for whom */
  struct state *state;
  struct bus_producer *producer;
  const char *principal; /* an ARN, or "unproven:USER@HOST" */
};

/* The permission that a verb needs: approve, except, reset, rollout, stop, run, undo.  NULL: there is no such verb. */
const char *operate_permission(const char *verb);

/* Carries the verb out; a verb that only a worker can do (undo) is INVALID.  New result, or NULL with *error. */
json_t *operate_run(const struct operate *operate, const char *verb, const json_t *arguments, struct error *error);

/* The record of parapet.actions (kind "operator"): who asked for what, and what came of it.  result: done, failed,
 * refused.  0, or -1 with *error. */
int operate_record(const struct operate *operate, const char *id, const char *verb, const json_t *arguments,
                   const char *result, const char *reason, const char *owner, struct error *error);

/* ---- the verbs; one file a kind ---- */
typedef json_t *operate_verb(const struct operate *operate, const json_t *arguments, struct error *error);
/* {id, reason}: agrees to the waiting request. */
operate_verb operate_approve;
/* {id, reason, for_ms, owner}: refuses it, and remembers that as an exception. */
operate_verb operate_deny;
/* {exception}: remembered, durably and at once; {id}: forgotten.  {existed}. */
operate_verb operate_exception_add, operate_exception_remove;
/* {scope, reason}; reset also {release, pace: actions a second}: {released}. */
operate_verb operate_trip, operate_hold, operate_probe, operate_reset, operate_fight_reset;
/* {guardrail, rollout: {version, stage, accounts, units, reason} or null} */
operate_verb operate_rollout;
/* {reason} */
operate_verb operate_stop, operate_resume;

/* Remembers an exception, durably and at once. */
int operate_except(const struct operate *operate, json_t *exception, struct error *error);

#endif
