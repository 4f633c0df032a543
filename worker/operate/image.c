#include "operate/image.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "functions/functions.h"

enum { FRESH_LENGTH = 6 /* shorter texts are words, no names */ };

struct comparison {
  const json_t *fresh;
  json_t *renames, *differences;
};

/* What AWS changes by itself. */
static int is_volatile(const char *key) {
  static const char *const names[] = {"LastUsed*",    "PasswordLastUsed", "LastAccess*", "LatestRestorableTime",
                                      "Approximate*", "LastModified*",    "RevisionId",  "ResponseMetadata",
                                      "RoleLastUsed", "UpdateDate"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (fnmatch(names[i], key, 0) == 0) return 1;
  return 0;
}

static int same(struct comparison *comparison, const json_t *was, const json_t *is);

/* A policy's next version, which nobody may choose: "v7". */
static int is_version(const char *text) {
  return *text == 'v' && text[1] && text[1 + strspn(text + 1, "0123456789")] == '\0';
}

/* A version or a time changes where it stands; others of the same text are none of its business. */
static int names_one_thing(const char *text) {
  int64_t time;
  return !is_version(text) && clock_parse(text, &time) != 0;
}

/* "…/sgr-1" and "…/sgr-2" where sgr-2 is fresh: the same but for the name. */
static int renamed(struct comparison *comparison, const char *was, const char *is) {
  size_t index;
  json_t *name;
  json_array_foreach(comparison->fresh, index, name) {
    const char *text = json_string_value(name), *at = strstr(is, text);
    if (!at) continue;
    size_t head = (size_t)(at - is), tail = strlen(at + strlen(text)), length = strlen(was);
    if (length <= head + tail || strncmp(was, is, head) != 0 || strcmp(was + length - tail, at + strlen(text)) != 0)
      continue;
    char *old = strndup(was + head, length - head - tail);
    if (old && comparison->renames && names_one_thing(text)) {
      json_object_set(comparison->renames, old, name);
      json_object_set_new(comparison->renames, was, json_string(is));
    }
    free(old);
    return 1;
  }
  return 0;
}

/* The policy that the text is (IAM encodes some of them); new, NULL: it is none. */
static json_t *document(const json_t *text) {
  const char *start = json_string_value(text);
  if (!start || (*start != '{' && strncmp(start, "%7B", 3) != 0)) return NULL;
  json_t *value = function_policy_document((json_t *const *)&text, 1, NULL, NULL);
  if (json_is_object(value)) return value;
  json_decref(value);
  return NULL;
}

static int same_text(struct comparison *comparison, const json_t *was, const json_t *is) {
  const char *old = json_string_value(was), *new = json_string_value(is);
  if (strcmp(old, new) == 0) return 1;
  json_t *left = document(was), *right = document(is);
  int equal = left && right ? same(comparison, left, right) : renamed(comparison, old, new);
  json_decref(left);
  json_decref(right);
  return equal;
}

static int same_members(struct comparison *comparison, const json_t *was, const json_t *is) {
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)was, key,
                      value) if (!is_volatile(key) && !same(comparison, value, json_object_get(is, key))) return 0;
  json_object_foreach((json_t *)is, key, value) if (!is_volatile(key) && !json_object_get(was, key)) return 0;
  return 1;
}

static void pair_by(struct comparison *how, json_t *was, json_t *is) {
  for (size_t i = json_array_size(was); i-- > 0;)
    for (size_t k = 0; k < json_array_size(is); k++) {
      if (!same(how, json_array_get(was, i), json_array_get(is, k))) continue;
      json_array_remove(was, i);
      json_array_remove(is, k);
      break;
    }
}

/* Takes the elements that both lists have out of both copies: first those that are the same to the letter, then those
 * that are but for a fresh name. */
static void pair(struct comparison *comparison, json_t *was, json_t *is) {
  struct comparison exact = {0};
  pair_by(&exact, was, is);
  if (comparison->fresh) pair_by(comparison, was, is);
}

static int same_elements(struct comparison *comparison, const json_t *was, const json_t *is) {
  if (json_array_size(was) != json_array_size(is)) return 0;
  json_t *left = json_copy((json_t *)was), *right = json_copy((json_t *)is);
  pair(comparison, left, right);
  int equal = json_array_size(left) == 0 && json_array_size(right) == 0;
  json_decref(left);
  json_decref(right);
  return equal;
}

/* Absent and empty say the same. */
static int same(struct comparison *comparison, const json_t *was, const json_t *is) {
  if (json_is_empty(was) && json_is_empty(is)) return json_is_false(was) == json_is_false(is);
  if (json_is_object(was) && json_is_object(is)) return same_members(comparison, was, is);
  if (json_is_array(was) && json_is_array(is)) return same_elements(comparison, was, is);
  if (json_is_string(was) && json_is_string(is)) return same_text(comparison, was, is);
  return was && is && json_same(was, is);
}

/* ---- what differs, for people ---- */
static void tell(struct comparison *comparison, const char *path, const json_t *was, const json_t *is) {
  json_t *difference = json_pack("{s:s}", "path", path);
  if (was) json_object_set(difference, "was", (json_t *)was);
  if (is) json_object_set(difference, "is", (json_t *)is);
  json_array_append_new(comparison->differences, difference);
}

