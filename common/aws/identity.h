/* Proof of who somebody is, by the idea of Vault's AWS login: the one who asks signs a request of
 * sts.GetCallerIdentity, with one more header that names what is asked for, and hands over the signature alone; the one
 * who is asked sends that request to STS, which says whose signature it is.  No secret leaves its owner, a proof says
 * nothing about anything but what its header names, and STS refuses it when it is older than minutes. */
#ifndef PARAPET_AWS_IDENTITY_H
#define PARAPET_AWS_IDENTITY_H

#include "aws/aws.h"

#define AWS_IDENTITY_HEADER "x-parapet-command"

/* Signs with the base credentials, for STS of the hub's Region: new {header: value}, or NULL with *error.  subject: 64
 * hex digits, what the proof is bound to. */
json_t *aws_identity_prove(struct aws_client *client, const char *subject, struct error *error);

/* Asks STS of the hub's Region whose proof this is: 0 with the principal's ARN (a role session's is its role's) in
 * `arn` (size at least 256), or -1 with *error: DENIED (no proof of this subject, or STS says no), RETRYABLE (STS
 * cannot be asked).  The URL, the method and the body are ours: of the proof only its headers are sent, those that a
 * proof has. */
int aws_identity_check(struct aws_client *client, const char *subject, const json_t *proof, int64_t deadline_ms,
                       char *arn, size_t size, struct error *error);

#endif
