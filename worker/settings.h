/* The settings of parapet-worker and parapet (one table: schemas/config.md is made from it). */
#ifndef PARAPET_WORKER_SETTINGS_H
#define PARAPET_WORKER_SETTINGS_H

#include "aws/aws.h"
#include "base/config.h"
#include "bus/bus.h"
#include "bus/topics.h"

extern const struct setting worker_settings[];

/* The options for aws_open that the settings give; strings belong to config. */
struct aws_options settings_aws(const struct config *config);
struct bus_options settings_bus(const struct config *config, const char *client_id);
/* "host:pid:random", unique in the fleet. */
void settings_owner(char *owner, size_t size);

#endif
