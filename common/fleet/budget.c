#include "fleet/budget.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/pool.h"

enum {
  BUCKETS = 4096,    /* local ones, by hash: two that meet take turns */
  LEASE_MS = 500,    /* leased tokens are good for so long */
  SLOW_MS = 250,     /* an answer of Redis that takes longer: the local share for a while */
  ASIDE_MS = 2000,   /* that while */
  SOME_WORKERS = 10, /* until somebody counted them */
  LONGEST_NAP_MS = 1000
};

struct bucket {
  pthread_mutex_t lock; /* guards the rest; held while Redis is asked, so that one asks for all */
  char name[256];
  int64_t tokens, until; /* leased, until then (monotonic ms) */
  int64_t full_us;       /* the local share's GCRA: when it is full again */
};

struct fleet_budget {
  struct state *state;
  atomic_int workers;
  _Atomic int64_t aside_until; /* monotonic ms: Redis is not asked before */
  struct bucket buckets[BUCKETS];
};

void fleet_budget_workers(struct fleet_budget *budget, int workers) {
  atomic_store(&budget->workers, workers > 0 ? workers : 1);
}

struct fleet_budget *fleet_budget_open(struct state *state) {
  struct fleet_budget *budget = calloc(1, sizeof *budget);
  if (!budget) return NULL;
  budget->state = state;
  budget->workers = SOME_WORKERS;
  for (size_t i = 0; i < BUCKETS; i++) pthread_mutex_init(&budget->buckets[i].lock, NULL);
  return budget;
}

void fleet_budget_close(struct fleet_budget *budget) {
  if (!budget) return;
  for (size_t i = 0; i < BUCKETS; i++) pthread_mutex_destroy(&budget->buckets[i].lock);
  free(budget);
}

/* ---- buckets ---- */
static void bucket_name(const struct aws_budget_call *call, char *name, size_t size) {
  snprintf(name, size, "%s|%s|%s", *call->account ? call->account : "hub", *call->region ? call->region : "global",
           call->class);
}

/* Locked.  Another's tokens are given up. */
static struct bucket *bucket_of(struct fleet_budget *budget, const char *name) {
  uint64_t hash = 14695981039346656037u;
  for (const char *at = name; *at; at++) hash = (hash ^ (unsigned char)*at) * 1099511628211u;
  struct bucket *bucket = &budget->buckets[(hash ^ hash >> 32) % BUCKETS];
  pthread_mutex_lock(&bucket->lock);
  if (strcmp(bucket->name, name) != 0) {
    snprintf(bucket->name, sizeof bucket->name, "%s", name);
    bucket->tokens = 0; /* its share stays: both are a little more careful then */
  }
  return bucket;
}

/* ---- leasing ---- */
/* Tokens that may lie unused for LEASE_MS come off the shared burst; where nothing of it would be left, each is leased
 * for itself and used at once. */
static int64_t batch_of(const struct aws_budget_call *call, struct state_bucket *size) {
  static const double reserves[] = {[POOL_LANE_COMMAND] = 0, [POOL_LANE_EVENT] = 0.1, [POOL_LANE_SWEEP] = 0.5};
  double kept = call->per_second * LEASE_MS / 1000;
  int64_t batch = (int64_t)(kept / 2);
  *size = (struct state_bucket){.burst = call->burst, .per_second = call->per_second, .reserve = reserves[pool_lane()]};
  if (batch < 2 || call->burst - kept < 1) return 1;
  size->burst = call->burst - kept;
  return batch < 50 ? batch : 50;
}

/* 0 with the milliseconds to come again in (0: taken), or -1: Redis does not answer (in time). */
static int lease(struct fleet_budget *budget, struct bucket *bucket, const struct aws_budget_call *call,
                 int64_t *wait_ms) {
  struct state_bucket size;
  struct state_tokens tokens;
  int64_t began = clock_monotonic_ms(), batch = batch_of(call, &size);
  int failed = state_budget_take(budget->state, bucket->name, &size, batch, &tokens, NULL);
  int64_t now = clock_monotonic_ms();
  if (failed || now - began > SLOW_MS) atomic_store(&budget->aside_until, now + ASIDE_MS);
  if (failed) return -1;
  *wait_ms = tokens.count > 0 ? 0 : tokens.wait_ms > 0 ? tokens.wait_ms : 1;
  bucket->tokens = tokens.count > 0 ? tokens.count - 1 : 0;
  bucket->until = began + LEASE_MS;
  return 0;
}

/* ---- the local share ---- */
static int64_t take_share(struct fleet_budget *budget, struct bucket *bucket, const struct aws_budget_call *call,
                          int64_t left_ms) {
  int workers = atomic_load(&budget->workers);
  double rate = call->per_second / workers, burst = call->burst / workers > 1 ? call->burst / workers : 1;
  int64_t now = clock_monotonic_ms() * 1000, interval = (int64_t)(1e6 / rate), depth = (int64_t)(burst * 1e6 / rate);
  int64_t next = (bucket->full_us > now ? bucket->full_us : now) + interval, wait = next - depth - now;
  if (wait < 0) wait = 0;
  if (wait > left_ms * 1000) return -1;
  bucket->full_us = next;
  return (wait + 999) / 1000;
}

/* ---- the hook ---- */
/* 0: taken; more: ask again then (*again 1), or send then; -1: refused. */
static int64_t take_once(struct fleet_budget *budget, const struct aws_budget_call *call, const char *name,
                         int64_t left_ms, int *again) {
  struct bucket *bucket = bucket_of(budget, name);
  int64_t wait = 0, now = clock_monotonic_ms();
  *again = 0;
  if (bucket->tokens > 0 && now < bucket->until) {
    bucket->tokens--;
  } else if (now >= atomic_load(&budget->aside_until) && lease(budget, bucket, call, &wait) == 0) {
    *again = wait > 0;
  } else {
    wait = aws_operation_reads(call->operation) ? take_share(budget, bucket, call, left_ms) : -1;
  }
  pthread_mutex_unlock(&bucket->lock);
  return wait;
}

static int64_t take(void *context, const struct aws_budget_call *call, struct error *error) {
  struct fleet_budget *budget = context;
  char name[256];
  bucket_name(call, name, sizeof name);
  for (;;) {
    int again = 0;
    int64_t left = call->deadline_ms - clock_monotonic_ms();
    int64_t wait = left > 0 ? take_once(budget, call, name, left, &again) : -1;
    if (wait >= 0 && !again) return wait;
    if (wait < 0 || wait >= left)
      return error_set(error, ERROR_THROTTLED, "BudgetExceeded",
                       "the fleet's budget of this account, Region and kind of call has no room before the deadline");
    clock_sleep_ms(wait < LONGEST_NAP_MS ? wait : LONGEST_NAP_MS); /* what others gave back may come sooner */
  }
}

static void throttled(void *context, const struct aws_budget_call *call) {
  struct fleet_budget *budget = context;
  char name[256];
  bucket_name(call, name, sizeof name);
  struct bucket *bucket = bucket_of(budget, name);
  bucket->tokens = 0;
  pthread_mutex_unlock(&bucket->lock);
  state_budget_slow(budget->state, name, NULL);
}

struct aws_budget fleet_budget_hook(struct fleet_budget *budget) {
  return (struct aws_budget){.take = take, .throttled = throttled, .context = budget};
}
