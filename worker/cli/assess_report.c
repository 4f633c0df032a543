/* What parapet assess found, and what it could not read, as a table or as JSON. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "assess.h"

static const char *const severities[] = {"low", "medium", "high", "critical"};

int assess_severity(const char *word) {
  for (int i = 0; i < 4; i++)
    if (strcmp(severities[i], word) == 0) return i;
  return -1;
}

static int by_text(const json_t *left, const json_t *right, const char *const *keys) {
  int order = 0;
  for (; *keys && order == 0; keys++) order = strcmp(json_text_at(left, *keys, NULL), json_text_at(right, *keys, NULL));
  return order;
}

/* ---- gathering ---- */
void assess_found(struct assessment *assessment, const struct guardrail *guardrail, const struct place *place,
                  const struct live *live, json_t *finding) {
  json_t *row = json_pack("{s:s, s:s, s:s, s:s, s:s, s:O, s:O, s:s, s:s, s:s, s:s, s:O}", "guardrail", guardrail->name,
                          "severity", guardrail->severity, "account", place->account, "region", place->region,
                          "environment", place->environment, "resource", live->id, "arn", live->arn, "mode",
                          mode_name(guardrail_mode(guardrail, place->environment)), "title", guardrail->title, "why",
                          guardrail->why, "fix", guardrail->fix, "evidence", finding);
  pthread_mutex_lock(&assessment->lock);
  json_array_append_new(assessment->findings, row);
  pthread_mutex_unlock(&assessment->lock);
}

/* The same guardrail cannot judge a thousand resources: that is one row.  (AWS's reasons differ from call to call.) */
static int is_told(const json_t *rows, const json_t *row) {
  static const char *const keys[] = {"account", "region", "what", "code", NULL};
  const json_t *told;
  size_t index;
  json_array_foreach(rows, index, told) if (by_text(told, row, keys) == 0) return 1;
  return 0;
}

void assess_unreadable(struct assessment *assessment, const struct place *place, const char *what,
                       const struct error *error) {
  json_t *row = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "account", place->account, "region",
                          place->region ? place->region : "all", "what", what, "class", error_class_name(error->class),
                          "code", error->code, "reason", error->message);
  pthread_mutex_lock(&assessment->lock);
  if (!is_told(assessment->unreadable, row)) json_array_append(assessment->unreadable, row);
  pthread_mutex_unlock(&assessment->lock);
  json_decref(row);
}

void assess_progress(const struct assessment *assessment) {
  if (!isatty(STDERR_FILENO)) return;
  size_t unreadable = json_array_size(assessment->unreadable);
  fprintf(stderr, "\r\033[K%zu of %zu lists read, %zu resources, %zu findings", assessment->reads_done,
          assessment->reads, assessment->resources, json_array_size(assessment->findings));
  if (unreadable > 0) fprintf(stderr, ", %zu could not be read", unreadable);
}

/* ---- in order ---- */
/* The worst first; then by place. */
static int compare_findings(const void *left, const void *right) {
  static const char *const keys[] = {"account", "region", "guardrail", "resource", NULL};
  const json_t *one = *(json_t *const *)left, *other = *(json_t *const *)right;
  int order =
      assess_severity(json_text_at(other, "severity", NULL)) - assess_severity(json_text_at(one, "severity", NULL));
  return order ? order : by_text(one, other, keys);
}

static int compare_unreadable(const void *left, const void *right) {
  static const char *const keys[] = {"account", "region", "what", NULL};
  return by_text(*(json_t *const *)left, *(json_t *const *)right, keys);
}

static json_t *sorted(const json_t *rows, int (*compare)(const void *, const void *)) {
  size_t count = json_array_size(rows);
  json_t **list = calloc(count + 1, sizeof *list), *result = json_array();
  for (size_t i = 0; list && i < count; i++) list[i] = json_array_get(rows, i);
  if (list) qsort(list, count, sizeof *list, compare);
  for (size_t i = 0; list && i < count; i++) json_array_append(result, list[i]);
  free(list);
  return result;
}

/* ---- shown ---- */
static void print_summary(const struct assessment *assessment, size_t found, size_t unreadable) {
  printf("%s%zu finding%s in %zu resources of %zu account × Region places", found || unreadable ? "\n" : "", found,
         found == 1 ? "" : "s", assessment->resources, assessment->places);
  if (unreadable > 0) printf("; %zu could not be read, see above", unreadable);
  putchar('\n');
}

static void print_tables(struct assessment *assessment, const json_t *findings, const json_t *unreadable) {
  static const struct column columns[] = {
      {"SEVERITY", "severity", 0},  {"GUARDRAIL", "guardrail", 0}, {"ACCOUNT", "account", 0}, {"REGION", "region", 0},
      {"RESOURCE", "resource", 60}, {"MODE", "mode", 0},           {"TITLE", "title", 70},    {0}};
  static const struct column unread[] = {{"COULD NOT BE READ", "what", 40}, {"ACCOUNT", "account", 0},
                                         {"REGION", "region", 0},           {"CODE", "code", 40},
                                         {"REASON", "reason", 200},         {0}};
  if (json_array_size(findings) > 0) print_rows(assessment->cli, findings, columns);
  if (json_array_size(unreadable) > 0) {
    if (json_array_size(findings) > 0) putchar('\n');
    print_rows(assessment->cli, unreadable, unread);
  }
  print_summary(assessment, json_array_size(findings), json_array_size(unreadable));
}

int assess_report(struct assessment *assessment) {
  json_t *findings = sorted(assessment->findings, compare_findings),
         *unreadable = sorted(assessment->unreadable, compare_unreadable);
  if (isatty(STDERR_FILENO)) fputs("\r\033[K", stderr);
  int result = json_array_size(unreadable) > 0 ? CLI_ERROR : json_array_size(findings) > 0 ? CLI_FOUND : CLI_OK;
  if (assessment->cli->json) {
    json_t *all = json_pack("{s:O, s:O, s:I, s:I, s:s}", "findings", findings, "unreadable", unreadable, "resources",
                            (json_int_t)assessment->resources, "places", (json_int_t)assessment->places, "bundle",
                            assessment->bundle->hash);
    print_json(all);
    json_decref(all);
  } else {
    print_tables(assessment, findings, unreadable);
  }
  json_decref(findings);
  json_decref(unreadable);
  return result;
}
