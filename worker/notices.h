/* Digests become messages: one for a storm, not ten thousand. */
#ifndef PARAPET_WORKER_NOTICES_H
#define PARAPET_WORKER_NOTICES_H

#include "worker.h"

/* Takes one digest that is due and sends it.  1 = sent, 0 = none due, -1 with *error (it comes back by itself). */
int notices_send(struct worker *worker, struct error *error);

/* The message of a digest: what happened, who did it, what Parapet did, why it matters, how to do it right, how to ask
 * for an exception.  Subject at most 100 bytes of ASCII (SNS's limit).  Caller frees *text; 0, or -1. */
int notice_text(const struct guardrail *guardrail, const json_t *digest, char subject[101], char **text);

#endif
