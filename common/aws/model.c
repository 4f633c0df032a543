#include "aws/model.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aws/model_internal.h"
#include "base/buffer.h"
#include "base/config.h"

#define NAMES_CEILING 4096 /* services */

/* One service of the directory.  `service` is written once under `lock`, which only those wait for who want the same.
 */
struct slot {
  char *name;
  pthread_mutex_t lock;
  _Atomic(struct aws_service *) service;
};

struct aws_models {
  char *directory;
  char *names_text;   /* services.txt, cut into lines */
  struct slot *slots; /* sorted by name */
  size_t slot_count;
  pthread_mutex_t partitions_lock;
  json_t *partitions;
};

static char *join_path(const char *directory, const char *name, const char *suffix) {
  struct buffer path = {.ceiling = 4096};
  buffer_addf(&path, "%s/%s%s", directory, name, suffix);
  if (!path.failed) return buffer_take(&path);
  buffer_free(&path);
  return NULL;
}

static int out_of_memory(struct error *error) { return error_set(error, ERROR_FATAL, "OutOfMemory", "out of memory"); }

static int add_slot(struct aws_models *models, char *name) {
  if (models->slot_count == NAMES_CEILING) return -1;
  struct slot *slot = &models->slots[models->slot_count];
  if (pthread_mutex_init(&slot->lock, NULL) != 0) return -1;
  slot->name = name;
  atomic_init(&slot->service, NULL);
  models->slot_count++;
  return 0;
}

static int compare_slots(const void *left, const void *right) {
  return strcmp(((const struct slot *)left)->name, ((const struct slot *)right)->name);
}

/* The descriptor, or -1 with *error (MISSING or INVALID). */
static int open_file(const struct aws_models *models, const char *name, const char *suffix, struct error *error) {
  char *path = join_path(models->directory, name, suffix);
  if (!path) return out_of_memory(error);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0)
    error_set(error, errno == ENOENT ? ERROR_MISSING : ERROR_INVALID, "Models", "%s cannot be read: %s", path,
              strerror(errno));
  free(path);
  return file;
}

static FILE *open_text(const struct aws_models *models, const char *name, struct error *error) {
  int file = open_file(models, name, "", error);
  FILE *in = file >= 0 ? fdopen(file, "r") : NULL;
  if (in || file < 0) return in;
  close(file);
  out_of_memory(error);
  return NULL;
}

/* services.txt as one text. */
static int read_names_text(struct aws_models *models, struct error *error) {
  FILE *in = open_text(models, "services.txt", error);
  if (!in) return -1;
  size_t room = 0;
  ssize_t got = getdelim(&models->names_text, &room, '\0', in);
  fclose(in);
  return got >= 0 ? 0 : error_set(error, ERROR_INVALID, "Models", "%s/services.txt is empty", models->directory);
}

static int read_names(struct aws_models *models, struct error *error) {
  if (read_names_text(models, error) != 0) return -1;
  models->slots = calloc(NAMES_CEILING, sizeof *models->slots);
  if (!models->slots) return out_of_memory(error);
  char *rest = models->names_text;
  for (char *name; (name = strsep(&rest, "\n")) != NULL;)
    if (*name != '\0' && add_slot(models, name) != 0)
      return error_set(error, ERROR_INVALID, "Models", "%s/services.txt names too many services", models->directory);
  if (models->slot_count == 0)
    return error_set(error, ERROR_INVALID, "Models", "%s/services.txt names no service", models->directory);
  qsort(models->slots, models->slot_count, sizeof *models->slots, compare_slots);
  return 0;
}

struct aws_models *aws_models_open(const char *directory, struct error *error) {
  struct aws_models *models = calloc(1, sizeof *models);
  if (!models || pthread_mutex_init(&models->partitions_lock, NULL) != 0) {
    free(models);
    out_of_memory(error);
    return NULL;
  }
  models->directory = strdup(directory);
  if (!models->directory)
    out_of_memory(error);
  else if (read_names(models, error) == 0)
    return models;
  if (error && error->class == ERROR_MISSING)
    error_set(error, ERROR_MISSING, "Models", "no service models in %s: run `make models`", directory);
  aws_models_close(models);
  return NULL;
}

void aws_models_close(struct aws_models *models) {
  if (!models) return;
  for (size_t i = 0; i < models->slot_count; i++) {
    aws_service_free(atomic_load(&models->slots[i].service));
    pthread_mutex_destroy(&models->slots[i].lock);
  }
  json_decref(models->partitions);
  pthread_mutex_destroy(&models->partitions_lock);
  free(models->slots);
  free(models->names_text);
  free(models->directory);
  free(models);
}

static struct aws_service *load(const struct aws_models *models, const char *name, struct error *error) {
  int file = open_file(models, name, ".model", error);
  return file >= 0 ? aws_service_load(name, file, error) : NULL;
}

static void no_such_service(const struct aws_models *models, const char *name, struct error *error) {
  const char **names = calloc(models->slot_count + 1, sizeof *names);
  const char *nearest = NULL;
  if (names) {
    for (size_t i = 0; i < models->slot_count; i++) names[i] = models->slots[i].name;
    nearest = config_nearest(name, names);
  }
  if (nearest)
    error_set(error, ERROR_MISSING, "NoSuchService", "AWS has no service \"%s\"; did you mean \"%s\"?", name, nearest);
  else
    error_set(error, ERROR_MISSING, "NoSuchService", "AWS has no service \"%s\"", name);
  free(names);
}

const struct aws_service *aws_models_service(struct aws_models *models, const char *name, struct error *error) {
  struct slot key = {.name = (char *)name};
  struct slot *slot = bsearch(&key, models->slots, models->slot_count, sizeof key, compare_slots);
  if (!slot) {
    no_such_service(models, name, error);
    return NULL;
  }
  struct aws_service *service = atomic_load_explicit(&slot->service, memory_order_acquire);
  if (service) return service;
  pthread_mutex_lock(&slot->lock);
  service = atomic_load_explicit(&slot->service, memory_order_relaxed);
  if (!service) {
    service = load(models, slot->name, error);
    atomic_store_explicit(&slot->service, service, memory_order_release);
  }
  pthread_mutex_unlock(&slot->lock);
  return service;
}

static json_t *load_partitions(const struct aws_models *models, struct error *error) {
  FILE *in = open_text(models, "partitions.json", error);
  if (!in) return NULL;
  json_error_t wrong;
  json_t *partitions = json_loadf(in, 0, &wrong);
  fclose(in);
  if (!partitions) error_set(error, ERROR_INVALID, "Models", "partitions.json, line %d: %s", wrong.line, wrong.text);
  return partitions;
}

json_t *aws_models_partitions(struct aws_models *models, struct error *error) {
  pthread_mutex_lock(&models->partitions_lock);
  if (!models->partitions) models->partitions = load_partitions(models, error);
  json_t *partitions = models->partitions;
  pthread_mutex_unlock(&models->partitions_lock);
  return partitions;
}
