#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "json/value.h"
#include "state/state_internal.h"

void state_call_begin_guarded(struct state_call *call, struct state *state, enum state_script script,
                              enum state_guard guard) {
  *call = (struct state_call){.state = state, .script = script, .guard = guard};
  pthread_mutex_lock(&state->lock);
  call->generation = state->generation;
  snprintf(call->guard_value, sizeof call->guard_value, "%s",
           guard == STATE_GUARD_EPOCH ? state->epoch : state->rebuild_token);
  pthread_mutex_unlock(&state->lock);
  const char *at = strchr(call->guard_value, '@');
  if (!state->scripts[script].guarded) return;
  snprintf(call->server, sizeof call->server, "%s",
           guard == STATE_GUARD_REBUILD ? state->rebuild_server
           : at                         ? at + 1
                                        : "");
}

void state_call_begin(struct state_call *call, struct state *state, enum state_script script) {
  state_call_begin_guarded(call, state, script, STATE_GUARD_EPOCH);
}

void state_call_invalid(struct state_call *call, const char *format, ...) {
  char message[256];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  if (call->invalid.class == ERROR_NONE) error_set(&call->invalid, ERROR_INVALID, "argument", "%s", message);
}

static struct state_part *next_part(struct state_call *call, int key) {
  size_t *count = key ? &call->key_count : &call->argument_count;
  /* NOLINTNEXTLINE(bugprone-branch-clone): the two limits happen to be equal */
  if (*count == (key ? STATE_CALL_KEYS : STATE_CALL_ARGUMENTS)) {
    state_call_invalid(call, "too many %s", key ? "keys" : "arguments");
    return NULL;
  }
  struct state_part *part = key ? &call->keys[*count] : &call->arguments[*count];
  (*count)++;
  part->start = call->text.length;
  return part;
}

static void end_part(struct state_call *call, struct state_part *part) {
  part->length = call->text.length - part->start;
  buffer_add_char(&call->text, '\0'); /* so that a part is also a C string */
}

static int id_is_bad(struct state_call *call, const char *what, const char *id) {
  size_t length = id ? strlen(id) : 0;
  json_t *text = length && length <= STATE_ID_BYTES ? json_string(id) : NULL; /* NULL too when it is not UTF-8 */
  if (!text) state_call_invalid(call, "%s must be 1 to %d bytes of UTF-8", what, STATE_ID_BYTES);
  json_decref(text);
  return !text;
}

void state_call_key(struct state_call *call, const char *kind, const char *id) {
  struct state_part *part = id_is_bad(call, kind, id) ? NULL : next_part(call, 1);
  if (!part) return;
  buffer_add_text(&call->text, STATE_PREFIX);
  buffer_add_text(&call->text, kind);
  buffer_add_text(&call->text, id);
  end_part(call, part);
}

void state_call_keys(struct state_call *call, ...) {
  va_list names;
  va_start(names, call);
  for (const char *name = va_arg(names, const char *); name; name = va_arg(names, const char *))
    state_call_key(call, "", name);
  va_end(names);
}

static void add_argument(struct state_call *call, const char *text, size_t length) {
  struct state_part *part = next_part(call, 0);
  if (!part) return;
  buffer_add(&call->text, text, length);
  end_part(call, part);
}

void state_call_text(struct state_call *call, const char *text) { add_argument(call, text, strlen(text)); }

void state_call_id(struct state_call *call, const char *what, const char *id) {
  if (!id_is_bad(call, what, id)) state_call_text(call, id);
}

void state_call_number(struct state_call *call, int64_t number) {
  char text[24];
  add_argument(call, text, (size_t)snprintf(text, sizeof text, "%" PRId64, number));
}

void state_call_range(struct state_call *call, const char *what, int64_t number, int64_t low, int64_t high) {
  if (number < low || number > high)
    state_call_invalid(call, "%s must be from %" PRId64 " to %" PRId64 ", not %" PRId64, what, low, high, number);
  state_call_number(call, number);
}

void state_call_json(struct state_call *call, const json_t *value) {
  char *text = value ? json_text(value) : NULL;
  if (!text) {
    state_call_invalid(call, "a record must be JSON");
    return;
  }
  size_t length = strlen(text);
  if (length > STATE_JSON_BYTES)
    state_call_invalid(call, "a record must not be longer than %zu bytes", STATE_JSON_BYTES);
  add_argument(call, text, length > STATE_JSON_BYTES ? 0 : length);
  free(text);
}

/* ---- running ---- */

#define COMMAND_PARTS (6 + STATE_CALL_KEYS + STATE_CALL_ARGUMENTS)

struct command {
  int count;
  const char *parts[COMMAND_PARTS];
  size_t lengths[COMMAND_PARTS];
  char key_count[8];
  const char *server; /* the only one that may run it; "": any */
  int names_server;   /* the server that runs it becomes the last part */
};

static void add_part(struct command *command, const char *text, size_t length) {
  command->parts[command->count] = text;
  command->lengths[command->count++] = length;
}

