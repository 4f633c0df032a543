/* parapet aws: the AWS client at the operator's hand. */
#include <stdlib.h>
#include <string.h>

#include "aws_merge.h"
#include "base/clock.h"
#include "fleet/accounts.h"

#define INPUT_LIMIT ((size_t)16 << 20)

/* Exit codes besides those of cli.h, by the error's class. */
enum { EXIT_RETRYABLE = 4, EXIT_THROTTLED = 5, EXIT_DENIED = 6, EXIT_MISSING = 7 };

const struct setting aws_verb_options[] = {
    {"account", SETTING_TEXT, NULL, "the account to work in, by its role; none: the account of your credentials", 0, 0,
     0},
    {"region", SETTING_TEXT, NULL, "the Region; none: aws.region, AWS_REGION, us-east-1", 0, 0, 0},
    {"role", SETTING_TEXT, NULL, "role to assume in --account; none: the accounts file's", 0, 0, 0},
    {"dry-run", SETTING_BOOL, "false", "print the request that would be sent, secrets masked; send nothing", 0, 0, 0},
    {"explain", SETTING_BOOL, "false", "print what the operation takes and gives; send nothing", 0, 0, 0},
    {"no-paginate", SETTING_BOOL, "false", "only the first page", 0, 0, 0},
    {"max-items", SETTING_NUMBER, "0", "stop after this many items; 0: all", 0, 1000000, 0},
    {"timeout", SETTING_DURATION, "60s", "for each page, retries included", 100, 3600000, 0},
    {0}};

struct request { /* what was asked for */
  struct cli *cli;
  struct aws_client *client;
  struct accounts *accounts; /* may be NULL */
  const char *operation;
  json_t *params, *description;
  struct aws_role role;
  struct aws_target target;
};

/* ---- failures ---- */

static int exit_code(enum error_class class) {
  static const int codes[] = {
      [ERROR_RETRYABLE] = EXIT_RETRYABLE, [ERROR_THROTTLED] = EXIT_THROTTLED, [ERROR_DENIED] = EXIT_DENIED,
      [ERROR_MISSING] = EXIT_MISSING,     [ERROR_INVALID] = CLI_USAGE,        [ERROR_FATAL] = CLI_ERROR};
  return class > ERROR_NONE && (size_t) class < sizeof codes / sizeof *codes ? codes[class] : CLI_ERROR;
}

static int fail_call(const struct cli *cli, const struct error *error) {
  if (cli->json) {
    json_t *shown =
        json_pack("{s:{s:s, s:s, s:s, s:s, s:s}}", "error", "class", error_class_name(error->class), "code",
                  error->code, "operation", error->where, "message", error->message, "request_id", error->request_id);
    if (shown) json_dumpf(shown, stderr, JSON_INDENT(2));
    fputc('\n', stderr);
    json_decref(shown);
  } else {
    fprintf(stderr, "parapet: %s%s%s (%s): %s%s%s%s\n", error->where, error->where[0] ? ": " : "", error->code,
            error_class_name(error->class), error->message, error->request_id[0] ? " [request " : "", error->request_id,
            error->request_id[0] ? "]" : "");
  }
  return exit_code(error->class);
}

/* ---- what was asked for ---- */

static int read_stream(FILE *stream, struct buffer *text, struct error *error) {
  char chunk[65536];
  size_t got;
  while ((got = fread(chunk, 1, sizeof chunk, stream)) > 0)
    if (buffer_add(text, chunk, got) != 0)
      return error_set(error, ERROR_INVALID, "Input", "the parameters are over %zu MiB", INPUT_LIMIT >> 20);
  return ferror(stream) ? error_set(error, ERROR_INVALID, "Input", "the parameters cannot be read") : 0;
}

static int read_input(const char *word, struct buffer *text, struct error *error) {
  if (strcmp(word, "-") == 0) return read_stream(stdin, text, error);
  if (*word != '@') return buffer_add_text(text, word);
  FILE *file = fopen(word + 1, "re");
  if (!file) return error_set(error, ERROR_INVALID, "Input", "%s cannot be read", word + 1);
  int result = read_stream(file, text, error);
  fclose(file);
  return result;
}

static int read_params(struct request *request, struct error *error) {
  const struct config_rest *words = &request->cli->words;
  struct buffer text = {.ceiling = INPUT_LIMIT};
  if (words->count < 2) return 0;
  if (read_input(words->words[1], &text, error) == 0)
    request->params = json_parse(buffer_text(&text), text.length, error);
  buffer_free(&text);
  if (!request->params) return error_where(error, "the parameters");
  if (json_is_object(request->params)) return 0;
  return error_set(error, ERROR_INVALID, "Input", "the parameters are one JSON object, as {\"MaxResults\": 5}");
}

static int choose_role(struct request *request, struct error *error) {
  const struct config *config = request->cli->config;
  const char *account = config_text(config, "account"), *role = config_text(config, "role"),
             *file = config_text(config, "accounts"), *region = config_text(config, "region");
  request->target = (struct aws_target){.region = *region ? region : NULL};
  if (!*account)
    return *role ? error_set(error, ERROR_INVALID, "Usage", "--role needs --account: in which account is it?") : 0;
  if (*file && !(request->accounts = accounts_load(file, error))) return -1;
  if (!*role && request->accounts) role = accounts_role(request->accounts);
  if (!*role)
    return error_set(error, ERROR_INVALID, "Usage", "--account needs --role, or an accounts file that names it");
  request->role = (struct aws_role){.name = role,
                                    .external_id = request->accounts ? accounts_external_id(request->accounts) : NULL,
                                    .session_name = "parapet-aws"};
  request->target.account = account;
  request->target.role = &request->role;
  return 0;
}

