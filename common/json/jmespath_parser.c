/* A Pratt parser: what a token means at the beginning of an expression (begin_*) and behind one (continue_*), and how
 * strongly it binds to its left, stand in one table.
 *
 * A projection takes as its right side everything up to the next token that binds more weakly than PROJECTION_STOP:
 * a[*].b.c | d applies .b.c to each element and d to the list.
 *
 * Neither the parser nor what walks the tree later recurses deeper than JSON_DEPTH: `depth` counts the open calls here,
 * node.depth the height of what was built (a long a.b.c… is built without recursion, but leans to the left). */
#include <stdlib.h>
#include <string.h>

#include "json/jmespath_internal.h"

#define PROJECTION_STOP 10

struct parser {
  struct jmes *expression;
  const struct jmes_token *token; /* the current one */
  const struct jmes_function *functions;
  struct error *error;
  int depth;
};

/* Each returns the node's index, or JMES_NONE with *error. */
static uint32_t parse_expression(struct parser *parser, int binding);
static uint32_t parse_projected(struct parser *parser, int binding);

struct rule {
  int binding; /* to what stands on the left */
  uint32_t (*begin)(struct parser *parser, const struct jmes_token *token);
  uint32_t (*resume)(struct parser *parser, const struct jmes_token *token, uint32_t left);
};
static const struct rule rules[];

/* ---- nodes ---- */

static uint32_t fail(struct parser *parser, const struct jmes_token *at, const char *expected) {
  error_set(parser->error, ERROR_INVALID, "syntax", "column %u: expected %s, not %s", at->column, expected,
            jmes_token_name(at->type));
  return JMES_NONE;
}

static uint32_t fail_depth(struct parser *parser) {
  error_set(parser->error, ERROR_INVALID, "limit", "column %u: nested deeper than %d", parser->token->column,
            JSON_DEPTH);
  return JMES_NONE;
}

static void note_child(struct jmes *expression, struct jmes_node *node, uint32_t child) {
  for (; child != JMES_NONE; child = expression->nodes[child].next) {
    const struct jmes_node *below = &expression->nodes[child];
    if (below->depth >= node->depth) node->depth = (uint16_t)(below->depth + 1);
    if (below->grows) node->grows = 1;
  }
}

static int makes_values(enum jmes_node_type type) {
  return type == NODE_MULTI_LIST || type == NODE_MULTI_HASH || type == NODE_FUNCTION || type == NODE_VARIABLE ||
         type == NODE_LITERAL;
}

/* Appends; takes a reference to node.value.  Siblings must be linked before. */
static uint32_t add(struct parser *parser, struct jmes_node node) {
  struct jmes *expression = parser->expression;
  if (expression->count == expression->capacity) {
    size_t capacity = expression->capacity ? expression->capacity * 2 : 16;
    struct jmes_node *nodes = realloc(expression->nodes, capacity * sizeof *nodes);
    if (!nodes) {
      error_set(parser->error, ERROR_FATAL, "memory", "out of memory");
      return JMES_NONE;
    }
    expression->nodes = nodes;
    expression->capacity = capacity;
  }
  node.depth = 1;
  node.grows = (uint8_t)makes_values(node.type);
  node.next = JMES_NONE;
  note_child(expression, &node, node.left);
  note_child(expression, &node, node.right);
  note_child(expression, &node, node.condition);
  if (node.depth > JSON_DEPTH) return fail_depth(parser);
  json_incref(node.value);
  expression->nodes[expression->count] = node;
  return (uint32_t)expression->count++;
}

static struct jmes_node make(enum jmes_node_type type, const struct jmes_token *token) {
  return (struct jmes_node){.type = type,
                            .column = token->column,
                            .left = JMES_NONE,
                            .right = JMES_NONE,
                            .condition = JMES_NONE,
                            .next = JMES_NONE};
}

static uint32_t add_leaf(struct parser *parser, enum jmes_node_type type, const struct jmes_token *token) {
  struct jmes_node node = make(type, token);
  node.value = token->value;
  return add(parser, node);
}

