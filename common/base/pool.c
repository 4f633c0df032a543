#include "base/pool.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/pool_internal.h"
#include "base/thread_internal.h"

#define MOST_THREADS 1024
#define DEFAULT_STACK ((size_t)256 * 1024)
#define LONGEST_DELAY_MS ((int64_t)10 * 366 * 86400 * 1000)

/* Sanitizers make stack frames several times larger. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STACK_FACTOR 4
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define STACK_FACTOR 4
#endif
#endif
#ifndef STACK_FACTOR
#define STACK_FACTOR 1
#endif

/* `lock` guards everything below it. */
struct pool {
  void (*thread_end)(void);
  char name[9];
  pthread_t *threads;
  unsigned thread_count;
  pthread_t timekeeper;
  int has_timekeeper;

  pthread_mutex_t lock;
  pthread_cond_t work;   /* a chain became ready, or the pool closes: wakes workers */
  pthread_cond_t timing; /* an earlier due time, or the pool closes: wakes the timekeeper */
  pthread_cond_t idle;   /* nothing queued or running */
  struct queue queue;
  struct timer_heap timers;
  uint64_t sequence;
  size_t running;
  int closing; /* nothing is accepted any more */
  int leaving; /* and nothing is delayed any more: workers end when the queue is empty */
};

static _Thread_local enum pool_lane lane_of_thread = POOL_LANE_EVENT;

enum pool_lane pool_lane(void) { return lane_of_thread; }

void pool_lane_set(enum pool_lane lane) { lane_of_thread = lane; }

/* Called with the lock held, whenever queued or running went down. */
static void tell_when_idle(struct pool *pool) {
  if (pool->queue.queued > 0 || pool->running > 0) return;
  pthread_cond_broadcast(&pool->idle);
  if (pool->leaving) pthread_cond_broadcast(&pool->work);
}

static void *work(void *argument) {
  struct pool *pool = argument;
  pthread_mutex_lock(&pool->lock);
  for (;;) {
    struct chain *chain;
    struct task *task = queue_take(&pool->queue, &chain);
    if (!task) {
      if (pool->leaving && pool->queue.queued == 0) break;
      pthread_cond_wait(&pool->work, &pool->lock);
      continue;
    }
    pool->running++;
    pthread_mutex_unlock(&pool->lock);
    pool_lane_set(task->lane);
    task->run(task->argument);
    free(task);
    pthread_mutex_lock(&pool->lock);
    pool->running--;
    /* The chain that became ready is this thread's own next pick, or leaves another one for it: nobody to wake. */
    queue_done(&pool->queue, chain);
    tell_when_idle(pool);
  }
  pthread_mutex_unlock(&pool->lock);
  if (pool->thread_end) pool->thread_end();
  return NULL;
}

/* Moves what is due into the queue; called with the lock held.  A task that cannot be queued for want of memory is
 * tried again a little later: it was accepted, so it will run. */
static void move_due(struct pool *pool, int64_t now) {
  for (struct task *task = timer_first(&pool->timers); task && task->due <= now; task = timer_first(&pool->timers)) {
    timer_take(&pool->timers);
    if (queue_add(&pool->queue, task) == 0) {
      pthread_cond_signal(&pool->work);
      continue;
    }
    task->due = now + 100;
    timer_add(&pool->timers, task); /* the heap has the room that the task just left */
    return;
  }
}

static void *keep_time(void *argument) {
  struct pool *pool = argument;
  pthread_mutex_lock(&pool->lock);
  while (!pool->closing) {
    move_due(pool, clock_monotonic_ms());
    const struct task *first = timer_first(&pool->timers);
    if (first)
      clock_condition_wait(&pool->timing, &pool->lock, first->due);
    else
      pthread_cond_wait(&pool->timing, &pool->lock);
  }
  pthread_mutex_unlock(&pool->lock);
  return NULL;
}

static struct pool *pool_new(const struct pool_options *options) {
  struct pool *pool = calloc(1, sizeof *pool);
  if (!pool) return NULL;
  pool->threads = calloc(options->threads, sizeof *pool->threads);
  if (!pool->threads) {
    free(pool);
    return NULL;
  }
  snprintf(pool->name, sizeof pool->name, "%s", options->name ? options->name : "pool");
  pool->thread_end = options->thread_end;
  pthread_mutex_init(&pool->lock, NULL);
  clock_condition_init(&pool->work);
  clock_condition_init(&pool->timing);
  clock_condition_init(&pool->idle);
  return pool;
}

static void name_thread(const struct pool *pool, pthread_t thread, unsigned number) {
  char name[16]; /* the kernel's limit, with the NUL */
  snprintf(name, sizeof name, "%s-%u", pool->name, number % 10000);
  pthread_setname_np(thread, name);
}

/* Starts the workers and the timekeeper; the errno value of the failure otherwise. */
static int start_threads(struct pool *pool, const struct pool_options *options) {
  size_t stack = (options->stack_bytes ? options->stack_bytes : DEFAULT_STACK) * STACK_FACTOR;
  if (stack < (size_t)PTHREAD_STACK_MIN) stack = (size_t)PTHREAD_STACK_MIN;
  stack = (stack + 4095) / 4096 * 4096;
  pthread_attr_t attributes;
  int failure = pthread_attr_init(&attributes);
  if (failure) return failure;
  failure = pthread_attr_setstacksize(&attributes, stack);
  sigset_t before;
  thread_block_signals(&before);
  while (!failure && pool->thread_count < options->threads) {
    failure = pthread_create(&pool->threads[pool->thread_count], &attributes, work, pool);
    if (failure) break;
    name_thread(pool, pool->threads[pool->thread_count], pool->thread_count + 1);
    pool->thread_count++;
  }
  if (!failure) {
    failure = pthread_create(&pool->timekeeper, &attributes, keep_time, pool);
    pool->has_timekeeper = !failure;
  }
  thread_restore_signals(&before);
  pthread_attr_destroy(&attributes);
  if (pool->has_timekeeper) name_thread(pool, pool->timekeeper, 0);
  return failure;
}

