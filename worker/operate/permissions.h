/* Who may do what: the file that the setting `operators` names.
 *
 *   operators:
 *     - principal: "arn:aws:iam::999999999999:role/security-*"   # * and ? allowed; a role, not its sessions
 *       may: [approve, except, reset, rollout, stop, run, undo]
 *
 * A session's principal is its role without the path, as STS tells it. */
#ifndef PARAPET_OPERATE_PERMISSIONS_H
#define PARAPET_OPERATE_PERMISSIONS_H

#include "json/value.h"

/* Reads and checks the file: new, or NULL with *error (where = file:line).  It is small, and read for each command, so
 * that what it says now holds now. */
json_t *permissions_load(const char *path, struct error *error);
/* May the principal?  1 or 0. */
int permissions_allow(const json_t *permissions, const char *principal, const char *permission);

#endif
