/* parapet: finds the verb, loads its options and the settings, runs it. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cli.h"

enum { SETTINGS_MAX = 96 };

static const struct setting common_options[] = {
    {"output", SETTING_TEXT, "table", "table, or json for programs", 0, 0, 0}, {0}};

const struct verb verbs[] = {
    {"assess", "[GUARDRAIL ...]", "read an account now and print what violates the guardrails; needs no fleet",
     assess_options, run_assess,
     "  parapet assess --region eu-west-1                                # the account of your credentials\n"
     "  parapet assess ssh-open-to-internet --account 111111111111 --region eu-west-1,us-east-1 --role parapet-read\n"},
    {"playbooks validate", "[DIRECTORY]", "check every playbook: file, line and reason of each mistake", NULL,
     run_playbooks_validate, NULL},
    {"playbooks list", "", "the guardrails that are loaded", NULL, run_playbooks_list, NULL},
    {"playbooks explain", "GUARDRAIL", "what a guardrail watches, reads and may change, and what holds it back", NULL,
     run_playbooks_explain, NULL},
    {"playbooks diff", "OLD_DIRECTORY NEW_DIRECTORY [FILE ...]",
     "what another version of the playbooks would make of the same events", diff_options, run_playbooks_diff,
     "  parapet playbooks diff worker/playbooks /tmp/new --since 7d            # events of the fleet's stream\n"
     "  parapet playbooks diff worker/playbooks /tmp/new events.jsonl --live   # and the resources as they are now\n\n"
     "  Compared are patterns, ids, scope and mode for each event; the playbooks' own tests across both versions; "
     "with\n"
     "  --live findings and calls, too.  Nothing is changed.  Exit code 3: there are differences.\n"},
    {"iam", "", "the least-privilege policies of the roles, derived from the playbooks", iam_options, run_iam,
     "  parapet iam --read                                   # what the worker's role must be allowed to read\n"
     "  parapet iam --write --playbook ssh-open-to-internet  # what one guardrail may change\n"
     "  parapet iam --trust --fleet arn:aws:iam::999999999999:role/parapet-fleet --external-id our-id\n"},
    {"explain", "GUARDRAIL | EVENT",
     "a guardrail, as playbooks explain; or why each guardrail looks at an event (a file, or -), or does not", NULL,
     run_explain,
     "  For a guardrail whose pattern does not match: the first field that is not met, what the event has there, and "
     "what\n"
     "  was wanted.  With an accounts file also whether the account is known and in the guardrail's scope.\n\n"
     "  parapet explain ssh-open-to-internet\n"
     "  parapet explain event.json\n"
     "  tail -n 1 events.jsonl | parapet explain - --output json\n"},
    {"match", "[FILE ...]", "which events of files (none: standard input) a pattern matches, and how fast",
     match_options, run_match,
     "  Files are .json (one event, a list, or {\"Records\": [...]}), JSON lines (.jsonl), both also .gz.  A bare\n"
     "  CloudTrail record is seen in EventBridge's envelope, as the workers see it.\n\n"
     "  parapet match --pattern '{\"source\": [\"aws.ec2\"]}' events.jsonl.gz\n"
     "  parapet match --pattern @pattern.json --count < events.jsonl\n\n"
     "  Exit codes, as grep's: 0 some event matches, 1 none does, 2 the pattern, a file or an event is broken.\n"},
    {"docs", "[DIRECTORY]", "the catalogue of guardrails as Markdown, on standard output", NULL, run_docs, NULL},
    {"test", "[DIRECTORY]", "run the playbooks' own tests, offline", NULL, run_test, NULL},
    {"status", "", "the fleet: workers, gates, breakers, findings, what is parked", NULL, run_status, NULL},
    {"accounts list", "", "the accounts that are looked after: environment, unit, Regions, and where each comes from",
     accounts_options, run_accounts_list,
     "  parapet accounts list --accounts deploy/config/accounts.yaml --live   # as AWS Organizations says now\n"},
    {"findings", "", "what was found, the latest first", findings_options, run_findings, NULL},
    {"exceptions add", "", "let something be, for a time", exception_options, run_exceptions_add,
     "  parapet exceptions add --guardrail ssh-open-to-internet --account 111111111111 --resource sg-0abc \\\n"
     "      --owner ann@example.com --reason 'migration until Friday' --for 5d\n"},
    {"exceptions list", "", "all exceptions and how long they hold", NULL, run_exceptions_list, NULL},
    {"exceptions remove", "ID", "end an exception now", NULL, run_exceptions_remove, NULL},
    {"breaker list", "", "every breaker: state, count, limit", NULL, run_breaker_list, NULL},
    {"breaker trip", "SCOPE", "open it: actions in this scope are parked", operator_options, run_breaker_trip, NULL},
    {"breaker hold", "SCOPE", "hold it open until it is reset", operator_options, run_breaker_hold, NULL},
    {"breaker probe", "SCOPE", "half-open: let a few actions through; it closes when all of them end well",
     probe_options, run_breaker_probe, NULL},
    {"breaker reset", "SCOPE", "close it; --release brings back what is parked, in a pace", reset_options,
     run_breaker_reset,
     "  SCOPE is GUARDRAIL/ACCOUNT, GUARDRAIL, account:ACCOUNT or organization.\n"
     "  parapet breaker reset ssh-open-to-internet/111111111111 --release --pace 5/s\n"},
    {"fights list", "", "resources that somebody sets wrong again after every fix, and who", NULL, run_fights_list,
     NULL},
    {"fights reset", "SUBJECT", "put such a resource right again", operator_options, run_fights_reset, NULL},
    {"approvals list", "", "what waits for somebody's agreement", NULL, run_approvals_list, NULL},
    {"approvals show", "ID", "one request: what would be called, and why", NULL, run_approvals_show, NULL},
    {"approvals approve", "ID", "agree: it runs once, if nothing has changed since it was shown", approve_options,
     run_approvals_approve, NULL},
    {"approvals deny", "ID", "refuse, and remember that as an exception", deny_options, run_approvals_deny, NULL},
    {"actions list", "", "what was changed, the latest first", actions_options, run_actions_list, NULL},
    {"actions show", "ACTION", "one action: its calls, and the resource before and after", NULL, run_actions_show,
     NULL},
    {"undo", "[ACTION]", "take an action, or all of a range, back", undo_options, run_undo,
     "  The resource must still be what the action left; otherwise it says what was changed since.  An exception "
     "comes\n"
     "  first, or the next sweep would do the action again.  Exit code 1: something was not taken back.\n\n"
     "  parapet undo a-0123456789ab-19a5 --reason 'the scanner needs it'\n"
     "  parapet undo --guardrail ssh-open-to-internet --account 111111111111 --since 2h --reason 'ticket 42' "
     "--dry-run\n"},
    {"stop", "", "stop every change in every account, now", operator_options, run_stop, NULL},
    {"resume", "", "lift the stop", operator_options, run_resume, NULL},
    {"rollout set", "GUARDRAIL", "where a version of a playbook acts; elsewhere it tells what it would do",
     rollout_options, run_rollout_set,
     "  parapet rollout set ssh-open-to-internet --version 2 --stage shadow\n"
     "  parapet rollout set ssh-open-to-internet --version 2 --stage canary --canaries 111111111111\n"
     "  parapet rollout set ssh-open-to-internet --version 2 --stage units --units 'workloads/dev*'\n"
     "  parapet findings --status shadow --output json                      # with the calls, as `planned`\n\n"
     "  An older version acts as before; a newer one waits for its own.\n"},
    {"rollout list", "", "every rollout and its stage", NULL, run_rollout_list, NULL},
    {"rollout clear", "GUARDRAIL", "forget it: whatever version is loaded acts everywhere", operator_options,
     run_rollout_clear, NULL},
    {"notices check", "[FILE]", "check the file of channels and routes: file, line and reason of each mistake", NULL,
     run_notices_check, NULL},
    {"notices list", "", "the channels for notices, and how many messages wait in each", NULL, run_notices_list, NULL},
    {"replay", "FILE ...", "send recorded events (.json, .json.gz, JSON lines) to the fleet", replay_options,
     run_replay, NULL},
    {"aws", "SERVICE.OPERATION [JSON | @FILE | -]", "call any operation of AWS, in any account and Region",
     aws_verb_options, run_aws,
     "  Parameters are one JSON object: as a word, from a file, or (-) from standard input.  Results come whole: "
     "every\n"
     "  page is read, unless --no-paginate or --max-items say otherwise.\n\n"
     "  parapet aws ec2.DescribeSecurityGroups --explain                     # what it takes and gives\n"
     "  parapet aws ec2.DescribeSecurityGroups '{\"GroupIds\": [\"sg-0abc\"]}' --region eu-west-1 --output json\n"
     "  parapet aws s3.PutBucketTagging @tags.json --account 111111111111 --role admin --dry-run\n\n"
     "  Exit codes: 0 fine, 2 what was asked for is invalid, 4 try again later, 5 throttled, 6 denied, 7 it does not\n"
     "  exist, 1 anything else.  The error names class, code and AWS's request id (--output json: as JSON on "
     "stderr).\n"},
    {"settings", "", "the settings in force, and where each comes from", settings_options, run_settings, NULL},
    {0}};

static int word_count(const char *name) {
  int count = 1;
  for (; *name; name++) count += *name == ' ';
  return count;
}

/* How many of the verb's words argv begins with; 0 when it is another verb. */
static int verb_matches(const struct verb *verb, int argc, char **argv) {
  const char *rest = verb->name;
  int words = word_count(verb->name);
  if (argc - 1 < words) return 0;
  for (int i = 1; i <= words; i++) {
    size_t length = strcspn(rest, " ");
    if (strlen(argv[i]) != length || strncmp(argv[i], rest, length) != 0) return 0;
    rest += length + (rest[length] == ' ');
  }
  return words;
}

