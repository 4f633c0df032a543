/* A unit: one resource and the guardrails that want to look at it, on its way through the verbs
 * match → peek → read → judge → gate → act → verify → record.
 *
 * A unit lives in this process until each of its cases is done or durably parked; only then may the message that it
 * came from be finished.  A unit never blocks its thread for longer than calls take: whoever has to wait is queued
 * again. */
#ifndef PARAPET_WORKER_UNIT_H
#define PARAPET_WORKER_UNIT_H

#include "engine/live.h"
#include "worker.h"

/* Where units come from: an event, a sweep, or parked work.  Counted by its units; at zero it is finished. */
struct delivery {
  struct worker *worker;
  atomic_int pending;
  enum delivery_kind { DELIVERY_EVENT, DELIVERY_SWEEP, DELIVERY_PARKED } kind;
  struct bus_consumer *consumer; /* event, sweep */
  struct bus_message *message;
  atomic_int abandoned; /* the process ends before its units did: the message is given back, not finished */
  char id[128];         /* the event's or sweep's id, marked as seen at the end; "": none */
  char sweep[256];      /* sweep: the coalescing subject */
  json_t *event;        /* event: the parsed envelope; NULL otherwise */
  json_t *actor;
  char request_id[96];
  int own_request;      /* the journal has it */
  int64_t born_ms;      /* monotonic */
  int64_t event_ms;     /* wall: when it happened, 0 unknown */
  int64_t collected_ms; /* wall: when it entered Kafka */
};
struct delivery *delivery_open(struct worker *worker, enum delivery_kind kind);
struct delivery *delivery_hold(struct delivery *delivery);
void delivery_drop(struct delivery *delivery); /* the last one finishes the message */

enum stage { STAGE_LOOK, STAGE_VERIFY, STAGE_RECORD, STAGE_CLOSE, STAGE_DONE };

struct journal; /* act.c: one action's record */

struct unit_case { /* one guardrail's view of the unit */
  const struct guardrail *guardrail;
  enum stage stage;
  int looks;                  /* further looks taken in this stage */
  int tries;                  /* transient failures in a row */
  int64_t due_ms;             /* monotonic: not before */
  int64_t created_ms;         /* wall: when its resource was created, as an event told; 0: none did */
  int64_t settled_ms;         /* wall: when it will be old enough, VERDICT_SETTLE */
  char subject[640];          /* "guardrail|arn" */
  char finding[33];           /* its finding's id */
  char action[64];            /* id of the action, "" before there is one */
  json_t *finding_value;      /* what `find` said before the action */
  json_t *record;             /* STAGE_RECORD: what is still to be written */
  int unpublished;            /* its finding was written, and the topic did not take it */
  char was[32];               /* unpublished: the finding's status before that */
  json_t *planned;            /* the calls that a shadow would have made; NULL: it is none */
  json_t *baseline, *changes; /* what its guardrail remembers, see baseline.c; NULL: not asked yet */
  json_t *approval;           /* somebody agreed to this plan: to be used up before the first call */
  int approved;               /* it was used up */
  int64_t parked_until_ms;    /* VERDICT_WAIT: wall */
  json_t *begun;              /* the action's {before, calls}, as far as this process knows them */
  int resolved;               /* its action was begun by an earlier try, perhaps of a worker that is dead */
  enum outcome { OUTCOME_NONE, OUTCOME_FIXED, OUTCOME_FAILED } outcome; /* of its action; unit_close tells it */
  int64_t matched_ms, acted_ms;                                         /* wall */
};

struct unit {
  struct task task;
  struct worker *worker;
  struct bundle *bundle;     /* held */
  struct delivery *delivery; /* held */
  struct accounts *accounts; /* held */
  const struct account *account;
  const struct resource *resource;
  struct place place;
  char region[40];
  char *id, *arn;
  char *owner; /* by its tags, as last read; NULL: not read yet */
  char lease_key[560];
  struct state_lease lease;
  int leased, released; /* released: an operator's release paid for its action */
  int parked_tries;     /* how often it came back from parking */
  int foreign;          /* its event is no change of our own: found out once */
  struct live *listed;  /* a sweep's view of it; used for the first look, then dropped */
  size_t case_count;
  struct unit_case cases[];
};

/* NULL when memory ran out.  Guardrails are added by unit_add; unit_submit hands it to the pool (which owns it then).
 */
struct unit *unit_open(struct delivery *delivery, struct bundle *bundle, struct accounts *accounts,
                       const struct account *account, const struct resource *resource, const char *region,
                       const char *id, size_t guardrails);
struct unit_case *unit_add(struct unit *unit, const struct guardrail *guardrail);
void unit_submit(struct unit *unit);
void unit_free(struct unit *unit);
/* For pool_close, and for old events: parks what was waiting, or gives its message back. */
void unit_abandon(void *argument);
/* The unit as JSON, to be parked under one of its guardrails; and back (NULL with *error: no longer possible). */
json_t *unit_pack(const struct unit *unit, const struct unit_case *one);
struct unit *unit_unpack(struct worker *worker, struct bundle *bundle, json_t *packed, struct error *error);

/* ---- the verbs; each works on one case ---- */
/* What becomes of the case for now. */
enum verdict {
  VERDICT_GO,     /* the next verb */
  VERDICT_DONE,   /* recorded; nothing more to do */
  VERDICT_AGAIN,  /* look again, with patience (reads may lag) */
  VERDICT_LATER,  /* a transient trouble: try again soon, park when it lasts */
  VERDICT_PARK,   /* a gate holds it: park until an operator releases it */
  VERDICT_WAIT,   /* somebody has to agree: park until then, or one->parked_until_ms */
  VERDICT_SETTLE, /* its resource is too young: park until it has settled */
};

