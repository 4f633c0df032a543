#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

#define SECRET_KEY "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
#define SESSION_TOKEN "IQoJb3JpZ2luX2VjEOz//////////wEaCXVzLWVhc3QtMSJHMEUCIQDw5Zl6rXGy2T0bX3cYw=="

/* Everything logged between start and end_capture(), as one text. */
static FILE *captured;

static void start_capture(void) {
  captured = tmpfile();
  assert_non_null(captured);
  log_set_descriptor(fileno(captured));
}

static char *end_capture(void) {
  log_set_descriptor(2);
  off_t size = lseek(fileno(captured), 0, SEEK_END);
  assert_true(size >= 0);
  char *text = calloc(1, (size_t)size + 1);
  assert_non_null(text);
  assert_int_equal(pread(fileno(captured), text, (size_t)size, 0), size);
  fclose(captured);
  return text;
}

static json_t *captured_object(void) {
  char *text = end_capture();
  json_error_t error;
  json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, &error);
  if (!object) fail_msg("%s in: %.300s", error.text, text);
  free(text);
  return object;
}

static const char *text_of(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  if (!text) fail_msg("no text \"%s\"", key);
  return text;
}

/* The text around the secret must stay: what is hidden is the secret alone. */
static void test_secrets_are_masked(void **state) {
  (void)state;
  static const struct {
    const char *text, *wanted;
  } cases[] = {
      /* access key ids show by themselves, in any place */
      {"key AKIAIOSFODNN7EXAMPLE used", "key *** used"},
      {"ASIAIOSFODNN7EXAMPLE", "***"},
      {"(AKIAIOSFODNN7EXAMPLE)", "(***)"},
      {"Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1", "Credential=***%2F20130524%2Fus-east-1"},
      {"AKIAI44QH8DHBEXAMPLE,je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY", "***"}, /* a line of credentials.csv */
      {"AKIAI44QH8DHBEXAMPLE : je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY.", "***."},
      /* secret access keys show by their names, in whatever dialect */
      {"aws_secret_access_key = " SECRET_KEY "\nregion = x", "aws_secret_access_key = ***\nregion = x"},
      {"AWS_SECRET_ACCESS_KEY=" SECRET_KEY " AWS_REGION=x", "AWS_SECRET_ACCESS_KEY=*** AWS_REGION=x"},
      {"{\"SecretAccessKey\": \"" SECRET_KEY "\", \"a\": 1}", "{\"SecretAccessKey\": \"***\", \"a\": 1}"},
      {"{\"secretAccessKey\":\"" SECRET_KEY "\"}", "{\"secretAccessKey\":\"***\"}"},
      {"{'SecretAccessKey': '" SECRET_KEY "'}", "{'SecretAccessKey': '***'}"},
      {"{\\\"SecretAccessKey\\\":\\\"" SECRET_KEY "\\\",\\\"a\\\":1}",
       "{\\\"SecretAccessKey\\\":\\\"***\\\",\\\"a\\\":1}"},
      {"<SecretAccessKey>" SECRET_KEY "</SecretAccessKey>", "<SecretAccessKey>***</SecretAccessKey>"},
      {"<ns:SecretAccessKey>" SECRET_KEY "</ns:SecretAccessKey>", "<ns:SecretAccessKey>***</ns:SecretAccessKey>"},
      {"secret access key: " SECRET_KEY, "secret access key: ***"},
      {"SecretAccessKey " SECRET_KEY " x", "SecretAccessKey *** x"},
      {"%22SecretAccessKey%22%3A%22" SECRET_KEY "%22", "%22SecretAccessKey%22%3A%22***%22"},
      {"credentials['SecretAccessKey'] = b'" SECRET_KEY "'", "credentials['SecretAccessKey'] = b'***'"},
      /* session tokens, by name and by their beginning */
      {"<SessionToken>" SESSION_TOKEN "</SessionToken>", "<SessionToken>***</SessionToken>"},
      {"\"SessionToken\":\"anything at all\",", "\"SessionToken\":\"***\","},
      {"token is " SESSION_TOKEN ".", "token is ***"}, /* the full stop may be part of it */
      {"FwoGZXIvYXdzEBYaDHqa0AP1/fFQoGZXI= x", "*** x"},
      {"X-Amz-Security-Token: " SESSION_TOKEN "\r\nHost: x", "X-Amz-Security-Token: ***\r\nHost: x"},
      {"X-aws-ec2-metadata-token: AQAEALsdhJw2Q==", "X-aws-ec2-metadata-token: ***"},
      /* presigned URLs */
      {"https://b.s3.amazonaws.com/k?X-Amz-Date=1&X-Amz-Security-Token=IQoJ%2Fx%3D&X-Amz-Signature=aeeed9bb&x=1",
       "https://b.s3.amazonaws.com/k?X-Amz-Date=1&X-Amz-Security-Token=***&X-Amz-Signature=***&x=1"},
      {"u=https%3A%2F%2Fb%2Fk%3FX-Amz-Signature%3Daeeed9bb%26x%3D1",
       "u=https%3A%2F%2Fb%2Fk%3FX-Amz-Signature%3D***%26x%3D1"},
      {"?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Signature=vjbyPxybdZaNmGa%2ByT272YEAiv4%3D&Expires=1",
       "?AWSAccessKeyId=***&Signature=***&Expires=1"},
      /* passwords in URLs */
      {"redis://:password@host:6379/0", "redis://:***@host:6379/0"},
      {"redis://user:p%40ss@host", "redis://user:***@host"},
      {"redis://user:p@ss@host", "redis://user:***@host"},
      {"redis://:pa/ss@host", "redis://:***@host"},
      {"redis://:12/34@host", "redis://:***@host"},
      {"redis://:p@host", "redis://:*@host"}, /* never longer than it was */
      {"a rediss://:one1@h1 b amqp://u:two2@h2 c", "a rediss://:***@h1 b amqp://u:***@h2 c"},
      /* Authorization headers, to the end of their line or quote */
      {"Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/1/x, SignedHeaders=host, Signature=fe5f\nHost: "
       "x",
       "Authorization: ***\nHost: x"},
      {"authorization: Basic dXNlcjpwYXNz", "authorization: ***"},
      {"Proxy-Authorization: Basic dXNlcjpwYXNz\r\n", "Proxy-Authorization: ***\r\n"},
      {"curl -H 'Authorization: Bearer abc' -d x", "curl -H 'Authorization: ***' -d x"},
      {"{\"Authorization\": \"Basic dXNlcjpwYXNz\", \"a\": 1}", "{\"Authorization\": \"***\", \"a\": 1}"},
      {"{\"Authorization\": [\"Basic dXNlcjpwYXNz\"]}", "{\"Authorization\": [\"***\"]}"},
      {"sent Bearer abcdefghijklmnop123 to", "sent Bearer *** to"},
      /* others */
      {"password=hunter2 x", "password=*** x"},
      {"\"db_password\" : \"with space\", x", "\"db_password\" : \"***\", x"},
      {"MasterUserPassword=a,b&x=1", "MasterUserPassword=***&x=1"},
      {"{\"password\":\"a\\\"b\",\"c\":1}", "{\"password\":\"***\",\"c\":1}"}, /* an escaped quote is inside */
      {"\"SecretString\":\"abc\"", "\"SecretString\":\"***\""},
      {"token=abc123", "token=***"},
      {"jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N end", "jwt *** end"},
      {"-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----\n",
       "-----BEGIN RSA PRIVATE KEY-----***-----END RSA PRIVATE KEY-----\n"},
      /* a text that was cut off in the middle of a secret */
      {"{\"SecretAccessKey\":\"wJalrXUtn", "{\"SecretAccessKey\":\"***"},
      {"-----BEGIN PRIVATE KEY-----\nMIIEow", "-----BEGIN PRIVATE KEY-----***"},
      {"aws_secret_access_key=***", "aws_secret_access_key=***"}, /* twice masked is once masked */
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char *text = strdup(cases[i].text);
    assert_non_null(text);
    if (strcmp(log_mask(text), cases[i].wanted) != 0)
      fail_msg("%s\n  became %s\n  not %s", cases[i].text, text, cases[i].wanted);
    free(text);
  }
}

