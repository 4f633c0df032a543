#include "event/reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/buffer.h"
#include "json/value.h"

struct event_reader {
  gzFile file; /* reads plain files as they are */
  char *path;
  int64_t size, events;
  int lines;          /* JSON lines; otherwise `text` holds the whole file */
  struct buffer text; /* the file, or the present line */
  const char *at;     /* whole file: where the next element begins; NULL at the end */
  int single;         /* whole file: one object, not a list */
  int pending;        /* `text` holds a line that nobody has seen yet */
};

static int ends_with(const char *text, const char *end) {
  size_t length = strlen(text), tail = strlen(end);
  return length >= tail && strcmp(text + length - tail, end) == 0;
}

static int is_lines(const char *path) {
  return ends_with(path, ".jsonl") || ends_with(path, ".ndjson") || ends_with(path, ".jsonl.gz") ||
         ends_with(path, ".ndjson.gz");
}

static int fail(const struct event_reader *reader, const char *what, struct error *error) {
  error_set(error, ERROR_INVALID, "File", "%s", what);
  return error_where(error, "%s", reader->path);
}

static int read_failed(const struct event_reader *reader, struct error *error) {
  int code = Z_OK;
  const char *why = gzerror(reader->file, &code);
  return fail(reader, code == Z_ERRNO ? strerror(errno) : why, error);
}

/* ---- elements of a whole file ----
 * The text is known to be JSON, so that finding an element's end needs only strings and brackets. */
