#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/config.h"
#include "base/log.h"

static const struct setting table[] = {
    {"kafka.brokers", SETTING_LIST, "one:9092,two:9092", "bootstrap servers"},
    {"kafka.tls", SETTING_BOOL, "false", "encrypt | or not"},
    {"worker.threads", SETTING_NUMBER, "64", "pool size", 1, 1024},
    {"worker.lease", SETTING_DURATION, "60s", "lease on a resource", 1000, 600000},
    {"redis.url", SETTING_TEXT, "redis://localhost", "where Redis is"},
    {"redis.password", SETTING_TEXT, NULL, "its password", .secret = 1},
    {"offset", SETTING_NUMBER, NULL, "any number"},
    {NULL},
};

enum { MOST_WORDS = 8 };

/* One loading: a file's text (NULL: none), environment, words of the command line; then what came of it. */
struct attempt {
  const char *file;
  const char *environment[4][2];
  const char *words[MOST_WORDS];
  int no_rest;
  struct config *config;
  struct config_rest rest;
  struct error error;
  char *complaints;
  size_t complaints_length;
  char path[64];
  char *argv[MOST_WORDS + 4];
};

static void write_file(char *path, size_t size, const char *text, size_t length) {
  snprintf(path, size, "/tmp/parapet-test-config-XXXXXX");
  int descriptor = mkstemp(path);
  assert_true(descriptor >= 0);
  assert_int_equal(write(descriptor, text, length), length);
  close(descriptor);
}

static void load(struct attempt *attempt) {
  int argc = 0;
  attempt->argv[argc++] = (char *)"program";
  if (attempt->file) {
    write_file(attempt->path, sizeof attempt->path, attempt->file, strlen(attempt->file));
    attempt->argv[argc++] = (char *)"--config";
    attempt->argv[argc++] = attempt->path;
  }
  for (int i = 0; i < MOST_WORDS && attempt->words[i]; i++) attempt->argv[argc++] = (char *)attempt->words[i];
  for (int i = 0; i < 4 && attempt->environment[i][0]; i++)
    setenv(attempt->environment[i][0], attempt->environment[i][1], 1);
  FILE *complaints = open_memstream(&attempt->complaints, &attempt->complaints_length);
  assert_non_null(complaints);
  attempt->config =
      config_load(table, argc, attempt->argv, attempt->no_rest ? NULL : &attempt->rest, complaints, &attempt->error);
  fclose(complaints);
  for (int i = 0; i < 4 && attempt->environment[i][0]; i++) unsetenv(attempt->environment[i][0]);
  if (attempt->file) unlink(attempt->path);
}

static void end(struct attempt *attempt) {
  config_free(attempt->config);
  free(attempt->complaints);
}

