#include <string.h>

#include "match/match_internal.h"

/* Decimal, at most `most`; leading zeros are decimal too (10.0.0.010 is 10.0.0.10, as Java reads it). */
static const char *read_decimal(const char *at, const char *end, unsigned most, unsigned *value) {
  const char *start = at;
  *value = 0;
  for (; at < end && *at >= '0' && *at <= '9'; at++) {
    *value = *value * 10 + (unsigned)(*at - '0');
    if (*value > most) return NULL;
  }
  return at == start ? NULL : at;
}

static int parse_four(const char *text, size_t length, unsigned char address[4]) {
  const char *at = text, *end = text + length;
  for (int i = 0; i < 4; i++) {
    unsigned octet;
    if (i > 0 && (at == end || *at++ != '.')) return -1;
    at = read_decimal(at, end, 255, &octet);
    if (!at) return -1;
    address[i] = (unsigned char)octet;
  }
  return at == end ? 0 : -1;
}

static int hex_value(char byte) {
  if (byte >= '0' && byte <= '9') return byte - '0';
  byte = (char)(byte | 0x20);
  return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

static const char *read_group(const char *at, const char *end, unsigned *value) {
  const char *start = at;
  *value = 0;
  while (at < end && at - start < 4 && hex_value(*at) >= 0) *value = *value * 16 + (unsigned)hex_value(*at++);
  return at == start ? NULL : at;
}

/* Moves what stands behind "::" (at byte `gap`) to the end. */
static void spread(unsigned char address[16], size_t filled, size_t gap) {
  size_t behind = filled - gap;
  memmove(&address[16 - behind], &address[gap], behind);
  memset(&address[gap], 0, 16 - filled);
}

static int parse_sixteen(const char *text, size_t length, unsigned char address[16]) {
  const char *at = text, *end = text + length;
  size_t filled = 0, gap = SIZE_MAX;
  memset(address, 0, 16);
  if (length >= 2 && at[0] == ':' && at[1] == ':') {
    gap = 0;
    at += 2;
  }
  while (at < end) {
    const char *start = at;
    unsigned group;
    if (filled == 16 || !(at = read_group(at, end, &group))) return -1;
    if (at < end && *at == '.') { /* the last four bytes written as an IPv4 address */
      if (filled > 12 || parse_four(start, (size_t)(end - start), address + filled) != 0) return -1;
      filled += 4;
      break;
    }
    address[filled++] = (unsigned char)(group >> 8);
    address[filled++] = (unsigned char)group;
    if (at == end) break;
    if (*at++ != ':' || at == end) return -1;
    if (*at == ':') {
      if (gap != SIZE_MAX) return -1;
      gap = filled;
      at++;
    }
  }
  if (gap == SIZE_MAX) return filled == 16 ? 0 : -1;
  if (filled == 16) return -1;
  spread(address, filled, gap);
  return 0;
}

int match_address_parse(const char *text, size_t length, struct match_network *address) {
  if (length < 2 || length > 64) return -1;
  memset(address, 0, sizeof *address);
  const char *mark = text;
  while (mark < text + length && *mark != '.' && *mark != ':') mark++;
  if (mark == text + length) return -1;
  address->length = *mark == '.' ? 4 : 16;
  address->bits = (unsigned char)(address->length * 8);
  return *mark == '.' ? parse_four(text, length, address->address) : parse_sixteen(text, length, address->address);
}

void match_network_mask(struct match_network *network, unsigned bits) {
  network->bits = (unsigned char)bits;
  for (unsigned i = 0; i < network->length; i++) {
    unsigned kept = bits >= 8 * (i + 1) ? 8 : bits <= 8 * i ? 0 : bits - 8 * i;
    network->address[i] &= (unsigned char)(0xFF00u >> kept);
  }
}

const char *match_network_parse(const char *text, size_t length, struct match_network *network) {
  const char *slash = memchr(text, '/', length);
  if (!slash) return "a CIDR is written ADDRESS/BITS";
  if (match_address_parse(text, (size_t)(slash - text), network) != 0) return "this is no IPv4 or IPv6 address";
  unsigned bits;
  const char *end = read_decimal(slash + 1, text + length, 128, &bits);
  if (end != text + length) return "behind the slash must be the number of bits";
  if (bits > network->length * 8u) return "an IPv4 CIDR has at most 32 bits, an IPv6 CIDR 128";
  match_network_mask(network, bits);
  return NULL;
}

bool match_network_holds(const struct match_network *network, const struct match_network *address) {
  if (network->length != address->length) return false;
  struct match_network masked = *address;
  match_network_mask(&masked, network->bits);
  return memcmp(masked.address, network->address, network->length) == 0;
}
