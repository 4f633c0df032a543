/* Checks one rule against the values that the walk noted.
 *
 * The question: is there one value for each field such that all of them agree (no two lie in different elements of one
 * array), where a field that may be absent can take "absent" instead, if no value of it agrees with all the others?
 * The search takes the fields in turn.  When a field finds no value, only the fields that excluded one of its values
 * are to blame, and the search goes back to the latest of those (conflict-directed backjumping); fields of other
 * arrays in between are not tried again. */
#include <string.h>

#include "match/set_internal.h"

static void value_of(const struct match_note *note, struct match_value *value) {
  value->kind = (enum match_value_kind)note->kind;
  value->text = note->text;
  value->length = note->length;
  if (value->kind == MATCH_NUMBER) match_number_parse(note->text, note->length, &value->number);
}

static uint32_t first_note(const struct match_scratch *scratch, const struct match_field *field) {
  const struct match_notes_of *of = &scratch->notes_of[field->path_index];
  return of->event == scratch->event ? of->first : MATCH_NONE;
}

/* ---- each field on its own ---- */

static enum match_state find_state(const struct match_scratch *scratch, const struct match_field *field) {
  const struct match_note *notes = scratch->notes.items;
  uint32_t number = first_note(scratch, field);
  bool hit = false, free = false; /* a value meets it; a value is at place 0 */
  if (number == MATCH_NONE) return field->absent_allowed ? MATCH_MET : MATCH_MISSED;
  for (; number != MATCH_NONE; number = notes[number].next) {
    struct match_value value;
    free = free || notes[number].place == 0;
    if (hit && notes[number].place != 0) continue;
    value_of(&notes[number], &value);
    if (!match_field_holds(field, &value)) continue;
    if (notes[number].place == 0) return MATCH_MET;
    hit = true;
  }
  if (hit) return MATCH_HIT;
  return field->absent_allowed && !free ? MATCH_ELSEWHERE : MATCH_MISSED;
}

static enum match_state state_of(struct match_scratch *scratch, uint32_t number) {
  uint32_t *memo = &scratch->memos[number];
  if (match_memo_is_of(*memo, scratch->event)) return (enum match_state)(*memo & 3);
  if (scratch->set->indexed[number]) return MATCH_MISSED;
  enum match_state state = find_state(scratch, &scratch->set->fields[number]);
  *memo = match_memo(scratch->event, state);
  return state;
}

/* No two fields can lie in one array, so each is met or not. */
static int resolve_plain(struct match_scratch *scratch, const struct match_plan *plan) {
  for (uint32_t i = 0; i < plan->count; i++) {
    enum match_state state = state_of(scratch, plan->fields[i]);
    if (state != MATCH_MET && state != MATCH_HIT) return 0;
  }
  return 1;
}

/* ---- fields that may lie in one array ---- */

/* Do two places lie in no two different elements of one array? */
static bool agree(const struct match_place *places, uint32_t a, uint32_t b) {
  uint32_t below_a = 0, below_b = 0; /* the children of the common ancestor on the way to each */
  while (a != b) {
    if (places[a].depth >= places[b].depth)
      below_a = a, a = places[a].parent;
    else
      below_b = b, b = places[b].parent;
  }
  return below_a == 0 || below_b == 0 || places[below_a].array != places[below_b].array;
}

static int add_place(struct match_scratch *scratch, size_t first, uint32_t place) {
  uint32_t *hits = scratch->hits.items;
  if (scratch->hits.count > first && hits[scratch->hits.count - 1] == place) return 0;
  if (match_vector_reserve(scratch, &scratch->hits, scratch->hits.count + 1, sizeof *hits) != 0) return -1;
  hits = scratch->hits.items;
  hits[scratch->hits.count++] = place;
  return 0;
}

/* Collects the places of the field's values, all of them or only those that meet it.  1 when one lies in no array that
 * matters (place 0; not if `zero` says that this is a place like any other), 0, or -1: out of memory. */
static int collect(struct match_scratch *scratch, const struct match_field *field, bool all, bool zero) {
  size_t first = scratch->hits.count;
  uint32_t number = first_note(scratch, field);
  for (const struct match_note *notes = scratch->notes.items; number != MATCH_NONE; number = notes[number].next) {
    struct match_value value;
    value_of(&notes[number], &value);
    if (!all && !match_field_holds(field, &value)) continue;
    if (notes[number].place == 0 && !zero) return 1;
    if (add_place(scratch, first, notes[number].place) != 0) return -1;
  }
  return 0;
}

/* Adds a level to the search unless the field is met or absent whatever the others choose.  1: fine; 0: the field
 * cannot be met at all; -1: out of memory. */
