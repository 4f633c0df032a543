/* schemas/redis.md against a Redis in which every function was used, and against one in which somebody else wrote. */
#include "fixture.h"

#define MOST_ROWS 64

struct row {
  char pattern[96], type[16], lives[120], content[600];
  int met;
};
struct schema {
  struct row rows[MOST_ROWS];
  size_t count;
};

/* ---- reading the document ---- */

/* The next cell of a table's line, trimmed; "\|" is not an end. */
static const char *cell(const char *at, char *text, size_t size) {
  size_t length = 0;
  while (*at == ' ') at++;
  for (; *at && *at != '|' && *at != '\n'; at++) {
    if (at[0] == '\\' && at[1] == '|') at++;
    if (length + 1 < size) text[length++] = *at;
  }
  while (length && text[length - 1] == ' ') length--;
  text[length] = '\0';
  return *at == '|' ? at + 1 : at;
}

static void read_row(struct schema *schema, const char *line) {
  struct row *row = &schema->rows[schema->count];
  char key[128], who[32];
  assert_true(schema->count < MOST_ROWS);
  line = cell(line + 2, key, sizeof key);
  line = cell(line, row->type, sizeof row->type);
  line = cell(line, row->lives, sizeof row->lives);
  line = cell(line, who, sizeof who);
  cell(line, row->content, sizeof row->content);
  snprintf(row->pattern, sizeof row->pattern, "%.*s", (int)strlen(key) - 2, key + 1); /* without the backticks */
  schema->count++;
}

static struct schema *read_schema(void) {
  static struct schema schema;
  char path[512], line[1024];
  snprintf(path, sizeof path, "%s", __FILE__);
  *strstr(path, "/tests/unit/") = '\0';
  strncat(path, "/schemas/redis.md", sizeof path - strlen(path) - 1);
  FILE *file = fopen(path, "r");
  assert_non_null(file);
  memset(&schema, 0, sizeof schema);
  while (fgets(line, sizeof line, file))
    if (!strncmp(line, "| `parapet:", 11)) read_row(&schema, line);
  fclose(file);
  assert_true(schema.count > 20);
  return &schema;
}

/* Does the text fit a pattern with one <name> at its end, if any? */
static int fits(const char *pattern, const char *text) {
  const char *variable = strchr(pattern, '<');
  if (!variable) return !strcmp(pattern, text);
  size_t length = (size_t)(variable - pattern);
  return !strncmp(pattern, text, length) && text[length];
}

/* Is the field one of the names in backticks of the row's content? */
static int documents_field(const struct row *row, const char *field) {
  char name[96];
  for (const char *open = strchr(row->content, '`'); open; open = strchr(open + 1, '`')) {
    const char *end = strchr(open + 1, '`');
    if (!end) return 0;
    snprintf(name, sizeof name, "%.*s", (int)(end - open - 1), open + 1);
    if (fits(name, field)) return 1;
    open = end;
  }
  return 0;
}

/* ---- every function, once ---- */

static int call_stop(struct state *state, struct error *error) {
  json_t *stop = json_pack("{s:s}", "by", "me");
  int failed = state_stop_set(state, stop, error);
  json_decref(stop);
  stop = NULL;
  if (!failed) failed = state_stop_get(state, &stop, error);
  json_decref(stop);
  return failed;
}

static int call_stop_get(struct state *state, struct error *error) {
  json_t *stop = NULL;
  int failed = state_stop_get(state, &stop, error);
  json_decref(stop);
  return failed;
}

static int call_exception_put(struct state *state, struct error *error) {
  json_t *exception = json_pack("{s:s, s:I}", "id", "x", "expires", (json_int_t)32472144000000);
  int failed = state_exception_put(state, exception, error);
  json_decref(exception);
  return failed;
}

static int call_exception_find(struct state *state, struct error *error) {
  struct state_subject subject = {.guardrail = "ssh", .account = "1", .resource = "r"};
  json_t *exception = NULL;
  int failed = state_exception_find(state, &subject, &exception, error);
  json_decref(exception);
  return failed;
}

static int call_exceptions(struct state *state, struct error *error) {
  json_t *list = NULL;
  int failed = state_exceptions(state, &list, error);
  json_decref(list);
  return failed;
}

