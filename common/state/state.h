/* Redis: the only place that includes hiredis.  Exceptions, breakers, leases, seen events, journal index, parked work,
 * findings, notices, ticks: the fleet's shared, short memory.  schemas/redis.md is the contract of the keys (prefix
 * "parapet:v1:"), the *.lua files beside this header are the scripts; every write is one script.
 *
 * Fail safe: a function that cannot get an answer returns -1 with ERROR_RETRYABLE (Redis unreachable, slow, full,
 * read-only, loading) and the caller must not act.  ERROR_FATAL "epoch" means: this Redis is not the one the process
 * knows (emptied, rolled back, replaced): gates stay closed until the state is rebuilt.
 *
 * ERROR_INVALID means the caller's arguments: an id, subject or scope that is empty, longer than 1,024 bytes (scope:
 * 127) or not UTF-8, a record over 1 MiB, a number out of range.  Nothing was sent then.
 *
 * Times come from Redis' clock.  A time inside a record may be RFC 3339 text or wall ms.
 *
 * Thread-safe: each call borrows a connection from a pool and blocks for about the configured timeout at most (a name
 * that DNS resolves slowly can add to it).  While Redis does not answer, one caller at a time waits for it and the
 * others fail at once.  state_open makes the process ignore SIGPIPE unless it handles it. */
#ifndef PARAPET_STATE_STATE_H
#define PARAPET_STATE_STATE_H

#include <stdint.h>

#include "base/error.h"
#include "json/value.h"

struct state;
struct state_options {
  const char *url;    /* redis://[[user]:password@]host[:port][/db], unix://[[user]:password@]/path[?db=N], or
                         redis+sentinel://[[user]:password@]host[:port][,host[:port]…]/master[/db] (login: Redis'; at
                         most 8 Sentinels, which want none); passwords may be percent-encoded; rediss:// is redis://
                         with TLS, and refused where hiredis has none (Debian 12) */
  int64_t timeout_ms; /* connect and each command; 0: 1,000 */
  const char *owner;  /* this process, unique in the fleet: host:pid:random */
};
/* Does not connect yet, so a process may start before Redis.  NULL with *error for a bad URL. */
struct state *state_open(const struct state_options *options, struct error *error);
void state_close(struct state *state);

/* 0 when Redis answers, accepts writes and has maxmemory-policy noeviction (or no maxmemory); else -1 with the reason.
 * Behind Sentinel it also looks where the master is: called every second, a failover is followed within that. */
int state_check(struct state *state, struct error *error);

/* ---- epoch and rebuild ----
 * `epoch` names one continuous life of the data, in one Redis process: of a server that was restarted, or of a replica
 * that was promoted, nobody knows whether it has the last grants, so its copy is void.  Joining: 1 = joined, the epoch
 * stands; 0 = there is none: the caller has the rebuild lock for 60 s, must load what survives (state_rebuild_* below),
 * then state_epoch_create; -1 error or another process is rebuilding (RETRYABLE "rebuilding").  Every other function
 * but state_check fails with "epoch" until joined, and when the epoch in Redis is not the one joined: then join again.
 * A process that finds grants or changes of exceptions gone that it has seen (an older snapshot was restored, a replica
 * that lagged was promoted) voids the epoch for all.  Joining while the epoch stands is cheap and forgets nothing. */
int state_epoch_join(struct state *state, struct error *error);
int state_epoch_create(struct state *state, struct error *error);
/* Puts one record of the topic parapet.state back: kind|id → value (NULL: it was deleted); only under the rebuild lock,
 * which each call prolongs.  What is there is overwritten, the rest stays: more exceptions and stops than there should
 * be are the safe side.  Kinds, and the value: "stop" (id ignored), "exception", "rollout", "finding", "intent" (as
 * put; id: the subject), "approval" (id: the finding), "breaker" (id: the scope; as state_breakers lists it), "grant"
 * (id: the action; {at, scopes: [scope]}: it counts in these windows), "parked" (id: the subject; {unit, due,
 * released}), "baseline" (as put; id: the subject). Another kind: ERROR_INVALID "kind". */
int state_rebuild(struct state *state, const char *kind, const char *id, json_t *value, struct error *error);

