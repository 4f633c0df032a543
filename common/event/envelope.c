#include "event/envelope.h"

#include <stdlib.h>
#include <string.h>

#include "event/event_internal.h"

/* eventType → detail-type (CATALOGUE: both spellings of the console's sign-in exist; this is the one that rules use).
 */
static const struct {
  const char *event_type, *detail_type;
} detail_types[] = {
    {"AwsApiCall", "AWS API Call via CloudTrail"},
    {"AwsServiceEvent", "AWS Service Event via CloudTrail"},
    {"AwsConsoleSignIn", "AWS Console Sign In via CloudTrail"},
    {"AwsConsoleAction", "AWS Console Action via CloudTrail"},
    {"AwsCloudTrailInsight", "AWS Insight via CloudTrail"},
};

static const char *detail_type_of(const json_t *record) {
  const char *event_type = json_text_at(record, "eventType", NULL);
  for (size_t i = 1; i < sizeof detail_types / sizeof *detail_types; i++)
    if (strcmp(event_type, detail_types[i].event_type) == 0) return detail_types[i].detail_type;
  return detail_types[0].detail_type;
}

static const char *first_text(const char *first, const char *second, const char *third) {
  return *first ? first : *second ? second : third;
}

const char *event_account(const json_t *event) {
  return first_text(json_text_at(event, "detail", "recipientAccountId", NULL),
                    json_text_at(event, "detail", "userIdentity", "accountId", NULL),
                    json_text_at(event, "account", NULL));
}

const char *event_region(const json_t *event) {
  return first_text(json_text_at(event, "detail", "awsRegion", NULL), json_text_at(event, "region", NULL), "");
}

const char *event_id(const json_t *event) {
  return first_text(json_text_at(event, "detail", "eventID", NULL), json_text_at(event, "id", NULL), "");
}

const char *event_time(const json_t *event) {
  return first_text(json_text_at(event, "detail", "eventTime", NULL), json_text_at(event, "time", NULL), "");
}

int event_is_record(const json_t *value) {
  return json_is_object(value) && json_object_get(value, "eventVersion") && json_object_get(value, "eventName") &&
         json_object_get(value, "eventSource") && !json_object_get(value, "detail");
}

static int is_envelope(const json_t *value) {
  return json_is_object(json_object_get(value, "detail")) && json_is_string(json_object_get(value, "source")) &&
         json_is_string(json_object_get(value, "detail-type"));
}

json_t *event_wrap(json_t *record) {
  char hash[65];
  const char *id = json_text_at(record, "eventID", NULL);
  if (!*id) {
    json_hash(record, hash);
    id = hash;
  }
  const char *source = json_text_at(record, "eventSource", NULL);
  const char *account = first_text(json_text_at(record, "recipientAccountId", NULL),
                                   json_text_at(record, "userIdentity", "accountId", NULL), "");
  return json_pack("{s:s, s:s, s:s, s:s+%, s:s, s:s, s:s, s:[], s:O}", "version", "0", "id", id, "detail-type",
                   detail_type_of(record), "source", "aws.", source, strcspn(source, "."), "account", account, "time",
                   json_text_at(record, "eventTime", NULL), "region", json_text_at(record, "awsRegion", NULL),
                   "resources", "detail", record);
}

/* ---- the key ---- */
/* One part of a key: what could confuse a reader of keys, or the separator, becomes '_'. */
static void add_part(char *key, const char *part, size_t limit) {
  size_t at = strlen(key);
  for (size_t i = 0; i < limit && part[i] && at + 1 < EVENT_KEY_SIZE; i++) {
    unsigned char byte = (unsigned char)part[i];
    key[at++] = byte <= ' ' || byte == 0x7F ? '_' : (char)byte;
  }
  key[at] = '\0';
}

static void make_key(const struct event_keys *keys, const json_t *event, char key[EVENT_KEY_SIZE]) {
  char resource[256] = "";
  key[0] = '\0';
  const char *account = event_account(event), *region = event_region(event);
  add_part(key, *account ? account : "unknown", 32);
  add_part(key, "/", 1);
  add_part(key, *region ? region : "unknown", 32);
  if (keys) event_keys_resource(keys, json_object_get(event, "detail"), resource, sizeof resource);
  if (!*resource) return;
  add_part(key, "/", 1);
  add_part(key, resource, 255);
}

/* ---- prepare ---- */
/* An SNS notification carries the event as text.  The caller's value is replaced; only one level is undone. */
static int unwrap_notification(struct event *event, struct error *error) {
  const json_t *message = json_object_get(event->value, "Message");
  if (!json_is_string(message) || strcmp(json_text_at(event->value, "Type", NULL), "Notification") != 0) return 0;
  size_t length = json_string_length(message);
  event->owned = malloc(length + 1);
  if (!event->owned) return error_set(error, ERROR_FATAL, "OutOfMemory", "out of memory");
  memcpy(event->owned, json_string_value(message), length);
  event->owned[length] = '\0';
  json_decref(event->value);
  event->text = event->owned;
  event->length = length;
  event->value = json_parse(event->text, event->length, error);
  return event->value ? 0 : -1;
}

static int wrap_record(struct event *event, struct error *error) {
  json_t *envelope = event_wrap(event->value);
  char *text = envelope ? json_text(envelope) : NULL;
  if (!text) {
    json_decref(envelope);
    return error_set(error, ERROR_FATAL, "OutOfMemory", "out of memory");
  }
  json_decref(event->value);
  free(event->owned);
  event->value = envelope;
  event->text = event->owned = text;
  event->length = strlen(text);
  return 0;
}

static int shape(struct event *event, struct error *error) {
  if (unwrap_notification(event, error) != 0) return -1;
  if (!json_is_object(event->value)) return error_set(error, ERROR_INVALID, "Shape", "the message is no JSON object");
  if (event_is_record(event->value)) return wrap_record(event, error);
  if (is_envelope(event->value)) return 0;
  return error_set(error, ERROR_INVALID, "Shape",
                   "neither an EventBridge event (source, detail-type, detail) nor a CloudTrail record");
}

int event_prepare(const struct event_keys *keys, const char *text, size_t length, struct event *event,
                  struct error *error) {
  *event = (struct event){.text = text, .length = length};
  event->value = json_parse(text, length, error);
  if (event->value && shape(event, error) == 0) {
    make_key(keys, event->value, event->key);
    return 0;
  }
  event_free(event);
  return -1;
}

void event_free(struct event *event) {
  json_decref(event->value);
  free(event->owned);
  *event = (struct event){0};
}
