/* The threads that feed the verbs: kafka.consumers poll parapet.events, one each polls parapet.sweeps and
 * parapet.commands. */
#ifndef PARAPET_WORKER_PIPELINE_H
#define PARAPET_WORKER_PIPELINE_H

#include "worker.h"

struct feed { /* one consumer of parapet.events and its thread */
  struct worker *worker;
  struct bus_consumer *consumer;
  pthread_t thread;
};

/* Both poll until worker->stopping. */
void *events_thread(void *argument); /* struct feed * */
/* argument: struct worker *. */
void *sweeps_thread(void *argument);
void *commands_thread(void *argument); /* operators' commands; argument: struct worker * */

/* Hands work that was released or fell due back to the verbs: at most `limit` units.  Returns how many, -1 with *error.
 */
int parked_resume(struct worker *worker, size_t limit, struct error *error);

/* Sends what cannot be used to the dead letters and counts it; keeps trying until it is durable or the worker stops
 * (then the message is given back).  Finishes the message. */
void dead_letter(struct worker *worker, struct bus_consumer *consumer, struct bus_message *message, const char *reason);

#endif
