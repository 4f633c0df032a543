/* playbooks diff OLD NEW: what another version of the playbooks would make of the same events.
 *
 * Each event goes through both sets of playbooks as a worker would take it: the patterns, the ids, the scope, the mode
 * of its account's environment.  What a guardrail finds depends on how a resource is, so its own tests are run across
 * (the new ones on the old guardrail and the other way round), and with --live each resource that either version looks
 * at is read as it is now, judged by both, and what each would call is compared.  Nothing is ever changed. */
#include <stdlib.h>
#include <string.h>

#include "authoring.h"
#include "base/clock.h"
#include "check/offline.h"
#include "event/envelope.h"
#include "event/reader.h"
#include "fleet/accounts.h"
#include "site/actor.h"
#include "site/plan.h"

enum { READ_MS = 600000, SHOWN = 20, MOST_ROWS = 10000, MOST_TARGETS = 1000 };

const struct setting diff_options[] = {
    {"since", SETTING_DURATION, "24h", "without files: how far back events of parapet.events are read", 1000,
     366LL * 86400000, 0},
    {"live", SETTING_BOOL, "false", "read the resources as they are now and compare findings and calls, too", 0, 0, 0},
    {0}};

struct side {
  struct aws_client *client;
  struct bundle *bundle;
  struct match_scratch *scratch;
};

struct diff {
  struct cli *cli;
  struct side sides[2];      /* old, new */
  struct accounts *accounts; /* NULL: no file; then every account's environment is "" */
  json_t *guardrails;        /* {name: {old, new, only_old, only_new, ids, mode}} counts of events */
  json_t *events, *tests, *live;
  json_t *targets; /* live: {"type|account|region|id": event} */
  int64_t read, useless;
};

/* ---- one event ---- */

/* {guardrail: {ids: {id: true}, mode}} that one side makes of the event. */
static json_t *look(const struct diff *diff, const struct side *side, const struct event *event) {
  const uint32_t *matched;
  const struct account *account = diff->accounts ? accounts_find(diff->accounts, event_account(event->value)) : NULL;
  const char *environment = account ? account->environment : "";
  const struct place place = {.account = event_account(event->value),
                              .region = event_region(event->value),
                              .environment = environment,
                              .unit = account ? account->unit : "",
                              .tags = account ? account->tags : NULL};
  json_t *answer = json_object();
  int count = match_run(side->bundle->matcher, side->scratch, event->text, event->length, &matched, NULL);
  for (int i = 0; i < count; i++) {
    const struct guardrail *guardrail = side->bundle->guardrails[side->bundle->triggers[matched[i]].guardrail];
    const struct event_trigger *trigger = &guardrail->triggers[side->bundle->triggers[matched[i]].trigger];
    if (!guardrail_in_scope(guardrail, &place)) continue;
    json_t *entry = json_object_get(answer, guardrail->name), *id;
    if (!entry) {
      entry = json_pack("{s:{}, s:s}", "ids", "mode", mode_name(guardrail_mode(guardrail, environment)));
      json_object_set_new(answer, guardrail->name, entry);
    }
    json_t *ids = jmes_search(trigger->ids, event->value, NULL, NULL);
    size_t index;
    if (json_is_string(ids)) json_object_set_new(json_object_get(entry, "ids"), json_string_value(ids), json_true());
    json_array_foreach(ids, index, id) if (json_is_string(id))
        json_object_set_new(json_object_get(entry, "ids"), json_string_value(id), json_true());
    json_decref(ids);
  }
  return answer;
}

static void count(struct diff *diff, const char *guardrail, const char *what) {
  json_t *counts = json_object_get(diff->guardrails, guardrail);
  if (!counts) json_object_set_new(diff->guardrails, guardrail, counts = json_object());
  json_int_t so_far = json_integer_value(json_object_get(counts, what));
  json_object_set_new(counts, what, json_integer(so_far + 1));
}

/* How the two differ over one guardrail; NULL: they do not. */
static const char *difference(const json_t *old, const json_t *new) {
  if (!old != !new) return old ? "only_old" : "only_new";
  if (!json_equal(json_object_get(old, "ids"), json_object_get(new, "ids"))) return "ids";
  return json_equal(json_object_get(old, "mode"), json_object_get(new, "mode")) ? NULL : "mode";
}

static json_t *shown(const json_t *entry) {
  json_t *ids = json_array(), *value;
  const char *id;
  if (!entry) {
    json_decref(ids);
    return json_null();
  }
  json_object_foreach(json_object_get(entry, "ids"), id, value) json_array_append_new(ids, json_string(id));
  return json_pack("{s:o, s:O}", "ids", ids, "mode", json_object_get(entry, "mode"));
}