static int grant_once(struct state *state, const char *action, enum state_grant *answer, struct error *error) {
  struct state_limit limit = {"ssh/1", 1, 600000};
  char refusing[128];
  return state_breaker_grant(state, &limit, 1, action, 0, answer, refusing, NULL, error);
}

static int call_breaker(struct state *state, struct error *error) {
  enum state_grant answer;
  return grant_once(state, "a", &answer, error) ? -1 : grant_once(state, "b", &answer, error);
}

static int call_outcome(struct state *state, struct error *error) {
  struct state_limit limit = {"ssh/1", .failures = 5, .failures_of = 10};
  json_t *changes = NULL;
  int failed = state_breaker_outcome(state, &limit, 1, "a", 1, &changes, error);
  json_decref(changes);
  return failed;
}

static int call_probe(struct state *state, struct error *error) {
  struct state_limit limit = {"ssh/3"};
  enum state_grant answer;
  char refusing[128];
  if (state_breaker_set(state, "ssh/3", "trip", "me", "", error)) return -1;
  if (state_breaker_probe(state, "ssh/3", 2, -1, "me", error) < 0) return -1;
  return state_breaker_grant(state, &limit, 1, "p", 0, &answer, refusing, NULL, error);
}

static int call_population(struct state *state, struct error *error) {
  return state_population(state, "1", "r", "ec2.security-group", 7, error);
}

static int call_budget(struct state *state, struct error *error) {
  struct state_bucket size = {10, 1, 0};
  struct state_tokens tokens;
  if (state_budget_take(state, "1|r|c", &size, 3, &tokens, error)) return -1;
  return state_budget_slow(state, "1|r|c", error);
}

static int call_fight(struct state *state, struct error *error) {
  json_t *round = json_pack("{s:s}", "opponent", "them"), *list = NULL;
  int failed = state_fight_round(state, "s", "a", round, 600000, error) ||
                       state_fight_rounds(state, "s", 600000, &list, error) ||
                       state_fight_declare(state, "s", round, error)
                   ? -1
                   : 0;
  json_decref(round);
  json_decref(list);
  return failed;
}

static int call_fights(struct state *state, struct error *error) {
  json_t *list = NULL;
  int failed = state_fights(state, &list, error);
  json_decref(list);
  return failed ? -1 : state_fight_reset(state, "gone", NULL, error);
}

static int call_expiring(struct state *state, struct error *error) {
  json_t *exception = json_pack("{s:s, s:I}", "id", "y", "expires", (json_int_t)clock_wall_ms() + 3600000);
  json_t *list = NULL;
  int failed = state_exception_put(state, exception, error) ||
                       state_exceptions_expiring(state, 7200000, 60000, &list, error) ||
                       state_exception_warned(state, "gone", error)
                   ? -1
                   : 0;
  json_decref(exception);
  json_decref(list);
  return failed;
}

static int call_breaker_set(struct state *state, struct error *error) {
  return state_breaker_set(state, "ssh/2", "reset", "me", "because", error);
}

static int call_breakers(struct state *state, struct error *error) {
  json_t *list = NULL;
  int failed = state_breakers(state, &list, error);
  json_decref(list);
  return failed;
}

static int call_lease(struct state *state, struct error *error) {
  struct state_lease lease;
  char why[32];
  int taken = state_lease_take(state, "r", 600000, &lease, error);
  if (taken < 0) return -1;
  snprintf(lease.resource, sizeof lease.resource, "r");
  return state_may_mutate(state, &lease, 600000, why, error) < 0 ? -1 : 0;
}

static int call_marks(struct state *state, struct error *error) {
  int seen, own;
  if (state_seen(state, "e", &seen, error) || state_event_known(state, "e", "q", &seen, &own, error)) return -1;
  if (state_seen_mark(state, "e", 600000, error)) return -1;
  return state_own_request_mark(state, "q", 600000, error);
}

static int call_intents(struct state *state, struct error *error) {
  json_t *intent = json_object(), *list = NULL;
  struct state_lease lease;
  int taken = state_lease_take(state, "intents", 600000, &lease, error);
  int failed = taken < 0 || (taken && state_intent_put(state, "ssh|r", intent, &lease, error)) ||
                       state_intents(state, &list, error) || state_intent_drop(state, "gone", "a", error)
                   ? -1
                   : 0;
  json_decref(intent);
  json_decref(list);
  return failed;
}

