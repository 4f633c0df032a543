/* The sieve: most events are put aside without being walked.
 *
 * Each rule asks for one of a few strings at some path, eventName mostly.  An event can match only if it has, behind
 * the last key of one of these paths, one of the strings: one pass of the scanner over the bytes tells, at whatever
 * depth the key stands, so the answer errs on one side only.  Whatever may be spelt in another way (an escape, a list)
 * passes. */
#include <stdlib.h>
#include <string.h>

#include "match/build_internal.h"

struct match_sieve {
  struct match_words words;   /* the paths' last keys */
  struct match_piece *values; /* open addressing; text NULL: free */
  uint32_t mask;
};

/* ---- an event ---- */

static const char *behind_spaces(const char *at, const char *end) {
  while (at < end && *at <= ' ' && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) at++;
  return at;
}

static bool has_value(const struct match_sieve *sieve, const char *text, size_t length) {
  uint32_t slot = (uint32_t)match_hash_key(text, length) & sieve->mask;
  for (; sieve->values[slot].text; slot = (slot + 1) & sieve->mask)
    if (sieve->values[slot].length == length && memcmp(sieve->values[slot].text, text, length) == 0) return true;
  return false;
}

/* Behind one of the words: is it a key whose value may be one of those asked for? */
static bool passes(const void *context, const char *at, const char *end) {
  const struct match_set *set = context;
  at = behind_spaces(at, end);
  if (at == end || *at != ':') return false; /* a value that reads like the key */
  at = behind_spaces(at + 1, end);
  if (at == end || *at == '[') return true;
  if (*at != '"') return false;
  const char *stop = set->scan->string_stop(at + 1, end);
  return stop == end || *stop != '"' || has_value(set->sieve, at + 1, (size_t)(stop - at - 1));
}

bool match_may(const struct match_set *set, const char *event, size_t length) {
  const struct match_sieve *sieve = set->sieve;
  const char *end = event + length;
  if (!sieve || length < 2 || *event != '{') return true;
  return !set->scan->passes_over(event, end, MATCH_EVENT_DEPTH - 1, &sieve->words, passes, set);
}

/* ---- the set ---- */

/* A string that a field accepts. */
struct accepted {
  const struct match_predicate *string;
  uint32_t path, field;
  uint32_t rules; /* that use the field; then, that ask for this string at this path in whatever field */
};

struct choice {
  struct accepted *accepted; /* of all fields that accept strings only, equal ones side by side */
  size_t count;
  uint32_t *frequency; /* by field: in how many rules its most frequent string occurs; 0: not of strings only */
  bool *chosen;        /* by field */
};

static bool accepts_strings_only(const struct match_field *field) {
  bool only = field->count > 0 && !field->absent_allowed;
  for (size_t i = 0; only && i < field->count; i++) only = field->predicates[i].kind == MATCH_IS_STRING;
  return only;
}

static int compare_accepted(const void *left, const void *right) {
  const struct accepted *a = left, *b = right;
  if (a->path != b->path) return a->path < b->path ? -1 : 1;
  return match_string_order(a->string->text, a->string->length, b->string->text, b->string->length);
}

static int collect(const struct match_set *set, struct choice *choice) {
  size_t total = 0;
  uint32_t *rules = calloc(set->field_count + 1, sizeof *rules);
  for (uint32_t i = 0; rules && i < set->plan_count; i++)
    for (uint32_t f = 0; f < set->plans[i].count; f++) rules[set->plans[i].fields[f]]++;
  for (uint32_t i = 0; i < set->field_count; i++) total += set->fields[i].count;
  choice->accepted = calloc(total + 1, sizeof *choice->accepted);
  choice->frequency = calloc(set->field_count + 1, sizeof *choice->frequency);
  choice->chosen = calloc(set->field_count + 1, sizeof *choice->chosen);
  int failed = !rules || !choice->accepted || !choice->frequency || !choice->chosen;
  for (uint32_t i = 0; !failed && i < set->field_count; i++) {
    const struct match_field *field = &set->fields[i];
    for (size_t p = 0; accepts_strings_only(field) && p < field->count; p++)
      choice->accepted[choice->count++] =
          (struct accepted){&field->predicates[p], (uint32_t)field->path_index, i, rules[i]};
  }
  free(rules);
  return failed ? -1 : 0;
}

static void count_rules(struct choice *choice) {
  struct accepted *accepted = choice->accepted;
  if (choice->count > 1) qsort(accepted, choice->count, sizeof *accepted, compare_accepted);
  for (size_t first = 0, end; first < choice->count; first = end) {
    uint32_t rules = 0;
    for (end = first; end < choice->count && compare_accepted(&accepted[first], &accepted[end]) == 0; end++)
      rules += accepted[end].rules;
    for (size_t i = first; i < end; i++)
      if (choice->frequency[accepted[i].field] < rules) choice->frequency[accepted[i].field] = rules;
  }
}

/* Each rule's field whose strings are the rarest; -1: some rule has none. */
static int choose(const struct match_set *set, struct choice *choice) {
  for (uint32_t i = 0; i < set->plan_count; i++) {
    const struct match_plan *plan = &set->plans[i];
    uint32_t best = MATCH_NONE;
    for (uint32_t f = 0; f < plan->count; f++) {
      uint32_t field = plan->fields[f];
      if (choice->frequency[field] == 0) continue;
      if (best == MATCH_NONE || choice->frequency[field] < choice->frequency[best]) best = field;
    }
    if (best == MATCH_NONE) return -1;
    choice->chosen[best] = true;
  }
  return 0;
}

static void add_value(struct match_sieve *sieve, const struct match_predicate *string) {
  uint32_t slot = (uint32_t)match_hash_key(string->text, string->length) & sieve->mask;
  while (sieve->values[slot].text) slot = (slot + 1) & sieve->mask; /* twice does no harm */
  sieve->values[slot] = (struct match_piece){string->text, string->length};
}

/* -1: too many words, or no memory: the set does without. */
static int fill(struct match_build *build, const struct choice *choice, struct match_sieve *sieve) {
  const struct match_set *set = build->set;
  size_t count = 0, size = 4;
  for (uint32_t i = 0; i < set->field_count; i++) {
    if (!choice->chosen[i]) continue;
    count += set->fields[i].count;
    struct match_piece key = match_last_key(build->leaves[set->fields[i].path_index]->node);
    if (match_add_word(&sieve->words, key) != 0) return -1;
  }
  while (size < count * 2) size *= 2;
  sieve->values = match_arena_array(&build->set->arena, size, sizeof *sieve->values);
  if (!sieve->values || size > UINT32_MAX) return -1;
  sieve->mask = (uint32_t)size - 1;
  for (size_t i = 0; i < choice->count; i++)
    if (choice->chosen[choice->accepted[i].field]) add_value(sieve, choice->accepted[i].string);
  return 0;
}

void match_build_sieve(struct match_build *build) {
  struct match_set *set = build->set;
  struct choice choice = {0};
  struct match_sieve *sieve = NULL;
  if (set->plan_count > 0 && collect(set, &choice) == 0) {
    count_rules(&choice);
    if (choose(set, &choice) == 0) sieve = match_arena_take(&set->arena, sizeof *sieve);
  }
  if (sieve && fill(build, &choice, sieve) == 0) set->sieve = sieve;
  free(choice.accepted);
  free(choice.frequency);
  free(choice.chosen);
}
