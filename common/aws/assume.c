/* AssumeRole: a session for each (account, role, session policy …).
 *
 * The table maps the key, all that distinguishes two sessions as one text, to the session.  Sessions of regional STS
 * endpoints are good in every Region, so the Region is no part of the key (its partition is, through the role's ARN);
 * the STS asked is the hub Region's, where the base credentials live. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "aws/client_internal.h"
#include "aws/session_internal.h"

#define DURATION_S 3600
#define POLICY_LIMIT 2048
#define TAGS_LIMIT 50

static const char *text_or_empty(const char *text) { return text ? text : ""; }
static const char *session_name(const struct aws_role *role) {
  return role->session_name ? role->session_name : "parapet";
}

/* 2 to 64 of [\w+=,.@-], as STS wants session names and source identities. */
static int is_session_text(const char *text) {
  size_t length = strlen(text);
  if (length < 2 || length > 64) return 0;
  for (; *text; text++)
    if (!isalnum((unsigned char)*text) && !strchr("_+=,.@-", *text)) return 0;
  return 1;
}

/* Characters, not bytes: STS counts the former. */
static size_t characters(const char *text) {
  size_t count = 0;
  for (; *text; text++) count += ((unsigned char)*text & 0xC0) != 0x80;
  return count;
}

/* At most 50; keys of 1 to 128 characters, values of at most 256. */
static int check_tags(const json_t *tags, struct error *error) {
  const char *key;
  json_t *value;
  if (json_object_size(tags) > TAGS_LIMIT)
    return error_set(error, ERROR_INVALID, "SessionTags", "a session has at most %d tags", TAGS_LIMIT);
  json_object_foreach((json_t *)tags, key, value) {
    if (!*key || characters(key) > 128 || !json_is_string(value) || characters(json_string_value(value)) > 256)
      return error_set(error, ERROR_INVALID, "SessionTags",
                       "a tag has a key of 1 to 128 characters and a text of at most 256 as its value");
  }
  return 0;
}

static int check(const struct aws_target *target, const struct aws_role *role, struct error *error) {
  const char *account = text_or_empty(target->account);
  if (strlen(account) != 12 || strspn(account, "0123456789") != 12)
    return error_set(error, ERROR_INVALID, "Account", "an account id has 12 digits, not \"%.32s\"", account);
  if (role->session_name && !is_session_text(role->session_name))
    return error_set(error, ERROR_INVALID, "SessionName", "a session name has 2 to 64 of letters, digits and _+=,.@-");
  if (role->source_identity && *role->source_identity && !is_session_text(role->source_identity))
    return error_set(error, ERROR_INVALID, "SourceIdentity",
                     "a source identity has 2 to 64 of letters, digits and _+=,.@-");
  if (check_tags(role->tags, error) != 0) return -1;
  if (characters(text_or_empty(role->session_policy)) > POLICY_LIMIT)
    return error_set(error, ERROR_INVALID, "SessionPolicy", "a session policy has at most %d characters, this one %zu",
                     POLICY_LIMIT, characters(role->session_policy));
  return 0;
}

static void set_text(json_t *params, const char *name, const char *text) {
  if (text && *text) json_object_set_new(params, name, json_string(text));
}

/* Sorted by key, so that equal sets are equal sessions. */
static void set_tags(json_t *params, const json_t *tags) {
  if (json_object_size(tags) == 0) return;
  const char *keys[TAGS_LIMIT], *key;
  size_t count = 0;
  json_t *value, *list = json_array();
  json_object_foreach((json_t *)tags, key, value) {
    size_t at = count++;
    for (; at > 0 && strcmp(keys[at - 1], key) > 0; at--) keys[at] = keys[at - 1];
    keys[at] = key;
  }
  for (size_t i = 0; i < count; i++)
    json_array_append_new(list, json_pack("{s:s, s:O}", "Key", keys[i], "Value", json_object_get(tags, keys[i])));
  json_object_set_new(params, "Tags", list);
}

static void role_arn(struct aws_client *client, const struct aws_target *target, char *arn, size_t size) {
  struct aws_target there = *target;
  if (!there.region || !*there.region) there.region = client->hub_region;
  aws_role_arn(&there, arn, size);
}