struct pool *pool_open(const struct pool_options *options, struct error *error) {
  if (options->threads < 1 || options->threads > MOST_THREADS) {
    error_set(error, ERROR_INVALID, "Threads", "A pool has 1 to %d threads, not %u.", MOST_THREADS, options->threads);
    return NULL;
  }
  struct pool *pool = pool_new(options);
  if (!pool) {
    error_set(error, ERROR_FATAL, "OutOfMemory", "No memory for a pool of %u threads.", options->threads);
    return NULL;
  }
  int failure = start_threads(pool, options);
  if (failure) {
    error_set(error, ERROR_FATAL, "Threads", "Thread %u of pool %s could not be started: %s.", pool->thread_count + 1,
              pool->name, strerror(failure));
    pool_close(pool, NULL);
    return NULL;
  }
  return pool;
}

static struct task *task_new(enum pool_lane lane, const char *key, pool_task *run, void *argument) {
  if (!key) key = "";
  size_t size = strlen(key) + 1;
  struct task *task = calloc(1, sizeof *task + size);
  if (!task) return NULL;
  memcpy(task->key, key, size);
  task->lane = lane;
  task->run = run;
  task->argument = argument;
  return task;
}

/* With the lock held: 0, or -1 when the task was not taken. */
static int accept_task(struct pool *pool, struct task *task, int64_t delay_ms) {
  if (pool->closing || pool->queue.queued + pool->timers.count >= POOL_CEILING) return -1;
  task->sequence = pool->sequence++;
  if (delay_ms <= 0) {
    if (queue_add(&pool->queue, task) != 0) return -1;
    pthread_cond_signal(&pool->work);
    return 0;
  }
  task->due = clock_monotonic_ms() + (delay_ms < LONGEST_DELAY_MS ? delay_ms : LONGEST_DELAY_MS);
  if (timer_add(&pool->timers, task) != 0) return -1;
  if (timer_first(&pool->timers) == task) pthread_cond_signal(&pool->timing);
  return 0;
}

int pool_submit(struct pool *pool, enum pool_lane lane, const char *key, int64_t delay_ms, pool_task *task,
                void *argument) {
  struct task *entry = task_new(lane, key, task, argument);
  if (!entry) return -1;
  pthread_mutex_lock(&pool->lock);
  int result = accept_task(pool, entry, delay_ms);
  pthread_mutex_unlock(&pool->lock);
  if (result != 0) free(entry);
  return result;
}

struct pool_load pool_load(struct pool *pool) {
  pthread_mutex_lock(&pool->lock);
  struct pool_load load = {pool->queue.queued, pool->running, pool->timers.count};
  pthread_mutex_unlock(&pool->lock);
  return load;
}

int pool_wait_idle(struct pool *pool, int64_t timeout_ms) {
  int64_t deadline = clock_monotonic_ms() + (timeout_ms < LONGEST_DELAY_MS ? timeout_ms : LONGEST_DELAY_MS);
  pthread_mutex_lock(&pool->lock);
  int busy = pool->queue.queued > 0 || pool->running > 0;
  while (busy && clock_monotonic_ms() < deadline) {
    clock_condition_wait(&pool->idle, &pool->lock, deadline);
    busy = pool->queue.queued > 0 || pool->running > 0;
  }
  pthread_mutex_unlock(&pool->lock);
  return busy ? -1 : 0;
}

/* The delayed tasks of a closing pool, outside the lock: given to `abandoned`, or run here when the queue has no
 * memory for them; everything else enters the queue. */
static void settle_delayed(struct pool *pool, pool_task *abandoned) {
  for (;;) {
    pthread_mutex_lock(&pool->lock);
    struct task *task = timer_take(&pool->timers);
    int queued = task && !abandoned && queue_add(&pool->queue, task) == 0;
    if (queued) pthread_cond_signal(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    if (!task) return;
    if (queued) continue;
    (abandoned ? abandoned : task->run)(task->argument);
    free(task);
  }
}

void pool_close(struct pool *pool, pool_task *abandoned) {
  if (!pool) return;
  pthread_mutex_lock(&pool->lock);
  pool->closing = 1;
  pthread_cond_broadcast(&pool->timing);
  pthread_mutex_unlock(&pool->lock);
  if (pool->has_timekeeper) pthread_join(pool->timekeeper, NULL);

  settle_delayed(pool, abandoned);
  pthread_mutex_lock(&pool->lock);
  pool->leaving = 1;
  pthread_cond_broadcast(&pool->work);
  pthread_mutex_unlock(&pool->lock);
  for (unsigned i = 0; i < pool->thread_count; i++) pthread_join(pool->threads[i], NULL);

  timer_free(&pool->timers);
  pthread_cond_destroy(&pool->work);
  pthread_cond_destroy(&pool->timing);
  pthread_cond_destroy(&pool->idle);
  pthread_mutex_destroy(&pool->lock);
  free(pool->threads);
  free(pool);
}
