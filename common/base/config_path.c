#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/config.h"

const char *config_path(const struct config *config, const char *setting, const char *below) {
  static const char *const places[] = {"", "/../share/parapet", "/..", "/../worker"};
  static _Thread_local char paths[4][PATH_MAX + 256];
  static _Thread_local unsigned next;
  char program[PATH_MAX];
  const char *given = config_text(config, setting);
  ssize_t length = *given ? -1 : readlink("/proc/self/exe", program, sizeof program - 1);
  if (length < 0) return *given ? given : below;
  program[length] = '\0';
  char *slash = strrchr(program, '/');
  if (slash) *slash = '\0';
  char *path = paths[next++ % 4];
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    snprintf(path, sizeof *paths, "%s%s/%s", program, places[i], below);
    if (access(path, R_OK) == 0) return path;
  }
  return below;
}
