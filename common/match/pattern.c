/* From a pattern's tree to rules: `$or` multiplied out, every field's alternatives compiled and checked.
 *
 * Fields are collected as drafts; a rule under construction is a list of draft numbers.  Where one path is given twice
 * in one rule, the later one replaces the earlier, as in event-ruler.  `$or` copies the rules made so far once for each
 * of its objects.  It is an ordinary field name where its value is not a list of objects, or is a list of match
 * expressions only (event-ruler accepts those from before `$or` was a word). */
#include "match/pattern_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"

int match_compiler_fail(struct match_compiler *compiler, const struct match_json *node, const char *what) {
  const char *path = buffer_text(&compiler->path);
  return error_set(compiler->error, ERROR_INVALID, "Pattern", "%.300s: %s (line %u, column %u)",
                   *path ? path : "the pattern", what, node->line, node->column);
}

int match_compiler_no_memory(struct match_compiler *compiler) {
  return error_set(compiler->error, ERROR_FATAL, "Memory", "no memory left for the pattern");
}

/* ---- lists that grow by doubling inside the arena ---- */

static void *grown(struct match_compiler *compiler, void *old, size_t count, size_t size) {
  if (count & (count - 1)) return old; /* grows at 0, 1, 2, 4, 8 … */
  void *fresh = match_arena_array(compiler->arena, count ? count * 2 : 1, size);
  if (!fresh) return NULL;
  if (count > 0) memcpy(fresh, old, count * size);
  return fresh;
}

static int add_number(struct match_compiler *compiler, struct numbers *numbers, uint32_t number) {
  uint32_t *items = grown(compiler, numbers->items, numbers->count, sizeof *items);
  if (!items) return match_compiler_no_memory(compiler);
  numbers->items = items;
  numbers->items[numbers->count++] = number;
  return 0;
}

static int copy_draft(struct match_compiler *compiler, const struct numbers *from, struct drafts *drafts) {
  struct numbers *rules = grown(compiler, drafts->rules, drafts->count, sizeof *rules);
  if (!rules) return match_compiler_no_memory(compiler);
  drafts->rules = rules;
  struct numbers *copy = &rules[drafts->count++];
  *copy = (struct numbers){0};
  for (size_t i = 0; i < from->count; i++)
    if (add_number(compiler, copy, from->items[i]) != 0) return -1;
  return 0;
}

/* ---- fields ---- */

static bool same_path(const struct match_field *a, const struct match_field *b) {
  return a->path_length == b->path_length && memcmp(a->path, b->path, a->path_length) == 0;
}

static int set_field(struct match_compiler *compiler, struct numbers *rule, uint32_t number) {
  for (size_t i = 0; i < rule->count; i++) {
    if (!same_path(&compiler->fields[rule->items[i]], &compiler->fields[number])) continue;
    rule->items[i] = number;
    return 0;
  }
  if (++compiler->entries > MATCH_PATTERN_FIELDS)
    return error_set(compiler->error, ERROR_INVALID, "Pattern", "the pattern has too many fields");
  return add_number(compiler, rule, number);
}

static int compare_predicates(const void *left, const void *right) {
  const struct match_predicate *a = left, *b = right;
  bool a_string = a->kind == MATCH_IS_STRING, b_string = b->kind == MATCH_IS_STRING;
  if (a_string != b_string) return a_string ? -1 : 1;
  if (!a_string) return (a->kind > b->kind) - (a->kind < b->kind);
  return match_string_order(a->text, a->length, b->text, b->length);
}

/* Takes ABSENT out, sorts the exact strings to the front. */
static void arrange(struct match_field *field, struct match_predicate *predicates, size_t count) {
  size_t kept = 0;
  for (size_t i = 0; i < count; i++) {
    if (predicates[i].kind == MATCH_IS_ABSENT)
      field->absent_allowed = true;
    else
      predicates[kept++] = predicates[i];
  }
  if (kept > 1) qsort(predicates, kept, sizeof *predicates, compare_predicates);
  while (field->strings < kept && predicates[field->strings].kind == MATCH_IS_STRING) field->strings++;
  field->predicates = predicates;
  field->count = kept;
}

