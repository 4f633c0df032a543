/* parapet match: which of some events a pattern matches, and how fast.  The events are seen as the workers see them: a
 * bare CloudTrail record in EventBridge's envelope, what else is JSON as it stands.  Exit codes are grep's. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "cli.h"
#include "event/envelope.h"
#include "event/reader.h"
#include "match/match.h"

const struct setting match_options[] = {
    {"pattern", SETTING_TEXT, NULL, "the event pattern: JSON, or @FILE", 0, 0, 0},
    {"count", SETTING_BOOL, "false", "do not print the events, only how many there are", 0, 0, 0},
    {0}};

#define PATTERN_LIMIT ((size_t)8 << 20) /* as match_add() has it */

enum { MATCHED = 0, NONE_MATCHED = 1, BROKEN = 2 };

struct matching {
  const struct match_set *set;
  struct match_scratch *scratch;
  json_t *events; /* the matching ones, for --output json; NULL: they are printed at once, or only counted */
  int prints;
  int64_t count, matched, broken, bytes;
  double seconds; /* of matching alone */
};

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* One event, one line: spaces outside strings are left out. */
static void print_event(const char *text, size_t length) {
  int inside = 0;
  for (size_t i = 0; i < length; i++) {
    if (!inside && strchr(" \t\r\n", text[i])) continue;
    putchar(text[i]);
    if (text[i] == '"')
      inside = !inside;
    else if (text[i] == '\\' && i + 1 < length)
      putchar(text[++i]);
  }
  putchar('\n');
}

static int take_match(struct matching *matching, const char *text, size_t length, struct error *error) {
  matching->matched++;
  if (matching->prints) print_event(text, length);
  if (!matching->events) return 0;
  json_t *event = json_parse(text, length, error);
  return event ? json_array_append_new(matching->events, event) : -1;
}

static int match_text(struct matching *matching, const char *text, size_t length, struct error *error) {
  const uint32_t *ids;
  double start = now();
  int count = match_run(matching->set, matching->scratch, text, length, &ids, error);
  matching->seconds += now() - start;
  matching->bytes += (int64_t)length;
  return count > 0 ? take_match(matching, text, length, error) : count;
}

static void match_event(struct matching *matching, const char *path, const char *text, size_t length) {
  struct event event = {0};
  struct error error = {0};
  matching->count++;
  int wrapped = event_prepare(NULL, text, length, &event, &error) == 0;
  error_clear(&error);
  int result =
      wrapped ? match_text(matching, event.text, event.length, &error) : match_text(matching, text, length, &error);
  event_free(&event);
  if (result == 0) return;
  matching->broken++;
  fprintf(stderr, "parapet: %s: event %lld: %s\n", path, (long long)matching->count, error.message);
}

static int match_file(struct matching *matching, const char *path, struct error *error) {
  struct event_reader *reader = event_reader_open(path, error);
  const char *text;
  size_t length;
  int more = reader ? 1 : -1;
  while (more == 1 && (more = event_reader_next(reader, &text, &length, error)) == 1)
    match_event(matching, path, text, length);
  event_reader_close(reader);
  return more;
}

static int report(const struct cli *cli, const struct matching *matching) {
  double seconds = matching->seconds > 0 ? matching->seconds : 1e-9;
  double events = (double)matching->count / seconds, bytes = (double)matching->bytes / seconds;
  if (cli->json) {
    json_t *all = json_pack("{s:I, s:I, s:I, s:f, s:f, s:I}", "events", (json_int_t)matching->count, "matched",
                            (json_int_t)matching->matched, "broken", (json_int_t)matching->broken, "events_per_second",
                            events, "bytes_per_second", bytes, "memory", (json_int_t)match_set_memory(matching->set));
    if (matching->events) json_object_set(all, "matches", matching->events);
    print_json(all);
    json_decref(all);
  } else {
    if (!matching->prints) printf("%lld\n", (long long)matching->matched);
    fprintf(stderr, "%lld of %lld events match; one thread: %.0f events/s, %.2f GB/s\n", (long long)matching->matched,
            (long long)matching->count, events, bytes / 1e9);
  }
  return matching->broken ? BROKEN : matching->matched ? MATCHED : NONE_MATCHED;
}

/* ---- the pattern ---- */

static int read_file(const char *path, struct buffer *text, struct error *error) {
  char chunk[65536];
  size_t got;
  FILE *file = fopen(path, "re");
  if (!file) return error_set(error, ERROR_MISSING, "File", "cannot be read: %s", strerror(errno));
  while ((got = fread(chunk, 1, sizeof chunk, file)) > 0 && buffer_add(text, chunk, got) == 0) continue;
  int result = ferror(file) ? error_set(error, ERROR_INVALID, "File", "cannot be read") : 0;
  if (text->failed)
    result = error_set(error, ERROR_INVALID, "File", "a pattern has at most %zu MiB", PATTERN_LIMIT >> 20);
  fclose(file);
  return result;
}

static struct match_set *build(const struct buffer *text, struct error *error) {
  struct match_builder *builder = match_builder_open();
  if (builder && match_add(builder, 0, buffer_text(text), text->length, error) == 0) return match_build(builder, error);
  match_builder_free(builder);
  return NULL;
}

/* NULL with *error, which names the place inside the pattern, and its file. */
static struct match_set *compile(const char *given, struct error *error) {
  struct buffer text = {.ceiling = PATTERN_LIMIT};
  int in_file = *given == '@';
  int result = in_file ? read_file(given + 1, &text, error) : buffer_add_text(&text, given);
  struct match_set *set = result == 0 ? build(&text, error) : NULL;
  buffer_free(&text);
  if (!set && !in_file && access(given, R_OK) == 0)
    error_set(error, ERROR_INVALID, "Pattern", "%s is a file: write --pattern @%s", given, given);
  else if (!set)
    error_where(error, "%s", in_file ? given + 1 : "--pattern");
  return set;
}

int run_match(struct cli *cli) {
  static char standard_input[] = "-";
  static char *no_words[] = {standard_input, NULL};
  const char *given = config_text(cli->config, "pattern");
  int only_count = config_bool(cli->config, "count"), result = 0;
  struct error error = {0};
  struct matching matching = {.prints = !cli->json && !only_count};
  if (!*given) return fail_usage("which pattern? parapet match --pattern '{\"source\": [\"aws.ec2\"]}' [FILE ...]");
  char **paths = cli->words.count > 0 ? cli->words.words : no_words;
  struct match_set *set = compile(given, &error);
  matching.set = set;
  matching.scratch = match_scratch_open();
  if (cli->json && !only_count) matching.events = json_array();
  if (!set || !matching.scratch) result = -1;
  for (; result == 0 && *paths; paths++) result = match_file(&matching, *paths, &error);
  if (result == 0)
    result = report(cli, &matching);
  else
    fail(&error), result = BROKEN;
  json_decref(matching.events);
  match_scratch_free(matching.scratch);
  match_set_free(set);
  return result;
}
