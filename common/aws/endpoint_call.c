/* From a call to its endpoint: the rule set's parameters, the override, the signing scope, and a cache in front.
 *
 * Overrides, the first that is set: aws_options.endpoint_url, AWS_ENDPOINT_URL_<SERVICE> (the service id in capitals,
 * spaces and dashes as underscores), AWS_ENDPOINT_URL, the endpoint_url of the service in the profile's "services"
 * section, the profile's own endpoint_url; all but the first are ignored when AWS_IGNORE_CONFIGURED_ENDPOINT_URLS is
 * true.  An overridden endpoint is still signed for the scope that the
 * rules give for the real one: IAM behind a proxy is signed for us-east-1. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/client_internal.h"
#include "aws/endpoint_internal.h"

#define CACHE_ENTRIES 4096

/* ---- the override ---- */

/* The service id as names have it: "Cost Explorer" with capitals COST_EXPLORER, without cost_explorer. */
static void service_key(const struct aws_service *service, int (*letter)(int), char *name, size_t size) {
  size_t length = 0;
  for (const char *id = json_text_at(aws_service_metadata(service), "serviceId", NULL); *id && length < size - 1; id++)
    name[length++] = isalnum((unsigned char)*id) ? (char)letter((unsigned char)*id) : '_';
  name[length] = '\0';
}

static const char *set_or_null(const char *text) { return text && *text ? text : NULL; }

static const char *environment_override(const struct aws_service *service) {
  const char *ignore = getenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"), *value;
  if (ignore && strcasecmp(ignore, "true") == 0) return NULL;
  char key[96], name[128];
  service_key(service, toupper, key, sizeof key);
  snprintf(name, sizeof name, "AWS_ENDPOINT_URL_%s", key);
  value = set_or_null(getenv(name));
  return value ? value : set_or_null(getenv("AWS_ENDPOINT_URL"));
}

static const char *profile_override(const struct aws_client *client, const struct aws_service *service) {
  char key[96], name[128];
  service_key(service, tolower, key, sizeof key);
  snprintf(name, sizeof name, "%s.endpoint_url", key);
  const char *value = set_or_null(json_text_at(client->profile_services, name, NULL));
  return value ? value : client->profile_endpoint_url;
}

static const char *override_of(const struct aws_client *client, const struct aws_service *service) {
  if (client->endpoint_url) return client->endpoint_url;
  const char *given = environment_override(service);
  return given ? given : profile_override(client, service);
}

/* ---- the parameters ---- */

struct place { /* what built-in parameters are made of */
  const struct aws_client *client;
  const char *region, *override;
};

static json_t *builtin_region(const struct place *place) { return json_string(place->region); }
static json_t *builtin_endpoint(const struct place *place) {
  return place->override ? json_string(place->override) : NULL;
}
/* FIPS and dual-stack can't be combined with an override. */
static json_t *builtin_fips(const struct place *place) {
  return json_boolean(place->client->use_fips && !place->override);
}
static json_t *builtin_dualstack(const struct place *place) {
  return json_boolean(place->client->use_dualstack && !place->override);
}
static json_t *builtin_path_style(const struct place *place) { return json_boolean(place->override != NULL); }
static json_t *builtin_true(const struct place *place) {
  (void)place;
  return json_true();
}

/* Those that are not here (accelerate, global endpoints …) keep the rule set's default. */
static const struct {
  const char *name;
  json_t *(*make)(const struct place *place);
} builtins[] = {
    {"AWS::Region", builtin_region},
    {"SDK::Endpoint", builtin_endpoint},
    {"AWS::UseFIPS", builtin_fips},
    {"AWS::UseDualStack", builtin_dualstack},
    {"AWS::S3::ForcePathStyle", builtin_path_style},
    {"AWS::S3::UseArnRegion", builtin_true},
};

static void set_builtins(json_t *values, const json_t *ruleset, const struct place *place) {
  const char *name;
  json_t *spec, *specs = json_object_get(ruleset, "parameters");
  json_object_foreach(specs, name, spec) {
    const char *builtin = json_text_at(spec, "builtIn", NULL);
    for (size_t i = 0; i < sizeof builtins / sizeof *builtins; i++) {
      json_t *value = strcmp(builtin, builtins[i].name) == 0 ? builtins[i].make(place) : NULL;
      if (value) json_object_set_new(values, name, value);
    }
  }
}

static void set_static_context(json_t *values, const json_t *definition) {
  const char *name;
  json_t *context, *contexts = json_object_get(definition, "staticContextParams");
  json_object_foreach(contexts, name, context) {
    json_t *value = json_object_get(context, "value");
    if (value) json_object_set(values, name, value);
  }
}

