/* The compiled models, for tests: build/models unless PARAPET_MODELS says otherwise. */
#ifndef PARAPET_TESTS_AWS_MODELS_H
#define PARAPET_TESTS_AWS_MODELS_H

#include <stdlib.h>

#include "aws/protocol_internal.h"

static inline const char *test_models_directory(void) {
  static char path[256];
  const char *given = getenv("PARAPET_MODELS"), *build = getenv("BUILD");
  if (given && *given) return given;
  snprintf(path, sizeof path, "%s/models", build && *build ? build : "build");
  return path;
}

/* Opens them, or skips the test after saying that they are not there.  Close with aws_models_close. */
static inline struct aws_models *test_models(void) {
  struct error error = {0};
  struct aws_models *models = aws_models_open(test_models_directory(), &error);
  if (!models) {
    printf("skipped: %s\n", error.message);
    skip();
  }
  return models;
}

#endif
