/* Exceptions are many, change rarely, and are asked for at every decision: each process keeps them all, and asks Redis
 * only for the version.  Each change gets the next version and its exception's id is filed under it, so a process that
 * has version 17 asks for what changed since 17; one that starts asks since 0, a page at a time. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "json/value.h"
#include "state/state_internal.h"

#define MOST_EXCEPTIONS 200000
#define PAGE 1000
#define WARNINGS_A_CALL 100
/* Removals are remembered for 30 days; a copy that slept longer than this is loaded anew. */
#define COPY_LIFE_MS ((int64_t)24 * 3600 * 1000)

int state_exceptions_init(struct state *state, struct error *error) {
  struct state_exception_copy *copy = &state->exceptions;
  copy->index = exception_index_open();
  if (!copy->index) return error_set(error, ERROR_FATAL, "memory", "out of memory for exceptions");
  if (!pthread_mutex_init(&copy->refresh, NULL)) {
    if (!pthread_rwlock_init(&copy->lock, NULL)) return 0;
    pthread_mutex_destroy(&copy->refresh);
  }
  exception_index_close(copy->index);
  return error_set(error, ERROR_FATAL, "memory", "cannot create the exceptions' locks");
}

void state_exceptions_destroy(struct state *state) {
  pthread_rwlock_destroy(&state->exceptions.lock);
  pthread_mutex_destroy(&state->exceptions.refresh);
  exception_index_close(state->exceptions.index);
}

/* ---- changing ---- */

static int store(struct state *state, const char *id, const json_t *exception, enum state_guard guard,
                 struct error *error) {
  int64_t expires = 0;
  struct state_call call;
  state_call_begin_guarded(&call, state, STATE_SCRIPT_exception_put, guard);
  state_call_keys(&call, "exceptions", "exceptions:version", "exceptions:changes", "exceptions:expires", NULL);
  state_call_keys(&call, "exceptions:uses", "exceptions:unwarned", "exceptions:warning", NULL);
  state_call_id(&call, "an exception's id", id);
  state_call_json(&call, exception);
  if (id && strcmp(json_text_at(exception, "id", NULL), id)) state_call_invalid(&call, "an exception needs its `id`");
  if (state_time_of(exception, "expires", &expires)) state_call_invalid(&call, "an exception needs a valid `expires`");
  int64_t starts = 0;
  if (json_object_get(exception, "starts") && state_time_of(exception, "starts", &starts))
    state_call_invalid(&call, "an exception's `starts` must be a time");
  state_call_number(&call, expires);
  state_call_number(&call, MOST_EXCEPTIONS);
  return state_call_done(&call, error);
}

static int drop(struct state *state, const char *id, enum state_guard guard, struct error *error) {
  struct state_call call;
  state_call_begin_guarded(&call, state, STATE_SCRIPT_exception_remove, guard);
  state_call_keys(&call, "exceptions", "exceptions:version", "exceptions:changes", "exceptions:expires", NULL);
  state_call_keys(&call, "exceptions:uses", "exceptions:unwarned", "exceptions:warning", NULL);
  state_call_id(&call, "an exception's id", id);
  return state_call_flag(&call, error);
}

int state_exception_store(struct state *state, const char *id, const json_t *value, enum state_guard guard,
                          struct error *error) {
  if (value) return store(state, id, value, guard, error);
  return drop(state, id, guard, error) < 0 ? -1 : 0;
}

int state_exception_put(struct state *state, json_t *exception, struct error *error) {
  const char *id = json_string_value(json_object_get(exception, "id"));
  return store(state, id, exception, STATE_GUARD_EPOCH, error);
}

int state_exception_remove(struct state *state, const char *id, int *existed, struct error *error) {
  int result = drop(state, id, STATE_GUARD_EPOCH, error);
  if (existed) *existed = result > 0;
  return result < 0 ? -1 : 0;
}

/* ---- the changes, page by page ---- */

typedef int take_change(void *context, const char *id, const redisReply *record, struct error *error);

/* Hands each change after *since to `take` (an empty record: removed).  *since becomes the version that is complete
 * then, also when a later page fails.  *generation: the epoch's in which the pages were read. */
