/* Many threads, few trips: each rider is carried once, by a trip that began after it came, and nobody is forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/convoy.h"

enum { THREADS = 32, TURNS = 400, AT_ONCE = 2, MOST = 8 };

struct cargo {
  struct rider rider;
  long came;    /* when it asked, by `now` */
  long carried; /* when the trip that carried it began; 0: none did */
  int times;
};

struct road {
  pthread_mutex_t lock;
  struct convoy_rules rules;
  int slow; /* some trips take a millisecond */
  struct convoy convoy;
  atomic_long now, trips;
  atomic_int under_way, most_under_way, largest;
};

static void note_most(atomic_int *most, int value) {
  int before = atomic_load(most);
  while (value > before && !atomic_compare_exchange_weak(most, &before, value)) {}
}

static void travel(struct road *road, struct cargo *leader) {
  long begun = atomic_fetch_add(&road->now, 1) + 1;
  int carried = 0;
  note_most(&road->most_under_way, atomic_fetch_add(&road->under_way, 1) + 1);
  atomic_fetch_add(&road->trips, 1);
  for (struct rider *rider = &leader->rider; rider; rider = rider->next) {
    struct cargo *cargo = (struct cargo *)rider;
    cargo->carried = begun;
    cargo->times++;
    carried++;
  }
  note_most(&road->largest, carried);
  if (begun % 3 == 0) sched_yield();
  if (road->slow && begun % 4 == 0) clock_sleep_ms(1);
  atomic_fetch_sub(&road->under_way, 1);
}

static int ride(struct road *road) {
  struct cargo cargo = {.came = atomic_fetch_add(&road->now, 1) + 1};
  pthread_mutex_lock(&road->lock);
  if (convoy_join(&road->convoy, &road->lock, &cargo.rider, &road->rules)) {
    travel(road, &cargo);
    pthread_mutex_lock(&road->lock);
    convoy_land(&road->convoy, &road->rules);
    pthread_mutex_unlock(&road->lock);
    convoy_tell(&cargo.rider);
  }
  return cargo.times == 1 && cargo.carried > cargo.came;
}

static void *commute(void *argument) {
  for (int i = 0; i < TURNS; i++)
    if (!ride(argument)) return argument;
  return NULL;
}

static void commute_all(struct road *road) {
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, commute, road), 0);
  for (int i = 0; i < THREADS; i++) {
    void *wrong = NULL;
    pthread_join(threads[i], &wrong);
    assert_null(wrong);
  }
  assert_in_range(road->largest, 1, MOST);
  assert_in_range(road->trips, THREADS * TURNS / MOST, THREADS * TURNS);
  assert_int_equal(road->convoy.under_way, 0);
  assert_int_equal(road->convoy.queued, 0);
  assert_null(road->convoy.first);
}

static void test_each_is_carried_once_by_a_later_trip(void **state) {
  (void)state;
  struct road road = {.lock = PTHREAD_MUTEX_INITIALIZER, .rules = {.at_once = AT_ONCE, .most = MOST}};
  commute_all(&road);
  assert_in_range(road.most_under_way, 1, AT_ONCE);
}

/* Patience ends just when a place is handed on, or somebody takes one along: still once. */
static void test_the_impatient_are_carried_once_as_well(void **state) {
  (void)state;
  struct road road = {
      .lock = PTHREAD_MUTEX_INITIALIZER, .rules = {.at_once = AT_ONCE, .most = MOST, .patience_ms = 1}, .slow = 1};
  commute_all(&road);
}

/* ---- who goes with whom, step by step ---- */
struct passenger {
  struct road *road;
  struct cargo cargo;
  pthread_t thread;
  atomic_int led, ended;
};

static void *go_once(void *argument) {
  struct passenger *passenger = argument;
  struct road *road = passenger->road;
  pthread_mutex_lock(&road->lock);
  if (convoy_join(&road->convoy, &road->lock, &passenger->cargo.rider, &road->rules)) {
    for (struct rider *rider = passenger->cargo.rider.next; rider; rider = rider->next) passenger->led++;
    passenger->led++;
    pthread_mutex_lock(&road->lock);
    convoy_land(&road->convoy, &road->rules);
    pthread_mutex_unlock(&road->lock);
    convoy_tell(&passenger->cargo.rider);
  }
  passenger->ended = 1;
  return NULL;
}

static size_t queued(struct road *road) {
  pthread_mutex_lock(&road->lock);
  size_t count = road->convoy.queued;
  pthread_mutex_unlock(&road->lock);
  return count;
}

static void lead_alone(struct road *road, struct rider *rider) {
  pthread_mutex_lock(&road->lock);
  assert_int_equal(convoy_join(&road->convoy, &road->lock, rider, &road->rules), 1);
  assert_null(rider->next);
}

static unsigned land(struct road *road) {
  pthread_mutex_lock(&road->lock);
  unsigned under_way = convoy_land(&road->convoy, &road->rules);
  pthread_mutex_unlock(&road->lock);
  return under_way;
}

static void test_who_finds_room_goes_alone_and_the_rest_together(void **state) {
  (void)state;
  struct road road = {.lock = PTHREAD_MUTEX_INITIALIZER, .rules = {.at_once = AT_ONCE, .most = MOST}};
  struct rider first, second;
  enum { PASSENGERS = MOST + 2 };
  static struct passenger passengers[PASSENGERS];
  lead_alone(&road, &first);
  lead_alone(&road, &second);
  for (int i = 0; i < PASSENGERS; i++) {
    passengers[i].road = &road;
    assert_int_equal(pthread_create(&passengers[i].thread, NULL, go_once, &passengers[i]), 0);
    while (queued(&road) < (size_t)i + 1) clock_sleep_ms(1); /* one behind the other */
  }
  for (int i = 0; i < PASSENGERS; i++) assert_int_equal(passengers[i].ended, 0);
  assert_int_equal(land(&road), AT_ONCE); /* the first of the queue has its place now */
  for (int i = 0; i < PASSENGERS; i++) pthread_join(passengers[i].thread, NULL);
  assert_int_equal(passengers[0].led, MOST);
  assert_int_equal(passengers[MOST].led, 2); /* whom the first trip had no room for */
  assert_int_equal(land(&road), 0);
}

/* Two trips that do not come back hold nobody up for longer than its patience. */
static void test_whoever_waited_long_enough_goes(void **state) {
  (void)state;
  struct road road = {.lock = PTHREAD_MUTEX_INITIALIZER,
                      .rules = {.at_once = AT_ONCE, .most = MOST, .patience_ms = 100}};
  struct rider first, second;
  struct passenger passengers[3] = {{.road = &road}, {.road = &road}, {.road = &road}};
  lead_alone(&road, &first);
  lead_alone(&road, &second);
  for (int i = 0; i < 3; i++) assert_int_equal(pthread_create(&passengers[i].thread, NULL, go_once, &passengers[i]), 0);
  int led = 0;
  for (int i = 0; i < 3; i++) {
    pthread_join(passengers[i].thread, NULL);
    led += passengers[i].led;
  }
  assert_int_equal(led, 3); /* each of them was carried, by one of them */
  assert_int_equal(road.convoy.under_way, 2);
  assert_int_equal(land(&road), 1);
  assert_int_equal(land(&road), 0);
}
