/* One queue: some receivers, and one keeper.
 *
 * A receiver long-polls and hands each message to the publisher.  The keeper does everything that comes afterwards, for
 * all messages that are held: deletes what Kafka acknowledged (in batches), extends the visibility of what it has not
 * yet, hands over again what it did not take, writes the dead letter of what it refuses.  So a message is deleted only
 * after its delivery report, and stays in SQS for as long as anything is in doubt.
 *
 * When Kafka does not answer for STALL_MS, receivers stop: what is in SQS is safest there.  The messages that are held
 * meanwhile are the probe that tells when it is back.
 *
 * `lock` guards the list and every message in it.  A message that is `busy` belongs to the keeper, one that is SENDING
 * to the publisher: nobody else frees it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "metrics_table.h"
#include "sqs_internal.h"

enum {
  STALL_MS = 5000,         /* a delivery that takes longer: stop receiving */
  GATHER_MS = 50,          /* how long deletions wait for company */
  IDLE_MS = 500,           /* the keeper looks at least this often */
  AGAIN_MS = 1000,         /* between tries of one message */
  GIVE_UP_MS = 30 * 60000, /* a message that Kafka never took: let SQS have it back */
  DRAIN_MS = 30000,
  BACKOFF_FIRST_MS = 500,
  BACKOFF_LAST_MS = 30000,
};

struct sqs_queue {
  struct sqs_options options;
  char label[160]; /* "eu-west-1/parapet-events": metrics, logs */
  pthread_t *receivers, keeper;
  int started_receivers;

  pthread_mutex_t lock;   /* guards what follows */
  pthread_cond_t changed; /* something for the keeper, or room for a receiver */
  struct sqs_message *messages;
  size_t held, reserved; /* reserved: what receivers are asking for at this moment */
  char *url;
  int stopping, receiving_ended, stalled;
  struct error trouble; /* why receiving does not work at present; class NONE when it does */
};

/* ---- messages ---- */
static void message_free(struct sqs_message *message) {
  if (!message) return;
  free(message->id);
  free(message->receipt);
  free(message->body);
  free(message);
}

static char *copy_text(const json_t *text, size_t *length) {
  size_t size = json_string_length(text);
  char *copy = malloc(size + 1);
  if (!copy) return NULL;
  memcpy(copy, json_string_value(text), size);
  copy[size] = '\0';
  if (length) *length = size;
  return copy;
}

static struct sqs_message *message_new(struct sqs_queue *queue, const json_t *from) {
  const json_t *id = json_object_get(from, "MessageId"), *receipt = json_object_get(from, "ReceiptHandle"),
               *body = json_object_get(from, "Body");
  if (!json_is_string(id) || !json_is_string(receipt) || !json_is_string(body)) return NULL;
  struct sqs_message *message = calloc(1, sizeof *message);
  if (!message) return NULL;
  message->queue = queue;
  message->id = copy_text(id, NULL);
  message->receipt = copy_text(receipt, NULL);
  message->body = copy_text(body, &message->length);
  message->received_ms = message->changed_ms = clock_monotonic_ms();
  message->visible_until_ms = message->received_ms + queue->options.visibility_ms;
  if (message->id && message->receipt && message->body) return message;
  message_free(message);
  return NULL;
}

/* Under the lock. */
static void set_state(struct sqs_message *message, enum sqs_state state) {
  message->state = state;
  message->changed_ms = clock_monotonic_ms();
}

/* The same message once more (its visibility lapsed, or SQS delivers twice): only the newest receipt is good. */
static int take_receipt(struct sqs_queue *queue, struct sqs_message *again) {
  for (struct sqs_message *message = queue->messages; message; message = message->following) {
    if (strcmp(message->id, again->id) != 0 || message->busy) continue;
    char *receipt = message->receipt;
    message->receipt = again->receipt;
    again->receipt = receipt;
    message->visible_until_ms = again->visible_until_ms;
    return 1;
  }
  return 0;
}

