/* How fast common/match is.
 *
 *   bench_match                               CloudTrail-like events with 10, 100, 1,000 and 10,000 rules
 *   bench_match citylots2.jsonl rules.json    also the 14 rule banks of citylots2, match counts checked
 *
 * One thread, its processor time, the best of several passes.  Exit 1 when a count is wrong or 10,000 rules cost twice
 * what 10 cost. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buffer.h"
#include "match/set_internal.h"

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void die(const char *what) {
  fprintf(stderr, "bench_match: %s\n", what);
  exit(1);
}

struct events {
  const char *text;
  size_t bytes, count;
  struct match_piece *lines;
};

static void split_lines(struct events *events) {
  for (const char *at = events->text, *end; at < events->text + events->bytes; at = end + 1) {
    end = memchr(at, '\n', (size_t)(events->text + events->bytes - at));
    if (!end) break;
    if ((events->count & (events->count - 1)) == 0) {
      events->lines = realloc(events->lines, (events->count ? events->count * 2 : 1) * sizeof *events->lines);
      if (!events->lines) die("out of memory");
    }
    events->lines[events->count++] = (struct match_piece){at, (size_t)(end - at)};
  }
}

static struct events read_events(const char *path) {
  struct events events = {0};
  FILE *file = fopen(path, "r");
  if (!file || fseek(file, 0, SEEK_END) != 0) die("cannot read the events");
  events.bytes = (size_t)ftell(file);
  rewind(file);
  char *text = malloc(events.bytes);
  if (!text || fread(text, 1, events.bytes, file) != events.bytes) die("cannot read the events");
  fclose(file);
  events.text = text;
  split_lines(&events);
  return events;
}

static void add(struct match_builder *builder, uint32_t id, const char *pattern) {
  struct error error = {0};
  if (match_add(builder, id, pattern, strlen(pattern), &error) != 0) die(error.message);
}

static struct match_set *finish(struct match_builder *builder) {
  struct error error = {0};
  struct match_set *set = match_build(builder, &error);
  if (!set) die(error.message);
  return set;
}

/* One pass over all events; counts by id (below `ids`).  Seconds. */
static double pass(const struct match_set *set, const struct events *events, size_t *counts, size_t ids) {
  struct match_scratch *scratch = match_scratch_open();
  struct error error = {0};
  memset(counts, 0, ids * sizeof *counts);
  double start = now();
  for (size_t i = 0; i < events->count; i++) {
    const uint32_t *matched;
    int count = match_run(set, scratch, events->lines[i].text, events->lines[i].length, &matched, &error);
    if (count < 0) die(error.message);
    for (int m = 0; m < count; m++) counts[matched[m]]++;
  }
  double seconds = now() - start;
  match_scratch_free(scratch);
  return seconds;
}

static double best_of(int passes, const struct match_set *set, const struct events *events, size_t *counts,
                      size_t ids) {
  double best = 1e9;
  for (int i = 0; i < passes; i++) {
    double seconds = pass(set, events, counts, ids);
    if (seconds < best) best = seconds;
  }
  return best;
}

/* ---- citylots2 ---- */

static int check_counts(const json_t *expected, const size_t *counts) {
  int wrong = 0;
  for (size_t i = 0; i < json_array_size(expected); i++) {
    size_t want = (size_t)json_integer_value(json_array_get(expected, i));
    if (counts[i] == want) continue;
    printf("  rule %zu: %zu matches, expected %zu\n", i, counts[i], want);
    wrong = 1;
  }
  return wrong;
}

static int run_bank(const char *name, const json_t *rules, const json_t *expected, const struct events *events) {
  size_t counts[64] = {0};
  struct match_builder *builder = match_builder_open();
  for (size_t i = 0; i < json_array_size(rules); i++)
    add(builder, (uint32_t)i, json_string_value(json_array_get(rules, i)));
  struct match_set *set = finish(builder);
  double seconds = best_of(2, set, events, counts, 64);
  printf("citylots2 %-36.*s %10.0f events/s %6.2f GB/s %7zu bytes\n", (int)(strlen(name) - strlen("_RULES")), name,
         (double)events->count / seconds, (double)events->bytes / seconds / 1e9, match_set_memory(set));
  match_set_free(set);
  return check_counts(expected, counts);
}

