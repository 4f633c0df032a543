/* XML read in place.  An answer of EC2 is half a megabyte of short elements: a general parser spends most of its time
 * on handing over one name and one text after another, and we spent ours on copying them.  Here names and texts stay
 * where they are and end with a NUL over the byte that followed them ('>', '<', a quote), which has been read by then.
 * References shrink what they stand in, so they too are resolved in place.
 *
 * It takes what AWS sends and refuses what no document may be (tags that do not match, a second root, characters that
 * are none).  Two things are outside of it on purpose: document types, hence entities of one's own, are refused, and
 * letters beyond ASCII may all stand in a name. */
#include <string.h>

#include "aws/shape_internal.h"
#include "aws/xml_scan_internal.h"

#define ATTRIBUTES_CEILING 100 /* of one element */

enum { SPACE = 1, NAME = 2, NAME_START = 4, TEXT_STOP = 8, VALUE_STOP = 16 };

/* Ranges are GNU C's.  A text is read on to its next TEXT_STOP. */
static const unsigned char kinds[256] = {
    ['\0'] = TEXT_STOP | VALUE_STOP,
    ['\t'] = SPACE | VALUE_STOP,
    ['\n'] = SPACE | VALUE_STOP,
    ['\r'] = SPACE | TEXT_STOP | VALUE_STOP,
    [' '] = SPACE,
    ['<'] = TEXT_STOP | VALUE_STOP,
    ['&'] = TEXT_STOP | VALUE_STOP,
    [']'] = TEXT_STOP,
    ['"'] = VALUE_STOP,
    ['\''] = VALUE_STOP,
    ['-'] = NAME,
    ['.'] = NAME,
    ['0' ... '9'] = NAME,
    [':'] = NAME | NAME_START,
    ['_'] = NAME | NAME_START,
    ['A' ... 'Z'] = NAME | NAME_START,
    ['a' ... 'z'] = NAME | NAME_START,
    [0x80 ... 0xFF] = NAME | NAME_START,
};

static int is(char byte, int kind) { return kinds[(unsigned char)byte] & kind; }

static void skip_space(struct aws_xml_scan *scan) {
  while (is(*scan->at, SPACE)) scan->at++;
}

/* ---- text ---- */

/* Text beside children counts for nothing, and is left where it is: before it, children have theirs. */
static struct aws_xml_open *innermost(struct aws_xml_scan *scan) {
  struct aws_xml_open *open = &scan->open[scan->depth - 1];
  if (open->node->first) open->text = open->text_end = scan->at;
  return open;
}

/* Adds the bytes up to `stop` to the innermost element's text, where they mostly are already. */
static void add_run(struct aws_xml_open *open, const char *from, const char *stop) {
  size_t length = (size_t)(stop - from);
  if (open->text_end != from) memmove(open->text_end, from, length);
  open->text_end += length;
}

/* A line ends with "\n", however it ended. */
static void take_line_end(struct aws_xml_scan *scan, struct aws_xml_open *open) {
  scan->at += scan->at[1] == '\n' ? 2 : 1;
  *open->text_end++ = '\n';
}

/* What follows in the innermost element until the next tag. */
static int read_text(struct aws_xml_scan *scan) {
  struct aws_xml_open *open = innermost(scan);
  for (;;) {
    const char *from = scan->at;
    while (!is(*scan->at, TEXT_STOP)) scan->at++;
    add_run(open, from, scan->at);
    switch (*scan->at) {
      case '<':
        return 0;
      case '&':
        open->text_end = aws_xml_reference(scan, open->text_end);
        if (!open->text_end) return -1;
        break;
      case '\r':
        take_line_end(scan, open);
        break;
      case ']':
        if (strncmp(scan->at, "]]>", 3) == 0) return aws_xml_refuse(scan, "\"]]>\" in a text");
        *open->text_end++ = *scan->at++;
        break;
      default:
        return aws_xml_refuse(scan, "it ends too early");
    }
  }
}

/* "<![CDATA[", at which scan->at stands. */
static int read_cdata(struct aws_xml_scan *scan) {
  const char *stop = strstr(scan->at, "]]>");
  if (!stop || scan->depth == 0) return aws_xml_refuse(scan, "a CDATA section that may not be there or does not end");
  struct aws_xml_open *open = innermost(scan);
  scan->at += strlen("<![CDATA[");
  while (scan->at < stop) {
    if (*scan->at == '\r')
      take_line_end(scan, open);
    else
      *open->text_end++ = *scan->at++;
  }
  scan->at += 3;
  return 0;
}

