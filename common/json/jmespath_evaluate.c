/* The evaluator: one function a node type, in a table.  Every value is a reference of its own; parts of the document
 * are shared, never copied and never changed. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json/jmespath_internal.h"

typedef json_t *evaluator(struct jmes_evaluation *evaluation, const struct jmes_node *node, json_t *current);

/* ---- errors and allowances ---- */

json_t *jmes_fail(struct jmes_evaluation *evaluation, uint32_t node, const char *code, const char *format, ...) {
  char message[sizeof evaluation->error->message];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  error_set(evaluation->error, ERROR_INVALID, code, "column %u: %s", evaluation->expression->nodes[node].column,
            message);
  return NULL;
}

json_t *jmes_fail_memory(struct jmes_evaluation *evaluation) {
  error_set(evaluation->error, ERROR_FATAL, "memory", "out of memory");
  return NULL;
}

int jmes_spend(struct jmes_evaluation *evaluation, uint64_t *allowance, uint64_t amount) {
  if (amount <= *allowance) {
    *allowance -= amount;
    return 0;
  }
  *allowance = 0;
  return error_set(evaluation->error, ERROR_INVALID, "limit", "the expression does too much: over %s",
                   allowance == &evaluation->steps   ? "the limit of steps"
                   : allowance == &evaluation->nodes ? "the limit of values in results"
                                                     : "the limit of bytes in new strings");
}

int jmes_append(struct jmes_evaluation *evaluation, json_t *array, json_t *item) {
  if (!item) return -1;
  if (jmes_spend(evaluation, &evaluation->nodes, 1) != 0) {
    json_decref(item);
    return -1;
  }
  if (json_array_append_new(array, item) == 0) return 0;
  jmes_fail_memory(evaluation);
  return -1;
}

/* Walks a value as if written out; -1 when it is larger than *nodes or deeper than JSON_DEPTH. */
static int measure(const json_t *value, uint64_t *nodes, int depth) {
  if (*nodes == 0 || depth > JSON_DEPTH) return -1;
  --*nodes;
  if (json_is_array(value)) {
    for (size_t i = 0; i < json_array_size(value); i++)
      if (measure(json_array_get(value, i), nodes, depth + 1) != 0) return -1;
  } else if (json_is_object(value)) {
    json_t *object = (json_t *)value;
    for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at))
      if (measure(json_object_iter_value(at), nodes, depth + 1) != 0) return -1;
  }
  return 0;
}

json_t *jmes_measure(struct jmes_evaluation *evaluation, json_t *value) {
  if (!value) return NULL;
  uint64_t nodes = JMES_NODES;
  if (measure(value, &nodes, 0) != 0) {
    json_decref(value);
    error_set(evaluation->error, ERROR_INVALID, "limit",
              "a result holds more than %d values or is nested deeper than %d", JMES_NODES, JSON_DEPTH);
    return NULL;
  }
  if (jmes_spend(evaluation, &evaluation->steps, JMES_NODES - nodes) == 0) return value;
  json_decref(value);
  return NULL;
}

int jmes_equal(struct jmes_evaluation *evaluation, const json_t *left, const json_t *right) {
  int same = json_same_within(left, right, &evaluation->steps);
  if (same < 0) jmes_spend(evaluation, &evaluation->steps, 1);
  return same;
}

/* ---- leaves ---- */

static json_t *evaluate_current(struct jmes_evaluation *evaluation, const struct jmes_node *node, json_t *current) {
  (void)evaluation, (void)node;
  return json_incref(current);
}

static json_t *evaluate_field(struct jmes_evaluation *evaluation, const struct jmes_node *node, json_t *current) {
  (void)evaluation;
  json_t *found = json_object_getn(current, json_string_value(node->value), json_string_length(node->value));
  return found ? json_incref(found) : json_null();
}

static json_t *evaluate_variable(struct jmes_evaluation *evaluation, const struct jmes_node *node, json_t *current) {
  (void)current;
  int found;
  const char *name = json_string_value(node->value);
  json_t *value = jmes_scope_get(evaluation->scope, name, &found);
  if (!found)
    return jmes_fail(evaluation, (uint32_t)(node - evaluation->expression->nodes), "unknown-variable",
                     "there is no variable $%s here", name);
  return value ? json_incref(value) : json_null();
}

