/* The step runner: an interpreter over the step tree, one C frame a level; variables are a chain of stack frames. */
#include "engine/steps.h"

#include "engine/load_internal.h"

#include <stdio.h>
#include <string.h>

struct runner {
  const struct step_host *host;
  const char *run;
  int sequence;
  json_t *variables; /* name → value of every `as` and `set` in force */
  json_t **reason;
  struct error *error;
};

static enum steps_end run_list(struct runner *runner, const struct step *steps, size_t count,
                               const struct jmes_scope *scope);

int step_ignores(const struct step *step, const char *code) {
  for (size_t i = 0; i < json_array_size(step->ignore); i++)
    if (strcmp(json_string_value(json_array_get(step->ignore, i)), code) == 0) return 1;
  return 0;
}

static enum steps_end failed(struct runner *runner, const struct step *step) {
  if (runner->error && !runner->error->where[0]) error_where(runner->error, "%s", step->path);
  return STEPS_FAILED;
}

/* The value of an expression at a step; new, or NULL when it failed. */
static json_t *evaluate(struct runner *runner, const struct jmes *expression, const struct jmes_scope *scope) {
  return jmes_search(expression, NULL, scope, runner->error);
}

/* -1 failed, 0 skip, 1 go. */
static int when_holds(struct runner *runner, const struct step *step, const struct jmes_scope *scope) {
  if (!step->when) return 1;
  json_t *value = evaluate(runner, step->when, scope);
  if (!value) return -1;
  int holds = !json_is_empty(value);
  json_decref(value);
  return holds;
}

/* Runs the rest of the list with one more variable. */
static enum steps_end run_with(struct runner *runner, const char *name, json_t *value, const struct step *rest,
                               size_t count, const struct jmes_scope *scope) {
  struct jmes_scope frame = {.name = name, .value = value, .outer = scope};
  json_object_set(runner->variables, name, value);
  return run_list(runner, rest, count, &frame);
}

static json_t *inverse_of(struct runner *runner, const struct step_call *call, json_t *result,
                          const struct jmes_scope *scope) {
  struct jmes_scope frame = {.name = "result", .value = result, .outer = scope};
  return steps_plan(call->step->undo, call->step->undo_count, &frame, call->run, runner->error);
}

/* *result: new, NULL when the call was ignored. */
static enum steps_end make_call(struct runner *runner, const struct step *step, const struct jmes_scope *scope,
                                json_t **result) {
  char run[96];
  struct step_call call = {.step = step, .sequence = ++runner->sequence, .run = run, .variables = runner->variables};
  snprintf(run, sizeof run, "%s-%d", runner->run, call.sequence);
  *result = NULL;
  if (call.sequence > STEPS_CALL_LIMIT) {
    error_set(runner->error, ERROR_INVALID, "TooManyCalls", "a run may make %d calls at most", STEPS_CALL_LIMIT);
    return failed(runner, step);
  }
  json_t *run_value = json_string(run);
  struct jmes_scope frame = {.name = "run", .value = run_value, .outer = scope};
  call.params = step->with ? template_render(step->with, &frame, runner->error) : json_object();
  int ignored = 0;
  enum steps_end end = STEPS_DONE;
  if (!call.params ||
      (!(*result = runner->host->call(runner->host->context, &call, &ignored, runner->error)) && !ignored)) {
    end = failed(runner, step);
  } else if (*result && runner->host->effect) {
    json_t *inverse = step->undo ? inverse_of(runner, &call, *result, &frame) : NULL;
    if ((step->undo && !inverse) ||
        runner->host->effect(runner->host->context, &call, *result, inverse, runner->error) != 0)
      end = failed(runner, step);
    json_decref(inverse);
  }
  json_decref(call.params);
  json_decref(run_value);
  return end;
}

static enum steps_end run_call(struct runner *runner, const struct step *step, size_t rest,
                               const struct jmes_scope *scope) {
  json_t *result;
  enum steps_end end = make_call(runner, step, scope, &result);
  if (end == STEPS_DONE && step->as) {
    json_t *value = result ? json_incref(result) : json_null();
    end = run_with(runner, step->as, value, step + 1, rest, scope);
    json_decref(value);
  } else if (end == STEPS_DONE) {
    end = run_list(runner, step + 1, rest, scope);
  }
  json_decref(result);
  return end;
}

static enum steps_end run_each(struct runner *runner, const struct step *step, const struct jmes_scope *scope) {
  json_t *list = evaluate(runner, step->each, scope), *element;
  enum steps_end end = list ? STEPS_DONE : failed(runner, step);
  size_t index;
  json_array_foreach(list, index, element) {
    end = run_with(runner, step->as, element, step->body, step->body_count, scope);
    if (end != STEPS_DONE) break;
  }
  json_object_del(runner->variables, step->as);
  json_decref(list);
  return end;
}

static enum steps_end run_set(struct runner *runner, const struct step *step, size_t rest,
                              const struct jmes_scope *scope) {
  json_t *value = evaluate(runner, step->value, scope);
  if (!value) return failed(runner, step);
  enum steps_end end = run_with(runner, step->set, value, step + 1, rest, scope);
  json_decref(value);
  return end;
}

