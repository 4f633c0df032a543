#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>

#include "mock.h"

#define ABC_SHA "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define EMPTY_SHA "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static int keep(const char *key, size_t key_length, const char *value, size_t length, void *argument) {
  (void)key, (void)key_length;
  json_t *letter = json_loadb(value, length, JSON_ALLOW_NUL, NULL);
  assert_non_null(letter);
  assert_int_equal(json_array_append_new(argument, letter), 0);
  return 0;
}

static void test_letters(void **state) {
  (void)state;
  static const struct {
    const char *payload;
    size_t length;
    const char *sha256, *text, *base64;
  } cases[] = {
      {"abc", 3, ABC_SHA, "abc", NULL},
      {NULL, 0, EMPTY_SHA, "", NULL},
      {"say \"\\n\"\n", 9, NULL, "say \"\\n\"\n", NULL}, /* escaped, and back */
      {"caf\xC3\xA9", 5, NULL, "caf\xC3\xA9", NULL},
      {"caf\xC3", 4, NULL, NULL, "Y2Fmww=="},  /* half a sequence is no UTF-8 */
      {"\xED\xA0\x80", 3, NULL, NULL, "7aCA"}, /* a surrogate is none either */
      {"\xFF\xFE\x00z", 4, NULL, NULL, "//4Aeg=="},
  };
  enum { CASES = sizeof cases / sizeof *cases };
  struct mock mock;
  mock_open(&mock, "dead", 1);
  struct bus_producer *producer = mock_producer(&mock);
  struct bus_origin origin = {.topic = "parapet.events", .partition = 3, .offset = 77, .source = "worker"};
  for (size_t i = 0; i < CASES; i++) {
    struct error error = {0};
    if (bus_dead_letter(producer, "dead", "why \"not\"", i == 0 ? NULL : &origin, cases[i].payload, cases[i].length,
                        PATIENCE_MS, &error) != 0)
      fail_msg("%s", error.message);
  }
  json_t *letters = json_array();
  assert_int_equal(bus_read_all(&mock.options, "dead", PATIENCE_MS, keep, letters, NULL), 0);
  assert_int_equal(json_array_size(letters), CASES);
  for (size_t i = 0; i < CASES; i++) {
    json_t *letter = json_array_get(letters, i);
    assert_string_equal(json_string_value(json_object_get(letter, "reason")), "why \"not\"");
    assert_int_equal(json_integer_value(json_object_get(letter, "size")), cases[i].length);
    assert_int_equal(json_integer_value(json_object_get(letter, "offset")), i == 0 ? -1 : 77);
    int64_t when;
    assert_int_equal(clock_parse(json_string_value(json_object_get(letter, "time")), &when), 0);
    if (cases[i].sha256) assert_string_equal(json_string_value(json_object_get(letter, "sha256")), cases[i].sha256);
    if (cases[i].text) assert_string_equal(json_string_value(json_object_get(letter, "payload")), cases[i].text);
    if (cases[i].base64)
      assert_string_equal(json_string_value(json_object_get(letter, "payload_base64")), cases[i].base64);
    assert_true(!json_object_get(letter, "payload") == !cases[i].text);
  }
  json_decref(letters);
  bus_producer_close(producer);
  mock_close(&mock);
}

/* Two megabytes: the first 64 KiB stay, size and hash are the whole's; a sequence across the cut is left out. */
static void test_oversize(void **state) {
  (void)state;
  struct mock mock;
  mock_open(&mock, "dead", 1);
  struct bus_producer *producer = mock_producer(&mock);
  size_t length = 2 << 20;
  char *large = malloc(length);
  memset(large, 'a', length);
  memcpy(large + 65535, "\xC3\xA9", 2);
  assert_int_equal(bus_dead_letter(producer, "dead", "too large", NULL, large, length, PATIENCE_MS, NULL), 0);
  memset(large, 0x80, length); /* and as base64 */
  assert_int_equal(bus_dead_letter(producer, "dead", "too large", NULL, large, length, PATIENCE_MS, NULL), 0);
  free(large);
  json_t *letters = json_array();
  assert_int_equal(bus_read_all(&mock.options, "dead", PATIENCE_MS, keep, letters, NULL), 0);
  json_t *first = json_array_get(letters, 0), *second = json_array_get(letters, 1);
  assert_int_equal(json_integer_value(json_object_get(first, "size")), length);
  assert_int_equal(json_string_length(json_object_get(first, "payload")), 65535);
  assert_int_equal(json_string_length(json_object_get(second, "payload_base64")), (65536 + 2) / 3 * 4);
  json_decref(letters);
  bus_producer_close(producer);
  mock_close(&mock);
}
