#include <string.h>

#include "json/value.h"
#include "state/state_internal.h"

#define MOST_TEXTS 50
#define MOST_OUTCOMES 32
#define MOST_DIGESTS 10000
#define MOST_IN_PACE 10000
#define CHANNEL_BYTES 40
#define LONGEST_WINDOW_MS ((int64_t)7 * 86400000)
#define TRIES 5

static int is_channel(const char *name) {
  size_t length = name ? strlen(name) : 0;
  return length > 0 && length <= CHANNEL_BYTES && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

/* notices and notices-sending of the channel */
static void channel_keys(struct state_call *call, const char *channel) {
  if (!is_channel(channel)) state_call_invalid(call, "a channel has 1 to %d of a-z, 0-9 and -", CHANNEL_BYTES);
  state_call_key(call, "notices:", channel);
  state_call_key(call, "notices-sending:", channel);
}

static void digest_key(struct state_call *call, const char *kind, const char *channel, const char *key) {
  char id[STATE_ID_BYTES + 1] = "";
  if (!key || !*key || (size_t)snprintf(id, sizeof id, "%s|%s", channel ? channel : "", key) >= sizeof id)
    state_call_invalid(call, "a digest's key must have 1 to %d bytes", STATE_ID_BYTES - CHANNEL_BYTES);
  state_call_key(call, kind, id);
}

static void digest_keys(struct state_call *call, const char *channel, const char *key) {
  static const char *const kinds[] = {"digest:", "digest-notices:", "sending:", "sending-notices:"};
  channel_keys(call, channel);
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) digest_key(call, kinds[i], channel, key);
}

int state_notice_add(struct state *state, const char *channel, const char *key, json_t *notice, int64_t window_ms,
                     struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_notice_add);
  digest_keys(&call, channel, key);
  state_call_text(&call, key ? key : "");
  state_call_json(&call, notice);
  const char *outcome = json_text_at(notice, "outcome", NULL);
  state_call_text(&call, *outcome && strlen(outcome) <= 64 ? outcome : "other");
  state_call_range(&call, "a digest's window", window_ms, 0, LONGEST_WINDOW_MS);
  state_call_number(&call, MOST_TEXTS);
  state_call_number(&call, MOST_OUTCOMES);
  state_call_number(&call, MOST_DIGESTS);
  return state_call_done(&call, error);
}

/* A digest's hash as pairs: count, first, last, tries, and outcome:… */
static int fill_digest(json_t *digest, redisReply *const *pairs, size_t count) {
  json_t *counts = json_object();
  int failed = !counts;
  for (size_t i = 0; !failed && i + 1 < count; i += 2) {
    const char *name = pairs[i]->str;
    int outcome = !strncmp(name, "outcome:", 8);
    failed = json_object_set_new(outcome ? counts : digest, outcome ? name + 8 : name,
                                 json_integer((json_int_t)state_reply_number(pairs[i + 1])));
  }
  return json_object_set_new(digest, "counts", counts) || failed ? -1 : 0;
}

/* The reply: {how many strings are the hash's, hash…, notices…}. */
static json_t *digest_of(const char *key, const redisReply *reply, struct error *error) {
  if (state_reply_rows(reply, 1, 1, error)) return NULL;
  size_t pairs = reply->element[0]->type == REDIS_REPLY_INTEGER ? (size_t)reply->element[0]->integer : SIZE_MAX;
  if (pairs >= reply->elements) {
    state_reply_unexpected(error);
    return NULL;
  }
  json_t *digest = json_pack("{s:s, s:[]}", "key", key, "notices");
  int failed = !digest || fill_digest(digest, reply->element + 1, pairs);
  if (failed) error_set(error, ERROR_FATAL, "memory", "out of memory");
  for (size_t i = 1 + pairs; !failed && i < reply->elements; i++) {
    json_t *notice = state_record(reply->element[i], error);
    failed = !notice || json_array_append_new(json_object_get(digest, "notices"), notice);
  }
  if (!failed) return digest;
  json_decref(digest);
  return NULL;
}

static void add_pace(struct state_call *call, const char *channel, const struct state_notice_pace *pace) {
  state_call_key(call, "notices-sent:", channel);
  state_call_range(call, "a channel's limit", pace->limit, 0, MOST_IN_PACE);
  state_call_range(call, "a limit's window", pace->within_ms, pace->limit ? 1 : 0, LONGEST_WINDOW_MS);
}

/* 1: taken, 0: another took it meanwhile, -1: error. */
static int take(struct state *state, const char *channel, const char *key, int64_t hold_ms,
                const struct state_notice_pace *pace, json_t **digest, struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_notice_take);
  digest_keys(&call, channel, key);
  state_call_text(&call, key);
  state_call_range(&call, "a hold", hold_ms, 1, (int64_t)86400000);
  state_call_number(&call, LONGEST_WINDOW_MS);
  add_pace(&call, channel, pace);
  redisReply *reply = state_call_run(&call, error);
  if (!reply) return -1;
  int taken = reply->type != REDIS_REPLY_NIL;
  if (taken) *digest = digest_of(key, reply, error);
  freeReplyObject(reply);
  return taken && !*digest ? -1 : taken;
}

/* Which digest is due is in one key, what it holds in others, and a script's keys must be known before it runs: so one
 * call looks, and the next takes it if it is still there. */
int state_notice_take(struct state *state, const char *channel, int64_t hold_ms, const struct state_notice_pace *pace,
                      json_t **digest, struct error *error) {
  *digest = NULL;
  for (int tries = 0; tries < TRIES; tries++) {
    struct state_call call;
    state_call_begin(&call, state, STATE_SCRIPT_notice_due);
    channel_keys(&call, channel);
    add_pace(&call, channel, pace);
    redisReply *reply = state_call_run(&call, error);
    if (!reply) return -1;
    int due = reply->type == REDIS_REPLY_STRING;
    int taken = due ? take(state, channel, reply->str, hold_ms, pace, digest, error) : 0;
    freeReplyObject(reply);
    if (!due || taken) return taken < 0 ? -1 : 0;
  }
  return 0;
}

int state_notice_done(struct state *state, const char *channel, const char *key, struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_notice_done);
  if (!is_channel(channel)) state_call_invalid(&call, "a channel has 1 to %d of a-z, 0-9 and -", CHANNEL_BYTES);
  state_call_key(&call, "notices-sending:", channel);
  digest_key(&call, "sending:", channel, key);
  digest_key(&call, "sending-notices:", channel, key);
  state_call_text(&call, key ? key : "");
  return state_call_done(&call, error);
}

int state_notice_backlog(struct state *state, const char *channel, int64_t *count, struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_notice_backlog);
  channel_keys(&call, channel);
  return state_call_integer(&call, count, error);
}
