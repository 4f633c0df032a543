/* Commands: sent to the workers through Kafka, their answers awaited in Redis. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aws/identity.h"
#include "base/clock.h"
#include "bus/topics.h"
#include "cli.h"
#include "operate/command.h"
#include "operate/operate.h"

enum { POLL_MS = 100, TAKEN_MS = 30000, SEND_MS = 10000, WAIT_MS = 30 * 60 * 1000 };

static void operator_at(const struct cli *cli, char *by, size_t size) {
  char host[128] = "host";
  const char *user = cli->by && *cli->by ? cli->by : getenv("USER");
  gethostname(host, sizeof host - 1);
  snprintf(by, size, "%s@%s", user && *user ? user : "operator", host);
}

static int send_command(struct cli *cli, const json_t *command, struct error *error) {
  struct bus_options options = settings_bus(cli->config, "parapet-cli");
  struct bus_producer *producer = bus_producer_open(&options, error);
  char *text = producer ? json_text(command) : NULL;
  int result = text ? bus_produce_durably(producer, BUS_TOPIC_COMMANDS, json_text_at(command, "id", NULL), text,
                                          strlen(text), SEND_MS, error)
                    : -1;
  free(text);
  bus_producer_close(producer);
  return result;
}

static void show_progress(const json_t *record) {
  json_t *total = json_object_get(record, "total");
  if (isatty(STDERR_FILENO) && total)
    fprintf(stderr, "\r%lld of %lld ", (long long)json_integer_value(json_object_get(record, "done")),
            (long long)json_integer_value(total));
}

/* New record of its end, or NULL with *error. */
static json_t *await(struct state *state, const char *id, struct error *error) {
  int64_t begun = clock_monotonic_ms();
  for (;;) {
    json_t *record = NULL;
    struct error problem = {0};
    int64_t waited = clock_monotonic_ms() - begun;
    if (state_command_get(state, id, &record, &problem) != 0 && !error_is_transient(&problem)) {
      *error = problem;
      return NULL;
    }
    if (record && strcmp(json_text_at(record, "state", NULL), "running") != 0) {
      if (isatty(STDERR_FILENO)) fputs("\r", stderr);
      return record;
    }
    show_progress(record);
    int taken = record != NULL;
    json_decref(record);
    if (!taken && waited > TAKEN_MS) {
      error_set(error, ERROR_RETRYABLE, "NotTaken",
                "no worker has taken the command: is one running? (parapet status)");
      return NULL;
    }
    if (waited > WAIT_MS) {
      error_set(error, ERROR_RETRYABLE, "NotDone", "it is still being carried out (parapet:v1:command:%s)", id);
      return NULL;
    }
    clock_sleep_ms(POLL_MS);
  }
}

/* What was done is recorded as a worker would; that it cannot be is told, for it is done. */
static json_t *operate_here(struct cli *cli, const char *verb, json_t *arguments, struct error *error) {
  char by[256], principal[280];
  operator_at(cli, by, sizeof by);
  snprintf(principal, sizeof principal, "unproven:%s", by);
  struct bus_options options = settings_bus(cli->config, "parapet-cli");
  struct operate operate = {.state = cli_state(cli, error), .principal = principal};
  json_t *command = command_new(verb, arguments, by), *result = NULL;
  if (operate.state && (operate.producer = bus_producer_open(&options, error)))
    result = operate_run(&operate, verb, arguments, error);
  struct error problem = {0};
  if (operate.producer &&
      operate_record(&operate, json_text_at(command, "id", NULL), verb, arguments, result ? "done" : "failed",
                     result ? "" : error->message, "parapet", &problem) != 0)
    fprintf(stderr, "parapet: it could not be recorded in %s: %s\n", BUS_TOPIC_ACTIONS, problem.message);
  bus_producer_close(operate.producer);
  state_close(operate.state);
  json_decref(command);
  return result;
}

json_t *cli_operate(struct cli *cli, const char *verb, json_t *arguments, struct error *error) {
  if (*config_text(cli->config, "operators")) return cli_command(cli, verb, arguments, error);
  return operate_here(cli, verb, arguments, error);
}

/* Who it is, proven by a request to STS that the worker sends (aws/identity.h). */
static int prove(struct cli *cli, json_t *command, struct error *error) {
  char hash[65];
  if (!*config_text(cli->config, "operators")) return 0;
  struct aws_options options = settings_aws(cli->config);
  struct aws_client *client = aws_open(&options, error);
  command_hash(command, hash);
  json_t *proof = client ? aws_identity_prove(client, hash, error) : NULL;
  aws_close(client);
  return proof ? json_object_set_new(command, "proof", proof) : -1;
}

json_t *cli_command(struct cli *cli, const char *verb, json_t *arguments, struct error *error) {
  char by[256];
  operator_at(cli, by, sizeof by);
  struct state *state =
      cli_state_reading(cli, error); /* before the command is made: it must not be older than the data */
  json_t *command = command_new(verb, arguments, by), *record = NULL, *result = NULL;
  if (state && prove(cli, command, error) == 0 && send_command(cli, command, error) == 0)
    record = await(state, json_text_at(command, "id", NULL), error);
  if (record && strcmp(json_text_at(record, "state", NULL), "done") == 0)
    result = json_incref(json_object_get(record, "result"));
  else if (record)
    error_set(error, ERROR_INVALID, "Refused", "%s: %s", json_text_at(record, "state", NULL),
              json_text_at(record, "reason", NULL));
  state_close(state);
  json_decref(record);
  json_decref(command);
  return result;
}
