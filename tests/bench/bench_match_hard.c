/* Sets and events that would make a lesser matcher explode: what each costs to compile, to hold and to run; and what is
 * refused, with the reason.  Exit 1 when something explodes after all, or is not refused. */
#include "base/buffer.h"
#include "bench_events.h"

enum { COMPILE_MS = 20000, BYTES = 256 << 20, EVENT_MS = 2000 }; /* limits that a slow machine keeps, too */

/* ---- texts ---- */

static void repeat(struct buffer *out, const char *text, size_t count) {
  for (size_t i = 0; i < count; i++) buffer_add_text(out, text);
}

typedef void write_text(struct buffer *out, uint32_t i);

/* Wildcards whose literals are all alike: no prefix and no suffix tells one from another. */
static void alike_wildcard(struct buffer *out, uint32_t i) {
  buffer_addf(out, "{\"arn\":[{\"wildcard\":\"arn:aws:iam::*:role/team-*-service-%u-*-admin\"}]}", i);
}
static void alike_value(struct buffer *out, uint32_t i) {
  buffer_addf(out, "{\"arn\":\"arn:aws:iam::123456789012:role/team-a-service-%u-x-admin\"}", i * 61 % 20000);
}

/* Wildcards of single letters, on a long text that nearly meets each of them at every byte. */
static void letters_wildcard(struct buffer *out, uint32_t i) {
  buffer_addf(out, "{\"x\":[{\"wildcard\":\"a*a*%c*a*%c*a*a*%c*b\"}]}", 'c' + i % 20, 'c' + i / 20 % 20, 'c' + i / 400);
}
static void letters_value(struct buffer *out, uint32_t i) {
  buffer_add_text(out, "{\"x\":\"");
  repeat(out, "acadaeafagaha", 80);
  buffer_addf(out, "%u\"}", i);
}

static void anything_but_rule(struct buffer *out, uint32_t i) {
  buffer_addf(out, "{\"user\":[{\"anything-but\":\"user-%u\"}],\"call\":[\"Call%u\"]}", i, i % 50);
}
static void anything_but_list(struct buffer *out, uint32_t i) {
  buffer_add_text(out, "{\"user\":[{\"anything-but\":[");
  for (uint32_t n = 0; n < 5000; n++) buffer_addf(out, "%s\"user-%u\"", n ? "," : "", n);
  buffer_addf(out, "]}],\"call\":[\"Call%u\"]}", i);
}
static void user_value(struct buffer *out, uint32_t i) {
  buffer_addf(out, "{\"user\":\"user-%u\",\"call\":\"Call%u\"}", i % 10000, i % 50);
}

static void network_rule(struct buffer *out, uint32_t i) {
  if (i % 2)
    buffer_addf(out, "{\"ip\":[{\"cidr\":\"10.%u.%u.0/%u\"}]}", i / 256, i % 256, 17 + i % 16);
  else
    buffer_addf(out, "{\"ip\":[{\"cidr\":\"2001:db8:%x::/%u\"}]}", i, 33 + i % 96);
}
static void network_value(struct buffer *out, uint32_t i) {
  if (i % 2)
    buffer_addf(out, "{\"ip\":\"10.%u.%u.7\"}", i / 256 % 40, i % 256);
  else
    buffer_addf(out, "{\"ip\":\"2001:db8:%x::7\"}", i);
}

static void range_rule(struct buffer *out, uint32_t i) {
  buffer_addf(out, "{\"port\":[{\"numeric\":[\">=\",%u,\"<\",%u]}],\"n\":[%u]}", i, i + 20000, i % 1000);
}
static void range_value(struct buffer *out, uint32_t i) {
  buffer_addf(out, "{\"port\":%u.5,\"n\":%u}", i * 7 % 30000, i % 1000);
}

static void deep_rule(struct buffer *out, uint32_t i) {
  repeat(out, "{\"d\":", 120);
  buffer_addf(out, "[%u]", i);
  repeat(out, "}", 120);
}
static void deep_value(struct buffer *out, uint32_t i) {
  repeat(out, "{\"d\":", 120);
  repeat(out, "[", 100);
  buffer_addf(out, "%u", i % 2000);
  repeat(out, "]", 100);
  repeat(out, "}", 120);
}

