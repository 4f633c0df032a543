/* What the files of common/json share about values; nobody else includes this. */
#ifndef PARAPET_JSON_VALUE_INTERNAL_H
#define PARAPET_JSON_VALUE_INTERNAL_H

#include <stdint.h>

#include "json/value.h"

/* Nesting of a text that json_parse accepts, of an expression, and of a value that an expression makes. */
#define JSON_DEPTH 256

/* Length of the valid UTF-8 sequence at `text` (RFC 3629: nothing overlong, no surrogates), or 0. */
size_t json_utf8_length(const char *text, size_t length);
int json_utf8_valid(const char *text, size_t length);
/* Adds one code point as UTF-8; a surrogate becomes U+FFFD. */
int json_add_code_point(struct buffer *buffer, uint32_t code_point);

/* -1, 0, 1; exact also between an integer and a real.  Both must be numbers. */
int json_compare_numbers(const json_t *left, const json_t *right);
/* By bytes, which for UTF-8 is by code points; both must be strings. */
int json_compare_strings(const json_t *left, const json_t *right);
/* json_same() that gives up: 1 or 0, or -1 when more than *budget values had to be compared. */
int json_same_within(const json_t *left, const json_t *right, uint64_t *budget);

/* A number as the kind that fits it: an integer where it is one exactly, else a real.  New; NULL when it is not finite
 * or memory ran out. */
json_t *json_number_new(double number);

/* Adds the canonical text of a value (see json_text). 0, or -1: memory, ceiling, or nested deeper than 2 * JSON_DEPTH.
 */
int json_add_text(struct buffer *buffer, const json_t *value);

#endif