static int compile_alternatives(struct match_compiler *compiler, const struct match_json *list,
                                struct match_predicate *predicates) {
  size_t index = 0;
  for (const struct match_json *value = list->first; value; value = value->next, index++) {
    size_t length = compiler->path.length;
    buffer_addf(&compiler->path, "[%zu]", index);
    if (match_operator_compile(compiler, value, &predicates[index]) != 0) return -1;
    match_path_cut(compiler, length);
  }
  return 0;
}

static int compile_field(struct match_compiler *compiler, const struct match_json *list, const struct buffer *path,
                         struct drafts *drafts) {
  if (list->count == 0) return match_compiler_fail(compiler, list, "the list of values must not be empty");
  struct match_predicate *predicates = match_arena_array(compiler->arena, list->count, sizeof *predicates);
  struct match_field *fields = grown(compiler, compiler->fields, compiler->field_count, sizeof *fields);
  if (!predicates || !fields) return match_compiler_no_memory(compiler);
  compiler->fields = fields;
  struct match_field field = {.path_length = path->length,
                              .written = (uint32_t)(list->raw - compiler->text),
                              .written_length = (uint32_t)list->raw_length};
  field.path = match_arena_copy(compiler->arena, buffer_text(path), path->length);
  if (!field.path) return match_compiler_no_memory(compiler);
  if (compile_alternatives(compiler, list, predicates) != 0) return -1;
  arrange(&field, predicates, list->count);
  uint32_t number = (uint32_t)compiler->field_count++;
  compiler->fields[number] = field;
  if (drafts->count == 0 && copy_draft(compiler, &(struct numbers){0}, drafts) != 0) return -1;
  for (size_t i = 0; i < drafts->count; i++)
    if (set_field(compiler, &drafts->rules[i], number) != 0) return -1;
  return 0;
}

/* ---- objects and $or ---- */

static int compile_object(struct match_compiler *compiler, const struct match_json *object, struct drafts *drafts,
                          bool inside_or);

static bool is_or(const struct match_json *member) {
  if (member->key_length != 3 || memcmp(member->key, "$or", 3) != 0) return false;
  if (member->kind != MATCH_JSON_ARRAY) return false;
  for (const struct match_json *element = member->first; element; element = element->next) {
    if (element->kind != MATCH_JSON_OBJECT) continue;
    if (!element->first || !match_operator_is_reserved(element->first)) return true;
  }
  return false;
}

static int compile_branch(struct match_compiler *compiler, const struct match_json *branch, const struct drafts *before,
                          struct drafts *after) {
  struct drafts drafts = {0};
  if (branch->kind != MATCH_JSON_OBJECT)
    return match_compiler_fail(compiler, branch, "$or takes a list of objects, nothing else");
  for (size_t i = 0; i < before->count; i++)
    if (copy_draft(compiler, &before->rules[i], &drafts) != 0) return -1;
  if (compile_object(compiler, branch, &drafts, true) != 0) return -1;
  if (after->count + drafts.count > MATCH_PATTERN_RULES)
    return match_compiler_fail(compiler, branch, "$or multiplies out to too many rules");
  for (size_t i = 0; i < drafts.count; i++) {
    if ((compiler->entries += drafts.rules[i].count) > MATCH_PATTERN_FIELDS)
      return match_compiler_fail(compiler, branch, "$or multiplies out to too many fields");
    if (copy_draft(compiler, &drafts.rules[i], after) != 0) return -1;
  }
  return 0;
}

