/* Inside common/state: what its .c files share.  Nobody else includes this (it includes hiredis).
 *
 * One call = one Lua script = one round trip, which calls of several threads may share.  Every script but the two that
 * make an epoch starts with prelude.lua: KEYS[1] is the guard's key and ARGV[1] the value it must hold, otherwise the
 * script does nothing and answers EPOCH. The guard is the epoch for a process that joined, and the rebuild lock for the
 * one that rebuilds: so both write with the same scripts. */
#ifndef PARAPET_STATE_INTERNAL_H
#define PARAPET_STATE_INTERNAL_H

#include <hiredis.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/buffer.h"
#include "base/convoy.h"
#include "state/exception_index.h"
#include "state/state.h"

#define STATE_PREFIX "parapet:v1:"
#define STATE_REBUILD_LOCK_MS 60000
#define STATE_EPOCH_SIZE 128
#define STATE_SERVER_SIZE 64 /* a Redis process' run_id */
#define STATE_SENTINELS 8
#define STATE_ID_BYTES 1024                /* the longest id, subject, scope … from outside */
#define STATE_STATUS_BYTES 31              /* fits the caller's `was` */
#define STATE_SCOPE_BYTES 127              /* fits the caller's `refusing` */
#define STATE_JSON_BYTES ((size_t)1 << 20) /* the longest record */
#define STATE_LIST_LIMIT 10000             /* the longest list given out at once */
#define STATE_TTL_MS ((int64_t)400 * 86400000)

/* ---- address.c ---- */
struct state_host {
  char *host;
  int port;
};
struct state_address {
  char *host, *path;     /* one of them; path: a unix socket; neither: the master is asked for */
  char *user, *password; /* NULL: none */
  int port, database;
  int tls;
  char *master; /* its name, known to these Sentinels; NULL: none */
  struct state_host sentinels[STATE_SENTINELS];
  size_t sentinel_count;
  char text[256]; /* the URL without its secrets, for messages */
};
int state_address_parse(struct state_address *address, const char *url, struct error *error);
void state_address_free(struct state_address *address);

/* ---- reply.c ---- */
/* An error reply's text as *error; `what` names script and keys.  Returns -1. */
int state_reply_error(struct error *error, const char *text, const char *what);
/* 0 when the reply is an array whose elements have these types: i integer, s string; else -1 with *error. */
int state_reply_shape(const redisReply *reply, const char *types, struct error *error);
/* 0 when the reply is an array of strings, whole rows of `columns`, after `skip` elements of any type; else -1. */
int state_reply_rows(const redisReply *reply, size_t skip, size_t columns, struct error *error);
/* 0 when the reply is an array of so many integers, else -1. */
int state_reply_integers(const redisReply *reply, size_t count, struct error *error);
int state_reply_unexpected(struct error *error); /* the error of them all: another shape; -1 */
/* New array of the JSON texts in the array of strings, or NULL with *error. */
json_t *state_reply_records(const redisReply *reply, struct error *error);
/* A record's text as JSON: new, or NULL with *error (FATAL "record": somebody else wrote under our keys). */
json_t *state_record(const redisReply *text, struct error *error);
int64_t state_reply_number(const redisReply *reply); /* an integer, or a string that holds a number; else 0 */

/* ---- sentinel.c ---- */
/* Where the master is now, by the first Sentinel that knows: 0 with *master (host is new), or -1 with *error. */
int state_sentinel_find(const struct state_address *address, int64_t deadline, struct state_host *master,
                        struct error *error);

/* ---- tls.c ---- */
int state_tls_available(void);
/* The handshake on a connection to `host`, within its timeout: 0, or -1 with *error ("tls"). */
int state_tls_begin(redisContext *context, const char *host, struct error *error);

/* ---- connection.c ---- */
struct state_connection {
  redisContext *context;
  struct state_connection *next;
  int64_t timeout_ms;
  char server[STATE_SERVER_SIZE]; /* which Redis process it leads to */
  unsigned era;                   /* the pool's when it was opened */
};
/* Both wait until `deadline` (monotonic ms) at most.  NULL with *error.  By Sentinel: "host:port" of the master into
 * `master_text`. */
struct state_connection *state_connection_open(const struct state_address *address, int64_t deadline, char *master_text,
                                               size_t size, struct error *error);
/* One command, which may not be on its way yet; and the reply to the first one that has none (error replies too).  -1
 * or NULL with *error: then the connection is broken. */
int state_connection_send(struct state_connection *connection, int count, const char **parts, const size_t *lengths,
                          int64_t deadline, struct error *error);
redisReply *state_connection_reply(struct state_connection *connection, struct error *error);
/* Both. */
redisReply *state_connection_command(struct state_connection *connection, int count, const char **parts,
                                     const size_t *lengths, int64_t deadline, struct error *error);
/* The value of "name:value" in an INFO reply, without its line's end; "" when it is not there. */
void state_info_value(const char *info, const char *name, char *value, size_t size);
int state_connection_healthy(const struct state_connection *connection); /* idle and not closed by the other side */
void state_connection_close(struct state_connection *connection);