static json_t *evaluate_literal(struct jmes_evaluation *evaluation, const struct jmes_node *node, json_t *current) {
  (void)evaluation, (void)current;
  return json_incref(node->value);
}

static json_t *evaluate_chain(struct jmes_evaluation *evaluation, const struct jmes_node *node, json_t *current) {
  json_t *left = jmes_evaluate(evaluation, node->left, current);
  if (!left) return NULL;
  json_t *result = jmes_evaluate(evaluation, node->right, left);
  json_decref(left);
  return result;
}

static json_t *evaluate_index(struct jmes_evaluation *evaluation, const struct jmes_node *node, json_t *current) {
  (void)evaluation;
  int64_t index = node->slice[0], size = (int64_t)json_array_size(current);
  if (index < 0) index += size;
  json_t *found = index >= 0 ? json_array_get(current, (size_t)index) : NULL;
  return found ? json_incref(found) : json_null();
}

/* ---- slices: Python's rules, in numbers that cannot overflow because they are brought into [-1, size] first ---- */

static int64_t slice_bound(const struct jmes_node *node, int part, int64_t size, int64_t lowest, int64_t highest,
                           int64_t otherwise) {
  if (!(node->present & 1 << part)) return otherwise;
  int64_t bound = node->slice[part];
  if (bound < 0) bound = bound < -size ? -1 : bound + size;
  return bound < lowest ? lowest : bound > highest ? highest : bound;
}

static json_t *evaluate_slice(struct jmes_evaluation *evaluation, const struct jmes_node *node, json_t *current) {
  if (!json_is_array(current)) return json_null();
  int64_t size = (int64_t)json_array_size(current), step = node->present & 4 ? node->slice[2] : 1;
  int up = step > 0;
  int64_t lowest = up ? 0 : -1, highest = up ? size : size - 1;
  int64_t start = slice_bound(node, 0, size, lowest, highest, up ? 0 : size - 1);
  int64_t stop = slice_bound(node, 1, size, lowest, highest, up ? size : -1);
  json_t *result = json_array();
  if (!result) return jmes_fail_memory(evaluation);
  for (int64_t i = start; up ? i < stop : i > stop;) {
    if (jmes_append(evaluation, result, json_incref(json_array_get(current, (size_t)i))) != 0) {
      json_decref(result);
      return NULL;
    }
    /* A step past the end ends the slice, however large it is. */
    if (up ? step >= stop - i : step <= stop - i) break;
    i += step;
  }
  return result;
}

/* ---- projections ---- */

/* Where a projection collects: the results of its right side that are not null. */
struct collection {
  struct jmes_evaluation *evaluation;
  const struct jmes_node *node;
  json_t *result;
};

static int collect(struct collection *to, json_t *element) {
  json_t *item = jmes_evaluate(to->evaluation, to->node->right, element);
  if (!item) return -1;
  if (json_is_null(item)) return 0;
  return jmes_append(to->evaluation, to->result, item);
}

static json_t *finish(struct collection *to, int failed) {
  if (failed) {
    json_decref(to->result);
    return NULL;
  }
  int grows = to->evaluation->expression->nodes[to->node->right].grows;
  return grows ? jmes_measure(to->evaluation, to->result) : to->result;
}

static json_t *project_array(struct jmes_evaluation *evaluation, const struct jmes_node *node, json_t *array) {
  struct collection to = {evaluation, node, json_array()};
  if (!to.result) return jmes_fail_memory(evaluation);
  int failed = 0;
  for (size_t i = 0; !failed && i < json_array_size(array); i++) failed = collect(&to, json_array_get(array, i)) != 0;
  return finish(&to, failed);
}

static json_t *project_object(struct jmes_evaluation *evaluation, const struct jmes_node *node, json_t *object) {
  struct collection to = {evaluation, node, json_array()};
  if (!to.result) return jmes_fail_memory(evaluation);
  int failed = 0;
  for (void *at = json_object_iter(object); !failed && at; at = json_object_iter_next(object, at))
    failed = collect(&to, json_object_iter_value(at)) != 0;
  return finish(&to, failed);
}

/* 1, 0, or -1 with the error. */
static int condition_holds(struct jmes_evaluation *evaluation, const struct jmes_node *node, json_t *element) {
  json_t *condition = jmes_evaluate(evaluation, node->condition, element);
  if (!condition) return -1;
  int holds = !json_is_empty(condition);
  json_decref(condition);
  return holds;
}

