/* Answers of an error status: what failed, and which class of failure that is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/protocol_internal.h"

/* ---- classes ---- */

/* Codes whose class their status does not tell.  Throttled and transient ones are botocore's standard retry mode's
 * (retries/standard.py); the denied ones are from the common error pages of the services. */
static const struct {
  const char *code;
  enum error_class class;
} known_codes[] = {
    {"Throttling", ERROR_THROTTLED},
    {"ThrottlingException", ERROR_THROTTLED},
    {"ThrottledException", ERROR_THROTTLED},
    {"RequestThrottledException", ERROR_THROTTLED},
    {"TooManyRequestsException", ERROR_THROTTLED},
    {"ProvisionedThroughputExceededException", ERROR_THROTTLED},
    {"TransactionInProgressException", ERROR_THROTTLED},
    {"RequestLimitExceeded", ERROR_THROTTLED},
    {"BandwidthLimitExceeded", ERROR_THROTTLED},
    {"LimitExceededException", ERROR_THROTTLED},
    {"RequestThrottled", ERROR_THROTTLED},
    {"SlowDown", ERROR_THROTTLED},
    {"PriorRequestNotComplete", ERROR_THROTTLED},
    {"EC2ThrottledException", ERROR_THROTTLED},
    {"RequestTimeout", ERROR_RETRYABLE},
    {"RequestTimeoutException", ERROR_RETRYABLE},
    {"AccessDenied", ERROR_DENIED},
    {"AccessDeniedException", ERROR_DENIED},
    {"AccessDeniedFault", ERROR_DENIED},
    {"AccessDeniedForDependencyException", ERROR_DENIED},
    {"AccountProblem", ERROR_DENIED},
    {"AllAccessDisabled", ERROR_DENIED},
    {"AuthFailure", ERROR_DENIED},
    {"AuthorizationError", ERROR_DENIED},
    {"AuthorizationErrorException", ERROR_DENIED},
    {"Blocked", ERROR_DENIED},
    {"ExpiredToken", ERROR_DENIED},
    {"ExpiredTokenException", ERROR_DENIED},
    {"Forbidden", ERROR_DENIED},
    {"ForbiddenException", ERROR_DENIED},
    {"IncompleteSignature", ERROR_DENIED},
    {"IncompleteSignatureException", ERROR_DENIED},
    {"InvalidAccessKeyId", ERROR_DENIED},
    {"InvalidClientTokenId", ERROR_DENIED},
    {"InvalidIdentityToken", ERROR_DENIED},
    {"InvalidSignatureException", ERROR_DENIED},
    {"InvalidToken", ERROR_DENIED},
    {"MissingAuthenticationToken", ERROR_DENIED},
    {"MissingAuthenticationTokenException", ERROR_DENIED},
    {"NotAuthorized", ERROR_DENIED},
    {"NotAuthorizedException", ERROR_DENIED},
    {"OptInRequired", ERROR_DENIED},
    {"RequestExpired", ERROR_DENIED},
    {"RequestTimeTooSkewed", ERROR_DENIED},
    {"SignatureDoesNotMatch", ERROR_DENIED},
    {"SubscriptionRequiredException", ERROR_DENIED},
    {"TokenRefreshRequired", ERROR_DENIED},
    {"UnauthorizedException", ERROR_DENIED},
    {"UnauthorizedOperation", ERROR_DENIED},
    {"UnrecognizedClientException", ERROR_DENIED},
};

static const struct {
  int status;
  enum error_class class;
} known_statuses[] = {
    {401, ERROR_DENIED},    {403, ERROR_DENIED},    {404, ERROR_MISSING},   {410, ERROR_MISSING},
    {429, ERROR_THROTTLED}, {408, ERROR_RETRYABLE}, {500, ERROR_RETRYABLE}, {502, ERROR_RETRYABLE},
    {503, ERROR_RETRYABLE}, {504, ERROR_RETRYABLE},
};

/* Says a code in its name that something is not there?  ("InvalidGroup.NotFound", "NoSuchBucket", …) */
static int says_missing(const char *code) {
  static const char *const marks[] = {"NotFound", "NoSuch", "DoesNotExist", "NonExistent"};
  for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
    if (strstr(code, marks[i])) return 1;
  return 0;
}

