/* {"do": "pattern", "pattern", "event"} (both JSON texts; the event may be absent) → {"valid": true, "match": …} or
 * {"valid": false, "error"}. */
#include "match/match.h"
#include "verbs.h"

/* The set of this one pattern, or NULL with *error. */
static struct match_set *build(const json_t *pattern, struct error *error) {
  struct match_builder *builder = match_builder_open();
  if (!builder) {
    error_set(error, ERROR_FATAL, "memory", "out of memory");
    return NULL;
  }
  if (match_add(builder, 1, json_string_value(pattern), json_string_length(pattern), error) == 0)
    return match_build(builder, error);
  match_builder_free(builder);
  return NULL;
}

static json_t *match_event(const struct match_set *set, const json_t *event, struct error *error) {
  const uint32_t *ids;
  struct match_scratch *scratch = match_scratch_open();
  if (!scratch) {
    error_set(error, ERROR_FATAL, "memory", "out of memory");
    return NULL;
  }
  int matched = match_run(set, scratch, json_string_value(event), json_string_length(event), &ids, error);
  match_scratch_free(scratch);
  return matched < 0 ? NULL : json_pack("{s:b, s:b}", "valid", 1, "match", matched > 0);
}

json_t *verb_pattern(json_t *request, struct error *error) {
  json_t *pattern = json_at(request, "pattern", NULL), *event = json_at(request, "event", NULL);
  if (!json_is_string(pattern) || (event && !json_is_string(event))) {
    error_set(error, ERROR_INVALID, "request", "\"pattern\" and \"event\" must be strings that hold JSON texts");
    return NULL;
  }
  struct match_set *set = build(pattern, error);
  if (!set) return error->class == ERROR_INVALID ? json_pack("{s:b, s:s}", "valid", 0, "error", error->message) : NULL;
  json_t *answer = event ? match_event(set, event, error) : json_pack("{s:b}", "valid", 1);
  match_set_free(set);
  return answer;
}
