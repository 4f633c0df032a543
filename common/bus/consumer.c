/* The consumer: at-least-once, messages finished in any order by any thread.
 *
 * One thread, the owner's, is inside bus_poll(); everything that librdkafka calls back (rebalance, commit results) runs
 * there, too.  Other threads only come with bus_finish(), bus_pause(), bus_lag(): they touch what `lock` guards, and
 * the polling thread acts on it in its next slice (at most SLICE_MS later).
 *
 * What the owner's look (bus_sift) is done with at sight costs no lock and no memory: its offset goes into the
 * partition's `passed`, which is the polling thread's alone, and from there into the watermark with the next message
 * that is kept, or with the housekeeping that comes with every batch and whenever nothing is there to read.
 *
 * Back-pressure: at in_flight_high nothing more is taken, at in_flight_low it goes on.  Pausing partitions throws away
 * what was prefetched, and librdkafka needs up to a second to have it again; so for the first HOLD_MS we just take
 * nothing, and only then are they paused, as they must be if librdkafka is to be polled while they wait. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "bus/bus_internal.h"

enum {
  SLICE_MS = 50,
  REVOKE_SLICE_MS = 10,
  COMMIT_WAIT_MS = 5000, /* synchronous commits: when partitions are taken away, and at the end */
  CLOSE_WAIT_S = 8,
  START_WAIT_MS = 2000, /* asking for committed offsets at assignment (for the lag only) */
  HOLD_MS = 500,        /* back-pressure that ends sooner pauses nothing */
  SPAN_HIGH = 500000,   /* a partition's finished messages behind one that does not finish */
  SPAN_LOW = 250000,
};
_Static_assert(SPAN_HIGH < (int)WATERMARK_CEILING, "the pause must come before the ceiling");

struct bus_consumer {
  rd_kafka_t *handle;
  int64_t commit_every_ms, revoke_wait_ms;
  size_t high, low;
  int64_t next_commit_ms; /* polling thread only, as are the next two */
  int paused, holding;
  rd_kafka_topic_t *last_topic; /* of the message before, and its partition: they come in runs */
  struct bus_partition *last_partition;
  struct bus_batch batch;
  struct bus_refill *refill;
  int owner_paused;     /* atomic: bus_pause() writes, the polling thread reads */
  int64_t last_poll_ms; /* atomic: the polling thread writes */

  pthread_mutex_t lock; /* guards what follows, and every bus_partition */
  struct bus_partition *partitions;
  size_t in_flight; /* unfinished messages, those of partitions taken away included */
  int blocked;      /* back-pressure, with hysteresis, since: */
  int64_t blocked_ms;
  pthread_cond_t eased;
  int failed; /* atomic: a message could not be tracked, nothing is delivered any more */
};

struct bus_message {
  rd_kafka_message_t *message;
  struct bus_partition *partition; /* a reference */
  uint64_t slot;
};

static void fail(struct bus_consumer *consumer) { __atomic_store_n(&consumer->failed, 1, __ATOMIC_RELAXED); }

/* Under the lock: what was passed since the last time enters the watermark. */
static void pass_on(struct bus_consumer *consumer, struct bus_partition *partition) {
  if (partition->passed < 0) return;
  if (watermark_pass(&partition->watermark, partition->passed) != 0) fail(consumer);
  partition->passed = -1;
}

static void pass_on_all(struct bus_consumer *consumer) {
  for (struct bus_partition *partition = consumer->partitions; partition; partition = partition->following)
    pass_on(consumer, partition);
}

/* ---- commits ---- */
static void log_commit_failure(rd_kafka_resp_err_t code, int partitions) {
  struct error error = {0};
  if (code == RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS) return; /* as expected; sent again with the next, or revoked */
  bus_error(&error, code, "commit offsets", NULL);
  log_warn("offsets were not committed; work may be repeated", LOG_INT("partitions", partitions), LOG_ERROR(&error));
}