static void add_difference(struct diff *diff, const struct event *event, const char *guardrail, const char *what,
                           const json_t *old, const json_t *new) {
  count(diff, guardrail, what);
  if (json_array_size(diff->events) >= MOST_ROWS) return;
  json_array_append_new(
      diff->events,
      json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o}", "guardrail", guardrail, "difference", what, "event",
                event_id(event->value), "time", event_time(event->value), "name",
                json_text_at(event->value, "detail", "eventName", NULL), "account", event_account(event->value),
                "region", event_region(event->value), "old", shown(old), "new", shown(new)));
}

static void add_targets(struct diff *diff, const struct event *event, const struct side *side, json_t *answer) {
  const char *name, *id;
  json_t *entry, *value;
  json_object_foreach(answer, name, entry) json_object_foreach(json_object_get(entry, "ids"), id, value) {
    const struct guardrail *guardrail = bundle_guardrail(side->bundle, name);
    char key[700];
    if (json_object_size(diff->targets) >= MOST_TARGETS) return;
    snprintf(key, sizeof key, "%s|%s|%s|%s", guardrail->resource->name, event_account(event->value),
             event_region(event->value), id);
    json_object_set(diff->targets, key, event->value);
  }
}

static void compare_event(struct diff *diff, const char *text, size_t length) {
  struct event event = {0};
  const char *name;
  json_t *entry;
  diff->read++;
  if (event_prepare(NULL, text, length, &event, NULL) != 0) {
    diff->useless++;
    return;
  }
  json_t *answers[2];
  for (int i = 0; i < 2; i++) {
    answers[i] = look(diff, &diff->sides[i], &event);
    json_object_foreach(answers[i], name, entry) count(diff, name, i ? "new" : "old");
    if (config_bool(diff->cli->config, "live")) add_targets(diff, &event, &diff->sides[i], answers[i]);
  }
  json_t *names = json_copy(answers[0]);
  json_object_update(names, answers[1]);
  json_object_foreach(names, name, entry) {
    const json_t *old = json_object_get(answers[0], name), *new = json_object_get(answers[1], name);
    const char *what = difference(old, new);
    if (what) add_difference(diff, &event, name, what, old, new);
  }
  json_decref(names);
  json_decref(answers[0]);
  json_decref(answers[1]);
  event_free(&event);
}

/* ---- where the events come from ---- */
static int each_message(const char *key, size_t key_length, const char *value, size_t length, void *argument) {
  (void)key, (void)key_length;
  if (value) compare_event(argument, value, length);
  return 0;
}

static int read_files(struct diff *diff, struct error *error) {
  for (int i = 2; i < diff->cli->words.count; i++) {
    struct event_reader *reader = event_reader_open(diff->cli->words.words[i], error);
    const char *text;
    size_t length;
    int more = reader ? 1 : -1;
    while (more == 1 && (more = event_reader_next(reader, &text, &length, error)) == 1)
      compare_event(diff, text, length);
    event_reader_close(reader);
    if (more < 0) return -1;
  }
  return 0;
}

static int read_events(struct diff *diff, struct error *error) {
  if (diff->cli->words.count > 2) return read_files(diff, error);
  struct bus_options options = settings_bus(diff->cli->config, "parapet-diff");
  return bus_read_since(&options, BUS_TOPIC_EVENTS, clock_wall_ms() - config_ms(diff->cli->config, "since"), READ_MS,
                        each_message, diff, error);
}

/* ---- the playbooks' own tests, across ---- */
static void run_tests(struct diff *diff, const struct guardrail *judge, const struct guardrail *author, int by_new) {
  struct guardrail borrowed = *judge;
  borrowed.tests = author->tests;
  for (size_t i = 0; i < json_array_size(author->tests); i++) {
    char *why = NULL;
    if (offline_test(&borrowed, i, &why) != 1)
      json_array_append_new(diff->tests, json_pack("{s:s, s:s, s:s, s:s}", "guardrail", author->name, "test",
                                                   json_text_at(json_array_get(author->tests, i), "name", NULL),
                                                   "fails_with", by_new ? "new" : "old", "why", why ? why : ""));
    free(why);
  }
}

/* Versions, and whose tests fail on the other's guardrail. */
static void compare_guardrails(struct diff *diff) {
  const struct bundle *old = diff->sides[0].bundle, *new = diff->sides[1].bundle;
  for (size_t i = 0; i < old->guardrail_count; i++) {
    const struct guardrail *before = old->guardrails[i], *after = bundle_guardrail(new, before->name);
    if (!after) {
      count(diff, before->name, "removed");
    } else if (strcmp(before->hash, after->hash) != 0) {
      count(diff, before->name, "changed");
      run_tests(diff, after, before, 1);
      run_tests(diff, before, after, 0);
    }
  }
  for (size_t i = 0; i < new->guardrail_count; i++)
    if (!bundle_guardrail(old, new->guardrails[i]->name)) count(diff, new->guardrails[i]->name, "added");
}

