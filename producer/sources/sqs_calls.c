#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "metrics_table.h"
#include "sqs_internal.h"

enum { CALL_MS = 20000 };

/* `params` is taken. */
static json_t *call(const struct sqs_options *options, const char *operation, json_t *params, int64_t timeout_ms,
                    struct error *error) {
  if (!params) {
    error_set(error, ERROR_FATAL, "OutOfMemory", "out of memory");
    return NULL;
  }
  struct aws_target target = {.account = options->account, .region = options->region, .role = options->role};
  struct aws_call_options when = {.deadline_ms = clock_monotonic_ms() + timeout_ms};
  json_t *result = aws_call(options->aws, &target, operation, params, &when, error);
  json_decref(params);
  return result;
}

char *sqs_url(const struct sqs_options *options, struct error *error) {
  if (options->url) return strdup(options->url);
  json_t *result = call(options, "sqs.GetQueueUrl", json_pack("{s:s}", "QueueName", options->name), CALL_MS, error);
  if (!result) return NULL;
  const char *url = json_text_at(result, "QueueUrl", NULL);
  char *copy = *url ? strdup(url) : NULL;
  if (!copy) error_set(error, ERROR_FATAL, "Answer", "SQS gave no URL for the queue %s", options->name);
  json_decref(result);
  return copy;
}

json_t *sqs_receive(const struct sqs_options *options, const char *url, int count, struct error *error) {
  json_t *params = json_pack("{s:s, s:i, s:i, s:i, s:[s]}", "QueueUrl", url, "MaxNumberOfMessages", count,
                             "WaitTimeSeconds", (int)(options->wait_ms / 1000), "VisibilityTimeout",
                             (int)(options->visibility_ms / 1000), "AttributeNames", "SentTimestamp");
  json_t *result = call(options, "sqs.ReceiveMessage", params, options->wait_ms + CALL_MS, error);
  if (!result) return NULL;
  json_t *messages = json_object_get(result, "Messages");
  messages = json_is_array(messages) ? json_incref(messages) : json_array();
  json_decref(result);
  if (!messages) error_set(error, ERROR_FATAL, "OutOfMemory", "out of memory");
  return messages;
}

/* The answer's "Id" as our index; -1 for one that we did not ask about. */
static int index_of(const json_t *entry, size_t count) {
  const char *id = json_text_at(entry, "Id", NULL);
  if (id[0] < '0' || id[0] > '9' || id[1]) return -1;
  return (size_t)(id[0] - '0') < count ? id[0] - '0' : -1;
}

/* An entry that is neither among the successful nor among the failed is tried again. */
static void read_outcomes(const json_t *result, const struct sqs_options *options, const char *operation, size_t count,
                          enum sqs_outcome *outcomes) {
  size_t i;
  json_t *entry;
  json_array_foreach(json_object_get(result, "Successful"), i, entry) {
    int index = index_of(entry, count);
    if (index >= 0) outcomes[index] = SQS_DONE;
  }
  json_array_foreach(json_object_get(result, "Failed"), i, entry) {
    int index = index_of(entry, count);
    if (index < 0) continue;
    outcomes[index] = json_is_true(json_object_get(entry, "SenderFault")) ? SQS_NEVER : SQS_AGAIN;
    metric_add(&collector_metrics[COLLECTOR_SQS_ERRORS], 1, options->label, operation);
    log_warn("SQS refused an entry of a batch", LOG_TEXT("operation", operation), LOG_TEXT("queue", options->label),
             LOG_TEXT("code", json_text_at(entry, "Code", NULL)));
  }
}

/* One batch.  The ids are the indexes: always distinct, whatever the messages are. */
static int batch(const struct sqs_options *options, const char *url, const char *operation, int visibility_s,
                 struct sqs_message *const *messages, size_t count, enum sqs_outcome *outcomes, struct error *error) {
  json_t *entries = json_array();
  for (size_t i = 0; i < count; i++) {
    char id[2] = {(char)('0' + i), '\0'};
    json_t *entry = json_pack("{s:s, s:s}", "Id", id, "ReceiptHandle", messages[i]->receipt);
    if (entry && visibility_s > 0) json_object_set_new(entry, "VisibilityTimeout", json_integer(visibility_s));
    json_array_append_new(entries, entry);
    outcomes[i] = SQS_AGAIN;
  }
  json_t *result =
      call(options, operation, json_pack("{s:s, s:o}", "QueueUrl", url, "Entries", entries), CALL_MS, error);
  if (!result) return -1;
  read_outcomes(result, options, operation, count, outcomes);
  json_decref(result);
  return 0;
}

int sqs_delete(const struct sqs_options *options, const char *url, struct sqs_message *const *messages, size_t count,
               enum sqs_outcome *outcomes, struct error *error) {
  return batch(options, url, "sqs.DeleteMessageBatch", 0, messages, count, outcomes, error);
}

int sqs_extend(const struct sqs_options *options, const char *url, struct sqs_message *const *messages, size_t count,
               enum sqs_outcome *outcomes, struct error *error) {
  return batch(options, url, "sqs.ChangeMessageVisibilityBatch", (int)(options->visibility_ms / 1000), messages, count,
               outcomes, error);
}
