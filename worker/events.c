/* match: every event passes the automaton as raw bytes, here, on the polling thread.  What matches nothing ends here:
 * no parse tree, no I/O.  What matches becomes a task that parses it and makes units. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "event/envelope.h"
#include "pipeline.h"
#include "site/actor.h"
#include "site/place.h"
#include "unit.h"

enum { POLL_MS = 100, IDS_LIMIT = 1000, DEAD_LETTER_TIMEOUT_MS = 5000 };

struct matched { /* an event on its way to the pool */
  struct task task;
  struct delivery *delivery;
  struct bundle *bundle;
  char reason[900];            /* why it is of no use */
  struct roster_ticket ticket; /* of a list of accounts that is newer than the event */
  size_t count;
  uint32_t triggers[];
};

/* ---- dead letters ---- */
void dead_letter(struct worker *worker, struct bus_consumer *consumer, struct bus_message *message,
                 const char *reason) {
  size_t length;
  const char *value = bus_message_value(message, &length);
  struct bus_origin origin = {.topic = bus_message_topic(message),
                              .partition = bus_message_partition(message),
                              .offset = bus_message_offset(message),
                              .source = "worker"};
  struct error error = {0};
  while (bus_dead_letter(worker->producer, BUS_TOPIC_DEADLETTER, reason, &origin, value, length, DEAD_LETTER_TIMEOUT_MS,
                         &error) != 0) {
    log_warn("a dead letter waits for Kafka", LOG_TEXT("reason", reason), LOG_ERROR(&error));
    if (worker->stopping) {
      bus_abandon(consumer, message);
      return;
    }
    clock_sleep_ms(500);
  }
  metric_add(&worker_metrics[M_EVENTS], 1, "deadletter");
  log_info("dead letter", LOG_TEXT("reason", reason), LOG_TEXT("topic", origin.topic),
           LOG_INT("offset", origin.offset));
  bus_finish(consumer, message);
}

/* The delivery's message goes to the dead letters instead of being finished. */
static void reject(struct delivery *delivery, const char *reason) {
  struct bus_message *message = delivery->message;
  delivery->message = NULL;
  dead_letter(delivery->worker, delivery->consumer, message, reason);
}

static int valid_region(const char *region) {
  size_t length = strlen(region);
  return length >= 5 && length < 32 && strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

/* ---- units ---- */
struct gathering { /* units of one event, one a resource and id */
  struct matched *matched;
  struct accounts *accounts;     /* held */
  const struct account *account; /* where the trigger at hand says its resources are */
  char region[40];
  struct unit **units;
  size_t count;
};

static void add_case(struct gathering *gathering, struct unit *unit, const struct guardrail *guardrail, int creates) {
  struct unit_case *one = unit_add(unit, guardrail);
  if (creates) one->created_ms = gathering->matched->delivery->event_ms;
}

static int is_unit(const struct gathering *gathering, const struct unit *unit, const struct resource *resource,
                   const char *id) {
  return unit->resource == resource && unit->account == gathering->account && strcmp(unit->id, id) == 0 &&
         strcmp(unit->region, gathering->region) == 0;
}

static void gather_unit(struct gathering *gathering, const struct guardrail *guardrail, const char *id, int creates) {
  for (size_t i = 0; i < gathering->count; i++)
    if (is_unit(gathering, gathering->units[i], guardrail->resource, id)) {
      add_case(gathering, gathering->units[i], guardrail, creates);
      return;
    }
  if (gathering->count >= IDS_LIMIT) return;
  struct unit *unit =
      unit_open(gathering->matched->delivery, gathering->matched->bundle, gathering->accounts, gathering->account,
                guardrail->resource, gathering->region, id, gathering->matched->count);
  if (!unit) return;
  add_case(gathering, unit, guardrail, creates);
  gathering->units[gathering->count++] = unit;
}

/* An event that names nobody: the sweep of its account and Region finds whom it means. */
static int ask_for_sweep(struct gathering *gathering, const struct guardrail *guardrail, struct error *error) {
  char key[80], now[32];
  json_t *sweep =
      json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:[s]}", "kind", "sweep", "reason", "event without ids", "tick",
                clock_format(clock_wall_ms(), now, sizeof now), "resource", guardrail->resource->name, "account",
                gathering->account->id, "region", gathering->region, "guardrails", guardrail->name);
  char *text = json_text(sweep);
  snprintf(key, sizeof key, "%s/%s", gathering->account->id, gathering->region);
  int result = text ? bus_produce_durably(gathering->matched->delivery->worker->producer, BUS_TOPIC_SWEEPS, key, text,
                                          strlen(text), 5000, error)
                    : -1;
  free(text);
  json_decref(sweep);
  return result;
}

