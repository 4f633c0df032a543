/* Why a pattern does not match.  The question is put to the matcher itself, with one field more each time, so that the
 * answer cannot differ from what the workers do. */
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "match/build_internal.h"

#define EXPLAIN_RULES 64

struct question {
  const char *pattern, *event;
  size_t length, event_length;
  struct match_scratch *scratch;
  struct error *error;
};

/* A set of the whole pattern, or (`count` > 0) of one rule: `count` fields of the pattern's number `rule`, from `first`
 * on.  NULL with *error. */
static struct match_set *build_part(const struct question *question, size_t rule, size_t first, size_t count) {
  struct match_builder *builder = match_builder_open();
  if (!builder) {
    error_set(question->error, ERROR_FATAL, "Memory", "no memory left for the pattern");
    return NULL;
  }
  if (match_add(builder, 0, question->pattern, question->length, question->error) != 0) {
    match_builder_free(builder);
    return NULL;
  }
  if (count > 0) {
    builder->rules[0] = (struct match_rule){.fields = builder->rules[rule].fields + first, .count = count};
    builder->count = 1;
  }
  return match_build(builder, question->error);
}

/* Does the event meet them?  1, 0, or -1 with *error. */
static int meets(const struct question *question, size_t rule, size_t first, size_t count) {
  const uint32_t *ids;
  struct match_set *set = build_part(question, rule, first, count);
  if (!set) return -1;
  int met = match_run(set, question->scratch, question->event, question->event_length, &ids, question->error);
  match_set_free(set);
  return met;
}

/* How many fields of the rule, from the first on, are met together; -1 with *error. */
static int count_met(const struct question *question, size_t rule, size_t fields) {
  for (size_t count = 1; count < fields; count++) {
    int met = meets(question, rule, 0, count);
    if (met <= 0) return met < 0 ? -1 : (int)count - 1;
  }
  return (int)fields - 1; /* all of them are not: the pattern does not match */
}

/* ---- what the event has at a path ---- */

struct values {
  struct buffer text;
  size_t count;
};

static void add_value(struct values *values, const struct match_json *value) {
  if (values->count++ >= MATCH_REASON_VALUES) return;
  if (values->count > 1) buffer_add_text(&values->text, ", ");
  buffer_add(&values->text, value->raw, value->raw_length);
}

/* `path` NULL: its last step is taken. */
static void collect(struct values *values, const struct match_json *value, const char *path, size_t length) {
  const struct match_json *child = value->first;
  if (value->kind == MATCH_JSON_ARRAY)
    for (; child; child = child->next) collect(values, child, path, length);
  else if (value->kind != MATCH_JSON_OBJECT && !path)
    add_value(values, value);
  for (; value->kind == MATCH_JSON_OBJECT && path && child; child = child->next) {
    if (child->key_length > length || memcmp(child->key, path, child->key_length) != 0) continue;
    if (child->key_length == length)
      collect(values, child, NULL, 0);
    else if (path[child->key_length] == '.')
      collect(values, child, path + child->key_length + 1, length - child->key_length - 1);
  }
}

static int collect_values(const struct question *question, const struct match_field *field,
                          struct match_reason *reason) {
  struct match_arena arena = {.ceiling = MATCH_SCRATCH_BYTES};
  struct values values = {0};
  const struct match_json *event = match_json_read(&arena, question->event, question->event_length, question->error);
  if (event) {
    buffer_add_char(&values.text, '[');
    collect(&values, event, field->path, field->path_length);
    buffer_add_char(&values.text, ']');
    reason->had = buffer_take(&values.text);
    reason->had_count = values.count;
  }
  match_arena_free(&arena);
  return event ? 0 : -1;
}

static int fill_reason(const struct question *question, size_t rule, size_t number, const struct match_field *field,
                       struct match_reason *reason) {
  int alone = meets(question, rule, number, 1);
  if (alone < 0 || collect_values(question, field, reason) != 0) return -1;
  reason->apart = alone;
  reason->path = strndup(field->path, field->path_length);
  reason->wanted = strndup(question->pattern + field->written, field->written_length);
  if (reason->path && reason->wanted && reason->had) return 0;
  return error_set(question->error, ERROR_FATAL, "Memory", "no memory left for the explanation");
}

/* The rule that gets furthest, and where it stops. */
static int explain(const struct question *question, const struct match_rules *rules, struct match_reason *reason) {
  size_t best = 0;
  int most = -1;
  for (size_t r = 0; r < rules->count && r < EXPLAIN_RULES; r++) {
    int met = count_met(question, r, rules->rules[r].count);
    if (met < 0) return -1;
    if (met > most) best = r, most = met;
  }
  if (most < 0) return error_set(question->error, ERROR_FATAL, "Pattern", "the pattern has no rule");
  return fill_reason(question, best, (size_t)most, &rules->rules[best].fields[most], reason);
}

int match_explain(const char *pattern, size_t length, const char *event, size_t event_length,
                  struct match_reason *reason, struct error *error) {
  struct question question = {pattern, event, length, event_length, match_scratch_open(), error};
  struct match_arena arena = {.ceiling = MATCH_SET_BYTES};
  struct match_rules rules = {0};
  *reason = (struct match_reason){0};
  int result = question.scratch ? match_pattern_compile(&arena, pattern, length, &rules, error)
                                : error_set(error, ERROR_FATAL, "Memory", "no memory left for the pattern");
  if (result == 0) result = meets(&question, 0, 0, 0);
  if (result == 0) result = explain(&question, &rules, reason);
  match_arena_free(&arena);
  match_scratch_free(question.scratch);
  return result;
}

void match_reason_clear(struct match_reason *reason) {
  free(reason->path);
  free(reason->wanted);
  free(reason->had);
  *reason = (struct match_reason){0};
}
