/* Undo: takes actions back, one by one, each under the resource's lease.
 *
 * An action is taken back only while the resource still is what the action left (its post-image): otherwise somebody
 * has built on it since, and the undo says what differs.  Then: the breaker's grant (scope "undo", a lane of its own),
 * an exception first, or the next sweep would do the action again, and the inverses in reverse order, journaled as an
 * action of its own.  At the end the resource is read and compared with the pre-image, field by field but for names
 * that AWS chooses anew.  A worker killed half-way is followed by one that goes on where the journal ends. */
#ifndef PARAPET_OPERATE_UNDO_H
#define PARAPET_OPERATE_UNDO_H

#include "worker.h"

struct undo_report { /* each is called from pool threads, `end` or `abandon` last and once */
  void (*progress)(void *context, int64_t done, int64_t total);
  /* {counts: {undone: n, …}, actions: [{action, resource, outcome, reason, differences}]}; result NULL: *error. */
  void (*end)(void *context, json_t *result, const struct error *error);
  void (*abandon)(void *context); /* the process ends first: somebody else has to go on */
  void *context;
};

/* arguments: {action}, or a range {guardrail, account, region, since, until} (times RFC 3339; one of guardrail and
 * account must be there); owner, reason, for_ms (of the exception), dry_run.  command: its id.  Returns at once. */
void undo_start(struct worker *worker, json_t *arguments, const char *principal, const char *command,
                const struct undo_report *report);

#endif
