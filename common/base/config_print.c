#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/config_internal.h"
#include "base/log.h"

static const char *const type_names[] = {[SETTING_TEXT] = "text",
                                         [SETTING_NUMBER] = "number",
                                         [SETTING_BOOL] = "boolean",
                                         [SETTING_DURATION] = "duration",
                                         [SETTING_LIST] = "list"};

/* "1..64", "100ms..10m", or "". */
static const char *limits(const struct setting *setting, char *text, size_t size) {
  char minimum[32];
  char maximum[32];
  *text = '\0';
  if (setting->minimum == 0 && setting->maximum == 0) return text;
  if (setting->type == SETTING_DURATION)
    snprintf(text, size, "%s..%s", config_format_duration(setting->minimum, minimum, sizeof minimum),
             config_format_duration(setting->maximum, maximum, sizeof maximum));
  else
    snprintf(text, size, "%" PRId64 "..%" PRId64, setting->minimum, setting->maximum);
  return text;
}

static size_t flag_column(const struct setting *setting, char *text, size_t size) {
  char flag[CONFIG_NAME_SIZE];
  config_flag_name(setting->name, flag);
  int is_bool = setting->type == SETTING_BOOL;
  return (size_t)snprintf(text, size, "--%s%s%s", flag, is_bool ? "" : " ", is_bool ? "" : type_names[setting->type]);
}

void config_print_help(const struct setting *table, FILE *out) {
  char flag[CONFIG_NAME_SIZE + 16];
  char range[80];
  size_t width = strlen("--config file");
  for (const struct setting *setting = table; setting->name; setting++) {
    size_t length = flag_column(setting, flag, sizeof flag);
    if (length > width) width = length;
  }
  fprintf(out, "  %-*s  %s\n", (int)width, "--config file",
          "settings in YAML, under the names below with dots for groups");
  for (const struct setting *setting = table; setting->name; setting++) {
    flag_column(setting, flag, sizeof flag);
    fprintf(out, "  %-*s  %s", (int)width, flag, setting->help);
    limits(setting, range, sizeof range);
    const char *value = setting->secret || !setting->value ? "" : setting->value;
    if (*range || *value)
      fprintf(out, " (%s%s%s%s)", range, *range && *value ? ", " : "", *value ? "default " : "", value);
    fputc('\n', out);
  }
  fputs(
      "Each is also read from the environment, --some-name as PARAPET_SOME_NAME, and a secret from the file that\n"
      "PARAPET_SOME_NAME_FILE names.  Flags win over the environment, the environment over the file.\n",
      out);
}

/* A table cell with its closing bar; an empty one has no quotes either. */
static void print_cell(FILE *out, const char *text, const char *quote) {
  if (*text) fprintf(out, " %s", quote);
  for (const char *at = text; *at; at++) {
    if (*at == '|') fputc('\\', out);
    fputc(*at, out);
  }
  fprintf(out, "%s |", *text ? quote : "");
}

void config_print_markdown(const struct setting *table, FILE *out) {
  char variable[CONFIG_NAME_SIZE];
  char range[80];
  fputs("| Setting | Type | Default | Limits | Environment | Meaning |\n|---|---|---|---|---|---|\n", out);
  for (const struct setting *setting = table; setting->name; setting++) {
    config_environment_name(setting->name, variable);
    fputc('|', out);
    print_cell(out, setting->name, "`");
    print_cell(out, setting->secret ? "secret" : type_names[setting->type], "");
    print_cell(out, setting->value && !setting->secret ? setting->value : "", "`");
    print_cell(out, limits(setting, range, sizeof range), "");
    print_cell(out, variable, "`");
    print_cell(out, setting->help, "");
    fputc('\n', out);
  }
}

void config_print(const struct config *config, FILE *out) {
  for (size_t i = 0; i < config->count; i++) {
    const struct value *value = &config->values[i];
    char *text = strdup(value->text);
    if (!text) return;
    const char *shown = config->table[i].secret && *text ? "***" : log_mask(text);
    fprintf(out, "%s = %s (%s)\n", config->table[i].name, shown, value->origin);
    free(text);
  }
}
