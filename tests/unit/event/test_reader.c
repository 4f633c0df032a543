#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "event/envelope.h"
#include "event/reader.h"

static char folder[64];

static const char *write_file(const char *name, const char *text, size_t length) {
  static char path[256];
  if (!*folder) {
    strcpy(folder, "/tmp/parapet-reader-XXXXXX");
    assert_non_null(mkdtemp(folder));
  }
  snprintf(path, sizeof path, "%s/%s", folder, name);
  if (strstr(name, ".gz")) {
    gzFile file = gzopen(path, "wb");
    assert_int_equal(gzwrite(file, text, (unsigned)length), length);
    assert_int_equal(gzclose(file), Z_OK);
  } else {
    FILE *file = fopen(path, "wb");
    assert_int_equal(fwrite(text, 1, length, file), length);
    fclose(file);
  }
  return path;
}

/* Everything the reader gives, joined by '|'; "!" where it fails. */
static void read_all(const char *path, char *joined, size_t size) {
  struct error error = {0};
  struct event_reader *reader = event_reader_open(path, &error);
  const char *text;
  size_t length, at = 0;
  int got = reader ? 0 : -1;
  joined[0] = '\0';
  while (reader && (got = event_reader_next(reader, &text, &length, &error)) == 1)
    at += (size_t)snprintf(joined + at, size - at, "%.*s|", (int)length, text);
  if (got < 0) {
    snprintf(joined + at, size - at, "!");
    assert_int_not_equal(error.class, ERROR_NONE);
    assert_true(*error.where);
  }
  event_reader_close(reader);
  if (reader) unlink(path);
}

/* Standard input tells its kind by its first line. */
static void test_standard_input(void **state) {
  (void)state;
  static const struct {
    const char *text, *events;
  } cases[] = {
      {"{\"a\":1}\n{\"b\":2}\n\n{broken\n", "{\"a\":1}|{\"b\":2}|{broken|"}, /* lines */
      {"{\"a\":\n1}\n", "{\"a\":\n1}|"},                                     /* one event over several lines */
      {"{\"Records\":[{\"a\":1},{\"b\":2}]}\n", "{\"a\":1}|{\"b\":2}|"},     /* as CloudTrail's files */
      {"[{\"a\":1},\n{\"b\":2}]", "{\"a\":1}|{\"b\":2}|"},
      {"", ""},
      {"{broken\n", "!"},
  };
  char joined[512];
  int input = dup(STDIN_FILENO);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    FILE *file = fopen(write_file("input", cases[i].text, strlen(cases[i].text)), "rb");
    assert_true(file && dup2(fileno(file), STDIN_FILENO) == STDIN_FILENO);
    fclose(file);
    read_all("-", joined, sizeof joined);
    assert_string_equal(joined, cases[i].events);
  }
  assert_true(dup2(input, STDIN_FILENO) == STDIN_FILENO);
  close(input);
}

static void test_formats(void **state) {
  (void)state;
  static const struct {
    const char *name, *text, *events;
  } cases[] = {
      {"a.json", "[{\"a\":1}, {\"b\":[1,{\"c\":\"]}\"}]} ]\n", "{\"a\":1}|{\"b\":[1,{\"c\":\"]}\"}]}|"},
      {"a.json", "{\"Records\":[{\"a\":\"x\\\"y\"},{}]}", "{\"a\":\"x\\\"y\"}|{}|"},
      {"a.json", "{\"note\":{\"Records\":[1]}, \"Records\" : [ 2 , \"three\", null ]}", "2|\"three\"|null|"},
      {"a.json", " {\"eventName\":\"x\"} ", "{\"eventName\":\"x\"}|"},
      {"a.json", "{\"Records\":7}", "{\"Records\":7}|"}, /* no list: it is the event itself, and no event it will be */
      {"a.json", "[]", ""},
      {"a.json", "{}", "{}|"},
      {"a.json", "", "!"},
      {"a.json", "[{]", "!"},
      {"a.json.gz", "{\"Records\":[{\"a\":1},{\"b\":2}]}", "{\"a\":1}|{\"b\":2}|"},
      {"a.jsonl", "{\"a\":1}\n\n  {\"b\":2}  \r\n{broken\n{\"c\":3}", "{\"a\":1}|{\"b\":2}|{broken|{\"c\":3}|"},
      {"a.jsonl", "", ""},
      {"a.ndjson", "1\n2\n", "1|2|"},
      {"a.jsonl.gz", "{\"a\":1}\n{\"b\":2}\n", "{\"a\":1}|{\"b\":2}|"},
      {"a.ndjson.gz", "1\n", "1|"},
  };
  char joined[512];
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    read_all(write_file(cases[i].name, cases[i].text, strlen(cases[i].text)), joined, sizeof joined);
    assert_string_equal(joined, cases[i].events);
  }
}