/* Under the lock. */
static void let_go(struct sqs_queue *queue, struct sqs_message *message) {
  struct sqs_message **at = &queue->messages;
  while (*at != message) at = &(*at)->following;
  *at = message->following;
  queue->held--;
  metric_set(&collector_metrics[COLLECTOR_IN_FLIGHT], (double)queue->held, queue->label);
  message_free(message);
}

/* ---- handing over to Kafka ---- */
static void delivered(void *argument, const struct error *error) {
  struct sqs_message *message = argument;
  struct sqs_queue *queue = message->queue;
  pthread_mutex_lock(&queue->lock);
  if (!error) {
    set_state(message, SQS_ACKNOWLEDGED);
  } else if (error->class == ERROR_INVALID) {
    set_state(message, SQS_REFUSED);
    message->refusal = *error;
  } else {
    set_state(message, SQS_UNSENT);
    message->not_before_ms = clock_monotonic_ms() + AGAIN_MS;
  }
  pthread_cond_broadcast(&queue->changed);
  pthread_mutex_unlock(&queue->lock);
}

static void position_of(const struct sqs_message *message, char *text, size_t size) {
  snprintf(text, size, "sqs %s message %s", message->queue->label, message->id);
}

/* Outside of the lock; the message is SENDING already, so nobody frees it. 0, or -1: it is UNSENT again. */
static int hand_over(struct sqs_message *message) {
  struct sqs_queue *queue = message->queue;
  char position[300];
  struct error error = {0};
  position_of(message, position, sizeof position);
  struct publish_from from = {.source = "sqs", .position = position};
  if (publish_event(queue->options.publisher, &from, message->body, message->length, delivered, message, &error) == 0)
    return 0;
  log_warn("Kafka takes nothing at present; the message stays in SQS", LOG_TEXT("queue", queue->label),
           LOG_ERROR(&error));
  struct error later = error;
  later.class = ERROR_RETRYABLE;
  delivered(message, &later);
  return -1;
}

/* ---- receivers ---- */
static void observe_age(const struct sqs_queue *queue, const json_t *from) {
  const char *sent = json_text_at(from, "Attributes", "SentTimestamp", NULL);
  char *end;
  long long when = strtoll(sent, &end, 10);
  if (!*sent || *end || when <= 0) return;
  double age = (double)(clock_wall_ms() - when) / 1000;
  metric_observe(&collector_metrics[COLLECTOR_SQS_AGE], age > 0 ? age : 0, queue->label);
}

static void accept_message(struct sqs_queue *queue, const json_t *from) {
  struct sqs_message *message = message_new(queue, from);
  if (!message) {
    log_error("SQS gave a message without id, receipt or body", LOG_TEXT("queue", queue->label));
    return;
  }
  observe_age(queue, from);
  pthread_mutex_lock(&queue->lock);
  int known = take_receipt(queue, message);
  if (!known) {
    message->following = queue->messages;
    queue->messages = message;
    set_state(message, SQS_SENDING);
    queue->held++;
    metric_set(&collector_metrics[COLLECTOR_IN_FLIGHT], (double)queue->held, queue->label);
  }
  pthread_mutex_unlock(&queue->lock);
  metric_add(&collector_metrics[COLLECTOR_RECEIVED], 1, "sqs");
  if (known)
    message_free(message);
  else
    hand_over(message);
}

/* Under the lock: waits for at most wait_ms, or until something changed. */
static void wait_changed(struct sqs_queue *queue, int64_t wait_ms) {
  clock_condition_wait(&queue->changed, &queue->lock, clock_monotonic_ms() + wait_ms);
}

