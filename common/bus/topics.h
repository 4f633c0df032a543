/* The topics by name; schemas/topics.md says what is in them. */
#ifndef PARAPET_BUS_TOPICS_H
#define PARAPET_BUS_TOPICS_H

#define BUS_TOPIC_EVENTS "parapet.events"
#define BUS_TOPIC_SWEEPS "parapet.sweeps"
#define BUS_TOPIC_COMMANDS "parapet.commands"
#define BUS_TOPIC_FINDINGS "parapet.findings"
#define BUS_TOPIC_ACTIONS "parapet.actions"
#define BUS_TOPIC_STATE "parapet.state"
#define BUS_TOPIC_DEADLETTER "parapet.deadletter"

#endif
