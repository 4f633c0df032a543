/* A value from XML (query, ec2, rest-xml).  The walk goes over the elements that came, and looks each up among the
 * shape's members: what the model does not know is skipped. */
#include <string.h>

#include "aws/protocol_internal.h"

static json_t *wrong(struct aws_parsing *parsing, const struct aws_reference *reference, const char *what) {
  return aws_not_an_answer(parsing, what, reference->name[0] ? reference->name : reference->shape_name);
}

/* One <entry>: a key and a value. */
static int read_entry(struct aws_parsing *parsing, const struct aws_reference *reference, const struct aws_shape *shape,
                      const struct aws_xml_node *entry, json_t *into, int depth) {
  const char *key_name = aws_wire(&shape->members[0], "key"), *value_name = aws_wire(&shape->members[1], "value");
  const struct aws_xml_node *key = aws_xml_child(entry, key_name), *value = aws_xml_child(entry, value_name);
  if (!key || !value) return wrong(parsing, reference, "no key and value in") ? 0 : -1;
  return json_object_set_new_nocheck(into, key->text, aws_xml_value(parsing, &shape->members[1], value, depth + 1));
}

static json_t *map_value(struct aws_parsing *parsing, const struct aws_reference *reference,
                         const struct aws_shape *shape, const struct aws_xml_node *node, int depth) {
  json_t *result = json_object();
  for (const struct aws_xml_node *entry = node->first; entry && result; entry = entry->next)
    if (read_entry(parsing, reference, shape, entry, result, depth) != 0) {
      json_decref(result);
      result = NULL;
    }
  return result;
}

static json_t *list_value(struct aws_parsing *parsing, const struct aws_shape *shape, const struct aws_xml_node *node,
                          int depth) {
  json_t *result = json_array();
  for (const struct aws_xml_node *item = node->first; item && result; item = item->next)
    if (json_array_append_new(result, aws_xml_value(parsing, &shape->members[0], item, depth + 1)) != 0) {
      json_decref(result);
      result = NULL;
    }
  return result;
}

/* An element of a flattened list or map: it adds to what its siblings before it began. */
static int read_flattened(struct aws_parsing *parsing, const struct aws_reference *member,
                          const struct aws_shape *shape, const struct aws_xml_node *node, json_t *into, int depth) {
  json_t *so_far = json_object_get(into, member->name);
  if (!so_far) {
    so_far = shape->type == AWS_TYPE_LIST ? json_array() : json_object();
    if (json_object_set_new_nocheck(into, member->name, so_far) != 0) return -1;
  }
  if (shape->type == AWS_TYPE_MAP) return read_entry(parsing, member, shape, node, so_far, depth);
  return json_array_append_new(so_far, aws_xml_value(parsing, &shape->members[0], node, depth + 1));
}

/* A structure being filled.  `seen` has a bit for each of the first 64 members that has come: that is asked for every
 * element, and an object's answer costs a search. */
struct filling {
  struct aws_parsing *parsing;
  const struct aws_shape *shape;
  json_t *into;
  uint64_t seen;
  int depth;
};

/* Has this member come before? */
static int has_come(struct filling *filling, const struct aws_reference *member) {
  ptrdiff_t index = member - filling->shape->members;
  if (index >= 64) return json_object_get(filling->into, member->name) != NULL;
  uint64_t bit = UINT64_C(1) << index;
  int has = (filling->seen & bit) != 0;
  filling->seen |= bit;
  return has;
}

static int read_member(struct filling *filling, const struct aws_reference *member, const struct aws_xml_node *node) {
  const struct aws_shape *shape = aws_resolve(filling->parsing->service, member, filling->parsing->error);
  if (!shape) return -1;
  int many = shape->type == AWS_TYPE_LIST || shape->type == AWS_TYPE_MAP;
  if (many && aws_has(member, AWS_FLATTENED))
    return read_flattened(filling->parsing, member, shape, node, filling->into, filling->depth);
  if (has_come(filling, member)) return 0; /* of a repeated element the first counts */
  json_t *value = aws_xml_value(filling->parsing, member, node, filling->depth + 1);
  return json_object_set_new_nocheck(filling->into, member->name, value);
}

