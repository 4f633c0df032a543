/* Service models: botocore's data, stripped by models.py, read piece by piece, immutable once read.
 * Internal to common/aws and the conformance program.  Thread-safe. */
#ifndef PARAPET_AWS_MODEL_H
#define PARAPET_AWS_MODEL_H

#include "base/error.h"
#include "json/value.h"

struct aws_models;
struct aws_service;   /* one service: metadata, operations, shapes, paginators, waiters, endpoint rule set */
struct aws_operation; /* one operation of a service */

struct aws_models *aws_models_open(const char *directory, struct error *error);
void aws_models_close(struct aws_models *models);
/* Borrowed for the life of `models`; NULL with *error (MISSING, nearest service name in the message). */
const struct aws_service *aws_models_service(struct aws_models *models, const char *name, struct error *error);
/* partitions.json, borrowed. */
json_t *aws_models_partitions(struct aws_models *models, struct error *error);

/* A service made from {metadata, shapes} and one operation as botocore's protocol cases have it ("given"): for the
 * conformance program.  New; freed by aws_service_free. */
struct aws_service *aws_service_make(json_t *metadata, json_t *shapes, json_t *operations, struct error *error);
void aws_service_free(struct aws_service *service);

/* Borrowed pieces; json_null-free: NULL when absent. */
json_t *aws_service_metadata(const struct aws_service *service);
json_t *aws_service_shape(const struct aws_service *service, const char *shape);         /* its definition */
json_t *aws_service_ruleset(const struct aws_service *service);                          /* endpoint-rule-set-1.json */
json_t *aws_service_paginator(const struct aws_service *service, const char *operation); /* with sdk-extras merged */
json_t *aws_service_waiter(const struct aws_service *service, const char *waiter);
const char *aws_service_name(const struct aws_service *service);
/* NULL with *error (MISSING, nearest operation name in the message). */
const struct aws_operation *aws_service_operation(const struct aws_service *service, const char *name,
                                                  struct error *error);
json_t *aws_operation_definition(
    const struct aws_operation *operation); /* {name, http, input, output, errors, endpoint …} */

#endif
