/* Parameters against the model, as strict as botocore's validation: unknown members, missing ones, wrong types, numbers
 * and lengths below the minimum.  Members that are null count as absent.
 *
 * In a playbook parameters are templates: a string that is one whole "${…}" may become anything, so it fits every
 * shape; a string with "${" inside becomes text, so it fits wherever text does. */
#include <math.h>
#include <string.h>

#include "aws/protocol_internal.h"
#include "base/config.h"

/* Where we are, as a chain on the stack: rendered as a JSON pointer only when something is wrong. */
struct place {
  const struct place *up;
  const char *name; /* NULL: an array's index */
  size_t index;
};

struct checking {
  const struct aws_service *service;
  int templates;
  struct error *error;
};

static int check(struct checking *checking, const struct aws_reference *reference, const json_t *value,
                 const struct place *place, int depth);

static void add_place(struct buffer *to, const struct place *place) {
  if (!place) return;
  add_place(to, place->up);
  if (!place->name) {
    buffer_addf(to, "/%zu", place->index);
    return;
  }
  buffer_add_char(to, '/');
  for (const char *byte = place->name; *byte; byte++)
    if (*byte == '~' || *byte == '/')
      buffer_add_text(to, *byte == '~' ? "~0" : "~1");
    else
      buffer_add_char(to, *byte);
}

static int wrong_at(struct checking *checking, const struct place *place) {
  struct buffer where = {.ceiling = 4096};
  add_place(&where, place);
  error_where(checking->error, "%s", buffer_text(&where));
  buffer_free(&where);
  return -1;
}

static const char *type_words[AWS_TYPE_COUNT] = {
    [AWS_TYPE_STRUCTURE] = "an object",    [AWS_TYPE_LIST] = "a list",
    [AWS_TYPE_MAP] = "an object",          [AWS_TYPE_STRING] = "a string",
    [AWS_TYPE_INTEGER] = "a whole number", [AWS_TYPE_LONG] = "a whole number",
    [AWS_TYPE_FLOAT] = "a number",         [AWS_TYPE_DOUBLE] = "a number",
    [AWS_TYPE_BOOLEAN] = "true or false",  [AWS_TYPE_TIMESTAMP] = "a timestamp (RFC 3339 or epoch seconds)",
    [AWS_TYPE_BLOB] = "a base64 string",
};

static const char *word_of(const json_t *value) {
  switch (json_typeof(value)) {
    case JSON_OBJECT:
      return "an object";
    case JSON_ARRAY:
      return "a list";
    case JSON_STRING:
      return "a string";
    case JSON_INTEGER:
    case JSON_REAL:
      return "a number";
    case JSON_NULL:
      return "null";
    default:
      return "a boolean";
  }
}

static int wrong_type(struct checking *checking, const struct aws_shape *shape, const json_t *value,
                      const struct place *place) {
  error_set(checking->error, ERROR_INVALID, "WrongType", "%s is due here (%s), not %s", type_words[shape->type],
            shape->name, word_of(value));
  return wrong_at(checking, place);
}

static int unknown_member(struct checking *checking, const struct aws_shape *shape, const char *name,
                          const struct place *place) {
  const char *names[512];
  int count = 0;
  for (; count < shape->member_count && count < 511; count++) names[count] = shape->members[count].name;
  names[count] = NULL;
  const char *nearest = config_nearest(name, names);
  if (nearest)
    error_set(checking->error, ERROR_INVALID, "UnknownParameter", "\"%s\" is not a member of %s; did you mean \"%s\"?",
              name, shape->name, nearest);
  else
    error_set(checking->error, ERROR_INVALID, "UnknownParameter", "\"%s\" is not a member of %s", name, shape->name);
  return wrong_at(checking, place);
}

static int check_required(struct checking *checking, const struct aws_shape *shape, const json_t *value,
                          const struct place *place) {
  for (int i = 0; i < shape->member_count; i++) {
    const struct aws_reference *member = &shape->members[i];
    if (!member->required || aws_has(member, AWS_IDEMPOTENCY_TOKEN)) continue;
    const json_t *given = json_object_get(value, member->name);
    if (given && !json_is_null(given)) continue;
    error_set(checking->error, ERROR_INVALID, "MissingParameter", "%s needs \"%s\"", shape->name, member->name);
    return wrong_at(checking, place);
  }
  return 0;
}

static int check_union(struct checking *checking, const struct aws_shape *shape, size_t given,
                       const struct place *place) {
  if (!(shape->traits.flags & AWS_UNION) || given == 1) return 0;
  error_set(checking->error, ERROR_INVALID, "InvalidUnion", "%s takes exactly one of its members", shape->name);
  return wrong_at(checking, place);
}

static int check_structure(struct checking *checking, const struct aws_shape *shape, const json_t *value,
                           const struct place *place, int depth) {
  const char *name;
  json_t *inner;
  size_t given = 0;
  json_object_foreach((json_t *)value, name, inner) {
    struct place here = {.up = place, .name = name};
    const struct aws_reference *member = aws_shape_member(shape, name, strlen(name));
    if (!member) return unknown_member(checking, shape, name, &here);
    if (json_is_null(inner)) continue;
    given++;
    if (check(checking, member, inner, &here, depth + 1) != 0) return -1;
  }
  if (check_union(checking, shape, given, place) != 0) return -1;
  return check_required(checking, shape, value, place);
}