static json_t *project_filtered(struct jmes_evaluation *evaluation, const struct jmes_node *node, json_t *array) {
  struct collection to = {evaluation, node, json_array()};
  if (!to.result) return jmes_fail_memory(evaluation);
  int failed = 0;
  for (size_t i = 0; !failed && i < json_array_size(array); i++) {
    json_t *element = json_array_get(array, i);
    int holds = condition_holds(evaluation, node, element);
    failed = holds < 0 || (holds && collect(&to, element) != 0);
  }
  return finish(&to, failed);
}

/* Evaluates the left side and projects it, when it is of the type that this projection is for. */
static json_t *project(struct jmes_evaluation *evaluation, const struct jmes_node *node, json_t *current,
                       json_type type, evaluator *with) {
  json_t *left = jmes_evaluate(evaluation, node->left, current);
  if (!left) return NULL;
  json_t *result = json_typeof(left) == type ? with(evaluation, node, left) : json_null();
  json_decref(left);
  return result;
}

static json_t *evaluate_projection(struct jmes_evaluation *evaluation, const struct jmes_node *node, json_t *current) {
  return project(evaluation, node, current, JSON_ARRAY, project_array);
}

static json_t *evaluate_value_projection(struct jmes_evaluation *evaluation, const struct jmes_node *node,
                                         json_t *current) {
  return project(evaluation, node, current, JSON_OBJECT, project_object);
}

static json_t *evaluate_filter(struct jmes_evaluation *evaluation, const struct jmes_node *node, json_t *current) {
  return project(evaluation, node, current, JSON_ARRAY, project_filtered);
}

static int append_flat(struct jmes_evaluation *evaluation, json_t *result, json_t *item) {
  if (!json_is_array(item)) return jmes_append(evaluation, result, json_incref(item));
  for (size_t i = 0; i < json_array_size(item); i++)
    if (jmes_append(evaluation, result, json_incref(json_array_get(item, i))) != 0) return -1;
  return 0;
}

static json_t *flatten(struct jmes_evaluation *evaluation, const struct jmes_node *node, json_t *array) {
  (void)node;
  json_t *result = json_array();
  if (!result) return jmes_fail_memory(evaluation);
  for (size_t i = 0; i < json_array_size(array); i++)
    if (append_flat(evaluation, result, json_array_get(array, i)) != 0) {
      json_decref(result);
      return NULL;
    }
  return result;
}

static json_t *evaluate_flatten(struct jmes_evaluation *evaluation, const struct jmes_node *node, json_t *current) {
  return project(evaluation, node, current, JSON_ARRAY, flatten);
}

/* ---- operators ---- */

static json_t *compare(struct jmes_evaluation *evaluation, const struct jmes_node *node, const json_t *left,
                       const json_t *right) {
  if (node->operator== TOKEN_EQUAL || node->operator== TOKEN_NOT_EQUAL) {
    int equal = jmes_equal(evaluation, left, right);
    return equal < 0 ? NULL : json_boolean(equal == (node->operator== TOKEN_EQUAL));
  }
  if (!json_is_number(left) || !json_is_number(right)) return json_null(); /* only numbers have an order */
  int order = json_compare_numbers(left, right);
  switch (node->operator) {
    case TOKEN_LESS:
      return json_boolean(order < 0);
    case TOKEN_LESS_OR_EQUAL:
      return json_boolean(order <= 0);
    case TOKEN_GREATER:
      return json_boolean(order > 0);
    default:
      return json_boolean(order >= 0);
  }
}

static json_t *evaluate_comparison(struct jmes_evaluation *evaluation, const struct jmes_node *node, json_t *current) {
  json_t *left = jmes_evaluate(evaluation, node->left, current);
  json_t *right = left ? jmes_evaluate(evaluation, node->right, current) : NULL;
  json_t *result = right ? compare(evaluation, node, left, right) : NULL;
  json_decref(left);
  json_decref(right);
  return result;
}

static json_t *evaluate_or(struct jmes_evaluation *evaluation, const struct jmes_node *node, json_t *current) {
  json_t *left = jmes_evaluate(evaluation, node->left, current);
  if (!left || !json_is_empty(left)) return left;
  json_decref(left);
  return jmes_evaluate(evaluation, node->right, current);
}