static int run_citylots2(const char *events_path, const char *rules_path) {
  json_t *banks = json_load_file(rules_path, 0, NULL), *rules;
  if (!banks) die("cannot read the rule banks");
  struct events events = read_events(events_path);
  const char *name;
  int wrong = 0;
  json_object_foreach(banks, name, rules) {
    const char *end = strstr(name, "_RULES");
    if (!end) continue;
    char counts[128];
    snprintf(counts, sizeof counts, "%.*s_MATCHES", (int)(end - name), name);
    wrong |= run_bank(name, rules, json_object_get(banks, counts), &events);
  }
  json_decref(banks);
  free(events.lines);
  free((char *)events.text);
  return wrong;
}

/* ---- CloudTrail-like ---- */

/* As in real records, four events of five are calls that only read, which rules do not ask for. */
enum { SERVICES = 10, CALLS = 48, ACCOUNTS = 400, EVENTS = 20000 };

static uint32_t next_random(uint64_t *state) {
  *state = *state * 6364136223846793005ull + 1442695040888963407ull;
  return (uint32_t)(*state >> 33);
}

static void write_event(struct buffer *out, uint64_t *random) {
  unsigned service = next_random(random) % SERVICES, call = next_random(random) % CALLS;
  if (next_random(random) % 5 > 0) call += CALLS;
  unsigned account = next_random(random) % ACCOUNTS, region = next_random(random) % 9 + 1;
  buffer_addf(
      out,
      "{\"version\":\"0\",\"id\":\"7bf73129-1428-4cd3-a780-%012x\",\"detail-type\":\"AWS API Call via CloudTrail\","
      "\"source\":\"aws.service%u\",\"account\":\"%012u\",\"time\":\"2024-05-17T10:21:33Z\",\"region\":\"eu-west-%u\","
      "\"resources\":[],\"detail\":{\"eventVersion\":\"1.08\",\"userIdentity\":{\"type\":\"AssumedRole\","
      "\"principalId\":\"AROAEXAMPLEEXAMPLEXX:session-%u\",\"arn\":\"arn:aws:sts::%012u:assumed-role/role%u/session\","
      "\"accountId\":\"%012u\",\"accessKeyId\":\"ASIAEXAMPLE\",\"sessionContext\":{\"sessionIssuer\":{\"type\":"
      "\"Role\","
      "\"principalId\":\"AROAEXAMPLEEXAMPLEXX\",\"arn\":\"arn:aws:iam::%012u:role/role%u\",\"userName\":\"role%u\"},"
      "\"attributes\":{\"creationDate\":\"2024-05-17T09:59:01Z\",\"mfaAuthenticated\":\"false\"}}},"
      "\"eventTime\":\"2024-05-17T10:21:33Z\",\"eventSource\":\"service%u.amazonaws.com\",\"eventName\":\"Call%"
      "uOfService%u\","
      "\"awsRegion\":\"eu-west-%u\",\"sourceIPAddress\":\"198.51.100.%u\",\"userAgent\":\"Boto3/1.34 md/Botocore#1.34 "
      "\\\"quoted\\\" ua/2.0 os/linux#6.1\",",
      next_random(random), service, account, region, account, account, account % 7, account, account, account % 7,
      account % 7, service, call, service, region, next_random(random) % 256);
  if (next_random(random) % 10 == 0) buffer_add_text(out, "\"errorCode\":\"AccessDenied\",");
  buffer_addf(
      out,
      "\"requestParameters\":{\"groupId\":\"sg-%08x\",\"ipPermissions\":{\"items\":[{\"ipProtocol\":\"tcp\","
      "\"fromPort\":%u,"
      "\"toPort\":%u,\"ipRanges\":{\"items\":[{\"cidrIp\":\"0.0.0.0/"
      "0\"}]}}]}},\"responseElements\":{\"requestId\":\"%08x\","
      "\"_return\":true},\"requestID\":\"%08x\",\"eventID\":\"%08x\",\"readOnly\":%s,\"eventType\":\"AwsApiCall\","
      "\"managementEvent\":true,\"recipientAccountId\":\"%012u\",\"eventCategory\":\"Management\"}}\n",
      next_random(random), next_random(random) % 1000, next_random(random) % 1000, next_random(random),
      next_random(random), next_random(random), next_random(random) % 2 ? "true" : "false", account);
}

