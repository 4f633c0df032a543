/* What a service tells of itself: operations, paginators, waiters, endpoint rules, protocol. */
#include <stdlib.h>
#include <string.h>

#include "aws/model_internal.h"
#include "base/config.h"

static json_t *value_of(const struct aws_service *service, enum aws_piece_kind kind, const char *name) {
  struct aws_piece *piece = aws_service_piece(service, kind, name);
  json_t *value = piece ? aws_piece_value(service, piece) : NULL;
  return json_is_object(value) ? value : NULL;
}

json_t *aws_service_metadata(const struct aws_service *service) { return service->metadata; }

json_t *aws_service_shape(const struct aws_service *service, const char *shape) {
  return value_of(service, AWS_PIECE_SHAPE, shape);
}

json_t *aws_service_ruleset(const struct aws_service *service) { return value_of(service, AWS_PIECE_RULESET, "-"); }

json_t *aws_service_paginator(const struct aws_service *service, const char *operation) {
  return value_of(service, AWS_PIECE_PAGINATOR, operation);
}

json_t *aws_service_waiter(const struct aws_service *service, const char *waiter) {
  return value_of(service, AWS_PIECE_WAITER, waiter);
}

const char *aws_service_name(const struct aws_service *service) { return service->name; }

json_t *aws_operation_definition(const struct aws_operation *operation) { return operation->definition; }

const char *aws_operation_name(const struct aws_operation *operation) { return operation->name; }

const struct aws_reference *aws_operation_input(const struct aws_operation *operation) {
  return operation->input.shape_name ? &operation->input : NULL;
}

const struct aws_reference *aws_operation_output(const struct aws_operation *operation) {
  return operation->output.shape_name ? &operation->output : NULL;
}

const char *aws_metadata_text(const struct aws_service *service, const char *name) {
  const char *text = json_string_value(json_object_get(service->metadata, name));
  return text ? text : "";
}

static const char *const protocol_names[AWS_PROTOCOL_COUNT] = {
    [AWS_PROTOCOL_JSON] = "json", [AWS_PROTOCOL_REST_JSON] = "rest-json", [AWS_PROTOCOL_QUERY] = "query",
    [AWS_PROTOCOL_EC2] = "ec2",   [AWS_PROTOCOL_REST_XML] = "rest-xml",
};

static int offers(const json_t *protocols, const char *name) {
  size_t i;
  json_t *offered;
  json_array_foreach(protocols, i, offered) {
    const char *text = json_string_value(offered);
    if (text && strcmp(text, name) == 0) return 1;
  }
  return 0;
}

enum aws_protocol aws_protocol_of(const json_t *metadata) {
  const json_t *several = json_object_get(metadata, "protocols");
  const char *one = json_string_value(json_object_get(metadata, "protocol"));
  for (int protocol = 0; protocol < AWS_PROTOCOL_COUNT; protocol++) {
    const char *name = protocol_names[protocol];
    if (json_array_size(several) > 0 ? offers(several, name) : (one && strcmp(one, name) == 0))
      return (enum aws_protocol)protocol;
  }
  return AWS_PROTOCOL_NONE;
}

static void no_such_operation(const struct aws_service *service, const char *name, struct error *error) {
  const char **names = aws_service_names(service, AWS_PIECE_OPERATION);
  const char *nearest = names ? config_nearest(name, names) : NULL;
  if (nearest)
    error_set(error, ERROR_MISSING, "NoSuchOperation", "%s has no operation \"%s\"; did you mean \"%s\"?",
              service->name, name, nearest);
  else
    error_set(error, ERROR_MISSING, "NoSuchOperation", "%s has no operation \"%s\"", service->name, name);
  free(names);
}

const struct aws_operation *aws_service_operation(const struct aws_service *service, const char *name,
                                                  struct error *error) {
  struct aws_piece *piece = aws_service_piece(service, AWS_PIECE_OPERATION, name);
  if (!piece) {
    no_such_operation(service, name, error);
    return NULL;
  }
  struct aws_operation *operation = atomic_load_explicit(&piece->operation, memory_order_acquire);
  if (operation) return operation;
  pthread_mutex_t *lock = &((struct aws_service *)service)->lock;
  pthread_mutex_lock(lock);
  operation = atomic_load_explicit(&piece->operation, memory_order_relaxed);
  if (!operation) {
    operation = aws_operation_compile(service, aws_piece_name(service, piece), aws_piece_value(service, piece), error);
    atomic_store_explicit(&piece->operation, operation, memory_order_release);
  }
  pthread_mutex_unlock(lock);
  return operation;
}
