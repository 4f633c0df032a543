/* Playbooks, loaded: what the YAML under worker/playbooks says, checked and compiled, immutable.
 *
 * A bundle is everything that was loaded at one moment: resources, guardrails, the automaton over all event patterns,
 * and a hash that says which one it is.  A playbook with a mistake is refused, with file, line and reason, while the
 * others run on.  A bundle is reference-counted: whoever works with one holds it; a reload swaps the current one. */
#ifndef PARAPET_ENGINE_PLAYBOOK_H
#define PARAPET_ENGINE_PLAYBOOK_H

#include <stdatomic.h>
#include <stdint.h>

#include "aws/aws.h"
#include "json/jmespath.h"
#include "json/template.h"
#include "json/value.h"
#include "match/match.h"

/* ---- resources ---- */
enum resource_scope { SCOPE_REGION, SCOPE_GLOBAL, SCOPE_ACCOUNT };

struct read_call { /* one way to read: an operation, its parameters, and where the items are in the answer */
  char *operation;
  struct template *with; /* NULL: no parameters */
  struct jmes *items;
  char *items_name;          /* the expression as written: "SecurityGroupRules" */
  json_t *absent;            /* error codes that mean "there is none"; array or NULL */
  size_t together;           /* of get and of contexts: one call may ask for so many resources; 0: for one */
  struct template *with_ids; /* `with` for many, as a list $ids; NULL: for one */
};

struct context { /* more that can be known about a resource, read only when a guardrail `use`s it */
  char *name;
  struct read_call read;
  struct jmes *by;   /* in a sweep: item → id(s) of the resource that it belongs to; NULL: read once a resource */
  struct jmes *each; /* once an element of this, as $each; NULL: once */
  int per_place;     /* the same for all resources of an account and Region: in a sweep read once */
};

struct resource {
  char *name; /* "ec2.security-group" */
  char *file;
  enum resource_scope scope;
  const struct resource *parent; /* it is listed once for each of these, and its id is PARENT'S/ITS OWN; NULL: flat */
  struct jmes *id;
  struct template *arn;
  struct jmes *tags;    /* NULL: the resource has none */
  struct jmes *created; /* when it was; NULL: it does not tell */
  struct read_call list, get;
  struct context *contexts;
  size_t context_count;
};

/* ---- steps ---- */
enum step_kind { STEP_CALL, STEP_EACH, STEP_SET, STEP_NOTIFY, STEP_STOP, STEP_APPROVE, STEP_RUN };

struct step {
  enum step_kind kind;
  char *path;            /* where it stands in the playbook: "/remediate/0/do/1"; finds it again after a crash */
  struct jmes *when;     /* NULL: always */
  char *operation;       /* call */
  struct template *with; /* run: the inputs */
  char *role;            /* call: another role of the account than the fleet's; NULL: that one */
  json_t *retry_on;      /* call: error codes that pass with time, and how long to wait for that */
  int64_t retry_ms;
  int creates_tags;  /* `with` holds TagSpecifications: AWS wants ec2:CreateTags for it as well */
  json_t *ignore;    /* error codes that mean "no need" */
  char *as;          /* call: name for the result; each: name of the element */
  struct step *undo; /* call: the inverse */
  size_t undo_count;
  struct jmes *each;
  struct step *body; /* each: its `do`; run: the workflow's steps, loaded once more for this place */
  size_t body_count;
  char *workflow;           /* run: its name */
  json_t *inputs;           /* run: what it takes, as declared */
  char *set;                /* set: name … */
  struct jmes *value;       /* … and value; stop: the reason */
  struct template *message; /* notify, approve */
};

/* ---- guardrails ---- */
enum mode { MODE_ASSESS, MODE_NOTIFY, MODE_APPROVE, MODE_REMEDIATE }; /* each does more than the one before */
const char *mode_name(enum mode mode);

struct environment_mode {
  char *environment;
  enum mode mode;
};

struct event_trigger {
  char *pattern; /* JSON text */
  struct jmes *ids;
  struct jmes *account, *region; /* where the resource is; NULL: where the event was delivered */
  int creates;                   /* the event tells of the resource's creation */
};

