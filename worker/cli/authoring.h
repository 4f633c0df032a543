/* What the verbs for authors share (playbooks explain, iam, docs): everything is read off the loaded playbooks. Private
 * to worker/cli. */
#ifndef PARAPET_CLI_AUTHORING_H
#define PARAPET_CLI_AUTHORING_H

#include "cli.h"
#include "engine/playbook.h"

/* The playbooks of the directory, NULL: of the setting.  *client: caller closes, also when NULL comes back. */
struct bundle *cli_bundle(struct cli *cli, const char *directory, struct aws_client **client, struct error *error);
/* The guardrail; NULL when there is none (told on standard error, with the nearest). */
const struct guardrail *cli_guardrail(const struct bundle *bundle, const char *name);

/* New: {guardrail, title, severity, why, fix, resource, params, events, schedule, reads, changes, gates, tests, file};
 * changes maps each operation to those that undo it. */
json_t *explain_guardrail(const struct guardrail *guardrail);
/* "a, b, c" of an array of texts; caller frees. */
char *explain_joined(const json_t *list);
/* `parapet playbooks explain NAME`; returns the exit code. */
int explain_playbook(struct cli *cli, const char *name);

/* New: the least-privilege policy document.  guardrail NULL: of all. */
json_t *iam_read_policy(const struct bundle *bundle, const struct guardrail *guardrail);
json_t *iam_write_policy(const struct bundle *bundle, const struct guardrail *guardrail, const char *role);

#endif
