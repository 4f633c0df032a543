/* Telling and sending.  Each channel has its thread, which takes what is due of its own backlog; a channel that fails
 * pauses, longer each time, and nobody else waits for it. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "notices/notices.h"
#include "worker.h"

enum { HOLD_MS = 60000, IDLE_MS = 500, PAUSE_MS = 1000, LONGEST_PAUSE_MS = 30000, SLICE_MS = 100 };

struct channel_thread {
  struct worker *worker;
  const struct channel *channel;
  pthread_t thread;
};
struct notices_sender {
  struct channel_thread threads[CHANNELS_LIMIT];
  size_t count;
};

/* ---- telling ---- */
static void count_notice(const char *channel, const char *outcome) {
  metric_add(&worker_metrics[M_NOTICES], 1, channel, outcome);
}

static void tell(struct worker *worker, const struct channel *channel, const char *key, json_t *notice) {
  struct error error = {0};
  int64_t window = config_ms(worker->config, "notice.window");
  if (state_notice_add(worker->state, channel->name, key, notice, window, &error) == 0) return;
  count_notice(channel->name, "lost");
  log_warn("a notice was lost", LOG_TEXT("channel", channel->name), LOG_TEXT("key", key), LOG_ERROR(&error));
}

void notices_tell(struct worker *worker, json_t *notice) {
  char key[256];
  unsigned to = notices_route(worker->notices, notice);
  snprintf(key, sizeof key, "%s|%s", json_text_at(notice, "guardrail", NULL), json_text_at(notice, "account", NULL));
  for (size_t i = 0; i < worker->notices->channel_count; i++)
    if (to >> i & 1U) tell(worker, &worker->notices->channels[i], key, notice);
}

/* ---- sending ---- */
static int publish(struct worker *worker, const struct channel *channel, const char *subject, const char *text,
                   struct error *error) {
  json_t *params = json_pack("{s:s, s:s, s:s}", "TopicArn", channel->topic, "Subject", subject, "Message", text);
  struct aws_target target = {.region = config_text(worker->config, "aws.region")};
  struct aws_call_options options = {.deadline_ms = clock_monotonic_ms() + 2 * channel->timeout_ms};
  char region[64] = "";
  if (sscanf(channel->topic, "arn:%*[^:]:sns:%63[^:]:", region) == 1) target.region = region;
  json_t *result = params ? aws_call(worker->aws, &target, "sns.Publish", params, &options, error) : NULL;
  json_decref(params);
  int sent = result != NULL;
  json_decref(result);
  return sent ? 0 : -1;
}

static int post(struct worker *worker, const struct channel *channel, const struct guardrail *guardrail,
                const json_t *digest, const char *subject, const char *text, struct error *error) {
  char delivery[400];
  char *body = notice_body(channel, guardrail, digest, subject, text, error);
  if (!body) return -1;
  snprintf(delivery, sizeof delivery, "%s|%lld", json_text_at(digest, "key", NULL),
           (long long)json_integer_value(json_object_get(digest, "first")));
  int result = webhook_post(aws_client_transport(worker->aws), channel, delivery, body, clock_wall_ms(), error);
  free(body);
  return result;
}

static int deliver(struct worker *worker, const struct channel *channel, const json_t *digest, struct error *error) {
  struct bundle *bundle = worker_bundle(worker);
  const json_t *first = json_array_get(json_object_get(digest, "notices"), 0);
  const struct guardrail *guardrail = bundle_guardrail(bundle, json_text_at(first, "guardrail", NULL));
  char subject[101], *text = NULL;
  int result = notice_text(guardrail, digest, subject, &text);
  if (result != 0)
    error_set(error, ERROR_FATAL, "Memory", "out of memory");
  else if (channel->kind == CHANNEL_SNS)
    result = publish(worker, channel, subject, text, error);
  else if (channel->kind == CHANNEL_WEBHOOK)
    result = post(worker, channel, guardrail, digest, subject, text, error);
  else
    log_info("notice", LOG_TEXT("subject", subject));
  free(text);
  bundle_drop(bundle);
  return result;
}