static void test_what_is_no_secret_stays(void **state) {
  (void)state;
  static const char *const texts[] = {
      "",
      "The security token included in the request is expired",
      "InvalidClientTokenId: The security token included in the request is invalid.",
      "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db-AbCdEf",
      "arn:aws:iam::123456789012:role/ParapetRead AROADBQP57FF2AEXAMPLE AIDACKCEVSQ6C2EXAMPLE",
      "{\"NextToken\":\"eyJhIjoxfQ==\",\"ClientToken\":\"c0ffee\"}",
      "da39a3ee5e6b4b0d3255bfef95601890afd80709", /* a commit, 40 characters */
      "sg-0123456789abcdef0 i-0123456789abcdef0",
      "unexpected token: 'x'",
      "http://host:8080/path@version",
      "http://[::1]:8080/a@b",
      "https://user@host/",
      "kafka:9092,kafka2:9092",
      "2026-11-24T22:04:05Z a=b c: d <e>f</e> 100%3 %3",
      "{\"password\": {\"type\": \"string\"}}", /* a schema speaks of passwords without having one */
      "AKIA is the prefix; AKIA1234 is too short",
      "-----BEGIN CERTIFICATE-----\nMIIEow\n-----END CERTIFICATE-----",
      "The request signature we calculated does not match the signature you provided.",
      "password",
      "password=",
      "password:",
      "Authorization:",
      "://",
      ":",
      "=",
      ">",
      "%3D",
      "%3",
      "%",
      " ",
      "A",
      "eyJ",
      "-",
  };
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    char *text = strdup(texts[i]);
    assert_non_null(text);
    if (strcmp(log_mask(text), texts[i]) != 0) fail_msg("%s\n  became %s", texts[i], text);
    free(text);
  }
  assert_null(log_mask(NULL));
}

