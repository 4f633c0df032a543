/* A question is kept while calls of it are in the air.  Who finds fewer than IN_THE_AIR takes off at once; else it
 * queues.  Who lands hands its place to the first of the queue; that one, once it is awake, takes those behind it
 * along. So there is a queue only while all places are taken, and somebody who will land. */
#include "engine/gather.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "engine/join.h"

#define HASH_NONFATAL_OOM 1
#include "uthash.h"

/* Calls of one question: with one, everybody would wait for the slowest; two of some 100 ms are EC2's 20 a second. */
enum { IN_THE_AIR = 2 };

enum turn {
  TURN_WAITS,  /* queued, or asked for by another's call */
  TURN_LEADS,  /* makes the next call */
  TURN_ANSWER, /* items are there */
  TURN_FAILED, /* error is there */
  TURN_ALONE   /* is to ask for itself */
};

struct question;
struct waiter { /* one read: on its own thread's stack, so it lives until it was told its turn, and no longer */
  const char *id;
  struct question *question; /* of one who leads: it keeps a place in the air for it */
  enum turn turn;            /* another thread sets it once, before it posts `told` */
  json_t *items;
  struct error error;
  sem_t told;          /* a semaphore, not a condition: a hundred that are told at once do not meet at the lock */
  struct waiter *next; /* in the queue; of one who leads: those whom it asks for as well */
};

struct question {
  char *text;
  int calls; /* in the air; none: the question is forgotten */
  struct waiter *first, *last;
  UT_hash_handle hh;
};

struct gather {
  pthread_mutex_t lock; /* guards the questions and their queues */
  struct question *questions;
  atomic_size_t waiting;
  void (*sent)(size_t resources);
};

struct gather *gather_open(void (*sent)(size_t resources)) {
  struct gather *gather = calloc(1, sizeof *gather);
  if (!gather) return NULL;
  pthread_mutex_init(&gather->lock, NULL);
  gather->sent = sent;
  return gather;
}

void gather_close(struct gather *gather) {
  if (!gather) return;
  pthread_mutex_destroy(&gather->lock);
  free(gather);
}

size_t gather_waiting(struct gather *gather) { return atomic_load(&gather->waiting); }

/* ---- the queue; all under the lock ---- */
static void question_free(struct question *question) {
  if (question) free(question->text);
  free(question);
}

/* NULL: no memory. */
static struct question *question_of(struct gather *gather, const char *text) {
  struct question *question;
  HASH_FIND_STR(gather->questions, text, question);
  if (question) return question;
  question = calloc(1, sizeof *question);
  if (question && (question->text = strdup(text))) {
    HASH_ADD_KEYPTR(hh, gather->questions, question->text, strlen(question->text), question);
    if (question->hh.tbl) return question;
  }
  question_free(question);
  return NULL;
}

static void queue_up(struct question *question, struct waiter *waiter) {
  if (question->first)
    question->last->next = waiter;
  else
    question->first = waiter;
  question->last = waiter;
}

/* The first so many of the queue, as a list. */
static struct waiter *take(struct question *question, size_t limit) {
  struct waiter *taken = question->first, *last = NULL;
  for (; limit > 0 && question->first; limit--) question->first = (last = question->first)->next;
  if (last) last->next = NULL;
  return last ? taken : NULL;
}

/* The waiter may be gone as soon as it was told. */
static void tell(struct waiter *waiter, enum turn turn) {
  waiter->turn = turn;
  sem_post(&waiter->told);
}

/* ---- a call for many ---- */
static json_t *distinct_ids(const struct waiter *waiters) {
  json_t *seen = json_object(), *ids = json_array();
  int failed = !seen || !ids;
  for (; waiters && !failed; waiters = waiters->next) {
    if (json_object_get(seen, waiters->id)) continue;
    failed = json_object_set_new(seen, waiters->id, json_true()) != 0 ||
             json_array_append_new(ids, json_string(waiters->id)) != 0;
  }
  json_decref(seen);
  if (!failed) return ids;
  json_decref(ids);
  return NULL;
}