static const char *guard_key(const struct state_call *call) {
  return call->guard == STATE_GUARD_EPOCH ? STATE_PREFIX "epoch" : STATE_PREFIX "rebuild";
}

/* EVALSHA sha keys guard-key keys… guard-value arguments… */
static void assemble(struct command *command, const struct state_call *call) {
  const struct state_script_text *script = &call->state->scripts[call->script];
  const char *guard = guard_key(call);
  command->count = 0;
  command->server = call->server;
  command->names_server = call->names_server;
  snprintf(command->key_count, sizeof command->key_count, "%zu", call->key_count + (size_t)script->guarded);
  add_part(command, "EVALSHA", 7);
  add_part(command, script->sha, 40);
  add_part(command, command->key_count, strlen(command->key_count));
  if (script->guarded) add_part(command, guard, strlen(guard));
  for (size_t i = 0; i < call->key_count; i++)
    add_part(command, call->text.data + call->keys[i].start, call->keys[i].length);
  if (script->guarded) add_part(command, call->guard_value, strlen(call->guard_value));
  for (size_t i = 0; i < call->argument_count; i++)
    add_part(command, call->text.data + call->arguments[i].start, call->arguments[i].length);
}

/* It was demoted while we held a connection to it: the next one asks Sentinel anew. */
static int is_no_master(const redisReply *reply) {
  return reply->type == REDIS_REPLY_ERROR && strstr(reply->str, "READONLY") != NULL;
}

/* Trips to Redis are convoys (base/convoy.h): while two are under way, the commands of other threads gather, and go
 * with the next one, one behind the other on its connection.  Each is a script of its own, and has its own reply. */
static const struct convoy_rules trip_rules = {.at_once = 2, .most = 32};

struct trip { /* one command, and what came of it */
  struct rider rider;
  struct command *command;
  const char *script; /* its text, for a Redis that does not have it; NULL: none */
  redisReply *reply;  /* NULL: error */
  struct error error;
};

static struct trip *next_of(const struct trip *trip) { return (struct trip *)trip->rider.next; }

/* 0 when the command may go to this server, or -1 with the trip's error. */
static int direct(struct trip *trip, const struct state_connection *connection) {
  struct command *command = trip->command;
  if (command->server[0] && strcmp(command->server, connection->server) != 0)
    return error_set(&trip->error, ERROR_FATAL, "epoch",
                     "another Redis server answers now (restarted, or failed over to)");
  if (command->names_server) add_part(command, connection->server, strlen(connection->server));
  return 0;
}

/* Redis does not know the script (yet, or any more): it is sent along. */
static int send_script(struct trip *trip, struct state_connection *connection, int64_t deadline,
                       struct error *failure) {
  struct command *command = trip->command;
  if (!trip->script || trip->reply->type != REDIS_REPLY_ERROR || strncmp(trip->reply->str, "NOSCRIPT", 8) != 0)
    return 0;
  freeReplyObject(trip->reply);
  command->parts[0] = "EVAL";
  command->lengths[0] = 4;
  command->parts[1] = trip->script;
  command->lengths[1] = strlen(trip->script);
  trip->reply =
      state_connection_command(connection, command->count, command->parts, command->lengths, deadline, failure);
  return trip->reply ? 0 : -1;
}

/* All commands, then all their replies.  0, or -1 with *failure: the connection is broken. */
static int exchange(struct state_connection *connection, struct trip *first, int64_t deadline, struct error *failure) {
  for (struct trip *trip = first; trip; trip = next_of(trip)) {
    const struct command *command = trip->command;
    if (direct(trip, connection) == 0 &&
        state_connection_send(connection, command->count, (const char **)command->parts, command->lengths, deadline,
                              failure) != 0)
      return -1;
  }
  for (struct trip *trip = first; trip; trip = next_of(trip))
    if (trip->error.class == ERROR_NONE && !(trip->reply = state_connection_reply(connection, failure))) return -1;
  for (struct trip *trip = first; trip; trip = next_of(trip))
    if (trip->reply && send_script(trip, connection, deadline, failure) != 0) return -1;
  return 0;
}

static void travel(struct state *state, struct trip *first) {
  struct error failure = {0};
  int64_t deadline = clock_monotonic_ms() + state->timeout_ms;
  struct state_connection *connection = state_pool_borrow(&state->pool, deadline, &failure);
  if (connection && exchange(connection, first, deadline, &failure) != 0)
    error_where(&failure, "%s", state->address.text);
  for (struct trip *trip = first; trip; trip = next_of(trip)) {
    if (!trip->reply && trip->error.class == ERROR_NONE) trip->error = failure;
    if (trip->reply && state->address.master && is_no_master(trip->reply))
      state_reply_error(&failure, trip->reply->str, "Sentinel's master");
  }
  if (connection) state_pool_return(&state->pool, connection, failure.class == ERROR_NONE ? NULL : &failure);
}

