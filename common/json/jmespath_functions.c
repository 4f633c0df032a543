/* The functions of the specification, and how any function is called. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json/jmespath_internal.h"

static json_t *number(struct jmes_call *call, double value) {
  json_t *result = json_number_new(value);
  if (!result && !isfinite(value))
    return jmes_fail(call->evaluation, call->node, "invalid-value", "the result is beyond the range of a number");
  return result ? result : jmes_fail_memory(call->evaluation);
}

static json_t *or_memory(struct jmes_call *call, json_t *value) {
  return value ? value : jmes_fail_memory(call->evaluation);
}

/* A new string out of what was collected; frees the buffer.  A buffer that failed far from its ceiling lacked memory.
 */
static json_t *text(struct jmes_call *call, struct buffer *buffer) {
  json_t *result = NULL;
  if (buffer->failed && buffer->length < BUFFER_CEILING / 2)
    jmes_fail_memory(call->evaluation);
  else if (buffer->failed)
    jmes_fail(call->evaluation, call->node, "limit", "the text becomes too long");
  else if (jmes_spend(call->evaluation, &call->evaluation->bytes, buffer->length) == 0)
    result = or_memory(call, json_stringn_nocheck(buffer_text(buffer), buffer->length));
  buffer_free(buffer);
  return result;
}

/* ---- numbers ---- */

static json_t *call_abs(struct jmes_call *call) {
  json_t *argument = call->arguments[0];
  if (json_is_integer(argument) && json_integer_value(argument) != LLONG_MIN)
    return or_memory(call, json_integer(llabs(json_integer_value(argument))));
  return number(call, fabs(json_number_value(argument)));
}

static json_t *call_ceil(struct jmes_call *call) {
  if (json_is_integer(call->arguments[0])) return json_incref(call->arguments[0]);
  return number(call, ceil(json_real_value(call->arguments[0])));
}

static json_t *call_floor(struct jmes_call *call) {
  if (json_is_integer(call->arguments[0])) return json_incref(call->arguments[0]);
  return number(call, floor(json_real_value(call->arguments[0])));
}

/* Integers are added as integers as long as they fit. */
static json_t *sum_of(struct jmes_call *call, json_t *numbers) {
  long long whole = 0;
  size_t i = 0, size = json_array_size(numbers);
  while (i < size && json_is_integer(json_array_get(numbers, i)) &&
         !__builtin_add_overflow(whole, json_integer_value(json_array_get(numbers, i)), &whole))
    i++;
  if (i == size) return or_memory(call, json_integer(whole));
  double sum = 0;
  for (i = 0; i < size; i++) sum += json_number_value(json_array_get(numbers, i));
  return number(call, sum);
}

static json_t *call_sum(struct jmes_call *call) { return sum_of(call, call->arguments[0]); }

static json_t *call_avg(struct jmes_call *call) {
  size_t size = json_array_size(call->arguments[0]);
  if (size == 0) return json_null();
  json_t *sum = sum_of(call, call->arguments[0]);
  if (!sum) return NULL;
  double total = json_number_value(sum);
  json_decref(sum);
  return number(call, total / (double)size);
}

/* Only what is spelled as a JSON number is one. */
static json_t *call_to_number(struct jmes_call *call) {
  json_t *argument = call->arguments[0];
  if (json_is_number(argument)) return json_incref(argument);
  const char *spelled = json_string_value(argument);
  size_t length = json_string_length(argument);
  if (length == 0 || strspn(spelled, "+-.0123456789eE") != length) return json_null();
  json_t *parsed = json_parse(spelled, length, NULL);
  return parsed ? parsed : json_null();
}

/* ---- strings ---- */

static json_t *call_starts_with(struct jmes_call *call) {
  json_t *subject = call->arguments[0], *prefix = call->arguments[1];
  size_t length = json_string_length(prefix);
  return json_boolean(length <= json_string_length(subject) &&
                      memcmp(json_string_value(subject), json_string_value(prefix), length) == 0);
}

static json_t *call_ends_with(struct jmes_call *call) {
  json_t *subject = call->arguments[0], *suffix = call->arguments[1];
  size_t length = json_string_length(suffix), all = json_string_length(subject);
  return json_boolean(length <= all &&
                      memcmp(json_string_value(subject) + all - length, json_string_value(suffix), length) == 0);
}

