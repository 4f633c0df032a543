/* The match expressions: one function an operator, found by name in a table. */
#include <string.h>

#include "match/pattern_internal.h"

typedef int compile_operator(struct match_compiler *, const struct match_json *, struct match_predicate *);

static bool named(const struct match_json *member, const char *name) {
  return member->key_length == strlen(name) && memcmp(member->key, name, member->key_length) == 0;
}

static bool is_text(const struct match_json *value, const char *text) {
  return value->kind == MATCH_JSON_STRING && value->length == strlen(text) &&
         memcmp(value->text, text, value->length) == 0;
}

static bool is_ascii(const char *text, size_t length) {
  for (size_t i = 0; i < length; i++)
    if ((unsigned char)text[i] >= 0x80) return false;
  return true;
}

static int take_text(struct match_compiler *compiler, const struct match_json *value, enum match_predicate_kind kind,
                     struct match_predicate *predicate) {
  if (value->kind != MATCH_JSON_STRING) return match_compiler_fail(compiler, value, "must be a string");
  *predicate = (struct match_predicate){.kind = kind, .text = value->text, .length = value->length};
  predicate->ascii = is_ascii(value->text, value->length);
  return 0;
}

/* The one member of an object such as {"equals-ignore-case": "x"}; adds its key to the path. */
static const struct match_json *only_member(struct match_compiler *compiler, const struct match_json *object) {
  if (object->count != 1) {
    match_compiler_fail(compiler, object->count ? object->first->next : object, "must have exactly one operator");
    return NULL;
  }
  buffer_add_char(&compiler->path, '.');
  buffer_add(&compiler->path, object->first->key, object->first->key_length);
  return object->first;
}

/* A string, or {"equals-ignore-case": string}. */
static int take_text_or_fold(struct match_compiler *compiler, const struct match_json *value,
                             enum match_predicate_kind plain, enum match_predicate_kind fold,
                             struct match_predicate *predicate) {
  if (value->kind != MATCH_JSON_OBJECT) {
    if (value->kind != MATCH_JSON_STRING)
      return match_compiler_fail(compiler, value, "must be a string or {\"equals-ignore-case\": string}");
    return take_text(compiler, value, plain, predicate);
  }
  const struct match_json *member = only_member(compiler, value);
  if (!member) return -1;
  if (!named(member, "equals-ignore-case"))
    return match_compiler_fail(compiler, member, "only equals-ignore-case can stand here");
  return take_text(compiler, member, fold, predicate);
}

static int compile_exactly(struct match_compiler *c, const struct match_json *value, struct match_predicate *p) {
  return take_text(c, value, MATCH_IS_STRING, p);
}

static int compile_prefix(struct match_compiler *c, const struct match_json *value, struct match_predicate *p) {
  return take_text_or_fold(c, value, MATCH_IS_PREFIX, MATCH_IS_PREFIX_FOLD, p);
}

static int compile_suffix(struct match_compiler *c, const struct match_json *value, struct match_predicate *p) {
  return take_text_or_fold(c, value, MATCH_IS_SUFFIX, MATCH_IS_SUFFIX_FOLD, p);
}

static int compile_fold(struct match_compiler *c, const struct match_json *value, struct match_predicate *p) {
  return take_text(c, value, MATCH_IS_STRING_FOLD, p);
}

static int compile_exists(struct match_compiler *c, const struct match_json *value, struct match_predicate *p) {
  if (value->kind != MATCH_JSON_TRUE && value->kind != MATCH_JSON_FALSE)
    return match_compiler_fail(c, value, "must be true or false");
  *p = (struct match_predicate){.kind = value->kind == MATCH_JSON_TRUE ? MATCH_IS_PRESENT : MATCH_IS_ABSENT};
  return 0;
}

static int compile_cidr(struct match_compiler *c, const struct match_json *value, struct match_predicate *p) {
  if (value->kind != MATCH_JSON_STRING) return match_compiler_fail(c, value, "must be a string");
  *p = (struct match_predicate){.kind = MATCH_IS_NETWORK};
  const char *wrong = match_network_parse(value->text, value->length, &p->network);
  return wrong ? match_compiler_fail(c, value, wrong) : 0;
}

/* ---- wildcard ---- */

/* Splits the text at its asterisks; `literal` gets the unescaped text.  NULL, or what is wrong. */
static const char *split_wildcard(const struct match_json *value, char *literal, struct match_piece *pieces,
                                  size_t *count) {
  struct match_piece *piece = pieces;
  *piece = (struct match_piece){literal, 0};
  for (size_t i = 0; i < value->length; i++) {
    char byte = value->text[i];
    if (byte == '*') {
      if (i > 0 && piece->length == 0 && piece != pieces) return "two asterisks must not follow each other";
      if ((size_t)(piece - pieces) == MATCH_WILDCARD_STARS) return "the wildcard has too many asterisks";
      char *next = literal;
      *++piece = (struct match_piece){next, 0};
      continue;
    }
    if (byte == '\\') {
      if (++i == value->length || (value->text[i] != '*' && value->text[i] != '\\'))
        return "a backslash must stand before an asterisk or another backslash";
      byte = value->text[i];
    }
    *literal++ = byte;
    piece->length++;
  }
  *count = (size_t)(piece - pieces) + 1;
  return NULL;
}