/* "xsi:type" is found whatever prefix the answer gave the namespace. */
static int same_attribute(const char *there, const char *wanted) {
  const char *there_colon = strchr(there, ':'), *wanted_colon = strchr(wanted, ':');
  if (!there_colon || !wanted_colon) return strcmp(there, wanted) == 0;
  return strcmp(there_colon + 1, wanted_colon + 1) == 0;
}

static int read_attribute(struct aws_parsing *parsing, const struct aws_reference *member,
                          const struct aws_xml_node *node, json_t *into) {
  if (json_object_get(into, member->name)) return 0;
  for (const struct aws_xml_attribute *attribute = node->attributes; attribute; attribute = attribute->next)
    if (same_attribute(attribute->name, aws_wire(member, member->name)))
      return json_object_set_new_nocheck(into, member->name, aws_json_text(attribute->value, strlen(attribute->value)));
  (void)parsing;
  return 0;
}

/* A structure's members from an element's children and attributes. */
static int read_members(struct aws_parsing *parsing, const struct aws_shape *shape, const struct aws_xml_node *node,
                        json_t *into, int depth) {
  struct filling filling = {.parsing = parsing, .shape = shape, .into = into, .depth = depth};
  for (const struct aws_xml_node *child = node->first; child; child = child->next) {
    const struct aws_reference *member = aws_shape_hashed_member(shape, child->name, child->name_hash);
    for (; member; member = member->same_wire >= 0 ? &shape->members[member->same_wire] : NULL)
      if (read_member(&filling, member, child) != 0) return -1;
  }
  for (int i = 0; node->attributes && i < shape->member_count; i++)
    if (aws_has(&shape->members[i], AWS_XML_ATTRIBUTE) && read_attribute(parsing, &shape->members[i], node, into) != 0)
      return -1;
  return 0;
}

/* A union has exactly one member; one that the model does not know is told by name, as botocore does. */
static json_t *union_value(struct aws_parsing *parsing, const struct aws_reference *reference,
                           const struct aws_shape *shape, const struct aws_xml_node *node, int depth) {
  if (!node->first || node->first->next) return wrong(parsing, reference, "not exactly one member in");
  if (!aws_shape_wire_member(shape, node->first->name))
    return json_pack("{s:{s:s}}", "SDK_UNKNOWN_MEMBER", "name", node->first->name);
  json_t *result = json_object();
  if (read_members(parsing, shape, node, result, depth) == 0) return result;
  json_decref(result);
  return NULL;
}

static json_t *structure_value(struct aws_parsing *parsing, const struct aws_reference *reference,
                               const struct aws_shape *shape, const struct aws_xml_node *node, int depth) {
  if (aws_has(reference, AWS_UNION)) return union_value(parsing, reference, shape, node, depth);
  json_t *result = json_object();
  if (result && read_members(parsing, shape, node, result, depth) == 0) return result;
  json_decref(result);
  return NULL;
}

json_t *aws_xml_value(struct aws_parsing *parsing, const struct aws_reference *reference,
                      const struct aws_xml_node *node, int depth) {
  const struct aws_shape *shape = aws_resolve(parsing->service, reference, parsing->error);
  if (!shape) return NULL;
  if (depth > AWS_DEPTH_CEILING) return wrong(parsing, reference, "too deep");
  switch (shape->type) {
    case AWS_TYPE_STRUCTURE:
      return structure_value(parsing, reference, shape, node, depth);
    case AWS_TYPE_LIST:
      return list_value(parsing, shape, node, depth);
    case AWS_TYPE_MAP:
      return map_value(parsing, reference, shape, node, depth);
    case AWS_TYPE_STRING:
      return json_stringn_nocheck(node->text, node->text_length); /* the parser has looked at every byte */
    default:
      return aws_scalar_value(parsing, reference, shape, node->text, node->text_length);
  }
}
