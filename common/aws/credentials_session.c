/* Sessions: credentials that are fetched once for everybody and kept fresh.
 *
 * A session's life: fetched by whoever needs it first, while all others who need it wait for that one fetch; used until
 * 15 minutes before it expires, then renewed by the background thread while callers go on with what they have; and not
 * handed out any more in its last 10 minutes, when callers fetch themselves (a session of less than an hour: a quarter
 * and a sixth of its life).  A failed fetch is remembered for a moment, so that an account whose role is gone does not
 * turn every unit of work into a call of STS.
 *
 * Locks: `sessions->lock` guards the table and is taken before a session's own; `session->lock` guards the session's
 * credentials and state, and is never held while fetching.  A session is freed by the last who holds it; the table
 * holds one reference, and gives new ones only under its lock. */
#include <openssl/evp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "aws/client_internal.h"
#include "aws/session_internal.h"
#include "base/clock.h"
#include "base/log.h"

#define BUCKETS 4096
#define SESSIONS_LIMIT 16384
#define ROUND_SESSIONS 256

#define AHEAD_MS ((int64_t)15 * 60 * 1000)
#define MANDATORY_MS ((int64_t)10 * 60 * 1000)
#define LAST_RESORT_MS 60000 /* a session that can't be renewed is used until this long before its end */
#define DENIED_KEPT_MS 30000
#define FAILED_KEPT_MS 1000
#define IN_USE_MS ((int64_t)30 * 60 * 1000)    /* renewed ahead only when used this recently */
#define FORGOTTEN_MS ((int64_t)90 * 60 * 1000) /* dropped when unused this long */
#define BACKGROUND_FETCH_MS 15000
#define BACKGROUND_RETRY_MS 60000
#define ROUND_MOST_MS 30000
#define ROUND_LEAST_MS 1000

struct aws_session {
  struct aws_session *next; /* in its bucket; table's lock */
  char key[65];
  json_t *params;
  aws_session_fetch *fetch;
  _Atomic int references;
  _Atomic int64_t last_used_ms; /* monotonic */

  pthread_mutex_t lock; /* guards what follows */
  pthread_cond_t landed;
  struct aws_credentials *current;
  int64_t ahead_ms, mandatory_ms; /* AWS's wall clock; of `current` */
  int fetching;
  unsigned flights;                              /* fetches ended */
  struct error failure;                          /* of the last fetch; class NONE: it succeeded */
  int64_t failure_until_ms, background_after_ms; /* monotonic */
};

struct aws_sessions {
  struct aws_client *client;
  struct aws_session *base;
  pthread_mutex_t lock; /* guards what follows */
  pthread_cond_t wake;
  struct aws_session *buckets[BUCKETS];
  size_t count;
  int poked, stopping, running;
  pthread_t thread;
};

struct aws_session *aws_sessions_base(struct aws_sessions *sessions) {
  return sessions->base;
}
struct aws_client *aws_sessions_client(struct aws_sessions *sessions) {
  return sessions->client;
}

size_t aws_sessions_count(struct aws_sessions *sessions) {
  pthread_mutex_lock(&sessions->lock);
  size_t count = sessions->count;
  pthread_mutex_unlock(&sessions->lock);
  return count;
}

/* ---- one session ---- */

static struct aws_session *make_session(const char *key, json_t *params, aws_session_fetch *fetch) {
  struct aws_session *session = calloc(1, sizeof *session);
  if (!session || pthread_mutex_init(&session->lock, NULL) != 0) goto none;
  if (clock_condition_init(&session->landed) != 0) {
    pthread_mutex_destroy(&session->lock);
    goto none;
  }
  memcpy(session->key, key, sizeof session->key);
  session->params = json_incref(params);
  session->fetch = fetch;
  atomic_store(&session->references, 1);
  return session;
none:
  free(session);
  return NULL;
}

static void drop_reference(struct aws_session *session) {
  if (atomic_fetch_sub(&session->references, 1) != 1) return;
  aws_credentials_release(session->current);
  json_decref(session->params);
  pthread_cond_destroy(&session->landed);
  pthread_mutex_destroy(&session->lock);
  free(session);
}

static int64_t smaller(int64_t left, int64_t right) { return left < right ? left : right; }

/* Under the session's lock.  Takes the reference. */
static void land_success(struct aws_session *session, struct aws_credentials *credentials) {
  aws_credentials_release(session->current);
  session->current = credentials;
  session->ahead_ms = session->mandatory_ms = INT64_MAX;
  error_clear(&session->failure);
  session->failure_until_ms = 0;
  if (credentials->expires_ms == 0) return;
  int64_t life = credentials->expires_ms - credentials->obtained_ms;
  session->ahead_ms = credentials->expires_ms - smaller(AHEAD_MS, life / 4);
  session->mandatory_ms = credentials->expires_ms - smaller(MANDATORY_MS, life / 6);
}

