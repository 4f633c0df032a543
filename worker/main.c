/* parapet-worker: one of any number of stateless workers. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "operate/permissions.h"
#include "pipeline.h"
#include "site/breaker.h"
#include "unit.h"

enum {
  EXIT_USAGE = 2,
  EXIT_START = 1,
  DRAIN_MS = 20000,
  STUCK_MS = 60000,
  REVOKE_WAIT_MS = 3000,
  COMMANDS_SESSION_MS = 10000
};

/* jemalloc's (its man page, TUNING): what threads keep for themselves is small, since there are many, and what is free
 * goes back soon.  Without jemalloc (sanitizers) nobody reads it. */
extern const char *malloc_conf;
const char *malloc_conf = "tcache_max:4096,dirty_decay_ms:2000,muzzy_decay_ms:0";

static const char usage[] =
    "usage: parapet-worker [--config FILE] [--SETTING VALUE ...]\n"
    "\n"
    "Consumes parapet.events, parapet.sweeps and parapet.commands, reads the live state of what they name, judges it "
    "by the playbooks "
    "and puts\n"
    "right what they allow. Runs until SIGTERM, then finishes what it is doing and leaves the group.\n"
    "\n"
    "Settings (file, PARAPET_* in the environment, flags; the later wins):\n";

static const struct bus_topic topics[] = {{BUS_TOPIC_EVENTS, 6, 0, 1048576},  {BUS_TOPIC_SWEEPS, 6, 0, 0},
                                          {BUS_TOPIC_COMMANDS, 3, 0, 0},      {BUS_TOPIC_FINDINGS, 3, 0, 0},
                                          {BUS_TOPIC_ACTIONS, 3, 0, 4194304}, {BUS_TOPIC_DEADLETTER, 1, 0, 0},
                                          {BUS_TOPIC_STATE, 3, 1, 0}};

/* ---- health ---- */
static int alive(char *reason, size_t size, void *argument) {
  struct worker *worker = argument;
  int64_t idle = clock_monotonic_ms() - worker_lag(worker).last_poll_ms;
  if (idle < STUCK_MS) return 1;
  snprintf(reason, size, "a consumer has not polled for %lld ms", (long long)idle);
  return 0;
}

static int ready(char *reason, size_t size, void *argument) {
  struct worker *worker = argument;
  if (worker->stopping) return snprintf(reason, size, "stopping"), 0;
  if (!worker->state_ready)
    return snprintf(reason, size,
                    "gates closed: Redis does not answer, its state is being rebuilt, or the organization's accounts "
                    "are not known yet"),
           0;
  if (worker_lag(worker).partitions == 0 && bus_lag(worker->sweeps).partitions == 0)
    return snprintf(reason, size, "no partitions assigned yet"), 0;
  return 1;
}

/* ---- start and end ---- */
static int load_patience(struct worker *worker, struct error *error) {
  for (const char *const *wait = config_list(worker->config, "patience"); *wait; wait++) {
    if (worker->patience_count >= PATIENCE_LIMIT ||
        clock_parse_duration(*wait, &worker->patience_ms[worker->patience_count]) != 0)
      return error_set(error, ERROR_INVALID, "Setting", "patience: at most %d rising durations, as \"5s,30s\"",
                       PATIENCE_LIMIT);
    worker->patience_count++;
  }
  return 0;
}

/* The file is read for each command; a mistake in it is told at the start. */
static int check_operators(const struct config *config, struct error *error) {
  const char *file = config_text(config, "operators");
  if (!*file) {
    log_warn("operators need no proof: whoever reaches Redis and Kafka may operate (setting operators)");
    return 0;
  }
  json_t *permissions = permissions_load(file, error);
  json_decref(permissions);
  return permissions ? 0 : -1;
}

/* Every mistake is told, the last one as the error. */
static int load_notices(struct worker *worker, struct error *error) {
  json_t *refused = json_array();
  worker->notices = notices_load(config_text(worker->config, "notice.routes"),
                                 config_text(worker->config, "notice.sns_topic"), refused, error);
  for (size_t i = 1; i < json_array_size(refused); i++)
    fprintf(stderr, "%s\n", json_string_value(json_array_get(refused, i)));
  json_decref(refused);
  return worker->notices ? 0 : -1;
}

