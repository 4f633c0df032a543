#include <stdlib.h>
#include <string.h>

#include "json/yaml_internal.h"

/* uthash ends the program when memory runs out, unless told otherwise: */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct entry {
  UT_hash_handle hh;
  int line;
  char pointer[];
};

struct yaml_lines {
  struct entry *entries;
};

struct yaml_lines *yaml_lines_new(void) {
  return calloc(1, sizeof(struct yaml_lines));
}

int yaml_lines_add(struct yaml_lines *lines, const char *pointer, size_t length, int line) {
  struct entry *entry = malloc(sizeof *entry + length + 1);
  if (!entry) return -1;
  memset(entry, 0, sizeof *entry);
  entry->line = line;
  memcpy(entry->pointer, pointer, length);
  entry->pointer[length] = '\0';
  HASH_ADD_KEYPTR(hh, lines->entries, entry->pointer, length, entry);
  if (entry->hh.tbl) return 0;
  free(entry);
  return -1;
}

int yaml_pointer_add(struct buffer *pointer, const char *token) {
  buffer_add_char(pointer, '/');
  for (; *token; token++) {
    if (*token == '~' || *token == '/')
      buffer_add_text(pointer, *token == '~' ? "~0" : "~1");
    else
      buffer_add_char(pointer, *token);
  }
  return pointer->failed ? -1 : 0;
}

int yaml_line(const struct yaml_lines *lines, const char *pointer) {
  for (size_t length = strlen(pointer);; length--) {
    struct entry *entry = NULL;
    if (lines) HASH_FIND(hh, lines->entries, pointer, length, entry);
    if (entry) return entry->line;
    while (length > 0 && pointer[length - 1] != '/') length--;
    if (length == 0) return 1;
  }
}

void yaml_lines_free(struct yaml_lines *lines) {
  if (!lines) return;
  struct entry *entry, *next;
  HASH_ITER(hh, lines->entries, entry, next) {
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the macro looks at what it takes out */
    HASH_DEL(lines->entries, entry);
    free(entry); /* NOLINT(clang-analyzer-unix.Malloc): the macro has taken it out */
  }
  free(lines);
}