static json_t *evaluate_and(struct jmes_evaluation *evaluation, const struct jmes_node *node, json_t *current) {
  json_t *left = jmes_evaluate(evaluation, node->left, current);
  if (!left || json_is_empty(left)) return left;
  json_decref(left);
  return jmes_evaluate(evaluation, node->right, current);
}

static json_t *evaluate_not(struct jmes_evaluation *evaluation, const struct jmes_node *node, json_t *current) {
  json_t *left = jmes_evaluate(evaluation, node->left, current);
  if (!left) return NULL;
  json_t *result = json_boolean(json_is_empty(left));
  json_decref(left);
  return result;
}

/* ---- multi-select: of null it is null ---- */

/* Where there is no document at all, [$a, $b] at the root still makes a list: templates are evaluated so. */
static int selects_nothing(const struct jmes_evaluation *evaluation, const struct jmes_node *node,
                           const json_t *current) {
  return json_is_null(current) && !(node->rooted && evaluation->no_document);
}

static json_t *evaluate_multi_list(struct jmes_evaluation *evaluation, const struct jmes_node *node, json_t *current) {
  if (selects_nothing(evaluation, node, current)) return json_null();
  json_t *result = json_array();
  if (!result) return jmes_fail_memory(evaluation);
  for (uint32_t at = node->left; at != JMES_NONE; at = evaluation->expression->nodes[at].next)
    if (jmes_append(evaluation, result, jmes_evaluate(evaluation, at, current)) != 0) {
      json_decref(result);
      return NULL;
    }
  return jmes_measure(evaluation, result);
}

static int set_member(struct jmes_evaluation *evaluation, json_t *object, const struct jmes_node *member,
                      json_t *current) {
  json_t *value = jmes_evaluate(evaluation, member->left, current);
  if (!value) return -1;
  if (jmes_spend(evaluation, &evaluation->nodes, 1) != 0) {
    json_decref(value);
    return -1;
  }
  if (json_object_setn_new_nocheck(object, json_string_value(member->value), json_string_length(member->value),
                                   value) == 0)
    return 0;
  jmes_fail_memory(evaluation);
  return -1;
}

static json_t *evaluate_multi_hash(struct jmes_evaluation *evaluation, const struct jmes_node *node, json_t *current) {
  if (selects_nothing(evaluation, node, current)) return json_null();
  json_t *result = json_object();
  if (!result) return jmes_fail_memory(evaluation);
  const struct jmes_node *nodes = evaluation->expression->nodes;
  for (uint32_t at = node->left; at != JMES_NONE; at = nodes[at].next)
    if (set_member(evaluation, result, &nodes[at], current) != 0) {
      json_decref(result);
      return NULL;
    }
  return jmes_measure(evaluation, result);
}

static json_t *evaluate_function(struct jmes_evaluation *evaluation, const struct jmes_node *node, json_t *current) {
  return jmes_call_function(evaluation, (uint32_t)(node - evaluation->expression->nodes), current);
}

/* ---- the table ---- */

static evaluator *const evaluators[] = {
    [NODE_CURRENT] = evaluate_current,
    [NODE_FIELD] = evaluate_field,
    [NODE_VARIABLE] = evaluate_variable,
    [NODE_LITERAL] = evaluate_literal,
    [NODE_CHAIN] = evaluate_chain,
    [NODE_INDEX] = evaluate_index,
    [NODE_SLICE] = evaluate_slice,
    [NODE_FLATTEN] = evaluate_flatten,
    [NODE_PROJECTION] = evaluate_projection,
    [NODE_VALUE_PROJECTION] = evaluate_value_projection,
    [NODE_FILTER] = evaluate_filter,
    [NODE_COMPARISON] = evaluate_comparison,
    [NODE_OR] = evaluate_or,
    [NODE_AND] = evaluate_and,
    [NODE_NOT] = evaluate_not,
    [NODE_MULTI_LIST] = evaluate_multi_list,
    [NODE_MULTI_HASH] = evaluate_multi_hash,
    [NODE_FUNCTION] = evaluate_function,
};

json_t *jmes_evaluate(struct jmes_evaluation *evaluation, uint32_t node, json_t *current) {
  if (jmes_spend(evaluation, &evaluation->steps, 1) != 0) return NULL;
  const struct jmes_node *at = &evaluation->expression->nodes[node];
  return evaluators[at->type](evaluation, at, current);
}
