/* Equal fields are kept once.  Compared and copied is what predicates mean, member by member: their structs have holes.
 */
#include <string.h>

#include "match/build_internal.h"

static bool has_text(enum match_predicate_kind kind) { return kind <= MATCH_IS_WILDCARD; }

static bool has_numbers(enum match_predicate_kind kind) { return kind == MATCH_IS_NUMBER || kind == MATCH_IS_RANGE; }

/* ---- hash ---- */

static uint64_t hash_predicate(const struct match_predicate *p, uint64_t hash) {
  hash = match_hash_mix(hash, p->kind);
  if (has_text(p->kind)) hash = match_hash_bytes(p->text, p->length, hash);
  if (has_numbers(p->kind)) hash = match_hash_mix(match_hash_mix(hash, p->low.mantissa), p->high.mantissa);
  if (p->kind == MATCH_IS_NETWORK) hash = match_hash_bytes((const char *)p->network.address, 16, hash);
  if (p->kind == MATCH_IS_EXCEPT)
    for (size_t i = 0; i < p->except_count; i++) hash = hash_predicate(&p->except[i], hash);
  return hash;
}

uint64_t match_field_hash(const struct match_field *field) {
  uint64_t hash = match_hash_mix(field->path_index, field->absent_allowed);
  for (size_t i = 0; i < field->count; i++) hash = hash_predicate(&field->predicates[i], hash);
  return hash;
}

/* ---- same ---- */

static bool same_predicates(const struct match_predicate *a, const struct match_predicate *b, size_t count);

static bool same_range(const struct match_predicate *a, const struct match_predicate *b) {
  if (a->has_low != b->has_low || a->has_high != b->has_high) return false;
  if (a->low_open != b->low_open || a->high_open != b->high_open) return false;
  return match_number_compare(&a->low, &b->low) == 0 && match_number_compare(&a->high, &b->high) == 0;
}

static bool same_pieces(const struct match_predicate *a, const struct match_predicate *b) {
  if (a->piece_count != b->piece_count) return false;
  for (size_t i = 0; i < a->piece_count; i++) {
    const struct match_piece *p = &a->pieces[i], *q = &b->pieces[i];
    if (p->length != q->length || memcmp(p->text, q->text, p->length) != 0) return false;
  }
  return true;
}

static bool same_predicate(const struct match_predicate *a, const struct match_predicate *b) {
  if (a->kind != b->kind) return false;
  if (a->kind == MATCH_IS_WILDCARD) return same_pieces(a, b);
  if (has_text(a->kind)) return a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
  if (has_numbers(a->kind)) return same_range(a, b);
  if (a->kind == MATCH_IS_NETWORK) return memcmp(&a->network, &b->network, sizeof a->network) == 0;
  if (a->kind != MATCH_IS_EXCEPT) return true;
  return a->except_count == b->except_count && same_predicates(a->except, b->except, a->except_count);
}

static bool same_predicates(const struct match_predicate *a, const struct match_predicate *b, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (!same_predicate(&a[i], &b[i])) return false;
  return true;
}

bool match_field_same(const struct match_field *a, const struct match_field *b) {
  return a->path_index == b->path_index && a->absent_allowed == b->absent_allowed && a->count == b->count &&
         same_predicates(a->predicates, b->predicates, a->count);
}

/* ---- copy ---- */

static const struct match_predicate *copy_predicates(struct match_arena *arena, const struct match_predicate *from,
                                                     size_t count);

static int copy_tail(struct match_arena *arena, struct match_number *number) {
  if (!number->tail) return 0;
  number->tail = match_arena_copy(arena, number->tail, number->tail_length);
  return number->tail ? 0 : -1;
}

static int copy_pieces(struct match_arena *arena, struct match_predicate *p) {
  struct match_piece *pieces = match_arena_array(arena, p->piece_count, sizeof *pieces);
  if (!pieces) return -1;
  for (size_t i = 0; i < p->piece_count; i++) {
    pieces[i] =
        (struct match_piece){match_arena_copy(arena, p->pieces[i].text, p->pieces[i].length), p->pieces[i].length};
    if (!pieces[i].text) return -1;
  }
  p->pieces = pieces;
  return 0;
}

/* Gives a predicate that was copied as it is its own copy of what it points to. */
static int own(struct match_arena *arena, struct match_predicate *p) {
  if (has_text(p->kind)) {
    p->text = match_arena_copy(arena, p->text, p->length);
    if (!p->text) return -1;
  }
  if (p->kind == MATCH_IS_WILDCARD) return copy_pieces(arena, p);
  if (has_numbers(p->kind)) return copy_tail(arena, &p->low) != 0 ? -1 : copy_tail(arena, &p->high);
  if (p->kind != MATCH_IS_EXCEPT) return 0;
  p->except = copy_predicates(arena, p->except, p->except_count);
  return p->except ? 0 : -1;
}

static const struct match_predicate *copy_predicates(struct match_arena *arena, const struct match_predicate *from,
                                                     size_t count) {
  struct match_predicate *to = match_arena_array(arena, count, sizeof *to);
  if (!to) return NULL;
  if (count > 0) memcpy(to, from, count * sizeof *to);
  for (size_t i = 0; i < count; i++)
    if (own(arena, &to[i]) != 0) return NULL;
  return to;
}

int match_field_copy(struct match_arena *arena, const struct match_field *from, struct match_field *to) {
  *to = *from;
  to->path = match_arena_copy(arena, from->path, from->path_length);
  to->predicates = copy_predicates(arena, from->predicates, from->count);
  return to->path && to->predicates ? 0 : -1;
}
