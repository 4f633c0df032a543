#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/config_internal.h"
#include "base/log.h"

#define LONGEST_LIST 10000

static int parse_number(const char *text, int64_t *number) {
  const char *digits = *text == '-' ? text + 1 : text;
  if (!*digits || strspn(digits, "0123456789") != strlen(digits)) return -1;
  errno = 0;
  *number = strtoll(text, NULL, 10);
  return errno == 0 ? 0 : -1;
}

static int parse_bool(const char *text, int64_t *number) {
  *number = strcmp(text, "true") == 0;
  return *number || strcmp(text, "false") == 0 ? 0 : -1;
}

/* What differs between the types that are numbers inside. */
static const struct {
  int (*parse)(const char *text, int64_t *number);
  const char *wanted;
} types[] = {
    [SETTING_NUMBER] = {parse_number, "a whole number"},
    [SETTING_BOOL] = {parse_bool, "true or false"},
    [SETTING_DURATION] = {clock_parse_duration, "a duration such as 250ms, 30s, 10m, 24h or 7d"},
    [SETTING_LIST] = {NULL, NULL},
};

char *config_format_duration(int64_t milliseconds, char *text, size_t size) {
  static const struct {
    int64_t milliseconds;
    const char *unit;
  } units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
  size_t unit = 0;
  while (milliseconds % units[unit].milliseconds != 0) unit++;
  if (milliseconds == 0) unit = 3;
  snprintf(text, size, "%" PRId64 "%s", milliseconds / units[unit].milliseconds, units[unit].unit);
  return text;
}

/* The value as a complaint may show it: not at all when secret, cut and masked otherwise. */
static const char *shown(const struct setting *setting, const char *text, char *out, size_t size) {
  if (setting->secret) return "***";
  snprintf(out, size, "%s", text);
  return log_mask(out);
}

static void complain_limits(struct loader *loader, const struct setting *setting, const char *place, const char *text) {
  char value[80];
  char minimum[32];
  char maximum[32];
  if (setting->type == SETTING_DURATION) {
    config_format_duration(setting->minimum, minimum, sizeof minimum);
    config_format_duration(setting->maximum, maximum, sizeof maximum);
  } else {
    snprintf(minimum, sizeof minimum, "%" PRId64, setting->minimum);
    snprintf(maximum, sizeof maximum, "%" PRId64, setting->maximum);
  }
  config_complain(loader, "%s: %s is \"%s\", but must be from %s to %s", place, setting->name,
                  shown(setting, text, value, sizeof value), minimum, maximum);
}

static int parse_value(struct loader *loader, const struct setting *setting, const char *text, const char *place,
                       int64_t *number) {
  char value[80];
  *number = 0;
  if (!types[setting->type].parse) return 0;
  if (types[setting->type].parse(text, number) != 0) {
    config_complain(loader, "%s: %s is \"%s\", but must be %s", place, setting->name,
                    shown(setting, text, value, sizeof value), types[setting->type].wanted);
    return -1;
  }
  int limited = setting->minimum != 0 || setting->maximum != 0;
  if (limited && (*number < setting->minimum || *number > setting->maximum)) {
    complain_limits(loader, setting, place, text);
    return -1;
  }
  return 0;
}

static void list_free(char **list) {
  for (size_t i = 0; list && list[i]; i++) free(list[i]);
  free(list);
}

void config_value_free(struct value *value) {
  if (value->text) explicit_bzero(value->text, strlen(value->text));
  free(value->text);
  list_free(value->list);
  free(value->origin);
}

/* Takes over text and list. */
static void keep(struct loader *loader, size_t index, char *text, char **list, int64_t number, const char *origin) {
  struct value *value = &loader->config->values[index];
  char *origin_copy = strdup(origin);
  if (!text || !origin_copy) {
    loader->out_of_memory = 1;
    free(text);
    list_free(list);
    free(origin_copy);
    return;
  }
  int file_line = value->file_line;
  config_value_free(value);
  *value = (struct value){.text = text, .list = list, .number = number, .origin = origin_copy, .file_line = file_line};
  if (loader->config->table[index].secret) log_secret(text);
}

void config_set_list(struct loader *loader, size_t index, const char *const *items, size_t count,
                     const struct source *source) {
  if (count > LONGEST_LIST) {
    config_complain(loader, "%s: %s has %zu items, at most %d are possible", source->place,
                    loader->config->table[index].name, count, LONGEST_LIST);
    return;
  }
  char **list = calloc(count + 1, sizeof *list);
  struct buffer joined = {0};
  int failed = !list;
  for (size_t i = 0; i < count && !failed; i++) {
    list[i] = strdup(items[i]);
    failed = !list[i];
    buffer_add_text(&joined, i ? ", " : "");
    buffer_add_text(&joined, items[i]);
    if (loader->config->table[index].secret) log_secret(items[i]);
  }
  if (failed || joined.failed) {
    loader->out_of_memory = 1;
    list_free(list);
  } else {
    keep(loader, index, buffer_take(&joined), list, 0, source->origin);
  }
  buffer_free(&joined);
}

/* "a, b,c" → its items, blanks around them and empty ones dropped. */
static void set_separated(struct loader *loader, size_t index, const char *text, const struct source *source) {
  char *copy = strdup(text);
  size_t most = 1;
  for (const char *at = text; *at; at++) most += *at == ',';
  const char **items = calloc(most, sizeof *items);
  size_t count = 0;
  if (!copy || !items) {
    loader->out_of_memory = 1;
  } else {
    char *rest = copy;
    for (char *item = strsep(&rest, ","); item; item = strsep(&rest, ",")) {
      item += strspn(item, " \t");
      size_t length = strlen(item);
      while (length > 0 && strchr(" \t\n", item[length - 1])) item[--length] = '\0';
      if (length > 0) items[count++] = item;
    }
    config_set_list(loader, index, items, count, source);
  }
  free(items);
  free(copy);
}

void config_set(struct loader *loader, size_t index, const char *text, const struct source *source) {
  const struct setting *setting = &loader->config->table[index];
  int64_t number;
  if (setting->type == SETTING_LIST) {
    set_separated(loader, index, text, source);
    return;
  }
  if (parse_value(loader, setting, text, source->place, &number) != 0) return;
  keep(loader, index, strdup(text), NULL, number, source->origin);
}
