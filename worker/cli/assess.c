/* parapet assess: one process, no Kafka, no Redis: reads, judges, prints.  The first thing to run against an account.
 *
 * Each account is first asked who it is: one that lets nobody in is reported once, and nothing else of it is tried.
 * Then every list of every place is a task of its own; a slow account has its tasks wait, not the others', since the
 * tasks of one account take at most their share of the threads. */
#include "assess.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "functions/functions.h"

enum { LIST_MS = 300000 };

/* What is global has one place: its Region, as in the fleet. */
static const char global_region[] = "us-east-1";

const struct setting assess_options[] = {
    {"account", SETTING_LIST, NULL,
     "accounts, 12 digits each; none: that of your credentials, or all of the accounts file", 0, 0, 0},
    {"region", SETTING_LIST, NULL, "Regions; none: those of the accounts file, or AWS_REGION", 0, 0, 0},
    {"role", SETTING_TEXT, NULL,
     "role to assume in the account; none: your credentials as they are, or the accounts file's role", 0, 0, 0},
    {"environment", SETTING_TEXT, NULL, "what to take the account for (prod, dev …) where no accounts file says it", 0,
     0, 0},
    {"guardrail", SETTING_LIST, NULL, "only these, as globs: *-public; the same as words", 0, 0, 0},
    {"severity", SETTING_TEXT, "low", "only guardrails of this severity or worse: low, medium, high, critical", 0, 0,
     0},
    {"parallel", SETTING_NUMBER, "16", "lists read at once", 1, 256, 0},
    {0}};

/* ---- which guardrails ---- */
static int matches_any(const char *const *globs, const char *name) {
  for (; globs && *globs; globs++)
    if (engine_glob(*globs, name)) return 1;
  return 0;
}

/* A word that is no glob and no guardrail, or a glob that matches none, is a mistake: it would look clean. */
static int check_names(const struct bundle *bundle, const char *const *names) {
  for (; names && *names; names++) {
    const char *const one[] = {*names, NULL};
    size_t i = 0;
    while (i < bundle->guardrail_count && !matches_any(one, bundle->guardrails[i]->name)) i++;
    if (i == bundle->guardrail_count)
      return fail_usage("there is no guardrail \"%s\"; parapet playbooks list shows them", *names);
  }
  return CLI_OK;
}

static int choose(struct assessment *assessment) {
  const struct bundle *bundle = assessment->bundle;
  const char *const *words = (const char *const *)assessment->cli->words.words;
  const char *const *globs = config_list(assessment->cli->config, "guardrail");
  const char *word = config_text(assessment->cli->config, "severity");
  int least = assess_severity(word), all = assessment->cli->words.count == 0 && !(globs && *globs);
  if (least < 0) return fail_usage("--severity is low, medium, high or critical, not \"%s\"", word);
  if (check_names(bundle, words) != CLI_OK || check_names(bundle, globs) != CLI_OK) return CLI_USAGE;
  assessment->chosen = calloc(bundle->guardrail_count + 1, 1);
  for (size_t i = 0; assessment->chosen && i < bundle->guardrail_count; i++) {
    const struct guardrail *guardrail = bundle->guardrails[i];
    assessment->chosen[i] = assess_severity(guardrail->severity) >= least &&
                            (all || matches_any(words, guardrail->name) || matches_any(globs, guardrail->name));
  }
  return assessment->chosen ? CLI_OK : CLI_ERROR;
}

/* ---- one list ---- */
struct listing {
  struct assessment *assessment;
  struct place place;
  const struct resource *resource;
};

static int applies(const struct listing *listing, size_t i) {
  const struct guardrail *guardrail = listing->assessment->bundle->guardrails[i];
  const struct place *place = &listing->place;
  return listing->assessment->chosen[i] && guardrail->resource == listing->resource &&
         guardrail_in_scope(guardrail, place);
}

static int judge_one(struct live *live, void *argument) {
  struct listing *listing = argument;
  struct assessment *assessment = listing->assessment;
  for (size_t i = 0; i < assessment->bundle->guardrail_count; i++) {
    const struct guardrail *guardrail = assessment->bundle->guardrails[i];
    struct error error = {0};
    if (!applies(listing, i)) continue;
    json_t *finding = guardrail_judge(guardrail, &listing->place, live, NULL, &error);
    if (!finding)
      assess_unreadable(assessment, &listing->place, guardrail->name, &error);
    else if (!json_is_empty(finding))
      assess_found(assessment, guardrail, &listing->place, live, finding);
    json_decref(finding);
  }
  pthread_mutex_lock(&assessment->lock);
  assessment->resources++;
  if (assessment->resources % 100 == 0) assess_progress(assessment);
  pthread_mutex_unlock(&assessment->lock);
  live_free(live);
  return 0;
}

