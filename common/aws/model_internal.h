/* How a service is kept: a table of its model's pieces, which are read and parsed when first asked for. */
#ifndef PARAPET_AWS_MODEL_INTERNAL_H
#define PARAPET_AWS_MODEL_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "aws/shape_internal.h"

enum aws_piece_kind {
  AWS_PIECE_METADATA,
  AWS_PIECE_OPERATION,
  AWS_PIECE_SHAPE,
  AWS_PIECE_PAGINATOR,
  AWS_PIECE_WAITER,
  AWS_PIECE_RULESET,
  AWS_PIECE_KINDS
};

struct aws_operation {
  const char *name;
  json_t *definition;
  struct aws_reference input, output; /* shape_name NULL: none */
};

/* One line of the model.  value, shape and operation are written once, under the service's lock, and read without. */
struct aws_piece {
  enum aws_piece_kind kind;
  uint32_t name;           /* where it begins in the service's names */
  uint32_t offset, length; /* of its JSON in the file */
  _Atomic(json_t *) value;
  union { /* by kind */
    _Atomic(struct aws_shape *) shape;
    _Atomic(struct aws_operation *) operation;
  };
};

enum aws_protocol {
  AWS_PROTOCOL_JSON,
  AWS_PROTOCOL_REST_JSON,
  AWS_PROTOCOL_QUERY,
  AWS_PROTOCOL_EC2,
  AWS_PROTOCOL_REST_XML,
  AWS_PROTOCOL_COUNT,
  AWS_PROTOCOL_NONE = AWS_PROTOCOL_COUNT
};

struct aws_service {
  char *name;
  int file;                 /* the model, open; -1 when made from values */
  char *names;              /* of the pieces, each ended by NUL */
  struct aws_piece *pieces; /* sorted by kind and name */
  size_t piece_count;
  json_t *metadata;
  enum aws_protocol protocol;
  pthread_mutex_t lock; /* guards the first parse of a piece; recursive, since compiling a shape reads others */
};

#define AWS_MODEL_CEILING ((size_t)64 << 20) /* bytes of one model */

/* A service from an open model file; takes `file`, which is closed with the service, or here when it is refused. */
struct aws_service *aws_service_load(const char *name, int file, struct error *error);

/* The piece of that kind and name, or NULL.  Its parsed value (borrowed), or NULL when there is none or it is no JSON.
 */
struct aws_piece *aws_service_piece(const struct aws_service *service, enum aws_piece_kind kind, const char *name);
const char *aws_piece_name(const struct aws_service *service, const struct aws_piece *piece);
json_t *aws_piece_value(const struct aws_service *service, struct aws_piece *piece);
/* New NULL-terminated list of the names of a kind (the strings are borrowed); NULL when out of memory. */
const char **aws_service_names(const struct aws_service *service, enum aws_piece_kind kind);

/* Compiles an operation's piece; NULL with *error when it is broken. */
struct aws_operation *aws_operation_compile(const struct aws_service *service, const char *name, json_t *definition,
                                            struct error *error);
void aws_shape_free(struct aws_shape *shape);

/* The text of a metadata entry, "" when absent. */
const char *aws_metadata_text(const struct aws_service *service, const char *name);
/* The first protocol in our order that the metadata offers. */
enum aws_protocol aws_protocol_of(const json_t *metadata);

#endif
