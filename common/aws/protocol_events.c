/* Event streams: an answer that is a sequence of binary messages ("application/vnd.amazon.eventstream").
 *
 *   total length (4) | headers length (4) | CRC of these (4) | headers | payload | CRC of all before (4)
 *   header: name length (1) | name | type (1) | value
 *
 * The whole answer is in memory, so the events become a list: [{"Records": {…}}, {"End": {}}].  An exception among them
 * is the call's error. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "aws/protocol_internal.h"

#define PRELUDE_SIZE 12
#define EVENTS_CEILING 100000

struct message {
  const unsigned char *headers, *payload;
  size_t headers_length, payload_length, total;
};

struct header {
  const char *name, *value; /* not NUL-terminated */
  size_t name_length, value_length;
  int type;
};

enum header_type {
  TYPE_TRUE,
  TYPE_FALSE,
  TYPE_BYTE,
  TYPE_SHORT,
  TYPE_INT,
  TYPE_LONG,
  TYPE_BYTES,
  TYPE_STRING,
  TYPE_TIME,
  TYPE_UUID
};

static uint64_t big_endian(const unsigned char *bytes, size_t length) {
  uint64_t value = 0;
  for (size_t i = 0; i < length; i++) value = value << 8 | bytes[i];
  return value;
}

/* Cuts the message at `bytes`; 0, or -1 when it is cut off or damaged. */
static int cut_message(const unsigned char *bytes, size_t length, struct message *message) {
  if (length < PRELUDE_SIZE + 4) return -1;
  size_t total = big_endian(bytes, 4), headers = big_endian(bytes + 4, 4);
  if (total > length || total < PRELUDE_SIZE + 4 || headers > total - PRELUDE_SIZE - 4) return -1;
  if (crc32_z(0, bytes, 8) != big_endian(bytes + 8, 4)) return -1;
  if (crc32_z(0, bytes, total - 4) != big_endian(bytes + total - 4, 4)) return -1;
  *message = (struct message){.headers = bytes + PRELUDE_SIZE,
                              .headers_length = headers,
                              .payload = bytes + PRELUDE_SIZE + headers,
                              .payload_length = total - PRELUDE_SIZE - 4 - headers,
                              .total = total};
  return 0;
}

/* The header at *at, which moves behind it: 1, 0 at the end, or -1 when it is damaged. */
static int next_header(const struct message *message, size_t *at, struct header *header) {
  static const int sizes[] = {
      [TYPE_TRUE] = 0, [TYPE_FALSE] = 0,  [TYPE_BYTE] = 1,    [TYPE_SHORT] = 2, [TYPE_INT] = 4,
      [TYPE_LONG] = 8, [TYPE_BYTES] = -1, [TYPE_STRING] = -1, [TYPE_TIME] = 8,  [TYPE_UUID] = 16};
  const unsigned char *bytes = message->headers;
  size_t left = message->headers_length - *at;
  if (left == 0) return 0;
  size_t name_length = bytes[*at];
  if (left < name_length + 2) return -1;
  header->name = (const char *)bytes + *at + 1;
  header->name_length = name_length;
  header->type = bytes[*at + 1 + name_length];
  *at += name_length + 2;
  left -= name_length + 2;
  if (header->type > TYPE_UUID) return -1;
  size_t size = 0;
  if (sizes[header->type] < 0) {
    if (left < 2) return -1;
    size = big_endian(bytes + *at, 2);
    *at += 2;
    left -= 2;
  } else {
    size = (size_t)sizes[header->type];
  }
  if (size > left) return -1;
  header->value = (const char *)bytes + *at;
  header->value_length = size;
  *at += size;
  return 1;
}

/* A text header's value into `text`; "" when it is not there. */
static void text_header(const struct message *message, const char *name, char *text, size_t size) {
  struct header header;
  size_t at = 0;
  text[0] = '\0';
  while (next_header(message, &at, &header) > 0)
    if (header.type == TYPE_STRING && header.name_length == strlen(name) &&
        memcmp(header.name, name, header.name_length) == 0)
      snprintf(text, size, "%.*s", (int)header.value_length, header.value);
}

static json_t *header_value(struct aws_parsing *parsing, const struct aws_reference *member,
                            const struct header *header) {
  const unsigned char *bytes = (const unsigned char *)header->value;
  uint64_t bits = header->value_length <= 8 ? big_endian(bytes, header->value_length) : 0;
  int64_t milliseconds;
  switch (header->type) {
    case TYPE_TRUE:
    case TYPE_FALSE:
      return json_boolean(header->type == TYPE_TRUE);
    case TYPE_BYTE:
      return json_integer((int8_t)bits);
    case TYPE_SHORT:
      return json_integer((int16_t)bits);
    case TYPE_INT:
      return json_integer((int32_t)bits);
    case TYPE_LONG:
      return json_integer((int64_t)bits);
    case TYPE_TIME:
      milliseconds = (int64_t)bits;
      if (milliseconds > INT64_C(253402300799000) || milliseconds < -INT64_C(62135596800000))
        return aws_not_an_answer(parsing, "no timestamp in", member->name);
      return aws_time_value(parsing, member, milliseconds * 1000);
    case TYPE_STRING:
      return aws_json_text(header->value, header->value_length);
    default:
      return aws_bytes_value(parsing, header->value, header->value_length);
  }
}

