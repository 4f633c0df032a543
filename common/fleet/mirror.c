#include "fleet/mirror.h"
#include "fleet/mirror_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "bus/topics.h"
#include "json/value.h"

#define LONGEST_WINDOW_MS ((int64_t)31 * 86400000)
static const char window_key[] = "window|longest";
enum { PUT_MS = 5000, READ_MS = 40000 /* the rebuild lock lasts 60 s */ };

int mirror_put(struct bus_producer *producer, const char *kind, const char *id, json_t *value, struct error *error) {
  char key[1024];
  if ((size_t)snprintf(key, sizeof key, "%s|%s", kind, id) >= sizeof key)
    return error_set(error, ERROR_INVALID, "Key", "the id of a %s is too long", kind);
  char *text = value ? json_text(value) : NULL;
  if (value && !text) return error_set(error, ERROR_FATAL, "Memory", "out of memory");
  int result = bus_produce_durably(producer, BUS_TOPIC_STATE, key, text, text ? strlen(text) : 0, PUT_MS, error);
  free(text);
  return result;
}

/* The last value of each key wins, so all are gathered before any is written.  NULL: it was deleted. */
static int gather(const char *key, size_t key_length, const char *value, size_t length, void *argument) {
  char name[1024];
  if (!key || key_length >= sizeof name || !memchr(key, '|', key_length)) return 0;
  snprintf(name, sizeof name, "%.*s", (int)key_length, key);
  json_t *record = value ? json_parse(value, length, NULL) : NULL;
  return json_object_set_new(argument, name, record ? record : json_null()) == 0 ? 0 : 1;
}

/* Records of a kind that this Redis module does not know are passed over; any other failure ends the rebuild. */
static int put_back(struct state *state, json_t *latest, struct error *error) {
  const char *key;
  json_t *record;
  json_object_foreach(latest, key, record) {
    char kind[64];
    struct error why = {0};
    const char *bar = strchr(key, '|');
    if (json_is_null(record) || (size_t)(bar - key) >= sizeof kind || strcmp(key, window_key) == 0) continue;
    snprintf(kind, sizeof kind, "%.*s", (int)(bar - key), key);
    if (state_rebuild(state, kind, bar + 1, record, &why) == 0) continue;
    if (why.class != ERROR_INVALID) {
      if (error) *error = why;
      return -1;
    }
    log_warn("a record of the state topic was passed over", LOG_TEXT("kind", kind), LOG_ERROR(&why));
  }
  return 0;
}

static int read_records(const struct bus_options *bus, json_t *latest, struct error *error) {
  struct error why = {0};
  int result = bus_read_all(bus, BUS_TOPIC_STATE, READ_MS, gather, latest, &why);
  if (result == 0 || why.class == ERROR_MISSING) return 0; /* missing: nobody wrote it yet */
  if (error) *error = why;
  return -1;
}

int mirror_put_window(struct bus_producer *producer, int64_t window_ms, struct error *error) {
  json_t *record = json_pack("{s:I}", "ms", (json_int_t)window_ms);
  int result = mirror_put(producer, "window", "longest", record, error);
  json_decref(record);
  return result;
}

static int64_t window_of(const json_t *latest) {
  json_int_t told = json_integer_value(json_object_get(json_object_get(latest, window_key), "ms"));
  return told > 0 && told < LONGEST_WINDOW_MS ? told : LONGEST_WINDOW_MS;
}

static int rebuild(struct state *state, const struct bus_options *bus, struct error *error) {
  json_t *latest = json_object();
  int result = read_records(bus, latest, error);
  if (result == 0) result = put_back(state, latest, error);
  if (result == 0) result = mirror_actions(bus, state, window_of(latest), error);
  if (result == 0) result = state_epoch_create(state, error);
  if (result == 0) log_info("the state in Redis was rebuilt", LOG_INT("records", json_object_size(latest)));
  json_decref(latest);
  return result;
}

int mirror_join(const struct bus_options *options, struct state *state, struct error *error) {
  int joined = state_epoch_join(state, error);
  if (joined == 0) return rebuild(state, options, error);
  return joined > 0 ? 0 : -1;
}
