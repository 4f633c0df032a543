/* {"do": "endpoint", "service": "s3" | "ruleset": {…}, "partitions": {…}, "params": {…}} → {"url", "headers",
 * "properties"} or {"error": "message"}.  Without "partitions" those of the compiled models are taken. */
#include "aws/endpoint.h"
#include "aws/model.h"
#include "models.h"
#include "verbs.h"

static struct aws_partitions *partitions_of(json_t *given, struct error *error) {
  if (given) return aws_partitions_open(given, error);
  struct aws_models *models = conformance_models(error);
  json_t *document = models ? aws_models_partitions(models, error) : NULL;
  return document ? aws_partitions_open(document, error) : NULL;
}

static const json_t *ruleset_of(json_t *request, struct error *error) {
  json_t *given = json_at(request, "ruleset", NULL);
  if (json_is_object(given)) return given;
  const char *name = json_text_at(request, "service", NULL);
  if (given || !*name) {
    error_set(error, ERROR_INVALID, "request", "\"ruleset\" must be an object, or \"service\" a name");
    return NULL;
  }
  struct aws_models *models = conformance_models(error);
  const struct aws_service *service = models ? aws_models_service(models, name, error) : NULL;
  const json_t *ruleset = service ? aws_service_ruleset(service) : NULL;
  if (service && !ruleset) error_set(error, ERROR_INVALID, "request", "%s has no endpoint rule set", name);
  return ruleset;
}

json_t *verb_endpoint(json_t *request, struct error *error) {
  json_t *params = json_at(request, "params", NULL);
  if (params && !json_is_object(params)) {
    error_set(error, ERROR_INVALID, "request", "\"params\" must be an object");
    return NULL;
  }
  const json_t *ruleset = ruleset_of(request, error);
  struct aws_partitions *partitions = ruleset ? partitions_of(json_at(request, "partitions", NULL), error) : NULL;
  if (!partitions) return NULL;
  json_t *answer = aws_endpoint_resolve(ruleset, partitions, params, error);
  aws_partitions_free(partitions);
  return answer ? answer : json_pack("{s:s}", "error", error->message);
}
