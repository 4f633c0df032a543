/* parapet-collector: sources of events in, Kafka out.  Which sources run is a matter of settings. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "bus/topics.h"
#include "collector_settings.h"
#include "metrics_table.h"
#include "source.h"

static const struct source *const sources[] = {&source_sqs, &source_schedule, &source_replay};
enum { SOURCES = sizeof sources / sizeof *sources };

struct collector {
  struct config *config;
  struct bus_options bus;
  const char **properties; /* kafka.properties and what kafka.max_message_bytes means to librdkafka */
  char message_limit[64], owner[128];
  struct event_keys *keys;
  struct publisher *publisher;
  struct aws_client *aws;
  struct state *state;
  struct metrics_server *server;
  int wanted[SOURCES];
  void *running[SOURCES];
};

/* ---- construction ---- */
static int set_bus(struct collector *collector, struct error *error) {
  const char *const *given = config_list(collector->config, "kafka.properties");
  size_t count = 0;
  while (given[count]) count++;
  collector->properties = calloc(count + 2, sizeof *collector->properties);
  if (!collector->properties) return error_set(error, ERROR_FATAL, "OutOfMemory", "out of memory");
  /* Room for the key and the headers; first, so that a property given by hand wins. */
  int64_t limit = config_number(collector->config, "kafka.max_message_bytes") + 16384;
  snprintf(collector->message_limit, sizeof collector->message_limit, "message.max.bytes=%lld",
           (long long)(limit > 1048576 ? limit : 1048576));
  collector->properties[0] = collector->message_limit;
  for (size_t i = 0; i < count; i++) collector->properties[i + 1] = given[i];
  collector->bus = (struct bus_options){config_text(collector->config, "kafka.brokers"),
                                        config_text(collector->config, "kafka.client_id"), collector->properties};
  return 0;
}

/* Which sources the settings ask for; every mistake is told. */
static int choose_sources(struct collector *collector, struct error *error) {
  int any = 0, mistakes = 0;
  for (int i = 0; i < SOURCES; i++) {
    struct error why = {0};
    collector->wanted[i] = sources[i]->wanted(collector->config, &why);
    any |= collector->wanted[i] > 0;
    if (collector->wanted[i] >= 0) continue;
    fprintf(stderr, "parapet-collector: %s\n", why.message);
    mistakes++;
  }
  if (mistakes > 0) return error_set(error, ERROR_INVALID, "Setting", "the settings have mistakes");
  if (!any)
    return error_set(error, ERROR_INVALID, "Setting",
                     "no source: set sqs.queue with sqs.regions, sqs.queues, schedule.enabled or replay.files");
  return 0;
}

static int needs(const struct collector *collector, int is_aws) {
  for (int i = 0; i < SOURCES; i++)
    if (collector->wanted[i] > 0 && (is_aws ? sources[i]->needs_aws : sources[i]->needs_state)) return 1;
  return 0;
}

static int open_aws(struct collector *collector, struct error *error) {
  const char *endpoint = config_text(collector->config, "aws.endpoint_url"),
             *region = config_text(collector->config, "aws.region");
  struct aws_options options = {.models = config_path(collector->config, "aws.models", "models"),
                                .endpoint_url = *endpoint ? endpoint : NULL,
                                .hub_region = *region ? region : NULL,
                                .call_timeout_ms = config_ms(collector->config, "sqs.wait") + 15000};
  collector->aws = aws_open(&options, error);
  return collector->aws ? 0 : -1;
}

static int open_state(struct collector *collector, struct error *error) {
  char host[64] = "host";
  uint32_t random = 0;
  if (gethostname(host, sizeof host) != 0) snprintf(host, sizeof host, "host");
  host[sizeof host - 1] = '\0';
  if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) random = (uint32_t)clock_wall_ms();
  snprintf(collector->owner, sizeof collector->owner, "%s:%ld:%08x", host, (long)getpid(), random);
  struct state_options options = {.url = config_text(collector->config, "redis.url"), .owner = collector->owner};
  collector->state = state_open(&options, error);
  return collector->state ? 0 : -1;
}

static int open_all(struct collector *collector, struct error *error) {
  if (set_bus(collector, error) != 0) return -1;
  collector->keys =
      event_keys_load(config_path(collector->config, "events.keys", "schemas/event-resources.yaml"), error);
  if (!collector->keys) return -1;
  if (needs(collector, 1) && open_aws(collector, error) != 0) return -1;
  if (needs(collector, 0) && open_state(collector, error) != 0) return -1;
  struct publisher_options options = {collector->bus, collector->keys,
                                      (size_t)config_number(collector->config, "kafka.max_message_bytes")};
  collector->publisher = publisher_open(&options, error);
  return collector->publisher ? 0 : -1;
}

/* ---- topics ---- */
static void ensure_topics(struct collector *collector) {
  enum { TOPICS_WAIT_MS = 10000 };
  int partitions = (int)config_number(collector->config, "kafka.partitions");
  int64_t bytes = config_number(collector->config, "kafka.max_message_bytes") + 65536;
  const struct bus_topic topics[] = {
      {BUS_TOPIC_EVENTS, partitions, 0, bytes},  {BUS_TOPIC_SWEEPS, partitions, 0, 0},
      {BUS_TOPIC_COMMANDS, partitions, 0, 0},    {BUS_TOPIC_FINDINGS, partitions, 0, 0},
      {BUS_TOPIC_ACTIONS, partitions, 0, bytes}, {BUS_TOPIC_STATE, 1, 1, bytes},
      {BUS_TOPIC_DEADLETTER, partitions, 0, 0},
  };
  struct error error = {0};
  if (!config_bool(collector->config, "kafka.ensure_topics")) return;
  if (bus_ensure_topics(&collector->bus, topics, sizeof topics / sizeof *topics, TOPICS_WAIT_MS, &error) != 0)
    log_warn("the topics were not checked; going on", LOG_ERROR(&error));
}

