#include <expat.h>
#include <stdlib.h>
#include <string.h>

#include "aws/xml_internal.h"
#include "base/buffer.h"

#define DEPTH_CEILING 100
#define MEMORY_CEILING ((size_t)512 << 20)
#define CHUNK_SIZE ((size_t)64 << 10)

/* Nodes and texts live in chunks that are freed together. */
struct chunk {
  struct chunk *next;
  size_t used, size;
  char bytes[];
};

struct aws_xml {
  struct chunk *chunks;
  size_t memory;
  const struct aws_xml_node *root;
};

/* A node while its children come. */
struct open_node {
  struct aws_xml_node *node, *last_child;
};

struct reading {
  struct aws_xml *xml;
  XML_Parser parser;
  struct open_node open[DEPTH_CEILING];
  int depth;
  struct buffer text; /* of the innermost element, while it has no child */
  int failed;
};

static void *take(struct aws_xml *xml, size_t size) {
  size = (size + 15) & ~(size_t)15;
  struct chunk *chunk = xml->chunks;
  if (!chunk || chunk->size - chunk->used < size) {
    size_t room = size > CHUNK_SIZE ? size : CHUNK_SIZE;
    if (xml->memory + room > MEMORY_CEILING) return NULL;
    chunk = malloc(sizeof *chunk + room);
    if (!chunk) return NULL;
    *chunk = (struct chunk){.next = xml->chunks, .size = room};
    xml->chunks = chunk;
    xml->memory += room;
  }
  void *memory = chunk->bytes + chunk->used;
  chunk->used += size;
  return memory;
}

static const char *keep(struct aws_xml *xml, const char *text, size_t length) {
  if (length == 0) return "";
  char *copy = take(xml, length + 1);
  if (!copy) return NULL;
  memcpy(copy, text, length);
  copy[length] = '\0';
  return copy;
}

static void stop(struct reading *reading) {
  reading->failed = 1;
  XML_StopParser(reading->parser, XML_FALSE);
}

static int keep_attributes(struct reading *reading, struct aws_xml_node *node, const char **pairs) {
  for (; pairs[0]; pairs += 2) {
    struct aws_xml_attribute *attribute = take(reading->xml, sizeof *attribute);
    if (!attribute) return -1;
    attribute->name = keep(reading->xml, pairs[0], strlen(pairs[0]));
    attribute->value = keep(reading->xml, pairs[1], strlen(pairs[1]));
    if (!attribute->name || !attribute->value) return -1;
    attribute->next = node->attributes;
    node->attributes = attribute;
  }
  return 0;
}

static void append_child(struct open_node *parent, struct aws_xml_node *node) {
  if (parent->last_child)
    parent->last_child->next = node;
  else
    parent->node->first = node;
  parent->last_child = node;
}

static void on_start(void *data, const char *name, const char **pairs) {
  struct reading *reading = data;
  const char *colon = strrchr(name, ':');
  if (colon) name = colon + 1;
  struct aws_xml_node *node = reading->depth < DEPTH_CEILING ? take(reading->xml, sizeof *node) : NULL;
  if (!node) {
    stop(reading);
    return;
  }
  *node = (struct aws_xml_node){.name = keep(reading->xml, name, strlen(name)), .text = ""};
  if (!node->name || keep_attributes(reading, node, pairs) != 0) {
    stop(reading);
    return;
  }
  if (reading->depth > 0)
    append_child(&reading->open[reading->depth - 1], node);
  else
    reading->xml->root = node;
  reading->open[reading->depth++] = (struct open_node){.node = node};
  buffer_clear(&reading->text);
}

static void on_end(void *data, const char *name) {
  (void)name;
  struct reading *reading = data;
  struct aws_xml_node *node = reading->open[--reading->depth].node;
  if (!node->first) node->text = keep(reading->xml, buffer_text(&reading->text), reading->text.length);
  if (!node->text) {
    node->text = "";
    stop(reading);
  }
  buffer_clear(&reading->text);
}

static void on_text(void *data, const char *text, int length) {
  struct reading *reading = data;
  if (reading->depth == 0 || reading->open[reading->depth - 1].node->first) return;
  if (buffer_add(&reading->text, text, (size_t)length) != 0) stop(reading);
}

static void on_document_type(void *data, const char *name, const char *system, const char *public, int internal) {
  (void)name, (void)system, (void)public, (void)internal;
  stop(data);
}

/* Feeds the parser; 0, or -1 with *error. */
static int read_all(struct reading *reading, const char *text, size_t length, struct error *error) {
  XML_SetUserData(reading->parser, reading);
  XML_SetElementHandler(reading->parser, on_start, on_end);
  XML_SetCharacterDataHandler(reading->parser, on_text);
  XML_SetStartDoctypeDeclHandler(reading->parser, on_document_type);
  for (size_t at = 0;;) {
    size_t here = length - at < CHUNK_SIZE ? length - at : CHUNK_SIZE;
    int last = at + here == length;
    if (XML_Parse(reading->parser, text + at, (int)here, last) != XML_STATUS_OK || reading->failed) break;
    at += here;
    if (last) return 0;
  }
  if (reading->failed) return error_set(error, ERROR_FATAL, "NotAnAnswer", "the answer is XML that is not accepted");
  return error_set(error, ERROR_FATAL, "NotAnAnswer", "the answer is no XML: %s",
                   XML_ErrorString(XML_GetErrorCode(reading->parser)));
}

struct aws_xml *aws_xml_parse(const char *text, size_t length, struct error *error) {
  struct reading *reading = calloc(1, sizeof *reading);
  struct aws_xml *xml = calloc(1, sizeof *xml);
  XML_Parser parser = XML_ParserCreate("UTF-8");
  int result = -1;
  if (reading && xml && parser) {
    reading->xml = xml;
    reading->parser = parser;
    result = read_all(reading, text, length, error);
  } else {
    error_set(error, ERROR_FATAL, "OutOfMemory", "out of memory");
  }
  if (parser) XML_ParserFree(parser);
  if (reading) buffer_free(&reading->text);
  free(reading);
  if (result == 0) return xml;
  aws_xml_free(xml);
  return NULL;
}

void aws_xml_free(struct aws_xml *xml) {
  if (!xml) return;
  for (struct chunk *chunk = xml->chunks; chunk;) {
    struct chunk *next = chunk->next;
    free(chunk);
    chunk = next;
  }
  free(xml);
}

const struct aws_xml_node *aws_xml_root(const struct aws_xml *xml) { return xml->root; }

const struct aws_xml_node *aws_xml_child(const struct aws_xml_node *node, const char *name) {
  const struct aws_xml_node *child = node ? node->first : NULL;
  while (child && strcmp(child->name, name) != 0) child = child->next;
  return child;
}

const char *aws_xml_child_text(const struct aws_xml_node *node, const char *name) {
  const struct aws_xml_node *child = aws_xml_child(node, name);
  return child ? child->text : NULL;
}