static void wide_rule(struct buffer *out, uint32_t i) {
  for (uint32_t n = 0; n < 256; n++) buffer_addf(out, "%c\"field%u\":[\"v%u\"]", n ? ',' : '{', n, n == 255 ? i : n);
  buffer_add_char(out, '}');
}
static void wide_value(struct buffer *out, uint32_t i) {
  for (uint32_t n = 0; n < 256; n++)
    buffer_addf(out, "%c\"field%u\":\"v%u\"", n ? ',' : '{', n, n == 255 ? i % 2000 : n);
  buffer_add_char(out, '}');
}

/* Lists of objects of which each meets most fields, but few all of them. */
static void array_rule(struct buffer *out, uint32_t i) {
  buffer_addf(out, "{\"l\":{\"a\":[1],\"b\":[1],\"c\":[1],\"d\":[%u]}}", i);
}
static void array_value(struct buffer *out, uint32_t i) {
  buffer_add_text(out, "{\"l\":[");
  for (uint32_t n = 0; n < 1000; n++)
    buffer_addf(out, "%s{\"a\":%u,\"b\":%u,\"c\":%u,\"d\":%u}", n ? "," : "", n % 4 != 0, n % 4 != 1, n % 4 != 2,
                n + i);
  buffer_add_text(out, "]}");
}

static void megabyte_rule(struct buffer *out, uint32_t i) {
  buffer_addf(out, "{\"text\":[{\"wildcard\":\"*needle-%u-*-needle-%u\"},{\"suffix\":\"x%u\"}]}", i, i + 1, i);
}
static void megabyte_value(struct buffer *out, uint32_t i) {
  buffer_add_text(out, i % 2 ? "{\"text\":\"" : "{\"unread\":[{\"text\":\"");
  repeat(out, i % 3 ? "needle-" : "ne\\\"dle", 150000);
  buffer_add_text(out, i % 2 ? "\"}" : "\"}],\"text\":1}");
}

static void keys_rule(struct buffer *out, uint32_t i) { buffer_addf(out, "{\"key%u\":[\"v\"],\"b\":[1]}", i); }
static void keys_value(struct buffer *out, uint32_t i) {
  buffer_addf(out, "{\"b\":%u", i % 2);
  for (uint32_t n = 0; n < 20000; n++) buffer_addf(out, ",\"key%u\":\"v\"", n * 3);
  buffer_add_char(out, '}');
}

static const struct {
  const char *name;
  uint32_t rules;
  write_text *rule;
  uint32_t events;
  write_text *event;
} cases[] = {
    {"10,000 wildcards that begin and end alike", 10000, alike_wildcard, 20000, alike_value},
    {"8,000 wildcards of single letters, 1 KB texts", 8000, letters_wildcard, 50, letters_value},
    {"5,000 rules of one anything-but", 5000, anything_but_rule, 20000, user_value},
    {"50 rules of 5,000 anything-but", 50, anything_but_list, 20000, user_value},
    {"10,000 networks, IPv4 and IPv6", 10000, network_rule, 20000, network_value},
    {"10,000 ranges that overlap", 10000, range_rule, 5000, range_value},
    {"1,000 rules 120 deep, events 220 deep", 1000, deep_rule, 5000, deep_value},
    {"1,000 rules of 256 fields", 1000, wide_rule, 2000, wide_value},
    {"100 rules over lists of 1,000 objects", 100, array_rule, 200, array_value},
    {"100 rules over texts of a megabyte", 100, megabyte_rule, 60, megabyte_value},
    {"10,000 rules of other keys, 20,000 keys an event", 10000, keys_rule, 200, keys_value},
};

/* ---- running them ---- */

static struct events write_events(write_text *write, uint32_t count) {
  struct buffer text = {0};
  for (uint32_t i = 0; i < count; i++) {
    write(&text, i);
    buffer_add_char(&text, '\n');
  }
  struct events events = {.bytes = text.length};
  events.text = buffer_take(&text);
  if (!events.text) die("out of memory");
  split_lines(&events);
  return events;
}

static double slowest(const struct match_set *set, const struct events *events) {
  struct match_scratch *scratch = match_scratch_open();
  struct error error = {0};
  double most = 0;
  for (size_t i = 0; i < events->count; i++) {
    const uint32_t *ids;
    double start = now();
    if (match_run(set, scratch, events->lines[i].text, events->lines[i].length, &ids, &error) < 0) die(error.message);
    if (now() - start > most) most = now() - start;
  }
  match_scratch_free(scratch);
  return most;
}