/* The script's text is sent along when Redis does not know it.  NULL with *error. */
static redisReply *run(struct state *state, struct command *command, const char *script, struct error *error) {
  struct trip trip = {.command = command, .script = script};
  pthread_mutex_lock(&state->trips_lock);
  if (convoy_join(&state->trips, &state->trips_lock, &trip.rider, &trip_rules)) {
    travel(state, &trip);
    pthread_mutex_lock(&state->trips_lock);
    convoy_land(&state->trips, &trip_rules);
    pthread_mutex_unlock(&state->trips_lock);
    convoy_tell(&trip.rider);
  }
  if (!trip.reply && error) *error = trip.error;
  return trip.reply;
}

static int check_call(const struct state_call *call, struct error *error) {
  if (call->invalid.class != ERROR_NONE) {
    if (error) *error = call->invalid;
    return -1;
  }
  if (call->text.failed) return error_set(error, ERROR_FATAL, "memory", "out of memory for a Redis command");
  if (call->state->scripts[call->script].guarded && !call->guard_value[0])
    return error_set(error, ERROR_FATAL, "epoch", "this process has not joined the state in Redis yet");
  return 0;
}

/* "breaker_grant on parapet:v1:epoch, parapet:v1:stop, …": a person finds the planted key with it. */
static void describe(const struct state_call *call, char *text, size_t size) {
  const struct state_script_text *script = &call->state->scripts[call->script];
  size_t length = (size_t)snprintf(text, size, "%s on %s", script->name, script->guarded ? guard_key(call) : "");
  for (size_t i = 0; i < call->key_count && length < size; i++)
    length += (size_t)snprintf(text + length, size - length, "%s%s", i || script->guarded ? ", " : "",
                               call->text.data + call->keys[i].start);
}

redisReply *state_call_run(struct state_call *call, struct error *error) {
  redisReply *reply = NULL;
  if (!check_call(call, error)) {
    struct command command;
    assemble(&command, call);
    reply = run(call->state, &command, call->state->scripts[call->script].text, error);
  }
  if (reply && reply->type == REDIS_REPLY_ERROR) {
    char what[448];
    describe(call, what, sizeof what);
    state_reply_error(error, reply->str, what);
    error_where(error, "%s", call->state->address.text);
    freeReplyObject(reply);
    reply = NULL;
  }
  buffer_free(&call->text);
  return reply;
}

int state_call_done(struct state_call *call, struct error *error) {
  redisReply *reply = state_call_run(call, error);
  if (!reply) return -1;
  freeReplyObject(reply);
  return 0;
}

int state_call_integer(struct state_call *call, int64_t *value, struct error *error) {
  redisReply *reply = state_call_run(call, error);
  if (!reply) return -1;
  int failed = reply->type != REDIS_REPLY_INTEGER;
  if (failed) state_reply_unexpected(error);
  *value = failed ? 0 : reply->integer;
  freeReplyObject(reply);
  return failed ? -1 : 0;
}

int state_call_flag(struct state_call *call, struct error *error) {
  int64_t value = 0;
  return state_call_integer(call, &value, error) ? -1 : value != 0;
}

int state_call_record(struct state_call *call, json_t **value, struct error *error) {
  *value = NULL;
  redisReply *reply = state_call_run(call, error);
  if (!reply) return -1;
  int absent = reply->type == REDIS_REPLY_NIL;
  if (!absent) *value = state_record(reply, error);
  freeReplyObject(reply);
  return absent || *value ? 0 : -1;
}

int state_call_records(struct state_call *call, json_t **list, struct error *error) {
  *list = NULL;
  redisReply *reply = state_call_run(call, error);
  if (!reply) return -1;
  *list = state_reply_records(reply, error);
  freeReplyObject(reply);
  return *list ? 0 : -1;
}

int state_call_numbers(struct state_call *call, json_t **object, struct error *error) {
  *object = NULL;
  redisReply *reply = state_call_run(call, error);
  if (!reply) return -1;
  json_t *all = state_reply_rows(reply, 0, 2, error) ? NULL : json_object();
  for (size_t i = 0; all && i < reply->elements; i += 2)
    if (json_object_set_new(all, reply->element[i]->str,
                            json_integer((json_int_t)state_reply_number(reply->element[i + 1])))) {
      error_set(error, ERROR_FATAL, "record", "a field in Redis was not written by Parapet");
      json_decref(all);
      all = NULL;
    }
  freeReplyObject(reply);
  *object = all;
  return all ? 0 : -1;
}

redisReply *state_command(struct state *state, const char *what, struct error *error, ...) {
  struct command command = {.server = ""};
  va_list parts;
  va_start(parts, error);
  for (const char *part = va_arg(parts, const char *); part; part = va_arg(parts, const char *))
    add_part(&command, part, strlen(part));
  va_end(parts);
  redisReply *reply = run(state, &command, NULL, error);
  if (!reply || reply->type != REDIS_REPLY_ERROR) return reply;
  state_reply_error(error, reply->str, what);
  error_where(error, "%s", state->address.text);
  freeReplyObject(reply);
  return NULL;
}