/* ---- organization-wide stop ---- */
int state_stop_set(struct state *state, json_t *stop /* {by, reason, at}; NULL: lift it */, struct error *error);
int state_stop_get(struct state *state, json_t **stop /* new or NULL */, struct error *error);

/* ---- exceptions ----
 * {id, guardrail ("*" or name), account, unit (glob over the organizational unit's path), region, environment, resource
 *  (glob over id or ARN), tag ("key=value" with a glob for the value, or "key"), owner, reason, ticket, created,
 *  expires}: absent scope members (or "*") match everything, id and expires are mandatory.  Optional `starts`: not in
 *  force before.  In globs * matches any run (also of / and :) and ? one character.  Kept until 30 days after they
 *  expire (as history). */
int state_exception_put(struct state *state, json_t *exception, struct error *error);
int state_exception_remove(struct state *state, const char *id, int *existed, struct error *error);
/* Each with `uses`: how many decisions it covered. */
int state_exceptions(struct state *state, json_t **list /* new array */, struct error *error);
struct state_subject {
  const char *guardrail, *account, *unit, *region, *environment, *resource, *arn;
  const json_t *tags; /* {key: value}; NULL: none are known, no exception by tag covers it */
  int64_t grace_ms;   /* an exception that expired less long ago is given, too, with the member `expired` true */
};
/* The exception that covers the subject now (by this machine's clock): *exception new, or NULL when there is none; of
 * several the one that lasts longest.  Counts its use.  One small command when nothing changed since the last call (a
 * local copy validated by a version counter), a second one when there is an exception.  Members of the subject may be
 * NULL: then only exceptions for all of that member cover it. */
int state_exception_find(struct state *state, const struct state_subject *subject, json_t **exception,
                         struct error *error);
/* Exceptions that expire within warn_ms and of which nobody warned yet: new array, at most 100, each this caller's to
 * warn of for hold_ms, and told for good by state_exception_warned. */
int state_exceptions_expiring(struct state *state, int64_t warn_ms, int64_t hold_ms, json_t **list,
                              struct error *error);
int state_exception_warned(struct state *state, const char *id, struct error *error);

/* ---- breakers ----
 * A scope is "guardrail/account", "guardrail", "account:…" or "organization".  Rolling windows over granted actions.
 * States: closed; open (tripped by a limit, by failures, or by an operator); half-open (a few probes are granted, each
 * to one action: when all of them end well the scope closes, the first that fails opens it again); held (an operator's,
 * until reset). */
struct state_limit {
  const char *scope;
  int64_t actions, window_ms; /* actions 0: no limit */
  /* A share, in hundredths of a percent, of how many resources `population` (state_population) was last seen with: the
   * limit then, where it is less than `actions`, but never less than `least`.  Of a population that nobody counted yet:
   * `least`.  0: no share. */
  const char *population;
  int64_t share, least;
  /* Opens when so many of the last `failures_of` (at most 100) actions failed; 0: never. */
  int64_t failures, failures_of;
};
enum state_grant { STATE_GRANTED, STATE_REFUSED_STOP, STATE_REFUSED_HELD, STATE_REFUSED_OPEN };
/* The last gate: grants one action over all scopes atomically, or none.  A scope at its limit trips (open), *tripped
 * says that this call did it (and it stays open until it is reset or probed).  1 to 8 scopes.  released: the operator's
 * release paid for it, windows are not asked nor counted (stop, held and open still refuse, and it takes a probe).
 * `action`: the action's id; asking twice with one id counts once, and is granted again even when the limit tripped
 * meanwhile (the first answer may have got lost), but not past a hold or an operator's trip. On -1 *answer is a refusal
 * too.  *refusing is "stop" when the stop refuses. */
int state_breaker_grant(struct state *state, const struct state_limit *limits, size_t count, const char *action,
                        int released, enum state_grant *answer, char *refusing, int *tripped, struct error *error);
/* How a granted action ended.  Telling it twice counts once.  *changes: new array of {scope, state, reason, limit,
 * window_ms} of the scopes that this opened (failures, a failed probe) or closed (the last probe). */
int state_breaker_outcome(struct state *state, const struct state_limit *limits, size_t count, const char *action,
                          int failed, json_t **changes, struct error *error);
