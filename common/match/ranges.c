/* Which of many ranges hold a number: a segment tree.
 *
 * The n points at which ranges begin or end cut the numbers into 2n + 1 positions: 2i + 1 is point i itself, 2i what
 * lies before it.  A range covers positions from one to another, which the tree splits into at most 2 log n nodes; the
 * nodes above a number's position are those of the ranges that hold it. */
#include <stdlib.h>

#include "match/index_internal.h"

static int compare_points(const void *left, const void *right) { return match_number_compare(left, right); }

static uint32_t positions(const struct ranges *ranges) { return 2 * ranges->count + 1; }

static uint32_t position_of(const struct ranges *ranges, const struct match_number *number) {
  uint32_t low = 0, high = ranges->count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    int order = match_number_compare(&ranges->points[middle], number);
    if (order == 0) return 2 * middle + 1;
    if (order < 0) low = middle + 1;
    if (order > 0) high = middle;
  }
  return 2 * low;
}

static int collect_points(struct match_arena *arena, struct ranges *ranges, const struct match_entry *entries,
                          size_t count) {
  size_t found = 0;
  struct match_number *points = ranges->points = match_arena_array(arena, count * 2, sizeof *points);
  if (!points) return -1;
  for (size_t i = 0; i < count; i++) {
    if (entries[i].predicate->has_low) points[found++] = entries[i].predicate->low;
    if (entries[i].predicate->has_high) points[found++] = entries[i].predicate->high;
  }
  qsort(points, found, sizeof *points, compare_points);
  for (size_t i = 0; i < found; i++)
    if (i == 0 || match_number_compare(&points[i], &points[ranges->count - 1]) != 0)
      points[ranges->count++] = points[i];
  return 0;
}

/* Visits the nodes of a range: counts into starts[node + 1], or puts the field at starts[node]++. */
static void cover(struct ranges *ranges, const struct match_entry *entry, bool count_only) {
  const struct match_predicate *p = entry->predicate;
  uint32_t first = p->has_low ? position_of(ranges, &p->low) + (p->low_open ? 1 : 0) : 0;
  uint32_t last = p->has_high ? position_of(ranges, &p->high) - (p->high_open ? 1 : 0) : positions(ranges) - 1;
  uint32_t left = first + positions(ranges), right = last + positions(ranges) + 1;
  for (; left < right; left /= 2, right /= 2) {
    uint32_t nodes[2], found = 0;
    if (left & 1) nodes[found++] = left++;
    if (right & 1) nodes[found++] = --right;
    for (uint32_t i = 0; i < found; i++) {
      if (count_only)
        ranges->starts[nodes[i] + 2]++;
      else
        ranges->fields[ranges->starts[nodes[i] + 1]++] = entry->field;
    }
  }
}

int match_ranges_build(struct match_arena *arena, struct ranges *ranges, const struct match_entry *entries,
                       size_t count) {
  if (count == 0) return 0;
  if (collect_points(arena, ranges, entries, count) != 0) return -1;
  size_t nodes = 2 * (size_t)positions(ranges);
  ranges->starts = match_arena_array(arena, nodes + 3, sizeof *ranges->starts);
  if (!ranges->starts) return -1;
  for (size_t i = 0; i < count; i++) cover(ranges, &entries[i], true);
  for (size_t n = 1; n < nodes + 3; n++) ranges->starts[n] += ranges->starts[n - 1];
  ranges->fields = match_arena_array(arena, ranges->starts[nodes + 2], sizeof *ranges->fields);
  if (!ranges->fields) return -1;
  for (size_t i = 0; i < count; i++) cover(ranges, &entries[i], false);
  return 0;
}

void match_ranges_search(const struct ranges *ranges, const struct match_search *search) {
  if (!ranges->starts) return;
  uint32_t node = position_of(ranges, &search->value->number) + positions(ranges);
  for (; node > 0; node /= 2) {
    uint32_t start = ranges->starts[node];
    match_report(search, (struct fields){ranges->fields + start, ranges->starts[node + 1] - start});
  }
}
