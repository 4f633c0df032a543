/* Items by the id of the resource that they belong to: what is listed for many is told apart again. */
#ifndef PARAPET_ENGINE_JOIN_H
#define PARAPET_ENGINE_JOIN_H

#include "json/jmespath.h"
#include "json/value.h"

struct joined; /* the table; NULL: an empty one.  One thread's own */

/* Adds the items (borrowed) under the id, or each of the ids, that `by` finds in them (once, however often it finds
 * one); what it finds none in belongs to nobody.  0, or -1 with *error, in which case some may have been added.  Ends
 * the process when memory runs out: an item that is left out would look as if it were not there. */
int joined_add(struct joined **table, const struct jmes *by, json_t *items, struct error *error);

/* The id's items, in their order: new reference to an array that is the table's own; an empty one when it has none. */
json_t *joined_items(struct joined *table, const char *id);

void joined_free(struct joined *table); /* NULL accepted */

#endif
