/* Steps: what a playbook does.  One row a kind; a step is known by the one key that only it has. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/config.h"
#include "check/names.h"
#include "engine/load_internal.h"

enum { RETRY_LIMIT_MS = 5 * 60 * 1000 };

static const struct key call_keys[] = {{"call", KEY_TEXT, 1}, {"with", KEY_OBJECT, 0},  {"ignore", KEY_ARRAY, 0},
                                       {"as", KEY_TEXT, 0},   {"when", KEY_TEXT, 0},    {"undo", KEY_ARRAY, 0},
                                       {"role", KEY_TEXT, 0}, {"retry", KEY_OBJECT, 0}, {0}};
static const struct key retry_keys[] = {{"on", KEY_ARRAY, 1}, {"for", KEY_TEXT, 1}, {0}};
static const struct key each_keys[] = {
    {"each", KEY_TEXT, 1}, {"as", KEY_TEXT, 1}, {"do", KEY_ARRAY, 1}, {"when", KEY_TEXT, 0}, {0}};
static const struct key set_keys[] = {{"set", KEY_TEXT, 1}, {"to", KEY_TEXT, 1}, {"when", KEY_TEXT, 0}, {0}};
static const struct key notify_keys[] = {{"notify", KEY_TEXT, 1}, {"when", KEY_TEXT, 0}, {0}};
static const struct key run_keys[] = {{"run", KEY_TEXT, 1}, {"with", KEY_OBJECT, 0}, {"when", KEY_TEXT, 0}, {0}};
static const struct key stop_keys[] = {{"stop", KEY_TEXT, 1}, {"when", KEY_TEXT, 0}, {0}};

static const struct key approve_keys[] = {{"approve", KEY_OBJECT, 1}, {"when", KEY_TEXT, 0}, {0}};
static const struct key approve_message_keys[] = {{"message", KEY_TEXT, 1}, {0}};

static const struct step_row {
  const char *word;
  enum step_kind kind;
  const struct key *keys;
} step_rows[] = {
    {"call", STEP_CALL, call_keys},          {"each", STEP_EACH, each_keys}, {"set", STEP_SET, set_keys},
    {"notify", STEP_NOTIFY, notify_keys},    {"stop", STEP_STOP, stop_keys}, {"run", STEP_RUN, run_keys},
    {"approve", STEP_APPROVE, approve_keys},
};

static const struct step_row *step_row(const json_t *object) {
  for (size_t i = 0; i < sizeof step_rows / sizeof *step_rows; i++)
    if (json_object_get(object, step_rows[i].word)) return &step_rows[i];
  return NULL;
}

static void complain_step(struct loader *loader, const json_t *object, const char *pointer) {
  static const char *const words[] = {"call", "each", "set", "notify", "stop", "approve", "run", NULL};
  const char *key, *hint = "";
  json_t *value;
  json_object_foreach((json_t *)object, key, value) if (!*hint) hint = nearest_word(key, words);
  complain(loader, pointer, "a step must have one of: call, each, set, notify, stop, approve, run%s", hint);
}

/* The name of a variable that a step brings in. */
static char *load_name(struct loader *loader, const json_t *object, const char *key, const char *pointer) {
  char *name = load_text(object, key);
  if (name &&
      (!*name || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(name) || strspn(name, "0123456789")))
    complain(loader, pointer_key(pointer, key), "\"%s\": a variable's name has a-z, 0-9 and _", key);
  else if (name && is_built_in(name))
    complain(loader, pointer_key(pointer, key), "\"%s\": $%s is a variable of the language", key, name);
  return name;
}

/* "$id" under `with` is a text, not a variable; nobody means that. */
static void check_literals(struct loader *loader, const json_t *value, const char *pointer) {
  const char *key, *text = json_string_value(value);
  size_t index;
  json_t *member;
  if (text && text[0] == '$' && text[1] >= 'a' && text[1] <= 'z')
    complain(loader, pointer, "\"%.60s\" is plain text here; did you mean \"${%.60s}\"?", text, text);
  char below[512];
  json_object_foreach((json_t *)value, key, member) {
    snprintf(below, sizeof below, "%s/%s", pointer, key);
    check_literals(loader, member, below);
  }
  json_array_foreach(value, index, member) {
    snprintf(below, sizeof below, "%s/%zu", pointer, index);
    check_literals(loader, member, below);
  }
}

static void load_retry(struct loader *loader, const json_t *object, const char *pointer, struct step *step) {
  const json_t *retry = json_object_get(object, "retry");
  char where[512];
  snprintf(where, sizeof where, "%s/retry", pointer);
  if (!retry || check_keys(loader, retry, where, retry_keys) > 0) return;
  check_texts(loader, retry, "on", where);
  step->retry_on = json_incref(json_object_get(retry, "on"));
  if (clock_parse_duration(json_text_at(retry, "for", NULL), &step->retry_ms) != 0 || step->retry_ms < 1000 ||
      step->retry_ms > RETRY_LIMIT_MS)
    complain(loader, pointer_key(where, "for"), "\"for\" must be a duration from 1s to 5m");
}

