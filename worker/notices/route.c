/* Which channels a notice goes to: the first route that fits decides, unless it says `also`. */
#include <string.h>

#include "functions/functions.h"
#include "notices/notices.h"

static int fits_any(const json_t *globs, const char *value) {
  for (size_t i = 0; i < json_array_size(globs); i++)
    if (engine_glob(json_string_value(json_array_get(globs, i)), value)) return 1;
  return 0;
}

static int fits(const struct route *route, const json_t *notice) {
  const char *member;
  json_t *globs;
  json_object_foreach(route->match, member, globs) if (!fits_any(globs, json_text_at(notice, member, NULL))) return 0;
  return 1;
}

unsigned notices_route(const struct notices *notices, const json_t *notice) {
  unsigned to = 0;
  for (size_t i = 0; i < notices->route_count; i++) {
    if (!fits(&notices->routes[i], notice)) continue;
    to |= notices->routes[i].to;
    if (!notices->routes[i].also) break;
  }
  return to;
}

/* The value of a tag in either of the forms that AWS gives tags in; NULL: there is none. */
static const char *tag_value(const json_t *tags, const char *name) {
  static const char *const keys[][2] = {{"Key", "Value"}, {"key", "value"}, {"TagKey", "TagValue"}};
  if (json_is_object(tags)) return json_string_value(json_object_get(tags, name));
  for (size_t i = 0; i < json_array_size(tags); i++)
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
      if (strcmp(json_text_at(json_array_get(tags, i), keys[k][0], NULL), name) == 0)
        return json_text_at(json_array_get(tags, i), keys[k][1], NULL);
  return NULL;
}

char *notices_owner(const struct notices *notices, const json_t *tags) {
  const char *owner = NULL;
  for (size_t i = 0; !owner && notices && i < json_array_size(notices->owner_tags); i++)
    owner = tag_value(tags, json_string_value(json_array_get(notices->owner_tags, i)));
  return strdup(owner ? owner : "");
}
