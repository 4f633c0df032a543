/* parapet replay: recorded events into the fleet's stream. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli.h"
#include "event/envelope.h"
#include "event/reader.h"

const struct setting replay_options[] = {
    {"rate", SETTING_NUMBER, "0", "at most so many events a second; 0: no limit", 0, 1000000, 0},
    {"speed", SETTING_NUMBER, "0", "so many times as fast as they happened; 0: as fast as possible", 0, 1000000, 0},
    {0}};

enum { PROGRESS_MS = 500, FLUSH_MS = 60000 };

struct replay {
  struct bus_producer *producer;
  struct event_pace pace;
  int64_t sent, refused, failed, next_progress;
};

static void delivered(void *argument, const struct error *error) {
  if (error) __atomic_fetch_add(&((struct replay *)argument)->failed, 1, __ATOMIC_RELAXED);
}

static void progress(struct replay *replay, struct event_reader *reader, const char *path) {
  struct event_reader_progress at = event_reader_progress(reader);
  int64_t now = clock_monotonic_ms();
  if (!isatty(STDERR_FILENO) || now < replay->next_progress) return;
  replay->next_progress = now + PROGRESS_MS;
  fprintf(stderr, "\r\033[K%s: %lld events, %lld%%", path, (long long)replay->sent,
          at.size > 0 ? (long long)(at.bytes * 100 / at.size) : 0LL);
}

/* What is no event goes to the dead letters, as it would at a collector. */
static int refuse(struct replay *replay, const char *path, int64_t number, const char *text, size_t length,
                  const char *reason, struct error *error) {
  struct bus_origin origin = {.topic = "", .partition = -1, .offset = number, .source = path};
  replay->refused++;
  return bus_dead_letter(replay->producer, BUS_TOPIC_DEADLETTER, reason, &origin, text, length, 10000, error);
}

static int send_event(struct replay *replay, const char *path, const char *text, size_t length, struct error *error) {
  struct event event = {0};
  struct error why = {0};
  int64_t happened = -1;
  if (event_prepare(NULL, text, length, &event, &why) != 0)
    return refuse(replay, path, replay->sent + replay->refused, text, length, why.message, error);
  if (clock_parse(event_time(event.value), &happened) != 0) happened = -1;
  clock_sleep_ms(event_pace_wait_ms(&replay->pace, clock_monotonic_ms(), happened));
  int result =
      bus_produce(replay->producer, BUS_TOPIC_EVENTS, event.key, event.text, event.length, delivered, replay, error);
  if (result != 0 && error->class == ERROR_INVALID)
    result = refuse(replay, path, replay->sent, text, length, error->message, error);
  else
    replay->sent++;
  event_free(&event);
  return result;
}

static int replay_file(struct replay *replay, const char *path, struct error *error) {
  struct event_reader *reader = event_reader_open(path, error);
  const char *text;
  size_t length;
  int more;
  if (!reader) return -1;
  while ((more = event_reader_next(reader, &text, &length, error)) == 1) {
    if ((more = send_event(replay, path, text, length, error)) != 0) break;
    progress(replay, reader, path);
  }
  event_reader_close(reader);
  return more;
}

int run_replay(struct cli *cli) {
  struct error error = {0};
  struct bus_options options = settings_bus(cli->config, "parapet-replay");
  struct replay replay = {.pace = {.rate = (double)config_number(cli->config, "rate"),
                                   .speed = (double)config_number(cli->config, "speed")}};
  if (cli->words.count == 0) return fail_usage("which file? parapet replay FILE ...");
  replay.producer = bus_producer_open(&options, &error);
  int result = replay.producer ? 0 : -1;
  int64_t begun = clock_monotonic_ms();
  for (int i = 0; result == 0 && i < cli->words.count; i++) result = replay_file(&replay, cli->words.words[i], &error);
  if (result == 0 && bus_producer_flush(replay.producer, FLUSH_MS) != 0)
    result = error_set(&error, ERROR_RETRYABLE, "Flush", "Kafka did not take everything within %d s", FLUSH_MS / 1000);
  bus_producer_close(replay.producer);
  if (result == 0 && replay.failed > 0)
    result = error_set(&error, ERROR_RETRYABLE, "Delivery", "%lld events were not delivered", (long long)replay.failed);
  if (isatty(STDERR_FILENO)) fputs("\r\033[K", stderr);
  if (result != 0) return fail(&error);
  printf("%lld events sent, %lld dead letters, %.1f s\n", (long long)replay.sent, (long long)replay.refused,
         (double)(clock_monotonic_ms() - begun) / 1000.0);
  return CLI_OK;
}
