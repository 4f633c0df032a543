/* Credentials: where they come from, and the sessions that keep them fresh.  Internal to common/aws; thread-safe. */
#ifndef PARAPET_AWS_CREDENTIALS_H
#define PARAPET_AWS_CREDENTIALS_H

#include <stdint.h>

#include "aws/aws.h"

/* One set, immutable, shared by reference; its secrets are wiped when the last reference goes. */
struct aws_credentials {
  char *access_key, *secret_key, *session_token; /* token: NULL when there is none */
  int64_t obtained_ms, expires_ms;               /* AWS's wall clock; expires 0: never */
  int references;                                /* atomic */
};
/* Copies the texts; token NULL or "": none.  NULL when memory is out or a key is missing or implausibly long. */
struct aws_credentials *aws_credentials_new(const char *access_key, const char *secret_key, const char *session_token,
                                            int64_t obtained_ms, int64_t expires_ms);
struct aws_credentials *aws_credentials_share(struct aws_credentials *credentials);
void aws_credentials_release(struct aws_credentials *credentials); /* NULL accepted */

/* ---- providers: the base credentials ---- */

enum aws_provided { AWS_PROVIDER_ERROR = -1, AWS_PROVIDER_ABSENT, AWS_PROVIDER_FOUND };
struct aws_fetch { /* what a provider works with */
  struct aws_client *client;
  int64_t deadline_ms;
};
typedef enum aws_provided aws_provider(const struct aws_fetch *fetch, struct aws_credentials **credentials,
                                       struct error *error);
aws_provider aws_credentials_environment, aws_credentials_web_identity, aws_credentials_files,
    aws_credentials_container, aws_credentials_instance;
/* Asks the providers in botocore's order.  0, or -1 with *error (DENIED, "NoCredentials", when none has any). */
int aws_credentials_base(const struct aws_fetch *fetch, struct aws_credentials **credentials, struct error *error);

/* From {AccessKeyId, SecretAccessKey, SessionToken or Token, Expiration}: STS, containers, IMDS, credential_process. */
struct aws_credentials *aws_credentials_from_json(struct aws_client *client, const json_t *document,
                                                  struct error *error);
/* Wipes every string inside, before the last reference goes. */
void aws_json_wipe(json_t *value);
/* A small file as text, trailing white space cut; caller wipes and frees.  NULL with *error. */
char *aws_read_secret_file(const char *path, size_t limit, struct error *error);
void aws_free_secret(char *text); /* NULL accepted */

/* sts.AssumeRole with the given credentials, in the hub Region. `params` is borrowed. */
int aws_assume_with(const struct aws_fetch *fetch, struct aws_credentials *with, json_t *params,
                    struct aws_credentials **credentials, struct error *error);

/* sts.AssumeRoleWithWebIdentity, unsigned, in the hub Region. */
struct aws_web_identity_source {
  const char *token_file, *role_arn, *session_name; /* session_name may be NULL */
};
int aws_web_identity(const struct aws_fetch *fetch, const struct aws_web_identity_source *source,
                     struct aws_credentials **credentials, struct error *error);

/* The shared files' profile (profile.c) as {key: value}; new, NULL when there is none. */
json_t *aws_profile_read(const char *name);
/* The config file's section "services NAME": {"s3.endpoint_url": "…"}; new, empty when there is none. */
json_t *aws_services_read(const char *name);

/* ---- sessions: one per (account, role, policy …), and one for the base ---- */

struct aws_session;
struct aws_sessions;
struct aws_sessions *aws_sessions_open(struct aws_client *client, struct error *error);
void aws_sessions_close(struct aws_sessions *sessions);

/* The session of a target, made when it is new; the caller holds it until aws_session_release.  NULL with *error
 * (INVALID: the role's fields; FATAL: too many sessions). */
struct aws_session *aws_session_find(struct aws_sessions *sessions, const struct aws_target *target,
                                     struct error *error);
void aws_session_release(struct aws_sessions *sessions, struct aws_session *session); /* NULL accepted */
/* Credentials that are good for a call now: 0 with *credentials (caller releases), or -1 with *error.  Whoever comes
 * first fetches, everybody else waits for that one fetch. */
int aws_session_credentials(struct aws_sessions *sessions, struct aws_session *session, int64_t deadline_ms,
                            struct aws_credentials **credentials, struct error *error);
/* AWS says that these are expired: the next call fetches new ones. */
void aws_session_reject(struct aws_session *session, const struct aws_credentials *credentials);
/* One round of the background thread: refreshes what is due and in use, forgets what nobody uses.  Returns the
 * milliseconds until the next round is worth while.  For the thread, and for tests with a clock of their own. */
int64_t aws_sessions_refresh(struct aws_sessions *sessions);

#endif
