/* Are two policies the same?  IAM keeps a policy as it was written, and the same can be written in many ways: a list of
 * one without brackets, statements, actions or principals in another order, an account's id for its root's ARN, true
 * for "true", actions in other letters.  Both are brought to one form; what that form does not level is different. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "functions/functions.h"

static int by_text(const void *left, const void *right) { return strcmp(*(char *const *)left, *(char *const *)right); }

/* New text of a scalar; NULL for anything else. */
static char *scalar_text(const json_t *value) {
  return json_is_string(value)                           ? strdup(json_string_value(value))
         : json_is_object(value) || json_is_array(value) ? NULL
                                                         : json_text(value);
}

static char *lower(char *text) {
  for (char *at = text; *at; at++) *at = (char)tolower((unsigned char)*at);
  return text;
}

/* IAM itself turns the id into the ARN. */
static char *whole_principal(char *text) {
  char *arn = NULL;
  if (strlen(text) != 12 || strspn(text, "0123456789") != 12) return text;
  if (asprintf(&arn, "arn:aws:iam::%s:root", text) < 0) return text;
  free(text);
  return arn;
}

enum shape { SHAPE_PLAIN, SHAPE_ACTION, SHAPE_PRINCIPAL };

/* The texts of a scalar or list, sorted, each once. */
static json_t *sorted(const json_t *value, enum shape shape) {
  size_t count = json_is_array(value) ? json_array_size(value) : 1, used = 0;
  char **texts = calloc(count + 1, sizeof *texts);
  json_t *list = json_array();
  for (size_t i = 0; texts && i < count; i++) {
    char *text = scalar_text(json_is_array(value) ? json_array_get(value, i) : value);
    if (!text) continue;
    texts[used++] = shape == SHAPE_ACTION ? lower(text) : shape == SHAPE_PRINCIPAL ? whole_principal(text) : text;
  }
  if (texts) qsort(texts, used, sizeof *texts, by_text);
  for (size_t i = 0; i < used; i++) {
    if (i == 0 || strcmp(texts[i], texts[i - 1]) != 0) json_array_append_new(list, json_string(texts[i]));
  }
  for (size_t i = 0; i < used; i++) free(texts[i]);
  free(texts);
  return list;
}

/* {key: value or list} with each value sorted. */
static json_t *sorted_members(const json_t *object, enum shape shape) {
  json_t *made = json_object(), *value;
  const char *key;
  json_object_foreach((json_t *)object, key, value) json_object_set_new(made, key, sorted(value, shape));
  return made;
}

static json_t *principal_form(const json_t *value) {
  if (json_is_object(value)) return sorted_members(value, SHAPE_PRINCIPAL);
  return json_pack("{s:o}", "AWS", sorted(value, SHAPE_PRINCIPAL)); /* "*" */
}

static json_t *condition_form(const json_t *value) {
  json_t *made = json_object(), *keys;
  const char *operator;
  json_object_foreach((json_t *)value, operator, keys)
      json_object_set_new(made, operator, sorted_members(keys, SHAPE_PLAIN));
  return made;
}

static json_t *statement_form(const json_t *statement) {
  json_t *made = json_object(), *value;
  const char *key;
  json_object_foreach((json_t *)statement, key, value) {
    json_t *form = strstr(key, "Principal")        ? principal_form(value)
                   : strcmp(key, "Condition") == 0 ? condition_form(value)
                   : strstr(key, "Action")         ? sorted(value, SHAPE_ACTION)
                   : strstr(key, "Resource")       ? sorted(value, SHAPE_PLAIN)
                                                   : json_incref(value);
    json_object_set_new(made, key, form);
  }
  return made;
}

/* The statements' canonical texts, sorted; the policy's other members as they are. */
static json_t *policy_form(const json_t *policy) {
  json_t *made = json_copy((json_t *)policy), *texts = json_array();
  const json_t *statements = json_object_get(policy, "Statement");
  size_t count = json_is_array(statements) ? json_array_size(statements) : 1;
  for (size_t i = 0; statements && i < count; i++) {
    json_t *form = statement_form(json_is_array(statements) ? json_array_get(statements, i) : statements);
    char *text = json_text(form);
    json_array_append_new(texts, json_string(text ? text : ""));
    free(text);
    json_decref(form);
  }
  json_object_set_new(made, "Statement", sorted(texts, SHAPE_PLAIN));
  json_decref(texts);
  return made;
}

json_t *function_policy_equal(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                              struct error *error) {
  json_t *left = function_policy_document(arguments, 1, scope, error),
         *right = function_policy_document(arguments + 1, 1, scope, error);
  int same = 0;
  (void)count;
  if (json_is_object(left) && json_is_object(right)) {
    json_t *one = policy_form(left), *other = policy_form(right);
    same = json_same(one, other);
    json_decref(one);
    json_decref(other);
  }
  json_decref(left);
  json_decref(right);
  return json_boolean(same);
}
