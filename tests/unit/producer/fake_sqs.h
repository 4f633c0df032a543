/* SQS behind the AWS client's transport: one queue, in memory, with the failures that a test asks for. */
#ifndef PARAPET_TESTS_UNIT_PRODUCER_FAKE_SQS_H
#define PARAPET_TESTS_UNIT_PRODUCER_FAKE_SQS_H

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "aws/aws.h"
#include "base/clock.h"

enum { FAKE_MESSAGES = 300 };

struct fake_sqs {
  pthread_mutex_t lock;
  struct {
    char *body;
    int64_t visible_at_ms;
    int receipt; /* the newest; only it is good */
    int deleted, times_received, refusals;
  } messages[FAKE_MESSAGES];
  int count;
  /* what goes wrong */
  int fail_receives;  /* so many answers are 503 */
  int fail_deletes;   /* so many batches are 503 */
  int refuse_entries; /* each message's deletion is refused this often, not the sender's fault */
  int lapsed;         /* this message's receipt counts as lapsed (sender's fault), 1-based */
  int twice;          /* the first answer gives its first message twice */
  /* what happened */
  int receives, deletes, extensions, batches, repeated_ids, oversized_batches;
};

static inline void fake_put(struct fake_sqs *fake, const char *body) {
  pthread_mutex_lock(&fake->lock);
  assert_true(fake->count < FAKE_MESSAGES);
  fake->messages[fake->count++].body = strdup(body);
  pthread_mutex_unlock(&fake->lock);
}

static inline int fake_get(struct fake_sqs *fake, const int *what) {
  pthread_mutex_lock(&fake->lock);
  int value = *what;
  pthread_mutex_unlock(&fake->lock);
  return value;
}

static inline int fake_deleted(struct fake_sqs *fake) {
  int deleted = 0;
  pthread_mutex_lock(&fake->lock);
  for (int i = 0; i < fake->count; i++) deleted += fake->messages[i].deleted;
  pthread_mutex_unlock(&fake->lock);
  return deleted;
}

static inline json_t *fake_message(struct fake_sqs *fake, int index) {
  char id[32], receipt[32];
  snprintf(id, sizeof id, "message-%d", index);
  snprintf(receipt, sizeof receipt, "%d.%d", index, ++fake->messages[index].receipt);
  return json_pack("{s:s, s:s, s:s, s:{s:s}}", "MessageId", id, "ReceiptHandle", receipt, "Body",
                   fake->messages[index].body, "Attributes", "SentTimestamp", "1700000000000");
}

static inline json_t *fake_receive(struct fake_sqs *fake, const json_t *params) {
  json_t *messages = json_array();
  int64_t now = clock_monotonic_ms();
  int limit = (int)json_integer_value(json_object_get(params, "MaxNumberOfMessages"));
  int64_t visibility = json_integer_value(json_object_get(params, "VisibilityTimeout")) * 1000;
  fake->receives++;
  for (int i = 0; i < fake->count && (int)json_array_size(messages) < limit; i++) {
    if (fake->messages[i].deleted || fake->messages[i].visible_at_ms > now) continue;
    fake->messages[i].visible_at_ms = now + visibility;
    fake->messages[i].times_received++;
    json_array_append_new(messages, fake_message(fake, i));
    if (fake->twice) json_array_append_new(messages, fake_message(fake, i));
    fake->twice = 0;
  }
  return json_pack("{s:o}", "Messages", messages);
}

static inline json_t *fake_failure(const char *id, int senders_fault, const char *code) {
  return json_pack("{s:s, s:b, s:s}", "Id", id, "SenderFault", senders_fault, "Code", code);
}