/* No text, however it is made, may take more than time linear in its length. */
static void test_hostile_texts_are_masked_in_linear_time(void **state) {
  (void)state;
  static const char *const pieces[] = {"a://b:",      "eyJ",     "AKIA", "password", "-----BEGIN ", "r ",
                                       "secret key ", "\"'\\ :", "=",    "_y:",      "%3D"};
  enum { SIZE = 1 << 20 };
  char *text = malloc(SIZE + 1);
  assert_non_null(text);
  for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
    size_t width = strlen(pieces[i]);
    size_t length = 0;
    for (; length + width <= SIZE; length += width) memcpy(text + length, pieces[i], width);
    text[length] = '\0';
    log_mask(text); /* hours, were it quadratic */
    assert_true(strlen(text) <= length);
  }
  free(text);
}

static void test_registered_values_never_appear(void **state) {
  (void)state;
  log_secret("tiny"); /* too short to be told from ordinary words */
  log_secret(NULL);
  log_secret("s3cr3t+/=\"x");
  log_secret("s3cr3t+/=\"x"); /* again: nothing changes */
  static const struct {
    const char *text, *wanted;
  } cases[] = {
      {"tiny", "tiny"},
      {"a s3cr3t+/=\"x b", "a *** b"},
      {"s3cr3t+/=\"xs3cr3t+/=\"x", "******"},
      {"q=s3cr3t%2B%2F%3D%22x&", "q=***&"},              /* in a URL */
      {"{\"a\":\"s3cr3t+/=\\\"x\"}", "{\"a\":\"***\"}"}, /* in JSON */
      {"s3cr3t+/=\"", "s3cr3t+/=\""},                    /* not whole: not it */
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char *text = strdup(cases[i].text);
    assert_non_null(text);
    assert_string_equal(log_mask(text), cases[i].wanted);
    free(text);
  }
}

static void test_the_oldest_registered_value_goes_first(void **state) {
  (void)state;
  char value[32];
  for (int i = 0; i < 65; i++) {
    snprintf(value, sizeof value, "registered-%04d", i);
    log_secret(value);
  }
  static const struct {
    const char *text, *wanted;
  } cases[] = {{"registered-0000", "registered-0000"}, {"registered-0001", "***"}, {"registered-0064", "***"}};
  for (size_t i = 0; i < 3; i++) {
    char text[32];
    snprintf(text, sizeof text, "%s", cases[i].text);
    assert_string_equal(log_mask(text), cases[i].wanted);
  }
}

