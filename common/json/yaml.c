/* libyaml's events become jansson values.  One recursive function a node kind, at most YAML_DEPTH deep; every node,
 * those behind an alias included, is counted before it is made, so that a small text cannot become a large value. */
#include "json/yaml.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "json/yaml_internal.h"

#define YAML_BYTES ((size_t)1 << 20)
#define YAML_NODES 100000
#define YAML_DEPTH 64

struct anchor {
  char *name;
  json_t *value; /* owned; NULL while its node is still open */
  size_t nodes;
  int height;
  struct anchor *next;
};

struct reader {
  yaml_parser_t parser;
  const char *name;
  struct error *error;
  struct yaml_lines *lines;
  struct buffer pointer; /* of the current node */
  size_t nodes;
  int depth, deepest;     /* now, and since it was last reset: an anchor's height */
  struct anchor *anchors; /* the latest first: an anchor may be defined again */
};

static json_t *read_node(struct reader *reader, yaml_event_t *event);

static int fail(struct reader *reader, const yaml_mark_t *mark, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int fail(struct reader *reader, const yaml_mark_t *mark, const char *format, ...) {
  char message[sizeof reader->error->message];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  error_set(reader->error, ERROR_INVALID, "yaml", "%s", message);
  return error_where(reader->error, "%s:%zu", reader->name, mark->line + 1);
}

static int fail_memory(struct reader *reader) {
  return error_set(reader->error, ERROR_FATAL, "memory", "out of memory");
}

/* The next event, which the caller deletes. */
static int next(struct reader *reader, yaml_event_t *event) {
  yaml_parser_t *parser = &reader->parser;
  if (yaml_parser_parse(parser, event)) return 0;
  if (parser->error == YAML_MEMORY_ERROR) return fail_memory(reader);
  yaml_mark_t mark = parser->error == YAML_READER_ERROR ? parser->mark : parser->problem_mark;
  return fail(reader, &mark, "%s%s%s", parser->problem ? parser->problem : "not valid YAML", parser->context ? " " : "",
              parser->context ? parser->context : "");
}

/* ---- counting ---- */

static int count_nodes(struct reader *reader, const yaml_event_t *event, size_t nodes) {
  if (nodes > YAML_NODES - reader->nodes)
    return fail(reader, &event->start_mark, "more than %d values (aliases count as often as they are used)",
                YAML_NODES);
  reader->nodes += nodes;
  return 0;
}

static int check_depth(struct reader *reader, const yaml_event_t *event, int depth) {
  if (depth > YAML_DEPTH) return fail(reader, &event->start_mark, "nested deeper than %d", YAML_DEPTH);
  if (depth > reader->deepest) reader->deepest = depth;
  return 0;
}

static int note_line(struct reader *reader, const yaml_event_t *event) {
  if (!reader->lines) return 0;
  int line = (int)event->start_mark.line + 1;
  return yaml_lines_add(reader->lines, buffer_text(&reader->pointer), reader->pointer.length, line) == 0
             ? 0
             : fail_memory(reader);
}

/* ---- anchors ---- */

static struct anchor *find_anchor(struct reader *reader, const char *name) {
  for (struct anchor *anchor = reader->anchors; anchor; anchor = anchor->next)
    if (strcmp(anchor->name, name) == 0) return anchor;
  return NULL;
}

static struct anchor *open_anchor(struct reader *reader, const char *name) {
  struct anchor *anchor = calloc(1, sizeof *anchor);
  char *copy = strdup(name);
  if (!anchor || !copy) {
    free(anchor);
    free(copy);
    fail_memory(reader);
    return NULL;
  }
  anchor->name = copy;
  anchor->next = reader->anchors;
  reader->anchors = anchor;
  return anchor;
}

static void free_anchors(struct reader *reader) {
  while (reader->anchors) {
    struct anchor *anchor = reader->anchors;
    reader->anchors = anchor->next;
    json_decref(anchor->value);
    free(anchor->name);
    free(anchor);
  }
}

/* A copy: whoever changes one place must not change the others. */
static json_t *read_alias(struct reader *reader, const yaml_event_t *event) {
  const char *name = (const char *)event->data.alias.anchor;
  struct anchor *anchor = find_anchor(reader, name);
  if (!anchor) return fail(reader, &event->start_mark, "there is no anchor &%s", name), NULL;
  if (!anchor->value) return fail(reader, &event->start_mark, "*%s stands inside its own anchor", name), NULL;
  if (count_nodes(reader, event, anchor->nodes) != 0 || check_depth(reader, event, reader->depth + anchor->height) != 0)
    return NULL;
  json_t *copy = json_deep_copy(anchor->value);
  return copy ? copy : (fail_memory(reader), NULL);
}

/* ---- nodes ---- */

static json_t *read_scalar(struct reader *reader, const yaml_event_t *event) {
  const char *why, *tag = (const char *)event->data.scalar.tag;
  json_t *value = yaml_scalar((const char *)event->data.scalar.value, event->data.scalar.length,
                              event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE, tag, &why);
  if (!value && why)
    fail(reader, &event->start_mark, "%s: %.100s%s%.100s", why, tag ? tag : "", tag ? " " : "",
         (const char *)event->data.scalar.value);
  else if (!value)
    fail_memory(reader);
  return value;
}

static int check_tag(struct reader *reader, const yaml_event_t *event, const yaml_char_t *tag, const char *core) {
  if (!tag || strcmp((const char *)tag, "!") == 0 || strcmp((const char *)tag, core) == 0) return 0;
  return fail(reader, &event->start_mark, "unknown tag %.100s", (const char *)tag);
}

/* Reads the node that begins with `event` at the pointer's place; the pointer is back where it was afterwards. */
static json_t *read_at(struct reader *reader, yaml_event_t *event, const char *token) {
  size_t length = reader->pointer.length;
  if (yaml_pointer_add(&reader->pointer, token) != 0) return fail_memory(reader), NULL;
  json_t *value = read_node(reader, event);
  reader->pointer.length = length;
  if (reader->pointer.data) reader->pointer.data[length] = '\0';
  return value;
}

/* Elements until the end event; 0 or -1. */
static int read_elements(struct reader *reader, json_t *array) {
  for (size_t index = 0;; index++) {
    yaml_event_t event;
    char token[24];
    if (next(reader, &event) != 0) return -1;
    int end = event.type == YAML_SEQUENCE_END_EVENT;
    snprintf(token, sizeof token, "%zu", index);
    json_t *element = end ? NULL : read_at(reader, &event, token);
    yaml_event_delete(&event);
    if (end) return 0;
    if (!element) return -1;
    if (json_array_append_new(array, element) != 0) return fail_memory(reader);
  }
}

static int check_key(struct reader *reader, const yaml_event_t *event, const json_t *object) {
  if (event->type != YAML_SCALAR_EVENT) return fail(reader, &event->start_mark, "a key must be a scalar");
  const char *key = (const char *)event->data.scalar.value;
  int plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
  if (event->data.scalar.anchor || event->data.scalar.tag)
    return fail(reader, &event->start_mark, "a key takes no anchor and no tag");
  if (strlen(key) != event->data.scalar.length) return fail(reader, &event->start_mark, "NUL inside a key");
  if (plain && !*key) return fail(reader, &event->start_mark, "the key is missing before ':'");
  if (plain && strcmp(key, "<<") == 0)
    return fail(reader, &event->start_mark, "merge keys (<<) are not part of YAML 1.2; write the keys out");
  if (json_object_get(object, key)) return fail(reader, &event->start_mark, "the key \"%.200s\" is there twice", key);
  return 0;
}

/* The value that belongs to a key. */
static int read_member(struct reader *reader, const yaml_event_t *key, json_t *object) {
  yaml_event_t event;
  if (check_key(reader, key, object) != 0 || next(reader, &event) != 0) return -1;
  json_t *value = read_at(reader, &event, (const char *)key->data.scalar.value);
  yaml_event_delete(&event);
  if (!value) return -1;
  if (json_object_set_new(object, (const char *)key->data.scalar.value, value) == 0) return 0;
  return fail_memory(reader);
}

static int read_members(struct reader *reader, json_t *object) {
  for (;;) {
    yaml_event_t key;
    if (next(reader, &key) != 0) return -1;
    int end = key.type == YAML_MAPPING_END_EVENT;
    int result = end ? 0 : read_member(reader, &key, object);
    yaml_event_delete(&key);
    if (end || result != 0) return result;
  }
}

static json_t *read_container(struct reader *reader, const yaml_event_t *event) {
  int sequence = event->type == YAML_SEQUENCE_START_EVENT;
  const yaml_char_t *tag = sequence ? event->data.sequence_start.tag : event->data.mapping_start.tag;
  if (check_tag(reader, event, tag, sequence ? YAML_SEQ_TAG : YAML_MAP_TAG) != 0) return NULL;
  json_t *container = sequence ? json_array() : json_object();
  if (!container) return fail_memory(reader), NULL;
  reader->depth++;
  int failed = check_depth(reader, event, reader->depth) != 0 ||
               (sequence ? read_elements(reader, container) : read_members(reader, container)) != 0;
  reader->depth--;
  if (!failed) return container;
  json_decref(container);
  return NULL;
}

static const yaml_char_t *anchor_of(const yaml_event_t *event) {
  switch (event->type) {
    case YAML_SCALAR_EVENT:
      return event->data.scalar.anchor;
    case YAML_SEQUENCE_START_EVENT:
      return event->data.sequence_start.anchor;
    case YAML_MAPPING_START_EVENT:
      return event->data.mapping_start.anchor;
    default:
      return NULL;
  }
}

static json_t *read_value(struct reader *reader, const yaml_event_t *event) {
  if (event->type == YAML_ALIAS_EVENT) return read_alias(reader, event);
  if (count_nodes(reader, event, 1) != 0) return NULL;
  return event->type == YAML_SCALAR_EVENT ? read_scalar(reader, event) : read_container(reader, event);
}

/* A node that has an anchor: its size and height are remembered with it. */
static json_t *read_anchored(struct reader *reader, const yaml_event_t *event, const char *name) {
  struct anchor *anchor = open_anchor(reader, name);
  if (!anchor) return NULL;
  size_t nodes = reader->nodes;
  int deepest = reader->deepest;
  reader->deepest = reader->depth;
  json_t *value = read_value(reader, event);
  anchor->value = json_incref(value);
  anchor->nodes = reader->nodes - nodes;
  anchor->height = reader->deepest - reader->depth;
  if (deepest > reader->deepest) reader->deepest = deepest;
  return value;
}

static json_t *read_node(struct reader *reader, yaml_event_t *event) {
  if (note_line(reader, event) != 0) return NULL;
  const yaml_char_t *anchor = anchor_of(event);
  return anchor ? read_anchored(reader, event, (const char *)anchor) : read_value(reader, event);
}

/* ---- the stream ---- */

/* Reads an event and checks that it is of that type; it carries nothing that we need. */
static int pass(struct reader *reader, yaml_event_type_t type, const char *otherwise) {
  yaml_event_t event;
  if (next(reader, &event) != 0) return -1;
  int result = event.type == type ? 0 : fail(reader, &event.start_mark, "%s", otherwise);
  yaml_event_delete(&event);
  return result;
}

static json_t *read_document(struct reader *reader) {
  yaml_event_t event;
  if (next(reader, &event) != 0) return NULL;
  json_t *value = read_node(reader, &event);
  yaml_event_delete(&event);
  if (!value) return NULL;
  if (pass(reader, YAML_DOCUMENT_END_EVENT, "text behind the document") == 0 &&
      pass(reader, YAML_STREAM_END_EVENT, "a second document begins; only one is read") == 0)
    return value;
  json_decref(value);
  return NULL;
}

/* A text without a document (nothing, comments) is null. */
static json_t *read_stream(struct reader *reader) {
  yaml_event_t event;
  if (pass(reader, YAML_STREAM_START_EVENT, "not valid YAML") != 0 || next(reader, &event) != 0) return NULL;
  int empty = event.type == YAML_STREAM_END_EVENT;
  yaml_event_delete(&event);
  return empty ? json_null() : read_document(reader);
}

static json_t *parse_with(struct reader *reader, const char *text, size_t length) {
  if (!yaml_parser_initialize(&reader->parser)) return fail_memory(reader), NULL;
  yaml_parser_set_encoding(&reader->parser, YAML_UTF8_ENCODING);
  yaml_parser_set_input_string(&reader->parser, (const unsigned char *)text, length);
  json_t *value = read_stream(reader);
  yaml_parser_delete(&reader->parser);
  free_anchors(reader);
  buffer_free(&reader->pointer);
  return value;
}

json_t *yaml_parse(const char *text, size_t length, const char *name, struct yaml_lines **lines, struct error *error) {
  struct reader reader = {.name = name, .error = error};
  if (lines) *lines = NULL;
  if (length > YAML_BYTES) {
    error_set(error, ERROR_INVALID, "yaml", "longer than %zu bytes", YAML_BYTES);
    error_where(error, "%s:1", name);
    return NULL;
  }
  if (lines && !(reader.lines = yaml_lines_new())) return fail_memory(&reader), NULL;
  json_t *value = parse_with(&reader, text, length);
  if (value && lines)
    *lines = reader.lines;
  else
    yaml_lines_free(reader.lines);
  return value;
}

/* The whole file, at most one byte more than may be parsed. */
static int read_file(const char *path, struct buffer *text) {
  FILE *file = fopen(path, "rbe");
  if (!file) return -1;
  char block[8192];
  size_t length;
  while (text->length <= YAML_BYTES && (length = fread(block, 1, sizeof block, file)) > 0)
    buffer_add(text, block, length);
  int result = ferror(file) || text->failed ? -1 : 0;
  fclose(file);
  return result;
}

json_t *yaml_load(const char *path, struct yaml_lines **lines, struct error *error) {
  struct buffer text = {0};
  json_t *value = NULL;
  if (lines) *lines = NULL;
  errno = 0;
  if (read_file(path, &text) == 0) {
    value = yaml_parse(buffer_text(&text), text.length, path, lines, error);
  } else {
    error_set(error, errno == ENOENT ? ERROR_MISSING : ERROR_INVALID, "file", "cannot read %s: %s", path,
              strerror(errno));
    error_where(error, "%s:1", path);
  }
  buffer_free(&text);
  return value;
}