/* Whose own deadline cut the fetch speaks for nobody else; AssumeRole's pace may leave room before another's. */
static int cut_short(const struct error *error, int64_t now, int64_t deadline_ms) {
  return error_is_transient(error) && (now >= deadline_ms || strcmp(error->code, AWS_CODE_BUDGET) == 0);
}

/* Under the session's lock. */
static void land_failure(struct aws_session *session, const struct error *error, int64_t now, int64_t deadline_ms) {
  int transient = error_is_transient(error);
  session->failure = *error;
  session->failure_until_ms = now + (transient ? FAILED_KEPT_MS : DENIED_KEPT_MS);
  if (cut_short(error, now, deadline_ms)) session->failure_until_ms = 0;
  session->background_after_ms = now + BACKGROUND_RETRY_MS;
}

/* Fetches, with `fetching` set by the caller and the session's lock held, which is let go meanwhile.  0 or -1. */
static int fly(struct aws_client *client, struct aws_session *session, int64_t deadline_ms) {
  struct aws_fetch fetch = {.client = client, .deadline_ms = deadline_ms};
  struct aws_credentials *credentials = NULL;
  struct error error = {0};
  pthread_mutex_unlock(&session->lock);
  int result = session->fetch(&fetch, session->params, &credentials, &error);
  pthread_mutex_lock(&session->lock);
  if (result == 0)
    land_success(session, credentials);
  else
    land_failure(session, &error, aws_client_now(client), deadline_ms);
  session->fetching = 0;
  session->flights++;
  pthread_cond_broadcast(&session->landed);
  return result;
}

/* May what we have be used although it could not be renewed? */
static int last_resort(struct aws_client *client, const struct aws_session *session) {
  if (!session->current || !error_is_transient(&session->failure)) return 0;
  return aws_client_aws_time(client) < session->current->expires_ms - LAST_RESORT_MS;
}

static int hand_out(struct aws_session *session, struct aws_credentials **credentials) {
  *credentials = aws_credentials_share(session->current);
  return 0;
}

static int hand_failure(struct aws_client *client, struct aws_session *session, struct aws_credentials **credentials,
                        struct error *error) {
  if (last_resort(client, session)) return hand_out(session, credentials);
  if (error) *error = session->failure;
  return -1;
}

/* Waits for the fetch under way; 0 when it landed, -1 when the deadline came first. */
static int wait_for_flight(struct aws_client *client, struct aws_session *session, int64_t deadline_ms) {
  unsigned flight = session->flights;
  while (session->fetching && session->flights == flight) {
    int64_t left = deadline_ms - aws_client_now(client);
    if (left <= 0) return -1;
    clock_condition_wait(&session->landed, &session->lock, clock_monotonic_ms() + (left < 1000 ? left : 1000));
  }
  return 0;
}

/* Under the session's lock: aws_session_credentials but for the locking. */
static int obtain(struct aws_client *client, struct aws_session *session, int64_t deadline_ms,
                  struct aws_credentials **credentials, struct error *error) {
  for (int waited = 0;; waited = 1) {
    int64_t now = aws_client_now(client);
    if (session->current && aws_client_aws_time(client) < session->mandatory_ms) return hand_out(session, credentials);
    if (waited && session->current && session->failure.class == ERROR_NONE) return hand_out(session, credentials);
    if (session->failure.class != ERROR_NONE && now < session->failure_until_ms)
      return hand_failure(client, session, credentials, error);
    if (now >= deadline_ms) break;
    if (!session->fetching) {
      session->fetching = 1;
      if (fly(client, session, deadline_ms) != 0) return hand_failure(client, session, credentials, error);
      return hand_out(session, credentials);
    }
    if (wait_for_flight(client, session, deadline_ms) != 0) break;
  }
  return error_set(error, ERROR_RETRYABLE, AWS_CODE_DEADLINE, "the deadline passed while waiting for credentials");
}

/* Under the session's lock: is it time to renew it ahead, and nobody at it? */
static int wants_renewal(struct aws_client *client, const struct aws_session *session) {
  return session->current && !session->fetching && aws_client_aws_time(client) >= session->ahead_ms &&
         aws_client_now(client) >= session->background_after_ms;
}

static void poke_thread(struct aws_sessions *sessions) {
  pthread_mutex_lock(&sessions->lock);
  sessions->poked = 1;
  pthread_cond_signal(&sessions->wake);
  pthread_mutex_unlock(&sessions->lock);
}

int aws_session_credentials(struct aws_sessions *sessions, struct aws_session *session, int64_t deadline_ms,
                            struct aws_credentials **credentials, struct error *error) {
  struct aws_client *client = sessions->client;
  atomic_store(&session->last_used_ms, aws_client_now(client));
  pthread_mutex_lock(&session->lock);
  int result = obtain(client, session, deadline_ms, credentials, error);
  int due = wants_renewal(client, session);
  pthread_mutex_unlock(&session->lock);
  if (due) poke_thread(sessions);
  return result;
}

