/* What bench_pipeline.py needs to be quick: a producer of many events, bare librdkafka consumers, and an AWS that
 * always gives the same answers.
 *
 *   bench_pipeline produce BROKERS TOPIC FILE COUNT [MATCHING]
 *       the lines of FILE over and over; with MATCHING, one of a hundred is that file's line, # replaced by a number
 *   bench_pipeline consume BROKERS TOPIC GROUP COUNT
 *       prints "events seconds cpu_seconds", from the first on
 *   bench_pipeline batches BROKERS TOPIC GROUP COUNT
 *       the same, many messages at once
 *   bench_pipeline least BROKERS TOPIC GROUP COUNT AWS REDIS
 *       the same, and each event that matches is one request to either port of this machine, waited for
 *   bench_pipeline aws
 *       prints its port, serves until stdin ends */
#include <arpa/inet.h>
#include <librdkafka/rdkafka.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "bus/bus.h"

enum { LINES = 8192, EVERY = 100, MESSAGE_BYTES = 65536, IDLE_MS = 30000 };

static void die(const char *what) {
  fprintf(stderr, "bench_pipeline: %s\n", what);
  exit(1);
}

/* One HTTP message a time: head, then as much body as it announces.  0 when the connection ends. */
static int next_message(int socket, char *text, const char **body) {
  size_t used = 0, wanted = 0;
  while (used < MESSAGE_BYTES - 1) {
    ssize_t got = read(socket, text + used, MESSAGE_BYTES - 1 - used);
    if (got <= 0) return 0;
    used += (size_t)got;
    text[used] = 0;
    char *end = strstr(text, "\r\n\r\n");
    if (!end) continue;
    const char *length = strcasestr(text, "\r\ncontent-length:");
    wanted = (size_t)(end + 4 - text) + (length && length < end ? (size_t)atol(length + 17) : 0);
    *body = end + 4;
    if (used >= wanted) return 1;
  }
  return 0;
}

/* ---- produce ---- */
static size_t read_lines(const char *path, char **lines, size_t limit) {
  FILE *file = fopen(path, "r");
  size_t count = 0, size = 0;
  if (!file) die(path);
  while (count < limit) {
    lines[count] = NULL;
    ssize_t length = getline(&lines[count], &size, file);
    size = 0;
    if (length <= 1) break;
    lines[count++][length - 1] = 0;
  }
  fclose(file);
  if (count == 0) die("no lines");
  return count;
}

/* Each # of the line becomes the number, so that every event is one of its own. */
static const char *numbered(const char *line, long number) {
  static char text[MESSAGE_BYTES];
  size_t used = 0;
  for (; *line && used < sizeof text - 32; line++)
    if (*line == '#')
      used += (size_t)snprintf(text + used, 24, "%ld", number);
    else
      text[used++] = *line;
  text[used] = 0;
  return text;
}

static int produce(char **argv, const char *matching) {
  static char *lines[LINES], *special[1];
  struct bus_options options = {.brokers = argv[0], .client_id = "bench"};
  struct error error = {0};
  struct bus_producer *producer = bus_producer_open(&options, &error);
  size_t count = read_lines(argv[2], lines, LINES);
  long total = atol(argv[3]);
  if (!producer) die(error.message);
  if (matching) read_lines(matching, special, 1);
  for (long i = 0; i < total; i++) {
    char key[24];
    const char *text = matching && i % EVERY == EVERY / 2 ? numbered(special[0], i) : lines[(size_t)i % count];
    snprintf(key, sizeof key, "%ld", i % 997);
    if (bus_produce(producer, argv[1], key, text, strlen(text), NULL, NULL, &error) != 0) die(error.message);
  }
  if (bus_producer_flush(producer, 60000) != 0) die("not everything was acknowledged");
  bus_producer_close(producer);
  return 0;
}

/* ---- consume ---- */
/* As common/bus sets them; a bare consumer that only counts. */
static const char *const settings[][2] = {
    {"queued.min.messages", "50000"},  {"queued.max.messages.kbytes", "16384"}, {"fetch.max.bytes", "16777216"},
    {"fetch.wait.max.ms", "100"},      {"enable.auto.commit", "false"},         {"enable.auto.offset.store", "false"},
    {"auto.offset.reset", "earliest"}, {"isolation.level", "read_committed"},   {"socket.keepalive.enable", "true"},
};

static rd_kafka_t *bare_consumer(char **argv) {
  char reason[256];
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
  int bad = rd_kafka_conf_set(conf, "bootstrap.servers", argv[0], reason, sizeof reason) ||
            rd_kafka_conf_set(conf, "group.id", argv[2], reason, sizeof reason);
  for (size_t i = 0; i < sizeof settings / sizeof *settings && !bad; i++)
    bad = rd_kafka_conf_set(conf, settings[i][0], settings[i][1], reason, sizeof reason);
  rd_kafka_t *handle = bad ? NULL : rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof reason);
  if (!handle) die(reason);
  rd_kafka_topic_partition_list_add(topics, argv[1], RD_KAFKA_PARTITION_UA);
  if (rd_kafka_poll_set_consumer(handle) || rd_kafka_subscribe(handle, topics)) die("cannot subscribe");
  rd_kafka_topic_partition_list_destroy(topics);
  return handle;
}