static const char *skip_space(const char *at) {
  while (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r') at++;
  return at;
}

static const char *skip_string(const char *at) {
  for (at++; *at != '"'; at++)
    if (*at == '\\') at++;
  return at + 1;
}

static const char *skip_value(const char *at) {
  int depth = 0;
  do {
    if (*at == '"') {
      at = skip_string(at);
      continue;
    }
    if (*at == '{' || *at == '[') depth++;
    if (*at == '}' || *at == ']') depth--;
    at++;
  } while (depth > 0 || (*at && !strchr(",]} \t\r\n:", *at)));
  return at;
}

/* The array behind a top-level "Records", or NULL. */
static const char *find_records(const char *object) {
  const char *at = skip_space(object + 1);
  while (*at == '"') {
    const char *name = at;
    at = skip_string(at);
    int found = strncmp(name, "\"Records\"", 9) == 0;
    at = skip_space(skip_space(at) + 1); /* the colon */
    if (found) return *at == '[' ? at : NULL;
    at = skip_space(skip_value(at));
    if (*at == ',') at = skip_space(at + 1);
  }
  return NULL;
}

/* Behind what `text` holds already. */
static int load_whole(struct event_reader *reader, struct error *error) {
  char chunk[65536];
  int got;
  reader->text.ceiling = EVENT_READER_FILE;
  while ((got = gzread(reader->file, chunk, sizeof chunk)) > 0)
    if (buffer_add(&reader->text, chunk, (size_t)got) != 0)
      return fail(reader, "the file is too large; make JSON lines (.jsonl) of it", error);
  if (got < 0) return read_failed(reader, error);
  if (json_check(buffer_text(&reader->text), reader->text.length, error) != 0)
    return error_where(error, "%s", reader->path);
  const char *start = skip_space(buffer_text(&reader->text));
  const char *records = *start == '{' ? find_records(start) : *start == '[' ? start : NULL;
  reader->single = !records;
  reader->at = records ? skip_space(records + 1) : start;
  return 0;
}

static int next_element(struct event_reader *reader, const char **text, size_t *length) {
  const char *start = reader->at;
  if (!start || (!reader->single && *start == ']')) return 0;
  const char *end = skip_value(start);
  *text = start;
  *length = (size_t)(end - start);
  reader->at = NULL;
  if (reader->single) return 1;
  end = skip_space(end);
  reader->at = *end == ',' ? skip_space(end + 1) : end;
  return 1;
}

/* ---- lines ---- */
static int read_line(struct event_reader *reader, struct error *error) {
  char chunk[16384];
  int complete = 0, code = Z_OK;
  buffer_clear(&reader->text);
  while (!complete && gzgets(reader->file, chunk, sizeof chunk)) {
    size_t got = strlen(chunk);
    complete = got > 0 && chunk[got - 1] == '\n';
    if (buffer_add(&reader->text, chunk, got) != 0) return fail(reader, "a line is too long", error);
  }
  gzerror(reader->file, &code);
  return code == Z_OK || code == Z_STREAM_END ? 0 : read_failed(reader, error);
}

static int next_line(struct event_reader *reader, const char **text, size_t *length, struct error *error) {
  do {
    if (!reader->pending && read_line(reader, error) != 0) return -1;
    reader->pending = 0;
    if (reader->text.length == 0) return 0;
    const char *line = buffer_text(&reader->text);
    *text = skip_space(line);
    *length = strlen(*text);
    while (*length > 0 && strchr(" \t\r\n", (*text)[*length - 1])) --*length;
  } while (*length == 0); /* an empty line is no event */
  return 1;
}

/* Standard input has no name to tell its kind by: its first line does. */
static int look_ahead(struct event_reader *reader, struct error *error) {
  if (read_line(reader, error) != 0) return -1;
  const char *line = skip_space(buffer_text(&reader->text));
  reader->pending = reader->lines =
      reader->text.length == 0 || (*line == '{' && json_check(line, strlen(line), NULL) == 0 && !find_records(line));
  return 0;
}

/* ---- public ---- */
static int open_file(struct event_reader *reader, struct error *error) {
  struct stat status;
  int input = strcmp(reader->path, "-") == 0;
  errno = 0;
  reader->file = input ? gzdopen(dup(STDIN_FILENO), "rb") : gzopen(reader->path, "rbe");
  if (!reader->file || (input ? fstat(STDIN_FILENO, &status) : stat(reader->path, &status)) != 0 ||
      gzbuffer(reader->file, 1 << 17) != 0) {
    error_set(error, errno == ENOENT ? ERROR_MISSING : ERROR_INVALID, "File", "cannot be read: %s", strerror(errno));
    return error_where(error, "%s", reader->path);
  }
  reader->size = status.st_size;
  reader->lines = is_lines(reader->path);
  reader->text.ceiling = EVENT_READER_LINE;
  if (input && look_ahead(reader, error) != 0) return -1;
  return reader->lines ? 0 : load_whole(reader, error);
}

struct event_reader *event_reader_open(const char *path, struct error *error) {
  struct event_reader *reader = calloc(1, sizeof *reader);
  if (!reader || !(reader->path = strdup(path))) {
    free(reader);
    error_set(error, ERROR_FATAL, "OutOfMemory", "out of memory");
    return NULL;
  }
  if (open_file(reader, error) == 0) return reader;
  event_reader_close(reader);
  return NULL;
}

int event_reader_next(struct event_reader *reader, const char **text, size_t *length, struct error *error) {
  int result = reader->lines ? next_line(reader, text, length, error) : next_element(reader, text, length);
  if (result == 1) reader->events++;
  return result;
}

struct event_reader_progress event_reader_progress(struct event_reader *reader) {
  struct event_reader_progress progress = {.events = reader->events, .size = reader->size};
  progress.bytes = gzoffset(reader->file);
  if (!reader->lines && reader->at && *reader->at != ']') /* a whole file was read at once: scale by position */
    progress.bytes = (int64_t)((double)reader->size * (double)(reader->at - buffer_text(&reader->text)) /
                               (double)reader->text.length);
  return progress;
}

void event_reader_close(struct event_reader *reader) {
  if (!reader) return;
  if (reader->file && gzclose(reader->file) != Z_OK) errno = 0; /* reading only: nothing can be lost by it */
  buffer_free(&reader->text);
  free(reader->path);
  free(reader);
}
