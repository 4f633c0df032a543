/* What operators do to gates: exceptions, breakers, the organization-wide stop. */
#include <string.h>

#include "base/clock.h"
#include "fleet/mirror.h"
#include "operate/operate.h"

enum { PROBE_PACE = 10 };

/* ---- exceptions ---- */
int operate_except(const struct operate *operate, json_t *exception, struct error *error) {
  if (mirror_put(operate->producer, "exception", json_text_at(exception, "id", NULL), exception, error) != 0) return -1;
  return state_exception_put(operate->state, exception, error);
}

json_t *operate_exception_add(const struct operate *operate, const json_t *arguments, struct error *error) {
  json_t *given = json_object_get(arguments, "exception"), *exception = json_copy(given);
  int64_t expires;
  if (!exception || !*json_text_at(exception, "id", NULL) || !*json_text_at(exception, "owner", NULL) ||
      !*json_text_at(exception, "reason", NULL) ||
      clock_parse(json_text_at(exception, "expires", NULL), &expires) != 0) {
    error_set(error, ERROR_INVALID, "Exception", "an exception has an id, an owner, a reason and an end");
    json_decref(exception);
    return NULL;
  }
  json_object_set_new(exception, "by", json_string(operate->principal));
  if (operate_except(operate, exception, error) == 0) return exception;
  json_decref(exception);
  return NULL;
}

json_t *operate_exception_remove(const struct operate *operate, const json_t *arguments, struct error *error) {
  const char *id = json_text_at(arguments, "id", NULL);
  int existed = 0;
  if (mirror_put(operate->producer, "exception", id, NULL, error) != 0 ||
      state_exception_remove(operate->state, id, &existed, error) != 0)
    return NULL;
  return json_pack("{s:b}", "existed", existed);
}

/* ---- breakers ---- */

/* Durable first: the topic's record is what a Redis that lost its memory is rebuilt from. */
static int set_breaker(const struct operate *operate, const json_t *arguments, const char *verb, const char *state,
                       struct error *error) {
  const char *scope = json_text_at(arguments, "scope", NULL), *reason = json_text_at(arguments, "reason", NULL);
  json_t *record = state ? json_pack("{s:s, s:s, s:s, s:I}", "state", state, "by", operate->principal, "reason", reason,
                                     "opened", (json_int_t)clock_wall_ms())
                         : NULL;
  int result = mirror_put(operate->producer, "breaker", scope, record, error);
  json_decref(record);
  return result == 0 ? state_breaker_set(operate->state, scope, verb, operate->principal, reason, error) : -1;
}

json_t *operate_trip(const struct operate *operate, const json_t *arguments, struct error *error) {
  return set_breaker(operate, arguments, "trip", "open", error) == 0 ? json_object() : NULL;
}

json_t *operate_hold(const struct operate *operate, const json_t *arguments, struct error *error) {
  return set_breaker(operate, arguments, "hold", "held", error) == 0 ? json_object() : NULL;
}

json_t *operate_reset(const struct operate *operate, const json_t *arguments, struct error *error) {
  double pace = json_number_value(json_object_get(arguments, "pace"));
  int64_t released = 0;
  if (set_breaker(operate, arguments, "reset", NULL, error) != 0) return NULL;
  if (json_is_true(json_object_get(arguments, "release")) &&
      state_parked_release(operate->state, json_text_at(arguments, "scope", NULL), pace, &released, error) != 0)
    return NULL;
  return json_pack("{s:I}", "released", (json_int_t)released);
}

/* Half-open, and as many parked units come back for it; {probed, returning}. */
json_t *operate_probe(const struct operate *operate, const json_t *arguments, struct error *error) {
  const char *scope = json_text_at(arguments, "scope", NULL);
  int64_t probes = json_integer_value(json_object_get(arguments, "probes")), count = 0;
  int probed = state_breaker_probe(operate->state, scope, probes, -1, operate->principal, error);
  if (probed < 0) return NULL;
  if (probed && state_parked_return(operate->state, scope, PROBE_PACE, probes, &count, error) != 0) return NULL;
  return json_pack("{s:b, s:I}", "probed", probed, "returning", (json_int_t)count);
}

json_t *operate_fight_reset(const struct operate *operate, const json_t *arguments, struct error *error) {
  int existed = 0;
  if (state_fight_reset(operate->state, json_text_at(arguments, "subject", NULL), &existed, error) != 0) return NULL;
  return json_pack("{s:b}", "existed", existed);
}

/* ---- stop ---- */

/* A stop must hold at once, so Redis first; lifting it must not be undone by a rebuild, so the topic first. */
json_t *operate_stop(const struct operate *operate, const json_t *arguments, struct error *error) {
  char now[32];
  json_t *stop =
      json_pack("{s:s, s:s, s:s}", "by", operate->principal, "reason", json_text_at(arguments, "reason", NULL), "at",
                clock_format(clock_wall_ms(), now, sizeof now));
  if (state_stop_set(operate->state, stop, error) == 0 &&
      mirror_put(operate->producer, "stop", "organization", stop, error) == 0)
    return stop;
  json_decref(stop);
  return NULL;
}

json_t *operate_resume(const struct operate *operate, const json_t *arguments, struct error *error) {
  (void)arguments;
  if (mirror_put(operate->producer, "stop", "organization", NULL, error) != 0 ||
      state_stop_set(operate->state, NULL, error) != 0)
    return NULL;
  return json_object();
}
