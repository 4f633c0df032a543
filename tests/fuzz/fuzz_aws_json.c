/* Bytes as the answer of json and rest-json operations, result and fault: no crash, and an error or a result.
 *
 * The shapes have one of everything: lists, maps, documents, unions, headers, a recursion; and an event stream. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "aws/protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char shapes_text[] =
    "{\"Out\":{\"type\":\"structure\",\"members\":{\"S\":{\"shape\":\"S\"},\"I\":{\"shape\":\"I\"},\"F\":{\"shape\":"
    "\"F\"},"
    "\"B\":{\"shape\":\"B\"},\"T\":{\"shape\":\"T\"},\"L\":{\"shape\":\"L\"},\"D\":{\"shape\":\"D\"},\"M\":{\"shape\":"
    "\"M\"},"
    "\"O\":{\"shape\":\"B2\"},\"A\":{\"shape\":\"S\",\"locationName\":\"a\"},"
    "\"R\":{\"shape\":\"Out\"},\"U\":{\"shape\":\"U\"},\"H\":{\"shape\":\"T\",\"location\":\"header\",\"locationName\":"
    "\"x-h\"}}},"
    "\"S\":{\"type\":\"string\"},\"I\":{\"type\":\"integer\"},\"F\":{\"type\":\"double\"},\"B\":{\"type\":\"blob\"},"
    "\"B2\":{\"type\":\"boolean\"},\"T\":{\"type\":\"timestamp\"},\"L\":{\"type\":\"list\",\"member\":{\"shape\":"
    "\"Out\"}},"
    "\"D\":{\"type\":\"structure\",\"document\":true,\"members\":{}},"
    "\"M\":{\"type\":\"map\",\"key\":{\"shape\":\"S\"},\"value\":{\"shape\":\"Out\"}},"
    "\"Events\":{\"type\":\"structure\",\"members\":{\"P\":{\"shape\":\"Stream\"}},\"payload\":\"P\"},"
    "\"Stream\":{\"type\":\"structure\",\"eventstream\":true,\"members\":{\"E\":{\"shape\":\"E\"}}},"
    "\"E\":{\"type\":\"structure\",\"event\":true,\"members\":{\"x\":{\"shape\":\"I\",\"eventheader\":true},"
    "\"p\":{\"shape\":\"Out\",\"eventpayload\":true}}},"
    "\"U\":{\"type\":\"structure\",\"union\":true,\"members\":{\"a\":{\"shape\":\"S\"},\"b\":{\"shape\":\"I\"}}}}";

static const char *const protocols[] = {"json", "rest-json"};
#define COUNT (sizeof protocols / sizeof *protocols)

static struct aws_service *services[COUNT];

static void make_services(void) {
  json_t *shapes = json_loads(shapes_text, 0, NULL);
  json_t *operations =
      json_loads("{\"Op\":{\"output\":{\"shape\":\"Out\"}},\"Listen\":{\"output\":{\"shape\":\"Events\"}}}", 0, NULL);
  for (size_t i = 0; i < COUNT; i++) {
    json_t *metadata = json_pack("{s:s, s:s}", "protocol", protocols[i], "jsonVersion", "1.1");
    services[i] = aws_service_make(metadata, shapes, operations, NULL);
    if (!services[i]) abort();
    json_decref(metadata);
  }
  json_decref(shapes);
  json_decref(operations);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const int statuses[] = {200, 400, 503};
  struct aws_http_header header = {"x-h", "Sun, 25 Jan 2015 08:00:00 GMT"};
  if (!services[0]) make_services();
  char *copy = malloc(size ? size : 1); /* of its exact size, so that a byte read behind it is noticed */
  if (!copy) abort();
  memcpy(copy, data, size);
  for (size_t i = 0; i < COUNT * 4; i++) {
    const struct aws_service *service = services[i % COUNT];
    const char *operation = i / COUNT == 3 ? "Listen" : "Op";
    struct aws_http_response response = {
        .status = statuses[i / COUNT % 3], .headers = &header, .header_count = 1, .body = copy, .body_length = size};
    struct error error = {0};
    json_t *result = aws_parse(service, aws_service_operation(service, operation, NULL), &response, NULL, &error);
    if (!result == (error.class == ERROR_NONE)) abort();
    json_decref(result);
  }
  free(copy);
  return 0;
}
