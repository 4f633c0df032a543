#include <stdbool.h>
#include <stdlib.h>

#include "match/hash_internal.h"
#include "match/set_internal.h"

uint32_t match_hash_find(const struct match_hash *hash, uint64_t key, match_hash_same *same, const void *context) {
  if (!hash->slots) return MATCH_NONE;
  for (size_t slot = key & hash->mask; hash->slots[slot].used; slot = (slot + 1) & hash->mask)
    if (hash->slots[slot].hash == key && same(context, hash->slots[slot].number)) return hash->slots[slot].number;
  return MATCH_NONE;
}

static void put(struct match_hash *hash, uint64_t key, uint32_t number) {
  size_t slot = key & hash->mask;
  while (hash->slots[slot].used) slot = (slot + 1) & hash->mask;
  hash->slots[slot] = (struct match_hash_slot){key, number, 1};
}

static int grow(struct match_hash *hash) {
  size_t old = hash->slots ? hash->mask + 1 : 0, size = old ? old * 2 : 64;
  struct match_hash fresh = {calloc(size, sizeof *fresh.slots), size - 1, hash->count};
  if (!fresh.slots) return -1;
  for (size_t i = 0; i < old; i++)
    if (hash->slots[i].used) put(&fresh, hash->slots[i].hash, hash->slots[i].number);
  free(hash->slots);
  *hash = fresh;
  return 0;
}

int match_hash_add(struct match_hash *hash, uint64_t key, uint32_t number) {
  if ((!hash->slots || hash->count * 2 > hash->mask) && grow(hash) != 0) return -1;
  put(hash, key, number);
  hash->count++;
  return 0;
}

void match_hash_free(struct match_hash *hash) { free(hash->slots); }
