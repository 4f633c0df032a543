#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "bus/bus_internal.h"

/* librdkafka's codes that are not simply "later"; everything that is not here is RETRYABLE. */
static const struct {
  rd_kafka_resp_err_t code;
  enum error_class class;
} error_classes[] = {
    {RD_KAFKA_RESP_ERR__FATAL, ERROR_FATAL},
    {RD_KAFKA_RESP_ERR__FENCED, ERROR_FATAL},
    {RD_KAFKA_RESP_ERR__DESTROY, ERROR_FATAL},
    {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, ERROR_INVALID},
    {RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, ERROR_INVALID},
    {RD_KAFKA_RESP_ERR_INVALID_MSG, ERROR_INVALID},
    {RD_KAFKA_RESP_ERR_INVALID_RECORD, ERROR_INVALID},
    {RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE, ERROR_INVALID},
    {RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, ERROR_INVALID},
    {RD_KAFKA_RESP_ERR_INVALID_CONFIG, ERROR_INVALID},
    {RD_KAFKA_RESP_ERR_INVALID_PARTITIONS, ERROR_INVALID},
    {RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR, ERROR_INVALID},
    {RD_KAFKA_RESP_ERR__INVALID_ARG, ERROR_INVALID},
    {RD_KAFKA_RESP_ERR_POLICY_VIOLATION, ERROR_INVALID},
    {RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, ERROR_INVALID},
    {RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION, ERROR_INVALID},
    {RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, ERROR_MISSING},
    {RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, ERROR_MISSING},
    {RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, ERROR_MISSING},
    {RD_KAFKA_RESP_ERR__AUTHENTICATION, ERROR_DENIED},
    {RD_KAFKA_RESP_ERR__SSL, ERROR_DENIED},
    {RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED, ERROR_DENIED},
    {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, ERROR_DENIED},
    {RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, ERROR_DENIED},
    {RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, ERROR_DENIED},
    {RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, ERROR_DENIED},
    {RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED, ERROR_THROTTLED},
};

static enum error_class class_of(rd_kafka_resp_err_t code) {
  for (size_t i = 0; i < sizeof error_classes / sizeof *error_classes; i++)
    if (error_classes[i].code == code) return error_classes[i].class;
  return ERROR_RETRYABLE;
}

int bus_error(struct error *error, rd_kafka_resp_err_t code, const char *what, const char *topic) {
  error_set(error, class_of(code), rd_kafka_err2name(code), "Kafka: %s: %s", what, rd_kafka_err2str(code));
  return topic ? error_where(error, "%s", topic) : -1;
}

int bus_error_of(rd_kafka_t *handle, struct error *error, rd_kafka_resp_err_t code, const char *what,
                 const char *topic) {
  char reason[256] = "";
  rd_kafka_resp_err_t original = rd_kafka_fatal_error(handle, reason, sizeof reason);
  if (original == RD_KAFKA_RESP_ERR_NO_ERROR) return bus_error(error, code, what, topic);
  error_set(error, ERROR_FATAL, rd_kafka_err2name(original), "Kafka: %s: this client is broken for good: %s", what,
            reason);
  return topic ? error_where(error, "%s", topic) : -1;
}

int bus_wait_ms(int64_t deadline_ms, int ceiling) {
  int64_t left = deadline_ms - clock_monotonic_ms();
  return left <= 0 ? 0 : left < ceiling ? (int)left : ceiling;
}

/* syslog's levels, which librdkafka uses, to ours. */
static void on_log(const rd_kafka_t *handle, int level, const char *facility, const char *text) {
  (void)handle;
  enum log_level ours = level <= 3   ? LOG_LEVEL_ERROR
                        : level == 4 ? LOG_LEVEL_WARN
                        : level <= 6 ? LOG_LEVEL_INFO
                                     : LOG_LEVEL_DEBUG;
  log_write(ours, "librdkafka",
            (const struct log_field[]){LOG_TEXT("facility", facility), LOG_TEXT("text", text), {0}});
}

static void on_error(rd_kafka_t *handle, int code, const char *reason, void *opaque) {
  (void)opaque;
  struct error error = {0};
  bus_error_of(handle, &error, (rd_kafka_resp_err_t)code, reason, NULL);
  if (error.class == ERROR_FATAL)
    log_error("the Kafka client has failed for good", LOG_ERROR(&error));
  else
    log_warn("Kafka complains", LOG_ERROR(&error));
}

static int set(rd_kafka_conf_t *conf, const char *name, const char *value, struct error *error) {
  char reason[256] = "";
  if (rd_kafka_conf_set(conf, name, value, reason, sizeof reason) == RD_KAFKA_CONF_OK) return 0;
  return error_set(error, ERROR_INVALID, "Configuration", "Kafka property %s: %s", name, reason);
}

static int set_all(rd_kafka_conf_t *conf, const struct bus_property *table, struct error *error) {
  for (; table && table->name; table++)
    if (set(conf, table->name, table->value, error) != 0) return -1;
  return 0;
}

/* "name=value", as an operator writes it.  A value may be a password: it is never quoted back. */
static int set_extra(rd_kafka_conf_t *conf, const char *const *extra, struct error *error) {
  for (; extra && *extra; extra++) {
    const char *equals = strchr(*extra, '=');
    char name[128];
    if (!equals || equals == *extra || (size_t)(equals - *extra) >= sizeof name)
      return error_set(error, ERROR_INVALID, "Configuration", "a Kafka property must read name=value");
    snprintf(name, sizeof name, "%.*s", (int)(equals - *extra), *extra);
    if (strstr(name, "password") || strstr(name, "secret") || strstr(name, "key.pem")) log_secret(equals + 1);
    if (rd_kafka_conf_set(conf, name, equals + 1, NULL, 0) != RD_KAFKA_CONF_OK)
      return error_set(error, ERROR_INVALID, "Configuration", "Kafka property %s: unknown, or its value is not allowed",
                       name);
  }
  return 0;
}

static const struct bus_property common_defaults[] = {
    {"socket.keepalive.enable", "true"},
    {"log.connection.close", "false"},
    {"reconnect.backoff.ms", "100"},
    {"reconnect.backoff.max.ms", "2000"},
    {NULL, NULL},
};

rd_kafka_conf_t *bus_configure(const struct bus_options *options, const struct bus_property *defaults,
                               const struct bus_property *fixed, struct error *error) {
  if (!options->brokers || !*options->brokers) {
    error_set(error, ERROR_INVALID, "Configuration", "kafka.brokers is empty: host:port, comma-separated");
    return NULL;
  }
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  if (set(conf, "bootstrap.servers", options->brokers, error) != 0 ||
      set(conf, "client.id", options->client_id ? options->client_id : "parapet", error) != 0 ||
      set_all(conf, common_defaults, error) != 0 || set_all(conf, defaults, error) != 0 ||
      set_extra(conf, options->extra, error) != 0 || set_all(conf, fixed, error) != 0) {
    rd_kafka_conf_destroy(conf);
    return NULL;
  }
  rd_kafka_conf_set_log_cb(conf, on_log);
  rd_kafka_conf_set_error_cb(conf, on_error);
  return conf;
}

rd_kafka_t *bus_handle(rd_kafka_type_t type, rd_kafka_conf_t *conf, struct error *error) {
  char reason[256] = "";
  rd_kafka_t *handle = rd_kafka_new(type, conf, reason, sizeof reason);
  if (handle) return handle;
  rd_kafka_conf_destroy(conf); /* still ours when rd_kafka_new() fails */
  error_set(error, ERROR_INVALID, "Configuration", "Kafka client: %s", reason);
  return NULL;
}
