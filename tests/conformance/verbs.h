/* The conformance program's verbs: each takes one request and returns its answer (new), or NULL with *error when it
 * cannot do what is asked: the program then answers {"failure": message}. */
#ifndef PARAPET_TESTS_CONFORMANCE_VERBS_H
#define PARAPET_TESTS_CONFORMANCE_VERBS_H

#include "base/error.h"
#include "json/value.h"

json_t *verb_endpoint(json_t *request, struct error *error);
json_t *verb_jmespath(json_t *request, struct error *error);
json_t *verb_pattern(json_t *request, struct error *error);
json_t *verb_sign(json_t *request, struct error *error);
json_t *verb_serialize(json_t *request, struct error *error);
json_t *verb_parse(json_t *request, struct error *error);

#endif