/* The parameters of sts.AssumeRole. */
static json_t *make_params(struct aws_client *client, const struct aws_target *target) {
  const struct aws_role *role = target->role;
  char arn[256];
  role_arn(client, target, arn, sizeof arn);
  json_t *params = json_object();
  if (!params) return NULL;
  set_text(params, "RoleArn", arn);
  set_text(params, "RoleSessionName", session_name(role));
  set_text(params, "ExternalId", role->external_id);
  set_text(params, "SourceIdentity", role->source_identity);
  set_text(params, "Policy", role->session_policy);
  set_tags(params, role->tags);
  json_object_set_new(params, "DurationSeconds", json_integer(DURATION_S));
  return params;
}

int aws_fetch_base(const struct aws_fetch *fetch, json_t *params, struct aws_credentials **credentials,
                   struct error *error) {
  (void)params;
  return aws_credentials_base(fetch, credentials, error);
}

/* The credentials in an AssumeRole… answer, which is wiped and released. */
int aws_take_credentials(struct aws_client *client, json_t *answer, struct aws_credentials **credentials,
                         struct error *error) {
  *credentials = answer ? aws_credentials_from_json(client, json_object_get(answer, "Credentials"), error) : NULL;
  aws_json_wipe(answer);
  json_decref(answer);
  return *credentials ? 0 : -1;
}

static int assume(const struct aws_fetch *fetch, struct aws_invocation *invocation, json_t *params,
                  struct aws_credentials **credentials, struct error *error) {
  struct aws_client *client = fetch->client;
  struct aws_call_options options = {.deadline_ms = fetch->deadline_ms};
  invocation->operation = "sts.AssumeRole";
  invocation->account = "";
  invocation->region = client->hub_region;
  atomic_fetch_add(&client->assumed, 1);
  json_t *answer = aws_client_invoke(client, invocation, params, &options, error);
  if (aws_take_credentials(client, answer, credentials, error) == 0) return 0;
  if (!error) return -1;
  struct error why = *error;
  error_set(error, why.class, why.code, "cannot assume %s: %s", json_text_at(params, "RoleArn", NULL), why.message);
  memcpy(error->request_id, why.request_id, sizeof why.request_id);
  return -1;
}

int aws_assume_with(const struct aws_fetch *fetch, struct aws_credentials *with, json_t *params,
                    struct aws_credentials **credentials, struct error *error) {
  struct aws_invocation invocation = {.credentials = with};
  return assume(fetch, &invocation, params, credentials, error);
}

static int fetch_role(const struct aws_fetch *fetch, json_t *params, struct aws_credentials **credentials,
                      struct error *error) {
  struct aws_invocation invocation = {.session = aws_sessions_base(fetch->client->sessions)};
  return assume(fetch, &invocation, params, credentials, error);
}

/* What tells sessions without tags apart: each field, and its length before it. */
static char *make_key(struct aws_client *client, const struct aws_target *target) {
  const struct aws_role *role = target->role;
  char arn[256];
  role_arn(client, target, arn, sizeof arn);
  const char *const fields[] = {arn, session_name(role), role->external_id, role->source_identity,
                                role->session_policy};
  struct buffer key = {0};
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
    const char *field = text_or_empty(fields[i]);
    buffer_addf(&key, "%zu:", strlen(field));
    buffer_add_text(&key, field);
  }
  if (!key.failed) return buffer_take(&key);
  buffer_free(&key);
  return NULL;
}

/* One that is not known yet, or has tags: then its parameters are its key. */
static struct aws_session *find_new(struct aws_sessions *sessions, const struct aws_target *target, const char *key,
                                    struct error *error) {
  if (check(target, target->role, error) != 0) return NULL;
  json_t *params = make_params(aws_sessions_client(sessions), target);
  char *written = params && !key ? json_written(params) : NULL;
  struct aws_session *session = NULL;
  if (params && (key || written))
    session = aws_sessions_get(sessions, key ? key : written, params, fetch_role, error);
  else
    error_set(error, ERROR_INVALID, "Role", "a field of the role is no UTF-8, or memory is out");
  free(written);
  json_decref(params);
  return session;
}

struct aws_session *aws_session_find(struct aws_sessions *sessions, const struct aws_target *target,
                                     struct error *error) {
  const struct aws_role *role = target->role;
  if (!role || !role->name || !*role->name) return aws_sessions_get(sessions, "", NULL, aws_fetch_base, error);
  if (json_object_size(role->tags) > 0) return find_new(sessions, target, NULL, error);
  char *key = make_key(aws_sessions_client(sessions), target); /* NULL, out of memory: as if it were new */
  struct aws_session *session = key ? aws_sessions_known(sessions, key) : NULL;
  if (!session) session = find_new(sessions, target, key, error);
  free(key);
  return session;
}
