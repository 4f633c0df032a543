/* parapet explain EVENT: which guardrails an event concerns, and what keeps it from the others. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "authoring.h"
#include "engine/live.h"
#include "event/envelope.h"
#include "event/reader.h"
#include "fleet/accounts.h"

struct subject {
  const struct bundle *bundle;
  const struct accounts *accounts; /* NULL: no file, so nothing is said of scopes by unit and environment */
  struct event event;
  const struct account *account; /* NULL: unknown */
};

/* ---- one trigger ---- */

/* Which part of its scope leaves the event out; NULL: none. */
static const char *out_of_scope(const struct subject *subject, const struct guardrail *guardrail) {
  const struct {
    const char *name;
    struct guardrail only; /* this part alone */
    int known;
  } parts[] = {{"accounts", {.accounts = guardrail->accounts}, 1},
               {"regions", {.regions = guardrail->regions}, 1},
               {"environments", {.environments = guardrail->environments}, subject->account != NULL},
               {"units", {.units = guardrail->units}, subject->account != NULL},
               {"tags", {.tags = guardrail->tags}, subject->account != NULL}};
  const struct account *account = subject->account;
  struct place place = {.account = event_account(subject->event.value),
                        .region = event_region(subject->event.value),
                        .environment = account ? account->environment : "",
                        .unit = account ? account->unit : "",
                        .tags = account ? account->tags : NULL};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    if (parts[i].known && !guardrail_in_scope(&parts[i].only, &place)) return parts[i].name;
  return NULL;
}

static json_t *parsed(const char *text) {
  json_t *value = json_parse(text, strlen(text), NULL);
  return value ? value : json_string(text);
}

/* {path, wanted, had, apart}; the texts are JSON as written, which may hold what a parsed value loses. */
static json_t *reason_json(const struct match_reason *reason) {
  return json_pack("{s:s, s:o, s:o, s:I, s:b}", "path", reason->path, "wanted", parsed(reason->wanted), "had",
                   parsed(reason->had), "values", (json_int_t)reason->had_count, "apart", reason->apart);
}

/* New row, or NULL with *error. */
static json_t *explain_trigger(const struct subject *subject, const struct guardrail *guardrail, size_t number,
                               struct error *error) {
  const struct event_trigger *trigger = &guardrail->triggers[number];
  struct match_reason reason = {0};
  int matches = match_explain(trigger->pattern, strlen(trigger->pattern), subject->event.text, subject->event.length,
                              &reason, error);
  if (matches < 0) {
    match_reason_clear(&reason);
    return NULL;
  }
  json_t *row =
      json_pack("{s:s, s:I, s:b}", "guardrail", guardrail->name, "trigger", (json_int_t)number, "matches", matches);
  if (matches) {
    json_t *ids = jmes_search(trigger->ids, subject->event.value, NULL, error);
    const char *scope = out_of_scope(subject, guardrail);
    json_object_set_new(row, "ids", ids ? ids : json_null());
    json_object_set_new(row, "out_of_scope", scope ? json_string(scope) : json_null());
  } else {
    json_object_set_new(row, "failed", reason_json(&reason));
  }
  match_reason_clear(&reason);
  return row;
}

/* One row a guardrail: of its first trigger that matches, else of its first one. */
static json_t *explain_best(const struct subject *subject, const struct guardrail *guardrail, struct error *error) {
  json_t *row = guardrail->trigger_count > 0 ? explain_trigger(subject, guardrail, 0, error)
                                             : json_pack("{s:s, s:n, s:b, s:s?}", "guardrail", guardrail->name,
                                                         "trigger", "matches", 0, "schedule", guardrail->schedule);
  for (size_t t = 1; row && t < guardrail->trigger_count && !json_is_true(json_object_get(row, "matches")); t++) {
    json_t *other = explain_trigger(subject, guardrail, t, error);
    json_t *worse = !other || json_is_true(json_object_get(other, "matches")) ? row : other;
    row = worse == row ? other : row;
    json_decref(worse);
  }
  return row;
}

static json_t *explain_all(const struct subject *subject, struct error *error) {
  json_t *rows = json_array();
  for (size_t i = 0; i < subject->bundle->guardrail_count; i++)
    if (json_array_append_new(rows, explain_best(subject, subject->bundle->guardrails[i], error)) != 0) {
      json_decref(rows);
      return NULL;
    }
  return rows;
}

/* What concerns the event as a whole; NULL: nothing. */
static const char *account_note(const struct subject *subject) {
  if (!subject->accounts) return "no accounts file is given: environments and units are not looked at";
  return subject->account ? NULL : "its account is not in the accounts file: workers put it to the dead letters";
}

static json_t *explain_one(const struct subject *subject, struct error *error) {
  const json_t *event = subject->event.value;
  const char *note = account_note(subject);
  json_t *rows = explain_all(subject, error);
  if (!rows) return NULL;
  return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s?, s:o}", "event", event_id(event), "name",
                   json_text_at(event, "detail", "eventName", NULL), "account", event_account(event), "region",
                   event_region(event), "time", event_time(event), "note", note, "guardrails", rows);
}

/* ---- on a terminal ---- */

#define SHOWN 100 /* characters of a value */

static void print_text(const json_t *value) {
  char *text = value ? json_written(value) : NULL;
  size_t length = text ? strlen(text) : 0, shown = length > SHOWN ? SHOWN : length;
  while (shown < length && ((unsigned char)text[shown] & 0xC0) == 0x80) shown--;
  printf("%.*s%s", (int)shown, text ? text : "", shown < length ? "…" : "");
  free(text);
}