/* Waits for room and a Kafka that answers.  1 with the room reserved; 0: stop. */
static int reserve(struct sqs_queue *queue) {
  pthread_mutex_lock(&queue->lock);
  while (!queue->stopping && (queue->stalled || queue->held + queue->reserved + SQS_BATCH > queue->options.in_flight))
    wait_changed(queue, IDLE_MS);
  int go = !queue->stopping;
  if (go) queue->reserved += SQS_BATCH;
  pthread_mutex_unlock(&queue->lock);
  return go;
}

static void unreserve(struct sqs_queue *queue, const struct error *trouble) {
  pthread_mutex_lock(&queue->lock);
  queue->reserved -= SQS_BATCH;
  queue->trouble = trouble ? *trouble : (struct error){0};
  pthread_cond_broadcast(&queue->changed);
  pthread_mutex_unlock(&queue->lock);
}

/* The queue's URL, asked for once.  Borrowed until the queue is released; NULL with *error. */
static const char *url_of(struct sqs_queue *queue, struct error *error) {
  pthread_mutex_lock(&queue->lock);
  const char *known = queue->url;
  pthread_mutex_unlock(&queue->lock);
  if (known) return known;
  char *url = sqs_url(&queue->options, error);
  if (!url) return NULL;
  pthread_mutex_lock(&queue->lock);
  if (queue->url)
    free(url);
  else
    queue->url = url;
  known = queue->url;
  pthread_mutex_unlock(&queue->lock);
  return known;
}

static void back_off(struct sqs_queue *queue, int64_t *wait_ms, const struct error *error) {
  metric_add(&collector_metrics[COLLECTOR_SQS_ERRORS], 1, queue->label, "sqs.ReceiveMessage");
  log_warn("receiving from SQS failed", LOG_TEXT("queue", queue->label), LOG_INT("again_ms", *wait_ms),
           LOG_ERROR(error));
  int64_t until = clock_monotonic_ms() + *wait_ms, left;
  pthread_mutex_lock(&queue->lock);
  while (!queue->stopping && (left = until - clock_monotonic_ms()) > 0) wait_changed(queue, left);
  pthread_mutex_unlock(&queue->lock);
  *wait_ms = *wait_ms * 2 < BACKOFF_LAST_MS ? *wait_ms * 2 : BACKOFF_LAST_MS;
}

static void *receive_loop(void *argument) {
  struct sqs_queue *queue = argument;
  int64_t backoff_ms = BACKOFF_FIRST_MS;
  while (reserve(queue)) {
    struct error error = {0};
    const char *url = url_of(queue, &error);
    json_t *messages = url ? sqs_receive(&queue->options, url, SQS_BATCH, &error) : NULL;
    size_t i;
    json_t *message;
    json_array_foreach(messages, i, message) accept_message(queue, message);
    unreserve(queue, messages ? NULL : &error);
    if (messages)
      backoff_ms = BACKOFF_FIRST_MS;
    else
      back_off(queue, &backoff_ms, &error);
    json_decref(messages);
  }
  aws_thread_end();
  return NULL;
}

/* ---- keeper ---- */
static int must_delete(const struct sqs_queue *queue, const struct sqs_message *message, int64_t now) {
  (void)queue;
  return message->state == SQS_ACKNOWLEDGED && message->not_before_ms <= now;
}

static int must_extend(const struct sqs_queue *queue, const struct sqs_message *message, int64_t now) {
  return message->state != SQS_ACKNOWLEDGED && message->visible_until_ms - now < queue->options.visibility_ms / 2;
}

static int must_send(const struct sqs_queue *queue, const struct sqs_message *message, int64_t now) {
  (void)queue;
  return message->state == SQS_UNSENT && message->not_before_ms <= now;
}

static int must_bury(const struct sqs_queue *queue, const struct sqs_message *message, int64_t now) {
  (void)queue;
  return message->state == SQS_REFUSED && message->not_before_ms <= now;
}

typedef int picks(const struct sqs_queue *queue, const struct sqs_message *message, int64_t now);