static json_t *call_contains(struct jmes_call *call) {
  json_t *subject = call->arguments[0], *wanted = call->arguments[1];
  if (json_is_string(subject))
    return json_boolean(json_is_string(wanted) && memmem(json_string_value(subject), json_string_length(subject),
                                                         json_string_value(wanted), json_string_length(wanted)));
  int equal = 0;
  for (size_t i = 0; equal == 0 && i < json_array_size(subject); i++)
    equal = jmes_equal(call->evaluation, json_array_get(subject, i), wanted);
  return equal < 0 ? NULL : json_boolean(equal);
}

static json_t *call_join(struct jmes_call *call) {
  struct buffer joined = {0};
  json_t *between = call->arguments[0], *strings = call->arguments[1];
  for (size_t i = 0; i < json_array_size(strings); i++) {
    if (i > 0) buffer_add(&joined, json_string_value(between), json_string_length(between));
    buffer_add(&joined, json_string_value(json_array_get(strings, i)), json_string_length(json_array_get(strings, i)));
  }
  return text(call, &joined);
}

static json_t *call_to_string(struct jmes_call *call) {
  if (json_is_string(call->arguments[0])) return json_incref(call->arguments[0]);
  struct buffer written = {0};
  if (json_add_text(&written, call->arguments[0]) != 0) written.failed = 1;
  return text(call, &written);
}

/* ---- strings, arrays, objects ---- */

/* Characters, that is, code points. */
static size_t string_characters(const json_t *string) {
  size_t characters = 0;
  for (size_t i = 0; i < json_string_length(string); i++)
    characters += ((unsigned char)json_string_value(string)[i] & 0xC0) != 0x80;
  return characters;
}

static json_t *call_length(struct jmes_call *call) {
  json_t *argument = call->arguments[0];
  size_t length = json_is_string(argument)  ? string_characters(argument)
                  : json_is_array(argument) ? json_array_size(argument)
                                            : json_object_size(argument);
  return or_memory(call, json_integer((json_int_t)length));
}

static json_t *reverse_string(struct jmes_call *call) {
  struct buffer reversed = {0};
  const char *start = json_string_value(call->arguments[0]), *end = start + json_string_length(call->arguments[0]);
  for (const char *at = end; at > start; end = at) {
    do at--;
    while (at > start && ((unsigned char)*at & 0xC0) == 0x80);
    buffer_add(&reversed, at, (size_t)(end - at));
  }
  return text(call, &reversed);
}

static json_t *call_reverse(struct jmes_call *call) {
  json_t *array = call->arguments[0];
  if (json_is_string(array)) return reverse_string(call);
  json_t *reversed = or_memory(call, json_array());
  for (size_t i = json_array_size(array); reversed && i > 0; i--)
    if (jmes_append(call->evaluation, reversed, json_incref(json_array_get(array, i - 1))) != 0) {
      json_decref(reversed);
      return NULL;
    }
  return reversed;
}

static json_t *object_parts(struct jmes_call *call, json_t *part_of(void *at)) {
  json_t *object = call->arguments[0], *parts = or_memory(call, json_array());
  for (void *at = json_object_iter(object); parts && at; at = json_object_iter_next(object, at)) {
    json_t *part = or_memory(call, part_of(at));
    if (jmes_append(call->evaluation, parts, part) != 0) {
      json_decref(parts);
      return NULL;
    }
  }
  return parts;
}

static json_t *key_of(void *at) { return json_stringn_nocheck(json_object_iter_key(at), json_object_iter_key_len(at)); }
static json_t *value_of(void *at) { return json_incref(json_object_iter_value(at)); }
static json_t *call_keys(struct jmes_call *call) { return object_parts(call, key_of); }
static json_t *call_values(struct jmes_call *call) { return object_parts(call, value_of); }

static json_t *call_merge(struct jmes_call *call) {
  json_t *merged = or_memory(call, json_object());
  for (size_t i = 0; merged && i < call->count; i++)
    if (jmes_spend(call->evaluation, &call->evaluation->nodes, json_object_size(call->arguments[i])) != 0 ||
        (json_object_update(merged, call->arguments[i]) != 0 && !jmes_fail_memory(call->evaluation))) {
      json_decref(merged);
      return NULL;
    }
  return jmes_measure(call->evaluation, merged);
}

static json_t *call_to_array(struct jmes_call *call) {
  if (json_is_array(call->arguments[0])) return json_incref(call->arguments[0]);
  json_t *array = or_memory(call, json_array());
  if (array && jmes_append(call->evaluation, array, json_incref(call->arguments[0])) != 0) {
    json_decref(array);
    return NULL;
  }
  return jmes_measure(call->evaluation, array);
}

