/* Proofs: what is signed, what is sent of one, and what is no proof. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/fake.h"
#include "aws/identity.h"

#define SUBJECT "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define OTHER "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"
#define IDENTITY(arn)                                                                                                 \
  "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult><Arn>" arn \
  "</Arn><UserId>u</UserId><Account>1</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"

static json_t *proof_of(struct aws_client *client) {
  struct error error = {0};
  json_t *proof = aws_identity_prove(client, SUBJECT, &error);
  if (!proof) fail_msg("%s", error.message);
  return proof;
}

static void test_a_proof_holds_no_secret_and_is_sent_as_it_is(void **state) {
  (void)state;
  static const struct {
    const char *arn, *principal;
  } rows[] = {
      {"arn:aws:iam::111111111111:user/ann", "arn:aws:iam::111111111111:user/ann"},
      {"arn:aws:sts::111111111111:assumed-role/security/ann@example.com", "arn:aws:iam::111111111111:role/security"},
      {"arn:aws-cn:sts::111111111111:assumed-role/a/b", "arn:aws-cn:iam::111111111111:role/a"},
      {"arn:aws:iam::111111111111:root", "arn:aws:iam::111111111111:root"},
      {"arn:aws:sts::111111111111:federated-user/x", "arn:aws:sts::111111111111:federated-user/x"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char body[700], arn[256] = "";
    snprintf(body, sizeof body, IDENTITY("%s"), rows[i].arn);
    struct fake_answer answer = {.status = 200, .body = body};
    struct fake fake;
    struct error error = {0};
    fake_environment();
    struct aws_client *client = fake_open(&fake, &answer, 1);
    json_t *proof = proof_of(client);
    assert_int_equal(fake.requests, 0); /* signing asks nobody */
    char *text = json_dumps(proof, 0);
    assert_null(strstr(text, "base-secret"));
    assert_non_null(strstr(json_text_at(proof, "authorization", NULL), ";x-parapet-command"));
    free(text);
    if (aws_identity_check(client, SUBJECT, proof, FAKE_START, arn, sizeof arn, &error) != 0)
      fail_msg("%s", error.message);
    assert_string_equal(arn, rows[i].principal);
    /* Where it goes and what it asks is the client's own. */
    assert_string_equal(fake.url, "POST https://sts.eu-west-1.amazonaws.com/");
    assert_string_equal(fake.body, "Action=GetCallerIdentity&Version=2011-06-15");
    assert_non_null(strstr(fake.headers, json_text_at(proof, "authorization", NULL)));
    json_decref(proof);
    aws_close(client);
  }
}

static void test_what_is_no_proof(void **state) {
  (void)state;
  static const struct {
    const char *header, *from, *to; /* in this header: replace; to NULL: drop it */
  } rows[] = {
      {"x-parapet-command", SUBJECT, OTHER},       /* of another command */
      {"x-parapet-command", "", NULL},             /* of none */
      {"authorization", ";x-parapet-command", ""}, /* there, but not signed */
      {"authorization", ";x-parapet-command", ";x-parapet-commands"},
      {"authorization", "host;", ""},              /* good for any host */
      {"authorization", "eu-west-1", "us-east-1"}, /* for another Region's STS */
      {"authorization", "/sts/", "/ec2/"},         /* for another service */
      {"authorization", "", NULL},
      {"x-amz-date", "", NULL},
      {"content-type", "application", "a\r\nHost: evil"}, /* smuggles a header */
      {"x-amz-target", NULL, "x"},                        /* a header that a proof has not */
      {"host", NULL, "sts.example.com"},
      {"Authorization", NULL, "AWS4-HMAC-SHA256 x"}, /* twice, in another spelling */
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct fake_answer answer = {.status = 200, .body = IDENTITY("arn:aws:iam::111111111111:user/ann")};
    struct fake fake;
    struct error error = {0};
    char arn[256] = "", text[4096];
    fake_environment();
    struct aws_client *client = fake_open(&fake, &answer, 1);
    json_t *proof = proof_of(client);
    const char *value = json_text_at(proof, rows[i].header, NULL),
               *at = rows[i].from ? strstr(value, rows[i].from) : "";
    assert_non_null(at);
    if (!rows[i].to) {
      json_object_del(proof, rows[i].header);
    } else {
      snprintf(text, sizeof text, "%.*s%s%s", rows[i].from ? (int)(at - value) : 0, value, rows[i].to,
               rows[i].from ? at + strlen(rows[i].from) : "");
      json_object_set_new(proof, rows[i].header, json_string(text));
    }
    if (aws_identity_check(client, SUBJECT, proof, FAKE_START, arn, sizeof arn, &error) == 0) fail_msg("row %zu", i);
    assert_int_equal(error.class, ERROR_DENIED);
    assert_int_equal(fake.requests, 0); /* nobody is asked about what is none */
    assert_string_equal(arn, "");
    json_decref(proof);
    aws_close(client);
  }
}

static void test_what_sts_says(void **state) {
  (void)state;
  static const struct {
    struct fake_answer answer;
    enum error_class class;
  } rows[] = {
      {{403,
        .body = "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code><Message>m</Message></Error></ErrorResponse>"},
       ERROR_DENIED},
      {{403, .body = "<ErrorResponse><Error><Code>ExpiredToken</Code><Message>m</Message></Error></ErrorResponse>"},
       ERROR_DENIED},
      {{200, .body = IDENTITY("")}, ERROR_DENIED},
      {{200, .body = "<html>hello</html>"}, ERROR_DENIED},
      {{503,
        .body = "<ErrorResponse><Error><Code>ServiceUnavailable</Code><Message>m</Message></Error></ErrorResponse>"},
       ERROR_RETRYABLE},
      {{0, .class = ERROR_RETRYABLE, .code = "Timeout"}, ERROR_RETRYABLE},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct fake fake;
    struct error error = {0};
    char arn[256] = "";
    fake_environment();
    struct aws_client *client = fake_open(&fake, &rows[i].answer, 1);
    json_t *proof = proof_of(client);
    if (aws_identity_check(client, SUBJECT, proof, FAKE_START, arn, sizeof arn, &error) == 0 ||
        error.class != rows[i].class)
      fail_msg("row %zu: %s %s", i, error_class_name(error.class), error.message);
    json_decref(proof);
    aws_close(client);
  }
}
