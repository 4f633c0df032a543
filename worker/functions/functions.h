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
json_t *function_narrow_rule(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                             struct error *error);
json_t *function_rule_permission(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                                 struct error *error);
json_t *function_cidr_within(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                             struct error *error);
json_t *function_cidr_overlaps(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                               struct error *error);

/* Is the CIDR (or address) so large that it is the Internet?  1, 0, or -1 when it is none. */
int network_text_is_internet(const char *text);

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
json_t *function_arn_name(json_t *const *arguments, size_t count, const struct jmes_scope *scope, struct error *error);

/* organization.c, join.c, policy_equal.c */
json_t *function_arn_account(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                             struct error *error);
json_t *function_in_organization(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                                 struct error *error);
json_t *function_lookup(json_t *const *arguments, size_t count, const struct jmes_scope *scope, struct error *error);
json_t *function_with_parent(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                             struct error *error);
json_t *function_policy_equal(json_t *const *arguments, size_t count, const struct jmes_scope *scope,
                              struct error *error);

#endif