/* The result of an asynchronous commit: what failed is sent again with the next one. */
static void on_commit(rd_kafka_t *handle, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *offsets,
                      void *opaque) {
  (void)handle;
  struct bus_consumer *consumer = opaque;
  if (!offsets || code == RD_KAFKA_RESP_ERR__NO_OFFSET) return;
  rd_kafka_resp_err_t first = code;
  pthread_mutex_lock(&consumer->lock);
  for (int i = 0; i < offsets->cnt; i++) {
    const rd_kafka_topic_partition_t *offset = &offsets->elems[i];
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR && offset->err == RD_KAFKA_RESP_ERR_NO_ERROR) continue;
    if (first == RD_KAFKA_RESP_ERR_NO_ERROR) first = offset->err;
    struct bus_partition *partition = bus_partition_find(consumer->partitions, offset->topic, offset->partition);
    if (partition) partition->submitted = -1;
  }
  pthread_mutex_unlock(&consumer->lock);
  if (first != RD_KAFKA_RESP_ERR_NO_ERROR) log_commit_failure(first, offsets->cnt);
}

static void commit_when_due(struct bus_consumer *consumer) {
  int64_t now = clock_monotonic_ms();
  if (now < consumer->next_commit_ms) return;
  consumer->next_commit_ms = now + consumer->commit_every_ms;
  pthread_mutex_lock(&consumer->lock);
  pass_on_all(consumer);
  rd_kafka_topic_partition_list_t *positions = bus_partition_positions(consumer->partitions, 0);
  pthread_mutex_unlock(&consumer->lock);
  if (!positions) return;
  rd_kafka_resp_err_t code = rd_kafka_commit(consumer->handle, positions, 1);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) on_commit(consumer->handle, code, positions, consumer);
  rd_kafka_topic_partition_list_destroy(positions);
}

/* Sends every position and waits for the answer; through a queue of its own, since rd_kafka_commit() knows no deadline.
 */
static void commit_now(struct bus_consumer *consumer) {
  pthread_mutex_lock(&consumer->lock);
  pass_on_all(consumer);
  rd_kafka_topic_partition_list_t *positions = bus_partition_positions(consumer->partitions, 1);
  pthread_mutex_unlock(&consumer->lock);
  if (!positions) return;
  rd_kafka_queue_t *queue = rd_kafka_queue_new(consumer->handle);
  rd_kafka_resp_err_t code = rd_kafka_commit_queue(consumer->handle, positions, queue, NULL, NULL);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, COMMIT_WAIT_MS);
    code = event ? rd_kafka_event_error(event) : RD_KAFKA_RESP_ERR__TIMED_OUT;
    rd_kafka_event_destroy(event);
  }
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != RD_KAFKA_RESP_ERR__NO_OFFSET)
    log_commit_failure(code, positions->cnt);
  rd_kafka_queue_destroy(queue);
  rd_kafka_topic_partition_list_destroy(positions);
}

/* ---- pausing ---- */
static void log_partition_errors(const rd_kafka_topic_partition_list_t *list, rd_kafka_resp_err_t code,
                                 const char *what) {
  for (int i = 0; i < list->cnt && code == RD_KAFKA_RESP_ERR_NO_ERROR; i++) code = list->elems[i].err;
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return;
  struct error error = {0};
  bus_error(&error, code, what, NULL);
  log_warn("Kafka partitions", LOG_ERROR(&error));
}

static void set_paused(struct bus_consumer *consumer, rd_kafka_topic_partition_list_t *list, int paused) {
  if (list->cnt == 0) return;
  rd_kafka_resp_err_t code =
      paused ? rd_kafka_pause_partitions(consumer->handle, list) : rd_kafka_resume_partitions(consumer->handle, list);
  log_partition_errors(list, code, paused ? "pause" : "resume");
}

/* Under the lock. */
static void block(struct bus_consumer *consumer) {
  if (consumer->blocked) return;
  consumer->blocked = 1;
  consumer->blocked_ms = clock_monotonic_ms();
}

/* Under the lock.  Back-pressure ends when everything is at its low mark. */
static void ease(struct bus_consumer *consumer) {
  if (!consumer->blocked || consumer->in_flight > consumer->low) return;
  for (const struct bus_partition *partition = consumer->partitions; partition; partition = partition->following)
    if (watermark_span(&partition->watermark) > SPAN_LOW) return;
  consumer->blocked = 0;
  pthread_cond_signal(&consumer->eased);
}

