#include "rebuild.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "bus/topics.h"
#include "json/value.h"

enum { READ_MS = 40000 }; /* the rebuild lock lasts 60 s */

struct rebuilding {
  struct state *state;
  int64_t records;
  struct error error;
};

/* One record: key "kind|id", value JSON or nothing (it was deleted).  What cannot be read is passed over with a
 * complaint; that Redis fails ends the rebuild. */
static int put_back(const char *key, size_t key_length, const char *value, size_t length, void *argument) {
  struct rebuilding *rebuilding = argument;
  char name[1024];
  struct error error = {0};
  const char *bar = key ? memchr(key, '|', key_length) : NULL;
  if (!bar || key_length >= sizeof name) return 0;
  snprintf(name, sizeof name, "%.*s", (int)key_length, key);
  name[bar - key] = '\0';
  json_t *record = value ? json_parse(value, length, &error) : NULL;
  if (!value || record) state_rebuild(rebuilding->state, name, name + (bar - key) + 1, record, &error);
  json_decref(record);
  rebuilding->records++;
  if (error.class == ERROR_NONE) return 0;
  if (error.class == ERROR_INVALID) {
    log_warn("a record of the state topic was passed over", LOG_TEXT("kind", name), LOG_ERROR(&error));
    return 0;
  }
  rebuilding->error = error;
  return 1;
}

static int rebuild(struct state *state, const struct bus_options *bus, struct error *error) {
  struct rebuilding rebuilding = {.state = state};
  struct error why = {0};
  if (bus_read_all(bus, BUS_TOPIC_STATE, READ_MS, put_back, &rebuilding, &why) != 0 && why.class != ERROR_MISSING) {
    if (error) *error = rebuilding.error.class != ERROR_NONE ? rebuilding.error : why;
    return -1;
  }
  if (state_epoch_create(state, error) != 0) return -1;
  log_info("the state in Redis was rebuilt", LOG_INT("records", rebuilding.records));
  return 0;
}

int collector_join(struct state *state, const struct bus_options *bus, struct error *error) {
  int joined = state_epoch_join(state, error);
  if (joined == 0) return rebuild(state, bus, error);
  return joined > 0 ? 0 : -1;
}
