/* Reference vectors: where they are, and how an absent one is told. */
#ifndef PARAPET_TESTS_AWS_REFERENCE_H
#define PARAPET_TESTS_AWS_REFERENCE_H

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMES(table) (sizeof(table) / sizeof *(table))

static inline void reference_path(char path[512], const char *name) {
  const char *root = getenv("PARAPET_REFERENCE_DATA");
  snprintf(path, 512, "%s/%s", root && *root ? root : "../shared/data", name);
}

/* New JSON of a reference file, or NULL after saying that it is not there. */
static inline json_t *reference_json(const char *name) {
  char path[512];
  reference_path(path, name);
  json_t *value = json_load_file(path, JSON_DECODE_ANY, NULL);
  if (!value) printf("skipped: no reference data at %s\n", path);
  return value;
}

/* Text of a reference file (caller frees), or NULL. */
static inline char *reference_text(const char *name, size_t *length) {
  char path[512];
  reference_path(path, name);
  FILE *file = fopen(path, "rb");
  if (!file) return NULL;
  char *text = calloc(1, 1 << 16);
  *length = text ? fread(text, 1, (1 << 16) - 1, file) : 0;
  fclose(file);
  return text;
}

#endif