/* Nothing is taken for a moment; back-pressure may end meanwhile. */
static void hold(struct bus_consumer *consumer, int64_t wait_ms) {
  int64_t until = clock_monotonic_ms() + wait_ms;
  pthread_mutex_lock(&consumer->lock);
  while (consumer->blocked && !clock_condition_wait(&consumer->eased, &consumer->lock, until)) continue;
  pthread_mutex_unlock(&consumer->lock);
}

static void apply_pause(struct bus_consumer *consumer) {
  pthread_mutex_lock(&consumer->lock);
  pass_on_all(consumer);
  ease(consumer);
  int lasts = consumer->blocked && clock_monotonic_ms() >= consumer->blocked_ms + HOLD_MS;
  int wanted = lasts || __atomic_load_n(&consumer->owner_paused, __ATOMIC_RELAXED);
  consumer->holding = consumer->blocked && !wanted;
  rd_kafka_topic_partition_list_t *list = NULL;
  if (wanted != consumer->paused) {
    list = rd_kafka_topic_partition_list_new(8);
    for (const struct bus_partition *partition = consumer->partitions; partition; partition = partition->following)
      rd_kafka_topic_partition_list_add(list, partition->topic, partition->number);
  }
  pthread_mutex_unlock(&consumer->lock);
  if (!list) return;
  set_paused(consumer, list, wanted);
  consumer->paused = wanted;
  if (!wanted) bus_refill_restart(consumer->refill);
  rd_kafka_topic_partition_list_destroy(list);
}

/* ---- rebalance ---- */
static void check_assignment(rd_kafka_error_t *failure, rd_kafka_resp_err_t code) {
  if (failure) code = rd_kafka_error_code(failure);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    struct error error = {0};
    bus_error(&error, code, "assign partitions", NULL);
    log_error("the assignment of partitions failed", LOG_ERROR(&error));
  }
  if (failure) rd_kafka_error_destroy(failure);
}

static int is_cooperative(rd_kafka_t *handle) {
  const char *protocol = rd_kafka_rebalance_protocol(handle);
  return protocol && strcmp(protocol, "COOPERATIVE") == 0;
}

/* Where each partition starts, for the lag; a failure is no obstacle. */
static void learn_starts(struct bus_consumer *consumer, const rd_kafka_topic_partition_list_t *assigned) {
  rd_kafka_topic_partition_list_t *copy = rd_kafka_topic_partition_list_copy(assigned);
  rd_kafka_resp_err_t code = rd_kafka_committed(consumer->handle, copy, START_WAIT_MS);
  log_partition_errors(copy, code, "read committed offsets");
  pthread_mutex_lock(&consumer->lock);
  for (int i = 0; i < copy->cnt; i++) {
    struct bus_partition *partition =
        bus_partition_find(consumer->partitions, copy->elems[i].topic, copy->elems[i].partition);
    if (partition && copy->elems[i].offset >= 0) partition->start = copy->elems[i].offset;
  }
  pthread_mutex_unlock(&consumer->lock);
  rd_kafka_topic_partition_list_destroy(copy);
}

static void assign(struct bus_consumer *consumer, rd_kafka_topic_partition_list_t *assigned) {
  pthread_mutex_lock(&consumer->lock);
  for (int i = 0; i < assigned->cnt; i++) {
    struct bus_partition *partition = bus_partition_new(assigned->elems[i].topic, assigned->elems[i].partition);
    if (!partition) {
      fail(consumer);
      continue;
    }
    partition->following = consumer->partitions;
    consumer->partitions = partition;
  }
  pthread_mutex_unlock(&consumer->lock);
  learn_starts(consumer, assigned);
  if (is_cooperative(consumer->handle))
    check_assignment(rd_kafka_incremental_assign(consumer->handle, assigned), RD_KAFKA_RESP_ERR_NO_ERROR);
  else
    check_assignment(NULL, rd_kafka_assign(consumer->handle, assigned));
  if (consumer->paused) set_paused(consumer, assigned, 1);
  log_info("partitions assigned", LOG_INT("partitions", assigned->cnt));
}

