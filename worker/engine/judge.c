/* Variables and judgement: resource + context + parameters → a finding, or nothing. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "engine/live.h"
#include "site/params.h"

void view_add(struct view *view, const char *name, json_t *value) {
  if (view->count >= VIEW_FRAMES) abort();
  struct jmes_scope *frame = &view->frames[view->count];
  frame->name = name;
  frame->value = value;
  frame->outer = view->count > 0 ? &view->frames[view->count - 1] : NULL;
  view->count++;
}

static void view_own(struct view *view, const char *name, json_t *value) {
  view->owned[view->count] = value;
  view_add(view, name, value);
}

const struct jmes_scope *view_scope(const struct view *view) {
  return view->count > 0 ? &view->frames[view->count - 1] : NULL;
}

void view_close(struct view *view) {
  for (int i = 0; i < VIEW_FRAMES; i++) json_decref(view->owned[i]);
  memset(view, 0, sizeof *view);
}

static json_t *text_or_nothing(const char *text) { return text ? json_string(text) : json_null(); }

void view_open(struct view *view, const struct guardrail *guardrail, const struct place *place, const struct live *live,
               const struct occasion *occasion) {
  static const struct occasion none = {0};
  char now[32];
  memset(view, 0, sizeof *view);
  if (!occasion) occasion = &none;
  const struct {
    const char *name, *value;
  } texts[] = {{"account", place->account},         {"region", place->region},
               {"environment", place->environment}, {"unit", place->unit},
               {"partition", place->partition},     {"now", clock_format(clock_wall_ms(), now, sizeof now)}};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    view_own(view, texts[i].name, text_or_nothing(texts[i].value));
  view_add(view, "organization", place->organization);
  view_own(view, "params", site_params(guardrail, place->account, place->environment));
  view_add(view, "event", occasion->event);
  view_add(view, "actor", occasion->actor);
  view_add(view, "result", NULL);
  view_add(view, "finding", NULL);
  if (guardrail->baseline) {
    view_add(view, "baseline", occasion->baseline);
    view_add(view, "changes", occasion->changes);
  }
  for (size_t i = 0; i < guardrail->use_count; i++)
    view_add(view, guardrail->uses[i]->name,
             live ? live->contexts[guardrail->uses[i] - guardrail->resource->contexts] : NULL);
  if (!live) return;
  view_add(view, "resource", live->item);
  view_add(view, "id", live->id);
  if (live->parent) view_add(view, "parent", live->parent);
  if (guardrail->resource->tags) view_own(view, "tags", jmes_search(guardrail->resource->tags, live->item, NULL, NULL));
}

json_t *guardrail_judge(const struct guardrail *guardrail, const struct place *place, const struct live *live,
                        const struct occasion *occasion, struct error *error) {
  struct view view;
  json_t *finding = NULL;
  const struct error *unread = live_unread(live, guardrail);
  if (unread) {
    if (error) *error = *unread;
    return NULL;
  }
  view_open(&view, guardrail, place, live, occasion);
  if (guardrail->where) {
    json_t *applies = jmes_search(guardrail->where, live->item, view_scope(&view), error);
    if (!applies) goto out;
    int empty = json_is_empty(applies);
    json_decref(applies);
    if (empty) {
      finding = json_null();
      goto out;
    }
  }
  finding = jmes_search(guardrail->find, live->item, view_scope(&view), error);
  if (finding && json_is_empty(finding)) {
    json_decref(finding);
    finding = json_null();
  }
out:
  view_close(&view);
  if (!finding) error_where(error, "%s", guardrail->name);
  return finding;
}

int guardrail_may_remediate(const struct guardrail *guardrail, const struct place *place, const struct live *live,
                            json_t *finding, const struct occasion *occasion, struct error *error) {
  struct view view;
  if (!guardrail->remediate_when) return 1;
  view_open(&view, guardrail, place, live, occasion);
  view_add(&view, "finding", finding);
  json_t *answer = jmes_search(guardrail->remediate_when, live->item, view_scope(&view), error);
  view_close(&view);
  int may = !answer ? -1 : !json_is_empty(answer);
  json_decref(answer);
  return may;
}

void guardrail_wants(const struct guardrail *guardrail, unsigned char *wanted) {
  for (size_t i = 0; i < guardrail->use_count; i++) wanted[guardrail->uses[i] - guardrail->resource->contexts] = 1;
}
