/* common/match beside event-ruler and simdjson, on the same events.
 *
 *   bench_match EVENTS RULES [RULER] [SIMDJSON]
 *
 * EVENTS and RULES are citylots2's.  RULER is a command that answers as tests/bench/event_ruler/Bench.java does,
 * SIMDJSON the program of tests/bench/simdjson_floor.cc; "-" or nothing: not measured.  One thread each, its processor
 * time, the best of several passes, turn by turn.  Exit 1 when a count is wrong. */
#include <jansson.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench_events.h"

enum { RULES_MOST = 64, PASSES = 3 };

struct result { /* of one bank */
  double seconds;
  size_t bytes, counts[RULES_MOST];
};

/* ---- event-ruler ---- */

struct ruler {
  pid_t child;
  FILE *questions, *answers; /* NULL: not measured */
};

static struct ruler start_ruler(const char *command) {
  struct ruler ruler = {0};
  int ends[2];
  posix_spawn_file_actions_t actions;
  char shell[] = "sh", option[] = "-c", *copy = strdup(command);
  char *const arguments[] = {shell, option, copy, NULL};
  if (strcmp(command, "-") == 0 || !copy) return free(copy), ruler;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) die("no socket for event-ruler");
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  if (posix_spawn(&ruler.child, "/bin/sh", &actions, NULL, arguments, environ) != 0) die("cannot start event-ruler");
  posix_spawn_file_actions_destroy(&actions);
  free(copy);
  close(ends[1]);
  ruler.questions = fdopen(ends[0], "w");
  ruler.answers = fdopen(dup(ends[0]), "r");
  if (!ruler.questions || !ruler.answers) die("no stream for event-ruler");
  return ruler;
}

static void ask_ruler(const struct ruler *ruler, const char *bank, struct result *result) {
  char line[4096];
  fprintf(ruler->questions, "%s\n", bank);
  fflush(ruler->questions);
  if (!fgets(line, sizeof line, ruler->answers)) die("event-ruler does not answer");
  char *at = line;
  result->seconds = strtod(at, &at);
  result->bytes = strtoul(at, &at, 10);
  for (size_t i = 0; i < RULES_MOST; i++) result->counts[i] = strtoul(at, &at, 10);
}

static void end_ruler(struct ruler *ruler) {
  if (!ruler->questions) return;
  shutdown(fileno(ruler->questions), SHUT_WR);
  fclose(ruler->questions);
  fclose(ruler->answers);
  waitpid(ruler->child, NULL, 0);
}

/* ---- the 14 banks ---- */

static int check_counts(const char *who, const json_t *expected, const size_t *counts) {
  int wrong = 0;
  for (size_t i = 0; i < json_array_size(expected); i++) {
    size_t want = (size_t)json_integer_value(json_array_get(expected, i));
    if (counts[i] == want) continue;
    printf("  %s, rule %zu: %zu matches, expected %zu\n", who, i, counts[i], want);
    wrong = 1;
  }
  return wrong;
}

static struct result run_ours(const json_t *rules, const struct events *events) {
  struct result result = {0};
  struct match_builder *builder = match_builder_open();
  for (size_t i = 0; i < json_array_size(rules); i++)
    add(builder, (uint32_t)i, json_string_value(json_array_get(rules, i)));
  struct match_set *set = finish(builder);
  result.seconds = best_of(PASSES, set, events, result.counts, RULES_MOST);
  result.bytes = match_set_memory(set);
  match_set_free(set);
  return result;
}

static int run_bank(const char *bank, const json_t *rules, const json_t *expected, const struct events *events,
                    const struct ruler *ruler, double *worst) {
  struct result ours = run_ours(rules, events), theirs = {0};
  int wrong = check_counts("ours", expected, ours.counts);
  printf("%-26.*s %9.0f events/s %5.2f GB/s %6zu bytes", (int)(strlen(bank) - strlen("_RULES")), bank,
         (double)events->count / ours.seconds, (double)events->bytes / ours.seconds / 1e9, ours.bytes);
  if (!ruler->questions) return printf("\n"), wrong;
  ask_ruler(ruler, bank, &theirs);
  double ratio = theirs.seconds / ours.seconds;
  if (ratio < *worst) *worst = ratio;
  printf(" | event-ruler %8.0f events/s %8zu bytes | %6.1f x\n", (double)events->count / theirs.seconds, theirs.bytes,
         ratio);
  return wrong | check_counts("event-ruler", expected, theirs.counts);
}

static int run_banks(const struct events *events, const char *rules_path, const char *command) {
  json_t *banks = json_load_file(rules_path, 0, NULL), *rules;
  if (!banks) die("cannot read the rule banks");
  struct ruler ruler = start_ruler(command);
  const char *name;
  double worst = 1e9;
  int wrong = 0;
  json_object_foreach(banks, name, rules) {
    const char *end = strstr(name, "_RULES");
    if (!end) continue;
    char counts[128];
    snprintf(counts, sizeof counts, "%.*s_MATCHES", (int)(end - name), name);
    wrong |= run_bank(name, rules, json_object_get(banks, counts), events, &ruler, &worst);
  }
  if (ruler.questions) printf("the least of these ratios: %.1f x\n", worst);
  end_ruler(&ruler);
  json_decref(banks);
  return wrong;
}

/* ---- one field ---- */

static int run_field(const struct events *events, const char *path, const char *program) {
  char command[1024], name[64] = "";
  double theirs = 0;
  size_t counts[1], count = 0;
  struct match_builder *builder = match_builder_open();
  add(builder, 0, "{\"properties\":{\"STREET\":[\"WASHINGTON\"]}}");
  struct match_set *set = finish(builder);
  double ours = best_of(5, set, events, counts, 1);
  match_set_free(set);
  printf("%-26s %9.0f events/s %5.2f GB/s", "one field", (double)events->count / ours,
         (double)events->bytes / ours / 1e9);
  if (strcmp(program, "-") == 0) return printf("\n"), 0;
  snprintf(command, sizeof command, "'%s' '%s' WASHINGTON", program, path);
  FILE *answer = popen(command, "r");
  if (!answer || fscanf(answer, "%lf %zu %63s", &theirs, &count, name) != 3) die("simdjson does not answer");
  pclose(answer);
  printf(" | simdjson (on demand, %s) %9.0f events/s | %.2f x\n", name, (double)events->count / theirs, theirs / ours);
  return count != counts[0];
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (argc < 3) die("usage: bench_match EVENTS RULES [RULER] [SIMDJSON]");
  struct events events = read_events(argv[1]);
  printf("citylots2, %zu events; scanner: %s\n", events.count, match_scan_best()->name);
  int wrong = run_banks(&events, argv[2], argc > 3 ? argv[3] : "-");
  wrong |= run_field(&events, argv[1], argc > 4 ? argv[4] : "-");
  events_free(&events);
  return wrong;
}