/* JMES_NONE as left or right: an error already. */
static uint32_t add_pair(struct parser *parser, enum jmes_node_type type, const struct jmes_token *token, uint32_t left,
                         uint32_t right) {
  if (left == JMES_NONE || right == JMES_NONE) return JMES_NONE;
  struct jmes_node node = make(type, token);
  node.left = left;
  node.right = right;
  return add(parser, node);
}

static uint32_t add_one(struct parser *parser, enum jmes_node_type type, const struct jmes_token *token,
                        uint32_t left) {
  if (left == JMES_NONE) return JMES_NONE;
  struct jmes_node node = make(type, token);
  node.left = left;
  return add(parser, node);
}

static uint32_t add_current(struct parser *parser) {
  struct jmes_node node = make(NODE_CURRENT, parser->token);
  return add(parser, node);
}

static enum jmes_token_type current(const struct parser *parser) { return parser->token->type; }

static int expect(struct parser *parser, enum jmes_token_type type) {
  if (current(parser) != type) {
    fail(parser, parser->token, jmes_token_name(type));
    return -1;
  }
  parser->token++;
  return 0;
}

/* A list of children under construction. */
struct children {
  uint32_t first, last, count;
};

static int add_child(struct parser *parser, struct children *children, uint32_t child) {
  if (child == JMES_NONE) return -1;
  if (children->count++ == 0)
    children->first = child;
  else
    parser->expression->nodes[children->last].next = child;
  children->last = child;
  return 0;
}

static uint32_t add_parent(struct parser *parser, struct jmes_node node, const struct children *children) {
  node.left = children->count ? children->first : JMES_NONE;
  node.count = children->count;
  return add(parser, node);
}

/* ---- the right side of dots and projections ---- */

static uint32_t parse_multi_list(struct parser *parser, const struct jmes_token *open) {
  struct children members = {0};
  do {
    if (add_child(parser, &members, parse_expression(parser, 0)) != 0) return JMES_NONE;
  } while (current(parser) == TOKEN_COMMA && parser->token++);
  if (expect(parser, TOKEN_CLOSE_BRACKET) != 0) return JMES_NONE;
  return add_parent(parser, make(NODE_MULTI_LIST, open), &members);
}

static uint32_t parse_member(struct parser *parser) {
  const struct jmes_token *key = parser->token;
  if (key->type != TOKEN_NAME && key->type != TOKEN_QUOTED_NAME) return fail(parser, key, "a key");
  if (memchr(json_string_value(key->value), '\0', json_string_length(key->value)))
    return fail(parser, key, "a key without NUL");
  parser->token++;
  if (expect(parser, TOKEN_COLON) != 0) return JMES_NONE;
  struct jmes_node node = make(NODE_MEMBER, key);
  node.value = key->value;
  node.left = parse_expression(parser, 0);
  return node.left == JMES_NONE ? JMES_NONE : add(parser, node);
}

static uint32_t parse_multi_hash(struct parser *parser, const struct jmes_token *open) {
  struct children members = {0};
  do {
    if (add_child(parser, &members, parse_member(parser)) != 0) return JMES_NONE;
  } while (current(parser) == TOKEN_COMMA && parser->token++);
  if (expect(parser, TOKEN_CLOSE_BRACE) != 0) return JMES_NONE;
  return add_parent(parser, make(NODE_MULTI_HASH, open), &members);
}

/* Behind a dot. */
static uint32_t parse_dotted(struct parser *parser, int binding) {
  const struct jmes_token *token = parser->token;
  switch (token->type) {
    case TOKEN_NAME:
    case TOKEN_QUOTED_NAME:
    case TOKEN_STAR:
      return parse_expression(parser, binding);
    case TOKEN_OPEN_BRACKET:
      parser->token++;
      return parse_multi_list(parser, token);
    case TOKEN_OPEN_BRACE:
      parser->token++;
      return parse_multi_hash(parser, token);
    default:
      return fail(parser, token, "a name, '*', '[' or '{' behind '.'");
  }
}

