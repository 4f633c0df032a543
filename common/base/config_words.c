#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/config_internal.h"

#define LONGEST_WORD 100

static size_t least(size_t left, size_t right) { return left < right ? left : right; }

/* Insertions, deletions, replacements and swaps of neighbours that turn one word into the other (optimal string
 * alignment).  Three rows of the usual table are enough: a swap looks two rows back. */
static size_t edit_distance(const char *from, size_t from_length, const char *to, size_t to_length) {
  size_t rows[3][LONGEST_WORD + 1];
  size_t *before = rows[0];
  size_t *above = rows[1];
  size_t *row = rows[2];
  for (size_t j = 0; j <= to_length; j++) above[j] = before[j] = j;
  for (size_t i = 1; i <= from_length; i++) {
    row[0] = i;
    for (size_t j = 1; j <= to_length; j++) {
      size_t replaced = above[j - 1] + (from[i - 1] != to[j - 1]);
      row[j] = least(replaced, least(above[j], row[j - 1]) + 1);
      int swapped = i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1];
      if (swapped) row[j] = least(row[j], before[j - 2] + 1);
    }
    size_t *free_row = before;
    before = above;
    above = row;
    row = free_row;
  }
  return above[to_length];
}

const char *config_nearest(const char *word, const char *const *words) {
  const char *nearest = NULL;
  size_t length = strlen(word);
  size_t best = length / 3 + 1;
  if (length > LONGEST_WORD) return NULL;
  for (; *words; words++) {
    size_t candidate = strlen(*words);
    if (candidate > LONGEST_WORD || candidate + best <= length || length + best <= candidate) continue;
    size_t distance = edit_distance(word, length, *words, candidate);
    if (distance >= best) continue;
    best = distance;
    nearest = *words;
  }
  return nearest;
}

const char *config_suggestion(const char *word, char *const *words, char *text, size_t size) {
  const char *nearest = words ? config_nearest(word, (const char *const *)words) : NULL;
  *text = '\0';
  if (nearest) snprintf(text, size, " (did you mean \"%s\"?)", nearest);
  return text;
}

static void spell(const char *prefix, const char *name, char filler, int (*convert)(int), char *text) {
  size_t length = strlen(prefix);
  if (length + strlen(name) >= CONFIG_NAME_SIZE) abort(); /* the table is part of the program */
  memcpy(text, prefix, length);
  for (; *name; name++) text[length++] = isalnum((unsigned char)*name) ? (char)convert((unsigned char)*name) : filler;
  text[length] = '\0';
}

void config_environment_name(const char *name, char *text) { spell("PARAPET_", name, '_', toupper, text); }

void config_flag_name(const char *name, char *text) { spell("", name, '-', tolower, text); }