static int each_change(struct state *state, int64_t *since, uint64_t *generation, take_change *take, void *context,
                       struct error *error) {
  for (int last = 0; !last;) {
    struct state_call call;
    state_call_begin(&call, state, STATE_SCRIPT_exception_changes);
    if (*since && call.generation != *generation)
      error_set(&call.invalid, ERROR_FATAL, "epoch", "the epoch changed while exceptions were read");
    *generation = call.generation;
    state_call_keys(&call, "exceptions", "exceptions:version", "exceptions:changes", NULL);
    state_call_number(&call, *since);
    state_call_number(&call, PAGE);
    redisReply *reply = state_call_run(&call, error);
    int failed = !reply || state_reply_rows(reply, 0, 1, error) || reply->elements % 3 != 1;
    for (size_t i = 1; !failed && i < reply->elements; i += 3) {
      failed = take(context, reply->element[i]->str, reply->element[i + 2], error);
      if (!failed) *since = state_reply_number(reply->element[i + 1]);
    }
    last = !failed && reply->elements < 3 * PAGE;
    if (last) *since = state_reply_number(reply->element[0]);
    freeReplyObject(reply);
    if (failed) return -1;
  }
  return 0;
}

static int append(void *list, const char *id, const redisReply *record, struct error *error) {
  (void)id;
  if (!record->len) return 0;
  json_t *exception = state_record(record, error);
  if (!exception) return -1;
  return json_array_append_new(list, exception) ? error_set(error, ERROR_FATAL, "memory", "out of memory") : 0;
}

static int add_uses(struct state *state, json_t *list, struct error *error) {
  struct state_call call;
  json_t *uses = NULL, *exception;
  size_t index;
  state_call_begin(&call, state, STATE_SCRIPT_hash_all);
  state_call_keys(&call, "exceptions:uses", NULL);
  if (state_call_numbers(&call, &uses, error)) return -1;
  json_array_foreach(list, index, exception) {
    json_t *count = json_object_get(uses, json_text_at(exception, "id", NULL));
    json_object_set_new(exception, "uses", count ? json_incref(count) : json_integer(0));
  }
  json_decref(uses);
  return 0;
}

int state_exceptions(struct state *state, json_t **list, struct error *error) {
  int64_t since = 0;
  uint64_t generation = 0;
  *list = json_array();
  if (!*list) return error_set(error, ERROR_FATAL, "memory", "out of memory");
  if (!each_change(state, &since, &generation, append, *list, error) && !add_uses(state, *list, error)) return 0;
  json_decref(*list);
  *list = NULL;
  return -1;
}

/* ---- the local copy ---- */

static int file(void *index, const char *id, const redisReply *record, struct error *error) {
  if (record->len) return exception_index_put(index, id, record->str, record->len, error);
  exception_index_remove(index, id);
  return 0;
}

static int file_locked(void *context, const char *id, const redisReply *record, struct error *error) {
  struct state_exception_copy *copy = context;
  pthread_rwlock_wrlock(&copy->lock);
  int result = file(copy->index, id, record, error);
  pthread_rwlock_unlock(&copy->lock);
  return result;
}

static int is_current(struct state_exception_copy *copy, uint64_t generation, int64_t version) {
  pthread_rwlock_rdlock(&copy->lock);
  int current = copy->generation == generation && copy->version >= version;
  int64_t now = clock_monotonic_ms();
  current = current && now - copy->validated_at < COPY_LIFE_MS;
  pthread_rwlock_unlock(&copy->lock);
  return current;
}

/* Under the refresh lock: into a new index aside, which then takes the old one's place. */
static int load_all(struct state *state, struct error *error) {
  struct state_exception_copy *copy = &state->exceptions;
  struct exception_index *index = exception_index_open();
  if (!index) return error_set(error, ERROR_FATAL, "memory", "out of memory for exceptions");
  int64_t version = 0;
  uint64_t generation = 0;
  if (each_change(state, &version, &generation, file, index, error)) {
    exception_index_close(index);
    return -1;
  }
  pthread_rwlock_wrlock(&copy->lock);
  struct exception_index *old = copy->index;
  copy->index = index;
  copy->version = version;
  copy->generation = generation;
  copy->validated_at = clock_monotonic_ms();
  pthread_rwlock_unlock(&copy->lock);
  exception_index_close(old);
  return 0;
}

