/* An operation for people: what it takes and gives, and the request that a call would send.  No network. */
#include <stdlib.h>
#include <string.h>

#include "aws/checks.h"
#include "aws/client_internal.h"
#include "aws/model_internal.h"
#include "aws/text_internal.h"

/* ---- what it takes ---- */

#define NAMES_WIDTH 40

/* "string", or of a structure what it holds: "{Name, Values}", so that one need not guess how to go on.  New. */
static json_t *type_of(const struct aws_service *service, const json_t *member) {
  const json_t *shape = aws_service_shape(service, json_text_at(member, "shape", NULL));
  json_t *members = json_object_get(shape, "members"), *inner;
  if (json_object_size(members) == 0) return json_string(json_text_at(shape, "type", NULL));
  struct buffer text = {.ceiling = 1024};
  const char *name;
  size_t count = 0;
  json_object_foreach(members, name, inner) {
    if (count > 0 && text.length + strlen(name) > NAMES_WIDTH) break;
    buffer_addf(&text, "%s%s", count++ ? ", " : "{", name);
  }
  buffer_add_text(&text, count < json_object_size(members) ? ", …}" : "}");
  json_t *type = json_string(buffer_text(&text));
  buffer_free(&text);
  return type;
}

static int is_listed(const json_t *names, const char *name) {
  size_t index;
  json_t *one;
  json_array_foreach(names, index, one) {
    if (strcmp(json_string_value(one) ?: "", name) == 0) return 1;
  }
  return 0;
}

/* "list of {Name, Values}", "map of string": one level tells enough to begin with. */
static json_t *full_type(const struct aws_service *service, const json_t *member) {
  const json_t *shape = aws_service_shape(service, json_text_at(member, "shape", NULL));
  const char *type = json_text_at(shape, "type", NULL);
  const char *inner = strcmp(type, "list") == 0 ? "member" : strcmp(type, "map") == 0 ? "value" : NULL;
  if (inner) {
    json_t *of = type_of(service, json_object_get(shape, inner));
    json_t *both = json_sprintf("%s of %s", type, json_string_value(of));
    json_decref(of);
    return both;
  }
  if (strcmp(type, "structure") == 0) return type_of(service, member);
  if (json_array_size(json_object_get(shape, "enum")) == 0) return json_string(type);
  struct buffer text = {.ceiling = 256};
  size_t index;
  json_t *value;
  json_array_foreach(json_object_get(shape, "enum"), index, value) {
    if (text.length > 100) break;
    buffer_addf(&text, "%s%s", index ? " | " : "", json_string_value(value));
  }
  if (index < json_array_size(json_object_get(shape, "enum"))) buffer_add_text(&text, " | …");
  json_t *described = json_string(buffer_text(&text));
  buffer_free(&text);
  return described;
}

static json_t *members_of(const struct aws_service *service, const char *shape_name) {
  const json_t *shape = aws_service_shape(service, shape_name);
  json_t *list = json_array(), *member;
  const char *name;
  json_object_foreach(json_object_get(shape, "members"), name, member) {
    json_array_append_new(list, json_pack("{s:s, s:o, s:b}", "name", name, "type", full_type(service, member),
                                          "required", is_listed(json_object_get(shape, "required"), name)));
  }
  return list;
}

/* A model says one of something as text and several as a list: always a list.  New. */
static json_t *as_list(json_t *value) {
  if (json_is_array(value)) return json_incref(value);
  json_t *list = json_array();
  if (json_is_string(value)) json_array_append(list, value);
  return list;
}

json_t *aws_model_describe(struct aws_client *client, const char *operation, struct error *error) {
  const struct aws_service *service;
  const struct aws_operation *found;
  if (aws_models_operation(client->models, operation, &service, &found, error) != 0) return NULL;
  const json_t *definition = aws_operation_definition(found);
  const json_t *pages = aws_service_paginator(service, json_text_at(definition, "name", NULL));
  char action[128];
  aws_iam_action(operation, action, sizeof action);
  json_t *description = json_pack("{s:s, s:s, s:b, s:b, s:o, s:o, s:o, s:o, s:o}", "operation", operation, "iam_action",
                                  action, "reads", aws_operation_reads(operation), "paginates", pages != NULL,
                                  "parameters", members_of(service, json_text_at(definition, "input", "shape", NULL)),
                                  "result", members_of(service, json_text_at(definition, "output", "shape", NULL)),
                                  "result_keys", as_list(json_object_get(pages, "result_key")), "other_keys",
                                  as_list(json_object_get(pages, "non_aggregate_keys")), "token_keys",
                                  as_list(json_object_get(pages, "output_token")));
  if (!description) error_set(error, ERROR_FATAL, "Memory", "out of memory");
  return description;
}