static int check_minimum(struct checking *checking, const struct aws_reference *reference,
                         const struct aws_shape *shape, double size, const struct place *place) {
  double minimum = shape->has_minimum ? shape->minimum : aws_has(reference, AWS_HOST_LABEL) ? 1 : -INFINITY;
  if (!(size < minimum)) return 0;
  error_set(checking->error, ERROR_INVALID, "BelowMinimum", "%s is at least %g", shape->name, minimum);
  return wrong_at(checking, place);
}

static int check_list(struct checking *checking, const struct aws_shape *shape, const json_t *value,
                      const struct place *place, int depth) {
  size_t i;
  json_t *inner;
  json_array_foreach((json_t *)value, i, inner) {
    struct place here = {.up = place, .index = i};
    if (check(checking, &shape->members[0], inner, &here, depth + 1) != 0) return -1;
  }
  return 0;
}

static int check_map(struct checking *checking, const struct aws_shape *shape, const json_t *value,
                     const struct place *place, int depth) {
  const char *name;
  json_t *inner;
  json_object_foreach((json_t *)value, name, inner) {
    struct place here = {.up = place, .name = name};
    if (!json_is_null(inner) && check(checking, &shape->members[1], inner, &here, depth + 1) != 0) return -1;
  }
  return 0;
}

static int is_whole(const json_t *value) {
  if (!json_is_real(value)) return json_is_integer(value);
  double number = json_real_value(value);
  return number == floor(number) && fabs(number) < 9e15;
}

static int is_float(const json_t *value) {
  double number;
  return json_is_number(value) ||
         (json_is_string(value) && aws_number_parse(json_string_value(value), &number) == 0 && !isfinite(number));
}

static int fits(const struct aws_shape *shape, const json_t *value) {
  int64_t time;
  switch (shape->type) {
    case AWS_TYPE_STRUCTURE:
    case AWS_TYPE_MAP:
      return json_is_object(value);
    case AWS_TYPE_LIST:
      return json_is_array(value);
    case AWS_TYPE_STRING:
    case AWS_TYPE_BLOB:
      return json_is_string(value);
    case AWS_TYPE_INTEGER:
    case AWS_TYPE_LONG:
      return is_whole(value);
    case AWS_TYPE_FLOAT:
    case AWS_TYPE_DOUBLE:
      return is_float(value);
    case AWS_TYPE_BOOLEAN:
      return json_is_boolean(value);
    default:
      return aws_time_from_json(value, &time) == 0;
  }
}

/* Characters, not bytes: botocore's minimum of a string counts them. */
static double size_of(const json_t *value) {
  if (json_is_array(value)) return (double)json_array_size(value);
  if (json_is_number(value)) return json_number_value(value);
  double count = 0;
  const char *text = json_string_value(value);
  for (size_t i = 0; i < json_string_length(value); i++) count += ((unsigned char)text[i] & 0xC0) != 0x80;
  return count;
}

/* Does the string stand for something that is known only when the playbook runs? */
static int is_template(const struct aws_shape *shape, const json_t *value) {
  const char *text = json_string_value(value);
  if (!text || !strstr(text, "${")) return 0;
  size_t length = json_string_length(value);
  int whole = strncmp(text, "${", 2) == 0 && text[length - 1] == '}' && !strstr(text + 2, "${");
  return whole || shape->type == AWS_TYPE_STRING || shape->type == AWS_TYPE_BLOB || shape->type == AWS_TYPE_TIMESTAMP;
}

static int check(struct checking *checking, const struct aws_reference *reference, const json_t *value,
                 const struct place *place, int depth) {
  const struct aws_shape *shape = aws_resolve(checking->service, reference, checking->error);
  if (!shape) return -1;
  if (depth > AWS_DEPTH_CEILING) {
    error_set(checking->error, ERROR_INVALID, "TooDeep", "parameters are nested too deep");
    return wrong_at(checking, place);
  }
  int is_document = aws_has(reference, AWS_DOCUMENT) && shape->type == AWS_TYPE_STRUCTURE;
  int is_json_header = aws_has(reference, AWS_JSON_VALUE) && reference->traits.location == AWS_IN_HEADER;
  if (is_document || is_json_header || (checking->templates && is_template(shape, value))) return 0;
  if (!fits(shape, value)) return wrong_type(checking, shape, value, place);
  if (shape->type == AWS_TYPE_STRUCTURE) return check_structure(checking, shape, value, place, depth);
  int sized = shape->type == AWS_TYPE_LIST || json_is_number(value) || shape->type == AWS_TYPE_STRING;
  if (sized && check_minimum(checking, reference, shape, size_of(value), place) != 0) return -1;
  if (shape->type == AWS_TYPE_LIST) return check_list(checking, shape, value, place, depth);
  return shape->type == AWS_TYPE_MAP ? check_map(checking, shape, value, place, depth) : 0;
}

int aws_check_params(const struct aws_service *service, const struct aws_reference *input, const json_t *params,
                     int templates, struct error *error) {
  struct checking checking = {.service = service, .templates = templates, .error = error};
  if (input) return check(&checking, input, params, NULL, 0);
  if (json_object_size(params) == 0) return 0;
  return error_set(error, ERROR_INVALID, "UnknownParameter", "the operation takes no parameters");
}
