#include <stdlib.h>
#include <string.h>

#include "bus/bus_internal.h"

struct bus_partition *bus_partition_new(const char *topic, int32_t number) {
  struct bus_partition *partition = calloc(1, sizeof *partition);
  if (!partition) return NULL;
  partition->topic = strdup(topic);
  if (!partition->topic) {
    free(partition);
    return NULL;
  }
  partition->number = number;
  partition->start = partition->submitted = partition->passed = -1;
  partition->references = 1;
  watermark_start(&partition->watermark);
  return partition;
}

void bus_partition_drop(struct bus_partition *partition) {
  if (--partition->references > 0) return;
  watermark_free(&partition->watermark);
  free(partition->topic);
  free(partition);
}

struct bus_partition *bus_partition_find(struct bus_partition *list, const char *topic, int32_t number) {
  for (; list; list = list->following)
    if (list->number == number && strcmp(list->topic, topic) == 0) return list;
  return NULL;
}

rd_kafka_topic_partition_list_t *bus_partition_positions(struct bus_partition *list, int resend) {
  rd_kafka_topic_partition_list_t *positions = NULL;
  for (; list; list = list->following) {
    int64_t position = list->watermark.position;
    if (position < 0 || (position == list->submitted && !resend)) continue;
    if (!positions) positions = rd_kafka_topic_partition_list_new(8);
    rd_kafka_topic_partition_list_add(positions, list->topic, list->number)->offset = position;
    list->submitted = position;
  }
  return positions;
}