void aws_session_reject(struct aws_session *session, const struct aws_credentials *credentials) {
  pthread_mutex_lock(&session->lock);
  if (session->current == credentials) {
    aws_credentials_release(session->current);
    session->current = NULL;
  }
  pthread_mutex_unlock(&session->lock);
}

/* ---- the table ---- */

static struct aws_session **bucket_of(struct aws_sessions *sessions, const char *key) {
  unsigned long hash = strtoul((char[]){key[0], key[1], key[2], key[3], '\0'}, NULL, 16);
  return &sessions->buckets[hash % BUCKETS];
}

static void hash_key(const char *text, char key[65]) {
  unsigned char digest[EVP_MAX_MD_SIZE] = {0};
  EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL);
  for (size_t i = 0; i < 32; i++) {
    static const char digits[] = "0123456789abcdef";
    key[2 * i] = digits[digest[i] >> 4];
    key[2 * i + 1] = digits[digest[i] & 15];
  }
  key[64] = '\0';
}

/* Unlinks the session from its bucket and lets the table's reference go.  Under the table's lock. */
static void forget(struct aws_sessions *sessions, struct aws_session **link) {
  struct aws_session *session = *link;
  *link = session->next;
  sessions->count--;
  drop_reference(session);
}

static int is_idle(const struct aws_session *session) { return atomic_load(&session->references) == 1; }

/* Under the table's lock: the least recently used session that nobody holds goes.  0, or -1 when there is none. */
static int make_room(struct aws_sessions *sessions) {
  struct aws_session **oldest = NULL;
  for (size_t i = 0; i < BUCKETS; i++)
    for (struct aws_session **link = &sessions->buckets[i]; *link; link = &(*link)->next)
      if (is_idle(*link) && (!oldest || atomic_load(&(*link)->last_used_ms) < atomic_load(&(*oldest)->last_used_ms)))
        oldest = link;
  if (!oldest) return -1;
  forget(sessions, oldest);
  return 0;
}

/* Under the table's lock. */
static struct aws_session *add_session(struct aws_sessions *sessions, const char *key, json_t *params,
                                       aws_session_fetch *fetch) {
  if (sessions->count >= SESSIONS_LIMIT && make_room(sessions) != 0) return NULL;
  struct aws_session *session = make_session(key, params, fetch);
  if (!session) return NULL;
  struct aws_session **bucket = bucket_of(sessions, key);
  session->next = *bucket;
  *bucket = session;
  sessions->count++;
  return session;
}

/* Under the table's lock: one more reference to the session of that key, or NULL. */
static struct aws_session *look_up(struct aws_sessions *sessions, const char *key) {
  struct aws_session *session = *bucket_of(sessions, key);
  while (session && strcmp(session->key, key) != 0) session = session->next;
  if (!session) return NULL;
  atomic_fetch_add(&session->references, 1);
  atomic_store(&session->last_used_ms, aws_client_now(sessions->client));
  return session;
}

struct aws_session *aws_sessions_known(struct aws_sessions *sessions, const char *text) {
  char key[65];
  hash_key(text, key);
  pthread_mutex_lock(&sessions->lock);
  struct aws_session *session = look_up(sessions, key);
  pthread_mutex_unlock(&sessions->lock);
  return session;
}

struct aws_session *aws_sessions_get(struct aws_sessions *sessions, const char *text, json_t *params,
                                     aws_session_fetch *fetch, struct error *error) {
  char key[65];
  hash_key(text, key);
  pthread_mutex_lock(&sessions->lock);
  struct aws_session *session = look_up(sessions, key);
  if (!session && add_session(sessions, key, params, fetch)) session = look_up(sessions, key);
  pthread_mutex_unlock(&sessions->lock);
  if (!session)
    error_set(error, ERROR_FATAL, "Sessions", "more than %d sessions in use, or out of memory", SESSIONS_LIMIT);
  return session;
}

void aws_session_release(struct aws_sessions *sessions, struct aws_session *session) {
  (void)sessions;
  if (session) drop_reference(session);
}

/* ---- the background thread ---- */

/* How long until the session wants to be renewed ahead; INT64_MAX: not at all. */
static int64_t due_in(struct aws_client *client, struct aws_session *session) {
  int64_t now = aws_client_now(client), due = INT64_MAX;
  if (now - atomic_load(&session->last_used_ms) > IN_USE_MS) return INT64_MAX;
  pthread_mutex_lock(&session->lock);
  if (session->current && !session->fetching && session->ahead_ms != INT64_MAX) {
    due = session->ahead_ms - aws_client_aws_time(client);
    if (due < session->background_after_ms - now) due = session->background_after_ms - now;
  }
  pthread_mutex_unlock(&session->lock);
  return due;
}

