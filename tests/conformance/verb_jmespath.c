/* {"do": "jmespath", "expression", "document"} → {"result"} or {"error": "syntax", …} as the official suite names them.
 */
#include "json/jmespath.h"
#include "verbs.h"

json_t *verb_jmespath(json_t *request, struct error *error) {
  json_t *text = json_at(request, "expression", NULL), *document = json_at(request, "document", NULL);
  if (!json_is_string(text)) {
    error_set(error, ERROR_INVALID, "request", "\"expression\" must be a string");
    return NULL;
  }
  struct jmes *expression = jmes_compile(json_string_value(text), NULL, error);
  json_t *result = expression ? jmes_search(expression, document ? document : json_null(), NULL, error) : NULL;
  jmes_free(expression);
  if (result) return json_pack("{s:o}", "result", result);
  return error->class == ERROR_INVALID ? json_pack("{s:s}", "error", error->code) : NULL;
}
