/* Private to the settings: what is known while they are loaded, and how the parts share it. */
#ifndef PARAPET_BASE_CONFIG_INTERNAL_H
#define PARAPET_BASE_CONFIG_INTERNAL_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/config.h"

#define CONFIG_NAME_SIZE 128 /* of a setting's name in any spelling, with the NUL */

struct value {
  char *text;     /* never NULL after loading; of a list: its items with ", " between */
  char **list;    /* SETTING_LIST: NULL-terminated */
  int64_t number; /* number, milliseconds, or 0 and 1 */
  char *origin;   /* "default", "file x.yaml:3", "environment PARAPET_X", "flag --x" */
  int file_line;  /* where the file set it; 0: it did not */
};

struct config {
  const struct setting *table;
  size_t count;
  struct value *values; /* parallel to the table */
  char **words;         /* what config_rest points at */
};

struct loader {
  struct config *config;
  FILE *complaints;
  int mistakes;
  char first[512]; /* the first mistake, for the error */
  int out_of_memory;
  char **names; /* every name and every group in it, for config_nearest() */
  char **flags; /* every flag without its dashes */
};

/* Where a value comes from: `place` begins its complaints, `origin` is shown by config_print(). */
struct source {
  const char *place;
  const char *origin;
};

/* ---- config_value.c */
/* Parses, checks and keeps `text` for the setting at `index`; a mistake is complained about and counted. */
void config_set(struct loader *loader, size_t index, const char *text, const struct source *source);
/* The same for the items of a list; they are copied. */
void config_set_list(struct loader *loader, size_t index, const char *const *items, size_t count,
                     const struct source *source);
void config_value_free(struct value *value);
/* "10m" for 600000: the largest unit that needs no fraction. */
char *config_format_duration(int64_t milliseconds, char *text, size_t size);

/* ---- config_file.c */
void config_read_file(struct loader *loader, const char *path);

/* ---- config_words.c */
void config_environment_name(const char *name, char *text); /* CONFIG_NAME_SIZE bytes: "PARAPET_KAFKA_BROKERS" */
void config_flag_name(const char *name, char *text);        /* CONFIG_NAME_SIZE bytes: "kafka-brokers" */
/* ` (did you mean "…"?)`, or "" when nothing is near. */
const char *config_suggestion(const char *word, char *const *words, char *text, size_t size);

/* ---- config.c */
void config_complain(struct loader *loader, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Index of the setting, or -1. */
int config_find(const struct config *config, const char *name);

#endif
