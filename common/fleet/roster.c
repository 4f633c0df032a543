#include "fleet/roster.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "fleet/organization.h"

enum {
  PASS_MS = 1000, /* and up to as much again: the fleet's processes do not ask Redis in step */
  HURRY_MS = 30000,
  CLAIM_MS = 60000,
  COMES_WITHIN_MS = 60000,
  STRANGE_MS = 600000, /* how long a stranger is one before the list is asked for again */
  STRANGERS = 256
};

struct stranger { /* an account that somebody named and the list has not got */
  char id[13];
  struct roster_ticket ticket;
};

struct roster {
  struct roster_options options;
  pthread_t thread;

  /* the thread's own */
  struct accounts *file;
  json_t *members;
  int64_t list_ms;    /* Redis' time at which the list was begun that `members` are */
  uint64_t seen_file; /* its stamp */
  uint64_t pending;   /* the ticket that is waited for; 0: none … */
  int64_t pending_ms; /* … since, by Redis' clock */

  pthread_mutex_t lock; /* guards what follows; `current` is immutable, the pointer is not */
  pthread_cond_t changed;
  struct accounts *current;
  struct stranger strangers[STRANGERS]; /* those met last */
  uint64_t tickets, answered;           /* given out; all up to this one have their list */
  int stopping;
  char file_trouble[512], list_trouble[512];
  int64_t listed_ms;
};

/* ---- what is in force ---- */
struct accounts *roster_accounts(struct roster *roster) {
  pthread_mutex_lock(&roster->lock);
  struct accounts *accounts = accounts_hold(roster->current);
  pthread_mutex_unlock(&roster->lock);
  return accounts;
}

static void log_difference(const struct accounts *old, const struct accounts *fresh) {
  for (size_t i = 0; i < accounts_count(fresh); i++) {
    const struct account *account = accounts_at(fresh, i);
    if (!accounts_find(old, account->id))
      log_info("an account joined", LOG_TEXT("account", account->id), LOG_TEXT("name", account->name),
               LOG_TEXT("environment", account->environment), LOG_TEXT("unit", account->unit));
  }
  for (size_t i = 0; i < accounts_count(old); i++) {
    const struct account *account = accounts_at(old, i);
    if (!accounts_find(fresh, account->id))
      log_info("an account left", LOG_TEXT("account", account->id), LOG_TEXT("name", account->name));
  }
}

static void put_in_force(struct roster *roster) {
  struct accounts *fresh = accounts_with(roster->file, roster->members);
  if (!fresh) return;
  pthread_mutex_lock(&roster->lock);
  struct accounts *old = roster->current;
  roster->current = fresh;
  pthread_mutex_unlock(&roster->lock);
  log_difference(old, fresh);
  accounts_drop(old);
}

static void set_trouble(struct roster *roster, char *trouble, size_t size, const char *text) {
  pthread_mutex_lock(&roster->lock);
  int is_new = strcmp(trouble, text) != 0;
  snprintf(trouble, size, "%s", text);
  pthread_mutex_unlock(&roster->lock);
  if (is_new && *text) log_error("the accounts stay as they were", LOG_TEXT("reason", text));
}

/* ---- the file ---- */
static uint64_t stamp(const char *path) {
  struct stat status;
  if (stat(path, &status) != 0) return 0;
  return (uint64_t)status.st_mtim.tv_sec * 1000000007U + (uint64_t)status.st_mtim.tv_nsec * 31 +
         (uint64_t)status.st_size * 7 + (uint64_t)status.st_ino;
}

static void read_file(struct roster *roster) {
  uint64_t now = stamp(roster->options.file);
  struct error error = {0};
  char text[512] = "";
  if (now == roster->seen_file) return;
  roster->seen_file = now;
  struct accounts *file = accounts_load(roster->options.file, &error);
  if (file) {
    accounts_drop(roster->file);
    roster->file = file;
    if (!accounts_organization(file)) {
      json_decref(roster->members);
      roster->members = NULL;
      roster->list_ms = 0;
    }
    put_in_force(roster);
  } else {
    snprintf(text, sizeof text, "%.200s: %.300s", error.where, error.message);
  }
  set_trouble(roster, roster->file_trouble, sizeof roster->file_trouble, text);
}

/* ---- the organization ---- */
static struct state_accounts_pace pace(const struct roster *roster) {
  int64_t refresh = organization_refresh_ms(accounts_organization(roster->file));
  return (struct state_accounts_pace){
      .refresh_ms = refresh, .hurry_ms = refresh < HURRY_MS ? refresh : HURRY_MS, .claim_ms = CLAIM_MS};
}