/* The plain forms get the plain operators: no asterisk, one at the end, one at the start. */
static void simplify_wildcard(struct match_predicate *p) {
  const struct match_piece *pieces = p->pieces;
  if (p->piece_count > 2) return;
  const struct match_piece *first = &pieces[0], *last = &pieces[p->piece_count - 1], *text = first;
  if (p->piece_count == 1)
    p->kind = MATCH_IS_STRING;
  else if (last->length == 0)
    p->kind = MATCH_IS_PREFIX;
  else if (first->length == 0)
    p->kind = MATCH_IS_SUFFIX, text = last;
  else
    return;
  p->text = text->text;
  p->length = text->length;
}

static int compile_wildcard(struct match_compiler *c, const struct match_json *value, struct match_predicate *p) {
  if (take_text(c, value, MATCH_IS_WILDCARD, p) != 0) return -1;
  size_t stars = 0;
  for (size_t i = 0; i < value->length; i++) stars += value->text[i] == '*';
  if (stars > MATCH_WILDCARD_STARS) stars = MATCH_WILDCARD_STARS; /* split_wildcard refuses more than that */
  char *literal = match_arena_array(c->arena, value->length + 1, 1);
  struct match_piece *pieces = match_arena_array(c->arena, stars + 1, sizeof *pieces);
  if (!literal || !pieces) return match_compiler_no_memory(c);
  const char *wrong = split_wildcard(value, literal, pieces, &p->piece_count);
  if (wrong) return match_compiler_fail(c, value, wrong);
  p->pieces = pieces;
  simplify_wildcard(p);
  return 0;
}

/* ---- numeric ---- */

static int take_number(struct match_compiler *c, const struct match_json *value, struct match_number *number) {
  if (value->kind != MATCH_JSON_NUMBER) return match_compiler_fail(c, value, "must be a number");
  match_number_parse(value->text, value->length, number);
  if (match_number_is_binary64(number)) return 0;
  return match_compiler_fail(c, value, "the number is outside what a 64-bit float can hold");
}

static int compile_bound(struct match_compiler *c, const struct match_json *word, struct match_predicate *p) {
  const struct match_json *value = word->next;
  bool low = is_text(word, ">") || is_text(word, ">="), high = is_text(word, "<") || is_text(word, "<=");
  if (!low && !high) return match_compiler_fail(c, word, "must be one of = < <= > >=");
  if (!value) return match_compiler_fail(c, word, "a number must follow");
  if ((low && (p->has_low || p->has_high)) || (high && p->has_high))
    return match_compiler_fail(c, word, "a range is one of > >=, then one of < <=");
  if (low) p->has_low = true, p->low_open = word->length == 1;
  if (high) p->has_high = true, p->high_open = word->length == 1;
  return take_number(c, value, low ? &p->low : &p->high);
}

static int compile_numeric(struct match_compiler *c, const struct match_json *list, struct match_predicate *p) {
  if (list->kind != MATCH_JSON_ARRAY || list->count == 0)
    return match_compiler_fail(c, list, "must be a list such as [\">\", 0, \"<=\", 5]");
  const struct match_json *word = list->first;
  if (is_text(word, "=")) {
    *p = (struct match_predicate){.kind = MATCH_IS_NUMBER};
    if (list->count != 2) return match_compiler_fail(c, list, "exactly one number must follow =");
    return take_number(c, word->next, &p->low);
  }
  *p = (struct match_predicate){.kind = MATCH_IS_RANGE};
  for (; word; word = word->next->next) {
    if (compile_bound(c, word, p) != 0) return -1;
  }
  if (p->has_low && p->has_high && match_number_compare(&p->low, &p->high) >= 0)
    return match_compiler_fail(c, list, "the lower bound must be less than the upper bound");
  return 0;
}

/* ---- anything-but ---- */

static int refuse_empty(struct match_compiler *c, const struct match_json *value, const struct match_predicate *p) {
  if ((p->kind != MATCH_IS_PREFIX && p->kind != MATCH_IS_SUFFIX) || p->length > 0) return 0;
  return match_compiler_fail(c, value, "must not be empty");
}

static int except_prefix(struct match_compiler *c, const struct match_json *value, struct match_predicate *p) {
  return take_text(c, value, MATCH_IS_PREFIX, p) != 0 ? -1 : refuse_empty(c, value, p);
}

static int except_suffix(struct match_compiler *c, const struct match_json *value, struct match_predicate *p) {
  return take_text(c, value, MATCH_IS_SUFFIX, p) != 0 ? -1 : refuse_empty(c, value, p);
}

static int except_scalar(struct match_compiler *c, const struct match_json *value, struct match_predicate *p) {
  if (value->kind == MATCH_JSON_STRING) return take_text(c, value, MATCH_IS_STRING, p);
  if (value->kind != MATCH_JSON_NUMBER) return match_compiler_fail(c, value, "must be a string or a number");
  *p = (struct match_predicate){.kind = MATCH_IS_NUMBER};
  return take_number(c, value, &p->low);
}

