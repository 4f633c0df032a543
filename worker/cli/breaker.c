/* breaker list | trip | hold | probe | reset, fights, and the organization-wide stop. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

#define BY \
  { "by", SETTING_TEXT, NULL, "who does it, where nobody has to prove it; none: $USER", 0, 0, 0 }
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
    BY, REASON, {"probes", SETTING_NUMBER, "3", "how many actions are let through", 1, 100, 0}, {0}};

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

/* The verb's {scope, reason}; new. */
static json_t *scope_arguments(struct cli *cli) {
  cli->by = config_text(cli->config, "by");
  return json_pack("{s:s, s:s}", "scope", cli->words.words[0], "reason", config_text(cli->config, "reason"));
}

static int change_breaker(struct cli *cli, const char *verb, int64_t *released) {
  struct error error = {0};
  double pace = 0;
  if (cli->words.count != 1)
    return fail_usage("which scope? GUARDRAIL/ACCOUNT, GUARDRAIL, account:ACCOUNT or organization");
  if (released && parse_pace(config_text(cli->config, "pace"), &pace) != 0)
    return fail_usage("--pace is a number a second or minute, as 5/s or 30/m, not \"%s\"",
                      config_text(cli->config, "pace"));
  json_t *arguments = scope_arguments(cli);
  if (released) json_object_set_new(arguments, "release", json_true());
  if (released) json_object_set_new(arguments, "pace", json_real(pace));
  json_t *result = cli_operate(cli, verb, arguments, &error);
  if (!result) return fail(&error);
  if (released) *released = json_integer_value(json_object_get(result, "released"));
  json_decref(result);
  return CLI_OK;
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
  if (cli->words.count != 1)
    return fail_usage("which scope? GUARDRAIL/ACCOUNT, GUARDRAIL, account:ACCOUNT or organization");
  const char *scope = cli->words.words[0];
  json_int_t probes = (json_int_t)config_number(cli->config, "probes");
  json_t *arguments = scope_arguments(cli);
  json_object_set_new(arguments, "probes", json_integer(probes));
  json_t *result = cli_operate(cli, "probe", arguments, &error);
  if (!result) return fail(&error);
  int probed = json_is_true(json_object_get(result, "probed"));
  if (probed)
    printf(
        "%s is half-open: %lld actions are let through, %lld parked units come back for it; it closes when all end "
        "well\n",
        scope, (long long)probes, (long long)json_integer_value(json_object_get(result, "returning")));
  else
    fprintf(stderr, "parapet: %s is closed: there is nothing to probe\n", scope);
  json_decref(result);
  return probed ? CLI_OK : CLI_ERROR;
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
  static const struct column columns[] = {{"SUBJECT", "subject", 0},    {"ROUNDS", "rounds", 0},
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
  if (cli->words.count != 1)
    return fail_usage("which one? parapet fights reset 'GUARDRAIL|ARN', as fights list shows it");
  const char *subject = cli->words.words[0];
  cli->by = config_text(cli->config, "by");
  json_t *result = cli_operate(cli, "fight.reset", json_pack("{s:s}", "subject", subject), &error);
  if (!result) return fail(&error);
  int existed = json_is_true(json_object_get(result, "existed"));
  json_decref(result);
  if (existed)
    printf("%s is put right again from its next event or sweep on\n", subject);
  else
    fprintf(stderr, "parapet: nobody fights over %s\n", subject);
  return existed ? CLI_OK : CLI_ERROR;
}

/* ---- stop ---- */
static int change_stop(struct cli *cli, const char *verb) {
  struct error error = {0};
  cli->by = config_text(cli->config, "by");
  json_t *result = cli_operate(cli, verb, json_pack("{s:s}", "reason", config_text(cli->config, "reason")), &error);
  if (!result) return fail(&error);
  json_decref(result);
  return CLI_OK;
}

int run_stop(struct cli *cli) {
  int result = change_stop(cli, "stop");
  if (result == CLI_OK) puts("stopped: nothing is changed in any account until parapet resume");
  return result;
}

int run_resume(struct cli *cli) {
  int result = change_stop(cli, "resume");
  if (result == CLI_OK)
    puts("the stop is lifted; what was parked waits for parapet breaker reset organization --release");
  return result;
}
