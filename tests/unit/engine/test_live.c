/* Reading live state through the client, over a network whose answers are programmed: what is read, and how often. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/fake.h"
#include "engine/live.h"

/* A key is nested in its user: listed once a user; its id is USER/KEY. */
static const char *const files[][2] = {
    {"user.yaml",
     "resource: iam.user\nscope: global\nid: UserName\narn: \"arn:user/${$id}\"\n"
     "list: {call: iam.ListUsers, items: Users}\n"
     "get: {call: iam.GetUser, with: {UserName: \"${$id}\"}, items: User, absent: [NoSuchEntity]}\n"},
    /* its name comes first: a parent may stand behind what is nested in it */
    {"access-key.yaml",
     "resource: iam.access-key\nscope: global\nparent: iam.user\nid: AccessKeyId\narn: \"arn:key/${$id}\"\n"
     "created: CreateDate\n"
     "list: {call: iam.ListAccessKeys, with: {UserName: \"${$parent.UserName}\"}, items: AccessKeyMetadata}\n"
     "get: {call: iam.ListAccessKeys, with: {UserName: \"${$parent.UserName}\"}, items: AccessKeyMetadata}\n"
     "context:\n"
     "  used: {per: item, call: iam.GetAccessKeyLastUsed, with: {AccessKeyId: \"${$resource.AccessKeyId}\"}, items: "
     "AccessKeyLastUsed}\n"},
    {"old.yaml",
     "guardrail: old\nversion: 1\ntitle: t\nseverity: low\nwhy: w\nfix: f\nresource: iam.access-key\nsettle: 1h\n"
     "trigger: {schedule: rate(1 hour)}\nfind: \"$parent.UserName == 'ann' && Status == 'Active'\"\nmode: {default: "
     "notify}\n"
     "tests:\n  - {name: hers, parent: {UserName: ann}, resource: {AccessKeyId: A1, Status: Active}, expect: finding}\n"
     "  - {name: his, parent: {UserName: bob}, resource: {AccessKeyId: A1, Status: Active}, expect: nothing}\n"},
};
enum { FILES = sizeof files / sizeof *files };

static struct bundle *load(struct aws_client *client) {
  char directory[] = "/tmp/parapet-test-XXXXXX", path[128];
  struct error error = {0};
  assert_non_null(mkdtemp(directory));
  for (size_t i = 0; i < FILES; i++) {
    snprintf(path, sizeof path, "%s/%s", directory, files[i][0]);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(files[i][1], file);
    fclose(file);
  }
  struct bundle *bundle = bundle_load(directory, client, &error);
  for (size_t i = 0; i < FILES; i++) {
    snprintf(path, sizeof path, "%s/%s", directory, files[i][0]);
    assert_int_equal(unlink(path), 0);
  }
  assert_int_equal(rmdir(directory), 0);
  assert_non_null(bundle);
  if (json_array_size(bundle->refused) > 0) fail_msg("%s", json_string_value(json_array_get(bundle->refused, 0)));
  return bundle;
}

#define ANSWER(operation, result)                                                                                  \
  {                                                                                                                \
    .status = 200,                                                                                                 \
    .body = "<" operation "Response><" operation "Result>" result "</" operation "Result></" operation "Response>" \
  }
#define USER(name) "<member><UserName>" name "</UserName></member>"
#define KEY(id)                                                           \
  "<member><AccessKeyId>AKIA0000000000" id                                \
  "</AccessKeyId><Status>Active</Status><CreateDate>2026-01-01T00:00:00Z" \
  "</CreateDate></member>"
#define NONE                                                                                                 \
  {                                                                                                          \
    .status = 404,                                                                                           \
    .body = "<ErrorResponse><Error><Code>NoSuchEntity</Code><Message>none</Message></Error></ErrorResponse>" \
  }

static const struct place place = {
    .account = "111111111111", .region = "us-east-1", .environment = "prod", .unit = "u", .partition = "aws"};

struct seen {
  char ids[256];
  const struct guardrail *guardrail;
  int findings;
};

static int see(struct live *live, void *argument) {
  struct seen *seen = argument;
  json_t *finding = guardrail_judge(seen->guardrail, &place, live, NULL, NULL);
  assert_non_null(finding);
  seen->findings += !json_is_empty(finding);
  strcat(seen->ids, json_string_value(live->arn));
  strcat(seen->ids, " ");
  json_decref(finding);
  live_free(live);
  return 0;
}

