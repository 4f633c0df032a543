/* How findings end when their violation is gone.  What was read may have changed before it is written: it is written
 * only over the record that was read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "json/value.h"
#include "state/state_internal.h"

#define TRIES 5

/* The record with status closed, in place of what it was.  1: done, and added to `list` if there is one, 0: another
 * record is there by now, -1: error. */
static int close_record(struct state *state, const json_t *record, json_t *list, struct error *error) {
  char now[32];
  int written = 0;
  char *before = json_text(record);
  json_t *closed = before ? json_copy((json_t *)record) : NULL;
  int failed = !closed || json_object_set_new(closed, "status", json_string("closed")) ||
               json_object_set_new(closed, "time", json_string(clock_format(clock_wall_ms(), now, sizeof now)));
  if (failed)
    error_set(error, ERROR_FATAL, "memory", "out of memory");
  else
    failed = state_finding_replace(state, closed, before, &written, error);
  if (!failed && written) json_array_append(list, closed);
  json_decref(closed);
  free(before);
  return failed ? -1 : written;
}

int state_finding_close(struct state *state, const char *id, char *was, struct error *error) {
  for (int tries = 0; tries < TRIES; tries++) {
    json_t *record = NULL;
    if (was) *was = '\0';
    if (state_finding_get(state, id, &record, error)) return -1;
    if (!record) return 0;
    const char *status = json_text_at(record, "status", NULL);
    if (was) snprintf(was, STATE_STATUS_BYTES + 1, "%s", status);
    int result = state_finding_counts_as_open(status) ? close_record(state, record, NULL, error) : 1;
    json_decref(record);
    if (result) return result < 0 ? -1 : 0;
  }
  return error_set(error, ERROR_RETRYABLE, "contended", "finding %.64s changes faster than it can be closed", id);
}

/* The ids as the keys of an object: a sweep sees thousands. */
static json_t *set_of(const json_t *ids) {
  json_t *set = json_object();
  for (size_t i = 0; set && i < json_array_size(ids); i++) {
    const char *id = json_string_value(json_array_get(ids, i));
    if (!id || !json_object_set_new(set, id, json_true())) continue;
    json_decref(set);
    set = NULL;
  }
  return set;
}

static int list_place(struct state *state, const char *guardrail, const char *account, const char *region,
                      json_t **list, struct error *error) {
  struct state_call call;
  state_call_begin(&call, state, STATE_SCRIPT_finding_place);
  state_finding_keys(&call);
  state_finding_place(&call, guardrail, account, region);
  state_call_number(&call, STATE_LIST_LIMIT);
  return state_call_records(&call, list, error);
}

int state_findings_close_absent(struct state *state, const char *guardrail, const char *account, const char *region,
                                const json_t *seen, json_t *closed, struct error *error) {
  json_t *list = NULL, *record;
  size_t index;
  json_t *present = set_of(seen);
  if (!present) return error_set(error, ERROR_FATAL, "memory", "out of memory");
  int result = list_place(state, guardrail, account, region, &list, error);
  json_array_foreach(list, index, record) {
    /* A parked one is not judged by a sweep: its own turn will come. */
    if (!strcmp(json_text_at(record, "status", NULL), "parked")) continue;
    if (json_object_get(present, json_text_at(record, "id", NULL))) continue;
    /* Changed meanwhile: somebody knows something newer than this sweep. */
    result = close_record(state, record, closed, error);
    if (result < 0) break;
  }
  json_decref(list);
  json_decref(present);
  return result < 0 ? -1 : 0;
}
