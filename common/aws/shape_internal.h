/* Shapes, compiled: what the protocols walk.  botocore merges what a reference ("member") says over what the shape
 * itself says; here that merge is made once, when the structure that holds the reference is compiled.
 *
 * A shape is compiled when something first refers to it, under its service's lock, and then published by an atomic
 * pointer: it never changes, and readers never lock.  Everything lives as long as its service. */
#ifndef PARAPET_AWS_SHAPE_INTERNAL_H
#define PARAPET_AWS_SHAPE_INTERNAL_H

#include <stdatomic.h>
#include <stddef.h>

#include "aws/model.h"

enum aws_type {
  AWS_TYPE_STRUCTURE,
  AWS_TYPE_LIST,
  AWS_TYPE_MAP,
  AWS_TYPE_STRING, /* "character" too */
  AWS_TYPE_INTEGER,
  AWS_TYPE_LONG,
  AWS_TYPE_FLOAT,
  AWS_TYPE_DOUBLE,
  AWS_TYPE_BOOLEAN,
  AWS_TYPE_TIMESTAMP,
  AWS_TYPE_BLOB,
  AWS_TYPE_COUNT
};

enum aws_location { AWS_IN_BODY, AWS_IN_URI, AWS_IN_QUERY, AWS_IN_HEADER, AWS_IN_HEADERS, AWS_IN_STATUS };

enum aws_time_format {
  AWS_TIME_DEFAULT,
  AWS_TIME_ISO8601,
  AWS_TIME_RFC822,
  AWS_TIME_UNIX,
  AWS_TIME_ISO8601_MS,
  AWS_TIME_UNIX_MS
};

enum aws_flag {
  AWS_FLATTENED = 1 << 0,
  AWS_XML_ATTRIBUTE = 1 << 1,
  AWS_STREAMING = 1 << 2,
  AWS_IDEMPOTENCY_TOKEN = 1 << 3,
  AWS_HOST_LABEL = 1 << 4,
  AWS_JSON_VALUE = 1 << 5,
  AWS_EVENT_STREAM = 1 << 6,
  AWS_EXCEPTION = 1 << 7,
  AWS_DOCUMENT = 1 << 8,
  AWS_UNION = 1 << 9,
  AWS_EVENT_HEADER = 1 << 10,
  AWS_EVENT_PAYLOAD = 1 << 11,
};

/* What the model says about how a value goes over the wire.  Strings are borrowed from the model. */
struct aws_traits {
  unsigned flags; /* enum aws_flag */
  enum aws_location location;
  enum aws_time_format time_format;
  const char *wire_name;            /* locationName, or NULL */
  const char *query_name;           /* queryName (ec2), or NULL */
  const char *payload;              /* the member that is the body, or NULL */
  const char *result_wrapper;       /* query: the element that holds the result, or NULL */
  const char *xml_uri, *xml_prefix; /* xmlNamespace, or NULL */
};

struct aws_shape;

/* One use of a shape: a member, a list's element, a map's key or value, an operation's input or output. */
struct aws_reference {
  const char *name;                  /* the member's name; "" elsewhere */
  const char *answer_name;           /* a member's name in answers */
  const char *shape_name;            /* which shape */
  struct aws_traits traits;          /* merged: its own over its shape's */
  int required;                      /* in its structure */
  int same_wire;                     /* index of the next member with the same name on the wire, or -1 */
  _Atomic(struct aws_shape *) shape; /* NULL until first resolved */
};

struct aws_shape {
  const char *name;
  enum aws_type type;
  struct aws_traits traits;
  double minimum; /* of a number, a length or a count; meaningful with has_minimum */
  int has_minimum;
  struct aws_reference *members; /* structure: in the model's order; list: [0] the element; map: [0] key, [1] value */
  int member_count;
  int *by_name, *by_wire; /* structure: open hash tables of member indexes, -1 free; table_size a power of two */
  unsigned table_size;
};

/* The shape that a reference means, compiled; NULL with *error (FATAL) when the model has no such shape, or a broken
 * one. */
const struct aws_shape *aws_resolve(const struct aws_service *service, const struct aws_reference *reference,
                                    struct error *error);
/* The operation's input or output, or NULL when it has none. */
const struct aws_reference *aws_operation_input(const struct aws_operation *operation);
const struct aws_reference *aws_operation_output(const struct aws_operation *operation);
const char *aws_operation_name(const struct aws_operation *operation);

/* FNV-1a, what the tables of members are addressed by: from AWS_HASH_START on, byte after byte. */
#define AWS_HASH_START 2166136261u
static inline unsigned aws_hash_byte(unsigned hash, char byte) { return (hash ^ (unsigned char)byte) * 16777619u; }

/* A structure's member by its name, or by its name in answers (several may share one: see same_wire); NULL: none. */
const struct aws_reference *aws_shape_member(const struct aws_shape *shape, const char *name, size_t length);
const struct aws_reference *aws_shape_wire_member(const struct aws_shape *shape, const char *name);
const struct aws_reference *aws_shape_hashed_member(const struct aws_shape *shape, const char *name, unsigned hash);

static inline int aws_has(const struct aws_reference *reference, unsigned flag) {
  /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a shape that is asked has traits */
  return (reference->traits.flags & flag) != 0;
}
/* The reference's name on the wire, or `otherwise`. */
static inline const char *aws_wire(const struct aws_reference *reference, const char *otherwise) {
  return reference->traits.wire_name ? reference->traits.wire_name : otherwise;
}

#endif
