/* The compiled models: PARAPET_MODELS, or the directory "models" beside this program.  Opened once, at the first use;
 * NULL with *error.  For one thread. */
#ifndef PARAPET_TESTS_CONFORMANCE_MODELS_H
#define PARAPET_TESTS_CONFORMANCE_MODELS_H

#include "aws/model.h"

struct aws_models *conformance_models(struct error *error);

#endif