static void load_role(struct loader *loader, const json_t *object, const char *pointer, struct step *step) {
  step->role = load_text(object, "role");
  size_t length = step->role ? strlen(step->role) : 1;
  if (length == 0 || length > 128 ||
      (step->role &&
       strspn(step->role, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+=,.@-/") != length))
    complain(loader, pointer_key(pointer, "role"), "\"role\" must be the name (or path/name) of a role, not its ARN");
}

/* What an undo may hold: a plan of mutating calls, made when the call that it undoes has had its effect. */
static void check_undo(struct loader *loader, struct step *steps, size_t count, const char *role) {
  for (size_t i = 0; i < count; i++) {
    struct step *step = &steps[i];
    if (step->kind == STEP_NOTIFY || step->kind == STEP_RUN || step->kind == STEP_STOP || step->kind == STEP_APPROVE)
      complain(loader, step->path, "an undo is made of call, each and set");
    if (step->undo_count > 0) complain(loader, pointer_key(step->path, "undo"), "an undo has no undo");
    if (step->operation && aws_operation_reads(step->operation))
      complain(loader, step->path, "%s only reads: an undo cannot wait for an answer", step->operation);
    if (step->operation && role && !step->role) step->role = strdup(role);
    check_undo(loader, step->body, step->body_count, role);
  }
}

static void load_step(struct loader *loader, const json_t *object, const char *pointer, struct step *step) {
  const struct step_row *row = json_is_object(object) ? step_row(object) : NULL;
  if (!row) {
    complain_step(loader, object, pointer);
    return;
  }
  if (check_keys(loader, object, pointer, row->keys) > 0) return;
  step->kind = row->kind;
  step->path = strdup(pointer);
  step->when = load_expression(loader, object, "when", pointer);
  step->as = load_name(loader, object, "as", pointer);
  switch (row->kind) {
    case STEP_CALL:
      step->operation = load_text(object, "call");
      step->with = load_template(loader, object, "with", pointer);
      step->creates_tags = json_object_get(json_object_get(object, "with"), "TagSpecifications") != NULL;
      check_literals(loader, json_object_get(object, "with"), pointer_key(pointer, "with"));
      check_texts(loader, object, "ignore", pointer);
      step->ignore = json_incref(json_object_get(object, "ignore"));
      load_retry(loader, object, pointer, step);
      load_role(loader, object, pointer, step);
      step->undo = load_steps(loader, object, "undo", pointer, &step->undo_count);
      check_undo(loader, step->undo, step->undo_count, step->role);
      break;
    case STEP_EACH:
      step->each = load_expression(loader, object, "each", pointer);
      step->body = load_steps(loader, object, "do", pointer, &step->body_count);
      break;
    case STEP_SET:
      step->set = load_name(loader, object, "set", pointer);
      step->value = load_expression(loader, object, "to", pointer);
      break;
    case STEP_NOTIFY:
      step->message = load_template(loader, object, "notify", pointer);
      break;
    case STEP_STOP:
      step->value = load_expression(loader, object, "stop", pointer);
      break;
    case STEP_RUN:
      step->with = load_template(loader, object, "with", pointer);
      check_literals(loader, json_object_get(object, "with"), pointer_key(pointer, "with"));
      load_run(loader, object, pointer, step);
      break;
    case STEP_APPROVE:
      if (check_keys(loader, json_object_get(object, "approve"), pointer_key(pointer, "approve"),
                     approve_message_keys) == 0)
        step->message =
            load_template(loader, json_object_get(object, "approve"), "message", pointer_key(pointer, "approve"));
      break;
  }
}

struct step *load_steps(struct loader *loader, const json_t *object, const char *key, const char *pointer,
                        size_t *count) {
  const json_t *list = json_object_get(object, key);
  *count = 0;
  if (!json_is_array(list)) return NULL;
  struct step *steps = calloc(json_array_size(list) + 1, sizeof *steps);
  if (!steps) return NULL;
  *count = json_array_size(list);
  for (size_t i = 0; i < *count; i++) {
    char where[400];
    snprintf(where, sizeof where, "%s/%s/%zu", pointer, key, i);
    if (strlen(pointer) > 300)
      complain(loader, pointer, "steps are nested too deeply");
    else
      load_step(loader, json_array_get(list, i), where, &steps[i]);
  }
  return steps;
}

void steps_free(struct step *steps, size_t count) {
  if (!steps) return;
  for (size_t i = 0; i < count; i++) {
    struct step *step = &steps[i];
    free(step->path);
    jmes_free(step->when);
    free(step->operation);
    template_free(step->with);
    json_decref(step->ignore);
    free(step->as);
    steps_free(step->undo, step->undo_count);
    jmes_free(step->each);
    steps_free(step->body, step->body_count);
    free(step->set);
    jmes_free(step->value);
    template_free(step->message);
    free(step->role);
    json_decref(step->retry_on);
    free(step->workflow);
    json_decref(step->inputs);
  }
  free(steps);
}

static void add_once(json_t *names, const char *name) {
  size_t index;
  json_t *known;
  json_array_foreach(names, index, known) if (strcmp(json_string_value(known), name) == 0) return;
  json_array_append_new(names, json_string(name));
}

void steps_operations(const struct step *steps, size_t count, int with_undo, const char *role, json_t *operations) {
  for (size_t i = 0; i < count; i++) {
    const struct step *step = &steps[i];
    if (step->operation && (!role || strcmp(role, step->role ? step->role : "") == 0)) {
      const char *dependent = aws_iam_dependent(step->operation);
      add_once(operations, step->operation);
      if (step->creates_tags) add_once(operations, "ec2.CreateTags");
      if (dependent) add_once(operations, dependent);
    }
    if (with_undo) steps_operations(step->undo, step->undo_count, 1, role, operations);
    steps_operations(step->body, step->body_count, with_undo, role, operations);
  }
}

void steps_roles(const struct step *steps, size_t count, json_t *roles) {
  for (size_t i = 0; i < count; i++) {
    if (steps[i].role) add_once(roles, steps[i].role);
    steps_roles(steps[i].undo, steps[i].undo_count, roles);
    steps_roles(steps[i].body, steps[i].body_count, roles);
  }
}