/* ---- live ---- */

/* {finding, calls} of what the side makes of the resource now; null: nothing, or no such guardrail. */
static json_t *judge_live(const struct side *side, const char *name, const struct reader *reader,
                          const struct place *place, const char *id, json_t *event, struct error *error) {
  const struct guardrail *guardrail = bundle_guardrail(side->bundle, name);
  unsigned char wanted[64] = {0};
  int found;
  if (!guardrail) return json_null();
  guardrail_wants(guardrail, wanted);
  struct reader own = *reader;
  own.client = side->client;
  struct live *live = live_get(&own, place, guardrail->resource, id, wanted, &found, error);
  if (!live) return found == 0 ? json_null() : NULL;
  json_t *actor = event_actor(event);
  struct occasion occasion = {.event = event, .actor = actor};
  json_t *finding = guardrail_judge(guardrail, place, live, &occasion, error);
  json_t *answer = finding && json_is_empty(finding) ? json_null() : NULL;
  if (finding && !answer) {
    struct error why = {0};
    int acts = guardrail_mode(guardrail, place->environment) == MODE_REMEDIATE;
    answer = json_pack("{s:O, s:o}", "finding", finding, "calls",
                       acts ? site_plan(&own, guardrail, place, live, &occasion, finding, &why) : json_array());
  }
  json_decref(finding);
  json_decref(actor);
  live_free(live);
  return answer;
}

static int guards(const struct guardrail *guardrail, const char *type, const struct place *place) {
  return guardrail && strcmp(guardrail->resource->name, type) == 0 && guardrail_in_scope(guardrail, place);
}

static void compare_live(struct diff *diff, const char *name, const struct reader *reader, const struct place *place,
                         const char *id, json_t *event) {
  json_t *answers[2] = {NULL, NULL};
  struct error error = {0};
  for (int i = 0; i < 2 && error.class == ERROR_NONE; i++)
    answers[i] = judge_live(&diff->sides[i], name, reader, place, id, event, &error);
  if (!answers[0] || !answers[1]) {
    fprintf(stderr, "parapet: %s on %s in %s %s: %s\n", name, id, place->account, place->region, error.message);
    count(diff, name, "unread");
  } else if (!json_equal(answers[0], answers[1])) {
    count(diff, name, "live");
    json_array_append_new(
        diff->live, json_pack("{s:s, s:s, s:s, s:s, s:O, s:O}", "guardrail", name, "account", place->account, "region",
                              place->region, "resource", id, "old", answers[0], "new", answers[1]));
  }
  json_decref(answers[0]);
  json_decref(answers[1]);
}

/* "type|account|region|id" taken apart. */
static void look_at_target(struct diff *diff, char *key, json_t *event) {
  char *rest = NULL, *type = strtok_r(key, "|", &rest), *account = strtok_r(NULL, "|", &rest),
       *region = strtok_r(NULL, "|", &rest);
  const struct account *known = diff->accounts ? accounts_find(diff->accounts, account) : NULL;
  struct place place = {.account = account,
                        .region = region,
                        .environment = known ? known->environment : "",
                        .unit = known ? known->unit : "",
                        .partition = aws_partition(diff->sides[0].client, region)};
  struct aws_role role = {.name = diff->accounts ? accounts_role(diff->accounts) : "",
                          .external_id = diff->accounts ? accounts_external_id(diff->accounts) : NULL,
                          .session_name = "parapet-diff"};
  struct reader reader = {.role = *role.name ? &role : NULL};
  const struct bundle *old = diff->sides[0].bundle, *new = diff->sides[1].bundle;
  for (size_t i = 0; i < old->guardrail_count; i++) {
    const char *name = old->guardrails[i]->name;
    if (guards(old->guardrails[i], type, &place) || guards(bundle_guardrail(new, name), type, &place))
      compare_live(diff, name, &reader, &place, rest, event);
  }
  for (size_t i = 0; i < new->guardrail_count; i++)
    if (!bundle_guardrail(old, new->guardrails[i]->name) && guards(new->guardrails[i], type, &place))
      compare_live(diff, new->guardrails[i]->name, &reader, &place, rest, event);
}

static void compare_targets(struct diff *diff) {
  const char *key;
  json_t *event;
  json_object_foreach(diff->targets, key, event) {
    char *copy = strdup(key);
    if (copy) look_at_target(diff, copy, event);
    free(copy);
  }
}

