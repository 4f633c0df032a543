/* What the benches of common/match share: lines of a file as events, one set, timed passes. */
#ifndef PARAPET_BENCH_EVENTS_H
#define PARAPET_BENCH_EVENTS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "match/set_internal.h"

static inline double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static inline void die(const char *what) {
  fprintf(stderr, "bench: %s\n", what);
  exit(1);
}

struct events {
  const char *text;
  size_t bytes, count;
  struct match_piece *lines;
};

static inline void split_lines(struct events *events) {
  for (const char *at = events->text, *end; at < events->text + events->bytes; at = end + 1) {
    end = memchr(at, '\n', (size_t)(events->text + events->bytes - at));
    if (!end) break;
    if ((events->count & (events->count - 1)) == 0) {
      events->lines = realloc(events->lines, (events->count ? events->count * 2 : 1) * sizeof *events->lines);
      if (!events->lines) die("out of memory");
    }
    events->lines[events->count++] = (struct match_piece){at, (size_t)(end - at)};
  }
}

static inline struct events read_events(const char *path) {
  struct events events = {0};
  FILE *file = fopen(path, "r");
  if (!file || fseek(file, 0, SEEK_END) != 0) die("cannot read the events");
  events.bytes = (size_t)ftell(file);
  rewind(file);
  char *text = malloc(events.bytes);
  if (!text || fread(text, 1, events.bytes, file) != events.bytes) die("cannot read the events");
  fclose(file);
  events.text = text;
  split_lines(&events);
  return events;
}

static inline void events_free(struct events *events) {
  free(events->lines);
  free((char *)events->text);
}

static inline void add(struct match_builder *builder, uint32_t id, const char *pattern) {
  struct error error = {0};
  if (match_add(builder, id, pattern, strlen(pattern), &error) != 0) die(error.message);
}

static inline struct match_set *finish(struct match_builder *builder) {
  struct error error = {0};
  struct match_set *set = match_build(builder, &error);
  if (!set) die(error.message);
  return set;
}

/* One pass over all events; counts by id (below `ids`).  Seconds. */
static inline double pass(const struct match_set *set, const struct events *events, size_t *counts, size_t ids) {
  struct match_scratch *scratch = match_scratch_open();
  struct error error = {0};
  memset(counts, 0, ids * sizeof *counts);
  double start = now();
  for (size_t i = 0; i < events->count; i++) {
    const uint32_t *matched;
    int count = match_run(set, scratch, events->lines[i].text, events->lines[i].length, &matched, &error);
    if (count < 0) die(error.message);
    for (int m = 0; m < count; m++) counts[matched[m]]++;
  }
  double seconds = now() - start;
  match_scratch_free(scratch);
  return seconds;
}

static inline double best_of(int passes, const struct match_set *set, const struct events *events, size_t *counts,
                             size_t ids) {
  double best = 1e9;
  for (int i = 0; i < passes; i++) {
    double seconds = pass(set, events, counts, ids);
    if (seconds < best) best = seconds;
  }
  return best;
}

#endif
