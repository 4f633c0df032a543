/* How the price of an event grows with the number of rules: CloudTrail events with 10, 100, 1,000 and 10,000 rules.
 *
 *   bench_match_rules [EVENTS]     EventBridge envelopes, one a line; none: synthetic ones
 *
 * The rules are what playbooks ask for: calls that change something, those of the events and as many more as make 2,000
 * names, since AWS has thousands of calls and one hour's events show few of them; with an account, a network, a port
 * range or a role besides.  One thread, its processor time, the best of several passes. */
#include <jansson.h>

#include "base/buffer.h"
#include "bench_events.h"

enum { NAMES = 2000, SERVICES = 10, CALLS = 96, ACCOUNTS = 400, SYNTHETIC = 20000 };

struct name { /* of a call */
  char source[64], call[96];
};

struct names {
  struct name items[NAMES];
  uint32_t count;
  char account[16]; /* of the events, or of one of them: every tenth rule asks for it */
};

static uint32_t next_random(uint64_t *state) {
  *state = *state * 6364136223846793005ull + 1442695040888963407ull;
  return (uint32_t)(*state >> 33);
}

/* ---- events when there are no real ones ---- */

/* As in real records, most calls only read. */
static void write_event(struct buffer *out, uint64_t *random) {
  unsigned service = next_random(random) % SERVICES, call = next_random(random) % CALLS;
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
      "\"eventTime\":\"2024-05-17T10:21:33Z\",\"eventSource\":\"service%u.amazonaws.com\",\"eventName\":\"%sCall%"
      "uOfService%u\","
      "\"awsRegion\":\"eu-west-%u\",\"sourceIPAddress\":\"198.51.100.%u\",\"userAgent\":\"Boto3/1.34 md/Botocore#1.34 "
      "\\\"quoted\\\" ua/2.0 os/linux#6.1\",",
      next_random(random), service, account, region, account, account, account % 7, account, account, account % 7,
      account % 7, service, next_random(random) % 5 > 0 ? "Describe" : "", call, service, region,
      next_random(random) % 256);
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

static struct events synthetic_events(void) {
  struct buffer text = {0};
  uint64_t random = 5;
  for (int i = 0; i < SYNTHETIC; i++) write_event(&text, &random);
  struct events events = {.bytes = text.length};
  events.text = buffer_take(&text);
  if (!events.text) die("out of memory");
  split_lines(&events);
  return events;
}

/* ---- rules ---- */

static int only_reads(const char *call) {
  static const char *const verbs[] = {"Get", "List", "Describe", "Head", "Lookup", "Search", "Batch"};
  for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
    if (strncmp(call, verbs[i], strlen(verbs[i])) == 0) return 1;
  return 0;
}

static void add_name(struct names *names, const char *source, const char *call) {
  if (!source || !call || names->count == NAMES) return;
  for (uint32_t i = 0; i < names->count; i++)
    if (strcmp(names->items[i].call, call) == 0 && strcmp(names->items[i].source, source) == 0) return;
  snprintf(names->items[names->count].source, sizeof names->items->source, "%s", source);
  snprintf(names->items[names->count++].call, sizeof names->items->call, "%s", call);
}

/* The calls of the events that change something; then made-up ones of the same services. */
static void find_names(struct names *names, const struct events *events) {
  for (size_t i = 0; i < events->count; i++) {
    json_t *event = json_loadb(events->lines[i].text, events->lines[i].length, 0, NULL);
    const char *call = json_string_value(json_object_get(json_object_get(event, "detail"), "eventName"));
    if (call && !only_reads(call)) add_name(names, json_string_value(json_object_get(event, "source")), call);
    const char *account = json_string_value(json_object_get(event, "account"));
    if (account) snprintf(names->account, sizeof names->account, "%s", account);
    json_decref(event);
  }
  if (names->count == 0) die("the events hold no call that changes anything");
  for (uint32_t own = names->count, i = 0; names->count < NAMES; i++) {
    char call[96];
    snprintf(call, sizeof call, "%.64s%u", names->items[i % own].call, i);
    add_name(names, names->items[i % own].source, call);
  }
}

/* Rule number `i`: what playbooks ask for, in a few shapes. */
static void write_rule(char *text, size_t size, uint32_t i, const struct names *names, uint64_t *random) {
  static const char *const conditions[] = {
      "\"errorCode\":[{\"exists\":false}]},\"account\":[\"%s\"]",
      ("\"requestParameters\":{\"ipPermissions\":{\"items\":{\"toPort\":[{\"numeric\":[\">=\",22]}]}}}},"
       "\"account\":[{\"anything-but\":\"%s\"}]"),
      "\"userIdentity\":{\"arn\":[{\"wildcard\":\"arn:aws:sts::%s:assumed-role/*\"}]}}",
      "\"sourceIPAddress\":[{\"cidr\":\"198.51.100.0/28\"}]},\"account\":[{\"prefix\":\"%s\"}]"};
  const struct name *name = &names->items[next_random(random) % names->count];
  const struct name *other = &names->items[next_random(random) % names->count];
  char condition[512], account[16];
  snprintf(account, sizeof account, "%012u", next_random(random) % ACCOUNTS);
  if (next_random(random) % 10 == 0) snprintf(account, sizeof account, "%s", names->account);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  snprintf(condition, sizeof condition, conditions[i % 4], account);
#pragma GCC diagnostic pop
  snprintf(text, size, "{\"source\":[\"%s\"],\"detail\":{\"eventName\":[\"%s\",%s\"%s\"%s],%s}", name->source,
           name->call, i % 4 == 2 ? "{\"prefix\":" : "", other->call, i % 4 == 2 ? "}" : "", condition);
}

static double run_rules(uint32_t rules, const struct events *events, const struct names *names) {
  uint64_t random = 99;
  size_t *counts = calloc(rules, sizeof *counts), matches = 0;
  struct match_builder *builder = match_builder_open();
  if (!counts || !builder) die("out of memory");
  double start = now();
  for (uint32_t i = 0; i < rules; i++) {
    char pattern[1024];
    write_rule(pattern, sizeof pattern, i, names, &random);
    add(builder, i, pattern);
  }
  struct match_set *set = finish(builder);
  double built = now() - start, seconds = best_of(15, set, events, counts, rules);
  for (uint32_t i = 0; i < rules; i++) matches += counts[i];
  printf("%5u rules %10.0f events/s %6.2f GB/s  built in %6.1f ms, %9zu bytes, %zu matches\n", rules,
         (double)events->count / seconds, (double)events->bytes / seconds / 1e9, built * 1e3, match_set_memory(set),
         matches);
  match_set_free(set);
  free(counts);
  return seconds;
}

int main(int argc, char **argv) {
  static struct names names;
  setvbuf(stdout, NULL, _IOLBF, 0);
  struct events events = argc > 1 ? read_events(argv[1]) : synthetic_events();
  find_names(&names, &events);
  printf("%zu %s, %.0f bytes each; rules over %u calls\n", events.count,
         argc > 1 ? "recorded CloudTrail events" : "synthetic events (the reference data are not there)",
         (double)events.bytes / (double)events.count, names.count);
  double few = 0, many = 0;
  for (uint32_t rules = 10; rules <= 10000; rules *= 10) {
    many = run_rules(rules, &events, &names);
    if (rules == 10) few = many;
  }
  printf("10,000 rules take %.2f times as long as 10\n", many / few);
  events_free(&events);
  return 0; /* a figure, not a verdict: the machine may be busy */
}
