#include "aws/checks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/protocol_internal.h"
#include "base/config.h"

int aws_models_operation(struct aws_models *models, const char *operation, const struct aws_service **service,
                         const struct aws_operation **found, struct error *error) {
  char name[96];
  const char *dot = strchr(operation, '.');
  if (!dot || dot == operation || !dot[1] || (size_t)(dot - operation) >= sizeof name)
    return error_set(error, ERROR_INVALID, "InvalidOperation",
                     "\"%s\" is no operation: write SERVICE.Operation, as in ec2.DescribeInstances", operation);
  snprintf(name, sizeof name, "%.*s", (int)(dot - operation), operation);
  const struct aws_service *its_service = aws_models_service(models, name, error);
  if (!its_service) return -1;
  const struct aws_operation *itself = aws_service_operation(its_service, dot + 1, error);
  if (!itself) return -1;
  if (service) *service = its_service;
  if (found) *found = itself;
  return 0;
}

/* What the quirks accept besides the model's own names is renamed or filled in before the check, as in a request. */
static int check_with_quirks(const struct aws_service *service, const struct aws_operation *operation,
                             const json_t *params, struct error *error) {
  struct aws_serializing serializing = {
      .service = service,
      .operation = operation,
      .input = aws_operation_input(operation),
      .params = params ? json_copy((json_t *)params) : json_object(),
      .options = {.blobs_as_text = 1},
      .error = error,
  };
  int result = -1;
  if (!serializing.params)
    error_set(error, ERROR_FATAL, "OutOfMemory", "out of memory");
  else if (aws_quirks_names(&serializing) == 0)
    result = aws_check_params(service, serializing.input, serializing.params, 1, error);
  json_decref(serializing.params);
  return result;
}

int aws_models_check_input(struct aws_models *models, const char *operation, const json_t *params,
                           struct error *error) {
  const struct aws_service *service = NULL;
  const struct aws_operation *found = NULL;
  struct error ignored = {0};
  if (aws_models_operation(models, operation, &service, &found, error) != 0) return -1;
  if (json_is_string(params) && strstr(json_string_value(params), "${")) return 0; /* all of them computed */
  if (params && !json_is_object(params) && !json_is_null(params))
    return error_set(error, ERROR_INVALID, "WrongType", "the parameters of an operation are an object");
  return check_with_quirks(service, found, json_is_null(params) ? NULL : params, error ? error : &ignored);
}

/* ---- output paths ---- */

static int wrong_step(const struct aws_shape *shape, const char *step, const char *const *path, size_t depth,
                      struct error *error) {
  const char **names = calloc((size_t)shape->member_count + 1, sizeof *names);
  const char *nearest = NULL;
  if (names && shape->type == AWS_TYPE_STRUCTURE) {
    for (int i = 0; i < shape->member_count; i++) names[i] = shape->members[i].name;
    nearest = config_nearest(step, names);
  }
  if (nearest)
    error_set(error, ERROR_INVALID, "UnknownMember", "%s has no member \"%s\"; did you mean \"%s\"?", shape->name, step,
              nearest);
  else if (shape->type == AWS_TYPE_STRUCTURE)
    error_set(error, ERROR_INVALID, "UnknownMember", "%s has no member \"%s\"", shape->name, step);
  else if (shape->type == AWS_TYPE_LIST)
    error_set(error, ERROR_INVALID, "UnknownMember", "%s is a list: \"%s\" is a member of its elements, if anything",
              shape->name, step);
  else
    error_set(error, ERROR_INVALID, "UnknownMember", "%s has no members, and so no \"%s\"", shape->name, step);
  free(names);
  struct buffer where = {.ceiling = 1024};
  for (size_t i = 0; i <= depth; i++) buffer_addf(&where, "/%s", path[i]);
  error_where(error, "%s", buffer_text(&where));
  buffer_free(&where);
  return -1;
}

/* The reference that one step of a path leads to, or NULL. */
static const struct aws_reference *take_step(const struct aws_shape *shape, const char *step) {
  int is_index = strcmp(step, "[]") == 0;
  switch (shape->type) {
    case AWS_TYPE_STRUCTURE:
      return aws_shape_member(shape, step, strlen(step));
    case AWS_TYPE_LIST:
      return is_index ? &shape->members[0] : NULL;
    case AWS_TYPE_MAP:
      return is_index ? NULL : &shape->members[1];
    default:
      return NULL;
  }
}

int aws_models_check_output(struct aws_models *models, const char *operation, const char *const *path,
                            struct error *error) {
  const struct aws_service *service = NULL;
  const struct aws_operation *found = NULL;
  if (aws_models_operation(models, operation, &service, &found, error) != 0) return -1;
  const struct aws_reference *reference = aws_operation_output(found);
  if (!reference && path[0])
    return error_set(error, ERROR_INVALID, "UnknownMember", "%s answers nothing, and so no \"%s\"", operation, path[0]);
  for (size_t depth = 0; path[depth]; depth++) {
    const struct aws_shape *shape = aws_resolve(service, reference, error);
    if (!shape) return -1;
    if (aws_has(reference, AWS_DOCUMENT) || aws_has(reference, AWS_JSON_VALUE)) return 0; /* may hold anything */
    reference = take_step(shape, path[depth]);
    if (!reference) return wrong_step(shape, path[depth], path, depth, error);
  }
  return 0;
}
