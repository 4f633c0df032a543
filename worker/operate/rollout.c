/* Where a playbook's version acts. */
#include <string.h>

#include "base/clock.h"
#include "fleet/mirror.h"
#include "operate/operate.h"

static const char *mistake(const json_t *rollout) {
  static const char *const stages[] = {"shadow", "canary", "units", "all"};
  const char *stage = json_text_at(rollout, "stage", NULL);
  if (json_is_null(rollout)) return NULL; /* forgotten */
  if (!json_is_object(rollout)) return "a rollout is {version, stage, accounts, units}";
  if (json_integer_value(json_object_get(rollout, "version")) < 1) return "a rollout is of a version";
  for (size_t i = 0; i < sizeof stages / sizeof *stages; i++)
    if (strcmp(stages[i], stage) == 0) return NULL;
  return "a stage is shadow, canary, units or all";
}

json_t *operate_rollout(const struct operate *operate, const json_t *arguments, struct error *error) {
  const char *guardrail = json_text_at(arguments, "guardrail", NULL);
  const json_t *rollout = json_object_get(arguments, "rollout");
  const char *wrong = *guardrail ? mistake(rollout) : "which guardrail?";
  char now[32];
  if (wrong) return error_set(error, ERROR_INVALID, "Rollout", "%s", wrong), NULL;
  json_t *record = json_is_object(rollout) ? json_copy((json_t *)rollout) : NULL;
  if (record) {
    json_object_set_new(record, "guardrail", json_string(guardrail));
    json_object_set_new(record, "by", json_string(operate->principal));
    json_object_set_new(record, "at", json_string(clock_format(clock_wall_ms(), now, sizeof now)));
  }
  int failed = mirror_put(operate->producer, "rollout", guardrail, record, error) != 0 ||
               state_rollout_put(operate->state, guardrail, record, error) != 0;
  json_decref(record);
  return failed ? NULL : json_object();
}