enum error_class aws_error_class(const char *code, int status) {
  if (!code) code = "";
  for (size_t i = 0; i < sizeof known_codes / sizeof *known_codes; i++)
    if (strcmp(known_codes[i].code, code) == 0) return known_codes[i].class;
  if (status < 500 && status != 429 && says_missing(code)) return ERROR_MISSING;
  for (size_t i = 0; i < sizeof known_statuses / sizeof *known_statuses; i++)
    if (known_statuses[i].status == status) return known_statuses[i].class;
  return status > 504 ? ERROR_RETRYABLE : ERROR_INVALID;
}

/* The model may mark an operation's error as worth a retry. */
static enum error_class modeled_class(const struct aws_parsing *parsing, const char *code, enum error_class otherwise) {
  const json_t *errors = json_object_get(aws_operation_definition(parsing->operation), "errors");
  size_t i;
  json_t *one;
  if (otherwise == ERROR_THROTTLED || otherwise == ERROR_RETRYABLE) return otherwise;
  json_array_foreach(errors, i, one) {
    const char *name = json_string_value(json_object_get(one, "shape"));
    const json_t *shape = name ? aws_service_shape(parsing->service, name) : NULL;
    const json_t *retryable = json_object_get(shape, "retryable");
    const char *own_code = json_string_value(json_object_get(json_object_get(shape, "error"), "code"));
    if (!name || !retryable || (strcmp(name, code) != 0 && (!own_code || strcmp(own_code, code) != 0))) continue;
    return json_is_true(json_object_get(retryable, "throttling")) ? ERROR_THROTTLED : ERROR_RETRYABLE;
  }
  return otherwise;
}

/* ---- bodies ---- */

static void set_text(char *to, size_t size, const char *text) {
  if (text) snprintf(to, size, "%s", text);
}

static void read_error_element(struct aws_parsing *parsing, const struct aws_xml_node *element,
                               struct aws_fault *fault) {
  const char *message = aws_xml_child_text(element, "Message");
  set_text(fault->code, sizeof fault->code, aws_xml_child_text(element, "Code"));
  set_text(fault->message, sizeof fault->message, message ? message : aws_xml_child_text(element, "message"));
  aws_set_request_id(parsing, aws_xml_child_text(element, "RequestId"));
}

/* <ErrorResponse><Error>…<RequestId>, ec2's <Response><Errors><Error>…<RequestID>, S3's <Error> alone. */
int aws_fault_xml(struct aws_parsing *parsing, struct aws_fault *fault) {
  if (parsing->response->body_length == 0) return 0;
  struct aws_xml *xml = aws_xml_parse(parsing->response->body, parsing->response->body_length, NULL);
  if (!xml) return -1;
  const struct aws_xml_node *root = aws_xml_root(xml);
  const struct aws_xml_node *element = strcmp(root->name, "Error") == 0 ? root : aws_xml_child(root, "Error");
  if (!element) element = aws_xml_child(aws_xml_child(root, "Errors"), "Error");
  if (element) {
    fault->message[0] = '\0';
    aws_set_request_id(parsing, aws_xml_child_text(root, "RequestId"));
    aws_set_request_id(parsing, aws_xml_child_text(root, "RequestID"));
    read_error_element(parsing, element, fault);
  }
  aws_xml_free(xml);
  return element ? 0 : -1;
}

/* "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException:http://…" → "ResourceNotFoundException". */
static void set_code(struct aws_fault *fault, const char *text) {
  size_t length = strcspn(text, ":");
  const char *hash = memrchr(text, '#', length);
  const char *start = hash ? hash + 1 : text;
  snprintf(fault->code, sizeof fault->code, "%.*s", (int)(length - (size_t)(start - text)), start);
}

/* Services that once spoke query tell their old code in a header: "AWS.SimpleQueueService.NonExistentQueue;Sender". */
static void set_query_code(struct aws_parsing *parsing, struct aws_fault *fault) {
  const char *text = aws_response_header(parsing->response, "x-amzn-query-error");
  const char *semicolon = text ? strchr(text, ';') : NULL;
  if (semicolon && semicolon > text && !strchr(semicolon + 1, ';'))
    snprintf(fault->code, sizeof fault->code, "%.*s", (int)(semicolon - text), text);
}

static void read_json_fault(struct aws_parsing *parsing, const json_t *body, struct aws_fault *fault) {
  static const char *const message_names[] = {"message", "Message", "errorMessage"};
  fault->message[0] = '\0';
  for (size_t i = 0; i < sizeof message_names / sizeof *message_names && !fault->message[0]; i++)
    set_text(fault->message, sizeof fault->message, json_string_value(json_object_get(body, message_names[i])));
  const char *type = json_string_value(json_object_get(body, "__type"));
  if (type) set_code(fault, type);
  set_query_code(parsing, fault);
}

