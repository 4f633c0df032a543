/* The walk over one event's bytes. */
#include <string.h>

#include "match/hash_internal.h"
#include "match/set_internal.h"

struct run {
  const struct match_set *set;
  struct match_scratch *scratch;
  const struct match_scan *scan;
  const char *start, *at, *end;
  int depth;
  uint32_t place;
  uint32_t arrays;                /* opened so far */
  uint32_t leaf;                  /* of the value at hand */
  int inside_arrays;              /* arrays open now */
  uint32_t leaves_left;           /* paths that did not come yet, outside arrays … */
  uint32_t keys_left;             /* … and those among them where rules have their keys */
  const struct match_watch *lost; /* no rule can match any more, unless one of these paths comes again */
  bool stopped;                   /* nothing that is left can change what is known */
  bool patient;                   /* goes on to the end */
  bool again;                     /* gave up too early: once more, patiently */
  const char *problem;            /* why the walk ended early */
};

static int fail(struct run *run, const char *problem) {
  run->problem = problem;
  return -1;
}

static const char not_json[] = "the event is not JSON";
static const char no_memory[] = "the event needs more memory than a scratch may have";

/* ---- results ---- */

static void report_match(struct match_scratch *scratch, uint32_t id) {
  if (scratch->id_seen[id] == scratch->event) return;
  scratch->id_seen[id] = scratch->event;
  scratch->matched[scratch->matched_count++] = id;
}

/* The index says that the value at hand meets a field. */
static void found_field(void *context, uint32_t number) {
  struct run *run = context;
  struct match_scratch *scratch = run->scratch;
  scratch->met[run->leaf] = scratch->event;
  if (!match_memo_is_of(scratch->memos[number], scratch->event)) {
    scratch->memos[number] = match_memo(scratch->event, run->place ? MATCH_HIT : MATCH_MET);
    if (run->set->keyed[number].count > 0) scratch->candidates[scratch->candidate_count++] = number;
  } else if (run->place == 0) {
    scratch->memos[number] = match_memo(scratch->event, MATCH_MET);
  }
}

/* ---- values ---- */

static int note(struct run *run, const struct match_leaf *leaf, const struct match_value *value) {
  struct match_scratch *scratch = run->scratch;
  uint32_t number = (uint32_t)scratch->notes.count;
  if (match_vector_reserve(scratch, &scratch->notes, scratch->notes.count + 1, sizeof(struct match_note)) != 0)
    return fail(run, no_memory);
  struct match_note *notes = scratch->notes.items;
  notes[scratch->notes.count++] =
      (struct match_note){value->text, (uint32_t)value->length, (uint32_t)value->kind, run->place, MATCH_NONE};
  struct match_notes_of *of = &scratch->notes_of[leaf->number];
  if (of->event == scratch->event)
    notes[of->last].next = number;
  else
    of->first = number;
  of->event = scratch->event;
  of->last = number;
  return 0;
}

static int take_value(struct run *run, const struct match_leaf *leaf, const struct match_value *value) {
  if (leaf->noted && note(run, leaf, value) != 0) return -1;
  if (!leaf->index) return 0;
  run->leaf = leaf->number;
  match_index_search(leaf->index, value, run->scratch, found_field, run);
  return 0;
}

static void skip_space(struct run *run) {
  while (run->at < run->end && (*run->at == ' ' || *run->at == '\n' || *run->at == '\r' || *run->at == '\t')) run->at++;
}

static int skip_string(struct run *run) {
  for (;;) {
    const char *at = run->scan->string_stop(run->at, run->end);
    if (at == run->end) return fail(run, not_json);
    if (*at == '"') {
      run->at = at + 1;
      return 0;
    }
    run->at = at + (*at == '\\' ? 2 : 1);
    if (run->at > run->end) return fail(run, not_json);
  }
}

/* Goes on behind an escape; *escapes tells that there was one.  The raw text ends before the returned quote. */
static const char *string_close(struct run *run, bool *escapes) {
  const char *at = run->at;
  for (;;) {
    at = run->scan->string_stop(at, run->end);
    if (at == run->end || (unsigned char)*at < 0x20) return NULL;
    if (*at == '"') return at;
    *escapes = true;
    at += 2;
    if (at > run->end) return NULL;
  }
}

