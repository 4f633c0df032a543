/* Reads of many resources as one call: what databases call group commit, for reads.
 *
 * AWS counts calls (EC2 grants an account some 20 a second in a Region), and takes a hundred ids in one.  While calls
 * of a question are in the air, others who ask the same of other resources wait; the next call asks for all of them,
 * and each gets its own items.  Nobody waits for company: with fewer than two calls of its question in the air a read
 * goes at once, alone, so that an idle worker reads as if there were no gathering.
 *
 * What holds:
 * - An answer is never older than the question: a call is sent after all whom it asks for have come.  (A read under a
 *   lease, and one that verifies a fix, rely on it.)
 * - A call for many that fails by itself (throttled, network) fails for all of them.  Any other failure may be the
 *   fault of one of them (a resource that is gone, a malformed id), or of there being many: then each asks alone, as if
 *   nobody had gathered anything, and its failure is its own.
 * - Calls end by their own deadlines, and so does the waiting: a read waits for one call before that which asks for it
 *   (more, only where more than `limit` wait), and for a second at most where those before it hang. */
#ifndef PARAPET_ENGINE_GATHER_H
#define PARAPET_ENGINE_GATHER_H

#include "json/jmespath.h"
#include "json/value.h"

struct gather; /* thread-safe; one for all threads whose reads are to meet */

/* sent: told of each call, before it is made, and of how many resources it asks for (by the thread that makes it; NULL:
 * nobody is told).  NULL: no memory. */
struct gather *gather_open(void (*sent)(size_t resources));
void gather_close(struct gather *gather); /* NULL accepted; nobody may be reading */

struct gathered {        /* a read; borrowed */
  const char *question;  /* all but the id: reads with the same text may be one call.  Limit and `by` are part of it */
  size_t limit;          /* the most ids in one call */
  const struct jmes *by; /* item → the id, or list of ids, that it belongs to */
  /* Asks for the resources of these ids (array of distinct texts; borrowed), on the thread of one who reads, with its
   * own argument; it may come to more than once for one read, the last time counts.  All their items, new; or NULL,
   * with *error, unless there is nothing to say about it. */
  json_t *(*ask)(json_t *ids, void *argument, struct error *error);
  void *argument;
};

/* The items of one resource.  Those that `ask` gave, where it was asked for this one alone; else those that belong to
 * it, in an array of its own (the items are shared with other threads: as all values, not to be changed).  NULL: `ask`
 * gave NULL, with its *error. */
json_t *gather_items(struct gather *gather, const struct gathered *read, const char *id, struct error *error);

/* How many wait just now.  For tests. */
size_t gather_waiting(struct gather *gather);

#endif
