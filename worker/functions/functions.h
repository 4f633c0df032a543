/* Domain functions of expressions: the pieces that C code needs as well.  Pure; thread-safe. */
#ifndef PARAPET_FUNCTIONS_H
#define PARAPET_FUNCTIONS_H

#include "json/jmespath.h"

/* Shell-like glob over the whole text: * any run, ? one byte.  Returns 1 or 0. */
int engine_glob(const char *pattern, const char *text);

/* network.c: security-group rules (the shape of ec2's SecurityGroupRule), as jmes_native each. */
json_t *function_is_internet(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                             struct error *error);
json_t *function_covers_port(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                             struct error *error);
json_t *function_opens_all_ports(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                                 struct error *error);
json_t *function_narrow_rule(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                             struct error *error);
json_t *function_rule_permission(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                                 struct error *error);
json_t *function_cidr_within(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                             struct error *error);
json_t *function_cidr_overlaps(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                               struct error *error);

/* exposure.c: who is really reachable behind such a rule. */
json_t *function_exposure(json_t *const *arguments, size_t count, const struct jmes_scope *scope, struct error *error);

/* Is the CIDR (or address) so large that it is the Internet?  1, 0, or -1 when it is none. */
int network_text_is_internet(const char *text);
/* Is it so large that a policy which names it is public in S3's judgement: broader than /8 or /32 (IPv6)?  As above. */
int network_text_is_broad(const char *text);
/* Do two rules let the same in or out?  Addresses and ports are compared by value; ids, tags and descriptions do not
 * count, nor does a direction that one of them does not tell. */
int network_same_rule(const json_t *one, const json_t *other);

/* changes.c: what an EC2 event did to security-group rules, and what of it still stands. */
json_t *function_rule_changes(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                              struct error *error);
json_t *function_standing_changes(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                                  struct error *error);

/* policy.c: IAM policy documents, as objects or as text. */
json_t *function_policy_public_statements(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                                          struct error *error);
json_t *function_policy_is_public(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                                  struct error *error);
json_t *function_policy_document(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                                 struct error *error);
json_t *function_policy_pin(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                            struct error *error);
json_t *function_policy_allows(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                               struct error *error);
/* diff.c */
json_t *function_diff(json_t *const *arguments, size_t count, const struct jmes_scope *scope, struct error *error);
json_t *function_arn_name(json_t *const *arguments, size_t count, const struct jmes_scope *scope, struct error *error);
json_t *function_arn_part(json_t *const *arguments, size_t count, const struct jmes_scope *scope, struct error *error);

/* join.c, policy_equal.c */
json_t *function_lookup(json_t *const *arguments, size_t count, const struct jmes_scope *scope, struct error *error);
json_t *function_with_parent(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                             struct error *error);
json_t *function_policy_equal(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                              struct error *error);

#endif
