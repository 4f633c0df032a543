#include "json/jmespath.h"

#include <stdlib.h>
#include <string.h>

#include "json/jmespath_internal.h"

#define TEXT_BYTES ((uint64_t)64 << 20) /* of new strings a search */

json_t *jmes_scope_get(const struct jmes_scope *scope, const char *name, int *found) {
  for (; scope; scope = scope->outer)
    if (strcmp(scope->name, name) == 0) {
      *found = 1;
      return scope->value;
    }
  *found = 0;
  return NULL;
}

struct jmes *jmes_compile(const char *expression, const struct jmes_function *functions, struct error *error) {
  struct jmes *compiled = calloc(1, sizeof *compiled);
  struct jmes_tokens tokens = {0};
  if (!compiled) {
    error_set(error, ERROR_FATAL, "memory", "out of memory");
  } else if (jmes_tokenize(expression, &tokens, error) != 0 || jmes_parse(compiled, &tokens, functions, error) != 0) {
    jmes_free(compiled);
    compiled = NULL;
  }
  jmes_tokens_free(&tokens);
  return compiled;
}

void jmes_free(struct jmes *expression) {
  if (!expression) return;
  for (size_t i = 0; i < expression->count; i++) json_decref(expression->nodes[i].value);
  free(expression->nodes);
  free(expression);
}

json_t *jmes_search(const struct jmes *expression, json_t *document, const struct jmes_scope *scope,
                    struct error *error) {
  struct error unheard = {0};
  struct jmes_evaluation evaluation = {
      .expression = expression,
      .scope = scope,
      .error = error ? error : &unheard,
      .no_document = !document,
      .steps = JMES_STEPS,
      .nodes = JMES_NODES,
      .bytes = TEXT_BYTES,
  };
  return jmes_evaluate(&evaluation, expression->root, document ? document : json_null());
}

int jmes_asks_a_negation(const struct jmes *expression) {
  for (size_t i = 0; i < expression->count; i++) {
    const struct jmes_node *node = &expression->nodes[i];
    if (node->type == NODE_CHAIN && expression->nodes[node->left].type == NODE_NOT &&
        expression->nodes[node->right].type == NODE_FIELD)
      return 1;
  }
  return 0;
}
