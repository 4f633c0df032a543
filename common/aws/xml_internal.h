/* XML answers as a tree.  Namespace prefixes are dropped from element names; comments and processing instructions are
 * skipped; a document type declaration is refused, and with it every entity attack. */
#ifndef PARAPET_AWS_XML_INTERNAL_H
#define PARAPET_AWS_XML_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct aws_xml_attribute {
  const char *name, *value; /* the name as written, prefix included */
  const struct aws_xml_attribute *next;
};

struct aws_xml_node {
  const char *name;
  const char *text; /* UTF-8; of an element without children; "" when it has none */
  uint32_t text_length;
  uint32_t name_hash; /* aws_hash_byte over the name: members are found by it */
  const struct aws_xml_attribute *attributes;
  const struct aws_xml_node *first, *next; /* child, sibling */
};

struct aws_xml;
/* New; NULL with *error (FATAL "NotAnAnswer") when it is no well-formed XML, too deep or too large. */
struct aws_xml *aws_xml_parse(const char *text, size_t length, struct error *error);
/* The same without a copy: `text`, which must end with a NUL behind `length`, is changed, and must live as long. */
struct aws_xml *aws_xml_parse_in_place(char *text, size_t length, struct error *error);
void aws_xml_free(struct aws_xml *xml);
const struct aws_xml_node *aws_xml_root(const struct aws_xml *xml);
/* The first child of that name, or NULL; `node` may be NULL. */
const struct aws_xml_node *aws_xml_child(const struct aws_xml_node *node, const char *name);
/* That child's text, or NULL. */
const char *aws_xml_child_text(const struct aws_xml_node *node, const char *name);

#endif
