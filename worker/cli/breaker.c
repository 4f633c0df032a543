/* breaker list | trip | hold | probe | reset, fights, and the organization-wide stop. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli.h"

enum { PROBE_PACE = 10 };

#define BY \
  { "by", SETTING_TEXT, NULL, "who does it; none: $USER", 0, 0, 0 }
#define REASON \
  { "reason", SETTING_TEXT, NULL, "why", 0, 0, 0 }
const struct setting operator_options[] = {BY, REASON, {0}};
const struct setting reset_options[] = {
    BY,
    REASON,
    {"release", SETTING_BOOL, "false", "bring back what is parked in this scope", 0, 0, 0},
    {"pace", SETTING_TEXT, "1/s", "how fast: 5/s, 30/m", 0, 0, 0},
    {0}};

const struct setting probe_options[] = {
    BY, {"probes", SETTING_NUMBER, "3", "how many actions are let through", 1, 100, 0}, {0}};

static const char *operator_name(const struct cli *cli) {
  const char *by = config_text(cli->config, "by");
  const char *user = getenv("USER");
  return *by ? by : user && *user ? user : "operator";
}

/* "5/s" or "30/m" to actions a second; 0, or -1. */
static int parse_pace(const char *text, double *pace) {
  char *end;
  double number = strtod(text, &end);
  if (end == text || *end != '/' || !(number > 0) || number > 10000) return -1;
  if (strcmp(end + 1, "s") == 0)
    *pace = number;
  else if (strcmp(end + 1, "m") == 0)
    *pace = number / 60;
  else
    return -1;
  return 0;
}

/* Durable first: the topic's record is what a Redis that lost its memory is rebuilt from. */
static int set_breaker(struct cli *cli, struct state *state, const char *scope, const char *verb, struct error *error) {
  static const struct { const char *verb, *state; } states[] = {{"trip", "open"}, {"hold", "held"}, {"reset", NULL}};
  const char *by = operator_name(cli), *reason = config_text(cli->config, "reason");
  json_t *record = NULL;
  for (size_t i = 0; i < sizeof states / sizeof *states; i++)
    if (strcmp(states[i].verb, verb) == 0 && states[i].state)
      record = json_pack("{s:s, s:s, s:s, s:I}", "state", states[i].state, "by", by, "reason", reason, "opened",
                         (json_int_t)clock_wall_ms());
  int result = cli_mirror(cli, "breaker", scope, record, error);
  json_decref(record);
  return result == 0 ? state_breaker_set(state, scope, verb, by, reason, error) : -1;
}

static int change_breaker(struct cli *cli, const char *verb, int64_t *released) {
  struct error error = {0};
  double pace = 0;
  if (cli->words.count != 1)
    return fail_usage("which scope? GUARDRAIL/ACCOUNT, GUARDRAIL, account:ACCOUNT or organization");
  const char *scope = cli->words.words[0];
  if (released && parse_pace(config_text(cli->config, "pace"), &pace) != 0)
    return fail_usage("--pace is a number a second or minute, as 5/s or 30/m, not \"%s\"",
                      config_text(cli->config, "pace"));
  struct state *state = cli_state(cli, &error);
  int result = state ? set_breaker(cli, state, scope, verb, &error) : -1;
  if (result == 0 && released) result = state_parked_release(state, scope, pace, released, &error);
  state_close(state);
  return result == 0 ? CLI_OK : fail(&error);
}

int run_breaker_trip(struct cli *cli) {
  int result = change_breaker(cli, "trip", NULL);
  if (result == CLI_OK) printf("%s is open: its actions are parked until parapet breaker reset\n", cli->words.words[0]);
  return result;
}

int run_breaker_hold(struct cli *cli) {
  int result = change_breaker(cli, "hold", NULL);
  if (result == CLI_OK) printf("%s is held open until parapet breaker reset\n", cli->words.words[0]);
  return result;
}

