#include "base/convoy.h"

#include <errno.h>
#include <time.h>

/* ---- the queue; with the lock held ---- */
static void queue(struct convoy *convoy, struct rider *rider) {
  if (convoy->first)
    convoy->last->next = rider;
  else
    convoy->first = rider;
  convoy->last = rider;
  convoy->queued++;
  rider->queues = 1;
}

/* The first `most` as a list; NULL: nobody queues. */
static struct rider *take(struct convoy *convoy, size_t most) {
  struct rider *taken = NULL, **end = &taken;
  for (; most > 0 && convoy->first; most--) {
    struct rider *rider = convoy->first;
    convoy->first = rider->next;
    convoy->queued--;
    rider->queues = 0;
    rider->next = NULL;
    *end = rider;
    end = &rider->next;
  }
  return taken;
}

static void step_out(struct convoy *convoy, struct rider *rider) {
  struct rider **link = &convoy->first, *before = NULL;
  for (; *link != rider; link = &before->next) before = *link;
  *link = rider->next;
  if (convoy->last == rider) convoy->last = before;
  convoy->queued--;
  rider->queues = 0;
}

/* ---- waiting ---- */
static int wait(struct rider *rider, int64_t patience_ms) {
  struct timespec end;
  if (patience_ms == 0) return sem_wait(&rider->told);
  clock_gettime(CLOCK_REALTIME, &end);
  end.tv_sec += patience_ms / 1000;
  end.tv_nsec += patience_ms % 1000 * 1000000;
  if (end.tv_nsec >= 1000000000) end.tv_sec++, end.tv_nsec -= 1000000000;
  return sem_timedwait(&rider->told, &end);
}

/* 1: it still queues, and goes now; 0: it is under way already, or was handed a place this moment. */
static int lose_patience(struct convoy *convoy, pthread_mutex_t *lock, struct rider *rider) {
  pthread_mutex_lock(lock);
  int goes = rider->queues;
  if (goes) {
    step_out(convoy, rider);
    convoy->under_way++;
    rider->leads = 1;
  }
  pthread_mutex_unlock(lock);
  return goes;
}

/* Until it was carried, or leads. */
static void wait_in_queue(struct convoy *convoy, pthread_mutex_t *lock, struct rider *rider, int64_t patience_ms) {
  while (wait(rider, patience_ms) != 0) {
    if (errno != ETIMEDOUT) continue; /* a signal came */
    if (lose_patience(convoy, lock, rider)) return;
    patience_ms = 0;
  }
}

int convoy_join(struct convoy *convoy, pthread_mutex_t *lock, struct rider *rider, const struct convoy_rules *rules) {
  rider->next = NULL;
  rider->queues = 0;
  rider->leads = convoy->under_way < rules->at_once;
  if (rider->leads) {
    convoy->under_way++;
    pthread_mutex_unlock(lock);
    return 1;
  }
  sem_init(&rider->told, 0, 0);
  queue(convoy, rider);
  pthread_mutex_unlock(lock);
  wait_in_queue(convoy, lock, rider, rules->patience_ms);
  sem_destroy(&rider->told);
  if (!rider->leads) return 0;
  pthread_mutex_lock(lock);
  rider->next = take(convoy, rules->most - 1);
  pthread_mutex_unlock(lock);
  return 1;
}

unsigned convoy_land(struct convoy *convoy, const struct convoy_rules *rules) {
  struct rider *next = convoy->under_way <= rules->at_once ? take(convoy, 1) : NULL;
  if (!next) return --convoy->under_way;
  next->leads = 1;
  sem_post(&next->told);
  return convoy->under_way;
}

void convoy_tell(struct rider *leader) {
  for (struct rider *rider = leader->next, *next; rider; rider = next) {
    next = rider->next;
    sem_post(&rider->told);
  }
}