static int call_baseline(struct state *state, struct error *error) {
  json_t *record = json_object(), *got = NULL;
  int64_t version;
  int stored, failed = state_baseline_get(state, "ssh|r", &got, &version, error) ||
                               state_baseline_put(state, "ssh|r", record, version, &stored, error)
                           ? -1
                           : 0;
  json_decref(record);
  json_decref(got);
  return failed;
}

static int call_park(struct state *state, struct error *error) {
  json_t *unit = json_object();
  int64_t count;
  int failed = state_park(state, "ssh|r", unit, 0, error) || state_park(state, "ssh|s", unit, 0, error) ||
                       state_parked_release(state, "ssh", 1000, &count, error)
                   ? -1
                   : 0;
  json_decref(unit);
  return failed;
}

static int call_parked(struct state *state, struct error *error) {
  json_t *list = NULL;
  int failed = state_parked_take(state, 10, 600000, &list, error);
  json_decref(list);
  list = NULL;
  if (!failed) failed = state_parked(state, &list, 10, NULL, error);
  json_decref(list);
  return failed;
}

static int call_finding(struct state *state, struct error *error) {
  json_t *finding = json_pack("{s:s, s:s}", "id", "f", "status", "open"), *list = NULL;
  int failed = state_finding_put(state, finding, NULL, error);
  json_decref(finding);
  if (!failed) failed = state_findings(state, "open", 10, &list, error);
  json_decref(list);
  return failed;
}

static int call_finding_ends(struct state *state, struct error *error) {
  json_t *seen = json_array();
  int failed = state_findings_close_absent(state, "ssh", "1", "r", seen, NULL, error);
  json_decref(seen);
  return failed ? -1 : state_finding_close(state, "gone", NULL, error);
}

static int call_peek(struct state *state, struct error *error) {
  struct state_limit limit = {.scope = "ssh/1"};
  struct state_peek peek = {.subject = "ssh|r", .limits = &limit, .limit_count = 1};
  struct state_known known = {.subject = "ssh|r", .finding = "f"};
  return state_peek(state, (struct state_peek *[]){&peek}, 1, error) || state_known(state, &known, 1, error) ? -1 : 0;
}

static int call_counts(struct state *state, struct error *error) {
  json_t *counts = NULL;
  int failed = state_finding_counts(state, &counts, error);
  json_decref(counts);
  return failed;
}

static int call_notice(struct state *state, struct error *error) {
  const struct state_notice_pace pace = {.limit = 1000, .within_ms = 600000};
  json_t *notice = json_pack("{s:s}", "outcome", "fixed"), *digest = NULL;
  int failed = state_notice_add(state, "mail", "team", notice, 0, error);
  clock_sleep_ms(2);
  if (!failed) failed = state_notice_take(state, "mail", 600000, &pace, &digest, error);
  json_decref(digest);
  if (!failed) failed = state_notice_add(state, "mail", "team", notice, 600000, error);
  json_decref(notice);
  return failed;
}

static int call_notice_done(struct state *state, struct error *error) {
  int64_t backlog;
  return state_notice_backlog(state, "mail", &backlog, error) ? -1 : state_notice_done(state, "mail", "gone", error);
}

static int call_rollouts(struct state *state, struct error *error) {
  json_t *rollout = json_object(), *list = NULL, *one = NULL;
  int failed = state_rollout_put(state, "ssh", rollout, error) || state_rollouts(state, &list, error) ||
                       state_rollout_get(state, "ssh", &one, error) || state_rollout_put(state, "gone", NULL, error)
                   ? -1
                   : 0;
  json_decref(rollout);
  json_decref(list);
  json_decref(one);
  return failed;
}

static int call_tick(struct state *state, struct error *error) {
  if (state_tick_claim(state, "s", 1000, 60000, error) < 0) return -1;
  return state_tick_done(state, "s", 1000, error);
}

static int call_sweep(struct state *state, struct error *error) {
  if (state_sweep_end(state, "gone", error)) return -1;
  return state_sweep_begin(state, "s", 600000, error) < 0 ? -1 : 0;
}

static int call_heartbeat(struct state *state, struct error *error) {
  json_t *worker = json_object(), *list = NULL;
  int failed = state_heartbeat(state, worker, 600000, error) || state_workers(state, &list, error) ? -1 : 0;
  json_decref(worker);
  json_decref(list);
  return failed;
}

