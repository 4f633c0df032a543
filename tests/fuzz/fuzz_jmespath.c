/* JMESPath: an expression, a line end, and the document it is evaluated over (a fixed one when there is none); its
 * variables; and the same text as a template. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "json/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char document_text[] =
    "{\"a\":[{\"b\":1,\"c\":\"x\"},{\"b\":2,\"c\":\"\\u00e9\"},[1,[2]]],\"d\":{\"e\":null,\"f\":[3,1.5,-2]},\"s\":"
    "\"text\"}";

static void visit(const char *name, const char *const *path, void *argument) {
  (void)argument;
  if (!name) abort();
  while (*path) path++;
}

static void search(const char *text, json_t *document, const struct jmes_scope *scope) {
  struct error error = {0};
  struct jmes *expression = jmes_compile(text, NULL, &error);
  if (!expression) {
    if (error.class == ERROR_NONE) abort();
    return;
  }
  json_t *result = jmes_search(expression, document, scope, &error);
  char *written = result ? json_text(result) : NULL;
  if ((result && !written) || (!result && error.class == ERROR_NONE)) abort();
  free(written);
  json_decref(result);
  jmes_variables(expression, visit, NULL);
  jmes_free(expression);
}

static void render(const char *text, const struct jmes_scope *scope) {
  struct error error = {0};
  json_t *string = json_string(text);
  struct template *template = string ? template_compile(string, NULL, &error) : NULL;
  if (template) json_decref(template_render(template, scope, &error));
  template_free(template);
  json_decref(string);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static json_t *fixed;
  if (!fixed) fixed = json_parse(document_text, sizeof document_text - 1, NULL);
  char *text = strndup((const char *)data, size);
  if (!text) return 0;
  char *line_end = strchr(text, '\n');
  json_t *document = line_end ? json_parse(line_end + 1, strlen(line_end + 1), NULL) : NULL;
  if (line_end && document) *line_end = '\0';
  struct jmes_scope inner = {"d", fixed, NULL}, scope = {"x", document, &inner};
  search(text, document ? document : fixed, &scope);
  render(text, &scope);
  json_decref(document);
  free(text);
  return 0;
}
