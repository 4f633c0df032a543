/* Scanners for x86: 64 bytes at a time, SSE2 (every x86-64 has it) and AVX2 (asked of the processor).
 *
 * A container is skipped as simdjson finds structure: for 64 bytes, one bit a byte says where quotes, backslashes and
 * brackets stand; escaped quotes are taken out; a running exclusive-or over the quotes tells what lies inside strings;
 * brackets outside are counted.  Only a block in which the last bracket may close is looked at bit by bit. */
#include "match/set_internal.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#define BLOCK 64

/* One bit for each byte of a block. */
struct masks {
  uint64_t quote, backslash, open, close;
};

struct scan_state {
  uint64_t escaped;   /* bit 0: the first byte of the next block is escaped */
  uint64_t in_string; /* all ones: the next block starts inside a string */
};

/* Which bytes are escaped: those behind an odd run of backslashes (simdjson's find_escaped). */
static inline uint64_t find_escaped(uint64_t backslash, uint64_t *carry) {
  const uint64_t even = 0x5555555555555555ull;
  if (!backslash) {
    uint64_t escaped = *carry;
    *carry = 0;
    return escaped;
  }
  backslash &= ~*carry;
  uint64_t follows = backslash << 1 | *carry;
  uint64_t odd_starts = backslash & ~even & ~follows, sum;
  *carry = __builtin_add_overflow(odd_starts, backslash, &sum);
  uint64_t invert = sum << 1;
  return (even ^ invert) & follows;
}

/* Bit i: the exclusive-or of bits 0 … i. */
static inline uint64_t prefix_xor(uint64_t bits) {
  for (int shift = 1; shift < 64; shift *= 2) bits ^= bits << shift;
  return bits;
}

/* Goes through the brackets of one block.  The bit behind which the container is closed, -1: not here, -2: too deep. */
static int close_in_block(uint64_t open, uint64_t close, int *depth, int most) {
  for (uint64_t both = open | close; both; both &= both - 1) {
    int bit = __builtin_ctzll(both);
    if (open >> bit & 1) {
      if (++*depth > most) return -2;
    } else if (--*depth == 0) {
      return bit;
    }
  }
  return -1;
}

/* What a block adds.  As close_in_block. */
static inline int take_block(const struct masks *masks, struct scan_state *state, int *depth, int most) {
  uint64_t quote = masks->quote & ~find_escaped(masks->backslash, &state->escaped);
  uint64_t inside = prefix_xor(quote) ^ state->in_string;
  state->in_string = (uint64_t)((int64_t)inside >> 63);
  uint64_t open = masks->open & ~inside, close = masks->close & ~inside;
  int opened = __builtin_popcountll(open), closed = __builtin_popcountll(close);
  if (__builtin_expect(closed >= *depth || *depth + opened > most, 0)) return close_in_block(open, close, depth, most);
  *depth += opened - closed;
  return -1;
}

typedef void read_masks(const char *at, struct masks *masks);

static inline __attribute__((always_inline)) const char *skip_blocks(const char *at, const char *end, int depth,
                                                                     read_masks *read) {
  struct scan_state state = {0, 0};
  struct masks masks;
  int open = 1, bit = -1;
  for (; end - at >= BLOCK; at += BLOCK) {
    read(at, &masks);
    bit = take_block(&masks, &state, &open, depth + 1);
    if (bit != -1) return bit < 0 ? NULL : at + bit + 1;
  }
  char last[BLOCK];
  memset(last, ' ', sizeof last);
  memcpy(last, at, (size_t)(end - at));
  read(last, &masks);
  bit = take_block(&masks, &state, &open, depth + 1);
  return bit < 0 ? NULL : at + bit + 1;
}

static const char *stop_bytewise(const char *at, const char *end) {
  while (at < end && *at != '"' && *at != '\\' && (unsigned char)*at >= 0x20) at++;
  return at;
}

/* ---- SSE2 ---- */

static inline uint64_t equal_128(const __m128i parts[4], char byte) {
  const __m128i wanted = _mm_set1_epi8(byte);
  uint64_t mask = 0;
  for (int i = 3; i >= 0; i--) mask = mask << 16 | (uint16_t)_mm_movemask_epi8(_mm_cmpeq_epi8(parts[i], wanted));
  return mask;
}

static inline void read_128(const char *at, struct masks *masks) {
  __m128i parts[4], folded[4]; /* '[' and '{', ']' and '}' differ in one bit */
  for (int i = 0; i < 4; i++) {
    parts[i] = _mm_loadu_si128((const __m128i *)(const void *)(at + 16 * i));
    folded[i] = _mm_or_si128(parts[i], _mm_set1_epi8(0x20));
  }
  masks->quote = equal_128(parts, '"');
  masks->backslash = equal_128(parts, '\\');
  masks->open = equal_128(folded, '{');
  masks->close = equal_128(folded, '}');
}

static const char *skip_container_128(const char *at, const char *end, int depth) {
  return skip_blocks(at, end, depth, read_128);
}

static const char *string_stop_128(const char *at, const char *end) {
  for (; end - at >= 16; at += 16) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
    __m128i stops = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')));
    stops = _mm_or_si128(stops, _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1F)), bytes));
    int mask = _mm_movemask_epi8(stops);
    if (mask) return at + __builtin_ctz((unsigned)mask);
  }
  return stop_bytewise(at, end);
}

/* What one block shows: `ends`, where two bytes and a quote stand that may end a word, and `escapes`, bit by bit from
 * `at` on.  The first that counts, or NULL. */
