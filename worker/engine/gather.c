/* A question is kept while calls of it are under way: each is a convoy (base/convoy.h). */
#include "engine/gather.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/convoy.h"
#include "engine/join.h"

#define HASH_NONFATAL_OOM 1
#include "uthash.h"

/* Calls of one question: with one, everybody would wait for the slowest; two of some 100 ms are EC2's 20 a second.  Two
 * that hang hold the others up for a second. */
enum { CALLS_AT_ONCE = 2, PATIENCE_MS = 1000 };

struct waiter { /* one read */
  struct rider rider;
  const char *id;
  json_t *items; /* what came of it; NULL: error, or … */
  int alone;     /* … it is to ask for itself */
  struct error error;
};

struct question {
  char *text;
  struct convoy convoy; /* nobody under way: the question is forgotten */
  UT_hash_handle hh;
};

struct gather {
  pthread_mutex_t lock; /* guards the questions */
  struct question *questions;
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

size_t gather_waiting(struct gather *gather) {
  size_t waiting = 0;
  pthread_mutex_lock(&gather->lock);
  for (const struct question *question = gather->questions; question; question = question->hh.next)
    waiting += question->convoy.queued;
  pthread_mutex_unlock(&gather->lock);
  return waiting;
}

/* ---- questions; under the lock ---- */
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

static void forget(struct gather *gather, struct question *question) {
  HASH_DEL(gather->questions, question);
  question_free(question);
}

/* ---- a call for many ---- */
static struct waiter *next_of(const struct waiter *waiter) { return (struct waiter *)waiter->rider.next; }

static json_t *distinct_ids(const struct waiter *waiters) {
  json_t *seen = json_object(), *ids = json_array();
  int failed = !seen || !ids;
  for (; waiters && !failed; waiters = next_of(waiters)) {
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
  for (const struct waiter *waiter = waiters; waiter; waiter = next_of(waiter)) count++;
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
  for (; waiters; waiters = next_of(waiters)) {
    json_t *own = failed ? NULL : joined_items(table, waiters->id);
    waiters->items = json_copy(own);
    waiters->alone = !waiters->items;
    json_decref(own);
  }
  joined_free(table);
}

/* Nothing came.  What may be the fault of one of many, or of there being many, is not the others'. */
static void fail(struct waiter *waiters, const struct error *problem) {
  int alone = next_of(waiters) && !error_is_transient(problem);
  for (; waiters; waiters = next_of(waiters)) {
    waiters->alone = alone;
    waiters->error = *problem;
  }
}

/* The call of the one who leads, and what comes of it for each. */
static void lead(struct gather *gather, const struct gathered *read, const struct convoy_rules *rules,
                 struct question *question, struct waiter *self) {
  struct error problem = {0};
  json_t *items = ask(gather, read, self, &problem);
  pthread_mutex_lock(&gather->lock);
  if (convoy_land(&question->convoy, rules) == 0) forget(gather, question);
  pthread_mutex_unlock(&gather->lock);
  if (!items)
    fail(self, &problem);
  else if (next_of(self))
    share(read, items, self);
  else
    self->items = json_incref(items);
  json_decref(items);
  convoy_tell(&self->rider);
}

json_t *gather_items(struct gather *gather, const struct gathered *read, const char *id, struct error *error) {
  const struct convoy_rules rules = {.at_once = CALLS_AT_ONCE, .most = read->limit, .patience_ms = PATIENCE_MS};
  struct waiter self = {.id = id};
  pthread_mutex_lock(&gather->lock);
  struct question *question = question_of(gather, read->question);
  if (!question) {
    pthread_mutex_unlock(&gather->lock);
    self.alone = 1;
  } else if (convoy_join(&question->convoy, &gather->lock, &self.rider, &rules)) {
    lead(gather, read, &rules, question, &self);
  }
  if (self.alone) {
    const struct waiter alone = {.id = id};
    return ask(gather, read, &alone, error);
  }
  if (self.error.class != ERROR_NONE && error) *error = self.error;
  return self.items;
}
