/* Hides what looks like a secret in texts that are going to be printed.
 *
 * Two kinds of secrets are recognised.  Some show by themselves: an access key id begins with AKIA or ASIA, a session
 * token with the base64 of a known header, a private key with its PEM line.  The others (a secret access key is just
 * 40 letters) show only by the name beside them, in whatever dialect the text is written: `name=value`,
 * `"name": "value"`, the same with backslashes inside another string, `<name>value</name>`, `name%3Dvalue`,
 * `scheme://user:value@host`.  For these the scan stops at the separator, which is rare, and only then looks back for
 * a name.
 *
 * One pass: a table says for each byte whether anything can begin there, so that a text without secrets costs one
 * lookup a byte.  What is hidden is replaced in place by at most as many stars, so the text never grows: what was
 * written so far (`out`) never overtakes what is read (`at`).  In doubt too much is hidden rather than too little. */
#include <ctype.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/log_internal.h"

/* text[0, out) is what was written, text[at, length) what is still to be read.  Where looking far ahead was in vain,
 * the scan remembers until where it would be in vain again, so that no text costs more than its length allows. */
struct scan {
  const char *text;
  size_t out, at, length;
  size_t no_userinfo_before, no_web_token_before;
};

/* What to hide: text[start, end). */
struct span {
  size_t start, end;
};

typedef int finder(struct scan *scan, struct span *span);

enum extent { EXTENT_VALUE, EXTENT_LINE };
#define ANY_SEPARATOR ""

/* Names as they end, without case and punctuation: "awssecretaccesskey", "AWS_SECRET_ACCESS_KEY" and
 * "x-secret-access-key" all end with "secretaccesskey".  A name with `whole` must be the whole word, so that NextToken
 * and ClientToken stay readable; `separators` limits it to where it is not just a word of a sentence or of an ARN. */
static const struct secret_name {
  const char *name;
  enum extent extent;
  int whole;
  const char *separators;
} names[] = {
    {"secretaccesskey", EXTENT_VALUE, 0, ANY_SEPARATOR},
    {"secretkey", EXTENT_VALUE, 0, ANY_SEPARATOR},
    {"apikey", EXTENT_VALUE, 0, ANY_SEPARATOR},
    {"privatekey", EXTENT_VALUE, 0, ANY_SEPARATOR},
    {"password", EXTENT_VALUE, 0, ANY_SEPARATOR},
    {"passwd", EXTENT_VALUE, 0, ANY_SEPARATOR},
    {"passphrase", EXTENT_VALUE, 0, ANY_SEPARATOR},
    {"sessiontoken", EXTENT_VALUE, 0, ANY_SEPARATOR},
    {"securitytoken", EXTENT_VALUE, 0, ANY_SEPARATOR},
    {"metadatatoken", EXTENT_VALUE, 0, ANY_SEPARATOR},
    {"identitytoken", EXTENT_VALUE, 0, ANY_SEPARATOR},
    {"accesstoken", EXTENT_VALUE, 0, ANY_SEPARATOR},
    {"refreshtoken", EXTENT_VALUE, 0, ANY_SEPARATOR},
    {"authtoken", EXTENT_VALUE, 0, ANY_SEPARATOR},
    {"authorizationtoken", EXTENT_VALUE, 0, ANY_SEPARATOR},
    {"vaulttoken", EXTENT_VALUE, 0, ANY_SEPARATOR},
    {"authorization", EXTENT_LINE, 0, ANY_SEPARATOR},
    {"amzsignature", EXTENT_VALUE, 0, ANY_SEPARATOR},
    {"signature", EXTENT_VALUE, 1, "=%"},
    {"secretstring", EXTENT_VALUE, 0, ANY_SEPARATOR},
    {"secretbinary", EXTENT_VALUE, 0, ANY_SEPARATOR},
    {"clientsecret", EXTENT_VALUE, 0, ANY_SEPARATOR},
    {"sharedsecret", EXTENT_VALUE, 0, ANY_SEPARATOR},
    {"secret", EXTENT_VALUE, 1, "=%"},
    {"token", EXTENT_VALUE, 1, "=%"},
    {"requirepass", EXTENT_VALUE, 0, ANY_SEPARATOR},
};
static const char last_letters[] = "ydenghtsr"; /* of the names above and of "bearer" */

static int is_word(char byte) { return isalnum((unsigned char)byte) || byte == '_' || byte == '-'; }

