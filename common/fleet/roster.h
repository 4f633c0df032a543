/* The accounts in force: the accounts file, read again when it changes, and the organization's members, asked of AWS by
 * one process of the fleet at a time (who has the claim in Redis) and read from there by all.
 *
 * What is known stays in force until something newer is: a listing that fails, a file with a mistake or a Redis that is
 * away change nothing but what roster_status says.  An account is gone only when a whole list says so. */
#ifndef PARAPET_FLEET_ROSTER_H
#define PARAPET_FLEET_ROSTER_H

#include "aws/aws.h"
#include "fleet/accounts.h"
#include "state/state.h"

struct roster;
struct roster_ticket { /* who waits for a list; zeroed at first */
  uint64_t number;
  int64_t since_ms; /* monotonic */
};
struct roster_options {
  const char *file;
  struct state *state;       /* joined by somebody else; until then nothing is read from it */
  struct aws_client *client; /* NULL: never asks AWS, only reads what others listed */
};
/* Loads the file and starts the thread that keeps all current.  NULL with *error. */
struct roster *roster_open(const struct roster_options *options, struct error *error);
void roster_close(struct roster *roster); /* NULL accepted; waits for a running call */

/* The accounts in force, held; accounts_drop them.  Never NULL, but see accounts_are_known.  Any thread. */
struct accounts *roster_accounts(struct roster *roster);

/* Is there a list that was begun after this was first asked?  `ticket`: zeroed at first.  1: yes, or there
 * is nothing to list, or none came in a minute; 0: it is asked for (and begun every 30 s at most), ask again.  Any
 * thread. */
int roster_is_newer(struct roster *roster, struct roster_ticket *ticket);
/* An account that is not in them was named.  1: it may be a new one, ask again; 0: it is a stranger, no newer list
 * brought it.  Any thread. */
int roster_may_bring(struct roster *roster, const char *id);

struct roster_status {
  size_t accounts;
  int64_t listed_ms; /* wall: when AWS was last asked with success; 0: never, or there is no organization */
  char trouble[512]; /* why the last attempt, or the file as it is now, brought nothing; "" */
};
void roster_status(struct roster *roster, struct roster_status *status);

/* The same without a fleet: loads the file and, where it names an organization, asks AWS now.  NULL with *error. */
struct accounts *roster_read(const char *file, struct aws_client *client, struct error *error);

#endif
