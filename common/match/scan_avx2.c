/* The scanner for processors that have AVX2. */
#if defined(__x86_64__)

#include <immintrin.h>
#include <stdint.h>

#define NAME match_scan_avx2
#define NAME_TEXT "avx2"
#define NARROWER match_scan_sse2
#define TARGET __attribute__((target("avx2,bmi,popcnt,pclmul")))

typedef __m256i vector, flags;

TARGET static inline vector load(const char *at) { return _mm256_loadu_si256((const __m256i *)(const void *)at); }
TARGET static inline vector every(char byte) { return _mm256_set1_epi8(byte); }
TARGET static inline vector fold(vector bytes) { return _mm256_or_si256(bytes, every(0x20)); }
TARGET static inline flags equal(vector left, vector right) { return _mm256_cmpeq_epi8(left, right); }
TARGET static inline flags at_most(vector left, vector right) { return equal(_mm256_min_epu8(left, right), left); }
TARGET static inline flags equal_in(flags where, vector left, vector right) {
  return _mm256_and_si256(where, equal(left, right));
}
TARGET static inline flags either(flags left, flags right) { return _mm256_or_si256(left, right); }
TARGET static inline uint32_t bits(flags set) { return (uint32_t)_mm256_movemask_epi8(set); }

/* A product without carries by all ones (simdjson, as above). */
TARGET static inline uint64_t prefix_xor(uint64_t mask) {
  __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)mask), _mm_set1_epi8(-1), 0);
  return (uint64_t)_mm_cvtsi128_si64(product);
}

#include "match/scan_blocks_internal.h"

#endif