/* The body as an object, {} when there is none; NULL when it is something else. */
static json_t *fault_body(struct aws_parsing *parsing) {
  if (parsing->response->body_length == 0) return json_object();
  json_t *body = json_parse(parsing->response->body, parsing->response->body_length, NULL);
  if (json_is_object(body)) return body;
  json_decref(body);
  return NULL;
}

int aws_fault_json(struct aws_parsing *parsing, struct aws_fault *fault) {
  json_t *body = fault_body(parsing);
  if (!body) return -1;
  if (parsing->response->body_length > 0) read_json_fault(parsing, body, fault);
  json_decref(body);
  return 0;
}

/* rest-json tells the code in a header, or in the body under one of three names. */
int aws_fault_rest_json(struct aws_parsing *parsing, struct aws_fault *fault) {
  const char *header = aws_response_header(parsing->response, "x-amzn-errortype");
  json_t *body = fault_body(parsing);
  if (!body && !header) return -1;
  if (body && parsing->response->body_length > 0) read_json_fault(parsing, body, fault);
  const char *code = json_string_value(json_object_get(body, "code"));
  if (!code) code = json_string_value(json_object_get(body, "Code"));
  if (header || code) set_code(fault, header ? header : code);
  json_decref(body);
  return 0;
}

/* ---- what is no AWS answer at all ---- */

static const char *reason_of(int status) {
  static const struct {
    int status;
    const char *reason;
  } reasons[] = {
      {301, "Moved Permanently"},
      {302, "Found"},
      {304, "Not Modified"},
      {307, "Temporary Redirect"},
      {400, "Bad Request"},
      {401, "Unauthorized"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {408, "Request Timeout"},
      {409, "Conflict"},
      {412, "Precondition Failed"},
      {413, "Request Entity Too Large"},
      {429, "Too Many Requests"},
      {500, "Internal Server Error"},
      {501, "Not Implemented"},
      {502, "Bad Gateway"},
      {503, "Service Unavailable"},
      {504, "Gateway Timeout"},
  };
  for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
    if (reasons[i].status == status) return reasons[i].reason;
  return "";
}

static int is_html(const struct aws_http_response *response) {
  size_t at = 0;
  while (at < response->body_length && strchr(" \t\r\n", response->body[at]) && response->body[at]) at++;
  size_t left = response->body_length - at;
  return (left >= 5 && strncasecmp(response->body + at, "<html", 5) == 0) ||
         (left >= 9 && strncasecmp(response->body + at, "<!doctype", 9) == 0);
}

/* Gateways and load balancers speak HTML or plain text when they are overloaded or their backend is away: that passes.
 * Anything else (an endpoint that does not know the operation, a proxy's login page) does not. */
static int is_gateway_trouble(int status) { return status == 429 || status == 502 || status == 503 || status == 504; }

static int read_fault(struct aws_parsing *parsing, struct aws_fault *fault) {
  if (is_html(parsing->response)) return -1;
  switch (parsing->service->protocol) {
    case AWS_PROTOCOL_JSON:
      return aws_fault_json(parsing, fault);
    case AWS_PROTOCOL_REST_JSON:
      return aws_fault_rest_json(parsing, fault);
    default:
      return aws_fault_xml(parsing, fault);
  }
}

/* After a wrong signature AWS tells the request as it saw it, session token and signature included: no error may. */
static void cut_echo(char *message) {
  static const char *const marks[] = {"The Canonical String", "The String-to-Sign", "Authorization header:"};
  for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
    char *end = strstr(message, marks[i]);
    while (end && end > message && strchr(" \r\n", end[-1])) end--;
    if (end) *end = '\0';
  }
}

void *aws_parse_fault(struct aws_parsing *parsing, int status) {
  struct aws_fault fault = {0};
  snprintf(fault.code, sizeof fault.code, "%d", status);
  set_text(fault.message, sizeof fault.message, reason_of(status));
  if (read_fault(parsing, &fault) != 0 && !is_gateway_trouble(status))
    return aws_not_an_answer(parsing, is_html(parsing->response) ? "it is HTML" : "the body is not the protocol's", "");
  cut_echo(fault.message);
  enum error_class class = modeled_class(parsing, fault.code, aws_error_class(fault.code, status));
  error_set(parsing->error, class, fault.code, "%s", fault.message);
  return NULL;
}
