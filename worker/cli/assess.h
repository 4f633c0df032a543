/* What assess.c reads and assess_report.c shows.  Private to worker/cli. */
#ifndef PARAPET_CLI_ASSESS_H
#define PARAPET_CLI_ASSESS_H

#include <pthread.h>

#include "base/pool.h"
#include "cli.h"
#include "engine/live.h"
#include "fleet/roster.h"

struct assessment {
  struct cli *cli;
  struct aws_client *client;
  struct bundle *bundle;
  struct accounts *accounts; /* NULL: no file */
  struct aws_role role;
  struct pool *pool;
  size_t shares;         /* of the threads, for each account */
  unsigned char *chosen; /* by index of the bundle's guardrails */
  /* The rest is written by every reading thread, under the lock. */
  pthread_mutex_t lock;
  json_t *findings, *unreadable;
  size_t resources, places, reads, reads_done;
};

/* Adds what could not be read; place->region NULL: nothing of the account could. */
void assess_unreadable(struct assessment *assessment, const struct place *place, const char *what,
                       const struct error *error);
void assess_found(struct assessment *assessment, const struct guardrail *guardrail, const struct place *place,
                  const struct live *live, json_t *finding);
/* A line that overwrites itself, where standard error is a terminal.  Under the lock. */
void assess_progress(const struct assessment *assessment);
/* Prints everything; the exit code. */
int assess_report(struct assessment *assessment);
/* 0 (low) to 3 (critical); -1 for another word. */
int assess_severity(const char *word);

#endif
