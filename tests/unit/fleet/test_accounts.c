#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fleet/accounts.h"

#include <cmocka.h>

static struct accounts *load(const char *text, struct error *error) {
  char path[] = "/tmp/parapet-accounts-XXXXXX";
  int file = mkstemp(path);
  assert_true(file >= 0);
  assert_int_equal(write(file, text, strlen(text)), (ssize_t)strlen(text));
  close(file);
  struct accounts *accounts = accounts_load(path, error);
  unlink(path);
  return accounts;
}

static void test_mistakes_name_the_line(void **state) {
  (void)state;
  static const struct {
    const char *text, *line, *reason;
  } rows[] = {
      {"accounts:\n  - {id: 111111111111, regions: [eu-west-1]}\n", ":2",
       "12 digits, in quotes"}, /* a number loses its zeros */
      {"accounts:\n  - {id: \"11111111111\", regions: [eu-west-1]}\n", ":2", "12 digits"},
      {"accounts:\n  - {id: \"111111111111\"}\n", ":2", "no \"regions\""},
      {"regions: [eu-west-1]\naccounts:\n  - {id: \"111111111111\"}\n  - {id: \"111111111111\"}\n", ":4",
       "listed twice"},
      {"regions: [eu-west-1]\n", "", "must be a list"},
      {"accounts: [\n", ":", ""},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct error error = {0};
    assert_null(load(rows[i].text, &error));
    assert_int_equal(error.class, ERROR_INVALID);
    if (!strstr(error.where, rows[i].line) || !strstr(error.message, rows[i].reason))
      fail_msg("row %zu: %s: %s", i, error.where, error.message);
  }
}

static void test_accounts_are_found(void **state) {
  (void)state;
  struct error error = {0};
  struct accounts *accounts = load(
      "role: parapet\nexternal_id: x\nregions: [eu-west-1, us-east-1]\naccounts:\n"
      "  - {id: \"000000000001\", environment: prod, unit: a/b, name: n}\n"
      "  - {id: \"111111111111\", regions: [eu-north-1]}\n",
      &error);
  assert_non_null(accounts);
  assert_int_equal(accounts_count(accounts), 2);
  assert_string_equal(accounts_role(accounts), "parapet");
  assert_string_equal(accounts_external_id(accounts), "x");
  const struct account *first = accounts_find(accounts, "000000000001"),
                       *second = accounts_find(accounts, "111111111111");
  assert_string_equal(first->environment, "prod");
  assert_int_equal(json_array_size(first->regions), 2);
  assert_string_equal(second->environment, "");
  assert_int_equal(json_array_size(second->regions), 1);
  assert_null(accounts_find(accounts, "222222222222"));
  accounts_drop(accounts);
}
