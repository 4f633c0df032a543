/* Private to the log: what hides secrets in its texts. */
#ifndef PARAPET_BASE_LOG_INTERNAL_H
#define PARAPET_BASE_LOG_INTERNAL_H

#include <stddef.h>

/* Replaces secrets by "***" in place (never longer than before) and returns the new length; needs no NUL. */
size_t log_mask_bytes(char *text, size_t length);

/* The same for the values of log_secret() alone. */
size_t log_mask_registered(char *text, size_t length);

/* Does a field or key of this name hold a secret ("db_password", "SecretAccessKey")? */
int log_name_is_secret(const char *name);

/* Writes the stars for a hidden text of `hidden` bytes at `to`; returns how many. */
size_t log_mask_stars(char *to, size_t hidden);

#endif
