/* Images: a resource and its contexts as they were at one moment ({resource, context}), and whether two say the same.
 *
 * Order in lists says nothing (AWS gives them in any), a policy's text is compared by what it says, and what changes by
 * itself (when a key was last used) is passed over.  What comes back through an undo may have a name that AWS chose
 * anew; the names that the undo's own calls answered are `fresh`, and only those may differ. */
#ifndef PARAPET_OPERATE_IMAGE_H
#define PARAPET_OPERATE_IMAGE_H

#include "json/value.h"

/* New array of {path, was} (gone), {path, is} (new) or {path, was, is}; empty: they say the same.  fresh: an array of
 * texts, or NULL; what turned out to be renamed is added to `renames` ({name: new name}; NULL: not asked for). */
json_t *image_differences(const json_t *was, const json_t *is, const json_t *fresh, json_t *renames);

/* SHA-256 of what an image says: the same for two of which image_differences finds none. */
void image_hash(const json_t *image, char hash[65]);

/* The texts in `results` that stand nowhere in `known`: names that AWS chose.  New array. */
json_t *image_fresh(const json_t *results, const json_t *known);

/* A copy with every text that is a name replaced by its new name (renames NULL: as it is).  New. */
json_t *image_renamed(const json_t *value, const json_t *renames);

#endif