/* One entry of a batch: 1 when it is done; else *failure. */
static inline int fake_entry(struct fake_sqs *fake, const json_t *entry, int deleting, json_t **failure) {
  int index = -1, receipt = -1;
  const char *id = json_text_at(entry, "Id", NULL);
  if (sscanf(json_text_at(entry, "ReceiptHandle", NULL), "%d.%d", &index, &receipt) != 2 || index < 0 ||
      index >= fake->count || receipt != fake->messages[index].receipt || index + 1 == fake->lapsed) {
    *failure = fake_failure(id, 1, "ReceiptHandleIsInvalid");
    return 0;
  }
  if (deleting && fake->messages[index].refusals < fake->refuse_entries) {
    fake->messages[index].refusals++;
    *failure = fake_failure(id, 0, "InternalError");
    return 0;
  }
  if (deleting) {
    fake->messages[index].deleted = 1;
    fake->deletes++;
  } else {
    fake->messages[index].visible_at_ms =
        clock_monotonic_ms() + json_integer_value(json_object_get(entry, "VisibilityTimeout")) * 1000;
    fake->extensions++;
  }
  return 1;
}

static inline json_t *fake_batch(struct fake_sqs *fake, const json_t *params, int deleting) {
  json_t *successful = json_array(), *failed = json_array(), *seen = json_object(), *entry;
  size_t i;
  const json_t *entries = json_object_get(params, "Entries");
  fake->batches++;
  if (json_array_size(entries) > 10 || json_array_size(entries) == 0) fake->oversized_batches++;
  json_array_foreach(entries, i, entry) {
    json_t *failure = NULL;
    const char *id = json_text_at(entry, "Id", NULL);
    if (json_object_get(seen, id)) fake->repeated_ids++;
    json_object_set_new(seen, id, json_true());
    if (fake_entry(fake, entry, deleting, &failure))
      json_array_append_new(successful, json_pack("{s:s}", "Id", id));
    else
      json_array_append_new(failed, failure);
  }
  json_decref(seen);
  return json_pack("{s:o, s:o}", "Successful", successful, "Failed", failed);
}

static inline const char *fake_target(const struct aws_http_request *request) {
  for (size_t i = 0; i < request->header_count; i++)
    if (strcasecmp(request->headers[i].name, "x-amz-target") == 0) return request->headers[i].value;
  return "";
}

static inline int fake_fails(int *budget) { return *budget > 0 ? (*budget)-- : 0; }

static inline int fake_perform(void *context, const struct aws_http_request *request,
                               struct aws_http_response *response, struct error *error) {
  struct fake_sqs *fake = context;
  const char *target = fake_target(request);
  json_t *params = json_loadb(request->body, request->body_length, 0, NULL), *answer = NULL;
  int status = 200, idle = 0;
  (void)error;
  pthread_mutex_lock(&fake->lock);
  if (strcmp(target, "AmazonSQS.ReceiveMessage") == 0) {
    if (fake_fails(&fake->fail_receives))
      status = 503;
    else
      answer = fake_receive(fake, params);
    idle = json_array_size(json_object_get(answer, "Messages")) == 0;
  } else if (strcmp(target, "AmazonSQS.DeleteMessageBatch") == 0) {
    if (fake_fails(&fake->fail_deletes))
      status = 503;
    else
      answer = fake_batch(fake, params, 1);
  } else if (strcmp(target, "AmazonSQS.ChangeMessageVisibilityBatch") == 0) {
    answer = fake_batch(fake, params, 0);
  } else {
    answer = json_pack("{s:s}", "QueueUrl", "https://sqs.eu-west-1.amazonaws.com/999999999999/parapet-events");
  }
  pthread_mutex_unlock(&fake->lock);
  if (idle) clock_sleep_ms(20); /* the long poll */
  response->status = status;
  response->body = answer ? json_dumps(answer, JSON_COMPACT) : strdup("{\"__type\":\"ServiceUnavailable\"}");
  response->body_length = strlen(response->body);
  response->headers = calloc(1, sizeof *response->headers);
  response->headers[0].name = strdup("Content-Type");
  response->headers[0].value = strdup("application/x-amz-json-1.0");
  response->header_count = 1;
  json_decref(params);
  json_decref(answer);
  return 0;
}

static inline void fake_free(struct fake_sqs *fake) {
  for (int i = 0; i < fake->count; i++) free(fake->messages[i].body);
}

#endif
