#include "site/plan.h"

#include "engine/steps.h"

struct plan {
  const struct reader *reader;
  const struct place *place;
  json_t *calls;
};

static json_t *plan_call(void *context, const struct step_call *call, int *ignored, struct error *error) {
  struct plan *plan = context;
  (void)ignored;
  if (aws_operation_reads(call->step->operation)) {
    struct aws_target target = {
        .account = plan->place->account, .region = plan->place->region, .role = plan->reader->role};
    return aws_call(plan->reader->client, &target, call->step->operation, call->params, NULL, error);
  }
  json_array_append_new(plan->calls, json_pack("{s:s, s:O}", "call", call->step->operation, "with", call->params));
  return json_object();
}

static int plan_effect(void *context, const struct step_call *call, json_t *result, json_t *inverse,
                       struct error *error) {
  (void)context, (void)call, (void)result, (void)inverse, (void)error;
  return 0;
}

static void plan_notify(void *context, json_t *message) { (void)context, (void)message; }

json_t *site_plan(const struct reader *reader, const struct guardrail *guardrail, const struct place *place,
                  const struct live *live, const struct occasion *occasion, json_t *finding, struct error *why) {
  struct plan plan = {.reader = reader, .place = place, .calls = json_array()};
  struct step_host host = {.call = plan_call, .effect = plan_effect, .notify = plan_notify, .context = &plan};
  struct view view;
  json_t *reason = NULL;
  view_open(&view, guardrail, place, live, occasion);
  view_add(&view, "finding", finding);
  steps_run(guardrail->remediate, guardrail->remediate_count, view_scope(&view), "shadow", &host, &reason, why);
  view_close(&view);
  json_decref(reason);
  return plan.calls;
}