static int compile_or(struct match_compiler *compiler, const struct match_json *list, struct drafts *drafts) {
  struct drafts after = {0};
  size_t index = 0, length = compiler->path.length;
  if (list->count < 2) return match_compiler_fail(compiler, list, "$or needs at least two objects");
  for (const struct match_json *branch = list->first; branch; branch = branch->next, index++) {
    buffer_addf(&compiler->path, "%s$or[%zu]", length ? "." : "", index);
    if (compile_branch(compiler, branch, drafts, &after) != 0) return -1;
    match_path_cut(compiler, length);
  }
  *drafts = after;
  return 0;
}

static int compile_member(struct match_compiler *compiler, const struct match_json *member, struct drafts *drafts,
                          bool inside_or) {
  if (is_or(member)) return compile_or(compiler, member, drafts);
  size_t shown = compiler->path.length, joined = compiler->joined.length;
  if (compiler->depth > 0) buffer_add_char(&compiler->joined, '.');
  buffer_add(&compiler->joined, member->key, member->key_length);
  if (shown > 0) buffer_add_char(&compiler->path, '.');
  buffer_add(&compiler->path, member->key, member->key_length);
  if (compiler->path.failed || compiler->joined.failed) return match_compiler_no_memory(compiler);
  if (inside_or && match_operator_is_reserved(member))
    return match_compiler_fail(compiler, member, "the name of an operator cannot be a field inside $or");
  int result;
  compiler->depth++;
  if (member->kind == MATCH_JSON_OBJECT)
    result = compile_object(compiler, member, drafts, inside_or);
  else if (member->kind == MATCH_JSON_ARRAY)
    result = compile_field(compiler, member, &compiler->joined, drafts);
  else
    result = match_compiler_fail(compiler, member, "must be an object or a list of values");
  compiler->depth--;
  if (result != 0) return -1;
  match_path_cut(compiler, shown);
  compiler->joined.length = joined;
  return 0;
}

static int compile_object(struct match_compiler *compiler, const struct match_json *object, struct drafts *drafts,
                          bool inside_or) {
  if (object->count == 0) return match_compiler_fail(compiler, object, "an empty object matches nothing");
  for (const struct match_json *member = object->first; member; member = member->next)
    if (compile_member(compiler, member, drafts, inside_or) != 0) return -1;
  return 0;
}

static int finish(struct match_compiler *compiler, const struct drafts *drafts, struct match_rules *rules) {
  rules->count = drafts->count;
  rules->rules = match_arena_array(compiler->arena, drafts->count, sizeof *rules->rules);
  if (!rules->rules) return match_compiler_no_memory(compiler);
  for (size_t i = 0; i < drafts->count; i++) {
    const struct numbers *draft = &drafts->rules[i];
    if (draft->count > MATCH_RULE_FIELDS)
      return error_set(compiler->error, ERROR_INVALID, "Pattern", "the pattern has more than %u fields",
                       MATCH_RULE_FIELDS);
    struct match_field *fields = match_arena_array(compiler->arena, draft->count, sizeof *fields);
    if (!fields) return match_compiler_no_memory(compiler);
    for (size_t f = 0; f < draft->count; f++) fields[f] = compiler->fields[draft->items[f]];
    rules->rules[i] = (struct match_rule){.fields = fields, .count = draft->count};
  }
  return 0;
}

int match_pattern_compile(struct match_arena *arena, const char *pattern, size_t length, struct match_rules *rules,
                          struct error *error) {
  struct match_compiler compiler = {.arena = arena, .error = error, .text = pattern};
  struct drafts drafts = {0};
  int result = -1;
  if (length > MATCH_PATTERN_BYTES) return error_set(error, ERROR_INVALID, "Pattern", "the pattern is too long");
  const struct match_json *root = match_json_read(arena, pattern, length, error);
  if (!root) return -1;
  if (root->kind != MATCH_JSON_OBJECT)
    match_compiler_fail(&compiler, root, "must be an object");
  else if (compile_object(&compiler, root, &drafts, false) == 0)
    result = finish(&compiler, &drafts, rules);
  buffer_free(&compiler.path);
  buffer_free(&compiler.joined);
  return result;
}