int run_breaker_probe(struct cli *cli) {
  struct error error = {0};
  int64_t probes = config_number(cli->config, "probes"), count = 0;
  if (cli->words.count != 1)
    return fail_usage("which scope? GUARDRAIL/ACCOUNT, GUARDRAIL, account:ACCOUNT or organization");
  const char *scope = cli->words.words[0];
  struct state *state = cli_state(cli, &error);
  int probed = state ? state_breaker_probe(state, scope, probes, -1, operator_name(cli), &error) : -1;
  int result = probed == 1 ? state_parked_return(state, scope, PROBE_PACE, probes, &count, &error) : probed;
  state_close(state);
  if (result < 0) return fail(&error);
  if (probed == 0) {
    fprintf(stderr, "parapet: %s is closed: there is nothing to probe\n", scope);
    return CLI_ERROR;
  }
  printf(
      "%s is half-open: %lld actions are let through, %lld parked units come back for it; it closes when all end "
      "well\n",
      scope, (long long)probes, (long long)count);
  return CLI_OK;
}

int run_breaker_reset(struct cli *cli) {
  int64_t released = 0;
  int release = config_bool(cli->config, "release");
  int result = change_breaker(cli, "reset", release ? &released : NULL);
  if (result == CLI_OK && release)
    printf("%s is closed; %lld parked units come back at %s\n", cli->words.words[0], (long long)released,
           config_text(cli->config, "pace"));
  else if (result == CLI_OK)
    printf("%s is closed; what is parked stays parked until --release\n", cli->words.words[0]);
  return result;
}

int run_breaker_list(struct cli *cli) {
  static const struct column columns[] = {
      {"SCOPE", "scope", 0},         {"STATE", "state", 0}, {"COUNT", "count", 0},    {"LIMIT", "limit", 0},
      {"WINDOW_MS", "window_ms", 0}, {"BY", "by", 30},      {"REASON", "reason", 60}, {0}};
  struct error error = {0};
  json_t *list = NULL;
  struct state *state = cli_state(cli, &error);
  int result = state ? state_breakers(state, &list, &error) : -1;
  if (result == 0) print_rows(cli, list, columns);
  state_close(state);
  json_decref(list);
  return result == 0 ? CLI_OK : fail(&error);
}

/* ---- fights ---- */
int run_fights_list(struct cli *cli) {
  static const struct column columns[] = {{"SUBJECT", "subject", 90},   {"ROUNDS", "rounds", 0},
                                          {"OPPONENT", "opponent", 70}, {"VIA", "via", 30},
                                          {"KEEPS", "keeps", 60},       {0}};
  struct error error = {0};
  json_t *list = NULL;
  struct state *state = cli_state(cli, &error);
  int result = state ? state_fights(state, &list, &error) : -1;
  if (result == 0) print_rows(cli, list, columns);
  state_close(state);
  json_decref(list);
  return result == 0 ? CLI_OK : fail(&error);
}

int run_fights_reset(struct cli *cli) {
  struct error error = {0};
  int existed = 0;
  if (cli->words.count != 1)
    return fail_usage("which one? parapet fights reset 'GUARDRAIL|ARN', as fights list shows it");
  struct state *state = cli_state(cli, &error);
  int result = state ? state_fight_reset(state, cli->words.words[0], &existed, &error) : -1;
  state_close(state);
  if (result != 0) return fail(&error);
  if (!existed) {
    fprintf(stderr, "parapet: nobody fights over %s\n", cli->words.words[0]);
    return CLI_ERROR;
  }
  printf("%s is put right again from its next event or sweep on\n", cli->words.words[0]);
  return CLI_OK;
}

/* ---- stop ---- */
static int set_stop(struct cli *cli, json_t *record) {
  struct error error = {0};
  struct state *state = cli_state(cli, &error);
  /* A stop must hold at once, so Redis first; lifting it must not be undone by a rebuild, so the topic first. */
  int result = state ? 0 : -1;
  if (result == 0 && record) result = state_stop_set(state, record, &error);
  if (result == 0) result = cli_mirror(cli, "stop", "organization", record, &error);
  if (result == 0 && !record) result = state_stop_set(state, NULL, &error);
  state_close(state);
  json_decref(record);
  return result == 0 ? CLI_OK : fail(&error);
}

int run_stop(struct cli *cli) {
  char now[32];
  int result =
      set_stop(cli, json_pack("{s:s, s:s, s:s}", "by", operator_name(cli), "reason", config_text(cli->config, "reason"),
                              "at", clock_format(clock_wall_ms(), now, sizeof now)));
  if (result == CLI_OK) puts("stopped: nothing is changed in any account until parapet resume");
  return result;
}

int run_resume(struct cli *cli) {
  int result = set_stop(cli, NULL);
  if (result == CLI_OK)
    puts("the stop is lifted; what was parked waits for parapet breaker reset organization --release");
  return result;
}
