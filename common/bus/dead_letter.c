#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "bus/bus_internal.h"

enum { KEPT = 64 * 1024 };

/* The longest prefix of at most `limit` bytes that ends between two UTF-8 sequences; -1 when it holds bytes that are no
 * UTF-8 (RFC 3629). */
static int64_t utf8_prefix(const unsigned char *bytes, size_t length, size_t limit) {
  size_t at = 0;
  while (at < length && at < limit) {
    unsigned char lead = bytes[at];
    size_t need = lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if ((lead >= 0x80 && lead < 0xC2) || lead > 0xF4 || need > length - at) return -1;
    for (size_t i = 1; i < need; i++)
      if ((bytes[at + i] & 0xC0) != 0x80) return -1;
    if ((lead == 0xE0 && bytes[at + 1] < 0xA0) || (lead == 0xED && bytes[at + 1] > 0x9F) ||
        (lead == 0xF0 && bytes[at + 1] < 0x90) || (lead == 0xF4 && bytes[at + 1] > 0x8F))
      return -1;
    if (at + need > limit) break;
    at += need;
  }
  return (int64_t)at;
}

static void add_member(struct buffer *text, const char *name, const char *value) {
  buffer_addf(text, "%s\"%s\":", text->length > 1 ? "," : "", name);
  if (!value) {
    buffer_add_text(text, "null");
    return;
  }
  buffer_add_char(text, '"');
  buffer_add_json_escaped(text, value, strlen(value));
  buffer_add_char(text, '"');
}

static void add_payload(struct buffer *text, const void *payload, size_t length) {
  int64_t prefix = utf8_prefix(payload, length, KEPT);
  if (prefix >= 0) {
    buffer_add_text(text, ",\"payload\":\"");
    buffer_add_json_escaped(text, payload, (size_t)prefix);
  } else {
    int kept = length < KEPT ? (int)length : KEPT;
    unsigned char encoded[(KEPT + 2) / 3 * 4 + 1];
    int size = EVP_EncodeBlock(encoded, payload, kept);
    buffer_add_text(text, ",\"payload_base64\":\"");
    buffer_add(text, encoded, size > 0 ? (size_t)size : 0);
  }
  buffer_add_char(text, '"');
}

static int sha256_hex(const void *bytes, size_t length, char hex[65]) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (EVP_Digest(bytes, length, digest, &size, EVP_sha256(), NULL) != 1 || size != 32) return -1;
  for (unsigned i = 0; i < size; i++) {
    hex[2 * i] = "0123456789abcdef"[digest[i] >> 4];
    hex[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
  }
  hex[64] = '\0';
  return 0;
}

int bus_dead_letter(struct bus_producer *producer, const char *topic, const char *reason,
                    const struct bus_origin *origin, const void *payload, size_t length, int64_t timeout_ms,
                    struct error *error) {
  struct buffer text = {.ceiling = 1 << 20};
  char now[32], hash[65];
  if (!payload) payload = "", length = 0;
  if (sha256_hex(payload, length, hash) != 0) return error_set(error, ERROR_FATAL, "Digest", "SHA-256 failed");
  buffer_add_char(&text, '{');
  add_member(&text, "reason", reason);
  add_member(&text, "source", origin ? origin->source : NULL);
  add_member(&text, "topic", origin ? origin->topic : NULL);
  buffer_addf(&text, ",\"partition\":%ld,\"offset\":%lld", origin ? (long)origin->partition : -1L,
              origin ? (long long)origin->offset : -1LL);
  add_member(&text, "time", clock_format(clock_wall_ms(), now, sizeof now));
  buffer_addf(&text, ",\"size\":%zu", length);
  add_member(&text, "sha256", hash);
  add_payload(&text, payload, length);
  buffer_add_char(&text, '}');
  int result = text.failed
                   ? error_set(error, ERROR_FATAL, "OutOfMemory", "a dead letter could not be built")
                   : bus_produce_durably(producer, topic, NULL, buffer_text(&text), text.length, timeout_ms, error);
  buffer_free(&text);
  return result;
}
