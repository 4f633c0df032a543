/* The journal of one action: what act.c writes for a guardrail's steps and operate/undo.c for their inverses. */
#ifndef PARAPET_WORKER_JOURNAL_H
#define PARAPET_WORKER_JOURNAL_H

#include "engine/steps.h"
#include "unit.h"

struct journal {
  struct unit *unit;
  struct unit_case *one;
  const struct live *live; /* what stood there before the first call */
  json_t *intent;          /* what Redis keeps while the action is open: {action, run, …, calls: […]} */
  json_t *call;            /* the entry of the call being made; borrowed from intent */
  int effects;             /* calls that had one */
  int64_t asked_ms;        /* monotonic: when stop and lease were last asked for */
  int held_back;           /* stop or lease, right before the last call would have gone out */
  int ambiguous;           /* an answer of the last call was lost: it may have had its effect */
  char run[96];
  char subject[640]; /* under which Redis keeps the intent */
  char undoes[64];   /* "": or the action that this one takes back */
};

/* The resource and the contexts that the guardrail uses, as they are: {resource, context}; null: it is gone.  New. */
json_t *journal_image(const struct live *live, const struct guardrail *guardrail);

/* One mutating call: may it be made, the intent, the call (tried again while it fails in passing).  New result, or NULL
 * with *ignored = 1 (the step ignores the error) or *error. */
json_t *journal_mutate(struct journal *journal, const struct step_call *call, int *ignored, struct error *error);
/* What became of the last call.  outcome: applied, ignored, none, unknown. */
void journal_outcome(struct journal *journal, const char *outcome, const char *request_id, json_t *result,
                     json_t *inverse, const struct error *problem);
/* The end of the calls, durably.  status: acted, stopped, failed, resolved.  0, or -1 with *error. */
int journal_end(struct journal *journal, const char *status, const struct error *problem, struct error *error);
/* What the action left behind, for whoever wants to take it back: to the topic and the index.  status: fixed, failed,
 * restored, differs.  GO, or LATER. */
enum verdict journal_verified(struct unit *unit, struct unit_case *one, const struct live *live, const char *status,
                              struct error *error);

#endif
