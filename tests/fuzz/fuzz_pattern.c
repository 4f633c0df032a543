/* The fuzzer's bytes, up to the first 0, as a pattern; what is behind as an event (and the pattern as an event too). */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "match/set_internal.h"

/* All scanners must say the same. */
static void run(struct match_set *set, struct match_scratch *scratch, const uint8_t *event, size_t length) {
  const uint32_t *ids;
  struct error error = {0};
  char *copy = malloc(length ? length : 1); /* of its exact size, so that a byte read behind it is noticed */
  if (!copy) abort();
  memcpy(copy, event, length);
  set->scan = match_scan_at(0);
  int count = match_run(set, scratch, copy, length, &ids, &error);
  if (count < 0 && error.class == ERROR_NONE) abort();
  for (size_t s = 1; match_scan_at(s); s++) {
    set->scan = match_scan_at(s);
    if (match_run(set, scratch, copy, length, &ids, &error) != count) abort();
  }
  for (int i = 0; i < count; i++)
    if (ids[i] != 1 && ids[i] != 2) abort();
  free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char second[] = "{\"a\":{\"b\":[{\"anything-but\":\"x\"}],\"c\":[{\"exists\":false},1]},\"d\":[\"e\"]}";
  static struct match_scratch *scratch;
  struct error error = {0};
  if (!scratch) scratch = match_scratch_open();
  struct match_builder *builder = match_builder_open();
  if (!scratch || !builder) abort();
  const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
  size_t length = zero ? (size_t)(zero - data) : size;
  char *pattern = malloc(length ? length : 1);
  if (!pattern) abort();
  memcpy(pattern, data, length);
  if (match_add(builder, 1, pattern, length, &error) != 0 && error.class != ERROR_INVALID) abort();
  free(pattern);
  if (match_add(builder, 2, second, sizeof second - 1, &error) != 0) abort();
  struct match_set *set = match_build(builder, &error);
  if (!set) abort();
  run(set, scratch, data, length);
  if (zero) run(set, scratch, zero + 1, size - length - 1);
  match_set_free(set);
  return 0;
}
