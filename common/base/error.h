/* The one error object of Parapet.
 *
 * A function that can fail takes `struct error *error` as its last parameter
 * (NULL is allowed: the caller does not care) and says in its comment what it
 * returns on failure.  Loops and gates decide by `class`, never by text.
 * An error never holds a credential, token or secret: whoever sets one masks first. */
#ifndef PARAPET_BASE_ERROR_H
#define PARAPET_BASE_ERROR_H

#include <stddef.h>

/* name, text: the single list behind the enum and the strings. */
#define ERROR_CLASSES(X)                                                                              \
  X(NONE, "none")           /* no error */                                                            \
  X(RETRYABLE, "retryable") /* the same call may succeed later: network, 5xx, broker or Redis gone */ \
  X(THROTTLED, "throttled") /* slow down, then again */                                               \
  X(DENIED, "denied")       /* credentials or permissions; a person has to act */                     \
  X(MISSING, "missing")     /* the thing named does not exist */                                      \
  X(INVALID, "invalid")     /* the input is wrong; again with the same input never helps */           \
  X(FATAL, "fatal")         /* out of memory, a broken promise inside: this unit of work ends */

enum error_class {
#define X(name, text) ERROR_##name,
  ERROR_CLASSES(X)
#undef X
};

struct error {
  enum error_class class;
  char code[96];       /* machine-readable: "InvalidGroup.NotFound", "Syntax" */
  char where[160];     /* "ec2.DescribeSecurityGroups", "guardrails/ssh.yaml:12", "" */
  char request_id[96]; /* AWS request id, "" elsewhere */
  char message[768];   /* one sentence for a person: what, and the way out */
};

/* The class as text ("retryable").  Never NULL. */
const char *error_class_name(enum error_class class);

/* Fills *error (if not NULL); `code` may be NULL ("").  Always returns -1, so that
 * `return error_set(error, …)` is the idiom.  Long texts are cut at a UTF-8 boundary. */
int error_set(struct error *error, enum error_class class, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Sets error->where (printf style), if error is not NULL and holds an error.  Returns -1. */
int error_where(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Resets to ERROR_NONE; NULL is accepted. */
void error_clear(struct error *error);

/* True for the classes after which the same call may succeed later: retryable, throttled. */
int error_is_transient(const struct error *error);

#endif
