/* JMESPath from the inside: text → tokens (jmespath_lexer.c) → nodes (jmespath_parser.c) → values
 * (jmespath_evaluate.c, jmespath_functions*.c).  jmespath_variables.c follows the origin of what an expression reads.
 *
 * The tree is one array of nodes; children are indices into it, so it is built by appending, freed at once, and read by
 * many threads.  A parent always comes behind its children. */
#ifndef PARAPET_JSON_JMESPATH_INTERNAL_H
#define PARAPET_JSON_JMESPATH_INTERNAL_H

#include <stdint.h>

#include "json/jmespath.h"
#include "json/value_internal.h"

#define JMES_TEXT_LIMIT 65536 /* bytes of an expression */

/* ---- tokens ---- */

enum jmes_token_type {
  TOKEN_END,
  TOKEN_NAME,        /* foo */
  TOKEN_QUOTED_NAME, /* "foo" */
  TOKEN_VARIABLE,    /* $foo */
  TOKEN_LITERAL,     /* `…` and '…' */
  TOKEN_NUMBER,
  TOKEN_CURRENT,   /* @ */
  TOKEN_REFERENCE, /* & */
  TOKEN_COMMA,
  TOKEN_COLON,
  TOKEN_CLOSE_BRACKET,
  TOKEN_CLOSE_PARENTHESIS,
  TOKEN_CLOSE_BRACE,
  TOKEN_PIPE,
  TOKEN_OR,
  TOKEN_AND,
  TOKEN_EQUAL,
  TOKEN_NOT_EQUAL,
  TOKEN_LESS,
  TOKEN_LESS_OR_EQUAL,
  TOKEN_GREATER,
  TOKEN_GREATER_OR_EQUAL,
  TOKEN_FLATTEN, /* [] */
  TOKEN_STAR,
  TOKEN_FILTER, /* [? */
  TOKEN_DOT,
  TOKEN_NOT,
  TOKEN_OPEN_BRACE,
  TOKEN_OPEN_BRACKET,
  TOKEN_OPEN_PARENTHESIS,
};

struct jmes_token {
  enum jmes_token_type type;
  uint32_t column; /* 1-based, in characters */
  int64_t number;
  json_t *value; /* of names, variables, literals; owned */
};

struct jmes_tokens {
  struct jmes_token *list; /* ends with TOKEN_END */
  size_t count, capacity;
};

/* 0, or -1 with *error; jmes_tokens_free() is called in both cases. */
int jmes_tokenize(const char *text, struct jmes_tokens *tokens, struct error *error);
void jmes_tokens_free(struct jmes_tokens *tokens);
const char *jmes_token_name(enum jmes_token_type type); /* for messages: "']'" */

/* ---- nodes ---- */

#define JMES_NONE UINT32_MAX

enum jmes_node_type {
  NODE_CURRENT,
  NODE_FIELD,            /* value: the name */
  NODE_VARIABLE,         /* value: the name */
  NODE_LITERAL,          /* value */
  NODE_CHAIN,            /* left, then right over its result: a.b, a | b, a[0] */
  NODE_INDEX,            /* slice[0] */
  NODE_SLICE,            /* slice, present */
  NODE_FLATTEN,          /* left */
  NODE_PROJECTION,       /* left[*].right */
  NODE_VALUE_PROJECTION, /* left.*.right */
  NODE_FILTER,           /* left[?condition].right */
  NODE_COMPARISON,       /* left, right, operator */
  NODE_OR,
  NODE_AND,
  NODE_NOT,        /* left */
  NODE_MULTI_LIST, /* left: first member; the others by next */
  NODE_MULTI_HASH, /* left: first NODE_MEMBER */
  NODE_MEMBER,     /* value: key, left */
  NODE_FUNCTION,   /* left: first argument; builtin or native */
  NODE_REFERENCE,  /* &left, only as an argument */
};

struct jmes_builtin;

struct jmes_node {
  enum jmes_node_type type;
  uint16_t depth;  /* of the tree below, at most JSON_DEPTH */
  uint8_t grows;   /* its results may hold more than its input did: see jmes_measure() */
  uint8_t present; /* NODE_SLICE: bit i: slice[i] was given */
  uint8_t rooted;  /* its current value is the document */
  uint32_t column; /* for messages */
  uint32_t left, right, condition, next;
  uint32_t count;                /* members, arguments */
  enum jmes_token_type operator; /* NODE_COMPARISON */
  int64_t slice[3];
  json_t *value; /* owned */
  const struct jmes_builtin *builtin;
  const struct jmes_function *native;
};

