#include "fixture.h"

#include <pthread.h>
#include <stdatomic.h>

static void test_only_the_owner_may_mutate(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *one = joined_state(server, "one"), *two = joined_state(server, "two");
  struct state_lease mine, theirs, forged;
  char why[32];
  FAILS(state_lease_take(one, "", 1000, &mine, &error), ERROR_INVALID, "argument");
  FAILS(state_lease_take(one, "r", 0, &mine, &error), ERROR_INVALID, "argument");
  char long_name[600];
  memset(long_name, 'r', sizeof long_name);
  long_name[512] = '\0';
  FAILS(state_lease_take(one, long_name, 1000, &mine, &error), ERROR_INVALID, "argument");
  long_name[511] = '\0';
  assert_int_equal(state_lease_take(one, long_name, 60000, &mine, NULL), 1);
  assert_string_equal(mine.resource, long_name);

  assert_int_equal(state_lease_take(one, "r", 60000, &mine, NULL), 1);
  assert_int_equal(state_lease_take(two, "r", 60000, &theirs, NULL), 0);
  assert_int_equal(state_lease_take(one, "r", 60000, &theirs, NULL), 0); /* another thread of the same process */
  assert_int_equal(state_may_mutate(one, &mine, 60000, why, NULL), 1);
  assert_int_equal(state_may_mutate(two, &mine, 60000, why, NULL), 0);
  assert_string_equal(why, "lease");
  forged = mine;
  forged.token++;
  assert_int_equal(state_may_mutate(one, &forged, 60000, why, NULL), 0);
  OK(state_lease_drop(two, &mine, &error)); /* not theirs: nothing happens */
  OK(state_lease_drop(one, &forged, &error));
  assert_int_equal(state_may_mutate(one, &mine, 60000, why, NULL), 1);
  json_t *stop = parse("{\"by\":\"me\"}");
  OK(state_stop_set(two, stop, &error));
  json_decref(stop);
  assert_int_equal(state_may_mutate(one, &mine, 60000, why, NULL), 0);
  assert_string_equal(why, "stop");
  OK(state_stop_set(two, NULL, &error));
  OK(state_lease_drop(one, &mine, &error));
  assert_int_equal(state_may_mutate(one, &mine, 60000, why, NULL), 0);
  assert_int_equal(state_lease_take(two, "r", 60000, &theirs, NULL), 1);
  assert_true(theirs.token > mine.token);
  state_close(one);
  state_close(two);
}

static void test_an_expired_lease_is_nobodys(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *one = joined_state(server, "one"), *two = joined_state(server, "two");
  struct state_lease mine, theirs;
  char why[32];
  assert_int_equal(state_lease_take(one, "r", 50, &mine, NULL), 1);
  clock_sleep_ms(100);
  assert_int_equal(state_may_mutate(one, &mine, 60000, why, NULL), 0); /* not revived by asking */
  assert_int_equal(state_lease_take(two, "r", 60000, &theirs, NULL), 1);
  assert_true(theirs.token > mine.token);
  assert_int_equal(state_may_mutate(one, &mine, 60000, why, NULL), 0);
  /* asking prolongs */
  assert_int_equal(state_may_mutate(two, &theirs, 3600000, why, NULL), 1);
  char *left = redis_server_ask(server, "PTTL", "parapet:v1:lease:r", NULL);
  assert_true(atoi(left) > 600000);
  free(left);
  state_close(one);
  state_close(two);
}

static void test_tokens_grow_even_when_redis_was_emptied(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *state = joined_state(server, "a");
  struct state_lease before, after;
  assert_int_equal(state_lease_take(state, "r", 60000, &before, NULL), 1);
  ASK("OK", server, "FLUSHALL");
  join(state);
  assert_int_equal(state_lease_take(state, "r", 60000, &after, NULL), 1);
  assert_true(after.token > before.token);
  /* a counter that is ahead of the clock: still by one */
  ASK("OK", server, "SET", "parapet:v1:leases:token", "8000000000000000");
  OK(state_lease_drop(state, &after, &error));
  assert_int_equal(state_lease_take(state, "r", 60000, &after, NULL), 1);
  assert_true(after.token == 8000000000000001);
  char why[32];
  assert_int_equal(state_may_mutate(state, &after, 60000, why, NULL), 1);
  state_close(state);
}

struct racer {
  struct state *state;
  atomic_int *inside;
  int got, broken;
};

static void *race(void *argument) {
  struct racer *racer = argument;
  int64_t last = 0;
  for (int i = 0; i < 60; i++) {
    struct state_lease lease;
    struct error error = {0};
    int taken = state_lease_take(racer->state, "contended", 60000, &lease, &error);
    if (taken < 0) racer->broken++;
    if (taken < 1) continue;
    if (atomic_fetch_add(racer->inside, 1) || lease.token <= last) racer->broken++;
    last = lease.token;
    racer->got++;
    atomic_fetch_sub(racer->inside, 1);
    if (state_lease_drop(racer->state, &lease, &error)) racer->broken++;
  }
  return NULL;
}

static void test_never_two_owners(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct state *states[] = {joined_state(server, "one"), joined_state(server, "two")};
  atomic_int inside = 0;
  struct racer racers[8];
  pthread_t threads[8];
  int got = 0;
  for (int i = 0; i < 8; i++) {
    racers[i] = (struct racer){.state = states[i % 2], .inside = &inside};
    assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
  }
  for (int i = 0; i < 8; i++) {
    pthread_join(threads[i], NULL);
    assert_int_equal(racers[i].broken, 0);
    got += racers[i].got;
  }
  assert_true(got > 0);
  state_close(states[0]);
  state_close(states[1]);
}
