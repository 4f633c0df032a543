/* A source of events.  Adding one: a file under sources/ that fills this, and its line in the table of main.c. */
#ifndef PARAPET_PRODUCER_SOURCE_H
#define PARAPET_PRODUCER_SOURCE_H

#include "aws/aws.h"
#include "base/config.h"
#include "publish.h"
#include "state/state.h"

struct source_context {
  const struct config *config;
  const struct bus_options *bus;
  struct publisher *publisher;
  struct aws_client *aws; /* NULL unless a source that runs needs it */
  struct state *state;    /* the same */
};

struct source {
  const char *name;
  int needs_aws, needs_state;
  /* Do the settings ask for it?  1, 0, or -1 with *error when they contradict themselves. */
  int (*wanted)(const struct config *config, struct error *error);
  /* Starts its threads.  NULL with *error. */
  void *(*start)(const struct source_context *context, struct error *error);
  /* 1, or 0 with the reason. */
  int (*ready)(void *running, char *reason, size_t size);
  /* Has it come to its end by itself? (A file has, a queue never.)  *failed: with an error. */
  int (*finished)(void *running, int *failed);
  /* Takes nothing more, waits (at most 30 s) until what was taken is dealt with, joins its threads. */
  void (*stop)(void *running);
  /* After the publisher was closed: no callback can come any more. */
  void (*release)(void *running);
};

extern const struct source source_sqs, source_schedule, source_replay;

#endif
