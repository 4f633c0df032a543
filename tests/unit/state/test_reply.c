#include "state/state_internal.h"

#include "fixture.h"

static void test_error_replies_by_class(void **unused) {
  (void)unused;
  static const struct {
    const char *text;
    enum error_class class;
    const char *code;
  } rows[] = {
      {"EPOCH parapet:v1:epoch does not hold what this process knows", ERROR_FATAL, "epoch"},
      {"FULL there are 5 exceptions", ERROR_RETRYABLE, "FULL"},
      {"OOM command not allowed when used memory > 'maxmemory'.", ERROR_RETRYABLE, "OOM"},
      {"READONLY You can't write against a read only replica.", ERROR_RETRYABLE, "READONLY"},
      {"LOADING Redis is loading the dataset in memory", ERROR_RETRYABLE, "LOADING"},
      {"MASTERDOWN Link with MASTER is down", ERROR_RETRYABLE, "MASTERDOWN"},
      {"BUSY Redis is busy running a script.", ERROR_RETRYABLE, "BUSY"},
      {"NOREPLICAS Not enough good replicas to write.", ERROR_RETRYABLE, "NOREPLICAS"},
      {"MISCONF Redis is configured to save RDB snapshots, but", ERROR_RETRYABLE, "MISCONF"},
      {"ERR max number of clients reached", ERROR_RETRYABLE, NULL},
      {"NOAUTH Authentication required.", ERROR_DENIED, "NOAUTH"},
      {"WRONGPASS invalid username-password pair", ERROR_DENIED, "WRONGPASS"},
      {"NOPERM this user has no permissions to run the 'set' command", ERROR_DENIED, "NOPERM"},
      {"WRONGTYPE Operation against a key holding the wrong kind of value script: 0af, on @user_script:1.", ERROR_FATAL,
       "WRONGTYPE"},
      /* as Redis before 7 words it */
      {"ERR Error running script (call to f_0af): @user_script:3: WRONGTYPE Operation against a key", ERROR_FATAL,
       "WRONGTYPE"},
      {"ERR Error running script (call to f_0af): @user_script: 3: -OOM command not allowed when used memory >",
       ERROR_RETRYABLE, "OOM"},
      {"ERR Error running script (call to f_0af): @user_script:3: READONLY You can't write", ERROR_RETRYABLE,
       "READONLY"},
      /* nothing known */
      {"ERR unknown command", ERROR_FATAL, "ERR"},
      {"BUSYKEY Target key name already exists.", ERROR_FATAL, "BUSYKEY"}, /* begins like another */
      {"ERR this is not a READONLY one", ERROR_FATAL, "ERR"},
      {"", ERROR_FATAL, ""},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct error error = {0};
    assert_int_equal(state_reply_error(&error, rows[i].text, "script on parapet:v1:key"), -1);
    if (error.class != rows[i].class) print_message("%s\n", rows[i].text);
    assert_int_equal(error.class, rows[i].class);
    if (rows[i].code) assert_string_equal(error.code, rows[i].code);
    assert_non_null(strstr(error.message, "parapet:v1:key"));
  }
}

static void test_shapes(void **unused) {
  (void)unused;
  redisReply number = {.type = REDIS_REPLY_INTEGER, .integer = 5}, nil = {.type = REDIS_REPLY_NIL};
  char digits[] = "-7.9", huge[] = "1e300";
  redisReply text = {.type = REDIS_REPLY_STRING, .str = digits, .len = 4},
             big = {.type = REDIS_REPLY_STRING, .str = huge};
  redisReply *elements[] = {&number, &text, &text};
  redisReply array = {.type = REDIS_REPLY_ARRAY, .elements = 3, .element = elements};
  assert_int_equal(state_reply_shape(&array, "iss", NULL), 0);
  FAILS(state_reply_shape(&array, "is", &error), ERROR_FATAL, "reply");
  FAILS(state_reply_shape(&array, "isi", &error), ERROR_FATAL, "reply");
  FAILS(state_reply_shape(&number, "i", &error), ERROR_FATAL, "reply");
  assert_int_equal(state_reply_rows(&array, 1, 2, NULL), 0);
  FAILS(state_reply_rows(&array, 0, 3, &error), ERROR_FATAL, "reply"); /* a number among them */
  FAILS(state_reply_rows(&array, 1, 3, &error), ERROR_FATAL, "reply"); /* half a row */
  FAILS(state_reply_rows(&array, 4, 1, &error), ERROR_FATAL, "reply");
  FAILS(state_reply_rows(&nil, 0, 1, &error), ERROR_FATAL, "reply");
  assert_int_equal(state_reply_number(&number), 5);
  assert_int_equal(state_reply_number(&text), -7);
  assert_int_equal(state_reply_number(&big), 0);
  assert_int_equal(state_reply_number(&nil), 0);
}
