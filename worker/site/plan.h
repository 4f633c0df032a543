/* What a guardrail would do, without doing it. */
#ifndef PARAPET_SITE_PLAN_H
#define PARAPET_SITE_PLAN_H

#include "engine/live.h"

/* The mutating calls that its steps would make: new array of {call, with}.  Reads are made, so that later steps see
 * what they would have seen; nothing else is.  A step that needs an earlier call's answer may fail here: then the calls
 * end where they do, and *why says so. */
json_t *site_plan(const struct reader *reader, const struct guardrail *guardrail, const struct place *place,
                  const struct live *live, const struct occasion *occasion, json_t *finding, struct error *why);

#endif
