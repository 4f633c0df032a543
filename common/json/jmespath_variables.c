/* What an expression reads: the variables, and the fields behind them as far as they can be followed.
 *
 * The tree is walked as the evaluator would, but over origins instead of values.  An origin says where a value comes
 * from: a variable ("" is the document), the steps behind it, and in how many lists a projection has wrapped it since
 * ($rules[*].CidrIpv4 is one list of $rules.[].CidrIpv4).  An origin is reported where its value is used up: by an
 * operator, a function, a multi-select, a condition, or as the result.  What has no origin (a function's result, the
 * values of an object) is NULL, and fields of it are not reported. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json/jmespath_internal.h"

struct origin {
  const char *step;          /* the variable's name in the first, then field names and "[]" */
  const struct origin *from; /* NULL in the first */
  uint32_t steps, lists;
  struct origin *allocated; /* all of them, to be freed at the end */
};

struct walker {
  const struct jmes *expression;
  void (*visit)(const char *name, const char *const *path, void *argument);
  void *argument;
  json_t *seen; /* an object: what has been reported */
  struct origin *allocated;
};

/* Out of memory: the origin is lost, as if it could not be followed. */
static const struct origin *extend(struct walker *walker, const struct origin *from, const char *step, uint32_t lists) {
  struct origin *origin = malloc(sizeof *origin);
  if (!origin) return NULL;
  *origin = (struct origin){step, from, from ? from->steps + 1 : 0, lists, walker->allocated};
  walker->allocated = origin;
  return origin;
}

/* The same place, in so many lists. */
static const struct origin *in_lists(struct walker *walker, const struct origin *origin, uint32_t lists) {
  if (!origin || origin->lists == lists) return origin;
  const struct origin *copy = extend(walker, origin->from, origin->step, lists);
  return copy;
}

static const struct origin *field_of(struct walker *walker, const struct origin *origin, const char *name) {
  return origin && origin->lists == 0 ? extend(walker, origin, name, 0) : NULL;
}

static const struct origin *element_of(struct walker *walker, const struct origin *origin) {
  if (!origin) return NULL;
  return origin->lists > 0 ? in_lists(walker, origin, origin->lists - 1) : extend(walker, origin, "[]", 0);
}

static const struct origin *list_of(struct walker *walker, const struct origin *origin) {
  return origin ? in_lists(walker, origin, origin->lists + 1) : NULL;
}

/* A list of lists becomes a list; the elements of a list of anything else are taken for lists that are joined. */
static const struct origin *flat(struct walker *walker, const struct origin *origin) {
  if (!origin) return NULL;
  if (origin->lists >= 2) return in_lists(walker, origin, origin->lists - 1);
  return list_of(walker, in_lists(walker, extend(walker, origin, "[]", 0), 0));
}

static int is_new(struct walker *walker, const char *const *path, uint32_t steps) {
  struct buffer key = {0};
  for (uint32_t i = 0; i <= steps; i++) {
    buffer_add_text(&key, path[i]);
    buffer_add_char(&key, '\n');
  }
  int known = key.failed || json_object_get(walker->seen, buffer_text(&key)) != NULL;
  if (!known) json_object_set_new(walker->seen, buffer_text(&key), json_true());
  buffer_free(&key);
  return !known;
}

static void report(struct walker *walker, const struct origin *origin) {
  if (!origin) return;
  const char **path = calloc(origin->steps + 2, sizeof *path);
  if (!path) return;
  uint32_t steps = origin->steps;
  for (const struct origin *at = origin; at; at = at->from) path[at->steps] = at->step;
  if (is_new(walker, path, steps)) walker->visit(path[0], path + 1, walker->argument);
  free(path);
}

static const struct origin *follow(struct walker *walker, uint32_t index, const struct origin *current);

static void use(struct walker *walker, uint32_t index, const struct origin *current) {
  if (index != JMES_NONE) report(walker, follow(walker, index, current));
}

static void use_all(struct walker *walker, uint32_t first, const struct origin *current) {
  for (; first != JMES_NONE; first = walker->expression->nodes[first].next) use(walker, first, current);
}

/* Arguments; an &expression is applied to the elements of the function's other argument. */
static void use_arguments(struct walker *walker, const struct jmes_node *function, const struct origin *current) {
  const struct jmes_node *nodes = walker->expression->nodes;
  const struct origin *list = NULL;
  uint32_t reference = JMES_NONE;
  for (uint32_t at = function->left; at != JMES_NONE; at = nodes[at].next) {
    if (nodes[at].type == NODE_REFERENCE) {
      reference = nodes[at].left;
      continue;
    }
    list = follow(walker, at, current);
    report(walker, list);
  }
  if (reference != JMES_NONE) use(walker, reference, element_of(walker, list));
}

static const struct origin *follow_projection(struct walker *walker, const struct jmes_node *node,
                                              const struct origin *current) {
  const struct origin *element = element_of(walker, follow(walker, node->left, current));
  if (node->condition != JMES_NONE) use(walker, node->condition, element);
  return list_of(walker, follow(walker, node->right, element));
}

static const struct origin *follow(struct walker *walker, uint32_t index, const struct origin *current) {
  const struct jmes_node *node = &walker->expression->nodes[index];
  switch (node->type) {
    case NODE_CURRENT:
      return current;
    case NODE_FIELD:
      return field_of(walker, current, json_string_value(node->value));
    case NODE_VARIABLE:
      return extend(walker, NULL, json_string_value(node->value), 0);
    case NODE_LITERAL:
      return NULL;
    case NODE_CHAIN:
      return follow(walker, node->right, follow(walker, node->left, current));
    case NODE_INDEX:
      return element_of(walker, current);
    case NODE_SLICE:
      return list_of(walker, element_of(walker, current));
    case NODE_FLATTEN:
      return flat(walker, follow(walker, node->left, current));
    case NODE_PROJECTION:
    case NODE_FILTER:
      return follow_projection(walker, node, current);
    case NODE_VALUE_PROJECTION:
      use(walker, node->left, current);
      use(walker, node->right, NULL);
      return NULL;
    case NODE_FUNCTION:
      use_arguments(walker, node, current);
      return NULL;
    default: /* operators, multi-selects and their members */
      use_all(walker, node->left, current);
      use(walker, node->right, current);
      return NULL;
  }
}

void jmes_variables(const struct jmes *expression,
                    void (*visit)(const char *name, const char *const *path, void *argument), void *argument) {
  struct walker walker = {.expression = expression, .visit = visit, .argument = argument, .seen = json_object()};
  if (!walker.seen) return;
  const struct origin *document = extend(&walker, NULL, "", 0);
  use(&walker, expression->root, document);
  json_decref(walker.seen);
  while (walker.allocated) {
    struct origin *next = walker.allocated->allocated;
    free(walker.allocated);
    walker.allocated = next;
  }
}
