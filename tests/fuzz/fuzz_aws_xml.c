/* Bytes as the answer of query, ec2 and rest-xml operations, result and fault: no crash, and an error or a result.
 *
 * The shapes have one of everything: lists and maps flattened and not, attributes, a payload, headers, a recursion. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "aws/protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char shapes_text[] =
    "{\"Out\":{\"type\":\"structure\",\"members\":{\"S\":{\"shape\":\"S\"},\"I\":{\"shape\":\"I\"},\"F\":{\"shape\":"
    "\"F\"},"
    "\"B\":{\"shape\":\"B\"},\"T\":{\"shape\":\"T\"},\"L\":{\"shape\":\"L\"},\"FL\":{\"shape\":\"FL\"},\"M\":{"
    "\"shape\":\"M\"},"
    "\"FM\":{\"shape\":\"FM\"},\"O\":{\"shape\":\"B2\"},\"A\":{\"shape\":\"S\",\"xmlAttribute\":true,\"locationName\":"
    "\"x:a\"},"
    "\"R\":{\"shape\":\"Out\"},\"U\":{\"shape\":\"U\"},\"H\":{\"shape\":\"T\",\"location\":\"header\",\"locationName\":"
    "\"x-h\"}}},"
    "\"S\":{\"type\":\"string\"},\"I\":{\"type\":\"integer\"},\"F\":{\"type\":\"double\"},\"B\":{\"type\":\"blob\"},"
    "\"B2\":{\"type\":\"boolean\"},\"T\":{\"type\":\"timestamp\"},\"L\":{\"type\":\"list\",\"member\":{\"shape\":"
    "\"Out\"}},"
    "\"FL\":{\"type\":\"list\",\"flattened\":true,\"member\":{\"shape\":\"S\",\"locationName\":\"Item\"}},"
    "\"M\":{\"type\":\"map\",\"key\":{\"shape\":\"S\"},\"value\":{\"shape\":\"Out\"}},"
    "\"FM\":{\"type\":\"map\",\"flattened\":true,\"key\":{\"shape\":\"S\",\"locationName\":\"K\"},\"value\":{\"shape\":"
    "\"I\"}},"
    "\"U\":{\"type\":\"structure\",\"union\":true,\"members\":{\"a\":{\"shape\":\"S\"},\"b\":{\"shape\":\"I\"}}}}";

static const char *const protocols[] = {"query", "ec2", "rest-xml"};
#define COUNT (sizeof protocols / sizeof *protocols)

static struct aws_service *services[COUNT];

static void make_services(void) {
  json_t *shapes = json_loads(shapes_text, 0, NULL);
  json_t *operations = json_loads("{\"Op\":{\"name\":\"Op\",\"output\":{\"shape\":\"Out\"}}}", 0, NULL);
  for (size_t i = 0; i < COUNT; i++) {
    json_t *metadata = json_pack("{s:s, s:s}", "protocol", protocols[i], "serviceId", "S3");
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
  char *copy = malloc(size + 1); /* of its exact size, so that a byte read behind it is noticed */
  if (!copy) abort();
  for (size_t i = 0; i < COUNT * 3; i++) {
    memcpy(copy, data, size); /* the one before has used it up */
    copy[size] = '\0';
    const struct aws_service *service = services[i % COUNT];
    struct aws_http_response response = {
        .status = statuses[i / COUNT], .headers = &header, .header_count = 1, .body = copy, .body_length = size};
    struct error error = {0};
    json_t *result = aws_parse(service, aws_service_operation(service, "Op", NULL), &response, NULL, &error);
    if (!result == (error.class == ERROR_NONE)) abort();
    json_decref(result);
  }
  free(copy);
  return 0;
}
