#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

/* The way out, where the error itself cannot know it: which setting names what did not answer. */
static const char *way_out(const struct error *error) {
  static const struct {
    const char *begins, *names;
  } ways[] = {{"the connection to Redis", "--redis-url or PARAPET_REDIS_URL"},
              {"Redis did not", "--redis-url or PARAPET_REDIS_URL"},
              {"Kafka: ", "--kafka-brokers or PARAPET_KAFKA_BROKERS"}};
  for (size_t i = 0; error->class == ERROR_RETRYABLE && i < sizeof ways / sizeof *ways; i++)
    if (strncmp(error->message, ways[i].begins, strlen(ways[i].begins)) == 0) return ways[i].names;
  return NULL;
}

int fail(const struct error *error) {
  const char *names = way_out(error);
  fprintf(stderr, "parapet: %s%s%s\n", error->where, error->where[0] ? ": " : "", error->message);
  if (names) fprintf(stderr, "parapet: does it run?  %s names another\n", names);
  return CLI_ERROR;
}

int fail_usage(const char *format, ...) {
  va_list arguments;
  fputs("parapet: ", stderr);
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
  return CLI_USAGE;
}

const char *paint(const char *name) {
  static const struct {
    const char *name, *code;
  } codes[] = {
      {"red", "\033[31m"}, {"green", "\033[32m"}, {"yellow", "\033[33m"}, {"bold", "\033[1m"}, {"off", "\033[0m"}};
  if (!isatty(STDOUT_FILENO) || getenv("NO_COLOR")) return "";
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
    if (strcmp(codes[i].name, name) == 0) return codes[i].code;
  return "";
}

void print_json(const json_t *value) {
  json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
  putchar('\n');
}

/* What a cell shows; caller frees. */
static char *cell_text(const json_t *row, const char *key) {
  const json_t *value = json_object_get(row, key);
  if (!value || json_is_null(value)) return strdup("-");
  if (json_is_string(value)) return strdup(json_string_value(value));
  return json_written(value);
}

static int utf8_width(const char *text) {
  int width = 0;
  for (; *text; text++) width += ((unsigned char)*text & 0xC0) != 0x80;
  return width;
}

static int column_width(const json_t *rows, const struct column *column) {
  int width = (int)strlen(column->title);
  for (size_t i = 0; i < json_array_size(rows); i++) {
    char *text = cell_text(json_array_get(rows, i), column->key);
    int own = text ? utf8_width(text) : 0;
    if (own > width) width = own;
    free(text);
  }
  return column->width && width > column->width ? column->width : width;
}

static void print_cell(const char *text, int width, int last) {
  int shown = 0;
  for (; *text && (shown < width || ((unsigned char)*text & 0xC0) == 0x80); text++) {
    putchar((unsigned char)*text < 0x20 || *text == 0x7F ? ' ' : *text);
    shown += ((unsigned char)*text & 0xC0) != 0x80;
  }
  for (; !last && shown < width + 2; shown++) putchar(' ');
}

void print_rows(const struct cli *cli, const json_t *rows, const struct column *columns) {
  int widths[16];
  size_t count = 0;
  if (cli->json) {
    print_json(rows);
    return;
  }
  for (; columns[count].title && count < 16; count++) widths[count] = column_width(rows, &columns[count]);
  fputs(paint("bold"), stdout);
  for (size_t c = 0; c < count; c++) print_cell(columns[c].title, widths[c], c + 1 == count);
  printf("%s\n", paint("off"));
  for (size_t i = 0; i < json_array_size(rows); i++) {
    for (size_t c = 0; c < count; c++) {
      char *text = cell_text(json_array_get(rows, i), columns[c].key);
      print_cell(text ? text : "", widths[c], c + 1 == count);
      free(text);
    }
    putchar('\n');
  }
}
