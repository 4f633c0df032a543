/* A webhook's body: a template over the digest, so that Slack, Teams and the like are a file and not code. */
#include <stdlib.h>

#include "notices/notices.h"

enum { VARIABLES = 9 };
const char *const notice_variables[VARIABLES + 1] = {"subject", "text",        "digest",   "notices", "guardrail",
                                                     "account", "environment", "severity", "owner",   NULL};

static json_t *about_guardrail(const struct guardrail *guardrail, const json_t *first) {
  const char *name = json_text_at(first, "guardrail", NULL);
  if (!guardrail) return json_pack("{s:s, s:s, s:s, s:s}", "name", name, "title", name, "why", "", "fix", "");
  return json_pack("{s:s, s:s, s:s, s:s}", "name", name, "title", guardrail->title, "why", guardrail->why, "fix",
                   guardrail->fix);
}

/* {variable: value} for a digest. */
static json_t *values_of(const struct guardrail *guardrail, const json_t *digest, const char *subject,
                         const char *text) {
  json_t *notices = json_object_get(digest, "notices"), *first = json_array_get(notices, 0);
  json_t *values = json_pack("{s:s, s:s, s:O, s:O?, s:o}", "subject", subject, "text", text, "digest", digest,
                             "notices", notices, "guardrail", about_guardrail(guardrail, first));
  static const char *const firsts[] = {"account", "environment", "severity", "owner"};
  for (size_t i = 0; values && i < sizeof firsts / sizeof *firsts; i++)
    json_object_set_new(values, firsts[i], json_string(json_text_at(first, firsts[i], NULL)));
  return values;
}

char *notice_body(const struct channel *channel, const struct guardrail *guardrail, const json_t *digest,
                  const char *subject, const char *text, struct error *error) {
  struct jmes_scope frames[VARIABLES], *scope = NULL;
  json_t *values = values_of(guardrail, digest, subject, text);
  if (!values) {
    error_set(error, ERROR_FATAL, "Memory", "out of memory");
    return NULL;
  }
  for (size_t i = 0; i < VARIABLES; i++) {
    frames[i] = (struct jmes_scope){
        .name = notice_variables[i], .value = json_object_get(values, notice_variables[i]), .outer = scope};
    scope = &frames[i];
  }
  json_t *body = channel->body ? template_render(channel->body, scope, error) : json_incref(values);
  char *bytes = body ? json_text(body) : NULL;
  if (body && !bytes) error_set(error, ERROR_FATAL, "Memory", "out of memory");
  json_decref(body);
  json_decref(values);
  return bytes;
}
