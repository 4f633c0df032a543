/* Where the base credentials come from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/stat.h>
#include <cmocka.h>

#include "aws/fake.h"

static const struct aws_target base_target = {.region = "eu-west-1"};

static const struct fake_answer nobody[] = {{.class = ERROR_RETRYABLE, .code = "ConnectionFailed"}};

/* The base credentials of a client that was just opened; NULL with *error. */
static struct aws_credentials *base_of(struct aws_client *client, struct error *error) {
  struct aws_fetch fetch = {.client = client, .deadline_ms = aws_client_now(client) + 30000};
  struct aws_credentials *credentials = NULL;
  return aws_credentials_base(&fetch, &credentials, error) == 0 ? credentials : NULL;
}

static void clean(void) {
  fake_environment();
  unsetenv("AWS_ACCESS_KEY_ID");
  unsetenv("AWS_SECRET_ACCESS_KEY");
}

/* A file of the test's own; the path stays valid until the next call but three. */
static const char *write_file(const char *text) {
  static char paths[4][64];
  static int turn;
  char *path = paths[turn++ % 4];
  strcpy(path, "/tmp/parapet-test-XXXXXX");
  int descriptor = mkstemp(path);
  assert_true(descriptor >= 0);
  assert_int_equal(write(descriptor, text, strlen(text)), (ssize_t)strlen(text));
  close(descriptor);
  return path;
}

/* ---- nothing, or something broken ---- */

static void test_no_credentials_at_all(void **state) {
  (void)state;
  clean();
  struct fake fake;
  struct error error;
  struct aws_client *client = FAKE_OPEN(&fake, nobody);
  assert_null(aws_call(client, &base_target, "ec2.DescribeRegions", NULL, NULL, &error));
  assert_int_equal(error.class, ERROR_DENIED);
  assert_string_equal(error.code, "NoCredentials");
  assert_int_equal(fake.requests, 0);
  fake_close(&fake, client);
}