static int read_headers(struct aws_parsing *parsing, const struct message *message, const struct aws_shape *shape,
                        json_t *event) {
  struct header header;
  size_t at = 0;
  while (next_header(message, &at, &header) > 0) {
    const struct aws_reference *member = aws_shape_member(shape, header.name, header.name_length);
    if (!member || !aws_has(member, AWS_EVENT_HEADER)) continue;
    if (json_object_set_new(event, member->name, header_value(parsing, member, &header)) != 0) return -1;
  }
  return 0;
}

static json_t *payload_value(struct aws_parsing *parsing, const struct message *message,
                             const struct aws_reference *reference) {
  const struct aws_shape *shape = aws_resolve(parsing->service, reference, parsing->error);
  const char *bytes = (const char *)message->payload;
  if (!shape) return NULL;
  if (shape->type == AWS_TYPE_BLOB) return aws_bytes_value(parsing, bytes, message->payload_length);
  if (shape->type == AWS_TYPE_STRING) return aws_json_text(bytes, message->payload_length);
  return message->payload_length > 0 ? aws_body_value(parsing, reference, bytes, message->payload_length)
                                     : json_object();
}

/* One member of the event is the payload, or the payload holds the members. */
static int read_payload(struct aws_parsing *parsing, const struct message *message,
                        const struct aws_reference *reference, const struct aws_shape *shape, json_t *event) {
  for (int i = 0; i < shape->member_count; i++)
    if (aws_has(&shape->members[i], AWS_EVENT_PAYLOAD))
      return json_object_set_new(event, shape->members[i].name, payload_value(parsing, message, &shape->members[i]));
  json_t *members = payload_value(parsing, message, reference);
  int result = json_is_object(members) ? json_object_update(event, members) : members ? 0 : -1;
  json_decref(members);
  return result;
}

static int add_event(struct aws_parsing *parsing, const struct message *message, const struct aws_shape *stream,
                     const char *type, json_t *events) {
  const struct aws_reference *member = aws_shape_member(stream, type, strlen(type));
  if (!member) return 0; /* a newer kind of event than the model knows */
  const struct aws_shape *shape = aws_resolve(parsing->service, member, parsing->error);
  json_t *event = json_object();
  int result = shape && read_headers(parsing, message, shape, event) == 0 &&
                       read_payload(parsing, message, member, shape, event) == 0
                   ? json_array_append_new(events, json_pack("{s:O}", type, event))
                   : -1;
  json_decref(event);
  return result;
}

static int raise_exception(struct aws_parsing *parsing, const struct message *message) {
  char code[96], text[512];
  text_header(message, ":exception-type", code, sizeof code);
  if (!code[0]) text_header(message, ":error-code", code, sizeof code);
  text_header(message, ":error-message", text, sizeof text);
  if (!text[0]) {
    json_t *body = json_parse((const char *)message->payload, message->payload_length, NULL);
    const char *said = json_string_value(json_object_get(body, "message"));
    if (!said) said = json_string_value(json_object_get(body, "Message"));
    snprintf(text, sizeof text, "%s", said ? said : "");
    json_decref(body);
  }
  return error_set(parsing->error, aws_error_class(code, 400), code, "%s", text);
}

int aws_parse_events(struct aws_parsing *parsing, const struct aws_reference *member, json_t *into) {
  const struct aws_shape *stream = aws_resolve(parsing->service, member, parsing->error);
  const unsigned char *bytes = (const unsigned char *)parsing->response->body;
  size_t left = parsing->response->body_length;
  json_t *events = json_array();
  if (!stream || !events || json_object_set_new(into, member->name, events) != 0) return -1;
  struct message message;
  for (int count = 0; left > 0; count++, bytes += message.total, left -= message.total) {
    char kind[32], type[128];
    if (count == EVENTS_CEILING || cut_message(bytes, left, &message) != 0)
      return aws_not_an_answer(parsing, "a damaged event stream", "") ? 0 : -1;
    text_header(&message, ":message-type", kind, sizeof kind);
    text_header(&message, ":event-type", type, sizeof type);
    if (strcmp(kind, "event") != 0) return raise_exception(parsing, &message);
    int wrong = strcmp(type, "initial-response") == 0
                    ? read_payload(parsing, &message, parsing->output, &(const struct aws_shape){0}, into)
                    : add_event(parsing, &message, stream, type, events);
    if (wrong) return -1;
  }
  return 0;
}

const struct aws_reference *aws_event_member(struct aws_parsing *parsing) {
  const struct aws_shape *shape =
      parsing->output ? aws_resolve(parsing->service, parsing->output, parsing->error) : NULL;
  for (int i = 0; shape && i < shape->member_count; i++)
    if (aws_has(&shape->members[i], AWS_EVENT_STREAM)) return &shape->members[i];
  return NULL;
}
