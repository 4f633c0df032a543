/* Values that must never appear in the log, registered one by one (log_secret).
 *
 * Every text that is logged is searched for up to 64 values in up to three spellings.  So that this costs next to
 * nothing, a bitmap says which pairs of first two bytes can begin a value: almost every position of a text is
 * dismissed by one bit. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/log.h"
#include "base/log_internal.h"

#define SECRETS 64
#define SECRET_SHORTEST 8
#define SECRET_LONGEST ((size_t)16384)
#define SPELLINGS 3 /* as it is, percent-encoded, as JSON text */

struct secret {
  char *text[SPELLINGS]; /* NULL where the spelling does not differ from the first */
  size_t length[SPELLINGS];
};

/* `lock` guards all of these but `count`, which only grows and lets a text pass without the lock while it is 0. */
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static struct secret secrets[SECRETS];
static size_t next_slot;
static uint64_t beginnings[65536 / 64];
static atomic_size_t count;

static unsigned pair_of(const char *text) { return (unsigned)(unsigned char)text[0] << 8 | (unsigned char)text[1]; }

static void forget(struct secret *secret) {
  for (int i = 0; i < SPELLINGS; i++) {
    if (secret->text[i]) explicit_bzero(secret->text[i], secret->length[i]);
    free(secret->text[i]);
  }
  memset(secret, 0, sizeof *secret);
}

static void rebuild_beginnings(void) {
  memset(beginnings, 0, sizeof beginnings);
  for (size_t i = 0; i < SECRETS; i++)
    for (int j = 0; j < SPELLINGS; j++) {
      if (!secrets[i].text[j]) continue;
      unsigned pair = pair_of(secrets[i].text[j]);
      beginnings[pair / 64] |= (uint64_t)1 << (pair % 64);
    }
}

static void add_percent_encoded(struct buffer *buffer, const char *value, size_t length) {
  static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  for (size_t i = 0; i < length; i++) {
    if (value[i] && strchr(unreserved, value[i]))
      buffer_add_char(buffer, value[i]);
    else
      buffer_addf(buffer, "%%%02X", (unsigned char)value[i]);
  }
}

static void keep_spelling(struct secret *secret, int spelling, struct buffer *buffer) {
  int same = spelling > 0 && secret->text[0] && buffer->length == secret->length[0];
  if (!buffer->failed && !same) {
    secret->length[spelling] = buffer->length;
    secret->text[spelling] = buffer_take(buffer);
  }
  if (buffer->data) explicit_bzero(buffer->data, buffer->capacity);
  buffer_free(buffer);
}

static int is_known(const char *value, size_t length) {
  for (size_t i = 0; i < SECRETS; i++)
    if (secrets[i].text[0] && secrets[i].length[0] == length && memcmp(secrets[i].text[0], value, length) == 0)
      return 1;
  return 0;
}

void log_secret(const char *value) {
  size_t length = value ? strlen(value) : 0;
  if (length < SECRET_SHORTEST) return;
  if (length > SECRET_LONGEST) length = SECRET_LONGEST;
  struct secret secret = {0};
  struct buffer buffer = {0};
  buffer_add(&buffer, value, length);
  keep_spelling(&secret, 0, &buffer);
  add_percent_encoded(&buffer, value, length);
  keep_spelling(&secret, 1, &buffer);
  buffer_add_json_escaped(&buffer, value, length);
  keep_spelling(&secret, 2, &buffer);

  pthread_rwlock_wrlock(&lock);
  if (!secret.text[0] || is_known(value, length)) {
    forget(&secret);
  } else {
    forget(&secrets[next_slot]);
    secrets[next_slot] = secret;
    next_slot = (next_slot + 1) % SECRETS;
    rebuild_beginnings();
    atomic_store(&count, 1);
  }
  pthread_rwlock_unlock(&lock);
}

/* The length of the longest registered value that `text` begins with, or 0. */
static size_t registered_at(const char *text, size_t length) {
  size_t longest = 0;
  for (size_t i = 0; i < SECRETS; i++)
    for (int j = 0; j < SPELLINGS; j++) {
      size_t size = secrets[i].length[j];
      if (secrets[i].text[j] && size > longest && size <= length && memcmp(secrets[i].text[j], text, size) == 0)
        longest = size;
    }
  return longest;
}

size_t log_mask_registered(char *text, size_t length) {
  if (atomic_load(&count) == 0 || length < SECRET_SHORTEST) return length;
  size_t out = 0;
  pthread_rwlock_rdlock(&lock);
  for (size_t at = 0; at < length;) {
    size_t hidden = 0;
    if (at + 1 < length) {
      unsigned pair = pair_of(text + at);
      if (beginnings[pair / 64] >> (pair % 64) & 1) hidden = registered_at(text + at, length - at);
    }
    if (hidden > 0) {
      out += log_mask_stars(text + out, hidden);
      at += hidden;
    } else {
      text[out++] = text[at++];
    }
  }
  pthread_rwlock_unlock(&lock);
  return out;
}