/* Under the lock: up to `limit` messages, marked busy. */
static size_t pick(struct sqs_queue *queue, picks *wanted, struct sqs_message **picked, size_t limit) {
  size_t count = 0;
  int64_t now = clock_monotonic_ms();
  for (struct sqs_message *message = queue->messages; message && count < limit; message = message->following) {
    if (message->busy || !wanted(queue, message, now)) continue;
    message->busy = 1;
    picked[count++] = message;
  }
  return count;
}

/* Deleted, or worth no further try (the receipt lapsed: SQS gives it again, and Kafka's side knows duplicates). */
static void settle_deletion(struct sqs_queue *queue, struct sqs_message *message, enum sqs_outcome outcome) {
  int64_t now = clock_monotonic_ms();
  message->busy = 0;
  message->not_before_ms = now + AGAIN_MS;
  if (outcome == SQS_DONE) metric_add(&collector_metrics[COLLECTOR_DELETED], 1, queue->label);
  if (outcome != SQS_AGAIN || message->visible_until_ms < now) let_go(queue, message);
}

static void settle_extension(struct sqs_queue *queue, struct sqs_message *message, enum sqs_outcome outcome) {
  int64_t now = clock_monotonic_ms();
  message->busy = 0;
  if (outcome == SQS_DONE) metric_add(&collector_metrics[COLLECTOR_EXTENDED], 1, queue->label);
  /* A failure is tried again after a second.  A receipt that lapsed is left: the message is sent all the same. */
  message->visible_until_ms =
      outcome == SQS_AGAIN ? now + queue->options.visibility_ms / 2 + AGAIN_MS : now + queue->options.visibility_ms;
}

/* One batch of what `wanted` picks, through `call`.  Returns how many there were. */
static size_t keep_batch(struct sqs_queue *queue, picks *wanted,
                         int (*call)(const struct sqs_options *, const char *, struct sqs_message *const *, size_t,
                                     enum sqs_outcome *, struct error *),
                         void (*settle)(struct sqs_queue *, struct sqs_message *, enum sqs_outcome),
                         const char *operation) {
  struct sqs_message *picked[SQS_BATCH];
  enum sqs_outcome outcomes[SQS_BATCH];
  struct error error = {0};
  pthread_mutex_lock(&queue->lock);
  size_t count = pick(queue, wanted, picked, SQS_BATCH);
  const char *url = queue->url;
  pthread_mutex_unlock(&queue->lock);
  if (count == 0) return 0;
  if (call(&queue->options, url, picked, count, outcomes, &error) != 0) {
    for (size_t i = 0; i < count; i++) outcomes[i] = SQS_AGAIN;
    metric_add(&collector_metrics[COLLECTOR_SQS_ERRORS], 1, queue->label, operation);
    log_warn("an SQS batch failed", LOG_TEXT("queue", queue->label), LOG_TEXT("operation", operation),
             LOG_ERROR(&error));
  }
  pthread_mutex_lock(&queue->lock);
  for (size_t i = 0; i < count; i++) settle(queue, picked[i], outcomes[i]);
  pthread_cond_broadcast(&queue->changed); /* room */
  pthread_mutex_unlock(&queue->lock);
  return count;
}

/* Hands over again, one at a time: the first that fails shows that it is no use yet. */
static void send_again(struct sqs_queue *queue) {
  for (int i = 0; i < 100; i++) {
    struct sqs_message *message;
    pthread_mutex_lock(&queue->lock);
    size_t count = pick(queue, must_send, &message, 1);
    int hopeless = count == 1 && clock_monotonic_ms() - message->received_ms > GIVE_UP_MS;
    if (count == 1) {
      message->busy = 0; /* SENDING protects it from here on */
      set_state(message, SQS_SENDING);
      if (hopeless) let_go(queue, message);
    }
    pthread_mutex_unlock(&queue->lock);
    if (count == 0) return;
    if (hopeless)
      log_error("Kafka did not take a message for too long; it goes back to SQS", LOG_TEXT("queue", queue->label));
    else if (hand_over(message) != 0)
      return;
  }
}

