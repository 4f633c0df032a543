/* The shared files: ~/.aws/credentials and ~/.aws/config (AWS_SHARED_CREDENTIALS_FILE, AWS_CONFIG_FILE).  A key of the
 * credentials file wins over the same of the config file.  Indented lines are settings of the setting above them:
 * "s3 =\n  endpoint_url = …" is the key "s3.endpoint_url". */
#include <ctype.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/client_internal.h"

#define FILE_LIMIT ((size_t)1 << 20)
#define KEY_SIZE 128

static char *trim(char *text) {
  while (isspace((unsigned char)*text)) text++;
  char *end = text + strlen(text);
  while (end > text && isspace((unsigned char)end[-1])) *--end = '\0';
  return text;
}

/* Does "[profile x]", "[services x]" (kind), or "[x]" (kind NULL: the credentials file) open the section?  The profile
 * "default" is spelt without the word in both files. */
static int opens_section(char *header, const char *kind, const char *wanted) {
  char *end = strchr(header, ']');
  if (!end) return 0;
  *end = '\0';
  char *name = trim(header + 1);
  size_t length = kind ? strlen(kind) : 0;
  if (kind && strncmp(name, kind, length) == 0 && isspace((unsigned char)name[length]))
    name = trim(name + length);
  else if (kind && (strcmp(kind, "profile") != 0 || strcmp(name, "default") != 0))
    return 0;
  length = strlen(name);
  if (length >= 2 && (*name == '"' || *name == '\'') && name[length - 1] == *name) {
    name[length - 1] = '\0';
    name++;
  }
  return strcmp(name, wanted) == 0;
}

/* "key = value # comment"; `parent` is the key of the last line that was not nested. */
static void take_line(char *line, int nested, char parent[KEY_SIZE], json_t *values) {
  char *equals = strchr(line, '='), key[2 * KEY_SIZE];
  if (!equals) return;
  *equals = '\0';
  char *value = trim(equals + 1), *comment = strstr(value, " #");
  if (comment) *comment = '\0';
  for (char *at = line; *at; at++) *at = (char)tolower((unsigned char)*at);
  snprintf(key, sizeof key, "%s%s%.*s", nested ? parent : "", nested ? "." : "", KEY_SIZE - 1, trim(line));
  if (!nested) snprintf(parent, KEY_SIZE, "%.*s", KEY_SIZE - 1, key);
  json_object_set_new(values, key, json_string(trim(value)));
}

/* Adds the section's keys of one file; 1 when the section is there.  A file that is absent has none. */
static int read_section(const char *path, const char *kind, const char *name, json_t *values) {
  char *text = aws_read_secret_file(path, FILE_LIMIT, NULL), *rest = text, *line, parent[KEY_SIZE] = "";
  size_t length = text ? strlen(text) : 0;
  int inside = 0, found = 0;
  while (rest && (line = strsep(&rest, "\n"))) {
    int nested = isspace((unsigned char)*line);
    char *start = trim(line);
    if (*start == '#' || *start == ';' || !*start) continue;
    if (*start == '[') {
      inside = opens_section(start, kind, name);
      found |= inside;
    } else if (inside) {
      take_line(start, nested, parent, values);
    }
  }
  if (text) OPENSSL_cleanse(text, length);
  free(text);
  return found;
}

/* $variable, or ~/.aws/<name> */
static int file_path(const char *variable, const char *name, char *path, size_t size) {
  const char *set = getenv(variable), *home = getenv("HOME");
  if (set && set[0] == '~' && set[1] == '/' && home)
    return snprintf(path, size, "%s%s", home, set + 1) < (int)size ? 0 : -1;
  if (set && *set) return snprintf(path, size, "%s", set) < (int)size ? 0 : -1;
  return home && snprintf(path, size, "%s/.aws/%s", home, name) < (int)size ? 0 : -1;
}

static int read_config(const char *kind, const char *name, json_t *values) {
  char path[4096];
  return file_path("AWS_CONFIG_FILE", "config", path, sizeof path) == 0 && read_section(path, kind, name, values);
}

json_t *aws_profile_read(const char *name) {
  char path[4096];
  json_t *values = json_object();
  int found = read_config("profile", name, values);
  if (file_path("AWS_SHARED_CREDENTIALS_FILE", "credentials", path, sizeof path) == 0)
    found |= read_section(path, NULL, name, values);
  if (found) return values;
  json_decref(values);
  return NULL;
}

json_t *aws_services_read(const char *name) {
  json_t *values = json_object();
  if (*name) read_config("services", name, values);
  return values;
}
