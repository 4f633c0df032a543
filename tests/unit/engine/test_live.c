/* Reading live state through the client, over a network whose answers are programmed: what is read, and how often. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aws/fake.h"
#include "engine/live.h"

#define OF_ROLES(name, use)                                                                                 \
  "guardrail: " name "\nversion: 1\ntitle: t\nseverity: low\nwhy: w\nfix: f\nresource: iam.role\nuse: " use \
  "\ntrigger: {schedule: rate(1 hour)}\nfind: $" name                                                       \
  "\nmode: {default: notify}\ntests:\n  - {name: a, resource: {RoleName: r}, " name                         \
  ": [{a: 1}], expect: finding}\n  - {name: b, resource: {RoleName: r}, expect: nothing}\n"

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
    {"role.yaml",
     "resource: iam.role\nscope: global\nid: RoleName\narn: \"arn:role/${$id}\"\n"
     "list: {call: iam.ListRoles, items: Roles}\n"
     "get: {call: iam.GetRole, with: {RoleName: \"${$id}\"}, items: Role, absent: [NoSuchEntity]}\n"
     "context:\n"
     "  details: {call: iam.GetAccountAuthorizationDetails, items: RoleDetailList, by: RoleName}\n"
     "  attached: {per: item, call: iam.ListAttachedRolePolicies, with: {RoleName: \"${$id}\"}, items: "
     "AttachedPolicies}\n"
     "  policies: {per: item, each: \"$attached[].PolicyArn\", call: iam.GetPolicy, with: {PolicyArn: \"${$each}\"}, "
     "items: Policy}\n"
     "  inline: {per: item, call: iam.ListRolePolicies, with: {RoleName: \"${$id}\"}, items: PolicyNames}\n"
     "  summary: {per: place, call: iam.GetAccountSummary, items: \"[SummaryMap]\"}\n"},
    {"details.yaml", OF_ROLES("details", "[details]")},
    {"attached.yaml", OF_ROLES("attached", "[attached, policies]")},
    {"inline.yaml", OF_ROLES("inline", "[inline]")},
    {"summary.yaml", OF_ROLES("summary", "[summary]")},
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

/* ---- one context that cannot be read ---- */
#define DENIED \
  { .status = 403, .body = "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>" }
#define THROTTLED \
  { .status = 400, .body = "<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>" }
#define ROLE(name) "<member><RoleName>" name "</RoleName></member>"
#define ROLES ANSWER("ListRoles", "<Roles>" ROLE("one") ROLE("two") "</Roles>")
#define DETAILS ANSWER("GetAccountAuthorizationDetails", "<RoleDetailList>" ROLE("one") ROLE("two") "</RoleDetailList>")
#define ATTACHED                     \
  ANSWER("ListAttachedRolePolicies", \
         "<AttachedPolicies><member><PolicyArn>arn:aws:iam::aws:policy/x</PolicyArn></member></AttachedPolicies>")
#define POLICY ANSWER("GetPolicy", "<Policy><PolicyName>x</PolicyName></Policy>")
#define INLINE ANSWER("ListRolePolicies", "<PolicyNames><member>x</member></PolicyNames>")
#define SUMMARY ANSWER("GetAccountSummary", "<SummaryMap><entry><key>Users</key><value>3</value></entry></SummaryMap>")

struct blind {
  const char *name;
  const char *use; /* guardrails, as in `judged` */
  struct fake_answer answers[12];
  size_t count;
  int result;
  enum error_class class;
  const char *judged;
  size_t requests; /* 0: as many as the client tries */
};

static const struct blind blind_rows[] = {
    {"everything is read",
     "details attached inline summary",
     {ROLES, DETAILS, ATTACHED, POLICY, INLINE, SUMMARY, ATTACHED, INLINE},
     8,
     0,
     ERROR_NONE,
     "one: details attached inline summary; two: details attached inline summary; ",
     8},
    {"a joined list is denied: asked once, nobody else is blind",
     "details inline",
     {ROLES, DENIED, INLINE, INLINE},
     4,
     1,
     ERROR_DENIED,
     "one: inline; two: inline; ",
     4},
    {"one resource denies its own: the other one's is read; what is built on it is not asked for",
     "attached inline",
     {ROLES, DENIED, INLINE, ATTACHED, POLICY, INLINE},
     6,
     1,
     ERROR_DENIED,
     "one: inline; two: attached inline; ",
     6},
    {"what is the place's is denied: asked once",
     "inline summary",
     {ROLES, INLINE, DENIED, INLINE},
     4,
     1,
     ERROR_DENIED,
     "one: inline; two: inline; ",
     4},
    {"what is throttled for one is not asked for the next",
     "details inline",
     {ROLES, DETAILS, THROTTLED},
     3,
     1,
     ERROR_THROTTLED,
     "one: details; two: details; ",
     0},
};