/* Each must be refused, with these words in the complaint. */
static void test_mistakes_are_refused_with_place_and_reason(void **state) {
  (void)state;
  static const struct {
    struct attempt attempt;
    const char *wanted;
  } cases[] = {
      /* the file */
      {{.file = "kafka:\n  broker: [a]\n"}, ":2: kafka.broker is not a setting (did you mean \"kafka.brokers\"?)"},
      {{.file = "kafak:\n  brokers: [a]\n"}, ":1: kafak is not a setting (did you mean \"kafka\"?)"},
      {{.file = "nothing_like_it: 1\n"}, ":1: nothing_like_it is not a setting\n"},
      {{.file = "\n\nkafka.tls: yes\n"}, ":3: kafka.tls is \"yes\", but must be true or false"},
      {{.file = "worker: {threads: 0}\n"}, ":1: worker.threads is \"0\", but must be from 1 to 1024"},
      {{.file = "worker: {threads: 1025}\n"}, "must be from 1 to 1024"},
      {{.file = "worker: {threads: 12x}\n"}, "must be a whole number"},
      {{.file = "worker: {threads: 99999999999999999999}\n"}, "must be a whole number"},
      {{.file = "worker: {threads: [1]}\n"}, "worker.threads must be a single value"},
      {{.file = "worker: {threads: {a: 1}}\n"}, "worker.threads must be a single value"},
      {{.file = "worker: {lease: 60}\n"}, "must be a duration such as"},
      {{.file = "worker: {lease: 1h}\n"}, "must be from 1s to 10m"},
      {{.file = "worker: 5\n"}, ":1: worker is a group of settings, not a value"},
      {{.file = "worker: [a]\n"}, ":1: worker is a group of settings, not a value"},
      {{.file = "redis:\n  url:\n"}, ":2: redis.url has no value"},
      {{.file = "redis: {url: ~}\n"}, "redis.url has no value"},
      {{.file = "redis.url: a\nredis: {url: b}\n"}, ":2: redis.url is given twice, first in line 1"},
      {{.file = "kafka:\n  brokers:\n    - a\n    - [b]\n"}, ":4: kafka.brokers: each item must be a text"},
      {{.file = "kafka: {brokers: {a: b}}\n"}, "kafka.brokers must be a single value or a sequence"},
      {{.file = "[a]: 1\n"}, "a setting's name must be a text"},
      {{.file = "- a\n"}, ":1: settings are a mapping"},
      {{.file = "kafka: {\n"}, ":2: "},
      {{.file = "a: b: c\n"}, ":1: mapping values are not allowed in this context"},
      {{.file = "offset: 1\n---\noffset: 2\n"}, ":3: only one YAML document is read"},
      {{.file = "worker: &w\n  worker: *w\n"}, ":2: worker.worker is not a setting"}, /* an alias in a circle */
      {{.words = {"--config", "/nowhere/x.yaml"}}, "/nowhere/x.yaml: the file cannot be opened: No such file"},
      {{.words = {"--config", "/"}}, "/: the file cannot be read"},
      {{.words = {"--config"}}, "--config needs a value"},
      /* the environment */
      {{.environment = {{"PARAPET_WORKER_THREADS", "many"}}}, "PARAPET_WORKER_THREADS: worker.threads is \"many\""},
      {{.environment = {{"PARAPET_REDIS_PASSWORD_FILE", "/nowhere/x"}}},
       "PARAPET_REDIS_PASSWORD_FILE: the file cannot be opened"},
      {{.environment = {{"PARAPET_REDIS_PASSWORD_FILE", "/"}}}, "PARAPET_REDIS_PASSWORD_FILE: the file cannot be read"},
      {{.environment = {{"PARAPET_REDIS_PASSWORD_FILE", "/dev/zero"}}}, "the file is larger than 64 KiB"},
      {{.environment = {{"PARAPET_REDIS_PASSWORD_FILE", "/x"}, {"PARAPET_REDIS_PASSWORD", "y"}}},
       "give this or PARAPET_REDIS_PASSWORD_FILE, not both"},
      /* the flags */
      {{.words = {"--kafka-brokrs", "x"}}, "--kafka-brokrs is not a flag (did you mean \"kafka-brokers\"?)"},
      {{.words = {"--kafka.tls"}}, "--kafka.tls is not a flag (did you mean \"kafka-tls\"?)"},
      {{.words = {"--worker-threads"}}, "--worker-threads needs a value"},
      {{.words = {"--worker-threads", "--kafka-tls"}}, "--worker-threads needs a value"},
      {{.words = {"--worker-threads="}}, "--worker-threads: worker.threads is \"\""},
      {{.words = {"--kafka-tls=1"}}, "must be true or false"},
      {{.words = {"-v"}}, "-v is not a flag"},
      {{.words = {"word"}, .no_rest = 1}, "\"word\" is one word too many"},
      {{.words = {"--help"}, .no_rest = 1}, "--help is not a flag"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct attempt attempt = cases[i].attempt;
    load(&attempt);
    if (attempt.config) fail_msg("case %zu was taken, not: %s", i, cases[i].wanted);
    if (!strstr(attempt.complaints, cases[i].wanted))
      fail_msg("not \"%s\" but: %s", cases[i].wanted, attempt.complaints);
    assert_int_equal(attempt.error.class, ERROR_INVALID);
    end(&attempt);
  }
}

static void test_every_mistake_is_reported_at_once(void **state) {
  (void)state;
  struct attempt attempt = {.file = "kafka: {tls: 7}\noffset: x\n",
                            .environment = {{"PARAPET_WORKER_LEASE", "soon"}},
                            .words = {"--nothing", "--worker-threads=-1"}};
  load(&attempt);
  assert_null(attempt.config);
  int lines = 0;
  for (const char *at = attempt.complaints; *at; at++) lines += *at == '\n';
  assert_int_equal(lines, 5);
  assert_non_null(strstr(attempt.error.message, "5 mistakes in the settings, the first: "));
  end(&attempt);
}

static void test_a_secret_is_never_in_a_complaint(void **state) {
  (void)state;
  static const struct setting secret_number[] = {{"pin", SETTING_NUMBER, NULL, "a secret number", 1, 9, .secret = 1},
                                                 {NULL}};
  static const char *const values[] = {"hunter22", "1234567890"};
  for (size_t i = 0; i < 2; i++) {
    char word[64];
    snprintf(word, sizeof word, "--pin=%s", values[i]);
    char *argv[] = {(char *)"program", word, NULL};
    char *complaints = NULL;
    size_t length = 0;
    struct error error;
    FILE *out = open_memstream(&complaints, &length);
    assert_null(config_load(secret_number, 2, argv, NULL, out, &error));
    fclose(out);
    assert_null(strstr(complaints, values[i]));
    assert_null(strstr(error.message, values[i]));
    free(complaints);
  }
}

static void test_defaults(void **state) {
  (void)state;
  struct attempt attempt = {.file = "# nothing set\n"};
  load(&attempt);
  assert_non_null(attempt.config);
  const char *const *brokers = config_list(attempt.config, "kafka.brokers");
  assert_string_equal(brokers[0], "one:9092");
  assert_string_equal(brokers[1], "two:9092");
  assert_null(brokers[2]);
  assert_int_equal(config_bool(attempt.config, "kafka.tls"), 0);
  assert_int_equal(config_number(attempt.config, "worker.threads"), 64);
  assert_int_equal(config_ms(attempt.config, "worker.lease"), 60000);
  assert_string_equal(config_text(attempt.config, "redis.password"), "");
  assert_int_equal(config_number(attempt.config, "offset"), 0);
  assert_int_equal(attempt.rest.count, 0);
  end(&attempt);
}

static void test_the_later_place_wins(void **state) {
  (void)state;
  struct attempt attempt = {
      .file = "worker: {threads: 1, lease: 2s}\noffset: -3\nredis.url: \"\"\nkafka:\n  brokers: [\"a,b\", c]\n",
      .environment = {{"PARAPET_WORKER_LEASE", "4s"}, {"PARAPET_OFFSET", "5"}, {"PARAPET_KAFKA_TLS", ""}},
      .words = {"--offset=6", "--kafka-tls", "status", "--offset", "-7", "-", "--", "--x"}};
  load(&attempt);
  if (!attempt.config) fail_msg("%s", attempt.complaints);
  assert_int_equal(config_number(attempt.config, "worker.threads"), 1);
  assert_int_equal(config_ms(attempt.config, "worker.lease"), 4000);
  assert_int_equal(config_number(attempt.config, "offset"), -7);
  assert_int_equal(config_bool(attempt.config, "kafka.tls"), 1);
  assert_string_equal(config_text(attempt.config, "redis.url"), "");
  assert_string_equal(config_list(attempt.config, "kafka.brokers")[0], "a,b"); /* a sequence's items are not split */
  assert_int_equal(attempt.rest.count, 3);
  assert_string_equal(attempt.rest.words[0], "status");
  assert_string_equal(attempt.rest.words[1], "-");
  assert_string_equal(attempt.rest.words[2], "--x");
  assert_null(attempt.rest.words[3]);
  end(&attempt);
}

static void test_lists_in_text_are_split_and_trimmed(void **state) {
  (void)state;
  struct attempt attempt = {.words = {"--kafka-brokers", " a:1 ,, b:2,", "--help"}};
  load(&attempt);
  assert_non_null(attempt.config);
  const char *const *brokers = config_list(attempt.config, "kafka.brokers");
  assert_string_equal(brokers[0], "a:1");
  assert_string_equal(brokers[1], "b:2");
  assert_null(brokers[2]);
  assert_string_equal(attempt.rest.words[0], "--help");
  end(&attempt);
}

static void test_secret_from_a_file(void **state) {
  (void)state;
  char path[64];
  write_file(path, sizeof path, "pass word 77\r\n", 14);
  struct attempt attempt = {.environment = {{"PARAPET_REDIS_PASSWORD_FILE", path}}};
  load(&attempt);
  unlink(path);
  if (!attempt.config) fail_msg("%s", attempt.complaints);
  assert_string_equal(config_text(attempt.config, "redis.password"), "pass word 77");
  char text[] = "it is pass word 77";
  assert_string_equal(log_mask(text), "it is ***"); /* the log knows it now */
  end(&attempt);

  write_file(path, sizeof path, "a\0b", 3);
  struct attempt with_nul = {.environment = {{"PARAPET_REDIS_PASSWORD_FILE", path}}};
  load(&with_nul);
  unlink(path);
  assert_null(with_nul.config);
  end(&with_nul);
}

static void test_the_file_from_the_environment(void **state) {
  (void)state;
  char path[64];
  write_file(path, sizeof path, "offset: 9\n", 10);
  struct attempt attempt = {.environment = {{"PARAPET_CONFIG", path}}};
  load(&attempt);
  unlink(path);
  assert_non_null(attempt.config);
  assert_int_equal(config_number(attempt.config, "offset"), 9);
  end(&attempt);
}

/* Others put PARAPET_ variables there, too; only what is nearly a setting is worth a word. */
static void test_near_variables_are_warned_of(void **state) {
  (void)state;
  struct attempt attempt = {.environment = {{"PARAPET_WORKER_THREAD", "5"},
                                            {"PARAPET_SERVICE_PORT_HTTP", "80"},
                                            {"PARAPET_REDIS_PASSWORD", "long-enough"},
                                            {"PARAPET_REDIS_PASSWORD_FILE", ""}}};
  load(&attempt);
  assert_non_null(attempt.config);
  assert_string_equal(attempt.complaints,
                      "warning: PARAPET_WORKER_THREAD is not a setting (did you mean PARAPET_WORKER_THREADS?)\n");
  end(&attempt);
}

static void test_print_names_the_origin_and_hides_secrets(void **state) {
  (void)state;
  struct attempt attempt = {.file = "redis:\n  url: redis://:hunter22@host\n",
                            .environment = {{"PARAPET_REDIS_PASSWORD", "hunter33"}},
                            .words = {"--kafka-tls"}};
  load(&attempt);
  assert_non_null(attempt.config);
  char *text = NULL;
  size_t length = 0;
  FILE *out = open_memstream(&text, &length);
  config_print(attempt.config, out);
  fclose(out);
  char expected[256];
  snprintf(expected, sizeof expected, "redis.url = redis://:***@host (file %s:2)\n", attempt.path);
  assert_non_null(strstr(text, expected));
  assert_non_null(strstr(text, "kafka.brokers = one:9092, two:9092 (default)\n"));
  assert_non_null(strstr(text, "kafka.tls = true (flag --kafka-tls)\n"));
  assert_non_null(strstr(text, "redis.password = *** (environment PARAPET_REDIS_PASSWORD)\n"));
  assert_null(strstr(text, "hunter"));
  free(text);
  end(&attempt);
}

static void test_help_and_markdown_come_from_the_table(void **state) {
  (void)state;
  char *text = NULL;
  size_t length = 0;
  FILE *out = open_memstream(&text, &length);
  config_print_help(table, out);
  config_print_markdown(table, out);
  fclose(out);
  static const char *const wanted[] = {
      "\n  --worker-threads number  pool size (1..1024, default 64)\n",
      "\n  --kafka-tls              encrypt | or not (default false)\n",
      "\n  --redis-password text    its password\n",
      "\n| `worker.lease` | duration | `60s` | 1s..10m | `PARAPET_WORKER_LEASE` | lease on a resource |\n",
      "\n| `kafka.tls` | boolean | `false` | | `PARAPET_KAFKA_TLS` | encrypt \\| or not |\n",
      "\n| `redis.password` | secret | | | `PARAPET_REDIS_PASSWORD` | its password |\n",
  };
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
    if (!strstr(text, wanted[i])) fail_msg("not there: %s\nin: %s", wanted[i], text);
  free(text);
}

static void ask_for_nothing(const struct config *config) { config_text(config, "no.such"); }
static void ask_for_another_type(const struct config *config) { config_number(config, "redis.url"); }

/* A misspelt name inside the program must not go unseen. */
static void test_asking_for_what_is_not_there_aborts(void **state) {
  (void)state;
  static void (*const asks[])(const struct config *config) = {ask_for_nothing, ask_for_another_type};
  struct attempt attempt = {0};
  load(&attempt);
  for (size_t i = 0; i < 2; i++) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
      signal(SIGABRT, SIG_DFL);
      if (!freopen("/dev/null", "w", stderr)) _exit(1);
      asks[i](attempt.config);
      _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
  }
  end(&attempt);
}

static void test_nearest(void **state) {
  (void)state;
  static const char *const words[] = {"ec2.DescribeInstances", "ec2.DescribeVpcs", "find", "where", "when", NULL};
  static const struct {
    const char *word, *nearest;
  } cases[] = {
      {"", NULL},
      {"fi", NULL},     /* two letters leave no room for a mistake */
      {"fidn", "find"}, /* neighbours swapped are one mistake */
      {"fin", "find"},
      {"xyz", NULL},
      {"whem", "when"},
      {"wheer", "where"},
      {"ec2.DescribeInstance", "ec2.DescribeInstances"},
      {"ec2.describeVpc", "ec2.DescribeVpcs"},
      {"find", "find"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const char *nearest = config_nearest(cases[i].word, words);
    if (cases[i].nearest)
      assert_string_equal(nearest, cases[i].nearest);
    else
      assert_null(nearest);
  }
  static const char *const none[] = {NULL};
  assert_null(config_nearest("find", none));
  char longest[500];
  memset(longest, 'a', sizeof longest - 1);
  longest[sizeof longest - 1] = '\0';
  assert_null(config_nearest(longest, words));
}
