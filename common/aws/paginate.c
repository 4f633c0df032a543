/* Paginators: an operation called again and again with the token that the last page gave. */
#include <string.h>

#include "aws/checks.h"
#include "aws/client_internal.h"
#include "json/jmespath.h"

#define PAGES_LIMIT 100000
#define TOKENS_LIMIT 8

struct paginator {
  size_t count;
  const char *inputs[TOKENS_LIMIT];
  struct jmes *outputs[TOKENS_LIMIT];
  struct jmes *more; /* NULL: the tokens alone tell */
};

static void paginator_free(struct paginator *paginator) {
  for (size_t i = 0; i < paginator->count; i++) jmes_free(paginator->outputs[i]);
  jmes_free(paginator->more);
}

/* The model says one token as text and several as a list. */
static const char *text_of(const json_t *texts, size_t index) {
  return json_is_array(texts) ? json_string_value(json_array_get(texts, index))
         : index == 0         ? json_string_value(texts)
                              : NULL;
}

static int paginator_make(struct paginator *paginator, const json_t *model, struct error *error) {
  const json_t *inputs = json_object_get(model, "input_token"), *outputs = json_object_get(model, "output_token");
  const char *more = json_text_at(model, "more_results", NULL), *input, *output;
  *paginator = (struct paginator){0};
  for (size_t i = 0; i < TOKENS_LIMIT && (input = text_of(inputs, i)) && (output = text_of(outputs, i)); i++) {
    paginator->inputs[i] = input;
    paginator->outputs[i] = jmes_compile(output, NULL, error);
    if (!paginator->outputs[i]) goto failed;
    paginator->count++;
  }
  if (*more && !(paginator->more = jmes_compile(more, NULL, error))) goto failed;
  return 0;
failed:
  paginator_free(paginator);
  return -1;
}

/* 1 when the page says that there is no more, 0 when it does not, -1 on failure. */
static int is_last(const struct paginator *paginator, json_t *page, struct error *error) {
  if (!paginator->more) return 0;
  json_t *more = jmes_search(paginator->more, page, NULL, error);
  if (!more) return -1;
  int last = json_is_empty(more) || (json_is_integer(more) && json_integer_value(more) == 0);
  json_decref(more);
  return last;
}

/* The next page's tokens as {input: token or null}: new; *any tells whether there is one at all. */
static json_t *next_tokens(const struct paginator *paginator, json_t *page, int *any, struct error *error) {
  json_t *tokens = json_object();
  *any = 0;
  for (size_t i = 0; tokens && i < paginator->count; i++) {
    json_t *token = jmes_search(paginator->outputs[i], page, NULL, error);
    if (!token || json_object_set_new(tokens, paginator->inputs[i], token) != 0) {
      json_decref(tokens);
      return NULL;
    }
    if (json_is_empty(token) || (json_is_string(token) && strcmp(json_string_value(token), "None") == 0))
      json_object_set_new(tokens, paginator->inputs[i], json_null());
    else
      *any = 1;
  }
  return tokens;
}

static void put_tokens(json_t *params, json_t *tokens) {
  const char *name;
  json_t *token;
  json_object_foreach(tokens, name, token) {
    if (json_is_null(token))
      json_object_del(params, name);
    else
      json_object_set(params, name, token);
  }
}

struct walk { /* one aws_paginate */
  struct aws_client *client;
  const struct aws_target *target;
  const char *operation;
  const struct aws_call_options *options;
  int (*page)(json_t *result, void *argument);
  void *argument;
  struct error *error;
};

enum step { STEP_FAILED = -1, STEP_END, STEP_ON };

/* Puts the tokens of the page that follows into `params`; *previous: those of the page before, owned by the caller. */
static enum step advance(const struct walk *walk, const struct paginator *paginator, json_t *page, json_t *params,
                         json_t **previous) {
  int any, last = is_last(paginator, page, walk->error);
  if (last != 0) return last < 0 ? STEP_FAILED : STEP_END;
  json_t *tokens = next_tokens(paginator, page, &any, walk->error);
  if (!tokens) return STEP_FAILED;
  int repeated = *previous && json_equal(*previous, tokens);
  json_decref(*previous);
  *previous = tokens;
  if (!any) return STEP_END;
  put_tokens(params, tokens);
  if (!repeated) return STEP_ON;
  error_set(walk->error, ERROR_FATAL, "RepeatedToken", "the same token for the next page came twice");
  error_where(walk->error, "%s", walk->operation);
  return STEP_FAILED;
}

static int walk_pages(const struct walk *walk, const struct paginator *paginator, json_t *params) {
  json_t *previous = NULL;
  enum step step = STEP_ON;
  for (int pages = 0; step == STEP_ON; pages++) {
    if (pages == PAGES_LIMIT) {
      error_set(walk->error, ERROR_FATAL, "TooManyPages", "more than %d pages", PAGES_LIMIT);
      step = STEP_FAILED;
      break;
    }
    json_t *page = aws_call(walk->client, walk->target, walk->operation, params, walk->options, walk->error);
    if (!page)
      step = STEP_FAILED;
    else if (walk->page(page, walk->argument) != 0)
      step = STEP_END;
    else
      step = paginator->count ? advance(walk, paginator, page, params, &previous) : STEP_END;
    json_decref(page);
  }
  json_decref(previous);
  return step == STEP_FAILED ? -1 : 0;
}

int aws_paginate(struct aws_client *client, const struct aws_target *target, const char *operation, json_t *params,
                 const struct aws_call_options *options, int (*page)(json_t *result, void *argument), void *argument,
                 struct error *error) {
  const struct aws_service *service;
  const struct aws_operation *found;
  struct paginator paginator = {0};
  if (options && options->request_id) options->request_id[0] = '\0';
  if (aws_models_operation(client->models, operation, &service, &found, error) != 0)
    return error_where(error, "%s", operation);
  const json_t *model = aws_service_paginator(service, json_text_at(aws_operation_definition(found), "name", NULL));
  if (model && paginator_make(&paginator, model, error) != 0) return error_where(error, "%s", operation);
  json_t *copy = params ? json_copy(params) : json_object(); /* shallow: only its own keys change */
  struct walk walk = {client, target, operation, options, page, argument, error};
  int result = copy ? walk_pages(&walk, &paginator, copy) : error_set(error, ERROR_FATAL, "Memory", "out of memory");
  json_decref(copy);
  paginator_free(&paginator);
  return result;
}