static void bury_refused(struct sqs_queue *queue) {
  struct sqs_message *message;
  struct error error = {0};
  char position[300];
  pthread_mutex_lock(&queue->lock);
  size_t count = pick(queue, must_bury, &message, 1);
  pthread_mutex_unlock(&queue->lock);
  if (count == 0) return;
  position_of(message, position, sizeof position);
  struct publish_from from = {.source = "sqs", .position = position};
  int result = publish_dead_letter(queue->options.publisher, &from, message->refusal.code, message->refusal.message,
                                   message->body, message->length, &error);
  if (result != 0) log_warn("a dead letter was not delivered", LOG_TEXT("queue", queue->label), LOG_ERROR(&error));
  pthread_mutex_lock(&queue->lock);
  message->busy = 0;
  if (result == 0)
    set_state(message, SQS_ACKNOWLEDGED);
  else
    message->not_before_ms = clock_monotonic_ms() + AGAIN_MS;
  pthread_mutex_unlock(&queue->lock);
}

/* Under the lock: is Kafka answering?  And how many deletions are there, since when? */
static size_t survey(struct sqs_queue *queue, int64_t now, int64_t *oldest_ms) {
  size_t acknowledged = 0;
  int stalled = 0;
  *oldest_ms = now;
  for (const struct sqs_message *message = queue->messages; message; message = message->following) {
    if (message->state == SQS_UNSENT || (message->state == SQS_SENDING && now - message->changed_ms > STALL_MS))
      stalled = 1;
    if (message->state != SQS_ACKNOWLEDGED || message->not_before_ms > now) continue;
    acknowledged++;
    if (message->changed_ms < *oldest_ms) *oldest_ms = message->changed_ms;
  }
  if (stalled != queue->stalled) {
    if (stalled)
      log_warn("Kafka does not answer: receiving stops", LOG_TEXT("queue", queue->label));
    else
      log_info("Kafka answers: receiving goes on", LOG_TEXT("queue", queue->label));
    queue->stalled = stalled;
    pthread_cond_broadcast(&queue->changed);
  }
  return acknowledged;
}

/* Waits until there is something to do.  0: everything is done, and nothing more comes. */
static int keeper_wait(struct sqs_queue *queue, int64_t drain_until) {
  pthread_mutex_lock(&queue->lock);
  int64_t now = clock_monotonic_ms(), oldest;
  size_t acknowledged = survey(queue, now, &oldest);
  int64_t wait = acknowledged >= SQS_BATCH ? 0 : acknowledged > 0 ? oldest + GATHER_MS - now : IDLE_MS;
  int over = queue->receiving_ended && (queue->held == 0 || now > drain_until);
  if (queue->receiving_ended && wait > GATHER_MS) wait = GATHER_MS;
  if (!over && wait > 0) wait_changed(queue, wait);
  pthread_mutex_unlock(&queue->lock);
  return !over;
}

/* Are there enough acknowledged messages for a batch, or is one waiting too long? */
static int deletion_due(struct sqs_queue *queue) {
  pthread_mutex_lock(&queue->lock);
  int64_t now = clock_monotonic_ms(), oldest;
  size_t acknowledged = survey(queue, now, &oldest);
  int due = acknowledged >= SQS_BATCH || (acknowledged > 0 && (queue->receiving_ended || now - oldest >= GATHER_MS));
  pthread_mutex_unlock(&queue->lock);
  return due;
}