static void test_line_is_one_json_object(void **state) {
  (void)state;
  start_capture();
  log_info("fixed \"it\"\n", LOG_TEXT("resource", "sg-1"), LOG_INT("ms", INT64_MIN), LOG_REAL("ratio", 0.1),
           LOG_REAL("nan", NAN), LOG_BOOL("good", 7), LOG_TEXT("none", NULL), LOG_TEXT("bytes", "\x01\xFFz"));
  json_t *line = captured_object();
  assert_int_equal(strlen(text_of(line, "time")), 24);
  assert_string_equal(text_of(line, "level"), "info");
  assert_string_equal(text_of(line, "message"), "fixed \"it\"\n");
  assert_string_equal(text_of(line, "resource"), "sg-1");
  assert_int_equal(json_integer_value(json_object_get(line, "ms")), INT64_MIN);
  assert_true(json_real_value(json_object_get(line, "ratio")) == 0.1);
  assert_true(json_is_null(json_object_get(line, "nan")));
  assert_true(json_is_true(json_object_get(line, "good")));
  assert_true(json_is_null(json_object_get(line, "none")));
  assert_string_equal(text_of(line, "bytes"), "\x01\xEF\xBF\xBDz");
  json_decref(line);
}

static void test_error_field(void **state) {
  (void)state;
  struct error error;
  error_set(&error, ERROR_DENIED, "AccessDenied", "denied to AKIAIOSFODNN7EXAMPLE");
  error_where(&error, "ec2.DescribeVpcs");
  start_capture();
  log_error("failed", LOG_ERROR(&error), LOG_INT("n", 1));
  json_t *line = captured_object();
  const json_t *object = json_object_get(line, "error");
  assert_string_equal(text_of(object, "class"), "denied");
  assert_string_equal(text_of(object, "code"), "AccessDenied");
  assert_string_equal(text_of(object, "where"), "ec2.DescribeVpcs");
  assert_string_equal(text_of(object, "message"), "denied to ***");
  assert_null(json_object_get(object, "request_id"));
  assert_int_equal(json_integer_value(json_object_get(line, "n")), 1);
  json_decref(line);

  start_capture();
  log_error("failed", LOG_ERROR(NULL));
  line = captured_object();
  assert_true(json_is_null(json_object_get(line, "error")));
  json_decref(line);
}

static void test_secrets_do_not_reach_a_line(void **state) {
  (void)state;
  log_secret("registered+secret/value");
  start_capture();
  log_warn("redis://:password1@host", LOG_TEXT("url", "https://x/?X-Amz-Signature=abcdef0123&y=1"),
           LOG_TEXT("db_password", "plain words"), LOG_TEXT("secret_access_key", SECRET_KEY),
           LOG_TEXT("body", "{\"SessionToken\":\"" SESSION_TOKEN "\"}"), LOG_TEXT("x", "registered+secret/value"),
           LOG_TEXT("password", ""));
  char *text = end_capture();
  static const char *const secrets[] = {"password1", "abcdef0123",  "plain words",
                                        SECRET_KEY,  SESSION_TOKEN, "registered+"};
  for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++)
    if (strstr(text, secrets[i])) fail_msg("%s is in %s", secrets[i], text);
  assert_non_null(strstr(text, "\"password\":\"\"")); /* that there is none may be seen */
  free(text);
}

/* Whatever is too long, the line stays JSON of at most 16 KiB and its short fields stay whole. */
static void test_long_lines_are_cut_in_their_longest_value(void **state) {
  (void)state;
  static const char *const fillers[] = {"x", "\"", "\x01", "\xE2\x82\xAC", "\xFF"};
  enum { SIZE = 60000 };
  char *big = malloc(SIZE + 4);
  assert_non_null(big);
  for (size_t i = 0; i < sizeof fillers / sizeof *fillers; i++)
    for (size_t shift = 0; shift < 6; shift++) {
      size_t width = strlen(fillers[i]);
      size_t length = shift;
      memset(big, 'a', shift);
      for (; length + width < SIZE; length += width) memcpy(big + length, fillers[i], width);
      big[length] = '\0';
      start_capture();
      log_info("long", LOG_TEXT("before", "b"), LOG_TEXT("big", big), LOG_TEXT("also", big + SIZE / 2),
               LOG_INT("n", 7));
      assert_true(lseek(fileno(captured), 0, SEEK_END) <= 16384);
      json_t *line = captured_object();
      assert_string_equal(text_of(line, "message"), "long");
      assert_string_equal(text_of(line, "before"), "b");
      assert_int_equal(json_integer_value(json_object_get(line, "n")), 7);
      assert_non_null(strstr(text_of(line, "big"), "\xE2\x80\xA6"));
      json_decref(line);
    }
  free(big);
}

