/* The AWS client's half of bench_aws.py: calls, and what they cost.  One JSON object a line comes out.
 *
 *   bench_aws call MODELS URL OPERATION COUNT THREADS   {"calls", "seconds", "cpu"} after a few calls to warm up
 *   bench_aws memory MODELS URL OPERATION…              {"open_ms", "call_ms", "rss_kib", …}: each operation once
 *
 * An operation is "service.Operation", or that, a space and its parameters as JSON.
 * Credentials come from the environment. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "aws/aws.h"

#define WARM_UP 3
#define THREADS_LIMIT 64

struct load {
  struct aws_client *client;
  const char *operation;
  int count;
};

static void die(const char *what) {
  fprintf(stderr, "bench_aws: %s\n", what);
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double cpu(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static struct aws_client *open_client(const char *models, const char *url) {
  struct error error = {0};
  struct aws_options options = {.models = models, .endpoint_url = url, .hub_region = "us-east-1"};
  struct aws_client *client = aws_open(&options, &error);
  if (!client) die(error.message);
  return client;
}

static void call(struct aws_client *client, const char *operation) {
  struct aws_target target = {.region = "us-east-1"};
  struct error error = {0};
  char name[128];
  const char *space = strchr(operation, ' ');
  snprintf(name, sizeof name, "%.*s", (int)strcspn(operation, " "), operation);
  json_t *params = space ? json_loads(space + 1, 0, NULL) : NULL;
  json_t *result = aws_call(client, &target, name, params, NULL, &error);
  if (!result) die(error.message);
  json_decref(result);
  json_decref(params);
}

static void *call_often(void *argument) {
  const struct load *load = argument;
  for (int i = 0; i < load->count; i++) call(load->client, load->operation);
  aws_thread_end();
  return NULL;
}

static void bench_call(struct load load, int threads) {
  pthread_t started[THREADS_LIMIT];
  int calls = load.count;
  if (threads < 1 || threads > THREADS_LIMIT) die("1 to 64 threads");
  load.count = calls / threads;
  for (int i = 0; i < WARM_UP; i++) call(load.client, load.operation);
  double begun = now(), spent = cpu();
  for (int i = 0; i < threads; i++)
    if (pthread_create(&started[i], NULL, call_often, &load) != 0) die("no thread");
  for (int i = 0; i < threads; i++) pthread_join(started[i], NULL);
  printf("{\"calls\": %d, \"seconds\": %.6f, \"cpu\": %.6f}\n", load.count * threads, now() - begun, cpu() - spent);
}

/* What the process keeps in memory, of which `file_kib` are pages of programs and libraries. */
static long resident_kib(const char *field) {
  char line[256];
  long value = 0;
  FILE *file = fopen("/proc/self/status", "r");
  if (!file) die("/proc/self/status cannot be read");
  while (fgets(line, sizeof line, file))
    if (strncmp(line, field, strlen(field)) == 0) value = strtol(line + strlen(field), NULL, 10);
  fclose(file);
  return value;
}

static void bench_memory(const char *models, const char *url, char **operations) {
  double begun = now();
  struct aws_client *client = open_client(models, url);
  double opened = now();
  for (; *operations; operations++) call(client, *operations);
  printf("{\"open_ms\": %.3f, \"call_ms\": %.3f, \"rss_kib\": %ld, \"file_kib\": %ld, \"peak_kib\": %ld}\n",
         (opened - begun) * 1e3, (now() - opened) * 1e3, resident_kib("VmRSS:"), resident_kib("RssFile:"),
         resident_kib("VmHWM:"));
  aws_thread_end();
  aws_close(client);
}

int main(int count, char **arguments) {
  json_use_blocks();
  if (count == 7 && strcmp(arguments[1], "call") == 0) {
    struct load load = {.client = open_client(arguments[2], arguments[3]),
                        .operation = arguments[4],
                        .count = (int)strtol(arguments[5], NULL, 10)};
    bench_call(load, (int)strtol(arguments[6], NULL, 10));
    aws_thread_end();
    aws_close(load.client);
  } else if (count > 4 && strcmp(arguments[1], "memory") == 0) {
    bench_memory(arguments[2], arguments[3], arguments + 4);
  } else {
    die("bench_aws call MODELS URL OPERATION COUNT THREADS | memory MODELS URL OPERATION...");
  }
  return 0;
}