/* Under the lock: takes the partition out of the table; its unfinished messages keep it alive. */
static void forget(struct bus_consumer *consumer, const char *topic, int32_t number) {
  consumer->last_topic = NULL;
  bus_batch_forget(&consumer->batch, topic, number);
  for (struct bus_partition **at = &consumer->partitions; *at; at = &(*at)->following) {
    struct bus_partition *partition = *at;
    if (partition->number != number || strcmp(partition->topic, topic) != 0) continue;
    *at = partition->following;
    __atomic_store_n(&partition->revoked, 1, __ATOMIC_RELEASE);
    bus_partition_drop(partition);
    return;
  }
}

static int64_t unfinished_of(struct bus_consumer *consumer, const rd_kafka_topic_partition_list_t *list) {
  int64_t unfinished = 0;
  pthread_mutex_lock(&consumer->lock);
  for (int i = 0; i < list->cnt; i++) {
    const struct bus_partition *partition =
        bus_partition_find(consumer->partitions, list->elems[i].topic, list->elems[i].partition);
    if (partition) unfinished += partition->unfinished;
  }
  pthread_mutex_unlock(&consumer->lock);
  return unfinished;
}

/* What is in hand of the partitions that go gets a moment to finish: what it finishes, the next owner need not do
 * again.  The group waits for us meanwhile (its rebalance timeout is minutes), so the moment is short. */
static void let_finish(struct bus_consumer *consumer, const rd_kafka_topic_partition_list_t *revoked) {
  int64_t deadline = clock_monotonic_ms() + consumer->revoke_wait_ms;
  while (clock_monotonic_ms() < deadline && unfinished_of(consumer, revoked) > 0) clock_sleep_ms(REVOKE_SLICE_MS);
}

static void revoke(struct bus_consumer *consumer, const rd_kafka_topic_partition_list_t *revoked) {
  int lost = rd_kafka_assignment_lost(consumer->handle);
  if (!lost) let_finish(consumer, revoked);
  if (!lost) commit_now(consumer); /* lost: another has them already, the group would refuse */
  pthread_mutex_lock(&consumer->lock);
  for (int i = 0; i < revoked->cnt; i++) forget(consumer, revoked->elems[i].topic, revoked->elems[i].partition);
  pthread_mutex_unlock(&consumer->lock);
  if (is_cooperative(consumer->handle))
    check_assignment(rd_kafka_incremental_unassign(consumer->handle, revoked), RD_KAFKA_RESP_ERR_NO_ERROR);
  else
    check_assignment(NULL, rd_kafka_assign(consumer->handle, NULL));
  log_info("partitions revoked", LOG_INT("partitions", revoked->cnt), LOG_BOOL("lost", lost));
}

static void on_rebalance(rd_kafka_t *handle, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *partitions,
                         void *opaque) {
  struct bus_consumer *consumer = opaque;
  if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
    assign(consumer, partitions);
    return;
  }
  if (code == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS) {
    revoke(consumer, partitions);
    return;
  }
  check_assignment(NULL, code);
  check_assignment(NULL, rd_kafka_assign(handle, NULL));
}

/* ---- polling ---- */
/* Polling thread.  The table changes only on this thread, so reading it wants no lock.  NULL: the message is left over
 * from an assignment that ended, and whoever has the partition now gets it again. */
static struct bus_partition *partition_of(struct bus_consumer *consumer, const rd_kafka_message_t *message) {
  if (consumer->last_topic == message->rkt && consumer->last_partition->number == message->partition)
    return consumer->last_partition;
  struct bus_partition *found =
      bus_partition_find(consumer->partitions, rd_kafka_topic_name(message->rkt), message->partition);
  consumer->last_topic = found ? message->rkt : NULL;
  consumer->last_partition = found;
  return found;
}

static struct bus_message *track(struct bus_consumer *consumer, struct bus_partition *partition,
                                 rd_kafka_message_t *message) {
  struct bus_message *tracked = malloc(sizeof *tracked);
  pthread_mutex_lock(&consumer->lock);
  pass_on(consumer, partition);
  if (!tracked || watermark_add(&partition->watermark, message->offset, &tracked->slot) != 0) {
    fail(consumer);
    pthread_mutex_unlock(&consumer->lock);
    free(tracked);
    return NULL;
  }
  partition->references++;
  partition->unfinished++;
  if (++consumer->in_flight >= consumer->high || watermark_span(&partition->watermark) >= SPAN_HIGH) block(consumer);
  pthread_mutex_unlock(&consumer->lock);
  tracked->message = message;
  tracked->partition = partition;
  return tracked;
}