static struct aws_client *open_fake(struct fake *fake, const struct fake_answer *answers, size_t count,
                                    struct bundle **bundle) {
  fake_environment();
  struct aws_client *client = fake_open(fake, answers, count);
  assert_non_null(client);
  *bundle = load(client);
  return client;
}

static void test_a_nested_resource_is_listed_once_a_parent(void **state) {
  (void)state;
  static const struct fake_answer answers[] = {
      ANSWER("ListUsers", "<Users>" USER("ann") USER("gone") USER("bob") "</Users>"),
      ANSWER("ListAccessKeys", "<AccessKeyMetadata>" KEY("A1") KEY("A2") "</AccessKeyMetadata>"),
      NONE, /* a user that went meanwhile has nothing in it */
      ANSWER("ListAccessKeys", "<AccessKeyMetadata>" KEY("B1") "</AccessKeyMetadata>"),
  };
  struct fake fake;
  struct error error = {0};
  struct bundle *bundle;
  struct aws_client *client = open_fake(&fake, answers, 4, &bundle);
  struct reader reader = {.client = client};
  struct seen seen = {.guardrail = bundle_guardrail(bundle, "old")};
  unsigned char wanted[8] = {0};
  int result = live_list(&reader, &place, bundle_resource(bundle, "iam.access-key"), wanted, see, &seen, &error);
  if (result != 0) fail_msg("%s", error.message);
  assert_string_equal(seen.ids,
                      "arn:key/ann/AKIA0000000000A1 arn:key/ann/AKIA0000000000A2 arn:key/bob/AKIA0000000000B1 ");
  assert_int_equal(seen.findings, 2);
  assert_int_equal(fake.requests, 4);
  bundle_drop(bundle);
  fake_close(&fake, client);
}

static void test_a_denied_list_is_told_and_ends_it(void **state) {
  (void)state;
  static const struct fake_answer answers[] = {
      ANSWER("ListUsers", "<Users>" USER("ann") USER("bob") "</Users>"),
      {.status = 403, .body = "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>"},
  };
  struct fake fake;
  struct error error = {0};
  struct bundle *bundle;
  struct aws_client *client = open_fake(&fake, answers, 2, &bundle);
  struct reader reader = {.client = client};
  struct seen seen = {.guardrail = bundle_guardrail(bundle, "old")};
  unsigned char wanted[8] = {0};
  assert_int_equal(live_list(&reader, &place, bundle_resource(bundle, "iam.access-key"), wanted, see, &seen, &error),
                   -1);
  assert_int_equal(error.class, ERROR_DENIED);
  assert_int_equal(fake.requests, 2);
  bundle_drop(bundle);
  fake_close(&fake, client);
}

static void test_a_nested_resource_is_got_through_its_parent(void **state) {
  (void)state;
  static const struct fake_answer answers[] = {
      ANSWER("GetUser", "<User><UserName>ann</UserName></User>"),
      ANSWER("ListAccessKeys", "<AccessKeyMetadata>" KEY("A1") KEY("A2") "</AccessKeyMetadata>"),
      ANSWER("GetAccessKeyLastUsed", "<AccessKeyLastUsed><ServiceName>s3</ServiceName></AccessKeyLastUsed>"),
      NONE, /* next: its user is gone */
  };
  struct fake fake;
  struct error error = {0};
  struct bundle *bundle;
  struct aws_client *client = open_fake(&fake, answers, 4, &bundle);
  struct reader reader = {.client = client};
  const struct resource *resource = bundle_resource(bundle, "iam.access-key");
  unsigned char wanted[8] = {1};
  int found;
  struct live *live = live_get(&reader, &place, resource, "ann/AKIA0000000000A2", wanted, &found, &error);
  if (!live) fail_msg("%s", error.message);
  assert_string_equal(json_string_value(live->id), "ann/AKIA0000000000A2");
  assert_string_equal(json_text_at(live->item, "AccessKeyId", NULL), "AKIA0000000000A2");
  assert_string_equal(json_text_at(live->parent, "UserName", NULL), "ann");
  assert_int_equal(json_array_size(live->contexts[0]), 1);
  assert_int_equal(fake.requests, 3);
  live_free(live);
  assert_null(live_get(&reader, &place, resource, "gone/AKIA0000000000A2", wanted, &found, &error));
  assert_int_equal(found, 0);
  bundle_drop(bundle);
  fake_close(&fake, client);
}
