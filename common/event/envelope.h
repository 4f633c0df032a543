/* Events before anyone judges them: EventBridge's envelope, what is wrapped into it, and the key that orders them.
 * In common because two programs need it: the collector, and `parapet replay`.
 *
 * schemas/event.schema.json is the shape that comes out; schemas/event-resources.yaml the table of keys.
 * Thread-safe: a loaded table of keys is immutable. */
#ifndef PARAPET_EVENT_ENVELOPE_H
#define PARAPET_EVENT_ENVELOPE_H

#include <stddef.h>

#include "base/error.h"
#include "json/value.h"

/* ---- the table that names an event's resource ---- */
struct event_keys;
/* Reads eventSource → JMESPath expressions over the CloudTrail record, the first that yields a string names the
 * resource.  NULL with *error (ERROR_INVALID, where = file:line). */
struct event_keys *event_keys_load(const char *path, struct error *error);
struct event_keys *event_keys_parse(const char *text, size_t length, const char *name, struct error *error);
void event_keys_free(struct event_keys *keys); /* NULL accepted */

/* ---- one event, ready for Kafka ---- */
#define EVENT_KEY_SIZE 384
struct event {
  json_t *value;    /* the envelope; owned */
  const char *text; /* the envelope's bytes: the given ones where nothing had to be wrapped */
  size_t length;
  char *owned;              /* what `text` points into when it is not the caller's */
  char key[EVENT_KEY_SIZE]; /* "account/Region/resource", "account/Region"; "unknown" where there is no account */
};
/* Takes one message as a source delivers it: an envelope, a raw CloudTrail record (is wrapped), or either inside an SNS
 * notification (is unwrapped).  `keys` may be NULL.  0, or -1 with *error: ERROR_INVALID says why it is no event (dead
 * letter).  `text` must live as long as *event. */
int event_prepare(const struct event_keys *keys, const char *text, size_t length, struct event *event,
                  struct error *error);
void event_free(struct event *event);

/* ---- parts, each borrowed; "" when absent or of another type ---- */
const char *event_account(const json_t *event); /* detail.recipientAccountId, detail.userIdentity.accountId, account */
const char *event_region(const json_t *event);  /* detail.awsRegion, region */
const char *event_id(const json_t *event);      /* detail.eventID, id */
const char *event_time(const json_t *event);    /* detail.eventTime, time; RFC 3339 */

/* Is this a CloudTrail record that nobody wrapped yet? */
int event_is_record(const json_t *value);
/* The envelope around a record, as EventBridge makes it (docs.aws.amazon.com/eventbridge/latest/ref/
 * events-structure.html).  A record without eventID gets an id of its content.  New; NULL when out of memory. */
json_t *event_wrap(json_t *record);

#endif
