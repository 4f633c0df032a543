/* YAML in: YAML 1.2 core schema (so `on`, `no`, `yes` and `0123` are strings; true/false/null/~ and decimal, 0x, 0o
 * integers and floats are what they look like), as jansson values, with the line of every node.  JSON is YAML, too.
 * Refused, with file and line: duplicate keys, anchors that recurse or expand past the node limit, tags other than the
 * core ones, non-scalar keys, several documents where one is asked for, more than 1 MiB of text, more than 100,000
 * nodes, depth over 64. */
#ifndef PARAPET_JSON_YAML_H
#define PARAPET_JSON_YAML_H

#include "json/value.h"

struct yaml_lines; /* JSON pointer (RFC 6901) → line, 1-based */

/* `name` is what errors call the text (a file name).  `lines` may be NULL.  New, or NULL with *error
 * (ERROR_INVALID, where = "name:line"). */
json_t *yaml_parse(const char *text, size_t length, const char *name, struct yaml_lines **lines, struct error *error);
json_t *yaml_load(const char *path, struct yaml_lines **lines, struct error *error);

/* The line of the node at a JSON pointer ("/trigger/events/0/pattern"; "" is the document), or of its nearest existing
 * ancestor. */
int yaml_line(const struct yaml_lines *lines, const char *pointer);
void yaml_lines_free(struct yaml_lines *lines); /* NULL accepted */

#endif
