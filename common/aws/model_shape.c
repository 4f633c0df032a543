#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "aws/model_internal.h"

#define MEMBERS_CEILING 20000 /* of one structure */

static const struct {
  const char *name;
  enum aws_type type;
} types[] = {
    {"structure", AWS_TYPE_STRUCTURE}, {"list", AWS_TYPE_LIST},           {"map", AWS_TYPE_MAP},
    {"string", AWS_TYPE_STRING},       {"character", AWS_TYPE_STRING},    {"integer", AWS_TYPE_INTEGER},
    {"long", AWS_TYPE_LONG},           {"float", AWS_TYPE_FLOAT},         {"double", AWS_TYPE_DOUBLE},
    {"boolean", AWS_TYPE_BOOLEAN},     {"timestamp", AWS_TYPE_TIMESTAMP}, {"blob", AWS_TYPE_BLOB},
};

static const struct {
  const char *name;
  unsigned flag;
} flags[] = {
    {"flattened", AWS_FLATTENED},      {"xmlAttribute", AWS_XML_ATTRIBUTE},
    {"streaming", AWS_STREAMING},      {"idempotencyToken", AWS_IDEMPOTENCY_TOKEN},
    {"hostLabel", AWS_HOST_LABEL},     {"jsonvalue", AWS_JSON_VALUE},
    {"eventstream", AWS_EVENT_STREAM}, {"exception", AWS_EXCEPTION},
    {"document", AWS_DOCUMENT},        {"union", AWS_UNION},
    {"eventheader", AWS_EVENT_HEADER}, {"eventpayload", AWS_EVENT_PAYLOAD},
};

static const struct {
  const char *name;
  enum aws_location location;
} locations[] = {
    {"uri", AWS_IN_URI},         {"querystring", AWS_IN_QUERY}, {"header", AWS_IN_HEADER},
    {"headers", AWS_IN_HEADERS}, {"statusCode", AWS_IN_STATUS},
};

static const struct {
  const char *name;
  enum aws_time_format format;
} time_formats[] = {{"iso8601", AWS_TIME_ISO8601}, {"rfc822", AWS_TIME_RFC822}, {"unixtimestamp", AWS_TIME_UNIX}};

#define COUNT(table) (sizeof(table) / sizeof *(table))

static const char *text_of(const json_t *object, const char *key) {
  return json_string_value(json_object_get(object, key));
}

static enum aws_location read_location(const json_t *says) {
  const char *text = text_of(says, "location");
  for (size_t i = 0; text && i < COUNT(locations); i++)
    if (strcmp(locations[i].name, text) == 0) return locations[i].location;
  return AWS_IN_BODY;
}

static enum aws_time_format read_time_format(const json_t *says) {
  const char *text = text_of(says, "timestampFormat");
  for (size_t i = 0; text && i < COUNT(time_formats); i++)
    if (strcasecmp(time_formats[i].name, text) == 0) return time_formats[i].format;
  return AWS_TIME_DEFAULT;
}

/* Lays what `says` says over the traits so far. */
static void lay_over(struct aws_traits *traits, const json_t *says) {
  for (size_t i = 0; i < COUNT(flags); i++) {
    const json_t *value = json_object_get(says, flags[i].name);
    if (json_is_true(value)) traits->flags |= flags[i].flag;
    if (json_is_false(value)) traits->flags &= ~flags[i].flag;
  }
  if (json_object_get(says, "location")) traits->location = read_location(says);
  if (json_object_get(says, "timestampFormat")) traits->time_format = read_time_format(says);
  const struct {
    const char *key, **into;
  } texts[] = {{"locationName", &traits->wire_name},
               {"queryName", &traits->query_name},
               {"payload", &traits->payload},
               {"resultWrapper", &traits->result_wrapper}};
  for (size_t i = 0; i < COUNT(texts); i++) {
    const char *text = text_of(says, texts[i].key);
    if (text) *texts[i].into = text;
  }
  const json_t *space = json_object_get(says, "xmlNamespace");
  if (json_is_string(space)) traits->xml_uri = json_string_value(space);
  if (json_is_object(space)) {
    traits->xml_uri = text_of(space, "uri");
    traits->xml_prefix = text_of(space, "prefix");
  }
}

/* A reference from the model's {"shape": …, …}: its shape's traits, and over them its own. */
static int read_reference(const struct aws_service *service, struct aws_reference *reference, const char *name,
                          const json_t *says) {
  reference->name = name;
  reference->same_wire = -1;
  reference->shape_name = text_of(says, "shape");
  if (!reference->shape_name) return -1;
  lay_over(&reference->traits, aws_service_shape(service, reference->shape_name));
  lay_over(&reference->traits, says);
  atomic_init(&reference->shape, NULL);
  return 0;
}

