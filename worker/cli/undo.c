/* actions list | show, and undo: what was done, and back. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli.h"
#include "operate/history.h"

#define RANGE                                                      \
  {"guardrail", SETTING_TEXT, NULL, "one guardrail's", 0, 0, 0},   \
      {"account", SETTING_TEXT, NULL, "one account's", 0, 0, 0}, { \
    "region", SETTING_TEXT, NULL, "one Region's", 0, 0, 0          \
  }
#define UNTIL \
  { "until", SETTING_TEXT, NULL, "until then; a time, or how long ago; none: now", 0, 0, 0 }

const struct setting actions_options[] = {
    RANGE,
    {"resource", SETTING_TEXT, NULL, "one resource's, by its id", 0, 0, 0},
    {"since", SETTING_TEXT, "24h", "since when: 2026-11-24T22:00:00Z, or how long ago (2h, 7d)", 0, 0, 0},
    UNTIL,
    {"limit", SETTING_NUMBER, "100", "how many are shown, the latest first", 1, 10000, 0},
    {0}};
const struct setting undo_options[] = {
    RANGE,
    {"since", SETTING_TEXT, NULL, "a range: since when; 2026-11-24T22:00:00Z, or how long ago (2h, 7d)", 0, 0, 0},
    UNTIL,
    {"dry-run", SETTING_BOOL, "false", "only say what would be taken back, and what could not be", 0, 0, 0},
    {"owner", SETTING_TEXT, NULL, "who answers for the exceptions; none: whoever undoes", 0, 0, 0},
    {"reason", SETTING_TEXT, NULL, "why (must be given)", 0, 0, 0},
    {"for", SETTING_DURATION, "24h", "how long the exceptions hold that keep it undone", 60000, 366LL * 86400000, 0},
    {0}};

/* A time, or how long ago; 0, or -1.  "": *wall_ms stays. */
static int parse_when(const char *text, int64_t *wall_ms) {
  int64_t ago;
  if (!*text || clock_parse(text, wall_ms) == 0) return 0;
  if (clock_parse_duration(text, &ago) != 0) return -1;
  *wall_ms = clock_wall_ms() - ago;
  return 0;
}

static int usage_when(const char *name, const char *text) {
  return fail_usage("--%s is a time (2026-11-24T22:00:00Z) or how long ago (2h), not \"%s\"", name, text);
}

/* ---- actions ---- */
static void print_actions(const struct cli *cli, json_t *list) {
  static const struct column columns[] = {{"TIME", "time", 19},         {"ACTION", "action", 0},
                                          {"STATUS", "status", 0},      {"GUARDRAIL", "guardrail", 0},
                                          {"ACCOUNT", "account", 0},    {"REGION", "region", 0},
                                          {"RESOURCE", "resource", 40}, {"CALLS", "calls", 60},
                                          {"UNDONE", "undone_at", 19},  {0}};
  size_t index;
  json_t *action;
  json_array_foreach(list, index, action) {
    const json_t *undone = json_object_get(action, "undone");
    if (undone)
      json_object_set_new(
          action, "undone_at",
          json_string(json_is_string(undone) ? json_string_value(undone) : json_text_at(undone, "at", NULL)));
    if (json_object_get(action, "operations")) json_object_set(action, "calls", json_object_get(action, "operations"));
  }
  print_rows(cli, list, columns);
}

int run_actions_list(struct cli *cli) {
  struct error error = {0};
  struct history_filter filter = {.guardrail = config_text(cli->config, "guardrail"),
                                  .account = config_text(cli->config, "account"),
                                  .region = config_text(cli->config, "region"),
                                  .resource = config_text(cli->config, "resource")};
  if (parse_when(config_text(cli->config, "since"), &filter.since_ms) != 0)
    return usage_when("since", config_text(cli->config, "since"));
  if (parse_when(config_text(cli->config, "until"), &filter.until_ms) != 0)
    return usage_when("until", config_text(cli->config, "until"));
  struct bus_options bus = settings_bus(cli->config, "parapet-cli");
  json_t *list = NULL;
  struct state *state = cli_state(cli, &error);
  int result = state ? history_list(state, &bus, &filter, 100000, &list, &error) : -1;
  while (json_array_size(list) > (size_t)config_number(cli->config, "limit"))
    json_array_remove(list, json_array_size(list) - 1);
  if (result == 0) print_actions(cli, list);
  state_close(state);
  json_decref(list);
  return result == 0 ? CLI_OK : fail(&error);
}

