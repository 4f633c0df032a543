/* Settings from a YAML file: groups are mappings, values are scalars or sequences of scalars. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/buffer.h"
#include "base/config.h"
#include "base/config_internal.h"

#define LARGEST_FILE ((size_t)1 << 20)

struct file {
  struct loader *loader;
  const char *path;
  yaml_document_t document;
};

static int line_of(const yaml_node_t *node) { return (int)node->start_mark.line + 1; }

static const char *scalar(const yaml_node_t *node) { return (const char *)node->data.scalar.value; }

static int has_nul(const yaml_node_t *node) { return strlen(scalar(node)) != node->data.scalar.length; }

static int is_null(const yaml_node_t *node) {
  if (node->type != YAML_SCALAR_NODE || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE) return 0;
  const char *text = scalar(node);
  return !*text || strcmp(text, "~") == 0 || strcmp(text, "null") == 0;
}

static int is_group(const struct config *config, const char *name) {
  size_t length = strlen(name);
  for (size_t i = 0; i < config->count; i++)
    if (strncmp(config->table[i].name, name, length) == 0 && config->table[i].name[length] == '.') return 1;
  return 0;
}

static void set_sequence(struct file *file, size_t index, const yaml_node_t *node, const struct source *source) {
  size_t count = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
  const char **items = calloc(count + 1, sizeof *items);
  if (!items) {
    file->loader->out_of_memory = 1;
    return;
  }
  for (size_t i = 0; i < count; i++) {
    const yaml_node_t *item = yaml_document_get_node(&file->document, node->data.sequence.items.start[i]);
    if (item->type != YAML_SCALAR_NODE || is_null(item) || has_nul(item)) {
      config_complain(file->loader, "%s:%d: %s: each item must be a text", file->path, line_of(item),
                      file->loader->config->table[index].name);
      free(items);
      return;
    }
    items[i] = scalar(item);
  }
  config_set_list(file->loader, index, items, count, source);
  free(items);
}

static void set_value(struct file *file, size_t index, const yaml_node_t *key, const yaml_node_t *node) {
  struct loader *loader = file->loader;
  const struct setting *setting = &loader->config->table[index];
  struct value *value = &loader->config->values[index];
  int line = line_of(key);
  char place[512];
  char origin[600];
  snprintf(place, sizeof place, "%s:%d", file->path, line);
  snprintf(origin, sizeof origin, "file %s", place);
  const struct source source = {place, origin};
  if (value->file_line) {
    config_complain(loader, "%s: %s is given twice, first in line %d", place, setting->name, value->file_line);
    return;
  }
  value->file_line = line;
  if (node->type == YAML_SEQUENCE_NODE && setting->type == SETTING_LIST)
    set_sequence(file, index, node, &source);
  else if (node->type != YAML_SCALAR_NODE)
    config_complain(loader, "%s: %s must be a single value%s", place, setting->name,
                    setting->type == SETTING_LIST ? " or a sequence" : "");
  else if (is_null(node))
    config_complain(loader, "%s: %s has no value (leave the line out for the default, or write \"\")", place,
                    setting->name);
  else if (has_nul(node))
    config_complain(loader, "%s: %s holds a NUL character", place, setting->name);
  else
    config_set(loader, index, scalar(node), &source);
}

static void read_mapping(struct file *file, const yaml_node_t *mapping, const char *group);

static void read_pair(struct file *file, const yaml_node_pair_t *pair, const char *group) {
  const yaml_node_t *key = yaml_document_get_node(&file->document, pair->key);
  const yaml_node_t *node = yaml_document_get_node(&file->document, pair->value);
  char name[CONFIG_NAME_SIZE];
  char suggestion[CONFIG_NAME_SIZE + 32];
  if (key->type != YAML_SCALAR_NODE || has_nul(key)) {
    config_complain(file->loader, "%s:%d: a setting's name must be a text", file->path, line_of(key));
    return;
  }
  int length = snprintf(name, sizeof name, "%s%s%s", group, *group ? "." : "", scalar(key));
  int index = (size_t)length < sizeof name ? config_find(file->loader->config, name) : -1;
  if (index >= 0)
    set_value(file, (size_t)index, key, node);
  else if ((size_t)length >= sizeof name || !is_group(file->loader->config, name))
    config_complain(file->loader, "%s:%d: %s is not a setting%s", file->path, line_of(key), name,
                    config_suggestion(name, file->loader->names, suggestion, sizeof suggestion));
  else if (node->type == YAML_MAPPING_NODE)
    read_mapping(file, node, name);
  else if (!is_null(node))
    config_complain(file->loader, "%s:%d: %s is a group of settings, not a value", file->path, line_of(key), name);
}

/* The depth ends with the longest name of the table, so that an alias to an outer mapping cannot lead in circles. */
static void read_mapping(struct file *file, const yaml_node_t *mapping, const char *group) {
  for (const yaml_node_pair_t *pair = mapping->data.mapping.pairs.start; pair < mapping->data.mapping.pairs.top; pair++)
    read_pair(file, pair, group);
}

static void complain_syntax(const struct file *file, const yaml_parser_t *parser) {
  config_complain(file->loader, "%s:%d: %s", file->path, (int)parser->problem_mark.line + 1,
                  parser->problem ? parser->problem : "this is no YAML");
}

/* The one document of the file; what follows it is a mistake. */
static void read_documents(struct file *file, yaml_parser_t *parser) {
  for (int number = 0;; number++) {
    if (!yaml_parser_load(parser, &file->document)) {
      complain_syntax(file, parser);
      return;
    }
    const yaml_node_t *root = yaml_document_get_root_node(&file->document);
    int end = root == NULL;
    if (root && number > 0)
      config_complain(file->loader, "%s:%d: only one YAML document is read", file->path, line_of(root));
    else if (root && root->type == YAML_MAPPING_NODE)
      read_mapping(file, root, "");
    else if (root && !is_null(root))
      config_complain(file->loader, "%s:%d: settings are a mapping, name: value", file->path, line_of(root));
    yaml_document_delete(&file->document);
    if (end) return;
  }
}

static int read_whole(struct file *file, struct buffer *content) {
  FILE *in = fopen(file->path, "re");
  if (!in) {
    config_complain(file->loader, "%s: the file cannot be opened: %s", file->path, strerror(errno));
    return -1;
  }
  char part[8192];
  size_t length;
  content->ceiling = LARGEST_FILE;
  while ((length = fread(part, 1, sizeof part, in)) > 0 && buffer_add(content, part, length) == 0) {}
  int failed = ferror(in);
  fclose(in);
  if (!failed && !content->failed) return 0;
  config_complain(file->loader, "%s: the file %s", file->path,
                  failed ? "cannot be read" : "is larger than 1 MiB, which no settings need");
  return -1;
}

void config_read_file(struct loader *loader, const char *path) {
  struct file file = {.loader = loader, .path = path};
  struct buffer content = {0};
  yaml_parser_t parser;
  if (read_whole(&file, &content) == 0) {
    if (yaml_parser_initialize(&parser)) {
      yaml_parser_set_input_string(&parser, (const unsigned char *)buffer_text(&content), content.length);
      read_documents(&file, &parser);
      yaml_parser_delete(&parser);
    } else {
      loader->out_of_memory = 1;
    }
  }
  buffer_free(&content);
}
