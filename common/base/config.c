#include "base/config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/config_internal.h"

#define LARGEST_SECRET ((size_t)65536)

void config_complain(struct loader *loader, const char *format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (loader->complaints) fprintf(loader->complaints, "%s\n", text);
  if (loader->mistakes++ == 0)
    snprintf(loader->first, sizeof loader->first, "%.*s", (int)sizeof loader->first - 1, text);
}

int config_find(const struct config *config, const char *name) {
  for (size_t i = 0; i < config->count; i++)
    if (strcmp(config->table[i].name, name) == 0) return (int)i;
  return -1;
}

/* ---- what may be suggested ------------------------------------------------------------------------------------ */

static void add_word(struct loader *loader, char **words, size_t *count, const char *word, size_t length) {
  for (size_t i = 0; i < *count; i++)
    if (strlen(words[i]) == length && strncmp(words[i], word, length) == 0) return;
  words[*count] = strndup(word, length);
  if (words[*count])
    (*count)++;
  else
    loader->out_of_memory = 1;
}

static void collect_words(struct loader *loader) {
  size_t most = 2;
  for (size_t i = 0; i < loader->config->count; i++)
    for (const char *at = loader->config->table[i].name; at; at = strchr(at + 1, '.')) most++;
  loader->names = calloc(most, sizeof(char *));
  loader->flags = calloc(loader->config->count + 2, sizeof(char *));
  if (!loader->names || !loader->flags) {
    loader->out_of_memory = 1;
    return;
  }
  size_t names = 0;
  size_t flags = 0;
  add_word(loader, loader->flags, &flags, "config", 6);
  for (size_t i = 0; i < loader->config->count; i++) {
    const char *name = loader->config->table[i].name;
    char flag[CONFIG_NAME_SIZE];
    config_flag_name(name, flag);
    add_word(loader, loader->flags, &flags, flag, strlen(flag));
    for (const char *dot = strchr(name, '.'); dot; dot = strchr(dot + 1, '.'))
      add_word(loader, loader->names, &names, name, (size_t)(dot - name));
    add_word(loader, loader->names, &names, name, strlen(name));
  }
}

static void free_words(char **words) {
  for (size_t i = 0; words && words[i]; i++) free(words[i]);
  free(words);
}

/* ---- defaults and environment --------------------------------------------------------------------------------- */

static void set_defaults(struct loader *loader) {
  const struct source source = {"default", "default"};
  for (size_t i = 0; i < loader->config->count; i++) {
    const struct setting *setting = &loader->config->table[i];
    int number = setting->type == SETTING_NUMBER || setting->type == SETTING_DURATION || setting->type == SETTING_BOOL;
    int before = loader->mistakes;
    if (setting->value) {
      config_set(loader, i, setting->value, &source);
    } else {
      struct value *value = &loader->config->values[i];
      value->text = strdup(number ? "0" : "");
      value->origin = strdup("default");
      if (setting->type == SETTING_LIST) value->list = calloc(1, sizeof(char *));
      if (!value->text || !value->origin || (setting->type == SETTING_LIST && !value->list)) loader->out_of_memory = 1;
    }
    if (loader->mistakes != before) abort(); /* the table is part of the program */
  }
}

static void set_from_secret_file(struct loader *loader, size_t index, const char *variable, const char *path) {
  char origin[CONFIG_NAME_SIZE + 32];
  char part[4096];
  size_t length;
  struct buffer content = {.ceiling = LARGEST_SECRET};
  FILE *in = fopen(path, "re");
  if (!in) {
    config_complain(loader, "%s: the file cannot be opened: %s", variable, strerror(errno));
    return;
  }
  while ((length = fread(part, 1, sizeof part, in)) > 0 && buffer_add(&content, part, length) == 0) {}
  int failed = ferror(in);
  fclose(in);
  while (content.length > 0 && strchr("\r\n", content.data[content.length - 1])) content.data[--content.length] = '\0';
  snprintf(origin, sizeof origin, "environment %s", variable);
  if (failed || content.failed)
    config_complain(loader, "%s: the file %s", variable, failed ? "cannot be read" : "is larger than 64 KiB");
  else if (strlen(buffer_text(&content)) != content.length)
    config_complain(loader, "%s: the file holds a NUL character", variable);
  else
    config_set(loader, index, buffer_text(&content), &(struct source){variable, origin});
  explicit_bzero(part, sizeof part);
  if (content.data) explicit_bzero(content.data, content.capacity);
  buffer_free(&content);
}

