#include <stdlib.h>
#include <string.h>

#include "json/value.h"
#include "state/state_internal.h"

/* How Redis' (and our scripts') error codes are to be taken.  What is not here is FATAL. */
static const struct reply_code {
  const char *code;
  enum error_class class;
  const char *meaning;
} reply_codes[] = {
    {"EPOCH", ERROR_FATAL, "this is not the Redis that this process knows (emptied, rolled back or replaced)"},
    {"FULL", ERROR_RETRYABLE, "a ceiling of the state is reached"},
    {"LEASE", ERROR_RETRYABLE, "the lease is not held any more"},
    {"OOM", ERROR_RETRYABLE, "Redis is full"},
    {"READONLY", ERROR_RETRYABLE, "Redis is a read-only replica"},
    {"LOADING", ERROR_RETRYABLE, "Redis is loading its data"},
    {"MASTERDOWN", ERROR_RETRYABLE, "Redis is a replica without its master"},
    {"BUSY", ERROR_RETRYABLE, "Redis is busy with a script"},
    {"NOREPLICAS", ERROR_RETRYABLE, "Redis has too few replicas to accept writes"},
    {"MISCONF", ERROR_RETRYABLE, "Redis refuses writes because it cannot save"},
    {"TRYAGAIN", ERROR_RETRYABLE, "Redis is moving keys"},
    {"CLUSTERDOWN", ERROR_RETRYABLE, "Redis' cluster is down"},
    {"ERR max number of clients reached", ERROR_RETRYABLE, "Redis has too many clients"},
    {"NOAUTH", ERROR_DENIED, "Redis wants a password"},
    {"WRONGPASS", ERROR_DENIED, "Redis refuses user or password"},
    {"NOPERM", ERROR_DENIED, "the Redis user may not do this"},
    {"WRONGTYPE", ERROR_FATAL, "a key holds a type that Parapet did not write"},
};

/* Does `text` hold the code at its beginning, or (as Redis before 7 words an error inside a script) as a later word? */
static int has_code(const char *text, const char *code) {
  size_t length = strlen(code);
  if (!strncmp(text, code, length)) return text[length] == ' ' || !text[length];
  if (strncmp(text, "ERR Error running script", 24)) return 0;
  for (const char *at = strstr(text, code); at; at = strstr(at + 1, code))
    if ((at[-1] == ' ' || at[-1] == '-') && (at[length] == ' ' || !at[length])) return 1;
  return 0;
}

int state_reply_error(struct error *error, const char *text, const char *what) {
  for (size_t i = 0; i < sizeof reply_codes / sizeof *reply_codes; i++) {
    const struct reply_code *known = &reply_codes[i];
    if (!has_code(text, known->code)) continue;
    /* Callers know our own code by its lower-case name (state.h). */
    const char *code = strcmp(known->code, "EPOCH") ? known->code : "epoch";
    return error_set(error, known->class, code, "%s: %s [%.160s]", what, known->meaning, text);
  }
  char code[32];
  snprintf(code, sizeof code, "%.*s", (int)strcspn(text, " "), text);
  return error_set(error, ERROR_FATAL, code, "%s: Redis answered: %.250s", what, text);
}

int state_reply_unexpected(struct error *error) {
  return error_set(error, ERROR_FATAL, "reply", "Redis gave an answer of an unexpected shape");
}

int state_reply_shape(const redisReply *reply, const char *types, struct error *error) {
  size_t count = strlen(types);
  if (reply->type != REDIS_REPLY_ARRAY || reply->elements != count) return state_reply_unexpected(error);
  for (size_t i = 0; i < count; i++) {
    int wanted = types[i] == 'i' ? REDIS_REPLY_INTEGER : REDIS_REPLY_STRING;
    if (reply->element[i]->type != wanted) return state_reply_unexpected(error);
  }
  return 0;
}

int state_reply_rows(const redisReply *reply, size_t skip, size_t columns, struct error *error) {
  if (reply->type != REDIS_REPLY_ARRAY || reply->elements < skip || (reply->elements - skip) % columns)
    return state_reply_unexpected(error);
  for (size_t i = skip; i < reply->elements; i++)
    if (reply->element[i]->type != REDIS_REPLY_STRING) return state_reply_unexpected(error);
  return 0;
}

int state_reply_integers(const redisReply *reply, size_t count, struct error *error) {
  if (reply->type != REDIS_REPLY_ARRAY || reply->elements != count) return state_reply_unexpected(error);
  for (size_t i = 0; i < count; i++)
    if (reply->element[i]->type != REDIS_REPLY_INTEGER) return state_reply_unexpected(error);
  return 0;
}

json_t *state_record(const redisReply *text, struct error *error) {
  struct error why = {0};
  json_t *value = text->type == REDIS_REPLY_STRING ? json_parse(text->str, text->len, &why) : NULL;
  if (!value)
    error_set(error, ERROR_FATAL, "record", "a record in Redis is not the JSON that Parapet wrote: %s", why.message);
  return value;
}

json_t *state_reply_records(const redisReply *reply, struct error *error) {
  if (state_reply_rows(reply, 0, 1, error)) return NULL;
  json_t *list = json_array();
  for (size_t i = 0; list && i < reply->elements; i++) {
    json_t *record = state_record(reply->element[i], error);
    if (record && !json_array_append_new(list, record)) continue;
    json_decref(list);
    return NULL;
  }
  if (!list) error_set(error, ERROR_FATAL, "memory", "out of memory");
  return list;
}

int64_t state_reply_number(const redisReply *reply) {
  if (reply->type == REDIS_REPLY_INTEGER) return reply->integer;
  if (reply->type != REDIS_REPLY_STRING) return 0;
  double value = strtod(reply->str, NULL);
  return value > -9e15 && value < 9e15 ? (int64_t)value : 0;
}
