/* The breakers' scopes of an action, how it ended, and what follows: a scope that opens or closes is logged, mirrored
 * and told; what is parked comes back by itself when probes closed it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "site/breaker.h"
#include "unit.h"

enum { PROBE_PACE = 10 };

/* "ssh-open-to-internet=50/10m" in place of what the playbook says. */
static void apply_override(const struct config *config, const char *guardrail, struct state_limit *limit) {
  size_t length = strlen(guardrail);
  for (const char *const *override = config_list(config, "breaker.override"); *override; override++) {
    const char *value = *override + length + 1, *slash = strchr(value, '/');
    int64_t window;
    if (strncmp(*override, guardrail, length) != 0 || (*override)[length] != '=' || !slash) continue;
    long actions = strtol(value, NULL, 10);
    if (actions > 0 && clock_parse_duration(slash + 1, &window) == 0)
      limit->actions = actions, limit->window_ms = window;
  }
}

void worker_scopes(const struct worker *worker, const struct guardrail *guardrail, const char *account,
                   struct scopes *scopes) {
  const struct config *config = worker->config;
  const char *type = guardrail->resource->name;
  const struct {
    const char *actions, *share;
  } rows[] = {{NULL, NULL}, /* the playbook's own */
              {"breaker.guardrail_actions", "breaker.guardrail_share"},
              {"breaker.account_actions", "breaker.account_share"},
              {"breaker.organization_actions", "breaker.organization_share"}};
  snprintf(scopes->text[0], sizeof scopes->text[0], "%s/%s", guardrail->name, account);
  snprintf(scopes->text[1], sizeof scopes->text[1], "%s", guardrail->name);
  snprintf(scopes->text[2], sizeof scopes->text[2], "account:%s", account);
  snprintf(scopes->text[3], sizeof scopes->text[3], "organization");
  snprintf(scopes->type, sizeof scopes->type, "%s/%s", account, type);
  const char *const populations[] = {scopes->type, type, account, "*"};
  int64_t failures = 0, of = 0;
  site_breaker_ratio(config_text(config, "breaker.failures"), &failures, &of);
  scopes->count = 4;
  for (size_t i = 0; i < 4; i++) {
    struct state_limit *limit = &scopes->limits[i];
    *limit = (struct state_limit){.scope = scopes->text[i], .window_ms = config_ms(config, "breaker.window")};
    limit->population = populations[i];
    limit->least = config_number(config, "breaker.share_least");
    if (rows[i].actions) limit->actions = config_number(config, rows[i].actions);
    if (rows[i].share) limit->share = config_number(config, rows[i].share) * 100;
    if (i > 0 && i < 3) limit->failures = failures, limit->failures_of = of;
  }
  struct state_limit *own = &scopes->limits[0];
  own->actions = guardrail->breaker.actions;
  if (guardrail->breaker.window_ms > 0) own->window_ms = guardrail->breaker.window_ms;
  own->share = guardrail->breaker.share;
  if (guardrail->breaker.least > 0) own->least = guardrail->breaker.least;
  own->failures = guardrail->breaker.failures, own->failures_of = guardrail->breaker.failures_of;
  apply_override(config, guardrail->name, own);
}

/* ---- a scope that changed ---- */
static void mirror_scope(struct worker *worker, const char *scope, const char *state, const char *by,
                         const char *reason) {
  struct error error = {0};
  json_t *record = strcmp(state, "closed") == 0 ? NULL
                                                : json_pack("{s:s, s:s, s:s, s:I}", "state", state, "by", by, "reason",
                                                            reason, "opened", (json_int_t)clock_wall_ms());
  if (mirror_put(worker->producer, "breaker", scope, record, &error) != 0)
    log_warn("a breaker's change could not be mirrored", LOG_TEXT("scope", scope), LOG_ERROR(&error));
  json_decref(record);
}

void limits_tripped(struct unit *unit, struct unit_case *one, const char *scope, const char *by, const char *reason) {
  char note[400];
  snprintf(note, sizeof note, "breaker %s opened: %s", scope, reason);
  log_warn("breaker tripped", LOG_TEXT("scope", scope), LOG_TEXT("reason", reason),
           LOG_TEXT("guardrail", one->guardrail->name), LOG_TEXT("account", unit->account->id));
  mirror_scope(unit->worker, scope, "open", by, reason);
  notice_case(unit, one, "tripped", NULL, note);
}

/* What is parked comes back at the scope's own rate: its limit never trips over it. */
static void closed_by_probes(struct worker *worker, const json_t *change) {
  const char *scope = json_text_at(change, "scope", NULL);
  double actions = (double)json_integer_value(json_object_get(change, "limit")),
         seconds = (double)json_integer_value(json_object_get(change, "window_ms")) / 1000;
  double pace = actions > 0 && seconds > 0 ? actions / seconds : 1;
  int64_t count = 0;
  struct error error = {0};
  mirror_scope(worker, scope, "closed", "probe", "");
  if (state_parked_return(worker->state, scope, pace < 0.001 ? 0.001 : pace, INT32_MAX, &count, &error) != 0)
    log_warn("parked work stays parked", LOG_TEXT("scope", scope), LOG_ERROR(&error));
  log_info("breaker closed: its probes passed", LOG_TEXT("scope", scope), LOG_INT("returning", count));
}

int limits_outcome(struct unit *unit, struct unit_case *one, int failed, struct error *error) {
  struct scopes scopes;
  json_t *changes = NULL, *change;
  size_t index;
  worker_scopes(unit->worker, one->guardrail, unit->account->id, &scopes);
  if (state_breaker_outcome(unit->worker->state, scopes.limits, scopes.count, one->action, failed, &changes, error) !=
      0)
    return -1;
  json_array_foreach(changes, index, change) {
    if (strcmp(json_text_at(change, "state", NULL), "open") == 0)
      limits_tripped(unit, one, json_text_at(change, "scope", NULL), "failures", json_text_at(change, "reason", NULL));
    else
      closed_by_probes(unit->worker, change);
  }
  json_decref(changes);
  return 0;
}

/* ---- cooling down ---- */
void limits_cool(struct worker *worker) {
  int64_t cooldown = config_ms(worker->config, "breaker.cooldown"), count,
          probes = config_number(worker->config, "breaker.probes");
  struct error error = {0};
  json_t *list = NULL, *row;
  size_t index;
  if (cooldown == 0) return;
  if (state_breakers(worker->state, &list, &error) != 0) log_debug("breakers cannot be listed", LOG_ERROR(&error));
  json_array_foreach(list, index, row) {
    const char *scope = json_text_at(row, "scope", NULL);
    if (strcmp(json_text_at(row, "state", NULL), "open") != 0) continue;
    if (state_breaker_probe(worker->state, scope, probes, cooldown, "cooldown", &error) != 1) continue;
    if (state_parked_return(worker->state, scope, PROBE_PACE, probes, &count, &error) != 0) count = 0;
    log_info("breaker half-open", LOG_TEXT("scope", scope), LOG_INT("probes", probes), LOG_INT("returning", count));
  }
  json_decref(list);
}
