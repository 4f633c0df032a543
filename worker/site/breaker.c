#include "site/breaker.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "functions/functions.h"

static const struct key breaker_keys[] = {{"actions", KEY_NUMBER, 1}, {"within", KEY_TEXT, 1},
                                          {"share", KEY_TEXT, 0},     {"at_least", KEY_NUMBER, 0},
                                          {"failures", KEY_TEXT, 0},  {0}};

/* "10%" or "0.5%" in hundredths of a percent; -1: it is none. */
static int64_t parse_share(const char *text) {
  char *end;
  double percent = strtod(text, &end);
  if (end == text || strcmp(end, "%") != 0 || !(percent >= 0.01 && percent <= 100)) return -1;
  return llround(percent * 100);
}

int site_breaker_ratio(const char *text, int64_t *some, int64_t *of) {
  char *end;
  long first = strtol(text, &end, 10), second = *end == '/' ? strtol(end + 1, &end, 10) : 0;
  *some = *of = 0;
  if (*end || first < 1 || second < first || second > 100) return -1;
  *some = first;
  *of = second;
  return 0;
}

static int64_t number_at(struct loader *loader, const json_t *breaker, const char *key, const char *pointer) {
  int64_t number = json_integer_value(json_object_get(breaker, key));
  if (number < 1 || number > 100000) complain(loader, pointer, "\"%s\" must be 1 to 100000", key);
  return number;
}

void site_breaker_load(struct loader *loader, const json_t *document, struct guardrail *guardrail) {
  const json_t *breaker = json_object_get(document, "breaker");
  if (!breaker) {
    if (guardrail->remediate_count > 0)
      complain(loader, "", "\"breaker\" is missing: a guardrail that changes things needs one");
    return;
  }
  if (check_keys(loader, breaker, "/breaker", breaker_keys) > 0) return;
  struct guardrail_breaker *to = &guardrail->breaker;
  const char *share = json_text_at(breaker, "share", NULL), *failures = json_text_at(breaker, "failures", NULL);
  to->actions = number_at(loader, breaker, "actions", "/breaker/actions");
  if (clock_parse_duration(json_text_at(breaker, "within", NULL), &to->window_ms) != 0 || to->window_ms < 1000 ||
      to->window_ms > 86400000)
    complain(loader, "/breaker/within", "\"within\" must be a duration from 1s to 24h, as \"10m\"");
  if (*share && (to->share = parse_share(share)) < 0)
    complain(loader, "/breaker/share", "\"share\" must be 0.01%% to 100%% of the account's resources, as \"10%%\"");
  if (json_object_get(breaker, "at_least")) to->least = number_at(loader, breaker, "at_least", "/breaker/at_least");
  if (*failures && site_breaker_ratio(failures, &to->failures, &to->failures_of) != 0)
    complain(loader, "/breaker/failures", "\"failures\" must be how many of the last (1 to 100) actions, as \"3/10\"");
}

/* ---- exempt ---- */
static const struct key exempt_keys[] = {{"tags", KEY_OBJECT, 1}, {0}};

void site_exempt_load(struct loader *loader, const json_t *document, struct guardrail *guardrail) {
  json_t *exempt = json_object_get(document, "exempt"), *glob;
  const char *key;
  if (!exempt || check_keys(loader, exempt, "/exempt", exempt_keys) > 0) return;
  json_t *tags = json_object_get(exempt, "tags");
  json_object_foreach(tags, key, glob) if (!json_is_string(glob))
      complain(loader, pointer_key("/exempt/tags", key), "the value of tag \"%s\" must be a text, * for any", key);
  if (!guardrail->resource->tags)
    complain(loader, "/exempt/tags", "resource %s tells no tags", guardrail->resource->name);
  guardrail->exempt_tags = json_incref(tags);
}

/* Maps, and lists of {Key, Value}, {key, value} or {TagKey, TagValue}. */
json_t *site_tags(const struct resource *resource, const json_t *item) {
  static const char *const forms[][2] = {{"Key", "Value"}, {"key", "value"}, {"TagKey", "TagValue"}};
  json_t *found = resource->tags && item ? jmes_search(resource->tags, (json_t *)item, NULL, NULL) : NULL, *tag;
  size_t index;
  if (json_is_object(found) || !found) return found;
  json_t *tags = json_object();
  json_array_foreach(found, index, tag) for (size_t form = 0; form < sizeof forms / sizeof *forms; form++) {
    const char *key = json_text_at(tag, forms[form][0], NULL);
    if (*key) json_object_set_new(tags, key, json_string(json_text_at(tag, forms[form][1], NULL)));
  }
  json_decref(found);
  return tags;
}

int site_exempts(const struct guardrail *guardrail, const json_t *item, char *text, size_t size) {
  const char *key;
  json_t *glob, *tags = guardrail->exempt_tags ? site_tags(guardrail->resource, item) : NULL;
  int exempt = 0;
  json_object_foreach(guardrail->exempt_tags, key, glob) {
    const json_t *value = json_object_get(tags, key);
    if (exempt || !json_is_string(value) || !engine_glob(json_string_value(glob), json_string_value(value))) continue;
    snprintf(text, size, "%.128s=%.256s", key, json_string_value(value));
    exempt = 1;
  }
  json_decref(tags);
  return exempt;
}
