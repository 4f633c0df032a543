/* The settings of parapet-worker and parapet (one table: schemas/config.md is made from it). */
#ifndef PARAPET_WORKER_SETTINGS_H
#define PARAPET_WORKER_SETTINGS_H

#include "aws/aws.h"
#include "base/config.h"
#include "bus/bus.h"

extern const struct setting worker_settings[];

/* The topics; their contract is schemas/topics.md. */
#define TOPIC_EVENTS "parapet.events"
#define TOPIC_SWEEPS "parapet.sweeps"
#define TOPIC_FINDINGS "parapet.findings"
#define TOPIC_ACTIONS "parapet.actions"
#define TOPIC_DEADLETTER "parapet.deadletter"
#define TOPIC_STATE "parapet.state"

/* Where things lie when no setting says so: beside the program (build/), else under ../share/parapet. */
const char *settings_directory(const struct config *config, const char *setting, const char *below);
/* The options for aws_open that the settings give; strings belong to config. */
struct aws_options settings_aws(const struct config *config);
struct bus_options settings_bus(const struct config *config, const char *client_id);
/* "host:pid:random", unique in the fleet. */
void settings_owner(char *owner, size_t size);

#endif