/* operator's: "trip" (open now), "hold" (until reset), "reset" (closed, windows emptied). by/reason are recorded. */
int state_breaker_set(struct state *state, const char *scope, const char *verb, const char *by, const char *reason,
                      struct error *error);
/* Half-open, with `probes` (1 to 100) to grant.  cooldown_ms < 0: the operator's word, also over a hold.  Else only
 * what was opened by a limit or by failures at least so long ago.  1 = it is half-open by this call, 0 = it is not its
 * time, or it is closed. */
int state_breaker_probe(struct state *state, const char *scope, int64_t probes, int64_t cooldown_ms, const char *by,
                        struct error *error);
/* New array of {scope, state, count, limit, window_ms, opened, by, reason}. */
int state_breakers(struct state *state, json_t **list, struct error *error);
/* How many resources of a type a whole sweep of an account and Region saw.  Populations are "account/type", "account",
 * "type" and "*" (all). */
int state_population(struct state *state, const char *account, const char *region, const char *type, int64_t resources,
                     struct error *error);

/* ---- what the gates ask of all guardrails of a resource, in one round trip ---- */
/* Before anything is read.  Nothing is counted. */
struct state_peek {
  const char *subject; /* "guardrail|resource": is it parked?  NULL: not asked */
  const struct state_limit *limits;
  size_t limit_count; /* 0: not asked whether work would have to wait */
  /* The answers.  Parked: the caller may leave its work to the parked unit: that will be looked at once more, also when
   * somebody works on it right now. */
  int parked;
  enum state_grant answer;
  char refusing[128]; /* the scope's name, or "stop" */
};
/* 0, or -1 with *error: nothing is known, and each answer is a refusal. */
int state_peek(struct state *state, struct state_peek *const peeks[], size_t count, struct error *error);
/* After it was read. */
struct state_known {
  const char *subject, *finding; /* the finding's id */
  int begun, found;              /* an action of the subject was begun, and is not at its end; there is a finding */
};
int state_known(struct state *state, struct state_known *known, size_t count, struct error *error);

/* ---- fights: a resource that is set wrong again after every fix ---- */
/* A fix of the subject ("guardrail|resource") was verified; `round` tells what was wrong and who did it.  Rounds are
 * kept for window_ms. */
int state_fight_round(struct state *state, const char *subject, const char *action, json_t *round, int64_t window_ms,
                      struct error *error);
/* The rounds of the last window_ms, the oldest first: new array of {at, …round}; at most 32. */
int state_fight_rounds(struct state *state, const char *subject, int64_t window_ms, json_t **rounds,
                       struct error *error);
/* Remembers for a week that the subject is fought over. */
int state_fight_declare(struct state *state, const char *subject, json_t *fight, struct error *error);
int state_fight_reset(struct state *state, const char *subject, int *existed, struct error *error);
int state_fights(struct state *state, json_t **list /* new array of {subject, at, …fight} */, struct error *error);

/* ---- budgets: buckets of API calls that the whole fleet shares ---- */
struct state_bucket {
  double burst, per_second, reserve; /* reserve: the part of the burst that this caller leaves to others, 0 to 1 */
};
struct state_tokens {
  int64_t count;   /* taken: 0 to `most` */
  int64_t wait_ms; /* when 0 were: until there is one */
  double factor;   /* of the rate: less than 1 after AWS throttled */
};
int state_budget_take(struct state *state, const char *bucket, const struct state_bucket *size, int64_t most,
                      struct state_tokens *tokens, struct error *error);
/* AWS throttled: the bucket's rate halves (at most once a second), and comes back over five minutes. */
int state_budget_slow(struct state *state, const char *bucket, struct error *error);

/* ---- leases: one owner a resource ---- */
struct state_lease {
  char resource[512];
  int64_t token;
  uint64_t generation; /* of the epoch that it was taken under: void under the next */
};
/* 1 = got it (token strictly greater than every earlier token of any resource, also of a Redis that was emptied since),
 * 0 = somebody has it (perhaps another thread of this process), -1 error.  The resource's name: at most 511 bytes. */
int state_lease_take(struct state *state, const char *resource, int64_t ttl_ms, struct state_lease *lease,
                     struct error *error);
/* Before every mutation, one round trip: epoch stands, no stop, lease still ours (and prolonged to ttl_ms).
 * 1 = go, 0 = do not (*why: "stop", "lease"; at least 32 bytes), -1 error. */
