/* parapet, the operator's command: one row a verb.  Private to worker/cli. */
#ifndef PARAPET_CLI_CLI_H
#define PARAPET_CLI_CLI_H

#include <stdio.h>

#include "settings.h"
#include "state/state.h"

/* Exit codes that scripts can use. */
enum { CLI_OK = 0, CLI_ERROR = 1, CLI_USAGE = 2, CLI_FOUND = 3 };

struct cli { /* what a verb gets */
  struct config *config;
  struct config_rest words; /* behind the verb's own words */
  int json;                 /* --output json */
  const char *by;           /* who does it, by the verb's own option; NULL or "": the user */
};

struct verb {
  const char *name;              /* "exceptions add" */
  const char *arguments;         /* "GUARDRAIL ..." */
  const char *help;              /* one line */
  const struct setting *options; /* its own, besides the settings; ends with a NULL name; may be NULL */
  int (*run)(struct cli *cli);
  const char *more; /* an example or two; may be NULL */
};
extern const struct verb verbs[]; /* ends with a NULL name */

int run_assess(struct cli *cli);
int run_playbooks_validate(struct cli *cli);
int run_playbooks_list(struct cli *cli);
int run_playbooks_explain(struct cli *cli);
int run_iam(struct cli *cli);
int run_docs(struct cli *cli);
int run_test(struct cli *cli);
int run_status(struct cli *cli);
int run_accounts_list(struct cli *cli);
/* The organization's list, for `parapet status`: {members, listed, trouble}, null when there is none. */
json_t *organization_status(struct state *state);
void print_organization(const json_t *organization);
int run_findings(struct cli *cli);
int run_exceptions_add(struct cli *cli);
int run_exceptions_list(struct cli *cli);
int run_exceptions_remove(struct cli *cli);
int run_breaker_list(struct cli *cli);
int run_breaker_trip(struct cli *cli);
int run_breaker_hold(struct cli *cli);
int run_breaker_probe(struct cli *cli);
int run_breaker_reset(struct cli *cli);
int run_fights_list(struct cli *cli);
int run_fights_reset(struct cli *cli);
int run_actions_list(struct cli *cli);
int run_actions_show(struct cli *cli);
int run_undo(struct cli *cli);
int run_approvals_list(struct cli *cli);
int run_approvals_show(struct cli *cli);
int run_approvals_approve(struct cli *cli);
int run_approvals_deny(struct cli *cli);
int run_stop(struct cli *cli);
int run_resume(struct cli *cli);
int run_replay(struct cli *cli);
int run_playbooks_diff(struct cli *cli);
int run_rollout_set(struct cli *cli);
int run_rollout_list(struct cli *cli);
int run_rollout_clear(struct cli *cli);
int run_match(struct cli *cli);
int run_explain(struct cli *cli);
int run_notices_check(struct cli *cli);
int run_notices_list(struct cli *cli);
int run_settings(struct cli *cli);
int run_aws(struct cli *cli);

extern const struct setting accounts_options[], iam_options[], assess_options[], findings_options[],
    exception_options[], operator_options[], rollout_options[], diff_options[], probe_options[], reset_options[],
    actions_options[], undo_options[], approve_options[], deny_options[], replay_options[], settings_options[],
    aws_verb_options[], match_options[];

/* ---- output.c ---- */
struct column {
  const char *title, *key;
  int width; /* 0: as wide as needed; else cut to it */
};
/* An array of objects as a table (columns end with a NULL title), or as JSON.  What is no text is shown as JSON. */
void print_rows(const struct cli *cli, const json_t *rows, const struct column *columns);
void print_json(const json_t *value);
/* "parapet: message"; returns CLI_ERROR. */
int fail(const struct error *error);
int fail_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Terminal colour codes, "" where standard output is no terminal or NO_COLOR is set. */
const char *paint(const char *name);

/* ---- shared ---- */
/* The fleet's Redis, joined (rebuilt from Kafka when it is empty); NULL with *error. */
struct state *cli_state(struct cli *cli, struct error *error);
/* To read: of a Redis that is not empty nothing more needs to be allowed. */
struct state *cli_state_reading(struct cli *cli, struct error *error);
/* What an operator does (operate/operate.h): here, or by a worker where operators must prove who they are.  The new
 * result, or NULL with *error.  arguments: takes. */
json_t *cli_operate(struct cli *cli, const char *verb, json_t *arguments, struct error *error);
/* The same, always by a worker. */
json_t *cli_command(struct cli *cli, const char *verb, json_t *arguments, struct error *error);

#endif
