/* The file of channels and routes: what is refused, with which line and words, and what the sample says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "notices/notices.h"

#include <cmocka.h>

#define GOOD_ROUTES "routes: [{to: a}]\n"
#define CHANNEL(text) "channels:\n  a: {" text "}\n" GOOD_ROUTES
#define LOG_CHANNEL "channels: {a: {log: true}}\n"
#define HOOK "webhook: https://hooks.example.com/x, secret: none"

static char directory[64];

static void write_file(const char *name, const char *text) {
  char path[256];
  if (!directory[0]) {
    snprintf(directory, sizeof directory, "/tmp/parapet-notices-XXXXXX");
    assert_non_null(mkdtemp(directory));
  }
  snprintf(path, sizeof path, "%s/%s", directory, name);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
}

static struct notices *load_text_of(const char *text, json_t *refused, struct error *error) {
  char path[256];
  write_file("notices.yaml", text);
  snprintf(path, sizeof path, "%s/notices.yaml", directory);
  return notices_load(path, "", refused, error);
}

static void test_mistakes(void **state) {
  (void)state;
  write_file("short", "0123456789\n");
  write_file("empty", "\n");
  write_file("body.yaml", "text: \"${$subjekt}\"\n");
  static const struct {
    const char *text, *said;
  } rows[] = {
      /* nothing to send to, nowhere to go */
      {"channels: {}\n" GOOD_ROUTES, "notices.yaml:1: there must be a channel"},
      {LOG_CHANNEL "routes: []\n", "notices.yaml:2: there must be a route"},
      {GOOD_ROUTES, "\"channels\" is missing"},
      /* words that are not known, with the nearest */
      {CHANNEL("log: true, limits: 1/1h"), "notices.yaml:2: unknown key \"limits\"; did you mean \"limit\"?"},
      {LOG_CHANNEL "routes:\n  - {to: a, match: {severty: high}}\n",
       "notices.yaml:3: unknown key \"severty\"; did you mean \"severity\"?"},
      {LOG_CHANNEL "routes:\n  - {to: b}\n", "notices.yaml:3: there is no channel \"b\""},
      /* what a channel is */
      {CHANNEL(""), "notices.yaml:2: a channel is one of sns, webhook and log: true"},
      {CHANNEL("log: true, sns: \"arn:aws:sns:eu-west-1:999999999999:t\""), "a channel is one of"},
      {"channels: {Big Name: {log: true}}\nroutes: [{to: Big Name}]\n", "a channel's name has at most 40 of a-z"},
      {CHANNEL("sns: my-topic"), "this is no ARN of an SNS topic"},
      {CHANNEL("log: true, secret: none"), "\"secret\" is for a webhook"},
      /* addresses: never in the clear but on this machine */
      {CHANNEL("webhook: http://hooks.example.com/x, secret: none"), "plain http:// is only for this machine"},
      {CHANNEL("webhook: http://127.0.0.1.example.com/, secret: none"), "plain http:// is only for this machine"},
      {CHANNEL("webhook: http://localhost.example.com/, secret: none"), "plain http:// is only for this machine"},
      {CHANNEL("webhook: ftp://x/, secret: none"), "an address begins with https://"},
      {CHANNEL("webhook: https://ann:pw@example.com/, secret: none"), "no user and password"},
      {CHANNEL("webhook: \"https:///x\", secret: none"), "this is no address"},
      {CHANNEL("webhook: \"https://example.com/a b\", secret: none"), "printable ASCII"},
      /* secrets: never in the file, never weak, never silently absent */
      {CHANNEL("webhook: https://hooks.example.com/x"), "\"secret\" is missing"},
      {CHANNEL("webhook: https://hooks.example.com/x, secret: hunter2hunter2hunter2"), "a secret is not written here"},
      {CHANNEL("webhook: https://hooks.example.com/x, secret: {file: nowhere}"), "is empty or cannot be read"},
      {CHANNEL("webhook: https://hooks.example.com/x, secret: {file: empty}"), "is empty or cannot be read"},
      {CHANNEL("webhook: https://hooks.example.com/x, secret: {file: short}"), "must have 16 characters or more"},
      {CHANNEL("webhook: https://hooks.example.com/x, secret: {env: NO_SUCH_VARIABLE}"),
       "the variable NO_SUCH_VARIABLE is not set"},
      {CHANNEL("webhook: https://hooks.example.com/x, secret: {file: short, env: HOME}"), "give either"},
      /* bodies */
      {CHANNEL(HOOK ", body: {text: \"${$subjekt}\"}"), "knows no variable $subjekt; did you mean \"subject\"?"},
      {CHANNEL(HOOK ", body: {text: \"${$subject\"}"), "notices.yaml:2: "},
      {CHANNEL(HOOK ", body: body.yaml"), "body.yaml:1: a body knows no variable $subjekt"},
      {CHANNEL(HOOK ", body: nowhere.yaml"), "cannot be read"},
      /* numbers */
      {CHANNEL("log: true, limit: \"10\""), "\"limit\" must be MESSAGES/TIME"},
      {CHANNEL("log: true, limit: 0/1h"), "\"limit\" must be MESSAGES/TIME"},
      {CHANNEL("log: true, limit: 5/1ms"), "\"limit\" must be MESSAGES/TIME"},
      {CHANNEL("log: true, timeout: 2m"), "\"timeout\" must be from 100ms to 30s"},
      {CHANNEL("log: true, tries: 0"), "\"tries\" must be from 1 to 1000"},
      /* a route that nothing reaches */
      {LOG_CHANNEL "routes:\n  - {to: a}\n  - {match: {severity: high}, to: a}\n", "notices.yaml:4: never reached"},
      {LOG_CHANNEL "routes:\n  - {match: {account: [1]}, to: a}\n", "\"account\" must hold texts"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct error error = {0};
    json_t *refused = json_array();
    if (load_text_of(rows[i].text, refused, &error)) fail_msg("accepted: %s", rows[i].text);
    char *told = json_dumps(refused, JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
    const char *first = json_string_value(json_array_get(refused, 0));
    if (!first || !strstr(first, rows[i].said))
      fail_msg("%s\nwanted: %s\n   got: %s", rows[i].text, rows[i].said, told);
    assert_null(strstr(told, "hunter2"));
    assert_int_equal(error.class, ERROR_INVALID);
    free(told);
    json_decref(refused);
  }
}