static int is_stopping(struct roster *roster) {
  pthread_mutex_lock(&roster->lock);
  int stopping = roster->stopping;
  pthread_mutex_unlock(&roster->lock);
  return stopping;
}

/* Prolongs the claim; without it another process lists as well, and this list would not be taken. */
static int go_on(void *argument) {
  struct roster *roster = argument;
  struct state_accounts_pace wanted = pace(roster);
  struct error error = {0};
  return is_stopping(roster) || state_accounts_claim(roster->options.state, &wanted, &error) != 1;
}

/* If it is time and nobody else does: asks AWS, and writes into Redis what it said, or why it did not. */
static void list(struct roster *roster) {
  struct state_accounts_pace wanted = pace(roster);
  struct organization_patience patience = {go_on, roster};
  struct error error = {0};
  char text[512] = "";
  if (!roster->options.client || state_accounts_claim(roster->options.state, &wanted, &error) != 1) return;
  int64_t begun = clock_monotonic_ms();
  json_t *members = organization_list(roster->options.client, accounts_organization(roster->file), roster->members,
                                      &patience, &error);
  if (members)
    log_info("the organization was listed", LOG_INT("members", json_object_size(members)),
             LOG_INT("ms", clock_monotonic_ms() - begun));
  else
    snprintf(text, sizeof text, "%.100s: %.400s", error.where, error.message);
  if (state_accounts_put(roster->options.state, members, log_mask(text), &error) < 0)
    log_warn("the organization's list could not be kept", LOG_ERROR(&error));
  json_decref(members);
}

/* Is there anything in the new list that is not in the old one?  When tags were read is nothing. */
static int is_other(const json_t *old, const json_t *fresh) {
  static const char *const keys[] = {"name", "unit", "status", "tags"};
  const char *id;
  json_t *member;
  if (json_object_size(old) != json_object_size(fresh)) return 1;
  json_object_foreach((json_t *)fresh, id, member) {
    const json_t *known = json_object_get(old, id);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
      if (!json_equal(json_object_get(known, keys[i]), json_object_get(member, keys[i]))) return 1;
  }
  return 0;
}

static void read_list(struct roster *roster) {
  struct error error = {0};
  json_t *members = NULL;
  char text[512] = "";
  int64_t before = roster->list_ms;
  if (state_accounts_get(roster->options.state, &roster->list_ms, &members, text, sizeof text, &error) != 0) return;
  if (members) {
    int other = !roster->members || is_other(roster->members, members);
    json_decref(roster->members);
    roster->members = members;
    if (other) put_in_force(roster);
  } else if (roster->list_ms == 0) {
    roster->list_ms = before; /* Redis was emptied: what is known stays, and is listed anew */
  }
  set_trouble(roster, roster->list_trouble, sizeof roster->list_trouble, text);
  pthread_mutex_lock(&roster->lock);
  roster->listed_ms = roster->list_ms;
  pthread_mutex_unlock(&roster->lock);
}

/* Of those who wait the first is waited for; whoever comes meanwhile is next. */
static void ask_for_tickets(struct roster *roster) {
  struct error error = {0};
  pthread_mutex_lock(&roster->lock);
  uint64_t tickets = roster->tickets, answered = roster->answered;
  pthread_mutex_unlock(&roster->lock);
  if (roster->pending || tickets == answered) return;
  if (state_accounts_ask(roster->options.state, &roster->pending_ms, &error) == 0)
    roster->pending = tickets;
  else
    log_debug("the organization's list could not be asked for", LOG_ERROR(&error));
}

static void answer_tickets(struct roster *roster) {
  if (!roster->pending || roster->list_ms < roster->pending_ms) return;
  pthread_mutex_lock(&roster->lock);
  roster->answered = roster->pending;
  pthread_mutex_unlock(&roster->lock);
  roster->pending = 0;
}

/* ---- the thread ---- */
static void wait_a_pass(struct roster *roster) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  int64_t wait = PASS_MS + (int64_t)(now.tv_nsec / 1000 % PASS_MS); /* the clock's small change is chance enough */
  pthread_mutex_lock(&roster->lock);
  if (!roster->stopping) clock_condition_wait(&roster->changed, &roster->lock, clock_monotonic_ms() + wait);
  pthread_mutex_unlock(&roster->lock);
}

