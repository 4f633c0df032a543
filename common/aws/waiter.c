/* Waiters: a call, and a list of acceptors that look at its answer in order; the first that matches tells the state.
 *
 * As botocore/waiter.py: paths see only answers without an error; an error that no acceptor knows ends the waiting; an
 * answer that no acceptor knows means "not yet".  What is no answer of AWS's at all (network, HTML) is never shown to
 * the acceptors: a proxy's 404 must not pass for "it has been deleted". */
#include <stdlib.h>
#include <string.h>

#include "aws/checks.h"
#include "aws/client_internal.h"
#include "aws/model_internal.h"
#include "base/config.h"
#include "json/jmespath.h"

#define DELAY_MOST_S 3600

struct answer {   /* what acceptors look at */
  json_t *result; /* NULL: an error */
  const struct error *error;
  int status;
};

/* ---- matchers: 1 matches, 0 does not, -1 with *error ---- */

/* The acceptor's expression over the answer: new; NULL with *error. */
static json_t *search(const json_t *acceptor, const struct answer *answer, struct error *error) {
  struct jmes *expression = jmes_compile(json_text_at(acceptor, "argument", NULL), NULL, error);
  json_t *found = expression ? jmes_search(expression, answer->result, NULL, error) : NULL;
  jmes_free(expression);
  return found;
}

static int match_path(const json_t *acceptor, const struct answer *answer, struct error *error) {
  if (!answer->result) return 0;
  json_t *found = search(acceptor, answer, error);
  if (!found) return -1;
  int matches = json_same(found, json_object_get(acceptor, "expected"));
  json_decref(found);
  return matches;
}

/* How many elements of the found list are as expected; *count gets how many there are (0: it is no list). */
static int count_matches(const json_t *acceptor, const struct answer *answer, size_t *count, struct error *error) {
  int matches = 0;
  *count = 0;
  if (!answer->result) return 0;
  json_t *found = search(acceptor, answer, error);
  if (!found) return -1;
  *count = json_array_size(found);
  for (size_t i = 0; i < *count; i++)
    matches += json_same(json_array_get(found, i), json_object_get(acceptor, "expected")) != 0;
  json_decref(found);
  return matches;
}

/* An empty list is "not yet": nothing that was asked for is there. */
static int match_all(const json_t *acceptor, const struct answer *answer, struct error *error) {
  size_t count;
  int matches = count_matches(acceptor, answer, &count, error);
  return matches < 0 ? -1 : count > 0 && (size_t)matches == count;
}

static int match_any(const json_t *acceptor, const struct answer *answer, struct error *error) {
  size_t count;
  int matches = count_matches(acceptor, answer, &count, error);
  return matches < 0 ? -1 : matches > 0;
}

static int match_status(const json_t *acceptor, const struct answer *answer, struct error *error) {
  (void)error;
  return json_integer_value(json_object_get(acceptor, "expected")) == answer->status;
}

/* true: any error; false: none; a text: that code. */
static int match_error(const json_t *acceptor, const struct answer *answer, struct error *error) {
  (void)error;
  const json_t *expected = json_object_get(acceptor, "expected");
  if (json_is_boolean(expected)) return json_is_true(expected) == !answer->result;
  return !answer->result && json_is_string(expected) && strcmp(json_string_value(expected), answer->error->code) == 0;
}

static const struct {
  const char *name;
  int (*match)(const json_t *acceptor, const struct answer *answer, struct error *error);
} matchers[] = {
    {"path", match_path},     {"pathAll", match_all}, {"pathAny", match_any},
    {"status", match_status}, {"error", match_error},
};

static int matches(const json_t *acceptor, const struct answer *answer, struct error *error) {
  const char *name = json_text_at(acceptor, "matcher", NULL);
  for (size_t i = 0; i < sizeof matchers / sizeof *matchers; i++)
    if (strcmp(matchers[i].name, name) == 0) return matchers[i].match(acceptor, answer, error);
  return error_set(error, ERROR_INVALID, "Waiter", "the model's acceptor has the unknown matcher \"%.64s\"", name);
}

/* The first acceptor that matches; NULL: none, or (with *error) its expression fails. */
static const json_t *find_acceptor(const json_t *waiter, const struct answer *answer, struct error *error) {
  size_t index;
  json_t *acceptor;
  json_array_foreach(json_object_get(waiter, "acceptors"), index, acceptor) {
    int found = matches(acceptor, answer, error);
    if (found != 0) return found > 0 ? acceptor : NULL;
  }
  return NULL;
}

/* ---- names ---- */