/* What a projection applies to each element. */
static uint32_t parse_projected(struct parser *parser, int binding) {
  const struct jmes_token *token = parser->token;
  if (rules[token->type].binding < PROJECTION_STOP) return add_current(parser);
  switch (token->type) {
    case TOKEN_OPEN_BRACKET:
    case TOKEN_FILTER:
      return parse_expression(parser, binding);
    case TOKEN_DOT:
      parser->token++;
      return parse_dotted(parser, binding);
    default:
      return fail(parser, token, "'.', '[' or an operator");
  }
}

/* ---- brackets ---- */

/* [start:stop:step], the bracket already read; reads the closing one. */
static int parse_slice(struct parser *parser, struct jmes_node *node) {
  int part = 0;
  for (; current(parser) != TOKEN_CLOSE_BRACKET; parser->token++) {
    if (current(parser) == TOKEN_COLON) {
      if (++part == 3) return fail(parser, parser->token, "']'"), -1;
    } else if (current(parser) == TOKEN_NUMBER && !(node->present & 1 << part)) {
      node->slice[part] = parser->token->number;
      node->present |= (uint8_t)(1 << part);
    } else {
      return fail(parser, parser->token, "a number, ':' or ']'"), -1;
    }
  }
  parser->token++;
  node->type = part > 0 ? NODE_SLICE : NODE_INDEX;
  if ((node->present & 4) && node->slice[2] == 0)
    return error_set(parser->error, ERROR_INVALID, "invalid-value", "column %u: a slice's step cannot be 0",
                     node->column);
  return 0;
}

static uint32_t parse_index(struct parser *parser, const struct jmes_token *open, uint32_t left) {
  struct jmes_node node = make(NODE_INDEX, open);
  if (parse_slice(parser, &node) != 0) return JMES_NONE;
  int slice = node.type == NODE_SLICE;
  uint32_t taken = add_pair(parser, NODE_CHAIN, open, left, add(parser, node));
  if (!slice || taken == JMES_NONE) return taken;
  return add_pair(parser, NODE_PROJECTION, open, taken, parse_projected(parser, rules[TOKEN_STAR].binding));
}

static int at_index(const struct parser *parser) {
  return current(parser) == TOKEN_NUMBER || current(parser) == TOKEN_COLON;
}

static uint32_t begin_bracket(struct parser *parser, const struct jmes_token *token) {
  if (at_index(parser)) return parse_index(parser, token, add_current(parser));
  if (current(parser) == TOKEN_STAR && parser->token[1].type == TOKEN_CLOSE_BRACKET) {
    parser->token += 2;
    uint32_t left = add_current(parser);
    return add_pair(parser, NODE_PROJECTION, token, left, parse_projected(parser, rules[TOKEN_STAR].binding));
  }
  return parse_multi_list(parser, token);
}

static uint32_t resume_bracket(struct parser *parser, const struct jmes_token *token, uint32_t left) {
  if (at_index(parser)) return parse_index(parser, token, left);
  if (current(parser) != TOKEN_STAR) return fail(parser, parser->token, "a number, ':' or '*'");
  parser->token++;
  if (expect(parser, TOKEN_CLOSE_BRACKET) != 0) return JMES_NONE;
  return add_pair(parser, NODE_PROJECTION, token, left, parse_projected(parser, rules[TOKEN_STAR].binding));
}

static uint32_t resume_filter(struct parser *parser, const struct jmes_token *token, uint32_t left) {
  struct jmes_node node = make(NODE_FILTER, token);
  node.left = left;
  node.condition = parse_expression(parser, 0);
  if (node.condition == JMES_NONE || expect(parser, TOKEN_CLOSE_BRACKET) != 0) return JMES_NONE;
  node.right =
      current(parser) == TOKEN_FLATTEN ? add_current(parser) : parse_projected(parser, rules[TOKEN_FILTER].binding);
  return node.right == JMES_NONE || left == JMES_NONE ? JMES_NONE : add(parser, node);
}

