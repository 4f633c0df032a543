/* Files of events, one after the other: what `parapet replay` and the collector's replay source read.
 *
 *   .jsonl .ndjson        one JSON value a line, read as a stream of any length
 *   .json (others, too)   an array, {"Records": […]} as CloudTrail writes to S3, or one object; whole file in memory
 *   … .gz                 each of them compressed
 *   -                     standard input: JSON lines when its first line is an event, else one of the whole files
 *
 * Not thread-safe: one owner. */
#ifndef PARAPET_EVENT_READER_H
#define PARAPET_EVENT_READER_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define EVENT_READER_FILE ((size_t)512 << 20) /* uncompressed bytes of a whole file */
#define EVENT_READER_LINE ((size_t)16 << 20)  /* bytes of a line */

struct event_reader;
struct event_reader *event_reader_open(const char *path, struct error *error);
/* The next event's text, as it stands in the file, valid until the next call.  1; 0 at the end; -1 with *error when the
 * file is broken (it ends there).  A line that is no JSON is given all the same: the dead letter wants it. */
int event_reader_next(struct event_reader *reader, const char **text, size_t *length, struct error *error);
struct event_reader_progress {
  int64_t events, bytes, size; /* bytes read of the file's size on disk */
};
struct event_reader_progress event_reader_progress(struct event_reader *reader);
void event_reader_close(struct event_reader *reader); /* NULL accepted */

/* ---- pace ----
 * When may the next event go?  `rate` events a second (0: no limit) and `speed` times as fast as they happened (0: as
 * fast as possible), the slower of both. */
struct event_pace {
  double rate, speed;
  int64_t started_ms, count; /* zeroed at the start */
  int64_t first_event_ms;
};
/* Milliseconds to wait before sending this event; event_ms: its wall time, or < 0 when it has none. */
int64_t event_pace_wait_ms(struct event_pace *pace, int64_t now_ms, int64_t event_ms);

#endif
