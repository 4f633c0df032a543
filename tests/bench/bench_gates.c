/* What a decision of the gates costs, with Redis on the same machine (a Unix socket) and 100,000 exceptions:
 *
 *   peek        breaker's look before anything is read
 *   exception   is there one?
 *   grant       all four scopes, atomically
 *   decision    exception, peek, lease, grant, may_mutate, lease given back: all that an action asks of Redis before
 * its first call */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "state/state.h"

enum { EXCEPTIONS = 100000, SECONDS = 3, MOST = 2000000, THREADS = 16 };

static struct state *state;
static _Atomic int stop;

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void must(int result, const char *what, const struct error *error) {
  if (result >= 0) return;
  fprintf(stderr, "bench_gates: %s: %s\n", what, error->message);
  exit(1);
}

/* ---- Redis ---- */
static pid_t start_redis(const char *directory, char *url, size_t size) {
  char socket[256];
  snprintf(socket, sizeof socket, "%s/redis.sock", directory);
  snprintf(url, size, "unix://%s", socket);
  pid_t child = fork();
  if (child == 0) {
    if (!freopen("/dev/null", "w", stdout)) _exit(127);
    execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--dir", directory,
           (char *)NULL);
    _exit(127);
  }
  for (int i = 0; i < 100 && access(socket, R_OK) != 0; i++) usleep(50000);
  return child;
}

static void join(void) {
  struct error error = {0};
  int joined = state_epoch_join(state, &error);
  must(joined, "join", &error);
  if (!joined) must(state_epoch_create(state, &error), "epoch", &error);
}

/* Of every scope: ids, ARNs, globs, tags. */
static void put_exceptions(void) {
  static const char *const members[][2] = {{"resource", "sg-%d"},
                                           {"resource", "arn:aws:ec2:eu-west-1:*:security-group/g-%d"},
                                           {"resource", "web-%d-*"},
                                           {"tag", "ticket=T-%d"},
                                           {"unit", "workloads/team-%d"}};
  for (int i = 0; i < EXCEPTIONS; i++) {
    char id[32], account[16], value[96];
    struct error error = {0};
    const char *const *member = members[i % 5];
    snprintf(id, sizeof id, "x-%d", i);
    snprintf(account, sizeof account, "%012d", i % 1000);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(value, sizeof value, member[1], i);
#pragma GCC diagnostic pop
    json_t *exception = json_pack("{s:s, s:s, s:s, s:s, s:s}", "id", id, "guardrail", "ssh-open-to-internet", "account",
                                  account, member[0], value, "expires", "2999-01-01T00:00:00Z");
    must(state_exception_put(state, exception, &error), "exception", &error);
    json_decref(exception);
  }
}

/* ---- what is measured ---- */
static void do_exception(long n) {
  char account[16], resource[32];
  struct error error = {0};
  json_t *exception = NULL, *tags = json_pack("{s:s, s:s}", "Name", "web", "ticket", "T-none");
  snprintf(account, sizeof account, "%012ld", n % 1000);
  snprintf(resource, sizeof resource, "sg-%ld", 1000000 + n); /* none of them */
  struct state_subject subject = {.guardrail = "ssh-open-to-internet",
                                  .account = account,
                                  .unit = "workloads/prod",
                                  .region = "eu-west-1",
                                  .environment = "prod",
                                  .resource = resource,
                                  .arn = "arn:aws:ec2:eu-west-1:1:security-group/sg-none",
                                  .tags = tags};
  must(state_exception_find(state, &subject, &exception, &error), "find", &error);
  json_decref(exception);
  json_decref(tags);
}

struct scopes {
  char guardrail[64], account[32];
  struct state_limit limits[4];
};

static void fill(struct scopes *scopes, long n) {
  snprintf(scopes->guardrail, sizeof scopes->guardrail, "ssh-open-to-internet/%012ld", n % 1000);
  snprintf(scopes->account, sizeof scopes->account, "account:%012ld", n % 1000);
  const char *names[] = {scopes->guardrail, "ssh-open-to-internet", scopes->account, "organization"};
  for (int i = 0; i < 4; i++)
    scopes->limits[i] = (struct state_limit){.scope = names[i], .actions = 1000000, .window_ms = 2000};
}

