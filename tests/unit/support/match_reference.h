/* A slow, obvious matcher for event patterns, to compare common/match with, and a generator of patterns and events.
 * It shares no code with common/match.  Small inputs only: it tries every combination. */
#ifndef PARAPET_TESTS_MATCH_REFERENCE_H
#define PARAPET_TESTS_MATCH_REFERENCE_H

#include <stddef.h>
#include <stdint.h>

/* 1: matches, 0: does not, -1: not JSON or too large to try.  Both texts NUL-terminated; the pattern must be valid. */
int match_reference(const char *pattern, const char *event);

/* Choices for the generator: bytes, one after another, 0 when they are used up. */
struct match_choices {
  const uint8_t *bytes;
  size_t count, at;
};

#define MATCH_GENERATED_BYTES 16384

/* Write a valid pattern, or an event (a JSON object), into `text` of MATCH_GENERATED_BYTES. */
void match_generate_pattern(struct match_choices *choices, char *text);
void match_generate_event(struct match_choices *choices, char *text);

#endif