/* Members of the input marked contextParam. */
static void set_member_context(json_t *values, const struct aws_service *service, const json_t *definition,
                               const json_t *params) {
  const json_t *shape = aws_service_shape(service, json_text_at(definition, "input", "shape", NULL));
  const char *member;
  json_t *spec, *members = json_object_get(shape, "members");
  json_object_foreach(members, member, spec) {
    const char *name = json_text_at(spec, "contextParam", "name", NULL);
    json_t *value = *name ? json_object_get(params, member) : NULL;
    if (json_is_string(value) || json_is_boolean(value)) json_object_set(values, name, value);
  }
}

/* ---- hosts that can have nothing in front ---- */

/* The authority of a URL within `url`; *length without port. */
static const char *authority_of(const char *url, size_t *length) {
  const char *start = strstr(url, "://");
  start = start ? start + 3 : url;
  *length = *start == '[' ? strcspn(start, "]") : strcspn(start, ":/");
  return start;
}

/* Addresses and single labels ("localhost", "moto"): "111111111111.127.0.0.1" is nobody's name. */
static int is_plain_host(const char *url) {
  char host[256];
  size_t length;
  const char *start = authority_of(url, &length);
  if (length >= sizeof host) return 0;
  memcpy(host, start, length);
  host[length] = '\0';
  return *host == '[' || !strchr(host, '.') || endpoint_is_address(host);
}

/* The resolved URL without what some rule sets (S3 Control's) put in front of an override's host.  New. */
static json_t *restore_host(json_t *resolved, const char *override) {
  const char *url = json_string_value(resolved);
  size_t length, override_length;
  const char *host = authority_of(url, &length), *wanted = authority_of(override, &override_length);
  size_t extra = length > override_length ? length - override_length : 0;
  if (extra == 0 || host[extra - 1] != '.' || strncmp(host + extra, wanted, override_length) != 0)
    return json_incref(resolved);
  return json_sprintf("%.*s%s", (int)(host - url), url, host + extra);
}

/* ---- resolution ---- */

/* A service without a rule set: the pattern of them all. */
static json_t *resolve_by_pattern(const struct aws_client *client, const json_t *metadata, const struct place *place) {
  char url[512];
  const char *suffix = json_text_at(aws_partitions_find(client->partitions, place->region), "dnsSuffix", NULL);
  if (place->override)
    snprintf(url, sizeof url, "%s", place->override);
  else
    snprintf(url, sizeof url, "https://%s.%s.%s", json_text_at(metadata, "endpointPrefix", NULL), place->region,
             suffix);
  return json_pack("{s:s, s:{}, s:{}}", "url", url, "headers", "properties");
}

static json_t *resolve(const struct aws_client *client, const struct aws_service *service,
                       const struct aws_operation *operation, const struct place *place, const json_t *params,
                       struct error *error) {
  json_t *ruleset = aws_service_ruleset(service);
  if (!ruleset) return resolve_by_pattern(client, aws_service_metadata(service), place);
  json_t *values = json_object();
  if (!values) return NULL;
  const json_t *definition = aws_operation_definition(operation);
  set_builtins(values, ruleset, place);
  set_static_context(values, definition);
  set_member_context(values, service, definition, params);
  json_t *result = aws_endpoint_resolve(ruleset, client->partitions, values, error);
  json_decref(values);
  return result;
}

/* The first scheme that is plain SigV4; NULL when the rules name none. */
static json_t *scheme_of(const json_t *resolved) {
  size_t index;
  json_t *scheme, *schemes = json_at(resolved, "properties", "authSchemes", NULL);
  json_array_foreach(schemes, index, scheme) {
    if (strcmp(json_text_at(scheme, "name", NULL), "sigv4") == 0) return scheme;
  }
  return NULL;
}

/* A URL that does not name the Region belongs to a global service; such are signed for the partition's own Region. */
static const char *default_signing_region(const struct aws_client *client, const json_t *resolved, const char *region) {
  const char *global = json_text_at(aws_partitions_find(client->partitions, region), "implicitGlobalRegion", NULL);
  return strstr(json_text_at(resolved, "url", NULL), region) || !*global ? region : global;
}

static const char *first_of(const char *first, const char *second) { return *first ? first : second; }

/* Do the rules put the account in front of the host themselves, in the place of the model's prefix (S3 Control)? */
static int rules_add_account(const json_t *definition) {
  return strcmp(json_text_at(definition, "endpoint", "hostPrefix", NULL), "{AccountId}.") == 0 &&
         json_is_true(json_at(definition, "staticContextParams", "RequiresAccountId", "value", NULL));
}