static unsigned hash_text(const char *text, size_t length) {
  unsigned hash = AWS_HASH_START;
  for (size_t i = 0; i < length; i++) hash = aws_hash_byte(hash, text[i]);
  return hash;
}

/* How a member is called in an answer.  In XML a flattened list has no element of its own: its elements' name counts.
 */
static const char *answer_name(const struct aws_service *service, const struct aws_reference *member) {
  const json_t *shape = aws_service_shape(service, member->shape_name);
  const char *type = text_of(shape, "type");
  if (aws_has(member, AWS_FLATTENED) && type && strcmp(type, "list") == 0) {
    const json_t *element = json_object_get(shape, "member");
    const char *name = text_of(element, "locationName");
    const char *element_shape = text_of(element, "shape");
    if (!name && element_shape) name = text_of(aws_service_shape(service, element_shape), "locationName");
    if (name) return name;
  }
  return aws_wire(member, member->name);
}

static void index_member(struct aws_shape *shape, int index) {
  unsigned mask = shape->table_size - 1;
  const char *name = shape->members[index].name;
  unsigned place = hash_text(name, strlen(name)) & mask;
  while (shape->by_name[place] >= 0) place = (place + 1) & mask;
  shape->by_name[place] = index;
  if (shape->members[index].traits.location != AWS_IN_BODY) return;
  const char *wire = shape->members[index].answer_name;
  place = hash_text(wire, strlen(wire)) & mask;
  while (shape->by_wire[place] >= 0) {
    struct aws_reference *there = &shape->members[shape->by_wire[place]];
    if (strcmp(there->answer_name, wire) == 0) { /* chained behind the one that has the place */
      shape->members[index].same_wire = there->same_wire;
      there->same_wire = index;
      return;
    }
    place = (place + 1) & mask;
  }
  shape->by_wire[place] = index;
}

static int make_index(struct aws_shape *shape) {
  shape->table_size = 4;
  while (shape->table_size < (unsigned)shape->member_count * 2) shape->table_size *= 2;
  shape->by_name = malloc(shape->table_size * sizeof(int));
  shape->by_wire = malloc(shape->table_size * sizeof(int));
  if (!shape->by_name || !shape->by_wire) return -1;
  for (unsigned i = 0; i < shape->table_size; i++) shape->by_name[i] = shape->by_wire[i] = -1;
  for (int i = 0; i < shape->member_count; i++) index_member(shape, i);
  return 0;
}

static void mark_required(struct aws_shape *shape, const json_t *required) {
  size_t i;
  json_t *name;
  json_array_foreach(required, i, name) {
    if (!json_is_string(name)) continue;
    const struct aws_reference *member = aws_shape_member(shape, json_string_value(name), json_string_length(name));
    if (member) shape->members[member - shape->members].required = 1;
  }
}

static int read_members(struct aws_shape *shape, const struct aws_service *service, const json_t *definition) {
  json_t *members = json_object_get(definition, "members");
  size_t count = json_object_size(members);
  if (count > MEMBERS_CEILING) return -1;
  shape->members = calloc(count ? count : 1, sizeof *shape->members);
  if (!shape->members) return -1;
  const char *name;
  json_t *says;
  json_object_foreach(members, name, says) {
    struct aws_reference *member = &shape->members[shape->member_count++];
    if (read_reference(service, member, name, says) != 0) return -1;
    member->answer_name = answer_name(service, member);
  }
  if (make_index(shape) != 0) return -1;
  mark_required(shape, json_object_get(definition, "required"));
  return 0;
}

/* A list's element, or a map's key and value. */
static int read_parts(struct aws_shape *shape, const struct aws_service *service, const json_t *definition,
                      const char *first, const char *second) {
  shape->members = calloc(2, sizeof *shape->members);
  if (!shape->members) return -1;
  shape->member_count = second ? 2 : 1;
  if (read_reference(service, &shape->members[0], "", json_object_get(definition, first)) != 0) return -1;
  return second ? read_reference(service, &shape->members[1], "", json_object_get(definition, second)) : 0;
}

static int read_type(struct aws_shape *shape, const json_t *definition) {
  const char *text = text_of(definition, "type");
  for (size_t i = 0; text && i < COUNT(types); i++)
    if (strcmp(types[i].name, text) == 0) {
      shape->type = types[i].type;
      return 0;
    }
  return -1;
}

