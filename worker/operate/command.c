#include "operate/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"

enum { CLOCKS_MS = 60000 /* how far apart two machines' clocks may be */ };

json_t *command_new(const char *verb, json_t *arguments, const char *by) {
  unsigned char bytes[16];
  char id[40] = "c-", created[32], expires[32];
  int64_t now = clock_wall_ms();
  if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) abort();
  for (size_t i = 0; i < sizeof bytes; i++) snprintf(id + 2 + 2 * i, 3, "%02x", bytes[i]);
  return json_pack("{s:s, s:s, s:o, s:s, s:s, s:s}", "id", id, "verb", verb, "arguments", arguments, "created",
                   clock_format(now, created, sizeof created), "expires",
                   clock_format(now + COMMAND_LIFE_MS, expires, sizeof expires), "by", by);
}

void command_hash(const json_t *command, char hash[65]) {
  json_t *copy = json_copy((json_t *)command);
  json_object_del(copy, "proof");
  json_hash(copy, hash);
  json_decref(copy);
}

const char *command_check(const json_t *command, int64_t now_ms) {
  int64_t created, expires;
  const char *id = json_text_at(command, "id", NULL);
  if (strncmp(id, "c-", 2) != 0 || strlen(id) != 34 || strspn(id + 2, "0123456789abcdef") != 32)
    return "its id is none";
  if (!*json_text_at(command, "verb", NULL)) return "it has no verb";
  if (!json_is_object(json_object_get(command, "arguments"))) return "it has no arguments";
  if (clock_parse(json_text_at(command, "created", NULL), &created) != 0 ||
      clock_parse(json_text_at(command, "expires", NULL), &expires) != 0)
    return "it has no times";
  if (expires - created > COMMAND_LIFE_MS) return "it would hold for more than five minutes";
  if (created > now_ms + CLOCKS_MS) return "it is of the future";
  if (now_ms > expires) return "it has expired";
  return NULL;
}
