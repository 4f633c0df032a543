/* A template is a tree that mirrors the JSON value.  Containers are made anew by each rendering, so that the caller may
 * add to them; scalars and what expressions give are shared. */
#include "json/template.h"

#include <stdlib.h>
#include <string.h>

#include "json/value_internal.h"

#define TEMPLATE_TEXT ((size_t)16 << 20) /* of one string that is put together */

enum part_type {
  PART_VALUE,      /* as it is */
  PART_EXPRESSION, /* one whole ${…} */
  PART_TEXT,       /* pieces of text and expressions */
  PART_ARRAY,
  PART_OBJECT,
};

struct part {
  enum part_type type;
  char *key;               /* in an object */
  json_t *value;           /* PART_VALUE; inside a PART_TEXT a string */
  struct jmes *expression; /* PART_EXPRESSION */
  struct part *parts;
  size_t count, capacity;
};

struct template {
  struct part root;
};

struct compiler {
  const struct jmes_function *functions;
  struct error *error;
  struct buffer pointer; /* of the current value: for errors */
};

static void free_part(struct part *part) {
  for (size_t i = 0; i < part->count; i++) free_part(&part->parts[i]);
  free(part->parts);
  free(part->key);
  json_decref(part->value);
  jmes_free(part->expression);
}

static int fail_memory(struct error *error) { return error_set(error, ERROR_FATAL, "memory", "out of memory"); }

/* A new, zeroed part of `whole`; NULL when memory ran out. */
static struct part *add_part(struct part *whole) {
  if (whole->count == whole->capacity) {
    size_t capacity = whole->capacity ? whole->capacity * 2 : 4;
    struct part *parts = realloc(whole->parts, capacity * sizeof *parts);
    if (!parts) return NULL;
    whole->parts = parts;
    whole->capacity = capacity;
  }
  struct part *part = &whole->parts[whole->count++];
  memset(part, 0, sizeof *part);
  return part;
}

/* ---- strings ---- */

/* Behind the opening quote: the place behind the closing one, or the end of the text. */
static const char *skip_quoted(const char *at, char quote) {
  while (*at && *at != quote) at += at[0] == '\\' && at[1] ? 2 : 1;
  return *at ? at + 1 : at;
}

/* The '}' that ends the expression that begins at `at`, or NULL. Braces in quotes and balanced ones do not count. */
static const char *expression_end(const char *at) {
  for (size_t open = 0; *at;) {
    char c = *at++;
    if (c == '\'' || c == '"' || c == '`')
      at = skip_quoted(at, c);
    else if (c == '{')
      open++;
    else if (c == '}' && open-- == 0)
      return at - 1;
  }
  return NULL;
}

static int add_expression(struct compiler *compiler, struct part *whole, const char *start, const char *end) {
  struct part *part = add_part(whole);
  char *text = strndup(start, (size_t)(end - start));
  if (!part || !text) {
    free(text);
    return fail_memory(compiler->error);
  }
  part->type = PART_EXPRESSION;
  part->expression = jmes_compile(text, compiler->functions, compiler->error);
  free(text);
  return part->expression ? 0 : -1;
}

static int add_text(struct compiler *compiler, struct part *whole, struct buffer *text) {
  int result = text->failed ? -1 : 0;
  if (text->length > 0 && result == 0) {
    struct part *part = add_part(whole);
    if (part) part->value = json_stringn_nocheck(buffer_text(text), text->length);
    result = part && part->value ? 0 : -1;
  }
  buffer_clear(text);
  return result == 0 ? 0 : fail_memory(compiler->error);
}

/* Cuts a string into text and expressions; `text` is where text is collected. */
static int cut(struct compiler *compiler, struct part *whole, const char *string, struct buffer *text) {
  for (const char *at = string; *at;) {
    if (strncmp(at, "$${", 3) == 0) {
      buffer_add_text(text, "${");
      at += 3;
    } else if (strncmp(at, "${", 2) == 0) {
      const char *end = expression_end(at + 2);
      if (!end) return error_set(compiler->error, ERROR_INVALID, "syntax", "the '}' that ends \"${\" is missing");
      if (add_text(compiler, whole, text) != 0 || add_expression(compiler, whole, at + 2, end) != 0) return -1;
      at = end + 1;
    } else {
      buffer_add_char(text, *at++);
    }
  }
  return add_text(compiler, whole, text);
}

static int compile_string(struct compiler *compiler, struct part *part, const json_t *value) {
  struct buffer text = {0};
  if (strlen(json_string_value(value)) != json_string_length(value))
    return error_set(compiler->error, ERROR_INVALID, "syntax", "NUL inside a template");
  int result = cut(compiler, part, json_string_value(value), &text);
  buffer_free(&text);
  part->type = PART_TEXT;
  if (result == 0 && part->count == 1 && part->parts[0].type == PART_EXPRESSION) { /* it keeps its type */
    part->type = PART_EXPRESSION;
    part->expression = part->parts[0].expression;
    part->parts[0].expression = NULL;
  }
  return result;
}

/* ---- containers ---- */

static int compile(struct compiler *compiler, struct part *part, const json_t *value, int depth);

