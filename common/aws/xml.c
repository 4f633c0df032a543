#include <stdlib.h>
#include <string.h>

#include "aws/xml_scan_internal.h"

#define MEMORY_CEILING ((size_t)512 << 20)
#define CHUNK_LEAST ((size_t)1 << 10)
#define CHUNK_MOST ((size_t)64 << 10)

/* The nodes, and a document that was copied, live in chunks that are freed together. */
struct chunk {
  struct chunk *next;
  size_t used, size;
  char bytes[];
};

struct aws_xml {
  struct chunk *chunks;
  size_t memory, chunk_size;
  const struct aws_xml_node *root;
};

static struct chunk *add_chunk(struct aws_xml *xml, size_t size) {
  size_t room = size > xml->chunk_size ? size : xml->chunk_size;
  if (xml->memory + room > MEMORY_CEILING) return NULL;
  struct chunk *chunk = malloc(sizeof *chunk + room);
  if (!chunk) return NULL;
  *chunk = (struct chunk){.next = xml->chunks, .size = room};
  xml->chunks = chunk;
  xml->memory += room;
  return chunk;
}

static void *take_raw(struct aws_xml *xml, size_t size) {
  size = (size + 7) & ~(size_t)7;
  struct chunk *chunk = xml->chunks;
  if (!chunk || chunk->size - chunk->used < size) chunk = add_chunk(xml, size);
  if (!chunk) return NULL;
  void *memory = chunk->bytes + chunk->used;
  chunk->used += size;
  return memory;
}

void *aws_xml_take(struct aws_xml *xml, size_t size) {
  void *memory = take_raw(xml, size);
  return memory ? memset(memory, 0, size) : NULL;
}

void aws_xml_set_root(struct aws_xml *xml, const struct aws_xml_node *root) { xml->root = root; }

static struct aws_xml *new_tree(size_t length, struct error *error) {
  struct aws_xml *xml = calloc(1, sizeof *xml);
  if (!xml) {
    error_set(error, ERROR_FATAL, "OutOfMemory", "out of memory");
    return NULL;
  }
  xml->chunk_size = length * 2 < CHUNK_MOST ? length * 2 : CHUNK_MOST;
  if (xml->chunk_size < CHUNK_LEAST) xml->chunk_size = CHUNK_LEAST;
  return xml;
}

/* Reads `text`, in which the nodes' names and texts stay; takes `xml`. */
static struct aws_xml *scan(struct aws_xml *xml, char *text, size_t length, struct error *error) {
  struct aws_xml_scan *scan = text ? calloc(1, sizeof *scan) : NULL;
  int result = -1;
  if (scan) {
    *scan = (struct aws_xml_scan){.xml = xml, .start = text, .end = text + length};
    result = aws_xml_scan(scan);
    if (result != 0) error_set(error, ERROR_FATAL, "NotAnAnswer", "the answer is no XML: %s", scan->wrong);
  } else {
    error_set(error, ERROR_FATAL, "OutOfMemory", "out of memory");
  }
  free(scan);
  if (result == 0) return xml;
  aws_xml_free(xml);
  return NULL;
}

struct aws_xml *aws_xml_parse_in_place(char *text, size_t length, struct error *error) {
  struct aws_xml *xml = new_tree(length, error);
  return xml ? scan(xml, text, length, error) : NULL;
}

struct aws_xml *aws_xml_parse(const char *text, size_t length, struct error *error) {
  struct aws_xml *xml = new_tree(length, error);
  if (!xml) return NULL;
  char *copy = length < MEMORY_CEILING ? take_raw(xml, length + 1) : NULL;
  if (copy) memcpy(copy, text, length);
  if (copy) copy[length] = '\0';
  return scan(xml, copy, length, error);
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
