#include "base/convoy.h"

static void queue(struct convoy *convoy, struct rider *rider) {
  if (convoy->first)
    convoy->last->next = rider;
  else
    convoy->first = rider;
  convoy->last = rider;
  convoy->queued++;
}

/* The first `most` of the queue as a list, NULL: nobody queues. */
static struct rider *take(struct convoy *convoy, size_t most) {
  struct rider *taken = NULL, **end = &taken;
  for (; most > 0 && convoy->first; most--) {
    *end = convoy->first;
    convoy->first = convoy->first->next;
    end = &(*end)->next;
    *end = NULL;
    convoy->queued--;
  }
  return taken;
}

int convoy_join(struct convoy *convoy, pthread_mutex_t *lock, struct rider *rider, unsigned at_once, size_t most) {
  rider->next = NULL;
  rider->leads = convoy->under_way < at_once;
  if (rider->leads) {
    convoy->under_way++;
    pthread_mutex_unlock(lock);
    return 1;
  }
  sem_init(&rider->told, 0, 0);
  queue(convoy, rider);
  pthread_mutex_unlock(lock);
  while (sem_wait(&rider->told) != 0) {} /* a signal came */
  sem_destroy(&rider->told);
  if (!rider->leads) return 0;
  pthread_mutex_lock(lock);
  rider->next = take(convoy, most - 1);
  pthread_mutex_unlock(lock);
  return 1;
}

unsigned convoy_land(struct convoy *convoy) {
  struct rider *next = take(convoy, 1);
  if (!next) return --convoy->under_way;
  next->leads = 1; /* with the place of the one that is back */
  sem_post(&next->told);
  return convoy->under_way;
}

void convoy_tell(struct rider *leader) {
  for (struct rider *rider = leader->next, *next; rider; rider = next) {
    next = rider->next;
    sem_post(&rider->told);
  }
}
