/* The rules engine's standard library (https://smithy.io/2.0/additional-specs/rules-engine/standard-library.html and
 * …/aws/rules-engine/library-functions.html).  "Not set" (NULL) as an argument yields "not set" or false, except where
 * botocore refuses it: the comparisons. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "aws/endpoint_internal.h"

static json_t *copy_text(const char *text, size_t length) { return json_stringn(text, length); }

static json_t *is_set(struct endpoint_run *run, json_t *const *arguments) {
  (void)run;
  return json_boolean(arguments[0] != NULL);
}

static json_t * not(struct endpoint_run * run, json_t *const *arguments) {
  (void)run;
  return json_boolean(!arguments[0] || json_is_false(arguments[0]));
}

static json_t *boolean_equals(struct endpoint_run *run, json_t *const *arguments) {
  if (!json_is_boolean(arguments[0]) || !json_is_boolean(arguments[1]))
    return endpoint_fail(run, "Both arguments of booleanEquals must be booleans");
  return json_boolean(json_is_true(arguments[0]) == json_is_true(arguments[1]));
}

static json_t *string_equals(struct endpoint_run *run, json_t *const *arguments) {
  if (!json_is_string(arguments[0]) || !json_is_string(arguments[1]))
    return endpoint_fail(run, "Both arguments of stringEquals must be strings");
  return json_boolean(json_equal(arguments[0], arguments[1]));
}

/* ---- getAttr ---- */

/* "name[2]" or "[2]" at *path up to the next separator; moves *path behind it.  New, or NULL. */
static json_t *one_attribute(const json_t *value, const char **path) {
  char name[96];
  size_t length = strcspn(*path, ".#[");
  if (length >= sizeof name) return NULL;
  memcpy(name, *path, length);
  name[length] = '\0';
  json_t *item = length > 0 ? json_object_get(value, name) : (json_t *)value;
  *path += length;
  if (**path == '[') {
    char *end;
    long index = strtol(*path + 1, &end, 10);
    if (end == *path + 1 || *end != ']') return NULL;
    long size = (long)json_array_size(item);
    if (index < 0) index += size;
    item = index >= 0 && index < size ? json_array_get(item, (size_t)index) : NULL;
    *path = end + 1;
  }
  return json_incref(item);
}

json_t *endpoint_attribute(const json_t *value, const char *path) {
  json_t *current = json_incref((json_t *)value);
  while (current && *path) {
    json_t *inner = one_attribute(current, &path);
    json_decref(current);
    current = inner;
    if (*path == '.' || *path == '#') path++;
  }
  return current;
}

static json_t *get_attribute(struct endpoint_run *run, json_t *const *arguments) {
  if (!json_is_string(arguments[1])) return endpoint_fail(run, "The path of getAttr must be a string");
  if (!arguments[0]) return NULL;
  return endpoint_attribute(arguments[0], json_string_value(arguments[1]));
}

/* ---- text ---- */

static int is_ascii(const char *text) {
  for (; *text; text++)
    if ((unsigned char)*text >= 0x80) return 0;
  return 1;
}

static json_t *substring(struct endpoint_run *run, json_t *const *arguments) {
  if (!json_is_string(arguments[0]) || !json_is_integer(arguments[1]) || !json_is_integer(arguments[2]))
    return endpoint_fail(run, "substring takes a string, two numbers and a boolean");
  const char *text = json_string_value(arguments[0]);
  json_int_t length = (json_int_t)json_string_length(arguments[0]);
  json_int_t start = json_integer_value(arguments[1]), stop = json_integer_value(arguments[2]);
  if (start < 0 || start >= stop || stop > length || !is_ascii(text)) return NULL;
  if (json_is_true(arguments[3])) {
    json_int_t reversed = length - stop;
    stop = length - start;
    start = reversed;
  }
  return copy_text(text + start, (size_t)(stop - start));
}

void endpoint_percent_encode(struct buffer *out, const char *text, const char *safe) {
  for (; *text; text++) {
    unsigned char byte = (unsigned char)*text;
    if ((byte < 0x80 && isalnum(byte)) || strchr("-._~", byte) || strchr(safe, byte))
      buffer_add_char(out, *text);
    else
      buffer_addf(out, "%%%02X", byte);
  }
}

static json_t *uri_encode(struct endpoint_run *run, json_t *const *arguments) {
  if (!json_is_string(arguments[0])) return NULL;
  struct buffer out = {.ceiling = ENDPOINT_TEXT_LIMIT};
  endpoint_percent_encode(&out, json_string_value(arguments[0]), "");
  json_t *result = out.failed ? endpoint_fail(run, "uriEncode: the text is too long") : json_string(buffer_text(&out));
  buffer_free(&out);
  return result;
}