static void *keep_loop(void *argument) {
  struct sqs_queue *queue = argument;
  int64_t drain_until = INT64_MAX;
  while (keeper_wait(queue, drain_until)) {
    pthread_mutex_lock(&queue->lock);
    if (queue->receiving_ended && drain_until == INT64_MAX) drain_until = clock_monotonic_ms() + DRAIN_MS;
    pthread_mutex_unlock(&queue->lock);
    keep_batch(queue, must_extend, sqs_extend, settle_extension, "sqs.ChangeMessageVisibilityBatch");
    while (deletion_due(queue) &&
           keep_batch(queue, must_delete, sqs_delete, settle_deletion, "sqs.DeleteMessageBatch") == SQS_BATCH)
      keep_batch(queue, must_extend, sqs_extend, settle_extension, "sqs.ChangeMessageVisibilityBatch");
    bury_refused(queue);
    send_again(queue);
  }
  aws_thread_end();
  return NULL;
}

/* ---- start, stop ---- */
static void init(struct sqs_queue *queue, const struct sqs_options *options) {
  queue->options = *options;
  const char *slash = options->url ? strrchr(options->url, '/') : NULL;
  snprintf(queue->label, sizeof queue->label, "%s/%s", options->region,
           options->name ? options->name
           : slash       ? slash + 1
                         : "queue");
  queue->options.label = queue->label;
  pthread_mutex_init(&queue->lock, NULL);
  clock_condition_init(&queue->changed);
}

struct sqs_queue *sqs_queue_start(const struct sqs_options *options, struct error *error) {
  struct sqs_queue *queue = calloc(1, sizeof *queue);
  if (queue) queue->receivers = calloc((size_t)options->receivers, sizeof *queue->receivers);
  if (!queue || !queue->receivers) {
    free(queue);
    error_set(error, ERROR_FATAL, "OutOfMemory", "out of memory");
    return NULL;
  }
  init(queue, options);
  int failed = pthread_create(&queue->keeper, NULL, keep_loop, queue) != 0;
  if (failed) {
    error_set(error, ERROR_FATAL, "Thread", "a queue's threads could not be started");
    sqs_queue_release(queue);
    return NULL;
  }
  for (int i = 0; i < options->receivers; i++) {
    if (pthread_create(&queue->receivers[i], NULL, receive_loop, queue) == 0) {
      queue->started_receivers++;
      continue;
    }
    error_set(error, ERROR_FATAL, "Thread", "a queue's threads could not be started");
    sqs_queue_stop(queue);
    sqs_queue_release(queue);
    return NULL;
  }
  return queue;
}

int sqs_queue_ready(struct sqs_queue *queue, char *reason, size_t size) {
  pthread_mutex_lock(&queue->lock);
  int ready = !queue->stalled && queue->trouble.class == ERROR_NONE;
  if (queue->stalled)
    snprintf(reason, size, "%s: Kafka does not answer", queue->label);
  else if (!ready)
    snprintf(reason, size, "%s: %s", queue->label, queue->trouble.message);
  pthread_mutex_unlock(&queue->lock);
  return ready;
}

size_t sqs_queue_held(struct sqs_queue *queue) {
  pthread_mutex_lock(&queue->lock);
  size_t held = queue->held;
  pthread_mutex_unlock(&queue->lock);
  return held;
}

void sqs_queue_ask_to_stop(struct sqs_queue *queue) {
  pthread_mutex_lock(&queue->lock);
  queue->stopping = 1;
  pthread_cond_broadcast(&queue->changed);
  pthread_mutex_unlock(&queue->lock);
}

void sqs_queue_stop(struct sqs_queue *queue) {
  sqs_queue_ask_to_stop(queue);
  for (int i = 0; i < queue->started_receivers; i++) pthread_join(queue->receivers[i], NULL);
  pthread_mutex_lock(&queue->lock);
  queue->receiving_ended = 1;
  pthread_cond_broadcast(&queue->changed);
  pthread_mutex_unlock(&queue->lock);
  pthread_join(queue->keeper, NULL);
}

void sqs_queue_release(struct sqs_queue *queue) {
  if (!queue) return;
  while (queue->messages) let_go(queue, queue->messages);
  pthread_cond_destroy(&queue->changed);
  pthread_mutex_destroy(&queue->lock);
  free(queue->receivers);
  free(queue->url);
  free(queue);
}
