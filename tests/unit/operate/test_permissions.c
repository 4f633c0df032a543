#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "operate/operate.h"
#include "operate/permissions.h"

static json_t *load(const char *text, struct error *error) {
  char path[] = "/tmp/operators-XXXXXX";
  int file = mkstemp(path);
  assert_true(file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text));
  close(file);
  json_t *permissions = permissions_load(path, error);
  unlink(path);
  return permissions;
}

static void test_mistakes_are_told_with_their_line(void **state) {
  (void)state;
  static const struct {
    const char *text, *reason;
    int line;
  } rows[] = {
      {"operators: ann\n", "must be a list", 1},
      {"operators:\n  - principal: ann\n    may: [stop]\n", "is an ARN", 2},
      /* a session has a name that its holder chose */
      {"operators:\n  - {principal: \"arn:aws:sts::1:assumed-role/r/s\", may: [stop]}\n", "names a session", 2},
      {"operators:\n  - principal: \"arn:aws:iam::1:role/r\"\n    may: [stopp]\n", "did you mean stop", 3},
      {"operators:\n  - principal: \"arn:aws:iam::1:role/r\"\n    may: []\n", "a list of permissions", 3},
      {"operators:\n  - {principal: \"arn:aws:iam::1:role/r\", can: [stop]}\n", "unknown key \"can\"", 2},
      {"operators:\n  - arn:aws:iam::1:role/r\n", "{principal, may}", 2},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct error error = {0};
    char line[16];
    json_t *permissions = load(rows[i].text, &error);
    snprintf(line, sizeof line, ":%d", rows[i].line);
    if (permissions || !strstr(error.message, rows[i].reason) || !strstr(error.where, line))
      fail_msg("row %zu: %s %s", i, error.where, error.message);
  }
  struct error error = {0};
  assert_null(permissions_load("/nowhere/operators.yaml", &error));
}

static void test_who_may_do_what(void **state) {
  (void)state;
  static const struct {
    const char *principal, *permission;
    int allowed;
  } rows[] = {
      {"arn:aws:iam::1:role/security-lead", "undo", 1},
      {"arn:aws:iam::1:role/security-lead", "stop", 1},
      {"arn:aws:iam::1:role/security-lead", "run", 0},  /* not in its list */
      {"arn:aws:iam::2:role/security-lead", "undo", 0}, /* another account */
      {"arn:aws:iam::1:role/oncall", "stop", 1},        /* two entries add up */
      {"arn:aws:iam::1:role/oncall", "reset", 1},
      {"arn:aws:iam::1:role/oncall2", "stop", 0}, /* a whole name, no beginning */
      {"", "stop", 0},
      {"unproven:arn:aws:iam::1:role/oncall", "stop", 0},
  };
  struct error error = {0};
  json_t *permissions = load(
      "operators:\n"
      "  - {principal: \"arn:aws:iam::1:role/security-*\", may: [undo, stop]}\n"
      "  - {principal: \"arn:aws:iam::1:role/oncall\", may: [stop]}\n"
      "  - {principal: \"arn:aws:iam::1:role/onc?ll\", may: [reset]}\n",
      &error);
  assert_non_null(permissions);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    if (permissions_allow(permissions, rows[i].principal, rows[i].permission) != rows[i].allowed)
      fail_msg("row %zu", i);
  json_decref(permissions);
}

/* Every verb needs a permission that the file can give. */
static void test_every_verb_has_its_permission(void **state) {
  (void)state;
  static const char *const verbs[][2] = {
      {"approve", "approve"}, {"deny", "approve"}, {"except", "except"}, {"except.remove", "except"}, {"trip", "reset"},
      {"hold", "reset"},      {"reset", "reset"},  {"stop", "stop"},     {"resume", "stop"},          {"undo", "undo"}};
  for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
    assert_string_equal(operate_permission(verbs[i][0]), verbs[i][1]);
  assert_null(operate_permission("destroy"));
  assert_null(operate_permission(""));
}