/* One variable of the chain is wrong: an error that names the trouble, and no other provider is tried. */
static void test_broken_settings_stop_the_chain(void **state) {
  (void)state;
  static const struct {
    const char *name, *value;
  } rows[] = {
      {"AWS_ACCESS_KEY_ID", "AKIA1"}, /* without a secret */
      {"AWS_WEB_IDENTITY_TOKEN_FILE", "/nonexistent"},
      {"AWS_PROFILE", "nobody"},
      {"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://example.com/keys"},
      {"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1.example.com/keys"},
      {"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.2@example.com/"},
      {"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.24/"},
      {"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://[fd00:ec2::24]/"},
      {"AWS_CONTAINER_CREDENTIALS_FULL_URI", "ftp://127.0.0.1/"},
      {"AWS_CONTAINER_CREDENTIALS_FULL_URI", "file:///etc/passwd"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    clean();
    setenv(rows[i].name, rows[i].value, 1);
    struct fake fake;
    struct error error;
    struct aws_client *client = FAKE_OPEN(&fake, nobody);
    assert_null(base_of(client, &error));
    if (error.class != ERROR_DENIED || strcmp(error.code, "NoCredentials") == 0)
      fail_msg("%s=%s: %s", rows[i].name, rows[i].value, error.code);
    assert_int_equal(fake.requests, 0);
    fake_close(&fake, client);
    unsetenv(rows[i].name);
  }
}

static void test_keys_that_are_none(void **state) {
  (void)state;
  static char long_key[600];
  memset(long_key, 'k', sizeof long_key - 1);
  assert_null(aws_credentials_new(NULL, "s", NULL, 0, 0));
  assert_null(aws_credentials_new("a", "", NULL, 0, 0));
  assert_null(aws_credentials_new("a\nb", "s", NULL, 0, 0));
  assert_null(aws_credentials_new("a", "s s", NULL, 0, 0));
  assert_null(aws_credentials_new(long_key, "s", NULL, 0, 0));
  assert_null(aws_credentials_new("a", "s", "t\r", 0, 0));
  aws_credentials_release(NULL);
}

/* ---- environment ---- */

static void test_environment(void **state) {
  (void)state;
  fake_environment();
  setenv("AWS_SESSION_TOKEN", "token", 1);
  setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x", 1); /* later in the chain */
  struct fake fake;
  struct aws_client *client = FAKE_OPEN(&fake, nobody);
  struct aws_credentials *credentials = base_of(client, NULL);
  assert_string_equal(credentials->access_key, "AKIABASE");
  assert_string_equal(credentials->secret_key, "base-secret");
  assert_string_equal(credentials->session_token, "token");
  assert_int_equal(credentials->expires_ms, 0);
  aws_credentials_release(credentials);
  fake_close(&fake, client);
}

/* ---- web identity ---- */

static const struct fake_answer web_answers[] = {
    {.status = 200,
     .body = "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>"
             "<AccessKeyId>ASIAWEB</AccessKeyId><SecretAccessKey>web-secret</SecretAccessKey>"
             "<SessionToken>web-token</SessionToken><Expiration>2026-11-24T23:00:00Z</Expiration></Credentials>"
             "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"}};

static void test_web_identity(void **state) {
  (void)state;
  clean();
  const char *path = write_file("the.first.token\n");
  setenv("AWS_WEB_IDENTITY_TOKEN_FILE", path, 1);
  setenv("AWS_ROLE_ARN", "arn:aws:iam::111111111111:role/pod", 1);
  struct fake fake;
  struct error error;
  struct aws_client *client = FAKE_OPEN(&fake, web_answers);
  struct aws_credentials *credentials = base_of(client, &error);
  if (!credentials) fail_msg("%s", error.message);
  assert_string_equal(credentials->access_key, "ASIAWEB");
  assert_string_equal(credentials->session_token, "web-token");
  assert_int_equal(credentials->expires_ms, FAKE_START + 3600000);
  assert_non_null(strstr(fake.body, "Action=AssumeRoleWithWebIdentity"));
  assert_non_null(strstr(fake.body, "WebIdentityToken=the.first.token"));
  assert_non_null(strstr(fake.body, "RoleSessionName=parapet"));
  assert_null(strstr(fake.headers, "Authorization")); /* nobody to sign it */
  aws_credentials_release(credentials);
  FILE *file = fopen(path, "w"); /* the cluster has replaced it */
  fputs("the.second.token", file);
  fclose(file);
  aws_credentials_release(base_of(client, NULL));
  assert_non_null(strstr(fake.body, "WebIdentityToken=the.second.token"));
  unlink(path);
  unsetenv("AWS_ROLE_ARN");
  assert_null(base_of(client, &error));
  assert_int_equal(error.class, ERROR_DENIED);
  fake_close(&fake, client);
}

/* ---- shared files ---- */

static const char config_text[] =
    "# a comment\n"
    "[default]\nregion = eu-west-1\naws_access_key_id=AKIACONFIG\naws_secret_access_key = config-secret\n"
    "[profile dev]\n aws_access_key_id = nested-is-ignored\ns3 =\n  aws_access_key_id = nested\n"
    "aws_access_key_id = AKIADEV\naws_secret_access_key = dev-secret # a comment\naws_session_token = dev-token\n"
    "[profile role]\nrole_arn = arn:aws:iam::222222222222:role/r\nsource_profile = dev\nexternal_id = ex-9\n"
    "[profile self]\nrole_arn = arn:aws:iam::222222222222:role/r\nsource_profile = self\n"
    "aws_access_key_id = AKIASELF\naws_secret_access_key = self-secret\n"
    "[profile circle]\nrole_arn = arn:aws:iam::222222222222:role/r\nsource_profile = circle2\n"
    "[profile circle2]\nrole_arn = arn:aws:iam::222222222222:role/r\nsource_profile = circle\n"
    "[profile lost]\nrole_arn = arn:aws:iam::222222222222:role/r\nsource_profile = nowhere\n"
    "[profile half]\naws_access_key_id = AKIAHALF\n"
    "[profile environment]\nrole_arn = arn:aws:iam::222222222222:role/r\ncredential_source = Environment\n"
    "[profile process]\ncredential_process = echo '{\"Version\":1,\"AccessKeyId\":\"AKIAPROCESS\","
    "\"SecretAccessKey\":\"process-secret\",\"Expiration\":\"2026-11-24T23:00:00Z\"}'\n"
    "[profile failing]\ncredential_process = exit 3\n"
    "[profile silent]\ncredential_process = true\n"
    "[profile \"quoted name\"]\naws_access_key_id = AKIAQUOTED\naws_secret_access_key = q\n"
    "[unmarked]\naws_access_key_id = AKIANOT\naws_secret_access_key = n\n";
static const char credentials_text[] =
    "[default]\naws_access_key_id = AKIADEFAULT\naws_secret_access_key = default-secret\n"
    "[plain]\naws_access_key_id = AKIAPLAIN\naws_secret_access_key = plain-secret\n";

static void test_profiles(void **state) {
  (void)state;
  static const struct {
    const char *profile, *access_key; /* NULL: an error */
    size_t assumed;
  } rows[] = {
      {NULL, "AKIADEFAULT", 0}, /* the credentials file wins */
      {"dev", "AKIADEV", 0},
      {"plain", "AKIAPLAIN", 0},
      {"quoted name", "AKIAQUOTED", 0},
      {"role", "ASIASESSION1", 1},
      {"self", "ASIASESSION1", 1},
      {"process", "AKIAPROCESS", 0},
      {"failing", NULL, 0},
      {"silent", NULL, 0},
      {"circle", NULL, 0},
      {"lost", NULL, 0},
      {"half", NULL, 0},
      {"unmarked", NULL, 0}, /* the config file wants "profile" in front */
      {"nobody", NULL, 0},
      {"environment", NULL, 0}, /* there is none */
  };
  clean();
  const char *config = write_file(config_text), *keys = write_file(credentials_text);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct fake fake;
    struct error error = {0};
    setenv("AWS_CONFIG_FILE", config, 1);
    setenv("AWS_SHARED_CREDENTIALS_FILE", keys, 1);
    if (rows[i].profile) setenv("AWS_PROFILE", rows[i].profile, 1);
    struct aws_client *client = FAKE_OPEN(&fake, nobody);
    struct aws_credentials *credentials = base_of(client, &error);
    if ((credentials != NULL) != (rows[i].access_key != NULL) || fake.assumed != rows[i].assumed ||
        (credentials && strcmp(credentials->access_key, rows[i].access_key) != 0))
      fail_msg("profile %s: %s", rows[i].profile, credentials ? credentials->access_key : error.message);
    if (!credentials) assert_int_equal(error.class, ERROR_DENIED);
    if (rows[i].profile && strcmp(rows[i].profile, "role") == 0)
      assert_non_null(strstr(fake.assume_request, "ExternalId=ex-9"));
    aws_credentials_release(credentials);
    fake_close(&fake, client);
  }
  unlink(config);
  unlink(keys);
  clean();
}

