/* Patterns and an event made from the fuzzer's bytes: common/match and the slow matcher must agree, with every scanner
 * that this processor can run. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "match/set_internal.h"

/* NOLINTNEXTLINE(bugprone-suspicious-include): one program */
#include "../unit/support/match_reference.c"

#define PATTERNS 24 /* enough for every path to be looked up in an index */

static int contains(const uint32_t *ids, int count, uint32_t id) {
  for (int i = 0; i < count; i++)
    if (ids[i] == id) return 1;
  return 0;
}

static void compare(int expected, int got, const char *pattern, const char *event) {
  if (expected < 0 || expected == got) return;
  fprintf(stderr, "expected %d\n%s\n%s\n", expected, pattern, event);
  abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static char patterns[PATTERNS][MATCH_GENERATED_BYTES], event[MATCH_GENERATED_BYTES];
  static struct match_scratch *scratch;
  struct match_choices choices = {data, size, 0};
  struct error error = {0};
  const uint32_t *ids;
  int expected[PATTERNS];
  if (!scratch) scratch = match_scratch_open();
  struct match_builder *builder = match_builder_open();
  if (!scratch || !builder) abort();
  match_generate_event(&choices, event);
  uint32_t count = size ? 1 + data[size - 1] % PATTERNS : 1;
  for (uint32_t i = 0; i < count; i++) {
    match_generate_pattern(&choices, patterns[i]);
    expected[i] = match_reference(patterns[i], event);
    if (match_add(builder, i, patterns[i], strlen(patterns[i]), &error) == 0) continue;
    fprintf(stderr, "%s\n%s\n", patterns[i], error.message);
    abort();
  }
  struct match_set *set = match_build(builder, &error);
  if (!set) abort();
  for (size_t s = 0; match_scan_at(s); s++) {
    set->scan = match_scan_at(s);
    int matches = match_run(set, scratch, event, strlen(event), &ids, &error);
    if (matches < 0) abort();
    for (uint32_t i = 0; i < count; i++) compare(expected[i], contains(ids, matches, i), patterns[i], event);
    for (uint32_t i = 0; i < count && !match_may(set, event, strlen(event)); i++)
      if (expected[i] > 0) compare(expected[i], 0, patterns[i], event);
  }
  match_set_free(set);
  return 0;
}