static inline const char *first_stop(const char *start, const char *at, uint32_t ends, uint32_t escapes,
                                     const struct match_piece *words, uint32_t count) {
  const char *escape = escapes ? at + __builtin_ctz(escapes) : NULL;
  for (; ends; ends &= ends - 1) {
    const char *quote = at + __builtin_ctz(ends) + 2;
    if (escape && escape < quote) break;
    if (match_scan_word_ends(start, quote, words, count)) return quote;
  }
  return escape;
}

/* A word's last two bytes and the quote behind it, 16 places at once. */
static const char *next_word_128(const char *start, const char *at, const char *end, const struct match_piece *words,
                                 uint32_t count) {
  __m128i first[MATCH_WORDS], second[MATCH_WORDS];
  for (uint32_t i = 0; i < count; i++) {
    first[i] = _mm_set1_epi8(words[i].text[words[i].length - 2]);
    second[i] = _mm_set1_epi8(words[i].text[words[i].length - 1]);
  }
  for (; end - at >= 16 + 2; at += 16) {
    __m128i a = _mm_loadu_si128((const __m128i *)(const void *)at);
    __m128i b = _mm_loadu_si128((const __m128i *)(const void *)(at + 1));
    __m128i c = _mm_loadu_si128((const __m128i *)(const void *)(at + 2)), any = _mm_setzero_si128();
    for (uint32_t i = 0; i < count; i++)
      any = _mm_or_si128(any, _mm_and_si128(_mm_cmpeq_epi8(a, first[i]), _mm_cmpeq_epi8(b, second[i])));
    any = _mm_and_si128(any, _mm_cmpeq_epi8(c, _mm_set1_epi8('"')));
    __m128i escape = _mm_and_si128(_mm_cmpeq_epi8(a, _mm_set1_epi8('\\')), _mm_cmpeq_epi8(b, _mm_set1_epi8('u')));
    const char *stop =
        first_stop(start, at, (uint32_t)_mm_movemask_epi8(any), (uint32_t)_mm_movemask_epi8(escape), words, count);
    if (stop) return stop;
  }
  return match_scan_next_word(start, at, end, words, count);
}

/* ---- AVX2 ---- */

#define AVX2 __attribute__((target("avx2,bmi,popcnt")))

AVX2 static inline uint64_t equal_256(__m256i low, __m256i high, char byte) {
  const __m256i wanted = _mm256_set1_epi8(byte);
  uint32_t low_mask = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(low, wanted));
  uint32_t high_mask = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(high, wanted));
  return low_mask | (uint64_t)high_mask << 32;
}

AVX2 static inline void read_256(const char *at, struct masks *masks) {
  __m256i low = _mm256_loadu_si256((const __m256i *)(const void *)at);
  __m256i high = _mm256_loadu_si256((const __m256i *)(const void *)(at + 32));
  const __m256i bit = _mm256_set1_epi8(0x20);
  __m256i low_folded = _mm256_or_si256(low, bit), high_folded = _mm256_or_si256(high, bit);
  masks->quote = equal_256(low, high, '"');
  masks->backslash = equal_256(low, high, '\\');
  masks->open = equal_256(low_folded, high_folded, '{');
  masks->close = equal_256(low_folded, high_folded, '}');
}

AVX2 static const char *skip_container_256(const char *at, const char *end, int depth) {
  return skip_blocks(at, end, depth, read_256);
}

AVX2 static const char *string_stop_256(const char *at, const char *end) {
  for (; end - at >= 32; at += 32) {
    __m256i bytes = _mm256_loadu_si256((const __m256i *)(const void *)at);
    __m256i stops = _mm256_or_si256(_mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('"')),
                                    _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('\\')));
    stops = _mm256_or_si256(stops, _mm256_cmpeq_epi8(_mm256_min_epu8(bytes, _mm256_set1_epi8(0x1F)), bytes));
    uint32_t mask = (uint32_t)_mm256_movemask_epi8(stops);
    if (mask) return at + __builtin_ctz(mask);
  }
  return string_stop_128(at, end);
}

AVX2 static const char *next_word_256(const char *start, const char *at, const char *end,
                                      const struct match_piece *words, uint32_t count) {
  __m256i first[MATCH_WORDS], second[MATCH_WORDS];
  for (uint32_t i = 0; i < count; i++) {
    first[i] = _mm256_set1_epi8(words[i].text[words[i].length - 2]);
    second[i] = _mm256_set1_epi8(words[i].text[words[i].length - 1]);
  }
  for (; end - at >= 32 + 2; at += 32) {
    __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)at);
    __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(at + 1));
    __m256i c = _mm256_loadu_si256((const __m256i *)(const void *)(at + 2)), any = _mm256_setzero_si256();
    for (uint32_t i = 0; i < count; i++)
      any = _mm256_or_si256(any, _mm256_and_si256(_mm256_cmpeq_epi8(a, first[i]), _mm256_cmpeq_epi8(b, second[i])));
    any = _mm256_and_si256(any, _mm256_cmpeq_epi8(c, _mm256_set1_epi8('"')));
    __m256i escape =
        _mm256_and_si256(_mm256_cmpeq_epi8(a, _mm256_set1_epi8('\\')), _mm256_cmpeq_epi8(b, _mm256_set1_epi8('u')));
    const char *stop = first_stop(start, at, (uint32_t)_mm256_movemask_epi8(any),
                                  (uint32_t)_mm256_movemask_epi8(escape), words, count);
    if (stop) return stop;
  }
  return match_scan_next_word(start, at, end, words, count);
}

const struct match_scan match_scan_sse2 = {"sse2", string_stop_128, skip_container_128, next_word_128};
const struct match_scan match_scan_avx2 = {"avx2", string_stop_256, skip_container_256, next_word_256};

#endif