int state_may_mutate(struct state *state, const struct state_lease *lease, int64_t ttl_ms, char *why,
                     struct error *error);
int state_lease_drop(struct state *state, const struct state_lease *lease, struct error *error);

/* ---- seen events, own requests ---- */
/* Marks after the work is done; asks before it starts. *seen 0 or 1. */
int state_seen(struct state *state, const char *event_id, int *seen, struct error *error);
int state_seen_mark(struct state *state, const char *event_id, int64_t ttl_ms, struct error *error);
int state_own_request_mark(struct state *state, const char *request_id, int64_t ttl_ms, struct error *error);
/* What an event is asked for before its work starts: was it seen, and is its request one of ours?  One round trip; what
 * has no id ("") is neither. */
int state_event_known(struct state *state, const char *event_id, const char *request_id, int *seen, int *own,
                      struct error *error);

/* ---- journal index: open intents, so that whoever comes next resolves them first ----
 * subject: "guardrail|resource".  The full record is in parapet.actions; here the same JSON while it is open. */
/* The lease's token is the fence: without it (the lease ran out, and another may have begun) nothing is written, and
 * the call fails with RETRYABLE "LEASE". */
int state_intent_put(struct state *state, const char *subject, json_t *intent, const struct state_lease *lease,
                     struct error *error);
int state_intent_get(struct state *state, const char *subject, json_t **intent /* new or NULL */, struct error *error);
/* Only the intent with this `action`: one that another began since stays.  NULL or "": whatever is there. */
int state_intent_drop(struct state *state, const char *subject, const char *action, struct error *error);
int state_intents(struct state *state, json_t **list /* new array of {subject, intent} */, struct error *error);

/* ---- baselines: what a guardrail has accepted of a resource, and which changes it has not (baselines/baseline.h) ----
 * subject: "guardrail|arn".  Kept for 35 days after it was last asked for.  Each write is a new version: put stores the
 * record (NULL: forgets it) if `version` is still the one that was read (0: there was none); *stored 0: somebody else
 * wrote since, read again. */
int state_baseline_get(struct state *state, const char *subject, json_t **record /* new or NULL */, int64_t *version,
                       struct error *error);
int state_baseline_put(struct state *state, const char *subject, json_t *record, int64_t version, int *stored,
                       struct error *error);

/* ---- parked work: collapsed to one entry a subject ----
 * due_ms: wall clock, 0 = until state_parked_release.  Parking again replaces the unit.  One that waits for its release
 * goes on waiting, whatever due_ms says; otherwise the latest due_ms counts.  A unit that was released stays released
 * (the operator paid for it) until it is done or parked with 0.  Its member `account` is what a release by account
 * asks. */
int state_park(struct state *state, const char *subject, json_t *unit, int64_t due_ms, struct error *error);
/* The same for what has an action open: it is due at due_ms even where something else of its subject waits for its
 * release, since an action that was begun is brought to its end. */
int state_park_begun(struct state *state, const char *subject, json_t *unit, int64_t due_ms, struct error *error);
/* Makes those whose subject's guardrail (or account, or all: scope as above) waits for a release due, one every
 * 1000/pace ms from now on, marked released.  *count: how many. */
int state_parked_release(struct state *state, const char *scope, double pace, int64_t *count, struct error *error);
/* The same for at most `most` of them, but not marked: the breakers' windows hold for them. */
int state_parked_return(struct state *state, const char *scope, double pace, int64_t most, int64_t *count,
                        struct error *error);
/* Takes at most `limit` due entries: new array of {subject, unit, released}; each is invisible for `hold_ms`, then due
 * again unless state_unpark'ed or parked anew.  At most 1,000. */
int state_parked_take(struct state *state, size_t limit, int64_t hold_ms, json_t **entries, struct error *error);
/* The subject is done.  What was parked anew, or asked for, since it was taken stays (no longer released): there may be
 * something newer to see. */
int state_unpark(struct state *state, const char *subject, struct error *error);
/* The next due first; due 0: waits for its release.  At most 10,000; limit 0: just the total (list may be NULL). */
int state_parked(struct state *state, json_t **list /* new array of {subject, unit, due, released} */, size_t limit,
                 int64_t *total, struct error *error);