static void test_every_mistake_is_told(void **state) {
  (void)state;
  struct error error = {0};
  json_t *refused = json_array();
  assert_null(
      load_text_of("channels:\n  a: {sns: x}\n  b: {log: true, limit: x}\nroutes:\n  - {to: c}\n", refused, &error));
  assert_int_equal(json_array_size(refused), 3);
  json_decref(refused);
}

static void test_addresses_of_this_machine_may_be_plain(void **state) {
  (void)state;
  static const char *const urls[] = {"http://127.0.0.1:8080/x", "http://localhost/x", "http://[::1]:9/x",
                                     "https://x.example"};
  for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
    char text[256];
    struct error error = {0};
    json_t *refused = json_array();
    snprintf(text, sizeof text, "channels: {a: {webhook: \"%s\", secret: none}}\n" GOOD_ROUTES, urls[i]);
    struct notices *notices = load_text_of(text, refused, &error);
    if (!notices) fail_msg("%s: %s", urls[i], error.message);
    assert_string_equal(notices->channels[0].url, urls[i]);
    assert_null(notices->channels[0].secret);
    assert_int_equal(notices->channels[0].limit, 60);
    notices_free(notices);
    json_decref(refused);
  }
}

static void test_a_secret_is_a_files_first_line_or_a_variable(void **state) {
  (void)state;
  write_file("key", "a key of many characters\r\nand a comment\n");
  setenv("PARAPET_TEST_SECRET", "another key of many characters", 1);
  struct error error = {0};
  json_t *refused = json_array();
  struct notices *notices = load_text_of(
      "channels:\n  a: {webhook: https://a.example/, secret: {file: key}}\n"
      "  b: {webhook: https://b.example/, secret: {env: PARAPET_TEST_SECRET}}\n" GOOD_ROUTES,
      refused, &error);
  assert_non_null(notices);
  assert_string_equal(notices->channels[0].secret, "a key of many characters");
  assert_string_equal(notices->channels[1].secret, "another key of many characters");
  notices_free(notices);
  json_decref(refused);
}

static void test_without_a_file_everything_goes_to_the_topic_or_the_log(void **state) {
  (void)state;
  static const struct {
    const char *topic, *name;
    enum channel_kind kind;
  } rows[] = {{"", "log", CHANNEL_LOG}, {"arn:aws:sns:eu-west-1:999999999999:t", "sns", CHANNEL_SNS}};
  for (size_t i = 0; i < 2; i++) {
    json_t *notice = json_pack("{s:s}", "severity", "low");
    struct notices *notices = notices_load("", rows[i].topic, NULL, NULL);
    assert_non_null(notices);
    assert_int_equal(notices->channels[0].kind, rows[i].kind);
    assert_string_equal(notices->channels[0].name, rows[i].name);
    assert_int_equal(notices_route(notices, notice), 1);
    notices_free(notices);
    json_decref(notice);
  }
}