static int call_actions(struct state *state, struct error *error) {
  json_t *action = json_pack("{s:s}", "action", "a"), *images = json_object(), *list = NULL;
  int failed = state_action_put(state, action, images, error);
  json_decref(action);
  json_decref(images);
  if (failed || state_actions(state, 0, INT64_MAX / 1024, 10, &list, NULL, error)) return -1;
  json_decref(list);
  if (state_action_get(state, "a", &action, &images, error)) return -1;
  json_decref(action);
  json_decref(images);
  return 0;
}

static int call_approvals(struct state *state, struct error *error) {
  json_t *approval = json_object(), *list = NULL;
  int failed = state_approval_put(state, "f", approval, NULL, error) < 0 || state_approvals(state, &list, error);
  json_decref(approval);
  json_decref(list);
  return failed ? -1 : 0;
}

static int call_renames(struct state *state, struct error *error) {
  json_t *renames = NULL;
  if (state_renames_get(state, "arn", &renames, error)) return -1;
  json_decref(renames);
  renames = json_object();
  int failed = state_renames_put(state, "arn", renames, error);
  json_decref(renames);
  return failed;
}

static int call_command(struct state *state, struct error *error) {
  json_t *record = NULL;
  if (state_command_get(state, "c", &record, error)) return -1;
  json_decref(record);
  record = json_object();
  int failed = state_command_begin(state, "c", record, 32472144000000, 600000, error) < 0 ||
               state_command_put(state, "c", record, 600000, error) < 0;
  json_decref(record);
  return failed ? -1 : 0;
}

static int call_count(struct state *state, struct error *error) { return state_count(state, "n", 1, error); }

static int call_accounts(struct state *state, struct error *error) {
  struct state_accounts_pace pace = {1, 1, 60000};
  json_t *list = parse("{\"000000000001\": {\"name\": \"n\"}}"), *members = NULL;
  int64_t time = 0, asked;
  int failed = state_accounts_ask(state, &asked, error) || state_accounts_claim(state, &pace, error) < 0 ||
               state_accounts_put(state, list, NULL, error) < 0 ||
               state_accounts_get(state, &time, &members, NULL, 0, error);
  if (!failed) clock_sleep_ms(3);
  if (!failed) /* and one that fails, so that every field is met */
    failed = state_accounts_claim(state, &pace, error) < 0 || state_accounts_put(state, NULL, "why", error) < 0 ||
             state_accounts_ask(state, &asked, error);
  if (!failed) clock_sleep_ms(3);
  if (!failed) failed = state_accounts_claim(state, &pace, error) < 0;
  json_decref(list);
  json_decref(members);
  return failed ? -1 : 0;
}

typedef int call(struct state *state, struct error *error);
static call *const calls[] = {state_check,      call_stop_get,     call_breaker,       call_breaker_set,
                              call_breakers,    call_lease,        call_exception_put, call_exception_find,
                              call_exceptions,  call_marks,        call_intents,       call_park,
                              call_parked,      call_finding,      call_counts,        call_notice,
                              call_notice_done, call_tick,         call_sweep,         call_heartbeat,
                              call_count,       call_finding_ends, call_peek,          call_outcome,
                              call_probe,       call_population,   call_fight,         call_fights,
                              call_expiring,    call_budget,       call_actions,       call_approvals,
                              call_renames,     call_command,      call_baseline,      call_rollouts,
                              call_accounts,    call_stop};

/* ---- the checks ---- */

static void check_fields(const struct redis_server *server, const struct row *row, const char *key) {
  char *fields = redis_server_ask(server, "HKEYS", key, NULL);
  char *rest = NULL;
  for (char *field = strtok_r(fields, "\n", &rest); field; field = strtok_r(NULL, "\n", &rest))
    if (!documents_field(row, field)) fail_msg("%s: field %s is not in schemas/redis.md", key, field);
  free(fields);
}