static void *run(void *argument) {
  struct roster *roster = argument;
  while (!is_stopping(roster)) {
    read_file(roster);
    if (accounts_organization(roster->file)) {
      ask_for_tickets(roster);
      list(roster);
      read_list(roster);
      answer_tickets(roster);
    }
    wait_a_pass(roster);
  }
  return NULL;
}

static void release(struct roster *roster) {
  accounts_drop(roster->current);
  accounts_drop(roster->file);
  json_decref(roster->members);
  pthread_cond_destroy(&roster->changed);
  pthread_mutex_destroy(&roster->lock);
  free(roster);
}

struct roster *roster_open(const struct roster_options *options, struct error *error) {
  struct accounts *file = accounts_load(options->file, error);
  struct roster *roster = file ? calloc(1, sizeof *roster) : NULL;
  if (!roster) {
    accounts_drop(file);
    return NULL;
  }
  roster->options = *options;
  roster->seen_file = stamp(options->file);
  roster->file = file;
  roster->current = accounts_hold(file);
  pthread_mutex_init(&roster->lock, NULL);
  clock_condition_init(&roster->changed);
  if (pthread_create(&roster->thread, NULL, run, roster) == 0) return roster;
  error_set(error, ERROR_FATAL, "Thread", "cannot start a thread");
  release(roster);
  return NULL;
}

void roster_close(struct roster *roster) {
  if (!roster) return;
  pthread_mutex_lock(&roster->lock);
  roster->stopping = 1;
  pthread_cond_broadcast(&roster->changed);
  pthread_mutex_unlock(&roster->lock);
  pthread_join(roster->thread, NULL);
  release(roster);
}

/* ---- who waits for a list ---- */
static int is_answered(struct roster *roster, struct roster_ticket *ticket) {
  int64_t now = clock_monotonic_ms();
  if (!accounts_organization(roster->current)) return 1;
  if (ticket->number == 0) *ticket = (struct roster_ticket){++roster->tickets, now};
  return ticket->number <= roster->answered || now - ticket->since_ms > COMES_WITHIN_MS;
}

int roster_is_newer(struct roster *roster, struct roster_ticket *ticket) {
  pthread_mutex_lock(&roster->lock);
  int answered = is_answered(roster, ticket);
  pthread_mutex_unlock(&roster->lock);
  return answered;
}

/* The stranger of this id; another one makes room for it. */
static struct stranger *meet(struct roster *roster, const char *id) {
  struct stranger *oldest = &roster->strangers[0];
  int64_t now = clock_monotonic_ms();
  for (size_t i = 0; i < STRANGERS; i++) {
    struct stranger *stranger = &roster->strangers[i];
    if (stranger->ticket.number && now - stranger->ticket.since_ms > STRANGE_MS) *stranger = (struct stranger){0};
    if (strcmp(stranger->id, id) == 0) return stranger;
    if (stranger->ticket.since_ms < oldest->ticket.since_ms) oldest = stranger;
  }
  *oldest = (struct stranger){0};
  snprintf(oldest->id, sizeof oldest->id, "%s", id);
  return oldest;
}

int roster_may_bring(struct roster *roster, const char *id) {
  if (strlen(id) != 12) return 0;
  pthread_mutex_lock(&roster->lock);
  int may = !is_answered(roster, &meet(roster, id)->ticket);
  pthread_mutex_unlock(&roster->lock);
  return may;
}

void roster_status(struct roster *roster, struct roster_status *status) {
  pthread_mutex_lock(&roster->lock);
  const char *trouble = roster->file_trouble[0] ? roster->file_trouble : roster->list_trouble;
  *status = (struct roster_status){.accounts = accounts_count(roster->current), .listed_ms = roster->listed_ms};
  snprintf(status->trouble, sizeof status->trouble, "%s", trouble);
  pthread_mutex_unlock(&roster->lock);
}

struct accounts *roster_read(const char *file, struct aws_client *client, struct error *error) {
  struct accounts *accounts = accounts_load(file, error);
  if (!accounts || accounts_are_known(accounts)) return accounts;
  json_t *members = organization_list(client, accounts_organization(accounts), NULL, NULL, error);
  struct accounts *whole = members ? accounts_with(accounts, members) : NULL;
  if (members && !whole) error_set(error, ERROR_FATAL, "Memory", "out of memory");
  json_decref(members);
  accounts_drop(accounts);
  return whole;
}
