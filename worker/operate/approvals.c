/* approve and deny: what becomes of an action that waits for somebody's agreement. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "fleet/mirror.h"
#include "operate/operate.h"

static const int64_t default_deny_ms = 30LL * 86400000;

/* The request that waits under this id; new, or NULL with *error. */
static json_t *find_waiting(const struct operate *operate, const char *id, struct error *error) {
  json_t *list = NULL, *request, *found = NULL;
  size_t index;
  int64_t expires;
  if (state_approvals(operate->state, &list, error) != 0) return NULL;
  json_array_foreach(list, index, request) if (strcmp(json_text_at(request, "id", NULL), id) == 0) found = request;
  if (!found)
    error_set(error, ERROR_MISSING, "Approval", "no request %.40s waits: parapet approvals list", id);
  else if (strcmp(json_text_at(found, "status", NULL), "waiting") != 0)
    error_set(error, ERROR_INVALID, "Approval", "%s is %s already", id, json_text_at(found, "status", NULL));
  else if (clock_parse(json_text_at(found, "expires", NULL), &expires) != 0 || expires <= clock_wall_ms())
    error_set(error, ERROR_INVALID, "Approval", "%s has expired; if the violation is still there, it is asked anew",
              id);
  else
    json_incref(found);
  if (found && error->class != ERROR_NONE) found = NULL;
  json_decref(list);
  return found;
}

/* The unit comes back now; what it is and does is judged anew then. */
static int bring_back(const struct operate *operate, const json_t *request, struct error *error) {
  const char *subject = json_text_at(request, "subject", NULL);
  json_t *unit = json_object_get(request, "unit");
  int64_t now = clock_wall_ms();
  json_t *entry = json_pack("{s:O, s:I, s:b}", "unit", unit, "due", (json_int_t)now, "released", 0);
  int result = mirror_put(operate->producer, "parked", subject, entry, error);
  json_decref(entry);
  return result == 0 ? state_park(operate->state, subject, unit, now, error) : -1;
}

/* Redis first, and only over what was read; the topic before anybody is told that it holds. */
static int replace(const struct operate *operate, json_t *known, json_t *decided, struct error *error) {
  const char *finding = json_text_at(known, "finding_id", NULL);
  int written = state_approval_put(operate->state, finding, decided, known, error);
  if (written == 0)
    return error_set(error, ERROR_INVALID, "Approval", "it changed meanwhile: look at parapet approvals list again");
  return written < 0 ? -1 : mirror_put(operate->producer, "approval", finding, decided, error);
}

json_t *operate_approve(const struct operate *operate, const json_t *arguments, struct error *error) {
  char now[32];
  struct error problem = {0};
  json_t *known = find_waiting(operate, json_text_at(arguments, "id", NULL), &problem);
  if (!known) {
    if (error) *error = problem;
    return NULL;
  }
  json_t *decided = json_copy(known);
  json_object_set_new(decided, "status", json_string("approved"));
  json_object_set_new(decided, "by", json_string(operate->principal));
  json_object_set_new(decided, "at", json_string(clock_format(clock_wall_ms(), now, sizeof now)));
  json_object_set_new(decided, "reason", json_string(json_text_at(arguments, "reason", NULL)));
  json_t *result = NULL;
  if (replace(operate, known, decided, error) == 0 && bring_back(operate, decided, error) == 0)
    result = json_pack("{s:O, s:O, s:O}", "id", json_object_get(known, "id"), "subject",
                       json_object_get(known, "subject"), "expires", json_object_get(known, "expires"));
  json_decref(decided);
  json_decref(known);
  return result;
}

static json_t *denial(const struct operate *operate, const json_t *request, const json_t *arguments) {
  char id[80], created[32], expires[32];
  int64_t now = clock_wall_ms(), lasts = json_integer_value(json_object_get(arguments, "for_ms"));
  const char *owner = json_text_at(arguments, "owner", NULL), *reason = json_text_at(arguments, "reason", NULL);
  snprintf(id, sizeof id, "x-%.60s", json_text_at(request, "id", NULL));
  return json_pack("{s:s, s:O, s:O, s:O, s:O, s:s, s:s, s:s, s:s}", "id", id, "guardrail",
                   json_object_get(request, "guardrail"), "account", json_object_get(request, "account"), "region",
                   json_object_get(request, "region"), "resource", json_object_get(request, "arn"), "owner",
                   *owner ? owner : operate->principal, "reason", *reason ? reason : "its approval was denied",
                   "created", clock_format(now, created, sizeof created), "expires",
                   clock_format(now + (lasts > 0 ? lasts : default_deny_ms), expires, sizeof expires));
}

/* The exception first: a denial that is remembered only in part must not look like a question that is open. */
json_t *operate_deny(const struct operate *operate, const json_t *arguments, struct error *error) {
  struct error problem = {0};
  json_t *known = find_waiting(operate, json_text_at(arguments, "id", NULL), &problem), *result = NULL;
  if (!known) {
    if (error) *error = problem;
    return NULL;
  }
  json_t *exception = denial(operate, known, arguments);
  if (operate_except(operate, exception, error) == 0 && replace(operate, known, NULL, error) == 0 &&
      bring_back(operate, known, error) == 0)
    result = json_pack("{s:O, s:O, s:O}", "id", json_object_get(known, "id"), "exception",
                       json_object_get(exception, "id"), "expires", json_object_get(exception, "expires"));
  json_decref(exception);
  json_decref(known);
  return result;
}