static uint32_t begin_filter(struct parser *parser, const struct jmes_token *token) {
  uint32_t left = add_current(parser);
  return left == JMES_NONE ? JMES_NONE : resume_filter(parser, token, left);
}

static uint32_t resume_flatten(struct parser *parser, const struct jmes_token *token, uint32_t left) {
  uint32_t flat = add_one(parser, NODE_FLATTEN, token, left);
  if (flat == JMES_NONE) return JMES_NONE;
  return add_pair(parser, NODE_PROJECTION, token, flat, parse_projected(parser, rules[TOKEN_FLATTEN].binding));
}

static uint32_t begin_flatten(struct parser *parser, const struct jmes_token *token) {
  return resume_flatten(parser, token, add_current(parser));
}

/* ---- names, values, operators ---- */

static uint32_t begin_name(struct parser *parser, const struct jmes_token *token) {
  return add_leaf(parser, NODE_FIELD, token);
}

static uint32_t begin_quoted_name(struct parser *parser, const struct jmes_token *token) {
  if (current(parser) == TOKEN_OPEN_PARENTHESIS) return fail(parser, token, "a function's name without quotes");
  return add_leaf(parser, NODE_FIELD, token);
}

static uint32_t begin_variable(struct parser *parser, const struct jmes_token *token) {
  return add_leaf(parser, NODE_VARIABLE, token);
}

static uint32_t begin_literal(struct parser *parser, const struct jmes_token *token) {
  return add_leaf(parser, NODE_LITERAL, token);
}

static uint32_t begin_current(struct parser *parser, const struct jmes_token *token) {
  return add_leaf(parser, NODE_CURRENT, token);
}

static uint32_t begin_not(struct parser *parser, const struct jmes_token *token) {
  return add_one(parser, NODE_NOT, token, parse_expression(parser, rules[TOKEN_NOT].binding));
}

static uint32_t begin_parenthesis(struct parser *parser, const struct jmes_token *token) {
  (void)token;
  uint32_t inside = parse_expression(parser, 0);
  if (inside == JMES_NONE || expect(parser, TOKEN_CLOSE_PARENTHESIS) != 0) return JMES_NONE;
  return inside;
}

static uint32_t begin_star(struct parser *parser, const struct jmes_token *token) {
  uint32_t left = add_current(parser);
  uint32_t right =
      current(parser) == TOKEN_CLOSE_BRACKET ? add_current(parser) : parse_projected(parser, rules[TOKEN_STAR].binding);
  return add_pair(parser, NODE_VALUE_PROJECTION, token, left, right);
}

static uint32_t resume_dot(struct parser *parser, const struct jmes_token *token, uint32_t left) {
  if (current(parser) != TOKEN_STAR)
    return add_pair(parser, NODE_CHAIN, token, left, parse_dotted(parser, rules[TOKEN_DOT].binding));
  parser->token++;
  return add_pair(parser, NODE_VALUE_PROJECTION, token, left, parse_projected(parser, rules[TOKEN_DOT].binding));
}

static uint32_t resume_pipe(struct parser *parser, const struct jmes_token *token, uint32_t left) {
  return add_pair(parser, NODE_CHAIN, token, left, parse_expression(parser, rules[TOKEN_PIPE].binding));
}

static uint32_t resume_or(struct parser *parser, const struct jmes_token *token, uint32_t left) {
  return add_pair(parser, NODE_OR, token, left, parse_expression(parser, rules[TOKEN_OR].binding));
}

static uint32_t resume_and(struct parser *parser, const struct jmes_token *token, uint32_t left) {
  return add_pair(parser, NODE_AND, token, left, parse_expression(parser, rules[TOKEN_AND].binding));
}