/* Is it a change of our own, or one that a baseline accepts?  Then DONE; else GO, or LATER. */
enum verdict unit_recognise(struct unit *unit, struct unit_case *one, struct error *error);
/* What Redis is asked before anything is read (state_peek), and what the answer means. */
struct question {
  struct scopes scopes;
  struct state_peek peek; /* points into scopes, and into the case */
};
void unit_question(const struct unit *unit, const struct unit_case *one, struct question *question);
enum verdict unit_peek(struct unit *unit, struct unit_case *one, const struct state_peek *peek, struct error *error);
/* The event led to an action, and that is at its end: should the event come again (its worker died before it could
 * finish the message), an open breaker does not park it anew, nor is "parked" written over what became of it.  GO, or
 * LATER. */
enum verdict unit_mark_answered(struct unit *unit, struct unit_case *one, struct error *error);
enum { ANSWER_KEY_BYTES = 800 };
/* That mark's name among the events that were seen, `key`; "" when no event led to the unit. */
const char *unit_answer(const struct unit *unit, const struct unit_case *one, char key[ANSWER_KEY_BYTES]);
/* A guardrail with a baseline: notes what the event changed, before anything can hold the unit back.  DONE: the change
 * is accepted (`own`, or by the guardrail's `accept`). */
enum verdict unit_note(struct unit *unit, struct unit_case *one, int own, struct error *error);
/* Its changes are over: the violation is gone; live: as our own remediation left it, NULL: it did nothing. */
enum verdict unit_settle(struct unit *unit, struct unit_case *one, const struct live *live, struct error *error);
/* A sweep has seen the resource.  *changes, *baseline: new, for judging; 0, or -1 with *error. */
int baseline_sweep(struct worker *worker, const struct guardrail *guardrail, const char *subject,
                   const struct live *live, struct occasion *occasion, struct error *error);
struct occasion unit_occasion(const struct unit *unit, const struct unit_case *one); /* what it is judged by */
/* seen: what was judged.  *live: new, what was read under the lease, NULL when the resource is gone. */
enum verdict unit_gate(struct unit *unit, struct unit_case *one, const struct live *seen, struct live **live,
                       json_t **finding, struct error *error);
enum verdict unit_act(struct unit *unit, struct unit_case *one, struct live *live, json_t *finding,
                      struct error *error);
/* An action that an earlier try, or a dead worker, left open: resolves it from live state, under the lease.  It stays
 * indexed until its effect is verified and recorded (unit_close), or until the next action of this subject. */
enum verdict unit_resolve(struct unit *unit, struct unit_case *one, const struct live *live, struct error *error);
/* Takes the lease on the resource, unless the unit has it.  GO, or LATER. */
enum verdict unit_lease(struct unit *unit, struct unit_case *one, struct error *error);
/* No stop, and the lease is still ours (prolonged; else the unit has none any more)?  0, or -1 with *error. */
int unit_may_mutate(struct unit *unit, struct error *error);
/* An action was left open: takes the lease, reads, resolves it.  GO (one->resolved tells), or LATER. */
enum verdict unit_take_over(struct unit *unit, struct unit_case *one, struct error *error);
/* limits.c: tells the breakers how the action ended.  0, or -1 with *error. */
int limits_outcome(struct unit *unit, struct unit_case *one, int failed, struct error *error);
/* A scope opened, over this case: logged, mirrored, told. */
void limits_tripped(struct unit *unit, struct unit_case *one, const char *scope, const char *by, const char *reason);
/* fights.c: a fix was verified, 0 or -1; and the gate that stops after some rounds: GO, DONE or LATER. */
int fight_round(struct unit *unit, struct unit_case *one, struct error *error);
enum verdict gate_fight(struct unit *unit, struct unit_case *one, json_t *finding, struct error *error);
/* The action is at its end: its outcome is told, and it is no longer indexed as open.  DONE, or LATER. */
enum verdict unit_close(struct unit *unit, struct unit_case *one, struct error *error);

/* Reads the resource with all that the case uses.  VERDICT_GO with *live (NULL: gone).  `one` NULL: with what all cases
 * use that want a look; a context that cannot be read is told, and blinds those alone that use it (live_unread). */
enum verdict unit_read(struct unit *unit, const struct unit_case *one, struct live **live, struct error *error);

/* record.c: tells of a finding that a sweep closed. */
void record_closed(struct worker *worker, json_t *record);
/* Writes a finding's new status.  `evidence` may be NULL.  GO, or LATER when state cannot be written. */
enum verdict record_finding(struct unit *unit, struct unit_case *one, const char *status, json_t *evidence,
                            const char *note, struct error *error);
void record_reach(struct worker *worker, const struct account *account, const char *region, const struct error *error);
/* One record of parapet.actions; durably: waits until it is acknowledged.  0, or -1 with *error. */
int record_action(struct unit *unit, struct unit_case *one, json_t *record, int durably, struct error *error);
void notice_case(struct unit *unit, struct unit_case *one, const char *outcome, json_t *evidence, const char *note);

void finding_id(const char *subject, char id[33]);
struct reader unit_reader(const struct unit *unit, struct aws_role *role);

#endif
