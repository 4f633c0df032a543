/* The portable scanner, and the choice among all. */
#include <string.h>

#include "match/set_internal.h"

static const char *string_stop(const char *at, const char *end) {
  while (at < end && *at != '"' && *at != '\\' && (unsigned char)*at >= 0x20) at++;
  return at;
}

/* `at` is behind the opening quote; the byte behind the closing one, or NULL. */
static const char *skip_string(const char *at, const char *end) {
  while (at < end && *at != '"') at += *at == '\\' ? 2 : 1;
  return at < end ? at + 1 : NULL;
}

static const char *skip_container(const char *at, const char *end, int depth) {
  int open = 1;
  while (at < end) {
    char byte = *at++;
    if (byte == '"') {
      at = skip_string(at, end);
      if (!at) return NULL;
    } else if (byte == '\\') { /* no JSON; the block scanners let it hide a quote, so this one does too */
      if (at < end && (*at == '"' || *at == '\\')) at++;
    } else if (byte == '{' || byte == '[') {
      if (++open > depth + 1) return NULL;
    } else if ((byte == '}' || byte == ']') && --open == 0) {
      return at;
    }
  }
  return NULL;
}

static const char *next_quote(const char *at, const char *end) {
  return at < end ? memchr(at, '"', (size_t)(end - at)) : NULL;
}

static bool has_word(const char *at, const char *end, const struct match_words *words) {
  for (const char *quote = at; (quote = next_quote(quote, end)); quote++)
    if (match_word_ends(at, quote, words)) return true;
  return memmem(at, (size_t)(end - at), "\\u", 2);
}

static bool passes_over(const char *event, const char *end, int depth, const struct match_words *words,
                        match_word_counts *counts, const void *context) {
  for (const char *quote = event; (quote = next_quote(quote, end)); quote++)
    if (match_word_ends(event, quote, words) && counts(context, quote + 1, end)) return false;
  return !memmem(event, (size_t)(end - event), "\\u", 2) && skip_container(event + 1, end, depth) == end;
}

const struct match_scan match_scan_portable = {"portable", string_stop, skip_container, has_word, passes_over};

#if defined(__x86_64__)
static bool has_avx2(void) {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("popcnt") &&
         __builtin_cpu_supports("pclmul");
}

static bool has_avx512(void) { return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("bmi2"); }
#endif

/* From plain to fast; each can run where the ones before it can. */
const struct match_scan *match_scan_at(size_t i) {
  if (i == 0) return &match_scan_portable;
#if defined(__x86_64__)
  if (i == 1) return &match_scan_sse2;
  if (i == 2 && has_avx2()) return &match_scan_avx2;
  if (i == 3 && has_avx2() && has_avx512()) return &match_scan_avx512;
#endif
  return NULL;
}

const struct match_scan *match_scan_best(void) {
  size_t last = 0;
  while (match_scan_at(last + 1)) last++;
  return match_scan_at(last);
}