/* Collects (and holds) the sessions that are due, forgets those long unused; *next gets the next due time. */
static size_t collect_due(struct aws_sessions *sessions, struct aws_session **due, int64_t *next) {
  size_t count = 0;
  int64_t now = aws_client_now(sessions->client);
  pthread_mutex_lock(&sessions->lock);
  for (size_t i = 0; i < BUCKETS; i++) {
    for (struct aws_session **link = &sessions->buckets[i]; *link;) {
      struct aws_session *session = *link;
      if (is_idle(session) && now - atomic_load(&session->last_used_ms) > FORGOTTEN_MS) {
        forget(sessions, link);
        continue;
      }
      int64_t left = due_in(sessions->client, session);
      if (left <= 0 && count < ROUND_SESSIONS) {
        atomic_fetch_add(&session->references, 1);
        due[count++] = session;
      } else if (left < *next) {
        *next = left;
      }
      link = &session->next;
    }
  }
  pthread_mutex_unlock(&sessions->lock);
  return count;
}

static void renew(struct aws_client *client, struct aws_session *session) {
  struct error failure = {0};
  pthread_mutex_lock(&session->lock);
  if (!session->fetching) {
    session->fetching = 1;
    if (fly(client, session, aws_client_now(client) + BACKGROUND_FETCH_MS) != 0) failure = session->failure;
  }
  pthread_mutex_unlock(&session->lock);
  if (failure.class != ERROR_NONE) log_warn("a session could not be renewed ahead", LOG_ERROR(&failure));
}

int64_t aws_sessions_refresh(struct aws_sessions *sessions) {
  struct aws_session *due[ROUND_SESSIONS];
  int64_t next = ROUND_MOST_MS;
  size_t count = collect_due(sessions, due, &next);
  for (size_t i = 0; i < count; i++) {
    renew(sessions->client, due[i]);
    drop_reference(due[i]);
  }
  if (count == ROUND_SESSIONS) return 0;
  return next < ROUND_LEAST_MS ? ROUND_LEAST_MS : next;
}

static void *refresh_thread(void *argument) {
  struct aws_sessions *sessions = argument;
  pthread_mutex_lock(&sessions->lock);
  int64_t wait = ROUND_LEAST_MS;
  while (!sessions->stopping) {
    if (wait > 0 && !sessions->poked)
      clock_condition_wait(&sessions->wake, &sessions->lock, clock_monotonic_ms() + wait);
    if (sessions->stopping) break;
    sessions->poked = 0;
    pthread_mutex_unlock(&sessions->lock);
    wait = aws_sessions_refresh(sessions);
    pthread_mutex_lock(&sessions->lock);
  }
  pthread_mutex_unlock(&sessions->lock);
  aws_thread_end();
  return NULL;
}

/* The thread takes no signals: those are the program's. */
static int start_thread(struct aws_sessions *sessions) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int result = pthread_create(&sessions->thread, NULL, refresh_thread, sessions);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  sessions->running = result == 0;
  return result == 0 ? 0 : -1;
}

struct aws_sessions *aws_sessions_open(struct aws_client *client, struct error *error) {
  struct aws_sessions *sessions = calloc(1, sizeof *sessions);
  if (!sessions) goto none;
  sessions->client = client;
  if (pthread_mutex_init(&sessions->lock, NULL) != 0) goto none;
  if (clock_condition_init(&sessions->wake) != 0) {
    pthread_mutex_destroy(&sessions->lock);
    goto none;
  }
  sessions->base = aws_sessions_get(sessions, "", NULL, aws_fetch_base, NULL);
  if (sessions->base && (client->hooks.no_thread || start_thread(sessions) == 0)) return sessions;
  aws_sessions_close(sessions);
  sessions = NULL;
none:
  free(sessions);
  error_set(error, ERROR_FATAL, "Sessions", "the credentials' sessions cannot be set up: memory or threads are out");
  return NULL;
}

static void stop_thread(struct aws_sessions *sessions) {
  pthread_mutex_lock(&sessions->lock);
  sessions->stopping = 1;
  pthread_cond_signal(&sessions->wake);
  pthread_mutex_unlock(&sessions->lock);
  if (sessions->running) pthread_join(sessions->thread, NULL);
}

void aws_sessions_close(struct aws_sessions *sessions) {
  if (!sessions) return;
  stop_thread(sessions);
  aws_session_release(sessions, sessions->base);
  for (size_t i = 0; i < BUCKETS; i++)
    while (sessions->buckets[i]) forget(sessions, &sessions->buckets[i]);
  pthread_cond_destroy(&sessions->wake);
  pthread_mutex_destroy(&sessions->lock);
  free(sessions);
}
