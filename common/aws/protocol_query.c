/* The query protocol and ec2, its older sibling: a form with dotted names going out, XML coming back.
 * They differ in how lists are numbered and how members are called. */
#include <stdio.h>
#include <string.h>

#include "aws/protocol_internal.h"

/* The dotted name grows and shrinks with the walk. */
struct form {
  struct aws_serializing *serializing;
  struct buffer name;
  int ec2;
  int depth;
};

static int add_value(struct form *form, const struct aws_reference *reference, const json_t *value);

/* Appends ".part" and returns the length to cut back to. */
static size_t go_into(struct form *form, const char *part) {
  size_t length = form->name.length;
  if (length > 0) buffer_add_char(&form->name, '.');
  buffer_add_text(&form->name, part);
  return length;
}

static size_t go_into_number(struct form *form, size_t number) {
  char part[24];
  snprintf(part, sizeof part, "%zu", number);
  return go_into(form, part);
}

static void go_back(struct form *form, size_t length) {
  form->name.length = length;
  if (form->name.data) form->name.data[length] = '\0';
}

/* "&name=" */
static struct buffer *start_pair(struct form *form) {
  struct buffer *body = &form->serializing->body;
  buffer_add_char(body, '&');
  aws_form_encode(body, buffer_text(&form->name), form->name.length);
  buffer_add_char(body, '=');
  return body;
}

/* ec2 always capitalises a locationName, and queryName comes before it. */
static void wire_name(const struct form *form, const struct aws_reference *reference, const char *otherwise, char *name,
                      size_t size) {
  const struct aws_traits *traits = &reference->traits;
  if (form->ec2 && traits->query_name) {
    snprintf(name, size, "%s", traits->query_name);
    return;
  }
  snprintf(name, size, "%s", traits->wire_name ? traits->wire_name : otherwise);
  if (form->ec2 && traits->wire_name && name[0] >= 'a' && name[0] <= 'z') name[0] = (char)(name[0] - 'a' + 'A');
}

static int add_structure(struct form *form, const struct aws_shape *shape, const json_t *value) {
  const char *key;
  json_t *inner;
  json_object_foreach((json_t *)value, key, inner) {
    const struct aws_reference *member = aws_shape_member(shape, key, strlen(key));
    if (!member || json_is_null(inner)) continue;
    char name[256];
    wire_name(form, member, key, name, sizeof name);
    size_t back = go_into(form, name);
    if (add_value(form, member, inner) != 0) return -1;
    go_back(form, back);
  }
  return 0;
}

/* "Name.member.1", flattened "Name.1"; a flattened list whose elements have a name is called like them. */
static void go_into_list(struct form *form, const struct aws_reference *list, const struct aws_reference *element) {
  if (form->ec2) return;
  if (!aws_has(list, AWS_FLATTENED)) {
    go_into(form, aws_wire(element, "member"));
  } else if (element->traits.wire_name) {
    const char *name = buffer_text(&form->name), *dot = strrchr(name, '.');
    go_back(form, dot ? (size_t)(dot - name) : 0);
    go_into(form, element->traits.wire_name);
  }
}

static int add_list(struct form *form, const struct aws_reference *reference, const struct aws_shape *shape,
                    const json_t *value) {
  const struct aws_reference *element = &shape->members[0];
  size_t i;
  json_t *inner;
  if (json_array_size(value) == 0) {
    if (!form->ec2) start_pair(form); /* an empty list is sent as "Name=" */
    return 0;
  }
  go_into_list(form, reference, element);
  json_array_foreach((json_t *)value, i, inner) {
    size_t back = go_into_number(form, i + 1);
    if (add_value(form, element, inner) != 0) return -1;
    go_back(form, back);
  }
  return 0;
}

