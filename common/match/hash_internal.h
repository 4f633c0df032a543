/* A hash table from keys that live elsewhere to numbers, for building sets. */
#ifndef PARAPET_MATCH_HASH_INTERNAL_H
#define PARAPET_MATCH_HASH_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct match_hash_slot {
  uint64_t hash;
  uint32_t number;
  uint32_t used;
};

/* Zeroed is empty. */
struct match_hash {
  struct match_hash_slot *slots;
  size_t mask, count;
};

typedef bool match_hash_same(const void *context, uint32_t number);

uint32_t match_hash_find(const struct match_hash *hash, uint64_t key, match_hash_same *same, const void *context);
int match_hash_add(struct match_hash *hash, uint64_t key, uint32_t number); /* 0, or -1: no memory */
void match_hash_free(struct match_hash *hash);

static inline uint64_t match_hash_mix(uint64_t a, uint64_t b) {
  unsigned __int128 product = (unsigned __int128)(a ^ 0x9E3779B97F4A7C15ull) * (b ^ 0xD1B54A32D192ED03ull);
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Up to eight bytes as a number. */
static inline uint64_t match_hash_load(const char *text, size_t length) {
  uint64_t word = 0;
  if (length >= 8) {
    memcpy(&word, text, 8);
  } else if (length >= 4) {
    uint32_t low, high;
    memcpy(&low, text, 4);
    memcpy(&high, text + length - 4, 4);
    word = low | (uint64_t)high << 32;
  } else if (length > 0) {
    word = (uint64_t)(unsigned char)text[0] | (uint64_t)(unsigned char)text[length / 2] << 8 |
           (uint64_t)(unsigned char)text[length - 1] << 16;
  }
  return word;
}

/* A key of an object: short texts, so the first and last eight bytes and the length will do. */
static inline uint64_t match_hash_key(const char *text, size_t length) {
  uint64_t last = length > 8 ? match_hash_load(text + length - 8, 8) : 0;
  return match_hash_mix(match_hash_load(text, length) + length, last);
}

static inline uint64_t match_hash_bytes(const char *text, size_t length, uint64_t seed) {
  uint64_t hash = match_hash_mix(seed, length);
  for (; length > 8; text += 8, length -= 8) hash = match_hash_mix(hash, match_hash_load(text, 8));
  return match_hash_mix(hash, match_hash_load(text, length));
}

#endif
