/* What a guardrail accepts of a resource: by item and time; what nobody accepted is kept apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "baselines/baseline.h"
#include "json/yaml.h"

#include <cmocka.h>

static json_t *value_of(const char *text) {
  struct error error = {0};
  json_t *value = yaml_parse(text, strlen(text), "test", NULL, &error);
  if (!value) fail_msg("%s: %s", text, error.message);
  return value;
}

static struct baseline rules;
static struct guardrail guardrail = {.baseline = &rules};

static void open_guardrail(void) {
  if (!rules.by) rules.by = jmes_compile("k", NULL, NULL);
  assert_non_null(rules.by);
}

static void assert_accepted(const json_t *record, int64_t at, const char *expected) {
  json_t *items = baseline_at(record, at), *wanted = value_of(expected);
  if (!json_same(items, wanted)) fail_msg("at %d: %s, expected %s", (int)at, json_text(items), expected);
  json_decref(items);
  json_decref(wanted);
}

static int sees(json_t *record, const char *items, int64_t now) {
  json_t *live = value_of(items);
  int changed = baseline_see(&guardrail, record, live, now, 900);
  json_decref(live);
  return changed;
}

static void accepts(json_t *record, const char *changes, const char *live, int64_t at) {
  json_t *made = value_of(changes), *items = live ? value_of(live) : NULL;
  baseline_accept(&guardrail, record, made, items, at);
  json_decref(made);
  json_decref(items);
}

static void test_the_first_look_accepts_and_what_was_before_it_is_not_known(void **state) {
  (void)state;
  open_guardrail();
  json_t *record = json_object();
  assert_accepted(NULL, 1000, "null");
  assert_accepted(record, 1000, "null");
  assert_int_equal(sees(record, "[{k: a, v: 1}]", 1000), 1);
  assert_accepted(record, 999, "null");
  assert_accepted(record, 1000, "[{k: a, v: 1}]");
  assert_int_equal(sees(record, "[{k: a, v: 1}]", 1100), 0);
  json_decref(record);
}

static void test_a_sweep_accepts_what_stands_for_a_while_as_of_when_it_was_first_seen(void **state) {
  (void)state;
  open_guardrail();
  json_t *record = json_object();
  sees(record, "[{k: a, v: 1}, {k: gone, v: 1}]", 1000);
  assert_int_equal(sees(record, "[{k: a, v: 2}, {k: new, v: 1}]", 2000), 1); /* remembered */
  assert_accepted(record, 2000, "[{k: a, v: 1}, {k: gone, v: 1}]");
  assert_int_equal(sees(record, "[{k: a, v: 2}, {k: new, v: 1}]", 2899), 0); /* not long enough */
  assert_int_equal(sees(record, "[{k: a, v: 3}, {k: new, v: 1}]", 2900), 1); /* `a` moved on: its time begins anew */
  assert_accepted(record, 2900, "[{k: a, v: 1}, {k: new, v: 1}]");
  assert_accepted(record, 1999, "[{k: a, v: 1}, {k: gone, v: 1}]"); /* before the difference, for a late event */
  assert_int_equal(sees(record, "[{k: a, v: 3}, {k: new, v: 1}]", 3800), 1);
  assert_accepted(record, 3800, "[{k: a, v: 3}, {k: new, v: 1}]");
  json_decref(record);
}

static void test_a_difference_that_goes_away_is_forgotten(void **state) {
  (void)state;
  open_guardrail();
  json_t *record = json_object();
  sees(record, "[{k: a, v: 1}]", 1000);
  sees(record, "[{k: a, v: 2}]", 2000);
  assert_int_equal(sees(record, "[{k: a, v: 1}]", 2500), 1);
  assert_int_equal(sees(record, "[{k: a, v: 2}]", 3000), 1); /* anew */
  assert_int_equal(sees(record, "[{k: a, v: 2}]", 3800), 0);
  assert_accepted(record, 3800, "[{k: a, v: 1}]");
  json_decref(record);
}

static void test_an_accepted_event_is_the_baseline_as_of_its_time(void **state) {
  (void)state;
  open_guardrail();
  json_t *record = json_object();
  sees(record, "[{k: a, v: 1}, {k: b, v: 1}]", 1000);
  /* late, and out of order: the second is told first */
  accepts(record, "[{key: a, made: {k: a, v: 3}}]", NULL, 3000);
  accepts(record, "[{key: a, made: {k: a, v: 2}}, {key: b, made: null}]", NULL, 2000);
  assert_accepted(record, 1999, "[{k: a, v: 1}, {k: b, v: 1}]");
  assert_accepted(record, 2000, "[{k: a, v: 2}]");
  assert_accepted(record, 3000, "[{k: a, v: 3}]");
  json_decref(record);
}

