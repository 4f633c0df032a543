#include "baselines/baseline.h"

#include <string.h>

enum {
  VERSION_MS = 7 * 24 * 3600 * 1000, /* older versions of an item are forgotten, but for the last of them */
  CHANGES = 50,                      /* unaccepted changes of one resource; the oldest go first */
};

static json_t *part(json_t *record, const char *name, json_t *empty /* taken */) {
  json_t *found = json_object_get(record, name);
  if (!found) {
    json_object_set(record, name, empty);
    found = empty;
  }
  json_decref(empty);
  return json_object_get(record, name) ? found : NULL;
}

static int64_t at_of(const json_t *entry) { return json_integer_value(json_object_get(entry, "at")); }

/* Items by their key: new object of borrowed values' references. */
static json_t *by_key(const struct guardrail *guardrail, const json_t *items) {
  json_t *keyed = json_object(), *item;
  size_t index;
  json_array_foreach(items, index, item) {
    json_t *key = jmes_search(guardrail->baseline->by, item, NULL, NULL);
    if (json_is_string(key)) json_object_set(keyed, json_string_value(key), item);
    json_decref(key);
  }
  return keyed;
}

/* ---- accepted versions ---- */

/* The last entry of an item's versions that is not later than `at`, or NULL. */
static const json_t *version_at(const json_t *versions, int64_t at) {
  for (size_t i = json_array_size(versions); i-- > 0;)
    if (at_of(json_array_get(versions, i)) <= at) return json_array_get(versions, i);
  return NULL;
}

static void forget_old(json_t *versions) {
  int64_t newest = at_of(json_array_get(versions, json_array_size(versions) - 1));
  while (json_array_size(versions) > 1 && at_of(json_array_get(versions, 1)) < newest - VERSION_MS)
    json_array_remove(versions, 0);
}

/* Events come in any order: the entry goes where its time belongs. */
static int accept(json_t *record, const char *key, const json_t *value, int64_t at) {
  json_t *items = part(record, "items", json_object()), *versions = json_object_get(items, key);
  json_t *wanted = value ? (json_t *)value : json_null();
  const json_t *before = version_at(versions, at);
  if (before ? json_same(json_object_get(before, "value"), wanted) : json_is_null(wanted)) return 0;
  if (!versions) {
    versions = json_array();
    json_object_set_new(items, key, versions);
  }
  size_t place = json_array_size(versions);
  while (place > 0 && at_of(json_array_get(versions, place - 1)) > at) place--;
  json_array_insert_new(versions, place, json_pack("{s:I, s:O}", "at", (json_int_t)at, "value", wanted));
  forget_old(versions);
  return 1;
}

json_t *baseline_at(const json_t *record, int64_t at) {
  const char *key;
  json_t *versions;
  const json_t *since = json_object_get(record, "since");
  if (!since || json_integer_value(since) > at) return json_null();
  json_t *items = json_array();
  json_object_foreach(json_object_get(record, "items"), key, versions) {
    json_t *value = json_object_get(version_at(versions, at), "value");
    if (value && !json_is_null(value)) json_array_append(items, value);
  }
  return items;
}

/* Is a change recorded that may be about this item? */
static int is_disputed(const json_t *record, const char *key) {
  json_t *entry;
  size_t index;
  json_array_foreach(json_object_get(record, "changes"), index, entry) {
    const char *changed = json_text_at(entry, "change", "key", NULL);
    if (!*changed || strcmp(changed, key) == 0) return 1;
  }
  return 0;
}

/* Accepts what there is, but for items that a change is recorded for. */
static int accept_all(json_t *record, json_t *live, int64_t now) {
  const char *key;
  json_t *value;
  int changed = !json_object_get(record, "since");
  if (changed) json_object_set_new(record, "since", json_integer(now));
  json_object_foreach(live, key, value) if (!is_disputed(record, key)) changed |= accept(record, key, value, now);
  json_object_foreach(part(record, "items", json_object()), key,
                      value) if (!json_object_get(live, key) && !is_disputed(record, key)) changed |=
      accept(record, key, NULL, now);
  return changed;
}

/* Does `value` show all that `wanted` says?  Mappings by key, the rest by value. */
static int shows(const json_t *value, const json_t *wanted) {
  const char *key;
  json_t *member;
  if (!value) return 0;
  if (!json_is_object(wanted)) return json_same(value, wanted);
  json_object_foreach((json_t *)wanted, key, member) if (!shows(json_object_get(value, key), member)) return 0;
  return json_is_object(value);
}

void baseline_accept(const struct guardrail *guardrail, json_t *record, const json_t *changes, const json_t *live,
                     int64_t at) {
  json_t *keyed = by_key(guardrail, live), *change;
  size_t index;
  json_array_foreach(changes, index, change) {
    const char *key = json_text_at(change, "key", NULL);
    json_t *made = json_object_get(change, "made"), *now = json_object_get(keyed, key);
    if (!*key) continue; /* a sweep will see it */
    if (!made || json_is_null(made))
      accept(record, key, NULL, at);
    else
      accept(record, key, now && shows(now, made) ? now : made, at);
  }
  json_decref(keyed);
}

int baseline_keys_known(const json_t *changes) {
  json_t *change;
  size_t index;
  json_array_foreach(changes, index, change) if (!*json_text_at(change, "key", NULL)) return 0;
  return 1;
}

