/* Says of one value whether one predicate holds.  The index (index.c) avoids asking; here is what is true. */
#include <string.h>

#include "match/match_internal.h"

static bool is_string(const struct match_predicate *p, const struct match_value *v) {
  return v->length == p->length && memcmp(v->text, p->text, p->length) == 0;
}

static bool is_prefix(const struct match_predicate *p, const struct match_value *v) {
  return v->length >= p->length && memcmp(v->text, p->text, p->length) == 0;
}

static bool is_suffix(const struct match_predicate *p, const struct match_value *v) {
  return v->length >= p->length && memcmp(v->text + v->length - p->length, p->text, p->length) == 0;
}

static bool same_ascii(const char *pattern, const char *text, size_t length) {
  for (size_t i = 0; i < length; i++)
    if (match_ascii_lower(pattern[i]) != match_ascii_lower(text[i])) return false;
  return true;
}

static bool is_string_fold(const struct match_predicate *p, const struct match_value *v) {
  if (p->ascii) return v->length == p->length && same_ascii(p->text, v->text, p->length);
  return match_fold_start(p->text, p->length, v->text, v->length) == (ptrdiff_t)v->length;
}

static bool is_prefix_fold(const struct match_predicate *p, const struct match_value *v) {
  if (p->ascii) return v->length >= p->length && same_ascii(p->text, v->text, p->length);
  return match_fold_start(p->text, p->length, v->text, v->length) >= 0;
}

static bool is_suffix_fold(const struct match_predicate *p, const struct match_value *v) {
  if (p->ascii) return v->length >= p->length && same_ascii(p->text, v->text + v->length - p->length, p->length);
  return match_fold_end(p->text, p->length, v->text, v->length) >= 0;
}

/* The first and the last literal are anchored; those between are taken at the first place where they fit, which loses
 * nothing, since an asterisk behind may take any text. */
static bool is_wildcard(const struct match_predicate *p, const struct match_value *v) {
  const struct match_piece *first = &p->pieces[0], *last = &p->pieces[p->piece_count - 1];
  if (v->length < first->length + last->length) return false;
  const char *at = v->text + first->length, *end = v->text + v->length - last->length;
  if (memcmp(v->text, first->text, first->length) != 0 || memcmp(end, last->text, last->length) != 0) return false;
  for (size_t i = 1; i + 1 < p->piece_count; i++) {
    at = memmem(at, (size_t)(end - at), p->pieces[i].text, p->pieces[i].length);
    if (!at) return false;
    at += p->pieces[i].length;
  }
  return true;
}

static bool is_network(const struct match_predicate *p, const struct match_value *v) {
  struct match_network address;
  return match_address_parse(v->text, v->length, &address) == 0 && match_network_holds(&p->network, &address);
}

static bool is_number(const struct match_predicate *p, const struct match_value *v) {
  return match_number_compare(&v->number, &p->low) == 0;
}

static bool is_range(const struct match_predicate *p, const struct match_value *v) {
  if (p->has_low && match_number_compare(&v->number, &p->low) < (p->low_open ? 1 : 0)) return false;
  return !p->has_high || match_number_compare(&v->number, &p->high) <= (p->high_open ? -1 : 0);
}

static bool always(const struct match_predicate *p, const struct match_value *v) {
  (void)p, (void)v;
  return true;
}

static bool is_except(const struct match_predicate *p, const struct match_value *v) {
  for (size_t i = 0; i < p->except_count; i++)
    if (match_predicate_holds(&p->except[i], v)) return false;
  return true;
}

#define ANY_KIND (-1)

bool match_predicate_holds(const struct match_predicate *predicate, const struct match_value *value) {
  static const struct {
    int kind; /* of the value; other kinds never match */
    bool (*holds)(const struct match_predicate *, const struct match_value *);
  } table[MATCH_KINDS] = {
      [MATCH_IS_STRING] = {MATCH_STRING, is_string},
      [MATCH_IS_PREFIX] = {MATCH_STRING, is_prefix},
      [MATCH_IS_SUFFIX] = {MATCH_STRING, is_suffix},
      [MATCH_IS_STRING_FOLD] = {MATCH_STRING, is_string_fold},
      [MATCH_IS_PREFIX_FOLD] = {MATCH_STRING, is_prefix_fold},
      [MATCH_IS_SUFFIX_FOLD] = {MATCH_STRING, is_suffix_fold},
      [MATCH_IS_WILDCARD] = {MATCH_STRING, is_wildcard},
      [MATCH_IS_NUMBER] = {MATCH_NUMBER, is_number},
      [MATCH_IS_RANGE] = {MATCH_NUMBER, is_range},
      [MATCH_IS_TRUE] = {MATCH_TRUE, always},
      [MATCH_IS_FALSE] = {MATCH_FALSE, always},
      [MATCH_IS_NULL] = {MATCH_NULL, always},
      [MATCH_IS_PRESENT] = {ANY_KIND, always},
      [MATCH_IS_ABSENT] = {MATCH_KINDS, always}, /* never of a value */
      [MATCH_IS_NETWORK] = {MATCH_STRING, is_network},
      [MATCH_IS_EXCEPT] = {ANY_KIND, is_except},
  };
  int kind = table[predicate->kind].kind;
  return (kind == ANY_KIND || kind == (int)value->kind) && table[predicate->kind].holds(predicate, value);
}

int match_string_order(const char *a, size_t a_length, const char *b, size_t b_length) {
  if (a_length != b_length) return a_length < b_length ? -1 : 1;
  return a_length == 0 ? 0 : memcmp(a, b, a_length);
}

static bool holds_string(const struct match_field *field, const struct match_value *value) {
  size_t low = 0, high = field->strings;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    const struct match_predicate *p = &field->predicates[middle];
    int order = match_string_order(value->text, value->length, p->text, p->length);
    if (order == 0) return true;
    if (order < 0) high = middle;
    if (order > 0) low = middle + 1;
  }
  return false;
}

bool match_field_holds(const struct match_field *field, const struct match_value *value) {
  if (value->kind == MATCH_STRING && field->strings > 0 && holds_string(field, value)) return true;
  for (size_t i = field->strings; i < field->count; i++)
    if (match_predicate_holds(&field->predicates[i], value)) return true;
  return false;
}
