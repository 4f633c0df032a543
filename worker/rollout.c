#include "rollout.h"

#include <stdio.h>
#include <string.h>

#include "functions/functions.h"
#include "site/plan.h"

const char *const rollout_stages[] = {"shadow", "canary", "units", "all", NULL};

static int lists(const json_t *globs, const char *value) {
  for (size_t i = 0; i < json_array_size(globs); i++)
    if (engine_glob(json_string_value(json_array_get(globs, i)), value)) return 1;
  return 0;
}

int rollout_acts(const json_t *rollout, int64_t version, const char *account, const char *unit) {
  if (!json_is_object(rollout)) return 1;
  int64_t known = json_integer_value(json_object_get(rollout, "version"));
  if (version != known) return version < known;
  const char *stage = json_text_at(rollout, "stage", NULL);
  if (strcmp(stage, "all") == 0) return 1;
  int canary = lists(json_object_get(rollout, "accounts"), account);
  if (strcmp(stage, "canary") == 0) return canary;
  return strcmp(stage, "units") == 0 && (canary || lists(json_object_get(rollout, "units"), unit));
}

static enum verdict record_shadow(struct unit *unit, struct unit_case *one, const struct live *live, json_t *finding,
                                  const char *stage, struct error *error) {
  char note[300];
  struct error why = {0};
  json_decref(one->planned);
  struct aws_role role;
  struct reader reader = unit_reader(unit, &role);
  struct occasion occasion = unit_occasion(unit, one);
  one->planned = site_plan(&reader, one->guardrail, &unit->place, live, &occasion, finding, &why);
  snprintf(note, sizeof note, "version %lld acts in stage \"%s\" only: it would have made %zu calls%s%.120s",
           (long long)one->guardrail->version, stage, json_array_size(one->planned),
           why.class == ERROR_NONE ? "" : ", and then: ", why.class == ERROR_NONE ? "" : why.message);
  metric_add(&worker_metrics[M_GATES], 1, one->guardrail->name, "rollout");
  return record_finding(unit, one, "shadow", finding, note, error) == VERDICT_GO ? VERDICT_DONE : VERDICT_LATER;
}

enum verdict gate_rollout(struct unit *unit, struct unit_case *one, const struct live *live, json_t *finding,
                          struct error *error) {
  json_t *rollout = NULL;
  if (state_rollout_get(unit->worker->state, one->guardrail->name, &rollout, error) != 0) return VERDICT_LATER;
  enum verdict verdict = VERDICT_GO;
  if (!rollout_acts(rollout, one->guardrail->version, unit->account->id, unit->place.unit ? unit->place.unit : "")) {
    int newer = json_integer_value(json_object_get(rollout, "version")) < one->guardrail->version;
    verdict = record_shadow(unit, one, live, finding, newer ? "none yet" : json_text_at(rollout, "stage", NULL), error);
  }
  json_decref(rollout);
  return verdict;
}
