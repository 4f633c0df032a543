/* Reads a pattern's text strictly (RFC 8259, UTF-8) into a small tree that keeps what matters for patterns and what
 * other readers lose: repeated keys, numbers as written, and where in the text each value stands. */
#include <stdlib.h>
#include <string.h>

#include "match/match_internal.h"

struct reader {
  struct match_arena *arena;
  const char *text, *at, *end;
  struct error *error;
  int depth;
  const char *counted; /* up to here line and column are counted */
  unsigned line, column;
};

/* Positions are asked for from front to back, so each byte is counted once; an earlier one starts anew. */
static void locate(struct reader *reader, const char *at, unsigned *line, unsigned *column) {
  if (at < reader->counted) {
    reader->counted = reader->text;
    reader->line = reader->column = 1;
  }
  for (; reader->counted < at; reader->counted++) {
    if (*reader->counted == '\n') {
      reader->line++;
      reader->column = 1;
    } else if (((unsigned char)*reader->counted & 0xC0) != 0x80) {
      reader->column++;
    }
  }
  *line = reader->line;
  *column = reader->column;
}

static void *broken(struct reader *reader, const char *at, const char *what) {
  unsigned line, column;
  locate(reader, at, &line, &column);
  error_set(reader->error, ERROR_INVALID, "Pattern", "line %u, column %u: %s", line, column, what);
  return NULL;
}

static void *no_memory(struct reader *reader) {
  error_set(reader->error, ERROR_FATAL, "Memory", "no memory left for the pattern");
  return NULL;
}

static void skip_space(struct reader *reader) {
  while (reader->at < reader->end && strchr(" \t\r\n", *reader->at) && *reader->at != '\0') reader->at++;
}

static bool next_is(struct reader *reader, char byte) {
  skip_space(reader);
  if (reader->at == reader->end || *reader->at != byte) return false;
  reader->at++;
  return true;
}

/* The length of the UTF-8 character at `at`; 0 when it is none. */
static size_t utf8_length(const char *at, const char *end) {
  const unsigned char *byte = (const unsigned char *)at;
  size_t length = byte[0] < 0x80   ? 1
                  : byte[0] < 0xC2 ? 0
                  : byte[0] < 0xE0 ? 2
                  : byte[0] < 0xF0 ? 3
                  : byte[0] < 0xF5 ? 4
                                   : 0;
  if (length == 0 || (size_t)(end - at) < length) return 0;
  for (size_t i = 1; i < length; i++)
    if ((byte[i] & 0xC0) != 0x80) return 0;
  if ((byte[0] == 0xE0 && byte[1] < 0xA0) || (byte[0] == 0xED && byte[1] > 0x9F)) return 0;
  if ((byte[0] == 0xF0 && byte[1] < 0x90) || (byte[0] == 0xF4 && byte[1] > 0x8F)) return 0;
  return length;
}

/* Stands behind the opening quote.  The end of the string (its closing quote), or NULL. */
static const char *string_end(struct reader *reader) {
  const char *at = reader->at;
  while (at < reader->end && *at != '"') {
    if ((unsigned char)*at < 0x20) return broken(reader, at, "a control character must be escaped inside a string");
    if (*at == '\\' && ++at == reader->end) break;
    size_t length = utf8_length(at, reader->end);
    if (length == 0) return broken(reader, at, "the text is not UTF-8");
    at += length;
  }
  return at < reader->end ? at : broken(reader, reader->at - 1, "the string is not closed");
}

static const char *read_string(struct reader *reader, size_t *length) {
  const char *start = reader->at, *end = string_end(reader);
  if (!end) return NULL;
  char *text = match_arena_array(reader->arena, (size_t)(end - start) + 1, 1);
  if (!text) return no_memory(reader);
  ptrdiff_t decoded = match_text_decode(start, (size_t)(end - start), text);
  if (decoded < 0) return broken(reader, start - 1, "the string has an escape that JSON does not know");
  text[decoded] = '\0';
  *length = (size_t)decoded;
  reader->at = end + 1;
  return text;
}

static struct match_json *read_value(struct reader *reader);