static int gather_ids(struct gathering *gathering, const struct guardrail *guardrail,
                      const struct event_trigger *trigger, struct error *error) {
  json_t *ids = jmes_search(trigger->ids, gathering->matched->delivery->event, NULL, error), *id;
  size_t index, used = 0;
  if (!ids) return -1;
  if (json_is_string(ids) && json_string_length(ids) > 0) {
    gather_unit(gathering, guardrail, json_string_value(ids), trigger->creates);
    used++;
  }
  json_array_foreach(ids, index, id) {
    if (!json_is_string(id) || json_string_length(id) == 0 || json_string_length(id) > 256) continue;
    gather_unit(gathering, guardrail, json_string_value(id), trigger->creates);
    used++;
  }
  json_decref(ids);
  return used > 0 ? 0 : ask_for_sweep(gathering, guardrail, error);
}

/* What a trigger's `account:` or `region:` says, into `text`; an event that names none where one is asked for says
 * nothing of use. */
static int named_place(const struct jmes *expression, const char *what, json_t *event, char *text, size_t size,
                       struct error *error) {
  json_t *value = jmes_search(expression, event, NULL, error);
  const char *name = json_is_array(value) ? json_string_value(json_array_get(value, 0)) : json_string_value(value);
  int length = name ? snprintf(text, size, "%s", name) : 0;
  json_decref(value);
  if (!value) return -1;
  if (length > 0 && (size_t)length < size) return 0;
  return error_set(error, ERROR_INVALID, "Place", "the playbook's \"%s\" names none in this event", what);
}

/* An account that is ours, but left out, is passed over (1); one that may be new is waited for (RETRYABLE). */
static int not_looked_after(const struct gathering *gathering, const char *id, struct error *error) {
  if (json_object_get(accounts_ours(gathering->accounts), id)) return 1;
  if (roster_may_bring(gathering->matched->delivery->worker->roster, id))
    return error_set(error, ERROR_RETRYABLE, "Place", "account %s is not known yet", id);
  return error_set(error, ERROR_INVALID, "Place",
                   "unknown account \"%.64s\"; list it in the accounts file, or is it no member of the organization?",
                   id);
}

/* Where the event was delivered is not always where the resource is: AWS tells the management account of a new one, and
 * what is global (an IAM user, say) has one place. */
static int find_place(struct gathering *gathering, const struct guardrail *guardrail,
                      const struct event_trigger *trigger, struct error *error) {
  json_t *event = gathering->matched->delivery->event;
  char id[16];
  snprintf(id, sizeof id, "%s", event_account(event));
  snprintf(gathering->region, sizeof gathering->region, "%s",
           guardrail->resource->scope == SCOPE_REGION ? event_region(event) : "us-east-1");
  if (trigger->account && named_place(trigger->account, "account", event, id, sizeof id, error) != 0) return -1;
  if (trigger->region &&
      named_place(trigger->region, "region", event, gathering->region, sizeof gathering->region, error) != 0)
    return -1;
  if (!valid_region(gathering->region))
    return error_set(error, ERROR_INVALID, "Place", "\"%s\", which the event names, is no Region", gathering->region);
  gathering->account = accounts_find(gathering->accounts, id);
  return gathering->account ? 0 : not_looked_after(gathering, id, error);
}

static int is_in_scope(const struct gathering *gathering, const struct guardrail *guardrail) {
  struct place place = site_place(gathering->accounts, gathering->account, gathering->region, NULL);
  return guardrail_in_scope(guardrail, &place);
}

static int gather(struct gathering *gathering, struct error *error) {
  const struct bundle *bundle = gathering->matched->bundle;
  for (size_t i = 0; i < gathering->matched->count; i++) {
    uint32_t number = gathering->matched->triggers[i];
    const struct guardrail *guardrail = bundle->guardrails[bundle->triggers[number].guardrail];
    const struct event_trigger *trigger = &guardrail->triggers[bundle->triggers[number].trigger];
    int placed = find_place(gathering, guardrail, trigger, error);
    if (placed < 0) return -1;
    if (placed > 0 || !is_in_scope(gathering, guardrail)) continue;
    if (gather_ids(gathering, guardrail, trigger, error) != 0) return -1;
  }
  return 0;
}

/* ---- the task ---- */
/* One that is longer than any of AWS's is none: cut off it might be another's. */
static void take_id(const char *id, char *text, size_t size) {
  if (strlen(id) < size)
    memcpy(text, id, strlen(id) + 1);
  else
    text[0] = '\0';
}