/* ---- what it would send ---- */

#define MASK "****"
#define MASK_BASE64 "KioqKg==" /* of the same */
#define DEPTH_MOST 64

static json_t *masked(const struct aws_service *service, const char *shape_name, json_t *value, int depth);

static json_t *masked_members(const struct aws_service *service, const json_t *shape, json_t *value, int depth) {
  const json_t *members = json_object_get(shape, "members");
  const char *every = json_text_at(shape, "value", "shape", NULL), *name;
  json_t *shown = json_object(), *member;
  json_object_foreach(value, name, member) {
    const char *inner = members ? json_text_at(json_object_get(members, name), "shape", NULL) : every;
    json_object_set_new(shown, name, masked(service, inner, member, depth + 1));
  }
  return shown;
}

/* The parameters with stand-ins for what the model calls sensitive (passwords, tokens, private keys).  New. */
static json_t *masked(const struct aws_service *service, const char *shape_name, json_t *value, int depth) {
  const json_t *shape = aws_service_shape(service, shape_name);
  if (depth > DEPTH_MOST || !shape) return json_incref(value);
  if (json_is_string(value) && json_is_true(json_object_get(shape, "sensitive")))
    return json_string(strcmp(json_text_at(shape, "type", NULL), "blob") == 0 ? MASK_BASE64 : MASK);
  if (json_is_object(value)) return masked_members(service, shape, value, depth);
  if (!json_is_array(value)) return json_incref(value);
  json_t *shown = json_array(), *item;
  size_t index;
  json_array_foreach(value, index, item) {
    json_array_append_new(shown, masked(service, json_text_at(shape, "member", "shape", NULL), item, depth + 1));
  }
  return shown;
}

/* "…, Signature=0123…" loses its end; everything else is no secret. */
static json_t *shown_header(const struct aws_http_header *header) {
  const char *signature = strcasecmp(header->name, "Authorization") == 0 ? strstr(header->value, "Signature=") : NULL;
  if (!signature) return json_string(header->value);
  return json_sprintf("%.*sSignature=%s", (int)(signature - header->value), header->value, MASK);
}

static json_t *shown_body(const struct aws_http_request *request) {
  if (!request->body) return json_null();
  json_t *text = json_stringn(request->body, request->body_length);
  if (text) return text;
  struct buffer base64 = {0};
  aws_base64_encode(&base64, request->body, request->body_length);
  json_t *encoded = json_pack("{s:s}", "base64", buffer_text(&base64));
  buffer_free(&base64);
  return encoded;
}

static json_t *show(const struct aws_http_request *request) {
  json_t *headers = json_object();
  for (size_t i = 0; i < request->header_count; i++)
    json_object_set_new(headers, request->headers[i].name, shown_header(&request->headers[i]));
  return json_pack("{s:s, s:s, s:o, s:o}", "method", request->method, "url", request->url, "headers", headers, "body",
                   shown_body(request));
}

/* Stand-ins in place of credentials: what is masked need not be fetched, and what is not there cannot be shown. */
static struct aws_credentials *stand_in(const struct aws_target *target) {
  int assumes = target->role && target->role->name && *target->role->name;
  return aws_credentials_new(MASK, MASK, assumes || getenv("AWS_SESSION_TOKEN") ? MASK : NULL, 0, 0);
}

json_t *aws_dry_run(struct aws_client *client, const struct aws_target *target, const char *operation, json_t *params,
                    struct error *error) {
  const struct aws_service *service;
  const struct aws_operation *found;
  struct aws_request request = {0};
  struct aws_wire wire = {0};
  struct aws_wire_options options = {.wall_ms = aws_client_aws_time(client)};
  json_t *shown = NULL;
  const char *region = target->region && *target->region ? target->region : client->hub_region;
  if (aws_models_operation(client->models, operation, &service, &found, error) != 0) return NULL;
  params = masked(service, json_text_at(aws_operation_definition(found), "input", "shape", NULL), params, 0);
  if (aws_serialize(service, found, params, &request, error) != 0) goto out;
  options.endpoint = aws_client_endpoint(client, service, found, region, params, error);
  options.credentials = aws_operation_is_unsigned(found) ? NULL : stand_in(target);
  options.strip_bucket = aws_operation_has_bucket(service, found);
  if (options.endpoint && aws_wire_make(&request, &options, &wire, error) == 0) {
    shown = show(&wire.request);
    if (!shown) error_set(error, ERROR_FATAL, "Memory", "out of memory, or the request is no UTF-8");
  }
out:
  json_decref(params);
  aws_wire_free(&wire);
  aws_credentials_release((struct aws_credentials *)options.credentials);
  json_decref(options.endpoint);
  aws_request_free(&request);
  return shown;
}
