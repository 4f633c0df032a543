#include <string.h>

#include "json/value.h"
#include "state/state_internal.h"

#define MOST_TEXTS 50
#define MOST_OUTCOMES 32
#define MOST_DIGESTS 100000
#define LONGEST_WINDOW_MS ((int64_t)7 * 86400000)
#define TRIES 5

static void digest_keys(struct state_call *call, const char *key) {
  state_call_keys(call, "notices", "notices:sending", NULL);
  state_call_key(call, "digest:", key);
  state_call_key(call, "digest-notices:", key);
  state_call_key(call, "sending:", key);
  state_call_key(call, "sending-notices:", key);
}

int state_notice_add(struct state *state, const char *key, json_t *notice, int64_t window_ms, struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_notice_add);
  digest_keys(&call, key);
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

/* A digest's hash as pairs: count, first, last, and outcome:… */
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
    error_set(error, ERROR_FATAL, "reply", "Redis gave an answer of an unexpected shape");
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

/* 1: taken, 0: another took it meanwhile, -1: error. */
static int take(struct state *state, const char *key, int64_t hold_ms, json_t **digest, struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_notice_take);
  digest_keys(&call, key);
  state_call_text(&call, key);
  state_call_range(&call, "a hold", hold_ms, 1, (int64_t)86400000);
  state_call_number(&call, LONGEST_WINDOW_MS);
  redisReply *reply = state_call_run(&call, error);
  if (!reply) return -1;
  int taken = reply->type != REDIS_REPLY_NIL;
  if (taken) *digest = digest_of(key, reply, error);
  freeReplyObject(reply);
  return taken && !*digest ? -1 : taken;
}

/* Which digest is due is in one key, what it holds in others, and a script's keys must be known before it runs: so one
 * call looks, and the next takes it if it is still there. */
int state_notice_take(struct state *state, int64_t hold_ms, json_t **digest, struct error *error) {
  *digest = NULL;
  for (int tries = 0; tries < TRIES; tries++) {
    struct state_call call;
    state_call_begin(&call, state, STATE_SCRIPT_notice_due);
    state_call_keys(&call, "notices", "notices:sending", NULL);
    redisReply *reply = state_call_run(&call, error);
    if (!reply) return -1;
    int due = reply->type == REDIS_REPLY_STRING;
    int taken = due ? take(state, reply->str, hold_ms, digest, error) : 0;
    freeReplyObject(reply);
    if (!due || taken) return taken < 0 ? -1 : 0;
  }
  return 0;
}

int state_notice_done(struct state *state, const char *key, struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_notice_done);
  state_call_keys(&call, "notices:sending", NULL);
  state_call_key(&call, "sending:", key);
  state_call_key(&call, "sending-notices:", key);
  state_call_text(&call, key ? key : "");
  return state_call_done(&call, error);
}
