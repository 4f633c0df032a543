#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/state_internal.h"

enum { REDIS_PORT = 6379, SENTINEL_PORT = 26379 };

static int hex(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

/* The byte that the escape at `text` (behind its %) stands for; -1 when it is none.  Relies on text's NUL. */
static int escaped(const char *text) {
  int high = hex(text[0]);
  int low = high < 0 ? -1 : hex(text[1]);
  return low < 0 ? -1 : high * 16 + low;
}

/* A percent-decoded copy; NULL for a bad escape, a NUL inside, nothing at all, or no memory. */
static char *decode(const char *text, size_t length) {
  char *copy = length ? malloc(length + 1) : NULL;
  if (!copy) return NULL;
  size_t to = 0;
  for (size_t from = 0; from < length; from++) {
    int byte = (unsigned char)text[from];
    if (byte == '%') {
      byte = length - from > 2 ? escaped(text + from + 1) : -1;
      from += 2;
    }
    if (byte <= 0) {
      free(copy);
      return NULL;
    }
    copy[to++] = (char)byte;
  }
  copy[to] = '\0';
  return copy;
}

static int number(const char *text, size_t length, int high, int *value) {
  *value = 0;
  for (size_t i = 0; i < length; i++) {
    if (text[i] < '0' || text[i] > '9' || i > 5) return -1;
    *value = *value * 10 + (text[i] - '0');
  }
  return length && *value <= high ? 0 : -1;
}

/* [user][:password]@ */
static int parse_login(struct state_address *address, const char *text, size_t length) {
  const char *colon = memchr(text, ':', length);
  size_t user = colon ? (size_t)(colon - text) : length;
  if (user && !(address->user = decode(text, user))) return -1;
  if (!colon) return 0;
  address->password = decode(colon + 1, length - user - 1);
  return address->password ? 0 : -1;
}

/* host[:port] or [IPv6][:port] */
static int parse_host(struct state_host *to, int port_default, const char *text, size_t length) {
  const char *end = text + length;
  const char *host = text;
  const char *host_end = memchr(text, ':', length);
  const char *port = host_end;
  if (length && text[0] == '[') {
    host++;
    host_end = memchr(text, ']', length);
    if (!host_end) return -1;
    port = host_end + 1;
  }
  if (!host_end) host_end = end;
  to->host = decode(host, (size_t)(host_end - host));
  if (!to->host) return -1;
  to->port = port_default;
  if (!port || port == end) return 0;
  if (*port != ':' || number(port + 1, (size_t)(end - port - 1), 65535, &to->port)) return -1;
  return to->port ? 0 : -1;
}

/* [/db] */
static int parse_database(struct state_address *address, const char *rest) {
  if (rest[0] && rest[0] != '/') return -1;
  return rest[0] && rest[1] ? number(rest + 1, strlen(rest + 1), 65535, &address->database) : 0;
}

/* redis://[user][:password@]host[:port][/db] */
static int parse_tcp(struct state_address *address, const char *authority, size_t length, const char *rest) {
  struct state_host host = {0};
  int failed = parse_host(&host, REDIS_PORT, authority, length) || parse_database(address, rest);
  address->host = host.host;
  address->port = host.port;
  snprintf(address->text, sizeof address->text, "redis://%.200s:%d/%d", host.host ? host.host : "", address->port,
           address->database);
  return failed ? -1 : 0;
}

/* rediss://, the same with TLS */
static int parse_tls(struct state_address *address, const char *authority, size_t length, const char *rest) {
  int failed = parse_tcp(address, authority, length, rest);
  address->tls = 1;
  snprintf(address->text, sizeof address->text, "rediss://%.200s:%d/%d", address->host ? address->host : "",
           address->port, address->database);
  return failed;
}

/* redis+sentinel://[user][:password@]host[:port][,host[:port]…]/master[/db] */
static int parse_sentinels(struct state_address *address, const char *authority, size_t length, const char *rest) {
  const char *end = authority + length, *name = rest + 1;
  for (const char *at = authority; at <= end;) {
    const char *comma = memchr(at, ',', (size_t)(end - at));
    if (!comma) comma = end;
    if (address->sentinel_count == STATE_SENTINELS) return -1;
    if (parse_host(&address->sentinels[address->sentinel_count++], SENTINEL_PORT, at, (size_t)(comma - at))) return -1;
    at = comma + 1;
  }
  if (rest[0] != '/') return -1;
  size_t name_length = strcspn(name, "/?#");
  address->master = decode(name, name_length);
  if (!address->master || parse_database(address, name + name_length)) return -1;
  snprintf(address->text, sizeof address->text, "redis+sentinel://%.100s:%d/%.100s/%d", address->sentinels[0].host,
           address->sentinels[0].port, address->master, address->database);
  return 0;
}

/* unix://[user][:password@]/path[?db=N] */
static int parse_unix(struct state_address *address, size_t length, const char *rest) {
  const char *query = strchr(rest, '?');
  size_t path = query ? (size_t)(query - rest) : strlen(rest);
  if (length || path < 2 || !(address->path = decode(rest, path))) return -1;
  if (query && (strncmp(query, "?db=", 4) || number(query + 4, strlen(query + 4), 65535, &address->database)))
    return -1;
  snprintf(address->text, sizeof address->text, "unix://%.200s?db=%d", address->path, address->database);
  return 0;
}

/* Messages never repeat the URL: a password might stand where we expect something else. */
static int bad(struct state_address *address, struct error *error) {
  state_address_free(address);
  return error_set(error, ERROR_INVALID, "url",
                   "the Redis URL is not of the form redis://[[user]:password@]host[:port][/database], "
                   "redis+sentinel://[[user]:password@]host[:port][,host[:port]…]/master[/database] or "
                   "unix:///path[?db=N]; rediss:// is redis:// with TLS");
}

static int parse_path(struct state_address *address, const char *authority, size_t length, const char *rest) {
  (void)authority;
  return parse_unix(address, length, rest);
}

int state_address_parse(struct state_address *address, const char *url, struct error *error) {
  static const struct {
    const char *scheme;
    int (*parse)(struct state_address *address, const char *authority, size_t length, const char *rest);
  } schemes[] = {{"redis://", parse_tcp},
                 {"rediss://", parse_tls},
                 {"redis+sentinel://", parse_sentinels},
                 {"unix://", parse_path}};
  memset(address, 0, sizeof *address);
  if (!url || !*url) return error_set(error, ERROR_INVALID, "url", "no Redis URL is configured");
  if (!strncmp(url, "rediss://", 9) && !state_tls_available())
    return error_set(error, ERROR_INVALID, "tls",
                     "the Redis URL asks for TLS (rediss://), which this build does not have (hiredis before 1.0): use "
                     "redis:// through a TLS tunnel, or unix://");
  size_t kind = 0, kinds = sizeof schemes / sizeof *schemes;
  while (kind < kinds && strncmp(url, schemes[kind].scheme, strlen(schemes[kind].scheme)) != 0) kind++;
  if (kind == kinds) return bad(address, error);
  const char *authority = url + strlen(schemes[kind].scheme);
  size_t length = strcspn(authority, "/?#");
  const char *rest = authority + length;
  const char *at = memrchr(authority, '@', length);
  if (at) {
    if (parse_login(address, authority, (size_t)(at - authority))) return bad(address, error);
    length -= (size_t)(at + 1 - authority);
    authority = at + 1;
  }
  return schemes[kind].parse(address, authority, length, rest) ? bad(address, error) : 0;
}

void state_address_free(struct state_address *address) {
  if (address->password) explicit_bzero(address->password, strlen(address->password));
  free(address->password);
  free(address->user);
  free(address->host);
  free(address->path);
  free(address->master);
  for (size_t i = 0; i < address->sentinel_count; i++) free(address->sentinels[i].host);
  memset(address, 0, sizeof *address);
}
