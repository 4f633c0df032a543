/* The scanner for every x86-64. */
#if defined(__x86_64__)

#include <emmintrin.h>
#include <stdint.h>

#define NAME match_scan_sse2
#define NAME_TEXT "sse2"
#define NARROWER match_scan_portable
#define TARGET

typedef __m128i vector, flags;

static inline vector load(const char *at) { return _mm_loadu_si128((const __m128i *)(const void *)at); }
static inline vector every(char byte) { return _mm_set1_epi8(byte); }
static inline vector fold(vector bytes) { return _mm_or_si128(bytes, every(0x20)); }
static inline flags equal(vector left, vector right) { return _mm_cmpeq_epi8(left, right); }
static inline flags at_most(vector left, vector right) { return equal(_mm_min_epu8(left, right), left); }
static inline flags equal_in(flags where, vector left, vector right) {
  return _mm_and_si128(where, equal(left, right));
}
static inline flags either(flags left, flags right) { return _mm_or_si128(left, right); }
static inline uint32_t bits(flags set) { return (uint32_t)_mm_movemask_epi8(set); }

static inline uint64_t prefix_xor(uint64_t mask) {
  for (int shift = 1; shift < 64; shift *= 2) mask ^= mask << shift;
  return mask;
}

#include "match/scan_blocks_internal.h"

#endif
