#include "notices.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/log.h"

enum { HOLD_MS = 30000, SHOWN = 10 };

static void add_counts(struct buffer *text, const json_t *digest) {
  const char *outcome, *comma = "";
  json_t *count;
  json_object_foreach(json_object_get(digest, "counts"), outcome, count) {
    buffer_addf(text, "%s%lld %s", comma, (long long)json_integer_value(count), outcome);
    comma = ", ";
  }
}

static void add_notice(struct buffer *text, const json_t *notice) {
  const char *actor = json_text_at(notice, "actor", NULL), *note = json_text_at(notice, "note", NULL);
  buffer_addf(text, "  %s  %s in %s", json_text_at(notice, "outcome", NULL), json_text_at(notice, "resource", NULL),
              json_text_at(notice, "region", NULL));
  if (*actor) buffer_addf(text, ", changed by %s", actor);
  if (*note) buffer_addf(text, " (%s)", note);
  buffer_add_char(text, '\n');
}

int notice_text(const struct guardrail *guardrail, const json_t *digest, char subject[101], char **text) {
  struct buffer body = {.ceiling = 200000};
  const json_t *notices = json_object_get(digest, "notices");
  const json_t *first = json_array_get(notices, 0);
  const char *name = json_text_at(first, "guardrail", NULL), *account = json_text_at(first, "account", NULL);
  struct buffer counts = {.ceiling = 1000};
  add_counts(&counts, digest);
  snprintf(subject, 101, "Parapet: %s in %s: %s", name, account, buffer_text(&counts));
  buffer_addf(&body, "%s\nAccount %s: %s\n\n", guardrail ? guardrail->title : name, account, buffer_text(&counts));
  buffer_free(&counts);
  for (size_t i = 0; i < json_array_size(notices) && i < SHOWN; i++) add_notice(&body, json_array_get(notices, i));
  long long total = (long long)json_integer_value(json_object_get(digest, "count"));
  if (total > SHOWN) buffer_addf(&body, "  … and %lld more (parapet findings --account %s)\n", total - SHOWN, account);
  if (guardrail) buffer_addf(&body, "\nWhy it matters: %s\nHow to do it right: %s\n", guardrail->why, guardrail->fix);
  buffer_addf(&body,
              "If this must be so: parapet exceptions add --guardrail %s --account %s --resource ID --owner YOU "
              "--reason WHY --for 30d\n",
              name, account);
  if (json_object_get(json_object_get(digest, "counts"), "parked"))
    buffer_addf(&body, "What is parked waits for: parapet breaker reset %s/%s --release --pace 1/s\n", name, account);
  int failed = body.failed;
  *text = buffer_take(&body);
  return failed || !*text ? -1 : 0;
}

static int publish(struct worker *worker, const char *subject, const char *text, struct error *error) {
  const char *topic = config_text(worker->config, "notice.sns_topic");
  if (!*topic) {
    log_info("notice", LOG_TEXT("subject", subject));
    return 0;
  }
  json_t *params = json_pack("{s:s, s:s, s:s}", "TopicArn", topic, "Subject", subject, "Message", text);
  struct aws_target target = {.region = config_text(worker->config, "aws.region")};
  char region[64] = "";
  if (sscanf(topic, "arn:%*[^:]:sns:%63[^:]:", region) == 1) target.region = region;
  json_t *result = params ? aws_call(worker->aws, &target, "sns.Publish", params, NULL, error) : NULL;
  json_decref(params);
  int sent = result != NULL;
  json_decref(result);
  return sent ? 0 : -1;
}

int notices_send(struct worker *worker, struct error *error) {
  json_t *digest = NULL;
  if (state_notice_take(worker->state, HOLD_MS, &digest, error) != 0) return -1;
  if (!digest) return 0;
  struct bundle *bundle = worker_bundle(worker);
  const json_t *first = json_array_get(json_object_get(digest, "notices"), 0);
  char subject[101], *text = NULL;
  int result = notice_text(bundle_guardrail(bundle, json_text_at(first, "guardrail", NULL)), digest, subject, &text);
  if (result == 0) result = publish(worker, subject, text, error);
  metric_add(&worker_metrics[M_NOTICES], 1, result == 0 ? "sent" : "failed");
  if (result == 0) result = state_notice_done(worker->state, json_text_at(digest, "key", NULL), error);
  bundle_drop(bundle);
  free(text);
  json_decref(digest);
  return result == 0 ? 1 : -1;
}
