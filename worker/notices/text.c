/* What a person reads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "notices/notices.h"

enum { SHOWN = 10, BODY_BYTES = 200000 };

static void add_counts(struct buffer *text, const json_t *digest) {
  const char *outcome, *comma = "";
  json_t *count;
  json_object_foreach(json_object_get(digest, "counts"), outcome, count) {
    buffer_addf(text, "%s%lld %s", comma, (long long)json_integer_value(count), outcome);
    comma = ", ";
  }
}

/* One line: what Parapet did, to what, who had changed it; and, of a change, how to take it back. */
static void add_notice(struct buffer *text, const json_t *notice) {
  const char *actor = json_text_at(notice, "actor", NULL), *note = json_text_at(notice, "note", NULL);
  const char *action = json_text_at(notice, "action", NULL), *owner = json_text_at(notice, "owner", NULL);
  int changed = strcmp(json_text_at(notice, "outcome", NULL), "fixed") == 0;
  buffer_addf(text, "  %s  %s in %s", json_text_at(notice, "outcome", NULL), json_text_at(notice, "resource", NULL),
              json_text_at(notice, "region", NULL));
  if (*actor) buffer_addf(text, ", changed by %s", actor);
  if (*owner) buffer_addf(text, ", owner %s", owner);
  if (*note) buffer_addf(text, " (%s)", note);
  if (changed && *action) buffer_addf(text, "; undo: parapet undo %s", action);
  buffer_add_char(text, '\n');
}

static void add_advice(struct buffer *text, const struct guardrail *guardrail, const json_t *digest, const char *name,
                       const char *account) {
  if (guardrail) buffer_addf(text, "\nWhy it matters: %s\nHow to do it right: %s\n", guardrail->why, guardrail->fix);
  buffer_addf(text,
              "If this must be so: parapet exceptions add --guardrail %s --account %s --resource ID --owner YOU "
              "--reason WHY --for 30d\n",
              name, account);
  if (json_object_get(json_object_get(digest, "counts"), "parked"))
    buffer_addf(text, "What is parked waits for: parapet breaker reset %s/%s --release --pace 1/s\n", name, account);
}

/* SNS takes printable ASCII, and no more than 100 of it. */
static void make_subject(char subject[101], const char *name, const char *account, const char *counts) {
  snprintf(subject, 101, "Parapet: %s in %s: %s", name, account, counts);
  for (char *at = subject; *at; at++)
    if (*at < ' ' || *at > '~') *at = '?';
}

int notice_text(const struct guardrail *guardrail, const json_t *digest, char subject[101], char **text) {
  struct buffer body = {.ceiling = BODY_BYTES}, counts = {.ceiling = 4000};
  const json_t *notices = json_object_get(digest, "notices"), *first = json_array_get(notices, 0);
  const char *name = json_text_at(first, "guardrail", NULL), *account = json_text_at(first, "account", NULL);
  const char *environment = json_text_at(first, "environment", NULL);
  add_counts(&counts, digest);
  make_subject(subject, name, account, buffer_text(&counts));
  buffer_addf(&body, "%s\nAccount %s%s%s%s: %s\n\n", guardrail ? guardrail->title : name, account,
              *environment ? " (" : "", environment, *environment ? ")" : "", buffer_text(&counts));
  for (size_t i = 0; i < json_array_size(notices) && i < SHOWN; i++) add_notice(&body, json_array_get(notices, i));
  long long total = (long long)json_integer_value(json_object_get(digest, "count"));
  if (total > SHOWN) buffer_addf(&body, "  … and %lld more (parapet findings --account %s)\n", total - SHOWN, account);
  add_advice(&body, guardrail, digest, name, account);
  int failed = body.failed || counts.failed;
  buffer_free(&counts);
  *text = buffer_take(&body);
  return failed || !*text ? -1 : 0;
}