/* ---- unaccepted changes ---- */
int baseline_note(json_t *record, const json_t *changes, const char *event, const char *actor, int64_t at) {
  json_t *noted = part(record, "changes", json_array()), *change, *entry;
  size_t index;
  json_array_foreach(noted, index, entry) if (strcmp(json_text_at(entry, "event", NULL), event) == 0) return 0;
  json_array_foreach(changes, index, change) json_array_append_new(
      noted, json_pack("{s:I, s:s, s:s, s:O}", "at", (json_int_t)at, "event", event, "actor", actor, "change", change));
  while (json_array_size(noted) > CHANGES) json_array_remove(noted, 0);
  return json_array_size(changes) > 0;
}

json_t *baseline_changes(const json_t *record) {
  json_t *list = json_array(), *entry;
  size_t index;
  json_array_foreach(json_object_get(record, "changes"), index, entry) {
    json_t *change = json_copy(json_object_get(entry, "change"));
    static const char *const members[] = {"at", "event", "actor"};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
      json_object_set(change, members[i], json_object_get(entry, members[i]));
    json_array_append_new(list, change);
  }
  return list;
}

int baseline_settle(const struct guardrail *guardrail, json_t *record, const json_t *done, const json_t *items,
                    int64_t now) {
  json_t *noted = json_object_get(record, "changes"), *over;
  size_t index;
  int changed = 0;
  for (size_t i = json_array_size(noted); i-- > 0;) json_array_foreach(done, index, over) {
      if (strcmp(json_text_at(over, "event", NULL), json_text_at(json_array_get(noted, i), "event", NULL)) != 0)
        continue;
      json_array_remove(noted, i);
      changed = 1;
      break;
    }
  if (!items) return changed;
  json_t *live = by_key(guardrail, items);
  changed |= accept_all(record, live, now);
  json_decref(live);
  return changed;
}

/* ---- sweeps ---- */

/* One difference (value NULL: the item is gone): remembered, or accepted as of when it was first seen. */
static int see(json_t *record, json_t *seen, const char *key, const json_t *value, int64_t now, int64_t patience) {
  char hash[65];
  json_t *before = json_object_get(seen, key);
  json_hash(value ? value : json_null(), hash);
  if (before && strcmp(json_text_at(before, "hash", NULL), hash) == 0) {
    if (now - at_of(before) < patience || is_disputed(record, key)) return 0;
    accept(record, key, value, at_of(before));
    json_object_del(seen, key);
    return 1;
  }
  json_object_set_new(seen, key, json_pack("{s:I, s:s}", "at", (json_int_t)now, "hash", hash));
  return 1;
}

/* What the last version of each item says, where it says that there is one. */
static json_t *accepted_now(const json_t *record) {
  json_t *accepted = json_object(), *versions;
  const char *key;
  json_object_foreach(json_object_get(record, "items"), key, versions) {
    json_t *value = json_object_get(json_array_get(versions, json_array_size(versions) - 1), "value");
    if (value && !json_is_null(value)) json_object_set(accepted, key, value);
  }
  return accepted;
}

static int differ(const json_t *one, const json_t *other) {
  return one && other ? !json_same(one, other) : one != other;
}

int baseline_see(const struct guardrail *guardrail, json_t *record, const json_t *items, int64_t now,
                 int64_t patience) {
  json_t *live = by_key(guardrail, items), *value;
  int changed = json_object_get(record, "since") ? 0 : accept_all(record, live, now); /* the first look */
  json_t *seen = part(record, "seen", json_object()), *accepted = accepted_now(record);
  const char *key;
  void *next;
  json_object_foreach_safe(seen, next, key, value) {
    if (differ(json_object_get(live, key), json_object_get(accepted, key))) continue;
    json_object_del(seen, key);
    changed = 1;
  }
  json_object_foreach(live, key, value) if (differ(value, json_object_get(accepted, key))) changed |=
      see(record, seen, key, value, now, patience);
  json_object_foreach(accepted, key, value) if (!json_object_get(live, key)) changed |=
      see(record, seen, key, NULL, now, patience);
  json_decref(live);
  json_decref(accepted);
  return changed;
}

/* ---- the guardrail's expressions ---- */
static json_t *search(const struct guardrail *guardrail, const struct jmes *expression, const struct place *place,
                      const char *id, const struct live *live, const struct occasion *occasion, struct error *error) {
  struct view view;
  json_t *own_id = live ? NULL : json_string(id);
  view_open(&view, guardrail, place, live, occasion);
  if (!live) view_add(&view, "id", own_id);
  json_t *value = jmes_search(expression, NULL, view_scope(&view), error);
  view_close(&view);
  json_decref(own_id);
  return value;
}

int baseline_accepts(const struct guardrail *guardrail, const struct place *place, const char *id,
                     const struct occasion *occasion, struct error *error) {
  json_t *value = search(guardrail, guardrail->baseline->accept, place, id, NULL, occasion, error);
  int accepts = value ? !json_is_empty(value) : -1;
  json_decref(value);
  return accepts;
}

json_t *baseline_read_event(const struct guardrail *guardrail, const struct place *place, const char *id,
                            const struct live *live, const struct occasion *occasion, struct error *error) {
  json_t *changes = search(guardrail, guardrail->baseline->changes, place, id, live, occasion, error);
  if (!changes || json_is_array(changes)) return changes;
  json_decref(changes);
  return json_array();
}