/* A receiver that does not want this very body will not want it later; another trouble may pass, but not for ever. */
static int is_given_up(const struct channel *channel, const json_t *digest, const struct error *error) {
  return error->class == ERROR_INVALID || json_integer_value(json_object_get(digest, "tries")) >= channel->tries;
}

/* 1: one was dealt with, 0: none is due, -1: the channel, or Redis, has a trouble. */
static int send_one(struct worker *worker, const struct channel *channel) {
  struct error error = {0};
  json_t *digest = NULL;
  struct state_notice_pace pace = {.limit = channel->limit, .within_ms = channel->within_ms};
  if (state_notice_take(worker->state, channel->name, HOLD_MS + channel->timeout_ms, &pace, &digest, &error) != 0) {
    log_debug("a channel's backlog cannot be asked for", LOG_TEXT("channel", channel->name), LOG_ERROR(&error));
    return -1;
  }
  if (!digest) return 0;
  const char *key = json_text_at(digest, "key", NULL);
  int sent = deliver(worker, channel, digest, &error) == 0, given_up = !sent && is_given_up(channel, digest, &error);
  count_notice(channel->name, sent ? "sent" : given_up ? "given-up" : "failed");
  if (!sent)
    log_warn(given_up ? "a notice was given up" : "a notice could not be sent; it comes back",
             LOG_TEXT("channel", channel->name), LOG_TEXT("digest", key), LOG_ERROR(&error));
  int wanted = sent || error.class == ERROR_INVALID; /* the channel itself works */
  if ((sent || given_up) && state_notice_done(worker->state, channel->name, key, &error) != 0)
    log_warn("a notice that was sent may be sent again", LOG_TEXT("channel", channel->name), LOG_ERROR(&error));
  json_decref(digest);
  return wanted ? 1 : -1;
}

static void pause_thread(const struct worker *worker, int64_t milliseconds) {
  for (; milliseconds > 0 && !worker->stopping; milliseconds -= SLICE_MS)
    clock_sleep_ms(milliseconds < SLICE_MS ? milliseconds : SLICE_MS);
}

static void *channel_loop(void *argument) {
  const struct channel_thread *own = argument;
  struct worker *worker = own->worker;
  int64_t pause = PAUSE_MS;
  while (!worker->stopping) {
    int result = worker->state_ready ? send_one(worker, own->channel) : 0;
    if (result >= 0) pause = PAUSE_MS;
    if (result < 0) {
      pause_thread(worker, pause);
      pause = pause * 2 < LONGEST_PAUSE_MS ? pause * 2 : LONGEST_PAUSE_MS;
    } else if (result == 0) {
      pause_thread(worker, IDLE_MS);
    }
  }
  aws_thread_end();
  return NULL;
}

struct notices_sender *notices_start(struct worker *worker, struct error *error) {
  struct notices_sender *sender = calloc(1, sizeof *sender);
  if (!sender) return error_set(error, ERROR_FATAL, "Memory", "out of memory"), NULL;
  for (size_t i = 0; i < worker->notices->channel_count; i++) {
    struct channel_thread *one = &sender->threads[i];
    *one = (struct channel_thread){.worker = worker, .channel = &worker->notices->channels[i]};
    if (pthread_create(&one->thread, NULL, channel_loop, one) == 0) {
      sender->count++;
      continue;
    }
    error_set(error, ERROR_FATAL, "Thread", "cannot start a thread");
    worker->stopping = 1;
    notices_stop(sender);
    return NULL;
  }
  return sender;
}

void notices_stop(struct notices_sender *sender) {
  for (size_t i = 0; sender && i < sender->count; i++) pthread_join(sender->threads[i].thread, NULL);
  free(sender);
}
