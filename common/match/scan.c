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

bool match_scan_word_ends(const char *start, const char *quote, const struct match_piece *words, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    if ((size_t)(quote - start) >= words[i].length &&
        memcmp(quote - words[i].length, words[i].text, words[i].length) == 0)
      return true;
  return false;
}

const char *match_scan_next_word(const char *start, const char *at, const char *end, const struct match_piece *words,
                                 uint32_t count) {
  const char *escape = memmem(at, (size_t)(end - at), "\\u", 2);
  if (escape) end = escape;
  for (const char *quote = at; quote < end && (quote = memchr(quote, '"', (size_t)(end - quote))); quote++)
    if (match_scan_word_ends(start, quote, words, count)) return quote;
  return escape;
}

const struct match_scan match_scan_portable = {"portable", string_stop, skip_container, match_scan_next_word};

/* From plain to fast; each can run where the ones before it can. */
const struct match_scan *match_scan_at(size_t i) {
  if (i == 0) return &match_scan_portable;
#if defined(__x86_64__)
  if (i == 1) return &match_scan_sse2;
  if (i == 2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("popcnt"))
    return &match_scan_avx2;
#endif
  return NULL;
}

const struct match_scan *match_scan_best(void) {
  size_t last = 0;
  while (match_scan_at(last + 1)) last++;
  return match_scan_at(last);
}