static int is_base64(char byte) { return isalnum((unsigned char)byte) || (byte && strchr("+/=_-%.~", byte)); }

static int is_quote(char byte) { return byte == '"' || byte == '\''; }

/* Does text[0, end) end with the name?  Punctuation between the letters does not matter. *begin: where it starts. */
static int ends_with(const char *text, size_t end, const char *name, size_t *begin) {
  size_t letters = strlen(name);
  size_t at = end;
  while (letters > 0) {
    if (at == 0) return 0;
    char byte = text[at - 1];
    if (tolower((unsigned char)byte) == name[letters - 1])
      letters--;
    else if (at == end || !(byte == '_' || byte == '-' || byte == '.' || byte == ' '))
      return 0;
    at--;
  }
  *begin = at;
  return 1;
}

static const struct secret_name *name_before(const char *text, size_t end, char separator, size_t *begin) {
  if (end == 0 || !text[end - 1] || !strchr(last_letters, tolower((unsigned char)text[end - 1]))) return NULL;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    const struct secret_name *name = &names[i];
    if (*name->separators && !strchr(name->separators, separator)) continue;
    if (!ends_with(text, end, name->name, begin)) continue;
    if (name->whole && *begin > 0 && is_word(text[*begin - 1])) continue;
    while (*begin > 0 && is_word(text[*begin - 1])) (*begin)--;
    return name;
  }
  return NULL;
}

int log_name_is_secret(const char *name) {
  size_t begin;
  return name_before(name, strlen(name), '=', &begin) != NULL;
}

/* Where a key ends that is followed by closing quotes, brackets and blanks before its separator. */
static size_t skip_back(const char *text, size_t end) {
  for (int i = 0; i < 8 && end > 0; i++) {
    if (end >= 3 && strncmp(text + end - 3, "%22", 3) == 0)
      end -= 3;
    else if (is_quote(text[end - 1]) || strchr("\\ \t]", text[end - 1] ? text[end - 1] : 'x'))
      end--;
    else
      break;
  }
  return end;
}

/* How the value is wrapped: by a quote behind so many backslashes, by "%22", or not at all. */
struct opening {
  size_t start;
  char quote;
  size_t backslashes;
};

static struct opening open_value(const struct scan *scan, size_t at) {
  struct opening opening = {.start = at};
  for (int i = 0; i < 32 && opening.start < scan->length; i++) {
    const char *here = scan->text + opening.start;
    size_t left = scan->length - opening.start;
    if (is_quote(*here)) {
      opening.quote = *here;
      opening.start++;
      break;
    }
    if (left >= 3 && strncmp(here, "%22", 3) == 0) {
      opening.start += 3;
      break;
    }
    int prefix = left >= 2 && strchr("bBuUrR", *here ? *here : 'x') && is_quote(here[1]); /* Python's b'…' */
    if (*here != ' ' && *here != '\t' && *here != '[' && *here != '\\' && !prefix) break;
    opening.backslashes = *here == '\\' ? opening.backslashes + 1 : 0;
    opening.start++;
  }
  return opening;
}

/* A quote closes the value when no more backslashes are before it than before the opening one. */
static size_t quoted_end(const struct scan *scan, const struct opening *opening) {
  size_t backslashes = 0;
  for (size_t at = opening->start; at < scan->length; at++) {
    if (scan->text[at] == opening->quote && backslashes <= opening->backslashes) return at - backslashes;
    backslashes = scan->text[at] == '\\' ? backslashes + 1 : 0;
  }
  return scan->length;
}

static int is_escaped_break(const struct scan *scan, size_t at) {
  return scan->text[at] == '\\' && at + 1 < scan->length && scan->text[at + 1] && strchr("nrt\"'", scan->text[at + 1]);
}

static size_t bare_end(const struct scan *scan, size_t start, char separator) {
  size_t at = start;
  for (; at < scan->length; at++) {
    char byte = scan->text[at];
    if (isspace((unsigned char)byte) || byte == '&' || byte == '<' || byte == '\0' || is_quote(byte)) break;
    if (is_escaped_break(scan, at)) break;
    if (separator == '%' && byte == '%' && scan->length - at >= 3 &&
        (strncmp(scan->text + at, "%26", 3) == 0 || strncmp(scan->text + at, "%22", 3) == 0))
      break;
  }
  return at;
}

