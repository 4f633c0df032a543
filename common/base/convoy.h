/* Convoys: of many threads that each want one trip to somewhere, a few go, and carry for the others (group commit, as
 * databases call it).
 *
 * Nobody waits for company: who finds fewer than `at_once` trips under way goes at once, alone.  Who does not, queues.
 * Whoever comes back hands its place to the first of the queue, and that one takes along those who queue behind it at
 * that moment.  So a trip starts after all whom it carries have come, and there is a queue only while somebody is under
 * way who will come back.
 *
 * Where a trip may take long, patience bounds the waiting: whoever has waited that long goes, though there are enough
 * under way, and takes along those who queue. */
#ifndef PARAPET_BASE_CONVOY_H
#define PARAPET_BASE_CONVOY_H

#include <pthread.h>
#include <semaphore.h>
#include <stddef.h>
#include <stdint.h>

struct rider {        /* begins what its caller wants carried; on the caller's stack */
  struct rider *next; /* of one who leads: whom it carries */
  int leads, queues;
  sem_t told; /* a semaphore, not a condition: many that are told at once do not meet at the lock */
};

struct convoy_rules {
  unsigned at_once;    /* trips under way, but for the impatient */
  size_t most;         /* riders of a trip */
  int64_t patience_ms; /* 0: without end.  (By the wall clock: when that is set back, some wait longer) */
};

struct convoy { /* zeroed: nobody is there.  Guarded by its owner's lock */
  unsigned under_way;
  struct rider *first, *last;
  size_t queued;
};

/* With the lock held, which is free again when it returns.  1: the caller leads: it goes for itself and for those
 * behind rider->next; then convoy_land, then convoy_tell.  0: another carried it, and left with it what it brought. */
int convoy_join(struct convoy *convoy, pthread_mutex_t *lock, struct rider *rider, const struct convoy_rules *rules);
/* With the lock held: the leader is back, and the next one may go.  Returns how many are under way. */
unsigned convoy_land(struct convoy *convoy, const struct convoy_rules *rules);
/* Tells those whom the leader carried; each may be gone at once. */
void convoy_tell(struct rider *leader);

#endif
