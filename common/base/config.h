/* Settings: one table gives each its name, type, default, limits and help; three places may set it, the later wins:
 * the YAML file (--config FILE or PARAPET_CONFIG), the environment (PARAPET_<NAME>, dots as underscores), the flags
 * (--name value, --name=value; dots as dashes; a boolean needs no value).  docs and --help are made from the table.
 *
 * Set-up is two-step: config_load() checks everything and reports every mistake (file, line, reason, nearest right
 * name), and only when there is none may a program construct anything.
 *
 * An empty environment variable counts as not set.  A PARAPET_ variable that is no setting is only warned of, and only
 * when its name is near one's.  Values of secret settings are given to log_secret(). */
#ifndef PARAPET_BASE_CONFIG_H
#define PARAPET_BASE_CONFIG_H

#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

enum setting_type {
  SETTING_TEXT,     /* any string */
  SETTING_NUMBER,   /* integer, minimum..maximum */
  SETTING_BOOL,     /* true | false */
  SETTING_DURATION, /* "30s", "10m": see clock_parse_duration; limits in milliseconds */
  SETTING_LIST,     /* YAML sequence of strings, or comma-separated in environment and flags */
};

struct setting {
  const char *name; /* lower case, dots for groups: "kafka.brokers" is `kafka: {brokers: …}` in YAML */
  enum setting_type type;
  const char *value;        /* the default, as text; NULL: none ("" / 0) */
  const char *help;         /* one line */
  int64_t minimum, maximum; /* both 0: no limits */
  int secret;               /* never printed; also taken from <ENV>_FILE (its content) */
};

struct config; /* immutable after load; any thread may read */

/* What the command line held besides settings.  --help, -h and (unless
 * the table has a "version") --version are words, too: the program answers them. */
struct config_rest {
  int count;
  char **words; /* NULL-terminated; the array is the config's, the words are argv's */
};

/* `table` ends with a NULL name.  argv[0] is skipped; words that are not flags land in *rest (may be NULL: then they
 * are mistakes); "--" ends the flags.  On mistakes prints each on `complaints` (one line each) and returns NULL with
 * *error (ERROR_INVALID).  The result holds pointers into `table` and argv. */
struct config *config_load(const struct setting *table, int argc, char **argv, struct config_rest *rest,
                           FILE *complaints, struct error *error);
void config_free(struct config *config);

/* Asking for a name that is not in the table, or as another type, is a programming error: abort(). */
const char *config_text(const struct config *config, const char *name); /* never NULL */
int64_t config_number(const struct config *config, const char *name);
int config_bool(const struct config *config, const char *name);
int64_t config_ms(const struct config *config, const char *name);
/* NULL-terminated; owned by config. */
const char *const *config_list(const struct config *config, const char *name);

/* Where a file or directory lies: what the setting says, else the first that exists of `below` beside the program (a
 * build tree), under ../share/parapet (installed), in the source tree; else `below` itself.  The last four answers of a
 * thread stay valid. */
const char *config_path(const struct config *config, const char *setting, const char *below);

/* The table as aligned help text, or as the Markdown table of schemas/config.md. */
void config_print_help(const struct setting *table, FILE *out);
void config_print_markdown(const struct setting *table, FILE *out);
/* The settings in force and where each came from, secrets as ***; one a line: "kafka.brokers = … (file x.yaml:3)". */
void config_print(const struct config *config, FILE *out);

/* The word of NULL-terminated `words` nearest to `word` (edit distance at most a third of its length), or NULL. */
const char *config_nearest(const char *word, const char *const *words);

#endif