static int has_failed(struct bus_consumer *consumer, struct error *error) {
  if (!__atomic_load_n(&consumer->failed, __ATOMIC_RELAXED)) return 0;
  error_set(error, ERROR_FATAL, "OutOfMemory", "Kafka: a message could not be tracked; start again");
  return 1;
}

/* Takes the message or complaint that librdkafka handed over.  NULL: nothing for the owner, or *error is set. */
static struct bus_message *receive(struct bus_consumer *consumer, rd_kafka_message_t *message, bus_look *look,
                                   void *argument, struct error *error) {
  struct bus_message *tracked = NULL;
  if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
    struct bus_partition *partition = partition_of(consumer, message);
    if (partition && look && look(message->payload, message->len, argument) == BUS_DONE)
      partition->passed = message->offset;
    else if (partition)
      tracked = track(consumer, partition, message);
  } else if (message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
    bus_error_of(consumer->handle, error, message->err, "poll",
                 message->rkt ? rd_kafka_topic_name(message->rkt) : NULL);
  }
  if (!tracked) rd_kafka_message_destroy(message);
  return tracked;
}

/* Paused: nothing is looked at, but polling keeps the membership, serves librdkafka's callbacks and tells of trouble.
 * A message that comes in spite of the pause waits behind what was taken before it. */
static void keep_alive(struct bus_consumer *consumer, int wait_ms, struct error *error) {
  if (bus_batch_left(&consumer->batch) == BUS_BATCH) {
    clock_sleep_ms(wait_ms);
    return;
  }
  rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer->handle, wait_ms);
  if (message && message->err)
    receive(consumer, message, NULL, NULL, error);
  else if (message)
    bus_batch_put(&consumer->batch, message);
}

/* More lies at the brokers than here. */
static int has_more(struct bus_consumer *consumer, size_t queued) {
  struct bus_lag lag = bus_lag(consumer);
  return lag.lag - lag.in_flight > (int64_t)queued;
}

static void chores(struct bus_consumer *consumer) {
  size_t queued;
  __atomic_store_n(&consumer->last_poll_ms, clock_monotonic_ms(), __ATOMIC_RELAXED);
  apply_pause(consumer);
  commit_when_due(consumer);
  if (!consumer->paused && bus_refill_is_low(consumer->refill, &queued) && has_more(consumer, queued))
    bus_refill_wake(consumer->refill);
}

struct bus_message *bus_sift(struct bus_consumer *consumer, int64_t timeout_ms, bus_look *look, void *argument,
                             struct error *error) {
  struct error complaint = {0};
  struct bus_message *found = NULL;
  int64_t deadline = clock_monotonic_ms() + timeout_ms;
  int slice, over;
  do {
    chores(consumer);
    slice = bus_wait_ms(deadline, SLICE_MS);
    over = slice == 0;
    if (consumer->holding) {
      hold(consumer, slice);
      continue;
    }
    if (consumer->paused) {
      keep_alive(consumer, slice, &complaint);
      continue;
    }
    if (bus_batch_left(&consumer->batch) == 0) bus_batch_fill(&consumer->batch, slice);
    while (!found && complaint.class == ERROR_NONE && !has_failed(consumer, &complaint)) {
      rd_kafka_message_t *message = bus_batch_take(&consumer->batch);
      if (!message) break;
      found = receive(consumer, message, look, argument, &complaint);
    }
  } while (!found && complaint.class == ERROR_NONE && !over);
  if (error) *error = complaint;
  return found;
}

struct bus_message *bus_poll(struct bus_consumer *consumer, int64_t timeout_ms, struct error *error) {
  return bus_sift(consumer, timeout_ms, NULL, NULL, error);
}

const char *bus_message_topic(const struct bus_message *message) { return message->partition->topic; }
int32_t bus_message_partition(const struct bus_message *message) { return message->message->partition; }
int64_t bus_message_offset(const struct bus_message *message) { return message->message->offset; }
int64_t bus_message_time_ms(const struct bus_message *message) {
  return rd_kafka_message_timestamp(message->message, NULL);
}

const char *bus_message_key(const struct bus_message *message, size_t *length) {
  if (length) *length = message->message->key_len;
  return message->message->key;
}