static bool append(struct match_json *parent, struct match_json **last, struct match_json *child) {
  if (!child) return false;
  if (*last) (*last)->next = child;
  if (!*last) parent->first = child;
  *last = child;
  parent->count++;
  return true;
}

static struct match_json *read_member(struct reader *reader) {
  size_t key_length;
  if (!next_is(reader, '"')) return broken(reader, reader->at, "a key in quotes is expected here");
  const char *key = read_string(reader, &key_length);
  if (!key) return NULL;
  if (!next_is(reader, ':')) return broken(reader, reader->at, "a colon is expected here");
  struct match_json *value = read_value(reader);
  if (!value) return NULL;
  value->key = key;
  value->key_length = key_length;
  return value;
}

/* The inside of an object or array, up to and with its closing bracket. */
static struct match_json *read_inside(struct reader *reader, struct match_json *parent) {
  bool object = parent->kind == MATCH_JSON_OBJECT;
  struct match_json *last = NULL;
  if (reader->depth == MATCH_PATTERN_DEPTH) return broken(reader, reader->at, "the pattern is nested too deep");
  if (next_is(reader, object ? '}' : ']')) return parent;
  reader->depth++;
  do {
    if (!append(parent, &last, object ? read_member(reader) : read_value(reader))) return NULL;
  } while (next_is(reader, ','));
  reader->depth--;
  if (next_is(reader, object ? '}' : ']')) return parent;
  return broken(reader, reader->at, object ? "a comma or } is expected here" : "a comma or ] is expected here");
}

static bool takes_word(struct reader *reader, const char *word) {
  size_t length = strlen(word);
  if ((size_t)(reader->end - reader->at) < length || memcmp(reader->at, word, length) != 0) return false;
  reader->at += length;
  return true;
}

static struct match_json *read_number(struct reader *reader, struct match_json *node) {
  const char *start = reader->at;
  struct match_number number;
  while (reader->at < reader->end && *reader->at != '\0' && strchr("+-.eE0123456789", *reader->at)) reader->at++;
  node->kind = MATCH_JSON_NUMBER;
  node->length = (size_t)(reader->at - start);
  if (node->length == 0 || match_number_parse(start, node->length, &number) != 0)
    return broken(reader, start, "a JSON value is expected here");
  node->text = match_arena_copy(reader->arena, start, node->length);
  return node->text ? node : no_memory(reader);
}

static struct match_json *read_kind(struct reader *reader, struct match_json *node) {
  node->kind = MATCH_JSON_OBJECT;
  if (next_is(reader, '{')) return read_inside(reader, node);
  node->kind = MATCH_JSON_ARRAY;
  if (next_is(reader, '[')) return read_inside(reader, node);
  node->kind = MATCH_JSON_STRING;
  if (next_is(reader, '"')) {
    node->text = read_string(reader, &node->length);
    return node->text ? node : NULL;
  }
  node->kind = MATCH_JSON_TRUE;
  if (takes_word(reader, "true")) return node;
  node->kind = MATCH_JSON_FALSE;
  if (takes_word(reader, "false")) return node;
  node->kind = MATCH_JSON_NULL;
  if (takes_word(reader, "null")) return node;
  return read_number(reader, node);
}

static struct match_json *read_value(struct reader *reader) {
  skip_space(reader);
  struct match_json *node = match_arena_take(reader->arena, sizeof *node);
  if (!node) return no_memory(reader);
  locate(reader, reader->at, &node->line, &node->column);
  if (reader->at == reader->end) return broken(reader, reader->at, "the text ends too early");
  node->raw = reader->at;
  if (!read_kind(reader, node)) return NULL;
  node->raw_length = (size_t)(reader->at - node->raw);
  return node;
}

struct match_json *match_json_read(struct match_arena *arena, const char *text, size_t length, struct error *error) {
  struct reader reader = {.arena = arena, .text = text, .at = text, .end = text + length, .error = error};
  reader.counted = text;
  reader.line = reader.column = 1;
  struct match_json *root = read_value(&reader);
  if (!root) return NULL;
  skip_space(&reader);
  return reader.at == reader.end ? root : broken(&reader, reader.at, "there is more text behind the pattern");
}
