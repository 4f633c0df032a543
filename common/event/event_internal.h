#ifndef PARAPET_EVENT_EVENT_INTERNAL_H
#define PARAPET_EVENT_EVENT_INTERNAL_H

#include "event/envelope.h"

/* The resource that the table names for this CloudTrail record, "" when none; cut at size. */
void event_keys_resource(const struct event_keys *keys, json_t *record, char *text, size_t size);

#endif