const char *bus_message_value(const struct bus_message *message, size_t *length) {
  if (length) *length = message->message->len;
  return message->message->payload;
}

int bus_message_revoked(const struct bus_message *message) {
  return __atomic_load_n(&message->partition->revoked, __ATOMIC_ACQUIRE);
}

static void let_go(struct bus_consumer *consumer, struct bus_message *message, int done) {
  pthread_mutex_lock(&consumer->lock);
  if (done) watermark_finish(&message->partition->watermark, message->slot);
  message->partition->unfinished--;
  consumer->in_flight--;
  ease(consumer);
  bus_partition_drop(message->partition);
  pthread_mutex_unlock(&consumer->lock);
  rd_kafka_message_destroy(message->message);
  free(message);
}

void bus_finish(struct bus_consumer *consumer, struct bus_message *message) { let_go(consumer, message, 1); }

void bus_abandon(struct bus_consumer *consumer, struct bus_message *message) { let_go(consumer, message, 0); }

void bus_pause(struct bus_consumer *consumer, int paused) {
  __atomic_store_n(&consumer->owner_paused, paused != 0, __ATOMIC_RELAXED);
}

/* What is known without asking the broker: the end that the last fetch told. */
static int64_t partition_lag(struct bus_consumer *consumer, const struct bus_partition *partition) {
  int64_t low = 0, high = 0;
  if (rd_kafka_get_watermark_offsets(consumer->handle, partition->topic, partition->number, &low, &high) !=
          RD_KAFKA_RESP_ERR_NO_ERROR ||
      high < 0)
    return partition->unfinished;
  int64_t position = partition->watermark.position >= 0 ? partition->watermark.position : partition->start;
  if (position < low) position = low < 0 ? 0 : low;
  return high > position ? high - position : 0;
}

struct bus_lag bus_lag(struct bus_consumer *consumer) {
  struct bus_lag lag = {.last_poll_ms = __atomic_load_n(&consumer->last_poll_ms, __ATOMIC_RELAXED)};
  pthread_mutex_lock(&consumer->lock);
  for (const struct bus_partition *partition = consumer->partitions; partition; partition = partition->following) {
    lag.lag += partition_lag(consumer, partition);
    lag.partitions++;
  }
  lag.in_flight = (int64_t)consumer->in_flight;
  pthread_mutex_unlock(&consumer->lock);
  return lag;
}

/* ---- open, close ---- */
static int subscribe(struct bus_consumer *consumer, const char *const *topics, struct error *error) {
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(4);
  for (; topics && *topics; topics++) rd_kafka_topic_partition_list_add(list, *topics, RD_KAFKA_PARTITION_UA);
  rd_kafka_resp_err_t code = rd_kafka_subscribe(consumer->handle, list);
  rd_kafka_topic_partition_list_destroy(list);
  return code == RD_KAFKA_RESP_ERR_NO_ERROR ? 0 : bus_error(error, code, "subscribe", NULL);
}

static rd_kafka_conf_t *configure(const struct bus_consumer_options *options, struct error *error) {
  char session[24], heartbeat[24];
  int64_t session_ms = options->session_timeout_ms ? options->session_timeout_ms : 45000;
  /* Two may be lost.  librdkafka's 3 s, whatever the session, would end one of 2 s before its first heartbeat. */
  int64_t heartbeat_ms = session_ms / 3 < 3000 ? session_ms / 3 : 3000;
  snprintf(session, sizeof session, "%lld", (long long)session_ms);
  snprintf(heartbeat, sizeof heartbeat, "%lld", (long long)heartbeat_ms);
  /* Cooperative rebalancing loops in some cases before 2.6.1.  All members of a group must agree on it. */
  const char *assignor = rd_kafka_version() >= 0x020601ff ? "cooperative-sticky" : "range,roundrobin";
  const struct bus_property defaults[] = {
      {"partition.assignment.strategy", assignor},
      {"session.timeout.ms", session},
      {"heartbeat.interval.ms", heartbeat},
      {"queued.min.messages", "50000"},
      {"queued.max.messages.kbytes", "16384"},
      {"fetch.max.bytes", "16777216"},
      {"fetch.wait.max.ms", "100"},
      {bus_refill_by_setting() ? "fetch.queue.backoff.ms" : NULL, "10"},
      {NULL, NULL},
  };
  const struct bus_property fixed[] = {
      {"group.id", options->group},          {"enable.auto.commit", "false"},
      {"enable.auto.offset.store", "false"}, {"auto.offset.reset", "earliest"},
      {"enable.partition.eof", "false"},     {"allow.auto.create.topics", "false"},
      {"isolation.level", "read_committed"}, {NULL, NULL},
  };
  return bus_configure(&options->common, defaults, fixed, error);
}