/* Asks for these waiters, with the argument of the one who makes the call. */
static json_t *ask(struct gather *gather, const struct gathered *read, const struct waiter *waiters,
                   struct error *error) {
  json_t *ids = distinct_ids(waiters), *items = NULL;
  size_t count = 0;
  for (const struct waiter *waiter = waiters; waiter; waiter = waiter->next) count++;
  if (ids && gather->sent) gather->sent(count);
  if (ids)
    items = read->ask(ids, read->argument, error);
  else
    error_set(error, ERROR_FATAL, "Memory", "out of memory");
  json_decref(ids);
  return items;
}

/* Gives each its items, in an array of its own; who gets none is to ask alone. */
static void share(const struct gathered *read, json_t *items, struct waiter *waiters) {
  struct joined *table = NULL;
  int failed = joined_add(&table, read->by, items, NULL) != 0;
  for (; waiters && !failed; waiters = waiters->next) {
    json_t *own = joined_items(table, waiters->id);
    waiters->items = json_copy(own);
    json_decref(own);
  }
  joined_free(table);
}

/* Whoever made a call gives its place to the next one. */
static void land(struct gather *gather, struct question *question) {
  pthread_mutex_lock(&gather->lock);
  struct waiter *next = take(question, 1);
  if (next) {
    tell(next, TURN_LEADS);
  } else if (--question->calls == 0) {
    HASH_DEL(gather->questions, question);
    question_free(question);
  }
  pthread_mutex_unlock(&gather->lock);
}

/* The call of the one who leads, and what comes of it for each. */
static void lead(struct gather *gather, const struct gathered *read, struct waiter *self) {
  struct error problem = {0};
  json_t *items = ask(gather, read, self, &problem);
  enum turn without = !self->next || error_is_transient(&problem) ? TURN_FAILED : TURN_ALONE;
  land(gather, self->question);
  if (self->next && items)
    share(read, items, self);
  else
    self->items = json_incref(items);
  json_decref(items);
  for (struct waiter *waiter = self, *next; waiter; waiter = next) {
    next = waiter->next;
    if (!waiter->items) waiter->error = problem;
    tell(waiter, waiter->items ? TURN_ANSWER : without);
  }
}

/* Takes a place in the air; or queues, and is told later. */
static void take_turn(struct gather *gather, const struct gathered *read, struct waiter *self) {
  pthread_mutex_lock(&gather->lock);
  struct question *question = self->question = question_of(gather, read->question);
  if (!question) {
    self->turn = TURN_ALONE;
  } else if (question->calls < IN_THE_AIR) {
    question->calls++;
    self->turn = TURN_LEADS;
  } else {
    queue_up(question, self);
  }
  int waits = self->turn == TURN_WAITS;
  pthread_mutex_unlock(&gather->lock);
  if (!waits) return;
  atomic_fetch_add(&gather->waiting, 1);
  while (sem_wait(&self->told) != 0) {} /* a signal came */
  atomic_fetch_sub(&gather->waiting, 1);
  if (self->turn != TURN_LEADS) return;
  pthread_mutex_lock(&gather->lock);
  self->next = take(question, read->limit - 1);
  pthread_mutex_unlock(&gather->lock);
}

json_t *gather_items(struct gather *gather, const struct gathered *read, const char *id, struct error *error) {
  struct waiter self = {.id = id};
  sem_init(&self.told, 0, 0);
  take_turn(gather, read, &self);
  if (self.turn == TURN_LEADS) lead(gather, read, &self);
  sem_destroy(&self.told);
  if (self.turn == TURN_ALONE) {
    const struct waiter alone = {.id = id};
    return ask(gather, read, &alone, error);
  }
  if (self.error.class != ERROR_NONE && error) *error = self.error;
  return self.items;
}
