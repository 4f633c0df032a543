#include "site/place.h"

#include <stdio.h>
#include <string.h>

#include "base/glob.h"
#include "fleet/organization.h"

struct place site_place(const struct accounts *accounts, const struct account *account, const char *region,
                        const char *partition) {
  return (struct place){.account = account->id,
                        .region = region,
                        .environment = account->environment,
                        .unit = account->unit,
                        .partition = partition,
                        .tags = account->tags,
                        .organization = accounts_ids(accounts)};
}

/* ---- scope ---- */
typedef int match(const char *glob, const char *text);

static int in_list(const json_t *globs, const char *text, match *is_match) {
  for (size_t i = 0; i < json_array_size(globs); i++)
    if (is_match(json_string_value(json_array_get(globs, i)), text ? text : "")) return 1;
  return !globs;
}

/* "key=value" of any tag. */
static int in_tags(const json_t *globs, const json_t *tags) {
  const char *key;
  json_t *value;
  char text[512];
  json_object_foreach((json_t *)tags, key, value) {
    snprintf(text, sizeof text, "%s=%s", key, json_string_value(value));
    if (in_list(globs, text, glob_matches)) return 1;
  }
  return !globs;
}

int guardrail_in_scope(const struct guardrail *guardrail, const struct place *place) {
  return in_list(guardrail->accounts, place->account, glob_matches) &&
         in_list(guardrail->environments, place->environment, glob_matches) &&
         in_list(guardrail->units, place->unit, unit_matches) &&
         in_list(guardrail->regions, place->region, glob_matches) && in_tags(guardrail->tags, place->tags);
}
