/* Text forms that the protocols share: percent and base64 encoding, numbers, times. */
#ifndef PARAPET_AWS_TEXT_INTERNAL_H
#define PARAPET_AWS_TEXT_INTERNAL_H

#include <stdint.h>

#include "aws/shape_internal.h"
#include "base/buffer.h"

/* RFC 3986 percent encoding; unreserved bytes and those of `safe` stay. */
void aws_percent_encode(struct buffer *to, const char *text, size_t length, const char *safe);
/* The same as HTML forms have it: a space becomes '+'. */
void aws_form_encode(struct buffer *to, const char *text, size_t length);
/* Undoes percent encoding in place ('+' stays, unless plus_is_space); returns the new length. */
size_t aws_percent_decode(char *text, size_t length, int plus_is_space);

void aws_base64_encode(struct buffer *to, const void *bytes, size_t length);
/* White space is skipped.  0, or -1 when the text is no base64 (or memory ran out). */
int aws_base64_decode(struct buffer *to, const char *text, size_t length);

/* The shortest text that reads back as the same number, in Python's spelling ("1.0", "1e+20", "NaN", "-Infinity"). */
#define AWS_NUMBER_SIZE 40
void aws_number_text(double number, char text[AWS_NUMBER_SIZE]);
/* A JSON number, or text that is one (also "NaN", "Infinity", "-Infinity"): 0 and *number, or -1. */
int aws_number_parse(const char *text, double *number);
int aws_integer_parse(const char *text, json_int_t *integer);

/* A JSON value as compact text, with our spelling of numbers. */
void aws_json_add(struct buffer *to, const json_t *value);
/* New JSON string; bytes that are no UTF-8 become U+FFFD. */
json_t *aws_json_text(const char *bytes, size_t length);

/* ISO 8601, RFC 822 (and its cousins of RFC 9110), or epoch seconds as text, to microseconds since 1970; 0, or -1. */
int aws_time_parse(const char *text, int64_t *microseconds);
int aws_time_from_json(const json_t *value, int64_t *microseconds);
/* AWS_TIME_ISO8601 (microseconds when there are any), AWS_TIME_RFC822 or AWS_TIME_UNIX (whole seconds); AWS_TIME_…_MS
 * always have milliseconds. */
#define AWS_TIME_SIZE 64
void aws_time_text(int64_t microseconds, enum aws_time_format format, char text[AWS_TIME_SIZE]);

#endif
