/* Case is ignored as event-ruler does it: each character of the pattern accepts its own lower and upper case (Unicode,
 * no language), and itself.  It is not symmetric: pattern "ß" accepts "SS", pattern "SS" does not accept "ß". */
#include <string.h>

#include "match/match_internal.h"

struct fold_range {
  uint32_t first, last, step;
  int32_t lower, upper; /* what to add */
};

struct fold_special {
  uint32_t code;
  const char *lower, *upper;
};

#include "match/fold_table.h"

#define COUNT(table) (sizeof(table) / sizeof *(table))

static size_t encode(uint32_t code, char *out) {
  if (code < 0x80) {
    out[0] = (char)code;
    return 1;
  }
  size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  for (size_t i = length - 1; i > 0; i--, code >>= 6) out[i] = (char)(0x80 | (code & 0x3F));
  out[0] = (char)((length == 2 ? 0xC0 : length == 3 ? 0xE0 : 0xF0) | code);
  return length;
}

/* The character at the start of `text` and how many bytes it has; a byte that starts no UTF-8 stands for itself
 * (code above Unicode), so that broken text is compared byte by byte. */
static size_t decode(const char *text, size_t length, uint32_t *code) {
  unsigned char lead = (unsigned char)text[0];
  size_t size = lead < 0x80                   ? 1
                : lead >= 0xC2 && lead < 0xE0 ? 2
                : lead >= 0xE0 && lead < 0xF0 ? 3
                : lead < 0xF5                 ? 4
                                              : 0;
  *code = 0x200000u + lead;
  if (size == 0 || size > length || (lead >= 0x80 && lead < 0xC2)) return 1;
  uint32_t value = size == 1 ? lead : lead & (0xFFu >> (size + 1));
  for (size_t i = 1; i < size; i++) {
    if (((unsigned char)text[i] & 0xC0) != 0x80) return 1;
    value = value << 6 | ((unsigned char)text[i] & 0x3F);
  }
  *code = value;
  return size;
}

static const struct fold_special *find_special(uint32_t code) {
  for (size_t i = 0; i < COUNT(fold_specials); i++)
    if (fold_specials[i].code == code) return &fold_specials[i];
  return NULL;
}

static const struct fold_range *find_range(uint32_t code) {
  for (size_t i = 0; i < COUNT(fold_ranges) && fold_ranges[i].first <= code; i++) {
    const struct fold_range *range = &fold_ranges[i];
    if (code <= range->last && (code - range->first) % range->step == 0) return range;
  }
  return NULL;
}

static void add_variant(struct match_variant variants[3], size_t *count, const char *bytes, size_t length) {
  for (size_t i = 0; i < *count; i++)
    if (variants[i].length == length && memcmp(variants[i].bytes, bytes, length) == 0) return;
  variants[*count].length = (unsigned char)length;
  memcpy(variants[(*count)++].bytes, bytes, length);
}

static void add_code(struct match_variant variants[3], size_t *count, uint32_t code) {
  char bytes[4];
  add_variant(variants, count, bytes, encode(code, bytes));
}

static size_t ascii_variants(uint32_t code, struct match_variant variants[3]) {
  size_t count = 0;
  bool letter = (code | 0x20) >= 'a' && (code | 0x20) <= 'z';
  add_code(variants, &count, code);
  if (letter) add_code(variants, &count, code ^ 0x20);
  return count;
}

size_t match_fold_variants(uint32_t code, struct match_variant variants[3]) {
  size_t count = 0;
  if (code < 0x80) return ascii_variants(code, variants);
  if (code >= 0x200000u) {
    char byte = (char)(code - 0x200000u);
    add_variant(variants, &count, &byte, 1);
    return count;
  }
  add_code(variants, &count, code);
  const struct fold_special *special = find_special(code);
  if (special) {
    add_variant(variants, &count, special->lower, strlen(special->lower));
    add_variant(variants, &count, special->upper, strlen(special->upper));
    return count;
  }
  const struct fold_range *range = find_range(code);
  if (range) {
    add_code(variants, &count, (uint32_t)((int32_t)code + range->lower));
    add_code(variants, &count, (uint32_t)((int32_t)code + range->upper));
  }
  return count;
}

ptrdiff_t match_fold_start(const char *pattern, size_t pattern_length, const char *text, size_t length) {
  size_t used = 0;
  for (size_t at = 0; at < pattern_length;) {
    uint32_t code;
    struct match_variant variants[3];
    at += decode(pattern + at, pattern_length - at, &code);
    size_t count = match_fold_variants(code, variants), i = 0;
    while (i < count &&
           (variants[i].length > length - used || memcmp(variants[i].bytes, text + used, variants[i].length) != 0))
      i++;
    if (i == count) return -1;
    used += variants[i].length;
  }
  return (ptrdiff_t)used;
}

/* Where the character before `end` starts. */
static size_t step_back(const char *text, size_t end) {
  uint32_t code;
  for (size_t back = 1; back <= 4 && back <= end; back++)
    if (decode(text + end - back, back, &code) == back && code < 0x200000u) return end - back;
  return end - 1;
}

ptrdiff_t match_fold_end(const char *pattern, size_t pattern_length, const char *text, size_t length) {
  size_t used = 0;
  for (size_t at = pattern_length; at > 0;) {
    uint32_t code;
    struct match_variant variants[3];
    size_t end = at;
    at = step_back(pattern, end);
    decode(pattern + at, end - at, &code);
    size_t count = match_fold_variants(code, variants), i = 0;
    while (i < count && (variants[i].length > length - used ||
                         memcmp(variants[i].bytes, text + length - used - variants[i].length, variants[i].length) != 0))
      i++;
    if (i == count) return -1;
    used += variants[i].length;
  }
  return (ptrdiff_t)used;
}