static void tell_elements(struct comparison *comparison, const char *path, const json_t *was, const json_t *is) {
  json_t *left = json_copy((json_t *)was), *right = json_copy((json_t *)is), *element;
  size_t index;
  pair(comparison, left, right);
  json_array_foreach(left, index, element) tell(comparison, path, element, NULL);
  json_array_foreach(right, index, element) tell(comparison, path, NULL, element);
  json_decref(left);
  json_decref(right);
}

static void walk(struct comparison *comparison, const char *path, const json_t *was, const json_t *is) {
  const char *key;
  json_t *value;
  char below[512];
  if (json_is_array(was) && json_is_array(is)) {
    tell_elements(comparison, path, was, is);
  } else if (json_is_object(was) && json_is_object(is)) {
    json_object_foreach((json_t *)was, key, value) {
      snprintf(below, sizeof below, "%s%s%s", path, *path ? "." : "", key);
      if (!is_volatile(key)) walk(comparison, below, value, json_object_get(is, key));
    }
    json_object_foreach((json_t *)is, key, value) {
      snprintf(below, sizeof below, "%s%s%s", path, *path ? "." : "", key);
      if (!is_volatile(key) && !json_object_get(was, key)) walk(comparison, below, NULL, value);
    }
  } else if (!same(comparison, was, is)) {
    tell(comparison, *path ? path : "resource", was, is);
  }
}

json_t *image_differences(const json_t *was, const json_t *is, const json_t *fresh, json_t *renames) {
  struct comparison comparison = {
      .fresh = json_array_size(fresh) > 0 ? fresh : NULL, .renames = renames, .differences = json_array()};
  walk(&comparison, "", was, is);
  return comparison.differences;
}

/* ---- one spelling ---- */
static int by_text(const void *left, const void *right) {
  const char *const *a = left, *const *b = right;
  return strcmp(*a, *b);
}

static json_t *canonical(const json_t *value);

/* The elements' texts, sorted. */
static json_t *canonical_list(const json_t *list) {
  size_t count = json_array_size(list);
  char **texts = calloc(count + 1, sizeof *texts);
  json_t *sorted = json_array();
  for (size_t i = 0; texts && i < count; i++) {
    json_t *element = canonical(json_array_get(list, i));
    texts[i] = json_text(element);
    json_decref(element);
    if (!texts[i]) abort();
  }
  if (texts) qsort(texts, count, sizeof *texts, by_text);
  for (size_t i = 0; texts && i < count; i++) {
    json_array_append_new(sorted, json_string(texts[i]));
    free(texts[i]);
  }
  free(texts);
  return sorted;
}

/* What changes by itself and what is empty left out, lists in order, policies as values.  New. */
static json_t *canonical(const json_t *value) {
  const char *key;
  json_t *member, *copy;
  if (json_is_array(value)) return canonical_list(value);
  if ((copy = document(value))) {
    member = canonical(copy);
    json_decref(copy);
    return member;
  }
  if (!json_is_object(value)) return json_deep_copy(value);
  copy = json_object();
  json_object_foreach((json_t *)value, key,
                      member) if (!is_volatile(key) && (!json_is_empty(member) || json_is_false(member)))
      json_object_set_new(copy, key, canonical(member));
  return copy;
}

void image_hash(const json_t *image, char hash[65]) {
  json_t *copy = canonical(image);
  json_hash(copy, hash);
  json_decref(copy);
}

/* ---- names ---- */
static void gather(const json_t *value, json_t *texts) {
  const char *key;
  size_t index;
  json_t *member;
  if (json_is_string(value)) json_object_set_new(texts, json_string_value(value), json_true());
  json_object_foreach((json_t *)value, key, member) gather(member, texts);
  json_array_foreach(value, index, member) gather(member, texts);
}

json_t *image_fresh(const json_t *results, const json_t *known) {
  json_t *found = json_object(), *old = json_object(), *fresh = json_array(), *unused;
  const char *text;
  gather(results, found);
  gather(known, old);
  json_object_foreach(found, text, unused) {
    int is_name = strlen(text) >= FRESH_LENGTH || is_version(text);
    if (is_name && !json_object_get(old, text)) json_array_append_new(fresh, json_string(text));
  }
  json_decref(found);
  json_decref(old);
  return fresh;
}

json_t *image_renamed(const json_t *value, const json_t *renames) {
  const char *key;
  size_t index;
  json_t *member, *copy;
  if (!renames) return json_deep_copy(value);
  if (json_is_object(value)) {
    copy = json_object();
    json_object_foreach((json_t *)value, key, member) json_object_set_new(copy, key, image_renamed(member, renames));
  } else if (json_is_array(value)) {
    copy = json_array();
    json_array_foreach(value, index, member) json_array_append_new(copy, image_renamed(member, renames));
  } else {
    json_t *name = json_is_string(value) ? json_object_get(renames, json_string_value(value)) : NULL;
    copy = json_deep_copy(name ? name : value);
  }
  return copy;
}
