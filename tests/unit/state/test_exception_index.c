#include "base/glob.h"
#include "state/exception_index.h"

#include "fixture.h"

#include <time.h>

/* Processor time of this thread: a machine that others share changes nothing. */
static int64_t worked_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static void test_globs(void **unused) {
  (void)unused;
  static const struct {
    const char *pattern, *text;
    int matches;
  } rows[] = {
      {"", "", 1},
      {"", "a", 0},
      {"a", "", 0},
      {"*", "", 1},
      {"**", "anything/at:all", 1},
      {"?", "", 0},
      {"?", "a", 1},
      {"?", "ab", 0},
      {"?", "\xc3\xa9", 1}, /* one character, two bytes */
      {"??", "\xc3\xa9", 0},
      {"sg-*", "sg-", 1},
      {"sg-*", "SG-1", 0}, /* AWS ids have a case */
      {"*-prod", "web-prod", 1},
      {"*-prod", "web-prod-2", 0},
      {"a*b*c", "a-b-b-c", 1},
      {"a*b*c", "a-c-b", 0},
      {"arn:aws:s3:::logs-*", "arn:aws:s3:::logs-2026", 1},
      {"[ab]", "a", 0}, /* no bracket expressions */
      {"[ab]", "[ab]", 1},
      {"a\\*", "a\\b", 1},                                                                         /* no escapes */
      {"*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 0}, /* not exponential */
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    assert_int_equal(glob_matches(rows[i].pattern, rows[i].text), rows[i].matches);
}

static void put(struct exception_index *index, const char *id, const char *text) {
  OK(exception_index_put(index, id, text, strlen(text), &error));
}

static const struct state_subject web = {.guardrail = "ssh",
                                         .account = "111111111111",
                                         .unit = "workloads/prod",
                                         .region = "eu-west-1",
                                         .environment = "prod",
                                         .resource = "sg-1",
                                         .arn = "arn:aws:ec2:eu-west-1:111111111111:security-group/sg-1"};

static void test_each_scope_member_must_match(void **unused) {
  (void)unused;
  static const struct {
    const char *members;
    int covers;
  } rows[] = {
      {"", 1}, /* nothing said: everything */
      {"\"guardrail\":\"*\",", 1},
      {"\"guardrail\":\"ssh\",", 1},
      {"\"guardrail\":\"rdp\",", 0},
      {"\"guardrail\":\"ss*\",", 0}, /* guardrails are named, not matched */
      {"\"account\":\"111111111111\",", 1},
      {"\"account\":\"222222222222\",", 0},
      {"\"account\":\"*\",\"region\":\"*\",\"environment\":\"*\",\"resource\":\"*\",", 1},
      {"\"region\":\"eu-west-1\",", 1},
      {"\"region\":\"eu-west-2\",", 0},
      {"\"environment\":\"prod\",", 1},
      {"\"environment\":\"dev\",", 0},
      {"\"resource\":\"sg-1\",", 1},
      {"\"resource\":\"sg-2\",", 0},
      {"\"resource\":\"sg-?\",", 1},
      {"\"resource\":\"*\",", 1},
      {"\"resource\":\"*-1\",", 1},
      {"\"resource\":\"sg-1*\",", 1}, /* the glob's beginning is the whole resource */
      {"\"resource\":\"sg-11*\",", 0},
      {"\"resource\":\"arn:aws:ec2:eu-west-1:111111111111:security-group/sg-1\",", 1},
      {"\"resource\":\"arn:aws:ec2:*:111111111111:security-group/*\",", 1},
      {"\"resource\":\"arn:aws:ec2:eu-west-1:111111111111:security-group/sg-1*\",", 1},
      {"\"resource\":\"arn:aws:ec2:eu-west-1:111111111111:security-group-of-a-long-name/*\",", 0}, /* beyond 63 bytes */
      {"\"guardrail\":\"ssh\",\"account\":\"111111111111\",\"region\":\"eu-west-1\",\"resource\":\"sg-*\",", 1},
      {"\"guardrail\":\"ssh\",\"account\":\"111111111111\",\"region\":\"eu-west-9\",\"resource\":\"sg-*\",", 0},
      {"\"unit\":\"workloads/prod\",", 1},
      {"\"unit\":\"workloads\",", 0}, /* a path is named whole, or by a glob */
      {"\"unit\":\"workloads/*\",", 1},
      {"\"unit\":\"security/*\",", 0},
      {"\"unit\":\"workloads/prod\",\"resource\":\"sg-1\",", 1},
      {"\"unit\":\"workloads/dev\",\"resource\":\"sg-1\",", 0},
      {"\"tag\":\"team=red\",", 1},
      {"\"tag\":\"team=blue\",", 0},
      {"\"tag\":\"team=r*\",", 1},
      {"\"tag\":\"team\",", 1}, /* whatever its value */
      {"\"tag\":\"teams\",", 0},
      {"\"tag\":\"tea\",", 0},
      {"\"tag\":\"owner=\",", 1}, /* has it, empty */
      {"\"tag\":\"team=red\",\"resource\":\"sg-*\",", 1},
      {"\"tag\":\"team=red\",\"resource\":\"sg-2\",", 0},
      {"\"tag\":\"team=blue\",\"resource\":\"sg-1\",", 0},
      {"\"tag\":\"team=red\",\"unit\":\"security\",", 0},
      {"\"tag\":\"a=b=c\",", 1}, /* the first = is the border */
      {"\"starts\":2000,", 0},   /* not yet */
      {"\"starts\":1000,", 1},
      {"\"starts\":\"1970-01-01T00:00:01Z\",", 1},
      {"\"starts\":\"soon\",", 0}, /* cannot be read: never begins */
  };
  char text[400];
  struct state_subject subject = web;
  json_t *tags = parse("{\"team\":\"red\",\"owner\":\"\",\"a\":\"b=c\"}");
  subject.tags = tags;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct exception_index *index = exception_index_open();
    snprintf(text, sizeof text, "{%s\"id\":\"x\",\"expires\":1500}", rows[i].members);
    put(index, "x", text);
    int covers = exception_index_find(index, &subject, 1000) != NULL;
    if (covers != rows[i].covers) print_message("row %zu: %s\n", i, rows[i].members);
    assert_int_equal(covers, rows[i].covers);
    assert_null(exception_index_find(index, &subject, 1500)); /* expires at, not after */
    subject.grace_ms = 100;
    assert_int_equal(exception_index_find(index, &subject, 1599) != NULL, rows[i].covers);
    assert_null(exception_index_find(index, &subject, 1600));
    subject.grace_ms = 0;
    exception_index_close(index);
  }
  json_decref(tags);
}

static void test_unknown_parts_of_a_subject_match_only_everything(void **unused) {
  (void)unused;
  struct exception_index *index = exception_index_open();
  put(index, "r", "{\"id\":\"r\",\"expires\":9,\"resource\":\"sg-*\"}");
  put(index, "e", "{\"id\":\"e\",\"expires\":9,\"environment\":\"prod\"}");
  put(index, "a", "{\"id\":\"a\",\"expires\":9,\"account\":\"1\"}");
  struct state_subject nothing = {.guardrail = "ssh"};
  assert_null(exception_index_find(index, &nothing, 1));
  put(index, "all", "{\"id\":\"all\",\"expires\":9}");
  assert_non_null(exception_index_find(index, &nothing, 1));
  exception_index_close(index);
}

static void test_the_longest_lasting_one_wins_and_changes_replace(void **unused) {
  (void)unused;
  struct exception_index *index = exception_index_open();
  put(index, "b", "{\"id\":\"b\",\"expires\":100}");
  put(index, "c", "{\"id\":\"c\",\"expires\":300,\"resource\":\"sg-*\"}");
  put(index, "a", "{\"id\":\"a\",\"expires\":200,\"resource\":\"sg-1\"}");
  assert_non_null(strstr(exception_index_find(index, &web, 1), "\"c\""));
  assert_non_null(strstr(exception_index_find(index, &web, 50), "\"c\""));
  put(index, "c", "{\"id\":\"c\",\"expires\":300,\"resource\":\"other\"}"); /* moved away */
  assert_int_equal(exception_index_count(index), 3);
  assert_non_null(strstr(exception_index_find(index, &web, 1), "\"a\""));
  exception_index_remove(index, "a");
  exception_index_remove(index, "a");
  assert_non_null(strstr(exception_index_find(index, &web, 1), "\"b\""));
  assert_null(exception_index_find(index, &web, 250));
  exception_index_close(index);
}

static void test_records_nobody_wrote_are_errors(void **unused) {
  (void)unused;
  static const char *const rows[] = {
      "", "nonsense", "[]", "{}", "{\"expires\":\"soon\"}", "{\"expires\":-1}", "{\"expires\":1.5}"};
  struct exception_index *index = exception_index_open();
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    FAILS(exception_index_put(index, "x", rows[i], strlen(rows[i]), &error), ERROR_FATAL, "record");
  assert_int_equal(exception_index_count(index), 0);
  exception_index_close(index);
}

/* One exception of each scope in turn, each for something of its own: number 3 for an id, 4 for a tag … */
static void scope_of(int i, char *text, size_t size) {
  static const char *const forms[] = {
      "\"guardrail\":\"ssh\",\"account\":\"%012d\",\"resource\":\"sg-%d\"",
      "\"guardrail\":\"*\",\"account\":\"%012d\",\"resource\":\"arn:aws:ec2:eu-west-1:*:security-group/sg-%d\"",
      "\"guardrail\":\"ssh\",\"account\":\"%012d\",\"resource\":\"sg-%d-*\"",
      "\"guardrail\":\"ssh\",\"account\":\"%012d\",\"tag\":\"ticket=T-%d\"",
      "\"guardrail\":\"ssh\",\"region\":\"eu-west-1\",\"environment\":\"e%03d\",\"unit\":\"unit/%d\"",
      "\"guardrail\":\"rdp\",\"account\":\"%012d\",\"tag\":\"key-%d\"",
  };
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  snprintf(text, size, forms[i % 6], i % 500, i);
#pragma GCC diagnostic pop
}

static void test_100000_of_all_scopes_are_found_in_microseconds(void **unused) {
  (void)unused;
  struct exception_index *index = exception_index_open();
  char id[32], text[300], scope[200];
  for (int i = 0; i < 100000; i++) {
    snprintf(id, sizeof id, "e%d", i);
    scope_of(i, scope, sizeof scope);
    snprintf(text, sizeof text, "{\"id\":\"%s\",%s,\"expires\":9}", id, scope);
    put(index, id, text);
  }
  int64_t started = worked_ms();
  for (int i = 0; i < 3000; i++) {
    int n = i * 33;
    char account[16], resource[32], arn[96], unit[32], environment[8], tag[32], key[32], wanted[40];
    snprintf(account, sizeof account, "%012d", n % 500);
    snprintf(resource, sizeof resource, n % 6 == 2 ? "sg-%d-x" : n % 6 == 0 ? "sg-%d" : "other-%d", n);
    snprintf(arn, sizeof arn, "arn:aws:ec2:eu-west-1:1:security-group/%s%d", n % 6 == 1 ? "sg-" : "no-", n);
    snprintf(unit, sizeof unit, "unit/%d", n % 6 == 4 ? n : -1);
    snprintf(environment, sizeof environment, "e%03d", n % 500);
    snprintf(tag, sizeof tag, "T-%d", n % 6 == 3 ? n : -1);
    snprintf(key, sizeof key, "key-%d", n % 6 == 5 ? n : -1);
    json_t *tags = json_pack("{s:s, s:s, s:s}", "Name", "web", "ticket", tag, key, "x");
    struct state_subject subject = {
        n % 6 == 5 ? "rdp" : "ssh", account, unit, "eu-west-1", environment, resource, arn, tags};
    const char *found = exception_index_find(index, &subject, 1);
    snprintf(wanted, sizeof wanted, "\"e%d\"", n);
    if (!found || !strstr(found, wanted)) fail_msg("%d: %s", n, found ? found : "nothing");
    json_decref(tags);
  }
  int64_t took = worked_ms() - started;
  assert_true(took < 3000); /* under 1 ms each even here, under a sanitizer */
  exception_index_close(index);
}

static void test_100000_cost_microseconds(void **unused) {
  (void)unused;
  struct exception_index *index = exception_index_open();
  char id[32], text[256];
  for (int i = 0; i < 100000; i++) {
    snprintf(id, sizeof id, "e%d", i);
    snprintf(text, sizeof text,
             "{\"id\":\"%s\",\"guardrail\":\"%s\",\"account\":\"%012d\",\"resource\":\"%s%d%s\",\"expires\":9}", id,
             i % 3 ? "ssh" : "*", i % 5000, i % 2 ? "sg-" : "arn:aws:ec2:eu-west-1:*:security-group/sg-", i,
             i % 7 ? "" : "*");
    put(index, id, text);
  }
  struct state_subject subject = web;
  int found = 0;
  int64_t started = worked_ms();
  for (int i = 0; i < 2000; i++) {
    char account[16], resource[32];
    snprintf(account, sizeof account, "%012d", i % 5000);
    snprintf(resource, sizeof resource, "sg-%d", i);
    subject.account = account;
    subject.resource = resource;
    found += exception_index_find(index, &subject, 1) != NULL;
  }
  int64_t took = worked_ms() - started;
  assert_true(found > 500);
  assert_true(took < 2000); /* under 1 ms each even here, under a sanitizer */
  for (int i = 0; i < 100000; i++) {
    snprintf(id, sizeof id, "e%d", i);
    exception_index_remove(index, id);
  }
  assert_int_equal(exception_index_count(index), 0);
  exception_index_close(index);
}