struct baseline { /* of a guardrail that reverts changes, see baselines/baseline.h */
  const struct context *of;
  struct jmes *by;      /* item of the context → its key */
  struct jmes *accept;  /* over an event: is who did it allowed to? */
  struct jmes *changes; /* over an event: [{key, made, …}]: what it made of which item; made null: it is gone */
};

struct guardrail {
  char *name, *title, *severity, *why, *fix, *file;
  char hash[65]; /* of its source */
  int64_t version;
  const struct resource *resource;
  const struct context **uses;
  size_t use_count;
  json_t *params;
  json_t *overrides; /* what the site says of them by environment and account (site/params.h); NULL: nothing */
  json_t *accounts, *environments, *regions, *units, *tags; /* scope: arrays of globs, or NULL for everything */
  struct event_trigger *triggers;
  size_t trigger_count;
  char *schedule;    /* "rate(5 minutes)", or NULL */
  int reads_event;   /* what is parked must keep its event */
  int64_t settle_ms; /* a resource younger than this is looked at when it is old enough */
  struct jmes *where, *find;
  struct baseline *baseline; /* NULL: it needs none */
  struct environment_mode *modes;
  size_t mode_count;
  enum mode default_mode;
  struct guardrail_breaker {    /* site/breaker.h */
    int64_t actions, window_ms; /* actions 0: none of its own */
    int64_t share, least;       /* of the account's resources of this type, in 1/10,000; never less than so many */
    int64_t failures, failures_of;
  } breaker;
  json_t *exempt_tags;         /* {key: glob}: resources with such a tag are left alone; NULL: none */
  struct jmes *remediate_when; /* NULL: always; else, where it comes to nothing, people are told instead */
  char *remediate_when_text;
  struct step *remediate;
  size_t remediate_count;
  json_t *steps_as_written;            /* "remediate", and the steps of the workflows that it runs; NULL: none */
  json_t *tests;                       /* array, as written */
  struct aws_policies *write_policies; /* what the steps and their undo call; NULL when it changes nothing */
};

/* ---- workflows: steps with inputs, run by guardrails and by other workflows ---- */
struct workflow {
  char *name, *title, *file;
  char hash[65];
  int64_t version;
  json_t *inputs; /* {NAME: {type, default}} */
  struct step *steps;
  size_t step_count;
  json_t *tests;
};

struct bundle {
  atomic_int references;
  char hash[65];
  struct resource **resources;
  size_t resource_count;
  struct guardrail **guardrails;
  size_t guardrail_count;
  struct workflow **workflows;
  size_t workflow_count;
  json_t *roles;             /* names of the roles that steps assume besides the fleet's */
  struct match_set *matcher; /* id = index into `triggers` */
  struct {
    uint32_t guardrail, trigger;
  } * triggers;
  size_t trigger_count;
  json_t *refused;                    /* array of "file:line: reason" */
  struct aws_policies *read_policies; /* for all reads */
};

/* Loads every *.yaml, *.yml, *.json under `directory` (recursively), or the one file given together with the resources
 * that lie beside it or in `resources_directory` (may be NULL).  `client` checks operations, parameters and output
 * fields against the service models (NULL: not checked).  Never fails for a bad playbook (see `refused`); NULL with
 * *error when the directory cannot be read. */
struct bundle *bundle_load(const char *directory, struct aws_client *client, struct error *error);
struct bundle *bundle_hold(struct bundle *bundle);
void bundle_drop(struct bundle *bundle); /* NULL accepted */
const struct guardrail *bundle_guardrail(const struct bundle *bundle, const char *name);
const struct workflow *bundle_workflow(const struct bundle *bundle, const char *name);
const struct resource *bundle_resource(const struct bundle *bundle, const char *name);

/* What `mode:` says for an environment. */
enum mode guardrail_mode(const struct guardrail *guardrail, const char *environment);
/* Does its scope hold this place?  (site/place.c) */
struct place;
int guardrail_in_scope(const struct guardrail *guardrail, const struct place *place);

/* The domain functions that expressions may call; a table for jmes_compile. */
extern const struct jmes_function engine_functions[];

#endif