static int no_such_waiter(const struct aws_service *service, const char *name, struct error *error) {
  const char **names = aws_service_names(service, AWS_PIECE_WAITER);
  const char *nearest = names ? config_nearest(name, names) : NULL;
  error_set(error, ERROR_MISSING, "NoSuchWaiter", "%s has no waiter \"%.64s\"%s%s%s", aws_service_name(service), name,
            nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
  free(names);
  return -1;
}

/* Splits "service.Waiter" and finds it: its model and "service.Operation", or NULL with *error. */
static const json_t *find_waiter(struct aws_client *client, const char *waiter, char *operation, size_t size,
                                 struct error *error) {
  char service_name[64];
  const char *dot = strchr(waiter, '.');
  if (!dot || dot == waiter || (size_t)(dot - waiter) >= sizeof service_name) {
    error_set(error, ERROR_INVALID, "Waiter", "a waiter is \"service.Waiter\", not \"%.64s\"", waiter);
    return NULL;
  }
  snprintf(service_name, sizeof service_name, "%.*s", (int)(dot - waiter), waiter);
  const struct aws_service *service = aws_models_service(client->models, service_name, error);
  if (!service) return NULL;
  const json_t *model = aws_service_waiter(service, dot + 1);
  if (!model) {
    no_such_waiter(service, dot + 1, error);
    return NULL;
  }
  snprintf(operation, size, "%s.%s", service_name, json_text_at(model, "operation", NULL));
  return model;
}

int aws_model_waiter(struct aws_client *client, const char *waiter, char *operation, size_t size, struct error *error) {
  char own[192];
  return find_waiter(client, waiter, operation ? operation : own, operation ? size : sizeof own, error) ? 0 : -1;
}

/* ---- steps ---- */

static enum aws_wait_result again(const json_t *model, struct aws_wait *wait, struct error *error) {
  json_int_t most = json_integer_value(json_object_get(model, "maxAttempts"));
  json_int_t delay = json_integer_value(json_object_get(model, "delay"));
  wait->delay_ms = (int64_t)(delay < 0 ? 0 : delay > DELAY_MOST_S ? DELAY_MOST_S : delay) * 1000;
  if (wait->attempts < most) {
    error_clear(error);
    return AWS_WAIT_AGAIN;
  }
  error_set(error, ERROR_RETRYABLE, "WaiterAttempts", "it is not so after %d attempts", wait->attempts);
  return AWS_WAIT_FAILURE;
}

static enum aws_wait_result never(const json_t *acceptor, const struct answer *answer, struct error *error) {
  char *expected = json_written(json_object_get(acceptor, "expected"));
  const char *argument = json_text_at(acceptor, "argument", NULL);
  struct error why = *answer->error;
  error_set(error, ERROR_INVALID, "WaiterFailure", "it will not become so: %s %s is %s%s%s",
            json_text_at(acceptor, "matcher", NULL), argument, expected ? expected : "", why.message[0] ? ": " : "",
            why.message);
  free(expected);
  return AWS_WAIT_FAILURE;
}

static enum aws_wait_result judge(const json_t *model, const struct answer *answer, struct aws_wait *wait,
                                  struct error *error) {
  struct error trouble = {0};
  const json_t *acceptor = find_acceptor(model, answer, &trouble);
  if (trouble.class != ERROR_NONE) {
    if (error) *error = trouble;
    return AWS_WAIT_FAILED;
  }
  if (!acceptor && !answer->result) {
    if (error) *error = *answer->error;
    return AWS_WAIT_FAILED;
  }
  const char *state = json_text_at(acceptor, "state", NULL);
  if (strcmp(state, "failure") == 0) return never(acceptor, answer, error);
  if (strcmp(state, "success") != 0) return again(model, wait, error);
  error_clear(error);
  return AWS_WAIT_SUCCESS;
}

enum aws_wait_result aws_wait_step(struct aws_client *client, const struct aws_target *target, const char *waiter,
                                   json_t *params, const struct aws_call_options *options, struct aws_wait *wait,
                                   struct error *error) {
  char operation[192];
  struct error trouble = {0};
  struct aws_call_options call = options ? *options : (struct aws_call_options){0};
  struct answer answer = {.error = &trouble};
  if (!call.status) call.status = &answer.status;
  const json_t *model = find_waiter(client, waiter, operation, sizeof operation, error);
  if (!model) return error_where(error, "%s", waiter), AWS_WAIT_FAILED;
  answer.result = aws_call(client, target, operation, params, &call, &trouble);
  answer.status = *call.status;
  wait->attempts++;
  enum aws_wait_result result;
  if (!answer.result && (answer.status == 0 || trouble.class == ERROR_FATAL)) {
    result = AWS_WAIT_FAILED;
    if (error) *error = trouble;
  } else {
    result = judge(model, &answer, wait, error);
    if (result != AWS_WAIT_SUCCESS) error_where(error, "%s", waiter);
  }
  json_decref(answer.result);
  return result;
}

int aws_wait_until(struct aws_client *client, const struct aws_target *target, const char *waiter, json_t *params,
                   int64_t deadline_ms, struct error *error) {
  struct aws_wait wait = {0};
  struct error trouble = {0};
  for (;;) {
    struct aws_call_options options = {.deadline_ms = deadline_ms};
    enum aws_wait_result result = aws_wait_step(client, target, waiter, params, &options, &wait, &trouble);
    if (result == AWS_WAIT_SUCCESS) return error_clear(error), 0;
    if (result == AWS_WAIT_FAILURE || (result == AWS_WAIT_FAILED && !error_is_transient(&trouble))) break;
    int64_t delay = wait.delay_ms > 0 ? wait.delay_ms : 1000;
    if (aws_client_now(client) + delay >= deadline_ms) {
      if (result == AWS_WAIT_FAILED) break; /* what failed last says more than "too late" */
      error_set(&trouble, ERROR_RETRYABLE, AWS_CODE_DEADLINE, "it is not so yet, and the deadline is near");
      error_where(&trouble, "%s", waiter);
      break;
    }
    aws_client_sleep(client, delay);
  }
  if (error) *error = trouble;
  return -1;
}
