/* What a site says about the playbooks' parameters: files beside the playbooks, so that the catalogue stays as shipped.
 *
 *   params: ssh-open-to-internet             # of this guardrail
 *   values: {known_ranges: [192.0.2.0/24]}   # everywhere
 *   environments: {dev: {ports: [22, 2222]}} # over these …
 *   accounts: {"111111111111": {ports: []}}  # … and over these
 *
 * A value has the type of the guardrail's own; lists and mappings are replaced, not merged. */
#ifndef PARAPET_SITE_PARAMS_H
#define PARAPET_SITE_PARAMS_H

#include "engine/load_internal.h"

/* Checks the document and gives it to the guardrail.  0, or -1 after complaints; *guardrail: whom it is about, NULL
 * when that is not known. */
int site_params_load(struct loader *loader, json_t *document, const struct bundle *bundle,
                     struct guardrail **guardrail);

/* The guardrail's parameters in an account and environment (each may be NULL); new, NULL when out of memory. */
json_t *site_params(const struct guardrail *guardrail, const char *account, const char *environment);

#endif
