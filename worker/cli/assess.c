/* parapet assess: one process, no Kafka, no Redis: reads, judges, prints.  The first thing to run against an account.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli.h"
#include "engine/live.h"
#include "fleet/roster.h"

const struct setting assess_options[] = {
    {"account", SETTING_LIST, NULL,
     "accounts, 12 digits each; none: that of your credentials, or all of the accounts file", 0, 0, 0},
    {"region", SETTING_LIST, NULL, "Regions; none: AWS_REGION, or those of the accounts file", 0, 0, 0},
    {"role", SETTING_TEXT, NULL,
     "role to assume in the account; none: your credentials as they are, or the accounts file's role", 0, 0, 0},
    {"environment", SETTING_TEXT, NULL, "what to take the account for (prod, dev …) where no accounts file says it", 0,
     0, 0},
    {0}};

struct assessment {
  struct cli *cli;
  struct aws_client *client;
  struct bundle *bundle;
  struct accounts *accounts; /* NULL: no file */
  json_t *rows;
  size_t resources, places, failed;
  struct place place;
  const struct resource *resource;
};

static int wanted(const struct assessment *assessment, const struct guardrail *guardrail) {
  const struct config_rest *words = &assessment->cli->words;
  for (int i = 0; i < words->count; i++)
    if (strcmp(words->words[i], guardrail->name) == 0) return 1;
  return words->count == 0;
}

static int applies(const struct assessment *assessment, const struct guardrail *guardrail) {
  const struct place *place = &assessment->place;
  return guardrail->resource == assessment->resource && wanted(assessment, guardrail) &&
         guardrail_in_scope(guardrail, place);
}

static void add_row(struct assessment *assessment, const struct guardrail *guardrail, const struct live *live,
                    json_t *finding) {
  const struct place *place = &assessment->place;
  json_t *row =
      json_pack("{s:s, s:s, s:s, s:s, s:O, s:O, s:s, s:s, s:s, s:O}", "guardrail", guardrail->name, "severity",
                guardrail->severity, "account", place->account, "region", place->region, "resource", live->id, "arn",
                live->arn, "mode", mode_name(guardrail_mode(guardrail, place->environment)), "title", guardrail->title,
                "fix", guardrail->fix, "evidence", finding);
  json_array_append_new(assessment->rows, row);
}

static int assess_one(struct live *live, void *argument) {
  struct assessment *assessment = argument;
  assessment->resources++;
  for (size_t i = 0; i < assessment->bundle->guardrail_count; i++) {
    const struct guardrail *guardrail = assessment->bundle->guardrails[i];
    struct error error = {0};
    if (!applies(assessment, guardrail)) continue;
    json_t *finding = guardrail_judge(guardrail, &assessment->place, live, NULL, NULL, &error);
    if (!finding) {
      fprintf(stderr, "parapet: %s on %s: %s\n", guardrail->name, json_string_value(live->id), error.message);
      assessment->failed++;
    } else if (!json_is_empty(finding)) {
      add_row(assessment, guardrail, live, finding);
    }
    json_decref(finding);
  }
  live_free(live);
  return 0;
}

static void progress(const struct assessment *assessment) {
  if (isatty(STDERR_FILENO))
    fprintf(stderr, "\r\033[K%s %s: %zu resources read, %zu findings", assessment->place.account,
            assessment->place.region, assessment->resources, json_array_size(assessment->rows));
}

static void assess_place(struct assessment *assessment, const struct aws_role *role) {
  struct reader reader = {.client = assessment->client, .role = role, .deadline_ms = 0};
  assessment->places++;
  for (size_t r = 0; r < assessment->bundle->resource_count; r++) {
    unsigned char uses[64] = {0};
    int count = 0;
    struct error error = {0};
    assessment->resource = assessment->bundle->resources[r];
    for (size_t i = 0; i < assessment->bundle->guardrail_count; i++)
      if (applies(assessment, assessment->bundle->guardrails[i])) {
        guardrail_wants(assessment->bundle->guardrails[i], uses);
        count++;
      }
    if (count == 0) continue;
    progress(assessment);
    reader.deadline_ms = clock_monotonic_ms() + 300000;
    if (live_list(&reader, &assessment->place, assessment->resource, uses, assess_one, assessment, &error) == 0)
      continue;
    fprintf(stderr, "%sparapet: %s %s: %s: %s\n", isatty(STDERR_FILENO) ? "\r\033[K" : "", assessment->place.account,
            assessment->place.region, error.where, error.message);
    assessment->failed++;
  }
}

/* The account of the credentials; 0, or -1 with *error. */
static int caller_account(struct aws_client *client, char account[13], struct error *error) {
  struct aws_target target = {0};
  json_t *identity = aws_call(client, &target, "sts.GetCallerIdentity", NULL, NULL, error);
  if (!identity) return -1;
  snprintf(account, 13, "%s", json_text_at(identity, "Account", NULL));
  json_decref(identity);
  return 0;
}