struct judging {
  const struct bundle *bundle;
  const char *use;
  char judged[256];
};

static const char *const of_roles[] = {"details", "attached", "inline", "summary"};

static int judge_all(struct live *live, void *argument) {
  struct judging *judging = argument;
  strcat(strcat(judging->judged, json_string_value(live->id)), ":");
  for (size_t i = 0; i < sizeof of_roles / sizeof *of_roles; i++) {
    struct error error = {0};
    if (!strstr(judging->use, of_roles[i])) continue;
    json_t *finding = guardrail_judge(bundle_guardrail(judging->bundle, of_roles[i]), &place, live, NULL, &error);
    if (finding) strcat(strcat(judging->judged, " "), of_roles[i]);
    assert_true(finding ? !json_is_empty(finding) : error.class != ERROR_NONE);
    json_decref(finding);
  }
  strcat(judging->judged, "; ");
  live_free(live);
  return 0;
}

static void test_a_context_that_cannot_be_read_blinds_who_uses_it(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof blind_rows / sizeof *blind_rows; i++) {
    const struct blind *row = &blind_rows[i];
    struct fake fake;
    struct error error = {0};
    struct bundle *bundle;
    unsigned char wanted[64] = {0};
    struct aws_client *client = open_fake(&fake, row->answers, row->count, &bundle);
    struct reader reader = {.client = client};
    struct judging judging = {.bundle = bundle, .use = row->use};
    for (size_t k = 0; k < sizeof of_roles / sizeof *of_roles; k++)
      if (strstr(row->use, of_roles[k])) guardrail_wants(bundle_guardrail(bundle, of_roles[k]), wanted);
    int result = live_list(&reader, &place, bundle_resource(bundle, "iam.role"), wanted, judge_all, &judging, &error);
    if (result != row->result || error.class != row->class || strcmp(judging.judged, row->judged) != 0 ||
        (row->requests && fake.requests != row->requests))
      fail_msg("%s: %d, %s, %s%zu requests", row->name, result, error_class_name(error.class), judging.judged,
               fake.requests);
    bundle_drop(bundle);
    fake_close(&fake, client);
  }
}

static void test_one_resource_is_got_with_what_can_be_read(void **state) {
  (void)state;
  static const struct fake_answer answers[] = {ANSWER("GetRole", "<Role><RoleName>one</RoleName></Role>"), DENIED,
                                               INLINE};
  struct fake fake;
  struct error error = {0};
  struct bundle *bundle;
  struct aws_client *client = open_fake(&fake, answers, 3, &bundle);
  const struct guardrail *attached = bundle_guardrail(bundle, "attached"),
                         *inlined = bundle_guardrail(bundle, "inline");
  struct reader reader = {.client = client};
  unsigned char wanted[64] = {0};
  int found;
  guardrail_wants(attached, wanted);
  guardrail_wants(inlined, wanted);
  struct live *live = live_get(&reader, &place, bundle_resource(bundle, "iam.role"), "one", wanted, &found, &error);
  if (!live) fail_msg("%s", error.message);
  assert_int_equal(found, 1);
  assert_int_equal(live_unread(live, attached)->class, ERROR_DENIED);
  assert_int_equal(live_unread(live, NULL)->class, ERROR_DENIED);
  assert_null(live_unread(live, inlined));
  assert_null(guardrail_judge(attached, &place, live, NULL, &error));
  assert_int_equal(error.class, ERROR_DENIED);
  json_t *finding = guardrail_judge(inlined, &place, live, NULL, &error);
  assert_int_equal(json_array_size(finding), 1);
  json_decref(finding);
  live_free(live);
  bundle_drop(bundle);
  fake_close(&fake, client);
}