static void test_what_a_stranger_did_meanwhile_is_not_accepted_with_it(void **state) {
  (void)state;
  open_guardrail();
  json_t *record = json_object();
  sees(record, "[{k: a, v: 1}]", 1000);
  /* the live item shows more than the event made: tags, say; it shows just that: it is taken */
  accepts(record, "[{key: a, made: {k: a, v: 2}}]", "[{k: a, v: 2, tags: [t]}]", 2000);
  assert_accepted(record, 2000, "[{k: a, v: 2, tags: [t]}]");
  /* a stranger has changed it since: what the event made is taken */
  accepts(record, "[{key: a, made: {k: a, v: 3}}]", "[{k: a, v: 666}]", 3000);
  assert_accepted(record, 3000, "[{k: a, v: 3}]");
  /* and other items not at all */
  accepts(record, "[{key: a, made: {k: a, v: 4}}]", "[{k: a, v: 4}, {k: evil, v: 1}]", 4000);
  assert_accepted(record, 4000, "[{k: a, v: 4}]");
  json_decref(record);
}

static void test_an_unaccepted_change_is_kept_and_not_accepted_by_sweeps(void **state) {
  (void)state;
  open_guardrail();
  json_t *record = json_object(), *made = value_of("[{key: a, made: {k: a, v: 2}}]"), *list;
  sees(record, "[{k: a, v: 1}, {k: b, v: 1}]", 1000);
  assert_int_equal(baseline_note(record, made, "e-1", "arn:mallory", 2000), 1);
  assert_int_equal(baseline_note(record, made, "e-1", "arn:mallory", 2000), 0); /* the event comes again */
  for (int64_t now = 2500; now < 9000; now += 1000) sees(record, "[{k: a, v: 2}, {k: b, v: 2}]", now);
  assert_accepted(record, 9000, "[{k: a, v: 1}, {k: b, v: 2}]");
  list = baseline_changes(record);
  json_t *wanted = value_of("[{key: a, made: {k: a, v: 2}, at: 2000, event: e-1, actor: 'arn:mallory'}]");
  assert_true(json_same(list, wanted));
  /* put right by us, under a new key */
  json_t *live = value_of("[{k: c, v: 1}, {k: b, v: 2}]");
  assert_int_equal(baseline_settle(&guardrail, record, list, live, 9500), 1);
  assert_accepted(record, 9500, "[{k: b, v: 2}, {k: c, v: 1}]");
  assert_int_equal(json_array_size(json_object_get(record, "changes")), 0);
  assert_int_equal(baseline_settle(&guardrail, record, list, NULL, 9600), 0);
  json_decref(live);
  json_decref(wanted);
  json_decref(list);
  json_decref(made);
  json_decref(record);
}

static void test_a_change_that_names_no_item_may_be_about_any(void **state) {
  (void)state;
  open_guardrail();
  json_t *record = json_object(), *made = value_of("[{made: {v: 2}}]");
  assert_false(baseline_keys_known(made));
  sees(record, "[{k: a, v: 1}]", 1000);
  baseline_note(record, made, "e-1", "arn:mallory", 2000);
  sees(record, "[{k: a, v: 1}, {k: b, v: 2}]", 2100);
  sees(record, "[{k: a, v: 1}, {k: b, v: 2}]", 9100);
  assert_accepted(record, 9100, "[{k: a, v: 1}]");
  json_decref(made);
  json_decref(record);
}

/* The record of a busy resource stays small: old versions go, but for what was in force then. */
static void test_old_versions_and_changes_are_forgotten(void **state) {
  (void)state;
  open_guardrail();
  const int64_t day = 86400000;
  json_t *record = json_object();
  sees(record, "[{k: a, v: 0}]", day);
  for (int i = 2; i < 40; i++) {
    json_t *made = json_pack("[{s:s, s:{s:s, s:i}}]", "key", "a", "made", "k", "a", "v", i),
           *strange = value_of("[{key: x}]");
    char event[16];
    snprintf(event, sizeof event, "e-%d", i);
    baseline_accept(&guardrail, record, made, NULL, i * day);
    for (int k = 0; k < 2; k++) {
      snprintf(event, sizeof event, "e-%d-%d", i, k);
      baseline_note(record, strange, event, "m", i * day);
    }
    json_decref(made);
    json_decref(strange);
  }
  assert_in_range(json_array_size(json_at(record, "items", "a", NULL)), 7, 9);
  assert_accepted(record, 39 * day, "[{k: a, v: 39}]");
  assert_accepted(record, 33 * day, "[{k: a, v: 33}]");
  assert_int_equal(json_array_size(json_object_get(record, "changes")), 50);
  json_decref(record);
}
