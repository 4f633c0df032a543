/* Globs over whole texts: * is any run of characters (also of / and :), ? any one character of UTF-8.  Thread-safe. */
#ifndef PARAPET_BASE_GLOB_H
#define PARAPET_BASE_GLOB_H

int glob_matches(const char *pattern, const char *text); /* 1 or 0 */

#endif
