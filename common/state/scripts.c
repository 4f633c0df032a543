#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/state_internal.h"
#include "state_scripts.h"

static const struct {
  const char *name, *text;
  int guarded;
} sources[STATE_SCRIPT_COUNT] = {
#define X(name, guarded) [STATE_SCRIPT_##name] = {#name, script_##name, guarded},
    STATE_SCRIPTS(X)
#undef X
};

/* Redis knows a script by the SHA-1 of its text. */
static int name_by_hash(struct state_script_text *script) {
  unsigned char hash[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  if (!EVP_Digest(script->text, strlen(script->text), hash, &length, EVP_sha1(), NULL) || length != 20) return -1;
  for (unsigned i = 0; i < length; i++) snprintf(script->sha + 2 * (size_t)i, 3, "%02x", hash[i]);
  return 0;
}

int state_scripts_load(struct state_script_text scripts[STATE_SCRIPT_COUNT], struct error *error) {
  for (size_t i = 0; i < STATE_SCRIPT_COUNT; i++) {
    struct state_script_text *script = &scripts[i];
    script->name = sources[i].name;
    script->guarded = sources[i].guarded;
    if (asprintf(&script->text, "%s%s", script->guarded ? script_prelude : "", sources[i].text) < 0) {
      script->text = NULL;
      return error_set(error, ERROR_FATAL, "memory", "out of memory");
    }
    if (name_by_hash(script)) return error_set(error, ERROR_FATAL, "sha1", "SHA-1 is not available");
  }
  return 0;
}

void state_scripts_free(struct state_script_text scripts[STATE_SCRIPT_COUNT]) {
  for (size_t i = 0; i < STATE_SCRIPT_COUNT; i++) free(scripts[i].text);
}
