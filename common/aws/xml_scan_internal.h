/* What xml.c (memory, the tree), xml_scan.c (tags) and xml_text.c (characters) share. */
#ifndef PARAPET_AWS_XML_SCAN_INTERNAL_H
#define PARAPET_AWS_XML_SCAN_INTERNAL_H

#include "aws/xml_internal.h"

#define AWS_XML_DEPTH_CEILING 100

/* An element while its children come. */
struct aws_xml_open {
  struct aws_xml_node *node, *last_child;
  const char *tag; /* the name as written, prefix included */
  size_t tag_length;
  char *text, *text_end; /* what it has of text so far, in the document itself */
};

struct aws_xml_scan {
  struct aws_xml *xml;
  char *start, *at, *end; /* *end is NUL, and no byte before it is */
  struct aws_xml_open open[AWS_XML_DEPTH_CEILING];
  int depth;
  const char *wrong; /* why it is refused */
};

/* Zeroed memory that lives as long as the tree; NULL when there is none, or too much is taken. */
void *aws_xml_take(struct aws_xml *xml, size_t size);
void aws_xml_set_root(struct aws_xml *xml, const struct aws_xml_node *root);

/* The whole document; 0, or -1 with `wrong` set. */
int aws_xml_scan(struct aws_xml_scan *scan);
/* Sets `wrong`.  Always -1. */
int aws_xml_refuse(struct aws_xml_scan *scan, const char *why);

/* Is this UTF-8 of nothing but the characters that XML 1.0 allows (section 2.2)? */
int aws_xml_is_text(const char *text, size_t length);
/* What stands at scan->at ('&'), as UTF-8, to `to`, which may be the same place: it is never longer than the reference.
 * Where it ends, with scan->at behind the reference; NULL: refused. */
char *aws_xml_reference(struct aws_xml_scan *scan, char *to);

#endif
