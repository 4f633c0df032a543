#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "state/state_internal.h"

#define DEFAULT_TIMEOUT_MS 1000

/* hiredis writes without MSG_NOSIGNAL: a Redis that closes at the wrong moment would end the process. */
static void ignore_broken_pipes(void) {
  struct sigaction now;
  if (sigaction(SIGPIPE, NULL, &now) || now.sa_handler != SIG_DFL) return;
  now.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &now, NULL);
}

static int fill_names(struct state *state, const char *owner, struct error *error) {
  uint64_t random = 0;
  if (!owner || !*owner || strlen(owner) > STATE_ID_BYTES)
    return error_set(error, ERROR_INVALID, "owner", "the owner must have 1 to %d bytes", STATE_ID_BYTES);
  state->owner = strdup(owner);
  if (!state->owner) return error_set(error, ERROR_FATAL, "memory", "out of memory");
  if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
    return error_set(error, ERROR_FATAL, "random", "the system gives no random bytes");
  snprintf(state->rebuild_token, sizeof state->rebuild_token, "rebuild:%.30s:%016llx", owner,
           (unsigned long long)random);
  return 0;
}

/* Ranges first, so that what follows may rely on them. */
static int check_options(const struct state_options *options, struct error *error) {
  if (options->timeout_ms < 0 || options->timeout_ms > 60000)
    return error_set(error, ERROR_INVALID, "timeout", "the Redis timeout must be from 1 to 60000 ms");
  return 0;
}

struct state *state_open(const struct state_options *options, struct error *error) {
  if (check_options(options, error)) return NULL;
  struct state *state = calloc(1, sizeof *state);
  if (!state) {
    error_set(error, ERROR_FATAL, "memory", "out of memory");
    return NULL;
  }
  state->timeout_ms = options->timeout_ms ? options->timeout_ms : DEFAULT_TIMEOUT_MS;
  if (state_address_parse(&state->address, options->url, error)) goto no_address;
  if (fill_names(state, options->owner, error)) goto no_scripts;
  if (state_scripts_load(state->scripts, error)) goto no_scripts;
  if (state_pool_init(&state->pool, &state->address, error)) goto no_scripts;
  if (pthread_mutex_init(&state->trips_lock, NULL)) goto no_trips;
  if (pthread_mutex_init(&state->lock, NULL)) goto no_lock;
  if (state_exceptions_init(state, error)) goto no_exceptions;
  ignore_broken_pipes();
  return state;

no_exceptions:
  pthread_mutex_destroy(&state->lock);
no_lock:
  pthread_mutex_destroy(&state->trips_lock);
no_trips:
  state_pool_destroy(&state->pool);
no_scripts:
  state_scripts_free(state->scripts);
  free(state->owner);
  state_address_free(&state->address);
no_address:
  free(state);
  return NULL;
}

void state_close(struct state *state) {
  if (!state) return;
  state_exceptions_destroy(state);
  pthread_mutex_destroy(&state->lock);
  pthread_mutex_destroy(&state->trips_lock);
  state_pool_destroy(&state->pool);
  state_scripts_free(state->scripts);
  free(state->owner);
  state_address_free(&state->address);
  free(state);
}

int state_time_of(const json_t *record, const char *member, int64_t *wall_ms) {
  const json_t *value = json_object_get(record, member);
  if (json_is_string(value)) return clock_parse(json_string_value(value), wall_ms);
  if (!json_is_integer(value)) return -1;
  *wall_ms = json_integer_value(value);
  return *wall_ms >= 0 && *wall_ms < (int64_t)1 << 52 ? 0 : -1;
}