static void count_read(size_t resources) { metric_observe(&worker_metrics[M_READS], (double)resources); }

static int open_parts(struct worker *worker, struct error *error) {
  const struct config *config = worker->config;
  struct aws_options aws = settings_aws(config);
  struct state_options state = {.url = config_text(config, "redis.url"),
                                .timeout_ms = config_ms(config, "redis.timeout"),
                                .owner = worker->owner};
  struct bus_options bus = settings_bus(config, worker->owner);
  const char *file = config_text(config, "accounts");
  if (!*file)
    return error_set(error, ERROR_INVALID, "Setting",
                     "no accounts: give --accounts FILE (deploy/config/accounts.yaml shows its form)");
  if (load_patience(worker, error) != 0) return -1;
  int64_t failures, of;
  if (*config_text(config, "breaker.failures") &&
      site_breaker_ratio(config_text(config, "breaker.failures"), &failures, &of) != 0)
    return error_set(error, ERROR_INVALID, "Setting",
                     "breaker.failures: how many of the last (1 to 100), as \"10/20\"");
  if (check_operators(config, error) != 0) return -1;
  if (load_notices(worker, error) != 0) return -1;
  if (!(worker->state = state_open(&state, error))) return -1;
  struct aws_budget budget;
  if (aws.budget_percent > 0) {
    if (!(worker->budget = fleet_budget_open(worker->state))) return -1;
    budget = fleet_budget_hook(worker->budget);
    aws.budget = &budget;
  }
  if (!(worker->aws = aws_open(&aws, error))) return -1;
  if (!(worker->gather = gather_open(count_read))) return error_set(error, ERROR_FATAL, "Memory", "out of memory");
  if (!(worker->bundle = bundle_load(config_path(config, "playbooks", "playbooks"), worker->aws, error))) return -1;
  struct roster_options roster = {.file = file, .state = worker->state, .client = worker->aws};
  if (!(worker->roster = roster_open(&roster, error))) return -1;
  if (!(worker->producer = bus_producer_open(&bus, error))) return -1;
  struct pool_options pool = {
      .threads = (unsigned)config_number(config, "threads"), .name = "unit", .thread_end = aws_thread_end};
  if (!(worker->pool = pool_open(&pool, error))) return -1;
  if (bus_ensure_topics(&bus, topics, sizeof topics / sizeof *topics, 15000, error) != 0)
    log_warn("topics could not be checked; going on", LOG_ERROR(error));
  return 0;
}

/* A dead worker's commands must not wait as long as its events may: somebody sits before them. */
static int64_t session_ms(const struct worker *worker, const char *topic) {
  int64_t session = config_ms(worker->config, "kafka.session_timeout");
  return strcmp(topic, BUS_TOPIC_COMMANDS) == 0 && session > COMMANDS_SESSION_MS ? COMMANDS_SESSION_MS : session;
}

static struct bus_consumer *open_consumer(struct worker *worker, const char *topic, struct error *error) {
  char group[256];
  const char *const names[] = {topic, NULL};
  snprintf(group, sizeof group, "%s.%s", config_text(worker->config, "kafka.group"), strchr(topic, '.') + 1);
  struct bus_consumer_options options = {.common = settings_bus(worker->config, worker->owner),
                                         .group = group,
                                         .topics = names,
                                         .session_timeout_ms = session_ms(worker, topic),
                                         .revoke_wait_ms = REVOKE_WAIT_MS};
  return bus_consumer_open(&options, error);
}

static void wait_for_signal(void) {
  sigset_t set;
  int signal_number;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigwait(&set, &signal_number);
  log_info("stopping", LOG_INT("signal", signal_number));
}

static int open_consumers(struct worker *worker, struct error *error) {
  int wanted = (int)config_number(worker->config, "kafka.consumers");
  for (; worker->consumers < wanted; worker->consumers++)
    if (!(worker->events[worker->consumers] = open_consumer(worker, BUS_TOPIC_EVENTS, error))) return -1;
  if (!(worker->sweeps = open_consumer(worker, BUS_TOPIC_SWEEPS, error))) return -1;
  if (!(worker->commands = open_consumer(worker, BUS_TOPIC_COMMANDS, error))) return -1;
  worker_pause(worker, 1); /* until the keeper has seen Redis */
  return 0;
}

