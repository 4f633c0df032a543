/* The collector's settings, and where its files are when nobody says. */
#ifndef PARAPET_PRODUCER_COLLECTOR_SETTINGS_H
#define PARAPET_PRODUCER_COLLECTOR_SETTINGS_H

#include "base/config.h"

extern const struct setting collector_settings[];

/* The setting's value, or where the build tree or `make install` has `below`: looked for beside the program.  Owned by
 * the calling thread until it asks again; never NULL. */
const char *collector_path(const struct config *config, const char *setting, const char *below);

#endif