static struct reader reader_of(const struct assessment *assessment, int64_t deadline_ms) {
  return (struct reader){.client = assessment->client,
                         .role = *assessment->role.name ? &assessment->role : NULL,
                         .deadline_ms = deadline_ms};
}

static void list_task(void *argument) {
  struct listing *listing = argument;
  struct assessment *assessment = listing->assessment;
  struct reader reader = reader_of(assessment, clock_monotonic_ms() + LIST_MS);
  unsigned char uses[64] = {0};
  struct error error = {0};
  for (size_t i = 0; i < assessment->bundle->guardrail_count; i++)
    if (applies(listing, i)) guardrail_wants(assessment->bundle->guardrails[i], uses);
  if (live_list(&reader, &listing->place, listing->resource, uses, judge_one, listing, &error) < 0)
    assess_unreadable(assessment, &listing->place, listing->resource->name, &error);
  pthread_mutex_lock(&assessment->lock);
  assessment->reads_done++;
  assess_progress(assessment);
  pthread_mutex_unlock(&assessment->lock);
  free(listing);
}

/* Queued under one of the account's shares: lists of a share wait for each other. */
static void submit_list(struct assessment *assessment, const struct place *place, const struct resource *resource,
                        size_t number) {
  char key[32];
  struct listing *listing = calloc(1, sizeof *listing);
  if (!listing) abort();
  *listing = (struct listing){.assessment = assessment, .place = *place, .resource = resource};
  int any = 0;
  for (size_t i = 0; i < assessment->bundle->guardrail_count; i++) any |= applies(listing, i);
  snprintf(key, sizeof key, "%s/%zu", place->account, number % assessment->shares);
  if (any) {
    pthread_mutex_lock(&assessment->lock);
    assessment->reads++;
    pthread_mutex_unlock(&assessment->lock);
  }
  if (!any || pool_submit(assessment->pool, POOL_LANE_EVENT, key, 0, list_task, listing) != 0) free(listing);
}

static void submit_place(struct assessment *assessment, struct place place, const char *region,
                         enum resource_scope scope) {
  place.region = region;
  place.partition = aws_partition(assessment->client, region);
  for (size_t r = 0; r < assessment->bundle->resource_count; r++) {
    const struct resource *resource = assessment->bundle->resources[r];
    if ((resource->scope == SCOPE_REGION) == (scope == SCOPE_REGION)) submit_list(assessment, &place, resource, r);
  }
  if (scope != SCOPE_REGION) return;
  pthread_mutex_lock(&assessment->lock);
  assessment->places++;
  pthread_mutex_unlock(&assessment->lock);
}

/* ---- one account ---- */
struct visit {
  struct assessment *assessment;
  const char *id;
};

static struct place account_place(const struct assessment *assessment, const char *id) {
  const struct account *known = assessment->accounts ? accounts_find(assessment->accounts, id) : NULL;
  const char *given = config_text(assessment->cli->config, "environment");
  return (struct place){.account = id,
                        .environment = *given  ? given
                                       : known ? known->environment
                                               : "",
                        .unit = known ? known->unit : "",
                        .tags = known ? known->tags : NULL,
                        .organization = assessment->accounts ? accounts_ids(assessment->accounts) : NULL};
}

static const char *fallback_region(const struct assessment *assessment) {
  const char *const candidates[] = {config_text(assessment->cli->config, "aws.region"), getenv("AWS_REGION"),
                                    getenv("AWS_DEFAULT_REGION")};
  for (size_t i = 0; i < 3; i++)
    if (candidates[i] && *candidates[i]) return candidates[i];
  return global_region;
}

static void submit_places(struct assessment *assessment, const char *id) {
  const struct account *known = assessment->accounts ? accounts_find(assessment->accounts, id) : NULL;
  const char *const *regions = config_list(assessment->cli->config, "region");
  struct place place = account_place(assessment, id);
  submit_place(assessment, place, global_region, SCOPE_GLOBAL);
  if (*regions)
    for (; *regions; regions++) submit_place(assessment, place, *regions, SCOPE_REGION);
  else if (known)
    for (size_t i = 0; i < json_array_size(known->regions); i++)
      submit_place(assessment, place, json_string_value(json_array_get(known->regions, i)), SCOPE_REGION);
  else
    submit_place(assessment, place, fallback_region(assessment), SCOPE_REGION);
}