/* ---- tags ---- */

/* The name at scan->at, which moves behind it; *local is where its last prefix ends.  Its hash is that of *local on. */
static int read_name(struct aws_xml_scan *scan, const char **local, unsigned *hash) {
  *local = scan->at;
  *hash = AWS_HASH_START;
  if (!is(*scan->at, NAME_START)) return aws_xml_refuse(scan, "a name is missing");
  for (; is(*scan->at, NAME); scan->at++) {
    *hash = aws_hash_byte(*hash, *scan->at);
    if (*scan->at != ':') continue;
    *local = scan->at + 1;
    *hash = AWS_HASH_START;
  }
  return 0;
}

/* An attribute's value, from its quote on; ended by a NUL.  White space is one space a character (section 3.3.3). */
static const char *read_value(struct aws_xml_scan *scan) {
  char quote = *scan->at, *value = scan->at + 1, *to = value;
  if (quote != '"' && quote != '\'') return NULL;
  for (scan->at++; *scan->at != quote;) {
    if (*scan->at == '\0' || *scan->at == '<') return NULL;
    if (*scan->at == '&') {
      to = aws_xml_reference(scan, to);
      if (!to) return NULL;
      continue;
    }
    if (scan->at[0] == '\r' && scan->at[1] == '\n') scan->at++;
    *to++ = is(*scan->at, SPACE) ? ' ' : *scan->at;
    scan->at++;
  }
  scan->at++;
  *to = '\0';
  return value;
}

/* Is there one of that name, or no room for one more? */
static int has_attribute(const struct aws_xml_node *node, const char *name) {
  int count = 0;
  for (const struct aws_xml_attribute *each = node->attributes; each; each = each->next)
    if (strcmp(each->name, name) == 0 || ++count == ATTRIBUTES_CEILING) return 1;
  return 0;
}

static int read_attribute(struct aws_xml_scan *scan, struct aws_xml_node *node) {
  const char *name = scan->at, *local;
  unsigned hash;
  if (read_name(scan, &local, &hash) != 0) return -1;
  char *name_end = scan->at;
  skip_space(scan);
  if (*scan->at != '=') return aws_xml_refuse(scan, "an attribute without a value");
  scan->at++;
  *name_end = '\0';
  skip_space(scan);
  const char *value = read_value(scan);
  if (!value || has_attribute(node, name))
    return aws_xml_refuse(scan, "an attribute that is none, twice there, or one too many");
  struct aws_xml_attribute *attribute = aws_xml_take(scan->xml, sizeof *attribute);
  if (!attribute) return aws_xml_refuse(scan, "it is too large");
  *attribute = (struct aws_xml_attribute){.name = name, .value = value, .next = node->attributes};
  node->attributes = attribute;
  return 0;
}

/* Everything between the name and '>' or "/>"; returns 1 for the latter, 0, or -1. */
static int read_attributes(struct aws_xml_scan *scan, struct aws_xml_node *node) {
  for (;;) {
    int apart = is(*scan->at, SPACE);
    skip_space(scan);
    if (*scan->at == '>') {
      scan->at++;
      return 0;
    }
    if (scan->at[0] == '/' && scan->at[1] == '>') {
      scan->at += 2;
      return 1;
    }
    if (!apart) return aws_xml_refuse(scan, "a tag that is none");
    if (read_attribute(scan, node) != 0) return -1;
  }
}

static int open_node(struct aws_xml_scan *scan, struct aws_xml_node *node, const char *tag, size_t tag_length) {
  if (scan->depth == 0 && scan->open[0].node) return aws_xml_refuse(scan, "a second root");
  if (scan->depth == AWS_XML_DEPTH_CEILING) return aws_xml_refuse(scan, "it is too deep");
  if (scan->depth == 0) {
    aws_xml_set_root(scan->xml, node);
  } else {
    struct aws_xml_open *parent = &scan->open[scan->depth - 1];
    if (parent->last_child)
      parent->last_child->next = node;
    else
      parent->node->first = node;
    parent->last_child = node;
  }
  scan->open[scan->depth++] = (struct aws_xml_open){.node = node, .tag = tag, .tag_length = tag_length};
  return 0;
}