/* Under the refresh lock, which makes this thread the only one that writes version and generation. */
static int load_changes(struct state *state, struct error *error) {
  struct state_exception_copy *copy = &state->exceptions;
  int64_t version = copy->version;
  uint64_t generation = copy->generation;
  int failed = each_change(state, &version, &generation, file_locked, copy, error);
  pthread_rwlock_wrlock(&copy->lock);
  copy->version = version;
  if (!failed) copy->validated_at = clock_monotonic_ms();
  pthread_rwlock_unlock(&copy->lock);
  return failed;
}

static int refresh(struct state *state, uint64_t generation, int64_t version, struct error *error) {
  struct state_exception_copy *copy = &state->exceptions;
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += state->timeout_ms / 1000 + 1;
  if (pthread_mutex_timedlock(&copy->refresh, &until))
    return error_set(error, ERROR_RETRYABLE, "timeout", "exceptions are still being loaded");
  int result = 0;
  if (!is_current(copy, generation, version)) {
    int part =
        copy->version > 0 && copy->generation == generation && clock_monotonic_ms() - copy->validated_at < COPY_LIFE_MS;
    result = part ? load_changes(state, error) : load_all(state, error);
  }
  pthread_mutex_unlock(&copy->refresh);
  return result;
}

/* Asks for the version.  One lower than this process has seen before: Redis went back in time. */
static int ask_version(struct state *state, uint64_t *generation, int64_t *version, struct error *error) {
  pthread_mutex_lock(&state->lock);
  int64_t seen = state->exceptions_seen;
  uint64_t seen_generation = state->generation;
  pthread_mutex_unlock(&state->lock);
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_get);
  state_call_keys(&call, "exceptions:version", NULL);
  *generation = call.generation;
  redisReply *reply = state_call_run(&call, error);
  if (!reply) return -1;
  *version = state_reply_number(reply);
  freeReplyObject(reply);
  if (*generation == seen_generation && *version < seen) return state_epoch_void(state, error);
  pthread_mutex_lock(&state->lock);
  if (state->generation == *generation && state->exceptions_seen < *version) state->exceptions_seen = *version;
  pthread_mutex_unlock(&state->lock);
  return 0;
}

static int count_use(struct state *state, const json_t *exception, struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_exception_use);
  state_call_keys(&call, "exceptions", "exceptions:uses", NULL);
  state_call_id(&call, "an exception's id", json_text_at(exception, "id", NULL));
  return state_call_done(&call, error);
}

int state_exception_find(struct state *state, const struct state_subject *subject, json_t **exception,
                         struct error *error) {
  struct state_exception_copy *copy = &state->exceptions;
  uint64_t generation = 0;
  int64_t version = 0;
  *exception = NULL;
  if (ask_version(state, &generation, &version, error)) return -1;
  if (!is_current(copy, generation, version) && refresh(state, generation, version, error)) return -1;
  int64_t now = clock_wall_ms(), expires = now;
  pthread_rwlock_rdlock(&copy->lock);
  const char *text = exception_index_find(copy->index, subject, now);
  if (text) *exception = json_parse(text, strlen(text), error);
  pthread_rwlock_unlock(&copy->lock);
  if (!text) return 0;
  if (*exception && state_time_of(*exception, "expires", &expires) == 0 && expires <= now)
    json_object_set_new(*exception, "expired", json_true());
  if (*exception && !count_use(state, *exception, error)) return 0;
  json_decref(*exception);
  *exception = NULL;
  return -1;
}

/* ---- warnings ---- */

int state_exceptions_expiring(struct state *state, int64_t warn_ms, int64_t hold_ms, json_t **list,
                              struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_exception_expiring);
  state_call_keys(&call, "exceptions", "exceptions:unwarned", "exceptions:warning", NULL);
  state_call_range(&call, "a warning's time", warn_ms, 0, STATE_TTL_MS);
  state_call_range(&call, "a hold", hold_ms, 1, STATE_TTL_MS);
  state_call_number(&call, WARNINGS_A_CALL);
  return state_call_records(&call, list, error);
}

int state_exception_warned(struct state *state, const char *id, struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_set_drop);
  state_call_keys(&call, "exceptions:warning", NULL);
  state_call_id(&call, "an exception's id", id);
  return state_call_done(&call, error);
}
