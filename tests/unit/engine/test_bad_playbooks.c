/* tests/data/bad-playbooks: every one is refused with file, line and reason, once; the good one beside them runs on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check/offline.h"
#include "engine/playbook.h"

#include <cmocka.h>

#define DIRECTORY "tests/data/bad-playbooks"

struct expected { /* a row of expected.tsv */
  char *file, *line, *reason;
};

/* The next row; 0 at the end.  The fields point into `text`. */
static int next_row(char **text, struct expected *row) {
  char *line;
  do {
    if (!(line = strsep(text, "\n")) || !*text) return 0;
  } while (*line == '#');
  row->file = strsep(&line, "\t");
  row->line = strsep(&line, "\t");
  row->reason = strsep(&line, "\t");
  assert_non_null(row->reason);
  return 1;
}

static char *read_table(void) {
  FILE *file = fopen(DIRECTORY "/expected.tsv", "r");
  assert_non_null(file);
  char *text = calloc(1, 65536);
  assert_non_null(text);
  size_t length = fread(text, 1, 65535, file);
  assert_in_range(length, 1000, 65534);
  fclose(file);
  return text;
}

/* The models are needed: a third of the mistakes are seen by them alone. */
static struct bundle *load(struct aws_client **client, const char *directory) {
  struct aws_options options = {.models =
                                    access("build/models", R_OK) == 0 ? "build/models" : getenv("PARAPET_AWS_MODELS")};
  struct error error = {0};
  *client = options.models ? aws_open(&options, &error) : NULL;
  if (!*client) {
    print_message("SKIP: no compiled models (make models)\n");
    skip();
  }
  struct bundle *bundle = bundle_load(directory, *client, &error);
  if (!bundle) fail_msg("%s", error.message);
  return bundle;
}

static void close_bundle(struct bundle *bundle, struct aws_client *client) {
  bundle_drop(bundle);
  aws_close(client);
}

/* How many complaints there are of the file; *text: the last. */
static int complaints_of(const struct bundle *bundle, const char *file, const char **text) {
  char start[256];
  int count = 0;
  size_t index;
  json_t *line;
  snprintf(start, sizeof start, "refused/%s:", file);
  json_array_foreach(bundle->refused, index, line) {
    if (strncmp(json_string_value(line), start, strlen(start)) != 0) continue;
    *text = json_string_value(line);
    count++;
  }
  return count;
}

static void test_each_is_refused_once_with_file_line_and_reason(void **state) {
  (void)state;
  struct aws_client *client;
  struct bundle *bundle = load(&client, DIRECTORY);
  char *table = read_table(), *rest = table;
  struct expected row;
  size_t rows = 0;
  for (; next_row(&rest, &row); rows++) {
    const char *text = "nothing";
    char start[256];
    int count = complaints_of(bundle, row.file, &text);
    snprintf(start, sizeof start, "refused/%s:%s: ", row.file, row.line);
    if (count != 1 || strncmp(text, start, strlen(start)) != 0 || !strstr(text + strlen(start), row.reason))
      fail_msg("%s: %d complaints, the last: %s", row.file, count, text);
    if (!text[strlen(start)]) fail_msg("%s: no reason", row.file);
  }
  assert_in_range(rows, 60, 1000);
  assert_int_equal(json_array_size(bundle->refused), rows); /* and of no file that the table does not name */
  free(table);
  close_bundle(bundle, client);
}

static void test_the_good_one_beside_them_runs_on(void **state) {
  (void)state;
  struct aws_client *client;
  struct bundle *bundle = load(&client, DIRECTORY);
  assert_int_equal(bundle->resource_count, 1);
  assert_int_equal(bundle->guardrail_count, 1);
  const struct guardrail *good = bundle_guardrail(bundle, "good");
  assert_non_null(good);
  assert_string_equal(good->file, "good/good.yaml");
  for (size_t i = 0; i < 2; i++) {
    char *why = NULL;
    if (offline_test(good, i, &why) != 1) fail_msg("%s", why);
    free(why);
  }
  static const char event[] = "{\"source\":\"aws.ec2\",\"detail\":{\"eventName\":\"AuthorizeSecurityGroupIngress\"}}";
  struct error error = {0};
  struct match_scratch *scratch = match_scratch_open();
  const uint32_t *ids;
  assert_int_equal(match_run(bundle->matcher, scratch, event, strlen(event), &ids, &error), 1);
  assert_string_equal(bundle->guardrails[bundle->triggers[ids[0]].guardrail]->name, "good");
  match_scratch_free(scratch);
  close_bundle(bundle, client);
}

/* Without models the loader sees less, but never crashes, and what it sees is right. */
static void test_without_models_nothing_is_refused_wrongly(void **state) {
  (void)state;
  struct error error = {0};
  struct bundle *bundle = bundle_load(DIRECTORY, NULL, &error);
  assert_non_null(bundle);
  assert_non_null(bundle_guardrail(bundle, "good"));
  assert_in_range(json_array_size(bundle->refused), 60, 1000);
  bundle_drop(bundle);
}

static void test_an_oversize_file_is_refused(void **state) {
  (void)state;
  char directory[] = "/tmp/parapet-test-XXXXXX", path[64];
  struct error error = {0};
  assert_non_null(mkdtemp(directory));
  snprintf(path, sizeof path, "%s/large.yaml", directory);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fputs("guardrail: large\n", file);
  for (int i = 0; i < 40000; i++) fputs("# a comment that says nothing\n", file);
  fclose(file);
  struct bundle *bundle = bundle_load(directory, NULL, &error);
  assert_int_equal(unlink(path), 0);
  assert_int_equal(rmdir(directory), 0);
  assert_non_null(bundle);
  assert_int_equal(json_array_size(bundle->refused), 1);
  const char *text = json_string_value(json_array_get(bundle->refused, 0));
  if (strncmp(text, "large.yaml:1: ", 14) != 0 || !strstr(text, "longer than")) fail_msg("%s", text);
  bundle_drop(bundle);
}