struct feeds { /* the polling threads */
  struct feed events[CONSUMER_LIMIT];
  pthread_t sweeps, commands;
};

static int start_feeds(struct worker *worker, struct feeds *feeds, struct error *error) {
  int failed = pthread_create(&feeds->sweeps, NULL, sweeps_thread, worker) ||
               pthread_create(&feeds->commands, NULL, commands_thread, worker);
  for (int i = 0; i < worker->consumers && !failed; i++) {
    feeds->events[i] = (struct feed){.worker = worker, .consumer = worker->events[i]};
    failed = pthread_create(&feeds->events[i].thread, NULL, events_thread, &feeds->events[i]);
  }
  return failed ? error_set(error, ERROR_FATAL, "Thread", "cannot start a thread") : 0;
}

static void drain(struct worker *worker, const struct feeds *feeds, struct keeper *keeper) {
  worker->stopping = 1;
  for (int i = 0; i < worker->consumers; i++) pthread_join(feeds->events[i].thread, NULL);
  pthread_join(feeds->sweeps, NULL);
  pthread_join(feeds->commands, NULL);
  keeper_stop(keeper);
  if (pool_wait_idle(worker->pool, DRAIN_MS) != 0)
    log_warn("still working after the drain's time; going on to the end");
  pool_close(worker->pool, task_abandon);
  for (int i = 0; i < worker->consumers; i++) bus_consumer_close(worker->events[i]);
  bus_consumer_close(worker->sweeps);
  bus_consumer_close(worker->commands);
}

static void close_parts(struct worker *worker) {
  bus_producer_close(worker->producer);
  roster_close(worker->roster);
  bundle_drop(worker->bundle);
  gather_close(worker->gather);
  aws_close(worker->aws);
  fleet_budget_close(worker->budget);
  state_close(worker->state);
  notices_free(worker->notices);
}

static int serve(struct worker *worker, struct error *error) {
  struct feeds feeds = {0};
  unsigned port;
  metrics_register(worker_metrics);
  if (open_consumers(worker, error) != 0) return -1;
  struct metrics_server *server =
      metrics_serve(config_text(worker->config, "http.address"), alive, ready, worker, &port, error);
  if (!server) return -1;
  struct keeper *keeper = keeper_start(worker, error);
  if (!keeper) return -1;
  struct notices_sender *sender = notices_start(worker, error);
  if (!sender) return -1;
  if (start_feeds(worker, &feeds, error) != 0) return -1;
  log_info("worker started", LOG_TEXT("owner", worker->owner), LOG_TEXT("bundle", worker->bundle->hash),
           LOG_INT("guardrails", worker->bundle->guardrail_count), LOG_INT("port", port),
           LOG_INT("ms", clock_wall_ms() - worker->started_ms));
  wait_for_signal();
  drain(worker, &feeds, keeper);
  notices_stop(sender);
  metrics_server_close(server);
  return 0;
}

int main(int argc, char **argv) {
  struct error error = {0};
  struct worker worker = {.bundle_lock = PTHREAD_MUTEX_INITIALIZER, .started_ms = clock_wall_ms()};
  json_use_blocks();
  for (int i = 1; i < argc; i++)
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
      fputs(usage, stdout);
      config_print_help(worker_settings, stdout);
      return 0;
    } else if (strcmp(argv[i], "--settings-markdown") == 0) {
      config_print_markdown(worker_settings, stdout);
      return 0;
    }
  json_object_seed(0);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  pthread_sigmask(SIG_BLOCK, &set, NULL); /* every thread: only main waits for them */
  signal(SIGPIPE, SIG_IGN);
  struct config *config = config_load(worker_settings, argc, argv, NULL, stderr, &error);
  if (!config) {
    fprintf(stderr, "parapet-worker: %s\n", error.message);
    return EXIT_USAGE;
  }
  worker.config = config;
  log_set_level(config_text(config, "log.level"));
  settings_owner(worker.owner, sizeof worker.owner);
  int result = open_parts(&worker, &error) == 0 && serve(&worker, &error) == 0 ? 0 : EXIT_START;
  if (result != 0)
    fprintf(stderr, "parapet-worker: %s%s%s\n", error.where, error.where[0] ? ": " : "", error.message);
  else
    close_parts(&worker);
  config_free(config);
  return result;
}
