/* Fights: A sets it, we fix it, A sets it again.  Each verified fix is a round, with who had made the change; after
 * some rounds by the same opponent within the window Parapet stops for this resource and this guardrail, and names who
 * it is and what it keeps setting.  A sweep does not know who it was: a round without a name counts for anybody. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "unit.h"

enum { KEEPS_BYTES = 300 };

/* One that comes back under another session name is the same. */
static const char *opponent_of(const json_t *actor) {
  const char *role = json_text_at(actor, "role", NULL);
  return *role ? role : json_text_at(actor, "arn", NULL);
}

/* What the change went through, as far as it tells; "" when it does not. */
static const char *vehicle(const json_t *actor) {
  static const struct {
    const char *sign, *name;
  } signs[] = {{"cloudformation", "CloudFormation"},
               {"Terraform", "Terraform"},
               {"Pulumi", "Pulumi"},
               {"aws-cdk", "CDK"},
               {"crossplane", "Crossplane"},
               {"aws-load-balancer-controller", "AWS Load Balancer Controller"},
               {"kubernetes", "a Kubernetes controller"},
               {"ack-", "a Kubernetes controller"},
               {"console", "the console"},
               {"aws-cli", "the AWS CLI"},
               {"autoscaling", "Auto Scaling"}};
  const char *texts[] = {json_text_at(actor, "via", NULL), json_text_at(actor, "agent", NULL)};
  for (size_t t = 0; t < 2; t++)
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
      if (strcasestr(texts[t], signs[i].sign)) return signs[i].name;
  return texts[0];
}

static json_t *round_of(const struct unit *unit, const json_t *finding) {
  const json_t *actor = unit->delivery->actor;
  char *keeps = json_text(finding);
  json_t *round = json_pack("{s:s, s:s, s:s%}", "opponent", opponent_of(actor), "via", vehicle(actor), "keeps",
                            keeps ? keeps : "", keeps ? strnlen(keeps, KEEPS_BYTES) : (size_t)0);
  free(keeps);
  /* Cut in the middle of a character: without it. */
  return round ? round : json_pack("{s:s, s:s}", "opponent", opponent_of(actor), "via", vehicle(actor));
}

int fight_round(struct unit *unit, struct unit_case *one, struct error *error) {
  if (config_number(unit->worker->config, "fight.rounds") == 0) return 0;
  json_t *round = round_of(unit, one->finding_value);
  int result = state_fight_round(unit->worker->state, one->subject, one->action, round,
                                 config_ms(unit->worker->config, "fight.window"), error);
  json_decref(round);
  return result;
}

/* The rounds that this opponent (or nobody known) had; *last: the latest that tells a name; *first: of them. */
static int64_t rounds_by(const json_t *rounds, const char *opponent, const json_t **last, const json_t **first) {
  int64_t count = 0;
  *last = *first = NULL;
  for (size_t i = 0; i < json_array_size(rounds); i++) {
    const json_t *round = json_array_get(rounds, i);
    const char *name = json_text_at(round, "opponent", NULL);
    if (*opponent && *name && strcmp(name, opponent) != 0) continue;
    if (count++ == 0) *first = round;
    if (*name) *last = round;
  }
  return count;
}

static json_t *fight_record(struct unit *unit, struct unit_case *one, const json_t *now, const json_t *last,
                            const json_t *first, int64_t count) {
  const json_t *known = *json_text_at(now, "opponent", NULL) || !last ? now : last;
  int64_t until = json_integer_value(json_object_get(first, "at")) + config_ms(unit->worker->config, "fight.window");
  return json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:s, s:s, s:I}", "guardrail", one->guardrail->name, "account",
                   unit->account->id, "region", unit->region, "resource", unit->id, "rounds", (json_int_t)count,
                   "opponent", json_text_at(known, "opponent", NULL), "via", json_text_at(known, "via", NULL), "keeps",
                   json_text_at(now, "keeps", NULL), "until", (json_int_t)until);
}

static void fight_note(const struct unit_case *one, const json_t *fight, char *note, size_t size) {
  const char *name = json_text_at(fight, "opponent", NULL), *via = json_text_at(fight, "via", NULL);
  char until[32];
  snprintf(note, size,
           "fixed %lld times and set wrong again by %s%s%s%s, which keeps setting %s; left alone until %s, or "
           "parapet fights reset '%s'",
           (long long)json_integer_value(json_object_get(fight, "rounds")), *name ? name : "somebody no event named",
           *via ? " (via " : "", via, *via ? ")" : "", json_text_at(fight, "keeps", NULL),
           clock_format(json_integer_value(json_object_get(fight, "until")), until, sizeof until), one->subject);
}

enum verdict gate_fight(struct unit *unit, struct unit_case *one, json_t *finding, struct error *error) {
  int64_t most = config_number(unit->worker->config, "fight.rounds");
  json_t *rounds = NULL;
  if (most == 0) return VERDICT_GO;
  if (state_fight_rounds(unit->worker->state, one->subject, config_ms(unit->worker->config, "fight.window"), &rounds,
                         error) != 0)
    return VERDICT_LATER;
  const json_t *last, *first;
  int64_t count = rounds_by(rounds, opponent_of(unit->delivery->actor), &last, &first);
  enum verdict verdict = VERDICT_GO;
  if (count >= most) {
    char note[1800];
    json_t *now = round_of(unit, finding), *fight = fight_record(unit, one, now, last, first, count);
    fight_note(one, fight, note, sizeof note);
    metric_add(&worker_metrics[M_GATES], 1, one->guardrail->name, "fight");
    log_warn("a fight: left alone", LOG_TEXT("subject", one->subject),
             LOG_TEXT("opponent", json_text_at(fight, "opponent", NULL)),
             LOG_TEXT("via", json_text_at(fight, "via", NULL)));
    verdict = state_fight_declare(unit->worker->state, one->subject, fight, error) == 0 &&
                      record_finding(unit, one, "fought", finding, note, error) == VERDICT_GO
                  ? VERDICT_DONE
                  : VERDICT_LATER;
    json_decref(fight);
    json_decref(now);
  }
  json_decref(rounds);
  return verdict;
}