static int add_level(struct match_scratch *scratch, const struct match_field *field, bool zero) {
  struct match_level level = {.hits = (uint32_t)scratch->hits.count, .absent_allowed = field->absent_allowed};
  if (field->absent_allowed && first_note(scratch, field) == MATCH_NONE) return 1;
  int free = collect(scratch, field, false, zero);
  if (free != 0) return free;
  level.hit_count = (uint32_t)scratch->hits.count - level.hits;
  level.presences = (uint32_t)scratch->hits.count;
  if (field->absent_allowed && (free = collect(scratch, field, true, false)) != 0) {
    if (free < 0) return -1;
    level.absent_allowed = false; /* it is there for everybody */
    scratch->hits.count = level.presences;
  }
  level.presence_count = (uint32_t)scratch->hits.count - level.presences;
  if (level.hit_count == 0 && !level.absent_allowed) return 0;
  if (match_vector_reserve(scratch, &scratch->levels, scratch->levels.count + 1, sizeof level) != 0) return -1;
  ((struct match_level *)scratch->levels.items)[scratch->levels.count++] = level;
  return 1;
}

struct search {
  struct match_scratch *scratch;
  const struct match_place *places;
  const uint32_t *hits;
  struct match_level *levels;
  uint32_t count;
  size_t words;        /* of one row of conflicts */
  uint64_t *conflicts; /* row l: the levels before l that keep it from being met */
};

static bool takes_step(struct search *search) { return search->scratch->steps > 0 && --search->scratch->steps > 0; }

/* Does a place agree with what levels 0 … level-1 chose?  If not, the first that disagrees is noted in the row. */
static bool agrees_with_all(struct search *search, uint32_t place, uint32_t level, uint64_t *row) {
  for (uint32_t l = 0; l < level; l++) {
    uint32_t chosen = search->levels[l].chosen;
    if (chosen == MATCH_NONE || (takes_step(search) && agree(search->places, place, chosen))) continue;
    if (row) row[l / 64] |= 1ull << l % 64;
    return false;
  }
  return true;
}

/* All levels have chosen: is what they call absent really absent for these choices? */
static bool absences_hold(struct search *search) {
  for (uint32_t l = 0; l < search->count; l++) {
    const struct match_level *level = &search->levels[l];
    if (level->chosen != MATCH_NONE) continue;
    for (uint32_t i = 0; i < level->presence_count; i++)
      if (agrees_with_all(search, search->hits[level->presences + i], search->count, NULL)) return false;
  }
  return true;
}

static bool meet(struct search *search, uint32_t level);

/* Tries one choice.  1: all levels are met; 0: try the next choice; -1: this level is not to blame, or out of steps. */
static int choose(struct search *search, uint32_t level, uint32_t choice) {
  uint64_t *row = search->conflicts + level * search->words, *next = row + search->words;
  search->levels[level].chosen = choice;
  if (meet(search, level + 1)) return 1;
  if (search->scratch->steps == 0) return -1;
  bool blamed = next[level / 64] >> level % 64 & 1;
  if (!blamed) memcpy(row, next, search->words * sizeof *row);
  if (!blamed) return -1;
  next[level / 64] &= ~(1ull << level % 64);
  for (size_t w = 0; w < search->words; w++) row[w] |= next[w];
  return 0;
}

static bool meet(struct search *search, uint32_t level) {
  uint64_t *row = search->conflicts + level * search->words;
  memset(row, 0, search->words * sizeof *row);
  if (level == search->count) {
    if (absences_hold(search)) return true;
    memset(row, 0xFF, search->words * sizeof *row); /* any other choice may change that */
    return false;
  }
  const struct match_level *own = &search->levels[level];
  for (uint32_t i = 0; i < own->hit_count; i++) {
    uint32_t place = search->hits[own->hits + i];
    if (!takes_step(search)) return false;
    if (!agrees_with_all(search, place, level, row)) continue;
    int result = choose(search, level, place);
    if (result != 0) return result > 0;
  }
  return own->absent_allowed && choose(search, level, MATCH_NONE) > 0;
}

static int resolve_joined(struct match_scratch *scratch, const struct match_plan *plan) {
  bool free = true, absent = false; /* a field may be absent for some choices of others: then these are all tried */
  for (uint32_t i = 0; i < plan->count; i++) {
    enum match_state state = state_of(scratch, plan->fields[i]);
    if (state == MATCH_MISSED) return 0;
    free = free && state == MATCH_MET;
    absent = absent || (state != MATCH_MET && scratch->set->fields[plan->fields[i]].absent_allowed);
  }
  if (free) return 1;
  scratch->hits.count = scratch->levels.count = 0;
  for (uint32_t i = 0; i < plan->count; i++) {
    if (state_of(scratch, plan->fields[i]) == MATCH_MET && !absent) continue;
    int result = add_level(scratch, &scratch->set->fields[plan->fields[i]], absent);
    if (result <= 0) return result;
  }
  struct search search = {.scratch = scratch, .count = (uint32_t)scratch->levels.count};
  if (search.count == 0) return 1;
  search.words = search.count / 64 + 1;
  if (match_vector_reserve(scratch, &scratch->conflicts, (search.count + 1) * search.words, sizeof(uint64_t)) != 0)
    return -1;
  search.places = scratch->places.items;
  search.hits = scratch->hits.items;
  search.levels = scratch->levels.items;
  search.conflicts = scratch->conflicts.items;
  bool met = meet(&search, 0);
  return scratch->steps == 0 ? -1 : met;
}

int match_resolve(struct match_scratch *scratch, const struct match_plan *plan) {
  return plan->joined ? resolve_joined(scratch, plan) : resolve_plain(scratch, plan);
}