static const char *parse_event(struct delivery *delivery) {
  static _Thread_local char reason[900];
  size_t length;
  const char *value = bus_message_value(delivery->message, &length);
  struct error error = {0};
  delivery->event = json_parse(value, length, &error);
  if (!delivery->event) {
    snprintf(reason, sizeof reason, "not JSON: %s", error.message);
    return reason;
  }
  if (!json_is_object(json_object_get(delivery->event, "detail"))) return "no event: \"detail\" is not an object";
  if (!valid_region(event_region(delivery->event)))
    return "no Region: neither \"detail.awsRegion\" nor \"region\" is one";
  take_id(event_id(delivery->event), delivery->id, sizeof delivery->id);
  take_id(json_text_at(delivery->event, "detail", "requestID", NULL), delivery->request_id,
          sizeof delivery->request_id);
  delivery->actor = event_actor(delivery->event);
  if (clock_parse(event_time(delivery->event), &delivery->event_ms) != 0) delivery->event_ms = 0;
  delivery->collected_ms = bus_message_time_ms(delivery->message);
  return NULL;
}

static void matched_free(struct matched *matched) {
  delivery_drop(matched->delivery);
  bundle_drop(matched->bundle);
  free(matched);
}

static void abandon_event(void *argument) {
  struct matched *matched = argument;
  matched->delivery->abandoned = 1;
  matched_free(matched);
}

/* A baseline's changes are noted from the events, however late these come. */
static int has_baseline(const struct unit *unit) {
  for (size_t i = 0; i < unit->case_count; i++)
    if (unit->cases[i].guardrail->baseline) return 1;
  return 0;
}

/* What an old event says of the resource is history: no step may revert by it, and many of one resource (an outage's
 * backlog) are one look.  So its units go the way of parked work: collapsed, judged anew, in pace. */
static void submit_units(struct gathering *gathering) {
  struct delivery *delivery = gathering->matched->delivery;
  int64_t limit = config_ms(delivery->worker->config, "event.max_age");
  int old = delivery->event_ms > 0 && clock_wall_ms() - delivery->event_ms >= limit;
  if (old) metric_add(&worker_metrics[M_EVENTS], 1, "old");
  for (size_t i = 0; i < gathering->count; i++)
    if (old && !has_baseline(gathering->units[i]))
      unit_abandon(gathering->units[i]);
    else
      unit_submit(gathering->units[i]);
}

/* What Organizations or Control Tower tell changes the very list that says where it is to be looked at. */
static int is_up_to_date(struct matched *matched) {
  const char *source = json_text_at(matched->delivery->event, "source", NULL);
  if (strcmp(source, "aws.organizations") != 0 && strcmp(source, "aws.controltower") != 0) return 1;
  return roster_is_newer(matched->delivery->worker->roster, &matched->ticket);
}

/* The delivered account must be known as well: what a stranger's account tells is nobody's business. */
static int gather_known(struct gathering *gathering, struct error *error) {
  const char *id = event_account(gathering->matched->delivery->event);
  if (accounts_find(gathering->accounts, id)) return gather(gathering, error);
  return not_looked_after(gathering, id, error) < 0 ? -1 : 0;
}

/* 1 = made (or nothing to make), 0 = later, -1 = rejected, matched->reason says why. */
static int gather_units(struct matched *matched) {
  struct error error = {0};
  int result = 1;
  struct gathering gathering = {.matched = matched, .units = calloc(IDS_LIMIT, sizeof(struct unit *))};
  if (!gathering.units) return 0;
  gathering.accounts = roster_accounts(matched->delivery->worker->roster);
  if (gather_known(&gathering, &error) != 0) {
    result = error_is_transient(&error) ? 0 : -1;
    snprintf(matched->reason, sizeof matched->reason, "%s%s",
             strcmp(error.code, "Place") == 0 ? "" : "the playbook's expressions cannot be evaluated on it: ",
             error.message);
  }
  for (size_t i = 0; i < gathering.count && result != 1; i++) unit_free(gathering.units[i]);
  if (result == 1) {
    submit_units(&gathering);
    metric_add(&worker_metrics[M_EVENTS], 1, "matched");
    metric_add(&worker_metrics[M_UNITS], (double)gathering.count, "event");
  }
  accounts_drop(gathering.accounts);
  free(gathering.units);
  return result;
}

/* The same, and what comes before: is it an event, was it seen already, is the list of accounts as new as it is? */
static int make_units(struct matched *matched) {
  struct delivery *delivery = matched->delivery;
  struct worker *worker = delivery->worker;
  struct error error = {0};
  int seen = 0;
  if (!worker->state_ready) return 0;
  const char *wrong = delivery->event ? NULL : parse_event(delivery);
  if (wrong) {
    snprintf(matched->reason, sizeof matched->reason, "%s", wrong);
    return -1;
  }
  if (state_event_known(worker->state, delivery->id, delivery->request_id, &seen, &delivery->own_request, &error) != 0)
    return 0;
  if (seen) {
    metric_add(&worker_metrics[M_EVENTS], 1, "duplicate");
    return 1;
  }
  return is_up_to_date(matched) ? gather_units(matched) : 0;
}

