/* YAML: whatever is read has lines for its places, and is a value that can be written. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "json/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct error error = {0};
  struct yaml_lines *lines;
  json_t *value = yaml_parse((const char *)data, size, "input", &lines, &error);
  if (!value) {
    if (lines || error.class == ERROR_NONE || !error.where[0]) abort();
    return 0;
  }
  char *text = json_text(value);
  if (!text || yaml_line(lines, "") < 1 || yaml_line(lines, "/a/0/b") < 1) abort();
  free(text);
  yaml_lines_free(lines);
  json_decref(value);
  return 0;
}
