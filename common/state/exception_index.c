#include "state/exception_index.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/glob.h"
#include "json/value.h"
#include "state/state_internal.h"

#define LONGEST_PREFIX 63
/* Kinds of keys, beside a glob's literal beginning: an exact resource; without a resource: a tag with its exact value,
 * a tag's key (its value is a glob), an exact unit. */
enum { EXACT = LONGEST_PREFIX + 1, TAG_VALUE, TAG_KEY, UNIT, KINDS };
#define FIRST_BUCKETS 64

/* One allocation each: the members point into `bytes`.  NULL or "*" matched everything: "*" then. */
struct entry {
  struct entry *same_bucket, *same_id;
  uint64_t hash, id_hash;
  int64_t starts, expires;
  unsigned prefix; /* length of the glob's literal beginning, or one of the kinds below */
  const char *id, *text, *guardrail, *account, *unit, *region, *environment, *resource, *tag;
  char bytes[];
};

struct exception_index {
  size_t count, buckets; /* buckets: a power of two */
  struct entry **by_scope, **by_id;
  size_t prefixes[KINDS]; /* how many entries have this prefix length, or are of this kind */
};

/* ---- hashes: FNV-1a, with a separator between parts ---- */

static uint64_t hash_bytes(uint64_t hash, const char *bytes, size_t length) {
  for (size_t i = 0; i < length; i++) hash = (hash ^ (unsigned char)bytes[i]) * 1099511628211u;
  return (hash ^ 0xFF) * 1099511628211u;
}

static uint64_t hash_scope(const char *guardrail, const char *account) {
  return hash_bytes(hash_bytes(14695981039346656037u, guardrail, strlen(guardrail)), account, strlen(account));
}

/* All globs share one kind of key: their beginning's length tells them apart. */
static uint64_t hash_key(uint64_t scope, unsigned prefix, const char *key, size_t length) {
  unsigned kind = prefix < EXACT ? 0 : prefix;
  return hash_bytes(scope ^ ((uint64_t)kind + 1) * 0xA5A5A5A5A5A5A5A5u, key, length);
}

static size_t slot(const struct exception_index *index, uint64_t hash) {
  return (size_t)((hash ^ hash >> 32) & (index->buckets - 1));
}

/* ---- entries ---- */

static const char *place(char **at, const char *text, size_t length) {
  char *start = *at;
  memcpy(start, text, length);
  start[length] = '\0';
  *at += length + 1;
  return start;
}

enum { MEMBERS = 7 };

static const char *scope_member(const json_t *exception, const char *name) {
  const char *text = json_string_value(json_object_get(exception, name));
  return text && *text ? text : "*";
}

static struct entry *build(const char *id, const char *text, size_t length, const json_t *exception) {
  static const char *const names[MEMBERS] = {"guardrail",   "account",  "unit", "region",
                                             "environment", "resource", "tag"};
  const char *members[MEMBERS];
  size_t size = sizeof(struct entry) + strlen(id) + 1 + length + 1;
  for (size_t i = 0; i < MEMBERS; i++) {
    members[i] = scope_member(exception, names[i]);
    size += strlen(members[i]) + 1;
  }
  struct entry *entry = malloc(size);
  if (!entry) return NULL;
  *entry = (struct entry){0};
  const char **const targets[MEMBERS] = {&entry->guardrail,   &entry->account,  &entry->unit, &entry->region,
                                         &entry->environment, &entry->resource, &entry->tag};
  char *at = entry->bytes;
  for (size_t i = 0; i < MEMBERS; i++) *targets[i] = place(&at, members[i], strlen(members[i]));
  entry->id = place(&at, id, strlen(id));
  entry->text = place(&at, text, length);
  return entry;
}

static int is_all(const char *member) { return !strcmp(member, "*"); }

/* The most telling of its members is the key: the resource, else the tag, else the unit. */
static const char *key_of(struct entry *entry, size_t *length) {
  const char *key = entry->resource;
  *length = strcspn(key, "*?");
  if (!key[*length] && *length) {
    entry->prefix = EXACT;
  } else if (is_all(key) && !is_all(entry->tag)) {
    key = entry->tag;
    *length = strlen(key);
    entry->prefix = TAG_VALUE;
    if (strchr(key, '=') && !strpbrk(key, "*?")) return key;
    *length = strcspn(key, "=");
    entry->prefix = TAG_KEY;
  } else if (is_all(key) && !strpbrk(entry->unit, "*?")) {
    key = entry->unit;
    *length = strlen(key);
    entry->prefix = UNIT;
  } else {
    if (*length > LONGEST_PREFIX) *length = LONGEST_PREFIX;
    entry->prefix = (unsigned)*length;
  }
  return key;
}

