/* parapet docs: the catalogue as one Markdown page, made from the playbooks alone. */
#include <stdlib.h>
#include <string.h>

#include "authoring.h"

/* Text inside a table's cell: no line ends, no bars. */
static void print_cell_text(const char *text) {
  for (; *text; text++) {
    if (*text == '|') putchar('\\');
    putchar(*text == '\n' || *text == '\r' ? ' ' : *text);
  }
}

static void print_code(const json_t *value) {
  char *text = json_written(value);
  printf("`%s`", text ? text : "");
  free(text);
}

static void print_overview(const struct bundle *bundle) {
  fputs(
      "# Guardrails\n\nWritten by `parapet docs` from the playbooks.\n\n"
      "| guardrail | severity | resource | finds | puts right |\n|---|---|---|---|---|\n",
      stdout);
  for (size_t i = 0; i < bundle->guardrail_count; i++) {
    const struct guardrail *guardrail = bundle->guardrails[i];
    printf("| [%s](#%s) | %s | %s | ", guardrail->name, guardrail->name, guardrail->severity,
           guardrail->resource->name);
    print_cell_text(guardrail->title);
    printf(" | %s |\n", guardrail->remediate_count > 0 ? "yes" : "no");
  }
}

static void print_events(const json_t *all) {
  size_t index;
  json_t *event;
  json_array_foreach(json_object_get(all, "events"), index, event) {
    char *names = explain_joined(json_object_get(event, "events"));
    printf("- event: ");
    if (names && *names)
      printf("%s\n", names);
    else
      print_code(json_object_get(event, "pattern")), putchar('\n');
    free(names);
  }
  if (json_is_string(json_object_get(all, "schedule"))) printf("- swept: %s\n", json_text_at(all, "schedule", NULL));
}

static void print_access(const json_t *all) {
  size_t index;
  json_t *read, *undo;
  const char *operation;
  json_array_foreach(json_object_get(all, "reads"), index, read)
      printf("- reads: `%s` (%s)\n", json_text_at(read, "operation", NULL), json_text_at(read, "what", NULL));
  json_object_foreach(json_object_get(all, "changes"), operation, undo) {
    char *inverse = explain_joined(undo);
    printf("- changes: `%s`, undone by %s\n", operation, inverse && *inverse ? inverse : "nothing");
    free(inverse);
  }
}

static void print_guardrail(const struct guardrail *guardrail) {
  json_t *all = explain_guardrail(guardrail), *gates = json_object_get(all, "gates");
  printf("\n## %s\n\n%s (%s, version %lld)\n\n**Why.** %s\n\n**How to do it right.** %s\n\n", guardrail->name,
         guardrail->title, guardrail->severity, (long long)guardrail->version, guardrail->why, guardrail->fix);
  print_events(all);
  print_access(all);
  printf("- mode: ");
  print_code(json_object_get(gates, "mode"));
  if (guardrail->remediate_when_text) printf("\n- left to people unless: `%s`", guardrail->remediate_when_text);
  if (json_is_object(json_object_get(gates, "breaker"))) {
    printf("\n- breaker: ");
    print_code(json_object_get(gates, "breaker"));
  }
  if (json_object_size(guardrail->params) > 0) {
    printf("\n- parameters: ");
    print_code(guardrail->params);
  }
  printf("\n- file: `%s`\n", guardrail->file);
  json_decref(all);
}

int run_docs(struct cli *cli) {
  struct error error = {0};
  struct aws_client *client;
  struct bundle *bundle = cli_bundle(cli, cli->words.count > 0 ? cli->words.words[0] : NULL, &client, &error);
  int result = bundle ? CLI_OK : fail(&error);
  if (bundle) {
    print_overview(bundle);
    for (size_t i = 0; i < bundle->guardrail_count; i++) print_guardrail(bundle->guardrails[i]);
  }
  bundle_drop(bundle);
  aws_close(client);
  return result;
}
