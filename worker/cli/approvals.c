/* approvals list | show | approve | deny. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

const struct setting approve_options[] = {{"reason", SETTING_TEXT, NULL, "why", 0, 0, 0}, {0}};
const struct setting deny_options[] = {
    {"reason", SETTING_TEXT, NULL, "why (must be given)", 0, 0, 0},
    {"owner", SETTING_TEXT, NULL, "who answers for the exception; none: whoever denies", 0, 0, 0},
    {"for", SETTING_DURATION, "30d", "how long the exception holds that remembers it", 60000, 366LL * 86400000, 0},
    {0}};

static int list_approvals(struct cli *cli, json_t **list) {
  struct error error = {0};
  struct state *state = cli_state(cli, &error);
  int result = state ? state_approvals(state, list, &error) : -1;
  state_close(state);
  return result == 0 ? CLI_OK : fail(&error);
}

int run_approvals_list(struct cli *cli) {
  static const struct column columns[] = {{"ID", "id", 0},
                                          {"STATUS", "status", 0},
                                          {"SEVERITY", "severity", 0},
                                          {"GUARDRAIL", "guardrail", 0},
                                          {"ACCOUNT", "account", 0},
                                          {"REGION", "region", 0},
                                          {"RESOURCE", "resource", 40},
                                          {"EXPIRES", "expires", 19},
                                          {"MESSAGE", "message", 60},
                                          {0}};
  json_t *list = NULL;
  int result = list_approvals(cli, &list);
  if (result == CLI_OK) print_rows(cli, list, columns);
  json_decref(list);
  return result;
}

static void print_request(const json_t *request) {
  static const char *const members[] = {"id",       "status",  "title",   "severity", "guardrail", "account", "region",
                                        "resource", "message", "created", "expires",  "by",        "at",      "reason"};
  const json_t *plan = json_object_get(request, "plan");
  for (size_t i = 0; i < sizeof members / sizeof *members; i++)
    if (*json_text_at(request, members[i], NULL))
      printf("%-10s %s\n", members[i], json_text_at(request, members[i], NULL));
  for (size_t i = 0; i < json_array_size(plan); i++) {
    char *with = json_text(json_object_get(json_array_get(plan, i), "with"));
    printf("%-10s %s %s\n", i ? "" : "would call", json_text_at(json_array_get(plan, i), "call", NULL),
           with ? with : "");
    free(with);
  }
}

int run_approvals_show(struct cli *cli) {
  json_t *list = NULL, *request, *found = NULL;
  size_t index;
  if (cli->words.count != 1) return fail_usage("which one? parapet approvals show ID");
  if (list_approvals(cli, &list) != CLI_OK) return CLI_ERROR;
  json_array_foreach(list, index, request) if (strcmp(json_text_at(request, "id", NULL), cli->words.words[0]) == 0)
      found = request;
  if (found && cli->json)
    print_json(found);
  else if (found)
    print_request(found);
  else
    fprintf(stderr, "parapet: no request %s: parapet approvals list\n", cli->words.words[0]);
  int result = found ? CLI_OK : CLI_ERROR;
  json_decref(list);
  return result;
}

/* New result, or NULL (told). */
static json_t *decide(struct cli *cli, const char *verb, json_t *arguments) {
  struct error error = {0};
  json_object_set_new(arguments, "id", json_string(cli->words.words[0]));
  if (*config_text(cli->config, "reason"))
    json_object_set_new(arguments, "reason", json_string(config_text(cli->config, "reason")));
  json_t *result = cli_operate(cli, verb, arguments, &error);
  if (!result) fail(&error);
  if (result && cli->json) print_json(result);
  return result;
}

int run_approvals_approve(struct cli *cli) {
  if (cli->words.count != 1) return fail_usage("which one? parapet approvals approve ID");
  json_t *result = decide(cli, "approve", json_object());
  if (!result) return CLI_ERROR;
  if (!cli->json)
    printf("%s is approved: it runs once, if nothing has changed since it was shown\n", cli->words.words[0]);
  json_decref(result);
  return CLI_OK;
}

int run_approvals_deny(struct cli *cli) {
  if (cli->words.count != 1) return fail_usage("which one? parapet approvals deny ID");
  if (!*config_text(cli->config, "reason")) return fail_usage("--reason is missing (parapet approvals deny --help)");
  json_t *arguments = json_pack("{s:I}", "for_ms", (json_int_t)config_ms(cli->config, "for"));
  if (*config_text(cli->config, "owner"))
    json_object_set_new(arguments, "owner", json_string(config_text(cli->config, "owner")));
  json_t *result = decide(cli, "deny", arguments);
  if (!result) return CLI_ERROR;
  if (!cli->json)
    printf("%s is denied; exception %s holds until %s\n", cli->words.words[0], json_text_at(result, "exception", NULL),
           json_text_at(result, "expires", NULL));
  json_decref(result);
  return CLI_OK;
}