/* Compiles into a new part of `whole`, whose place is `token`. */
static int compile_below(struct compiler *compiler, struct part *whole, const json_t *value, const char *token,
                         int depth) {
  size_t length = compiler->pointer.length;
  buffer_add_char(&compiler->pointer, '/');
  for (const char *at = token; *at; at++)
    if (*at == '~' || *at == '/')
      buffer_add_text(&compiler->pointer, *at == '~' ? "~0" : "~1");
    else
      buffer_add_char(&compiler->pointer, *at);
  struct part *part = add_part(whole);
  if (!part || compiler->pointer.failed) return fail_memory(compiler->error);
  if (whole->type == PART_OBJECT && !(part->key = strdup(token))) return fail_memory(compiler->error);
  int result = compile(compiler, part, value, depth + 1);
  if (result == 0) {
    compiler->pointer.length = length;
    compiler->pointer.data[length] = '\0';
  }
  return result;
}

static int compile_array(struct compiler *compiler, struct part *part, const json_t *value, int depth) {
  size_t index;
  json_t *element;
  part->type = PART_ARRAY;
  json_array_foreach(value, index, element) {
    char token[24];
    snprintf(token, sizeof token, "%zu", index);
    if (compile_below(compiler, part, element, token, depth) != 0) return -1;
  }
  return 0;
}

static int compile_object(struct compiler *compiler, struct part *part, const json_t *value, int depth) {
  json_t *object = (json_t *)value;
  part->type = PART_OBJECT;
  for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at)) {
    if (compile_below(compiler, part, json_object_iter_value(at), json_object_iter_key(at), depth) != 0) return -1;
  }
  return 0;
}

static int compile_value(struct part *part, const json_t *value, struct error *error) {
  part->type = PART_VALUE;
  part->value = json_deep_copy(value);
  return part->value ? 0 : fail_memory(error);
}

static int compile(struct compiler *compiler, struct part *part, const json_t *value, int depth) {
  if (depth > JSON_DEPTH)
    return error_set(compiler->error, ERROR_INVALID, "limit", "nested deeper than %d", JSON_DEPTH);
  if (json_is_array(value)) return compile_array(compiler, part, value, depth);
  if (json_is_object(value)) return compile_object(compiler, part, value, depth);
  if (json_is_string(value) && memchr(json_string_value(value), '$', json_string_length(value)))
    return compile_string(compiler, part, value);
  return compile_value(part, value, compiler->error);
}

struct template *template_compile(const json_t *value, const struct jmes_function *functions, struct error *error) {
  struct compiler compiler = {.functions = functions, .error = error};
  struct template *template = calloc(1, sizeof *template);
  if (!template) return fail_memory(error), NULL;
  int result = compile(&compiler, &template->root, value, 0);
  if (result != 0) {
    error_where(error, "%s", buffer_text(&compiler.pointer));
    template_free(template);
    template = NULL;
  }
  buffer_free(&compiler.pointer);
  return template;
}

void template_free(struct template *template) {
  if (!template) return;
  free_part(&template->root);
  free(template);
}

/* ---- rendering ---- */

static json_t *render(const struct part *part, const struct jmes_scope *scope, struct error *error);

static int add_rendered(struct buffer *text, const json_t *value) {
  if (json_is_null(value)) return 0;
  if (json_is_string(value)) return buffer_add(text, json_string_value(value), json_string_length(value));
  return json_add_text(text, value);
}

static json_t *render_text(const struct part *part, const struct jmes_scope *scope, struct error *error) {
  struct buffer text = {.ceiling = TEMPLATE_TEXT};
  int result = 0;
  for (size_t i = 0; result == 0 && i < part->count; i++) {
    json_t *value = render(&part->parts[i], scope, error);
    result = value ? 0 : -1;
    if (value && add_rendered(&text, value) != 0)
      result = error_set(error, ERROR_INVALID, "limit", "a text becomes longer than %zu bytes", TEMPLATE_TEXT);
    json_decref(value);
  }
  json_t *string = result == 0 ? json_stringn_nocheck(buffer_text(&text), text.length) : NULL;
  if (result == 0 && !string) fail_memory(error);
  buffer_free(&text);
  return string;
}

/* Null drops the element or the key. */
static json_t *render_container(const struct part *part, const struct jmes_scope *scope, struct error *error) {
  json_t *container = part->type == PART_ARRAY ? json_array() : json_object();
  int result = container ? 0 : fail_memory(error);
  for (size_t i = 0; result == 0 && i < part->count; i++) {
    const struct part *below = &part->parts[i];
    json_t *value = render(below, scope, error);
    if (!value)
      result = -1;
    else if (!json_is_null(value) &&
             (part->type == PART_ARRAY ? json_array_append_new(container, value)
                                       : json_object_set_new_nocheck(container, below->key, value)) != 0)
      result = fail_memory(error);
  }
  if (result == 0) return container;
  json_decref(container);
  return NULL;
}

static json_t *render(const struct part *part, const struct jmes_scope *scope, struct error *error) {
  switch (part->type) {
    case PART_EXPRESSION:
      return jmes_search(part->expression, NULL, scope, error);
    case PART_TEXT:
      return render_text(part, scope, error);
    case PART_ARRAY:
    case PART_OBJECT:
      return render_container(part, scope, error);
    default:
      return json_incref(part->value);
  }
}

json_t *template_render(const struct template *template, const struct jmes_scope *scope, struct error *error) {
  return render(&template->root, scope, error);
}

static void visit_part(const struct part *part,
                       void (*visit)(const char *name, const char *const *path, void *argument), void *argument) {
  if (part->expression) jmes_variables(part->expression, visit, argument);
  for (size_t i = 0; i < part->count; i++) visit_part(&part->parts[i], visit, argument);
}

void template_variables(const struct template *template,
                        void (*visit)(const char *name, const char *const *path, void *argument), void *argument) {
  visit_part(&template->root, visit, argument);
}
