/* XML read in place: which documents are accepted, and what they hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "aws/xml_internal.h"
#include "base/buffer.h"

/* From memory of just its size, so that a byte read behind it is noticed. */
static struct aws_xml *parse(const char *text, size_t length, struct error *error) {
  char *copy = malloc(length ? length : 1);
  assert_non_null(copy);
  memcpy(copy, text, length);
  struct aws_xml *xml = aws_xml_parse(copy, length, error);
  free(copy);
  return xml;
}

static void test_refused(void **state) {
  static const char *const documents[] = {
      "",
      "text",
      "<a>",
      "<a></b>",
      "<a></ab>",
      "<ab></a>",
      "</a>",
      "<a/><b/>",          /* a second root */
      "<a/>text",          /* text outside */
      "<![CDATA[x]]><a/>", /* so is this */
      "<a><![CDATA[x</a>",
      "<a>x]]>y</a>",
      "<1/>",
      "<a",
      "<a ",
      "<a/",
      "<a b>",
      "<a b=>",
      "<a b=c/>",
      "<a b='c/>",
      "<a b='<'/>",
      "<a b='1'c='2'/>",
      "<a b='1' b='2'/>",
      "<!DOCTYPE a><a/>", /* with it go all entities */
      "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
      "<a>&b;</a>",
      "<a>&amp</a>",
      "<a>&</a>",
      "<a>&#;</a>",
      "<a>&#x;</a>",
      "<a>&#0;</a>",
      "<a>&#xD800;</a>",
      "<a>&#xFFFF;</a>",
      "<a>&#x110000;</a>",
      "<a>&#99999999999999999999;</a>",
      "<a>\x01</a>",
      "<a>\xC0\x80</a>",     /* overlong */
      "<a>\xED\xA0\x80</a>", /* a surrogate */
      "<a>\xEF\xBF\xBF</a>",
      "<a>\xE2\x82</a>",
      "<a>\xFF</a>",
      "<!-- a -- b --><a/>",
      "<!-- a",
      "<a/><?xml version='1.0'?>",
      " <?xml version='1.0'?><a/>",
      "<?b",
      "<? b?><a/>",
  };
  (void)state;
  for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
    struct error error = {0};
    struct aws_xml *xml = parse(documents[i], strlen(documents[i]), &error);
    if (xml) print_error("accepted: %s\n", documents[i]);
    assert_null(xml);
    assert_int_equal(error.class, ERROR_FATAL);
    assert_string_equal(error.code, "NotAnAnswer");
  }
  assert_null(parse("<a>\0</a>", 8, NULL));
}

/* "name(attributes)[text or children]", to compare by eye. */
static void write_node(const struct aws_xml_node *node, struct buffer *to) {
  buffer_add_text(to, node->name);
  for (const struct aws_xml_attribute *each = node->attributes; each; each = each->next)
    buffer_addf(to, "(%s=%s)", each->name, each->value);
  buffer_addf(to, "[%s", node->text);
  assert_int_equal(node->text_length, strlen(node->text));
  for (const struct aws_xml_node *child = node->first; child; child = child->next) write_node(child, to);
  buffer_add_char(to, ']');
}

static void test_accepted(void **state) {
  static const struct {
    const char *document, *tree;
  } rows[] = {
      {"<a/>", "a[]"},
      {"<a></a>", "a[]"},
      {"\xEF\xBB\xBF<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- c --><?p i?><a />\n<!---->", "a[]"},
      {"<a><b>1</b><b>2</b><c/></a>", "a[b[1]b[2]c[]]"},
      {"<a>x<b>y</b>z</a>", "a[b[y]]"},                              /* text beside children counts for nothing, */
      {"<a>longer<b>y</b>longer &amp; <b>y</b></a>", "a[b[y]b[y]]"}, /* nor does it overwrite them */
      {"<a><b/>x<![CDATA[y]]>\r\n<c>z</c></a>", "a[b[]c[z]]"},
      {"<a> x\ty\n</a>", "a[ x\ty\n]"},
      {"<a>x\r\ny\rz\n</a>", "a[x\ny\nz\n]"},
      {"<a>&lt;&gt;&amp;&quot;&apos;</a>", "a[<>&\"']"},
      {"<a>&#65;&#x42;&#xe9;&#x20AC;&#x1F600;&#10;</a>", "a[AB\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\n]"},
      {"<a>&amp;lt;</a>", "a[&lt;]"}, /* resolved once */
      {"<a>x<!-- <b> -->y<?p i?>z</a>", "a[xyz]"},
      {"<a>x<![CDATA[<b>&amp;]] >]]>y</a>", "a[x<b>&amp;]] >y]"},
      {"<a>]] ]> ></a>", "a[]] ]> >]"},
      {"<n:a xmlns:n='u'><n:b>1</n:b></n:a>", "a(xmlns:n=u)[b[1]]"},
      {"<a b = '1'\n c=\"x'&quot;&#10;\r\n\ty\" ></a >", "a(c=x'\"\n  y)(b=1)[]"},
      {"<a>\xC3\xA9\xEF\xBF\xBD\xF0\x9F\x98\x80</a>", "a[\xC3\xA9\xEF\xBF\xBD\xF0\x9F\x98\x80]"},
  };
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct error error = {0};
    struct buffer tree = {.ceiling = 1024};
    struct aws_xml *xml = parse(rows[i].document, strlen(rows[i].document), &error);
    if (!xml) print_error("%s: %s\n", rows[i].document, error.message);
    assert_non_null(xml);
    write_node(aws_xml_root(xml), &tree);
    assert_string_equal(buffer_text(&tree), rows[i].tree);
    buffer_free(&tree);
    aws_xml_free(xml);
  }
}

static int accepts_depth(int depth) {
  struct buffer text = {.ceiling = 4096};
  for (int i = 0; i < depth; i++) buffer_add_text(&text, "<a>");
  for (int i = 0; i < depth; i++) buffer_add_text(&text, "</a>");
  struct aws_xml *xml = parse(buffer_text(&text), text.length, NULL);
  int accepted = xml != NULL;
  aws_xml_free(xml);
  buffer_free(&text);
  return accepted;
}

static int accepts_attributes(int count) {
  struct buffer text = {.ceiling = 4096};
  buffer_add_text(&text, "<a");
  for (int i = 0; i < count; i++) buffer_addf(&text, " b%d=''", i);
  buffer_add_text(&text, "/>");
  struct aws_xml *xml = parse(buffer_text(&text), text.length, NULL);
  int accepted = xml != NULL;
  aws_xml_free(xml);
  buffer_free(&text);
  return accepted;
}

static void test_ceilings(void **state) {
  (void)state;
  assert_true(accepts_depth(100));
  assert_false(accepts_depth(101));
  assert_true(accepts_attributes(100));
  assert_false(accepts_attributes(101));
}

/* Nodes by the thousand: more than a chunk of memory holds, each with its own text. */
static void test_many(void **state) {
  struct buffer text = {.ceiling = (size_t)4 << 20};
  (void)state;
  buffer_add_text(&text, "<a>");
  for (int i = 0; i < 20000; i++) buffer_addf(&text, "<b><c>%d</c></b>", i);
  buffer_add_text(&text, "</a>");
  struct aws_xml *xml = parse(buffer_text(&text), text.length, NULL);
  assert_non_null(xml);
  long expected = 0;
  for (const struct aws_xml_node *node = aws_xml_root(xml)->first; node; node = node->next)
    assert_int_equal(strtol(aws_xml_child_text(node, "c"), NULL, 10), expected++);
  assert_int_equal(expected, 20000);
  aws_xml_free(xml);
  buffer_free(&text);
}
