/* The collector's settings. */
#ifndef PARAPET_PRODUCER_COLLECTOR_SETTINGS_H
#define PARAPET_PRODUCER_COLLECTOR_SETTINGS_H

#include "base/config.h"

extern const struct setting collector_settings[];

#endif
