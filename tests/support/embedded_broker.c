/* embedded_broker NAME:PARTITIONS…: librdkafka's mock cluster as a Kafka broker for other processes on this machine.
 *
 * Prints "bootstrap=127.0.0.1:PORT" and runs until SIGTERM, SIGINT, or until its standard input, a pipe, closes (so it
 * goes when whoever started it goes).  EMBEDDED_BROKER_COUNT: how many brokers (default 1).
 *
 * What it cannot do: keep anything (5 MiB or 100,000 batches a partition, in memory, oldest dropped), compact, create
 * topics by request (it makes one at the first use, with four partitions), transactions across restarts, TLS, quotas,
 * ACLs, retention.  A new group waits 3 s for its members before librdkafka 2.3. For demonstrations and tests only. */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

static int create_topic(rd_kafka_mock_cluster_t *cluster, const char *argument) {
  char name[250];
  const char *colon = strrchr(argument, ':');
  char *end = NULL;
  long partitions = colon ? strtol(colon + 1, &end, 10) : 1;
  size_t length = colon ? (size_t)(colon - argument) : strlen(argument);
  if (length == 0 || length >= sizeof name || partitions < 1 || partitions > 1000 || (end && *end)) {
    fprintf(stderr, "embedded_broker: %s: NAME:PARTITIONS, 1 to 1000\n", argument);
    return -1;
  }
  snprintf(name, sizeof name, "%.*s", (int)length, argument);
  rd_kafka_resp_err_t code = rd_kafka_mock_topic_create(cluster, name, (int)partitions, 1);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return 0;
  fprintf(stderr, "embedded_broker: topic %s: %s\n", name, rd_kafka_err2str(code));
  return -1;
}

/* Is there somebody at the other end of standard input?  (/dev/null, which services have, is nobody.) */
static int has_listener(void) {
  struct stat status;
  return fstat(0, &status) == 0 && (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode) || isatty(0));
}

/* Until one of the signals or the end of standard input. */
static void wait_for_end(int signals) {
  struct pollfd waiting[2] = {{.fd = signals, .events = POLLIN}, {.fd = has_listener() ? 0 : -1, .events = POLLIN}};
  char ignored[256];
  for (;;) {
    if (poll(waiting, 2, -1) < 0) continue;
    if (waiting[0].revents) return;
    if (waiting[1].revents && read(0, ignored, sizeof ignored) <= 0) return;
  }
}

static int serve(rd_kafka_t *handle, int argc, char **argv, int signals) {
  const char *count = getenv("EMBEDDED_BROKER_COUNT");
  long brokers = count ? strtol(count, NULL, 10) : 1;
  rd_kafka_mock_cluster_t *cluster =
      rd_kafka_mock_cluster_new(handle, brokers >= 1 && brokers <= 16 ? (int)brokers : 1);
  if (!cluster) {
    fprintf(stderr, "embedded_broker: the mock cluster did not start\n");
    return 1;
  }
#if RD_KAFKA_VERSION >= 0x020300ff
  rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 200);
#endif
  int status = 0;
  for (int i = 1; i < argc && status == 0; i++) status = create_topic(cluster, argv[i]) == 0 ? 0 : 2;
  if (status == 0) {
    printf("bootstrap=%s\n", rd_kafka_mock_cluster_bootstraps(cluster));
    fflush(stdout);
    wait_for_end(signals);
  }
  rd_kafka_mock_cluster_destroy(cluster);
  return status;
}

int main(int argc, char **argv) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  pthread_sigmask(SIG_BLOCK, &set, NULL); /* before librdkafka starts its threads */
  signal(SIGPIPE, SIG_IGN);
  int signals = signalfd(-1, &set, SFD_CLOEXEC);
  char reason[256];
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  rd_kafka_t *handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof reason);
  if (signals < 0 || !handle) {
    fprintf(stderr, "embedded_broker: %s\n", handle ? "signalfd failed" : reason);
    return 1;
  }
  int status = serve(handle, argc, argv, signals);
  rd_kafka_destroy(handle);
  close(signals);
  return status;
}