/* Reads a string, decoded; run->at stands behind its opening quote. */
static int read_string(struct run *run, const char **text, size_t *length) {
  bool escapes = false;
  const char *close = string_close(run, &escapes);
  if (!close) return fail(run, not_json);
  *text = run->at;
  *length = (size_t)(close - run->at);
  run->at = close + 1;
  if (!escapes) return 0;
  struct match_scratch *scratch = run->scratch;
  /* All decoded strings of an event fit into its own length, so what was decoded earlier stays where it is. */
  if (match_vector_reserve(scratch, &scratch->decoded, (size_t)(run->end - run->start), 1) != 0)
    return fail(run, no_memory);
  char *to = (char *)scratch->decoded.items + scratch->decoded.count;
  ptrdiff_t decoded = match_text_decode(*text, *length, to);
  if (decoded < 0) return fail(run, not_json);
  scratch->decoded.count += (size_t)decoded;
  *text = to;
  *length = (size_t)decoded;
  return 0;
}

static bool ends_scalar(char byte) {
  return byte == ',' || byte == '}' || byte == ']' || byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

/* Number, true, false, null, or something else up to the next comma, bracket or space. */
static int read_scalar(struct run *run, struct match_value *value) {
  static const char *const words[] = {[MATCH_TRUE] = "true", [MATCH_FALSE] = "false", [MATCH_NULL] = "null"};
  const char *start = run->at;
  while (run->at < run->end && !ends_scalar(*run->at)) run->at++;
  value->text = start;
  value->length = (size_t)(run->at - start);
  if (value->length == 0) return fail(run, not_json);
  value->kind = *start == 't' ? MATCH_TRUE : *start == 'f' ? MATCH_FALSE : *start == 'n' ? MATCH_NULL : MATCH_NUMBER;
  if (value->kind == MATCH_NUMBER)
    return match_number_parse(start, value->length, &value->number) == 0 ? 0 : fail(run, not_json);
  const char *word = words[value->kind];
  return value->length == strlen(word) && memcmp(start, word, value->length) == 0 ? 0 : fail(run, not_json);
}

static int skip_scalar(struct run *run) {
  const char *start = run->at;
  while (run->at < run->end && !ends_scalar(*run->at)) run->at++;
  return run->at > start ? 0 : fail(run, not_json);
}

static int skip_container(struct run *run) {
  const char *behind = run->scan->skip_container(run->at + 1, run->end, MATCH_EVENT_DEPTH - run->depth - 1);
  if (!behind) return fail(run, "the event is not JSON, or nested too deep");
  run->at = behind;
  return 0;
}

static int skip_value(struct run *run) {
  switch (*run->at) {
    case '"':
      run->at++;
      return skip_string(run);
    case '{':
    case '[':
      return skip_container(run);
    default:
      return skip_scalar(run);
  }
}

static int read_leaf(struct run *run, const struct match_leaf *leaf) {
  struct match_value value = {.kind = MATCH_STRING};
  if (*run->at == '"') {
    run->at++;
    if (read_string(run, &value.text, &value.length) != 0) return -1;
  } else if (read_scalar(run, &value) != 0) {
    return -1;
  }
  return take_value(run, leaf, &value);
}

/* ---- objects and arrays ---- */

static int walk_object(struct run *run, const struct match_node *node);
static int walk_array(struct run *run, const struct match_node *node);

static int walk_value(struct run *run, const struct match_node *node) {
  if (*run->at == '{') return node->keys ? walk_object(run, node) : skip_container(run);
  if (*run->at == '[') return walk_array(run, node);
  return node->leaf ? read_leaf(run, node->leaf) : skip_value(run);
}

/* Elements that are objects or arrays are places of their own, elements that are scalars are not (event-ruler). */
static int enter_element(struct run *run, uint32_t array, uint32_t outer) {
  struct match_scratch *scratch = run->scratch;
  if (match_vector_reserve(scratch, &scratch->places, scratch->places.count + 1, sizeof(struct match_place)) != 0)
    return fail(run, no_memory);
  struct match_place *places = scratch->places.items;
  places[scratch->places.count] = (struct match_place){outer, array, places[outer].depth + 1};
  run->place = (uint32_t)scratch->places.count++;
  return 0;
}

static int walk_element(struct run *run, const struct match_node *node, uint32_t array) {
  uint32_t outer = run->place;
  bool is_place = node->shared && (*run->at == '{' || *run->at == '[');
  if (is_place && enter_element(run, array, outer) != 0) return -1;
  int result = walk_value(run, node);
  run->place = outer;
  return result;
}

/* Behind a value: 1 when another one follows (behind the comma and spaces), 0 behind the closing bracket, or -1. */
static int follow(struct run *run, char close) {
  skip_space(run);
  if (run->at == run->end) return fail(run, not_json);
  char byte = *run->at++;
  if (byte == close) return 0;
  if (byte != ',') return fail(run, not_json);
  skip_space(run);
  return run->at < run->end ? 1 : fail(run, not_json);
}

static int walk_array(struct run *run, const struct match_node *node) {
  if (run->depth == MATCH_EVENT_DEPTH) return fail(run, "the event is nested too deep");
  run->at++;
  skip_space(run);
  if (run->at < run->end && *run->at == ']') {
    run->at++;
    return 0;
  }
  uint32_t array = run->arrays++;
  int more = run->at < run->end ? 1 : fail(run, not_json);
  run->depth++;
  run->inside_arrays++;
  while (more > 0) more = walk_element(run, node, array) == 0 ? follow(run, ']') : -1;
  run->inside_arrays--;
  run->depth--;
  return more;
}

const struct match_node *match_node_child(const struct match_node *node, const char *key, size_t length) {
  if (!node->keys) return NULL;
  uint32_t slot = (uint32_t)match_hash_key(key, length) & node->key_mask;
  for (; node->keys[slot].text; slot = (slot + 1) & node->key_mask)
    if (node->keys[slot].length == length && memcmp(node->keys[slot].text, key, length) == 0)
      return node->keys[slot].node;
  return NULL;
}

/* The node for a key, which may itself hold dots: "a.b" is the path a, b. */
static const struct match_node *step(const struct match_node *node, const char *key, size_t length) {
  const char *end = key + length, *dot;
  while (node && (dot = memchr(key, '.', (size_t)(end - key)))) {
    node = match_node_child(node, key, (size_t)(dot - key));
    key = dot + 1;
  }
  return node ? match_node_child(node, key, (size_t)(end - key)) : NULL;
}

/* Stopping early.  No rule can match any more when a value that every rule needs (say, "source") came and met no field,
 * or when the values of all rules' key fields came and met none; and nothing can change any more when all paths came:
 * unless the event repeats a key on the way to one of these.  So if what is left of the event does not have the last
 * key of any of them, that is the end.  If it has, where no rule can match the rest is skipped, keys are still looked
 * at, and where one is repeated the event is walked once more, patiently; else the walk goes on. */
static bool may_come_again(const struct run *run, const struct match_watch *watch) {
  return watch->words.count == 0 || run->scan->has_word(run->at, run->end, &watch->words);
}

static int give_up(struct run *run, const struct match_watch *watch) {
  run->lost = watch;
  run->stopped = !may_come_again(run, watch);
  return run->stopped ? -1 : 0;
}

static bool is_on_way(const struct match_watch *watch, const struct match_node *node) {
  for (uint32_t i = 0; i < watch->node_count; i++)
    if (watch->nodes[i] == node) return true;
  return false;
}

static int skip_member(struct run *run, const struct match_node *child) {
  if (!is_on_way(run->lost, child)) return skip_value(run);
  run->again = true;
  return -1;
}

/* Behind the value of a path that the set uses, outside arrays. */
static int leaf_came(struct run *run, const struct match_leaf *leaf) {
  const struct match_set *set = run->set;
  struct match_scratch *scratch = run->scratch;
  if (leaf->needed && scratch->met[leaf->number] != scratch->event) return give_up(run, leaf->needed);
  if (scratch->came[leaf->number] == scratch->event) return 0;
  scratch->came[leaf->number] = scratch->event;
  run->leaves_left--;
  if (leaf->is_key) run->keys_left--;
  if (set->keys && run->keys_left == 0 && scratch->candidate_count == 0) return give_up(run, set->keys);
  run->stopped = run->leaves_left == 0 && set->all && !may_come_again(run, set->all);
  return run->stopped ? -1 : 0;
}

static int walk_known(struct run *run, const struct match_node *child) {
  if (run->lost) return skip_member(run, child);
  if (walk_value(run, child) != 0) return -1;
  bool counts = child->leaf && run->inside_arrays == 0 && !run->patient && !run->lost;
  return counts ? leaf_came(run, child->leaf) : 0;
}

static int walk_member(struct run *run, const struct match_node *node) {
  const char *key;
  size_t length;
  if (*run->at++ != '"') return fail(run, not_json);
  if (read_string(run, &key, &length) != 0) return -1;
  skip_space(run);
  if (run->at == run->end || *run->at++ != ':') return fail(run, not_json);
  skip_space(run);
  if (run->at == run->end) return fail(run, not_json);
  const struct match_node *child = step(node, key, length);
  return child ? walk_known(run, child) : skip_value(run);
}

static int walk_object(struct run *run, const struct match_node *node) {
  if (run->depth == MATCH_EVENT_DEPTH) return fail(run, "the event is nested too deep");
  run->at++;
  skip_space(run);
  if (run->at < run->end && *run->at == '}') {
    run->at++;
    return 0;
  }
  int more = run->at < run->end ? 1 : fail(run, not_json);
  run->depth++;
  while (more > 0) more = walk_member(run, node) == 0 ? follow(run, '}') : -1;
  run->depth--;
  return more;
}

static int walk_event(struct run *run) {
  skip_space(run);
  if (run->at == run->end || *run->at != '{') return fail(run, "the event is not a JSON object");
  if (walk_object(run, run->set->root) != 0) return -1;
  skip_space(run);
  return run->at == run->end ? 0 : fail(run, not_json);
}

/* ---- candidates, ids ---- */

/* The look that ends most candidates: is there a field that the index would have found and did not? */
static inline bool misses_one(const struct match_scratch *scratch, const struct match_plan *plan) {
  for (int i = 0; i < MATCH_QUICK; i++)
    if (!match_memo_is_of(scratch->memos[plan->quick[i]], scratch->event)) return true;
  return false;
}

static int resolve_plan(struct run *run, uint32_t number) {
  struct match_scratch *scratch = run->scratch;
  const struct match_plan *plan = &run->set->plans[number];
  if (scratch->id_seen[plan->id] == scratch->event) return 0;
  int matches = match_resolve(scratch, plan);
  if (matches < 0) return fail(run, scratch->steps ? no_memory : "the event's arrays take too long to compare");
  if (matches) report_match(scratch, plan->id);
  return 0;
}

static int resolve(struct run *run) {
  const struct match_scratch *scratch = run->scratch;
  for (uint32_t i = 0; i < scratch->candidate_count; i++) {
    struct match_keyed keyed = run->set->keyed[scratch->candidates[i]];
    for (uint32_t p = 0; p < keyed.count; p++)
      if (!misses_one(scratch, &run->set->plans[keyed.first + p]) && resolve_plan(run, keyed.first + p) != 0) return -1;
  }
  for (uint32_t i = 0; i < run->set->always_count; i++)
    if (resolve_plan(run, run->set->always[i]) != 0) return -1;
  return 0;
}

/* Sorts without memory of its own (heap sort); there are few. */
static void sift(uint32_t *items, size_t at, size_t count) {
  for (size_t child; (child = at * 2 + 1) < count; at = child) {
    if (child + 1 < count && items[child + 1] > items[child]) child++;
    if (items[at] >= items[child]) return;
    uint32_t item = items[at];
    items[at] = items[child];
    items[child] = item;
  }
}

static void sort(uint32_t *items, size_t count) {
  for (size_t i = count / 2; i-- > 0;) sift(items, i, count);
  for (size_t i = count; i-- > 1;) {
    uint32_t item = items[0];
    items[0] = items[i];
    items[i] = item;
    sift(items, 0, i);
  }
}

/* Turns the marks into ids in ascending order: few by sorting, many by going through all. */
static void order_ids(const struct match_set *set, struct match_scratch *scratch) {
  if (scratch->matched_count < set->id_count / 16) {
    sort(scratch->matched, scratch->matched_count);
    for (uint32_t i = 0; i < scratch->matched_count; i++) scratch->matched[i] = set->ids[scratch->matched[i]];
    return;
  }
  uint32_t count = 0;
  for (uint32_t i = 0; count < scratch->matched_count; i++)
    if (scratch->id_seen[i] == scratch->event) scratch->matched[count++] = set->ids[i];
}

/* Walks and resolves.  0 or -1. */
static int run_event(struct run *run) {
  if (match_scratch_prepare(run->scratch, run->set) != 0) return fail(run, no_memory);
  if (walk_event(run) != 0 && !run->stopped) return -1;
  return run->lost ? 0 : resolve(run);
}

int match_run(const struct match_set *set, struct match_scratch *scratch, const char *event, size_t length,
              const uint32_t **ids, struct error *error) {
  const struct run fresh = {.set = set,
                            .scratch = scratch,
                            .scan = set->scan,
                            .start = event,
                            .at = event,
                            .end = event + length,
                            .leaves_left = set->leaf_count,
                            .keys_left = set->key_count};
  struct run run = fresh;
  *ids = NULL;
  if (length > MATCH_EVENT_BYTES) return error_set(error, ERROR_INVALID, "Event", "the event is too long");
  int result = run_event(&run);
  if (run.again) {
    run = fresh;
    run.patient = true;
    result = run_event(&run);
  }
  if (result != 0) {
    enum error_class class = run.problem == no_memory ? ERROR_FATAL : ERROR_INVALID;
    return error_set(error, class, "Event", "%s (byte %zu)", run.problem, (size_t)(run.at - event));
  }
  order_ids(set, scratch);
  *ids = scratch->matched;
  return (int)scratch->matched_count;
}