static int run_case(size_t number) {
  struct events events = write_events(cases[number].event, cases[number].events);
  struct match_builder *builder = match_builder_open();
  struct buffer pattern = {0};
  size_t *counts = calloc(cases[number].rules, sizeof *counts), matches = 0;
  if (!builder || !counts) die("out of memory");
  double start = now();
  for (uint32_t i = 0; i < cases[number].rules; i++) {
    buffer_clear(&pattern);
    cases[number].rule(&pattern, i);
    add(builder, i, buffer_text(&pattern));
  }
  struct match_set *set = finish(builder);
  double built = now() - start, seconds = pass(set, &events, counts, cases[number].rules);
  double most = slowest(set, &events);
  size_t memory = match_set_memory(set);
  for (uint32_t i = 0; i < cases[number].rules; i++) matches += counts[i];
  printf("%-49s built in %6.0f ms, %7.2f MB; %8.0f events/s %5.2f GB/s, the slowest %8.0f us; %zu matches\n",
         cases[number].name, built * 1e3, (double)memory / 1e6, (double)events.count / seconds,
         (double)events.bytes / seconds / 1e9, most * 1e6, matches);
  match_set_free(set);
  buffer_free(&pattern);
  free(counts);
  events_free(&events);
  return built * 1e3 > COMPILE_MS || memory > BYTES || most * 1e3 > EVENT_MS;
}

/* ---- what is refused ---- */

static void many_stars(struct buffer *out, uint32_t i) {
  (void)i;
  buffer_add_text(out, "{\"a\":[{\"wildcard\":\"");
  repeat(out, "a*", 300);
  buffer_add_text(out, "\"}]}");
}

static void many_products(struct buffer *out, uint32_t i) {
  (void)i;
  for (int n = 0; n < 20; n++)
    buffer_addf(out, "%c\"k%d\":{\"$or\":[{\"a\":[1]},{\"b\":[1]},{\"c\":[1]}]}", n ? ',' : '{', n);
  buffer_add_char(out, '}');
}

static void too_deep(struct buffer *out, uint32_t i) {
  (void)i;
  repeat(out, "{\"a\":", 100000);
}

static void too_wide(struct buffer *out, uint32_t i) {
  (void)i;
  for (int n = 0; n < 2000; n++) buffer_addf(out, "%c\"k%d\":[1]", n ? ',' : '{', n);
  buffer_add_char(out, '}');
}

static void too_long(struct buffer *out, uint32_t i) {
  (void)i;
  buffer_add_text(out, "{\"a\":[\"");
  repeat(out, "0123456789abcdef", (9 << 20) / 16);
  buffer_add_text(out, "\"]}");
}

static void deep_event(struct buffer *out, uint32_t i) {
  (void)i;
  buffer_add_text(out, "{\"a\":");
  repeat(out, "[", 1000000);
}

static const struct {
  const char *name;
  write_text *write;
  int event;
} refusals[] = {
    {"a wildcard of 300 asterisks", many_stars, 0},
    {"$or that multiplies out to 3^20 rules", many_products, 0},
    {"a pattern 100,000 deep", too_deep, 0},
    {"a rule of 2,000 fields", too_wide, 0},
    {"a pattern of 9 MiB", too_long, 0},
    {"an event 1,000,000 deep", deep_event, 1},
};

static int run_refusal(size_t number) {
  struct buffer text = {0};
  struct error error = {0};
  const uint32_t *ids;
  struct match_builder *builder = match_builder_open();
  struct match_scratch *scratch = match_scratch_open();
  refusals[number].write(&text, 0);
  double start = now();
  int result = refusals[number].event ? (add(builder, 0, "{\"a\":[1]}"), 0)
                                      : match_add(builder, 0, buffer_text(&text), text.length, &error);
  struct match_set *set = result == 0 ? finish(builder) : (match_builder_free(builder), NULL);
  if (set) result = match_run(set, scratch, buffer_text(&text), text.length, &ids, &error);
  printf("refused in %5.1f ms: %s: %s\n", (now() - start) * 1e3, refusals[number].name,
         result < 0 ? error.message : "NOT REFUSED");
  match_set_free(set);
  match_scratch_free(scratch);
  buffer_free(&text);
  return result >= 0;
}

int main(void) {
  int bad = 0;
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) bad |= run_case(i);
  for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) bad |= run_refusal(i);
  if (bad) printf("something explodes, or is not refused\n");
  return bad;
}