static const struct verb *find_verb(int argc, char **argv, int *words) {
  for (const struct verb *verb = verbs; verb->name; verb++)
    if ((*words = verb_matches(verb, argc, argv)) > 0) return verb;
  return NULL;
}

static void print_usage(FILE *out) {
  fputs("usage: parapet VERB [WORDS] [--OPTION VALUE ...]\n\n", out);
  for (const struct verb *verb = verbs; verb->name; verb++) fprintf(out, "  %-20s %s\n", verb->name, verb->help);
  fputs(
      "\nparapet VERB --help shows its options; parapet settings --help the settings that all share.\n"
      "Exit codes: 0 fine, 1 something failed, 2 usage, 3 violations or failing tests were found.\n",
      out);
}

/* The verbs that begin with this word, as "breaker trip" does with "breaker".  Returns how many there are. */
static int print_group(FILE *out, const char *group) {
  size_t length = strlen(group);
  int count = 0;
  for (const struct verb *verb = verbs; verb->name; verb++) {
    if (strncmp(verb->name, group, length) != 0 || verb->name[length] != ' ') continue;
    if (count++ == 0) fprintf(out, "usage: parapet %s VERB [WORDS] [--OPTION VALUE ...]\n\n", group);
    fprintf(out, "  %-20s %s\n", verb->name, verb->help);
  }
  if (count > 0) fprintf(out, "\nparapet %s VERB --help shows its options.\n", group);
  return count;
}