/* ---- health ---- */
static int is_alive(char *reason, size_t size, void *argument) {
  const struct collector *collector = argument;
  if (!publisher_is_broken(collector->publisher)) return 1;
  snprintf(reason, size, "the Kafka client has failed for good");
  return 0;
}

static int is_ready(char *reason, size_t size, void *argument) {
  const struct collector *collector = argument;
  for (int i = 0; i < SOURCES; i++)
    if (collector->running[i] && !sources[i]->ready(collector->running[i], reason, size)) return 0;
  return 1;
}

static int serve(struct collector *collector, struct error *error) {
  unsigned port = 0;
  const char *address = config_text(collector->config, "http.address");
  if (!*address) return 0;
  metrics_register(collector_metrics);
  collector->server = metrics_serve(address, is_alive, is_ready, collector, &port, error);
  if (!collector->server) return -1;
  log_info("metrics and health", LOG_TEXT("address", address), LOG_INT("port", port));
  return 0;
}

/* ---- running ---- */
static int start_sources(struct collector *collector, struct error *error) {
  struct source_context context = {collector->config, &collector->bus, collector->publisher, collector->aws,
                                   collector->state};
  for (int i = 0; i < SOURCES; i++) {
    if (collector->wanted[i] <= 0) continue;
    collector->running[i] = sources[i]->start(&context, error);
    if (!collector->running[i]) return -1;
    log_info("source started", LOG_TEXT("source", sources[i]->name));
  }
  return 0;
}

/* 1: every source has come to its end. */
static int all_finished(const struct collector *collector, int *failed) {
  int finished = 1;
  for (int i = 0; i < SOURCES; i++) {
    int bad = 0;
    if (!collector->running[i]) continue;
    if (!sources[i]->finished(collector->running[i], &bad)) finished = 0;
    *failed |= bad;
  }
  return finished;
}

/* Until a signal, until all sources have ended, or until the Kafka client is beyond hope.  The exit status. */
static int wait_for_end(const struct collector *collector, const sigset_t *signals) {
  static const struct timespec glance = {.tv_nsec = 200000000};
  for (;;) {
    int failed = 0;
    int got = sigtimedwait(signals, NULL, &glance);
    if (got > 0) {
      log_info("stopping", LOG_INT("signal", got));
      return 0;
    }
    if (all_finished(collector, &failed)) return failed ? 1 : 0;
    if (publisher_is_broken(collector->publisher)) {
      log_error("the Kafka client has failed for good; ending, to be started again");
      return 1;
    }
  }
}

/* In the order that loses nothing: sources drain, the publisher reports the rest, then memory goes. */
static void close_all(struct collector *collector) {
  for (int i = 0; i < SOURCES; i++)
    if (collector->running[i]) sources[i]->stop(collector->running[i]);
  metrics_server_close(collector->server);
  publisher_close(collector->publisher);
  for (int i = 0; i < SOURCES; i++)
    if (collector->running[i]) sources[i]->release(collector->running[i]);
  aws_close(collector->aws);
  if (collector->state) state_close(collector->state);
  event_keys_free(collector->keys);
  free(collector->properties);
  config_free(collector->config);
}

static int run(struct collector *collector, const sigset_t *signals) {
  struct error error = {0};
  int status = 1;
  if (choose_sources(collector, &error) != 0) {
    fprintf(stderr, "parapet-collector: %s\n", error.message);
    status = 2;
  } else if (open_all(collector, &error) != 0) {
    log_error("parapet-collector cannot start", LOG_ERROR(&error));
  } else {
    ensure_topics(collector);
    if (start_sources(collector, &error) != 0 || serve(collector, &error) != 0)
      log_error("parapet-collector cannot start", LOG_ERROR(&error));
    else
      status = wait_for_end(collector, signals);
  }
  close_all(collector);
  return status;
}

static int is_asked(int argc, char **argv, const char *flag) {
  for (int i = 1; i < argc; i++)
    if (strcmp(argv[i], flag) == 0) return 1;
  return 0;
}

int main(int argc, char **argv) {
  sigset_t signals;
  struct collector collector = {0};
  struct error error = {0};
  json_use_blocks();
  if (is_asked(argc, argv, "--help")) {
    puts("parapet-collector: takes events from SQS, the schedule and files to Kafka.\n\nSettings:");
    config_print_help(collector_settings, stdout);
    return 0;
  }
  if (is_asked(argc, argv, "--settings-markdown")) { /* schemas/config.md is made of it */
    config_print_markdown(collector_settings, stdout);
    return 0;
  }
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, NULL); /* before any thread starts */
  signal(SIGPIPE, SIG_IGN);
  collector.config = config_load(collector_settings, argc, argv, NULL, stderr, &error);
  if (!collector.config) return 2;
  if (log_set_level(config_text(collector.config, "log.level")) != 0) {
    fprintf(stderr, "parapet-collector: log.level: debug, info, warn, error or off\n");
    config_free(collector.config);
    return 2;
  }
  return run(&collector, &signals);
}