/* ---- findings ---- */
/* {id, status: open|fixed|closed|excepted|parked|waiting|failed|fought…, guardrail, account, region, resource, …}; kept
 * 30 days after the last change (= the last put).  The status is 1 to 31 of a-z, 0-9, - and _.  *was: the status before
 * ("" if new; at least 32 bytes; may be NULL). */
int state_finding_put(struct state *state, json_t *finding, char *was, struct error *error);
/* The same, unless `event_id` was marked as seen ("": put it anyway): both in one step.  *written 0 or 1. */
int state_finding_put_unless_seen(struct state *state, json_t *finding, const char *event_id, char *was, int *written,
                                  struct error *error);
int state_finding_get(struct state *state, const char *id, json_t **finding, struct error *error);
/* Its violation is gone: an open, failed, fought, parked, waiting or excepted finding becomes closed; another, or none,
 * stays as it is. *was as above. */
int state_finding_close(struct state *state, const char *id, char *was, struct error *error);
/* After a whole, successful sweep: closes the open, failed, fought and excepted findings of this guardrail, account and
 * Region whose ids are not in `seen` (an array), and that do not change meanwhile.  The records, as closed, are added
 * to `closed`, an array; may be NULL.  At most 10,000 a call. */
int state_findings_close_absent(struct state *state, const char *guardrail, const char *account, const char *region,
                                const json_t *seen, json_t *closed, struct error *error);
/* The latest change first; at most 10,000. */
int state_findings(struct state *state, const char *status /* NULL: all */, size_t limit, json_t **list,
                   struct error *error);
/* {status: count} over all kept. */
int state_finding_counts(struct state *state, json_t **counts, struct error *error);

/* ---- rollouts: where a playbook's version acts ---- */
/* {guardrail, version, stage: shadow|canary|units|all, accounts: […], units: [glob], by, at}; NULL: forget it. */
int state_rollout_put(struct state *state, const char *guardrail, json_t *rollout, struct error *error);
int state_rollout_get(struct state *state, const char *guardrail, json_t **rollout /* new or NULL */,
                      struct error *error);
int state_rollouts(struct state *state, json_t **list /* new array */, struct error *error);

/* ---- notices: digests, a backlog for each channel ----
 * A channel is 1 to 40 of a-z, 0-9 and -.  One that does not work fills its own backlog, and no other waits for it. */
/* Adds `notice` to the channel's digest `key`; the digest falls due `window_ms` after its first notice.  At most 50
 * notices are kept as text, the rest is counted, by the notices' `outcome`.  A channel has at most 10,000 digests
 * (RETRYABLE "FULL"). */
int state_notice_add(struct state *state, const char *channel, const char *key, json_t *notice, int64_t window_ms,
                     struct error *error);
/* Takes one due digest: {key, count, tries, notices: […], counts: {outcome: n}, first, last} or NULL; invisible for
 * hold_ms, gone after state_notice_done.  tries: how often it was taken, this time included.  Notices added meanwhile
 * make the next digest, which waits for this one to be done.  Of digests that were never taken at most `limit` are
 * given within `within_ms` (0: no limit): the others wait, and go on gathering. */
struct state_notice_pace {
  int64_t limit, within_ms;
};
int state_notice_take(struct state *state, const char *channel, int64_t hold_ms, const struct state_notice_pace *pace,
                      json_t **digest, struct error *error);
int state_notice_done(struct state *state, const char *channel, const char *key, struct error *error);
/* How many digests the channel has, those being sent included. */
int state_notice_backlog(struct state *state, const char *channel, int64_t *count, struct error *error);

/* ---- schedule ticks, sweeps ---- */
/* 1 = this caller emits the tick (claimed for claim_ms), 0 = somebody did or does.  After emitting: state_tick_done. */
int state_tick_claim(struct state *state, const char *schedule, int64_t tick_ms, int64_t claim_ms, struct error *error);
int state_tick_done(struct state *state, const char *schedule, int64_t tick_ms, struct error *error);
/* Coalescing: 1 = marked pending now (emit it), 0 = an earlier sweep of this subject has not ended yet. */
int state_sweep_begin(struct state *state, const char *subject, int64_t ttl_ms, struct error *error);
int state_sweep_end(struct state *state, const char *subject, struct error *error);

