#include "models.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct aws_models *conformance_models(struct error *error) {
  static struct aws_models *opened;
  const char *given = getenv("PARAPET_MODELS");
  char path[PATH_MAX] = "";
  if (opened) return opened;
  ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  char *slash = length > 0 ? strrchr(path, '/') : NULL;
  if (slash) snprintf(slash, sizeof path - (size_t)(slash - path), "/models");
  return opened = aws_models_open(given ? given : path, error);
}