/* `quote` is what stands before the header's name, as in curl's -H 'Authorization: …'. */
static size_t line_end(const struct scan *scan, size_t start, char quote) {
  size_t at = start;
  for (; at < scan->length; at++) {
    char byte = scan->text[at];
    if (byte == '\n' || byte == '\r' || byte == '<' || is_escaped_break(scan, at)) break;
    if (is_quote(quote) && byte == quote) break;
  }
  return at;
}

/* The value behind the separator at scan->at (`width` bytes), if a secret's name is before it. */
static int find_value(const struct scan *scan, char separator, size_t width, struct span *span) {
  size_t end = separator == '>' ? scan->out : skip_back(scan->text, scan->out);
  size_t begin;
  const struct secret_name *name = name_before(scan->text, end, separator, &begin);
  if (!name) return 0;
  char before = '\0';
  if (begin > 0) before = scan->text[begin - 1];
  if (separator == '>' && before != '<' && before != ':') return 0;
  struct opening opening = open_value(scan, scan->at + width);
  span->start = opening.start;
  if (opening.start >= scan->length || scan->text[opening.start] == '{') return 0;
  if (opening.quote)
    span->end = quoted_end(scan, &opening);
  else if (name->extent == EXTENT_LINE)
    span->end = line_end(scan, opening.start, before);
  else
    span->end = bare_end(scan, opening.start, separator);
  return span->end > span->start;
}

/* The password of scheme://user:password@host, the colon before // being at scan->at.  A password may hold a raw
 * slash, although RFC 3986 wants it encoded: then what is behind the first colon is no port number. */
static int find_url_password(struct scan *scan, struct span *span) {
  size_t first = scan->at + 3;
  if (first >= scan->length || strncmp(scan->text + scan->at, "://", 3) != 0 || scan->text[first] == '[') return 0;
  if (scan->at < scan->no_userinfo_before) return 0;
  size_t colon = 0;
  size_t last_at = 0;
  int slash = 0;
  int port = 1;
  size_t at = first;
  for (; at < scan->length; at++) {
    char byte = scan->text[at];
    if (isspace((unsigned char)byte) || is_quote(byte) || byte == '<' || byte == '>' || byte == '\0') break;
    if (byte == '/' || byte == '?' || byte == '#') {
      if (last_at || !colon || port) break;
      slash = 1;
    }
    if (byte == '@' && colon) last_at = at;
    if (byte == '@' && !colon) break;
    if (byte == '@' && slash) break;
    if (colon && !isdigit((unsigned char)byte)) port = 0;
    if (byte == ':' && !colon) {
      colon = at;
      port = at > first; /* "redis://:12/34@host" has no host before the colon, hence no port behind it */
    }
  }
  if (!last_at) scan->no_userinfo_before = at;
  if (!last_at || last_at <= colon + 1) return 0;
  *span = (struct span){colon + 1, last_at};
  return 1;
}

static int find_at_colon(struct scan *scan, struct span *span) {
  return find_url_password(scan, span) || find_value(scan, ':', 1, span);
}

static int find_at_equals(struct scan *scan, struct span *span) { return find_value(scan, '=', 1, span); }

static int find_at_greater(struct scan *scan, struct span *span) { return find_value(scan, '>', 1, span); }

static int find_at_percent(struct scan *scan, struct span *span) {
  if (scan->length - scan->at < 3 || scan->text[scan->at + 1] != '3') return 0;
  if (!strchr("DdAa", scan->text[scan->at + 2] ? scan->text[scan->at + 2] : 'x')) return 0;
  return find_value(scan, '%', 3, span);
}

static size_t run(const struct scan *scan, size_t at, size_t most, int (*accepts)(char)) {
  size_t length = 0;
  while (length < most && at + length < scan->length && accepts(scan->text[at + length])) length++;
  return length;
}

