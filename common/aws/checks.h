/* What can be known of an operation from the service models alone; no network.  aws.h's aws_model_* functions are thin
 * wrappers of these.  Thread-safe.  Internal to common/aws. */
#ifndef PARAPET_AWS_CHECKS_H
#define PARAPET_AWS_CHECKS_H

#include "aws/model.h"

/* Splits "service.Operation" and looks both up: 0, with *service and *found (each may be NULL) borrowed for the life of
 * `models`; or -1 with *error (INVALID: not of that form; MISSING: not in the models, message with the nearest name).
 */
int aws_models_operation(struct aws_models *models, const char *operation, const struct aws_service **service,
                         const struct aws_operation **found, struct error *error);

/* As aws_model_check_input and aws_model_check_output in aws.h. */
int aws_models_check_input(struct aws_models *models, const char *operation, const json_t *params, struct error *error);
int aws_models_check_output(struct aws_models *models, const char *operation, const char *const *path,
                            struct error *error);

#endif