/* ---- connection_pool.c ---- */
struct state_pool {
  const struct state_address *address;
  pthread_mutex_t lock; /* guards everything below */
  struct state_connection *idle;
  int failing;             /* the last attempt failed: one caller at a time tries again, the others fail at once */
  int probing;             /* that one caller is at it */
  int64_t retry_at;        /* monotonic: nobody tries before */
  unsigned era;            /* +1 when all connections are to be closed: the master is another */
  char master[160];        /* by Sentinel: "host:port" that the newest connection leads to */
  struct error last_error; /* what the others are told */
};
int state_pool_init(struct state_pool *pool, const struct state_address *address, struct error *error);
void state_pool_destroy(struct state_pool *pool);
struct state_connection *state_pool_borrow(struct state_pool *pool, int64_t deadline, struct error *error);
/* failure NULL: works, goes back.  Otherwise: broken, closed, and callers fail fast for a moment. */
/* Sentinel only: is the master still where the connections lead to?  If not, they are all closed, as they come back. 0,
 * or -1 with *error when no Sentinel answers. */
int state_pool_follow(struct state_pool *pool, int64_t deadline, struct error *error);
void state_pool_return(struct state_pool *pool, struct state_connection *connection, const struct error *failure);

/* ---- scripts.c: each is the file of its name, guarded ones after prelude.lua ---- */
#define STATE_SCRIPTS(X)   \
  X(epoch_join, 0)         \
  X(epoch_create, 0)       \
  X(epoch_void, 1)         \
  X(get, 1)                \
  X(stop_set, 1)           \
  X(set, 1)                \
  X(set_new, 1)            \
  X(drop, 1)               \
  X(hash_get, 1)           \
  X(hash_all, 1)           \
  X(hash_set, 1)           \
  X(hash_drop, 1)          \
  X(count, 1)              \
  X(exception_put, 1)      \
  X(exception_remove, 1)   \
  X(exception_changes, 1)  \
  X(exception_use, 1)      \
  X(exception_expiring, 1) \
  X(set_drop, 1)           \
  X(peek, 1)               \
  X(known, 1)              \
  X(marked, 1)             \
  X(breaker_grant, 1)      \
  X(breaker_set, 1)        \
  X(breaker_put, 1)        \
  X(breaker_scopes, 1)     \
  X(window_put, 1)         \
  X(breaker_read, 1)       \
  X(breaker_outcome, 1)    \
  X(breaker_probe, 1)      \
  X(population, 1)         \
  X(fight_round, 1)        \
  X(fight_rounds, 1)       \
  X(fight_declare, 1)      \
  X(fight_reset, 1)        \
  X(fight_list, 1)         \
  X(intent_put, 1)         \
  X(intent_drop, 1)        \
  X(budget_take, 1)        \
  X(budget_slow, 1)        \
  X(lease_take, 1)         \
  X(lease_drop, 1)         \
  X(may_mutate, 1)         \
  X(park, 1)               \
  X(parked_release, 1)     \
  X(parked_take, 1)        \
  X(parked_list, 1)        \
  X(unpark, 1)             \
  X(finding_put, 1)        \
  X(finding_drop, 1)       \
  X(finding_list, 1)       \
  X(finding_place, 1)      \
  X(finding_counts, 1)     \
  X(notice_add, 1)         \
  X(notice_due, 1)         \
  X(notice_take, 1)        \
  X(notice_done, 1)        \
  X(notice_backlog, 1)     \
  X(tick_claim, 1)         \
  X(tick_done, 1)          \
  X(accounts_claim, 1)     \
  X(accounts_put, 1)       \
  X(accounts_get, 1)       \
  X(accounts_ask, 1)       \
  X(heartbeat, 1)          \
  X(workers, 1)            \
  X(action_put, 1)         \
  X(action_list, 1)        \
  X(approval_put, 1)       \
  X(baseline_put, 1)       \
  X(baseline_get, 1)       \
  X(command_begin, 1)
enum state_script {
#define X(name, guarded) STATE_SCRIPT_##name,
  STATE_SCRIPTS(X)
#undef X
      STATE_SCRIPT_COUNT
};
struct state_script_text {
  const char *name;
  int guarded;
  char *text;
  char sha[41];
};
int state_scripts_load(struct state_script_text scripts[STATE_SCRIPT_COUNT], struct error *error);
void state_scripts_free(struct state_script_text scripts[STATE_SCRIPT_COUNT]);

/* ---- the handle ---- */
struct state {
  struct state_address address;
  struct state_pool pool;
  pthread_mutex_t trips_lock;
  struct convoy trips;                                  /* to Redis: call.c */
  struct state_script_text scripts[STATE_SCRIPT_COUNT]; /* immutable after state_open */
  int64_t timeout_ms;
  char *owner;
  char rebuild_token[STATE_EPOCH_SIZE];   /* what the rebuild lock holds when it is ours */
  char rebuild_server[STATE_SERVER_SIZE]; /* where it was taken; only the rebuilding thread uses it */