static json_t *describe(const struct aws_client *client, const struct aws_service *service,
                        const struct aws_operation *operation, const struct place *place, const json_t *resolved,
                        const json_t *real) {
  json_t *metadata = aws_service_metadata(service);
  const json_t *scheme = scheme_of(resolved) ?: scheme_of(real);
  const char *version = json_text_at(metadata, "signatureVersion", NULL);
  int plain = strncmp(version, "s3", 2) == 0 || json_is_true(json_object_get(scheme, "disableDoubleEncoding"));
  const char *region = json_text_at(scheme, "signingRegion", NULL);
  if (!*region) region = real ? default_signing_region(client, real, place->region) : place->region;
  const char *name =
      first_of(json_text_at(scheme, "signingName", NULL),
               first_of(json_text_at(metadata, "signingName", NULL), json_text_at(metadata, "endpointPrefix", NULL)));
  int plain_host = place->override && is_plain_host(place->override);
  json_t *url = json_object_get(resolved, "url");
  url = plain_host ? restore_host(url, place->override) : json_incref(url);
  return json_pack("{s:o, s:O, s:s, s:s, s:b, s:b}", "url", url, "headers", json_object_get(resolved, "headers"),
                   "signing_region", region, "signing_name", name, "plain_path", plain, "plain_host",
                   plain_host || rules_add_account(aws_operation_definition(operation)));
}

/* By other schemes of the endpoint (sigv4a), or by the model where there are none (SimpleDB's version 2, CodeCatalyst's
 * tokens): a SigV4 signature would only be refused. */
static int signs_otherwise(const json_t *metadata, const json_t *resolved, const json_t *real) {
  if (json_array_size(json_at(resolved, "properties", "authSchemes", NULL)) > 0) return !scheme_of(resolved);
  const char *version = json_text_at(metadata, "signatureVersion", NULL);
  return !scheme_of(real) && (strcmp(version, "v2") == 0 || strcmp(version, "bearer") == 0);
}

static json_t *find_endpoint(const struct aws_client *client, const struct aws_service *service,
                             const struct aws_operation *operation, const struct place *place, const json_t *params,
                             struct error *error) {
  json_t *resolved = resolve(client, service, operation, place, params, error);
  if (!resolved) return NULL;
  json_t *real = NULL, *result = NULL;
  if (place->override && !scheme_of(resolved)) {
    /* Best effort: a fictitious Region has no real endpoint, and needs none. */
    struct place there = {.client = client, .region = place->region};
    real = resolve(client, service, operation, &there, params, NULL);
  } else {
    real = json_incref(resolved);
  }
  if (signs_otherwise(aws_service_metadata(service), resolved, real))
    error_set(error, ERROR_INVALID, "EndpointResolution", "the endpoint asks for another signature than SigV4");
  else if (!(result = describe(client, service, operation, place, resolved, real)))
    error_set(error, ERROR_FATAL, "Memory", "out of memory");
  json_decref(real);
  json_decref(resolved);
  return result;
}

/* ---- the cache ---- */

/* What the result depends on, as text: service, override, Region, and the context parameters.  Caller frees. */
static char *cache_key(const struct aws_service *service, const struct aws_operation *operation,
                       const struct place *place, const json_t *params) {
  json_t *context = json_object();
  if (!context) return NULL;
  const json_t *definition = aws_operation_definition(operation);
  set_static_context(context, definition);
  set_member_context(context, service, definition, params);
  char *text = json_written(context);
  json_decref(context);
  struct buffer key = {0};
  buffer_addf(&key, "%s\n%s\n%s\n%s", aws_service_name(service), place->override ? place->override : "", place->region,
              text ? text : "");
  free(text);
  return buffer_take(&key);
}

static json_t *cached(struct aws_client *client, const char *key) {
  pthread_mutex_lock(&client->endpoints_lock);
  json_t *found = json_incref(json_object_get(client->endpoints, key));
  pthread_mutex_unlock(&client->endpoints_lock);
  return found;
}

static void keep(struct aws_client *client, const char *key, json_t *endpoint) {
  pthread_mutex_lock(&client->endpoints_lock);
  if (json_object_size(client->endpoints) >= CACHE_ENTRIES) json_object_clear(client->endpoints);
  json_object_set(client->endpoints, key, endpoint);
  pthread_mutex_unlock(&client->endpoints_lock);
}

json_t *aws_client_endpoint(struct aws_client *client, const struct aws_service *service,
                            const struct aws_operation *operation, const char *region, const json_t *params,
                            struct error *error) {
  struct place place = {.client = client, .region = region, .override = override_of(client, service)};
  char *key = cache_key(service, operation, &place, params);
  if (!key) {
    error_set(error, ERROR_FATAL, "Memory", "out of memory");
    return NULL;
  }
  json_t *endpoint = cached(client, key);
  if (!endpoint) {
    endpoint = find_endpoint(client, service, operation, &place, params, error);
    if (endpoint) keep(client, key, endpoint);
  }
  free(key);
  return endpoint;
}