static void file_under(struct entry *entry) {
  size_t length = 0;
  const char *key = key_of(entry, &length);
  entry->hash = hash_key(hash_scope(entry->guardrail, entry->account), entry->prefix, key, length);
  entry->id_hash = hash_bytes(14695981039346656037u, entry->id, strlen(entry->id));
}

/* ---- the tables ---- */

static int allocate(struct exception_index *index, size_t buckets) {
  struct entry **by_scope = calloc(buckets, sizeof *by_scope);
  struct entry **by_id = calloc(buckets, sizeof *by_id);
  if (!by_scope || !by_id) {
    free(by_scope);
    free(by_id);
    return -1;
  }
  index->by_scope = by_scope;
  index->by_id = by_id;
  index->buckets = buckets;
  return 0;
}

static void link_entry(struct exception_index *index, struct entry *entry) {
  struct entry **scope = &index->by_scope[slot(index, entry->hash)];
  struct entry **id = &index->by_id[slot(index, entry->id_hash)];
  entry->same_bucket = *scope;
  *scope = entry;
  entry->same_id = *id;
  *id = entry;
}

/* Without memory the chains just get longer. */
static void grow(struct exception_index *index) {
  struct exception_index old = *index;
  if (allocate(index, old.buckets * 2)) return;
  for (size_t i = 0; i < old.buckets; i++) {
    struct entry *entry = old.by_id[i];
    while (entry) {
      struct entry *next = entry->same_id;
      link_entry(index, entry);
      entry = next;
    }
  }
  free(old.by_scope);
  free(old.by_id);
}

struct exception_index *exception_index_open(void) {
  struct exception_index *index = calloc(1, sizeof *index);
  if (index && allocate(index, FIRST_BUCKETS)) {
    free(index);
    return NULL;
  }
  return index;
}

void exception_index_close(struct exception_index *index) {
  if (!index) return;
  for (size_t i = 0; i < index->buckets; i++) {
    struct entry *entry = index->by_id[i];
    while (entry) {
      struct entry *next = entry->same_id;
      free(entry);
      entry = next;
    }
  }
  free(index->by_scope);
  free(index->by_id);
  free(index);
}

size_t exception_index_count(const struct exception_index *index) { return index->count; }

int exception_index_put(struct exception_index *index, const char *id, const char *text, size_t length,
                        struct error *error) {
  json_t *exception = json_parse(text, length, NULL);
  int64_t starts = 0, expires = 0;
  if (json_object_get(exception, "starts") && state_time_of(exception, "starts", &starts)) starts = INT64_MAX;
  int bad = state_time_of(exception, "expires", &expires);
  struct entry *entry = bad ? NULL : build(id, text, length, exception);
  json_decref(exception);
  if (bad) return error_set(error, ERROR_FATAL, "record", "exception %.64s is not as Parapet writes it", id);
  if (!entry) return error_set(error, ERROR_FATAL, "memory", "out of memory for exceptions");
  entry->starts = starts;
  entry->expires = expires;
  file_under(entry);
  exception_index_remove(index, id);
  if (index->count >= index->buckets) grow(index);
  link_entry(index, entry);
  index->count++;
  index->prefixes[entry->prefix]++;
  return 0;
}

static struct entry *unlink_id(struct exception_index *index, const char *id) {
  uint64_t hash = hash_bytes(14695981039346656037u, id, strlen(id));
  struct entry **at = &index->by_id[slot(index, hash)];
  while (*at && ((*at)->id_hash != hash || strcmp((*at)->id, id))) at = &(*at)->same_id;
  struct entry *entry = *at;
  if (entry) *at = entry->same_id;
  return entry;
}

void exception_index_remove(struct exception_index *index, const char *id) {
  struct entry *entry = unlink_id(index, id);
  if (!entry) return;
  struct entry **at = &index->by_scope[slot(index, entry->hash)];
  while (*at != entry) at = &(*at)->same_bucket;
  *at = entry->same_bucket;
  index->count--;
  index->prefixes[entry->prefix]--;
  free(entry);
}

