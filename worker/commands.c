/* Operators' commands: one thread polls parapet.commands, the pool's first lane carries them out, before events.
 *
 * A command is carried out once: its id is claimed in Redis, with the place in the topic where it stood.  The same
 * message that comes again (its worker died) is gone on with; the same id at another place is a replay. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/identity.h"
#include "base/clock.h"
#include "base/log.h"
#include "operate/command.h"
#include "operate/operate.h"
#include "operate/permissions.h"
#include "operate/undo.h"
#include "pipeline.h"

enum { PROOF_MS = 5000, PROGRESS_MS = 300, TRIES = 240, RETRY_MS = 500 };

struct command {
  struct task task;
  struct worker *worker;
  struct bus_message *message;
  json_t *request;
  char id[64], position[96], principal[256];
  const char *reason; /* why it is refused; NULL: it is not */
  char said[512];     /* what `reason` points to, unless it is static */
  int tries, claimed, proven;
  pthread_mutex_t lock; /* guards the two below */
  json_t *answer;       /* what Redis has of it */
  int64_t answered_ms;  /* monotonic */
};

static void command_free(struct command *command) {
  json_decref(command->request);
  json_decref(command->answer);
  pthread_mutex_destroy(&command->lock);
  free(command);
}

static void command_abandon(void *argument) {
  struct command *command = argument;
  bus_abandon(command->worker->commands, command->message);
  command_free(command);
}

static void command_finish(struct command *command) {
  bus_finish(command->worker->commands, command->message);
  command_free(command);
}

static void command_task(void *argument);

static void again(struct command *command) {
  if (pool_submit(command->worker->pool, POOL_LANE_COMMAND, NULL, RETRY_MS, command_task, command) != 0)
    command_abandon(command);
}

/* ---- what is written about it ---- */
static void record_operator(const struct command *command, const char *result, const char *reason) {
  struct operate operate = {
      .state = command->worker->state, .producer = command->worker->producer, .principal = command->principal};
  struct error error = {0};
  if (operate_record(&operate, command->id, json_text_at(command->request, "verb", NULL),
                     json_object_get(command->request, "arguments"), result, reason, command->worker->owner,
                     &error) != 0)
    log_warn("an operator's command could not be recorded", LOG_TEXT("id", command->id), LOG_ERROR(&error));
}

static int put_answer(struct command *command, struct error *error) {
  command->answered_ms = clock_monotonic_ms();
  return state_command_put(command->worker->state, command->id, command->answer, COMMAND_KEPT_MS, error);
}

/* state: done, refused, failed. */
static void answer(struct command *command, const char *state, json_t *result, const char *reason) {
  struct error error = {0};
  pthread_mutex_lock(&command->lock);
  json_object_set_new(command->answer, "state", json_string(state));
  if (result) json_object_set(command->answer, "result", result);
  if (reason) json_object_set_new(command->answer, "reason", json_string(reason));
  for (int tries = 0; put_answer(command, &error) != 0 && tries < 20 && error_is_transient(&error); tries++)
    clock_sleep_ms(250);
  pthread_mutex_unlock(&command->lock);
  if (error.class != ERROR_NONE)
    log_warn("an answer could not be given", LOG_TEXT("id", command->id), LOG_ERROR(&error));
}

static void refuse(struct command *command, const char *reason) {
  log_warn("a command was refused", LOG_TEXT("id", command->id),
           LOG_TEXT("verb", json_text_at(command->request, "verb", NULL)), LOG_TEXT("principal", command->principal),
           LOG_TEXT("reason", reason));
  record_operator(command, "refused", reason);
}

/* ---- undo ---- */
static void on_progress(void *context, int64_t done, int64_t total) {
  struct command *command = context;
  pthread_mutex_lock(&command->lock);
  json_object_set_new(command->answer, "done", json_integer(done));
  json_object_set_new(command->answer, "total", json_integer(total));
  if (clock_monotonic_ms() - command->answered_ms >= PROGRESS_MS) put_answer(command, NULL);
  pthread_mutex_unlock(&command->lock);
}

static void end(struct command *command, json_t *result, const struct error *error) {
  record_operator(command, result ? "done" : "failed", result ? "" : error->message);
  answer(command, result ? "done" : "failed", result, result ? NULL : error->message);
  json_decref(result);
  command_finish(command);
}

static void on_end(void *context, json_t *result, const struct error *error) { end(context, result, error); }

static void run_undo(struct command *command) {
  struct undo_report report = {.progress = on_progress, .end = on_end, .abandon = command_abandon, .context = command};
  undo_start(command->worker, json_object_get(command->request, "arguments"), command->principal, command->id, &report);
}

static void run(struct command *command, const char *verb) {
  struct error error = {0};
  struct operate operate = {
      .state = command->worker->state, .producer = command->worker->producer, .principal = command->principal};
  if (strcmp(verb, "undo") == 0) return run_undo(command);
  json_t *result = operate_run(&operate, verb, json_object_get(command->request, "arguments"), &error);
  if (!result && error_is_transient(&error) && command->tries++ < TRIES) return again(command);
  end(command, result, &error);
}