  pthread_mutex_t lock;         /* guards the four below */
  char epoch[STATE_EPOCH_SIZE]; /* "" until joined */
  uint64_t generation;          /* +1 at each join: what was remembered under an older one is void */
  int64_t grants;               /* the highest serial of a grant seen in this generation: a lower one = rolled back */
  int64_t exceptions_seen;      /* the same for the exceptions' version */

  struct state_exception_copy {
    pthread_mutex_t refresh; /* one thread at a time loads changes */
    pthread_rwlock_t lock;   /* guards the rest: lookups read, the refreshing thread writes */
    uint64_t generation;
    int64_t version, validated_at /* monotonic */;
    struct exception_index *index;
  } exceptions;
};

/* ---- call.c ---- */
#define STATE_CALL_KEYS 68
#define STATE_CALL_ARGUMENTS 68
enum state_guard { STATE_GUARD_EPOCH, STATE_GUARD_REBUILD };
struct state_part {
  size_t start, length;
};
struct state_call {
  struct state *state;
  enum state_script script;
  enum state_guard guard;
  uint64_t generation; /* the joined epoch's at state_call_begin */
  char guard_value[STATE_EPOCH_SIZE];
  char server[STATE_SERVER_SIZE]; /* the only Redis process that may run it; "": any */
  int names_server;               /* its last argument is the server that runs it */
  struct state_part keys[STATE_CALL_KEYS], arguments[STATE_CALL_ARGUMENTS];
  size_t key_count, argument_count;
  struct buffer text;
  struct error invalid; /* what the caller gave cannot be sent: state_call_run says so */
};
void state_call_begin(struct state_call *call, struct state *state, enum state_script script);
void state_call_begin_guarded(struct state_call *call, struct state *state, enum state_script script,
                              enum state_guard guard);
/* Keys, without the prefix; the guard's own key comes first by itself. */
void state_call_keys(struct state_call *call, ...) __attribute__((sentinel));
void state_call_key(struct state_call *call, const char *kind, const char *id); /* kind + id */
/* Arguments; the guard's value comes first by itself. */
void state_call_text(struct state_call *call, const char *text);
void state_call_id(struct state_call *call, const char *what, const char *id); /* text with 1..STATE_ID_BYTES */
void state_call_number(struct state_call *call, int64_t number);
void state_call_range(struct state_call *call, const char *what, int64_t number, int64_t low, int64_t high);
void state_call_json(struct state_call *call, const json_t *value);
void state_call_invalid(struct state_call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Each ends the call (the struct may be begun again). */
redisReply *state_call_run(struct state_call *call, struct error *error); /* never an error reply; NULL with *error */
int state_call_done(struct state_call *call, struct error *error);        /* whatever the reply: 0 or -1 */
int state_call_integer(struct state_call *call, int64_t *value, struct error *error);
int state_call_flag(struct state_call *call, struct error *error);                     /* 1, 0 or -1 */
int state_call_record(struct state_call *call, json_t **value, struct error *error);   /* new or NULL */
int state_call_records(struct state_call *call, json_t **list, struct error *error);   /* new array */
int state_call_numbers(struct state_call *call, json_t **object, struct error *error); /* {field: number}, new */
/* One command without a script, for state_check.  NULL with *error; error replies are errors here too. */
redisReply *state_command(struct state *state, const char *what, struct error *error, ...) __attribute__((sentinel));

/* ---- the modules' own, shared with state_rebuild (epoch.c) ---- */
/* A time in a record: RFC 3339 text or wall ms; 0, or -1 when it is neither. */
int state_time_of(const json_t *record, const char *member, int64_t *wall_ms);
/* The epoch in Redis is not to be trusted any more (it went back in time): removes it.  Always -1 with "epoch". */
int state_epoch_void(struct state *state, struct error *error);
typedef int state_rebuild_put(struct state *state, const char *id, const json_t *value /* NULL: deleted */,
                              enum state_guard guard, struct error *error);
state_rebuild_put state_stop_store, state_exception_store, state_breaker_store, state_grant_store, state_parked_store,
    state_intent_store, state_rollout_store, state_finding_store, state_approval_store, state_baseline_store;
void state_call_scope(struct state_call *call, const char *kind, const char *scope); /* a key of a breaker's scope */
/* The highest serial of a grant that was seen in this generation of the epoch; and one that was seen. */
int64_t state_grants_seen(struct state *state, uint64_t generation);
void state_grants_note(struct state *state, uint64_t generation, int64_t serial);
void state_finding_keys(struct state_call *call);
void state_finding_place(struct state_call *call, const char *guardrail, const char *account, const char *region);
int state_finding_counts_as_open(const char *status); /* is a violation behind it still there? */
/* Writes the finding if the record there still has the text `instead_of`; *written 0: it has not. */
int state_finding_replace(struct state *state, const json_t *finding, const char *instead_of, int *written,
                          struct error *error);
int state_exceptions_init(struct state *state, struct error *error);
void state_exceptions_destroy(struct state *state);

#endif