static int compile_except_list(struct match_compiler *c, const struct match_json *list, compile_operator *compile,
                               struct match_predicate *p) {
  bool is_list = list->kind == MATCH_JSON_ARRAY;
  size_t count = is_list ? list->count : 1;
  if (count == 0) return match_compiler_fail(c, list, "the list must not be empty");
  struct match_predicate *except = match_arena_array(c->arena, count, sizeof *except);
  if (!except) return match_compiler_no_memory(c);
  const struct match_json *value = is_list ? list->first : list;
  size_t length = c->path.length;
  for (size_t i = 0; i < count; i++, value = value->next) {
    match_path_cut(c, length);
    if (is_list) buffer_addf(&c->path, "[%zu]", i);
    if (compile(c, value, &except[i]) != 0) return -1;
    if ((except[i].kind == MATCH_IS_NUMBER) != (except[0].kind == MATCH_IS_NUMBER))
      return match_compiler_fail(c, value, "the list must hold strings only or numbers only");
  }
  *p = (struct match_predicate){.kind = MATCH_IS_EXCEPT, .except = except, .except_count = count};
  return 0;
}

static int compile_anything_but(struct match_compiler *c, const struct match_json *value, struct match_predicate *p) {
  static const struct {
    const char *name;
    compile_operator *compile;
  } table[] = {{"prefix", except_prefix},
               {"suffix", except_suffix},
               {"equals-ignore-case", compile_fold},
               {"wildcard", compile_wildcard}};
  if (value->kind != MATCH_JSON_OBJECT) return compile_except_list(c, value, except_scalar, p);
  const struct match_json *member = only_member(c, value);
  if (!member) return -1;
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    if (named(member, table[i].name)) return compile_except_list(c, member, table[i].compile, p);
  return match_compiler_fail(c, member, "only prefix, suffix, equals-ignore-case or wildcard can stand here");
}

/* ---- the table ---- */

static const struct {
  const char *name;
  compile_operator *compile; /* NULL: a word that event-ruler reserves inside $or, no operator */
} operators[] = {
    {"exactly", compile_exactly},
    {"prefix", compile_prefix},
    {"suffix", compile_suffix},
    {"equals-ignore-case", compile_fold},
    {"wildcard", compile_wildcard},
    {"anything-but", compile_anything_but},
    {"numeric", compile_numeric},
    {"exists", compile_exists},
    {"cidr", compile_cidr},
    {"=", NULL},
    {"<", NULL},
    {"<=", NULL},
    {">", NULL},
    {">=", NULL},
    {"regex", NULL},
    {"not-wildcard", NULL},
    {"not-equals-ignore-case", NULL},
    {"date-after", NULL},
    {"date-on-or-after", NULL},
    {"date-before", NULL},
    {"date-on-or-before", NULL},
    {"in-date-range", NULL},
    {"ip-address-in-range", NULL},
    {"ip-address-not-in-range", NULL},
};

#define OPERATORS (sizeof operators / sizeof *operators)

bool match_operator_is_reserved(const struct match_json *member) {
  for (size_t i = 0; i < OPERATORS; i++)
    if (named(member, operators[i].name)) return true;
  return false;
}

static int compile_expression(struct match_compiler *compiler, const struct match_json *object,
                              struct match_predicate *predicate) {
  const struct match_json *member = only_member(compiler, object);
  if (!member) return -1;
  for (size_t i = 0; i < OPERATORS; i++)
    if (operators[i].compile && named(member, operators[i].name))
      return operators[i].compile(compiler, member, predicate);
  return match_compiler_fail(compiler, member, "there is no such operator");
}

/* A string that is an IP address stands for the address, however the event spells it. */
static int compile_string(const struct match_json *value, struct match_predicate *predicate) {
  *predicate = (struct match_predicate){.kind = MATCH_IS_NETWORK};
  if (match_address_parse(value->text, value->length, &predicate->network) == 0) return 0;
  *predicate = (struct match_predicate){.kind = MATCH_IS_STRING, .text = value->text, .length = value->length};
  return 0;
}

int match_operator_compile(struct match_compiler *compiler, const struct match_json *value,
                           struct match_predicate *predicate) {
  switch (value->kind) {
    case MATCH_JSON_OBJECT:
      return compile_expression(compiler, value, predicate);
    case MATCH_JSON_ARRAY:
      return match_compiler_fail(compiler, value, "a list cannot stand inside the list of values");
    case MATCH_JSON_STRING:
      return compile_string(value, predicate);
    case MATCH_JSON_NUMBER:
      *predicate = (struct match_predicate){.kind = MATCH_IS_NUMBER};
      return match_number_parse(value->text, value->length, &predicate->low);
    case MATCH_JSON_TRUE:
      *predicate = (struct match_predicate){.kind = MATCH_IS_TRUE};
      return 0;
    case MATCH_JSON_FALSE:
      *predicate = (struct match_predicate){.kind = MATCH_IS_FALSE};
      return 0;
    case MATCH_JSON_NULL:
      *predicate = (struct match_predicate){.kind = MATCH_IS_NULL};
      return 0;
  }
  return -1;
}