static int fill_shape(struct aws_shape *shape, const struct aws_service *service, const json_t *definition) {
  if (read_type(shape, definition) != 0) return -1;
  lay_over(&shape->traits, definition);
  const json_t *minimum = json_object_get(definition, "min");
  shape->has_minimum = json_is_number(minimum);
  shape->minimum = shape->has_minimum ? json_number_value(minimum) : 0;
  if (shape->type == AWS_TYPE_STRUCTURE) return read_members(shape, service, definition);
  if (shape->type == AWS_TYPE_LIST) return read_parts(shape, service, definition, "member", NULL);
  if (shape->type == AWS_TYPE_MAP) return read_parts(shape, service, definition, "key", "value");
  return 0;
}

void aws_shape_free(struct aws_shape *shape) {
  if (!shape) return;
  free(shape->members);
  free(shape->by_name);
  free(shape->by_wire);
  free(shape);
}

static struct aws_shape *compile(const struct aws_service *service, struct aws_piece *piece) {
  json_t *definition = aws_piece_value(service, piece);
  struct aws_shape *shape = calloc(1, sizeof *shape);
  if (!shape) return NULL;
  shape->name = aws_piece_name(service, piece);
  if (fill_shape(shape, service, definition) == 0) return shape;
  aws_shape_free(shape);
  return NULL;
}

static struct aws_shape *shape_of_piece(const struct aws_service *service, struct aws_piece *piece) {
  struct aws_shape *shape = atomic_load_explicit(&piece->shape, memory_order_acquire);
  if (shape) return shape;
  pthread_mutex_t *lock = &((struct aws_service *)service)->lock;
  pthread_mutex_lock(lock);
  shape = atomic_load_explicit(&piece->shape, memory_order_relaxed);
  if (!shape) {
    shape = compile(service, piece);
    atomic_store_explicit(&piece->shape, shape, memory_order_release);
  }
  pthread_mutex_unlock(lock);
  return shape;
}

const struct aws_shape *aws_resolve(const struct aws_service *service, const struct aws_reference *reference,
                                    struct error *error) {
  struct aws_reference *cache = (struct aws_reference *)reference;
  struct aws_shape *shape = atomic_load_explicit(&cache->shape, memory_order_acquire);
  if (shape) return shape;
  struct aws_piece *piece = aws_service_piece(service, AWS_PIECE_SHAPE, reference->shape_name);
  shape = piece ? shape_of_piece(service, piece) : NULL;
  if (shape)
    atomic_store_explicit(&cache->shape, shape, memory_order_release);
  else
    error_set(error, ERROR_FATAL, "Models", "the model of %s has no proper shape %s", aws_service_name(service),
              reference->shape_name);
  return shape;
}

const struct aws_reference *aws_shape_member(const struct aws_shape *shape, const char *name, size_t length) {
  if (shape->type != AWS_TYPE_STRUCTURE) return NULL;
  unsigned mask = shape->table_size - 1;
  for (unsigned place = hash_text(name, length) & mask; shape->by_name[place] >= 0; place = (place + 1) & mask) {
    const struct aws_reference *member = &shape->members[shape->by_name[place]];
    if (strncmp(member->name, name, length) == 0 && member->name[length] == '\0') return member;
  }
  return NULL;
}

const struct aws_reference *aws_shape_hashed_member(const struct aws_shape *shape, const char *name, unsigned hash) {
  if (shape->type != AWS_TYPE_STRUCTURE) return NULL;
  unsigned mask = shape->table_size - 1;
  for (unsigned place = hash & mask; shape->by_wire[place] >= 0; place = (place + 1) & mask) {
    const struct aws_reference *member = &shape->members[shape->by_wire[place]];
    if (strcmp(member->answer_name, name) == 0) return member;
  }
  return NULL;
}

const struct aws_reference *aws_shape_wire_member(const struct aws_shape *shape, const char *name) {
  return aws_shape_hashed_member(shape, name, hash_text(name, strlen(name)));
}

struct aws_operation *aws_operation_compile(const struct aws_service *service, const char *name, json_t *definition,
                                            struct error *error) {
  struct aws_operation *operation = calloc(1, sizeof *operation);
  const json_t *input = json_object_get(definition, "input"), *output = json_object_get(definition, "output");
  if (operation && json_is_object(definition)) {
    operation->name = name;
    operation->definition = definition;
    if ((!input || read_reference(service, &operation->input, "", input) == 0) &&
        (!output || read_reference(service, &operation->output, "", output) == 0))
      return operation;
  }
  free(operation);
  error_set(error, ERROR_FATAL, "Models", "the model of %s has no proper operation %s", aws_service_name(service),
            name);
  return NULL;
}
