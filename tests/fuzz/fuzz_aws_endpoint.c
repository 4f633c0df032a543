/* The endpoint rules engine on {"ruleset": …, "params": …} of anybody's making: ends, and never reads out of bounds. */
#include <stddef.h>
#include <stdint.h>

#include "aws/endpoint_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct aws_partitions *partitions;

static void open_partitions(void) {
  static const char text[] =
      "{\"partitions\":[{\"id\":\"aws\",\"regionRegex\":\"^(us|eu|ap)\\\\-\\\\w+\\\\-\\\\d+$\",\"regions\":{},"
      "\"outputs\":{\"dnsSuffix\":\"amazonaws.com\",\"implicitGlobalRegion\":\"us-east-1\",\"supportsFIPS\":true}},"
      "{\"id\":\"aws-cn\",\"regionRegex\":\"^cn\\\\-\\\\w+\\\\-\\\\d+$\",\"regions\":{},"
      "\"outputs\":{\"dnsSuffix\":\"amazonaws.com.cn\"}}]}";
  json_t *document = json_loads(text, 0, NULL);
  partitions = aws_partitions_open(document, NULL);
  json_decref(document);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (!partitions) open_partitions();
  json_t *input = json_loadb((const char *)data, size, 0, NULL);
  if (!input) return 0;
  struct error error = {0};
  json_t *endpoint =
      aws_endpoint_resolve(json_object_get(input, "ruleset"), partitions, json_object_get(input, "params"), &error);
  json_decref(endpoint);
  json_decref(input);
  return 0;
}
