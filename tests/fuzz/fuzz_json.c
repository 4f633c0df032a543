/* The JSON reader: the checker and the parser agree, and what was read survives writing and reading again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "json/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct error error;
  json_t *value = json_parse((const char *)data, size, &error);
  if ((json_check((const char *)data, size, &error) == 0) != (value != NULL)) abort();
  if (!value) return 0;
  char *text = json_text(value);
  json_t *again = text ? json_parse(text, strlen(text), &error) : NULL;
  if (!again || !json_same(value, again)) abort();
  char *second = json_text(again), left[65], right[65];
  json_hash(value, left);
  json_hash(again, right);
  if (!second || strcmp(text, second) != 0 || strcmp(left, right) != 0) abort();
  free(second);
  free(text);
  json_decref(again);
  json_decref(value);
  return 0;
}
