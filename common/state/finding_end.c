/* How findings end when their violation is gone. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "json/value.h"
#include "state/state_internal.h"

#define STATUS_SIZE 32

static int still_counts(const char *status) {
  static const char *const words[] = {"open", "failed", "parked", "excepted"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (!strcmp(words[i], status)) return 1;
  return 0;
}

static int close_record(struct state *state, const json_t *record, struct error *error) {
  char now[32];
  json_t *closed = json_copy((json_t *)record);
  if (!closed) return error_set(error, ERROR_FATAL, "memory", "out of memory");
  json_object_set_new(closed, "status", json_string("closed"));
  json_object_set_new(closed, "time", json_string(clock_format(clock_wall_ms(), now, sizeof now)));
  int result = state_finding_put(state, closed, NULL, error);
  json_decref(closed);
  return result;
}

int state_finding_close(struct state *state, const char *id, char *was, struct error *error) {
  json_t *record = NULL;
  if (was) *was = '\0';
  if (state_finding_get(state, id, &record, error)) return -1;
  if (!record) return 0;
  const char *status = json_text_at(record, "status", NULL);
  if (was) snprintf(was, STATUS_SIZE, "%s", status);
  int result = still_counts(status) ? close_record(state, record, error) : 0;
  json_decref(record);
  return result;
}

static int is_in(const json_t *list, const char *text) {
  for (size_t i = 0; i < json_array_size(list); i++)
    if (!strcmp(json_string_value(json_array_get(list, i)), text)) return 1;
  return 0;
}

/* "name":"value" as it stands in a record's canonical text. */
static void add_member_text(struct state_call *call, const char *name, const char *value) {
  char text[256];
  snprintf(text, sizeof text, "\"%s\":\"%s\"", name, value);
  state_call_text(call, text);
}

int state_findings_close_absent(struct state *state, const char *guardrail, const char *account, const char *region,
                                const json_t *seen, int64_t *closed, struct error *error) {
  struct state_call call;
  json_t *list = NULL, *record;
  size_t index;
  int result = 0;
  if (closed) *closed = 0;
  state_call_begin(&call, state, STATE_SCRIPT_finding_place);
  state_call_keys(&call, "findings", "findings:records", "findings:status", "findings:by-status", "findings:counts",
                  NULL);
  add_member_text(&call, "guardrail", guardrail);
  add_member_text(&call, "account", account);
  add_member_text(&call, "region", region);
  if (state_call_records(&call, &list, error)) return -1;
  json_array_foreach(list, index, record) {
    if (strcmp(json_text_at(record, "guardrail", NULL), guardrail) || strcmp(json_text_at(record, "account", NULL), account) ||
        strcmp(json_text_at(record, "region", NULL), region) || is_in(seen, json_text_at(record, "id", NULL)))
      continue;
    if ((result = close_record(state, record, error))) break;
    if (closed) ++*closed;
  }
  json_decref(list);
  return result;
}