static void test_the_first_route_that_fits_decides_unless_it_says_also(void **state) {
  (void)state;
  struct error error = {0};
  json_t *refused = json_array();
  struct notices *notices = load_text_of(
      "channels: {a: {log: true}, b: {log: true}, c: {log: true}}\n"
      "routes:\n"
      "  - {match: {severity: [critical, high], environment: prod}, to: a, also: true}\n"
      "  - {match: {owner: \"pay*\"}, to: b}\n"
      "  - {match: {actor: \"*:assumed-role/terraform/*\"}, to: [b, c]}\n"
      "  - {match: {severity: high}, to: c}\n",
      refused, &error);
  if (!notices) fail_msg("%s", error.message);
  static const struct {
    const char *severity, *environment, *owner, *actor;
    unsigned to;
  } rows[] = {
      {"high", "prod", "payments", "", 3},                                      /* also: and the owner's */
      {"critical", "prod", "", "", 1},                                          /* behind `also` nothing fits */
      {"high", "dev", "", "", 4},                                               /* every member of a match must fit */
      {"low", "dev", "payments", "", 2},                                        /* a glob */
      {"low", "dev", "", "arn:aws:sts::1:assumed-role/terraform/apply", 6},     /* two channels */
      {"high", "dev", "payroll", "arn:aws:sts::1:assumed-role/terraform/x", 2}, /* the first decides */
      {"low", "dev", "", "", 0},                                                /* nothing fits */
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    json_t *notice = json_pack("{s:s, s:s, s:s, s:s}", "severity", rows[i].severity, "environment", rows[i].environment,
                               "owner", rows[i].owner, "actor", rows[i].actor);
    if (notices_route(notices, notice) != rows[i].to) fail_msg("row %zu: %u", i, notices_route(notices, notice));
    json_decref(notice);
  }
  notices_free(notices);
  json_decref(refused);
}

static void test_the_owner_is_the_first_of_the_tags(void **state) {
  (void)state;
  struct error error = {0};
  json_t *refused = json_array();
  struct notices *notices = load_text_of(LOG_CHANNEL GOOD_ROUTES "owner_tags: [owner, team]\n", refused, &error);
  assert_non_null(notices);
  static const char *const rows[][2] = {
      {"[{\"Key\": \"team\", \"Value\": \"t\"}, {\"Key\": \"owner\", \"Value\": \"ann\"}]", "ann"},
      {"[{\"key\": \"team\", \"value\": \"t\"}]", "t"},       /* ECS' form */
      {"[{\"TagKey\": \"team\", \"TagValue\": \"k\"}]", "k"}, /* KMS' */
      {"{\"owner\": \"map\"}", "map"},                        /* Lambda's */
      {"[{\"Key\": \"Name\", \"Value\": \"x\"}]", ""},
      {"null", ""},
      {"[1, null, {}]", ""},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    json_t *tags = json_loads(rows[i][0], JSON_DECODE_ANY, NULL);
    char *owner = notices_owner(notices, tags);
    assert_string_equal(owner, rows[i][1]);
    free(owner);
    json_decref(tags);
  }
  notices_free(notices);
  json_decref(refused);
}

/* The sample, with the files and variables that it names. */
static void test_the_sample_is_right(void **state) {
  (void)state;
  char root[512], text[8192];
  snprintf(root, sizeof root, "%s", __FILE__);
  *strstr(root, "/tests/unit/") = '\0';
  strncat(root, "/deploy/config/notices.yaml", sizeof root - strlen(root) - 1);
  FILE *file = fopen(root, "r");
  assert_non_null(file);
  size_t length = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  text[length] = '\0';
  static const char *const bodies[] = {"notices/slack.yaml", "notices/teams.yaml"};
  for (size_t i = 0; i < 2; i++) {
    char copy[8192], path[600], *at;
    struct error error = {0};
    json_t *refused = json_array();
    setenv("PAYMENTS_WEBHOOK_SECRET", "sixteen characters or more", 1);
    write_file("address", "https://hooks.slack.example/services/T0/B0/x\n");
    snprintf(copy, sizeof copy, "%s", text);
    assert_non_null(at = strstr(copy, "/run/secrets/slack-address"));
    memmove(at + 7, at + 26, strlen(at + 26) + 1);
    memcpy(at, "address", 7);
    snprintf(path, sizeof path, "%.*s/%s", (int)(strrchr(root, '/') - root), root, bodies[i]);
    assert_non_null(at = strstr(copy, "notices/slack.yaml"));
    memmove(at + strlen(path), at + 18, strlen(at + 18) + 1);
    memcpy(at, path, strlen(path));
    struct notices *notices = load_text_of(copy, refused, &error);
    if (!notices) fail_msg("%s", error.message);
    assert_int_equal(notices->channel_count, 3);
    json_t *digest = json_pack("{s:s, s:i, s:[{s:s, s:s}], s:{s:i}}", "key", "ssh|1", "count", 1, "notices",
                               "guardrail", "ssh", "account", "1", "counts", "fixed", 1);
    char *body = notice_body(&notices->channels[1], NULL, digest, "the subject", "the \"text\"", &error);
    if (!body) fail_msg("%s", error.message);
    assert_non_null(strstr(body, "the \\\"text\\\""));
    assert_non_null(strstr(body, "unknown")); /* the owner */
    free(body);
    json_decref(digest);
    notices_free(notices);
    json_decref(refused);
  }
}
