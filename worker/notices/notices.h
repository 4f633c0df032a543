/* Notices: what people are told.  Each goes by the routes (a file: deploy/config/notices.yaml) to channels; a channel
 * gathers those of one guardrail and account into a digest, so that a storm is one message, not ten thousand, and sends
 * no more than so many messages in so much time.
 *
 * Nothing here ever holds up remediation: a notice is one small write to Redis, and a channel that does not work has
 * its own thread and its own backlog, which is bounded and counted. */
#ifndef PARAPET_WORKER_NOTICES_H
#define PARAPET_WORKER_NOTICES_H

#include <stdint.h>

#include "base/error.h"
#include "engine/playbook.h"
#include "json/template.h"

struct worker;

enum { CHANNELS_LIMIT = 16, CHANNEL_NAME = 41 };

enum channel_kind { CHANNEL_LOG, CHANNEL_SNS, CHANNEL_WEBHOOK };
struct channel {
  char name[CHANNEL_NAME];
  enum channel_kind kind;
  char *topic;           /* sns: its ARN */
  char *url, *secret;    /* webhook: where to, and the key of its signature (NULL: unsigned) */
  struct template *body; /* webhook: NULL: the digest as it is */
  int64_t timeout_ms;
  int64_t limit, within_ms; /* messages within so much time; 0: no limit */
  int64_t tries;            /* then a digest is given up, and counted */
};

struct route {
  json_t *match; /* {severity, environment, …: [globs]}; all must fit */
  unsigned to;   /* bit i: channel i */
  int also;      /* routes behind it are asked, too */
};

struct notices { /* immutable once loaded */
  struct channel channels[CHANNELS_LIMIT];
  size_t channel_count;
  struct route *routes;
  size_t route_count;
  json_t *owner_tags; /* names of the tag that tells a resource's owner */
};

/* Channels and routes from a file; without one (path ""): everything to the SNS topic, or ("" as well) to the log.
 * Complaints ("file:line: reason") are added to `refused`, a new array's worth; NULL with *error when there is any. */
struct notices *notices_load(const char *path, const char *sns_topic, json_t *refused, struct error *error);
void notices_free(struct notices *notices); /* NULL accepted */

/* The channels that a notice goes to, as bits. */
unsigned notices_route(const struct notices *notices, const json_t *notice);
/* The owner by the resource's tags ([{Key, Value}] or {key: value}): new text, "" when no tag says. */
char *notices_owner(const struct notices *notices, const json_t *tags);

/* A notice: {outcome, guardrail, account, region, resource, arn, note, actor, time, severity, environment, owner,
 * action}; what is not known is "".  Never fails: what cannot be kept is counted and logged. */
void notices_tell(struct worker *worker, json_t *notice);

/* A thread a channel. */
struct notices_sender;
struct notices_sender *notices_start(struct worker *worker, struct error *error);
void notices_stop(struct notices_sender *sender); /* NULL accepted; worker->stopping must be set */

/* The message of a digest: what happened, who did it, what Parapet did, why it matters, how to do it right, how to
 * undo, how to ask for an exception.  Subject at most 100 bytes of ASCII (SNS's limit).  Caller frees *text; 0, or -1.
 */
int notice_text(const struct guardrail *guardrail, const json_t *digest, char subject[101], char **text);

/* What a webhook's body may read: $subject, $text, $digest, $notices, $guardrail, $account, $environment, $severity,
 * $owner.  New text of the body as JSON, or NULL with *error. */
char *notice_body(const struct channel *channel, const struct guardrail *guardrail, const json_t *digest,
                  const char *subject, const char *text, struct error *error);
extern const char *const notice_variables[]; /* ends with NULL */

/* Posts a body, signed: X-Parapet-Timestamp is the time in seconds, X-Parapet-Signature "v1=" and the hex of
 * HMAC-SHA256(secret, timestamp "." body), X-Parapet-Delivery names the digest (the same in each further try).
 * 0, or -1 with *error: its class says whether another try is worth while (INVALID: the receiver does not want this
 * body).  No URL and no secret is in it. */
int webhook_post(const struct aws_transport *transport, const struct channel *channel, const char *delivery,
                 const char *body, int64_t now_ms, struct error *error);

#endif