/* "Name.entry.1.key", "Name.entry.1.value", flattened without "entry". */
static int add_map(struct form *form, const struct aws_reference *reference, const struct aws_shape *shape,
                   const json_t *value) {
  char key_name[256], value_name[256];
  wire_name(form, &shape->members[0], "key", key_name, sizeof key_name);
  wire_name(form, &shape->members[1], "value", value_name, sizeof value_name);
  if (!aws_has(reference, AWS_FLATTENED)) go_into(form, "entry");
  const char *key;
  json_t *inner;
  size_t number = 0;
  json_object_foreach((json_t *)value, key, inner) {
    size_t back = go_into_number(form, ++number);
    size_t entry = go_into(form, key_name);
    aws_form_encode(start_pair(form), key, strlen(key));
    go_back(form, entry);
    go_into(form, value_name);
    if (add_value(form, &shape->members[1], inner) != 0) return -1;
    go_back(form, back);
  }
  return 0;
}

static int add_scalar(struct form *form, const struct aws_reference *reference, const struct aws_shape *shape,
                      const json_t *value) {
  struct buffer text = {.ceiling = AWS_REQUEST_CEILING};
  int result = aws_add_scalar(form->serializing, reference, shape, value, AWS_TIME_ISO8601, &text);
  if (result == 0) aws_form_encode(start_pair(form), buffer_text(&text), text.length);
  buffer_free(&text);
  return result;
}

static int add_value(struct form *form, const struct aws_reference *reference, const json_t *value) {
  const struct aws_shape *shape = aws_resolve(form->serializing->service, reference, form->serializing->error);
  if (!shape) return -1;
  if (json_is_null(value)) return 0;
  switch (shape->type) {
    case AWS_TYPE_STRUCTURE:
      return add_structure(form, shape, value);
    case AWS_TYPE_LIST:
      return add_list(form, reference, shape, value);
    case AWS_TYPE_MAP:
      return add_map(form, reference, shape, value);
    default:
      return add_scalar(form, reference, shape, value);
  }
}

int aws_serialize_query(struct aws_serializing *serializing) {
  static const char type[] = "application/x-www-form-urlencoded; charset=utf-8";
  struct form form = {
      .serializing = serializing, .name = {.ceiling = 4096}, .ec2 = serializing->service->protocol == AWS_PROTOCOL_EC2};
  struct buffer *body = &serializing->body;
  serializing->has_body = 1;
  buffer_add_text(&serializing->uri, "/");
  buffer_add_text(body, "Action=");
  aws_form_encode(body, aws_operation_name(serializing->operation), strlen(aws_operation_name(serializing->operation)));
  buffer_add_text(body, "&Version=");
  const char *version = aws_metadata_text(serializing->service, "apiVersion");
  aws_form_encode(body, version, strlen(version));
  int result = serializing->input ? add_value(&form, serializing->input, serializing->params) : 0;
  if (result == 0 && form.name.failed)
    result = error_set(serializing->error, ERROR_INVALID, "TooDeep", "parameters are nested too deep");
  buffer_free(&form.name);
  return result == 0 ? aws_set_header(serializing, "Content-Type", type, sizeof type - 1) : -1;
}

/* query: <XResponse><XResult>…</XResult><ResponseMetadata><RequestId>; ec2: <XResponse><requestId>…. */
static json_t *read_result(struct aws_parsing *parsing, const struct aws_xml_node *root) {
  aws_set_request_id(parsing, aws_xml_child_text(aws_xml_child(root, "ResponseMetadata"), "RequestId"));
  aws_set_request_id(parsing, aws_xml_child_text(root, "requestId"));
  if (!parsing->output) return json_object();
  const char *wrapper = parsing->output->traits.result_wrapper;
  const struct aws_xml_node *start = wrapper ? aws_xml_child(root, wrapper) : root;
  if (!start) return aws_not_an_answer(parsing, "no element", wrapper);
  return aws_xml_value(parsing, parsing->output, start, 0);
}

json_t *aws_parse_query(struct aws_parsing *parsing) {
  char nothing[] = "", *body = parsing->response->body;
  struct aws_xml *xml = aws_xml_parse_in_place(body ? body : nothing, parsing->response->body_length, parsing->error);
  if (!xml) return NULL;
  json_t *result = read_result(parsing, aws_xml_root(xml));
  aws_xml_free(xml);
  return result;
}
