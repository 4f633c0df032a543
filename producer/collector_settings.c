#include "collector_settings.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const struct setting collector_settings[] = {
    {"log.level", SETTING_TEXT, "info", "debug, info, warn, error or off"},
    {"http.address", SETTING_TEXT, "127.0.0.1:9465", "address of /metrics, /healthz and /readyz; port 0: any"},
    {"kafka.brokers", SETTING_TEXT, "127.0.0.1:9092", "host:port, comma-separated"},
    {"kafka.client_id", SETTING_TEXT, "parapet-collector", "how the brokers' logs name this client"},
    {"kafka.properties", SETTING_LIST, NULL, "librdkafka properties, name=value: TLS, SASL", 0, 0, 1},
    {"kafka.max_message_bytes", SETTING_NUMBER, "1000000", "a larger event becomes a dead letter", 1024, 64 << 20},
    {"kafka.ensure_topics", SETTING_BOOL, "true", "create the topics that do not exist"},
    {"kafka.partitions", SETTING_NUMBER, "12", "of the topics that are created", 1, 10000},
    {"redis.url", SETTING_TEXT, "redis://127.0.0.1:6379", "the schedule's ticks and sweeps", 0, 0, 1},
    {"aws.models", SETTING_TEXT, NULL, "directory of the compiled AWS service models (make models)"},
    {"aws.endpoint_url", SETTING_TEXT, NULL, "instead of AWS's endpoints; else AWS_ENDPOINT_URL"},
    {"aws.region", SETTING_TEXT, NULL, "Region of the base credentials' own calls; else AWS_REGION"},
    {"events.keys", SETTING_TEXT, NULL, "file that says which resource an event is about"},
    {"sqs.queue", SETTING_TEXT, NULL, "the queue's name in each of sqs.regions"},
    {"sqs.regions", SETTING_LIST, NULL, "the Regions that have sqs.queue"},
    {"sqs.queues", SETTING_LIST, NULL, "other queues: REGION=URL, or AWS's own URL"},
    {"sqs.receivers", SETTING_NUMBER, "2", "threads that receive from each queue", 1, 64},
    {"sqs.in_flight", SETTING_NUMBER, "1000", "messages of a queue that are held at most", 10, 100000},
    {"sqs.wait", SETTING_DURATION, "20s", "long poll; how long stopping may take", 0, 20000},
    {"sqs.visibility", SETTING_DURATION, "60s", "how long a message is ours before it is extended", 10000, 43200000},
    {"sqs.role", SETTING_TEXT, NULL, "role to assume for the queues; else the base credentials"},
    {"sqs.account", SETTING_TEXT, NULL, "the account of sqs.role"},
    {"sqs.external_id", SETTING_TEXT, NULL, "for sqs.role"},
    {"schedule.enabled", SETTING_BOOL, "false", "emit sweeps by the playbooks' schedules"},
    {"playbooks", SETTING_TEXT, NULL, "directory of the playbooks: guardrails/ and resources/"},
    {"accounts", SETTING_TEXT, "deploy/config/accounts.yaml", "YAML file of the accounts and their Regions"},
    {"schedule.at_start", SETTING_BOOL, "false", "sweep everything once at the start"},
    {"schedule.late", SETTING_DURATION, "10m", "a tick older than this is given up", 1000, 86400000},
    {"schedule.sweep_ttl", SETTING_DURATION, "30m", "when a sweep that never ended makes way", 10000, 86400000},
    {"replay.files", SETTING_LIST, NULL, "files of events: .json, .jsonl, .ndjson, each also .gz"},
    {"replay.rate", SETTING_NUMBER, "0", "events a second; 0: as fast as possible", 0, 1000000},
    {"replay.speed", SETTING_TEXT, NULL, "times as fast as they happened; empty: as fast as possible"},
    {NULL},
};

const char *collector_path(const struct config *config, const char *setting, const char *below) {
  static const char *const places[] = {"", "/../share/parapet", "/..", "/../worker"};
  static _Thread_local char path[PATH_MAX + 256];
  char program[PATH_MAX];
  const char *given = config_text(config, setting);
  ssize_t length = *given ? -1 : readlink("/proc/self/exe", program, sizeof program - 1);
  if (length < 0) return *given ? given : below;
  program[length] = '\0';
  char *slash = strrchr(program, '/');
  if (slash) *slash = '\0';
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    snprintf(path, sizeof path, "%s%s/%s", program, places[i], below);
    if (access(path, R_OK) == 0) return path;
  }
  return below;
}