static void set_from_environment(struct loader *loader, size_t index) {
  const struct setting *setting = &loader->config->table[index];
  char variable[CONFIG_NAME_SIZE];
  char file_variable[CONFIG_NAME_SIZE + 8];
  char origin[CONFIG_NAME_SIZE + 32];
  config_environment_name(setting->name, variable);
  snprintf(file_variable, sizeof file_variable, "%s_FILE", variable);
  snprintf(origin, sizeof origin, "environment %s", variable);
  const char *text = getenv(variable);
  const char *path = setting->secret ? getenv(file_variable) : NULL;
  int has_text = text && *text;
  int has_path = path && *path;
  if (has_text && has_path)
    config_complain(loader, "%s: give this or %s, not both", variable, file_variable);
  else if (has_text)
    config_set(loader, index, text, &(struct source){variable, origin});
  else if (has_path)
    set_from_secret_file(loader, index, file_variable, path);
}

/* A variable that is nearly a setting's is most likely misspelt.  It is no mistake, because others put variables of
 * this prefix there, too (Kubernetes does for a service named "parapet"). */
static void warn_of_near_variables(struct loader *loader) {
  for (char **at = environ; at && *at; at++) {
    char name[CONFIG_NAME_SIZE];
    char flag[CONFIG_NAME_SIZE];
    char suggestion[CONFIG_NAME_SIZE + 32];
    size_t length = strcspn(*at, "=");
    if (strncmp(*at, "PARAPET_", 8) != 0 || length >= sizeof name || length == 8) continue;
    memcpy(name, *at, length);
    name[length] = '\0';
    config_flag_name(name + 8, flag);
    const char *nearest = config_nearest(flag, (const char *const *)loader->flags);
    char *ending = strstr(flag, "-file");
    if (nearest && ending && ending[5] == '\0' && strlen(nearest) == (size_t)(ending - flag)) continue;
    if (!nearest || strcmp(nearest, flag) == 0) continue;
    config_environment_name(nearest, suggestion);
    if (loader->complaints)
      fprintf(loader->complaints, "warning: %s is not a setting (did you mean %s?)\n", name, suggestion);
  }
}

/* ---- flags ---------------------------------------------------------------------------------------------------- */

struct flags {
  int argc;
  char **argv;
  int at; /* the word being read */
  char **words;
  int word_count;
  int words_allowed;
};

static int find_flag(const struct config *config, const char *flag) {
  char known[CONFIG_NAME_SIZE];
  for (size_t i = 0; i < config->count; i++) {
    config_flag_name(config->table[i].name, known);
    if (strcmp(known, flag) == 0) return (int)i;
  }
  return -1;
}

/* The value behind the flag: "=value", the next word, "true" for a boolean alone; NULL when it is missing. */
static const char *flag_value(struct flags *flags, const char *equals, int is_bool) {
  if (equals) return equals + 1;
  const char *next = flags->at + 1 < flags->argc ? flags->argv[flags->at + 1] : NULL;
  int is_word = next && (!is_bool || strcmp(next, "true") == 0 || strcmp(next, "false") == 0);
  if (is_word && strncmp(next, "--", 2) != 0) return flags->argv[++flags->at];
  return is_bool ? "true" : NULL;
}

static void read_flag(struct loader *loader, struct flags *flags) {
  const char *word = flags->argv[flags->at] + 2;
  const char *equals = strchr(word, '=');
  char name[CONFIG_NAME_SIZE];
  char place[CONFIG_NAME_SIZE + 8];
  char origin[CONFIG_NAME_SIZE + 16];
  char suggestion[CONFIG_NAME_SIZE + 32];
  snprintf(name, sizeof name, "%.*s", equals ? (int)(equals - word) : (int)strlen(word), word);
  snprintf(place, sizeof place, "--%s", name);
  snprintf(origin, sizeof origin, "flag --%s", name);
  int is_config = strcmp(name, "config") == 0;
  int index = is_config ? -1 : find_flag(loader->config, name);
  if (index < 0 && !is_config) {
    config_complain(loader, "%s is not a flag%s", place,
                    config_suggestion(name, loader->flags, suggestion, sizeof suggestion));
    return;
  }
  int is_bool = !is_config && loader->config->table[index].type == SETTING_BOOL;
  const char *value = flag_value(flags, equals, is_bool);
  if (!value)
    config_complain(loader, "%s needs a value", place);
  else if (!is_config)
    config_set(loader, (size_t)index, value, &(struct source){place, origin});
}

static void read_word(struct loader *loader, struct flags *flags) {
  char *word = flags->argv[flags->at];
  if (flags->words_allowed)
    flags->words[flags->word_count++] = word;
  else
    config_complain(loader, "\"%s\" is one word too many: only flags are expected", word);
}

/* A table may have a "version" of its own. */
static int is_help(const struct loader *loader, const char *word) {
  if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) return 1;
  for (size_t i = 0; i < loader->config->count; i++)
    if (strcmp(loader->config->table[i].name, "version") == 0) return 0;
  return strcmp(word, "--version") == 0;
}

