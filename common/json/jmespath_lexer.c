#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "json/jmespath_internal.h"

struct lexer {
  const char *at;
  struct jmes_tokens *tokens;
  struct error *error;
  const char *counted; /* up to here the columns are counted */
  uint32_t column;     /* of `counted` */
};

/* text, type, name: longest first where one begins another. */
#define SYMBOLS(X)                \
  X("[]", TOKEN_FLATTEN)          \
  X("[?", TOKEN_FILTER)           \
  X("||", TOKEN_OR)               \
  X("&&", TOKEN_AND)              \
  X("==", TOKEN_EQUAL)            \
  X("!=", TOKEN_NOT_EQUAL)        \
  X("<=", TOKEN_LESS_OR_EQUAL)    \
  X(">=", TOKEN_GREATER_OR_EQUAL) \
  X("<", TOKEN_LESS)              \
  X(">", TOKEN_GREATER)           \
  X("[", TOKEN_OPEN_BRACKET)      \
  X("]", TOKEN_CLOSE_BRACKET)     \
  X("(", TOKEN_OPEN_PARENTHESIS)  \
  X(")", TOKEN_CLOSE_PARENTHESIS) \
  X("{", TOKEN_OPEN_BRACE)        \
  X("}", TOKEN_CLOSE_BRACE)       \
  X("|", TOKEN_PIPE)              \
  X("&", TOKEN_REFERENCE)         \
  X("!", TOKEN_NOT)               \
  X("@", TOKEN_CURRENT)           \
  X(",", TOKEN_COMMA)             \
  X(":", TOKEN_COLON)             \
  X(".", TOKEN_DOT)               \
  X("*", TOKEN_STAR)

static const struct {
  const char *text;
  enum jmes_token_type type;
} symbols[] = {
#define X(text, type) {text, type},
    SYMBOLS(X)
#undef X
};

const char *jmes_token_name(enum jmes_token_type type) {
  static const char *const names[] = {[TOKEN_END] = "the end of the expression",
                                      [TOKEN_NAME] = "a name",
                                      [TOKEN_QUOTED_NAME] = "a quoted name",
                                      [TOKEN_VARIABLE] = "a variable",
                                      [TOKEN_LITERAL] = "a literal",
                                      [TOKEN_NUMBER] = "a number",
#define X(text, type) [type] = "'" text "'",
                                      SYMBOLS(X)
#undef X
  };
  return names[type];
}

/* Asked for from left to right only. */
static uint32_t column_of(struct lexer *lexer, const char *at) {
  for (; lexer->counted < at; lexer->counted++) lexer->column += ((unsigned char)*lexer->counted & 0xC0) != 0x80;
  return lexer->column;
}

static int fail(struct lexer *lexer, const char *at, const char *what) {
  return error_set(lexer->error, ERROR_INVALID, "syntax", "column %u: %s", column_of(lexer, at), what);
}

static int fail_memory(const struct lexer *lexer) {
  return error_set(lexer->error, ERROR_FATAL, "memory", "out of memory");
}

/* Takes `value`. */
static int add(struct lexer *lexer, const char *start, enum jmes_token_type type, json_t *value, int64_t number) {
  struct jmes_tokens *tokens = lexer->tokens;
  if (tokens->count == tokens->capacity) {
    size_t capacity = tokens->capacity ? tokens->capacity * 2 : 32;
    struct jmes_token *list = realloc(tokens->list, capacity * sizeof *list);
    if (!list) {
      json_decref(value);
      return fail_memory(lexer);
    }
    tokens->list = list;
    tokens->capacity = capacity;
  }
  tokens->list[tokens->count++] = (struct jmes_token){type, column_of(lexer, start), number, value};
  return 0;
}

static int is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
static int is_digit(char c) { return c >= '0' && c <= '9'; }

static int add_name(struct lexer *lexer, const char *start, enum jmes_token_type type) {
  const char *name = lexer->at;
  while (is_name_start(*lexer->at) || is_digit(*lexer->at)) lexer->at++;
  json_t *value = json_stringn(name, (size_t)(lexer->at - name));
  return value ? add(lexer, start, type, value, 0) : fail_memory(lexer);
}

static int add_variable(struct lexer *lexer) {
  const char *start = lexer->at++;
  if (!is_name_start(*lexer->at)) return fail(lexer, start, "expected a variable's name behind '$'");
  return add_name(lexer, start, TOKEN_VARIABLE);
}

static int add_number(struct lexer *lexer) {
  const char *start = lexer->at;
  if (*start == '-' && !is_digit(start[1])) return fail(lexer, start, "expected digits behind '-'");
  char *end;
  errno = 0;
  long long number = strtoll(start, &end, 10);
  if (errno != 0) return fail(lexer, start, "the number is too large");
  lexer->at = end;
  return add(lexer, start, TOKEN_NUMBER, NULL, number);
}

