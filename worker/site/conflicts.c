#include "site/conflicts.h"

#include <stdio.h>
#include <string.h>

#include "functions/functions.h"

#include "fleet/organization.h"

/* How two parameters of the same operation stand to each other. */
enum likeness { ALIKE, CONTRARY, UNRELATED };

static int is_literal(const json_t *value) { return !json_is_string(value) || !strstr(json_string_value(value), "${"); }

/* What names a part of the resource says which part is meant, not what is wanted of it. */
static int names_a_part(const char *key) {
  static const char *const endings[] = {"Name",      "Key",  "Id",  "Ids",  "Arn",
                                        "Attribute", "Type", "Sid", "Port", "Protocol"};
  size_t length = strlen(key);
  for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
    size_t ending = strlen(endings[i]);
    if (length >= ending && strcmp(key + length - ending, endings[i]) == 0) return 1;
  }
  return 0;
}

static enum likeness compare(const json_t *one, const json_t *other, const char *key);

static enum likeness worse(enum likeness one, enum likeness other) { return one > other ? one : other; }

static enum likeness compare_members(const json_t *one, const json_t *other) {
  enum likeness likeness = json_object_size(one) == json_object_size(other) ? ALIKE : UNRELATED;
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)one, key, value) {
    const json_t *counterpart = json_object_get(other, key);
    likeness = worse(likeness, counterpart ? compare(value, counterpart, key) : UNRELATED);
  }
  return likeness;
}

static enum likeness compare(const json_t *one, const json_t *other, const char *key) {
  if (json_equal((json_t *)one, (json_t *)other)) return ALIKE;
  if (json_is_object(one) && json_is_object(other)) return compare_members(one, other);
  if (json_is_array(one) && json_is_array(other)) {
    enum likeness likeness = json_array_size(one) == json_array_size(other) ? ALIKE : UNRELATED;
    for (size_t i = 0; i < json_array_size(one) && likeness != UNRELATED; i++)
      likeness = worse(likeness, compare(json_array_get(one, i), json_array_get(other, i), key));
    return likeness;
  }
  if (json_is_object(one) || json_is_object(other) || json_is_array(one) || json_is_array(other)) return UNRELATED;
  return is_literal(one) && is_literal(other) && !names_a_part(key) ? CONTRARY : UNRELATED;
}

/* The operation of a call in `steps` that contradicts `call`; NULL: none. */
static const char *contrary_to(const json_t *call, const json_t *steps) {
  const char *operation = json_text_at(call, "call", NULL), *found = NULL;
  size_t index;
  json_t *step;
  json_array_foreach(steps, index, step) {
    const json_t *one = json_object_get(call, "with"), *other = json_object_get(step, "with");
    if (one && other && strcmp(json_text_at(step, "call", NULL), operation) == 0 && compare(one, other, "") == CONTRARY)
      return operation;
    if ((found = contrary_to(call, json_object_get(step, "do")))) return found;
  }
  return NULL;
}

static int calls(const json_t *steps, const char *operation) {
  size_t index;
  json_t *step;
  json_array_foreach(steps, index, step) if (strcmp(json_text_at(step, "call", NULL), operation) == 0 ||
                                             calls(json_object_get(step, "do"), operation)) return 1;
  return 0;
}

/* "ec2.EnableX" → "ec2.DisableX"; 0: it has no opposite. */
static int opposite_of(const char *operation, char *opposite, size_t size) {
  static const char *const verbs[][2] = {{"Enable", "Disable"}, {"Start", "Stop"}};
  const char *dot = strchr(operation, '.');
  for (size_t i = 0; dot && i < sizeof verbs / sizeof *verbs; i++)
    for (int k = 0; k < 2; k++) {
      size_t length = strlen(verbs[i][k]);
      if (strncmp(dot + 1, verbs[i][k], length) != 0) continue;
      snprintf(opposite, size, "%.*s%s%s", (int)(dot + 1 - operation), operation, verbs[i][!k], dot + 1 + length);
      return 1;
    }
  return 0;
}

/* An operation of `steps` whose opposite the others call; whoever does both (stop, change, start) wants neither. */
static const char *opposition(const json_t *steps, const json_t *all, const json_t *others) {
  const char *found = NULL;
  char opposite[160];
  size_t index;
  json_t *step;
  json_array_foreach(steps, index, step) {
    const char *operation = json_text_at(step, "call", NULL);
    if (opposite_of(operation, opposite, sizeof opposite) && !calls(all, opposite) && calls(others, opposite) &&
        !calls(others, operation))
      return operation;
    if ((found = opposition(json_object_get(step, "do"), all, others))) return found;
  }
  return NULL;
}

static const char *contradiction(const json_t *steps, const json_t *others) {
  const char *found = NULL;
  size_t index;
  json_t *step;
  json_array_foreach(steps, index, step) {
    if (json_object_get(step, "call") && (found = contrary_to(step, others))) return found;
    if ((found = contradiction(json_object_get(step, "do"), others))) return found;
  }
  return NULL;
}

/* Do two lists of a scope surely have nothing in common?  NULL is everything. */
static int are_apart(const json_t *one, const json_t *other) {
  if (!one || !other) return 0;
  for (size_t i = 0; i < json_array_size(one); i++)
    for (size_t k = 0; k < json_array_size(other); k++) {
      const char *left = json_string_value(json_array_get(one, i)),
                 *right = json_string_value(json_array_get(other, k));
      if (unit_matches(left, right) || unit_matches(right, left) || (strchr(left, '*') && strchr(right, '*'))) return 0;
    }
  return 1;
}

/* Is there an environment in which both change things? */
static int both_act(const struct guardrail *one, const struct guardrail *other) {
  if (are_apart(one->accounts, other->accounts) || are_apart(one->regions, other->regions) ||
      are_apart(one->units, other->units) || are_apart(one->environments, other->environments) ||
      are_apart(one->tags, other->tags))
    return 0;
  const struct guardrail *both[] = {one, other};
  for (size_t b = 0; b < 2; b++)
    for (size_t i = 0; i < both[b]->mode_count; i++) {
      const char *environment = both[b]->modes[i].environment;
      if (guardrail_mode(one, environment) >= MODE_APPROVE && guardrail_mode(other, environment) >= MODE_APPROVE)
        return 1;
    }
  return one->default_mode >= MODE_APPROVE && other->default_mode >= MODE_APPROVE;
}

static void tell(const struct bundle *bundle, const struct guardrail *one, const struct guardrail *other,
                 const char *operation) {
  struct loader loader = {.file = one->file, .refused = bundle->refused};
  complain(&loader, "", "guardrail \"%s\" and \"%s\" (%s) want different things of one %s: %s; both are refused",
           one->name, other->name, other->file, one->resource->name, operation);
}

int site_conflicts(const struct bundle *bundle, unsigned char *conflicting) {
  int conflicts = 0;
  for (size_t i = 0; i < bundle->guardrail_count; i++)
    for (size_t k = i + 1; k < bundle->guardrail_count; k++) {
      const struct guardrail *one = bundle->guardrails[i], *other = bundle->guardrails[k];
      if (one->resource != other->resource || !both_act(one, other)) continue;
      const json_t *steps = one->steps_as_written, *others = other->steps_as_written;
      const char *operation = contradiction(steps, others);
      if (!operation) operation = opposition(steps, steps, others);
      if (!operation) continue;
      tell(bundle, one, other, operation);
      tell(bundle, other, one, operation);
      conflicting[i] = conflicting[k] = 1;
      conflicts++;
    }
  return conflicts;
}
