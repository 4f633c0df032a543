/* The scanner for processors that have AVX-512: a block is one vector, flags are masks. */
#if defined(__x86_64__)

#include <immintrin.h>
#include <stdint.h>

#define NAME match_scan_avx512
#define NAME_TEXT "avx512"
#define NARROWER match_scan_avx2
#define TARGET __attribute__((target("avx512bw,avx2,bmi,bmi2,popcnt,pclmul")))

typedef __m512i vector;
typedef __mmask64 flags;

TARGET static inline vector load(const char *at) { return _mm512_loadu_si512(at); }
TARGET static inline vector every(char byte) { return _mm512_set1_epi8(byte); }
TARGET static inline vector fold(vector bytes) { return _mm512_or_si512(bytes, every(0x20)); }
TARGET static inline flags equal(vector left, vector right) { return _mm512_cmpeq_epi8_mask(left, right); }
TARGET static inline flags at_most(vector left, vector right) { return _mm512_cmple_epu8_mask(left, right); }
TARGET static inline flags equal_in(flags where, vector left, vector right) {
  return _mm512_mask_cmpeq_epi8_mask(where, left, right);
}
TARGET static inline flags either(flags left, flags right) { return _kor_mask64(left, right); }
TARGET static inline uint64_t bits(flags set) { return set; }

TARGET static inline uint64_t prefix_xor(uint64_t mask) {
  __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)mask), _mm_set1_epi8(-1), 0);
  return (uint64_t)_mm_cvtsi128_si64(product);
}

#include "match/scan_blocks_internal.h"

#endif
