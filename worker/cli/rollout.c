/* rollout list | set | clear: where a playbook's version acts, and where it only tells what it would do. */
#include <string.h>

#include "cli.h"

const struct setting rollout_options[] = {
    {"version", SETTING_NUMBER, "0", "the playbook's version (must be given)", 0, INT32_MAX, 0},
    {"stage", SETTING_TEXT, NULL, "shadow (nowhere), canary (--canaries), units (--units, and the canaries), all", 0, 0,
     0},
    {"canaries", SETTING_LIST, NULL, "the canary accounts, by id", 0, 0, 0},
    {"units", SETTING_LIST, NULL, "organizational units by their path, * and ? allowed: workloads/dev*", 0, 0, 0},
    {"by", SETTING_TEXT, NULL, "who does it; none: $USER", 0, 0, 0},
    {"reason", SETTING_TEXT, NULL, "why", 0, 0, 0},
    {0}};

static json_t *texts(const char *const *list) {
  json_t *array = json_array();
  for (; *list; list++) json_array_append_new(array, json_string(*list));
  return array;
}

static const char *mistake(const struct cli *cli) {
  static const char *const stages[] = {"shadow", "canary", "units", "all"};
  const char *stage = config_text(cli->config, "stage");
  size_t known = 0;
  while (known < 4 && strcmp(stages[known], stage) != 0) known++;
  if (cli->words.count != 1) return "which one? parapet rollout set GUARDRAIL --version N --stage STAGE";
  if (known == 4) return "--stage is shadow, canary, units or all";
  if (config_number(cli->config, "version") < 1) return "--version is missing: which version of the playbook?";
  if (known == 1 && !*config_list(cli->config, "canaries")) return "stage canary needs --canaries";
  if (known == 2 && !*config_list(cli->config, "units")) return "stage units needs --units";
  for (const char *const *id = config_list(cli->config, "canaries"); *id; id++)
    if (strlen(*id) != 12 || strspn(*id, "0123456789") != 12) return "--canaries: an account's id has 12 digits";
  return NULL;
}

static json_t *rollout_of(const struct cli *cli) {
  return json_pack("{s:I, s:s, s:o, s:o, s:s}", "version", (json_int_t)config_number(cli->config, "version"), "stage",
                   config_text(cli->config, "stage"), "accounts", texts(config_list(cli->config, "canaries")), "units",
                   texts(config_list(cli->config, "units")), "reason", config_text(cli->config, "reason"));
}

/* rollout: takes; json_null() forgets it. */
static int operate(struct cli *cli, json_t *rollout) {
  struct error error = {0};
  cli->by = config_text(cli->config, "by");
  json_t *arguments = json_pack("{s:s, s:o}", "guardrail", cli->words.words[0], "rollout", rollout);
  if (!arguments) return fail_usage("the options must be UTF-8");
  json_t *result = cli_operate(cli, "rollout", arguments, &error);
  json_decref(result);
  return result ? CLI_OK : fail(&error);
}

int run_rollout_set(struct cli *cli) {
  const char *wrong = mistake(cli);
  if (wrong) return fail_usage("%s", wrong);
  int result = operate(cli, rollout_of(cli));
  if (result == CLI_OK)
    printf("%s: version %lld is in stage %s\n", cli->words.words[0], (long long)config_number(cli->config, "version"),
           config_text(cli->config, "stage"));
  return result;
}

int run_rollout_clear(struct cli *cli) {
  if (cli->words.count != 1) return fail_usage("which one? parapet rollout clear GUARDRAIL");
  int result = operate(cli, json_null());
  if (result == CLI_OK) printf("%s acts everywhere, whatever its version\n", cli->words.words[0]);
  return result;
}

int run_rollout_list(struct cli *cli) {
  static const struct column columns[] = {
      {"GUARDRAIL", "guardrail", 0}, {"VERSION", "version", 0}, {"STAGE", "stage", 0}, {"CANARIES", "accounts", 50},
      {"UNITS", "units", 50},        {"BY", "by", 30},          {"AT", "at", 19},      {0}};
  struct error error = {0};
  json_t *list = NULL;
  struct state *state = cli_state(cli, &error);
  int result = state ? state_rollouts(state, &list, &error) : -1;
  if (result == 0) print_rows(cli, list, columns);
  state_close(state);
  json_decref(list);
  return result == 0 ? CLI_OK : fail(&error);
}