static void visit_task(void *argument) {
  struct visit *visit = argument;
  struct assessment *assessment = visit->assessment;
  struct reader reader = reader_of(assessment, 0);
  struct aws_target target = {.account = visit->id, .role = reader.role};
  struct error error = {0};
  json_t *identity = aws_call(assessment->client, &target, "sts.GetCallerIdentity", NULL, NULL, &error);
  if (identity) {
    submit_places(assessment, visit->id);
  } else {
    struct place place = account_place(assessment, visit->id);
    assess_unreadable(assessment, &place, "account", &error);
  }
  json_decref(identity);
  free(visit);
}

static int submit_account(struct assessment *assessment, const char *id) {
  struct visit *visit = calloc(1, sizeof *visit);
  if (!visit) abort();
  *visit = (struct visit){.assessment = assessment, .id = id};
  if (pool_submit(assessment->pool, POOL_LANE_COMMAND, NULL, 0, visit_task, visit) == 0) return 0;
  free(visit);
  return -1;
}

/* ---- which accounts ---- */

/* The account of the credentials; 0, or -1 with *error. */
static int caller_account(struct aws_client *client, char account[13], struct error *error) {
  struct aws_target target = {0};
  json_t *identity = aws_call(client, &target, "sts.GetCallerIdentity", NULL, NULL, error);
  if (!identity) return -1;
  snprintf(account, 13, "%s", json_text_at(identity, "Account", NULL));
  json_decref(identity);
  return 0;
}

static int visit_accounts(struct assessment *assessment, struct error *error) {
  static char own[13]; /* visits read it until the pool is closed */
  const char *name = assessment->role.name, *const *accounts = config_list(assessment->cli->config, "account");
  size_t count = 0, threads = (size_t)config_number(assessment->cli->config, "parallel");
  while (accounts[count]) count++;
  if (count == 0) count = *name && assessment->accounts ? accounts_count(assessment->accounts) : 1;
  assessment->shares = threads > count ? threads / count : 1;
  if (!*name && caller_account(assessment->client, own, error) != 0) return -1;
  if (!*accounts && *name && assessment->accounts) {
    for (size_t i = 0; i < accounts_count(assessment->accounts); i++)
      submit_account(assessment, accounts_at(assessment->accounts, i)->id);
    return 0;
  }
  if (!*accounts && *name)
    return error_set(error, ERROR_INVALID, "Usage", "--role needs --account: in which account is the role?");
  for (const char *const *account = accounts; *account; account++)
    if (!*name && strcmp(*account, own) != 0)
      return error_set(error, ERROR_INVALID, "Usage",
                       "your credentials are account %s's; give --role NAME to assume one in %s", own, *account);
  if (!*accounts) submit_account(assessment, own);
  for (const char *const *account = accounts; *account; account++) submit_account(assessment, *account);
  return 0;
}

static int read_everything(struct assessment *assessment, struct error *error) {
  const struct config *config = assessment->cli->config;
  const char *name = config_text(config, "role");
  struct pool_options options = {.threads = (unsigned)config_number(config, "parallel"),
                                 .stack_bytes = (size_t)1 << 20,
                                 .name = "assess",
                                 .thread_end = aws_thread_end};
  assessment->role =
      (struct aws_role){.name = !*name && assessment->accounts ? accounts_role(assessment->accounts) : name,
                        .external_id = assessment->accounts ? accounts_external_id(assessment->accounts) : NULL,
                        .session_name = "parapet-assess",
                        .policies = assessment->bundle->read_policies};
  if (!(assessment->pool = pool_open(&options, error))) return -1;
  int result = visit_accounts(assessment, error);
  (void)pool_wait_idle(assessment->pool, INT64_MAX / 2); /* visits submit lists: a pool that closes takes none */
  pool_close(assessment->pool, NULL);
  return result;
}

int run_assess(struct cli *cli) {
  struct error error = {0};
  struct aws_options options = settings_aws(cli->config);
  struct assessment assessment = {
      .cli = cli, .lock = PTHREAD_MUTEX_INITIALIZER, .findings = json_array(), .unreadable = json_array()};
  const char *file = config_text(cli->config, "accounts");
  int result = CLI_ERROR;
  if (!(assessment.client = aws_open(&options, &error))) goto out;
  if (*file && !(assessment.accounts = roster_read(file, assessment.client, &error))) goto out;
  if (!(assessment.bundle = bundle_load(config_path(cli->config, "playbooks", "playbooks"), assessment.client, &error)))
    goto out;
  if ((result = choose(&assessment)) == CLI_OK && read_everything(&assessment, &error) == 0)
    result = assess_report(&assessment);
out:
  if (error.class != ERROR_NONE) result = fail(&error);
  free(assessment.chosen);
  bundle_drop(assessment.bundle);
  aws_close(assessment.client);
  accounts_drop(assessment.accounts);
  json_decref(assessment.findings);
  json_decref(assessment.unreadable);
  return result;
}
