#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/retry.h"

#define QUOTAS() test_calloc(1, sizeof(struct aws_quotas))

static void test_quota_refuses_when_it_is_used_up(void **state) {
  (void)state;
  struct aws_quotas *quotas = QUOTAS();
  struct aws_quota quota = aws_quota_of(quotas, "1", "eu-west-1", "ec2");
  for (int i = 0; i < 100; i++) assert_int_equal(aws_quota_take(&quota, 0), 0);
  assert_int_equal(aws_quota_left(&quota), 0);
  assert_int_equal(aws_quota_take(&quota, 0), -1);
  test_free(quotas);
}

static void test_timeouts_cost_double(void **state) {
  (void)state;
  struct aws_quotas *quotas = QUOTAS();
  struct aws_quota quota = aws_quota_of(quotas, "1", "eu-west-1", "ec2");
  assert_int_equal(aws_quota_take(&quota, 1), 0);
  assert_int_equal(aws_quota_left(&quota), 490);
  test_free(quotas);
}

/* A success gives back what the last retry took, or 1 when there was none, and never more than all. */
static void test_what_a_success_returns(void **state) {
  (void)state;
  struct aws_quotas *quotas = QUOTAS();
  struct aws_quota retried = aws_quota_of(quotas, "1", "eu-west-1", "ec2"), other = retried;
  aws_quota_return(&other);
  assert_int_equal(aws_quota_left(&other), 500);
  aws_quota_take(&retried, 1);
  aws_quota_take(&retried, 0);
  aws_quota_return(&retried);
  assert_int_equal(aws_quota_left(&retried), 490);
  aws_quota_return(&other);
  assert_int_equal(aws_quota_left(&retried), 491);
  test_free(quotas);
}

/* One account in trouble leaves the others' quota alone. */
static void test_quotas_are_separate(void **state) {
  (void)state;
  struct aws_quotas *quotas = QUOTAS();
  struct aws_quota quota = aws_quota_of(quotas, "1", "eu-west-1", "ec2");
  aws_quota_take(&quota, 0);
  static const char *const others[][3] = {
      {"2", "eu-west-1", "ec2"}, {"1", "eu-west-2", "ec2"}, {"1", "eu-west-1", "s3"}, {"1e", "u-west-1", "ec2"}};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    struct aws_quota other = aws_quota_of(quotas, others[i][0], others[i][1], others[i][2]);
    assert_int_equal(aws_quota_left(&other), 500);
  }
  test_free(quotas);
}

static void test_what_is_retried(void **state) {
  (void)state;
  static const struct {
    int status;
    enum error_class class;
    const char *code;
    int wanted;
  } rows[] = {
      {0, ERROR_RETRYABLE, "ConnectionFailed", 1},
      {0, ERROR_INVALID, "ResponseTooLarge", 0},
      {0, ERROR_FATAL, "Memory", 0},
      {500, ERROR_FATAL, "NotAnAnswer", 1},
      {502, ERROR_RETRYABLE, "502", 1},
      {503, ERROR_RETRYABLE, "ServiceUnavailable", 1},
      {504, ERROR_RETRYABLE, "504", 1},
      {501, ERROR_RETRYABLE, "NotImplemented", 0},
      {505, ERROR_RETRYABLE, "505", 0},
      {400, ERROR_INVALID, "TransactionInProgressException", 1},
      {400, ERROR_INVALID, "PriorRequestNotComplete", 1},
      {400, ERROR_INVALID, "RequestTimeout", 1},
      {400, ERROR_INVALID, "RequestTimeoutException", 1},
      {503, ERROR_THROTTLED, "SlowDown", 1},
      {429, ERROR_THROTTLED, "429", 1},
      {400, ERROR_INVALID, "ValidationError", 0},
      {403, ERROR_DENIED, "AccessDenied", 0},
      {404, ERROR_MISSING, "NoSuchEntity", 0},
      {200, ERROR_FATAL, "NotAnAnswer", 0},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct error error;
    error_set(&error, rows[i].class, rows[i].code, "x");
    if (aws_retry_wanted(NULL, NULL, rows[i].status, &error) != rows[i].wanted)
      fail_msg("status %d, code %s", rows[i].status, rows[i].code);
  }
}

/* The model may mark an error as retryable, by its shape's name or the code it has on the wire. */
static void test_modeled_errors_are_retried(void **state) {
  (void)state;
  static const char shapes[] =
      "{\"A\":{\"type\":\"structure\",\"members\":{},\"exception\":true,\"retryable\":{\"throttling\":false}},"
      "\"B\":{\"type\":\"structure\",\"members\":{},\"error\":{\"code\":\"wire.B\"},\"exception\":true,\"retryable\":{}"
      "},"
      "\"C\":{\"type\":\"structure\",\"members\":{},\"exception\":true}}";
  static const char operations[] =
      "{\"Do\":{\"name\":\"Do\",\"http\":{\"method\":\"POST\",\"requestUri\":\"/\"},"
      "\"errors\":[{\"shape\":\"A\"},{\"shape\":\"B\"},{\"shape\":\"C\"}]}}";
  struct error error;
  json_t *metadata = json_pack("{s:s, s:s, s:s}", "protocol", "json", "jsonVersion", "1.1", "targetPrefix", "T");
  json_t *shape_list = json_loads(shapes, 0, NULL), *operation_list = json_loads(operations, 0, NULL);
  struct aws_service *service = aws_service_make(metadata, shape_list, operation_list, &error);
  assert_non_null(service);
  const struct aws_operation *operation = aws_service_operation(service, "Do", &error);
  static const struct {
    const char *code;
    int wanted;
  } rows[] = {{"A", 1}, {"wire.B", 1}, {"C", 0}, {"D", 0}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    error_set(&error, ERROR_INVALID, rows[i].code, "x");
    assert_int_equal(aws_retry_wanted(service, operation, 400, &error), rows[i].wanted);
  }
  aws_service_free(service);
  json_decref(metadata);
  json_decref(shape_list);
  json_decref(operation_list);
}

static void test_backoff(void **state) {
  (void)state;
  static const struct {
    int attempt;
    double random;
    int64_t delay_ms;
  } rows[] = {{1, 0.0, 0},    {1, 0.5, 500},   {2, 0.5, 1000},   {3, 0.5, 2000},
              {5, 0.5, 8000}, {6, 0.5, 10000}, {30, 0.5, 10000}, {2000000000, 0.999, 19980}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    assert_int_equal(aws_retry_delay_ms(rows[i].attempt, rows[i].random), rows[i].delay_ms);
}

static void test_codes_of_clock_and_expiry(void **state) {
  (void)state;
  assert_int_equal(aws_retry_is_skew("RequestTimeTooSkewed"), 2);
  assert_int_equal(aws_retry_is_skew("RequestExpired"), 2);
  assert_int_equal(aws_retry_is_skew("SignatureDoesNotMatch"), 1);
  assert_int_equal(aws_retry_is_skew("AccessDenied"), 0);
  assert_true(aws_retry_is_expired("ExpiredToken"));
  assert_false(aws_retry_is_expired("AccessDenied"));
}