static void read_flags(struct loader *loader, struct flags *flags) {
  int only_words = 0;
  for (flags->at = 1; flags->at < flags->argc; flags->at++) {
    const char *word = flags->argv[flags->at];
    if (only_words || word[0] != '-' || word[1] == '\0' || (flags->words_allowed && is_help(loader, word)))
      read_word(loader, flags);
    else if (strcmp(word, "--") == 0)
      only_words = 1;
    else if (word[1] == '-')
      read_flag(loader, flags);
    else
      config_complain(loader, "%s is not a flag: flags begin with two dashes", word);
  }
}

/* --config FILE is needed before the other flags are read; the last one wins, as with every flag. */
static const char *config_file_path(int argc, char **argv) {
  const char *path = getenv("PARAPET_CONFIG");
  for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
    if (strncmp(argv[i], "--config=", 9) == 0) path = argv[i] + 9;
    if (strcmp(argv[i], "--config") == 0 && i + 1 < argc) path = argv[i + 1];
  }
  return path && *path ? path : NULL;
}

/* ---- load ----------------------------------------------------------------------------------------------------- */

static struct config *config_new(const struct setting *table, int argc) {
  struct config *config = calloc(1, sizeof *config);
  if (!config) return NULL;
  config->table = table;
  while (table[config->count].name) config->count++;
  config->values = calloc(config->count + 1, sizeof *config->values);
  config->words = calloc((size_t)(argc > 0 ? argc : 0) + 1, sizeof *config->words);
  if (config->values && config->words) return config;
  config_free(config);
  return NULL;
}

static void load(struct loader *loader, struct flags *flags) {
  collect_words(loader);
  if (loader->out_of_memory) return;
  set_defaults(loader);
  if (loader->out_of_memory) return;
  const char *path = config_file_path(flags->argc, flags->argv);
  if (path) config_read_file(loader, path);
  for (size_t i = 0; i < loader->config->count; i++) set_from_environment(loader, i);
  warn_of_near_variables(loader);
  read_flags(loader, flags);
}

struct config *config_load(const struct setting *table, int argc, char **argv, struct config_rest *rest,
                           FILE *complaints, struct error *error) {
  struct config *config = config_new(table, argc);
  if (!config) {
    error_set(error, ERROR_FATAL, "OutOfMemory", "No memory for the settings.");
    return NULL;
  }
  struct loader loader = {.config = config, .complaints = complaints};
  struct flags flags = {.argc = argc, .argv = argv, .words = config->words, .words_allowed = rest != NULL};
  load(&loader, &flags);
  free_words(loader.names);
  free_words(loader.flags);
  if (loader.mistakes == 0 && !loader.out_of_memory) {
    if (rest) *rest = (struct config_rest){flags.word_count, flags.words};
    return config;
  }
  if (loader.out_of_memory)
    error_set(error, ERROR_FATAL, "OutOfMemory", "No memory for the settings.");
  else if (loader.mistakes == 1 && complaints) /* it was just printed; nobody wants to read it twice */
    error_set(error, ERROR_INVALID, "Settings", "1 mistake in the settings");
  else
    error_set(error, ERROR_INVALID, "Settings", "%d mistake%s in the settings%s: %s", loader.mistakes,
              loader.mistakes == 1 ? "" : "s", loader.mistakes == 1 ? "" : ", the first", loader.first);
  config_free(config);
  return NULL;
}

void config_free(struct config *config) {
  if (!config) return;
  for (size_t i = 0; config->values && i < config->count; i++) config_value_free(&config->values[i]);
  free(config->values);
  free(config->words);
  free(config);
}

/* ---- read ----------------------------------------------------------------------------------------------------- */

static const struct value *value_of(const struct config *config, const char *name, enum setting_type type) {
  int index = config_find(config, name);
  if (index >= 0 && config->table[index].type == type) return &config->values[index];
  fprintf(stderr, "config: \"%s\" is not a setting of this type\n", name);
  abort();
}

const char *config_text(const struct config *config, const char *name) {
  return value_of(config, name, SETTING_TEXT)->text;
}

int64_t config_number(const struct config *config, const char *name) {
  return value_of(config, name, SETTING_NUMBER)->number;
}

int config_bool(const struct config *config, const char *name) {
  return (int)value_of(config, name, SETTING_BOOL)->number;
}

int64_t config_ms(const struct config *config, const char *name) {
  return value_of(config, name, SETTING_DURATION)->number;
}

const char *const *config_list(const struct config *config, const char *name) {
  return (const char *const *)value_of(config, name, SETTING_LIST)->list;
}