/* ---- the decision ---- */

struct search {
  const struct exception_index *index;
  const struct state_subject *subject;
  int64_t now;
  const struct entry *best;
};

static int equals(const char *wanted, const char *value) {
  return !strcmp(wanted, "*") || (value && !strcmp(wanted, value));
}

static int fits(const char *wanted, const char *value) {
  return !strcmp(wanted, "*") || (value && glob_matches(wanted, value));
}

/* "key=value-glob", or just "key": whatever its value. */
static int has_tag(const char *wanted, const json_t *tags) {
  const char *key;
  json_t *value;
  size_t length = strcspn(wanted, "=");
  if (is_all(wanted)) return 1;
  json_object_foreach((json_t *)tags, key, value) {
    if (strlen(key) != length || strncmp(key, wanted, length)) continue;
    if (!wanted[length] || glob_matches(wanted + length + 1, json_is_string(value) ? json_string_value(value) : ""))
      return 1;
  }
  return 0;
}

static int covers(const struct entry *entry, const struct search *search) {
  const struct state_subject *subject = search->subject;
  if (search->now < entry->starts || search->now >= entry->expires + subject->grace_ms) return 0;
  if (!equals(entry->guardrail, subject->guardrail) || !equals(entry->account, subject->account)) return 0;
  if (!equals(entry->region, subject->region) || !equals(entry->environment, subject->environment)) return 0;
  if (!fits(entry->unit, subject->unit) || !has_tag(entry->tag, subject->tags)) return 0;
  if (is_all(entry->resource)) return 1;
  return (subject->resource && glob_matches(entry->resource, subject->resource)) ||
         (subject->arn && glob_matches(entry->resource, subject->arn));
}

static void look(struct search *search, uint64_t hash) {
  const struct entry *entry = search->index->by_scope[slot(search->index, hash)];
  for (; entry; entry = entry->same_bucket) {
    if (entry->hash != hash || !covers(entry, search)) continue;
    const struct entry *best = search->best;
    if (!best || entry->expires > best->expires || (entry->expires == best->expires && strcmp(entry->id, best->id) < 0))
      search->best = entry;
  }
}

static void look_for_resource(struct search *search, uint64_t scope, const char *resource) {
  if (!resource) return;
  const size_t *prefixes = search->index->prefixes;
  size_t length = strlen(resource);
  if (prefixes[EXACT]) look(search, hash_key(scope, EXACT, resource, length));
  for (unsigned prefix = 1; prefix <= LONGEST_PREFIX && prefix <= length; prefix++)
    if (prefixes[prefix]) look(search, hash_key(scope, prefix, resource, prefix));
}

static void look_for_tags(struct search *search, uint64_t scope) {
  const size_t *prefixes = search->index->prefixes;
  const char *key;
  json_t *value;
  if (!prefixes[TAG_VALUE] && !prefixes[TAG_KEY]) return;
  json_object_foreach((json_t *)search->subject->tags, key, value) {
    char pair[512];
    int length = snprintf(pair, sizeof pair, "%s=%s", key, json_is_string(value) ? json_string_value(value) : "");
    if (length < (int)sizeof pair) look(search, hash_key(scope, TAG_VALUE, pair, (size_t)length));
    look(search, hash_key(scope, TAG_KEY, key, strlen(key)));
  }
}

const char *exception_index_find(const struct exception_index *index, const struct state_subject *subject,
                                 int64_t now) {
  struct search search = {.index = index, .subject = subject, .now = now};
  const char *guardrails[] = {subject->guardrail, "*"};
  const char *accounts[] = {subject->account, "*"};
  for (size_t i = 0; i < 4; i++) {
    if (!guardrails[i / 2] || !accounts[i % 2]) continue;
    uint64_t scope = hash_scope(guardrails[i / 2], accounts[i % 2]);
    if (index->prefixes[0]) look(&search, hash_key(scope, 0, "", 0));
    look_for_resource(&search, scope, subject->resource);
    look_for_resource(&search, scope, subject->arn);
    look_for_tags(&search, scope);
    if (subject->unit && index->prefixes[UNIT])
      look(&search, hash_key(scope, UNIT, subject->unit, strlen(subject->unit)));
  }
  return search.best ? search.best->text : NULL;
}