/* Advances behind the closing delimiter; *inside is what stands between.  A backslash hides what follows it. */
static int delimited(struct lexer *lexer, const char **inside, size_t *length, const char *missing) {
  const char *start = lexer->at, delimiter = *start;
  *inside = ++lexer->at;
  while (*lexer->at && *lexer->at != delimiter) lexer->at += lexer->at[0] == '\\' && lexer->at[1] ? 2 : 1;
  if (!*lexer->at) return fail(lexer, start, missing);
  *length = (size_t)(lexer->at++ - *inside);
  return 0;
}

/* Takes the value that json_parse made, or its reason for not making one. */
static int add_parsed(struct lexer *lexer, const char *start, enum jmes_token_type type, json_t *value,
                      const struct error *reason) {
  if (value) return add(lexer, start, type, value, 0);
  return reason->class == ERROR_INVALID ? fail(lexer, start, reason->message) : fail_memory(lexer);
}

/* "…" is a JSON string, quotes included. */
static int add_quoted_name(struct lexer *lexer) {
  const char *start = lexer->at, *inside = NULL;
  size_t length = 0;
  struct error reason = {0};
  if (delimited(lexer, &inside, &length, "the closing '\"' is missing") != 0) return -1;
  json_t *value = json_parse(start, length + 2, &reason);
  return add_parsed(lexer, start, TOKEN_QUOTED_NAME, value, &reason);
}

/* What stands between the delimiters with \delimiter made the delimiter; other backslashes stay. */
static int unescape(struct lexer *lexer, struct buffer *text, const char *inside, size_t length, char delimiter) {
  text->ceiling = length + 1;
  for (size_t i = 0; i < length; i++) {
    if (inside[i] == '\\' && i + 1 < length) {
      if (inside[i + 1] != delimiter) buffer_add_char(text, '\\');
      i++;
    }
    buffer_add_char(text, inside[i]);
  }
  if (!text->failed) return 0;
  buffer_free(text);
  return fail_memory(lexer);
}

static int add_literal(struct lexer *lexer) {
  const char *start = lexer->at, *inside = NULL;
  size_t length = 0;
  struct buffer text = {0};
  struct error reason = {0};
  if (delimited(lexer, &inside, &length, "the closing '`' is missing") != 0) return -1;
  if (unescape(lexer, &text, inside, length, '`') != 0) return -1;
  json_t *value = json_parse(buffer_text(&text), text.length, &reason);
  buffer_free(&text);
  return add_parsed(lexer, start, TOKEN_LITERAL, value, &reason);
}

static int add_raw_string(struct lexer *lexer) {
  const char *start = lexer->at, *inside = NULL;
  size_t length = 0;
  struct buffer text = {0};
  if (delimited(lexer, &inside, &length, "the closing \"'\" is missing") != 0) return -1;
  if (!json_utf8_valid(inside, length)) return fail(lexer, start, "invalid UTF-8");
  if (unescape(lexer, &text, inside, length, '\'') != 0) return -1;
  json_t *value = json_stringn_nocheck(buffer_text(&text), text.length);
  buffer_free(&text);
  return value ? add(lexer, start, TOKEN_LITERAL, value, 0) : fail_memory(lexer);
}

static int add_symbol(struct lexer *lexer) {
  for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
    size_t length = strlen(symbols[i].text);
    if (strncmp(lexer->at, symbols[i].text, length) != 0) continue;
    lexer->at += length;
    return add(lexer, lexer->at - length, symbols[i].type, NULL, 0);
  }
  if (*lexer->at == '=') return fail(lexer, lexer->at, "unexpected '='; equality is '=='");
  return fail(lexer, lexer->at, "unexpected character");
}

static int add_next(struct lexer *lexer) {
  char c = *lexer->at;
  if (is_name_start(c)) return add_name(lexer, lexer->at, TOKEN_NAME);
  if (is_digit(c) || c == '-') return add_number(lexer);
  switch (c) {
    case '$':
      return add_variable(lexer);
    case '"':
      return add_quoted_name(lexer);
    case '`':
      return add_literal(lexer);
    case '\'':
      return add_raw_string(lexer);
    default:
      return add_symbol(lexer);
  }
}

int jmes_tokenize(const char *text, struct jmes_tokens *tokens, struct error *error) {
  struct lexer lexer = {text, tokens, error, text, 1};
  if (strnlen(text, JMES_TEXT_LIMIT + 1) > JMES_TEXT_LIMIT)
    return error_set(error, ERROR_INVALID, "limit", "the expression is longer than %d bytes", JMES_TEXT_LIMIT);
  for (;;) {
    lexer.at += strspn(lexer.at, " \t\r\n");
    if (!*lexer.at) return add(&lexer, lexer.at, TOKEN_END, NULL, 0);
    if (add_next(&lexer) != 0) return -1;
  }
}

void jmes_tokens_free(struct jmes_tokens *tokens) {
  for (size_t i = 0; i < tokens->count; i++) json_decref(tokens->list[i].value);
  free(tokens->list);
  memset(tokens, 0, sizeof *tokens);
}