/* ---- containers ---- */

static const struct fake_answer container_answers[] = {
    {.status = 200,
     .body = "{\"AccessKeyId\":\"ASIABOX\",\"SecretAccessKey\":\"box-secret\",\"Token\":\"box-token\","
             "\"Expiration\":\"2026-11-25T04:00:00Z\"}"}};

static void test_container(void **state) {
  (void)state;
  const char *path = write_file("token-of-file\n");
  static const struct {
    const char *relative, *full, *token;
    int file;
    const char *url, *authorization;
  } rows[] = {
      {"/v2/x", NULL, NULL, 0, "GET http://169.254.170.2/v2/x", NULL},
      {"/v2/x", "http://127.0.0.1/", "t", 0, "GET http://169.254.170.2/v2/x", "Authorization: t\n"},
      {NULL, "http://169.254.170.23/v1/credentials", NULL, 1, "GET http://169.254.170.23/v1/credentials",
       "Authorization: token-of-file\n"},
      {NULL, "http://[fd00:ec2::23]/v1/credentials", "t", 1, "GET http://[fd00:ec2::23]/v1/credentials",
       "Authorization: token-of-file\n"},
      {NULL, "http://localhost:8080/k", NULL, 0, "GET http://localhost:8080/k", NULL},
      {NULL, "http://127.9.9.9/k", NULL, 0, "GET http://127.9.9.9/k", NULL},
      {NULL, "http://[::1]:80/k", NULL, 0, "GET http://[::1]:80/k", NULL},
      {NULL, "https://keys.example.com/k", NULL, 0, "GET https://keys.example.com/k", NULL},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    clean();
    if (rows[i].relative) setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", rows[i].relative, 1);
    if (rows[i].full) setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", rows[i].full, 1);
    if (rows[i].token) setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", rows[i].token, 1);
    if (rows[i].file) setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", path, 1);
    struct fake fake;
    struct error error;
    struct aws_client *client = FAKE_OPEN(&fake, container_answers);
    struct aws_credentials *credentials = base_of(client, &error);
    if (!credentials) fail_msg("row %zu: %s", i, error.message);
    assert_string_equal(credentials->session_token, "box-token");
    assert_int_equal(credentials->expires_ms, FAKE_START + 6 * 3600000);
    assert_string_equal(fake.url, rows[i].url);
    assert_string_equal(fake.headers, rows[i].authorization ? rows[i].authorization : "");
    aws_credentials_release(credentials);
    fake_close(&fake, client);
  }
  unlink(path);
}

