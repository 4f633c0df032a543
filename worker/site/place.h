/* Where something is, as playbooks see it: an account with its environment, unit and tags, and a Region. */
#ifndef PARAPET_SITE_PLACE_H
#define PARAPET_SITE_PLACE_H

#include "engine/live.h"
#include "fleet/accounts.h"

/* The account must be one of `accounts`; both and the texts must outlive the place. */
struct place site_place(const struct accounts *accounts, const struct account *account, const char *region,
                        const char *partition);

#endif