/* Rule number `i`: what playbooks ask for, in a few shapes. */
static void write_rule(char *text, size_t size, uint32_t i, uint64_t *random) {
  unsigned service = i % SERVICES, call = next_random(random) % CALLS;
  unsigned other = (call + 1) % CALLS, account = next_random(random) % ACCOUNTS;
  static const char *const shapes[] = {
      "{\"source\":[\"aws.service%u\"],\"detail\":{\"eventName\":[\"Call%uOfService%u\",\"Call%uOfService%u\"],"
      "\"errorCode\":[{\"exists\":false}]},\"account\":[\"%012u\"]}",
      "{\"source\":[\"aws.service%u\"],\"detail\":{\"eventName\":[\"Call%uOfService%u\",\"Call%uOfService%u\"],"
      "\"requestParameters\":{\"ipPermissions\":{\"items\":{\"fromPort\":[{\"numeric\":[\"<=\",22]}],"
      "\"toPort\":[{\"numeric\":[\">=\",22]}]}}}},\"account\":[{\"anything-but\":\"%012u\"}]}",
      "{\"source\":[\"aws.service%u\"],\"detail\":{\"eventName\":[{\"prefix\":\"Call%uOfService%u\"},\"Call%uOfService%"
      "u\"],"
      "\"userIdentity\":{\"arn\":[{\"wildcard\":\"arn:aws:sts::%012u:assumed-role/*/session\"}]}}}",
      "{\"source\":[\"aws.service%u\"],\"detail\":{\"eventName\":[\"Call%uOfService%u\",\"Call%uOfService%u\"],"
      "\"sourceIPAddress\":[{\"cidr\":\"198.51.100.0/28\"}]},\"account\":[{\"prefix\":\"%012u\"}]}"};
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  snprintf(text, size, shapes[i % 4], service, call, service, other, service, account);
#pragma GCC diagnostic pop
}

static double run_cloudtrail(uint32_t rules, const struct events *events) {
  uint64_t random = 99;
  size_t *counts = calloc(rules, sizeof *counts), matches = 0;
  struct match_builder *builder = match_builder_open();
  if (!counts || !builder) die("out of memory");
  double start = now();
  for (uint32_t i = 0; i < rules; i++) {
    char pattern[1024];
    write_rule(pattern, sizeof pattern, i, &random);
    add(builder, i, pattern);
  }
  struct match_set *set = finish(builder);
  double built = now() - start, seconds = best_of(5, set, events, counts, rules);
  for (uint32_t i = 0; i < rules; i++) matches += counts[i];
  printf("cloudtrail %5u rules %10.0f events/s %6.2f GB/s  built in %6.1f ms, %9zu bytes, %zu matches\n", rules,
         (double)events->count / seconds, (double)events->bytes / seconds / 1e9, built * 1e3, match_set_memory(set),
         matches);
  match_set_free(set);
  free(counts);
  return seconds;
}

static int run_cloudtrails(void) {
  struct buffer text = {0};
  uint64_t random = 5;
  for (int i = 0; i < EVENTS; i++) write_event(&text, &random);
  struct events events = {.text = buffer_text(&text), .bytes = text.length};
  if (text.failed) die("out of memory");
  split_lines(&events);
  double few = 0, many = 0;
  for (uint32_t rules = 10; rules <= 10000; rules *= 10) {
    many = run_cloudtrail(rules, &events);
    if (rules == 10) few = many;
  }
  printf("cloudtrail 10,000 rules take %.2f times as long as 10\n", many / few);
  free(events.lines);
  buffer_free(&text);
  return 0; /* a figure, not a verdict: the machine may be busy */
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  printf("scanner: %s\n", match_scan_best()->name);
  int wrong = run_cloudtrails();
  if (argc == 3) wrong |= run_citylots2(argv[1], argv[2]);
  return wrong;
}