/* Connects librdkafka's client to this object. */
static int start(struct bus_consumer *consumer, const struct bus_consumer_options *options, struct error *error) {
  rd_kafka_conf_t *conf = configure(options, error);
  if (!conf) return -1;
  rd_kafka_conf_set_opaque(conf, consumer);
  rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
  rd_kafka_conf_set_offset_commit_cb(conf, on_commit);
  consumer->handle = bus_handle(RD_KAFKA_CONSUMER, conf, error);
  if (!consumer->handle) return -1;
  rd_kafka_resp_err_t code = rd_kafka_poll_set_consumer(consumer->handle);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return bus_error(error, code, "open the consumer", NULL);
  return subscribe(consumer, options->topics, error);
}

struct bus_consumer *bus_consumer_open(const struct bus_consumer_options *options, struct error *error) {
  struct bus_consumer *consumer = calloc(1, sizeof *consumer);
  if (!consumer) {
    error_set(error, ERROR_FATAL, "OutOfMemory", "out of memory");
    return NULL;
  }
  consumer->commit_every_ms = options->commit_every_ms ? options->commit_every_ms : 1000;
  consumer->revoke_wait_ms = options->revoke_wait_ms;
  consumer->high = options->in_flight_high ? options->in_flight_high : 2000;
  consumer->low = options->in_flight_high ? options->in_flight_low : 1000;
  if (consumer->low >= consumer->high) consumer->low = consumer->high - 1;
  consumer->last_poll_ms = clock_monotonic_ms();
  pthread_mutex_init(&consumer->lock, NULL);
  clock_condition_init(&consumer->eased);
  if (start(consumer, options, error) == 0) {
    bus_batch_open(&consumer->batch, consumer->handle);
    consumer->refill = bus_refill_open(consumer->handle);
    return consumer;
  }
  if (consumer->handle) rd_kafka_destroy(consumer->handle);
  pthread_cond_destroy(&consumer->eased);
  pthread_mutex_destroy(&consumer->lock);
  free(consumer);
  return NULL;
}

/* Closing revokes what is assigned, and revoking commits. */
static void *close_handle(void *argument) {
  struct bus_consumer *consumer = argument;
  rd_kafka_resp_err_t code = rd_kafka_consumer_close(consumer->handle);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) log_commit_failure(code, 0);
  rd_kafka_destroy(consumer->handle);
  return NULL;
}

/* librdkafka 2.0.2 now and then never comes back from closing when the group is just being rebalanced: the coordinator
 * answers UNKNOWN_MEMBER_ID to the last commit, and that is the last that is heard.  A process that ends must end, so
 * the wait has a deadline; behind it the object is left to the end of the process.  What was not committed comes again.
 */
static int close_in_time(struct bus_consumer *consumer) {
  pthread_t thread;
  struct timespec until;
  if (pthread_create(&thread, NULL, close_handle, consumer) != 0) {
    close_handle(consumer);
    return 0;
  }
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += CLOSE_WAIT_S;
  if (pthread_timedjoin_np(thread, NULL, &until) == 0) return 0;
  log_error("the consumer could not be closed; its group notices when the session times out");
  pthread_detach(thread);
  return -1;
}

void bus_consumer_close(struct bus_consumer *consumer) {
  if (!consumer) return;
  if (consumer->in_flight > 0)
    log_error("the consumer was closed with unfinished messages", LOG_INT("messages", consumer->in_flight));
  bus_refill_close(consumer->refill);
  bus_batch_close(&consumer->batch);
  if (close_in_time(consumer) != 0) return;
  while (consumer->partitions) forget(consumer, consumer->partitions->topic, consumer->partitions->number);
  pthread_cond_destroy(&consumer->eased);
  pthread_mutex_destroy(&consumer->lock);
  free(consumer);
}
