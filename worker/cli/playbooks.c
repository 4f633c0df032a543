/* playbooks validate | list, and test: nothing here needs a network. */
#include <stdlib.h>
#include <string.h>

#include "authoring.h"
#include "aws/aws.h"
#include "check/offline.h"

struct bundle *cli_bundle(struct cli *cli, const char *directory, struct aws_client **client, struct error *error) {
  if (!directory) directory = config_path(cli->config, "playbooks", "playbooks");
  struct aws_options options = settings_aws(cli->config);
  *client = aws_open(&options, error);
  return *client ? bundle_load(directory, *client, error) : NULL;
}

/* Of the directory given as a word, else of the setting. */
static struct bundle *load(struct cli *cli, struct aws_client **client, struct error *error) {
  return cli_bundle(cli, cli->words.count > 0 ? cli->words.words[0] : NULL, client, error);
}

static void print_refused(const struct bundle *bundle) {
  size_t index;
  json_t *line;
  json_array_foreach(bundle->refused, index, line) fprintf(stderr, "%s\n", json_string_value(line));
}

int run_playbooks_validate(struct cli *cli) {
  struct error error = {0};
  struct aws_client *client;
  struct bundle *bundle = load(cli, &client, &error);
  if (!bundle) {
    aws_close(client);
    return fail(&error);
  }
  size_t refused = json_array_size(bundle->refused);
  if (cli->json)
    print_json(bundle->refused);
  else
    print_refused(bundle);
  if (!cli->json)
    printf("%zu guardrails and %zu resources are right, %zu mistakes; bundle %.12s\n", bundle->guardrail_count,
           bundle->resource_count, refused, bundle->hash);
  bundle_drop(bundle);
  aws_close(client);
  return refused == 0 ? CLI_OK : CLI_FOUND;
}

static json_t *guardrail_row(const struct guardrail *guardrail) {
  json_t *modes = json_object();
  for (size_t i = 0; i < guardrail->mode_count; i++)
    json_object_set_new(modes, guardrail->modes[i].environment, json_string(mode_name(guardrail->modes[i].mode)));
  json_object_set_new(modes, "default", json_string(mode_name(guardrail->default_mode)));
  return json_pack("{s:s, s:I, s:s, s:s, s:s, s:o, s:s}", "guardrail", guardrail->name, "version",
                   (json_int_t)guardrail->version, "severity", guardrail->severity, "resource",
                   guardrail->resource->name, "schedule", guardrail->schedule ? guardrail->schedule : "-", "mode",
                   modes, "title", guardrail->title);
}

int run_playbooks_list(struct cli *cli) {
  static const struct column columns[] = {{"GUARDRAIL", "guardrail", 0}, {"VERSION", "version", 0},
                                          {"SEVERITY", "severity", 0},   {"RESOURCE", "resource", 0},
                                          {"SCHEDULE", "schedule", 0},   {"MODE", "mode", 60},
                                          {"TITLE", "title", 60},        {0}};
  struct error error = {0};
  struct aws_client *client;
  struct bundle *bundle = load(cli, &client, &error);
  if (!bundle) {
    aws_close(client);
    return fail(&error);
  }
  json_t *rows = json_array();
  for (size_t i = 0; i < bundle->guardrail_count; i++)
    json_array_append_new(rows, guardrail_row(bundle->guardrails[i]));
  print_rows(cli, rows, columns);
  print_refused(bundle);
  json_decref(rows);
  bundle_drop(bundle);
  aws_close(client);
  return CLI_OK;
}

static int test_guardrail(const struct guardrail *guardrail, int quiet) {
  int failures = 0;
  for (size_t i = 0; i < json_array_size(guardrail->tests); i++) {
    char *why = NULL;
    int result = offline_test(guardrail, i, &why);
    const char *name = json_text_at(json_array_get(guardrail->tests, i), "name", NULL);
    failures += result != 1;
    if (!quiet)
      printf("%s%s%s  %s: %s\n", paint(result == 1 ? "green" : "red"), result == 1 ? "ok  " : "FAIL", paint("off"),
             guardrail->name, name);
    if (result != 1) printf("         %s\n", why ? why : "out of memory");
    free(why);
  }
  return failures;
}

static int test_workflow(const struct workflow *workflow) {
  int failures = 0;
  for (size_t i = 0; i < json_array_size(workflow->tests); i++) {
    char *why = NULL;
    int passed = offline_test_workflow(workflow, i, &why) == 1;
    failures += !passed;
    printf("%s%s%s  %s: %s\n", paint(passed ? "green" : "red"), passed ? "ok  " : "FAIL", paint("off"), workflow->name,
           json_text_at(json_array_get(workflow->tests, i), "name", NULL));
    if (!passed) printf("         %s\n", why ? why : "out of memory");
    free(why);
  }
  return failures;
}

int run_test(struct cli *cli) {
  struct error error = {0};
  struct aws_client *client;
  struct bundle *bundle = load(cli, &client, &error);
  if (!bundle) {
    aws_close(client);
    return fail(&error);
  }
  size_t total = 0, failed = json_array_size(bundle->refused);
  print_refused(bundle);
  for (size_t i = 0; i < bundle->guardrail_count; i++) {
    total += json_array_size(bundle->guardrails[i]->tests);
    failed += (size_t)test_guardrail(bundle->guardrails[i], 0);
  }
  for (size_t i = 0; i < bundle->workflow_count; i++) {
    total += json_array_size(bundle->workflows[i]->tests);
    failed += (size_t)test_workflow(bundle->workflows[i]);
  }
  size_t passed = total + json_array_size(bundle->refused) - failed;
  printf("playbooks: %zu passed, %zu failed\n", passed, failed);
  bundle_drop(bundle);
  aws_close(client);
  return failed == 0 && total > 0 ? CLI_OK : CLI_FOUND;
}
