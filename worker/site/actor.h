/* Who made a change. */
#ifndef PARAPET_SITE_ACTOR_H
#define PARAPET_SITE_ACTOR_H

#include "json/value.h"

/* Who did it, from CloudTrail's userIdentity: {type, arn, role, session, account, user, via, agent}; new, never NULL.
 */
json_t *event_actor(const json_t *event);

#endif
