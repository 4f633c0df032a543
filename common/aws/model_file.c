/* A model file: one line a piece, "KIND NAME JSON", metadata last, so that a file that was cut off has none (see
 * models.py).  Where each piece's JSON stands is kept, and the file open: a piece is read and parsed when it is first
 * asked for, and the rest of a model, mostly all of it, never costs memory. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aws/model_internal.h"
#include "base/buffer.h"

#define PIECES_CEILING 200000

static const char *const kind_names[AWS_PIECE_KINDS] = {
    [AWS_PIECE_METADATA] = "metadata",   [AWS_PIECE_OPERATION] = "operation", [AWS_PIECE_SHAPE] = "shape",
    [AWS_PIECE_PAGINATOR] = "paginator", [AWS_PIECE_WAITER] = "waiter",       [AWS_PIECE_RULESET] = "ruleset",
};

/* ---- finding ---- */

const char *aws_piece_name(const struct aws_service *service, const struct aws_piece *piece) {
  return service->names + piece->name;
}

static int compare_piece(const struct aws_service *service, const struct aws_piece *piece, enum aws_piece_kind kind,
                         const char *name) {
  return piece->kind == kind ? strcmp(aws_piece_name(service, piece), name) : (int)piece->kind - (int)kind;
}

struct aws_piece *aws_service_piece(const struct aws_service *service, enum aws_piece_kind kind, const char *name) {
  size_t low = 0, high = service->piece_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    int order = compare_piece(service, &service->pieces[middle], kind, name);
    if (order == 0) return &service->pieces[middle];
    if (order < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return NULL;
}

const char **aws_service_names(const struct aws_service *service, enum aws_piece_kind kind) {
  const char **names = calloc(service->piece_count + 1, sizeof *names);
  size_t count = 0;
  for (size_t i = 0; names && i < service->piece_count; i++)
    if (service->pieces[i].kind == kind) names[count++] = aws_piece_name(service, &service->pieces[i]);
  return names;
}

/* ---- the pieces' table ---- */

struct table { /* of a service in the making */
  struct aws_service *service;
  struct buffer names;
  size_t room;
};

static struct aws_piece *add_piece(struct table *table, enum aws_piece_kind kind, const char *name) {
  struct aws_service *service = table->service;
  if (service->piece_count == PIECES_CEILING) return NULL;
  if (service->piece_count == table->room) {
    size_t room = table->room ? table->room * 2 : 64;
    struct aws_piece *pieces = realloc(service->pieces, room * sizeof *pieces);
    if (!pieces) return NULL;
    service->pieces = pieces;
    table->room = room;
  }
  struct aws_piece *piece = &service->pieces[service->piece_count];
  *piece = (struct aws_piece){.kind = kind, .name = (uint32_t)table->names.length};
  if (buffer_add(&table->names, name, strlen(name) + 1) != 0) return NULL;
  service->piece_count++;
  return piece;
}

/* By kind and name; of equal ones the first in the file. */
static int order_pieces(const void *left, const void *right, void *service) {
  const struct aws_piece *a = left, *b = right;
  int order = compare_piece(service, a, b->kind, aws_piece_name(service, b));
  return order ? order : (a->name > b->name) - (a->name < b->name);
}

/* Sorts them, drops all but the first of equal ones, and gives back what was too much room. */
static int finish_table(struct table *table) {
  struct aws_service *service = table->service;
  if (service->piece_count == 0) return 0;
  service->names = buffer_take(&table->names);
  if (!service->names) return -1;
  qsort_r(service->pieces, service->piece_count, sizeof *service->pieces, order_pieces, service);
  size_t kept = 0;
  for (size_t i = 0; i < service->piece_count; i++) {
    const struct aws_piece *piece = &service->pieces[i], *last = kept > 0 ? &service->pieces[kept - 1] : NULL;
    if (last && compare_piece(service, last, piece->kind, aws_piece_name(service, piece)) == 0)
      json_decref(piece->value);
    else
      service->pieces[kept++] = *piece;
  }
  service->piece_count = kept;
  struct aws_piece *pieces = realloc(service->pieces, kept * sizeof *pieces);
  if (pieces) service->pieces = pieces;
  return 0;
}

/* ---- reading ---- */

static enum aws_piece_kind kind_of(const char *word) {
  for (int kind = 0; kind < AWS_PIECE_KINDS; kind++)
    if (strcmp(kind_names[kind], word) == 0) return (enum aws_piece_kind)kind;
  return AWS_PIECE_KINDS;
}

/* "KIND NAME JSON", which stands at `offset` of the file.  Lines of a kind that is not known are left out. */
static int add_line(struct table *table, char *line, size_t length, size_t offset) {
  char *end = line + length, *name = memchr(line, ' ', length);
  if (!name) return -1;
  *name++ = '\0';
  char *text = memchr(name, ' ', (size_t)(end - name));
  if (!text) return -1;
  *text++ = '\0';
  enum aws_piece_kind kind = kind_of(line);
  if (kind == AWS_PIECE_KINDS) return 0;
  struct aws_piece *piece = add_piece(table, kind, name);
  if (!piece) return -1;
  piece->offset = (uint32_t)(offset + (size_t)(text - line));
  piece->length = (uint32_t)(end - text);
  return 0;
}

static int read_lines(struct table *table, FILE *in) {
  char *line = NULL;
  size_t room = 0, offset = 0;
  int result = 0;
  for (ssize_t got; result == 0 && (got = getline(&line, &room, in)) > 0; offset += (size_t)got) {
    if (offset + (size_t)got > AWS_MODEL_CEILING || line[got - 1] != '\n') result = -1; /* too large, or cut off */
    if (result == 0 && got > 1) result = add_line(table, line, (size_t)got - 1, offset);
  }
  free(line);
  return ferror(in) ? -1 : result;
}

/* Reads through a descriptor of its own, so that the buffer goes and the file stays open. */
static int read_pieces(struct aws_service *service) {
  struct table table = {.service = service};
  int again = fcntl(service->file, F_DUPFD_CLOEXEC, 0);
  FILE *in = again >= 0 ? fdopen(again, "r") : NULL;
  if (!in) {
    if (again >= 0) close(again);
    return -1;
  }
  int result = read_lines(&table, in);
  fclose(in);
  if (result == 0) result = finish_table(&table);
  buffer_free(&table.names);
  return result;
}

static json_t *read_value(const struct aws_service *service, const struct aws_piece *piece) {
  char *text = malloc(piece->length + (size_t)1);
  json_t *value = NULL;
  if (text && pread(service->file, text, piece->length, (off_t)piece->offset) == (ssize_t)piece->length)
    value = json_loadb(text, piece->length, JSON_DECODE_ANY, NULL);
  free(text);
  return value;
}

json_t *aws_piece_value(const struct aws_service *service, struct aws_piece *piece) {
  json_t *value = atomic_load_explicit(&piece->value, memory_order_acquire);
  if (value || service->file < 0) return value;
  pthread_mutex_t *lock = &((struct aws_service *)service)->lock;
  pthread_mutex_lock(lock);
  value = atomic_load_explicit(&piece->value, memory_order_relaxed);
  if (!value) {
    value = read_value(service, piece);
    atomic_store_explicit(&piece->value, value, memory_order_release);
  }
  pthread_mutex_unlock(lock);
  return value;
}

/* ---- services ---- */

static struct aws_service *new_service(const char *name, struct error *error) {
  struct aws_service *service = calloc(1, sizeof *service);
  pthread_mutexattr_t recursive;
  if (service && (service->name = strdup(name)) != NULL && pthread_mutexattr_init(&recursive) == 0) {
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    int made = pthread_mutex_init(&service->lock, &recursive);
    pthread_mutexattr_destroy(&recursive);
    if (made == 0) {
      service->file = -1;
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

struct aws_service *aws_service_load(const char *name, int file, struct error *error) {
  struct aws_service *service = new_service(name, error);
  if (!service) {
    close(file);
    return NULL;
  }
  service->file = file;
  if (read_pieces(service) != 0) return refuse(service, error);
  struct aws_piece *metadata = aws_service_piece(service, AWS_PIECE_METADATA, "-");
  service->metadata = metadata ? aws_piece_value(service, metadata) : NULL;
  if (!json_is_object(service->metadata)) return refuse(service, error);
  service->protocol = aws_protocol_of(service->metadata);
  return service;
}

static int add_value(struct table *table, enum aws_piece_kind kind, const char *name, json_t *value) {
  struct aws_piece *piece = add_piece(table, kind, name);
  if (piece) atomic_init(&piece->value, json_incref(value));
  return piece ? 0 : -1;
}

static int add_values(struct table *table, enum aws_piece_kind kind, json_t *values) {
  const char *name;
  json_t *value;
  json_object_foreach(values, name, value) if (add_value(table, kind, name, value) != 0) return -1;
  return 0;
}

struct aws_service *aws_service_make(json_t *metadata, json_t *shapes, json_t *operations, struct error *error) {
  const char *name = json_string_value(json_object_get(metadata, "serviceId"));
  struct aws_service *service = new_service(name ? name : "service", error);
  if (!service) return NULL;
  struct table table = {.service = service};
  int failed = add_value(&table, AWS_PIECE_METADATA, "-", metadata) != 0 ||
               add_values(&table, AWS_PIECE_SHAPE, shapes) != 0 ||
               add_values(&table, AWS_PIECE_OPERATION, operations) != 0 || finish_table(&table) != 0;
  buffer_free(&table.names);
  if (failed) return refuse(service, error);
  service->metadata = metadata;
  service->protocol = aws_protocol_of(metadata);
  return service;
}

static void free_piece(struct aws_piece *piece) {
  if (piece->kind == AWS_PIECE_SHAPE) aws_shape_free(atomic_load(&piece->shape));
  if (piece->kind == AWS_PIECE_OPERATION) free(atomic_load(&piece->operation));
  json_decref(atomic_load(&piece->value));
}

void aws_service_free(struct aws_service *service) {
  if (!service) return;
  for (size_t i = 0; i < service->piece_count; i++) free_piece(&service->pieces[i]);
  free(service->pieces);
  free(service->names);
  free(service->name);
  if (service->file >= 0) close(service->file);
  pthread_mutex_destroy(&service->lock);
  free(service);
}
