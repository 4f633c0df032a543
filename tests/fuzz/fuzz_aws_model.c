/* Bytes as a model file: every operation is compiled, written with a few parameters, and reads an answer. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "aws/protocol_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const params_texts[] = {"{}", "{\"a\":\"x\"}", "{\"a\":1,\"b\":[1,\"2\",{}]}",
                                           "{\"a\":{\"b\":\"c\"},\"b\":true}"};
static const char *const answers[] = {"", "{\"a\":1,\"b\":[{}]}", "<r><a>1</a><b><member/></b></r>"};

static void use_operation(const struct aws_service *service, const struct aws_operation *operation) {
  for (size_t i = 0; i < sizeof params_texts / sizeof *params_texts; i++) {
    json_t *params = json_loads(params_texts[i], 0, NULL);
    struct aws_request request;
    struct error error = {0};
    int result = aws_serialize(service, operation, params, &request, &error);
    if ((result != 0) == (error.class == ERROR_NONE)) abort();
    if (result == 0) aws_request_free(&request);
    json_decref(params);
  }
  for (size_t i = 0; i < sizeof answers / sizeof *answers * 2; i++) {
    char body[64];
    int length = snprintf(body, sizeof body, "%s", answers[i / 2]);
    struct aws_http_response response = {.status = i % 2 ? 400 : 200, .body = body, .body_length = (size_t)length};
    struct error error = {0};
    json_t *result = aws_parse(service, operation, &response, NULL, &error);
    if (!result == (error.class == ERROR_NONE)) abort();
    json_decref(result);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  int file = memfd_create("model", MFD_CLOEXEC);
  if (file < 0 || write(file, data, size) != (ssize_t)size || lseek(file, 0, SEEK_SET) != 0) abort();
  struct error error = {0};
  struct aws_service *service = aws_service_load("fuzz", file, &error);
  if (!service) {
    if (error.class == ERROR_NONE) abort();
    return 0;
  }
  const char **names = aws_service_names(service, AWS_PIECE_OPERATION);
  for (size_t i = 0; names && names[i] && i < 8; i++) {
    const struct aws_operation *operation = aws_service_operation(service, names[i], &error);
    if (operation) use_operation(service, operation);
  }
  free(names);
  aws_service_free(service);
  return 0;
}
