/* exceptions add | list | remove: remembered, owned, expiring. */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "cli.h"

const struct setting exception_options[] = {
    {"guardrail", SETTING_TEXT, NULL, "which guardrail; * is every one (must be given)", 0, 0, 0},
    {"account", SETTING_TEXT, NULL, "12 digits; none: every account", 0, 0, 0},
    {"unit", SETTING_TEXT, NULL, "path of an organizational unit, * and ? allowed: workloads/*", 0, 0, 0},
    {"region", SETTING_TEXT, NULL, "none: every Region", 0, 0, 0},
    {"environment", SETTING_TEXT, NULL, "prod, dev …; none: every environment", 0, 0, 0},
    {"resource", SETTING_TEXT, NULL, "id or ARN, * and ? allowed; none: every resource", 0, 0, 0},
    {"tag", SETTING_TEXT, NULL, "only resources with it: KEY, or KEY=VALUE, * and ? allowed in the value", 0, 0, 0},
    {"owner", SETTING_TEXT, NULL, "who answers for it (must be given)", 0, 0, 0},
    {"reason", SETTING_TEXT, NULL, "why (must be given)", 0, 0, 0},
    {"ticket", SETTING_TEXT, NULL, "where it was decided", 0, 0, 0},
    {"for", SETTING_DURATION, NULL, "how long: 12h, 30d (must be given, at most 366d)", 1000, 366LL * 86400000, 0},
    {0}};

static void random_id(char id[20]) {
  unsigned char bytes[8];
  if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) abort();
  snprintf(id, 20, "x-%02x%02x%02x%02x%02x%02x%02x%02x", bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5],
           bytes[6], bytes[7]);
}

static json_t *exception_of(const struct cli *cli) {
  static const char *const scope[] = {"guardrail", "account", "unit",  "region", "environment",
                                      "resource",  "tag",     "owner", "reason", "ticket"};
  char id[20], created[32], expires[32];
  int64_t now = clock_wall_ms();
  random_id(id);
  json_t *exception = json_pack("{s:s, s:s, s:s}", "id", id, "created", clock_format(now, created, sizeof created),
                                "expires", clock_format(now + config_ms(cli->config, "for"), expires, sizeof expires));
  for (size_t i = 0; i < sizeof scope / sizeof *scope; i++)
    if (*config_text(cli->config, scope[i]))
      json_object_set_new(exception, scope[i], json_string(config_text(cli->config, scope[i])));
  return exception;
}

static const char *missing_option(const struct cli *cli) {
  static const char *const needed[] = {"guardrail", "owner", "reason"};
  for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
    if (!*config_text(cli->config, needed[i])) return needed[i];
  return config_ms(cli->config, "for") > 0 ? NULL : "for";
}

int run_exceptions_add(struct cli *cli) {
  struct error error = {0};
  const char *missing = missing_option(cli);
  if (missing) return fail_usage("--%s is missing (parapet exceptions add --help)", missing);
  json_t *exception = cli_operate(cli, "except", json_pack("{s:o}", "exception", exception_of(cli)), &error);
  if (!exception) return fail(&error);
  if (cli->json)
    print_json(exception);
  else
    printf("%s holds until %s\n", json_text_at(exception, "id", NULL), json_text_at(exception, "expires", NULL));
  json_decref(exception);
  return CLI_OK;
}

int run_exceptions_list(struct cli *cli) {
  static const struct column columns[] = {
      {"ID", "id", 0},         {"GUARDRAIL", "guardrail", 0}, {"ACCOUNT", "account", 0},
      {"REGION", "region", 0}, {"RESOURCE", "resource", 50},  {"TAG", "tag", 30},
      {"UNIT", "unit", 30},    {"OWNER", "owner", 40},        {"EXPIRES", "expires", 19},
      {"USES", "uses", 0},     {"REASON", "reason", 50},      {0}};
  struct error error = {0};
  json_t *list = NULL;
  struct state *state = cli_state(cli, &error);
  int result = state ? state_exceptions(state, &list, &error) : -1;
  if (result == 0) print_rows(cli, list, columns);
  state_close(state);
  json_decref(list);
  return result == 0 ? CLI_OK : fail(&error);
}

int run_exceptions_remove(struct cli *cli) {
  struct error error = {0};
  if (cli->words.count != 1) return fail_usage("which one? parapet exceptions remove ID");
  const char *id = cli->words.words[0];
  json_t *result = cli_operate(cli, "except.remove", json_pack("{s:s}", "id", id), &error);
  int existed = json_is_true(json_object_get(result, "existed"));
  json_decref(result);
  if (!result) return fail(&error);
  if (!existed) {
    fprintf(stderr, "parapet: there is no exception %s\n", id);
    return CLI_ERROR;
  }
  printf("%s is gone; its guardrail holds again\n", id);
  return CLI_OK;
}
