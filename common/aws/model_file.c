/* A model file: gzip, and inside it one line a piece, "KIND NAME JSON" (see models.py).  The lines are cut in place and
 * indexed by a hash table; no JSON is parsed here except the metadata. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "aws/model_internal.h"
#include "base/buffer.h"

#define PIECES_CEILING 200000

static const char *const kind_names[AWS_PIECE_KINDS] = {
    [AWS_PIECE_METADATA] = "metadata",   [AWS_PIECE_OPERATION] = "operation", [AWS_PIECE_SHAPE] = "shape",
    [AWS_PIECE_PAGINATOR] = "paginator", [AWS_PIECE_WAITER] = "waiter",       [AWS_PIECE_RULESET] = "ruleset",
};

char *aws_inflate_file(const char *path, size_t ceiling, size_t *length, struct error *error) {
  gzFile file = gzopen(path, "rbe");
  if (!file) {
    error_set(error, errno == ENOENT ? ERROR_MISSING : ERROR_INVALID, "Models", "%s cannot be read: %s", path,
              strerror(errno));
    return NULL;
  }
  struct buffer text = {.ceiling = ceiling};
  char chunk[16384];
  int got;
  while ((got = gzread(file, chunk, sizeof chunk)) > 0)
    if (buffer_add(&text, chunk, (size_t)got) != 0) break;
  int whole = got == 0;
  if (gzclose(file) != Z_OK) whole = 0; /* also says that the end is missing */
  *length = text.length;
  char *taken = whole ? buffer_take(&text) : NULL;
  buffer_free(&text);
  if (!taken) error_set(error, ERROR_INVALID, "Models", "%s is damaged or too large: run `make models`", path);
  return taken;
}

static uint32_t hash_name(enum aws_piece_kind kind, const char *name) {
  uint32_t hash = 2166136261u ^ (uint32_t)kind;
  for (const unsigned char *byte = (const unsigned char *)name; *byte; byte++) hash = (hash ^ *byte) * 16777619u;
  return hash;
}

/* The place of that piece in the table: where it is, or the free place where it would be. */
static size_t find_place(const struct aws_service *service, enum aws_piece_kind kind, const char *name) {
  size_t mask = service->table_size - 1;
  size_t place = hash_name(kind, name) & mask;
  while (service->table[place]) {
    const struct aws_piece *piece = &service->pieces[service->table[place] - 1];
    if (piece->kind == kind && strcmp(piece->name, name) == 0) break;
    place = (place + 1) & mask;
  }
  return place;
}

struct aws_piece *aws_service_piece(const struct aws_service *service, enum aws_piece_kind kind, const char *name) {
  uint32_t index = service->table[find_place(service, kind, name)];
  return index ? &service->pieces[index - 1] : NULL;
}

/* Room for `count` pieces; the table stays at most half full. */
static int make_room(struct aws_service *service, size_t count) {
  if (count > PIECES_CEILING) return -1;
  service->table_size = 16;
  while (service->table_size < count * 2) service->table_size *= 2;
  service->table = calloc(service->table_size, sizeof *service->table);
  service->pieces = calloc(count ? count : 1, sizeof *service->pieces);
  return service->table && service->pieces ? 0 : -1;
}

static struct aws_piece *add_piece(struct aws_service *service, enum aws_piece_kind kind, const char *name) {
  size_t place = find_place(service, kind, name);
  if (service->table[place]) return NULL; /* the first of two equal names counts */
  struct aws_piece *piece = &service->pieces[service->piece_count++];
  service->table[place] = (uint32_t)service->piece_count;
  piece->kind = kind;
  piece->name = name;
  return piece;
}

static enum aws_piece_kind kind_of(const char *word) {
  for (int kind = 0; kind < AWS_PIECE_KINDS; kind++)
    if (strcmp(kind_names[kind], word) == 0) return (enum aws_piece_kind)kind;
  return AWS_PIECE_KINDS;
}

/* Cuts "KIND NAME JSON" (NUL-terminated) and adds it.  Lines of a kind that is not known are left out. */
static int add_line(struct aws_service *service, char *line, size_t length) {
  char *end = line + length;
  char *name = memchr(line, ' ', length);
  if (!name) return -1;
  *name++ = '\0';
  char *text = memchr(name, ' ', (size_t)(end - name));
  if (!text) return -1;
  *text++ = '\0';
  enum aws_piece_kind kind = kind_of(line);
  if (kind == AWS_PIECE_KINDS) return 0;
  struct aws_piece *piece = add_piece(service, kind, name);
  if (!piece) return 0;
  piece->text = text;
  piece->length = (size_t)(end - text);
  return 0;
}

static size_t count_lines(const char *text, size_t length) {
  size_t count = 1;
  for (const char *at = text; (at = memchr(at, '\n', length - (size_t)(at - text))) != NULL; at++) count++;
  return count;
}

