/* tests/data/bad-playbooks-more: one mistake a file.  Each is refused, with the line and the reason that stand in the
 * file's last line, and nothing crashes. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/playbook.h"

#include <cmocka.h>

static const char bad_playbooks[] = "tests/data/bad-playbooks-more";
enum { FEWEST = 60, OVERSIZE = 3 << 20 };

static struct aws_client *open_models(void) {
  struct aws_options options = {.models =
                                    access("build/models", R_OK) == 0 ? "build/models" : getenv("PARAPET_AWS_MODELS")};
  struct error error = {0};
  struct aws_client *client = options.models ? aws_open(&options, &error) : NULL;
  if (!client) print_message("SKIP: no compiled models (make models)\n");
  return client;
}

static int is_yaml(const struct dirent *entry) {
  const char *dot = strrchr(entry->d_name, '.');
  return dot && strcmp(dot, ".yaml") == 0;
}

static char *read_file(const char *path) {
  static char text[1 << 16];
  FILE *file = fopen(path, "r");
  assert_non_null(file);
  size_t length = fread(text, 1, sizeof text - 1, file);
  text[length] = '\0';
  fclose(file);
  return text;
}

static void write_file(const char *path, const char *text) {
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  assert_true(fputs(text, file) >= 0);
  assert_int_equal(fclose(file), 0);
}

/* What is said of a file among the catalogue's resources: its first complaint, new. */
static char *refusal(const char *name, const char *text, struct aws_client *client) {
  char directory[] = "/tmp/parapet-test-XXXXXX", path[512], link[512], here[400];
  struct error error = {0};
  assert_non_null(mkdtemp(directory));
  assert_non_null(getcwd(here, sizeof here));
  snprintf(path, sizeof path, "%s/worker/playbooks/resources", here);
  snprintf(link, sizeof link, "%s/resources", directory);
  assert_int_equal(symlink(path, link), 0);
  snprintf(path, sizeof path, "%s/%s", directory, name);
  write_file(path, text);
  struct bundle *bundle = bundle_load(directory, client, &error);
  assert_non_null(bundle);
  char *first =
      json_array_size(bundle->refused) > 0 ? strdup(json_string_value(json_array_get(bundle->refused, 0))) : NULL;
  if (bundle->guardrail_count > 0) fail_msg("%s was taken", name);
  bundle_drop(bundle);
  assert_int_equal(unlink(path), 0);
  assert_int_equal(unlink(link), 0);
  assert_int_equal(rmdir(directory), 0);
  return first;
}

static void test_each_is_refused_with_its_line_and_reason(void **state) {
  (void)state;
  struct dirent **entries;
  struct aws_client *client = open_models();
  if (!client) skip();
  int count = scandir(bad_playbooks, &entries, is_yaml, alphasort);
  assert_true(count >= FEWEST);
  for (int i = 0; i < count; i++) {
    char path[512], expected[1200];
    snprintf(path, sizeof path, "%s/%s", bad_playbooks, entries[i]->d_name);
    char *text = read_file(path), *said = strstr(text, "# refused: ");
    assert_non_null(said);
    snprintf(expected, sizeof expected, "%s:%.*s", entries[i]->d_name, (int)strcspn(said + 11, "\n"), said + 11);
    char *first = refusal(entries[i]->d_name, text, client);
    if (!first || strcmp(first, expected) != 0)
      fail_msg("%s\n  expected: %s\n  but got:  %s", entries[i]->d_name, expected, first ? first : "nothing");
    free(first);
    free(entries[i]);
  }
  free(entries);
  aws_close(client);
}

static void test_an_oversize_file_is_refused(void **state) {
  (void)state;
  char *text = malloc(OVERSIZE + 64);
  assert_non_null(text);
  int length = sprintf(text, "guardrail: big\nwhy: ");
  memset(text + length, 'x', OVERSIZE);
  strcpy(text + length + OVERSIZE, "\n");
  char *first = refusal("big.yaml", text, NULL);
  assert_non_null(first);
  if (strncmp(first, "big.yaml:", 9) != 0 || !strstr(first, "longer than")) fail_msg("%s", first);
  free(first);
  free(text);
}