static void test_broken_files(void **state) {
  (void)state;
  char joined[4096];
  read_all("/no/such/file.json", joined, sizeof joined);
  assert_string_equal(joined, "!");
  read_all("/tmp", joined, sizeof joined);
  assert_string_equal(joined, "!");
  /* gzip that ends in the middle: what was whole is given, then the failure */
  char text[2000];
  memset(text, '1', sizeof text);
  for (size_t i = 9; i < sizeof text; i += 10) text[i] = '\n';
  const char *path = write_file("cut.jsonl.gz", text, sizeof text);
  FILE *file = fopen(path, "rb");
  char bytes[2000];
  size_t length = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  char plain[256];
  snprintf(plain, sizeof plain, "%s", path);
  file = fopen(plain, "wb");
  fwrite(bytes, 1, length / 2, file);
  fclose(file);
  read_all(plain, joined, sizeof joined);
  assert_int_equal(joined[strlen(joined) - 1], '!');
}

/* A line longer than any chunk arrives whole; one over the ceiling is told. */
static void test_long_lines(void **state) {
  (void)state;
  size_t length = 100000;
  char *text = malloc(EVENT_READER_LINE + 10);
  memset(text, '1', EVENT_READER_LINE + 10);
  text[length] = '\n';
  struct error error = {0};
  struct event_reader *reader = event_reader_open(write_file("long.jsonl", text, length + 2), &error);
  const char *line;
  size_t got;
  assert_int_equal(event_reader_next(reader, &line, &got, &error), 1);
  assert_int_equal(got, length);
  assert_int_equal(event_reader_next(reader, &line, &got, &error), 1);
  assert_int_equal(got, 1);
  assert_int_equal(event_reader_next(reader, &line, &got, &error), 0);
  assert_int_equal(event_reader_progress(reader).events, 2);
  assert_int_equal(event_reader_progress(reader).bytes, event_reader_progress(reader).size);
  event_reader_close(reader);
  text[length] = '1';
  reader = event_reader_open(write_file("long.jsonl", text, EVENT_READER_LINE + 10), &error);
  assert_int_equal(event_reader_next(reader, &line, &got, &error), -1);
  event_reader_close(reader);
  free(text);
}

static void test_pace(void **state) {
  (void)state;
  struct event_pace free_run = {0}, by_rate = {.rate = 10}, by_time = {.speed = 60};
  for (int i = 0; i < 5; i++) {
    assert_int_equal(event_pace_wait_ms(&free_run, 1000, 5000000 + i * 60000), 0);
    assert_int_equal(event_pace_wait_ms(&by_rate, 1000, -1), i * 100);
    assert_int_equal(event_pace_wait_ms(&by_time, 1000, 5000000 + i * 60000), i * 1000); /* a minute in a second */
  }
  assert_int_equal(event_pace_wait_ms(&by_rate, 9000, -1), 0);      /* late already: no wait */
  assert_int_equal(event_pace_wait_ms(&by_time, 1000, -1), 0);      /* no time: at once */
  assert_int_equal(event_pace_wait_ms(&by_time, 1000, 4000000), 0); /* out of order: at once */
}

/* All records of the reference data become events: none lost, none refused. */
static void test_reference_records(void **state) {
  (void)state;
  const char *data = getenv("PARAPET_REFERENCE_DATA");
  char path[4096];
  snprintf(path, sizeof path, "%s/cloudtrail/invictus/CloudTrail", data ? data : "../shared/data");
  DIR *directory = opendir(path);
  if (!directory) {
    print_message("skipped: no reference data at %s\n", path);
    skip();
  }
  struct error error = {0};
  struct event_keys *keys = event_keys_load("schemas/event-resources.yaml", &error);
  int records = 0, with_resource = 0;
  for (struct dirent *entry; (entry = readdir(directory));) {
    char file[5000];
    if (!strstr(entry->d_name, ".json")) continue;
    snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
    struct event_reader *reader = event_reader_open(file, &error);
    assert_non_null(reader);
    const char *text;
    size_t length;
    while (event_reader_next(reader, &text, &length, &error) == 1) {
      struct event event;
      if (event_prepare(keys, text, length, &event, &error) != 0) fail_msg("%s: %s", entry->d_name, error.message);
      assert_memory_equal(event.key + 12, "/us-east-1", 10);
      with_resource += event.key[22] == '/';
      records++;
      event_free(&event);
    }
    event_reader_close(reader);
  }
  closedir(directory);
  event_keys_free(keys);
  assert_int_equal(records, 2900);
  assert_true(with_resource > 500);
}