/* 1 = ours to carry out, 0 = it is not (and is settled), -1 = Redis does not answer. */
static int claim(struct command *command, struct error *error) {
  json_t *earlier = NULL;
  int64_t made_ms = 0;
  clock_parse(json_text_at(command->request, "created", NULL), &made_ms);
  int begun =
      state_command_begin(command->worker->state, command->id, command->answer, made_ms, COMMAND_KEPT_MS, error);
  if (begun == 2 && !command->reason)
    command->reason =
        "it was made before Redis lost its memory: look at what was done (parapet actions list), and ask again";
  if (begun != 0) return begun < 0 ? -1 : 1;
  if (state_command_get(command->worker->state, command->id, &earlier, error) != 0) return -1;
  int same = strcmp(json_text_at(earlier, "position", NULL), command->position) == 0;
  int over = same && strcmp(json_text_at(earlier, "state", NULL), "running") != 0;
  const char *accepted = json_text_at(earlier, "accepted", NULL);
  if (same && !over && *accepted) { /* it was good when it came: its worker died over it */
    command->reason = NULL;
    command->proven = 1;
    snprintf(command->principal, sizeof command->principal, "%s", accepted);
  }
  json_decref(earlier);
  if (!same) refuse(command, "replayed: a command with this id was there before");
  return same && !over;
}

/* Is it somebody who may?  0, or -1 with *error: DENIED, or RETRYABLE (STS cannot be asked now). */
static int check_principal(struct command *command, struct error *error) {
  const struct worker *worker = command->worker;
  const char *file = config_text(worker->config, "operators"), *verb = json_text_at(command->request, "verb", NULL);
  char hash[65];
  if (!*file) return 0;
  json_t *permissions = permissions_load(file, error);
  if (!permissions) {
    log_error("the file of operators cannot be used: nobody may do anything", LOG_ERROR(error));
    return error_set(error, ERROR_DENIED, "Operators", "the workers' file of operators cannot be used");
  }
  command_hash(command->request, hash);
  int result =
      aws_identity_check(worker->aws, hash, json_object_get(command->request, "proof"), clock_monotonic_ms() + PROOF_MS,
                         command->principal, sizeof command->principal, error);
  if (result == 0 && !permissions_allow(permissions, command->principal, operate_permission(verb)))
    result =
        error_set(error, ERROR_DENIED, "Permission", "%s may not %s", command->principal, operate_permission(verb));
  json_decref(permissions);
  return result;
}

/* Whoever has to go on after a crash need not ask again: by then the proof may be too old. */
static int accept(struct command *command, struct error *error) {
  pthread_mutex_lock(&command->lock);
  json_object_set_new(command->answer, "accepted", json_string(command->principal));
  json_object_set_new(command->answer, "principal", json_string(command->principal));
  int result = put_answer(command, error);
  pthread_mutex_unlock(&command->lock);
  return result;
}

static void command_task(void *argument) {
  struct command *command = argument;
  struct error error = {0};
  const char *verb = json_text_at(command->request, "verb", NULL);
  int claimed = command->claimed ? 1 : !command->worker->state_ready ? -1 : claim(command, &error);
  if (claimed < 0 && command->tries++ < TRIES) return again(command);
  command->claimed = claimed == 1;
  if (claimed == 1 && !command->reason && !command->proven) {
    if (check_principal(command, &error) == 0 && accept(command, &error) == 0)
      command->proven = 1;
    else if (error_is_transient(&error) && command->tries++ < TRIES)
      return again(command);
    else
      command->reason = snprintf(command->said, sizeof command->said, "%s", error.message) ? command->said : "";
  }
  if (claimed == 1 && !command->reason) {
    log_info("command", LOG_TEXT("id", command->id), LOG_TEXT("verb", verb), LOG_TEXT("principal", command->principal));
    return run(command, verb);
  }
  if (claimed == 1) {
    refuse(command, command->reason);
    answer(command, "refused", NULL, command->reason);
  }
  command_finish(command);
}

/* ---- the thread ---- */
static void on_command(struct worker *worker, struct bus_message *message) {
  size_t length;
  const char *value = bus_message_value(message, &length);
  struct error error = {0};
  json_t *request = value && length <= COMMAND_BYTES ? json_parse(value, length, &error) : NULL;
  struct command *command = json_is_object(request) ? calloc(1, sizeof *command) : NULL;
  if (!command) {
    json_decref(request);
    dead_letter(worker, worker->commands, message, "no command: not a JSON object of at most 64 KiB");
    return;
  }
  pthread_mutex_init(&command->lock, NULL);
  command->task.abandon = command_abandon;
  command->worker = worker;
  command->message = message;
  command->request = request;
  snprintf(command->id, sizeof command->id, "%s", json_text_at(request, "id", NULL));
  snprintf(command->position, sizeof command->position, "%d/%lld", (int)bus_message_partition(message),
           (long long)bus_message_offset(message));
  snprintf(command->principal, sizeof command->principal, "unproven:%.200s", json_text_at(request, "by", NULL));
  command->answer = json_pack("{s:s, s:s, s:s, s:s}", "state", "running", "verb", json_text_at(request, "verb", NULL),
                              "principal", command->principal, "position", command->position);
  command->reason = command_check(request, clock_wall_ms());
  if (!command->reason && !operate_permission(json_text_at(request, "verb", NULL)))
    command->reason = "there is no such verb";
  if (!command->id[0]) snprintf(command->id, sizeof command->id, "none");
  if (pool_submit(worker->pool, POOL_LANE_COMMAND, NULL, 0, command_task, command) != 0) command_abandon(command);
}

void *commands_thread(void *argument) {
  struct worker *worker = argument;
  while (!worker->stopping) {
    struct error error = {0};
    struct bus_message *message = bus_poll(worker->commands, 100, &error);
    if (message) on_command(worker, message);
  }
  return NULL;
}