/* Ends the innermost element.  Its text has been read up to a '<', so that there is room for the NUL. */
static void close_node(struct aws_xml_scan *scan) {
  const struct aws_xml_open *open = &scan->open[--scan->depth];
  if (open->node->first || open->text_end == open->text) return;
  *open->text_end = '\0';
  open->node->text = open->text;
  open->node->text_length = (uint32_t)(open->text_end - open->text);
}

static int read_start_tag(struct aws_xml_scan *scan) {
  const char *tag = ++scan->at, *local;
  struct aws_xml_node *node = aws_xml_take(scan->xml, sizeof *node);
  if (!node) return aws_xml_refuse(scan, "it is too large");
  if (read_name(scan, &local, &node->name_hash) != 0) return -1;
  char *tag_end = scan->at;
  int empty = read_attributes(scan, node);
  if (empty < 0 || open_node(scan, node, tag, (size_t)(tag_end - tag)) != 0) return -1;
  *tag_end = '\0';
  node->name = local;
  node->text = "";
  struct aws_xml_open *open = &scan->open[scan->depth - 1];
  open->text = open->text_end = scan->at;
  if (empty) close_node(scan);
  return 0;
}

static int read_end_tag(struct aws_xml_scan *scan) {
  const struct aws_xml_open *open = scan->depth > 0 ? &scan->open[scan->depth - 1] : NULL;
  char *name = scan->at + 2;
  if (!open || strncmp(name, open->tag, open->tag_length) != 0) return aws_xml_refuse(scan, "tags that do not match");
  scan->at = name + open->tag_length;
  skip_space(scan);
  if (*scan->at != '>') return aws_xml_refuse(scan, "tags that do not match");
  scan->at++;
  close_node(scan);
  return 0;
}

/* ---- what is skipped ---- */

static int skip_comment(struct aws_xml_scan *scan) {
  char *stop = strstr(scan->at + 4, "--");
  if (!stop || stop[2] != '>') return aws_xml_refuse(scan, "a comment that does not end");
  scan->at = stop + 3;
  return 0;
}

/* "<?xml …?>" stands at the very beginning, or nowhere. */
static int skip_instruction(struct aws_xml_scan *scan) {
  const char *start = scan->at, *local;
  unsigned hash;
  scan->at += 2;
  const char *target = scan->at;
  if (read_name(scan, &local, &hash) != 0) return -1;
  int declares = scan->at - target == 3 && strncasecmp(target, "xml", 3) == 0;
  char *stop = strstr(scan->at, "?>");
  if (!stop || (declares && start != scan->start) || (stop != scan->at && !is(*scan->at, SPACE)))
    return aws_xml_refuse(scan, "a processing instruction that may not be there or does not end");
  scan->at = stop + 2;
  return 0;
}

/* What stands at '<'. */
static int read_markup(struct aws_xml_scan *scan) {
  if (scan->at[1] == '/') return read_end_tag(scan);
  if (scan->at[1] == '?') return skip_instruction(scan);
  if (scan->at[1] != '!') return read_start_tag(scan);
  if (strncmp(scan->at, "<!--", 4) == 0) return skip_comment(scan);
  if (strncmp(scan->at, "<![CDATA[", 9) == 0) return read_cdata(scan);
  return aws_xml_refuse(scan, "a document type is not accepted");
}

int aws_xml_scan(struct aws_xml_scan *scan) {
  if (!aws_xml_is_text(scan->start, (size_t)(scan->end - scan->start)))
    return aws_xml_refuse(scan, "characters that may not be there");
  if (strncmp(scan->start, "\xEF\xBB\xBF", 3) == 0) scan->start += 3; /* a byte order mark */
  scan->at = scan->start;
  for (;;) {
    if (scan->depth == 0) skip_space(scan);
    if (scan->depth > 0 && read_text(scan) != 0) return -1;
    if (scan->at == scan->end) break;
    if (*scan->at != '<') return aws_xml_refuse(scan, "text outside of an element");
    if (read_markup(scan) != 0) return -1;
  }
  return scan->open[0].node ? 0 : aws_xml_refuse(scan, "it has no element");
}