/* ---- the organization's accounts ---- */
struct state_accounts_pace {
  int64_t refresh_ms; /* a list is good for this long */
  int64_t hurry_ms;   /* when the last attempt failed, or somebody asked since: this long after it */
  int64_t claim_ms;   /* how long the caller may take; claiming again prolongs it */
};
/* 1 = the caller lists them now, 0 = it is not time, or somebody else does. */
int state_accounts_claim(struct state *state, const struct state_accounts_pace *pace, struct error *error);
/* What came of it: {id: record} and its end is the claim's; or NULL and why, then the last list stays.  1, or 0 when
 * the claim is not the caller's (any more): nothing was written. */
int state_accounts_put(struct state *state, const json_t *members, const char *trouble, struct error *error);
/* *time_ms: of the list that the caller knows (0: none) in, of the newest out (0: there is none): when it was begun.
 * *members: new {id: record}; NULL when there is nothing newer.  trouble (may be NULL): why the last attempt brought no
 * list, "" when it did. */
int state_accounts_get(struct state *state, int64_t *time_ms, json_t **members, char *trouble, size_t size,
                       struct error *error);
/* Somebody misses an account: the next list is wanted soon.  *asked_ms: one begun from then on is the answer. */
int state_accounts_ask(struct state *state, int64_t *asked_ms, struct error *error);

/* ---- index of what was done: the latest 20,000 actions, for 30 days; all of them are in parapet.actions ---- */
/* action: {action (its id), guardrail, account, region, resource, arn, time, status, …}.  images (NULL: those that are
 * there stay): {before, after, calls}; over 256 KiB they are not kept. */
int state_action_put(struct state *state, json_t *action, json_t *images, struct error *error);
/* *action and *images (may be NULL) new, or NULL when the index does not have them. */
int state_action_get(struct state *state, const char *id, json_t **action, json_t **images, struct error *error);
/* Those first written between the two times (wall ms), the latest first, at most 10,000.  *oldest_ms (may be NULL):
 * when the oldest one that the index has was written, 0: it has none. */
int state_actions(struct state *state, int64_t since_ms, int64_t until_ms, size_t limit, json_t **list,
                  int64_t *oldest_ms, struct error *error);
/* {name: new name} of what undos brought back in this resource under a name that AWS chose anew; kept 30 days. */
int state_renames_put(struct state *state, const char *arn, json_t *renames, struct error *error);
int state_renames_get(struct state *state, const char *arn, json_t **renames /* new or NULL */, struct error *error);

/* ---- approvals: one a subject, under its finding's id ---- */
/* {id, status: waiting|approved|used, subject, plan, hash, unit, created, expires, …}; record NULL: forget it.
 * instead_of (NULL: whatever): what must be there, to the letter.  1: written, 0: another record is there, -1 error. */
int state_approval_put(struct state *state, const char *finding, json_t *record, json_t *instead_of,
                       struct error *error);
int state_approval_get(struct state *state, const char *finding, json_t **record /* new or NULL */,
                       struct error *error);
int state_approvals(struct state *state, json_t **list /* new array */, struct error *error);

/* ---- commands of operators: their answers, and that each is carried out once ---- */
/* made_ms: when the command was made (wall).  1: this is the first time that anybody asks for this id; 0: there is a
 * record already; 2: it was made before this life of the data began, so that nobody knows; -1 error. */
int state_command_begin(struct state *state, const char *id, json_t *record, int64_t made_ms, int64_t ttl_ms,
                        struct error *error);
int state_command_put(struct state *state, const char *id, json_t *record, int64_t ttl_ms, struct error *error);
int state_command_get(struct state *state, const char *id, json_t **record /* new or NULL */, struct error *error);

/* ---- workers ---- */
int state_heartbeat(struct state *state, json_t *worker /* {owner, started, bundle, version, ready, …} */,
                    int64_t ttl_ms, struct error *error);
int state_workers(struct state *state, json_t **list, struct error *error);

/* ---- counters for dashboards: parapet:v1:counters, a hash ---- */
int state_count(struct state *state, const char *name, int64_t by, struct error *error);
int state_counters(struct state *state, json_t **counters, struct error *error);

#endif
