/* Between the cache of sessions (credentials_session.c) and what fills it (assume.c). */
#ifndef PARAPET_AWS_SESSION_INTERNAL_H
#define PARAPET_AWS_SESSION_INTERNAL_H

#include "aws/credentials.h"

/* Gets new credentials; `params` is what the session was made with. */
typedef int aws_session_fetch(const struct aws_fetch *fetch, json_t *params, struct aws_credentials **credentials,
                              struct error *error);
aws_session_fetch aws_fetch_base; /* the chain of providers */

/* The session of a key if there is one, held by the caller, or NULL. */
struct aws_session *aws_sessions_known(struct aws_sessions *sessions, const char *text);
/* The session of a key, made when it is new (params: a reference is kept; NULL: none).  Held by the caller. */
struct aws_session *aws_sessions_get(struct aws_sessions *sessions, const char *text, json_t *params,
                                     aws_session_fetch *fetch, struct error *error);
/* The base credentials' session; borrowed, lives as long as `sessions`. */
struct aws_session *aws_sessions_base(struct aws_sessions *sessions);
struct aws_client *aws_sessions_client(struct aws_sessions *sessions);
size_t aws_sessions_count(struct aws_sessions *sessions);
int aws_take_credentials(struct aws_client *client, json_t *answer, struct aws_credentials **credentials,
                         struct error *error);

#endif