/* ---- what is done ---- */

static int explain(const struct request *request) {
  static const struct column columns[] = {{"PARAMETER", "name", 0}, {"TYPE", "type", 60}, {"", "note", 0}, {0}};
  static const struct column results[] = {{"RESULT", "name", 0}, {"TYPE", "type", 60}, {0}};
  const json_t *description = request->description;
  size_t index;
  json_t *one;
  if (request->cli->json) {
    print_json(description);
    return CLI_OK;
  }
  printf("%s: %s, IAM action %s%s\n\n", request->operation,
         json_is_true(json_object_get(description, "reads")) ? "reads" : "changes",
         json_text_at(description, "iam_action", NULL),
         json_is_true(json_object_get(description, "paginates")) ? ", comes in pages" : "");
  json_array_foreach(json_object_get(description, "parameters"), index, one)
      json_object_set_new(one, "note", json_string(json_is_true(json_object_get(one, "required")) ? "required" : ""));
  print_rows(request->cli, json_object_get(description, "parameters"), columns);
  putchar('\n');
  print_rows(request->cli, json_object_get(description, "result"), results);
  return CLI_OK;
}

static void print_request(const json_t *shown) {
  const char *name;
  json_t *value, *body = json_object_get(shown, "body");
  printf("%s %s\n", json_text_at(shown, "method", NULL), json_text_at(shown, "url", NULL));
  json_object_foreach(json_object_get(shown, "headers"), name, value)
      printf("%s: %s\n", name, json_string_value(value));
  if (json_is_string(body) && json_string_length(body) > 0) printf("\n%s\n", json_string_value(body));
  if (json_is_object(body)) printf("\n(base64) %s\n", json_text_at(body, "base64", NULL));
}

static int dry_run(const struct request *request) {
  struct error error = {0};
  json_t *shown = aws_dry_run(request->client, &request->target, request->operation, request->params, &error);
  if (!shown) return fail_call(request->cli, &error);
  if (request->target.role) {
    char arn[256];
    struct aws_target there = request->target;
    const char *region = config_text(request->cli->config, "aws.region");
    if (!there.region) there.region = region;
    aws_role_arn(&there, arn, sizeof arn);
    json_object_set_new(shown, "assumes", json_string(arn));
    if (!request->cli->json) printf("# as %s\n", arn);
  }
  if (request->cli->json)
    print_json(shown);
  else
    print_request(shown);
  json_decref(shown);
  return CLI_OK;
}

/* The page after which nothing more is asked for. */
static int only_page(json_t *page, void *merge) {
  merge_page(page, merge);
  return 1;
}

/* Every page has the whole time limit: what is long is not late. */
struct walk {
  struct merge merge;
  struct aws_call_options *options;
  int64_t timeout_ms;
  int one;
};

static int take_page(json_t *page, void *argument) {
  struct walk *walk = argument;
  walk->options->deadline_ms = clock_monotonic_ms() + walk->timeout_ms;
  return walk->one ? only_page(page, &walk->merge) : merge_page(page, &walk->merge);
}

static int call(const struct request *request) {
  const struct config *config = request->cli->config;
  struct error error = {0};
  struct walk walk = {
      .merge = {.description = request->description, .most = (size_t)config_number(config, "max-items")},
      .timeout_ms = config_ms(config, "timeout"),
      .one = config_bool(config, "no-paginate")};
  struct aws_call_options options = {.deadline_ms = clock_monotonic_ms() + walk.timeout_ms};
  walk.options = &options;
  int failed = aws_paginate(request->client, &request->target, request->operation, request->params, &options, take_page,
                            &walk, &error) != 0;
  if (walk.merge.result && !walk.one) merge_end(&walk.merge);
  if (walk.merge.result && (!failed || !request->cli->json))
    print_result(request->cli, walk.merge.result, request->description);
  if (walk.merge.more)
    fprintf(stderr, "parapet: stopped after %zu items (--max-items); there is more\n", walk.merge.most);
  json_decref(walk.merge.result);
  return failed ? fail_call(request->cli, &error) : CLI_OK;
}

static int run(struct request *request) {
  const struct config *config = request->cli->config;
  if (config_bool(config, "explain")) return explain(request);
  return config_bool(config, "dry-run") ? dry_run(request) : call(request);
}

int run_aws(struct cli *cli) {
  struct error error = {0};
  struct request request = {.cli = cli};
  struct aws_options options = settings_aws(cli->config);
  int result = CLI_ERROR;
  if (cli->words.count < 1 || cli->words.count > 2)
    return fail_usage("which operation, and with what?  As: parapet aws ec2.DescribeVpcs '{\"MaxResults\": 5}'");
  request.operation = cli->words.words[0];
  request.client = aws_open(&options, &error);
  if (request.client && (request.description = aws_model_describe(request.client, request.operation, &error)) &&
      read_params(&request, &error) == 0 && choose_role(&request, &error) == 0)
    result = run(&request);
  else
    result = fail_call(cli, &error);
  aws_close(request.client);
  aws_thread_end();
  accounts_drop(request.accounts);
  json_decref(request.params);
  json_decref(request.description);
  return result;
}