int run_actions_show(struct cli *cli) {
  struct error error = {0};
  if (cli->words.count != 1) return fail_usage("which one? parapet actions show ACTION");
  struct bus_options bus = settings_bus(cli->config, "parapet-cli");
  json_t *action = NULL, *images = NULL;
  struct state *state = cli_state(cli, &error);
  int result = state ? history_action(state, &bus, cli->words.words[0], &action, &images, &error) : -1;
  state_close(state);
  if (result == 0) {
    json_object_update(action, images);
    print_json(action);
  }
  json_decref(action);
  json_decref(images);
  return result == 0 ? CLI_OK : fail(&error);
}

/* ---- undo ---- */
static void print_differences(const json_t *outcome) {
  const json_t *differences = json_object_get(outcome, "differences");
  for (size_t i = 0; i < json_array_size(differences); i++) {
    const json_t *one = json_array_get(differences, i);
    char *was = json_object_get(one, "was") ? json_text(json_object_get(one, "was")) : NULL,
         *is = json_object_get(one, "is") ? json_text(json_object_get(one, "is")) : NULL;
    printf("    %s:%s%s%s%s\n", json_text_at(one, "path", NULL), was ? " was " : "", was ? was : "",
           is ? was ? ", is " : " new: " : " and is gone", is ? is : "");
    free(was);
    free(is);
  }
}

static void print_undo(const struct cli *cli, const json_t *result) {
  const json_t *actions = json_object_get(result, "actions");
  const char *name, *comma = "";
  json_t *count;
  if (cli->json) {
    print_json(result);
    return;
  }
  for (size_t i = 0; i < json_array_size(actions); i++) {
    const json_t *one = json_array_get(actions, i);
    printf("%-8s  %s  %s: %s\n", json_text_at(one, "outcome", NULL), json_text_at(one, "action", NULL),
           json_text_at(one, "resource", NULL), json_text_at(one, "reason", NULL));
    print_differences(one);
  }
  json_object_foreach(json_object_get(result, "counts"), name, count) {
    printf("%s%lld %s", comma, (long long)json_integer_value(count), name);
    comma = ", ";
  }
  puts(*comma ? "" : "nothing to take back");
}

static json_t *undo_arguments(const struct cli *cli, int64_t since_ms, int64_t until_ms) {
  static const char *const texts[] = {"guardrail", "account", "region", "owner", "reason"};
  char time[32];
  json_t *arguments = json_pack("{s:I, s:b}", "for_ms", (json_int_t)config_ms(cli->config, "for"), "dry_run",
                                config_bool(cli->config, "dry-run"));
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    if (*config_text(cli->config, texts[i]))
      json_object_set_new(arguments, texts[i], json_string(config_text(cli->config, texts[i])));
  if (cli->words.count == 1) json_object_set_new(arguments, "action", json_string(cli->words.words[0]));
  if (since_ms) json_object_set_new(arguments, "since", json_string(clock_format(since_ms, time, sizeof time)));
  if (until_ms) json_object_set_new(arguments, "until", json_string(clock_format(until_ms, time, sizeof time)));
  return arguments;
}

/* All taken back, or all that would be? */
static int went_well(const json_t *result) {
  const char *name;
  json_t *count;
  json_object_foreach(json_object_get(result, "counts"), name,
                      count) if (strcmp(name, "undone") != 0 && strcmp(name, "planned") != 0) return 0;
  return 1;
}

int run_undo(struct cli *cli) {
  struct error error = {0};
  int64_t since_ms = 0, until_ms = 0;
  if (cli->words.count > 1) return fail_usage("one action at a time, or a range (parapet undo --help)");
  if (cli->words.count == 0 && !*config_text(cli->config, "since"))
    return fail_usage(
        "which action? parapet actions list shows them; a range wants --since and --guardrail or --account");
  if (parse_when(config_text(cli->config, "since"), &since_ms) != 0)
    return usage_when("since", config_text(cli->config, "since"));
  if (parse_when(config_text(cli->config, "until"), &until_ms) != 0)
    return usage_when("until", config_text(cli->config, "until"));
  if (!*config_text(cli->config, "reason")) return fail_usage("--reason is missing (parapet undo --help)");
  json_t *result = cli_command(cli, "undo", undo_arguments(cli, since_ms, until_ms), &error);
  if (!result) return fail(&error);
  print_undo(cli, result);
  int well = went_well(result);
  json_decref(result);
  return well ? CLI_OK : CLI_ERROR;
}