/* What the workflow takes: what the step gives it, or the defaults.  New, or NULL with *error. */
static json_t *inputs_of(struct runner *runner, const struct step *step, const struct jmes_scope *scope) {
  json_t *inputs = step->with ? template_render(step->with, scope, runner->error) : json_object(), *declared;
  const char *name;
  json_object_foreach(step->inputs, name, declared) {
    json_t *value = json_object_get(inputs, name), *otherwise = json_object_get(declared, "default");
    if (inputs && !value && otherwise) json_object_set(inputs, name, value = otherwise);
    if (!inputs || (value && input_fits(declared, value))) continue;
    error_set(runner->error, ERROR_INVALID, "Input", "the input \"%s\" of workflow %s must be a %s", name,
              step->workflow, json_text_at(declared, "type", NULL));
    json_decref(inputs);
    inputs = NULL;
  }
  return inputs;
}

/* A workflow's own names do not outlive it. */
static enum steps_end run_workflow(struct runner *runner, const struct step *step, const struct jmes_scope *scope) {
  json_t *inputs = inputs_of(runner, step, scope), *outside = runner->variables;
  if (!inputs) return failed(runner, step);
  runner->variables = json_copy(outside);
  enum steps_end end = run_with(runner, "inputs", inputs, step->body, step->body_count, scope);
  json_decref(runner->variables);
  runner->variables = outside;
  json_decref(inputs);
  return end;
}

static enum steps_end run_message(struct runner *runner, const struct step *step, const struct jmes_scope *scope) {
  void (*tell)(void *, json_t *) = step->kind == STEP_NOTIFY ? runner->host->notify : runner->host->approve;
  json_t *message = template_render(step->message, scope, runner->error);
  if (!message) return failed(runner, step);
  if (tell) tell(runner->host->context, message);
  json_decref(message);
  return STEPS_DONE;
}

static enum steps_end run_stop(struct runner *runner, const struct step *step, const struct jmes_scope *scope) {
  json_t *reason = evaluate(runner, step->value, scope);
  if (!reason) return failed(runner, step);
  if (runner->reason) {
    json_decref(*runner->reason);
    *runner->reason = json_incref(reason);
  }
  json_decref(reason);
  return STEPS_STOPPED;
}

/* call and set run the rest of the list themselves, inside their variable's frame. */
static enum steps_end run_list(struct runner *runner, const struct step *steps, size_t count,
                               const struct jmes_scope *scope) {
  for (size_t i = 0; i < count; i++) {
    const struct step *step = &steps[i];
    int holds = when_holds(runner, step, scope);
    enum steps_end end = STEPS_DONE;
    if (holds < 0) return failed(runner, step);
    if (holds == 0) continue;
    switch (step->kind) {
      case STEP_CALL:
        return run_call(runner, step, count - i - 1, scope);
      case STEP_SET:
        return run_set(runner, step, count - i - 1, scope);
      case STEP_EACH:
        end = run_each(runner, step, scope);
        break;
      case STEP_RUN:
        end = run_workflow(runner, step, scope);
        break;
      case STEP_NOTIFY:
      case STEP_APPROVE:
        end = run_message(runner, step, scope);
        break;
      case STEP_STOP:
        end = run_stop(runner, step, scope);
        break;
    }
    if (end != STEPS_DONE) return end;
  }
  return STEPS_DONE;
}

enum steps_end steps_run(const struct step *steps, size_t count, const struct jmes_scope *scope, const char *run,
                         const struct step_host *host, json_t **reason, struct error *error) {
  struct runner runner = {.host = host, .run = run, .variables = json_object(), .reason = reason, .error = error};
  enum steps_end end = run_list(&runner, steps, count, scope);
  json_decref(runner.variables);
  return end;
}

/* ---- a plan: the calls, without making them ---- */
static json_t *plan_call(void *context, const struct step_call *call, int *ignored, struct error *error) {
  (void)ignored, (void)error;
  json_array_append_new(context, json_pack("{s:s, s:O, s:s*}", "call", call->step->operation, "with", call->params,
                                           "role", call->step->role));
  return json_object();
}

static void plan_approve(void *context, json_t *message) {
  json_array_append_new(context, json_pack("{s:O}", "approve", message));
}

json_t *steps_plan(const struct step *steps, size_t count, const struct jmes_scope *scope, const char *run,
                   struct error *error) {
  json_t *plan = json_array();
  struct step_host host = {.call = plan_call, .approve = plan_approve, .context = plan};
  if (steps_run(steps, count, scope, run, &host, NULL, error) != STEPS_FAILED) return plan;
  json_decref(plan);
  return NULL;
}

const struct step *steps_find(const struct step *steps, size_t count, const char *path) {
  for (size_t i = 0; i < count; i++) {
    if (strcmp(steps[i].path, path) == 0) return &steps[i];
    const struct step *found = steps_find(steps[i].body, steps[i].body_count, path);
    if (found) return found;
  }
  return NULL;
}