enum { BATCH = 64 };
struct counted {
  long seen;
  int64_t begun, last; /* the first, and a late one */
  double cpu;
  struct least *least; /* NULL: count only */
};

/* ---- least ---- */
/* An event that matched costs any worker at least one read of the live state and one question to Redis.  Here both are
 * written once and only sent: no signature, no parsing, no decision. */
#define MATCHES "\"eventID\":\"bench-" /* as bench_pipeline.py numbers them */
#define READ_BODY "Action=DescribeSecurityGroups&Version=2016-11-15&GroupId.1=sg-1"
enum { ASKERS = 16 };
struct least {
  pthread_mutex_t lock;
  pthread_cond_t more;
  long waiting; /* events that nobody has taken yet */
  bool ended;
  int ports[2]; /* AWS, Redis */
  pthread_t threads[ASKERS];
};

static int connected(int port) {
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int one = 1, to = socket(AF_INET, SOCK_STREAM, 0);
  if (to < 0 || connect(to, (struct sockaddr *)&address, sizeof address) != 0) die("cannot connect");
  setsockopt(to, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return to;
}

static bool taken(struct least *least) {
  pthread_mutex_lock(&least->lock);
  while (least->waiting == 0 && !least->ended) pthread_cond_wait(&least->more, &least->lock);
  bool some = least->waiting > 0;
  if (some) least->waiting--;
  pthread_mutex_unlock(&least->lock);
  return some;
}

static void *ask_both(void *argument) {
  static const char redis_says[] =
      "*6\r\n$3\r\nSET\r\n$24\r\nparapet:v1:seen:bench-00\r\n$1\r\n1\r\n$2\r\nNX\r\n"
      "$2\r\nEX\r\n$2\r\n60\r\n";
  struct least *least = argument;
  char request[512], *answer = malloc(MESSAGE_BYTES);
  const char *body;
  size_t length =
      (size_t)snprintf(request, sizeof request, "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %zu\r\n\r\n%s",
                       strlen(READ_BODY), READ_BODY);
  int aws = connected(least->ports[0]), redis = connected(least->ports[1]);
  while (answer && taken(least)) {
    if (write(aws, request, length) != (ssize_t)length || !next_message(aws, answer, &body)) die("AWS did not answer");
    if (write(redis, redis_says, sizeof redis_says - 1) < 0 || read(redis, answer, 64) <= 0)
      die("Redis did not answer");
  }
  free(answer);
  close(aws);
  close(redis);
  return NULL;
}

static void least_begin(struct least *least, char **ports) {
  pthread_mutex_init(&least->lock, NULL);
  pthread_cond_init(&least->more, NULL);
  for (size_t i = 0; i < 2; i++) least->ports[i] = atoi(ports[i]);
  for (size_t i = 0; i < ASKERS; i++)
    if (pthread_create(&least->threads[i], NULL, ask_both, least) != 0) die("no thread");
}

/* Never held back: a full queue would make librdkafka stand still for a second, see common/bus/refill.c. */
static void least_add(struct least *least) {
  pthread_mutex_lock(&least->lock);
  least->waiting++;
  pthread_cond_signal(&least->more);
  pthread_mutex_unlock(&least->lock);
}

static void least_end(struct least *least) {
  pthread_mutex_lock(&least->lock);
  least->ended = true;
  pthread_cond_broadcast(&least->more);
  pthread_mutex_unlock(&least->lock);
  for (size_t i = 0; i < ASKERS; i++) pthread_join(least->threads[i], NULL);
}

static double cpu_seconds(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void count_one(const rd_kafka_message_t *message, struct counted *counted) {
  int64_t now = counted->seen % 1024 == 0 ? clock_monotonic_ms() : 0;
  if (now) counted->last = now;
  if (!message->err && counted->seen++ == 0) counted->begun = clock_monotonic_ms(), counted->cpu = cpu_seconds();
  if (counted->least && memmem(message->payload, message->len, MATCHES, strlen(MATCHES))) least_add(counted->least);
}

/* batch: how many are taken at once; 1: as most consumers do, with rd_kafka_consumer_poll().  ports: NULL, or whom each
 * match asks. */
static int consume(char **argv, size_t batch, char **ports) {
  struct least least = {0};
  rd_kafka_message_t *messages[BATCH];
  rd_kafka_t *handle = bare_consumer(argv);
  rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(handle);
  struct counted counted = {.last = clock_monotonic_ms(), .least = ports ? &least : NULL};
  long total = atol(argv[3]);
  if (ports) least_begin(&least, ports);
  while (counted.seen < total && clock_monotonic_ms() - counted.last < IDLE_MS) {
    ssize_t count = batch > 1 ? rd_kafka_consume_batch_queue(queue, 0, messages, batch) : 0;
    if (count <= 0) count = (messages[0] = rd_kafka_consumer_poll(handle, 100)) != NULL;
    for (ssize_t i = 0; i < count; i++) {
      count_one(messages[i], &counted);
      rd_kafka_message_destroy(messages[i]);
    }
  }
  if (ports) least_end(&least);
  printf("%ld %.3f %.3f\n", counted.seen, (double)(clock_monotonic_ms() - counted.begun) / 1000,
         cpu_seconds() - counted.cpu);
  rd_kafka_queue_destroy(queue);
  rd_kafka_consumer_close(handle);
  rd_kafka_destroy(handle);
  return counted.seen == total ? 0 : 1;
}

/* ---- aws ---- */
static const char role[] =
    "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>"
    "<AccessKeyId>ASIABENCHBENCHBENCH1</AccessKeyId><SecretAccessKey>bench</SecretAccessKey>"
    "<SessionToken>bench</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials><AssumedRoleUser>"
    "<AssumedRoleId>AROA:parapet</AssumedRoleId><Arn>arn:aws:sts::111111111111:assumed-role/parapet-worker/parapet</"
    "Arn>"
    "</AssumedRoleUser></AssumeRoleResult></AssumeRoleResponse>";
static const char rules[] =
    "<DescribeSecurityGroupRulesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>r</requestId>"
    "<securityGroupRuleSet/></DescribeSecurityGroupRulesResponse>";
static const char interfaces[] =
    "<DescribeNetworkInterfacesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>r</requestId>"
    "<networkInterfaceSet/></DescribeNetworkInterfacesResponse>";
static const char groups[] =
    "<DescribeSecurityGroupsResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>r</requestId>"
    "<securityGroupInfo>";
static const char group[] =
    "<item><ownerId>111111111111</ownerId><groupId>%.*s</groupId><groupName>g</groupName>"
    "<groupDescription>g</groupDescription><vpcId>vpc-1</vpcId><ipPermissions/><ipPermissionsEgress/><tagSet/></item>";
static const char groups_end[] = "</securityGroupInfo></DescribeSecurityGroupsResponse>";

/* One group for each id that is asked for. */
static void say_groups(const char *body, struct buffer *content) {
  buffer_add_text(content, groups);
  for (const char *at = body; (at = strstr(at, "GroupId."));) {
    at += strcspn(at, "=&");
    if (*at != '=') continue;
    size_t length = strcspn(++at, "&");
    buffer_addf(content, group, (int)length, at);
  }
  buffer_add_text(content, groups_end);
}

static void answer(const char *body, struct buffer *text) {
  struct buffer content = {0};
  if (strstr(body, "Action=AssumeRole"))
    buffer_add_text(&content, role);
  else if (strstr(body, "Action=DescribeSecurityGroupRules"))
    buffer_add_text(&content, rules);
  else if (strstr(body, "Action=DescribeNetworkInterfaces"))
    buffer_add_text(&content, interfaces);
  else
    say_groups(body, &content);
  buffer_clear(text);
  buffer_addf(text, "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %zu\r\n\r\n%s", content.length,
              buffer_text(&content));
  buffer_free(&content);
}

static void *serve(void *argument) {
  int socket = (int)(intptr_t)argument;
  char *request = malloc(MESSAGE_BYTES);
  struct buffer text = {0};
  const char *body;
  while (request && next_message(socket, request, &body)) {
    answer(body, &text);
    if (text.failed || write(socket, buffer_text(&text), text.length) != (ssize_t)text.length) break;
  }
  buffer_free(&text);
  free(request);
  close(socket);
  return NULL;
}

static void *accept_all(void *argument) {
  for (;;) {
    pthread_t thread;
    int socket = accept((int)(intptr_t)argument, NULL, NULL);
    if (socket < 0) continue;
    if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)socket) == 0)
      pthread_detach(thread);
    else
      close(socket);
  }
  return NULL;
}

static int aws(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  pthread_t thread;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 512) != 0 ||
      getsockname(listener, (struct sockaddr *)&address, &size) != 0 ||
      pthread_create(&thread, NULL, accept_all, (void *)(intptr_t)listener) != 0)
    die("cannot listen");
  printf("%u\n", ntohs(address.sin_port));
  fflush(stdout);
  while (getchar() != EOF) {}
  _exit(0);
}

int main(int argc, char **argv) {
  const char *verb = argc > 1 ? argv[1] : "";
  if (strcmp(verb, "produce") == 0 && argc >= 6) return produce(argv + 2, argc > 6 ? argv[6] : NULL);
  if (strcmp(verb, "consume") == 0 && argc == 6) return consume(argv + 2, 1, NULL);
  if (strcmp(verb, "batches") == 0 && argc == 6) return consume(argv + 2, BATCH, NULL);
  if (strcmp(verb, "least") == 0 && argc == 8) return consume(argv + 2, BATCH, argv + 6);
  if (strcmp(verb, "aws") == 0) return aws();
  die("usage: bench_pipeline produce|consume|batches|least|aws …");
}
