/* Two guardrails that want different things of one resource would undo each other's work for ever: the fleet would see
 * its own changes, and breakers would end it.  So both are refused, and both are named.
 *
 * What can be derived from the playbooks: both change the same kind of resource, in an environment that both put right,
 * by the same operation, with parameters that are alike but for literal values (HttpTokens: required and optional), or
 * one by an operation and the other by its opposite (Enable and Disable, Start and Stop); in workflows that they run,
 * too. What depends on an expression, or on an order of calls, is not seen here. */
#ifndef PARAPET_SITE_CONFLICTS_H
#define PARAPET_SITE_CONFLICTS_H

#include "engine/load_internal.h"

/* Complains of every conflict; conflicting[i] = 1 for each guardrail that has one.  The number of conflicts. */
int site_conflicts(const struct bundle *bundle, unsigned char *conflicting);

#endif
