/* log_mask() over any bytes: it stays inside the text, never makes it longer, and hides a registered value wherever
 * that stands whole.  A second pass over what the first one left must not find that value either. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

static const char registered[] = "registered+secret/value";

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  log_secret(registered);
  char *text = malloc(length + 1);
  if (!text) return 0;
  memcpy(text, bytes, length);
  text[length] = '\0';
  size_t before = strlen(text);
  log_mask(text);
  if (strlen(text) > before || strstr(text, registered)) abort();
  log_mask(text);
  if (strlen(text) > before || strstr(text, registered)) abort();
  free(text);
  return 0;
}
