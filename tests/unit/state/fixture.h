/* What the state tests share: a Redis, handles that joined it, and short names for what they do a hundred times. */
#ifndef PARAPET_TESTS_STATE_FIXTURE_H
#define PARAPET_TESTS_STATE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "state/state.h"
#include "support/redis_server.h"

/* The program's own Redis, emptied.  NULL: there is none, skip(). */
static inline struct redis_server *fresh_redis(void) {
  static struct redis_server *server;
  if (!redis_server_available()) return NULL;
  if (!server) server = redis_server_start(NULL);
  assert_non_null(server);
  free(redis_server_ask(server, "FLUSHALL", NULL));
  return server;
}

static inline struct state *open_state(const char *url, const char *owner) {
  struct error error = {0};
  struct state *state = state_open(&(struct state_options){.url = url, .timeout_ms = 5000, .owner = owner}, &error);
  if (!state) print_message("state_open: %s\n", error.message);
  assert_non_null(state);
  return state;
}

/* Joins; the first one of a Redis creates the epoch. */
static inline void join(struct state *state) {
  struct error error = {0};
  int joined = state_epoch_join(state, &error);
  if (joined < 0) print_message("state_epoch_join: %s\n", error.message);
  assert_true(joined >= 0);
  if (!joined) assert_int_equal(state_epoch_create(state, &error), 0);
}

static inline struct state *joined_state(const struct redis_server *server, const char *owner) {
  struct state *state = open_state(server->url, owner);
  join(state);
  return state;
}

#define OK(call)                                                      \
  do {                                                                \
    struct error error = {0};                                         \
    int result_ = (call);                                             \
    if (result_ < 0) print_message("%s: %s\n", #call, error.message); \
    assert_true(result_ >= 0);                                        \
  } while (0)

/* The call fails with this class and, unless NULL, this code. */
#define FAILS(call, wanted, wanted_code)                                                                            \
  do {                                                                                                              \
    struct error error = {0};                                                                                       \
    int result_ = (call);                                                                                           \
    if (result_ >= 0 || error.class != (wanted))                                                                    \
      print_message("%s: %d %s %s %s\n", #call, result_, error_class_name(error.class), error.code, error.message); \
    assert_true(result_ < 0);                                                                                       \
    assert_int_equal(error.class, wanted);                                                                          \
    const char *code_ = (wanted_code);                                                                              \
    if (code_) assert_string_equal(error.code, code_);                                                              \
  } while (0)

/* What Redis itself answers. */
#define ASK(expected, ...)                               \
  do {                                                   \
    char *answer_ = redis_server_ask(__VA_ARGS__, NULL); \
    assert_non_null(answer_);                            \
    assert_string_equal(answer_, expected);              \
    free(answer_);                                       \
  } while (0)

static inline json_t *parse(const char *text) {
  json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
  assert_non_null(value);
  return value;
}

#endif