static json_t *call_map(struct jmes_call *call) {
  json_t *array = call->arguments[1], *mapped = or_memory(call, json_array());
  for (size_t i = 0; mapped && i < json_array_size(array); i++) {
    json_t *item = jmes_evaluate(call->evaluation, call->reference, json_array_get(array, i));
    if (jmes_append(call->evaluation, mapped, item) != 0) {
      json_decref(mapped);
      return NULL;
    }
  }
  return jmes_measure(call->evaluation, mapped);
}

static json_t *call_not_null(struct jmes_call *call) {
  for (size_t i = 0; i < call->count; i++)
    if (!json_is_null(call->arguments[i])) return json_incref(call->arguments[i]);
  return json_null();
}

static json_t *call_type(struct jmes_call *call) {
  return or_memory(call, json_string(jmes_type_name(call->arguments[0])));
}

/* ---- the table, sorted by name ---- */

static const struct jmes_builtin builtins[] = {
    {"abs", 1, 1, {TYPE_NUMBER}, call_abs},
    {"avg", 1, 1, {TYPE_NUMBERS}, call_avg},
    {"ceil", 1, 1, {TYPE_NUMBER}, call_ceil},
    {"contains", 2, 2, {TYPE_ARRAY | TYPE_STRING, TYPE_ANY}, call_contains},
    {"ends_with", 2, 2, {TYPE_STRING}, call_ends_with},
    {"floor", 1, 1, {TYPE_NUMBER}, call_floor},
    {"join", 2, 2, {TYPE_STRING, TYPE_STRINGS}, call_join},
    {"keys", 1, 1, {TYPE_OBJECT}, call_keys},
    {"length", 1, 1, {TYPE_STRING | TYPE_ARRAY | TYPE_OBJECT}, call_length},
    {"map", 2, 2, {TYPE_REFERENCE, TYPE_ARRAY}, call_map},
    {"max", 1, 1, {TYPE_NUMBERS | TYPE_STRINGS}, jmes_call_max},
    {"max_by", 2, 2, {TYPE_ARRAY, TYPE_REFERENCE}, jmes_call_max_by},
    {"merge", 1, JMES_VARIADIC, {TYPE_OBJECT}, call_merge},
    {"min", 1, 1, {TYPE_NUMBERS | TYPE_STRINGS}, jmes_call_min},
    {"min_by", 2, 2, {TYPE_ARRAY, TYPE_REFERENCE}, jmes_call_min_by},
    {"not_null", 1, JMES_VARIADIC, {TYPE_ANY}, call_not_null},
    {"reverse", 1, 1, {TYPE_STRING | TYPE_ARRAY}, call_reverse},
    {"sort", 1, 1, {TYPE_NUMBERS | TYPE_STRINGS}, jmes_call_sort},
    {"sort_by", 2, 2, {TYPE_ARRAY, TYPE_REFERENCE}, jmes_call_sort_by},
    {"starts_with", 2, 2, {TYPE_STRING}, call_starts_with},
    {"sum", 1, 1, {TYPE_NUMBERS}, call_sum},
    {"to_array", 1, 1, {TYPE_ANY}, call_to_array},
    {"to_number", 1, 1, {TYPE_ANY}, call_to_number},
    {"to_string", 1, 1, {TYPE_ANY}, call_to_string},
    {"type", 1, 1, {TYPE_ANY}, call_type},
    {"values", 1, 1, {TYPE_OBJECT}, call_values},
};

static int compare_names(const void *name, const void *builtin) {
  return strcmp(name, ((const struct jmes_builtin *)builtin)->name);
}

const struct jmes_builtin *jmes_builtin_find(const char *name) {
  return bsearch(name, builtins, sizeof builtins / sizeof *builtins, sizeof *builtins, compare_names);
}

unsigned jmes_builtin_types(const struct jmes_builtin *builtin, size_t argument) {
  return argument > 0 && builtin->types[1] ? builtin->types[1] : builtin->types[0];
}

/* ---- calling ---- */

