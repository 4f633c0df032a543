/* parseURL of the endpoint rules: RFC 3986 as far as an endpoint needs it. */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "aws/endpoint_internal.h"

int endpoint_is_address(const char *host) {
  unsigned char address[sizeof(struct in6_addr)];
  return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

/* The authority's host without port and brackets into `host`; 0, or -1 when port or length are impossible. */
static int split_authority(const char *authority, size_t length, char *host, size_t size) {
  const char *end = authority + length;
  const char *user = memchr(authority, '@', length);
  if (user) authority = user + 1;
  const char *host_end =
      authority < end && *authority == '[' ? memchr(authority, ']', (size_t)(end - authority)) : NULL;
  const char *colon = host_end ? host_end + 1 : memchr(authority, ':', (size_t)(end - authority));
  if (!colon) colon = end;
  if (colon < end) {
    if (*colon != ':' || end - colon > 6) return -1;
    unsigned port = 0;
    for (const char *digit = colon + 1; digit < end; digit++) {
      if (!isdigit((unsigned char)*digit)) return -1;
      port = port * 10 + (unsigned)(*digit - '0');
    }
    if (port > 65535) return -1;
  }
  if (host_end) authority++;
  if (!host_end) host_end = colon;
  if (host_end - authority >= (long)size) return -1;
  snprintf(host, size, "%.*s", (int)(host_end - authority), authority);
  return 0;
}

/* RFC 3986 §5.2.4, empty segments dropped as botocore does, percent-encoded, with a slash at its end. */
static json_t *normalize(const char *path) {
  struct buffer out = {.ceiling = ENDPOINT_TEXT_LIMIT};
  buffer_add_char(&out, '/');
  while (*path) {
    size_t length = strcspn(path, "/");
    if (length == 2 && path[0] == '.' && path[1] == '.') {
      size_t keep = out.length - (out.length > 1);
      while (keep > 0 && out.data[keep - 1] != '/') keep--;
      out.length = keep > 0 ? keep : 1;
    } else if (length > 0 && !(length == 1 && *path == '.')) {
      buffer_add(&out, path, length);
      buffer_add_char(&out, '/');
    }
    path += length + (path[length] == '/');
  }
  if (out.data) out.data[out.length] = '\0';
  struct buffer encoded = {.ceiling = ENDPOINT_TEXT_LIMIT};
  endpoint_percent_encode(&encoded, buffer_text(&out), "/");
  json_t *result = encoded.failed || out.failed ? NULL : json_string(buffer_text(&encoded));
  buffer_free(&out);
  buffer_free(&encoded);
  return result;
}

json_t *endpoint_parse_url(const char *text) {
  size_t scheme = strncmp(text, "https://", 8) == 0 ? 5 : strncmp(text, "http://", 7) == 0 ? 4 : 0;
  if (scheme == 0 || strpbrk(text, "?#") || strlen(text) > ENDPOINT_TEXT_LIMIT) return NULL;
  const char *authority = text + scheme + 3;
  size_t length = strcspn(authority, "/");
  char host[256];
  if (split_authority(authority, length, host, sizeof host) != 0) return NULL;
  json_t *normalized = normalize(authority + length);
  if (!normalized) return NULL;
  return json_pack("{s:s%, s:s%, s:s, s:o, s:b}", "scheme", text, scheme, "authority", authority, length, "path",
                   authority + length, "normalizedPath", normalized, "isIp", endpoint_is_address(host));
}
