/* A byte buffer that grows up to a ceiling.  Always NUL-terminated behind `length`.
 * Not thread-safe; one owner.  A zeroed struct with a ceiling is a valid empty buffer. */
#ifndef PARAPET_BASE_BUFFER_H
#define PARAPET_BASE_BUFFER_H

#include <stddef.h>

struct buffer {
  char *data; /* NULL while nothing was added; read it through buffer_text() */
  size_t length;
  size_t capacity;
  size_t ceiling; /* bytes; 0 means BUFFER_CEILING */
  int failed;     /* set until clear, take or free once an addition did not fit or memory ran out: check at the end */
};

#define BUFFER_CEILING ((size_t)64 << 20)

/* Each returns 0, or -1 when the ceiling or memory is reached (the buffer keeps what it had, `failed` is set).  What is
 * added must not be the buffer's own bytes. */
int buffer_add(struct buffer *buffer, const void *bytes, size_t length);
int buffer_add_text(struct buffer *buffer, const char *text);
int buffer_add_char(struct buffer *buffer, char byte);
int buffer_addf(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Adds text as the inside of a JSON string (RFC 8259), without the quotes. Invalid UTF-8 bytes become U+FFFD. */
int buffer_add_json_escaped(struct buffer *buffer, const char *text, size_t length);

/* The bytes so far, "" when empty; owned by the buffer, valid until the next addition. */
const char *buffer_text(const struct buffer *buffer);
/* Hands the bytes over (caller frees; never NULL unless out of memory) and empties the buffer, `failed`
 * included: look at it before. */
char *buffer_take(struct buffer *buffer);
void buffer_clear(struct buffer *buffer); /* keeps the memory */
void buffer_free(struct buffer *buffer);  /* NULL accepted; the struct may be used again */

#endif
