#include <stdlib.h>
#include <string.h>

#include "match/set_internal.h"

struct match_scratch *match_scratch_open(void) {
  return calloc(1, sizeof(struct match_scratch));
}

static void free_sized(struct match_scratch *scratch) {
  free(scratch->id_seen);
  free(scratch->notes_of);
  free(scratch->memos);
  free(scratch->met);
  free(scratch->came);
  free(scratch->marks);
  scratch->memos = NULL;
  scratch->met = scratch->came = scratch->marks = NULL;
  free(scratch->candidates);
  free(scratch->matched);
  scratch->id_seen = scratch->candidates = scratch->matched = NULL;
  scratch->notes_of = NULL;
  scratch->set_serial = 0;
}

void match_scratch_free(struct match_scratch *scratch) {
  if (!scratch) return;
  free_sized(scratch);
  free(scratch->notes.items);
  free(scratch->places.items);
  free(scratch->decoded.items);
  free(scratch->hits.items);
  free(scratch->levels.items);
  free(scratch->conflicts.items);
  free(scratch);
}

int match_vector_reserve(struct match_scratch *scratch, struct match_vector *vector, size_t count, size_t size) {
  if (count <= vector->capacity) return 0;
  size_t capacity = vector->capacity ? vector->capacity : 64;
  while (capacity < count) capacity *= 2;
  size_t more = (capacity - vector->capacity) * size;
  if (more > MATCH_SCRATCH_BYTES || scratch->bytes > MATCH_SCRATCH_BYTES - more) return -1;
  void *items = realloc(vector->items, capacity * size);
  if (!items) return -1;
  vector->items = items;
  vector->capacity = capacity;
  scratch->bytes += more;
  return 0;
}

void match_scratch_next_mark(struct match_scratch *scratch) {
  if (++scratch->mark != 0) return;
  memset(scratch->marks, 0, scratch->set->mark_count * sizeof *scratch->marks);
  scratch->mark = 1;
}

int match_scratch_prepare(struct match_scratch *scratch, const struct match_set *set) {
  if (scratch->set_serial != set->serial) {
    free_sized(scratch);
    scratch->candidates = calloc(set->field_count + 1, sizeof *scratch->candidates);
    scratch->id_seen = calloc(set->id_count + 1, sizeof *scratch->id_seen);
    scratch->matched = calloc(set->id_count + 1, sizeof *scratch->matched);
    scratch->notes_of = calloc(set->leaf_count + 1, sizeof *scratch->notes_of);
    scratch->marks = calloc(set->mark_count + 1, sizeof *scratch->marks);
    scratch->met = calloc(set->leaf_count + 1, sizeof *scratch->met);
    scratch->came = calloc(set->leaf_count + 1, sizeof *scratch->came);
    scratch->memos = calloc(set->field_count + 1, sizeof *scratch->memos);
    if (!scratch->met || !scratch->came || !scratch->memos || !scratch->marks || !scratch->candidates ||
        !scratch->id_seen || !scratch->matched || !scratch->notes_of) {
      free_sized(scratch);
      return -1;
    }
    scratch->set_serial = set->serial;
    scratch->event = scratch->mark = 0;
  }
  if (++scratch->event == MATCH_EVENTS) { /* the marks of a billion events ago would look fresh */
    memset(scratch->id_seen, 0, set->id_count * sizeof *scratch->id_seen);
    memset(scratch->notes_of, 0, set->leaf_count * sizeof *scratch->notes_of);
    memset(scratch->met, 0, set->leaf_count * sizeof *scratch->met);
    memset(scratch->came, 0, set->leaf_count * sizeof *scratch->came);
    memset(scratch->memos, 0, set->field_count * sizeof *scratch->memos);
    scratch->event = 1;
  }
  scratch->set = set;
  scratch->candidate_count = scratch->matched_count = 0;
  scratch->notes.count = scratch->decoded.count = 0;
  scratch->places.count = 1;
  scratch->steps = MATCH_SEARCH_STEPS;
  return match_vector_reserve(scratch, &scratch->places, 1, sizeof(struct match_place)) == 0
             ? (memset(scratch->places.items, 0, sizeof(struct match_place)), 0)
             : -1;
}
