/* A guardrail's `breaker:` and `exempt:`: how much it may do, and what it leaves alone. */
#ifndef PARAPET_SITE_BREAKER_H
#define PARAPET_SITE_BREAKER_H

#include "engine/load_internal.h"

/* {actions: 20, within: 10m, share: 10%, at_least: 5, failures: 3/10} of the document into guardrail->breaker;
 * complains. */
void site_breaker_load(struct loader *loader, const json_t *document, struct guardrail *guardrail);
/* "3/10": three of the last ten (1 to 100).  0, or -1 with both 0. */
int site_breaker_ratio(const char *text, int64_t *some, int64_t *of);

/* {tags: {"parapet:exempt": "*", team: "red-*"}}: tags whose value fits the glob exempt a resource; complains. */
void site_exempt_load(struct loader *loader, const json_t *document, struct guardrail *guardrail);
/* The resource's tags as {key: value}, whichever of AWS's forms they have; new, or NULL. */
json_t *site_tags(const struct resource *resource, const json_t *item);
/* The tag that exempts it as "key=value" in text, and 1; or 0. */
int site_exempts(const struct guardrail *guardrail, const json_t *item, char *text, size_t size);

#endif
