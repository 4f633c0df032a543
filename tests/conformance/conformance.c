/* A filter over the library for tests in other languages: reads one JSON object a line on standard input, answers one a
 * line on standard output, in order.  {"do": "verb", …}; the verbs are in the table below.  What it cannot do, broken
 * lines included, is answered with {"failure": "why"}, and it goes on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verbs.h"

static const struct {
  const char *name;
  json_t *(*answer)(json_t *request, struct error *error);
} verbs[] = {
    {"jmespath", verb_jmespath},   {"pattern", verb_pattern}, {"sign", verb_sign},
    {"serialize", verb_serialize}, {"parse", verb_parse},     {"endpoint", verb_endpoint},
};

static json_t *dispatch(json_t *request, struct error *error) {
  const char *name = json_text_at(request, "do", NULL);
  for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
    if (strcmp(verbs[i].name, name) == 0) return verbs[i].answer(request, error);
  error_set(error, ERROR_INVALID, "verb", "there is no verb \"%s\"", name);
  return NULL;
}

/* Written by hand: a message may quote bytes that are no UTF-8. */
static char *failure_text(const struct error *error) {
  struct buffer text = {0};
  buffer_add_text(&text, "{\"failure\":\"");
  buffer_add_json_escaped(&text, error->message, strlen(error->message));
  buffer_add_text(&text, "\"}");
  return buffer_take(&text);
}

/* The answer's text (caller frees), or NULL when memory ran out. */
static char *answer_line(const char *line, size_t length) {
  struct error error = {0};
  json_t *request = json_parse(line, length, &error);
  json_t *answer = request ? dispatch(request, &error) : NULL;
  char *text = answer ? json_text(answer) : failure_text(&error);
  json_decref(answer);
  json_decref(request);
  return text;
}

int main(void) {
  char *line = NULL;
  size_t capacity = 0;
  ssize_t length;
  int result = EXIT_SUCCESS;
  json_use_blocks();
  while (result == EXIT_SUCCESS && (length = getline(&line, &capacity, stdin)) >= 0) {
    char *answer = answer_line(line, (size_t)length);
    if (!answer || puts(answer) == EOF || fflush(stdout) != 0) result = EXIT_FAILURE;
    free(answer);
  }
  free(line);
  return result;
}