/* split(text, delimiter, limit): limit 0 means no limit, n at most n parts. */
static json_t *split(struct endpoint_run *run, json_t *const *arguments) {
  if (!json_is_string(arguments[0])) return NULL;
  if (!json_is_string(arguments[1]) || !json_is_integer(arguments[2]) || json_string_length(arguments[1]) == 0)
    return endpoint_fail(run, "split takes a string, a delimiter and a number");
  const char *text = json_string_value(arguments[0]), *delimiter = json_string_value(arguments[1]);
  json_int_t limit = json_integer_value(arguments[2]);
  json_t *parts = json_array();
  const char *found;
  while ((limit <= 0 || (json_int_t)json_array_size(parts) + 1 < limit) && (found = strstr(text, delimiter))) {
    json_array_append_new(parts, copy_text(text, (size_t)(found - text)));
    text = found + strlen(delimiter);
  }
  json_array_append_new(parts, json_string(text));
  return parts;
}

static json_t *coalesce(struct endpoint_run *run, json_t *const *arguments) {
  (void)run;
  for (size_t i = 0; i < ENDPOINT_ARGUMENTS; i++)
    if (arguments[i]) return json_incref(arguments[i]);
  return NULL;
}

static json_t *if_then_else(struct endpoint_run *run, json_t *const *arguments) {
  if (!json_is_boolean(arguments[0])) return endpoint_fail(run, "The condition of ite must be a boolean");
  return json_incref(json_is_true(arguments[0]) ? arguments[1] : arguments[2]);
}

/* ---- hosts and URLs ---- */

static int is_label(const char *text, size_t length) {
  if (length < 1 || length > 63 || text[0] == '-' || text[length - 1] == '-') return 0;
  for (size_t i = 0; i < length; i++)
    if ((unsigned char)text[i] >= 0x80 || (!isalnum((unsigned char)text[i]) && text[i] != '-')) return 0;
  return 1;
}

/* RFC 1123; each label between dots when `subdomains`. */
static int is_host(const char *text, int subdomains) {
  if (!subdomains) return is_label(text, strlen(text));
  for (;;) {
    size_t length = strcspn(text, ".");
    if (!is_label(text, length)) return 0;
    if (!text[length]) return 1;
    text += length + 1;
  }
}

static json_t *is_valid_host_label(struct endpoint_run *run, json_t *const *arguments) {
  (void)run;
  if (!json_is_string(arguments[0])) return json_false();
  return json_boolean(is_host(json_string_value(arguments[0]), json_is_true(arguments[1])));
}

static json_t *is_virtual_hostable(struct endpoint_run *run, json_t *const *arguments) {
  (void)run;
  const char *bucket = json_string_value(arguments[0]);
  if (!bucket || strlen(bucket) < 3 || endpoint_is_address(bucket)) return json_false();
  for (const char *at = bucket; *at; at++)
    if (isupper((unsigned char)*at)) return json_false();
  return json_boolean(is_host(bucket, json_is_true(arguments[1])));
}

static json_t *parse_url(struct endpoint_run *run, json_t *const *arguments) {
  (void)run;
  return json_is_string(arguments[0]) ? endpoint_parse_url(json_string_value(arguments[0])) : NULL;
}

/* ---- AWS ---- */

static json_t *partition(struct endpoint_run *run, json_t *const *arguments) {
  const char *region = json_is_string(arguments[0]) ? json_string_value(arguments[0]) : "";
  json_t *found = run->partitions ? aws_partitions_find(run->partitions, region) : NULL;
  return found ? json_incref(found) : endpoint_fail(run, "there are no partitions to look Regions up in");
}

/* "accesspoint:name/x" → ["accesspoint", "name", "x"]. */
static json_t *resource_parts(const char *resource) {
  json_t *parts = json_array();
  for (;;) {
    size_t length = strcspn(resource, ":/");
    json_array_append_new(parts, copy_text(resource, length));
    if (!resource[length]) return parts;
    resource += length + 1;
  }
}

static json_t *parse_arn(struct endpoint_run *run, json_t *const *arguments) {
  (void)run;
  static const char *const names[] = {NULL, "partition", "service", "region", "accountId"};
  const char *text = json_string_value(arguments[0]);
  if (!text || strncmp(text, "arn:", 4) != 0) return NULL;
  json_t *arn = json_object();
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    size_t length = strcspn(text, ":");
    if (!text[length] || ((i == 1 || i == 2) && length == 0)) goto none;
    if (names[i]) json_object_set_new(arn, names[i], copy_text(text, length));
    text += length + 1;
  }
  if (!*text) goto none;
  json_object_set_new(arn, "resourceId", resource_parts(text));
  return arn;
none:
  json_decref(arn);
  return NULL;
}

static const struct endpoint_function_row functions[] = {
    {"isSet", 1, is_set},
    {"not", 1, not },
    {"booleanEquals", 2, boolean_equals},
    {"stringEquals", 2, string_equals},
    {"getAttr", 2, get_attribute},
    {"aws.partition", 1, partition},
    {"substring", 4, substring},
    {"parseURL", 1, parse_url},
    {"isValidHostLabel", 2, is_valid_host_label},
    {"aws.parseArn", 1, parse_arn},
    {"aws.isVirtualHostableS3Bucket", 2, is_virtual_hostable},
    {"uriEncode", 1, uri_encode},
    {"coalesce", ENDPOINT_ANY_COUNT, coalesce},
    {"split", 3, split},
    {"ite", 3, if_then_else},
};

const struct endpoint_function_row *endpoint_function_find(const char *name) {
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
    if (strcmp(functions[i].name, name) == 0) return &functions[i];
  return NULL;
}