/* ---- what is printed ---- */
static json_t *summary_rows(const struct diff *diff) {
  static const char *const names[] = {"old", "new", "only_old", "only_new", "ids", "mode", "live", "unread"};
  json_t *rows = json_array(), *counts;
  const char *guardrail;
  json_object_foreach(diff->guardrails, guardrail, counts) {
    const char *what = json_object_get(counts, "added")     ? "added"
                       : json_object_get(counts, "removed") ? "removed"
                       : json_object_get(counts, "changed") ? "changed"
                                                            : "same";
    json_t *row = json_pack("{s:s, s:s}", "guardrail", guardrail, "playbook", what);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
      json_object_set_new(row, names[i], json_integer(json_integer_value(json_object_get(counts, names[i]))));
    json_array_append_new(rows, row);
  }
  return rows;
}

static void print_list(const char *title, const json_t *list) {
  size_t count = json_array_size(list);
  if (count > 0) printf("\n%s\n", title);
  for (size_t i = 0; i < count && i < SHOWN; i++) {
    char *text = json_text(json_array_get(list, i));
    printf("  %s\n", text ? text : "");
    free(text);
  }
  if (count > SHOWN) printf("  … and %zu more (--output json has all)\n", count - SHOWN);
}

static int report(struct diff *diff) {
  static const struct column columns[] = {{"GUARDRAIL", "guardrail", 0},
                                          {"PLAYBOOK", "playbook", 0},
                                          {"OLD", "old", 0},
                                          {"NEW", "new", 0},
                                          {"ONLY OLD", "only_old", 0},
                                          {"ONLY NEW", "only_new", 0},
                                          {"IDS", "ids", 0},
                                          {"MODE", "mode", 0},
                                          {"LIVE", "live", 0},
                                          {"UNREAD", "unread", 0},
                                          {0}};
  json_t *rows = summary_rows(diff);
  size_t differences = json_array_size(diff->events) + json_array_size(diff->tests) + json_array_size(diff->live);
  if (diff->cli->json) {
    json_t *all = json_pack("{s:I, s:I, s:O, s:O, s:O, s:O}", "read", (json_int_t)diff->read, "no_event",
                            (json_int_t)diff->useless, "guardrails", rows, "events", diff->events, "tests", diff->tests,
                            "live", diff->live);
    print_json(all);
    json_decref(all);
  } else {
    printf("%lld events read%s\n\n", (long long)diff->read,
           diff->accounts ? "" : "; no accounts file: modes by default");
    print_rows(diff->cli, rows, columns);
    print_list("Events that would be taken otherwise:", diff->events);
    print_list("Tests of one version that fail with the other:", diff->tests);
    print_list("Resources as they are now, judged otherwise:", diff->live);
  }
  json_decref(rows);
  return differences > 0 ? CLI_FOUND : CLI_OK;
}

static int open_diff(struct diff *diff, struct error *error) {
  const char *file = config_text(diff->cli->config, "accounts");
  if (*file && !(diff->accounts = accounts_load(file, error))) return -1;
  for (int i = 0; i < 2; i++) {
    struct side *side = &diff->sides[i];
    side->bundle = cli_bundle(diff->cli, diff->cli->words.words[i], &side->client, error);
    if (!side->bundle) return -1;
    size_t index;
    json_t *line;
    json_array_foreach(side->bundle->refused, index, line)
        fprintf(stderr, "%s: refused: %s\n", diff->cli->words.words[i], json_string_value(line));
    if (!(side->scratch = match_scratch_open())) return error_set(error, ERROR_FATAL, "Memory", "out of memory");
  }
  return 0;
}

static void close_diff(struct diff *diff) {
  for (int i = 0; i < 2; i++) {
    match_scratch_free(diff->sides[i].scratch);
    bundle_drop(diff->sides[i].bundle);
    aws_close(diff->sides[i].client);
  }
  accounts_drop(diff->accounts);
  json_t *values[] = {diff->guardrails, diff->events, diff->tests, diff->live, diff->targets};
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) json_decref(values[i]);
}

int run_playbooks_diff(struct cli *cli) {
  struct error error = {0};
  if (cli->words.count < 2)
    return fail_usage("which two? parapet playbooks diff OLD_DIRECTORY NEW_DIRECTORY [FILE ...]");
  struct diff diff = {.cli = cli,
                      .guardrails = json_object(),
                      .events = json_array(),
                      .tests = json_array(),
                      .live = json_array(),
                      .targets = json_object()};
  int result = open_diff(&diff, &error);
  if (result == 0) compare_guardrails(&diff);
  if (result == 0) result = read_events(&diff, &error);
  if (result == 0) compare_targets(&diff);
  result = result == 0 ? report(&diff) : fail(&error);
  close_diff(&diff);
  return result;
}
