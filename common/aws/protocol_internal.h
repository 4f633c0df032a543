/* What the files of the protocols share.  A protocol is one row of the table in protocol.c: how it fills a request, and
 * how it reads a result and a fault. */
#ifndef PARAPET_AWS_PROTOCOL_INTERNAL_H
#define PARAPET_AWS_PROTOCOL_INTERNAL_H

#include "aws/model_internal.h"
#include "aws/protocol.h"
#include "aws/text_internal.h"
#include "aws/xml_internal.h"
#include "base/buffer.h"

#define AWS_DEPTH_CEILING 100 /* nesting of parameters and results */
#define AWS_REQUEST_CEILING ((size_t)64 << 20)

/* ---- a request in the making ---- */
struct aws_serializing {
  const struct aws_service *service;
  const struct aws_operation *operation;
  const struct aws_reference *input; /* NULL: the operation takes nothing */
  json_t *params;                    /* checked against the input shape; own copy at the top level */
  struct aws_serialize_options options;
  struct buffer uri, body;
  int has_body;
  const char *method; /* static; NULL: the model's */
  int milliseconds;   /* timestamps have them */
  json_t *headers;    /* name → text, in order */
  struct error *error;
};

/* Sets a header (replacing it); -1 with the error set when the text has control characters, or memory ran out. */
int aws_set_header(struct aws_serializing *serializing, const char *name, const char *text, size_t length);

/* Adds a scalar as text: what queries, URIs, headers and XML have.  -1 with the error set. */
int aws_add_scalar(struct aws_serializing *serializing, const struct aws_reference *reference,
                   const struct aws_shape *shape, const json_t *value, enum aws_time_format otherwise,
                   struct buffer *to);
/* Adds a blob's base64, or its bytes. */
int aws_add_blob(struct aws_serializing *serializing, const json_t *value, int base64, struct buffer *to);

int aws_serialize_query(struct aws_serializing *serializing); /* query and ec2 */
int aws_serialize_json(struct aws_serializing *serializing);
int aws_serialize_rest(struct aws_serializing *serializing); /* rest-json and rest-xml */
/* Adds a value as JSON, or as an XML element called `name`. */
int aws_add_json(struct aws_serializing *serializing, const struct aws_reference *reference, const json_t *value);
int aws_add_xml(struct aws_serializing *serializing, const struct aws_reference *reference, const json_t *value,
                const char *name);

/* ---- parameters against a shape (checks_params.c) ---- */
/* 0, or -1 with *error (INVALID, where = JSON pointer).  templates: strings with "${" stand for what they will become.
 */
int aws_check_params(const struct aws_service *service, const struct aws_reference *input, const json_t *params,
                     int templates, struct error *error);

/* ---- an answer being read ---- */
struct aws_parsing {
  const struct aws_service *service;
  const struct aws_operation *operation;
  const struct aws_reference *output; /* NULL: the operation answers nothing */
  const struct aws_http_response *response;
  enum aws_timestamps timestamps;
  int blobs_as_text;
  char *request_id; /* 96 bytes, never NULL */
  struct error *error;
};

struct aws_fault {
  char code[96], message[700];
};

/* FATAL "NotAnAnswer" with what is wrong and where.  Always NULL. */
void *aws_not_an_answer(struct aws_parsing *parsing, const char *what, const char *where);
const char *aws_response_header(const struct aws_http_response *response, const char *name);
void aws_set_request_id(struct aws_parsing *parsing, const char *text); /* NULL, "" ignored; the first counts */

/* A scalar from its text.  New, or NULL with the error set. */
json_t *aws_scalar_value(struct aws_parsing *parsing, const struct aws_reference *reference,
                         const struct aws_shape *shape, const char *text, size_t length);
json_t *aws_time_value(struct aws_parsing *parsing, const struct aws_reference *reference, int64_t microseconds);
/* A blob from base64 text, or from bytes. */
json_t *aws_blob_value(struct aws_parsing *parsing, const struct aws_reference *reference, const char *text,
                       size_t length);
json_t *aws_bytes_value(struct aws_parsing *parsing, const char *bytes, size_t length);

json_t *aws_parse_query(struct aws_parsing *parsing); /* query and ec2 */
json_t *aws_parse_json(struct aws_parsing *parsing);
json_t *aws_parse_rest(struct aws_parsing *parsing); /* rest-json and rest-xml */
json_t *aws_json_value(struct aws_parsing *parsing, const struct aws_reference *reference, json_t *value, int depth);
json_t *aws_xml_value(struct aws_parsing *parsing, const struct aws_reference *reference,
                      const struct aws_xml_node *node, int depth);

/* A body in the service's form (JSON, or XML) as a value of that shape. */
json_t *aws_body_value(struct aws_parsing *parsing, const struct aws_reference *reference, const char *bytes,
                       size_t length);
/* The output's member that is an event stream, or NULL; and the answer read as one, into the result. */
const struct aws_reference *aws_event_member(struct aws_parsing *parsing);
int aws_parse_events(struct aws_parsing *parsing, const struct aws_reference *member, json_t *into);

/* What a fault's body says; 0, or -1 when the body is none of the protocol's. */
int aws_fault_xml(struct aws_parsing *parsing, struct aws_fault *fault);
int aws_fault_json(struct aws_parsing *parsing, struct aws_fault *fault);
int aws_fault_rest_json(struct aws_parsing *parsing, struct aws_fault *fault);
/* Sets the error that an answer of an error status means.  Always NULL. */
void *aws_parse_fault(struct aws_parsing *parsing, int status);

/* ---- what botocore does outside its models (protocol_quirks.c) ---- */
int aws_quirks_names(
    struct aws_serializing *serializing); /* on the parameters: other names, members that may be absent */
int aws_quirks_before(struct aws_serializing *serializing);  /* on the parameters' values, before they are checked */
int aws_quirks_request(struct aws_serializing *serializing); /* on the finished request */
int aws_quirks_after(struct aws_parsing *parsing, json_t *result);
/* Is this header not what the model says it is, and to be left out? */
int aws_quirks_drops_header(const struct aws_parsing *parsing, const struct aws_reference *member, const char *text);
/* Is a 200 with <Error> a fault here (S3)? */
int aws_quirks_hidden_fault(const struct aws_parsing *parsing);

#endif
