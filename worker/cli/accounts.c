/* parapet accounts: who is looked after, and where that is said. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli.h"
#include "fleet/roster.h"

const struct setting accounts_options[] = {
    {"live", SETTING_BOOL, "false", "ask AWS Organizations now, with your credentials, instead of the fleet's Redis", 0,
     0, 0},
    {0}};

static json_t *row_of(const struct account *account) {
  char joined[32] = "";
  if (account->joined_ms) clock_format(account->joined_ms, joined, sizeof joined);
  return json_pack("{s:s, s:s, s:s, s:s, s:O, s:O, s:s, s:s}", "id", account->id, "name", account->name, "environment",
                   account->environment, "unit", account->unit, "regions", account->regions, "tags", account->tags,
                   "source", account->source, "joined", joined);
}

/* A table shows the Regions as one cell. */
static void join_regions(json_t *row) {
  char text[512] = "";
  size_t index;
  json_t *region;
  json_array_foreach(json_object_get(row, "regions"), index, region) {
    if (*text) strncat(text, ",", sizeof text - strlen(text) - 1);
    strncat(text, json_is_string(region) ? json_string_value(region) : "?", sizeof text - strlen(text) - 1);
  }
  json_object_set_new(row, "regions", json_string(text));
}

static int print_accounts(const struct cli *cli, const struct accounts *accounts) {
  static const struct column columns[] = {{"ACCOUNT", "id", 0},
                                          {"NAME", "name", 40},
                                          {"ENVIRONMENT", "environment", 0},
                                          {"UNIT", "unit", 50},
                                          {"REGIONS", "regions", 60},
                                          {"SOURCE", "source", 0},
                                          {0}};
  json_t *rows = json_array();
  for (size_t i = 0; i < accounts_count(accounts); i++) {
    json_t *row = row_of(accounts_at(accounts, i));
    if (!cli->json) join_regions(row);
    json_array_append_new(rows, row);
  }
  print_rows(cli, rows, columns);
  json_decref(rows);
  return CLI_OK;
}

/* What the fleet listed last. */
static struct accounts *from_fleet(struct cli *cli, const struct accounts *file, struct error *error) {
  char trouble[512] = "", listed[32];
  int64_t time = 0;
  json_t *members = NULL;
  struct state *state = cli_state(cli, error);
  int result = state ? state_accounts_get(state, &time, &members, trouble, sizeof trouble, error) : -1;
  state_close(state);
  if (*trouble) fprintf(stderr, "parapet: the last attempt to list the organization failed: %s\n", trouble);
  if (result == 0 && !members)
    error_set(error, ERROR_MISSING, "Accounts",
              "no worker has listed the organization yet; --live asks AWS with your credentials");
  struct accounts *accounts = members ? accounts_with(file, members) : NULL;
  if (accounts && !cli->json)
    fprintf(stderr, "as AWS Organizations listed them at %s\n", clock_format(time, listed, sizeof listed));
  json_decref(members);
  return accounts;
}

int run_accounts_list(struct cli *cli) {
  struct error error = {0};
  const char *path = config_text(cli->config, "accounts");
  struct aws_options options = settings_aws(cli->config);
  if (!*path) return fail_usage("no accounts: give --accounts FILE (deploy/config/accounts.yaml shows its form)");
  struct accounts *file = accounts_load(path, &error), *accounts = NULL;
  struct aws_client *client = NULL;
  if (file && accounts_are_known(file))
    accounts = accounts_hold(file);
  else if (file && !config_bool(cli->config, "live"))
    accounts = from_fleet(cli, file, &error);
  else if (file && (client = aws_open(&options, &error)))
    accounts = roster_read(path, client, &error);
  int result = accounts ? print_accounts(cli, accounts) : fail(&error);
  aws_close(client);
  accounts_drop(accounts);
  accounts_drop(file);
  return result;
}

json_t *organization_status(struct state *state) {
  char trouble[512] = "", listed[32] = "";
  int64_t time = 0;
  json_t *members = NULL;
  if (state_accounts_get(state, &time, &members, trouble, sizeof trouble, NULL) != 0 || (!members && !*trouble))
    return json_null();
  if (time) clock_format(time, listed, sizeof listed);
  json_t *status =
      json_pack("{s:i, s:s, s:s}", "members", (int)json_object_size(members), "listed", listed, "trouble", trouble);
  json_decref(members);
  return status;
}

void print_organization(const json_t *organization) {
  const char *trouble = json_text_at(organization, "trouble", NULL),
             *listed = json_text_at(organization, "listed", NULL);
  if (!json_is_object(organization)) return;
  printf("accounts  %lld members of the organization, listed %s\n",
         (long long)json_integer_value(json_object_get(organization, "members")), *listed ? listed : "never yet");
  if (*trouble) printf("%saccounts%s  the last list failed: %s\n", paint("red"), paint("off"), trouble);
}
