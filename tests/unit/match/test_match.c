/* common/match against the slow matcher, over random patterns and events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "match/match.h"
#include "support/match_reference.h"

#define PATTERNS 12

struct random {
  uint64_t state;
};

static uint64_t next_random(struct random *random) { /* splitmix64 */
  uint64_t z = random->state += 0x9E3779B97F4A7C15ull;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ z >> 27) * 0x94D049BB133111EBull;
  return z ^ z >> 31;
}

static void fill(struct random *random, uint8_t *bytes, size_t count) {
  for (size_t i = 0; i < count; i++) bytes[i] = (uint8_t)(next_random(random) >> 32);
}

/* A set of the first `count` patterns. */
static struct match_set *build(char patterns[PATTERNS][MATCH_GENERATED_BYTES], uint32_t count) {
  struct error error = {0};
  struct match_builder *builder = match_builder_open();
  assert_non_null(builder);
  for (uint32_t i = 0; i < count; i++) {
    int added = match_add(builder, i * 10, patterns[i], strlen(patterns[i]), &error);
    if (added != 0) print_message("%s\n%s\n", patterns[i], error.message);
    assert_int_equal(added, 0);
  }
  struct match_set *set = match_build(builder, &error);
  assert_non_null(set);
  return set;
}

static int contains(const uint32_t *ids, int count, uint32_t id) {
  for (int i = 0; i < count; i++)
    if (ids[i] == id) return 1;
  return 0;
}

/* What the generator must have written into patterns that matched, and into patterns that did not. */
static struct {
  const char *text;
  int met, missed;
} covered[] = {
    {"{\"prefix\":\"", 0, 0},
    {"{\"prefix\":{", 0, 0},
    {"{\"suffix\":\"", 0, 0},
    {"{\"suffix\":{", 0, 0},
    {"{\"equals-ignore-case\":", 0, 0},
    {"{\"wildcard\":", 0, 0},
    {"{\"exactly\":", 0, 0},
    {"{\"numeric\":[\"=\"", 0, 0},
    {"{\"numeric\":[\">", 0, 0},
    {"{\"exists\":true}", 0, 0},
    {"{\"exists\":false}", 0, 0},
    {"{\"cidr\":", 0, 0},
    {"\"anything-but\":\"", 0, 0},
    {"\"anything-but\":[\"", 0, 0},
    {"\"anything-but\":{\"prefix\":\"", 0, 0},
    {"\"anything-but\":{\"prefix\":[", 0, 0},
    {"\"anything-but\":{\"suffix\":\"", 0, 0},
    {"\"anything-but\":{\"suffix\":[", 0, 0},
    {"\"anything-but\":{\"equals-ignore-case\":\"", 0, 0},
    {"\"anything-but\":{\"equals-ignore-case\":[", 0, 0},
    {"\"anything-but\":{\"wildcard\":\"", 0, 0},
    {"\"anything-but\":{\"wildcard\":[", 0, 0},
    {"\"$or\":[{", 0, 0},
    {"true", 0, 0},
    {"null", 0, 0},
    {"1.0", 0, 0},
    {"\\u", 0, 0},
};

static void note_coverage(const char *pattern, int matches) {
  for (size_t i = 0; i < sizeof covered / sizeof *covered; i++) {
    if (!strstr(pattern, covered[i].text)) continue;
    covered[i].met += matches == 1;
    covered[i].missed += matches == 0;
  }
}

static int sieved; /* pairs of a set and an event that need no walk */

/* Compares the first `wanted` patterns with the slow matcher.  How many matched. */
static int compare(struct match_set *set, struct match_scratch *scratch, char patterns[PATTERNS][MATCH_GENERATED_BYTES],
                   uint32_t wanted, const char *event) {
  struct error error = {0};
  const uint32_t *ids;
  int count = match_run(set, scratch, event, strlen(event), &ids, &error);
  if (count < 0) print_message("%s\n%s\n", event, error.message);
  assert_true(count >= 0);
  bool may = match_may(set, event, strlen(event));
  sieved += !may;
  for (uint32_t i = 0; i < wanted; i++) {
    int expected = match_reference(patterns[i], event);
    if (expected > 0 && !may) fail_msg("the sieve held back pattern %u\n%s\n%s", i, patterns[i], event);
    note_coverage(patterns[i], expected);
    if (expected < 0 || expected == contains(ids, count, i * 10)) continue;
    fail_msg("expected %d for pattern %u\n%s\n%s", expected, i, patterns[i], event);
  }
  return count;
}

static void test_random_patterns_and_events(void **state) {
  static char patterns[PATTERNS][MATCH_GENERATED_BYTES], event[MATCH_GENERATED_BYTES];
  (void)state;
  struct random random = {20};
  struct match_scratch *scratch = match_scratch_open();
  int matched = 0, pairs = 0;
  for (int round = 0; round < 800; round++) {
    uint8_t bytes[400];
    for (int i = 0; i < PATTERNS; i++) {
      fill(&random, bytes, sizeof bytes);
      match_generate_pattern(&(struct match_choices){bytes, sizeof bytes, 0}, patterns[i]);
    }
    struct match_set *set = build(patterns, PATTERNS), *single = build(patterns, 1);
    for (int i = 0; i < 4; i++, pairs += PATTERNS) {
      fill(&random, bytes, sizeof bytes);
      match_generate_event(&(struct match_choices){bytes, sizeof bytes, 0}, event);
      matched += compare(set, scratch, patterns, PATTERNS, event);
      compare(single, scratch, patterns, 1, event); /* one rule: what it needs, all need, so events are given up */
    }
    match_set_free(set);
    match_set_free(single);
  }
  print_message("%d pairs, %d matched, %d needed no walk\n", pairs, matched, sieved);
  assert_in_range(sieved, 20, pairs);
  assert_in_range(matched, pairs / 100, pairs); /* the generator must not produce misses only */
  for (size_t i = 0; i < sizeof covered / sizeof *covered; i++)
    if (covered[i].met < 10 || covered[i].missed < 10)
      fail_msg("%s: %d matched, %d did not", covered[i].text, covered[i].met, covered[i].missed);
  match_scratch_free(scratch);
}