static void print_match(const json_t *row) {
  const json_t *ids = json_object_get(row, "ids"), *scope = json_object_get(row, "out_of_scope");
  if (json_is_string(scope)) printf("matches, but is outside its scope's \"%s\"; ", json_string_value(scope));
  if (json_is_empty(ids))
    fputs("names no resource: its account and Region are swept", stdout);
  else
    print_text(ids);
}

static void print_failed(const json_t *failed) {
  const json_t *had = json_object_get(failed, "had");
  printf("%s is ", json_text_at(failed, "path", NULL));
  if (json_array_size(had) == 0)
    fputs("not there", stdout);
  else
    print_text(json_array_size(had) == 1 ? json_array_get(had, 0) : had);
  fputs(", wanted ", stdout);
  print_text(json_object_get(failed, "wanted"));
  if (json_is_true(json_object_get(failed, "apart")))
    fputs(" (in the same list element as the fields before it)", stdout);
}

static void print_row(const json_t *row, int width) {
  int matches = json_is_true(json_object_get(row, "matches"));
  int out = json_is_string(json_object_get(row, "out_of_scope"));
  const json_t *failed = json_object_get(row, "failed");
  printf("  %s%-3s%s  %-*s  ", paint(matches && !out ? "green" : "off"), matches && !out ? "yes" : "no", paint("off"),
         width, json_text_at(row, "guardrail", NULL));
  if (matches)
    print_match(row);
  else if (failed)
    print_failed(failed);
  else
    printf("watches no events, only its schedule: %s", json_text_at(row, "schedule", NULL));
  putchar('\n');
}

static void print_explanation(const json_t *all) {
  const json_t *rows = json_object_get(all, "guardrails"), *row;
  size_t index;
  int width = 0;
  printf("%s%s%s %s, account %s, %s, %s\n", paint("bold"), json_text_at(all, "name", NULL), paint("off"),
         json_text_at(all, "event", NULL), json_text_at(all, "account", NULL), json_text_at(all, "region", NULL),
         json_text_at(all, "time", NULL));
  if (json_is_string(json_object_get(all, "note"))) printf("  note: %s\n", json_text_at(all, "note", NULL));
  json_array_foreach(rows, index, row) {
    int length = (int)strlen(json_text_at(row, "guardrail", NULL));
    if (length > width) width = length;
  }
  for (int matching = 1; matching >= 0; matching--) /* what matches comes first */
    json_array_foreach(rows, index, row) if (json_is_true(json_object_get(row, "matches")) == matching)
        print_row(row, width);
}

/* ---- the file ---- */

/* One event of the file: its explanation joins *all (--output json), or is printed. */
static int explain_text(const struct cli *cli, struct subject *subject, const char *text, size_t length, json_t *all,
                        struct error *error) {
  if (event_prepare(NULL, text, length, &subject->event, error) != 0) return -1;
  const char *account = event_account(subject->event.value);
  subject->account = subject->accounts ? accounts_find(subject->accounts, account) : NULL;
  json_t *one = explain_one(subject, error);
  event_free(&subject->event);
  if (!one) return -1;
  if (!cli->json) print_explanation(one);
  json_array_append_new(all, one);
  return 0;
}

static int explain_file(const struct cli *cli, struct subject *subject, const char *path, struct error *error) {
  struct event_reader *reader = event_reader_open(path, error);
  json_t *all = json_array();
  const char *text;
  size_t length;
  int more = reader ? 1 : -1;
  while (more == 1 && (more = event_reader_next(reader, &text, &length, error)) == 1) {
    if (explain_text(cli, subject, text, length, all, error) == 0) continue;
    more = error_where(error, "%s, event %zu", path, json_array_size(all) + 1);
  }
  if (more == 0 && json_array_size(all) == 0) more = error_set(error, ERROR_INVALID, "File", "%s holds no event", path);
  if (more == 0 && cli->json) print_json(all);
  event_reader_close(reader);
  json_decref(all);
  return more;
}

static int explain_event(struct cli *cli, const struct bundle *bundle, const char *path) {
  struct error error = {0};
  const char *file = config_text(cli->config, "accounts");
  struct accounts *accounts = *file ? accounts_load(file, &error) : NULL;
  struct subject subject = {.bundle = bundle, .accounts = accounts};
  int result = *file && !accounts ? -1 : explain_file(cli, &subject, path, &error);
  accounts_drop(accounts);
  return result == 0 ? CLI_OK : fail(&error);
}

int run_explain(struct cli *cli) {
  struct error error = {0};
  struct aws_client *client;
  const char *word = cli->words.count == 1 ? cli->words.words[0] : NULL;
  if (!word)
    return fail_usage("usage: parapet explain GUARDRAIL | EVENT, where EVENT is a file, or - for standard input");
  int is_file = strpbrk(word, "./") || strcmp(word, "-") == 0 || access(word, F_OK) == 0; /* no guardrail has . or / */
  struct bundle *bundle = cli_bundle(cli, NULL, &client, &error);
  int result;
  if (!bundle)
    result = fail(&error);
  else if (bundle_guardrail(bundle, word) || !is_file)
    result = explain_playbook(cli, word);
  else
    result = explain_event(cli, bundle, word);
  bundle_drop(bundle);
  aws_close(client);
  return result;
}