static int is_help(const char *word) { return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0; }

static void print_verb_help(const struct verb *verb) {
  printf("usage: parapet %s %s [--OPTION VALUE ...]\n\n  %s\n\n", verb->name, verb->arguments, verb->help);
  if (verb->more) printf("%s\n", verb->more);
  if (verb->options) config_print_help(verb->options, stdout);
  config_print_help(verb->options == settings_options ? worker_settings : common_options, stdout);
}

static int complain_verb(int argc, char **argv) {
  const char *names[64];
  size_t count = 0;
  char given[128];
  int asked = argc > 2 && is_help(argv[2]);
  if ((argc == 2 || argv[2][0] == '-') && print_group(asked ? stdout : stderr, argv[1]) > 0)
    return asked ? CLI_OK : CLI_USAGE;
  for (const struct verb *verb = verbs; verb->name && count < 63; verb++) names[count++] = verb->name;
  names[count] = NULL;
  snprintf(given, sizeof given, "%s%s%s", argv[1], argc > 2 && argv[2][0] != '-' ? " " : "",
           argc > 2 && argv[2][0] != '-' ? argv[2] : "");
  const char *nearest = config_nearest(given, names);
  if (!nearest) nearest = config_nearest(argv[1], names);
  if (nearest)
    return fail_usage("there is no verb \"%s\"; did you mean \"%s\"? (parapet --help lists all)", given, nearest);
  return fail_usage("there is no verb \"%s\"; parapet --help lists all", given);
}

static size_t add_settings(struct setting *table, size_t count, const struct setting *more) {
  for (; more && more->name && count < SETTINGS_MAX - 1; more++) table[count++] = *more;
  return count;
}

static int run_verb(const struct verb *verb, int argc, char **argv) {
  static struct setting table[SETTINGS_MAX];
  size_t count = add_settings(table, 0, verb->options);
  count = add_settings(table, count, common_options);
  add_settings(table, count, worker_settings);
  struct error error = {0};
  struct cli cli = {0};
  cli.config = config_load(table, argc, argv, &cli.words, stderr, &error);
  if (!cli.config) return fail_usage("%s (parapet %s --help)", error.message, verb->name);
  const char *output = config_text(cli.config, "output");
  cli.json = strcmp(output, "json") == 0;
  int result = cli.json || strcmp(output, "table") == 0 ? verb->run(&cli)
                                                        : fail_usage("--output is table or json, not \"%s\"", output);
  config_free(cli.config);
  return result;
}

int main(int argc, char **argv) {
  int words = 0;
  signal(SIGPIPE, SIG_IGN);
  json_use_blocks();
  json_object_seed(0);
  log_set_level(getenv("PARAPET_LOG_LEVEL") ? getenv("PARAPET_LOG_LEVEL") : "error");
  if (argc < 2 || is_help(argv[1]) || strcmp(argv[1], "help") == 0) {
    print_usage(argc < 2 ? stderr : stdout);
    return argc < 2 ? CLI_USAGE : CLI_OK;
  }
  if (strcmp(argv[1], "--version") == 0) {
    puts("parapet " PARAPET_VERSION);
    return CLI_OK;
  }
  const struct verb *verb = find_verb(argc, argv, &words);
  if (!verb) return complain_verb(argc, argv);
  for (int i = words + 1; i < argc; i++)
    if (is_help(argv[i])) {
      print_verb_help(verb);
      return CLI_OK;
    }
  argv[words] = argv[0];
  return run_verb(verb, argc - words, argv + words);
}
