/* jansson is Parapet's value type; these are the few helpers it lacks.
 *
 * Ownership words used everywhere: "new" = a new reference, the caller json_decref()s; "borrowed" = lives as long as
 * its container; "takes" = the function consumes the reference.  A json_t that more than one thread can see is never
 * mutated (jansson's reference counts are atomic, its containers are not). */
#ifndef PARAPET_JSON_VALUE_H
#define PARAPET_JSON_VALUE_H

#include <jansson.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/error.h"

/* Parses exactly one JSON text of `length` bytes (RFC 8259; any value at the top; duplicate keys: the last wins; depth
 * at most 256; NUL in strings allowed, in keys not; an integer over 64 bits becomes a real, a number beyond a double is
 * refused, a lone surrogate escape becomes U+FFFD).  New, or NULL with *error (ERROR_INVALID, message with line and
 * column). */
json_t *json_parse(const char *text, size_t length, struct error *error);
/* Checks the same without building anything but the stack; used by collectors on every message. 0 or -1 with *error. */
int json_check(const char *text, size_t length, struct error *error);

/* Compact, keys sorted, one spelling for each number (1.0 is 1): the canonical text that hashes are taken of.  Caller
 * frees; NULL only when out of memory. */
char *json_text(const json_t *value);

/* Compact, keys in the value's order: for people and for texts that are compared by nobody.  Caller free()s; NULL only
 * when out of memory.  (json_dumps() gives memory that is jansson's, see json_use_blocks.) */
char *json_written(const json_t *value);

/* Gives jansson this module's own memory (memory.c): first thing in main(), before any value is made and any thread
 * runs.  What jansson hands out as text (json_dumps) is then not free()'s: use json_text() and json_written().  Under
 * the sanitizers it does nothing. */
void json_use_blocks(void);

/* Walks keys (a NULL-terminated list): json_at(v, "detail", "eventName", NULL).  Borrowed, or NULL. */
json_t *json_at(const json_t *value, ...) __attribute__((sentinel));
/* The string at the keys, or "" when it is absent or no string.  Borrowed. */
const char *json_text_at(const json_t *value, ...) __attribute__((sentinel));

/* JMESPath truth: null, false, "", [] and {} (and NULL) are "empty"; everything else, 0 included, is not. */
int json_is_empty(const json_t *value);

/* SHA-256 over json_text(), lower-case hex, into hash[65]; "" when memory ran out. */
void json_hash(const json_t *value, char hash[65]);

/* Deep comparison by value: 1 and 1.0 are equal, object order is irrelevant. */
int json_same(const json_t *left, const json_t *right);

#endif