static const struct {
  const char *name;
  unsigned type;
} type_names[] = {
    [JSON_OBJECT] = {"object", TYPE_OBJECT},  [JSON_ARRAY] = {"array", TYPE_ARRAY},
    [JSON_STRING] = {"string", TYPE_STRING},  [JSON_INTEGER] = {"number", TYPE_NUMBER},
    [JSON_REAL] = {"number", TYPE_NUMBER},    [JSON_TRUE] = {"boolean", TYPE_BOOLEAN},
    [JSON_FALSE] = {"boolean", TYPE_BOOLEAN}, [JSON_NULL] = {"null", TYPE_NULL},
};

const char *jmes_type_name(const json_t *value) { return type_names[json_typeof(value)].name; }

static int all_of(const json_t *array, unsigned type) {
  for (size_t i = 0; i < json_array_size(array); i++)
    if (type_names[json_typeof(json_array_get(array, i))].type != type) return 0;
  return 1;
}

static int fits(const json_t *value, unsigned types) {
  if (type_names[json_typeof(value)].type & types) return 1;
  if (!json_is_array(value)) return 0;
  return ((types & TYPE_NUMBERS) && all_of(value, TYPE_NUMBER)) ||
         ((types & TYPE_STRINGS) && all_of(value, TYPE_STRING));
}

static void describe_types(unsigned types, char *to, size_t size) {
  static const struct {
    unsigned type;
    const char *name;
  } words[] = {{TYPE_NULL, "null"},
               {TYPE_BOOLEAN, "a boolean"},
               {TYPE_NUMBER, "a number"},
               {TYPE_STRING, "a string"},
               {TYPE_ARRAY, "an array"},
               {TYPE_OBJECT, "an object"},
               {TYPE_NUMBERS, "an array of numbers"},
               {TYPE_STRINGS, "an array of strings"}};
  size_t used = 0;
  to[0] = '\0';
  for (size_t i = 0; i < sizeof words / sizeof *words && used < size; i++)
    if (types & words[i].type)
      used += (size_t)snprintf(to + used, size - used, "%s%s", used ? " or " : "", words[i].name);
}

static int check_type(struct jmes_call *call, const struct jmes_builtin *builtin, size_t index) {
  unsigned types = jmes_builtin_types(builtin, index);
  json_t *argument = call->arguments[index];
  if (json_is_array(argument) && jmes_spend(call->evaluation, &call->evaluation->steps, json_array_size(argument)) != 0)
    return -1;
  if (fits(argument, types)) return 0;
  char wanted[128];
  describe_types(types, wanted, sizeof wanted);
  jmes_fail(call->evaluation, call->node, "invalid-type", "argument %zu of %s() must be %s; it is of type %s",
            index + 1, builtin->name, wanted, jmes_type_name(argument));
  return -1;
}

static json_t *call_native(struct jmes_call *call, const struct jmes_function *native) {
  struct error *error = call->evaluation->error;
  error_clear(error);
  json_t *result = native->call(call->arguments, call->count, call->evaluation->scope, error);
  if (!result && error->class == ERROR_NONE)
    return jmes_fail(call->evaluation, call->node, "invalid-value", "%s() failed", native->name);
  return jmes_measure(call->evaluation, result);
}

/* Fills the arguments one by one; 0 or -1 with the error. */
static int evaluate_arguments(struct jmes_call *call, const struct jmes_node *node, json_t *current) {
  const struct jmes_node *nodes = call->evaluation->expression->nodes;
  uint32_t at = node->left;
  for (size_t i = 0; i < node->count; i++, at = nodes[at].next) {
    if (nodes[at].type == NODE_REFERENCE) {
      call->reference = nodes[at].left;
      continue;
    }
    call->arguments[i] = jmes_evaluate(call->evaluation, at, current);
    if (!call->arguments[i] || (node->builtin && check_type(call, node->builtin, i) != 0)) return -1;
  }
  return 0;
}

json_t *jmes_call_function(struct jmes_evaluation *evaluation, uint32_t index, json_t *current) {
  const struct jmes_node *node = &evaluation->expression->nodes[index];
  struct jmes_call call = {.evaluation = evaluation, .node = index, .reference = JMES_NONE, .count = node->count};
  call.arguments = calloc(node->count + 1, sizeof(json_t *));
  if (!call.arguments) return jmes_fail_memory(evaluation);
  json_t *result = NULL;
  if (evaluate_arguments(&call, node, current) == 0)
    result = node->builtin ? node->builtin->call(&call) : call_native(&call, node->native);
  for (size_t i = 0; i < call.count; i++) json_decref(call.arguments[i]);
  free(call.arguments);
  return result;
}
