/* Endpoint rule sets (https://smithy.io/2.0/additional-specs/rules-engine): from a call's Region and parameters to the
 * URL to send it to and the scope to sign it for.  Pure functions over immutable JSON; thread-safe.
 * Internal to common/aws and the conformance program. */
#ifndef PARAPET_AWS_ENDPOINT_H
#define PARAPET_AWS_ENDPOINT_H

#include "base/error.h"
#include "json/value.h"

/* partitions.json with its regular expressions compiled. */
struct aws_partitions;
/* NULL with *error when the document is none.  Keeps a reference to `document`. */
struct aws_partitions *aws_partitions_open(json_t *document, struct error *error);
void aws_partitions_free(struct aws_partitions *partitions); /* NULL accepted */
/* The outputs of a Region's partition (with "name"), the first partition's when no one matches.  Borrowed. */
json_t *aws_partitions_find(const struct aws_partitions *partitions, const char *region);
/* The partition's name by the Region's prefix alone, for where no partitions.json is at hand.  Static text. */
const char *aws_partition_by_prefix(const char *region);

/* Runs a rule set.  `params` is an object of its parameters (defaults are filled in here; null counts as absent).
 * New {"url": text, "headers": {name: [text]}, "properties": {...}}, or NULL with *error (INVALID; code
 * "EndpointResolution"; message: the error rule's text, or what is wrong with the parameters or the rule set).
 * Ends always: AWS_ENDPOINT_STEPS rules and functions a run, nesting of at most AWS_ENDPOINT_DEPTH. */
#define AWS_ENDPOINT_STEPS 20000
#define AWS_ENDPOINT_DEPTH 64
json_t *aws_endpoint_resolve(const json_t *ruleset, const struct aws_partitions *partitions, const json_t *params,
                             struct error *error);

#endif