static uint32_t resume_comparison(struct parser *parser, const struct jmes_token *token, uint32_t left) {
  struct jmes_node node = make(NODE_COMPARISON, token);
  node.operator= token->type;
  node.left = left;
  node.right = parse_expression(parser, rules[token->type].binding);
  return node.right == JMES_NONE ? JMES_NONE : add(parser, node);
}

/* ---- functions ---- */

static const struct jmes_function *find_native(const struct parser *parser, const char *name) {
  for (const struct jmes_function *function = parser->functions; function && function->name; function++)
    if (strcmp(function->name, name) == 0) return function;
  return NULL;
}

static uint32_t parse_argument(struct parser *parser) {
  const struct jmes_token *token = parser->token;
  if (token->type != TOKEN_REFERENCE) return parse_expression(parser, 0);
  parser->token++;
  return add_one(parser, NODE_REFERENCE, token, parse_expression(parser, 0));
}

static int parse_arguments(struct parser *parser, struct children *arguments) {
  if (current(parser) == TOKEN_CLOSE_PARENTHESIS) return parser->token++, 0;
  do {
    if (add_child(parser, arguments, parse_argument(parser)) != 0) return -1;
  } while (current(parser) == TOKEN_COMMA && parser->token++);
  return expect(parser, TOKEN_CLOSE_PARENTHESIS);
}

static int check_arity(struct parser *parser, const struct jmes_node *node, const char *name, size_t minimum,
                       size_t maximum, size_t count) {
  if (count >= minimum && count <= maximum) return 0;
  const char *bound = minimum == maximum ? "" : count < minimum ? "at least " : "at most ";
  return error_set(parser->error, ERROR_INVALID, "invalid-arity", "column %u: %s() takes %s%zu arguments, not %zu",
                   node->column, name, bound, count < minimum ? minimum : maximum, count);
}

/* &expression stands exactly where a function wants one. */
static int check_references(struct parser *parser, const struct jmes_node *node, const char *name,
                            const struct children *arguments) {
  uint32_t at = arguments->first;
  for (uint32_t i = 0; i < arguments->count; i++, at = parser->expression->nodes[at].next) {
    int wanted = node->builtin && (jmes_builtin_types(node->builtin, i) & TYPE_REFERENCE);
    if (wanted == (parser->expression->nodes[at].type == NODE_REFERENCE)) continue;
    return error_set(parser->error, ERROR_INVALID, "invalid-type",
                     "column %u: argument %u of %s() must %sbe an &expression", parser->expression->nodes[at].column,
                     i + 1, name, wanted ? "" : "not ");
  }
  return 0;
}

/* `left` is the field that turns out to be a function's name. */
static uint32_t resume_parenthesis(struct parser *parser, const struct jmes_token *token, uint32_t left) {
  if (token[-1].type != TOKEN_NAME || parser->expression->nodes[left].type != NODE_FIELD)
    return fail(parser, token, "an operator");
  const char *name = json_string_value(token[-1].value);
  struct jmes_node node = make(NODE_FUNCTION, &token[-1]);
  struct children arguments = {0};
  if (parse_arguments(parser, &arguments) != 0) return JMES_NONE;
  node.builtin = jmes_builtin_find(name);
  node.native = node.builtin ? NULL : find_native(parser, name);
  if (!node.builtin && !node.native) {
    error_set(parser->error, ERROR_INVALID, "unknown-function", "column %u: there is no function %s()", node.column,
              name);
    return JMES_NONE;
  }
  size_t minimum = node.builtin ? node.builtin->minimum : node.native->minimum;
  size_t maximum = node.builtin ? node.builtin->maximum : node.native->maximum;
  if (check_arity(parser, &node, name, minimum, maximum, arguments.count) != 0) return JMES_NONE;
  if (check_references(parser, &node, name, &arguments) != 0) return JMES_NONE;
  node.value = token[-1].value;
  return add_parent(parser, node, &arguments);
}

/* ---- the table ---- */