static void check_key(const struct redis_server *server, struct schema *schema, const char *key) {
  struct row *row = NULL;
  for (size_t i = 0; i < schema->count; i++)
    if (fits(schema->rows[i].pattern, key) && (!row || strlen(schema->rows[i].pattern) > strlen(row->pattern)))
      row = &schema->rows[i];
  if (!row) fail_msg("%s is not in schemas/redis.md", key);
  row->met = 1;
  ASK(row->type, server, "TYPE", key);
  char *left = redis_server_ask(server, "PTTL", key, NULL);
  int forever = !strcmp(left, "-1");
  free(left);
  if (!strncmp(row->lives, "for ever", 8) && !forever) fail_msg("%s lives for a while", key);
  if (!strncmp(row->lives, "a while", 7) && forever) fail_msg("%s lives for ever", key);
  if (!strcmp(row->type, "hash")) check_fields(server, row, key);
}

static void check_keys(const struct redis_server *server, struct schema *schema) {
  char *keys = redis_server_ask(server, "KEYS", "*", NULL);
  char *rest = NULL;
  for (char *key = strtok_r(keys, "\n", &rest); key; key = strtok_r(NULL, "\n", &rest)) check_key(server, schema, key);
  free(keys);
}

static void test_no_key_outside_the_document(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct schema *schema = read_schema();
  struct state *state = open_state(server->url, "a");
  assert_int_equal(state_epoch_join(state, NULL), 0);
  check_keys(server, schema); /* the rebuild lock */
  OK(state_epoch_create(state, &error));
  for (int round = 0; round < 2; round++)
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
      struct error error = {0};
      int failed = calls[i](state, &error);
      if (failed) fail_msg("call %zu: %s", i, error.message);
      check_keys(server, schema);
    }
  for (size_t i = 0; i < schema->count; i++)
    if (!schema->rows[i].met) fail_msg("nothing wrote %s", schema->rows[i].pattern);
  state_close(state);
}

/* The name of a key that the calls use: the pattern with its variable filled in. */
static void concrete(const char *pattern, char *key, size_t size) {
  static const char *const names[][2] = {{"<scope>", "ssh/1"},
                                         {"<resource>", "r"},
                                         {"<event id>", "e"},
                                         {"<request id>", "q"},
                                         {"<schedule>", "s"},
                                         {"<subject>", "s"},
                                         {"<channel>", "mail"},
                                         {"<channel|digest>", "mail|team"},
                                         {"<guardrail|resource>", "ssh|r"},
                                         {"<arn>", "arn"},
                                         {"<id>", "c"},
                                         {"<account>", "1"},
                                         {"<account|Region|class>", "1|r|c"}};
  const char *variable = strchr(pattern, '<');
  snprintf(key, size, "%.*s", variable ? (int)(variable - pattern) : (int)strlen(pattern), pattern);
  for (size_t i = 0; variable && i < sizeof names / sizeof *names; i++)
    if (!strcmp(variable, names[i][0])) strncat(key, names[i][1], size - strlen(key) - 1);
}

/* Whatever type stands under one of our keys: calls that need it fail as FATAL and name it, the others go on. */
static void test_planted_types_are_named(void **unused) {
  (void)unused;
  struct redis_server *server = fresh_redis();
  if (!server) skip();
  struct schema *schema = read_schema();
  struct state *state = open_state(server->url, "a");
  /* Written over without looking, or only asked whether they exist. */
  static const char *const harmless[] = {"probe", "rebuild", "sweep:", "sending-notices:", "sending:"};
  for (size_t i = 0; i < schema->count; i++) {
    char key[128];
    concrete(schema->rows[i].pattern, key, sizeof key);
    free(redis_server_ask(server, "FLUSHALL", NULL));
    join(state);
    free(redis_server_ask(server, "DEL", key, NULL));
    if (!strcmp(schema->rows[i].type, "list"))
      free(redis_server_ask(server, "SET", key, "planted", NULL));
    else
      free(redis_server_ask(server, "RPUSH", key, "planted", NULL));
    int named = 0;
    for (size_t j = 0; j < sizeof calls / sizeof *calls; j++) {
      struct error error = {0};
      if (!calls[j](state, &error)) continue;
      if (error.class != ERROR_FATAL || strcmp(error.code, "WRONGTYPE"))
        fail_msg("%s planted, call %zu: %s", key, j, error.message);
      named += strstr(error.message, key) != NULL;
    }
    for (size_t j = 0; j < sizeof harmless / sizeof *harmless; j++)
      named += !strncmp(key + strlen("parapet:v1:"), harmless[j], strlen(harmless[j]));
    if (!named) fail_msg("%s planted: nobody noticed", key);
  }
  state_close(state);
}