static void test_too_many_fields_leave_the_message(void **state) {
  (void)state;
  enum { FIELDS = 2000 };
  struct log_field *fields = calloc(FIELDS + 1, sizeof *fields);
  assert_non_null(fields);
  for (size_t i = 0; i < FIELDS; i++) fields[i] = (struct log_field)LOG_TEXT("some_key", "short");
  start_capture();
  log_write(LOG_LEVEL_ERROR, "still here", fields);
  json_t *line = captured_object();
  assert_string_equal(text_of(line, "message"), "still here");
  assert_true(json_is_true(json_object_get(line, "fields_dropped")));
  json_decref(line);
  free(fields);
}

static void test_levels(void **state) {
  (void)state;
  assert_int_equal(log_set_level("loud"), -1);
  assert_int_equal(log_set_level("INFO"), -1);
  assert_int_equal(log_set_level(NULL), -1);
  assert_int_equal(log_set_level("warn"), 0);
  start_capture();
  log_debug("d");
  log_info("i");
  log_warn("w");
  json_t *line = captured_object(); /* exactly one object, or it would not parse */
  assert_string_equal(text_of(line, "message"), "w");
  json_decref(line);
  assert_int_equal(log_set_level("off"), 0);
  start_capture();
  log_error("e");
  char *text = end_capture();
  assert_string_equal(text, "");
  free(text);
  assert_int_equal(log_set_level("info"), 0);
}

/* Nothing that is wrong with the descriptor may hold the program up, end it, or change errno. */
static void test_bad_descriptors_are_survived(void **state) {
  (void)state;
  int ends[2];
  assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
  char block[4096] = {0};
  while (write(ends[1], block, sizeof block) > 0) {}
  log_set_descriptor(ends[1]);
  errno = ENOTTY;
  log_info("into a full pipe");
  assert_int_equal(errno, ENOTTY);
  log_set_descriptor(-1);
  log_info("nowhere");
  assert_int_equal(errno, ENOTTY);
  log_set_descriptor(2);
  close(ends[0]);
  close(ends[1]);
}

static void *write_lines(void *argument) {
  char secret[32];
  for (int i = 0; i < 200; i++) {
    log_info("line", LOG_INT("thread", (intptr_t)argument), LOG_INT("i", i), LOG_TEXT("p", "password=x"));
    snprintf(secret, sizeof secret, "thread-%d-%d-secret", (int)(intptr_t)argument, i);
    if (i % 20 == 0) log_secret(secret);
  }
  return NULL;
}

static void test_lines_of_threads_do_not_mix(void **state) {
  (void)state;
  enum { THREADS = 4 };
  pthread_t threads[THREADS];
  char path[] = "/tmp/parapet-test-log-XXXXXX";
  int descriptor = mkostemp(path, O_APPEND | O_CLOEXEC);
  assert_true(descriptor >= 0);
  unlink(path);
  log_set_descriptor(descriptor);
  for (intptr_t i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, write_lines, (void *)i), 0);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  log_set_descriptor(2);
  lseek(descriptor, 0, SEEK_SET);
  FILE *in = fdopen(descriptor, "r");
  assert_non_null(in);
  char line[1024];
  int count = 0;
  for (; fgets(line, sizeof line, in); count++) {
    json_t *object = json_loads(line, 0, NULL);
    if (!object) fail_msg("no JSON: %s", line);
    json_decref(object);
  }
  assert_int_equal(count, THREADS * 200);
  fclose(in);
}
