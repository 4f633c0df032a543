#include "operate/operate.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bus/topics.h"

enum { RECORD_MS = 5000 };

static const struct {
  const char *name, *permission;
  operate_verb *run; /* NULL: a worker's own */
} operate_verbs[] = {
    {"approve", "approve", operate_approve},
    {"deny", "approve", operate_deny},
    {"except", "except", operate_exception_add},
    {"except.remove", "except", operate_exception_remove},
    {"trip", "reset", operate_trip},
    {"hold", "reset", operate_hold},
    {"probe", "reset", operate_probe},
    {"reset", "reset", operate_reset},
    {"rollout", "rollout", operate_rollout},
    {"fight.reset", "reset", operate_fight_reset},
    {"stop", "stop", operate_stop},
    {"resume", "stop", operate_resume},
    {"undo", "undo", NULL},
};

const char *operate_permission(const char *verb) {
  for (size_t i = 0; i < sizeof operate_verbs / sizeof *operate_verbs; i++)
    if (strcmp(operate_verbs[i].name, verb) == 0) return operate_verbs[i].permission;
  return NULL;
}

json_t *operate_run(const struct operate *operate, const char *verb, const json_t *arguments, struct error *error) {
  for (size_t i = 0; i < sizeof operate_verbs / sizeof *operate_verbs; i++)
    if (operate_verbs[i].run && strcmp(operate_verbs[i].name, verb) == 0)
      return operate_verbs[i].run(operate, arguments, error);
  error_set(error, ERROR_INVALID, "Verb", "\"%.40s\" cannot be carried out here", verb);
  return NULL;
}

int operate_record(const struct operate *operate, const char *id, const char *verb, const json_t *arguments,
                   const char *result, const char *reason, const char *owner, struct error *error) {
  char now[32];
  json_t *record = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "kind", "operator", "time",
                             clock_format(clock_wall_ms(), now, sizeof now), "command", id, "verb", verb, "principal",
                             operate->principal, "result", result, "reason", reason ? reason : "", "owner", owner);
  if (record && json_is_object(arguments)) json_object_set(record, "arguments", (json_t *)arguments);
  char *text = record ? json_text(record) : NULL;
  int written =
      text ? bus_produce_durably(operate->producer, BUS_TOPIC_ACTIONS, id, text, strlen(text), RECORD_MS, error)
           : error_set(error, ERROR_FATAL, "Memory", "out of memory");
  free(text);
  json_decref(record);
  return written;
}