static void assess_account(struct assessment *assessment, const char *id, const struct aws_role *role) {
  const struct account *known = assessment->accounts ? accounts_find(assessment->accounts, id) : NULL;
  const struct config *config = assessment->cli->config;
  const char *given = config_text(config, "environment");
  const char *const *regions = config_list(config, "region");
  const char *fallback = getenv("AWS_REGION") ? getenv("AWS_REGION") : getenv("AWS_DEFAULT_REGION");
  assessment->place = (struct place){.account = id,
                                     .environment = *given  ? given
                                                    : known ? known->environment
                                                            : "",
                                     .unit = known ? known->unit : "",
                                     .tags = known ? known->tags : NULL,
                                     .organization = assessment->accounts ? accounts_ours(assessment->accounts) : NULL};
  if (!*regions && known) {
    for (size_t i = 0; i < json_array_size(known->regions); i++) {
      assessment->place.region = json_string_value(json_array_get(known->regions, i));
      assessment->place.partition = aws_partition(assessment->client, assessment->place.region);
      assess_place(assessment, role);
    }
    return;
  }
  const char *const one[] = {fallback ? fallback : "us-east-1", NULL};
  for (const char *const *region = *regions ? regions : one; *region; region++) {
    assessment->place.region = *region;
    assessment->place.partition = aws_partition(assessment->client, *region);
    assess_place(assessment, role);
  }
}

static int assess_accounts(struct assessment *assessment, struct error *error) {
  const struct config *config = assessment->cli->config;
  const char *name = config_text(config, "role"), *const *accounts = config_list(config, "account");
  char own[13] = "";
  if (!*name && assessment->accounts) name = accounts_role(assessment->accounts);
  struct aws_role role = {.name = name,
                          .external_id = assessment->accounts ? accounts_external_id(assessment->accounts) : NULL,
                          .session_name = "parapet-assess",
                          .policies = assessment->bundle->read_policies};
  if (!*name && caller_account(assessment->client, own, error) != 0) return -1;
  if (!*accounts && *name && assessment->accounts) {
    for (size_t i = 0; i < accounts_count(assessment->accounts); i++)
      assess_account(assessment, accounts_at(assessment->accounts, i)->id, &role);
    return 0;
  }
  if (!*accounts && *name)
    return error_set(error, ERROR_INVALID, "Usage", "--role needs --account: in which account is the role?");
  for (const char *const *account = accounts; *account; account++)
    if (!*name && strcmp(*account, own) != 0)
      return error_set(error, ERROR_INVALID, "Usage",
                       "your credentials are account %s's; give --role NAME to assume one in %s", own, *account);
  if (!*accounts) assess_account(assessment, own, NULL);
  for (const char *const *account = accounts; *account; account++)
    assess_account(assessment, *account, *name ? &role : NULL);
  return 0;
}

static int check_words(const struct assessment *assessment) {
  const struct config_rest *words = &assessment->cli->words;
  for (int i = 0; i < words->count; i++)
    if (!bundle_guardrail(assessment->bundle, words->words[i]))
      return fail_usage("there is no guardrail \"%s\"; parapet playbooks list shows them", words->words[i]);
  return CLI_OK;
}

static int report(struct assessment *assessment) {
  static const struct column columns[] = {
      {"SEVERITY", "severity", 0},  {"GUARDRAIL", "guardrail", 0}, {"ACCOUNT", "account", 0}, {"REGION", "region", 0},
      {"RESOURCE", "resource", 60}, {"MODE", "mode", 0},           {"TITLE", "title", 70},    {0}};
  size_t found = json_array_size(assessment->rows);
  if (isatty(STDERR_FILENO)) fputs("\r\033[K", stderr);
  if (found > 0 || assessment->cli->json) print_rows(assessment->cli, assessment->rows, columns);
  if (!assessment->cli->json)
    printf("%s%zu finding%s in %zu resources of %zu account × Region places%s", found ? "\n" : "", found,
           found == 1 ? "" : "s", assessment->resources, assessment->places, assessment->failed ? "" : "\n");
  if (!assessment->cli->json && assessment->failed) printf("; %zu reads failed\n", assessment->failed);
  if (assessment->failed) return CLI_ERROR;
  return found ? CLI_FOUND : CLI_OK;
}

int run_assess(struct cli *cli) {
  struct error error = {0};
  struct aws_options options = settings_aws(cli->config);
  struct assessment assessment = {.cli = cli, .rows = json_array()};
  const char *file = config_text(cli->config, "accounts");
  int result = CLI_ERROR;
  if (!(assessment.client = aws_open(&options, &error))) goto out;
  if (*file && !(assessment.accounts = roster_read(file, assessment.client, &error))) goto out;
  if (!(assessment.bundle = bundle_load(config_path(cli->config, "playbooks", "playbooks"), assessment.client, &error)))
    goto out;
  if (check_words(&assessment) != CLI_OK)
    result = CLI_USAGE;
  else if (assess_accounts(&assessment, &error) == 0)
    result = report(&assessment);
out:
  if (error.class != ERROR_NONE) result = fail(&error);
  bundle_drop(assessment.bundle);
  aws_close(assessment.client);
  accounts_drop(assessment.accounts);
  json_decref(assessment.rows);
  return result;
}
