/* Shared by yaml.c, yaml_scalar.c and yaml_lines.c. */
#ifndef PARAPET_JSON_YAML_INTERNAL_H
#define PARAPET_JSON_YAML_INTERNAL_H

#include "json/yaml.h"

/* A scalar's value by its tag (NULL: none) and, when it is plain and has none, by the core schema.  New; NULL with *why
 * (static text) when its tag is not known or the value does not fit JSON, with *why NULL when memory ran out. */
json_t *yaml_scalar(const char *text, size_t length, int plain, const char *tag, const char **why);

struct yaml_lines *yaml_lines_new(void);
/* 0, or -1 when memory ran out. */
int yaml_lines_add(struct yaml_lines *lines, const char *pointer, size_t length, int line);
/* Adds "/" and the token, with ~ and / escaped (RFC 6901). */
int yaml_pointer_add(struct buffer *pointer, const char *token);

#endif