static const struct rule rules[] = {
    [TOKEN_END] = {0},
    [TOKEN_NAME] = {0, begin_name},
    [TOKEN_QUOTED_NAME] = {0, begin_quoted_name},
    [TOKEN_VARIABLE] = {0, begin_variable},
    [TOKEN_LITERAL] = {0, begin_literal},
    [TOKEN_NUMBER] = {0},
    [TOKEN_CURRENT] = {0, begin_current},
    [TOKEN_REFERENCE] = {0},
    [TOKEN_PIPE] = {1, NULL, resume_pipe},
    [TOKEN_OR] = {2, NULL, resume_or},
    [TOKEN_AND] = {3, NULL, resume_and},
    [TOKEN_EQUAL] = {5, NULL, resume_comparison},
    [TOKEN_NOT_EQUAL] = {5, NULL, resume_comparison},
    [TOKEN_LESS] = {5, NULL, resume_comparison},
    [TOKEN_LESS_OR_EQUAL] = {5, NULL, resume_comparison},
    [TOKEN_GREATER] = {5, NULL, resume_comparison},
    [TOKEN_GREATER_OR_EQUAL] = {5, NULL, resume_comparison},
    [TOKEN_FLATTEN] = {9, begin_flatten, resume_flatten},
    [TOKEN_STAR] = {20, begin_star, NULL},
    [TOKEN_FILTER] = {21, begin_filter, resume_filter},
    [TOKEN_DOT] = {40, NULL, resume_dot},
    [TOKEN_NOT] = {45, begin_not, NULL},
    [TOKEN_OPEN_BRACE] = {50, parse_multi_hash, NULL},
    [TOKEN_OPEN_BRACKET] = {55, begin_bracket, resume_bracket},
    [TOKEN_OPEN_PARENTHESIS] = {60, begin_parenthesis, resume_parenthesis},
};

static uint32_t parse_within(struct parser *parser, int binding) {
  const struct jmes_token *token = parser->token;
  if (!rules[token->type].begin) return fail(parser, token, "an expression");
  parser->token++;
  uint32_t left = rules[token->type].begin(parser, token);
  while (left != JMES_NONE && binding < rules[current(parser)].binding) {
    token = parser->token;
    if (!rules[token->type].resume) return fail(parser, token, "an operator or the end");
    parser->token++;
    left = rules[token->type].resume(parser, token, left);
  }
  return left;
}

static uint32_t parse_expression(struct parser *parser, int binding) {
  if (parser->depth == JSON_DEPTH) return fail_depth(parser);
  parser->depth++;
  uint32_t node = parse_within(parser, binding);
  parser->depth--;
  return node;
}

/* Marks the nodes whose current value is the document: all that are not to the right of a chain or projection. */
static void mark_rooted(struct jmes *expression, uint32_t index) {
  for (; index != JMES_NONE; index = expression->nodes[index].next) {
    struct jmes_node *node = &expression->nodes[index];
    node->rooted = 1;
    int takes_left = node->type == NODE_CHAIN || node->type == NODE_PROJECTION || node->type == NODE_VALUE_PROJECTION ||
                     node->type == NODE_FILTER;
    if (node->type != NODE_REFERENCE) mark_rooted(expression, node->left);
    if (!takes_left) mark_rooted(expression, node->right);
  }
}

/* An expression is read once and kept for good. */
static void give_back_room(struct jmes *expression) {
  struct jmes_node *nodes = realloc(expression->nodes, expression->count * sizeof *nodes);
  if (!nodes) return;
  expression->nodes = nodes;
  expression->capacity = expression->count;
}

int jmes_parse(struct jmes *expression, const struct jmes_tokens *tokens, const struct jmes_function *functions,
               struct error *error) {
  struct parser parser = {.expression = expression, .token = tokens->list, .functions = functions, .error = error};
  expression->root = parse_expression(&parser, 0);
  if (expression->root == JMES_NONE) return -1;
  if (expect(&parser, TOKEN_END) != 0) return -1;
  mark_rooted(expression, expression->root);
  give_back_room(expression);
  return 0;
}
