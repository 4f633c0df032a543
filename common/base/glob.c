#include "base/glob.h"

#include <stddef.h>

static const char *next_character(const char *text) {
  text++;
  while (((unsigned char)*text & 0xC0) == 0x80) text++;
  return text;
}

int glob_matches(const char *pattern, const char *text) {
  const char *star = NULL, *retry = NULL;
  while (*text) {
    if (*pattern == '*') {
      star = ++pattern;
      retry = text;
    } else if (*pattern == '?') {
      pattern++;
      text = next_character(text);
    } else if (*pattern == *text) {
      pattern++;
      text++;
    } else if (star) { /* the last star takes one byte more; earlier stars need never take more */
      pattern = star;
      text = ++retry;
    } else {
      return 0;
    }
  }
  while (*pattern == '*') pattern++;
  return !*pattern;
}
