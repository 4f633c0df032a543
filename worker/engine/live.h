/* Live state: what AWS says about a resource now, and what a guardrail makes of it. */
#ifndef PARAPET_ENGINE_LIVE_H
#define PARAPET_ENGINE_LIVE_H

#include "engine/gather.h"
#include "engine/playbook.h"

struct place { /* where a resource is; strings live as long as the place's owner */
  const char *account, *region, *environment, *unit, *partition;
  json_t *tags;         /* the account's, {key: value}; NULL: none */
  json_t *organization; /* ids of all accounts that are ours; NULL: not known */
};

struct live { /* one resource as it is; immutable once read, reference-counted by jansson */
  const struct resource *resource;
  json_t *parent;        /* the item that it was listed for; NULL: its kind has none */
  json_t *id;            /* text */
  json_t *arn;           /* text */
  json_t *item;          /* the resource as get or list returned it */
  json_t **contexts;     /* by index in resource->contexts; NULL: not read */
  struct error **unread; /* by the same index: why a context that was wanted could not be read; NULL: none was */
};
void live_free(struct live *live); /* NULL accepted */

struct reader { /* how to read: whose credentials */
  struct aws_client *client;
  const struct aws_role *role; /* NULL: base credentials */
  int64_t deadline_ms;         /* of each call; 0: the client's default */
  struct gather *gather;       /* what is declared `together` may be read with what others read; NULL: it is not.  With
                                  a deadline of its own a reader reads alone */
  json_t *answers;             /* live.c's own: what contexts read with `each` got, by question; leave it NULL */
};

/* Reads one resource and those contexts for which wanted[index] is set.  *found 0 and NULL: the resource is gone (which
 * is an answer).  NULL with *error and *found -1: could not be read (which is none).  A context that cannot be read is
 * no reason not to know the rest: see live_unread. */
struct live *live_get(const struct reader *reader, const struct place *place, const struct resource *resource,
                      const char *id, const unsigned char *wanted, int *found, struct error *error);

/* Lists all resources of a place with their contexts joined, and gives each (taken over by `each`; live_free) in turn;
 * each returns 0 to go on.  Costs the pages of the lists (of a nested resource: one list for each of its parents), and
 * one read a resource for each context `per: item`.  0; 1 with *error: all were given, but of some a context could not
 * be read (live_unread); or -1 with *error, in which case some of the resources may not have been given. */
int live_list(const struct reader *reader, const struct place *place, const struct resource *resource,
              const unsigned char *wanted, int (*each)(struct live *live, void *argument), void *argument,
              struct error *error);

/* Why a context could not be read that the guardrail uses (NULL: any of them); NULL: none.  Borrowed. */
const struct error *live_unread(const struct live *live, const struct guardrail *guardrail);

/* The ARN of a resource by its id: new text, or NULL. */
json_t *live_arn(const struct resource *resource, const struct place *place, const char *id);

/* ---- variables ---- */
enum { VIEW_FRAMES = 48 };
struct view { /* the variables of one judgement or run; lives on the stack; values are borrowed unless owned */
  struct jmes_scope frames[VIEW_FRAMES];
  json_t *owned[VIEW_FRAMES];
  int count;
};
struct occasion { /* what a guardrail knows besides the resource; borrowed, each may be NULL */
  json_t *event, *actor;
  json_t *baseline, *changes; /* of a guardrail with a baseline */
};
/* Everything a playbook may read: $resource, $id, $tags, contexts, $params, $account …; live NULL: not read, its
 * contexts are null; occasion NULL: there is none. */
void view_open(struct view *view, const struct guardrail *guardrail, const struct place *place, const struct live *live,
               const struct occasion *occasion);
void view_add(struct view *view, const char *name, json_t *value /* borrowed */);
const struct jmes_scope *view_scope(const struct view *view);
void view_close(struct view *view);

/* `where` and `find`: new finding, json_null() when there is nothing to find, NULL with *error when judging failed, or
 * when something that the guardrail uses could not be read. */
json_t *guardrail_judge(const struct guardrail *guardrail, const struct place *place, const struct live *live,
                        const struct occasion *occasion, struct error *error);

/* Whether `remediate_when` lets the steps run on the finding: 1, 0, or -1 with *error. */
int guardrail_may_remediate(const struct guardrail *guardrail, const struct place *place, const struct live *live,
                            json_t *finding, const struct occasion *occasion, struct error *error);

/* Which contexts the guardrails use, or-ed into wanted[resource->context_count]. */
void guardrail_wants(const struct guardrail *guardrail, unsigned char *wanted);

#endif
