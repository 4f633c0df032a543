/* Between the parts of the endpoint rules engine. */
#ifndef PARAPET_AWS_ENDPOINT_INTERNAL_H
#define PARAPET_AWS_ENDPOINT_INTERNAL_H

#include "aws/endpoint.h"

#define ENDPOINT_TEXT_LIMIT ((size_t)16 << 10) /* bytes of any text that a rule makes */

struct endpoint_run {
  const struct aws_partitions *partitions;
  struct error *error; /* never NULL */
  int failed;          /* the run is over: *error is set */
};
/* Sets the run's error; returns NULL, which also is "no value": who calls looks at run->failed. */
json_t *endpoint_fail(struct endpoint_run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A function of the standard library.  Arguments are borrowed, NULL is "not set"; returns new, or NULL for "not set".
 */
typedef json_t *endpoint_function(struct endpoint_run *run, json_t *const *arguments);
struct endpoint_function_row {
  const char *name;
  size_t arguments; /* how many; ENDPOINT_ANY_COUNT: one or more, the rest of the array is NULL */
  endpoint_function *call;
};
#define ENDPOINT_ARGUMENTS 16
#define ENDPOINT_ANY_COUNT 0
const struct endpoint_function_row *endpoint_function_find(const char *name);

/* "a.b[2]" or "a#b" into a value: new, or NULL when there is no such thing. */
json_t *endpoint_attribute(const json_t *value, const char *path);
/* parseURL: {scheme, authority, path, normalizedPath, isIp}, or NULL when `text` is no http(s) URL without a query. */
json_t *endpoint_parse_url(const char *text);
/* Percent-encodes all but unreserved characters and those of `safe` into `out`. */
void endpoint_percent_encode(struct buffer *out, const char *text, const char *safe);
/* Is the host (no port, no brackets) an IPv4 or IPv6 address? */
int endpoint_is_address(const char *host);

#endif
