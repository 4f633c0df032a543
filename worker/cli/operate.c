/* status and findings: what the fleet knows. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli.h"

const struct setting findings_options[] = {
    {"status", SETTING_TEXT, NULL, "open, fixed, closed, excepted, parked, waiting, failed, fought, shadow; none: all",
     0, 0, 0},
    {"account", SETTING_TEXT, NULL, "one account's", 0, 0, 0},
    {"guardrail", SETTING_TEXT, NULL, "one guardrail's", 0, 0, 0},
    {"limit", SETTING_NUMBER, "100", "how many are looked at, the latest first", 1, 10000, 0},
    {0}};
const struct setting settings_options[] = {{0}};

int run_settings(struct cli *cli) {
  config_print(cli->config, stdout);
  return CLI_OK;
}

/* A text that does not match an option that was given. */
static int filtered_out(const struct cli *cli, const json_t *row, const char *name) {
  const char *wanted = config_text(cli->config, name);
  return *wanted && strcmp(wanted, json_text_at(row, name, NULL)) != 0;
}

int run_findings(struct cli *cli) {
  static const struct column columns[] = {
      {"TIME", "time", 19},          {"STATUS", "status", 0},   {"SEVERITY", "severity", 0},
      {"GUARDRAIL", "guardrail", 0}, {"ACCOUNT", "account", 0}, {"REGION", "region", 0},
      {"RESOURCE", "resource", 60},  {"NOTE", "note", 60},      {0}};
  struct error error = {0};
  const char *status = config_text(cli->config, "status");
  json_t *list = NULL, *row, *rows = json_array();
  size_t index;
  struct state *state = cli_state(cli, &error);
  int result =
      state ? state_findings(state, *status ? status : NULL, (size_t)config_number(cli->config, "limit"), &list, &error)
            : -1;
  state_close(state);
  json_array_foreach(list, index, row) if (!filtered_out(cli, row, "account") && !filtered_out(cli, row, "guardrail"))
      json_array_append(rows, row);
  if (result == 0) print_rows(cli, rows, columns);
  json_decref(list);
  json_decref(rows);
  return result == 0 ? CLI_OK : fail(&error);
}

/* ---- status ---- */
static json_t *gather_status(struct state *state, struct error *error) {
  json_t *workers = NULL, *breakers = NULL, *findings = NULL, *counters = NULL, *stop = NULL, *parked_list = NULL,
         *intents = NULL;
  int64_t parked = 0;
  json_t *status = NULL;
  if (state_workers(state, &workers, error) == 0 && state_breakers(state, &breakers, error) == 0 &&
      state_finding_counts(state, &findings, error) == 0 && state_counters(state, &counters, error) == 0 &&
      state_stop_get(state, &stop, error) == 0 && state_parked(state, &parked_list, 0, &parked, error) == 0 &&
      state_intents(state, &intents, error) == 0)
    status = json_pack("{s:O, s:O, s:O, s:O, s:O?, s:I, s:i}", "workers", workers, "breakers", breakers, "findings",
                       findings, "counters", counters, "stop", stop, "parked", (json_int_t)parked, "open_intents",
                       (int)json_array_size(intents));
  json_t *parts[] = {workers, breakers, findings, counters, stop, parked_list, intents};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) json_decref(parts[i]);
  return status;
}

static void print_numbers(const char *title, const json_t *numbers) {
  const char *name, *comma = "";
  json_t *number;
  printf("%-10s", title);
  json_object_foreach((json_t *)numbers, name, number) {
    printf("%s%lld %s", comma, (long long)json_integer_value(number), name);
    comma = ", ";
  }
  puts(*comma ? "" : "none");
}

static void print_fleet(const json_t *workers) {
  const char *bundle = NULL;
  int disagree = 0, ready = 0;
  for (size_t i = 0; i < json_array_size(workers); i++) {
    const json_t *worker = json_array_get(workers, i);
    const char *own = json_text_at(worker, "bundle", NULL);
    if (bundle && strcmp(bundle, own) != 0) disagree = 1;
    bundle = own;
    ready += json_integer_value(json_object_get(worker, "ready")) != 0;
  }
  printf("workers   %zu, %d ready, playbooks %.12s%s%s%s\n", json_array_size(workers), ready, bundle ? bundle : "-",
         disagree ? paint("red") : "",
         disagree ? " (the fleet disagrees: not every worker has the same playbooks)" : "",
         disagree ? paint("off") : "");
}

static void print_breakers(const json_t *breakers) {
  for (size_t i = 0; i < json_array_size(breakers); i++) {
    const json_t *breaker = json_array_get(breakers, i);
    const char *state = json_text_at(breaker, "state", NULL);
    if (strcmp(state, "closed") == 0) continue;
    printf("breaker   %s%s%s %s, by %s: %s\n", paint("red"), state, paint("off"), json_text_at(breaker, "scope", NULL),
           json_text_at(breaker, "by", NULL), json_text_at(breaker, "reason", NULL));
  }
}

int run_status(struct cli *cli) {
  struct error error = {0};
  struct state *state = cli_state(cli, &error);
  json_t *status = state ? gather_status(state, &error) : NULL;
  if (status) json_object_set_new(status, "organization", organization_status(state));
  state_close(state);
  if (!status) return fail(&error);
  const json_t *stop = json_object_get(status, "stop");
  if (cli->json) {
    print_json(status);
  } else {
    print_fleet(json_object_get(status, "workers"));
    print_organization(json_object_get(status, "organization"));
    if (json_is_object(stop))
      printf("%sSTOPPED%s   by %s: %s\n", paint("red"), paint("off"), json_text_at(stop, "by", NULL),
             json_text_at(stop, "reason", NULL));
    if (!*config_text(cli->config, "operators"))
      puts("operators unproven: whoever reaches Redis and Kafka may operate (setting operators)");
    print_breakers(json_object_get(status, "breakers"));
    printf("parked    %lld\n", (long long)json_integer_value(json_object_get(status, "parked")));
    print_numbers("findings", json_object_get(status, "findings"));
    print_numbers("counters", json_object_get(status, "counters"));
  }
  json_decref(status);
  return CLI_OK;
}