static void test_container_failures(void **state) {
  (void)state;
  static const struct {
    struct fake_answer answer;
    size_t requests;
    enum error_class class;
  } rows[] = {
      {{.class = ERROR_RETRYABLE, .code = "ConnectionFailed"}, 3, ERROR_RETRYABLE},
      {{.status = 500, .body = ""}, 3, ERROR_RETRYABLE},
      {{.status = 403, .body = ""}, 1, ERROR_DENIED},
      {{.status = 200, .body = "<html>"}, 1, ERROR_RETRYABLE},
      {{.status = 200, .body = "{\"AccessKeyId\":7}"}, 1, ERROR_DENIED},
      {{.status = 200, .body = "{\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"s\",\"Expiration\":\"soon\"}"},
       1,
       ERROR_DENIED},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    clean();
    setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x", 1);
    struct fake fake;
    struct error error;
    struct aws_client *client = fake_open(&fake, &rows[i].answer, 1);
    assert_null(base_of(client, &error));
    assert_int_equal(fake.requests, rows[i].requests);
    assert_int_equal(error.class, rows[i].class);
    fake_close(&fake, client);
  }
}

/* ---- IMDSv2 ---- */

static void test_instance(void **state) {
  (void)state;
  static const struct fake_answer answers[] = {
      {.status = 200, .body = "imds-token"},
      {.status = 200, .body = "my-role\n"},
      {.status = 200,
       .body =
           "{\"Code\":\"Success\",\"AccessKeyId\":\"ASIAVM\",\"SecretAccessKey\":\"vm-secret\",\"Token\":\"vm-token\","
           "\"Expiration\":\"2026-11-25T04:00:00Z\"}"}};
  clean();
  unsetenv("AWS_EC2_METADATA_DISABLED");
  struct fake fake;
  struct error error;
  struct aws_client *client = FAKE_OPEN(&fake, answers);
  struct aws_credentials *credentials = base_of(client, &error);
  if (!credentials) fail_msg("%s", error.message);
  assert_string_equal(credentials->access_key, "ASIAVM");
  assert_string_equal(fake.url, "GET http://169.254.169.254/latest/meta-data/iam/security-credentials/my-role");
  assert_string_equal(fake.headers, "X-aws-ec2-metadata-token: imds-token\n");
  assert_int_equal(fake.requests, 3);
  aws_credentials_release(credentials);
  fake_close(&fake, client);
}

/* Nobody answers at the address: this is no instance, and there are no credentials. */
static void test_no_instance(void **state) {
  (void)state;
  clean();
  unsetenv("AWS_EC2_METADATA_DISABLED");
  struct fake fake;
  struct error error;
  struct aws_client *client = FAKE_OPEN(&fake, nobody);
  assert_null(base_of(client, &error));
  assert_string_equal(error.code, "NoCredentials");
  assert_string_equal(fake.url, "PUT http://169.254.169.254/latest/api/token");
  assert_int_equal(fake.deadline_ms - atomic_load(&fake.monotonic_ms), 1000);
  fake_close(&fake, client);
}

/* ---- the session of the base ---- */

/* Expiring base credentials are renewed like any session, and AssumeRole is signed with them. */
static void test_expiring_base_credentials_are_renewed(void **state) {
  (void)state;
  clean();
  setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x", 1);
  struct fake fake;
  struct error error;
  struct aws_role role = {.name = "worker"};
  struct aws_target target = {.account = "111111111111", .region = "eu-west-1", .role = &role};
  struct aws_client *client = FAKE_OPEN(&fake, container_answers);
  json_decref(aws_call(client, &target, "ec2.DescribeRegions", NULL, NULL, &error));
  assert_int_equal(fake.requests, 2); /* keys, and the call (whose answer is nonsense) */
  assert_int_equal(fake.assumed, 1);
  fake_advance(&fake, (int64_t)(6 * 3600 - 600) * 1000);
  json_decref(aws_call(client, &base_target, "ec2.DescribeRegions", NULL, NULL, &error));
  assert_int_equal(fake.requests, 4);
  fake_close(&fake, client);
}

/* ---- what else a profile may say ---- */