static int is_key_id(char byte) { return (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9'); }

static int is_secret_key(char byte) { return isalnum((unsigned char)byte) || byte == '+' || byte == '/'; }

static int begins(const struct scan *scan, const char *prefix) {
  size_t length = strlen(prefix);
  return scan->length - scan->at >= length && memcmp(scan->text + scan->at, prefix, length) == 0;
}

/* An access key id (20 characters), and with it the 40 of its secret when they follow, as in a credentials CSV. */
static int find_access_key(struct scan *scan, struct span *span) {
  if (!begins(scan, "AKIA") && !begins(scan, "ASIA")) return 0;
  size_t length = run(scan, scan->at, SIZE_MAX, is_key_id);
  if (length < 20) return 0;
  span->start = scan->at;
  span->end = scan->at + length;
  size_t behind = span->end;
  while (behind < scan->length && behind < span->end + 4 && scan->text[behind] &&
         strchr(" ,:;|/\t\"'", scan->text[behind]))
    behind++;
  if (behind > span->end && run(scan, behind, 41, is_secret_key) == 40) span->end = behind + 40;
  return 1;
}

/* Session tokens are base64 of a header that has been the same for years. */
static int find_session_token(struct scan *scan, struct span *span) {
  static const char *const prefixes[] = {"IQoJb3JpZ2lu", "FwoGZXIvYXdz", "FQoGZXIvYXdz", "FQoDYXdz"};
  for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
    if (!begins(scan, prefixes[i])) continue;
    *span = (struct span){scan->at, scan->at + run(scan, scan->at, SIZE_MAX, is_base64)};
    return 1;
  }
  return 0;
}

static int is_base64url(char byte) { return isalnum((unsigned char)byte) || byte == '_' || byte == '-'; }

/* A JSON Web Token: base64url of `{"…`, a dot, more of it. */
static int find_web_token(struct scan *scan, struct span *span) {
  if (scan->at < scan->no_web_token_before || !begins(scan, "eyJ")) return 0;
  size_t header = run(scan, scan->at, SIZE_MAX, is_base64url);
  size_t dot = scan->at + header;
  scan->no_web_token_before = dot;
  if (header < 12 || dot >= scan->length || scan->text[dot] != '.') return 0;
  if (run(scan, dot + 1, 12, is_base64url) < 12) return 0;
  *span = (struct span){scan->at, scan->at + run(scan, scan->at, SIZE_MAX, is_base64)};
  return 1;
}

static int find_private_key(struct scan *scan, struct span *span) {
  static const char tail[] = "PRIVATE KEY-----";
  if (!begins(scan, "-----BEGIN ")) return 0;
  size_t header = scan->length - scan->at < 64 ? scan->length - scan->at : 64;
  const char *key = memmem(scan->text + scan->at, header, tail, sizeof tail - 1);
  if (!key) return 0;
  span->start = (size_t)(key - scan->text) + sizeof tail - 1;
  const char *end = memmem(scan->text + span->start, scan->length - span->start, "-----END", 8);
  span->end = end ? (size_t)(end - scan->text) : scan->length;
  return span->end > span->start;
}

/* "Bearer TOKEN", and a secret access key after its name and a blank. */
static int find_at_blank(struct scan *scan, struct span *span) {
  size_t begin;
  size_t start = scan->at + 1;
  if (scan->out == 0 || !scan->text[scan->out - 1] || !strchr("rRyY", scan->text[scan->out - 1])) return 0;
  if (ends_with(scan->text, scan->out, "bearer", &begin)) {
    *span = (struct span){start, start + run(scan, start, SIZE_MAX, is_base64)};
    return span->end - span->start >= 16;
  }
  if (!ends_with(scan->text, scan->out, "secretaccesskey", &begin) &&
      !ends_with(scan->text, scan->out, "secretkey", &begin))
    return 0;
  *span = (struct span){start, start + run(scan, start, 41, is_secret_key)};
  return span->end - span->start == 40;
}

static finder *const finders[256] = {
    ['A'] = find_access_key,  ['I'] = find_session_token, ['F'] = find_session_token, ['e'] = find_web_token,
    ['-'] = find_private_key, [' '] = find_at_blank,      [':'] = find_at_colon,      ['='] = find_at_equals,
    ['>'] = find_at_greater,  ['%'] = find_at_percent,
};

size_t log_mask_stars(char *to, size_t hidden) {
  size_t stars = hidden < 3 ? hidden : 3;
  memset(to, '*', stars);
  return stars;
}

size_t log_mask_bytes(char *text, size_t length) {
  length = log_mask_registered(text, length);
  struct scan scan = {.text = text, .length = length};
  while (scan.at < length) {
    finder *find = finders[(unsigned char)text[scan.at]];
    struct span span;
    if (!find || !find(&scan, &span)) {
      text[scan.out++] = text[scan.at++];
      continue;
    }
    memmove(text + scan.out, text + scan.at, span.start - scan.at);
    scan.out += span.start - scan.at;
    scan.out += log_mask_stars(text + scan.out, span.end - span.start);
    scan.at = span.end;
  }
  return scan.out;
}

char *log_mask(char *text) {
  if (text) text[log_mask_bytes(text, strlen(text))] = '\0';
  return text;
}