struct jmes {
  struct jmes_node *nodes;
  size_t count, capacity;
  uint32_t root;
};

/* Fills expression->nodes and root. 0, or -1 with *error. */
int jmes_parse(struct jmes *expression, const struct jmes_tokens *tokens, const struct jmes_function *functions,
               struct error *error);

/* ---- evaluation ---- */

/* How much one search may do.  Every allowance only goes down; at zero the search ends with the code "limit". */
struct jmes_evaluation {
  const struct jmes *expression;
  const struct jmes_scope *scope;
  struct error *error;
  int no_document;
  uint64_t steps; /* nodes evaluated, elements compared and measured */
  uint64_t nodes; /* elements put into new containers */
  uint64_t bytes; /* of new strings */
};

/* New, or NULL with *error. */
json_t *jmes_evaluate(struct jmes_evaluation *evaluation, uint32_t node, json_t *current);

/* Each returns NULL (and the -1 ones -1) after having set *error; `node` gives the column. */
json_t *jmes_fail(struct jmes_evaluation *evaluation, uint32_t node, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
json_t *jmes_fail_memory(struct jmes_evaluation *evaluation);
int jmes_spend(struct jmes_evaluation *evaluation, uint64_t *allowance, uint64_t amount);
/* Appends to a new array; takes `item` (NULL: the error is set already). */
int jmes_append(struct jmes_evaluation *evaluation, json_t *array, json_t *item);
/* Values share their parts, so [@, @] | [@, @] | … is small in memory and endless when written: whatever can hold its
 * input more than once is counted as if written out.  Takes `value` (NULL accepted) and returns it, or NULL. */
json_t *jmes_measure(struct jmes_evaluation *evaluation, json_t *value);
/* Are they equal? 1, 0, or -1 with *error. */
int jmes_equal(struct jmes_evaluation *evaluation, const json_t *left, const json_t *right);

/* ---- functions ---- */

enum jmes_types {
  TYPE_NULL = 1,
  TYPE_BOOLEAN = 2,
  TYPE_NUMBER = 4,
  TYPE_STRING = 8,
  TYPE_ARRAY = 16,
  TYPE_OBJECT = 32,
  TYPE_NUMBERS = 64,  /* an array of numbers */
  TYPE_STRINGS = 128, /* an array of strings */
  TYPE_REFERENCE = 256,
  TYPE_ANY = TYPE_NULL | TYPE_BOOLEAN | TYPE_NUMBER | TYPE_STRING | TYPE_ARRAY | TYPE_OBJECT,
};

struct jmes_call {
  struct jmes_evaluation *evaluation;
  uint32_t node;      /* the NODE_FUNCTION */
  uint32_t reference; /* what stands behind &, or JMES_NONE */
  json_t **arguments; /* borrowed; NULL in the place of a reference */
  size_t count;
};

#define JMES_VARIADIC UINT32_MAX

struct jmes_builtin {
  const char *name;
  uint32_t minimum, maximum;
  unsigned types[2]; /* of the arguments; the last one given counts for those that follow */
  json_t *(*call)(struct jmes_call *call);
};

const struct jmes_builtin *jmes_builtin_find(const char *name);
unsigned jmes_builtin_types(const struct jmes_builtin *builtin, size_t argument);
/* Evaluates the arguments, checks their types, calls. */
json_t *jmes_call_function(struct jmes_evaluation *evaluation, uint32_t index, json_t *current);

/* Those of jmespath_order.c. */
json_t *jmes_call_sort(struct jmes_call *call);
json_t *jmes_call_sort_by(struct jmes_call *call);
json_t *jmes_call_max(struct jmes_call *call);
json_t *jmes_call_min(struct jmes_call *call);
json_t *jmes_call_max_by(struct jmes_call *call);
json_t *jmes_call_min_by(struct jmes_call *call);

/* "array", "boolean" …, as type() says. */
const char *jmes_type_name(const json_t *value);

#endif
