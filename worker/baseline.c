/* Baselines: where a guardrail that reverts changes keeps what it accepts (baselines/baseline.h says how it thinks).
 *
 * An event is noted before the first gate can hold its unit back: what is parked, or left to somebody else's unit,
 * comes back without its event, but finds the change on record.  Own changes, and those of whom the guardrail trusts,
 * are accepted at once, without a read where the event names the items.  Each write is a new version, first mirrored to
 * the topic parapet.state; who was overtaken reads and tries again. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "baselines/baseline.h"
#include "unit.h"

enum { OVERTAKEN_TIMES = 5, NOTE_AGE_MS = 24 * 3600 * 1000 /* an older event is only a reason to look */ };

struct occasion unit_occasion(const struct unit *unit, const struct unit_case *one) {
  return (struct occasion){.event = unit->delivery->event,
                           .actor = unit->delivery->actor,
                           .baseline = one->baseline,
                           .changes = one->changes};
}

/* Reads the record, lets `edit` change it (1 = it did), writes it; again when somebody else was faster. */
static int update(struct worker *worker, const char *subject, int (*edit)(json_t *record, void *argument),
                  void *argument, json_t **record, struct error *error) {
  for (int i = 0; i < OVERTAKEN_TIMES; i++) {
    int64_t version;
    int stored = 0;
    if (state_baseline_get(worker->state, subject, record, &version, error) != 0) return -1;
    if (!*record) *record = json_object();
    if (edit(*record, argument) == 0) return 0;
    int result = mirror_put(worker->producer, "baseline", subject, *record, error);
    if (result == 0) result = state_baseline_put(worker->state, subject, *record, version, &stored, error);
    if (result == 0 && stored) return 0;
    json_decref(*record);
    *record = NULL;
    if (result != 0) return -1;
  }
  return error_set(error, ERROR_RETRYABLE, "Baseline", "others are writing the baseline of %s", subject);
}

static const json_t *items_of(const struct guardrail *guardrail, const struct live *live) {
  return live ? live->contexts[guardrail->baseline->of - guardrail->resource->contexts] : NULL;
}

/* ---- an event ---- */
struct noting {
  struct unit *unit;
  struct unit_case *one;
  int accepted;
  const struct live *live;
  int needs_live; /* the event does not name the items */
  struct error error;
};

static int note(json_t *record, void *argument) {
  struct noting *noting = argument;
  struct unit *unit = noting->unit;
  const struct guardrail *guardrail = noting->one->guardrail;
  const struct delivery *delivery = unit->delivery;
  json_t *before = baseline_at(record, delivery->event_ms);
  struct occasion occasion = {.event = delivery->event, .actor = delivery->actor, .baseline = before};
  json_t *changes = baseline_read_event(guardrail, &unit->place, unit->id, noting->live, &occasion, &noting->error);
  int changed = 0;
  if (!changes) {
    log_warn("an event's changes could not be read", LOG_TEXT("subject", noting->one->subject),
             LOG_ERROR(&noting->error));
  } else if (!noting->accepted) {
    changed =
        baseline_note(record, changes, delivery->id, json_text_at(delivery->actor, "arn", NULL), delivery->event_ms);
  } else if (!noting->live && !baseline_keys_known(changes)) {
    noting->needs_live = 1;
  } else {
    baseline_accept(guardrail, record, changes, items_of(guardrail, noting->live), delivery->event_ms);
    changed = 1;
  }
  json_decref(changes);
  json_decref(before);
  return changed;
}

/* The record as judging wants it. */
static void remember(struct unit_case *one, const json_t *record, int64_t at) {
  json_decref(one->baseline);
  json_decref(one->changes);
  one->baseline = baseline_at(record, at);
  one->changes = baseline_changes(record);
}

static enum verdict accept_change(struct noting *noting, struct error *error) {
  struct live *live = NULL;
  json_t *record = NULL;
  enum verdict verdict = VERDICT_DONE;
  if (update(noting->unit->worker, noting->one->subject, note, noting, &record, error) != 0) verdict = VERDICT_LATER;
  if (verdict == VERDICT_DONE && noting->needs_live) {
    json_decref(record);
    record = NULL;
    verdict = unit_read(noting->unit, noting->one, &live, error) == VERDICT_GO ? VERDICT_DONE : VERDICT_LATER;
    noting->live = live;
    if (live && update(noting->unit->worker, noting->one->subject, note, noting, &record, error) != 0)
      verdict = VERDICT_LATER;
  }
  live_free(live);
  json_decref(record);
  if (verdict == VERDICT_DONE) metric_add(&worker_metrics[M_GATES], 1, noting->one->guardrail->name, "accepted");
  return verdict;
}

enum verdict unit_note(struct unit *unit, struct unit_case *one, int own, struct error *error) {
  const struct delivery *delivery = unit->delivery;
  struct noting noting = {.unit = unit, .one = one, .accepted = own};
  struct occasion occasion = unit_occasion(unit, one);
  json_t *record = NULL;
  int64_t now = clock_wall_ms();
  if (one->changes) return VERDICT_GO; /* a further look */
  int is_event = delivery->kind == DELIVERY_EVENT && delivery->event_ms > 0 && now - delivery->event_ms < NOTE_AGE_MS;
  if (!is_event) {
    int64_t version;
    if (own) return VERDICT_GO;
    if (state_baseline_get(unit->worker->state, one->subject, &record, &version, error) != 0) return VERDICT_LATER;
  } else {
    if (!own) noting.accepted = baseline_accepts(one->guardrail, &unit->place, unit->id, &occasion, error);
    if (noting.accepted < 0) return VERDICT_LATER;
    if (noting.accepted) return accept_change(&noting, error);
    if (update(unit->worker, one->subject, note, &noting, &record, error) != 0) return VERDICT_LATER;
  }
  remember(one, record, is_event ? delivery->event_ms : now);
  json_decref(record);
  return VERDICT_GO;
}

/* ---- the end of a violation, and sweeps ---- */
struct settling {
  const struct guardrail *guardrail;
  const json_t *done, *items;
};

static int settle(json_t *record, void *argument) {
  const struct settling *settling = argument;
  return baseline_settle(settling->guardrail, record, settling->done, settling->items, clock_wall_ms());
}

enum verdict unit_settle(struct unit *unit, struct unit_case *one, const struct live *live, struct error *error) {
  struct settling settling = {one->guardrail, one->changes, items_of(one->guardrail, live)};
  json_t *record = NULL;
  if (json_array_size(one->changes) == 0 && !live) return VERDICT_GO;
  int result = update(unit->worker, one->subject, settle, &settling, &record, error);
  json_decref(record);
  return result == 0 ? VERDICT_GO : VERDICT_LATER;
}

struct sighting {
  const struct guardrail *guardrail;
  const json_t *items;
  int64_t patience;
};

static int see(json_t *record, void *argument) {
  const struct sighting *sighting = argument;
  return baseline_see(sighting->guardrail, record, sighting->items, clock_wall_ms(), sighting->patience);
}

int baseline_sweep(struct worker *worker, const struct guardrail *guardrail, const char *subject,
                   const struct live *live, struct occasion *occasion, struct error *error) {
  struct sighting sighting = {guardrail, items_of(guardrail, live), config_ms(worker->config, "baseline.after")};
  json_t *record = NULL;
  if (update(worker, subject, see, &sighting, &record, error) != 0) return -1;
  occasion->baseline = baseline_at(record, clock_wall_ms());
  occasion->changes = baseline_changes(record);
  json_decref(record);
  return 0;
}
