/* The characters of XML: which there may be, and references to them. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "aws/xml_scan_internal.h"

int aws_xml_refuse(struct aws_xml_scan *scan, const char *why) {
  scan->wrong = why;
  return -1;
}

/* ---- which there may be ---- */

static int is_character(unsigned long code) {
  if (code < 0x20) return code == '\t' || code == '\n' || code == '\r';
  return code <= 0x10FFFF && code != 0xFFFE && code != 0xFFFF && (code < 0xD800 || code > 0xDFFF);
}

/* Length of the sequence at `text` when it is valid (RFC 3629) and an allowed character, else 0. */
static size_t sequence(const unsigned char *text, size_t length) {
  static const struct {
    unsigned char mask, lead;
    unsigned long least;
  } forms[] = {{0x80, 0, 0}, {0xE0, 0xC0, 0x80}, {0xF0, 0xE0, 0x800}, {0xF8, 0xF0, 0x10000}};
  for (size_t more = 0; more < sizeof forms / sizeof *forms && more < length; more++) {
    if ((text[0] & forms[more].mask) != forms[more].lead) continue;
    unsigned long code = text[0] & (unsigned char)~forms[more].mask;
    for (size_t i = 1; i <= more; i++) {
      if ((text[i] & 0xC0) != 0x80) return 0;
      code = code << 6 | (text[i] & 0x3F);
    }
    return code >= forms[more].least && is_character(code) ? more + 1 : 0;
  }
  return 0;
}

/* Are these eight bytes certainly printable ASCII?  Below 0x20 the subtraction sets a byte's highest bit. */
static int is_plain(const char *text) {
  uint64_t word;
  memcpy(&word, text, sizeof word);
  return ((word | (word - UINT64_C(0x2020202020202020))) & UINT64_C(0x8080808080808080)) == 0;
}

int aws_xml_is_text(const char *text, size_t length) {
  for (size_t at = 0; at < length;) {
    if (length - at >= 8 && is_plain(text + at)) {
      at += 8;
      continue;
    }
    size_t here = sequence((const unsigned char *)text + at, length - at);
    if (here == 0) return 0;
    at += here;
  }
  return 1;
}

/* ---- references ---- */

static char *write_character(unsigned long code, char *to) {
  if (code < 0x80) {
    *to++ = (char)code;
  } else if (code < 0x800) {
    *to++ = (char)(0xC0 | code >> 6);
    *to++ = (char)(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    *to++ = (char)(0xE0 | code >> 12);
    *to++ = (char)(0x80 | (code >> 6 & 0x3F));
    *to++ = (char)(0x80 | (code & 0x3F));
  } else {
    *to++ = (char)(0xF0 | code >> 18);
    *to++ = (char)(0x80 | (code >> 12 & 0x3F));
    *to++ = (char)(0x80 | (code >> 6 & 0x3F));
    *to++ = (char)(0x80 | (code & 0x3F));
  }
  return to;
}

/* "&#39;", "&#x27;" */
static char *numeric_reference(struct aws_xml_scan *scan, char *to) {
  int hexadecimal = scan->at[2] == 'x';
  const char *digits = scan->at + (hexadecimal ? 3 : 2);
  size_t count = strspn(digits, hexadecimal ? "0123456789abcdefABCDEF" : "0123456789");
  if (count == 0 || digits[count] != ';') return NULL;
  unsigned long code = strtoul(digits, NULL, hexadecimal ? 16 : 10); /* too large: ULONG_MAX, no character */
  if (!is_character(code)) return NULL;
  scan->at += digits + count + 1 - scan->at;
  return write_character(code, to);
}

char *aws_xml_reference(struct aws_xml_scan *scan, char *to) {
  static const struct {
    char name[8], character;
  } named[] = {{"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&quot;", '"'}, {"&apos;", '\''}};
  char *end = scan->at[1] == '#' ? numeric_reference(scan, to) : NULL;
  for (size_t i = 0; !end && i < sizeof named / sizeof *named; i++) {
    size_t length = strlen(named[i].name);
    if (strncmp(scan->at, named[i].name, length) != 0) continue;
    *to = named[i].character;
    end = to + 1;
    scan->at += length;
  }
  if (!end) aws_xml_refuse(scan, "a reference to what is not known");
  return end;
}
