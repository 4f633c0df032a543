/* Which of many networks hold an address: one look-up for each number of bits in use. */
#include <stdlib.h>
#include <string.h>

#include "match/hash_internal.h"
#include "match/index_internal.h"

static uint64_t hash_network(const struct match_network *network) {
  return match_hash_bytes((const char *)network->address, network->length, network->bits);
}

static int compare_bits(const void *left, const void *right) {
  return *(const unsigned char *)left - *(const unsigned char *)right;
}

static void add_bits(struct networks *networks, unsigned char bits) {
  if (!memchr(networks->bits, bits, networks->count)) networks->bits[networks->count++] = bits;
}

int match_networks_build(struct match_arena *arena, struct networks *networks, unsigned address_length,
                         const struct match_entry *entries, size_t count) {
  struct table_key *keys = calloc(count + 1, sizeof *keys);
  size_t found = 0;
  if (!keys) return -1;
  networks->address_length = (unsigned char)address_length;
  for (size_t i = 0; i < count; i++) {
    const struct match_network *network = &entries[i].predicate->network;
    if (network->length != address_length) continue;
    add_bits(networks, network->bits);
    /* The text has the bits behind the address, so that 10.0.0.0/8 and 10.0.0.0/16 differ. */
    keys[found++] = (struct table_key){hash_network(network), (const char *)network->address,
                                       (uint32_t)sizeof network->address + 2, entries[i].field};
  }
  qsort(networks->bits, networks->count, 1, compare_bits);
  int result = match_table_build(arena, &networks->table, keys, found);
  free(keys);
  return result;
}

void match_networks_search(const struct networks *networks, const struct match_network *address,
                           const struct match_search *search) {
  if (address->length != networks->address_length) return;
  for (uint32_t i = 0; i < networks->count; i++) {
    struct match_network masked = *address;
    match_network_mask(&masked, networks->bits[i]);
    match_report(search, match_table_find(&networks->table, hash_network(&masked), (const char *)&masked,
                                          sizeof masked.address + 2, false));
  }
}
