#include "site/actor.h"

#include <string.h>

json_t *event_actor(const json_t *event) {
  const json_t *identity = json_at(event, "detail", "userIdentity", NULL);
  json_t *actor = json_object();
  const struct {
    const char *name, *value;
  } parts[] = {
      {"type", json_text_at(identity, "type", NULL)},
      {"arn", json_text_at(identity, "arn", NULL)},
      {"account", json_text_at(identity, "accountId", NULL)},
      {"user", json_text_at(identity, "userName", NULL)},
      {"role", json_text_at(identity, "sessionContext", "sessionIssuer", "arn", NULL)},
      {"via", json_text_at(identity, "invokedBy", NULL)},
      {"agent", json_text_at(event, "detail", "userAgent", NULL)},
  };
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    if (*parts[i].value) json_object_set_new(actor, parts[i].name, json_string(parts[i].value));
  const char *arn = json_text_at(identity, "arn", NULL), *session = strrchr(arn, '/');
  if (strcmp(json_text_at(identity, "type", NULL), "AssumedRole") == 0 && session)
    json_object_set_new(actor, "session", json_string(session + 1));
  return actor;
}
