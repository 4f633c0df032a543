/* Private to operate/undo*.c: one action on its way back. */
#ifndef PARAPET_OPERATE_UNDO_JOB_H
#define PARAPET_OPERATE_UNDO_JOB_H

#include "journal.h"
#include "operate/undo.h"

struct undo_job { /* one command */
  struct worker *worker;
  struct bundle *bundle; /* held */
  struct undo_report report;
  json_t *arguments;
  char principal[256], command[80];
  pthread_mutex_t lock; /* guards everything below */
  json_t *actions;      /* those to be taken back: records, the latest first */
  size_t next, running, bytes;
  int64_t done;
  int abandoned;
  json_t *outcomes, *counts;
};

enum undo_stage { UNDO_LOOK, UNDO_VERIFY };

struct undo {
  struct task task;
  struct undo_job *job;
  json_t *action, *images, *renames, *inverses; /* inverses: [{call, with, path}] in the order to run */
  struct guardrail guardrail;                   /* a stand-in: its playbook may be another by now, or gone */
  const struct context *uses[64];
  struct unit *unit;
  struct journal journal;
  enum undo_stage stage;
  int looks, tries, resumed;
  int64_t begun_ms;
  json_t *outcome;
};

/* undo_act.c: the action's way back.  GO: the next stage; DONE: undo->outcome is there; AGAIN, LATER as for units. */
enum verdict undo_look(struct undo *undo, struct error *error);
enum verdict undo_verify(struct undo *undo, struct error *error);
/* Sets undo->outcome; always DONE.  outcome: undone, differs, refused, failed, planned. */
enum verdict undo_outcome(struct undo *undo, const char *outcome, json_t *differences /* takes; may be NULL */,
                          const char *format, ...) __attribute__((format(printf, 4, 5)));
void undo_free(struct undo *undo);

#endif