static void event_task(void *argument) {
  struct matched *matched = argument;
  int made = make_units(matched);
  if (made == 0) {
    if (pool_submit(matched->delivery->worker->pool, POOL_LANE_EVENT, NULL, 500, event_task, matched) != 0)
      abandon_event(matched);
    return;
  }
  if (made < 0) reject(matched->delivery, matched->reason);
  matched_free(matched);
}

static void submit_matched(const struct feed *feed, struct bundle *bundle, struct bus_message *message,
                           const uint32_t *ids, size_t count) {
  struct worker *worker = feed->worker;
  struct matched *matched = calloc(1, sizeof *matched + count * sizeof *ids);
  struct delivery *delivery = matched ? delivery_open(worker, DELIVERY_EVENT) : NULL;
  if (!delivery) {
    free(matched);
    bus_abandon(feed->consumer, message);
    return;
  }
  matched->task.abandon = abandon_event;
  delivery->consumer = feed->consumer;
  delivery->message = message;
  matched->delivery = delivery;
  matched->bundle = bundle_hold(bundle);
  matched->count = count;
  if (count > 0) memcpy(matched->triggers, ids, count * sizeof *ids);
  if (pool_submit(worker->pool, POOL_LANE_EVENT, NULL, 0, event_task, matched) != 0) abandon_event(matched);
}

struct rejected {
  struct task task;
  const struct feed *feed;
  struct bus_message *message;
  char reason[900];
};

static void reject_task(void *argument) {
  struct rejected *rejected = argument;
  dead_letter(rejected->feed->worker, rejected->feed->consumer, rejected->message, rejected->reason);
  free(rejected);
}

static void abandon_rejected(void *argument) {
  struct rejected *rejected = argument;
  bus_abandon(rejected->feed->consumer, rejected->message);
  free(rejected);
}

static void submit_rejected(const struct feed *feed, struct bus_message *message, const char *reason) {
  struct rejected *rejected = calloc(1, sizeof *rejected);
  if (!rejected) {
    bus_abandon(feed->consumer, message);
    return;
  }
  rejected->task.abandon = abandon_rejected;
  rejected->feed = feed;
  rejected->message = message;
  snprintf(rejected->reason, sizeof rejected->reason, "%s", reason);
  if (pool_submit(feed->worker->pool, POOL_LANE_EVENT, NULL, 0, reject_task, rejected) != 0) abandon_rejected(rejected);
}

struct sight { /* what the look at the raw bytes of the newest event found */
  const struct match_set *matcher;
  struct match_scratch *scratch;
  const uint32_t *ids;
  int count;
  int unmatched; /* counted here, told TOLD_AT_ONCE at a time */
  struct error error;
};

enum { PREFETCHED = 4096 /* bytes */, TOLD_AT_ONCE = 1024 };

static void tell_unmatched(struct sight *sight) {
  if (sight->unmatched > 0) metric_add(&worker_metrics[M_EVENTS], sight->unmatched, "unmatched");
  sight->unmatched = 0;
}

/* Another processor has just written the message: its lines are asked for all at once, not one after the other. */
static enum bus_sight look_at(const char *value, size_t length, void *argument) {
  struct sight *sight = argument;
  for (size_t i = 0; i < length && i < PREFETCHED; i += 64) __builtin_prefetch(value + i);
  sight->count = value && match_may(sight->matcher, value, length)
                     ? match_run(sight->matcher, sight->scratch, value, length, &sight->ids, &sight->error)
                     : 0;
  if (sight->count != 0) return BUS_KEEP;
  if (++sight->unmatched == TOLD_AT_ONCE) tell_unmatched(sight);
  return BUS_DONE;
}

/* The bundle is held for as long as the look lasts, not for each event: at most POLL_MS. */
static void sift(const struct feed *feed, struct match_scratch *scratch) {
  struct bundle *bundle = worker_bundle(feed->worker);
  struct sight sight = {.matcher = bundle->matcher, .scratch = scratch};
  struct error error = {0};
  struct bus_message *message = bus_sift(feed->consumer, POLL_MS, look_at, &sight, &error);
  tell_unmatched(&sight);
  if (!message && error.class != ERROR_NONE) log_debug("consumer", LOG_ERROR(&error));
  if (message && sight.count < 0) submit_rejected(feed, message, sight.error.message);
  if (message && sight.count > 0) /* counted when it has its units: it may turn out a duplicate, or a dead letter */
    submit_matched(feed, bundle, message, sight.ids, (size_t)sight.count);
  bundle_drop(bundle);
}

void *events_thread(void *argument) {
  const struct feed *feed = argument;
  struct match_scratch *scratch = match_scratch_open();
  while (scratch && !feed->worker->stopping) sift(feed, scratch);
  match_scratch_free(scratch);
  return NULL;
}