static int cut_lines(struct aws_service *service, size_t length) {
  char *end = service->text + length;
  for (char *line = service->text; line < end;) {
    char *stop = memchr(line, '\n', (size_t)(end - line));
    if (!stop) stop = end;
    *stop = '\0'; /* the text has a NUL behind its end */
    if (stop > line && add_line(service, line, (size_t)(stop - line)) != 0) return -1;
    line = stop + 1;
  }
  return 0;
}

static struct aws_service *new_service(const char *name, struct error *error) {
  struct aws_service *service = calloc(1, sizeof *service);
  pthread_mutexattr_t recursive;
  if (service && (service->name = strdup(name)) != NULL && pthread_mutexattr_init(&recursive) == 0) {
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    int made = pthread_mutex_init(&service->lock, &recursive);
    pthread_mutexattr_destroy(&recursive);
    if (made == 0) {
      service->protocol = AWS_PROTOCOL_NONE;
      return service;
    }
  }
  if (service) free(service->name);
  free(service);
  error_set(error, ERROR_FATAL, "OutOfMemory", "out of memory");
  return NULL;
}

static struct aws_service *refuse(struct aws_service *service, struct error *error) {
  error_set(error, ERROR_INVALID, "Models", "the model of %s is damaged: run `make models`", service->name);
  aws_service_free(service);
  return NULL;
}

struct aws_service *aws_service_load(const char *name, char *text, size_t length, struct error *error) {
  struct aws_service *service = new_service(name, error);
  if (!service) {
    free(text);
    return NULL;
  }
  service->text = text;
  if (make_room(service, count_lines(text, length)) != 0 || cut_lines(service, length) != 0)
    return refuse(service, error);
  struct aws_piece *metadata = aws_service_piece(service, AWS_PIECE_METADATA, "-");
  service->metadata = metadata ? aws_piece_value(service, metadata) : NULL;
  if (!json_is_object(service->metadata)) return refuse(service, error);
  service->protocol = aws_protocol_of(service->metadata);
  return service;
}

static void add_values(struct aws_service *service, enum aws_piece_kind kind, json_t *values) {
  const char *name;
  json_t *value;
  json_object_foreach(values, name, value) {
    struct aws_piece *piece = add_piece(service, kind, name);
    if (piece) atomic_init(&piece->value, json_incref(value));
  }
}

struct aws_service *aws_service_make(json_t *metadata, json_t *shapes, json_t *operations, struct error *error) {
  const char *name = json_string_value(json_object_get(metadata, "serviceId"));
  struct aws_service *service = new_service(name ? name : "service", error);
  if (!service) return NULL;
  /* The names of the pieces are the keys of the given objects, which the pieces' owners must keep alive. */
  json_t *given = json_pack("{s:O, s:O*, s:O*}", "metadata", metadata, "shapes", shapes, "operations", operations);
  if (!given || make_room(service, json_object_size(shapes) + json_object_size(operations) + 2) != 0) {
    json_decref(given);
    return refuse(service, error);
  }
  add_values(service, AWS_PIECE_SHAPE, shapes);
  add_values(service, AWS_PIECE_OPERATION, operations);
  struct aws_piece *keeper = add_piece(service, AWS_PIECE_METADATA, "-");
  atomic_init(&keeper->value, given);
  service->metadata = metadata;
  service->protocol = aws_protocol_of(metadata);
  return service;
}

void aws_service_free(struct aws_service *service) {
  if (!service) return;
  for (size_t i = 0; i < service->piece_count; i++) {
    aws_shape_free(atomic_load(&service->pieces[i].shape));
    free(atomic_load(&service->pieces[i].operation));
    json_decref(atomic_load(&service->pieces[i].value));
  }
  free(service->pieces);
  free(service->table);
  free(service->text);
  free(service->name);
  pthread_mutex_destroy(&service->lock);
  free(service);
}

json_t *aws_piece_value(const struct aws_service *service, struct aws_piece *piece) {
  json_t *value = atomic_load_explicit(&piece->value, memory_order_acquire);
  if (value || !piece->text) return value;
  pthread_mutex_t *lock = &((struct aws_service *)service)->lock;
  pthread_mutex_lock(lock);
  value = atomic_load_explicit(&piece->value, memory_order_relaxed);
  if (!value) {
    value = json_loadb(piece->text, piece->length, JSON_DECODE_ANY, NULL);
    atomic_store_explicit(&piece->value, value, memory_order_release);
  }
  pthread_mutex_unlock(lock);
  return value;
}

const char **aws_service_names(const struct aws_service *service, enum aws_piece_kind kind) {
  const char **names = calloc(service->piece_count + 1, sizeof *names);
  size_t count = 0;
  for (size_t i = 0; names && i < service->piece_count; i++)
    if (service->pieces[i].kind == kind) names[count++] = service->pieces[i].name;
  return names;
}
