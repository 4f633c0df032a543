/* Files of events, once, in order, at a pace.  What Kafka does not take yet is tried again; what it refuses, and what
 * is no event, goes to the dead letters: at the end every event of the files is accounted for. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "event/reader.h"
#include "metrics_table.h"
#include "source.h"

enum { PROGRESS_MS = 5000, RETRY_MS = 500, IN_FLIGHT = 5000, DRAIN_MS = 30000, SLICE_MS = 100 };

struct replay {
  struct publisher *publisher;
  const char *const *files;
  struct event_pace pace;
  int64_t events, reported_ms;
  pthread_t thread;
  int stopping, finished, failed; /* atomic */

  pthread_mutex_t lock; /* guards what follows */
  int64_t in_flight, undelivered;
};

static int wanted(const struct config *config, struct error *error) {
  char *end;
  const char *speed = config_text(config, "replay.speed");
  double value = strtod(speed, &end);
  if (*speed && (*end || !(value >= 0) || value > 1e9))
    return error_set(error, ERROR_INVALID, "Setting", "replay.speed: \"%s\" is no number of 0 or more", speed);
  return config_list(config, "replay.files")[0] != NULL;
}

/* Sends again what failed would break the order and double memory: a failure after librdkafka's own minute of retries
 * is counted, and makes the replay fail. */
static void delivered(void *argument, const struct error *error) {
  struct replay *replay = argument;
  pthread_mutex_lock(&replay->lock);
  replay->in_flight--;
  if (error) replay->undelivered++;
  pthread_mutex_unlock(&replay->lock);
}

static int64_t in_flight(struct replay *replay) {
  pthread_mutex_lock(&replay->lock);
  int64_t count = replay->in_flight;
  pthread_mutex_unlock(&replay->lock);
  return count;
}

static int stopping(struct replay *replay) { return __atomic_load_n(&replay->stopping, __ATOMIC_ACQUIRE); }

/* In slices, so that stopping is noticed. */
static void rest(struct replay *replay, int64_t milliseconds) {
  int64_t until = clock_monotonic_ms() + milliseconds, left;
  while (!stopping(replay) && (left = until - clock_monotonic_ms()) > 0)
    clock_sleep_ms(left < SLICE_MS ? left : SLICE_MS);
}

static void keep_pace(struct replay *replay, const char *text, size_t length) {
  int64_t when = -1;
  if (replay->pace.speed > 0) { /* only then is it worth reading the time */
    json_t *event = json_parse(text, length, NULL);
    const char *time = event_is_record(event) ? json_text_at(event, "eventTime", NULL) : event_time(event);
    if (clock_parse(time, &when) != 0) when = -1;
    json_decref(event);
  }
  rest(replay, event_pace_wait_ms(&replay->pace, clock_monotonic_ms(), when));
  while (in_flight(replay) >= IN_FLIGHT && !stopping(replay)) clock_sleep_ms(5);
}

static void send_one(struct replay *replay, const char *file, const char *text, size_t length) {
  char position[512];
  snprintf(position, sizeof position, "replay %s event %lld", file, (long long)replay->events);
  struct publish_from from = {.source = "replay", .position = position};
  struct error error = {0};
  for (;;) {
    pthread_mutex_lock(&replay->lock);
    replay->in_flight++;
    pthread_mutex_unlock(&replay->lock);
    if (publish_event(replay->publisher, &from, text, length, delivered, replay, &error) == 0) return;
    pthread_mutex_lock(&replay->lock);
    replay->in_flight--;
    pthread_mutex_unlock(&replay->lock);
    if (stopping(replay) || !error_is_transient(&error)) break;
    log_warn("Kafka takes nothing; the replay waits", LOG_ERROR(&error));
    rest(replay, RETRY_MS);
  }
  log_error("an event of the replay was not sent", LOG_TEXT("event", position), LOG_ERROR(&error));
  __atomic_store_n(&replay->failed, 1, __ATOMIC_RELEASE);
}