static void test_a_profile_names_region_and_endpoints(void **state) {
  (void)state;
  static const struct {
    const char *profile, *name, *value; /* and one variable of the environment */
    const char *region, *host;          /* of a call without Region */
  } rows[] = {
      {"far", "AWS_REGION", NULL, "ap-south-1", "https://ec2.ap-south-1.amazonaws.com/"},
      {"far", "AWS_REGION", "eu-west-3", "eu-west-3", "https://ec2.eu-west-3.amazonaws.com/"}, /* it comes first */
      {"fips", "AWS_USE_FIPS_ENDPOINT", NULL, "us-west-2", "https://ec2-fips.us-west-2.amazonaws.com/"},
      {"fips", "AWS_USE_FIPS_ENDPOINT", "false", "us-west-2", "https://ec2.us-west-2.amazonaws.com/"},
      {"dual", "AWS_USE_DUALSTACK_ENDPOINT", NULL, "us-west-2", "https://ec2.us-west-2.api.aws/"},
      {"own", "AWS_ENDPOINT_URL", NULL, "us-west-2", "http://10.0.0.1:5000/"},
      {"own", "AWS_ENDPOINT_URL", "http://10.0.0.2:5000", "us-west-2", "http://10.0.0.2:5000/"},
      {"own", "AWS_ENDPOINT_URL_EC2", "http://10.0.0.3:5000", "us-west-2", "http://10.0.0.3:5000/"},
      {"own", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true", "us-west-2", "https://ec2.us-west-2.amazonaws.com/"},
      {"ignoring", "AWS_ENDPOINT_URL", NULL, "us-west-2", "https://ec2.us-west-2.amazonaws.com/"},
      /* the service's own comes before the profile's, and behind the environment's */
      {"parts", "AWS_ENDPOINT_URL", NULL, "us-west-2", "http://10.0.0.7:5000/"},
      {"parts", "AWS_ENDPOINT_URL", "http://10.0.0.2:5000", "us-west-2", "http://10.0.0.2:5000/"},
      {"parts", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true", "us-west-2", "https://ec2.us-west-2.amazonaws.com/"},
      {"other-parts", "AWS_ENDPOINT_URL", NULL, "us-west-2", "http://10.0.0.1:5000/"}, /* there is nothing of ec2 */
  };
  static const struct fake_answer fine[] = {{200, .body = "<R><requestId>r</requestId><regionInfo/></R>"}};
  clean();
  const char *config = write_file(
      "[profile far]\nregion = ap-south-1\n[profile fips]\nregion = us-west-2\nuse_fips_endpoint = true\n"
      "[profile dual]\nregion = us-west-2\nuse_dualstack_endpoint = true\n"
      "[profile own]\nregion = us-west-2\nendpoint_url = http://10.0.0.1:5000\n"
      "[profile ignoring]\nregion = us-west-2\nendpoint_url = http://10.0.0.1:5000\n"
      "ignore_configured_endpoint_urls = true\n"
      "[profile parts]\nregion = us-west-2\nendpoint_url = http://10.0.0.1:5000\nservices = mine\n"
      "[services mine]\ns3 =\n  endpoint_url = http://10.0.0.6:5000\nec2 =\n  endpoint_url = http://10.0.0.7:5000\n"
      "[profile other-parts]\nregion = us-west-2\nendpoint_url = http://10.0.0.1:5000\nservices = others\n"
      "[services others]\ns3 =\n  endpoint_url = http://10.0.0.6:5000\n");
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct fake fake;
    fake_environment();
    setenv("AWS_CONFIG_FILE", config, 1);
    setenv("AWS_PROFILE", rows[i].profile, 1);
    if (rows[i].value) setenv(rows[i].name, rows[i].value, 1);
    aws_close(FAKE_OPEN(&fake, fine)); /* sets the fake up */
    struct aws_transport transport = {.perform = fake_perform, .context = &fake};
    struct aws_options options = {.models = fake_models(), .transport = &transport};
    struct aws_hooks hooks = {.no_thread = 1};
    struct aws_client *client = aws_open_with(&options, &hooks, NULL);
    assert_string_equal(client->hub_region, rows[i].region);
    struct aws_target anywhere = {0};
    json_decref(aws_call(client, &anywhere, "ec2.DescribeRegions", NULL, NULL, NULL));
    assert_string_equal(fake.url + strlen("POST "), rows[i].host);
    fake_close(&fake, client);
    if (rows[i].value) unsetenv(rows[i].name);
  }
  unlink(config);
}
