/* The watermark of one partition: which offset may be committed while messages finish in any order.
 *
 * Delivered offsets stand in a ring in the order of delivery, each with a bit "done".  Finishing sets the bit; when it
 * is the oldest one's, the done ones behind it are popped, and the position becomes the offset behind the last popped.
 * Every message enters and leaves the ring once, so the cost is constant a message.
 *
 * Offsets need not be dense (compaction, transactions), and may go back: librdkafka starts again from the beginning
 * when a topic was deleted and made anew.  Then the position goes back as well, which is right: committing the old,
 * higher one would skip what the new topic has not shown us yet. */
#include <stdlib.h>
#include <string.h>

#include "bus/bus_internal.h"

void watermark_start(struct watermark *watermark) {
  memset(watermark, 0, sizeof *watermark);
  watermark->position = watermark->next = -1;
}

static int grow(struct watermark *watermark) {
  size_t capacity = watermark->capacity ? watermark->capacity * 2 : 256;
  if (capacity > WATERMARK_CEILING) return -1;
  int64_t *ring = malloc(capacity * sizeof *ring);
  if (!ring) return -1;
  for (uint64_t i = watermark->head; i != watermark->tail; i++)
    ring[i & (capacity - 1)] = watermark->ring[i & (watermark->capacity - 1)];
  free(watermark->ring);
  watermark->ring = ring;
  watermark->capacity = capacity;
  return 0;
}

int watermark_add(struct watermark *watermark, int64_t offset, uint64_t *slot) {
  if (watermark_span(watermark) == watermark->capacity && grow(watermark) != 0) return -1;
  watermark->ring[watermark->tail & (watermark->capacity - 1)] = offset * 2;
  *slot = watermark->tail++;
  watermark->next = offset + 1;
  return 0;
}

int watermark_finish(struct watermark *watermark, uint64_t slot) {
  size_t mask = watermark->capacity - 1;
  watermark->ring[slot & mask] |= 1;
  if (slot != watermark->head) return 0;
  while (watermark->head != watermark->tail && (watermark->ring[watermark->head & mask] & 1)) {
    watermark->position = watermark->ring[watermark->head & mask] / 2 + 1;
    watermark->head++;
  }
  return 1;
}

int watermark_pass(struct watermark *watermark, int64_t offset) {
  if (watermark->head == watermark->tail) { /* nothing is waited for */
    watermark->position = watermark->next = offset + 1;
    return 0;
  }
  int64_t *newest = &watermark->ring[(watermark->tail - 1) & (watermark->capacity - 1)];
  if (*newest & 1) { /* done, so nobody comes back for its slot */
    *newest = offset * 2 + 1;
    watermark->next = offset + 1;
    return 0;
  }
  uint64_t slot;
  if (watermark_add(watermark, offset, &slot) != 0) return -1;
  watermark->ring[slot & (watermark->capacity - 1)] |= 1;
  return 0;
}

size_t watermark_span(const struct watermark *watermark) { return (size_t)(watermark->tail - watermark->head); }

void watermark_free(struct watermark *watermark) {
  free(watermark->ring);
  watermark_start(watermark);
}