static void report(struct replay *replay, const char *file, struct event_reader *reader, int always) {
  int64_t now = clock_monotonic_ms();
  struct event_reader_progress progress = event_reader_progress(reader);
  metric_set(&collector_metrics[COLLECTOR_REPLAY], (double)progress.bytes, file);
  if (!always && now - replay->reported_ms < PROGRESS_MS) return;
  replay->reported_ms = now;
  log_info("replay", LOG_TEXT("file", file), LOG_INT("events", progress.events), LOG_INT("bytes", progress.bytes),
           LOG_INT("of", progress.size));
}

static void replay_file(struct replay *replay, const char *file) {
  struct error error = {0};
  const char *text;
  size_t length;
  int got = -1;
  struct event_reader *reader = event_reader_open(file, &error);
  while (reader && !stopping(replay) && (got = event_reader_next(reader, &text, &length, &error)) == 1) {
    replay->events++;
    metric_add(&collector_metrics[COLLECTOR_RECEIVED], 1, source_replay.name);
    keep_pace(replay, text, length);
    send_one(replay, file, text, length);
    report(replay, file, reader, 0);
  }
  if (reader) report(replay, file, reader, 1);
  if (got < 0) {
    log_error("the file was not replayed to its end", LOG_TEXT("file", file), LOG_ERROR(&error));
    __atomic_store_n(&replay->failed, 1, __ATOMIC_RELEASE);
  }
  event_reader_close(reader);
}

static void *run(void *argument) {
  struct replay *replay = argument;
  for (const char *const *file = replay->files; *file && !stopping(replay); file++) replay_file(replay, *file);
  while (in_flight(replay) > 0 && !stopping(replay)) clock_sleep_ms(20);
  pthread_mutex_lock(&replay->lock);
  if (replay->undelivered > 0) __atomic_store_n(&replay->failed, 1, __ATOMIC_RELEASE);
  log_info("replay ended", LOG_INT("events", replay->events), LOG_INT("undelivered", replay->undelivered));
  pthread_mutex_unlock(&replay->lock);
  __atomic_store_n(&replay->finished, 1, __ATOMIC_RELEASE);
  return NULL;
}

static void *start(const struct source_context *context, struct error *error) {
  struct replay *replay = calloc(1, sizeof *replay);
  if (!replay) {
    error_set(error, ERROR_FATAL, "OutOfMemory", "out of memory");
    return NULL;
  }
  replay->publisher = context->publisher;
  replay->files = config_list(context->config, "replay.files");
  replay->pace.rate = (double)config_number(context->config, "replay.rate");
  replay->pace.speed = strtod(config_text(context->config, "replay.speed"), NULL);
  replay->reported_ms = clock_monotonic_ms();
  pthread_mutex_init(&replay->lock, NULL);
  if (pthread_create(&replay->thread, NULL, run, replay) == 0) return replay;
  error_set(error, ERROR_FATAL, "Thread", "the replay's thread could not be started");
  pthread_mutex_destroy(&replay->lock);
  free(replay);
  return NULL;
}

static int ready(void *running, char *reason, size_t size) {
  (void)running, (void)reason, (void)size;
  return 1;
}

static int finished(void *running, int *failed) {
  struct replay *replay = running;
  *failed = __atomic_load_n(&replay->failed, __ATOMIC_ACQUIRE);
  return __atomic_load_n(&replay->finished, __ATOMIC_ACQUIRE);
}

static void stop(void *running) {
  struct replay *replay = running;
  __atomic_store_n(&replay->stopping, 1, __ATOMIC_RELEASE);
  pthread_join(replay->thread, NULL);
  int64_t deadline = clock_monotonic_ms() + DRAIN_MS;
  while (in_flight(replay) > 0 && clock_monotonic_ms() < deadline) clock_sleep_ms(20);
}

static void release(void *running) {
  struct replay *replay = running;
  pthread_mutex_destroy(&replay->lock);
  free(replay);
}

const struct source source_replay = {"replay", 0, 0, wanted, start, ready, finished, stop, release};
