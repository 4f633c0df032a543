/* Partitions: which part of the AWS world a Region lies in, with its DNS suffixes and its global Region. */
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "aws/endpoint_internal.h"

#define PARTITIONS 64

struct aws_partition_row {
  json_t *regions; /* borrowed from the document */
  json_t *outputs; /* owned: the document's outputs and "name" */
  regex_t pattern;
  int has_pattern;
};

struct aws_partitions {
  json_t *document;
  size_t count;
  struct aws_partition_row rows[PARTITIONS];
};

/* The document's patterns are Perl's; what they use of it in POSIX words (\d, \w, escaped dash). */
static int compile_pattern(regex_t *compiled, const char *pattern) {
  static const struct {
    char escape;
    const char *text;
  } words[] = {{'d', "[0-9]"}, {'w', "[A-Za-z0-9_]"}, {'-', "-"}};
  struct buffer out = {.ceiling = 4096};
  for (; *pattern; pattern++) {
    const char *text = NULL;
    for (size_t i = 0; *pattern == '\\' && i < sizeof words / sizeof *words; i++)
      if (pattern[1] == words[i].escape) text = words[i].text;
    if (text) {
      buffer_add_text(&out, text);
      pattern++;
    } else {
      buffer_add_char(&out, *pattern);
    }
  }
  int result = out.failed ? -1 : regcomp(compiled, buffer_text(&out), REG_EXTENDED | REG_NOSUB);
  buffer_free(&out);
  return result;
}

static int fill_row(struct aws_partition_row *row, const json_t *partition) {
  row->regions = json_object_get(partition, "regions");
  row->outputs = json_copy(json_object_get(partition, "outputs"));
  if (!row->outputs || json_object_set(row->outputs, "name", json_object_get(partition, "id")) != 0) return -1;
  const char *pattern = json_string_value(json_object_get(partition, "regionRegex"));
  row->has_pattern = pattern && compile_pattern(&row->pattern, pattern) == 0;
  return 0;
}

struct aws_partitions *aws_partitions_open(json_t *document, struct error *error) {
  struct aws_partitions *partitions = calloc(1, sizeof *partitions);
  if (!partitions) {
    error_set(error, ERROR_FATAL, "Memory", "out of memory");
    return NULL;
  }
  partitions->document = json_incref(document);
  size_t index;
  json_t *partition, *list = json_object_get(document, "partitions");
  json_array_foreach(list, index, partition) {
    if (index >= PARTITIONS) break;
    partitions->count++;
    if (fill_row(&partitions->rows[index], partition) != 0) goto none;
  }
  if (partitions->count > 0) return partitions;
none:
  aws_partitions_free(partitions);
  error_set(error, ERROR_INVALID, "Partitions", "the list of partitions is empty or incomplete");
  return NULL;
}

void aws_partitions_free(struct aws_partitions *partitions) {
  if (!partitions) return;
  for (size_t i = 0; i < partitions->count; i++) {
    json_decref(partitions->rows[i].outputs);
    if (partitions->rows[i].has_pattern) regfree(&partitions->rows[i].pattern);
  }
  json_decref(partitions->document);
  free(partitions);
}

json_t *aws_partitions_find(const struct aws_partitions *partitions, const char *region) {
  for (size_t i = 0; i < partitions->count; i++) {
    const struct aws_partition_row *row = &partitions->rows[i];
    if (json_object_get(row->regions, region)) return row->outputs;
    if (row->has_pattern && regexec(&row->pattern, region, 0, NULL, 0) == 0) return row->outputs;
  }
  return partitions->rows[0].outputs;
}

const char *aws_partition_by_prefix(const char *region) {
  static const struct {
    const char *prefix, *partition;
  } rows[] = {
      {"cn-", "aws-cn"},         {"us-gov-", "aws-us-gov"}, {"us-iso-", "aws-iso"},    {"us-isob-", "aws-iso-b"},
      {"eu-isoe-", "aws-iso-e"}, {"us-isof-", "aws-iso-f"}, {"eu-isof-", "aws-iso-f"}, {"eusc-", "aws-eusc"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    if (strncmp(region, rows[i].prefix, strlen(rows[i].prefix)) == 0) return rows[i].partition;
  return "aws";
}
