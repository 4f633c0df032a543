#include "fleet/mirror.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "bus/topics.h"

enum { MIRROR_TIMEOUT_MS = 5000, REBUILD_TIMEOUT_MS = 45000 };

int mirror_put(struct bus_producer *producer, const char *kind, const char *id, json_t *value, struct error *error) {
  char key[1024];
  if ((size_t)snprintf(key, sizeof key, "%s|%s", kind, id) >= sizeof key)
    return error_set(error, ERROR_INVALID, "Key", "the id of a %s is too long", kind);
  char *text = value ? json_text(value) : NULL;
  if (value && !text) return error_set(error, ERROR_FATAL, "Memory", "out of memory");
  int result = bus_produce_durably(producer, BUS_TOPIC_STATE, key, text, text ? strlen(text) : 0, MIRROR_TIMEOUT_MS, error);
  free(text);
  return result;
}

/* The last value of each key wins, so all are gathered first. */
static int gather(const char *key, size_t key_length, const char *value, size_t length, void *argument) {
  json_t *latest = argument;
  char name[1100];
  if (!key || key_length >= sizeof name) return 0;
  memcpy(name, key, key_length);
  name[key_length] = '\0';
  json_t *parsed = value ? json_parse(value, length, NULL) : NULL;
  json_object_set_new(latest, name, parsed ? parsed : json_null());
  return 0;
}

static int rebuild(const struct bus_options *options, struct state *state, struct error *error) {
  json_t *latest = json_object(), *value;
  const char *key;
  size_t restored = 0;
  int result = bus_read_all(options, BUS_TOPIC_STATE, REBUILD_TIMEOUT_MS, gather, latest, error);
  if (result == 0) json_object_foreach(latest, key, value) {
      char kind[64];
      const char *bar = strchr(key, '|');
      if (!bar || (size_t)(bar - key) >= sizeof kind || json_is_null(value)) continue;
      memcpy(kind, key, (size_t)(bar - key));
      kind[bar - key] = '\0';
      if ((result = state_rebuild(state, kind, bar + 1, value, error)) != 0) break;
      restored++;
    }
  if (result == 0) log_info("state rebuilt from parapet.state", LOG_INT("records", restored));
  json_decref(latest);
  return result;
}

int mirror_join(const struct bus_options *options, struct state *state, struct error *error) {
  int answer = state_epoch_join(state, error);
  if (answer != 0) return answer == 1 ? 0 : -1;
  log_warn("Redis is empty: its state is rebuilt from Kafka; gates stay closed meanwhile");
  return rebuild(options, state, error) == 0 ? state_epoch_create(state, error) : -1;
}