static void do_peek(long n) {
  struct scopes scopes;
  struct state_peek peek = {.subject = "ssh-open-to-internet|sg-1", .limits = scopes.limits, .limit_count = 4};
  struct error error = {0};
  fill(&scopes, n);
  must(state_peek(state, (struct state_peek *[]){&peek}, 1, &error), "peek", &error);
}

static void do_grant(long n) {
  struct scopes scopes;
  enum state_grant answer;
  char refusing[128], action[32];
  struct error error = {0};
  fill(&scopes, n);
  snprintf(action, sizeof action, "a-%ld", n);
  must(state_breaker_grant(state, scopes.limits, 4, action, 0, &answer, refusing, NULL, &error), "grant", &error);
  if (answer != STATE_GRANTED) must(-1, refusing, &error);
}

static void do_decision(long n) {
  struct state_lease lease;
  char resource[64], why[32];
  struct error error = {0};
  snprintf(resource, sizeof resource, "arn:aws:ec2:eu-west-1:1:security-group/sg-%ld", n);
  do_exception(n);
  do_peek(n);
  must(state_lease_take(state, resource, 60000, &lease, &error), "lease", &error);
  do_grant(n);
  must(state_may_mutate(state, &lease, 60000, why, &error), "may_mutate", &error);
  must(state_lease_drop(state, &lease, &error), "lease", &error);
}

struct run {
  void (*work)(long n);
  long number, count;
  int64_t *took;
};

static void *run(void *argument) {
  struct run *run = argument;
  for (; !stop && run->count < MOST / THREADS; run->count++) {
    int64_t began = now_ns();
    run->work(run->number * 100000000L + run->count);
    run->took[run->count] = now_ns() - began;
  }
  return NULL;
}

static int compare(const void *a, const void *b) {
  int64_t one = *(const int64_t *)a, two = *(const int64_t *)b;
  return one < two ? -1 : one > two;
}

static void measure(const char *name, void (*work)(long n), int threads) {
  static long round;
  struct run runs[THREADS];
  pthread_t ids[THREADS];
  int64_t *all = malloc(MOST * sizeof *all);
  if (!all) exit(1);
  stop = 0;
  int64_t began = now_ns();
  for (int i = 0; i < threads; i++) {
    runs[i] = (struct run){work, ++round, 0, all + (size_t)i * (MOST / THREADS)};
    if (pthread_create(&ids[i], NULL, run, &runs[i]) != 0) exit(1);
  }
  sleep(SECONDS);
  stop = 1;
  long count = 0;
  for (int i = 0; i < threads; i++) {
    pthread_join(ids[i], NULL);
    memmove(all + count, runs[i].took, (size_t)runs[i].count * sizeof *all);
    count += runs[i].count;
  }
  double seconds = (double)(now_ns() - began) / 1e9;
  qsort(all, (size_t)count, sizeof *all, compare);
  const int64_t *median = all + count / 2, *worst = all + count * 99 / 100;
  printf("%-10s %2d threads  %8.0f /s   median %6.3f ms   p99 %6.3f ms\n", name, threads, (double)count / seconds,
         (double)*median / 1e6, (double)*worst / 1e6);
  fflush(stdout);
  free(all);
}

int main(void) {
  char directory[] = "/tmp/parapet-bench-XXXXXX", url[300];
  struct error error = {0};
  if (!mkdtemp(directory)) return 1;
  pid_t redis = start_redis(directory, url, sizeof url);
  state = state_open(&(struct state_options){.url = url, .owner = "bench"}, &error);
  if (!state) must(-1, "open", &error);
  join();
  int64_t began = now_ns();
  put_exceptions();
  printf("%d exceptions put in %.1f s\n", EXCEPTIONS, (double)(now_ns() - began) / 1e9);
  began = now_ns();
  do_exception(0);
  printf("first decision, which loads them: %.2f s\n", (double)(now_ns() - began) / 1e9);
  static const struct {
    const char *name;
    void (*work)(long n);
  } rows[] = {{"exception", do_exception}, {"peek", do_peek}, {"grant", do_grant}, {"decision", do_decision}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    for (int threads = 1; threads <= THREADS; threads *= 4) measure(rows[i].name, rows[i].work, threads);
  state_close(state);
  kill(redis, SIGTERM);
  waitpid(redis, NULL, 0);
  unlink(url + strlen("unix://"));
  rmdir(directory);
  return 0;
}
